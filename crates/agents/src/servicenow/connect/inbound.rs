//! A call of the business rule → what it means. It tells of every new line of every chat at the instance.
//!
//! | line | means |
//! |---|---|
//! | of a group that is not ours | nothing |
//! | of our user | nothing: it is our own |
//! | of the system | that something changed: the chat's state is asked for at once |
//! | of anybody else | an agent's words, and that one is there |

use interline_connector::Answer;
use interline_connector::webhook::{Heard, Received, Rejected, Unverified};
use interline_core::conversation::entry::Text;
use interline_core::conversation::input::AgentEvent;
use serde_json::{Value, json};

use super::super::address::{prove, refuse};
use super::super::plain;
use super::Integration;
use super::wire::{Row, broken_row};

impl Integration {
    pub(super) fn understand(&self, request: &Unverified) -> Result<Received, Rejected> {
        let proof = prove(self.settings.caller.as_ref(), request)?;
        let row = read(&request.body).ok_or_else(|| refuse(400, "the body is not a row of live_message"))?;
        Ok(Received { proof, heard: self.heard(&row), answer: Answer::ok(json!({})) })
    }

    fn heard(&self, row: &Row) -> Vec<Heard> {
        let Some(chat) = row.group.as_deref().and_then(|group| self.chats.find(group)) else {
            return Vec::new();
        };
        chat.news.notify_one();
        // Just taken up again, it asks for all that was said, this among it.
        let words = self.words_of_agent(row).filter(|_| !chat.leaves());
        let Some(words) = words else { return Vec::new() };
        let event = |external_id: Option<String>, event| Heard::Event {
            conversation: chat.conversation.clone(),
            participant: chat.participant,
            external_id,
            event,
            files: Vec::new(),
        };
        let joined =
            chat.joins().then(|| event(Some(JOINED.into()), AgentEvent::Joined { name: chat.agent() }));
        let said = AgentEvent::Said { text: Text::plain(words), name: chat.agent() };
        joined.into_iter().chain([event(row.sys_id.clone(), said)]).collect()
    }

    /// What an agent says by it. None: it is nobody's, ours, or the system's.
    pub(super) fn words_of_agent(&self, row: &Row) -> Option<String> {
        let by = row.sys_created_by.as_deref()?;
        let words = plain::words(row.formatted_message.as_deref()?).replace('\0', "");
        (self.settings.is_agent(by) && !words.is_empty()).then_some(words)
    }
}

/// The id under which an agent joins: once, whoever notices first.
pub(super) const JOINED: &str = "joined";

/// As JSON, or as the published rule writes it.
fn read(body: &[u8]) -> Option<Row> {
    match serde_json::from_slice::<Value>(body) {
        Ok(value) if value.is_object() => serde_json::from_value(value).ok(),
        Ok(_) => None,
        Err(_) => broken_row(std::str::from_utf8(body).ok()?),
    }
}
