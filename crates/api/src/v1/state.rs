//! A conversation's state as it is shown: the same shapes in lists, single views and live transfers.

use interline_connector::channel;
use interline_core::{conversation, transfer};
use interline_engine::{CustomerFound, Detail, Overview, Seat};
use serde::Serialize;
use utoipa::ToSchema;

use super::at::At;
use super::words::{Owner, Role, Stage, Target};

/// A person at one address of one channel.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct CustomerRef {
    /// `cus_…`.
    pub id: String,
    /// The channel's name.
    pub channel: String,
    /// The address there (web: the subject of the login).
    pub address: String,
}

impl From<conversation::state::Customer> for CustomerRef {
    fn from(customer: conversation::state::Customer) -> Self {
        let conversation::state::Customer { id, channel, address, profile: _, connection: _ } = customer;
        Self { id: id.to_string(), channel: channel.to_string(), address }
    }
}

/// A customer.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct Customer {
    /// `cus_…`.
    pub id: String,
    /// The channel's name.
    pub channel: String,
    /// The address there (web: the subject of the login).
    pub address: String,
    /// When they first came.
    pub created_at: At,
}

impl From<CustomerFound> for Customer {
    fn from(found: CustomerFound) -> Self {
        let CustomerFound { id, channel, address, created_at } = found;
        Self { id, channel, address, created_at: At(created_at) }
    }
}

/// A live transfer, in short.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct TransferRef {
    /// Its number in the conversation.
    pub no: u32,
    /// Where it stands.
    pub stage: Stage,
}

/// A live transfer.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct Transfer {
    /// Its number in the conversation.
    pub no: u32,
    /// Where it stands.
    pub stage: Stage,
    /// Since when it stands there.
    pub stage_since: At,
    /// When that is over, or, while talking, when it is looked at again.
    pub deadline: At,
    /// The entry that asked for it.
    pub first: u64,
    /// The flow's node that asked for it. Not there: the agent's side began by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub node: Option<String>,
    /// The agent system that is being tried, or talks.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub rung: Option<Rung>,
    /// What will be tried after it, next first.
    pub ladder: Vec<Target>,
    /// How many were tried so far.
    pub tried: usize,
    /// An agent was there at least once.
    pub talked: bool,
    /// The agent's name, if the agent system tells it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub agent: Option<String>,
    /// While waiting: the place in the queue, 1 is next, if the agent system tells it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub position: Option<u32>,
}

/// One try of a transfer.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct Rung {
    /// Where it goes.
    #[serde(flatten)]
    pub target: Target,
    /// The participant's number.
    pub participant: u32,
}

impl From<transfer::Transfer> for Transfer {
    fn from(transfer: transfer::Transfer) -> Self {
        let rung =
            |rung: transfer::Rung| Rung { target: rung.target.into(), participant: rung.participant.0 };
        Self {
            no: transfer.no.0,
            stage: transfer.stage.into(),
            stage_since: transfer.since.into(),
            deadline: transfer.deadline.into(),
            first: transfer.first.0,
            node: transfer.node.map(|node| node.to_string()),
            rung: transfer.rung.map(rung),
            ladder: transfer.ladder.into_iter().map(Into::into).collect(),
            tried: transfer.tried,
            talked: transfer.talked,
            agent: transfer.agent,
            position: transfer.position,
        }
    }
}

/// A conversation in a list.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct ConversationSummary {
    /// `cnv_…`.
    pub id: String,
    /// Who owns it.
    pub owner: Owner,
    /// The person.
    pub customer: CustomerRef,
    /// When it began.
    pub opened_at: At,
    /// When it was over.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub closed_at: Option<At>,
    /// The last entry of its log.
    pub head: u64,
    /// How many transfers there were, the live one among them.
    pub transfers: u32,
    /// The live transfer.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub transfer: Option<TransferRef>,
}

impl From<Overview> for ConversationSummary {
    fn from(overview: Overview) -> Self {
        let Overview { state, opened_at, closed_at } = overview;
        Self {
            id: state.id.to_string(),
            owner: state.owner.into(),
            customer: state.customer.into(),
            opened_at: At(opened_at),
            closed_at: closed_at.map(At),
            head: state.head.0,
            transfers: state.transfers.0,
            transfer: state
                .transfer
                .map(|transfer| TransferRef { no: transfer.no.0, stage: transfer.stage.into() }),
        }
    }
}

/// What the customer is up against.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Phase {
    /// The bot.
    Bot,
    /// A human was asked for and is not there yet.
    Waiting,
    /// A human agent.
    Agent,
    /// Nobody.
    Closed,
}

impl From<channel::Phase> for Phase {
    fn from(phase: channel::Phase) -> Self {
        match phase {
            channel::Phase::Closed => Self::Closed,
            channel::Phase::Bot => Self::Bot,
            channel::Phase::Waiting { .. } => Self::Waiting,
            channel::Phase::Agent { .. } => Self::Agent,
        }
    }
}

/// A conversation.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct Conversation {
    /// `cnv_…`.
    pub id: String,
    /// Who owns it.
    pub owner: Owner,
    /// Whom the customer talks to.
    pub phase: Phase,
    /// Raised with every change of owner.
    pub epoch: u64,
    /// The last entry of its log.
    pub head: u64,
    /// When it began.
    pub opened_at: At,
    /// When it was over.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub closed_at: Option<At>,
    /// The person.
    pub customer: CustomerRef,
    /// The customer has everything up to this entry.
    pub customer_delivered: u64,
    /// The customer read everything up to this entry.
    pub customer_read: u64,
    /// How many transfers there were, the live one among them.
    pub transfers: u32,
    /// The live transfer.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub transfer: Option<Transfer>,
    /// How many lines wait for the interceptor.
    pub held: usize,
    /// Who takes or took part, by number.
    pub participants: Vec<Participant>,
}

impl Conversation {
    /// As shown. `next` are the entries that failing participants are stuck at.
    pub fn of(detail: Detail, next: impl Fn(u32) -> Option<u64>) -> Self {
        let phase = detail.overview.phase().into();
        let Detail { overview: Overview { state, opened_at, closed_at }, seats, .. } = detail;
        let participant = |seat: Seat| {
            let next = next(seat.participant.no.0);
            Participant { next, ..Participant::from(seat) }
        };
        Self {
            id: state.id.to_string(),
            owner: state.owner.into(),
            phase,
            epoch: state.epoch.0,
            head: state.head.0,
            opened_at: At(opened_at),
            closed_at: closed_at.map(At),
            customer: state.customer.into(),
            customer_delivered: detail.customer_delivered.0,
            customer_read: detail.customer_read.0,
            transfers: state.transfers.0,
            transfer: state.transfer.map(Into::into),
            held: state.held.len(),
            participants: seats.into_iter().map(participant).collect(),
        }
    }
}

/// One integration's session in a conversation, and how far it heard the log.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct Participant {
    /// Its number in the conversation.
    pub no: u32,
    /// The integration's name.
    pub integration: String,
    /// The role it plays.
    pub role: Role,
    /// An agent's transfer.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub transfer: Option<u32>,
    /// An agent's queue or skill.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub queue: Option<String>,
    /// The first entry that it may hear.
    pub from: u64,
    /// The last entry that it may hear. Not there: it still takes part.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub to: Option<u64>,
    /// Delivered, or passed by, up to this entry.
    pub cursor: u64,
    /// The last entry that is for it.
    pub head: u64,
    /// The other side got everything up to this entry.
    pub delivered: u64,
    /// The other side read everything up to this entry.
    pub read: u64,
    /// Failed tries at the entry that is next.
    pub attempts: i64,
    /// Since when it has been failing.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub failing_since: Option<At>,
    /// When it is tried next.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub due_at: Option<At>,
    /// It has been failing for a minute.
    pub stalled: bool,
    /// The last failure, in the other side's words.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub last_error: Option<String>,
    /// The entry that it is stuck at. Shown with a single conversation, while it fails.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub next: Option<u64>,
    /// Its session at the vendor no longer exists, or it was given up.
    pub gone: bool,
    /// Nothing will be delivered to it any more.
    pub done: bool,
}

impl From<Seat> for Participant {
    fn from(seat: Seat) -> Self {
        let who = seat.participant;
        Self {
            no: who.no.0,
            integration: who.integration.to_string(),
            role: who.role.into(),
            transfer: who.transfer.map(|transfer| transfer.0),
            queue: who.queue,
            from: who.from.0,
            to: who.to.map(|to| to.0),
            cursor: seat.cursor.0,
            head: seat.head.0,
            delivered: seat.delivered.0,
            read: seat.read.0,
            attempts: seat.attempts,
            failing_since: seat.failing_since.map(At),
            due_at: seat.due_at.map(At),
            stalled: seat.stalled,
            last_error: seat.last_error,
            next: None,
            gone: who.gone,
            done: seat.done,
        }
    }
}
