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

use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::to_bytes;
use axum::extract::rejection::PathRejection;
use axum::extract::{ConnectInfo, Path, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::map_response;
use axum::response::{IntoResponse, Json, Response};
use axum::routing::get;
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use interline_engine::{Access, Closed, Engine, Trouble};
use serde_json::json;

use super::accept::Shape;
use super::html::{Slot, fill};
use super::{file, guarded, words};
use crate::v1::problem::Problem;

/// Nothing runs; one style sheet of ours; the button leads back to us.
const POLICY: &str = "default-src 'none'; style-src 'self'; form-action 'self'; frame-ancestors 'none'; \
                      base-uri 'none'";
const FRAME: &str = include_str!("transcript/frame.html");
const ASK: &str = include_str!("transcript/ask.html");
const REFUSED: &str = include_str!("transcript/refused.html");
/// The button sends an empty form.
const BODY_BYTES: usize = 1024;
/// A body that takes longer is given up.
const BODY_TIME: Duration = Duration::from_secs(10);
/// Requests a second, all links together. People click; this keeps a loop from wearing the store out.
const PER_SECOND: NonZeroU32 = NonZeroU32::new(100).unwrap();
/// So much of a program's name is noted.
const AGENT_CHARS: usize = 200;

#[derive(Clone)]
struct Links {
    engine: Engine,
    rate: Arc<DefaultDirectRateLimiter>,
}

type Token = Result<Path<String>, PathRejection>;

pub(super) fn routes(engine: Engine) -> Router {
    let links = Links { engine, rate: Arc::new(RateLimiter::direct(Quota::per_second(PER_SECOND))) };
    Router::new()
        .route("/t/{token}", get(read).head(look).post(reveal))
        .with_state(links)
        .layer(map_response(async |answer: Response| (guarded(POLICY), UNKEPT, answer)))
        .route(
            "/t/page.css",
            get(async || {
                file(
                    "text/css",
                    POLICY,
                    concat!(include_str!("base.css"), include_str!("transcript/page.css")),
                )
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
        Shape::Json | Shape::Text => links.words(token, shape, access(shape, &request)).await,
    };
    answer.unwrap_or_else(|refusal| refusal.answer(shape))
}

async fn reveal(State(links): State<Links>, token: Token, mut request: Request) -> Response {
    let shape = Shape::asked(request.headers());
    let (body, by) = (std::mem::take(request.body_mut()), access(shape, &request));
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
                page(StatusCode::OK, "A conversation before its hand-over", main)
            }
            // Only to say by HEAD what a GET would be.
            Shape::Json => Json(json!({ "left": left })).into_response(),
            Shape::Text => String::new().into_response(),
        })
    }

    async fn words(&self, token: Token, shape: Shape, by: Access) -> Result<Response, Refusal> {
        let token = self.admit(token)?;
        let transcript = self.engine.redeem_transcript(&token, by).await?;
        Ok(match shape {
            Shape::Page => {
                let (title, main) = words::page(&transcript);
                page(StatusCode::OK, &title, main)
            }
            Shape::Json => Json(words::json(&transcript)).into_response(),
            Shape::Text => words::text(&transcript).into_response(),
        })
    }

    fn admit(&self, token: Token) -> Result<String, Refusal> {
        self.rate.check().map_err(|_| Refusal::TooMany)?;
        token.map(|Path(token)| token).map_err(|_| Refusal::Closed(Closed::Unknown))
    }
}

fn page(status: StatusCode, title: &str, main: String) -> Response {
    let html = fill(FRAME, &[("title", Slot::text(title)), ("main", Slot::Markup(main))]);
    (status, [(header::CONTENT_TYPE, "text/html; charset=utf-8")], html).into_response()
}

/// Who looks, for the list of accesses.
fn access(shape: Shape, request: &Request) -> Access {
    let how = match shape {
        Shape::Page => "page",
        Shape::Json => "json",
        Shape::Text => "text",
    };
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(peer)| peer.ip());
    let agent = request.headers().get(header::USER_AGENT).map(HeaderValue::as_bytes).unwrap_or_default();
    Access {
        how: how.to_owned(),
        peer: client(peer, request.headers()).map_or_else(|| "unknown".to_owned(), |peer| peer.to_string()),
        agent: String::from_utf8_lossy(agent).chars().take(AGENT_CHARS).collect(),
    }
}

/// The client's address. A proxy on this machine is believed, and of what it says only what it added itself: anybody can
/// send the header.
fn client(peer: Option<IpAddr>, headers: &HeaderMap) -> Option<IpAddr> {
    let peer = peer.map(|peer| peer.to_canonical())?;
    if !peer.is_loopback() {
        return Some(peer);
    }
    let told = headers.get_all("x-forwarded-for").iter().next_back().and_then(|value| value.to_str().ok());
    let last = told.and_then(|told| told.rsplit(',').next()?.trim().parse().ok());
    Some(last.unwrap_or(peer))
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

impl Refusal {
    fn answer(self, shape: Shape) -> Response {
        if let Self::Closed(Closed::Trouble(trouble @ (Trouble::Store(_) | Trouble::Broken(_)))) = &self {
            tracing::warn!(%trouble, "a transcript cannot be shown");
        }
        let (status, code, title, detail) = self.words();
        let mut answer = match shape {
            Shape::Page => {
                let main = fill(REFUSED, &[("title", Slot::text(title)), ("detail", Slot::text(detail))]);
                page(status, title, main)
            }
            Shape::Json => Problem::new(status, code, format!("{title}. {detail}")).into_response(),
            Shape::Text => (status, format!("{title}.\n{detail}\n")).into_response(),
        };
        if matches!(status, StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS) {
            answer.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
        }
        answer
    }

    /// Status, stable code, what happened, and what to do.
    fn words(&self) -> (StatusCode, &'static str, &'static str, &'static str) {
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
            Self::Closed(Closed::Trouble(Trouble::Broken(_))) => (
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

    fn client_of(peer: &str, forwarded: &[&'static str]) -> String {
        let headers =
            forwarded.iter().map(|line| ("x-forwarded-for".parse().unwrap(), line.parse().unwrap()));
        let headers: HeaderMap = headers.collect::<Vec<(HeaderName, HeaderValue)>>().into_iter().collect();
        client(Some(peer.parse().unwrap()), &headers).unwrap().to_string()
    }

    #[test]
    fn only_a_proxy_on_this_machine_says_who_comes() {
        assert_eq!(client_of("203.0.113.9", &["198.51.100.1"]), "203.0.113.9");
        assert_eq!(client_of("127.0.0.1", &[]), "127.0.0.1");
        assert_eq!(client_of("127.0.0.1", &["10.9.9.9, 198.51.100.1"]), "198.51.100.1");
        assert_eq!(client_of("::1", &["10.9.9.9", "2001:db8::1"]), "2001:db8::1");
        assert_eq!(client_of("::ffff:127.0.0.1", &["198.51.100.1"]), "198.51.100.1");
        assert_eq!(client_of("127.0.0.1", &["198.51.100.1, <script>"]), "127.0.0.1");
        assert_eq!(client(None, &HeaderMap::new()), None);
    }

    #[test]
    fn a_page_is_made_of_what_it_names() {
        for template in [FRAME, ASK, REFUSED] {
            assert!(!template.contains("style=") && !template.contains("<script"));
        }
        let answer = Refusal::Closed(Closed::UsedUp).answer(Shape::Json);
        assert_eq!(
            (answer.status(), answer.headers()["content-type"].to_str().unwrap()),
            (StatusCode::GONE, "application/problem+json")
        );
    }
}
