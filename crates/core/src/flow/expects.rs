//! What the bot expects when it has said what it had to say. A channel that answers a request, or that listens only when
//! it is told to, gets it as the entry [`Body::TurnDone`](crate::Body::TurnDone).

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::NodeId;
use crate::transfer::Ask;

/// Who is next.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Expects {
    /// The customer: what is asked for.
    Input(Box<Asks>),
    /// Nobody in particular: an agent was asked for, or talks. What is said next comes by itself.
    Nothing,
    /// Nobody: the conversation is over.
    End,
    /// Nobody: the conversation was handed off, and left our hands. A channel that gives a call back to whoever sent it
    /// does so with what was asked of the transfer: destination, headers, transfer tags, voice properties.
    HandedOff(Box<Ask>),
}

/// What the customer is asked for, and how it is waited for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Asks {
    /// The node that asks; none while the flow listens for anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<NodeId>,
    /// What is taken.
    pub takes: Takes,
    /// Whether the prompt may be cut short by an input.
    pub barge_in: bool,
    /// After so long without an input the channel says so (`NoInput`), milliseconds; none: it waits for ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
    /// The voice properties of the node, over those of its flow.
    #[serde(default, skip_serializing_if = "VoiceProperties::is_empty")]
    pub voice: VoiceProperties,
}

/// What is taken as an input.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Takes {
    /// Any words.
    Anything,
    /// One of these keys, or words that mean one.
    Menu {
        /// What may be pressed or said.
        choices: Vec<MenuChoice>,
    },
    /// Digits.
    Digits {
        /// At least so many.
        min: usize,
        /// At most so many: then nothing more is waited for.
        max: usize,
        /// The key that ends them before.
        end_key: Option<char>,
    },
}

/// A key of a menu.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MenuChoice {
    /// `0` to `9`, `*`, `#`.
    pub key: String,
    /// Words that mean it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub words: Vec<String>,
    /// How it is shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
}

/// VoiceProperties call properties, of a flow or of a node; those of the node come first.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct VoiceProperties {
    /// A grammar for speech: its text (GRXML), or a URL or `builtin:` name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grammar: Option<String>,
    /// Call control parameters: into the VXML of an IVR, or the session parameters of a gateway.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub parameters: BTreeMap<String, serde_json::Value>,
    /// `xml:lang` of what is said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// Whether the chat log is sent to the IVR.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub send_log: Option<bool>,
    /// `start`, `stop`, `pause`, `resume`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recording: Option<String>,
    /// Where the IVR goes when the call hangs up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fallback_url: Option<String>,
}

impl VoiceProperties {
    /// Whether nothing is said.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// These, and what they do not say from `below`.
    pub fn over(&self, below: &Self) -> Self {
        let mut parameters = below.parameters.clone();
        parameters.extend(self.parameters.clone());
        let text = |own: &Option<String>, other: &Option<String>| own.clone().or_else(|| other.clone());
        Self {
            grammar: text(&self.grammar, &below.grammar),
            parameters,
            language: text(&self.language, &below.language),
            send_log: self.send_log.or(below.send_log),
            recording: text(&self.recording, &below.recording),
            fallback_url: text(&self.fallback_url, &below.fallback_url),
        }
    }
}
