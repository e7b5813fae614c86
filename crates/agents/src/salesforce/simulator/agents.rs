//! What the org's agents do, and its bot.

use async_trait::async_trait;
use interline_connector::simulator::{Act, ActError, Acts, AgentFile, By, ChatState, Line, ShownFile};
use serde_json::{Value, json};
use uuid::Uuid;

use super::events::{Sender, Told};
use super::{SUPERVISOR, Simulator};

const AGENT: &str = "Jane A.";

#[async_trait]
impl Acts for Simulator {
    fn can(&self) -> &'static [&'static str] {
        &["accept", "decline", "say", "file", "offer", "type", "read", "transfer", "end"]
    }

    async fn act(&self, chat: &str, act: Act) -> Result<(), ActError> {
        let known = self.desk().chat(chat).ok_or(ActError::NotOpen)?;
        let agent = known.agent.unwrap_or_else(|| AGENT.to_owned());
        match (known.state, act) {
            (ChatState::Waiting, Act::Accept { agent }) => {
                self.accepts(chat, &agent.unwrap_or_else(|| AGENT.to_owned()));
            }
            (ChatState::Waiting, Act::Decline) => self.declines(chat),
            (ChatState::Talking, Act::Say { text, files }) => self.says(chat, &agent, &text, &files),
            (ChatState::Talking, Act::Offer { text, choices }) => self.offers(chat, &agent, &text, &choices),
            (ChatState::Talking, Act::Type { on }) => self.types(chat, &agent, on),
            (ChatState::Talking, Act::Read) => self.reads(chat, &agent),
            (ChatState::Talking, Act::Transfer { to }) => self.transfers(chat, &agent, &to),
            (state @ (ChatState::Waiting | ChatState::Talking), Act::End) => {
                self.desk().line(chat, Line::new(By::System, "You ended the session."));
                if state == ChatState::Talking {
                    self.routing(chat, "NEEDS_ROUTING");
                    self.changes(chat, "remove", &Sender::agent(&agent));
                }
                self.session_ends(chat);
            }
            _ => return Err(ActError::NotOpen),
        }
        Ok(())
    }
}

impl Simulator {
    /// Sets where the org's routing stands.
    fn routing(&self, chat: &str, routing: &'static str) {
        if let Some(known) = self.org.inner().conversations.get_mut(chat) {
            known.routing = routing;
        }
    }

    fn accepts(&self, chat: &str, name: &str) {
        self.routing(chat, "ROUTED");
        self.desk().change(chat, |chat| {
            chat.agent = Some(name.to_owned());
            chat.state = ChatState::Talking;
        });
        if self.desk().faults().special(SUPERVISOR) {
            self.changes(chat, "add", &Sender::staff("Supervisor", "Sue P."));
        }
        self.changes(chat, "add", &Sender::agent(name));
    }

    /// Somebody joins or leaves.
    fn changes(&self, chat: &str, operation: &str, who: &Sender) {
        let payload = json!({ "id": Uuid::new_v4().to_string(), "entries": [{
            "operation": operation, "menuMetadata": null, "displayName": who.name,
            "participant": {
                "role": who.role, "appType": "agent", "subject": who.subject, "clientIdentifier": "ci",
            },
        }]});
        let (event, kind) = ("CONVERSATION_PARTICIPANT_CHANGED", "ParticipantChanged");
        self.tell(chat, Told::new(event, kind, who.clone(), payload));
    }

    /// The flow cannot route it.
    fn declines(&self, chat: &str) {
        self.routing(chat, "NEEDS_ROUTING");
        self.desk().state(chat, ChatState::Over);
        let payload = json!({
            "routingType": "Initial", "failureType": "RoutingError", "failureReason": "No agents are available",
        });
        self.tell(chat, Told::new("CONVERSATION_ROUTING_RESULT", "RoutingResult", Sender::router(), payload));
    }

    fn says(&self, chat: &str, agent: &str, text: &str, files: &[AgentFile]) {
        // The console sends files by themselves.
        let words_id = Uuid::new_v4().to_string();
        let files_id = if text.is_empty() { words_id.clone() } else { Uuid::new_v4().to_string() };
        let shown = files.iter().map(|file| ShownFile::at(file.name.clone(), file.url.clone())).collect();
        self.desk().line(chat, Line { files: shown, ..Line::new(By::Agent, text).with_id(&words_id) });
        if !files.is_empty() {
            let attachment = |file: &AgentFile| {
                json!({ "name": file.name, "id": Uuid::new_v4().to_string(), "url": file.url, "referenceId": null,
                    "mimeType": "application/octet-stream", "attachmentUploadResult": null })
            };
            let attachments: Vec<Value> = files.iter().map(attachment).collect();
            let content = json!({ "formatType": "Attachments", "text": null, "attachments": attachments });
            self.tell(chat, Told::message(Sender::agent(agent), &files_id, content));
        }
        if !text.is_empty() {
            let content = json!({ "formatType": "Text", "text": text });
            self.tell(chat, Told::message(Sender::agent(agent), &words_id, content));
        }
    }

    fn offers(&self, chat: &str, agent: &str, text: &str, choices: &[String]) {
        let id = Uuid::new_v4().to_string();
        self.desk().line(chat, Line::new(By::Agent, text).with_id(&id));
        let option = |choice: &String| {
            json!({ "optionIdentifier": Uuid::new_v4().to_string(),
                "titleItem": { "itemType": "TitleItem", "title": choice } })
        };
        let options: Vec<Value> = choices.iter().map(option).collect();
        let choices = json!({ "formatType": "Buttons", "text": text, "optionItems": options });
        self.tell(chat, Told::choices(Sender::agent(agent), &id, choices));
    }

    fn types(&self, chat: &str, agent: &str, on: bool) {
        let (event, kind) = if on {
            ("CONVERSATION_TYPING_STARTED_INDICATOR", "TypingStartedIndicator")
        } else {
            ("CONVERSATION_TYPING_STOPPED_INDICATOR", "TypingStoppedIndicator")
        };
        self.tell(chat, Told::new(event, kind, Sender::agent(agent), json!({})));
    }

    fn reads(&self, chat: &str, agent: &str) {
        let newest = {
            let inner = self.org.inner();
            inner.conversations.get(chat).and_then(|known| known.messages.last().cloned())
        };
        let Some(newest) = newest else { return };
        for (event, kind) in [
            ("CONVERSATION_DELIVERY_ACKNOWLEDGEMENT", "DeliveryAcknowledgement"),
            ("CONVERSATION_READ_ACKNOWLEDGEMENT", "ReadAcknowledgement"),
        ] {
            let payload = json!({ "acknowledgementTimestamp": self.desk().clock().now_ms() });
            self.tell(chat, Told::new(event, kind, Sender::agent(agent), payload).about(newest.clone()));
        }
    }

    fn transfers(&self, chat: &str, agent: &str, to: &str) {
        self.routing(chat, "TRANSFER");
        let payload = json!({ "routingType": "Transfer", "failureType": "None" });
        self.tell(chat, Told::new("CONVERSATION_ROUTING_RESULT", "RoutingResult", Sender::router(), payload));
        self.changes(chat, "remove", &Sender::agent(agent));
        self.accepts(chat, to);
    }

    /// A bot of the org joins and says something.
    pub(super) fn bot_says(&self, chat: &str, text: &str) {
        self.changes(chat, "add", &Sender::bot());
        self.desk().line(chat, Line::new(By::Bot, text));
        let content = json!({ "formatType": "Text", "text": text });
        self.tell(chat, Told::message(Sender::bot(), &Uuid::new_v4().to_string(), content));
    }

    /// The agent marks a silent customer; that is no end.
    pub fn marks_inactive(&self, chat: &str) {
        self.session_is(chat, "Inactive");
    }
}
