//! Any other channel: a program that posts what customers say, and gets what they are told as the answer (v2).
//!
//! ```text
//!   program ── POST /chatbot/v2/webhook/{bot} ──► hook.rs ─► turns.rs ─► Host
//!           ◄── data, perhaps a pollId ──────────┘
//!           ── GET …/poll/{pollId} ─────────────► poll.rs: what came meanwhile
//!           ◄── POST to its own address ───────── push.rs: line by line, where it wants that
//! ```
//!
//! Wire facts and deviations are in README.md.

mod answer;
mod attachments;
mod hook;
mod poll;
mod push;
mod refused;
mod request;

use std::sync::Arc;

use axum::extract::DefaultBodyLimit;
use axum::routing::{get, post};
use interline_connector::AgentSystem;
use interline_connector::agent::Env;
use interline_connector::channel::Host;
use schemars::{JsonSchema, Schema, schema_for};
use serde::Deserialize;
use serde_json::Value;

pub use push::Callback;

/// The type of this channel in an app's configuration.
pub const ID: &str = "webhook";

/// The largest request, in bytes.
const LARGEST: usize = 64 * 1024;

/// How one app's webhook channel is set up.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Names of the app's credentials that may sign requests here. Nobody else gets in.
    pub credentials: Vec<String>,
    /// Whether what is not there in time, and what an agent says, can be polled for. Else a turn that takes too long is a
    /// 504, and agents are not heard.
    #[serde(default)]
    pub poll: bool,
    /// Asynchronous mode: a request is answered at once, and what the customer is told, also by agents, is posted there. It
    /// holds for conversations that begin afterwards.
    #[serde(default)]
    pub callback: Option<Callback>,
    /// So many seconds a request waits for its turn to be over, 1 to 15.
    #[serde(default = "wait_seconds")]
    pub wait_seconds: u32,
}

fn wait_seconds() -> u32 {
    15
}

/// The routes of this channel: `/chatbot/v2/webhook/{bot}`, for all apps of the host.
pub fn router(host: Arc<dyn Host>) -> axum::Router {
    axum::Router::new()
        .route("/chatbot/v2/webhook/{bot}", post(hook::say))
        .route("/chatbot/v2/webhook/{bot}/hookInstance/{instance}", post(hook::say_to_instance))
        .route("/chatbot/v2/webhook/{bot}/poll/{poll}", get(poll::look))
        .layer(DefaultBodyLimit::max(LARGEST))
        .with_state(host)
}

/// Who posts to an integration's program. None: it fetches what it is told.
///
/// # Errors
/// What is wrong with the settings.
pub fn push(settings: Value, env: Env) -> Result<Option<Arc<dyn AgentSystem>>, String> {
    push::of(settings, env)
}

/// The JSON Schema of the settings.
pub fn schema() -> Schema {
    schema_for!(Settings)
}

/// Checks settings.
///
/// # Errors
/// What is wrong, for the operator.
pub fn check(settings: &Value) -> Result<(), String> {
    let settings: Settings = serde_json::from_value(settings.clone()).map_err(|error| error.to_string())?;
    if settings.credentials.is_empty() {
        return Err("credentials: name at least one credential of the app; nobody could call".into());
    }
    if let Some(callback) = &settings.callback {
        callback.check()?;
        if settings.poll {
            return Err("callback: stands beside poll; what is posted is not polled for".into());
        }
    }
    if !(1..=15).contains(&settings.wait_seconds) {
        return Err("wait_seconds: 1 to 15".into());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn wrong_settings_are_named() {
        assert_eq!(check(&json!({ "credentials": ["a"], "poll": true, "wait_seconds": 1 })), Ok(()));
        for (wrong, field) in [
            (json!({}), "credentials"),
            (json!({ "credentials": [] }), "credentials"),
            (json!({ "credentials": ["a"], "wait_seconds": 16 }), "wait_seconds"),
            (json!({ "credentials": ["a"], "secret": "x" }), "secret"),
            (json!({ "credentials": ["a"], "callback": { "url": "ftp://x.test" } }), "callback.url"),
            (
                json!({ "credentials": ["a"], "callback": { "url": "https://x.test", "token": "" } }),
                "callback.token",
            ),
            (
                json!({ "credentials": ["a"], "callback": { "url": "https://x.test" }, "poll": true }),
                "callback",
            ),
        ] {
            let error = check(&wrong).expect_err("refused");
            assert!(error.contains(field), "{wrong}: {error}");
        }
    }
}
