//! The channels: how customers reach a conversation. One folder per channel, one line per channel in [`CHANNELS`].
//!
//! A channel is a wire protocol and nothing else. What a customer does goes in through
//! [`Host::hear`](interline_connector::channel::Host::hear); what a customer is to see comes out of the log through
//! [`Host::read`](interline_connector::channel::Host::read). A channel keeps nothing: the log is its buffer.
//!
//! ```text
//!   client ─► channel ─► Host::hear ─► log
//!   client ◄─ channel ◄─ Host::read ◄─ log      (woken by Host::watch)
//! ```
//!
//! | folder | channel |
//! |---|---|
//! | `voice/` | calls by SIP |
//! | `web/` | the vendor's browser and mobile chat client, unmodified |
//! | `ivr/` | an IVR of somebody else: VoiceXML 2.1, or JSON |
//! | `webhook/` | any other program that posts what customers say |
//!
//! `turns.rs` is for those that answer requests, `signed.rs` for those whose requests other systems sign.

pub mod ivr;
mod signed;
mod times;
mod turns;
pub mod voice;
pub mod web;
pub mod webhook;

use std::sync::Arc;

use futures_util::future::BoxFuture;
use interline_connector::AgentSystem;
use interline_connector::agent::Env;
use interline_connector::channel::Host;
use interline_core::{AppId, IntegrationName};
use schemars::Schema;
use serde_json::Value;

/// A channel, as the rest of the program knows it.
#[derive(Debug, Clone, Copy)]
pub struct Channel {
    /// Its type in an app's configuration, and the name of its folder.
    pub id: &'static str,
    /// For people.
    pub title: &'static str,
    /// The JSON Schema of an integration's settings.
    pub settings: fn() -> Schema,
    /// Checks an integration's settings; the error is for the operator.
    pub check: fn(&Value) -> Result<(), String>,
    /// Its routes, under the paths that its protocol fixes.
    pub router: fn(Arc<dyn Host>) -> axum::Router,
    /// For a channel with sockets of its own: serves one integration for as long as it is polled. It returns why it cannot.
    pub serve: Option<Serve>,
    /// For a channel that tells customers by itself: who an integration's entries are delivered to. None: readers fetch them.
    pub push: Option<Push>,
    /// What it holds on this node, for whoever looks for what is left behind.
    pub holds: fn() -> Vec<(&'static str, usize)>,
}

/// See [`Channel::serve`]: the host, the app, the integration's name and its settings.
pub type Serve = fn(Arc<dyn Host>, AppId, IntegrationName, Value) -> BoxFuture<'static, String>;

/// See [`Channel::push`]: an integration's settings, and what it is built with.
pub type Push = fn(Value, Env) -> Result<Option<Arc<dyn AgentSystem>>, String>;

/// All channels.
pub const CHANNELS: &[Channel] = &[
    Channel {
        id: web::ID,
        title: "Web and mobile client",
        settings: web::schema,
        check: web::check,
        router: web::router,
        serve: None,
        push: None,
        holds: Vec::new,
    },
    Channel {
        id: voice::ID,
        title: "Voice (SIP trunk)",
        settings: voice::schema,
        check: voice::check,
        router: |_| axum::Router::new(),
        serve: Some(|host, app, channel, settings| Box::pin(voice::serve(host, app, channel, settings))),
        push: None,
        holds: voice::holds,
    },
    Channel {
        id: ivr::ID,
        title: "IVR (VoiceXML or JSON)",
        settings: ivr::schema,
        check: ivr::check,
        router: ivr::router,
        serve: None,
        push: None,
        holds: Vec::new,
    },
    Channel {
        id: webhook::ID,
        title: "Webhook",
        settings: webhook::schema,
        check: webhook::check,
        router: webhook::router,
        serve: None,
        push: Some(webhook::push),
        holds: Vec::new,
    },
];

/// The channel with this id.
pub fn find(id: &str) -> Option<&'static Channel> {
    CHANNELS.iter().find(|channel| channel.id == id)
}

/// The routes of all channels.
pub fn router(host: &Arc<dyn Host>) -> axum::Router {
    CHANNELS
        .iter()
        .fold(axum::Router::new(), |routes, channel| routes.merge((channel.router)(Arc::clone(host))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_folder_is_a_channel_and_every_channel_has_a_folder() {
        let src = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let mut folders: Vec<String> = std::fs::read_dir(src)
            .expect("src")
            .filter_map(Result::ok)
            .filter(|entry| entry.path().is_dir())
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .collect();
        folders.sort();
        let mut listed: Vec<&str> = CHANNELS.iter().map(|channel| channel.id).collect();
        listed.sort_unstable();
        assert_eq!(folders, listed);
    }

    #[test]
    fn a_settings_schema_is_an_object() {
        for channel in CHANNELS {
            assert_eq!((channel.settings)().get("type"), Some(&Value::from("object")), "{}", channel.id);
        }
    }
}
