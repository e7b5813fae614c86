//! A conversation and who takes part in it: customer → workflow → acd → agent, each with a state, as the API tells.

use std::collections::BTreeMap;

use interline_connector::simulator::Line;
use serde_json::{Value, json};

use super::{new_id, time};

/// A conversation. Its id is its chat's at the desk.
pub(super) struct Conversation {
    pub id: String,
    /// The other side's id of the customer: `from.id`.
    pub from: String,
    pub participants: Vec<Party>,
    pub messages: Vec<Message>,
}

/// A participant.
pub(super) struct Party {
    pub id: String,
    pub purpose: &'static str,
    pub name: String,
    pub since: i64,
    pub ended: Option<(i64, &'static str)>,
    pub queue: Option<String>,
    pub attributes: BTreeMap<String, String>,
}

/// A message of either side.
pub(super) struct Message {
    pub id: String,
    /// What the other side calls it.
    pub provider_id: String,
    pub inbound: bool,
    pub at: i64,
}

impl Party {
    pub fn new(purpose: &'static str, name: &str, since: i64) -> Self {
        let (id, name) = (new_id(), name.to_owned());
        Self { id, purpose, name, since, ended: None, queue: None, attributes: BTreeMap::new() }
    }

    pub fn is_live(&self) -> bool {
        self.ended.is_none()
    }

    pub fn end(&mut self, at: i64, how: &'static str) {
        self.ended.get_or_insert((at, how));
    }

    fn told(&self, messages: &[Message]) -> Value {
        let state = if self.ended.is_some() { "disconnected" } else { "connected" };
        let mut told = json!({
            "id": self.id, "name": self.name, "purpose": self.purpose, "state": state, "direction": "inbound",
            "startTime": time(self.since), "connectedTime": time(self.since), "attributes": self.attributes, "type": "open",
        });
        if let Some((at, how)) = self.ended {
            told["endTime"] = time(at).into();
            told["disconnectType"] = how.into();
        }
        if let Some(queue) = &self.queue {
            told["queue"] = json!({ "id": queue });
        }
        if self.purpose == "agent" {
            told["user"] = json!({ "id": super::queue_id(&self.name) });
        }
        let inbound = self.purpose == "customer";
        let of_theirs =
            |message: &&Message| message.inbound == inbound && matches!(self.purpose, "customer" | "agent");
        let messages: Vec<Value> = messages
            .iter()
            .filter(of_theirs)
            .map(|it| json!({ "messageId": it.id, "messageTime": time(it.at), "messageStatus": if inbound { "received" } else { "sent" } }))
            .collect();
        told["messages"] = messages.into();
        told
    }
}

impl Conversation {
    /// Whether the customer is still in it: an inbound message joins it, else it opens another.
    pub fn is_open(&self) -> bool {
        self.participants.iter().any(|party| party.purpose == "customer" && party.is_live())
    }

    pub fn customer(&mut self) -> Option<&mut Party> {
        self.participants.iter_mut().find(|party| party.purpose == "customer")
    }

    pub fn agent(&mut self) -> Option<&mut Party> {
        self.participants.iter_mut().find(|party| party.purpose == "agent" && party.is_live())
    }

    /// All of these that are live are over.
    pub fn end(&mut self, purposes: &[&str], at: i64, how: &'static str) {
        let meant = self.participants.iter_mut().filter(|party| purposes.contains(&party.purpose));
        meant.for_each(|party| party.end(at, how));
    }

    /// Nobody is left.
    pub fn over(&mut self, at: i64, how: &'static str) {
        self.participants.iter_mut().for_each(|party| party.end(at, how));
    }

    /// The queues that it was ever in.
    pub fn queues(&self) -> Vec<String> {
        self.participants.iter().filter_map(|party| party.queue.clone()).collect()
    }

    pub fn add_message(&mut self, line: &Line, provider_id: &str, inbound: bool, at: i64) {
        let id = line.id.clone().unwrap_or_default();
        self.messages.push(Message { id, provider_id: provider_id.to_owned(), inbound, at });
    }

    /// As the API and the queues' topic tell it.
    pub fn told(&self) -> Value {
        let participants: Vec<Value> =
            self.participants.iter().map(|party| party.told(&self.messages)).collect();
        json!({ "id": self.id, "participants": participants })
    }
}
