//! Conversations in memory: one mutex each, loaded when needed, dropped when idle.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use interline_core::transfer::Failure;
use interline_core::{AppId, ConversationId, Entry, Owner, Participant, ParticipantNo, Seq, State};
use interline_store::{Loaded, ParticipantRow};
use serde::{Deserialize, Serialize};

use crate::ingress::Trouble;
use crate::observe::trace;

/// A conversation of an app.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    pub app: AppId,
    pub conversation: ConversationId,
}

/// The place of a conversation in memory.
pub(crate) struct Slot {
    pub key: Key,
    /// Held while an input is stepped and committed. Never held during a call outside.
    pub live: tokio::sync::Mutex<Option<Live>>,
    /// The newest entries, for readers that are nearly up to date.
    pub tail: Mutex<Tail>,
    /// Participants with a dispatch task. Only removed from while `live` is held, so that no new entry is missed.
    pub running: Mutex<HashSet<ParticipantNo>>,
    /// What the customer has: delivered and read, as sequence numbers.
    pub customer_marks: [AtomicI64; 2],
    /// Used since the last sweep.
    used: AtomicBool,
}

/// A loaded conversation.
pub(crate) struct Live {
    pub state: State,
    pub version: i64,
    pub opened_at: i64,
    pub closed_at: Option<i64>,
    pub rows: BTreeMap<ParticipantNo, Row>,
}

/// A participant as the store has it, with its description read.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub about: About,
    pub row: ParticipantRow,
}

/// What the engine keeps in a participant's document.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct About {
    pub participant: Participant,
    /// It was reported as stalled and has not worked since.
    #[serde(default)]
    pub stalled: bool,
    /// The last try failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiting: Option<Waiting>,
    /// A duplex session: it stays due while it takes part, so that a restart finds it.
    #[serde(default)]
    pub pinned: bool,
    /// Which trace the entries that it has not heard yet belong to.
    #[serde(default, skip_serializing_if = "trace::Waiting::is_empty")]
    pub traces: trace::Waiting,
}

/// Between a failed try and the next. It may be looked at earlier (`due_at`), because a vendor may ask for a longer pause
/// than a customer should wait.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Waiting {
    /// Not tried again before, milliseconds.
    pub until: i64,
    /// Why.
    pub failure: Failure,
}

/// At most so many entries are kept for readers.
const TAIL: usize = 128;

/// The newest entries of a conversation, without a gap.
#[derive(Default)]
pub(crate) struct Tail {
    entries: VecDeque<Arc<Entry>>,
    /// The last entry, once the conversation was loaded.
    head: Option<Seq>,
    closed: bool,
    /// More may be written than stands here: nobody learned how a commit ended.
    doubt: bool,
}

/// A commit whose end is not known yet. Dropped before [`settled`](Self::settled), it leaves the tail in doubt. While it is
/// under way the tail is what it was: who reads now is told to read again.
pub(crate) struct Unsettled<'a>(Option<&'a Slot>);

impl Unsettled<'_> {
    /// What it wrote stands in the tail.
    pub fn settled(mut self) {
        self.0 = None;
    }
}

impl Drop for Unsettled<'_> {
    fn drop(&mut self) {
        if let Some(slot) = self.0 {
            slot.tail().doubt = true;
        }
    }
}

impl Tail {
    fn loaded(&mut self, state: &State) {
        if self.head.is_none_or(|head| head < state.head) {
            self.entries.clear();
        }
        self.doubt = false;
        self.head = Some(state.head);
        self.closed = state.owner == Owner::Closed;
    }

    pub fn push(&mut self, entries: Vec<Entry>, state: &State) {
        self.entries.extend(entries.into_iter().map(Arc::new));
        while self.entries.len() > TAIL {
            self.entries.pop_front();
        }
        self.doubt = false;
        self.head = Some(state.head);
        self.closed = state.owner == Owner::Closed;
    }

    /// The entries after `seq`, if all of them are here.
    pub fn after(&self, seq: Seq) -> Option<Vec<Arc<Entry>>> {
        let head = self.head.filter(|_| !self.doubt)?;
        if seq >= head {
            return Some(Vec::new());
        }
        let complete = self.entries.front().is_some_and(|first| first.seq <= seq.next());
        complete.then(|| self.entries.iter().filter(|entry| entry.seq > seq).cloned().collect())
    }

    /// The last `limit` entries before `seq`, if all of them are here.
    pub fn before(&self, seq: Seq, limit: usize) -> Option<Vec<Arc<Entry>>> {
        self.head.filter(|_| !self.doubt)?;
        let end = self.entries.partition_point(|entry| entry.seq < seq);
        // Fewer than `limit` are all there are only if the first of them is the conversation's first.
        let begin = match end.checked_sub(limit) {
            Some(begin) => begin,
            None if self.entries.front().is_some_and(|first| first.seq == Seq(1)) => 0,
            None => return None,
        };
        let complete = self.entries.get(end).is_some_and(|entry| entry.seq == seq);
        complete.then(|| self.entries.range(begin..end).cloned().collect())
    }

    /// Whether the conversation is closed, if known.
    pub fn closed(&self) -> Option<bool> {
        self.head.filter(|_| !self.doubt).map(|_| self.closed)
    }
}

impl Slot {
    fn new(key: Key) -> Self {
        Self {
            key,
            live: tokio::sync::Mutex::new(None),
            tail: Mutex::default(),
            running: Mutex::default(),
            customer_marks: [AtomicI64::new(0), AtomicI64::new(0)],
            used: AtomicBool::new(true),
        }
    }

    pub fn tail(&self) -> std::sync::MutexGuard<'_, Tail> {
        self.tail.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A commit begins.
    pub fn unsettled(&self) -> Unsettled<'_> {
        Unsettled(Some(self))
    }

    pub fn running(&self) -> std::sync::MutexGuard<'_, HashSet<ParticipantNo>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Row {
    pub fn integration(&self) -> String {
        self.row.integration.clone()
    }
}

impl Live {
    /// Reads what the store has.
    pub fn read(slot: &Slot, mut loaded: Loaded) -> Result<Self, Trouble> {
        let broken = |error: serde_json::Error| Trouble::Broken(format!("state document: {error}"));
        let state: State = serde_json::from_str(&loaded.doc).map_err(broken)?;
        let mut rows = BTreeMap::new();
        for row in std::mem::take(&mut loaded.participants) {
            if row.no == 0 {
                slot.customer_marks[0].fetch_max(row.delivered, Ordering::Relaxed);
                slot.customer_marks[1].fetch_max(row.read, Ordering::Relaxed);
                continue;
            }
            let about: About = serde_json::from_str(&row.doc).map_err(broken)?;
            rows.insert(about.participant.no, Row { about, row });
        }
        slot.tail().loaded(&state);
        let Loaded { version, opened_at, closed_at, .. } = loaded;
        Ok(Self { state, version, opened_at, closed_at, rows })
    }
}

/// All conversations in memory.
#[derive(Default)]
pub(crate) struct Slots(Mutex<HashMap<Key, Arc<Slot>>>);

impl Slots {
    fn map(&self) -> std::sync::MutexGuard<'_, HashMap<Key, Arc<Slot>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The conversation's slot; made if it is not there.
    pub fn get(&self, key: &Key) -> Arc<Slot> {
        let mut map = self.map();
        let slot = match map.get(key) {
            Some(slot) => slot.clone(),
            None => map.entry(key.clone()).or_insert_with(|| Arc::new(Slot::new(key.clone()))).clone(),
        };
        slot.used.store(true, Ordering::Relaxed);
        slot
    }

    /// The conversation's slot, if it is in memory.
    pub fn peek(&self, key: &Key) -> Option<Arc<Slot>> {
        self.map().get(key).cloned()
    }

    /// It was erased: whoever still holds it finds nothing in it.
    pub async fn forget(&self, key: &Key) {
        let known = self.map().remove(key);
        if let Some(slot) = known {
            *slot.live.lock().await = None;
            *slot.tail() = Tail::default();
        }
    }

    /// Drops what nobody holds and nobody used since the last sweep.
    pub fn sweep(&self) {
        self.map().retain(|_, slot| Arc::strong_count(slot) > 1 || slot.used.swap(false, Ordering::Relaxed));
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.map().len()
    }
}

#[cfg(test)]
mod tests {
    use interline_core::conversation::state::Customer;
    use interline_core::{Body, Epoch, Role, Speaker, Time};

    use super::*;

    fn slot() -> Slot {
        Slot::new(Key { app: "st-1".into(), conversation: "cnv_1".into() })
    }

    /// Writes entries up to `head`.
    fn push(slot: &Slot, head: u64) {
        let customer = Customer {
            id: "cus_1".into(),
            channel: "web".into(),
            address: "ann".into(),
            profile: Default::default(),
            connection: Default::default(),
        };
        let mut state = State::new(slot.key.app.clone(), slot.key.conversation.clone(), customer);
        state.head = Seq(head);
        let mut tail = slot.tail();
        let first = tail.head.map_or(1, |head| head.0 + 1);
        let entry = |seq| Entry {
            seq: Seq(seq),
            at: Time(0),
            by: Speaker::System,
            to: Role::Customer,
            epoch: Epoch(0),
            transfer: None,
            release_of: None,
            body: Body::Opened,
        };
        tail.push((first..=head).map(entry).collect(), &state);
    }

    fn seqs(found: Option<Vec<Arc<Entry>>>) -> Option<Vec<u64>> {
        found.map(|entries| entries.iter().map(|entry| entry.seq.0).collect())
    }

    #[test]
    fn what_was_said_before_comes_from_memory_if_all_of_it_is_there() {
        let slot = slot();
        assert_eq!(seqs(slot.tail().before(Seq(1), 9)), None, "nothing is known yet");
        push(&slot, 5);
        let before = |seq, limit| seqs(slot.tail().before(Seq(seq), limit));
        assert_eq!(before(1, 9), Some(vec![]));
        assert_eq!(before(4, 9), Some(vec![1, 2, 3]));
        assert_eq!(before(4, 2), Some(vec![2, 3]));
        assert_eq!(before(7, 2), None, "it is not there");
        // The beginning is forgotten.
        let head = TAIL as u64 + 10;
        push(&slot, head);
        assert_eq!(before(12, 1), Some(vec![11]));
        assert_eq!(before(12, 2), None);
        assert_eq!(before(5, 0), None);
    }

    #[test]
    fn a_commit_under_way_changes_nothing_and_one_that_nobody_saw_end_leaves_doubt() {
        let slot = slot();
        push(&slot, 3);
        let after = || seqs(slot.tail().after(Seq(1)));
        let unsettled = slot.unsettled();
        assert_eq!((after(), slot.tail().closed()), (Some(vec![2, 3]), Some(false)));
        push(&slot, 4);
        unsettled.settled();
        assert_eq!(after(), Some(vec![2, 3, 4]));
        drop(slot.unsettled());
        assert_eq!((after(), slot.tail().closed()), (None, None));
        assert_eq!(seqs(slot.tail().before(Seq(3), 1)), None);
        push(&slot, 5);
        assert_eq!(after(), Some(vec![2, 3, 4, 5]));
    }
}
