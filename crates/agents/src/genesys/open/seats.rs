//! The chats that run here, and how what is heard for all of them finds its way to the one that it concerns.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::wire::Conversation;

/// So many queues are listened to: a notification channel has at most 1,000 topics.
const QUEUES: usize = 1_000;

/// What is told to one chat.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// The newest that a notification told.
    pub conversation: Option<Conversation>,
    /// Somebody says that something happened: look.
    pub look: bool,
    /// The agent's typing indicator runs out then.
    pub typing_until: Option<Instant>,
    /// Who talks, for the lines that the webhook brings.
    pub agent: Option<String>,
    /// What the agent is to read.
    pub words: Vec<String>,
}

/// The queues whose events are wanted, and those that are told.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Queues {
    pub wanted: BTreeSet<String>,
    pub told: BTreeSet<String>,
    /// The vendor does not let us listen.
    pub refused: BTreeSet<String>,
}

/// All chats of one integration that run on this node.
pub(super) struct Seats {
    by_address: Mutex<HashMap<String, watch::Sender<Told>>>,
    /// The vendor's id of a conversation → our address.
    by_conversation: Mutex<HashMap<String, String>>,
    pub queues: watch::Sender<Queues>,
}

/// A chat's place. Given up when it is dropped.
pub(super) struct Seat {
    seats: Arc<Seats>,
    address: String,
    conversation: Option<String>,
    pub told: watch::Receiver<Told>,
}

impl Seats {
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            by_address: Mutex::default(),
            by_conversation: Mutex::default(),
            queues: watch::Sender::new(Queues::default()),
        })
    }

    /// Takes the place of a chat.
    pub fn take(self: &Arc<Self>, address: &str) -> Seat {
        let (tell, told) = watch::channel(Told::default());
        lock(&self.by_address).insert(address.to_owned(), tell);
        Seat { seats: self.clone(), address: address.to_owned(), conversation: None, told }
    }

    /// Tells a chat something. False: it does not run here.
    pub fn tell(&self, address: &str, change: impl FnOnce(&mut Told)) -> bool {
        let all = lock(&self.by_address);
        let Some(told) = all.get(address) else { return false };
        told.send_modify(change);
        true
    }

    /// The same by the vendor's id.
    pub fn tell_conversation(&self, conversation: &str, change: impl FnOnce(&mut Told)) -> bool {
        let address = lock(&self.by_conversation).get(conversation).cloned();
        address.is_some_and(|address| self.tell(&address, change))
    }

    /// What was told since the last time. None: it does not run here.
    pub fn heard(&self, address: &str) -> Option<Told> {
        let all = lock(&self.by_address);
        let mut heard = None;
        all.get(address)?.send_if_modified(|told| {
            let (conversation, look) = (told.conversation.take(), std::mem::take(&mut told.look));
            let (typing_until, agent) = (told.typing_until.take(), told.agent.clone());
            let words = std::mem::take(&mut told.words);
            heard = Some(Told { conversation, look, typing_until, agent, words });
            false
        });
        heard
    }

    /// This agent talks.
    pub fn talks(&self, address: &str, name: Option<String>) {
        if let Some(told) = lock(&self.by_address).get(address) {
            told.send_if_modified(|told| {
                told.agent = name;
                false
            });
        }
    }

    /// The name of the agent who talks to this customer.
    pub fn agent(&self, address: &str) -> Option<String> {
        lock(&self.by_address).get(address).and_then(|told| told.borrow().agent.clone())
    }

    /// The agent types for so long.
    pub fn types(&self, address: &str, time: Duration) {
        self.tell(address, |told| told.typing_until = Some(Instant::now() + time));
    }

    /// A chat was seen in this queue.
    pub fn want(&self, queue: &str) {
        self.queues.send_if_modified(|queues| {
            let room = queues.wanted.len() < QUEUES && is_id(queue);
            room && !queues.refused.contains(queue) && queues.wanted.insert(queue.to_owned())
        });
    }
}

impl Seat {
    /// The vendor's id of the conversation is known.
    pub fn is_called(&mut self, conversation: &str) {
        if self.conversation.as_deref() != Some(conversation) {
            lock(&self.seats.by_conversation).insert(conversation.to_owned(), self.address.clone());
            self.conversation = Some(conversation.to_owned());
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        if let Some(conversation) = &self.conversation {
            lock(&self.seats.by_conversation).remove(conversation);
        }
        lock(&self.seats.by_address).remove(&self.address);
    }
}

/// An id of the vendor's that may stand in a path or a topic: no more than letters, digits and hyphens.
pub(super) fn is_id(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
