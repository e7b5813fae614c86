//! `/t/{token}`: the link that came with a hand-over. Whoever comes by, a preview or a mail scanner too, sees what it is;
//! the words cost an access.
//!
//! ```text
//!   GET, HEAD                        ─► what this is, and how often it may still be used     free
//!   POST (the button)                ─► the words                                            an access
//!   GET that names JSON, plain text  ─► the words                                            an access
//!   used up, expired, withdrawn      ─► 410, and what to do now
//! ```
//!
//! The words have no URL that a GET of a browser reads: there is no redirect behind the button, and a reload asks first.

use std::time::Duration;

use axum::Router;
use axum::body::to_bytes;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::map_response;
use axum::response::{IntoResponse, Json, Response};
use axum::routing::get;
use interline_core::FileId;
use interline_engine::{Access, Closed, Engine, Trouble};
use serde_json::json;

use super::accept::Shape;
use super::html::{Slot, fill};
use super::links::{Denied, Links, Notice, POLICY, Token, page, refuse};
use super::visitor::access;
use super::{file, guarded, words};

const STYLE: &str = "/t/page.css";
const ASK: &str = include_str!("transcript/ask.html");
/// The button sends an empty form.
const BODY_BYTES: usize = 1024;
/// A body that takes longer is given up.
const BODY_TIME: Duration = Duration::from_secs(10);

pub(super) fn routes(engine: Engine) -> Router {
    Router::new()
        .route("/t/{token}", get(read).head(look).post(reveal))
        .with_state(Links::new(engine))
        .layer(map_response(async |answer: Response| (guarded(POLICY), UNKEPT, answer)))
        .route(
            STYLE,
            get(async || {
                let css = concat!(
                    include_str!("base.css"),
                    include_str!("links/page.css"),
                    include_str!("transcript/page.css")
                );
                file("text/css", POLICY, css)
            }),
        )
}

/// Personal data: nobody on the way keeps a copy.
const UNKEPT: [(HeaderName, HeaderValue); 2] = [
    (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    (header::VARY, HeaderValue::from_static("accept")),
];

/// `HEAD`: what a GET of a browser would say, and never an access.
async fn look(State(links): State<Links>, token: Token, headers: HeaderMap) -> Response {
    let shape = Shape::asked(&headers);
    links.shell(token, shape).await.unwrap_or_else(|refusal| refusal.answer(shape))
}

async fn read(State(links): State<Links>, token: Token, request: Request) -> Response {
    let shape = Shape::asked(request.headers());
    let answer = match shape {
        Shape::Page => links.shell(token, shape).await,
        Shape::Json | Shape::Text => links.words(token, shape, by(shape, &request)).await,
    };
    answer.unwrap_or_else(|refusal| refusal.answer(shape))
}

async fn reveal(State(links): State<Links>, token: Token, mut request: Request) -> Response {
    let shape = Shape::asked(request.headers());
    let (body, by) = (std::mem::take(request.body_mut()), by(shape, &request));
    let answer = match tokio::time::timeout(BODY_TIME, to_bytes(body, BODY_BYTES)).await {
        Ok(Ok(_)) => links.words(token, shape, by).await,
        Ok(Err(_)) => Err(Refusal::TooLarge),
        Err(_) => Err(Refusal::TooSlow),
    };
    answer.unwrap_or_else(|refusal| refusal.answer(shape))
}

impl Links {
    async fn shell(&self, token: Token, shape: Shape) -> Result<Response, Refusal> {
        let token = self.admit(token)?;
        let left = self.engine.peek_transcript(&token).await?;
        Ok(match shape {
            Shape::Page => {
                let main = fill(ASK, &[("left", Slot::text(words::times(left)))]);
                page(STYLE, StatusCode::OK, "A conversation before its hand-over", main)
            }
            // Only to say by HEAD what a GET would be.
            Shape::Json => Json(json!({ "left": left })).into_response(),
            Shape::Text => String::new().into_response(),
        })
    }

    async fn words(&self, token: Token, shape: Shape, by: Access) -> Result<Response, Refusal> {
        let token = self.admit(token)?;
        let transcript = self.engine.redeem_transcript(&token, by).await?;
        let link = |id: &FileId| self.engine.file_page(&transcript.app, id, transcript.participant);
        let link = |id: &FileId| link(id).map(String::from);
        Ok(match shape {
            Shape::Page => {
                let (title, main) = words::page(&transcript, &link);
                page(STYLE, StatusCode::OK, &title, main)
            }
            Shape::Json => Json(words::json(&transcript, &link)).into_response(),
            Shape::Text => words::text(&transcript, &link).into_response(),
        })
    }
}

/// Who looks, and by which way.
fn by(shape: Shape, request: &Request) -> Access {
    let how = match shape {
        Shape::Page => "page",
        Shape::Json => "json",
        Shape::Text => "text",
    };
    access(how, request)
}

/// Why the words are not shown.
#[derive(Debug)]
enum Refusal {
    Closed(Closed),
    TooMany,
    TooLarge,
    TooSlow,
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
        if let Self::Closed(Closed::Trouble(
            trouble @ (Trouble::Store(_) | Trouble::Broken(_) | Trouble::FileGone),
        )) = &self
        {
            tracing::warn!(%trouble, "a transcript cannot be shown");
        }
        refuse(self.words(), shape, STYLE)
    }

    fn words(&self) -> Notice {
        match self {
            Self::Closed(Closed::UsedUp) => (
                StatusCode::GONE,
                "used_up",
                "This link is used up",
                "It was opened as often as it may be. Ask in the conversation for what you need, or ask the operator \
                 of this system, who can still read it.",
            ),
            Self::Closed(Closed::Expired) => (
                StatusCode::GONE,
                "expired",
                "This link has expired",
                "It was good for a limited time after the hand-over. Ask in the conversation for what you need, or \
                 ask the operator of this system.",
            ),
            Self::Closed(Closed::Revoked) => (
                StatusCode::GONE,
                "revoked",
                "This link was withdrawn",
                "The operator of this system withdrew it. Ask in the conversation for what you need, or ask the \
                 operator.",
            ),
            Self::Closed(Closed::Unknown | Closed::Trouble(Trouble::Unknown)) => (
                StatusCode::NOT_FOUND,
                "not_found",
                "There is no such conversation",
                "Check that the whole link was copied. What it led to may also have been erased.",
            ),
            Self::Closed(Closed::Trouble(Trouble::Store(_))) => (
                StatusCode::SERVICE_UNAVAILABLE,
                "store_unavailable",
                "The conversation is out of reach",
                "Nothing is wrong with the link. Try again in a moment.",
            ),
            Self::Closed(Closed::Trouble(Trouble::Broken(_) | Trouble::FileGone)) => (
                StatusCode::INTERNAL_SERVER_ERROR,
                "internal",
                "The conversation cannot be shown",
                "This is our fault, and it is in the log. Tell the operator of this system.",
            ),
            Self::TooMany => (
                StatusCode::TOO_MANY_REQUESTS,
                "too_many_requests",
                "Too many requests",
                "Nothing was counted. Try again in a moment.",
            ),
            Self::TooLarge => (
                StatusCode::PAYLOAD_TOO_LARGE,
                "too_large",
                "The request is too large",
                "Nothing was counted. The button of the page sends less than 1 kB.",
            ),
            Self::TooSlow => (
                StatusCode::REQUEST_TIMEOUT,
                "timeout",
                "The request took too long",
                "Nothing was counted. Try again.",
            ),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_made_of_what_it_names() {
        assert!(!ASK.contains("style=") && !ASK.contains("<script"));
        let answer = Refusal::Closed(Closed::UsedUp).answer(Shape::Json);
        assert_eq!(
            (answer.status(), answer.headers()["content-type"].to_str().unwrap()),
            (StatusCode::GONE, "application/problem+json")
        );
    }
}
