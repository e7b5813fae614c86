//! The judge of files in the kill test: what was sent against what every side has. [`checker`](crate::checker) judges the
//! lines; this, what came with them.
//!
//! | what | where | must be |
//! |---|---|---|
//! | a line that is there | BotKit, sockets, history, the log | with its files, in their order, none more and none less |
//! | a file of a line | each link that leads to it | the bytes that were sent |
//! | an upload whose last answer was 200 | the log, in the end | there, once, under its id, with its size and its bytes |
//! | a file that the log names | the operator's download | the bytes that its entry tells of |

use std::collections::{BTreeMap, BTreeSet};

use crate::files::Facts;

/// What came of fetching a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fetched {
    /// It was not tried here.
    NotTried,
    /// So many bytes with this hash.
    Got {
        /// In bytes.
        size: u64,
        /// Lower-case hexadecimal.
        sha256: String,
    },
    /// It could not be fetched.
    Failed(String),
}

impl Fetched {
    /// These bytes came.
    pub fn got(bytes: &[u8]) -> Self {
        Self::Got { size: bytes.len() as u64, sha256: crate::files::sha256(bytes) }
    }
}

/// A file as it is told somewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// `fil_…`.
    pub id: String,
    /// What it is said to be called.
    pub name: String,
    /// How large it is said to be.
    pub size: u64,
    /// What its link gave.
    pub fetched: Fetched,
}

/// A line somewhere, with its files.
#[derive(Debug, Clone)]
pub struct Place {
    /// `BotKit`, `history`, …
    pub at: String,
    /// The words, without the lines that stand for files.
    pub words: String,
    /// Its files.
    pub files: Vec<Told>,
}

/// An upload that was answered 200.
#[derive(Debug, Clone)]
pub struct Stored {
    /// The id of the answer.
    pub id: String,
    /// What was sent.
    pub facts: Facts,
}

/// A conversation.
#[derive(Debug, Clone, Default)]
pub struct FileStory {
    /// Names it in faults.
    pub name: String,
    /// What was sent with each line, by its words. Every line of both sides is here.
    pub said: BTreeMap<String, Vec<Facts>>,
    /// Where lines turned up.
    pub places: Vec<Place>,
    /// All that was answered 200.
    pub stored: Vec<Stored>,
    /// All files that the log names, with what the operator's download gave.
    pub logged: Vec<Told>,
}

/// The verdict.
#[derive(Debug, Clone, Default)]
pub struct FileVerdict {
    /// Each with its conversation.
    pub faults: Vec<String>,
    /// Uploads that were answered 200.
    pub stored: usize,
    /// Files that entries name.
    pub logged: usize,
    /// Files whose bytes were compared.
    pub compared: usize,
    /// Bytes of these.
    pub bytes: u64,
}

/// Judges all conversations.
pub fn judge(stories: &[FileStory]) -> FileVerdict {
    let mut verdict = FileVerdict::default();
    let mut ids = BTreeSet::new();
    for story in stories {
        let mut judge = Judge { story, verdict: &mut verdict };
        judge.lines();
        judge.stored(&mut ids);
        judge.logged();
    }
    verdict
}

struct Judge<'a> {
    story: &'a FileStory,
    verdict: &'a mut FileVerdict,
}

impl Judge<'_> {
    fn fault(&mut self, fault: String) {
        self.verdict.faults.push(format!("{}: {fault}", self.story.name));
    }

    fn lines(&mut self) {
        let story = self.story;
        for place in &story.places {
            let Some(said) = story.said.get(&place.words) else {
                if !place.files.is_empty() {
                    self.fault(format!("{}: `{}` has files, and nobody said it", place.at, place.words));
                }
                continue;
            };
            let told: Vec<(&str, u64)> =
                place.files.iter().map(|file| (file.name.as_str(), file.size)).collect();
            let sent: Vec<(&str, u64)> = said.iter().map(|file| (file.name.as_str(), file.size)).collect();
            if told != sent {
                self.fault(format!("{}: `{}` has {told:?}, not {sent:?}", place.at, place.words));
                continue;
            }
            for (told, sent) in place.files.iter().zip(said) {
                self.compare(&format!("{}: `{}`", place.at, place.words), told, &sent.sha256);
            }
        }
    }

    fn compare(&mut self, at: &str, told: &Told, wanted: &str) {
        match &told.fetched {
            Fetched::NotTried => {}
            Fetched::Failed(why) => self.fault(format!("{at}: {} cannot be fetched: {why}", told.name)),
            Fetched::Got { size, sha256 } => {
                self.verdict.compared += 1;
                self.verdict.bytes += size;
                if *size != told.size || sha256 != wanted {
                    self.fault(format!(
                        "{at}: {} has {size} bytes with {sha256}, not {} with {wanted}",
                        told.name, told.size
                    ));
                }
            }
        }
    }

    /// Nothing that was acknowledged is lost, or there twice.
    fn stored(&mut self, ids: &mut BTreeSet<String>) {
        let story = self.story;
        self.verdict.stored += story.stored.len();
        for Stored { id, facts } in &story.stored {
            if !ids.insert(id.clone()) {
                self.fault(format!("{id} is the id of two uploads"));
            }
            let there: Vec<&Told> = story.logged.iter().filter(|told| told.id == *id).collect();
            match there[..] {
                [told] => {
                    if (&told.name, told.size) != (&facts.name, facts.size) {
                        self.fault(format!("{id} was {facts:?}, and is {told:?}"));
                    }
                    self.compare("an acknowledged upload", told, &facts.sha256);
                }
                _ => self.fault(format!(
                    "{id} ({}) was acknowledged, and is there {} times",
                    facts.name,
                    there.len()
                )),
            }
        }
    }

    /// What an entry names is there, and is something that somebody sent.
    fn logged(&mut self) {
        let story = self.story;
        self.verdict.logged += story.logged.len();
        for told in &story.logged {
            let mut sent = story.said.values().flatten();
            match &told.fetched {
                Fetched::Got { size, sha256 } => {
                    if !sent.any(|sent| (&sent.name, sent.size, &sent.sha256) == (&told.name, *size, sha256))
                    {
                        self.fault(format!(
                            "the log names {} ({}), which nobody sent so",
                            told.id, told.name
                        ));
                    }
                }
                Fetched::NotTried => self.fault(format!("{} was not looked at", told.id)),
                Fetched::Failed(why) => {
                    self.fault(format!(
                        "the log names {} ({}), which is not there: {why}",
                        told.id, told.name
                    ));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(id: &str, name: &str, bytes: &[u8]) -> Told {
        Told { id: id.into(), name: name.into(), size: bytes.len() as u64, fetched: Fetched::got(bytes) }
    }

    fn place(at: &str, words: &str, files: Vec<Told>) -> Place {
        Place { at: at.into(), words: words.into(), files }
    }

    fn fine() -> FileStory {
        let (a, b) = (Facts::of("a.txt", b"aa"), Facts::of("b.txt", b"bbb"));
        let (told_a, told_b) = (told("fil_1", "a.txt", b"aa"), told("fil_2", "b.txt", b"bbb"));
        let unseen = Told { fetched: Fetched::NotTried, ..told_a.clone() };
        FileStory {
            name: "c".into(),
            said: [
                ("one".into(), vec![a.clone(), b]),
                ("two".into(), vec![]),
                ("lost".into(), vec![a.clone()]),
            ]
            .into(),
            places: vec![
                place("BotKit", "one", vec![told_a.clone(), told_b.clone()]),
                place("socket", "one", vec![unseen, told_b.clone()]),
                place("history", "two", vec![]),
                place("history", "Hello!", vec![]),
            ],
            stored: vec![Stored { id: "fil_1".into(), facts: a }],
            logged: vec![told_a, told_b],
        }
    }

    #[test]
    fn what_is_fine_is_fine() {
        let verdict = judge(&[fine()]);
        assert_eq!(verdict.faults, Vec::<String>::new());
        assert_eq!((verdict.stored, verdict.logged, verdict.compared), (1, 2, 4));
    }

    #[test]
    fn every_fault_is_found() {
        type Case = (&'static str, fn(&mut FileStory));
        let cases: [Case; 12] = [
            ("a line without its files", |story| story.places[0].files.clear()),
            ("a line with one file too few", |story| drop(story.places[0].files.pop())),
            ("a line with a file too many", |story| story.places[2].files.push(told("fil_3", "c.txt", b"c"))),
            ("files in another order", |story| story.places[0].files.swap(0, 1)),
            ("other bytes", |story| story.places[0].files[0] = told("fil_1", "a.txt", b"ab")),
            ("fewer bytes than are told", |story| story.places[0].files[0].fetched = Fetched::got(b"a")),
            ("a link that leads nowhere", |story| {
                story.places[0].files[0].fetched = Fetched::Failed("404".into());
            }),
            ("an acknowledged upload that is lost", |story| drop(story.logged.remove(0))),
            ("an acknowledged upload that is there twice", |story| {
                story.logged.push(story.logged[0].clone())
            }),
            ("an acknowledged upload with other bytes", |story| {
                story.logged[0].fetched = Fetched::got(b"ab");
            }),
            ("an id of two uploads", |story| story.stored.push(story.stored[0].clone())),
            ("an entry that names a missing file", |story| {
                story.logged[1].fetched = Fetched::Failed("404".into());
            }),
        ];
        for (name, change) in cases {
            let mut story = fine();
            change(&mut story);
            assert!(!judge(&[story]).faults.is_empty(), "{name} was not found");
        }
    }
}
