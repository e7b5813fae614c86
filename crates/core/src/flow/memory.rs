//! What the bot remembers between two inputs: where it stands, its variables, what scripts asked of the next transfer.
//! Part of the state document, so bounded.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::document::{FlowName, NodeId};
use super::expects::Expects;
use super::flows::Place;
use super::script::Change;
use crate::Time;
use crate::transfer::ask::{Ask, Tags};

/// All variables together, in bytes of JSON. One that does not fit is not set, and the node that sets it fails.
pub const MOST_VARIABLES: usize = 32 * 1024;
/// What the customer said last is kept so far, in bytes.
pub const MOST_SAID: usize = 16 * 1024;
/// So many lines that the customer says while the bot is at work are kept for it.
pub const MOST_PENDING: usize = 5;
/// And so much of each, in bytes.
pub const MOST_OF_PENDING: usize = 2 * 1024;

/// What the bot remembers.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Memory {
    /// The flow that the bot is in; none before it began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flow: Option<FlowName>,
    /// What it waits for; none: it listens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<At>,
    /// Flow variables: `context.<name>`.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub variables: Map<String, Value>,
    /// What was pressed or chosen: `context.steps.<node>`.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub steps: Map<String, Value>,
    /// `context.session.UserSession`.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub user_session: Map<String, Value>,
    /// `context.session.BotUserSession`, as far as scripts set it.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub bot_session: Map<String, Value>,
    /// What scripts and Set Queue nodes asked of the next transfer.
    #[serde(skip_serializing_if = "Ask::is_empty")]
    pub ask: Ask,
    /// Tags so far.
    #[serde(skip_serializing_if = "Tags::is_empty")]
    pub tags: Tags,
    /// What the customer said last.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub text: String,
    /// How the last human part ended: the outcome's word.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_transfer: Option<String>,
    /// So many pieces of work were given out.
    pub works: u64,
    /// The bot has said what it had to say, and this is not told yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub turn: Option<Expects>,
}

/// Where a run of a flow waits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct At {
    /// The node.
    pub place: Place,
    /// What for.
    pub wait: Wait,
    /// When it is looked at again, if nothing comes before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Time>,
    /// It is a flow that runs before a transfer: this transfer comes after it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub then: Option<Place>,
    /// What the customer said meanwhile.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pending: Vec<String>,
}

/// What a run waits for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Wait {
    /// The customer's input.
    Input {
        /// So often none came.
        timeouts: u8,
        /// So often it was a wrong one.
        wrong: u8,
    },
    /// What comes of a piece of work.
    Work {
        /// Which.
        no: u64,
        /// Since when.
        since: Time,
        /// When it is given up.
        deadline: Time,
        /// So often the customer was told that it takes long.
        excused: u8,
    },
}

/// A change of a variable did not fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooMuch;

impl Memory {
    /// Sets a flow variable.
    ///
    /// # Errors
    /// It does not fit; nothing is changed then.
    pub fn set(&mut self, name: &str, value: Value) -> Result<(), TooMuch> {
        let before = self.variables.insert(name.to_owned(), value);
        if self.fits() {
            return Ok(());
        }
        match before {
            Some(before) => self.variables.insert(name.to_owned(), before),
            None => self.variables.remove(name),
        };
        Err(TooMuch)
    }

    /// Whether all variables fit.
    pub fn fits(&self) -> bool {
        let all = (&self.variables, &self.steps, &self.user_session, &self.bot_session, &self.ask);
        serde_json::to_vec(&all).is_ok_and(|json| json.len() <= MOST_VARIABLES)
    }

    /// Whether nothing is remembered.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The node it waits at.
    pub fn waits_at(&self) -> Option<&NodeId> {
        self.at.as_ref().map(|at| &at.place.node)
    }

    /// A value of the person's session.
    pub fn put_user(&mut self, name: &str, change: &Change) {
        match change {
            Change::Put(value) => _ = self.user_session.insert(name.to_owned(), value.clone()),
            Change::Deleted => _ = self.user_session.remove(name),
        }
    }
}
