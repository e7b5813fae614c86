//! The bot side: what the bot says, and when it hands over.
//!
//! A flow is a graph of nodes. It runs inside `step`: an [`Event`] goes in, a list of [`Act`]s comes out. What it has to
//! remember until the next event stands in [`Memory`]. What needs others it asks for: a script by [`NeedScript`] (the engine
//! runs it and steps again from the same state), an API, a bot or an agent system by a [`work::Work`] entry.
//!
//! | question | file |
//! |---|---|
//! | What may a flow say? | `document.rs`, `node.rs`, `prompt.rs`, `condition.rs` |
//! | What does a node do? | `run/` |
//! | What can a text or script see? | `scope.rs` |
//! | What does the bot remember? | `memory.rs` |
//! | What is wrong with a flow? | `check/` |
//! | Are we open? | `hours.rs` |
//! | What does a channel learn that takes turns? | `expects.rs` |

mod check;
pub mod condition;
mod document;
mod expects;
mod flows;
pub mod hours;
pub mod interpolate;
pub mod memory;
mod names;
pub mod node;
mod private;
mod prompt;
mod run;
mod scope;
pub mod script;
mod words;
pub mod work;

pub use check::{Fault, Known, Severity, check};
pub use document::{Flow, FlowName, GiveUp, Goto, MAIN, NoInput, NodeId, OnFailure, OtherFlow, Words};
pub use expects::{Asks, Expects, MenuChoice, Takes, VoiceProperties};
pub use flows::{Flows, Place};
pub use memory::Memory;
pub use node::{AgentTransfer, End, Message, Node};
pub use private::{MOST_PRIVATE, Private};
pub use prompt::{Media, Spoken, Variants};
pub use run::{Act, Answers, Around, Event, NeedScript, run};
pub use scope::Scope;

/// The JSON Schema of a flow document.
pub fn schema() -> schemars::Schema {
    schemars::schema_for!(Flow)
}

#[cfg(test)]
mod tests;
