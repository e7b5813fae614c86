//! Work that a flow gives to others and waits for: a request to an API, a question about agents, one turn of a bot.
//!
//! `step` makes no calls. It writes a [`Work`] entry for a built-in participant; what comes of it comes back as the input
//! [`Worked`](crate::Input::Worked). The flow waits at its node until then, or until the deadline.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::script::Notify;
use crate::IntegrationName;
use crate::conversation::voicemail::Voicemail;

/// The names under which the built-in participants stand where integrations do. No integration can be called so.
pub mod built_in {
    /// Makes requests to APIs.
    pub const API: &str = "~api";
    /// Asks agent systems whether somebody is there.
    pub const AVAILABILITY: &str = "~availability";
    /// Lets external bots answer.
    pub const BOTS: &str = "~bots";
    /// Tells of voicemails.
    pub const NOTICES: &str = "~notices";
}

/// A piece of work.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Work {
    /// Which one it is in the conversation, from 1. What comes of it names it.
    pub no: u64,
    /// After so long nobody waits for it any more, milliseconds.
    pub deadline_ms: u64,
    /// What is to be done.
    pub task: Task,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Task {
    /// A request to an API.
    Request(Box<Request>),
    /// Is somebody there?
    Availability(Availability),
    /// One turn of an external bot.
    Turn(Box<Turn>),
    /// Somebody is told of a voicemail. No flow waits for it.
    Notice(Box<Notice>),
}

impl Task {
    /// The built-in participant that does it.
    pub fn performer(&self) -> &'static str {
        match self {
            Self::Request(_) => built_in::API,
            Self::Availability(_) => built_in::AVAILABILITY,
            Self::Turn(_) => built_in::BOTS,
            Self::Notice(_) => built_in::NOTICES,
        }
    }
}

/// A text with gaps for the app's settings (`env`), which may be secrets: they are filled when it is sent, so that they
/// stand in no log. What a customer said is never read as a gap.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Pieces(pub Vec<Piece>);

/// A piece of a text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Piece {
    /// As it stands.
    Text(String),
    /// The setting of this name.
    Env(String),
    /// The setting of this name, within a JSON text.
    EnvInJson(String),
}

impl Pieces {
    /// The whole text.
    pub fn fill(&self, env: &BTreeMap<String, String>) -> String {
        let part = |piece: &Piece| match piece {
            Piece::Text(text) => text.clone(),
            Piece::Env(name) => env.get(name).cloned().unwrap_or_default(),
            Piece::EnvInJson(name) => {
                let quoted = env.get(name).map(|value| Value::from(value.as_str()).to_string());
                quoted.map(|quoted| quoted[1..quoted.len() - 1].to_owned()).unwrap_or_default()
            }
        };
        self.0.iter().map(part).collect()
    }
}

/// A request to an API.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Request {
    /// How.
    pub method: Verb,
    /// Where; every address passes the address guard.
    pub url: Pieces,
    /// Headers by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, Pieces>,
    /// The body; none: no body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<Pieces>,
}

/// An HTTP method.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
#[allow(missing_docs)]
pub enum Verb {
    #[default]
    Get,
    Put,
    Post,
    Patch,
    Delete,
}

impl Verb {
    /// As it stands on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Put => "PUT",
            Self::Post => "POST",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }
}

/// Is somebody there?
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Availability {
    /// Which agent system; none is configured: nobody is there.
    pub integration: IntegrationName,
    /// Its queue.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue: Option<String>,
    /// Agents who have these skills.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub skills: Vec<String>,
    /// Or these agents.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub agents: Vec<String>,
}

/// One turn of an external bot.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Turn {
    /// Which bot.
    pub bot: IntegrationName,
    /// What the node tells it to be or do.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub instructions: String,
    /// What the customer said; none: the bot begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Flow variables that it is told.
    #[serde(default, skip_serializing_if = "serde_json::Map::is_empty")]
    pub context: serde_json::Map<String, Value>,
    /// It was told before that a human part is over: how that ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub human_part_over: Option<String>,
}

/// Somebody is told of a voicemail, again and again for the work's time, until they took it or refused it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Notice {
    /// Whom, and with which headers.
    pub notify: Notify,
    /// Of what.
    pub voicemail: Voicemail,
}

/// What came of a piece of work.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// An API answered, whatever its status.
    Answered {
        /// The HTTP status.
        status: u16,
        /// The body: JSON where it is that, else a text.
        body: Value,
    },
    /// Whether somebody is there; none: the agent system cannot tell.
    Available(Option<bool>),
    /// A bot had its turn.
    Turned(Reply),
    /// Somebody was told, or cannot be.
    Told {
        /// In a word, for the operator: `HTTP 204`.
        came: String,
    },
    /// It could not be done.
    Failed {
        /// Why, for the operator and the flow: `timeout`, `unreachable`, `forbidden`, `too_large`, …
        code: String,
    },
}

/// What a bot answers.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Reply {
    /// What it says, in order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub says: Vec<String>,
    /// Flow variables that it sets.
    #[serde(skip_serializing_if = "serde_json::Map::is_empty")]
    pub context: serde_json::Map<String, Value>,
    /// What comes then.
    pub then: Then,
}

/// What comes after a bot's turn.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Then {
    /// It waits for what the customer says.
    #[default]
    Listens,
    /// It has done what it was there for.
    Done,
    /// It could not do it.
    GivesUp,
    /// A human is to take over.
    Transfer {
        /// Why, in its words.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
}
