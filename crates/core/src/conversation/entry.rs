//! One line of the log: who, what, for which role, under which epoch and transfer, when.

use serde::{Deserialize, Serialize};

use super::call::CallRecord;
use super::file::File;
use super::input::OperatorAct;
use crate::flow::work::Work;
use crate::flow::{Expects, Place, script};
use crate::transfer::reason::{Failure, Outcome};
use crate::transfer::target::Target;
use crate::{Epoch, ParticipantNo, Seq, Time, TransferNo};

/// One line of the log. Never changed once written.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// Its position.
    pub seq: Seq,
    /// When it was written.
    pub at: Time,
    /// Who says it.
    pub by: Speaker,
    /// Who is to hear it.
    pub to: Role,
    /// The ownership under which it was said.
    pub epoch: Epoch,
    /// The transfer it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transfer: Option<TransferNo>,
    /// The held entry that this one releases or decides. Such an entry repeats words already in the log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release_of: Option<Seq>,
    /// What.
    pub body: Body,
}

/// Who says an entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Speaker {
    /// The customer.
    Customer,
    /// The bot: the flow, or an external bot.
    Bot,
    /// A human agent, with the name if the agent system tells it.
    Agent {
        /// As the agent system shows it to customers.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        name: Option<String>,
    },
    /// An operator of ours, by the API, with the name that was given for the customer to see.
    Operator {
        /// As shown to customers.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        name: Option<String>,
    },
    /// Interline itself.
    System,
}

/// Who hears an entry. Roles, not participants: "the agent of transfer 2".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// The customer, by the channel.
    Customer,
    /// The bot.
    Bot,
    /// Whoever plays the agent in the entry's transfer.
    Agent,
    /// The one that sees every line between customer and bot first.
    Interceptor,
    /// Nobody: a note for the timeline.
    Nobody,
}

/// What an entry says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Body {
    /// Words.
    Text(Text),
    /// Asks an agent system to take over. The entries before it are the context that travels along.
    Open,
    /// Tells one participant that its part is over.
    Close {
        /// Who is told.
        participant: ParticipantNo,
        /// Why.
        outcome: Outcome,
    },
    /// Gives the conversation back to the bot: how the human part ended, and where it stands in the log.
    ReturnPackage(ReturnPackage),
    /// The session began.
    Opened,
    /// A position in the queue, 1 is next.
    Queued {
        /// The position.
        position: u32,
    },
    /// A human agent is there.
    AgentJoined {
        /// As shown to customers.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        name: Option<String>,
    },
    /// The human part is over.
    AgentLeft,
    /// The conversation is over.
    Closed,
    /// The bot has said what it had to say: this is what it expects now. Only where the channel takes turns.
    TurnDone(Expects),
    /// Something to do on a call.
    Voice(script::Voice),
    /// Work for a built-in participant.
    Work {
        /// Who does it.
        participant: ParticipantNo,
        /// What.
        work: Box<Work>,
    },
    /// For the timeline only.
    Note(Note),
}

/// Words, and how they came.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Text {
    /// Plain text; for a rich message what stands for it where nothing richer can be shown.
    pub text: String,
    /// A message template of the web channel (JSON as the channel defines it).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rich: Option<serde_json::Value>,
    /// Files that come with the words, or without any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<File>,
    /// The id that the sender's client gave it; receipts name it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    /// How the words are to be heard: a recording that stands for them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recording: Option<Recording>,
    /// How a caller's words or keys came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heard: Option<Heard>,
}

/// A recording that stands for words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Recording {
    /// The name of an audio file that the voice gateway has.
    Audio(String),
    /// The URL of an audio file.
    Link(String),
}

/// How a caller's words or keys came.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Heard {
    /// By keys.
    pub keys: bool,
    /// What the recogniser told of it, by its names (`confidence`, `interpretation`, …): scripts find it under
    /// `BotUserSession.lastMessage.asrMetaData`.
    #[serde(skip_serializing_if = "serde_json::Map::is_empty")]
    pub asr: serde_json::Map<String, serde_json::Value>,
}

impl Text {
    /// Plain words.
    pub fn plain(text: impl Into<String>) -> Self {
        Self { text: text.into(), ..Self::default() }
    }

    /// Whether nothing is said by it.
    pub fn is_empty(&self) -> bool {
        self.text.is_empty() && self.rich.is_none() && self.files.is_empty() && self.recording.is_none()
    }
}

/// What the bot is told when it gets the conversation back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReturnPackage {
    /// How the human part ended.
    pub outcome: Outcome,
    /// The agent's tag or disposition.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
    /// The first entry of the human part. What was said meanwhile is everything from here to this entry.
    pub from: Seq,
    /// Whether a human was there at all.
    pub talked: bool,
}

/// What the timeline shows beside what was said.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Note {
    /// A rung of a transfer opens.
    RungOpens(Target),
    /// A rung failed.
    RungFailed {
        /// Which.
        target: Target,
        /// Why.
        failure: Failure,
    },
    /// A transfer ended.
    TransferEnded(Outcome),
    /// Somebody who is not the owner any more said this. It was not passed on.
    Late {
        /// What it was.
        what: String,
        /// The words, if any.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        text: String,
    },
    /// A held line was dropped by its interceptor.
    Skipped,
    /// A held line went on because its interceptor did not answer in time, failed, or held too many.
    PassedOn,
    /// A held line was dropped by policy for the same reasons.
    Dropped,
    /// A delivery was refused.
    Refused {
        /// Which entry.
        seq: Seq,
        /// By whom.
        participant: ParticipantNo,
        /// What the other side said.
        code: String,
    },
    /// It is not known whether a delivery arrived; it was not repeated.
    Unconfirmed {
        /// Which entry.
        seq: Seq,
        /// To whom.
        participant: ParticipantNo,
    },
    /// Deliveries to a participant have been failing for a minute.
    Stalled {
        /// Who.
        participant: ParticipantNo,
        /// The last error.
        code: String,
    },
    /// An operator did something, or tried to.
    Operator {
        /// Who: the name of the key.
        by: String,
        /// What.
        act: OperatorAct,
    },
    /// A node of a flow failed.
    FlowFailed {
        /// Which.
        place: Place,
        /// Why, for the flow's author.
        why: String,
    },
    /// What scripts wrote to their log.
    ScriptLog {
        /// Which node.
        place: Place,
        /// The lines.
        lines: Vec<String>,
    },
    /// A piece of work came to this.
    Worked {
        /// Which.
        no: u64,
        /// In a word: `200`, `available`, `timeout`.
        came: String,
    },
    /// What a leg of a call came to.
    Called(CallRecord),
    /// A participant's session at its vendor is gone.
    Gone {
        /// Who.
        participant: ParticipantNo,
        /// What the other side said.
        code: String,
    },
}
