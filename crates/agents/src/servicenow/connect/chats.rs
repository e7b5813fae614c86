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
    /// What was said while nobody listened was asked for, and heard.
    caught_up: bool,
    /// So many calls were left to the asking until then.
    left: u64,
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

    /// Whether a call is left to the asking: until all older words were heard, its own would come before them.
    pub fn leaves(&self) -> bool {
        let mut about = self.about();
        about.left += u64::from(!about.caught_up);
        !about.caught_up
    }

    /// How many calls were left so far.
    pub fn left(&self) -> u64 {
        self.about().left
    }

    /// All words of before were heard, if no call was left since there were `left` of them. From now on calls are heard at once.
    pub fn catches_up(&self, left: u64) {
        let mut about = self.about();
        about.caught_up |= about.left == left;
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
