//! What a customer's side is told: events on its stream, entries in the list.

use std::time::Duration;

use interline_connector::simulator::Fault;
use serde_json::{Value, json};
use uuid::Uuid;

use super::Simulator;

/// The call that opens a stream: what is told is told there.
pub(super) const STREAM: &str = "GET /eventrouter/v1/sse";

/// Who did something.
#[derive(Debug, Clone)]
pub(super) struct Sender {
    pub role: &'static str,
    app_type: &'static str,
    pub subject: String,
    pub name: String,
}

impl Sender {
    fn new(role: &'static str, app_type: &'static str, subject: &str, name: &str) -> Self {
        Self { role, app_type, subject: subject.to_owned(), name: name.to_owned() }
    }

    /// Somebody who works at the org: by name, always the same.
    pub fn staff(role: &'static str, name: &str) -> Self {
        let id = Uuid::new_v5(&Uuid::NAMESPACE_OID, name.as_bytes()).simple().to_string();
        Self::new(role, "agent", &format!("005{}", id.get(..12).unwrap_or_default()), name)
    }

    pub fn agent(name: &str) -> Self {
        Self::staff("Agent", name)
    }

    pub fn bot() -> Self {
        Self::new("Chatbot", "agent", "0Xx000000000001", "Automated Process")
    }

    pub fn customer(subject: &str) -> Self {
        Self::new("EndUser", "iamessage", subject, "Guest")
    }

    pub fn router() -> Self {
        Self::new("Router", "conversation", "router", "Automated Process")
    }

    pub fn system() -> Self {
        Self::new("System", "conversation", "system", "Automated Process")
    }
}

/// What happened.
pub(super) struct Told {
    /// `CONVERSATION_MESSAGE`.
    event: &'static str,
    /// `Message`.
    kind: &'static str,
    sender: Sender,
    /// Without `entryType`.
    payload: Value,
    identifier: String,
    related: Vec<String>,
}

impl Told {
    pub fn new(event: &'static str, kind: &'static str, sender: Sender, payload: Value) -> Self {
        Self { event, kind, sender, payload, identifier: Uuid::new_v4().to_string(), related: Vec::new() }
    }

    /// Somebody said something. The id of the message is also that of the entry.
    pub fn message(sender: Sender, id: &str, content: Value) -> Self {
        Self::abstract_message(sender, id, "StaticContentMessage", ("staticContent", content))
    }

    /// A message that offers choices.
    pub fn choices(sender: Sender, id: &str, choices: Value) -> Self {
        Self::abstract_message(sender, id, "ChoicesMessage", ("choices", choices))
    }

    fn abstract_message(sender: Sender, id: &str, kind: &str, (name, content): (&str, Value)) -> Self {
        let mut payload = json!({ "id": id, "messageReason": null, "abstractMessage": {
            "messageType": kind, "id": id, "inReplyToMessageId": null, "references": [],
        }});
        payload["abstractMessage"][name] = content;
        Self { identifier: id.to_owned(), ..Self::new("CONVERSATION_MESSAGE", "Message", sender, payload) }
    }

    /// About another entry.
    pub fn about(self, entry: String) -> Self {
        Self { related: vec![entry], ..self }
    }

    /// As the list shows it: the payload is an object.
    fn entry(&self, now_ms: i64) -> Value {
        let Sender { role, app_type, subject, name } = &self.sender;
        let mut payload = self.payload.clone();
        payload["entryType"] = self.kind.into();
        json!({
            "identifier": self.identifier, "entryType": self.kind, "senderDisplayName": name,
            "sender": {
                "role": role, "appType": app_type, "subject": subject, "clientIdentifier": format!("ci-{subject}"),
            },
            "entryPayload": payload, "transcriptedTimestamp": now_ms, "clientTimestamp": now_ms,
            "clientDuration": 0, "relatedRecords": self.related, "contextParamMap": {},
            "visibilityStrategy": "Everyone",
        })
    }

    /// Whether the list has it afterwards.
    fn lasts(&self) -> bool {
        !self.kind.ends_with("Indicator") && !self.kind.ends_with("Acknowledgement")
    }
}

impl Simulator {
    /// Tells the customer's side of a conversation what happened, on its stream and in the list.
    pub(super) fn tell(&self, conversation: &str, told: Told) {
        let entry = told.entry(self.desk().clock().now_ms());
        // On the stream the payload is a text.
        let mut streamed = entry.clone();
        streamed["entryPayload"] = entry["entryPayload"].to_string().into();
        let data = json!({
            "channelPlatformKey": "k1", "channelType": "embedded_messaging",
            "channelAddressIdentifier": "11111111-2222-4333-8444-555555555555",
            "conversationId": conversation, "conversationEntry": streamed,
        });
        let what = format!("{STREAM} {} {}", told.event, told.sender.role);
        let faults = self.desk().faults().told(&what);
        let times = if faults.contains(&Fault::Lose) {
            0
        } else if faults.contains(&Fault::Twice) {
            2
        } else {
            1
        };
        let mut inner = self.org.inner();
        let Some(known) = inner.conversations.get_mut(conversation) else { return };
        if told.lasts() {
            known.entries.push(entry);
        }
        let subject = known.subject.clone();
        if let Some(subject) = inner.subjects.get(&subject).filter(|_| faults.contains(&Fault::Kill)) {
            subject.cut();
        }
        let late = faults.iter().find_map(|fault| match fault {
            Fault::Late { ms } => Some(Duration::from_millis(*ms)),
            _ => None,
        });
        for data in std::iter::repeat_n(data.to_string(), times) {
            match late {
                None => inner.publish(&subject, told.event, data),
                Some(late) => self.publish_later(late, subject.clone(), told.event, data),
            }
        }
    }

    fn publish_later(&self, late: Duration, subject: String, event: &'static str, data: String) {
        let sim = self.clone();
        tokio::spawn(async move {
            tokio::time::sleep(late).await;
            sim.org.inner().publish(&subject, event, data);
        });
    }

    /// Whatever is said, for tests: an event with these very bytes, for the customer's side of a conversation.
    pub fn tell_raw(&self, conversation: &str, name: &str, data: &str) {
        let mut inner = self.org.inner();
        let subject = inner.conversations.get(conversation).map(|known| known.subject.clone());
        if let Some(subject) = subject {
            inner.publish(&subject, name, data.to_owned());
        }
    }
}
