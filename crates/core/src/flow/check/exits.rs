//! Where nodes lead, and what else they name.

use crate::IntegrationName;
use crate::flow::document::{Flow, FlowName, GiveUp, Goto, NodeId, OnFailure};
use crate::flow::node::{Node, Tries};

/// Where a node leads: the field's path below the node, and the target.
pub(super) fn exits(node: &Node) -> Vec<(String, &NodeId)> {
    let mut exits = Exits(Vec::new());
    let kind = node.kind();
    match node {
        Node::Message(node) => exits.maybe(kind, "next", node.next.as_ref()),
        Node::IvrMenu(node) => {
            for (at, choice) in node.choices.iter().enumerate() {
                exits.one(kind, &format!("choices[{at}].go_to"), &choice.go_to);
            }
            exits.tries(kind, "timeout", node.timeout.as_ref());
            exits.tries(kind, "wrong_input", Some(&node.wrong_input));
        }
        Node::DigitInput(node) => {
            exits.one(kind, "next", &node.next);
            exits.tries(kind, "timeout", node.timeout.as_ref());
            exits.tries(kind, "wrong_input", Some(&node.wrong_input));
        }
        Node::Split(node) => {
            for (at, branch) in node.branches.iter().enumerate() {
                exits.one(kind, &format!("branches[{at}].go_to"), &branch.go_to);
            }
            exits.one(kind, "otherwise", &node.otherwise);
        }
        Node::BusinessHours(node) => {
            exits.one(kind, "inside", &node.inside);
            exits.one(kind, "outside", &node.outside);
        }
        Node::AgentAvailability(node) => {
            exits.one(kind, "available", &node.available);
            exits.one(kind, "not_available", &node.not_available);
        }
        Node::SetQueue(node) => {
            exits.one(kind, "inside", &node.inside);
            exits.maybe(kind, "outside", node.outside.as_ref());
        }
        Node::Deflection(node) => exits.maybe(kind, "next", node.next.as_ref()),
        Node::Automation(node) => {
            exits.maybe(kind, "success", node.success.as_ref());
            exits.maybe(kind, "failure", node.failure.as_ref());
            exits.one(kind, "on_agent_transfer", &node.on_agent_transfer);
            exits.tries(kind, "timeout", node.timeout.as_ref());
        }
        Node::Api(node) => {
            exits.one(kind, "success", &node.success);
            exits.maybe(kind, "failure", node.failure.as_ref());
        }
        Node::Script(node) => {
            for (at, branch) in node.branches.iter().enumerate() {
                exits.one(kind, &format!("branches[{at}].go_to"), &branch.go_to);
            }
            exits.maybe(kind, "next", node.next.as_ref());
        }
        Node::AgentTransfer(node) => exits.maybe(kind, "returned", node.returned.as_ref()),
        Node::GoToFlow(_) | Node::End(_) => {}
    }
    let field = if matches!(node, Node::AgentTransfer(_)) { "on_failure" } else { "on_error" };
    if let Some(OnFailure { go_to: Some(target), .. }) = node.on_error() {
        exits.one(kind, &format!("{field}.go_to"), target);
    }
    exits.0
}

struct Exits<'f>(Vec<(String, &'f NodeId)>);

impl<'f> Exits<'f> {
    fn one(&mut self, kind: &str, field: &str, target: &'f NodeId) {
        self.0.push((format!("{kind}.{field}"), target));
    }

    fn maybe(&mut self, kind: &str, field: &str, target: Option<&'f NodeId>) {
        if let Some(target) = target {
            self.one(kind, field, target);
        }
    }

    fn tries(&mut self, kind: &str, field: &str, tries: Option<&'f Tries>) {
        self.maybe(kind, &format!("{field}.go_to"), tries.and_then(|tries| tries.go_to.as_ref()));
    }
}

/// Where a flow itself leads (its Start node).
pub(super) fn beginnings(flow: &Flow) -> Vec<(String, &NodeId)> {
    let mut found = vec![("start".to_owned(), &flow.start)];
    for (at, words) in flow.words.iter().enumerate() {
        found.push((format!("words[{at}].go_to"), &words.go_to));
    }
    for (field, node) in [("otherwise", &flow.otherwise), ("returned", &flow.returned)] {
        found.extend(node.iter().map(|node| (field.to_owned(), node)));
    }
    for (field, goto) in gotos(flow) {
        if let Goto::Node(node) = goto {
            found.push((field.to_owned(), node));
        }
    }
    if let Some(GiveUp::Transfer { node }) = flow.no_input.as_ref().map(|rule| &rule.then) {
        found.push(("no_input.then.transfer.node".to_owned(), node));
    }
    found.extend(flow.on_error.go_to.iter().map(|node| ("on_error.go_to".to_owned(), node)));
    found
}

fn gotos(flow: &Flow) -> impl Iterator<Item = (&'static str, &Goto)> {
    let named = [("no_agents", &flow.no_agents), ("out_of_hours", &flow.out_of_hours), ("exit", &flow.exit)];
    named.into_iter().filter_map(|(field, goto)| Some((field, goto.as_ref()?)))
}

/// The other flows that a flow names.
pub(super) fn other_flows(flow: &Flow) -> Vec<(String, Option<&NodeId>, &FlowName)> {
    let mut found = Vec::new();
    for (field, goto) in gotos(flow) {
        if let Goto::Flow(other) = goto {
            found.push((field.to_owned(), None, &other.flow));
        }
    }
    for (id, node) in &flow.nodes {
        match node {
            Node::GoToFlow(go) => found.push((format!("nodes.{id}.go_to_flow.flow"), Some(id), &go.flow)),
            Node::AgentTransfer(transfer) => {
                let named = [("before", &transfer.before), ("in_queue", &transfer.in_queue)];
                for (field, flow) in named {
                    let path = format!("nodes.{id}.agent_transfer.{field}");
                    found.extend(flow.iter().map(|flow| (path.clone(), Some(id), flow)));
                }
            }
            Node::Message(_)
            | Node::IvrMenu(_)
            | Node::DigitInput(_)
            | Node::Split(_)
            | Node::BusinessHours(_)
            | Node::AgentAvailability(_)
            | Node::SetQueue(_)
            | Node::Deflection(_)
            | Node::Automation(_)
            | Node::Api(_)
            | Node::Script(_)
            | Node::End(_) => {}
        }
    }
    found
}

impl Node {
    /// As it stands in documents.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Message(_) => "message",
            Self::IvrMenu(_) => "ivr_menu",
            Self::DigitInput(_) => "digit_input",
            Self::Split(_) => "split",
            Self::BusinessHours(_) => "business_hours",
            Self::AgentAvailability(_) => "agent_availability",
            Self::SetQueue(_) => "set_queue",
            Self::Deflection(_) => "deflection",
            Self::Automation(_) => "automation",
            Self::Api(_) => "api",
            Self::GoToFlow(_) => "go_to_flow",
            Self::Script(_) => "script",
            Self::AgentTransfer(_) => "agent_transfer",
            Self::End(_) => "end",
        }
    }

    /// Whether it asks the customer, and waits.
    pub(super) fn asks(&self) -> bool {
        matches!(self, Self::IvrMenu(_) | Self::DigitInput(_) | Self::Automation(_))
    }

    /// Whether it may lead to one of several nodes, by what is known.
    pub(super) fn decides(&self) -> bool {
        match self {
            Self::Split(_) | Self::BusinessHours(_) | Self::AgentAvailability(_) | Self::Api(_) => true,
            Self::Script(script) => !script.branches.is_empty(),
            Self::SetQueue(queue) => queue.outside.is_some(),
            Self::Message(_)
            | Self::IvrMenu(_)
            | Self::DigitInput(_)
            | Self::Deflection(_)
            | Self::Automation(_)
            | Self::GoToFlow(_)
            | Self::AgentTransfer(_)
            | Self::End(_) => false,
        }
    }

    /// The external bot that it names.
    pub(super) fn bot(&self) -> Option<&IntegrationName> {
        match self {
            Self::Automation(automation) => Some(&automation.bot),
            Self::Message(_)
            | Self::IvrMenu(_)
            | Self::DigitInput(_)
            | Self::Split(_)
            | Self::BusinessHours(_)
            | Self::AgentAvailability(_)
            | Self::SetQueue(_)
            | Self::Deflection(_)
            | Self::Api(_)
            | Self::GoToFlow(_)
            | Self::Script(_)
            | Self::AgentTransfer(_)
            | Self::End(_) => None,
        }
    }
}
