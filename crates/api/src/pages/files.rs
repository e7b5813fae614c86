//! `/f/{token}`: a file, behind a link that wears out. Previews and mail scanners open links by themselves, so the link is
//! a page that costs nothing; the bytes behind its button count.
//!
//! ```text
//!   GET, HEAD  /f/{token}            ─► what it is, and how often it may still be downloaded   free
//!   GET        /f/{token}/download   ─► the bytes                                              a download
//!   GET, HEAD  /f/v/{token}          ─► the bytes, for a vendor's machine                      free, for an hour
//!   used up, expired, withdrawn      ─► 410, and what to do now
//! ```
//!
//! Nothing is ever shown inline: a file is saved, whatever is in it.

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::map_response;
use axum::response::{IntoResponse, Json, Response};
use axum::routing::get;
use interline_connector::files::human_size;
use interline_connector::formats;
use interline_core::File;
use interline_engine::files::{Download, Shared};
use interline_engine::{Closed, Engine, Trouble};
use serde::Serialize;

use super::accept::Shape;
use super::html::{Slot, fill};
use super::links::{Denied, Links, Notice, POLICY, Token, page, refuse};
use super::visitor::access;
use super::{file, guarded, words};
use crate::v1;
use crate::v1::at::At;

const STYLE: &str = "/f/page.css";
const OFFER: &str = include_str!("files/offer.html");
/// Nothing of a file runs, should a browser show it all the same.
const SANDBOX: &str = "default-src 'none'; sandbox";

pub(super) fn routes(engine: Engine) -> Router {
    Router::new()
        .route("/f/{token}", get(look))
        .route("/f/{token}/download", get(download))
        .route("/f/v/{token}", get(fetch))
        .with_state(Links::new(engine))
        .layer(map_response(async |answer: Response| (UNKEPT, answer)))
        .route(
            STYLE,
            get(async || {
                let css = concat!(
                    include_str!("base.css"),
                    include_str!("links/page.css"),
                    include_str!("files/page.css")
                );
                file("text/css", POLICY, css)
            }),
        )
}

/// Nobody on the way keeps a copy.
const UNKEPT: [(HeaderName, HeaderValue); 2] = [
    (header::CACHE_CONTROL, HeaderValue::from_static("private, no-store")),
    (header::VARY, HeaderValue::from_static("accept")),
];

async fn look(State(links): State<Links>, token: Token, headers: HeaderMap) -> Response {
    let shape = Shape::asked(&headers);
    let shown = async {
        let token = links.admit(token)?;
        let shared = links.engine.peek_file(&token).await?;
        Ok::<_, Refusal>((guarded(POLICY), offer(shape, &token, shared)).into_response())
    };
    shown.await.unwrap_or_else(|refusal| refusal.answer(shape))
}

/// What a page says of a file, for programs.
#[derive(Serialize)]
struct Offer {
    bot: String,
    #[serde(flatten)]
    file: v1::files::File,
    /// How often it may still be downloaded by this link, and until when.
    left: u32,
    until: At,
    /// Where a GET gives the bytes, and counts.
    download: String,
}

fn offer(shape: Shape, token: &str, shared: Shared) -> Response {
    let Shared { bot, file, left, until } = shared;
    let (until, download) = (At::from(until), format!("/f/{token}/download"));
    match shape {
        Shape::Page => {}
        Shape::Json | Shape::Text => {
            return Json(Offer { bot, file: file.into(), left, until, download }).into_response();
        }
    }
    let warning = file.warning.as_ref().map_or_else(String::new, |found| {
        format!("Careful: a virus scanner found {found} in this file. Open it only if you know what you are doing.")
    });
    // What people call a format is its extension.
    let kind = formats::extension(&file.name).map_or_else(|| file.mime.clone(), |it| it.to_uppercase());
    let slots = [
        ("bot", Slot::text(bot)),
        ("name", Slot::text(file.name.as_str())),
        ("size", Slot::text(human_size(file.size))),
        ("kind", Slot::text(kind)),
        ("warning", Slot::text(warning)),
        ("download", Slot::text(download)),
        ("left", Slot::text(words::times(left))),
        ("until", Slot::text(until.to_string())),
        ("until_shown", Slot::text(until.moment().strftime("%-d %B %Y, %H:%M UTC").to_string())),
    ];
    page(STYLE, StatusCode::OK, &file.name, fill(OFFER, &slots))
}

async fn download(State(links): State<Links>, token: Token, request: Request) -> Response {
    let (shape, by) = (Shape::asked(request.headers()), access("download", &request));
    let asks_only = request.method() == Method::HEAD;
    let given = async {
        let token = links.admit(token)?;
        if asks_only {
            // Whoever asks whether it is there does not get it.
            let shared = links.engine.peek_file(&token).await?;
            return Ok::<_, Refusal>(saved(&shared.file, Body::empty()));
        }
        Ok(attach(links.engine.download_file(&token, by).await?))
    };
    given.await.unwrap_or_else(|refusal| refusal.answer(shape))
}

async fn fetch(State(links): State<Links>, token: Token) -> Response {
    let given = async {
        let token = links.admit(token)?;
        Ok::<_, Refusal>(attach(links.engine.fetch_file(&token).await?))
    };
    given.await.unwrap_or_else(|refusal| refusal.answer(Shape::Json))
}

/// A file on its way to whoever may have it.
pub(crate) fn attach(download: Download) -> Response {
    let Download { file, bytes, .. } = download;
    saved(&file, Body::from_stream(bytes))
}

fn saved(file: &File, body: Body) -> Response {
    let mut answer = body.into_response();
    let headers = answer.headers_mut();
    let named = HeaderValue::from_str(&disposition(&file.name));
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(harmless(&file.mime)));
    headers.insert(header::CONTENT_LENGTH, file.size.into());
    // Without a name it is an attachment all the same.
    let named = named.unwrap_or(HeaderValue::from_static("attachment"));
    headers.insert(header::CONTENT_DISPOSITION, named);
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("none"));
    headers.insert(
        HeaderName::from_static("cross-origin-resource-policy"),
        HeaderValue::from_static("same-origin"),
    );
    headers.extend(guarded(SANDBOX));
    answer
}

/// What a browser could run has no type of its own.
fn harmless(mime: &str) -> &'static str {
    let plain = ["text/html", "application/xml", "image/svg+xml"];
    let known = formats::FORMATS.iter().map(|format| format.mime);
    known
        .filter(|known| !plain.contains(known))
        .find(|known| *known == mime)
        .unwrap_or("application/octet-stream")
}

/// RFC 6266: letters that everybody reads, then the name as it is (RFC 8187).
fn disposition(name: &str) -> String {
    let ascii: String = name
        .chars()
        .map(|letter| {
            if letter.is_ascii_graphic() && !matches!(letter, '"' | '\\' | '%') || letter == ' ' {
                letter
            } else {
                '_'
            }
        })
        .collect();
    let mut encoded = String::new();
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"!#$&+-.^_`|~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    format!("attachment; filename=\"{ascii}\"; filename*=UTF-8''{encoded}")
}

/// Why a file is not given.
enum Refusal {
    Closed(Closed),
    TooMany,
}

impl From<Closed> for Refusal {
    fn from(closed: Closed) -> Self {
        Self::Closed(closed)
    }
}

impl From<Denied> for Refusal {
    fn from(denied: Denied) -> Self {
        match denied {
            Denied::TooMany => Self::TooMany,
            Denied::NoToken => Self::Closed(Closed::Unknown),
        }
    }
}

impl Refusal {
    fn answer(self, shape: Shape) -> Response {
        if let Self::Closed(Closed::Trouble(trouble @ (Trouble::Store(_) | Trouble::Broken(_)))) = &self {
            tracing::warn!(%trouble, "a file cannot be given");
        }
        (guarded(POLICY), refuse(self.words(), shape, STYLE)).into_response()
    }

    fn words(&self) -> Notice {
        match self {
            Self::Closed(Closed::UsedUp) => (
                StatusCode::GONE,
                "used_up",
                "This link is used up",
                "The file was downloaded as often as it may be. Ask in the conversation for it again, or ask the operator \
                 of this system.",
            ),
            Self::Closed(Closed::Expired) => (
                StatusCode::GONE,
                "expired",
                "This link has expired",
                "The file could be downloaded for a limited time. Ask in the conversation for it again, or ask the \
                 operator of this system.",
            ),
            Self::Closed(Closed::Revoked) => (
                StatusCode::GONE,
                "revoked",
                "This file was withdrawn",
                "The operator of this system withdrew it. Ask in the conversation, or ask the operator.",
            ),
            Self::Closed(Closed::Unknown | Closed::Trouble(Trouble::Unknown | Trouble::FileGone)) => (
                StatusCode::NOT_FOUND,
                "not_found",
                "There is no such file",
                "Check that the whole link was copied. The file may also have been erased.",
            ),
            Self::Closed(Closed::Trouble(Trouble::Store(_))) => (
                StatusCode::SERVICE_UNAVAILABLE,
                "store_unavailable",
                "The file is out of reach",
                "Nothing is wrong with the link. Try again in a moment.",
            ),
            Self::Closed(Closed::Trouble(Trouble::Broken(_))) => (
                StatusCode::INTERNAL_SERVER_ERROR,
                "internal",
                "The file cannot be given",
                "This is our fault, and it is in the log. Tell the operator of this system.",
            ),
            Self::TooMany => (
                StatusCode::TOO_MANY_REQUESTS,
                "too_many_requests",
                "Too many requests",
                "Nothing was counted. Try again in a moment.",
            ),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use interline_core::{FileId, Time};

    use super::*;

    async fn read(answer: Response) -> String {
        let bytes = axum::body::to_bytes(answer.into_body(), 100_000).await.unwrap();
        String::from_utf8(bytes.to_vec()).unwrap()
    }

    #[tokio::test]
    async fn a_warning_is_on_the_page_and_for_programs() {
        let shared = |warning: Option<&str>| Shared {
            bot: "<b>".into(),
            file: File {
                id: FileId::from("fil_1"),
                name: "<i>.txt".into(),
                mime: "text/plain".into(),
                size: 5,
                sha256: "00".into(),
                warning: warning.map(str::to_owned),
            },
            left: 1,
            until: Time(1_763_812_800_000),
        };
        let page = read(offer(Shape::Page, "token", shared(Some("Eicar<")))).await;
        assert!(page.contains("Careful: a virus scanner found Eicar&lt; in this file."), "{page}");
        assert!(page.contains("once more") && page.contains("22 November 2025, 12:00 UTC"), "{page}");
        assert!(!page.contains("<b>") && !page.contains("<i>"), "{page}");
        let page = read(offer(Shape::Page, "token", shared(None))).await;
        assert!(page.contains("data-testid=\"warning\"></p>"), "empty is hidden: {page}");
        let told = read(offer(Shape::Json, "token", shared(Some("Eicar")))).await;
        assert!(told.contains("\"warning\":\"Eicar\""), "{told}");
        assert!(!read(offer(Shape::Json, "token", shared(None))).await.contains("warning"));
    }

    #[tokio::test]
    async fn trouble_is_passing_and_names_nothing() {
        let lost = || Refusal::Closed(Closed::Trouble(Trouble::Store("secret".into())));
        for shape in [Shape::Page, Shape::Json, Shape::Text] {
            let answer = lost().answer(shape);
            assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
            assert_eq!(answer.headers()["retry-after"], "5");
            assert!(!read(answer).await.contains("secret"));
        }
    }

    #[test]
    fn the_page_runs_nothing() {
        assert!(!OFFER.contains("style=") && !OFFER.contains("<script"));
    }

    #[test]
    fn a_name_is_told_twice_and_breaks_nothing() {
        assert_eq!(disposition("a b.pdf"), "attachment; filename=\"a b.pdf\"; filename*=UTF-8''a%20b.pdf");
        let odd = disposition("\"ä;\r\n.pdf");
        assert_eq!(odd, "attachment; filename=\"__;__.pdf\"; filename*=UTF-8''%22%C3%A4%3B%0D%0A.pdf");
        assert!(HeaderValue::from_str(&odd).is_ok());
    }

    #[test]
    fn what_could_run_has_no_type() {
        assert_eq!(harmless("image/png"), "image/png");
        for mime in ["text/html", "application/xml", "image/svg+xml", "text/javascript"] {
            assert_eq!(harmless(mime), "application/octet-stream");
        }
    }
}
