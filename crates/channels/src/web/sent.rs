//! Which lines in the log this socket sent: the client drew them already and must not get them again.

use std::collections::VecDeque;

use interline_core::conversation::entry::Text;

use super::ids;

/// Lines on their way through the log. More than a client can send before they come back out of it.
const REMEMBERED: usize = 256;
/// Ids that the client writes as texts though they are numbers (its retries are).
const QUOTED: usize = 32;

/// What a socket remembers of what it sent.
#[derive(Debug)]
pub(super) struct Sent {
    session: String,
    ids: VecDeque<String>,
    quoted: VecDeque<String>,
}

impl Sent {
    pub fn new(session: String) -> Self {
        Self { session, ids: VecDeque::new(), quoted: VecDeque::new() }
    }

    /// A line goes in. Returns the id under which the log is to keep it.
    pub fn add(&mut self, id: &str, quoted: bool) -> String {
        if quoted {
            keep(&mut self.quoted, id, QUOTED);
        }
        keep(&mut self.ids, id, REMEMBERED);
        ids::tagged(id, &self.session)
    }

    /// It did not go in after all.
    pub fn forget(&mut self, id: &str) {
        self.ids.retain(|known| known != id);
    }

    /// Whether a line of the customer in the log came from here. In the backlog of a reconnect, from an earlier socket
    /// of the same login too.
    pub fn is_own(&mut self, text: &Text, backlog: bool) -> bool {
        let Some(stored) = &text.client_id else { return false };
        let (id, tag) = ids::untagged(stored);
        let here = self.ids.iter().any(|known| known == id);
        self.forget(id);
        here || (backlog && tag == Some(self.session.as_str()))
    }

    /// Whether the client wrote this id as a text.
    pub fn is_quoted(&self, id: &str) -> bool {
        self.quoted.iter().any(|known| known == id)
    }
}

fn keep(list: &mut VecDeque<String>, id: &str, most: usize) {
    if list.len() >= most {
        list.pop_front();
    }
    list.push_back(id.to_owned());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(client_id: &str) -> Text {
        Text { client_id: Some(client_id.into()), ..Text::plain("x") }
    }

    #[test]
    fn own_lines_are_known_once() {
        let mut sent = Sent::new("tab1".into());
        let stored = sent.add("17", false);
        assert!(sent.is_own(&line(&stored), false));
        assert!(!sent.is_own(&line(&stored), false));
        assert!(!sent.is_own(&line("18~tab2"), true));
        assert!(!sent.is_own(&Text::plain("from elsewhere"), true));
    }

    #[test]
    fn after_a_reconnect_the_backlog_of_the_same_tab_is_own() {
        let mut again = Sent::new("tab1".into());
        assert!(again.is_own(&line("17~tab1"), true));
        assert!(!again.is_own(&line("17~tab1"), false));
        assert!(!again.is_own(&line("17~tab2"), true));
    }

    #[test]
    fn memory_is_bounded() {
        let mut sent = Sent::new("tab1".into());
        for id in 0..10_000 {
            sent.add(&id.to_string(), true);
        }
        assert_eq!((sent.ids.len(), sent.quoted.len()), (REMEMBERED, QUOTED));
        assert!(sent.is_quoted("9999") && !sent.is_quoted("0"));
    }
}
