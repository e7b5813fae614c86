//! What BotKit's answer to an event means.
//!
//! | answer | transfer (Open) | held line | agent-mode line, end notice |
//! |---|---|---|---|
//! | 2xx, whatever the body | accepted | delivered | delivered |
//! | none 2 s after it was sent | – | delivered | delivered |
//! | 401 | refused: the next rung's turn | unauthorized | unauthorized |
//! | 429, 503 with `Retry-After` | again later | again later | again later |
//! | 3xx, other 4xx | refused | refused | refused |
//! | other 5xx | refused | refused: the hold policy decides at once | uncertain: not sent again |
//! | none in time, connection lost | uncertain | uncertain | uncertain |
//!
//! The body of a success is never read: its shape varies, and what it echoes moves on by a callback only. A 5xx often
//! means that the bot file did its part and stumbled afterwards (over our own refusal of its callback, for instance), so
//! what an agent may have seen is not sent twice.

use ::http::{HeaderMap, StatusCode};
use interline_connector::failure::{Cause, Failure};
use interline_connector::http::{Reply, retry_after};
use interline_connector::manifest::Acknowledged;
use interline_core::transfer::Reason;
use serde_json::Value;

use super::wire::Errors;

/// What an event is sent for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Asks for a hand-over.
    Open,
    /// Shows a line between customer and bot, which waits.
    Held,
    /// A customer's line for the agent, or the notice that it is over.
    AgentLine,
}

impl Purpose {
    /// A transfer is accepted by an answer. A text counts as delivered without one: old BotKits never answer in agent
    /// mode, and the line is with the agent.
    pub(super) fn acknowledged(self) -> Acknowledged {
        match self {
            Self::Open => Acknowledged::Answer,
            Self::Held | Self::AgentLine => Acknowledged::Sent,
        }
    }
}

/// The table above.
pub(super) fn judge(purpose: Purpose, reply: &Reply) -> Result<(), Failure> {
    let Reply::Answered { status, headers, body } = reply else { return Ok(()) };
    if status.is_success() {
        return Ok(());
    }
    let cause = cause(*status, body);
    Err(match status.as_u16() {
        // Waiting for the operator would leave the customer waiting too.
        401 if purpose == Purpose::Open => Failure::Refused(cause),
        401 => Failure::Unauthorized(cause),
        429 => later(headers, cause),
        503 if retry_after(headers).is_some() => later(headers, cause),
        500..=599 if purpose == Purpose::AgentLine => Failure::Uncertain(cause),
        _ => Failure::Refused(cause),
    })
}

fn later(headers: &HeaderMap, cause: Cause) -> Failure {
    Failure::Retry { after_ms: retry_after(headers), cause }
}

fn cause(status: StatusCode, body: &[u8]) -> Cause {
    let reason = match status.as_u16() {
        401 | 403 => Reason::Unauthorized,
        429 => Reason::RateLimited,
        // A wrong URL, a BotKit without this event, or something that is not a BotKit.
        300..=399 | 404 | 405 => Reason::Unconfigured,
        400..=499 => Reason::BadRequest,
        _ => Reason::VendorError,
    };
    let code = match error_code(body) {
        Some(code) => format!("HTTP {} {code}", status.as_u16()),
        None => format!("HTTP {}", status.as_u16()),
    };
    Cause::new(reason, code)
}

/// BotKit's own code, if it is one: short, and of harmless letters. Its message may hold a customer's text.
fn error_code(body: &[u8]) -> Option<String> {
    let errors: Errors = serde_json::from_slice(body).ok()?;
    let code = match &errors.errors.first()?.code {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        _ => return None,
    };
    let harmless = code.len() <= 40 && code.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    (harmless && !code.is_empty()).then_some(code)
}

/// What the answer to the probe says about the set-up.
pub(super) fn explain_probe(status: StatusCode, body: &[u8]) -> Result<(), String> {
    match (status.as_u16(), error_code(body).as_deref()) {
        (404, Some("NOT_FOUND" | "HANDLER_NOT_FOUND")) => Ok(()),
        (401 | 403, _) => {
            Err("BotKit refuses our token: client id, client secret and algorithm in its config must be \
                               those of the app's credential"
                .into())
        }
        (404, _) => {
            Err("something answers at this URL, but it is not a BotKit: check host, port and path".into())
        }
        (200..=299, _) => Err("it answers, but not as a BotKit does: check the URL".into()),
        (500, _) => Err("BotKit fails: is the app's id registered in its bot file?".into()),
        (status, _) => Err(format!("it answers HTTP {status}: check the URL and BotKit's log")),
    }
}
