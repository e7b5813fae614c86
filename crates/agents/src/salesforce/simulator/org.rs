//! What the org knows: tokens, conversations, and the events of each subject.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::Value;
use tokio::sync::watch;

use super::refused::{Refused, unknown};

/// What the org knows.
#[derive(Default)]
pub(super) struct Org(Mutex<Inner>);

#[derive(Default)]
pub(super) struct Inner {
    pub conversations: HashMap<String, Conversation>,
    pub subjects: HashMap<String, Subject>,
    /// Numbers of subjects and events are never used twice.
    count: u64,
    /// When access tokens were asked for, when conversations were started: the newest, milliseconds.
    pub tokens: VecDeque<i64>,
    pub starts: VecDeque<i64>,
}

/// Whoever has a token.
pub(super) struct Subject {
    /// By rising id.
    events: Vec<Event>,
    /// Streams look when this changes; it counts how often they were cut.
    signal: watch::Sender<u64>,
}

/// An event as a stream tells it.
struct Event {
    id: u64,
    name: String,
    data: String,
}

pub(super) struct Conversation {
    pub subject: String,
    /// The conversation, which outlives its sessions.
    pub open: bool,
    /// The messaging session that agents see.
    pub session: bool,
    pub routing: &'static str,
    /// As the list shows them: payloads are objects there.
    pub entries: Vec<Value>,
    /// When the customer said something: the newest, milliseconds.
    pub inbound: VecDeque<i64>,
    /// Ids of what the customer said.
    pub messages: Vec<String>,
}

impl Org {
    pub fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// Somebody new.
    pub fn subject(&mut self) -> String {
        self.count += 1;
        let name = format!("v2/iamessage/UNAUTH/{}", self.count);
        self.subjects.insert(name.clone(), Subject { events: Vec::new(), signal: watch::Sender::new(0) });
        name
    }

    /// Puts an event of any name on a subject's stream.
    pub fn publish(&mut self, subject: &str, name: &str, data: String) {
        self.count += 1;
        let id = self.count;
        if let Some(subject) = self.subjects.get_mut(subject) {
            subject.events.push(Event { id, name: name.to_owned(), data });
            subject.signal.send_modify(|_| {});
        }
    }

    /// A conversation, for its own subject alone.
    pub fn own(&mut self, id: &str, subject: &str) -> Result<&mut Conversation, Refused> {
        let known = self.conversations.get_mut(id).ok_or(unknown("no such conversation"))?;
        if known.subject == subject {
            Ok(known)
        } else {
            Err(Refused(::http::StatusCode::FORBIDDEN, "not your conversation"))
        }
    }
}

impl Subject {
    /// Closes the streams.
    pub fn cut(&self) {
        self.signal.send_modify(|cuts| *cuts += 1);
    }

    pub fn signal(&self) -> watch::Receiver<u64> {
        self.signal.subscribe()
    }

    /// Frames of what came after an event, and the id of the last of them.
    pub fn after(&self, id: u64) -> (String, u64) {
        let new = self.events.get(self.events.partition_point(|event| event.id <= id)..).unwrap_or_default();
        let frame =
            |event: &Event| format!("id: {}\nevent: {}\ndata: {}\n\n", event.id, event.name, event.data);
        (new.iter().map(frame).collect(), new.last().map_or(id, |event| event.id))
    }
}

/// Whether one more within so long is too many. One that is not is counted.
pub(super) fn too_many(times: &mut VecDeque<i64>, now_ms: i64, most: usize, within_ms: i64) -> bool {
    while times.front().is_some_and(|first| now_ms - *first >= within_ms) {
        times.pop_front();
    }
    if times.len() >= most {
        return true;
    }
    times.push_back(now_ms);
    false
}
