//! What is wrong with a flow, for whoever wrote it. Each finding names its node. Errors keep a flow from being published;
//! warnings are told.
//!
//! | file | concept |
//! |---|---|
//! | `exits.rs` | where nodes lead, and what else they name |
//! | `graph.rs` | what is never reached; circles without a question |
//! | `nodes.rs` | what makes no sense within a node |
//!
//! All of it is linear in the size of the flow, and nothing recurses along its edges: ten thousand nodes in a row are fine.

mod exits;
mod graph;
mod nodes;

use std::collections::BTreeSet;
use std::fmt;

use serde::Serialize;

use super::document::{Flow, FlowName, NodeId};
use super::node::Node;
use crate::IntegrationName;

/// Where a node leads, as the validator follows it: for the test that takes every exit.
#[cfg(test)]
pub(super) fn exits_of(node: &Node) -> Vec<String> {
    exits::exits(node).into_iter().map(|(exit, _)| exit).collect()
}

/// The most nodes of a flow.
pub const MOST_NODES: usize = 10_000;

/// Something wrong in a flow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// Where: `flow.nodes.hello.message.next`.
    pub path: String,
    /// The node; none: the flow itself.
    pub node: Option<NodeId>,
    /// What is wrong there.
    pub message: String,
    /// Whether it can be published all the same.
    pub severity: Severity,
}

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// It cannot run.
    Error,
    /// It can run, and probably should not be so.
    Warning,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.path, self.message)
    }
}

/// What there is beside the flow.
pub struct Known<'a> {
    /// Whether there is such an agent system.
    pub is_agent: &'a dyn Fn(&IntegrationName) -> bool,
    /// Whether there is such a bot.
    pub is_bot: &'a dyn Fn(&IntegrationName) -> bool,
    /// Whether the app has such hours.
    pub has_hours: &'a dyn Fn(&str) -> bool,
    /// The published flows (and those that come into force with this one).
    pub flow: &'a dyn Fn(&FlowName) -> Option<&'a Flow>,
}

/// All that is wrong with a flow, errors first. `at` is where it stands: `flow`, `flows.support`.
pub fn check(at: &str, flow: &Flow, known: &Known<'_>) -> Vec<Fault> {
    let mut findings = Findings { at, faults: Vec::new() };
    if flow.nodes.len() > MOST_NODES {
        findings.error("nodes", None, format!("has {} nodes; {MOST_NODES} is the most", flow.nodes.len()));
        return findings.faults;
    }
    findings.targets(flow);
    findings.names(flow, known);
    for (id, node) in &flow.nodes {
        nodes::check(id, node, &mut findings);
    }
    findings.before_transfers(flow, known);
    graph::check(flow, &mut findings);
    findings.faults.sort_by_key(|fault| fault.severity);
    findings.faults
}

/// What was found so far.
struct Findings<'a> {
    at: &'a str,
    faults: Vec<Fault>,
}

impl Findings<'_> {
    fn error(&mut self, path: impl fmt::Display, node: Option<&NodeId>, message: impl Into<String>) {
        self.push(path, node, message.into(), Severity::Error);
    }

    fn warning(&mut self, path: impl fmt::Display, node: Option<&NodeId>, message: impl Into<String>) {
        self.push(path, node, message.into(), Severity::Warning);
    }

    fn push(&mut self, path: impl fmt::Display, node: Option<&NodeId>, message: String, severity: Severity) {
        self.faults.push(Fault {
            path: format!("{}.{path}", self.at),
            node: node.cloned(),
            message,
            severity,
        });
    }

    fn targets(&mut self, flow: &Flow) {
        for (field, target) in exits::beginnings(flow) {
            if !flow.nodes.contains_key(target) {
                self.error(field, None, format!("names the node `{target}`, which does not exist"));
            }
        }
        for (id, node) in &flow.nodes {
            for (field, target) in exits::exits(node) {
                if !flow.nodes.contains_key(target) {
                    let message = format!("names the node `{target}`, which does not exist");
                    self.error(format!("nodes.{id}.{field}"), Some(id), message);
                }
            }
        }
        if let Some(super::GiveUp::Transfer { node }) = flow.no_input.as_ref().map(|rule| &rule.then)
            && flow.nodes.contains_key(node)
            && flow.transfer(node).is_none()
        {
            let message = format!("names the node `{node}`, which is no agent_transfer");
            self.error("no_input.then.transfer.node", None, message);
        }
    }

    fn names(&mut self, flow: &Flow, known: &Known<'_>) {
        for (id, node) in &flow.nodes {
            let at = format!("nodes.{id}.{}", node.kind());
            for agent in node.agents().into_iter().filter(|agent| !(known.is_agent)(agent)) {
                self.error(&at, Some(id), format!("names the agent system `{agent}`, which does not exist"));
            }
            if let Some(bot) = node.bot().filter(|bot| !(known.is_bot)(bot)) {
                self.error(
                    format!("{at}.bot"),
                    Some(id),
                    format!("names the bot `{bot}`, which does not exist"),
                );
            }
            let hours = match node {
                Node::BusinessHours(check) => Some(check.hours.as_str()),
                Node::SetQueue(queue) => queue.hours.as_deref(),
                _ => None,
            };
            if let Some(hours) = hours.filter(|hours| !(known.has_hours)(hours)) {
                let message = format!("names the business hours `{hours}`, which do not exist");
                self.error(format!("{at}.hours"), Some(id), message);
            }
        }
        for (path, node, other) in exits::other_flows(flow) {
            if (known.flow)(other).is_none() {
                let message = format!("names the flow `{other}`, which is not published");
                self.error(path, node, message);
            }
        }
    }

    /// A flow before a transfer asks nothing.
    fn before_transfers(&mut self, flow: &Flow, known: &Known<'_>) {
        let befores = flow.nodes.iter().filter_map(|(id, node)| match node {
            Node::AgentTransfer(transfer) => Some((id, transfer.before.as_ref()?)),
            _ => None,
        });
        for (id, before) in befores {
            let Some(other) = (known.flow)(before) else { continue };
            let asking =
                graph::reached(other).into_iter().find(|id| other.nodes.get(*id).is_some_and(Node::asks));
            if let Some(asking) = asking {
                let message = format!(
                    "names the flow `{before}`, whose node `{asking}` asks the customer: that prevents the transfer"
                );
                self.error(format!("nodes.{id}.agent_transfer.before"), Some(id), message);
            }
        }
    }
}

/// Node ids, in order.
type Ids<'f> = BTreeSet<&'f NodeId>;
