//! One hand-over, from its request to its outcome.
//!
//! ```text
//! Requested ─► Opening ─► Waiting ─► Talking ─► Closing ─► ended(Outcome)
//!     └───────────┴──────────┴─────────┴── failure ─► Opening of the next rung, else ended(Failed)
//! ```
//!
//! A *rung* is one try with one agent system and is played by one participant. The owner of the conversation is
//! Agent from Requested until the end. How the machine moves stands in `conversation/handover.rs`, because every
//! move also writes entries; this folder holds what a transfer *is*.

pub mod ask;
pub mod deadline;
pub mod reason;
pub mod target;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use ask::Ask;
pub use reason::{Failure, Outcome, Reason};
pub use target::Target;

use crate::flow::memory::At;
use crate::flow::{FlowName, MAIN, NodeId, Place};
use crate::{File, ParticipantNo, Seq, Time, TransferNo};

/// At most so many rungs are tried in one transfer.
pub const MAX_RUNGS: usize = 5;

/// Where a transfer stands. There is no "Ended": a transfer that ended is no longer in the state, but in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Asked for; earlier lines are still with the interceptor, or the summary is being made.
    Requested,
    /// The agent system was asked and has not answered yet.
    Opening,
    /// Accepted; the customer is in a queue.
    Waiting,
    /// An agent is there.
    Talking,
    /// The agent left; its last words may still be on the way.
    Closing,
}

/// A live transfer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Transfer {
    /// Which one it is in its conversation.
    pub no: TransferNo,
    /// Where it stands.
    pub stage: Stage,
    /// Its first entry, the Open. Every rung's participant starts here.
    pub first: Seq,
    /// When the stage began.
    pub since: Time,
    /// When somebody last spoke, or the stage began.
    pub last_line: Time,
    /// When the stage is over, or, while Talking, when it is looked at again.
    pub deadline: Time,
    /// The flow node that asked for it; none when the agent's side began by itself.
    pub node: Option<NodeId>,
    /// The flow of that node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flow: Option<FlowName>,
    /// The rungs not tried yet, next first.
    pub ladder: Vec<Target>,
    /// How many rungs were tried.
    pub tried: usize,
    /// The rung that is being tried or talks.
    pub rung: Option<Rung>,
    /// An agent spoke or joined at least once.
    pub talked: bool,
    /// The name of the agent who talks, or who left last, if the agent system told one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// While Waiting: the last place in the queue that was told, 1 is next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position: Option<u32>,
    /// The agent's tag for the return package, and why it is Closing.
    pub closing: Option<Ending>,
    /// What the customer said while Closing: the entries that held it, for the bot. At most [`crate::conversation::hold::MAX_HELD`].
    pub for_bot: Vec<ForBot>,
    /// The skills that the agent should have, as the node names them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub skills: Vec<String>,
    /// Custom data of the node for the agent system, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub data: BTreeMap<String, String>,
    /// What else is asked, by the node and by scripts before it.
    #[serde(default, skip_serializing_if = "Ask::is_empty")]
    pub ask: Ask,
    /// Where its in-queue flow stands, while one runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue_run: Option<At>,
}

impl Transfer {
    /// The node that asked for it; none when the agent's side began by itself.
    pub fn place(&self) -> Option<Place> {
        let node = self.node.clone()?;
        let flow = self.flow.clone().unwrap_or_else(|| FlowName::from(MAIN));
        Some(Place { flow, node })
    }
}

/// The rung in use.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Rung {
    /// Where it goes.
    pub target: Target,
    /// Who plays it.
    pub participant: ParticipantNo,
}

/// How a transfer in Closing will end.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Ending {
    /// The outcome, decided when Closing began.
    pub outcome: Outcome,
    /// The agent's tag or disposition.
    pub tag: Option<String>,
}

/// A customer line that waits for the bot.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ForBot {
    /// The entry that holds it.
    pub seq: Seq,
    /// The words.
    pub text: String,
    /// The files that came with them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<File>,
}
