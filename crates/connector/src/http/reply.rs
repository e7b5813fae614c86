//! What came back, and what a status means by itself.

use ::http::header::RETRY_AFTER;
use ::http::{HeaderMap, StatusCode};
use bytes::Bytes;
use interline_core::transfer::reason::Reason;
use serde::de::DeserializeOwned;

use crate::failure::{Cause, Failure};

/// Answers are read up to this size; what is longer is cut off and the connection dropped.
const MAX_ANSWER: usize = 1024 * 1024;

/// What came back.
#[derive(Debug)]
pub enum Reply {
    /// An answer, of whatever status.
    Answered {
        /// The status.
        status: StatusCode,
        /// The headers.
        headers: HeaderMap,
        /// The body, up to 1 MiB.
        body: Bytes,
    },
    /// No answer yet; it counts as delivered. The answer is still read and dropped.
    Sent,
}

impl Reply {
    /// The body of a success.
    ///
    /// # Errors
    /// What [`of_status`] makes of any other status. An answer that did not come is a success without a body.
    pub fn success(self) -> Result<Bytes, Failure> {
        match self {
            Self::Answered { status, body, .. } if status.is_success() => Ok(body),
            Self::Answered { status, headers, .. } => Err(of_status(status, &headers)),
            Self::Sent => Ok(Bytes::new()),
        }
    }

    /// The body of a success, read as JSON.
    ///
    /// # Errors
    /// As [`Reply::success`]; `Bug` where the vendor says something else than we know.
    pub fn json<T: DeserializeOwned>(self) -> Result<T, Failure> {
        let body = self.success()?;
        // Of the error only the kind: it may quote what a customer said.
        serde_json::from_slice(&body).map_err(|error| {
            let code = format!("unreadable answer at column {}", error.column());
            Failure::Bug(Cause::new(Reason::VendorError, code))
        })
    }
}

pub(super) async fn read(answer: Result<reqwest::Response, reqwest::Error>) -> Result<Reply, reqwest::Error> {
    let mut answer = answer?;
    let (status, headers) = (answer.status(), answer.headers().clone());
    let mut body = Vec::new();
    while body.len() < MAX_ANSWER {
        match answer.chunk().await {
            Ok(Some(chunk)) => body.extend_from_slice(&chunk),
            Ok(None) => break,
            // The status says whether it worked; a body that stops half-way does not change that.
            Err(_) => break,
        }
    }
    Ok(Reply::Answered { status, headers, body: body.into() })
}

/// What a status that is not a success means by itself. Connectors with better knowledge decide before.
pub fn of_status(status: StatusCode, headers: &HeaderMap) -> Failure {
    let code = format!("HTTP {}", status.as_u16());
    let after_ms = retry_after(headers);
    match status.as_u16() {
        401 | 403 => Failure::Unauthorized(Cause::new(Reason::Unauthorized, code)),
        404 | 410 => Failure::Gone(Cause::new(Reason::AgentLost, code)),
        429 => Failure::Retry { after_ms, cause: Cause::new(Reason::RateLimited, code) },
        503 if after_ms.is_some() => {
            Failure::Retry { after_ms, cause: Cause::new(Reason::VendorError, code) }
        }
        400..=499 => Failure::Refused(Cause::new(Reason::BadRequest, code)),
        500..=599 => Failure::Uncertain(Cause::new(Reason::VendorError, code)),
        _ => Failure::Bug(Cause::new(Reason::VendorError, code)),
    }
}

/// `Retry-After` in seconds, as milliseconds, at most an hour. The date form is rare and read as absent.
pub fn retry_after(headers: &HeaderMap) -> Option<u64> {
    let seconds: u64 = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(seconds.min(3600) * 1000)
}
