//! What a conversation remembers between two inputs. It is stored as one JSON document of at most 256 kB.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::connection::Connection;
use super::facts::Facts;
use super::hold::Held;
use super::participant::Participant;
use super::profile::Profile;
use crate::flow::Private;
use crate::flow::memory::Memory;
use crate::transfer::Transfer;
use crate::{
    AppId, ConversationId, CustomerId, Epoch, IntegrationName, ParticipantNo, Seq, Time, TransferNo,
};

/// Names and tags that vendors tell take at most so many bytes of it.
const MAX_BRIEF: usize = 4_096;

/// So many participants' own settings are kept: those of the live transfer, and of some whose part ends.
pub(super) const MOST_SETUPS: usize = 8;

/// The beginning of a name or tag, so that the document stays bounded.
pub(super) fn brief(text: &str) -> String {
    text[..text.floor_char_boundary(MAX_BRIEF)].to_owned()
}

/// Who the customer talks to. Exactly one at any moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Owner {
    /// The bot.
    Bot,
    /// The agent of the live transfer.
    Agent,
    /// Nobody: the conversation is over.
    Closed,
}

impl Owner {
    /// As it stands in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Bot => "bot",
            Self::Agent => "agent",
            Self::Closed => "closed",
        }
    }
}

/// Who the customer is, as far as it travels along.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Customer {
    /// Our id.
    pub id: CustomerId,
    /// The channel integration.
    pub channel: IntegrationName,
    /// The person's address on that channel (web: the identity in the login).
    pub address: String,
    /// What the channel knew of the person when the conversation began.
    #[serde(default, skip_serializing_if = "Profile::is_empty")]
    pub profile: Profile,
    /// How the person reached us when the conversation began.
    #[serde(default, skip_serializing_if = "Connection::is_empty")]
    pub connection: Connection,
}

/// A conversation's state.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// The tenant.
    pub app: AppId,
    /// The conversation.
    pub id: ConversationId,
    /// The person.
    pub customer: Customer,
    /// Who owns it.
    pub owner: Owner,
    /// Raised with every change of owner.
    pub epoch: Epoch,
    /// The last entry of the log.
    pub head: Seq,
    /// The live transfer. It is there exactly while the owner is Agent.
    pub transfer: Option<Transfer>,
    /// How many transfers there were.
    pub transfers: TransferNo,
    /// How many transfers began since the customer last said something (loop guard).
    pub transfers_in_silence: u32,
    /// Participants that still take part. The store keeps the others.
    pub participants: Vec<Participant>,
    /// How many participants there were.
    pub participants_made: u32,
    /// Settings that scripts gave for the agent system of these participants alone: the newest [`MOST_SETUPS`].
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub setups: BTreeMap<ParticipantNo, Private>,
    /// Lines that wait for the interceptor, oldest first.
    pub held: Vec<Held>,
    /// Bot lines that were decided without the interceptor's word, which may still come: at most
    /// [`MAX_UNANSWERED`](super::hold::MAX_UNANSWERED), oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unanswered: Vec<Seq>,
    /// The published flows that the conversation began with ([`Flows::id`](crate::flow::Flows)); none: it knows of no
    /// set, and takes what is in force.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flows: Option<Arc<str>>,
    /// What the bot remembers.
    #[serde(default, skip_serializing_if = "Memory::is_empty")]
    pub bot: Memory,
    /// What is counted.
    #[serde(default, skip_serializing_if = "Facts::is_empty")]
    pub facts: Facts,
    /// When the customer last said something to the bot, or the conversation began; only where silence ends it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quiet: Option<Quiet>,
}

/// Since when a conversation with the bot is silent. The deadline moves only when it comes: it stands in an index.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quiet {
    /// When the customer last said something.
    pub since: Time,
    /// When it is looked at again.
    pub deadline: Time,
    /// The customer was reminded since.
    #[serde(default)]
    pub reminded: bool,
}

impl State {
    /// The state of a conversation in which nothing happened yet.
    pub fn new(app: AppId, id: ConversationId, customer: Customer) -> Self {
        Self {
            app,
            id,
            customer,
            owner: Owner::Bot,
            epoch: Epoch(1),
            head: Seq(0),
            transfer: None,
            transfers: TransferNo(0),
            transfers_in_silence: 0,
            participants: Vec::new(),
            participants_made: 0,
            setups: BTreeMap::new(),
            held: Vec::new(),
            unanswered: Vec::new(),
            flows: None,
            bot: Memory::default(),
            facts: Facts::default(),
            quiet: None,
        }
    }

    /// When [`super::input::Input::Tick`] is next worth its while.
    pub fn wake_at(&self) -> Option<Time> {
        let transfer = self.transfer.iter().map(|transfer| transfer.deadline);
        let held = self.held.iter().map(|held| held.until);
        let quiet = self.quiet.iter().filter(|_| self.owner == Owner::Bot).map(|quiet| quiet.deadline);
        let queue = self.transfer.iter().filter_map(|transfer| transfer.queue_run.as_ref()?.until);
        let bot = self.bot.at.iter().filter(|_| self.owner == Owner::Bot).filter_map(|at| at.until);
        transfer.chain(held).chain(quiet).chain(queue).chain(bot).min()
    }
}
