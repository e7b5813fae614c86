//! Why a transfer failed, and how a transfer can end. Typed, so that flows can branch on it and reports can count it.

use serde::{Deserialize, Serialize};

/// Why a rung, or a whole transfer, failed. The vendor's own code is kept beside it in [`Failure`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// Nobody is there to take it.
    NoAgents,
    /// Outside the agents' working hours.
    OutsideHours,
    /// The queue takes no more.
    QueueFull,
    /// Waited in the queue for too long.
    QueueTimeout,
    /// The agent is in another conversation.
    Busy,
    /// It rang, nobody answered.
    NoAnswer,
    /// An agent refused it.
    Declined,
    /// The agent system could not be reached, or gave no sign of life in time.
    Unreachable,
    /// Our credentials were refused.
    Unauthorized,
    /// The agent system limits us.
    RateLimited,
    /// The agent system found our request wrong.
    BadRequest,
    /// The agent system failed.
    VendorError,
    /// The customer left before an agent came.
    CallerLeft,
    /// The agent's side was lost in mid-conversation.
    AgentLost,
    /// No agent system is configured for this.
    Unconfigured,
    /// The flow asked for transfer after transfer without the customer saying anything.
    Loop,
}

/// A reason with what the vendor called it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// What it means to us.
    pub reason: Reason,
    /// What the vendor said: a code or short text, for the operator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
}

impl Failure {
    /// A failure that no vendor named.
    pub fn of(reason: Reason) -> Self {
        Self { reason, code: None }
    }
}

/// How a transfer ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The agent closed it.
    AgentEnded,
    /// The customer closed it.
    CustomerEnded,
    /// An operator closed it.
    OperatorEnded,
    /// Nobody said anything for too long.
    Idle,
    /// The conversation left our hands for good (REFER, BYE, IVR hand-back).
    HandedOff,
    /// No rung of the ladder led to an agent, or the last one was lost.
    Failed(Failure),
}
