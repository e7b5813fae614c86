//! A flow as people write it, and as the designer edits it: JSON or YAML, described by a JSON Schema.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::VoiceProperties;
use super::node::{AgentTransfer, Node};
use super::prompt::Variants;

macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
        #[serde(transparent)]
        pub struct $name(Arc<str>);

        impl $name {
            /// As text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(text.into())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name!(
    /// The name of a node in its flow.
    NodeId
);
name!(
    /// The name of a flow in its app.
    FlowName
);

/// The name of the flow that a document's `flow:` is.
pub const MAIN: &str = "main";

/// A flow: what the bot does. Its own fields are the Start node.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Flow {
    /// What it is for, in a line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// The node that runs first.
    pub start: NodeId,
    /// Where a path ended without an End node the flow listens: what the customer may say, first match first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub words: Vec<Words>,
    /// Run when the flow listens and nothing in `words` matches. Without it the flow starts anew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub otherwise: Option<NodeId>,
    /// Run when a human part is over and its transfer node says nothing else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub returned: Option<NodeId>,
    /// Run when a transfer found no agent in time and its node says nothing else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub no_agents: Option<Goto>,
    /// Run when a transfer came outside working hours and its node says nothing else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub out_of_hours: Option<Goto>,
    /// Run when the caller hangs up, with this flow's context.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit: Option<Goto>,
    /// The bot gives no input for too long.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub no_input: Option<NoInput>,
    /// A node failed and says nothing of its own: what is said, and where it goes on.
    #[serde(default, skip_serializing_if = "OnFailure::is_empty")]
    pub on_error: OnFailure,
    /// Voice properties of every node that says nothing else.
    #[serde(default, skip_serializing_if = "VoiceProperties::is_empty")]
    pub voice: VoiceProperties,
    /// The nodes.
    #[serde(default)]
    pub nodes: BTreeMap<NodeId, Node>,
    /// Where the nodes stand in the designer. Nothing else reads it.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub layout: Map<String, Value>,
}

/// Words that lead to a node.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Words {
    /// Any of these, as whole words, in any case.
    pub any: Vec<String>,
    /// Where they lead.
    pub go_to: NodeId,
}

/// A node of this flow, or another flow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Goto {
    /// A node of this flow.
    Node(NodeId),
    /// Another flow, from its start.
    Flow(OtherFlow),
}

/// Another flow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OtherFlow {
    /// Its name.
    pub flow: FlowName,
}

impl Default for NodeId {
    /// No node.
    fn default() -> Self {
        Self::from("")
    }
}

impl From<&str> for Goto {
    fn from(node: &str) -> Self {
        Self::Node(node.into())
    }
}

/// The bot gives no input for too long: what it waits for (an API, an external bot) does not come.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NoInput {
    /// After so many seconds of silence something is said.
    #[serde(default = "NoInput::seconds")]
    pub seconds: u32,
    /// What.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<Variants>,
    /// So often.
    #[serde(default = "NoInput::retries")]
    pub retries: u8,
    /// After so many seconds in all it is given up.
    #[serde(default = "NoInput::give_up_seconds")]
    pub give_up_seconds: u32,
    /// What happens then.
    #[serde(default)]
    pub then: GiveUp,
}

impl NoInput {
    fn seconds() -> u32 {
        5
    }
    fn retries() -> u8 {
        2
    }
    fn give_up_seconds() -> u32 {
        30
    }
}

/// What happens when the bot is given up.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum GiveUp {
    /// The conversation ends.
    End {
        /// Said before.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        message: Option<Variants>,
    },
    /// An Agent Transfer node of this flow runs.
    Transfer {
        /// Which.
        node: NodeId,
    },
}

impl Default for GiveUp {
    fn default() -> Self {
        Self::End { message: None }
    }
}

/// What is said when something failed, and where it goes on.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct OnFailure {
    /// Said to the customer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<Variants>,
    /// Run after it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub go_to: Option<NodeId>,
}

impl OnFailure {
    /// Whether nothing is said about it.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl Flow {
    /// The transfer node called `id`.
    pub fn transfer(&self, id: &NodeId) -> Option<&AgentTransfer> {
        match self.nodes.get(id) {
            Some(Node::AgentTransfer(transfer)) => Some(transfer),
            Some(_) | None => None,
        }
    }

    /// The first node that lets this bot talk.
    pub fn uses_bot(&self, bot: &crate::IntegrationName) -> Option<&NodeId> {
        let uses = |node: &Node| matches!(node, Node::Automation(automation) if automation.bot == *bot);
        self.nodes.iter().find(|(_, node)| uses(node)).map(|(id, _)| id)
    }

    /// Takes an agent system out of every node that names it. Returns those nodes.
    pub fn unname_agent(&mut self, agent: &crate::IntegrationName) -> Vec<NodeId> {
        let unnamed =
            self.nodes.iter_mut().filter_map(|(id, node)| node.unname_agent(agent).then(|| id.clone()));
        unnamed.collect()
    }
}
