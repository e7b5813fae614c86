//! What is never reached, and circles in which nobody is asked anything.

use std::collections::{BTreeMap, BTreeSet};

use super::exits::{beginnings, exits};
use super::{Findings, Ids};
use crate::flow::document::{Flow, NodeId};
use crate::flow::node::Node;

/// So many circles are told.
const MOST_CIRCLES: usize = 20;

pub(super) fn check(flow: &Flow, findings: &mut Findings<'_>) {
    let reached = reached(flow);
    for id in flow.nodes.keys().filter(|id| !reached.contains(*id)) {
        findings.warning(format!("nodes.{id}"), Some(id), "is never reached");
    }
    for circle in circles(flow) {
        let first = circle[0];
        let around = circle.iter().map(|id| format!("`{id}`")).collect::<Vec<_>>().join(" → ");
        let message = format!("leads in a circle in which the customer is not asked anything: {around}");
        let decides = circle.iter().any(|id| flow.nodes.get(*id).is_some_and(Node::decides));
        let path = format!("nodes.{first}");
        if decides {
            findings.warning(path, Some(first), message);
        } else {
            findings.error(path, Some(first), message);
        }
    }
    if flow.words.is_empty() && flow.otherwise.is_none() {
        let open = flow.nodes.iter().filter(|(id, node)| reached.contains(id) && ends_open(node));
        for (id, node) in open {
            let message = "has no next node: the path ends without an End node, and the flow starts anew with the next line";
            findings.warning(format!("nodes.{id}.{}", node.kind()), Some(id), message);
        }
    }
}

/// Whether a path may end here without saying so.
fn ends_open(node: &Node) -> bool {
    match node {
        Node::Message(node) => node.next.is_none(),
        Node::Deflection(node) => node.next.is_none(),
        Node::Script(node) => node.next.is_none(),
        Node::IvrMenu(_)
        | Node::DigitInput(_)
        | Node::Split(_)
        | Node::BusinessHours(_)
        | Node::AgentAvailability(_)
        | Node::SetQueue(_)
        | Node::Automation(_)
        | Node::Api(_)
        | Node::GoToFlow(_)
        | Node::AgentTransfer(_)
        | Node::End(_) => false,
    }
}

/// The nodes that can be reached.
pub(super) fn reached(flow: &Flow) -> Ids<'_> {
    let mut reached = BTreeSet::new();
    let mut next: Vec<&NodeId> = beginnings(flow).into_iter().map(|(_, id)| id).collect();
    while let Some(id) = next.pop() {
        let Some(node) = flow.nodes.get(id) else { continue };
        if reached.insert(id) {
            next.extend(exits(node).into_iter().map(|(_, target)| target));
        }
    }
    reached
}

/// Circles of nodes that do not wait for the customer or an agent, each from its first node by name.
fn circles(flow: &Flow) -> Vec<Vec<&NodeId>> {
    let waits = |node: &Node| node.asks() || matches!(node, Node::AgentTransfer(_));
    let mut edges: BTreeMap<&NodeId, BTreeSet<&NodeId>> = BTreeMap::new();
    for (id, node) in flow.nodes.iter().filter(|(_, node)| !waits(node)) {
        let targets = exits(node).into_iter().map(|(_, target)| target);
        let targets = targets.filter(|target| flow.nodes.get(*target).is_some_and(|node| !waits(node)));
        edges.insert(id, targets.collect());
    }
    let mut found = Vec::new();
    while found.len() < MOST_CIRCLES {
        peel(&mut edges);
        let Some(first) = edges.keys().next().copied() else { break };
        let circle = circle_from(first, &edges);
        for id in &circle {
            edges.remove(id);
        }
        let turn = circle.iter().enumerate().min_by_key(|(_, id)| **id).map_or(0, |(at, _)| at);
        found.push([&circle[turn..], &circle[..turn]].concat());
    }
    found
}

/// Takes away what leads nowhere, again and again: what is left leads to a circle.
fn peel<'f>(edges: &mut BTreeMap<&'f NodeId, BTreeSet<&'f NodeId>>) {
    let mut from: BTreeMap<&NodeId, Vec<&NodeId>> = BTreeMap::new();
    let mut count: BTreeMap<&NodeId, usize> = BTreeMap::new();
    for (id, targets) in edges.iter() {
        let alive = targets.iter().filter(|target| edges.contains_key(*target));
        count.insert(id, alive.clone().count());
        alive.for_each(|target| from.entry(target).or_default().push(id));
    }
    let mut dead: Vec<&NodeId> = count.iter().filter(|(_, left)| **left == 0).map(|(id, _)| *id).collect();
    while let Some(id) = dead.pop() {
        edges.remove(id);
        for source in from.get(id).into_iter().flatten() {
            if let Some(left) = count.get_mut(source) {
                *left = left.saturating_sub(1);
                if *left == 0 {
                    dead.push(source);
                }
            }
        }
    }
}

/// Each node that is left leads to another that is: going on, one comes twice.
fn circle_from<'f>(first: &'f NodeId, edges: &BTreeMap<&'f NodeId, BTreeSet<&'f NodeId>>) -> Vec<&'f NodeId> {
    let mut path = vec![first];
    let mut place = BTreeMap::from([(first, 0)]);
    let mut at = first;
    loop {
        let next =
            edges.get(at).and_then(|targets| targets.iter().find(|target| edges.contains_key(**target)));
        let Some(next) = next.copied() else { return path };
        if let Some(begin) = place.get(next) {
            return path.split_off(*begin);
        }
        place.insert(next, path.len());
        path.push(next);
        at = next;
    }
}
