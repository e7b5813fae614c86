//! The judge of the kill test: what each side said against what each side saw. Counts as design.md §4 says.
//!
//! | who said it | what came of it | the other side saw it |
//! |---|---|---|
//! | user | acked | at least once; again only under the same request id, around a kill |
//! | user | no ack | at most once, counted by request id |
//! | agent | 2xx | exactly once, counted by message id, on the socket or in the history |
//! | agent | no answer | at most once |
//! | agent | refused | never |
//!
//! What the customer sees of an agent also comes down a socket: each reconnect goes on where the client was.//!
//! Each speaker's order is kept, on both sides and in the history, and the history has each line once.

use std::collections::{BTreeMap, BTreeSet};

use crate::web::Past;

/// A delivery whose result was not durable when the kill came began at most so long before it, milliseconds.
const IN_FLIGHT: u64 = 3_000;

/// What the speaker knows of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// Ack, or 2xx.
    Taken,
    /// It never knew.
    Unknown,
    /// A clear no.
    Refused,
}

/// A line as its speaker remembers it.
#[derive(Debug, Clone)]
pub struct Spoken {
    /// Unlike any other.
    pub text: String,
    /// What the speaker knows.
    pub outcome: Outcome,
}

/// A line as BotKit saw it.
#[derive(Debug, Clone)]
pub struct Seen {
    /// When, in milliseconds of the test.
    pub at: u64,
    /// The event's id.
    pub request_id: String,
    /// The words.
    pub text: String,
}

/// A line as it came down a socket.
#[derive(Debug, Clone)]
pub struct Drawn {
    /// The how-manieth socket of this customer.
    pub socket: usize,
    /// The message id: a client draws each once.
    pub id: String,
    /// The words.
    pub text: String,
}

/// One conversation, from all sides.
#[derive(Debug, Clone, Default)]
pub struct Story {
    /// Names it in faults.
    pub name: String,
    /// The user's lines, in order.
    pub user: Vec<Spoken>,
    /// The agent's lines, in order.
    pub agent: Vec<Spoken>,
    /// What BotKit saw in agent mode, as it came.
    pub seen: Vec<Seen>,
    /// What the sockets brought, as it came.
    pub drawn: Vec<Drawn>,
    /// The history, oldest first.
    pub history: Vec<Past>,
}

/// The verdict.
#[derive(Debug, Clone, Default)]
pub struct Verdict {
    /// Each with its conversation.
    pub faults: Vec<String>,
    /// Lines that the users said.
    pub user_lines: usize,
    /// … and that were acked.
    pub user_acked: usize,
    /// Lines that the agents said.
    pub agent_lines: usize,
    /// … and that were answered 2xx.
    pub agent_taken: usize,
    /// … and that were refused.
    pub agent_refused: usize,
    /// Lines without an answer that arrived all the same.
    pub unknown_but_there: usize,
    /// Lines that BotKit saw again under the same request id around a kill.
    pub repeats: usize,
    /// Agent lines that came down more than one socket (the client draws them once).
    pub sent_again: usize,
    /// Agent lines that only the history has.
    pub only_in_history: usize,
}

/// Judges all conversations. `kills`: when each began and ended, in milliseconds of the test.
pub fn judge(stories: &[Story], kills: &[(u64, u64)]) -> Verdict {
    let mut verdict = Verdict::default();
    for story in stories {
        Judge { story, kills, verdict: &mut verdict }.all();
    }
    verdict
}

struct Judge<'a> {
    story: &'a Story,
    kills: &'a [(u64, u64)],
    verdict: &'a mut Verdict,
}

impl Judge<'_> {
    fn all(mut self) {
        self.botkit();
        self.customer();
        self.history();
        let count = |lines: &[Spoken], outcome| lines.iter().filter(|line| line.outcome == outcome).count();
        let Story { user, agent, .. } = self.story;
        self.verdict.user_lines += user.len();
        self.verdict.user_acked += count(user, Outcome::Taken);
        self.verdict.agent_lines += agent.len();
        self.verdict.agent_taken += count(agent, Outcome::Taken);
        self.verdict.agent_refused += count(agent, Outcome::Refused);
    }

    fn fault(&mut self, fault: String) {
        self.verdict.faults.push(format!("{}: {fault}", self.story.name));
    }

    /// What the user said, at BotKit.
    fn botkit(&mut self) {
        let story = self.story;
        let places = places(&story.user);
        let mut furthest = 0;
        for seen in &story.seen {
            match places.get(seen.text.as_str()) {
                None => self.fault(format!("BotKit saw `{}`, which nobody said", seen.text)),
                Some(place) if *place < furthest => {
                    self.fault(format!("BotKit saw `{}` after a later line", seen.text));
                }
                Some(place) => furthest = *place,
            }
        }
        for line in &story.user {
            let seen: Vec<&Seen> = story.seen.iter().filter(|seen| seen.text == line.text).collect();
            let ids: BTreeSet<&str> = seen.iter().map(|seen| seen.request_id.as_str()).collect();
            if ids.len() > 1 {
                self.fault(format!(
                    "user line `{}` is at BotKit under {} ids: {seen:?}",
                    line.text,
                    ids.len()
                ));
            }
            match (line.outcome, seen.len()) {
                (Outcome::Taken, 0) => {
                    self.fault(format!("acked user line `{}` never came to BotKit", line.text))
                }
                (Outcome::Refused, 1..) => {
                    self.fault(format!("refused user line `{}` is at BotKit", line.text))
                }
                (Outcome::Unknown, 1..) => self.verdict.unknown_but_there += 1,
                (Outcome::Taken | Outcome::Unknown | Outcome::Refused, _) => {}
            }
            for pair in seen.windows(2) {
                if self.around_a_kill(pair[0].at, pair[1].at) {
                    self.verdict.repeats += 1;
                } else {
                    self.fault(format!("user line `{}` came again without a kill: {pair:?}", line.text));
                }
            }
        }
    }

    /// Whether a delivery was in flight at a kill, and came again after it.
    fn around_a_kill(&self, first: u64, again: u64) -> bool {
        self.kills.iter().any(|(begin, end)| first + IN_FLIGHT >= *begin && first <= *end && again >= *begin)
    }

    /// What the agent said, at the customer.
    fn customer(&mut self) {
        let story = self.story;
        let places = places(&story.agent);
        let mut ids: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        let mut sockets: BTreeMap<&str, usize> = BTreeMap::new();
        let mut furthest: BTreeMap<usize, usize> = BTreeMap::new();
        for drawn in &story.drawn {
            ids.entry(&drawn.text).or_default().insert(&drawn.id);
            *sockets.entry(&drawn.text).or_default() += 1;
            let furthest = furthest.entry(drawn.socket).or_default();
            match places.get(drawn.text.as_str()) {
                None => self.fault(format!("the customer saw `{}`, which no agent said", drawn.text)),
                Some(place) if *place < *furthest => {
                    self.fault(format!(
                        "socket {} brought `{}` after a later line",
                        drawn.socket, drawn.text
                    ));
                }
                Some(place) => *furthest = *place,
            }
        }
        for past in
            story.history.iter().filter(|past| !past.incoming && places.contains_key(past.text.as_str()))
        {
            ids.entry(&past.text).or_default().insert(&past.id);
        }
        for line in &story.agent {
            let times = ids.get(line.text.as_str()).map_or(0, BTreeSet::len);
            match (line.outcome, times) {
                (Outcome::Taken, 1) | (Outcome::Unknown | Outcome::Refused, 0) => {}
                (Outcome::Unknown, 1) => self.verdict.unknown_but_there += 1,
                (outcome, times) => {
                    let ids = ids.get(line.text.as_str());
                    self.fault(format!(
                        "agent line `{}` ({outcome:?}) is at the customer {times} times: {ids:?}",
                        line.text
                    ));
                }
            }
            match sockets.get(line.text.as_str()) {
                // The customer reconnects with `isReconnect=true`, and never a hundred lines late.
                None if times > 0 => {
                    self.verdict.only_in_history += 1;
                    self.fault(format!(
                        "agent line `{}` is in the history, but no socket brought it",
                        line.text
                    ));
                }
                Some(2..) => self.verdict.sent_again += 1,
                None | Some(_) => {}
            }
        }
    }

    /// The history has each line once, in order, and all that the sockets brought.
    fn history(&mut self) {
        let story = self.story;
        for (who, incoming, lines) in [("user", true, &story.user), ("agent", false, &story.agent)] {
            let places = places(lines);
            let mine = story.history.iter().filter(|past| past.incoming == incoming);
            let told: Vec<usize> = mine.filter_map(|past| places.get(past.text.as_str()).copied()).collect();
            for pair in told.windows(2) {
                if pair[1] < pair[0] {
                    let text = |place: usize| &lines[place].text;
                    self.fault(format!(
                        "history: {who} line `{}` stands after `{}`",
                        text(pair[1]),
                        text(pair[0])
                    ));
                }
            }
            for (place, line) in lines.iter().enumerate() {
                let times = told.iter().filter(|told| **told == place).count();
                if times > 1 || (times == 0 && line.outcome == Outcome::Taken) {
                    self.fault(format!(
                        "history: {who} line `{}` ({:?}) stands {times} times",
                        line.text, line.outcome
                    ));
                }
            }
        }
        let mut ids = BTreeSet::new();
        for past in &story.history {
            if !ids.insert(past.id.as_str()) {
                self.fault(format!("history: the id {} stands twice", past.id));
            }
        }
        for drawn in story.drawn.iter().filter(|drawn| !ids.contains(drawn.id.as_str())) {
            self.fault(format!("history: `{}` ({}) was on a socket and is missing", drawn.text, drawn.id));
        }
        for pair in story.history.windows(2) {
            if pair[1].at < pair[0].at {
                self.fault(format!("history: {} is older than what stands before it", pair[1].id));
            }
        }
    }
}

fn places(lines: &[Spoken]) -> BTreeMap<&str, usize> {
    lines.iter().enumerate().map(|(place, line)| (line.text.as_str(), place)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const KILLS: [(u64, u64); 1] = [(10_000, 10_100)];

    fn said(text: &str, outcome: Outcome) -> Spoken {
        Spoken { text: text.into(), outcome }
    }

    fn seen(at: u64, id: &str, text: &str) -> Seen {
        Seen { at, request_id: id.into(), text: text.into() }
    }

    fn drawn(socket: usize, id: &str, text: &str) -> Drawn {
        Drawn { socket, id: id.into(), text: text.into() }
    }

    fn past(id: &str, text: &str, incoming: bool) -> Past {
        let at = format!("2026-01-01T00:00:0{}Z", id.len());
        Past { id: id.into(), text: text.into(), incoming, at, files: Vec::new() }
    }

    /// Everything is fine, with a repeat and two lines without an answer.
    fn fine() -> Story {
        Story {
            name: "c".into(),
            user: vec![said("u1", Outcome::Taken), said("u2", Outcome::Taken), said("u3", Outcome::Unknown)],
            agent: vec![said("a1", Outcome::Taken), said("a2", Outcome::Unknown), said("a3", Outcome::Taken)],
            seen: vec![seen(9_000, "r1", "u1"), seen(9_900, "r2", "u2"), seen(11_000, "r2", "u2")],
            drawn: vec![drawn(0, "m", "a1"), drawn(1, "m", "a1"), drawn(1, "mmm", "a3")],
            history: vec![
                past("m", "a1", false),
                past("mm", "u1", true),
                past("xx", "u2", true),
                past("mmm", "a3", false),
            ],
        }
    }

    fn faults(change: impl Fn(&mut Story)) -> Vec<String> {
        let mut story = fine();
        change(&mut story);
        judge(&[story], &KILLS).faults
    }

    #[test]
    fn what_is_fine_is_fine() {
        let verdict = judge(&[fine()], &KILLS);
        assert_eq!(verdict.faults, Vec::<String>::new());
        assert_eq!(
            (verdict.user_lines, verdict.user_acked, verdict.repeats, verdict.sent_again),
            (3, 2, 1, 1)
        );
        assert_eq!((verdict.agent_lines, verdict.agent_taken, verdict.only_in_history), (3, 2, 0));
    }

    #[test]
    fn every_fault_is_found() {
        type Case = (&'static str, fn(&mut Story));
        let cases: [Case; 14] = [
            ("a lost acked line", |story| drop(story.seen.remove(0))),
            ("a repeat under another id", |story| story.seen[2].request_id = "r9".into()),
            ("a repeat long before the kill", |story| story.seen[1].at = 5_000),
            ("a repeat with no kill between", |story| {
                story.seen[1].at = 10_500;
            }),
            ("user lines out of order", |story| story.seen.swap(0, 1)),
            ("words that nobody said", |story| story.seen.push(seen(12_000, "r8", "ghost"))),
            ("a lost agent line", |story| {
                story.drawn.truncate(2);
                story.history.truncate(3);
            }),
            ("a doubled agent line", |story| story.drawn.push(drawn(1, "mmmm", "a3"))),
            ("an unanswered agent line twice", |story| {
                story.drawn.extend([drawn(2, "m2", "a2"), drawn(2, "m3", "a2")]);
            }),
            ("an agent line on no socket", |story| drop(story.drawn.pop())),
            ("agent lines out of order", |story| story.drawn.swap(1, 2)),
            ("a line missing in the history", |story| drop(story.history.remove(1))),
            ("a line doubled in the history", |story| story.history.push(past("m4444", "u2", true))),
            ("history out of order", |story| story.history.swap(0, 3)),
        ];
        for (name, change) in cases {
            assert!(!faults(change).is_empty(), "{name} was not found");
        }
    }
}
