//! What the bot file keeps of each human part, as the sample does: the data object of the event that began it, used for
//! every later call, and which of its agents has which user.

use std::collections::HashMap;

use super::sdk::Payload;

/// The human parts that are open.
#[derive(Default)]
pub(super) struct Parts {
    /// Chat → its user and data object.
    open: HashMap<String, (String, Payload)>,
    /// User → their chats, newest last.
    of: HashMap<String, Vec<String>>,
}

impl Parts {
    /// One begins. False: it is known.
    pub fn begin(&mut self, chat: &str, visitor: String, data: Payload) -> bool {
        if self.open.contains_key(chat) {
            return false;
        }
        self.of.entry(visitor.clone()).or_default().push(chat.to_owned());
        self.open.insert(chat.to_owned(), (visitor, data));
        true
    }

    /// The agent ended it. Gives its data object once more; none: it is not open.
    pub fn end(&mut self, chat: &str) -> Option<Payload> {
        let (visitor, data) = self.open.remove(chat)?;
        if let Some(chats) = self.of.get_mut(&visitor) {
            chats.retain(|known| known != chat);
        }
        Some(data)
    }

    /// The chat of a user.
    pub fn of(&self, visitor: &str) -> Option<String> {
        self.of.get(visitor)?.last().cloned()
    }

    /// The data object of a chat.
    pub fn data(&self, chat: &str) -> Option<Payload> {
        self.open.get(chat).map(|(_, data)| data.clone())
    }
}
