//! Everything that can happen to a conversation.

use serde::{Deserialize, Serialize};

use super::call::CallRecord;
use super::classify::Call;
use super::entry::Text;
use super::request_id::RequestId;
use super::voicemail::Recorded;
use crate::flow::work;
use crate::transfer::reason::Failure;
use crate::{IntegrationName, ParticipantNo, Seq};

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Input {
    /// The customer opened the chat.
    Connected,
    /// The customer said something.
    CustomerSaid(Text),
    /// The customer said nothing for as long as was waited. Only from channels that measure it
    /// ([`Connection::times_input`](super::connection::Connection)).
    NoInput,
    /// The customer ended something.
    CustomerEnds(Scope),
    /// An agent system told something about one of its sessions.
    Agent {
        /// Whose session.
        participant: ParticipantNo,
        /// What.
        event: AgentEvent,
    },
    /// A BotKit called back.
    Callback {
        /// The integration whose participant the id names.
        integration: IntegrationName,
        /// The id that we gave it.
        id: RequestId,
        /// What it asks for.
        call: Call,
    },
    /// What came of a delivery. Only what the domain must know: that a text arrived is between store and dispatcher.
    Delivery {
        /// To whom.
        participant: ParticipantNo,
        /// Which entry.
        seq: Seq,
        /// The result.
        result: DeliveryResult,
    },
    /// What came of a piece of work of the flow.
    Worked {
        /// Which.
        no: u64,
        /// What came of it.
        outcome: work::Outcome,
    },
    /// An operator did something, by the API.
    Operator {
        /// Who: the name of the key.
        by: String,
        /// What.
        act: OperatorAct,
    },
    /// A leg of a call came to this. For the timeline alone.
    Called(CallRecord),
    /// A caller left a voicemail, or could have.
    Voicemail(Box<Recorded>),
    /// A deadline may have passed.
    Tick,
}

/// What operators do. Each is noted, also one that changes nothing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OperatorAct {
    /// Ends the live transfer, and the bot takes over; or the whole conversation.
    Ends(Scope),
    /// Gives up the try that is under way, and tries the same agent system anew. Nothing comes of it when an agent is
    /// there, or when the agent system takes nothing new.
    Retries,
    /// Says something to the customer, and to nobody else.
    Says {
        /// As shown to the customer.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        name: Option<String>,
        /// The words.
        text: String,
    },
    /// The entry that a failing participant is stuck at is passed by, undelivered: as if it had been refused. The caller
    /// moves the cursor in the same commit, and only if the participant is stuck there.
    Skips {
        /// Who is stuck.
        participant: ParticipantNo,
        /// At which entry.
        seq: Seq,
    },
    /// Gives a participant up, as if its session were gone: it hears nothing more, not even a Close. After an agent's the
    /// next rung opens. What an interceptor holds is decided by its policy; the next line begins a new session with it.
    Drops {
        /// Whom.
        participant: ParticipantNo,
    },
}

/// What a customer or an operator ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// The chat with the agent; the bot takes over.
    AgentChat,
    /// The whole conversation.
    Conversation,
}

/// What agent systems tell.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AgentEvent {
    /// The conversation is in a queue.
    Queued {
        /// The place in it, 1 is next.
        position: Option<u32>,
    },
    /// A human agent is there.
    Joined {
        /// As shown to customers.
        name: Option<String>,
    },
    /// The agent said something.
    Said {
        /// The words.
        text: Text,
        /// As shown to customers.
        name: Option<String>,
    },
    /// The agent's side is over.
    Ended {
        /// A tag or disposition.
        tag: Option<String>,
    },
    /// The conversation left our hands for good: a call was referred, or given back.
    HandedOff,
    /// It cannot be done.
    Failed(Failure),
    /// A leg of a call came to this. For the timeline alone.
    Called(CallRecord),
}

/// What came of a delivery.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryResult {
    /// The agent system accepted the Open.
    Accepted,
    /// This entry was refused.
    Refused(Failure),
    /// It may or may not have arrived, and the vendor offers no way to find out or to repeat it safely.
    Unconfirmed(Failure),
    /// It has been failing for a minute and goes on being tried.
    Stalled(Failure),
    /// The vendor's session no longer exists.
    Gone(Failure),
}
