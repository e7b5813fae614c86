//! What all links of ours have in common: how often they may be used, the page that they lead to, and how it is said that
//! one is no good.

use std::num::NonZeroU32;
use std::sync::Arc;

use axum::extract::Path;
use axum::extract::rejection::PathRejection;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use interline_engine::Engine;

use super::accept::Shape;
use super::html::{Slot, fill};
use crate::v1::problem::Problem;

/// Nothing runs; one style sheet of ours; the button leads back to us.
pub(super) const POLICY: &str = "default-src 'none'; style-src 'self'; form-action 'self'; \
                                 frame-ancestors 'none'; base-uri 'none'";
const FRAME: &str = include_str!("links/frame.html");
const REFUSED: &str = include_str!("links/refused.html");
/// Requests a second, all links of a kind together. People click; this keeps a loop from wearing the store out.
const PER_SECOND: NonZeroU32 = NonZeroU32::new(100).unwrap();

/// Links of one kind.
#[derive(Clone)]
pub(super) struct Links {
    pub engine: Engine,
    rate: Arc<DefaultDirectRateLimiter>,
}

/// What stands in the path.
pub(super) type Token = Result<Path<String>, PathRejection>;

/// Why a token is not even looked at.
pub(super) enum Denied {
    /// Too many came within a second.
    TooMany,
    /// It is no text.
    NoToken,
}

impl Links {
    pub(super) fn new(engine: Engine) -> Self {
        Self { engine, rate: Arc::new(RateLimiter::direct(Quota::per_second(PER_SECOND))) }
    }

    pub(super) fn admit(&self, token: Token) -> Result<String, Denied> {
        self.rate.check().map_err(|_| Denied::TooMany)?;
        token.map(|Path(token)| token).map_err(|_| Denied::NoToken)
    }
}

/// A page with the style sheet at `style`.
pub(super) fn page(style: &'static str, status: StatusCode, title: &str, main: String) -> Response {
    let slots = [("style", Slot::text(style)), ("title", Slot::text(title)), ("main", Slot::Markup(main))];
    let html = fill(FRAME, &slots);
    (status, [(header::CONTENT_TYPE, "text/html; charset=utf-8")], html).into_response()
}

/// Why a link gives nothing: the status, a stable word for programs, what happened, and what to do.
pub(super) type Notice = (StatusCode, &'static str, &'static str, &'static str);

/// A notice in the shape that was asked for. A page has the style sheet at `style`.
pub(super) fn refuse(notice: Notice, shape: Shape, style: &'static str) -> Response {
    let (status, code, title, detail) = notice;
    let mut answer = match shape {
        Shape::Page => {
            let main = fill(REFUSED, &[("title", Slot::text(title)), ("detail", Slot::text(detail))]);
            page(style, status, title, main)
        }
        Shape::Json => Problem::new(status, code, format!("{title}. {detail}")).into_response(),
        Shape::Text => (status, format!("{title}.\n{detail}\n")).into_response(),
    };
    if matches!(status, StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS) {
        answer.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
    }
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_made_of_what_it_names() {
        for template in [FRAME, REFUSED] {
            assert!(!template.contains("style=") && !template.contains("<script"), "{template}");
        }
    }
}
