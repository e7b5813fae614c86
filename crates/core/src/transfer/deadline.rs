//! How long each stage of a transfer may take, and what happens when it took too long.
//!
//! This is the one place where a transfer's time-out is decided:
//!
//! | stage | default | then |
//! |---|---|---|
//! | Requested | 10 s | what is still held is given up, the first rung opens |
//! | Opening | 30 s, or the agent system's own | rung fails: Unreachable |
//! | Waiting | 10 min | rung fails: QueueTimeout |
//! | Talking | 15 min without a line | ends: Idle |
//! | Closing | the agent system's drain, at most 10 s | ends as decided |

use serde::{Deserialize, Serialize};

use super::{Stage, Transfer};
use crate::Time;
use crate::app::AgentSystem;

/// Deadlines of an app, in milliseconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Deadlines {
    /// From the request until the first rung opens.
    pub requested_ms: u64,
    /// From opening until the agent system accepted.
    pub opening_ms: u64,
    /// In the queue.
    pub waiting_ms: u64,
    /// Without a line from either side while talking.
    pub idle_ms: u64,
    /// The most that a drain may take.
    pub closing_ms: u64,
    /// How long a line may be held by an interceptor.
    pub hold_ms: u64,
}

impl Default for Deadlines {
    fn default() -> Self {
        Self {
            requested_ms: 10_000,
            opening_ms: 30_000,
            waiting_ms: 600_000,
            idle_ms: 900_000,
            closing_ms: 10_000,
            hold_ms: 15_000,
        }
    }
}

/// What a passed deadline means in a stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Overdue {
    /// Stop waiting for what came before and open the first rung.
    OpenFirstRung,
    /// The agent system gave no sign of life.
    Unreachable,
    /// Too long in the queue.
    QueueTimeout,
    /// Nobody spoke.
    Idle,
    /// The drain is over.
    Drained,
}

/// What it means that `stage` lasted until its deadline.
pub fn overdue(stage: Stage) -> Overdue {
    match stage {
        Stage::Requested => Overdue::OpenFirstRung,
        Stage::Opening => Overdue::Unreachable,
        Stage::Waiting => Overdue::QueueTimeout,
        Stage::Talking => Overdue::Idle,
        Stage::Closing => Overdue::Drained,
    }
}

/// When a stage that begins at `since` is over. `agent` is the system of the current rung.
pub fn deadline(deadlines: &Deadlines, agent: Option<&AgentSystem>, stage: Stage, since: Time) -> Time {
    since.plus(match stage {
        Stage::Requested => deadlines.requested_ms,
        Stage::Opening => agent.and_then(|agent| agent.opening_ms).unwrap_or(deadlines.opening_ms),
        Stage::Waiting => deadlines.waiting_ms,
        Stage::Talking => deadlines.idle_ms,
        Stage::Closing => agent.map_or(0, |agent| agent.drain_ms).min(deadlines.closing_ms),
    })
}

impl Transfer {
    /// Moves to `stage`, and sets the deadline that goes with it.
    pub(crate) fn enter(
        &mut self,
        stage: Stage,
        deadlines: &Deadlines,
        agent: Option<&AgentSystem>,
        now: Time,
    ) {
        self.stage = stage;
        self.since = now;
        self.last_line = now;
        self.deadline = deadline(deadlines, agent, stage, now);
        // What was told of the queue and of the agent is over with the stage that it was told in.
        self.position = None;
        if stage != Stage::Closing {
            self.agent = None;
        }
    }
}
