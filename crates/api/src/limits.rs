//! Limits of vendors' calls. Each is answered, in the error shape of the field: `{"errors":[{"msg","code"}]}`.

use std::any::Any;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use interline_connector::Answer;

use crate::vendors::respond;

/// The largest body that a vendor's call may have. A BotKit echoes our own events, which are below 100 kB.
pub(crate) const BODY_BYTES: usize = 1024 * 1024;
/// A call that takes longer than this is given up; slow-drip bodies end here.
const TIME: Duration = Duration::from_secs(30);
/// Calls a second, all vendors together. It keeps a vendor in a loop from filling the disk.
const CALLS_PER_SECOND: NonZeroU32 = NonZeroU32::new(20_000).unwrap();

pub(crate) fn on(routes: Router) -> Router {
    let rate: Arc<DefaultDirectRateLimiter> =
        Arc::new(RateLimiter::direct(Quota::per_second(CALLS_PER_SECOND)));
    routes.layer(from_fn(move |request: Request, next: Next| {
        let rate = rate.clone();
        async move {
            if rate.check().is_err() {
                let mut answer = respond(Answer::error(429, "too many calls; try again in a second"));
                answer.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
                return answer;
            }
            match tokio::time::timeout(TIME, next.run(request)).await {
                Ok(answer) => answer,
                Err(_) => respond(Answer::error(408, "the call took longer than 30 seconds")),
            }
        }
    }))
}

/// A panic is our fault, and the other side's business only as far as it has to try again.
pub(crate) fn panicked(_: Box<dyn Any + Send + 'static>) -> Response {
    tracing::error!("a request handler panicked");
    (StatusCode::INTERNAL_SERVER_ERROR, respond(Answer::error(500, "internal error"))).into_response()
}
