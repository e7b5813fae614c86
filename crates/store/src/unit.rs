//! What is written together: the unit, and the rows in it.
//!
//! A unit is everything that one input changes in one conversation. It is written whole or not at all. Documents are
//! JSON that the store does not look into; they hold what customers said, so printing these types shows their sizes
//! only.

use std::fmt;
use std::sync::Arc;

use crate::facts::{FactsRow, TagRow, TaskRow};

/// Everything that one input, or one result of a delivery, changes in one conversation.
pub struct Unit {
    /// The tenant.
    pub app: Arc<str>,
    /// The conversation that all rows belong to.
    pub conversation: Arc<str>,
    /// The input's key and content. `None` when nothing came from outside (a cursor moved, a timer fired unlogged).
    pub inbox: Option<Inbox>,
    /// The new state, guarded by the version it was computed from. A unit with entries must carry it.
    pub state: Option<StateWrite>,
    /// New lines of the log.
    pub entries: Vec<EntryRow>,
    /// Participants, whole rows: inserted, or put in the place of what is there. At most one row for each `no`.
    pub participants: Vec<ParticipantRow>,
    /// What the outside calls entries. The first mapping of a remote id stays.
    pub remote_ids: Vec<RemoteId>,
    /// The ids of the files that its entries name. They belong to the conversation from then on; one that is gone, or
    /// another conversation's, fails the unit.
    pub files: Vec<String>,
    /// What is counted of the conversation, if it changed.
    pub facts: Option<FactsRow>,
    /// Tasks that came to their end.
    pub tasks: Vec<TaskRow>,
    /// Tags that were set.
    pub tags: Vec<TagRow>,
}

impl fmt::Debug for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Unit")
            .field("app", &self.app)
            .field("conversation", &self.conversation)
            .field("inbox", &self.inbox)
            .field("expected_version", &self.state.as_ref().map(|state| state.expected_version))
            .field("entries", &self.entries.len())
            .field("participants", &self.participants.len())
            .field("remote_ids", &self.remote_ids.len())
            .field("files", &self.files.len())
            .finish()
    }
}

/// One input as it came in. (app, integration, scope, external id) is unique: the second one is a duplicate.
#[derive(Clone, PartialEq, Eq)]
pub struct Inbox {
    /// The integration that heard it.
    pub integration: String,
    /// What the external id is unique within; the connector chooses.
    pub scope: String,
    /// The outside's id of the input, or a fresh one when it has none.
    pub external_id: String,
    /// When it came, milliseconds.
    pub at: i64,
    /// The whole input with results, seed and app version: this row is the replay.
    pub doc: String,
}

impl fmt::Debug for Inbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Inbox({} at {}, {} bytes)", self.integration, self.at, self.doc.len())
    }
}

/// The new state of a conversation.
pub struct StateWrite {
    /// The version the state was computed from; the write makes it one more. 0: this unit creates the conversation.
    pub expected_version: i64,
    /// The state document.
    pub doc: String,
    /// `bot`, `agent`, or `closed`: exactly when `closed_at` is set.
    pub owner: &'static str,
    /// Rises with every change of the owner.
    pub epoch: i64,
    /// The last entry's seq.
    pub head: i64,
    /// The earliest deadline, milliseconds.
    pub wake_at: Option<i64>,
    /// When it closed. A customer has at most one conversation without it. A closed one does not open again: a write
    /// without it is then a conflict.
    pub closed_at: Option<i64>,
    /// From when on the sweep may erase it, milliseconds; counts only once it is closed.
    pub retain_until: Option<i64>,
    /// Needed with `expected_version` 0, ignored otherwise.
    pub opening: Option<Opening>,
}

/// What is fixed when a conversation opens.
#[derive(Debug, Clone)]
pub struct Opening {
    /// The customer's id, as [`Store::customer`](crate::Store::customer) gave it.
    pub customer: String,
    /// The channel integration's name.
    pub channel: String,
    /// When, milliseconds.
    pub opened_at: i64,
}

/// One line of the log. (app, conversation, seq) is unique.
#[derive(Clone, PartialEq, Eq)]
pub struct EntryRow {
    /// Position in the log, from 1.
    pub seq: i64,
    /// When it was written, milliseconds.
    pub at: i64,
    /// The entry.
    pub doc: String,
}

impl fmt::Debug for EntryRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EntryRow(#{} at {}, {} bytes)", self.seq, self.at, self.doc.len())
    }
}

/// One integration's session in one conversation.
#[derive(Clone, PartialEq, Eq)]
pub struct ParticipantRow {
    /// Its number within the conversation.
    pub no: i64,
    /// The integration's name.
    pub integration: String,
    /// The role it plays.
    pub role: String,
    /// The engine's description: range and so on.
    pub doc: String,
    /// The last entry that was delivered to it or passed by.
    pub cursor: i64,
    /// The last entry that is for it. More to do means `head > cursor`.
    pub head: i64,
    /// When to look at it next, milliseconds; `None`: nothing to do.
    pub due_at: Option<i64>,
    /// Failed tries at the entry behind the cursor.
    pub attempts: i64,
    /// Since when it has been failing, milliseconds.
    pub failing_since: Option<i64>,
    /// The key of an opening or closing that was begun and has no result yet.
    pub attempt_key: Option<String>,
    /// The last failure, for the operator.
    pub last_error: Option<String>,
    /// Delivered up to this entry. Only ever rises in the database, whatever is written here.
    pub delivered: i64,
    /// Read up to this entry. Only ever rises in the database, whatever is written here.
    pub read: i64,
    /// The connector's session document: clear here, sealed at rest.
    pub session: Option<String>,
    /// Nothing will be delivered to it any more.
    pub done: bool,
}

impl fmt::Debug for ParticipantRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ParticipantRow")
            .field("no", &self.no)
            .field("integration", &self.integration)
            .field("role", &self.role)
            .field("cursor", &self.cursor)
            .field("head", &self.head)
            .field("due_at", &self.due_at)
            .field("attempts", &self.attempts)
            .field("delivered", &self.delivered)
            .field("read", &self.read)
            .field("session", &self.session.as_ref().map(|_| "…"))
            .field("done", &self.done)
            .finish_non_exhaustive()
    }
}

/// What one participant's outside calls one part of one entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteId {
    /// The participant's number.
    pub participant: i64,
    /// The outside's id.
    pub remote_id: String,
    /// The entry.
    pub seq: i64,
    /// Which part of it, from 0: a long text may go out as several.
    pub part: i64,
}

/// What became of a unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Committed {
    /// It is durable.
    Done {
        /// The conversation's version now. 0 for a unit with neither state nor inbox: it does not touch the version.
        version: i64,
    },
    /// Its inbox key was there already: nothing was written.
    Duplicate {
        /// Where the first one went; it may be another conversation.
        conversation: Arc<str>,
        /// The version that the first one made.
        version: i64,
    },
    /// The state is not the one it was computed from, or the customer has another open conversation: nothing was
    /// written. Load again and compute again.
    Conflict,
}

/// Where a participant's session document lives, for the seal.
pub(crate) fn session_place(app: &str, conversation: &str, no: i64) -> String {
    format!("{app}|participant|session|{conversation}#{no}")
}
