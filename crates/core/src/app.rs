//! What `step` may know of an app: its agent systems, who is the default, its flow, its deadlines and texts.
//!
//! This is a snapshot with a version. A conversation's inputs are stored with the version they were stepped
//! under, so that a replay meets the same app.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::flow::hours::Hours;
use crate::flow::{AgentTransfer, Flows};
use crate::transfer::Ask;
use crate::transfer::deadline::Deadlines;
use crate::transfer::target::Target;
use crate::{AppId, IntegrationName};

/// A tenant's bot, as far as the domain is concerned.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct App {
    /// The tenant boundary.
    pub id: AppId,
    /// Its agent systems, by name.
    pub agents: BTreeMap<IntegrationName, AgentSystem>,
    /// The type of each, as scripts may name it: `salesforce`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub agent_types: BTreeMap<IntegrationName, String>,
    /// The agent system for channels that name none.
    pub default_agent: Option<IntegrationName>,
    /// Channel → agent system.
    #[serde(default)]
    pub channel_agents: BTreeMap<IntegrationName, IntegrationName>,
    /// What the bot says and when it hands over. Shared: a step clones none of it.
    #[serde(default)]
    pub flows: Arc<Flows>,
    /// Its external bots.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub bots: BTreeSet<IntegrationName>,
    /// Business hours, by name. Those in force count, also for conversations that began before.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub hours: BTreeMap<String, Hours>,
    /// `content.<name>` in texts and scripts.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub content: BTreeMap<String, String>,
    /// `env.<name>` in scripts, conditions and requests; they may be secrets, and stand in no text.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    /// When a silent conversation ends.
    #[serde(default, skip_serializing_if = "Sessions::is_empty")]
    pub sessions: Sessions,
    /// How long each stage of a transfer may take.
    #[serde(default)]
    pub deadlines: Deadlines,
    /// What the customer is told when the flow says nothing else.
    #[serde(default)]
    pub texts: Texts,
}

/// When a conversation with the bot that is silent ends.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Sessions {
    /// After so many minutes without a word of the customer, 5 to 20160; none: never.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inactivity_minutes: Option<u32>,
    /// Said then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Before that the customer is reminded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reminder: Option<Reminder>,
}

/// The customer is reminded that the bot waits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reminder {
    /// After so many minutes.
    pub minutes: u32,
    /// What is said.
    pub message: String,
}

impl Sessions {
    /// Whether silence ends nothing.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
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
    /// A flow failed and says nothing of its own.
    pub flow_failed: String,
}

impl Default for Texts {
    fn default() -> Self {
        Self {
            transfer_failed: "All our agents are currently busy. Please try again later.".into(),
            not_delivered: "Your last message could not be delivered.".into(),
            dropped: "Your last message could not be processed. Please send it again.".into(),
            flow_failed: "Something went wrong on our side. Please try again later.".into(),
        }
    }
}

impl App {
    /// The agent systems to try for a customer of `channel`, in order: a script's choice, else the node's, else the
    /// channel's, else the app's default; then the node's fallback ladder. Empty means Unconfigured.
    pub fn ladder(&self, channel: &IntegrationName, node: &AgentTransfer, ask: &Ask) -> Vec<Target> {
        let chosen = ask.system.as_ref().and_then(|system| self.called(system));
        let chosen = chosen.map(|integration| Target { integration, queue: None });
        // With settings of the script's it is another place than the same one without.
        let elsewhere = chosen.is_some() && !ask.setup.is_nothing();
        let first =
            chosen.or_else(|| node.target.clone()).or_else(|| self.first_agent(channel)).map(|target| {
                let queue = ask.queue.clone().or(target.queue);
                Target { queue, ..target }
            });
        let mut ladder: Vec<Target> = Vec::new();
        for target in first.into_iter().chain(node.fallback.iter().cloned()) {
            let again = &ladder[usize::from(elsewhere).min(ladder.len())..];
            if self.takes_new(&target.integration) && !again.contains(&target) {
                ladder.push(target);
            }
        }
        ladder
    }

    /// The agent system of a channel where nobody names another.
    pub fn first_agent(&self, channel: &IntegrationName) -> Option<Target> {
        let name = self.channel_agents.get(channel).or(self.default_agent.as_ref())?;
        Some(Target { integration: name.clone(), queue: None })
    }

    /// The agent system that a script means: by its name, else the first of that type.
    pub fn called(&self, called: &str) -> Option<IntegrationName> {
        let name = IntegrationName::from(called);
        if self.takes_new(&name) {
            return Some(name);
        }
        let of_type = |(_, kind): &(&IntegrationName, &String)| kind.eq_ignore_ascii_case(called);
        let mut of_type = self.agent_types.iter().filter(of_type).map(|(name, _)| name);
        of_type.find(|name| self.takes_new(name)).cloned()
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

#[cfg(test)]
mod tests {
    use serde_json::{Map, json};

    use super::*;
    use crate::flow::Private;

    fn app() -> App {
        let agents = ["script", "node", "channel", "default", "other"]
            .map(|name| (name.into(), AgentSystem::default()));
        App {
            agents: agents.into(),
            agent_types: [
                ("script".into(), "salesforce".to_owned()),
                ("other".into(), "salesforce".to_owned()),
            ]
            .into(),
            default_agent: Some("default".into()),
            channel_agents: [("web".into(), "channel".into())].into(),
            ..App::default()
        }
    }

    fn target(name: &str) -> Target {
        Target { integration: name.into(), queue: None }
    }

    fn tried(app: &App, channel: &str, node: &AgentTransfer, ask: &Ask) -> Vec<String> {
        let ladder = app.ladder(&channel.into(), node, ask);
        ladder.iter().map(|target| target.integration.to_string()).collect()
    }

    #[test]
    fn a_script_comes_before_the_node_before_the_channel_before_the_default() {
        let (app, silent) = (app(), AgentTransfer::default());
        let node = AgentTransfer { target: Some(target("node")), ..AgentTransfer::default() };
        let says = |system: &str| Ask { system: Some(system.to_owned()), ..Ask::default() };
        for (channel, node, ask, first) in [
            ("web", &node, says("script"), "script"),
            // By its type: the first of that type by name.
            ("web", &node, says("SalesForce"), "other"),
            ("web", &node, Ask::default(), "node"),
            ("web", &node, says("nobody"), "node"),
            ("web", &silent, says("script"), "script"),
            ("web", &silent, Ask::default(), "channel"),
            ("phone", &silent, Ask::default(), "default"),
            ("phone", &silent, says("nobody"), "default"),
        ] {
            assert_eq!(tried(&app, channel, node, &ask), [first], "{channel} {ask:?}");
        }
        let nobody = App { default_agent: None, ..app };
        assert!(tried(&nobody, "phone", &silent, &Ask::default()).is_empty());
    }

    #[test]
    fn the_same_agent_system_with_a_scripts_settings_is_another_place() {
        let node = AgentTransfer {
            target: Some(target("node")),
            fallback: vec![target("script"), target("node"), target("script")],
            ..AgentTransfer::default()
        };
        let mut ask = Ask { system: Some("script".into()), ..Ask::default() };
        assert_eq!(tried(&app(), "web", &node, &ask), ["script", "node"]);
        let config: Map<_, _> = json!({ "url": "x" }).as_object().cloned().expect("fields");
        ask.setup = Private::clear(config);
        assert_eq!(tried(&app(), "web", &node, &ask), ["script", "script", "node"]);
    }
}
