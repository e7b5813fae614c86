//! The REST API under `/v1`: configuration, operation, live views. Described at `/openapi.json`.
//!
//! ```text
//!   request ─► mod.rs: panic, time, size ─► auth.rs: key, rate, app, role ─► input.rs: query, body ─► a resource ─► engine
//!                                     problem.rs ◄── whatever stands in the way
//! ```
//!
//! | file | concept |
//! |---|---|
//! | `auth.rs` | whose key it is, and what of which app it opens |
//! | `input.rs` | what a request brings: path, query, headers, body |
//! | `problem.rs` | every error, in one shape |
//! | `page.rs` | lists, page by page |
//! | `openapi.rs` | the description of all of it |
//! | `at.rs`, `words.rs` | times and words as they stand in JSON |
//! | `change.rs` | one edit of an app's document |
//! | `integration.rs`, `patch.rs` | an integration as it is shown, and a patch of its settings |
//! | `apps.rs`, `integrations.rs`, `channels.rs`, `credentials.rs`, `keys.rs`, `connectors.rs` | configuration |
//! | `flows.rs` | flows: drafts, validation, publishing, history |
//! | `containment.rs` | what is counted |
//! | `conversations.rs`, `transfers.rs`, `participants.rs`, `customers.rs`, `transcripts.rs`, `files.rs`, `said.rs` | operation |
//! | `state.rs`, `timeline.rs` | a conversation's state and log as they are shown |
//! | `events.rs` | what changes, as it changes |

mod apps;
pub(crate) mod at;
mod auth;
mod change;
mod channels;
mod connectors;
mod containment;
mod conversations;
mod credentials;
mod customers;
mod events;
pub(crate) mod files;
mod flows;
mod input;
mod integration;
mod integrations;
mod keys;
mod openapi;
mod page;
mod participants;
mod patch;
pub(crate) mod problem;
mod said;
mod state;
mod timeline;
mod transcripts;
mod transfers;
mod words;

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{DefaultBodyLimit, Request};
use axum::http::{HeaderValue, Method, header};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use axum::{Json, Router};
use interline_engine::Engine;
use tower_http::catch_panic::CatchPanicLayer;
use utoipa_axum::router::OpenApiRouter;

pub(crate) use openapi::describe;
use problem::Problem;

/// The largest body.
const BODY_BYTES: usize = 1024 * 1024;
/// A request that takes longer is answered 408; what it began goes on to its end.
const TIME: Duration = Duration::from_secs(30);

/// What the handlers share.
#[derive(Clone)]
pub(crate) struct Api {
    engine: Engine,
    rates: Arc<auth::Rates>,
}

/// `/v1` and its description.
pub(crate) fn routes(engine: &Engine) -> Router {
    let description = Json(describe());
    let api = Api { engine: engine.clone(), rates: Arc::new(auth::rates()) };
    let (routes, _) = documented().split_for_parts();
    let routes = routes
        // The one path that a nested router leaves out.
        .route("/v1/", any(async || Problem::path()))
        .method_not_allowed_fallback(async || Problem::method())
        .layer(DefaultBodyLimit::max(BODY_BYTES))
        .layer(from_fn(to_its_end))
        .layer(from_fn(never_stored))
        .layer(CatchPanicLayer::custom(panicked))
        .with_state(api);
    routes.route("/openapi.json", get(async move || description))
}

/// All resources, as they are routed and described.
fn documented() -> OpenApiRouter<Api> {
    let resources = OpenApiRouter::default()
        .merge(apps::routes())
        .merge(integrations::routes())
        .merge(channels::routes())
        .merge(credentials::routes())
        .merge(flows::routes())
        .merge(containment::routes())
        .merge(keys::routes())
        .merge(connectors::routes())
        .merge(conversations::routes())
        .merge(said::routes())
        .merge(transcripts::routes())
        .merge(files::routes())
        .merge(transfers::routes())
        .merge(participants::routes())
        .merge(customers::routes())
        .merge(events::routes())
        .fallback(async || Problem::path());
    OpenApiRouter::with_openapi(openapi::base()).nest("/v1", resources)
}

/// What changes something is done to its end, also when whoever asked hangs up or the time is over: a change that is
/// half in force would be worse than one that nobody heard the answer of.
async fn to_its_end(request: Request, next: Next) -> Response {
    let reads = matches!(*request.method(), Method::GET | Method::HEAD);
    let work = async move {
        if reads {
            return next.run(request).await;
        }
        tokio::spawn(next.run(request)).await.unwrap_or_else(|_| Problem::internal().into_response())
    };
    tokio::time::timeout(TIME, work).await.unwrap_or_else(|_| Problem::timeout().into_response())
}

/// Answers hold what customers said, and sometimes a secret.
async fn never_stored(request: Request, next: Next) -> Response {
    let mut answer = next.run(request).await;
    answer.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    answer
}

fn panicked(_: Box<dyn Any + Send + 'static>) -> Response {
    tracing::error!("a handler of the API panicked");
    Problem::internal().into_response()
}
