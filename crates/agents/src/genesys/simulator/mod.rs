//! Stand-ins for Genesys Cloud: an organisation with an Open Messaging integration, and one with a Messenger deployment. They
//! speak the real paths and frames, are strict about what the fact sheet says is required, and know nothing of our client.
//!
//! | file | concept |
//! |---|---|
//! | `open.rs` | the organisation with Open Messaging: its settings, what its agents do |
//! | `conversation.rs` | a conversation and who takes part in it, as the API tells |
//! | `gate.rs` | access tokens, the rate limit, the error body |
//! | `rest.rs` | the API |
//! | `inbound.rs` | what comes in for the agents: checks, and what it does |
//! | `webhook.rs` | what goes out: signed, tried again |
//! | `channels.rs` | notification channels |
//! | `guest.rs`, `guest_socket.rs`, `guest_files.rs` | the organisation with a Messenger deployment |

mod channels;
mod conversation;
mod gate;
pub mod guest;
mod guest_files;
mod guest_socket;
mod inbound;
pub mod open;
mod rest;
mod webhook;

#[cfg(test)]
pub(super) use webhook::signature;

/// The attribute by which the stand-in's flow says why it ended a chat without an agent. See the set-up guide.
const RESULT: &str = "InterlineResult";

/// How long typing is shown.
const TYPING: std::time::Duration = std::time::Duration::from_secs(5);

/// An RFC 3339 time with milliseconds.
fn time(ms: i64) -> String {
    let time = jiff::Timestamp::from_millisecond(ms).unwrap_or_default();
    time.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string()
}

/// The other side types: there is no "stopped", so it is shown for a while.
fn shows_typing(desk: &interline_connector::simulator::Desk, chat: &str) {
    desk.change(chat, |chat| chat.typing = true);
    let (desk, chat) = (desk.clone(), chat.to_owned());
    tokio::spawn(async move {
        tokio::time::sleep(TYPING).await;
        desk.change(&chat, |chat| chat.typing = false);
    });
}

fn new_id() -> String {
    uuid::Uuid::new_v4().to_string()
}

/// A queue has one id, derived from its name.
fn queue_id(name: &str) -> String {
    uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_OID, name.as_bytes()).to_string()
}
