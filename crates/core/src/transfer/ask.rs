//! What is asked of a transfer: what the Agent Transfer node says and what scripts before it set. It travels along with
//! the Open of every rung.
//!
//! A script's word comes before the node's; what nobody says is the channel's or the agent system's own business.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::flow::script::{PRIORITY, Recording};
use crate::flow::{Private, VoiceProperties};

/// What is asked of a transfer.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Ask {
    /// For a call: where it goes, and how.
    #[serde(skip_serializing_if = "Call::is_empty")]
    pub call: Call,
    /// What scripts told of the customer, by their names (`firstName`, `phoneNumber`, …).
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub user: Map<String, Value>,
    /// The language of the bot, for the agent's side.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// The customer's language, for translation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_language: Option<String>,
    /// The queue; it is the queue of the first rung, where that names none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queue: Option<String>,
    /// 0 (first) to 10; none: 5.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority: Option<u8>,
    /// Only these agents.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub agents: Vec<String>,
    /// How long to wait for them before anybody may take it, seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wait_for_agents_s: Option<u32>,
    /// Skills of a script, instead of the node's.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub skills: Vec<String>,
    /// Ids of agent groups.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub agent_groups: Vec<String>,
    /// Ids of skill groups.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub skill_groups: Vec<String>,
    /// The waiting experience.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waiting: Option<String>,
    /// Recording with an agent of the platform.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recording: Option<Recording>,
    /// Recording of the leg with an external agent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external_recording: Option<Recording>,
    /// Whether the agent sees a transcript; none: yes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transcribe: Option<bool>,
    /// Whether a summary travels along.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub summary: bool,
    /// The agent system that a script chose, by its name or type.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub system: Option<String>,
    /// Settings of that agent system for this hand-over alone. They may hold secrets: the first rung takes them away.
    #[serde(skip_serializing_if = "Private::is_nothing")]
    pub setup: Private,
    /// Tags of this hand-over.
    #[serde(skip_serializing_if = "Tags::is_empty")]
    pub tags: Tags,
}

/// For a call: where it goes, and how.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Call {
    /// Whether the agent is one of the same contact center.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub party: Option<Party>,
    /// How.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub method: Option<Method>,
    /// A SIP URI or a telephone number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub destination: Option<String>,
    /// Who refers: a telephone number or SIP URI.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub referred_by: Option<String>,
    /// SIP headers on the INVITE, REFER or BYE, in the case they are given. `{{…}}` stands for a variable.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// Transfer tags that an IVR gets back with the call, by name. `{{…}}` stands for a variable.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub transfer_tags: BTreeMap<String, String>,
    /// Voice call properties.
    #[serde(skip_serializing_if = "VoiceProperties::is_empty")]
    pub properties: VoiceProperties,
}

/// Whose agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Party {
    /// One of the same contact center.
    Internal,
    /// A remote one: by the telephone network or a SIP endpoint.
    External,
}

/// How a call is handed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// A leg of ours; the call comes back when the agent leaves.
    Invite,
    /// The caller's side is asked to call the agent.
    Refer,
    /// The call is given back, with headers.
    Bye,
}

/// Tags by level, name to value.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Tags {
    /// Of what is said now.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub message: BTreeMap<String, String>,
    /// Of the person.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub user: BTreeMap<String, String>,
    /// Of this conversation.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub session: BTreeMap<String, String>,
}

impl Call {
    /// Whether nothing is asked.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl Tags {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.message.is_empty() && self.user.is_empty() && self.session.is_empty()
    }
}

impl Ask {
    /// Whether nothing is asked.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The priority that counts.
    pub fn priority(&self) -> u8 {
        self.priority.unwrap_or(PRIORITY)
    }
}
