//! Applying a document to an app that is there: secrets that were left out stay, a removal does nothing without
//! `prune`, and what differs is told.

use interline_core::IntegrationName;
use serde::Serialize;
use serde_json::Value;

use super::Invalid;
use super::document::Document;
use super::mask::{KEPT, secrets};

/// One difference between two documents.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Difference {
    /// Where: `agents.desk.url`.
    pub path: String,
    /// What happens there.
    pub kind: Kind,
    /// What was there; a secret is not shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<Value>,
    /// What will be there; a secret is not shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<Value>,
}

/// What happens at a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// It was not there.
    Added,
    /// It is another.
    Changed,
    /// It will not be there.
    Removed,
}

/// What comes into force when `next` is applied to `current`. Without `prune`, named things that `next` leaves out stay.
///
/// # Errors
/// A secret is to be kept, and there is none.
pub fn merge(current: Option<&Document>, mut next: Document, prune: bool) -> Result<Document, Vec<Invalid>> {
    if let Some(current) = current.filter(|_| !prune) {
        keep(&mut next.credentials, &current.credentials);
        keep(&mut next.channels, &current.channels);
        keep(&mut next.agents, &current.agents);
        keep(&mut next.channel_agents, &current.channel_agents);
        keep(&mut next.bots, &current.bots);
        keep(&mut next.hours, &current.hours);
        keep(&mut next.content, &current.content);
        keep(&mut next.env, &current.env);
        keep(&mut next.channel_flows, &current.channel_flows);
        keep(&mut next.flows, &current.flows);
        if next.default_agent.is_none() {
            next.default_agent.clone_from(&current.default_agent);
        }
    }
    keep_secrets(current, next)
}

fn keep<K: Ord + Clone, V: Clone>(
    next: &mut std::collections::BTreeMap<K, V>,
    current: &std::collections::BTreeMap<K, V>,
) {
    for (name, value) in current {
        next.entry(name.clone()).or_insert_with(|| value.clone());
    }
}

fn keep_secrets(current: Option<&Document>, next: Document) -> Result<Document, Vec<Invalid>> {
    let mut value = next.to_json();
    let known = current.map(Document::to_json).unwrap_or_default();
    let mut missing = Vec::new();
    for pointer in secrets(&next) {
        let Some(secret) = value.pointer_mut(&pointer).filter(|secret| **secret == KEPT) else { continue };
        match known.pointer(&pointer).filter(|known| known.is_string()) {
            Some(known) => *secret = known.clone(),
            None => missing.push(Invalid::at(
                dotted(&pointer),
                format!("`{KEPT}` keeps the secret that is there, and there is none yet: give one"),
            )),
        }
    }
    if missing.is_empty() { Document::from_json(value).map_err(|fault| vec![fault]) } else { Err(missing) }
}

/// What differs, in the order of the paths. Secrets are not shown.
pub fn differences(before: Option<&Document>, after: &Document) -> Vec<Difference> {
    let mut hidden = secrets(after);
    hidden.extend(before.map(secrets).unwrap_or_default());
    let old = before.map(Document::to_json).unwrap_or_default();
    let mut found = Vec::new();
    compare("", Some(&old), Some(&after.to_json()), &hidden, &mut found);
    found
}

fn compare(
    at: &str,
    before: Option<&Value>,
    after: Option<&Value>,
    hidden: &[String],
    found: &mut Vec<Difference>,
) {
    if before == after {
        return;
    }
    // Nothing at all counts as an empty document: each part of it is told by itself.
    let empty = Value::Object(serde_json::Map::new());
    let before =
        if at.is_empty() { before.filter(|value| !value.is_null()).or(Some(&empty)) } else { before };
    if let (Some(Value::Object(old)), Some(Value::Object(new))) = (before, after) {
        let names: std::collections::BTreeSet<&String> = old.keys().chain(new.keys()).collect();
        for name in names {
            let inner = format!("{at}/{}", name.replace('~', "~0").replace('/', "~1"));
            compare(&inner, old.get(name), new.get(name), hidden, found);
        }
        return;
    }
    let kind = match (before, after) {
        (None, _) => Kind::Added,
        (_, None) => Kind::Removed,
        (Some(_), Some(_)) => Kind::Changed,
    };
    let show = |value: Option<&Value>| value.map(|value| veiled(value.clone(), at, hidden));
    found.push(Difference { path: dotted(at), kind, before: show(before), after: show(after) });
}

fn veiled(mut value: Value, at: &str, hidden: &[String]) -> Value {
    for secret in hidden.iter().filter_map(|pointer| pointer.strip_prefix(at)) {
        if let Some(place) = value.pointer_mut(secret) {
            *place = Value::from(KEPT);
        }
    }
    value
}

/// A JSON pointer as people write paths.
pub(super) fn dotted(pointer: &str) -> String {
    pointer.trim_start_matches('/').replace('/', ".").replace("~1", "/").replace("~0", "~")
}

/// Removes an agent system from everything that names it; `instead` takes its place where one is needed. Returns where
/// it was named.
pub(super) fn unname(
    document: &mut Document,
    name: &IntegrationName,
    instead: Option<&IntegrationName>,
) -> Vec<String> {
    let mut places = Vec::new();
    if document.default_agent.as_ref() == Some(name) {
        document.default_agent = instead.cloned();
        places.push("default_agent".to_owned());
    }
    let mapped: Vec<IntegrationName> = document
        .channel_agents
        .iter()
        .filter(|(_, agent)| *agent == name)
        .map(|(channel, _)| channel.clone())
        .collect();
    for channel in mapped {
        places.push(format!("channel_agents.{channel}"));
        match instead {
            Some(instead) => document.channel_agents.insert(channel, instead.clone()),
            None => document.channel_agents.remove(&channel),
        };
    }
    for node in document.flow.unname_agent(name) {
        places.push(format!("flow.nodes.{node}"));
    }
    for (flow, other) in &mut document.flows {
        for node in other.unname_agent(name) {
            places.push(format!("flows.{flow}.nodes.{node}"));
        }
    }
    places
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::json;

    use super::*;

    fn document(change: impl FnOnce(&mut Value)) -> Document {
        let mut value = json!({
            "app": { "id": "st-x", "name": "Test" },
            "credentials": { "main": { "client_id": "cs-1", "client_secret": "one", "scopes": ["web"] } },
            "channels": { "web": { "type": "web", "credentials": ["main"] } },
            "flow": { "start": "a", "otherwise": "a", "nodes": { "a": { "message": { "text": "A" } } } },
        });
        change(&mut value);
        Document::from_json(value).unwrap()
    }

    #[test]
    fn what_is_left_out_stays_unless_pruned() {
        let current = document(|_| {});
        let next = || document(|value| value["channels"] = json!({}));
        assert_eq!(merge(Some(&current), next(), false).unwrap().channels.len(), 1);
        assert_eq!(merge(Some(&current), next(), true).unwrap().channels.len(), 0);
    }

    #[test]
    fn a_masked_secret_is_kept_and_a_missing_one_is_a_fault() {
        let current = document(|_| {});
        let masked = Document::from_json(super::super::masked(&current)).unwrap();
        assert_eq!(merge(Some(&current), masked.clone(), true).unwrap(), current);
        let faults = merge(None, masked, true).unwrap_err();
        assert_eq!(faults[0].path, "credentials.main.client_secret");
    }

    #[test]
    fn differences_name_the_place_and_hide_the_secret() {
        let before = document(|_| {});
        let after = document(|value| {
            value["app"]["name"] = json!("Other");
            value["credentials"]["main"]["client_secret"] = json!("two");
            value["credentials"]["more"] =
                json!({ "client_id": "cs-2", "client_secret": "three", "scopes": [] });
        });
        let found = differences(Some(&before), &after);
        let text = serde_json::to_string(&found).unwrap();
        assert!(!text.contains("two") && !text.contains("three") && !text.contains("\"one\""), "{text}");
        let paths: Vec<&str> = found.iter().map(|difference| difference.path.as_str()).collect();
        assert_eq!(paths, ["app.name", "credentials.main.client_secret", "credentials.more"]);
        assert_eq!(found[2].after.as_ref().unwrap()["client_secret"], KEPT);
        assert_eq!(differences(Some(&after), &after), []);
    }
}
