//! Pages for people: what was said before a hand-over, behind a link that wears out, and what an operator looks at when
//! something is stuck.
//!
//! | file | concept |
//! |---|---|
//! | `transcript.rs` | `/t/{token}`: who may see the words, and what everybody else sees |
//! | `words.rs` | the words as a page, as JSON and as plain text |
//! | `files.rs` | `/f/{token}`: a file, and how often it may still be downloaded |
//! | `links.rs` | what all links have in common: rate, frame, refusals |
//! | `visitor.rs` | who uses a link |
//! | `accept.rs` | which of the three is asked for |
//! | `html.rs` | text into markup: the only place where the two meet |
//! | `status.rs` | `/status`: live transfers and held participants, drawn by the browser from the API |
//!
//! No page runs a script that is not a file of ours, and none writes what somebody said as markup.

mod accept;
pub(crate) mod files;
mod html;
mod links;
mod status;
mod transcript;
mod visitor;
mod words;

use axum::Router;
use axum::http::{HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use interline_engine::Engine;

pub(crate) fn routes(engine: Engine) -> Router {
    Router::new()
        .merge(transcript::routes(engine.clone()))
        .merge(files::routes(engine))
        .merge(status::routes())
}

/// A file of ours, the same for everybody.
fn file(kind: &'static str, policy: &'static str, text: &'static str) -> Response {
    let cached = [(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"))];
    let kind = [(header::CONTENT_TYPE, HeaderValue::from_static(kind))];
    (guarded(policy), cached, kind, text).into_response()
}

/// What a browser must know of every page of ours: what may run in it, and that it tells nobody where it was.
fn guarded(policy: &'static str) -> [(HeaderName, HeaderValue); 4] {
    [
        (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy)),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
        (HeaderName::from_static("x-robots-tag"), HeaderValue::from_static("noindex, nofollow")),
    ]
}
