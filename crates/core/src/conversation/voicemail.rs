//! A voicemail: what a caller said after the beep, as the gateway recorded it, and who is told of it.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::call::CallRecord;
use super::entry::{Body, Note, Role, Speaker, Text};
use super::file::File;
use super::step::Work;
use crate::flow::script::Notify;
use crate::flow::work::{self, Notice, Task, built_in};
use crate::{IntegrationName, Time};

/// It is told for so long, milliseconds: a day.
const TOLD_FOR_MS: u64 = 24 * 3_600_000;

/// What ended a recording.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndedBy {
    /// The caller pressed the key.
    Key,
    /// The caller said nothing any more.
    Silence,
    /// It was as long as one may be.
    Length,
    /// The call was over.
    HangUp,
}

impl EndedBy {
    /// For people.
    pub fn in_words(self) -> &'static str {
        match self {
            Self::Key => "a key",
            Self::Silence => "silence",
            Self::Length => "its length",
            Self::HangUp => "the end of the call",
        }
    }
}

/// What was recorded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Voicemail {
    /// When the caller could begin to speak.
    pub began_at: Time,
    /// How long was listened, milliseconds.
    pub took_ms: u64,
    /// What ended it.
    pub ended_by: EndedBy,
    /// The recording; none: [`no_file`](Self::no_file) says why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<File>,
    /// Why there is no recording.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub no_file: Option<String>,
    /// What was said, as text; none: [`no_words`](Self::no_words) says why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub words: Option<String>,
    /// Why there is no text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub no_words: Option<String>,
    /// What the script wants told along.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub meta: Map<String, Value>,
}

/// A voicemail came in.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Recorded {
    /// What was recorded.
    pub voicemail: Voicemail,
    /// Who is told.
    pub notify: Notify,
    /// For the timeline.
    pub record: CallRecord,
}

impl Work<'_> {
    /// A voicemail is noted, named as a file of the customer's, and told. Also when the conversation is closed: a flow that has
    /// no more to say ends while the caller still speaks.
    pub(super) fn voicemail(&mut self, recorded: &Recorded) {
        let Recorded { voicemail, notify, record } = recorded;
        self.note(Note::Called(record.clone()));
        if let Some(file) = voicemail.file.clone() {
            let text = voicemail.words.clone().unwrap_or_default();
            // Nobody waits for it as an answer.
            self.write(
                Speaker::Customer,
                Role::Nobody,
                Body::Text(Text { files: vec![file], ..Text::plain(text) }),
            );
        }
        self.state.bot.works += 1;
        let notice = Notice { notify: notify.clone(), voicemail: voicemail.clone() };
        let piece = work::Work {
            no: self.state.bot.works,
            deadline_ms: TOLD_FOR_MS,
            task: Task::Notice(Box::new(notice)),
        };
        // One of its own, so that one who cannot be told holds up no other.
        let seq = self.state.head.next();
        let mut teller = self.join(&IntegrationName::from(built_in::NOTICES), Role::Bot, None, seq);
        teller.to = Some(seq);
        let participant = teller.no;
        self.put(teller);
        self.write(Speaker::Bot, Role::Bot, Body::Work { participant, work: Box::new(piece) });
    }
}
