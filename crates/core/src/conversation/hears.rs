//! Who hears an entry.
//!
//! An entry is for a role. A participant hears it when it plays that role, in that transfer, within its range.

use super::entry::{Body, Entry, Role};
use super::participant::Participant;
use super::state::State;

impl Participant {
    /// Whether this participant is to hear `entry`. Pure: the same answer however often it is asked, except that a
    /// range may be closed in between.
    pub fn hears(&self, entry: &Entry) -> bool {
        if self.gone || entry.seq < self.from || self.to.is_some_and(|to| entry.seq > to) {
            return false;
        }
        if let Body::Close { participant, .. } = &entry.body {
            return *participant == self.no;
        }
        if self.only_close || entry.to != self.role {
            return false;
        }
        match self.role {
            Role::Agent => entry.transfer == self.transfer && !(self.took_over && entry.seq == self.from),
            Role::Interceptor => true,
            Role::Bot => matches!(&entry.body, Body::Work { participant, .. } if *participant == self.no),
            // Only of channels to which it is brought.
            Role::Customer => true,
            Role::Nobody => false,
        }
    }
}

impl State {
    /// Whether delivering `entry` still makes sense now. A held line that was released or given up meanwhile is not
    /// offered to its interceptor any more.
    pub fn still_wanted(&self, entry: &Entry) -> bool {
        entry.to != Role::Interceptor
            || matches!(entry.body, Body::Close { .. })
            || self.held.iter().any(|held| held.seq == entry.seq)
    }
}

impl State {
    /// Whether it is time to deliver `entry` to `participant`. While it is not known whether an agent system took the
    /// conversation, it is not told more than the Open.
    pub fn ready_for(&self, participant: &Participant, entry: &Entry) -> bool {
        let opening = self.transfer.as_ref().is_some_and(|transfer| {
            transfer.stage == crate::transfer::Stage::Opening
                && transfer.rung.as_ref().is_some_and(|rung| rung.participant == participant.no)
        });
        !opening || matches!(entry.body, Body::Open | Body::Close { .. })
    }
}

impl Entry {
    /// Whether the customer sees this entry in the chat: what is said to them, and what they said, once.
    pub fn customer_sees(&self) -> bool {
        if self.by == super::entry::Speaker::Customer {
            return self.release_of.is_none() && matches!(self.body, Body::Text(_));
        }
        self.to == Role::Customer
    }

    /// The words of this entry as the customer sees them.
    pub fn text(&self) -> Option<&super::entry::Text> {
        match &self.body {
            Body::Text(text) => Some(text),
            Body::Open
            | Body::Close { .. }
            | Body::ReturnPackage(_)
            | Body::Opened
            | Body::Queued { .. }
            | Body::AgentJoined { .. }
            | Body::AgentLeft
            | Body::Closed
            | Body::TurnDone(_)
            | Body::Voice(_)
            | Body::Work { .. }
            | Body::Note(_) => None,
        }
    }
}
