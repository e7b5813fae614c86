//! What `step` may know of an app: its agent systems, who is the default, its flow, its deadlines and texts.
//!
//! This is a snapshot with a version. A conversation's inputs are stored with the version they were stepped
//! under, so that a replay meets the same app.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::flow::Flow;
use crate::transfer::deadline::Deadlines;
use crate::transfer::target::Target;
use crate::{AppId, IntegrationName};

/// A tenant's bot, as far as the domain is concerned.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct App {
    /// The tenant boundary.
    pub id: AppId,
    /// Its agent systems, by name.
    pub agents: BTreeMap<IntegrationName, AgentSystem>,
    /// The agent system for channels that name none.
    pub default_agent: Option<IntegrationName>,
    /// Channel → agent system.
    #[serde(default)]
    pub channel_agents: BTreeMap<IntegrationName, IntegrationName>,
    /// What the bot says and when it hands over.
    pub flow: Flow,
    /// How long each stage of a transfer may take.
    #[serde(default)]
    pub deadlines: Deadlines,
    /// What the customer is told when the flow says nothing else.
    #[serde(default)]
    pub texts: Texts,
}

/// What the transfer machine must know of an agent system. It comes from the connector's manifest and settings.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct AgentSystem {
    /// Tells when an agent joined. Without it a transfer is Talking as soon as the system accepted it.
    pub tells_joined: bool,
    /// How long an agent system whose "ended" can overtake its last words is still listened to, milliseconds.
    /// 0: it cannot, and the end counts at once.
    pub drain_ms: u64,
    /// Its own Opening deadline, milliseconds; else the app's.
    pub opening_ms: Option<u64>,
    /// Set when every line between customer and bot goes through it first (a BotKit subscribed to messages).
    pub intercepts: Option<HoldPolicy>,
    /// It was deleted while somebody was still talking through it: nothing new goes there, what is there goes on.
    #[serde(default)]
    pub retired: bool,
}

/// What becomes of a held line when the interceptor does not answer in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HoldPolicy {
    /// It goes on unchanged.
    #[default]
    Pass,
    /// It is dropped and the user is told.
    Drop,
}

/// Texts of last resort.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Texts {
    /// A transfer failed and the flow says nothing of its own.
    pub transfer_failed: String,
    /// A line was refused by the system it was for.
    pub not_delivered: String,
    /// A held line was dropped.
    pub dropped: String,
}

impl Default for Texts {
    fn default() -> Self {
        Self {
            transfer_failed: "All our agents are currently busy. Please try again later.".into(),
            not_delivered: "Your last message could not be delivered.".into(),
            dropped: "Your last message could not be processed. Please send it again.".into(),
        }
    }
}

impl App {
    /// The agent systems to try for a customer of `channel`, in order: the node's own choice, else the channel's,
    /// else the app's default; then the node's fallback ladder. Empty means Unconfigured.
    pub fn ladder(&self, channel: &IntegrationName, node: &crate::flow::AgentTransfer) -> Vec<Target> {
        let first = node.target.clone().or_else(|| {
            let name = self.channel_agents.get(channel).or(self.default_agent.as_ref())?;
            Some(Target { integration: name.clone(), queue: None })
        });
        let mut ladder: Vec<Target> = Vec::new();
        for target in first.into_iter().chain(node.fallback.iter().cloned()) {
            if self.takes_new(&target.integration) && !ladder.contains(&target) {
                ladder.push(target);
            }
        }
        ladder
    }

    /// Whether there is such an agent system, and something new may go there.
    pub fn takes_new(&self, agent: &IntegrationName) -> bool {
        self.agents.get(agent).is_some_and(|agent| !agent.retired)
    }

    /// The agent system that every line passes first, if one does: the default if it intercepts, else the first by name.
    /// A retired one does not.
    pub fn interceptor(&self) -> Option<(&IntegrationName, HoldPolicy)> {
        let default = self.default_agent.as_ref().and_then(|name| self.agents.get_key_value(name));
        default
            .into_iter()
            .chain(self.agents.iter())
            .filter(|(_, agent)| !agent.retired)
            .find_map(|(name, agent)| agent.intercepts.map(|policy| (name, policy)))
    }
}
