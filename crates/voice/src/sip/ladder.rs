//! The messages of a call as a drawing, for people: who sent what to whom, and when. No bodies, no header values.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use super::text::clean;

/// So many messages of one call are remembered; of a longer one the beginning and the end.
const MOST: usize = 400;

/// On whose behalf a dialog is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Party {
    /// Who called us.
    Caller,
    /// Whom we called.
    Agent,
}

/// One message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Milliseconds since the call came in.
    pub at_ms: u64,
    /// The other side.
    pub party: Party,
    /// Towards us.
    pub inbound: bool,
    /// `INVITE`, or `180 Ringing (INVITE)`.
    pub what: String,
}

/// The messages of one call: of the caller's dialog, and of every dialog that was begun for it.
#[derive(Debug)]
pub struct Ladder {
    since: Instant,
    messages: Mutex<Vec<Message>>,
    reasons: Mutex<[Option<String>; 2]>,
}

impl Default for Ladder {
    fn default() -> Self {
        Self { since: Instant::now(), messages: Mutex::default(), reasons: Mutex::default() }
    }
}

impl Ladder {
    fn note(&self, party: Party, inbound: bool, what: String) {
        let at_ms = self.age_ms();
        let mut messages = self.messages.lock().unwrap_or_else(PoisonError::into_inner);
        if messages.len() == MOST {
            messages.remove(MOST / 2);
        }
        messages.push(Message { at_ms, party, inbound, what });
    }

    /// The last `Reason` (RFC 3326) that a party gave.
    pub fn reason(&self, party: Party) -> Option<String> {
        self.reasons.lock().unwrap_or_else(PoisonError::into_inner)[party as usize].clone()
    }

    fn gave(&self, party: Party, reason: String) {
        self.reasons.lock().unwrap_or_else(PoisonError::into_inner)[party as usize] = Some(reason);
    }

    /// How long ago it began, milliseconds.
    pub fn age_ms(&self) -> u64 {
        u64::try_from(self.since.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// What was said so far.
    pub fn messages(&self) -> Vec<Message> {
        self.messages.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The drawing.
    pub fn draw(&self) -> String {
        const WIDE: usize = 34;
        let mut out = format!("{:>9}  {:<WIDE$}{:<WIDE$}{}\n", "ms", "caller", "interline", "agent");
        for message in self.messages() {
            let what: String = message.what.chars().take(WIDE - 6).collect();
            let line = "─".repeat((WIDE - 5).saturating_sub(what.chars().count() + 2));
            // Towards the right: from the caller, and to the agent.
            let right = message.inbound == (message.party == Party::Caller);
            let arrow =
                if right { format!("── {what} {line}►") } else { format!("◄── {what} {line}") };
            let indent = if message.party == Party::Caller { 0 } else { WIDE };
            let _ = writeln!(out, "{:>9}  {}│{arrow}│", message.at_ms, " ".repeat(indent));
        }
        out
    }
}

/// Which dialog belongs to which call's ladder, by Call-ID.
#[derive(Debug, Default)]
pub struct Ladders(Mutex<HashMap<String, (Arc<Ladder>, Party)>>);

impl Ladders {
    /// From now on the messages with this Call-ID are noted.
    pub fn follow(&self, call_id: &str, ladder: &Arc<Ladder>, party: Party) {
        self.map().insert(call_id.to_owned(), (ladder.clone(), party));
    }

    /// As those with another Call-ID, whose place it is to take.
    pub fn also(&self, call_id: &str, like: &str) {
        let mut map = self.map();
        if let Some(known) = map.get(like).cloned() {
            map.insert(call_id.to_owned(), known);
        }
    }

    /// No longer.
    pub fn forget(&self, call_id: &str) {
        self.map().remove(call_id);
    }

    /// A message went by.
    pub fn saw(&self, call_id: &str, inbound: bool, what: impl FnOnce() -> String) {
        let found = self.map().get(call_id).cloned();
        if let Some((ladder, party)) = found {
            ladder.note(party, inbound, what());
        }
    }

    /// Somebody said why.
    pub fn gave(&self, call_id: &str, reason: &str) {
        let found = self.map().get(call_id).cloned();
        if let Some((ladder, party)) = found {
            ladder.gave(party, clean(reason).chars().take(200).collect());
        }
    }

    /// Whether a dialog with this Call-ID is followed.
    pub fn knows(&self, call_id: &str) -> bool {
        self.map().contains_key(call_id)
    }

    /// How many are followed.
    pub fn followed(&self) -> usize {
        self.map().len()
    }

    fn map(&self) -> std::sync::MutexGuard<'_, HashMap<String, (Arc<Ladder>, Party)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_drawn() {
        let (ladders, ladder) = (Ladders::default(), Arc::new(Ladder::default()));
        ladders.follow("a", &ladder, Party::Caller);
        ladders.follow("b", &ladder, Party::Agent);
        ladders.saw("a", true, || "INVITE".into());
        ladders.saw("b", false, || "INVITE".into());
        ladders.saw("b", true, || "486 Busy Here (INVITE)".into());
        ladders.saw("c", true, || unreachable!("nobody's"));
        let drawn = ladder.draw();
        let rows: Vec<&str> = drawn.lines().collect();
        assert_eq!(rows.len(), 4);
        assert!(rows[1].contains("│── INVITE ─") && rows[1].ends_with("►│"), "{drawn}");
        assert!(rows[3].contains("│◄── 486 Busy Here (INVITE)"), "{drawn}");
        ladders.forget("a");
        assert_eq!(ladders.followed(), 1);
    }

    #[test]
    fn a_long_call_keeps_its_beginning_and_its_end() {
        let ladder = Ladder::default();
        (0..MOST * 2).for_each(|no| ladder.note(Party::Caller, true, no.to_string()));
        let messages = ladder.messages();
        assert_eq!(messages.len(), MOST);
        assert_eq!(
            (messages[0].what.as_str(), messages[MOST - 1].what.clone()),
            ("0", (MOST * 2 - 1).to_string())
        );
    }
}
