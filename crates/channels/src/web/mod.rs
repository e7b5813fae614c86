//! The vendor's browser and mobile chat client ("RTM"), unmodified, talking to us as if we were the vendor.
//!
//! ```text
//!   customer's own service ── JWT ──► client
//!   client ── jwtgrant (JWT) ──► login.rs     ──► access token   (sealed, 24 h)
//!   client ── rtm/start ───────► start.rs     ──► socket address (sealed, once, 30 s)
//!   client ◄═ web socket ══════► socket.rs    ──► Host::hear / Host::read
//!   client ── botmessages/rtm ─► history.rs   ──► Host::history
//! ```
//!
//! Nothing is remembered here between two requests: tokens describe themselves, and the log is the buffer of every
//! socket. Wire facts and deviations are in this folder's README.md.
//!
//! | file | concept |
//! |---|---|
//! | `mod.rs` | settings and routes |
//! | `login.rs` | a JWT becomes an access token |
//! | `pass.rs` | what the sealed tokens say, and who is let in with one |
//! | `start.rs`, `theme.rs`, `history.rs` | the other HTTP calls |
//! | `socket.rs` | one socket: the loop |
//! | `begins.rs`, `progress.rs` | where a socket begins in the log |
//! | `frames_up.rs`, `frames_down.rs` | the frames, pure |
//! | `sent.rs` | which lines in the log this socket sent |
//! | `files/` | uploads, and how files are told |
//! | `ids.rs`, `pace.rs`, `cors.rs`, `refused.rs` | message ids, rates, origins, errors |
//! | `widget.rs` | our own chat window, as a script for any page |
//! | `demo/` | a sample shop with that window on it |

mod begins;
mod cors;
mod demo;
mod files;
mod frames_down;
mod frames_up;
mod history;
mod ids;
mod leftover;
mod login;
mod pace;
mod pass;
mod profile;
mod progress;
mod refused;
mod sent;
mod socket;
mod start;
mod theme;
mod widget;

use std::sync::Arc;
use std::time::Duration;

use axum::extract::DefaultBodyLimit;
use axum::routing::{get, post};
use interline_connector::channel::{ChannelApp, Host};
use interline_core::IntegrationName;
use schemars::{JsonSchema, Schema, schema_for};
use serde::Deserialize;
use serde_json::Value;
use url::Url;

pub use demo::demo_page;
use refused::Refused;

/// The type of this channel in an app's configuration.
pub const ID: &str = "web";

/// How one app's web channel is set up.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Names of the app's credentials that may sign logins here (scope "web"). Nobody else gets in.
    pub credentials: Vec<String>,
    /// Web origins whose pages may use this channel, such as `https://www.example.com`; `*` for any. Pages on our own
    /// origin always may. Empty: no others.
    #[serde(default)]
    pub origins: Vec<String>,
    /// Lets customers in without a signed login: whoever knows the subject is that customer.
    #[serde(default)]
    pub anonymous: bool,
    /// The bot's picture beside its lines.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub icon: Option<Url>,
    /// How much a client may send.
    #[serde(default)]
    pub limits: Limits,
    /// What this channel says by itself.
    #[serde(default)]
    pub texts: Texts,
}

/// How much a client may send.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// The longest text of a line, in bytes. A longer one is not accepted and the user is told.
    pub text_bytes: usize,
    /// The largest frame, in bytes. A larger one closes the socket (1009).
    pub frame_bytes: usize,
    /// Lines per second and socket, in the long run. More close the socket (1008). A person never comes near the
    /// default: it stops a page in a loop.
    pub messages_per_second: f64,
    /// Lines at once.
    pub messages_burst: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self { text_bytes: 4096, frame_bytes: 64 * 1024, messages_per_second: 1_000.0, messages_burst: 2_000 }
    }
}

/// What this channel says by itself.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Texts {
    /// The place in the queue, for `{position}`. Empty: it is not told.
    pub queued: String,
    /// A line longer than `text_bytes`, for `{bytes}`.
    pub too_long: String,
    /// A line that could not be accepted, for `{reason}`.
    pub not_accepted: String,
}

impl Default for Texts {
    fn default() -> Self {
        Self {
            queued: "You are number {position} in the queue.".into(),
            too_long: "Your message is too long ({bytes} bytes at most) and was not sent.".into(),
            not_accepted: "Your message was not sent: {reason}. Please send it again.".into(),
        }
    }
}

/// How patient a socket is.
#[derive(Debug, Clone, Copy)]
pub struct Timing {
    /// A sign of life is asked for so often.
    pub ping_every: Duration,
    /// A socket that gave none for so long is half-open: closed.
    pub dead_after: Duration,
    /// A socket that takes no frame for so long is closed. Nothing is lost: the log is its buffer.
    pub stuck_after: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            ping_every: Duration::from_secs(25),
            dead_after: Duration::from_secs(75),
            stuck_after: Duration::from_secs(30),
        }
    }
}

/// The routes of this channel: `/api`, `/api/1.1`, `/rtm/bot` and `/widget.js`, for all apps of the host.
pub fn router(host: Arc<dyn Host>) -> axum::Router {
    router_with(host, Timing::default())
}

/// The routes, with another patience.
pub fn router_with(host: Arc<dyn Host>, timing: Timing) -> axum::Router {
    let api = axum::Router::new()
        .route("/oAuth/token/jwtgrant", post(login::signed))
        .route("/oAuth/token/jwtgrant/anonymous", post(login::anonymous))
        .route("/rtm/start", post(start::start))
        .route("/websdkthemes/{bot}/activetheme", get(theme::active))
        .route("/botmessages/rtm", get(history::page))
        .layer(DefaultBodyLimit::max(64 * 1024))
        .merge(files::routes())
        .layer(axum::middleware::from_fn(cors::answer));
    axum::Router::new()
        .nest("/api", api.clone())
        .nest("/api/1.1", api)
        .route("/rtm/bot", get(socket::open))
        .route("/widget.js", get(widget::script))
        .with_state(Arc::new(Web {
            host,
            timing,
            logins: Arc::default(),
            progress: progress::Progress::default(),
        }))
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
    if settings.credentials.is_empty() && !settings.anonymous {
        return Err("credentials: name at least one credential of the app; nobody could log in".into());
    }
    if let Some(wrong) = settings.origins.iter().find(|origin| !cors::well_formed(origin)) {
        return Err(format!("origins: `{wrong}` is neither `*` nor scheme://host[:port]"));
    }
    if settings.icon.as_ref().is_some_and(|icon| !matches!(icon.scheme(), "https" | "http")) {
        return Err("icon: only http and https addresses".into());
    }
    let Limits { text_bytes, frame_bytes, messages_per_second, messages_burst } = settings.limits;
    // A frame carries the text as JSON, and the client adds up to some kilobytes of its own.
    if text_bytes == 0 || frame_bytes < text_bytes || frame_bytes > 1024 * 1024 {
        return Err("limits: 1 ≤ text_bytes ≤ frame_bytes ≤ 1 MiB".into());
    }
    if !(messages_per_second > 0.0 && messages_per_second.is_finite()) || messages_burst == 0 {
        return Err("limits: messages_per_second and messages_burst must be above 0".into());
    }
    Ok(())
}

/// What every request of this channel shares.
struct Web {
    host: Arc<dyn Host>,
    timing: Timing,
    logins: Arc<leftover::Logins>,
    progress: progress::Progress,
}

impl Web {
    fn app(&self, id: &str) -> Result<Arc<ChannelApp>, Refused> {
        self.host.app(&id.into()).ok_or_else(|| Refused::not_found("there is no such bot"))
    }
}

/// The web integrations of an app. One whose settings cannot be read lets nobody in.
fn doors(app: &ChannelApp) -> impl Iterator<Item = (&IntegrationName, Settings)> {
    app.channels
        .iter()
        .filter(|(_, (kind, _))| kind == ID)
        .filter_map(|(name, _)| Some((name, door(app, name)?)))
}

/// One web integration of an app.
fn door(app: &ChannelApp, name: &IntegrationName) -> Option<Settings> {
    let (kind, settings) = app.channels.get(name)?;
    if kind != ID {
        return None;
    }
    serde_json::from_value(settings.clone())
        .inspect_err(|error| tracing::error!(app = %app.id, channel = %name, %error, "unreadable settings"))
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn settings_have_no_silent_openness() {
        let settings: Settings = serde_json::from_value(json!({ "credentials": ["web"] })).expect("settings");
        assert!(!settings.anonymous && settings.origins.is_empty());
        assert_eq!((settings.limits.text_bytes, settings.limits.frame_bytes), (4096, 65536));
    }

    #[test]
    fn wrong_settings_are_named() {
        assert_eq!(check(&json!({ "credentials": ["a"], "origins": ["https://x.example", "*"] })), Ok(()));
        for wrong in [
            json!({}),
            json!({ "credentials": [] }),
            json!({ "credentials": ["a"], "origins": ["x.example"] }),
            json!({ "credentials": ["a"], "origins": ["https://x.example/path"] }),
            json!({ "credentials": ["a"], "icon": "javascript:alert(1)" }),
            json!({ "credentials": ["a"], "limits": { "text_bytes": 0 } }),
            json!({ "credentials": ["a"], "limits": { "messages_per_second": 0.0 } }),
            json!({ "credentials": ["a"], "secret": "x" }),
        ] {
            assert!(check(&wrong).is_err(), "{wrong}");
        }
    }
}
