//! A conversation's log as it is shown: every entry, the notes among them.

use interline_core::conversation::call;
use interline_core::conversation::entry;
use interline_core::conversation::input::{OperatorAct, Scope};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::at::At;
use super::words::{Failure, Outcome, Role, Target};

/// One line of the log. Never changed once written.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct Entry {
    /// Its position. The first is 1.
    pub seq: u64,
    /// When it was written.
    pub at: At,
    /// Who says it.
    pub by: Speaker,
    /// Who is to hear it.
    pub to: Role,
    /// The ownership under which it was said.
    pub epoch: u64,
    /// The transfer that it belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub transfer: Option<u32>,
    /// The held entry that this one releases or decides. It repeats words that are in the log already.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub release_of: Option<u64>,
    /// What.
    #[serde(flatten)]
    pub body: Body,
}

/// Who says an entry.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct Speaker {
    /// Who.
    pub role: SpeakerRole,
    /// An agent's or operator's name, as the customer sees it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub name: Option<String>,
}

/// Who says an entry. `system` is Interline itself.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum SpeakerRole {
    /// The customer.
    Customer,
    /// The bot.
    Bot,
    /// A human agent.
    Agent,
    /// An operator, by this API.
    Operator,
    /// Interline itself.
    System,
}

/// What an entry says. Kinds from `rung_opens` on are notes: nobody but operators sees them.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[schema(as = EntryBody)]
pub(crate) enum Body {
    /// Words.
    Text {
        /// Plain text.
        text: String,
        /// A message template of the web channel.
        #[serde(skip_serializing_if = "Option::is_none")]
        #[schema(value_type = Option<Object>, nullable = false)]
        rich: Option<Value>,
        /// The id that the sender's client gave it.
        #[serde(skip_serializing_if = "Option::is_none")]
        #[schema(nullable = false)]
        client_id: Option<String>,
        /// Files that came with the words.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        #[schema(required = false)]
        files: Vec<super::files::File>,
    },
    /// Asks an agent system to take over.
    Open,
    /// Tells a participant that its part is over.
    Close {
        /// Who is told.
        participant: u32,
        /// Why.
        outcome: Outcome,
    },
    /// Gives the conversation back to the bot.
    ReturnPackage {
        /// How the human part ended.
        outcome: Outcome,
        /// The agent's tag or disposition.
        #[serde(skip_serializing_if = "Option::is_none")]
        #[schema(nullable = false)]
        tag: Option<String>,
        /// The first entry of the human part.
        from: u64,
        /// Whether a human was there at all.
        talked: bool,
    },
    /// The conversation began.
    Opened,
    /// A place in the queue.
    Queued {
        /// 1 is next.
        position: u32,
    },
    /// A human agent is there.
    AgentJoined {
        /// As the customer sees it.
        #[serde(skip_serializing_if = "Option::is_none")]
        #[schema(nullable = false)]
        name: Option<String>,
    },
    /// The human part is over.
    AgentLeft,
    /// The conversation is over.
    Closed,
    /// The bot has said what it had to say; for channels that take turns.
    TurnDone,
    /// Something to do on a call.
    Voice,
    /// Work that the flow gave out: to an API, to an external bot, or a question about agents.
    Work {
        /// Who does it.
        participant: u32,
        /// Which piece it is in the conversation.
        work: u64,
        /// `api`, `availability`, `bots`, `notices`.
        task: String,
    },
    /// An agent system is tried.
    RungOpens {
        /// Which.
        target: Target,
    },
    /// A try failed.
    RungFailed {
        /// Which.
        target: Target,
        /// Why.
        failure: Failure,
    },
    /// A transfer ended.
    TransferEnded {
        /// How.
        outcome: Outcome,
    },
    /// Somebody who is not the owner any more said this. It was not passed on.
    Late {
        /// What it was.
        what: String,
        /// The words, if any.
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
        entry: u64,
        /// By whom.
        participant: u32,
        /// What the other side said.
        code: String,
    },
    /// It is not known whether a delivery arrived; it was not repeated.
    Unconfirmed {
        /// Which entry.
        entry: u64,
        /// To whom.
        participant: u32,
    },
    /// Deliveries have been failing for a minute.
    Stalled {
        /// To whom.
        participant: u32,
        /// The last error.
        code: String,
    },
    /// An operator did something, or tried to.
    Operator {
        /// The name of the key.
        key: String,
        /// What.
        #[serde(flatten)]
        act: Act,
    },
    /// A node of a flow failed.
    FlowFailed {
        /// The flow.
        flow: String,
        /// The node.
        node: String,
        /// Why.
        why: String,
    },
    /// What a script wrote to its log.
    ScriptLog {
        /// The flow.
        flow: String,
        /// The node.
        node: String,
        /// The lines.
        lines: Vec<String>,
    },
    /// What came of a piece of work.
    Worked {
        /// Which.
        work: u64,
        /// In a word: `200`, `available`, `timeout`.
        came: String,
    },
    /// What a leg of a call came to. No digits, and no value that may be a secret.
    Called {
        /// Whose side.
        leg: Leg,
        /// `INVITE`, `REFER`, `BYE`, `VOICEMAIL`.
        method: String,
        /// Whom it concerned: a SIP URI, or what was dialled.
        target: String,
        /// The header fields that were sent along.
        sent: Vec<SentField>,
        /// The SIP code that decided it.
        #[serde(skip_serializing_if = "Option::is_none")]
        #[schema(nullable = false)]
        code: Option<u16>,
        /// The `Reason` that the other side gave (RFC 3326).
        #[serde(skip_serializing_if = "Option::is_none")]
        #[schema(nullable = false)]
        reason: Option<String>,
        /// In words: `answered`, `refused`, `the caller left`, …
        result: String,
        /// How long it took, milliseconds.
        took_ms: u64,
    },
    /// A session at a vendor is gone.
    Gone {
        /// Whose.
        participant: u32,
        /// What the other side said.
        code: String,
    },
}

/// Whose side of a call.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Leg {
    /// Who called.
    Caller,
    /// Whom we called.
    Agent,
}

/// A header field that was sent along.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct SentField {
    /// Its name, as it was sent.
    pub name: String,
    /// Its value, where that is nobody's secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub value: Option<String>,
}

impl From<call::CallRecord> for Body {
    fn from(record: call::CallRecord) -> Self {
        let call::CallRecord { leg, method, target, sent, code, reason, result, took_ms } = record;
        let leg = match leg {
            call::CallLeg::Caller => Leg::Caller,
            call::CallLeg::Agent => Leg::Agent,
        };
        let sent =
            sent.into_iter().map(|call::SentField { name, value }| SentField { name, value }).collect();
        Self::Called { leg, method, target, sent, code, reason, result, took_ms }
    }
}

/// What an operator did.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = OperatorAct)]
pub(crate) struct Act {
    /// What.
    pub act: ActKind,
    /// To which participant.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub participant: Option<u32>,
    /// With which entry.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub entry: Option<u64>,
}

/// What operators do. The words of `say` are an entry of their own.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = OperatorActKind)]
pub(crate) enum ActKind {
    /// Ended the human part.
    EndTransfer,
    /// Ended the conversation.
    EndConversation,
    /// Tried the agent system anew.
    RetryTransfer,
    /// Said something.
    Say,
    /// Passed an entry by.
    Skip,
    /// Gave a participant up.
    Drop,
}

impl From<entry::Entry> for Entry {
    fn from(entry: entry::Entry) -> Self {
        Self {
            seq: entry.seq.0,
            at: entry.at.into(),
            by: entry.by.into(),
            to: entry.to.into(),
            epoch: entry.epoch.0,
            transfer: entry.transfer.map(|transfer| transfer.0),
            release_of: entry.release_of.map(|seq| seq.0),
            body: entry.body.into(),
        }
    }
}

impl From<entry::Speaker> for Speaker {
    fn from(speaker: entry::Speaker) -> Self {
        let (role, name) = match speaker {
            entry::Speaker::Customer => (SpeakerRole::Customer, None),
            entry::Speaker::Bot => (SpeakerRole::Bot, None),
            entry::Speaker::Agent { name } => (SpeakerRole::Agent, name),
            entry::Speaker::Operator { name } => (SpeakerRole::Operator, name),
            entry::Speaker::System => (SpeakerRole::System, None),
        };
        Self { role, name }
    }
}

impl From<entry::Body> for Body {
    fn from(body: entry::Body) -> Self {
        match body {
            entry::Body::Text(entry::Text { text, rich, client_id, files, recording: _, heard: _ }) => {
                Self::Text {
                    text,
                    rich,
                    client_id,
                    files: files.into_iter().map(super::files::File::from).collect(),
                }
            }
            entry::Body::Open => Self::Open,
            entry::Body::Close { participant, outcome } => {
                Self::Close { participant: participant.0, outcome: outcome.into() }
            }
            entry::Body::ReturnPackage(entry::ReturnPackage { outcome, tag, from, talked }) => {
                Self::ReturnPackage { outcome: outcome.into(), tag, from: from.0, talked }
            }
            entry::Body::Opened => Self::Opened,
            entry::Body::Queued { position } => Self::Queued { position },
            entry::Body::AgentJoined { name } => Self::AgentJoined { name },
            entry::Body::AgentLeft => Self::AgentLeft,
            entry::Body::Closed => Self::Closed,
            entry::Body::TurnDone(_) => Self::TurnDone,
            entry::Body::Voice(_) => Self::Voice,
            entry::Body::Work { participant, work } => Self::Work {
                participant: participant.0,
                work: work.no,
                task: work.task.performer()[1..].to_owned(),
            },
            entry::Body::Note(note) => note.into(),
        }
    }
}

impl From<entry::Note> for Body {
    fn from(note: entry::Note) -> Self {
        match note {
            entry::Note::RungOpens(target) => Self::RungOpens { target: target.into() },
            entry::Note::RungFailed { target, failure } => {
                Self::RungFailed { target: target.into(), failure: failure.into() }
            }
            entry::Note::TransferEnded(outcome) => Self::TransferEnded { outcome: outcome.into() },
            entry::Note::Late { what, text } => Self::Late { what, text },
            entry::Note::Skipped => Self::Skipped,
            entry::Note::PassedOn => Self::PassedOn,
            entry::Note::Dropped => Self::Dropped,
            entry::Note::Refused { seq, participant, code } => {
                Self::Refused { entry: seq.0, participant: participant.0, code }
            }
            entry::Note::Unconfirmed { seq, participant } => {
                Self::Unconfirmed { entry: seq.0, participant: participant.0 }
            }
            entry::Note::Stalled { participant, code } => Self::Stalled { participant: participant.0, code },
            entry::Note::Operator { by, act } => Self::Operator { key: by, act: act.into() },
            entry::Note::FlowFailed { place, why } => {
                Self::FlowFailed { flow: place.flow.to_string(), node: place.node.to_string(), why }
            }
            entry::Note::ScriptLog { place, lines } => {
                Self::ScriptLog { flow: place.flow.to_string(), node: place.node.to_string(), lines }
            }
            entry::Note::Worked { no, came } => Self::Worked { work: no, came },
            entry::Note::Called(record) => record.into(),
            entry::Note::Gone { participant, code } => Self::Gone { participant: participant.0, code },
        }
    }
}

impl From<OperatorAct> for Act {
    fn from(act: OperatorAct) -> Self {
        let only = |act| Self { act, participant: None, entry: None };
        match act {
            OperatorAct::Ends(Scope::AgentChat) => only(ActKind::EndTransfer),
            OperatorAct::Ends(Scope::Conversation) => only(ActKind::EndConversation),
            OperatorAct::Retries => only(ActKind::RetryTransfer),
            OperatorAct::Says { .. } => only(ActKind::Say),
            OperatorAct::Skips { participant, seq } => {
                Self { act: ActKind::Skip, participant: Some(participant.0), entry: Some(seq.0) }
            }
            OperatorAct::Drops { participant } => {
                Self { act: ActKind::Drop, participant: Some(participant.0), entry: None }
            }
        }
    }
}
