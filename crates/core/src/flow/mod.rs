//! The bot side: what the bot says, and when it hands over.
//!
//! A flow is a graph of nodes. It runs inside `step`: an [`Event`] goes in, a list of [`Act`]s comes out. This is the
//! minimal set (message, agent transfer, end); the other node types of the field join [`Node`] and [`run`]. A node
//! that needs a script will make `run` answer "need this script's result first", and `step` will hand that on to the
//! engine, which steps again from the same state with the result in the input.

pub mod interpolate;
pub mod script;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::transfer::reason::{Outcome, Reason};
use crate::transfer::target::Target;

/// The name of a node in its flow.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct NodeId(Arc<str>);

impl From<&str> for NodeId {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What the bot does. The operator writes it as YAML under `flow:`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Flow {
    /// Run when the customer opens the chat.
    pub start: NodeId,
    /// What the customer may say, first match first.
    #[serde(default)]
    pub words: Vec<Words>,
    /// Run when nothing in `words` matches.
    pub otherwise: NodeId,
    /// Run when a human part is over and its transfer node says nothing else.
    #[serde(default)]
    pub returned: Option<NodeId>,
    /// Run when a transfer found no agent and its node says nothing else.
    #[serde(default)]
    pub no_agents: Option<NodeId>,
    /// Run when a transfer came outside working hours and its node says nothing else.
    #[serde(default)]
    pub out_of_hours: Option<NodeId>,
    /// The nodes.
    pub nodes: BTreeMap<NodeId, Node>,
}

/// Words that lead to a node.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Words {
    /// Any of these, as whole words, in any case.
    pub any: Vec<String>,
    /// Where they lead.
    pub go_to: NodeId,
}

/// A fault in a flow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Where: `flow.nodes.hello.next`.
    pub path: String,
    /// What is wrong there.
    pub message: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.path, self.message)
    }
}

/// One step of a flow.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Node {
    /// Says something.
    Message(Message),
    /// Hands over to a human.
    AgentTransfer(AgentTransfer),
    /// Ends the conversation.
    End {},
}

/// A message node.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Message {
    /// One of these is said, picked by the input's seed. `{{text}}` stands for what the customer said.
    pub text: Variants,
    /// The node after this one.
    #[serde(default)]
    pub next: Option<NodeId>,
}

/// One text or several to choose from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Variants {
    /// Always this.
    One(String),
    /// One of these.
    Any(Vec<String>),
}

/// An Agent Transfer node.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AgentTransfer {
    /// Said before the transfer.
    pub message: Option<String>,
    /// Where to; else the channel's agent system, else the app's default.
    pub target: Option<Target>,
    /// Where else, one after the other, when that fails.
    pub fallback: Vec<Target>,
    /// Skills that the agent should have, in the words of the agent system.
    pub skills: Vec<String>,
    /// Custom data for the agent system, by name, beside what is known of the customer.
    pub data: BTreeMap<String, String>,
    /// What happens when all of it failed.
    pub on_failure: OnFailure,
    /// Run when the human part is over; else the flow's `returned`.
    pub returned: Option<NodeId>,
}

/// The failure path of a transfer node.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OnFailure {
    /// Said to the customer.
    pub message: Option<String>,
    /// Run after it.
    pub go_to: Option<NodeId>,
}

/// What the bot is told.
#[derive(Debug, Clone, PartialEq)]
pub enum Event<'a> {
    /// The customer opened the chat.
    Started,
    /// The customer said something.
    Said(&'a str),
    /// A human part is over; `node` is the transfer node that began it.
    Returned {
        /// The transfer node; none when the agent's side began by itself.
        node: Option<&'a NodeId>,
        /// How it ended.
        outcome: &'a Outcome,
    },
}

/// What the bot does.
#[derive(Debug, Clone, PartialEq)]
pub enum Act {
    /// Says this.
    Say(String),
    /// Hands over, by this node. Always the last act.
    Transfer(NodeId),
    /// Ends the conversation. Always the last act.
    End,
}

/// A flow that goes in circles without waiting for anybody is cut after so many nodes.
const MAX_NODES_PER_EVENT: usize = 64;

/// Runs the flow for one event. `failed` is what is said when a transfer failed and nobody says anything else.
pub fn run(flow: &Flow, failed: &str, event: &Event<'_>, seed: u64) -> Vec<Act> {
    let mut acts = Vec::new();
    let (said, first) = match event {
        Event::Started => ("", Some(&flow.start)),
        Event::Said(text) => (*text, Some(flow.listen(text))),
        Event::Returned { node, outcome } => ("", flow.after_transfer(*node, outcome, failed, &mut acts)),
    };
    let mut next = first;
    for _ in 0..MAX_NODES_PER_EVENT {
        let Some(id) = next else { break };
        match flow.nodes.get(id) {
            Some(Node::Message(message)) => {
                acts.push(Act::Say(message.text.pick(seed).replace("{{text}}", said)));
                next = message.next.as_ref();
            }
            Some(Node::AgentTransfer(transfer)) => {
                acts.extend(transfer.message.clone().map(Act::Say));
                acts.push(Act::Transfer(id.clone()));
                break;
            }
            Some(Node::End {}) => {
                acts.push(Act::End);
                break;
            }
            // `check` refuses such a flow at the edge; should one come through, the bot waits for the customer.
            None => break,
        }
    }
    acts
}

impl Variants {
    fn pick(&self, seed: u64) -> &str {
        match self {
            Self::One(text) => text,
            Self::Any(texts) if texts.is_empty() => "",
            Self::Any(texts) => {
                let count = texts.len() as u64;
                texts.get(usize::try_from(seed % count).unwrap_or(0)).map_or("", String::as_str)
            }
        }
    }
}

impl Flow {
    fn listen(&self, text: &str) -> &NodeId {
        let said: Vec<String> = text
            .split(|c: char| !c.is_alphanumeric())
            .filter(|word| !word.is_empty())
            .map(str::to_lowercase)
            .collect();
        let heard = |phrase: &String| {
            let phrase: Vec<String> = phrase.split_whitespace().map(str::to_lowercase).collect();
            !phrase.is_empty() && said.windows(phrase.len()).any(|window| window == phrase)
        };
        self.words
            .iter()
            .find(|words| words.any.iter().any(heard))
            .map_or(&self.otherwise, |words| &words.go_to)
    }

    fn after_transfer<'a>(
        &'a self,
        node: Option<&NodeId>,
        outcome: &Outcome,
        failed: &str,
        acts: &mut Vec<Act>,
    ) -> Option<&'a NodeId> {
        let node = node.and_then(|id| match self.nodes.get(id) {
            Some(Node::AgentTransfer(transfer)) => Some(transfer),
            Some(Node::Message(_) | Node::End {}) | None => None,
        });
        let Outcome::Failed(failure) = outcome else {
            return node.and_then(|node| node.returned.as_ref()).or(self.returned.as_ref());
        };
        // Design.md §3: the node's message and go-to, else the Start node's flow for the reason, else the app's text.
        let on_failure = node.map(|node| &node.on_failure);
        if let Some(said) = on_failure.and_then(|path| path.message.clone()) {
            acts.push(Act::Say(said));
            return on_failure.and_then(|path| path.go_to.as_ref());
        }
        let by_reason = match failure.reason {
            Reason::OutsideHours => self.out_of_hours.as_ref(),
            Reason::NoAgents | Reason::QueueFull | Reason::QueueTimeout | Reason::Busy | Reason::NoAnswer => {
                self.no_agents.as_ref()
            }
            Reason::Declined
            | Reason::Unreachable
            | Reason::Unauthorized
            | Reason::RateLimited
            | Reason::BadRequest
            | Reason::VendorError
            | Reason::CallerLeft
            | Reason::AgentLost
            | Reason::Unconfigured
            | Reason::Loop => None,
        };
        let next = on_failure.and_then(|path| path.go_to.as_ref()).or(by_reason);
        if next.is_none() {
            acts.push(Act::Say(failed.to_owned()));
        }
        next
    }

    /// The faults of a flow, each naming its node, for whoever wrote it. Empty: the flow can run.
    pub fn check(&self, is_agent: impl Fn(&crate::IntegrationName) -> bool) -> Vec<Fault> {
        let mut faults = Vec::new();
        let mut target = |from: String, id: &NodeId| {
            if !self.nodes.contains_key(id) {
                let message = format!("names the node `{id}`, which does not exist");
                faults.push(Fault { path: format!("flow.{from}"), message });
            }
        };
        target("start".into(), &self.start);
        target("otherwise".into(), &self.otherwise);
        let named = [
            ("returned", &self.returned),
            ("no_agents", &self.no_agents),
            ("out_of_hours", &self.out_of_hours),
        ];
        for (from, id) in named {
            id.iter().for_each(|id| target(from.into(), id));
        }
        for (at, words) in self.words.iter().enumerate() {
            target(format!("words[{at}].go_to"), &words.go_to);
        }
        for (id, node) in &self.nodes {
            match node {
                Node::Message(message) => {
                    message.next.iter().for_each(|next| target(format!("nodes.{id}.next"), next));
                }
                Node::AgentTransfer(transfer) => {
                    let path = format!("nodes.{id}.agent_transfer");
                    transfer.returned.iter().for_each(|next| target(format!("{path}.returned"), next));
                    transfer
                        .on_failure
                        .go_to
                        .iter()
                        .for_each(|next| target(format!("{path}.on_failure.go_to"), next));
                }
                Node::End {} => {}
            }
        }
        for (id, node) in &self.nodes {
            if let Node::AgentTransfer(transfer) = node {
                for target in transfer.target.iter().chain(&transfer.fallback) {
                    if !is_agent(&target.integration) {
                        let message =
                            format!("names the agent system `{}`, which does not exist", target.integration);
                        faults.push(Fault { path: format!("flow.nodes.{id}.agent_transfer"), message });
                    }
                }
            }
        }
        faults
    }

    /// Takes an agent system out of every transfer node that names it. Returns those nodes.
    pub fn unname_agent(&mut self, agent: &crate::IntegrationName) -> Vec<NodeId> {
        let mut named = Vec::new();
        for (id, node) in &mut self.nodes {
            let Node::AgentTransfer(transfer) = node else { continue };
            let before = (transfer.target.is_some(), transfer.fallback.len());
            transfer.target.take_if(|target| target.integration == *agent);
            transfer.fallback.retain(|target| target.integration != *agent);
            if before != (transfer.target.is_some(), transfer.fallback.len()) {
                named.push(id.clone());
            }
        }
        named
    }

    /// The transfer node called `id`.
    pub fn transfer(&self, id: &NodeId) -> Option<&AgentTransfer> {
        match self.nodes.get(id) {
            Some(Node::AgentTransfer(transfer)) => Some(transfer),
            Some(Node::Message(_) | Node::End {}) | None => None,
        }
    }
}

#[cfg(test)]
mod tests;
