//! The chats that run here, by the group that the instance calls them by. A call names nothing else; after a restart each
//! session enters itself again.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use interline_core::{ConversationId, ParticipantNo};
use tokio::sync::Notify;

/// One chat.
pub(super) struct Chat {
    pub conversation: ConversationId,
    pub participant: ParticipantNo,
    /// Something happened: look now.
    pub news: Notify,
    about: Mutex<About>,
}

#[derive(Default)]
struct About {
    joined: bool,
    /// What was said while nobody listened was asked for.
    caught_up: bool,
    agent: Option<String>,
}

impl Chat {
    /// An agent is there. True: that is news.
    pub fn joins(&self) -> bool {
        !std::mem::replace(&mut self.about().joined, true)
    }

    /// The agent's name, as far as it is known.
    pub fn agent(&self) -> Option<String> {
        self.about().agent.clone()
    }

    pub fn is_called(&self, name: Option<String>) {
        self.about().agent = name;
    }

    pub fn has_joined(&self) -> bool {
        self.about().joined
    }

    /// Whether a call may be heard at once: before, older words would come behind it.
    pub fn is_caught_up(&self) -> bool {
        self.about().caught_up
    }

    pub fn caught_up(&self) {
        self.about().caught_up = true;
    }

    fn about(&self) -> MutexGuard<'_, About> {
        self.about.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Default)]
pub(super) struct Chats(Mutex<HashMap<String, Arc<Chat>>>);

/// A chat is found while this lives.
pub(super) struct Entered<'a> {
    chats: &'a Chats,
    group: String,
    pub chat: Arc<Chat>,
}

impl Chats {
    pub fn enter(
        &self,
        group: &str,
        conversation: ConversationId,
        participant: ParticipantNo,
    ) -> Entered<'_> {
        let chat = Chat { conversation, participant, news: Notify::new(), about: Mutex::default() };
        let chat = Arc::new(chat);
        self.all().insert(group.to_owned(), chat.clone());
        Entered { chats: self, group: group.to_owned(), chat }
    }

    pub fn find(&self, group: &str) -> Option<Arc<Chat>> {
        self.all().get(group).cloned()
    }

    fn all(&self) -> MutexGuard<'_, HashMap<String, Arc<Chat>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entered<'_> {
    pub fn group(&self) -> &str {
        &self.group
    }
}

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        let mut all = self.chats.all();
        if all.get(&self.group).is_some_and(|known| Arc::ptr_eq(known, &self.chat)) {
            all.remove(&self.group);
        }
    }
}
