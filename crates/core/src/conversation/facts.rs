//! What is counted of a conversation: raw facts, noted by the step that makes them, and the label that is derived from
//! them. So the rule can change, and what was counted is still there.

use serde::{Deserialize, Serialize};

use super::step::Work;
use crate::Time;
use crate::flow::Place;
use crate::flow::node::Containment;
use crate::transfer::{Reason, Stage};

/// The facts of one conversation. Relayed lines do not change them.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Facts {
    /// The customer said something.
    #[serde(skip_serializing_if = "is_not")]
    pub interactive: bool,
    /// So often an Agent Transfer node was reached.
    #[serde(skip_serializing_if = "is_zero")]
    pub reached: u32,
    /// When first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reached_at: Option<Time>,
    /// The last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reached_node: Option<Place>,
    /// What the nodes that were reached say it counts as: agent, if one of them does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub counts_as: Option<Containment>,
    /// Tasks that were done before the first of them.
    #[serde(skip_serializing_if = "is_zero")]
    pub tasks_before: u32,
    /// So often an agent's side began by itself.
    #[serde(skip_serializing_if = "is_zero")]
    pub took_over: u32,
    /// So many transfers were accepted by an agent system.
    #[serde(skip_serializing_if = "is_zero")]
    pub accepted: u32,
    /// When first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accepted_at: Option<Time>,
    /// In so many an agent was there.
    #[serde(skip_serializing_if = "is_zero")]
    pub joined: u32,
    /// When first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub joined_at: Option<Time>,
    /// So many left our hands for good.
    #[serde(skip_serializing_if = "is_zero")]
    pub handed_off: u32,
    /// So many failed.
    #[serde(skip_serializing_if = "is_zero")]
    pub failed: u32,
    /// Why the last of them did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failed_why: Option<Reason>,
    /// Tasks that were done.
    #[serde(skip_serializing_if = "is_zero")]
    pub tasks_done: u32,
    /// Tasks that failed.
    #[serde(skip_serializing_if = "is_zero")]
    pub tasks_failed: u32,
    /// How it stands with the bot.
    pub standing: Standing,
    /// Who closed it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub closed_by: Option<ClosedBy>,
}

/// How it stands with the bot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// Nothing is open.
    #[default]
    Fine,
    /// In the middle of something.
    Midway,
    /// The last thing that was tried failed.
    Failed,
    /// What the customer said last was not understood.
    NotUnderstood,
}

/// Who closed a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClosedBy {
    /// The customer left, or hung up.
    Customer,
    /// The bot came to an end.
    Bot,
    /// The agent's side.
    Agent,
    /// An operator.
    Operator,
    /// Nobody: it was silent for too long.
    Silence,
    /// It left our hands.
    HandedOff,
}

/// What a conversation counts as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Label {
    /// A human was asked for.
    Agent,
    /// The customer left without getting anything done.
    DropOff,
    /// The bot was enough.
    SelfService,
}

impl Label {
    /// As it stands in the database and on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Agent => "agent",
            Self::DropOff => "dropOff",
            Self::SelfService => "selfService",
        }
    }
}

impl Facts {
    /// The label (sheet §7): agent before drop-off before self-service; one that runs counts as self-service.
    pub fn label(&self, closed: bool) -> Label {
        if self.reached > 0 || self.took_over > 0 {
            return match self.counts_as {
                Some(Containment::SelfService) => Label::SelfService,
                Some(Containment::Agent) | None => Label::Agent,
            };
        }
        let left = closed && self.interactive;
        match self.standing {
            Standing::Midway | Standing::Failed | Standing::NotUnderstood if left => Label::DropOff,
            Standing::Fine | Standing::Midway | Standing::Failed | Standing::NotUnderstood => {
                Label::SelfService
            }
        }
    }

    /// An Agent Transfer node was reached.
    pub(crate) fn reach(&mut self, place: Place, counts_as: Containment, now: Time) {
        if self.reached == 0 {
            self.reached_at = Some(now);
            self.tasks_before = self.tasks_done;
        }
        self.reached += 1;
        self.reached_node = Some(place);
        let before = self.counts_as.replace(counts_as);
        if before == Some(Containment::Agent) {
            self.counts_as = before;
        }
    }

    /// Whether nothing is noted.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl Work<'_> {
    pub(super) fn count_accepted(&mut self) {
        // Once in a rung: where it is told twice, the second one is of a later stage.
        if self.stage() == Some(Stage::Opening) {
            self.state.facts.accepted += 1;
            self.state.facts.accepted_at.get_or_insert(self.now);
        }
    }

    pub(super) fn count_joined(&mut self) {
        self.state.facts.joined += 1;
        self.state.facts.joined_at.get_or_insert(self.now);
    }

    pub(super) fn count_failure(&mut self, reason: Reason) {
        self.state.facts.failed += 1;
        self.state.facts.failed_why = Some(reason);
    }
}

/// One run of a task: a flow, an automation, or what the flow understood.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskRun {
    /// What it is called.
    pub task: String,
    /// Whether it was done.
    pub done: bool,
}

/// A tag that was set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tag {
    /// Of what.
    pub level: TagLevel,
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: String,
}

/// Of what a tag is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TagLevel {
    /// Of a message.
    Message,
    /// Of the person.
    User,
    /// Of the conversation.
    Session,
}

fn is_zero(number: &u32) -> bool {
    *number == 0
}

fn is_not(switch: &bool) -> bool {
    !switch
}
