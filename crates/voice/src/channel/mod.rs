//! Voice, as a channel: a caller is a customer, what the bot says is heard, and keys and hanging up are what the caller does.
//!
//! ```text
//!   INVITE ─► answered ─► Host::hear(Connected)
//!   entry of the log ───► prompt ─► RTP
//!   key, silence ───────► Host::hear(Text │ NoInput)
//!   BYE ────────────────► Host::hear(Ends)
//! ```

mod keys;
mod say;
mod settings;
mod talk;
mod voicemail;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use interline_connector::channel::Host;
use interline_core::{AppId, ConversationId, IntegrationName};
use schemars::Schema;
use serde_json::Value;

use crate::call::Call;
use crate::gateway::Reception;
use crate::live;
use crate::trunk::longest;
pub use settings::Settings;

/// The type of this channel in an app's configuration.
pub const ID: &str = "voice";

/// The JSON Schema of the settings.
pub fn schema() -> Schema {
    schemars::schema_for!(Settings)
}

/// Checks an integration's settings; the error is for the operator.
///
/// # Errors
/// What is wrong, naming the field and the remedy.
pub fn check(settings: &Value) -> Result<(), String> {
    Settings::read(settings).map(|_| ())
}

/// Takes calls for a channel of an app, for as long as this is polled. It returns when it cannot: why, for the operator.
pub async fn serve(host: Arc<dyn Host>, app: AppId, channel: IntegrationName, settings: Value) -> String {
    let line = match Settings::read(&settings) {
        Ok(settings) => Line { host: host.clone(), app, channel, settings: Arc::new(settings) },
        Err(error) => return error,
    };
    let every = line.settings.options_ping_s.map(|seconds| Duration::from_secs(seconds.max(1).into()));
    let opened = async {
        let listen = line.settings.listen()?;
        let trunk = Arc::new(line.settings.trunk(line.channel.as_str()));
        live::gateway()?.open(listen, trunk, Arc::new(line)).await
    };
    match opened.await {
        Ok(open) => {
            if let (Some(every), Some(edge)) = (every, open.edge()) {
                edge.ask_around(every).await;
            }
            std::future::pending().await
        }
        Err(error) => error,
    }
}

/// The messages of the call of a conversation as a drawing, while the process remembers them.
pub fn trace(app: &AppId, conversation: &ConversationId) -> Option<String> {
    live::Live::here().trace(app, conversation).map(|trace| trace.draw())
}

/// What the gateway holds.
pub fn holds() -> Vec<(&'static str, usize)> {
    let held = live::running().map(|gateway| gateway.gauges()).unwrap_or_default();
    vec![
        ("calls", held.calls),
        ("dialogs", held.dialogs),
        ("followed", held.followed),
        ("sessions", held.sessions),
        ("ports", held.ports),
        ("tasks", held.tasks),
        ("unreachable", held.unreachable),
    ]
}

/// The line of one channel.
#[derive(Clone)]
struct Line {
    host: Arc<dyn Host>,
    app: AppId,
    channel: IntegrationName,
    settings: Arc<Settings>,
}

#[async_trait]
impl Reception for Line {
    fn fits(&self, dialled: &str) -> Option<usize> {
        if self.settings.numbers.is_empty() {
            return Some(0);
        }
        longest(self.settings.numbers.keys().map(|pattern| (pattern.as_str(), pattern.len())), dialled)
    }

    async fn call(&self, call: Arc<Call>) {
        talk::talk(self, call).await;
    }
}
