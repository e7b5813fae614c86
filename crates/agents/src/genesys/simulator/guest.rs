//! The organisation with a Messenger deployment: its settings, and what its agents do.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use interline_connector::simulator::{
    Act, ActError, Acts, AgentFile, By, ChatState, Desk, Deviation, Fault, Line, Points, ShownFile, StandIn,
};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use url::Url;

use super::open::{lock, mime_of, quick_reply};
use super::{guest_files, guest_socket, new_id, time};

/// What the flow says outside working hours.
pub(super) const CLOSED: &str = "We are closed.";

/// What the vendor's administrator has set up.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The deployment's id.
    pub deployment_id: String,
    /// From where it may be used.
    pub origin: String,
    /// It is active.
    pub active: bool,
    /// Conversation disconnect: `Send`, `ReadOnly`; none: switched off, and nobody is told of an end.
    pub disconnect: Option<&'static str>,
    /// Conversation clear is switched on.
    pub clear: bool,
    /// The customer's typing is shown.
    pub typing: bool,
    /// Whoever takes a chat says so at once: nothing else tells a guest.
    pub greeting: bool,
    /// Files of customers, in units of 1,000 bytes.
    pub max_file_kb: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            deployment_id: "0c6f7e30-0000-4000-8000-00000000de91".into(),
            origin: "https://www.example.com".into(),
            active: true,
            disconnect: Some("Send"),
            clear: true,
            typing: true,
            greeting: true,
            max_file_kb: 10_240,
        }
    }
}

/// The organisation. Clones are the same one.
#[derive(Clone)]
pub struct Guest(pub(super) Arc<Office>);

pub(super) struct Office {
    pub desk: Desk,
    pub settings: Settings,
    pub sessions: Mutex<Vec<Session>>,
    /// Where guests found us, and may put their files.
    pub host: Mutex<String>,
    /// The frames that went over the sockets: from whom, and what.
    pub frames: Mutex<Vec<(Side, Value)>>,
}

/// Who sent a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The guest.
    Theirs,
    /// The stand-in.
    Ours,
}

/// A guest's session: it lasts as long as whoever knows its token comes back.
pub(super) struct Session {
    pub token: String,
    pub jwt: String,
    /// Its chat, once there is one.
    pub chat: Option<String>,
    pub sockets: Vec<mpsc::UnboundedSender<Option<String>>>,
    pub read_only: bool,
    pub agent: Option<String>,
    /// Both sides' messages, oldest first.
    pub messages: Vec<Value>,
    pub uploads: Vec<Upload>,
}

/// A file on its way.
pub(super) struct Upload {
    pub id: String,
    pub name: String,
    pub kind: String,
    pub size: u64,
    /// What came, once it did.
    pub bytes: Option<axum::body::Bytes>,
}

impl Guest {
    /// One in which nothing happened yet.
    pub fn new(settings: Settings) -> Self {
        Self(Arc::new(Office {
            desk: Desk::new("genesys_guest", "Genesys Cloud (Web Messaging)"),
            settings,
            sessions: Mutex::default(),
            host: Mutex::default(),
            frames: Mutex::default(),
        }))
    }

    /// What went over the sockets so far.
    pub fn frames(&self) -> Vec<(Side, Value)> {
        lock(&self.0.frames).clone()
    }

    /// A frame of a test's own, to everybody who listens to a chat.
    pub fn tell_raw(&self, chat: &str, text: String) {
        self.0.with(chat, |session| {
            session.sockets.iter().for_each(|socket| drop(socket.send(Some(text.clone()))))
        });
    }

    /// The vendor forgets a session, or tells that it is over.
    pub fn expire(&self, chat: &str, tell: bool) {
        if tell {
            self.0.tell(chat, &frame("SessionExpiredEvent", json!({})), false);
        }
        let mut sessions = lock(&self.0.sessions);
        for gone in sessions.extract_if(.., |session| session.chat.as_deref() == Some(chat)) {
            gone.sockets.iter().for_each(|socket| drop(socket.send(None)));
        }
        drop(sessions);
        self.0.desk.state(chat, ChatState::Over);
    }
}

/// A frame of the stand-in's.
pub(super) fn frame(class: &str, body: Value) -> Value {
    let kind = if class == "StructuredMessage" || class.ends_with("Event") { "message" } else { "response" };
    json!({ "type": kind, "class": class, "code": 200, "body": body })
}

impl Office {
    pub fn with<T>(&self, chat: &str, change: impl FnOnce(&mut Session) -> T) -> Option<T> {
        lock(&self.sessions).iter_mut().find(|session| session.chat.as_deref() == Some(chat)).map(change)
    }

    /// Tells a frame to everybody who listens to a chat; a message is kept for whoever comes back.
    pub fn tell(&self, chat: &str, frame: &Value, keep: bool) {
        self.with(chat, |session| {
            if keep {
                session.messages.push(frame["body"].clone());
            }
            session.sockets.retain(|socket| socket.send(Some(frame.to_string())).is_ok());
        });
        lock(&self.frames).push((Side::Ours, frame.clone()));
    }

    /// Tells it under the faults that strike it.
    fn tell_under(self: &Arc<Self>, chat: &str, what: &str, body: Value) {
        let frame = frame("StructuredMessage", body);
        let faults = self.desk.faults().told(what);
        if faults.contains(&Fault::Kill) || faults.contains(&Fault::Lose) {
            self.with(chat, |session| {
                session.messages.push(frame["body"].clone());
                if faults.contains(&Fault::Kill) {
                    session.sockets.drain(..).for_each(|socket| drop(socket.send(None)));
                }
            });
            return;
        }
        for fault in &faults {
            if let Fault::Late { ms } = fault {
                let (office, chat, ms) = (self.clone(), chat.to_owned(), *ms);
                tokio::spawn(async move {
                    tokio::time::sleep(Duration::from_millis(ms)).await;
                    office.tell(&chat, &frame, true);
                });
                return;
            }
        }
        self.tell(chat, &frame, true);
        if faults.contains(&Fault::Twice) {
            self.tell(chat, &frame, false);
        }
    }

    /// What an agent or the flow says.
    pub fn say(self: &Arc<Self>, chat: &str, id: &str, agent: Option<&str>, text: &str, content: Vec<Value>) {
        let mut body = json!({
            "id": id, "type": "Text", "text": text, "direction": "Outbound", "content": content, "metadata": {},
            "originatingEntity": if agent.is_some() { "Human" } else { "Bot" },
            "channel": { "time": time(self.desk.clock().now_ms()), "messageId": id, "type": "Private" },
        });
        if let Some(agent) = agent {
            body["channel"]["from"] = json!({ "nickname": agent });
        }
        self.tell_under(chat, "socket message", body);
    }

    /// What the agent of a chat says.
    fn agent_says(self: &Arc<Self>, chat: &str, text: String, files: &[AgentFile]) {
        let attachment = |file: &AgentFile| {
            json!({ "contentType": "Attachment", "attachment": {
                "id": new_id(), "mediaType": "File", "url": file.url.as_str(), "mime": mime_of(&file.name),
                "filename": file.name, "fileSize": file.bytes,
            } })
        };
        let shown = files.iter().map(|file| ShownFile::at(&file.name, file.url.as_str())).collect();
        self.agent_sends(chat, text, shown, files.iter().map(attachment).collect());
    }

    fn agent_sends(self: &Arc<Self>, chat: &str, text: String, files: Vec<ShownFile>, content: Vec<Value>) {
        let (id, agent) = (new_id(), self.with(chat, |session| session.agent.clone()).flatten());
        self.desk.line(chat, Line { files, ..Line::new(By::Agent, text.clone()).with_id(&id) });
        self.say(chat, &id, agent.as_deref(), &text, content);
    }

    /// An agent, the flow or a supervisor ends it.
    pub fn hang_up(self: &Arc<Self>, chat: &str) {
        self.desk.state(chat, ChatState::Over);
        let Some(kind) = self.settings.disconnect else { return };
        self.with(chat, |session| session.read_only = kind == "ReadOnly");
        let body = json!({
            "id": new_id(), "type": "Event", "direction": "Outbound",
            "events": [{ "eventType": "Presence", "presence": { "type": "Disconnect" } }],
            "metadata": { "readOnly": (kind == "ReadOnly").to_string() },
        });
        self.tell_under(chat, "socket disconnect", body);
    }

    fn is_open(&self, chat: &str, state: ChatState) -> Result<(), ActError> {
        self.desk.chat(chat).filter(|chat| chat.state == state).map(drop).ok_or(ActError::NotOpen)
    }
}

#[async_trait]
impl Acts for Guest {
    fn can(&self) -> &'static [&'static str] {
        &["accept", "decline", "say", "file", "offer", "type", "transfer", "end"]
    }

    async fn act(&self, chat: &str, act: Act) -> Result<(), ActError> {
        let office = &self.0;
        let take = |name: String| {
            office.with(chat, |session| session.agent = Some(name.clone()));
            office.desk.change(chat, |chat| (chat.state, chat.agent) = (ChatState::Talking, Some(name)));
        };
        match act {
            Act::Accept { agent } => {
                office.is_open(chat, ChatState::Waiting)?;
                // Nothing of it is told to the guest, but for what the agent says.
                let agent = agent.unwrap_or_else(|| "Kim".into());
                take(agent.clone());
                if office.settings.greeting {
                    office.agent_says(chat, format!("Hello, this is {agent}."), &[]);
                }
            }
            Act::Decline => {
                office.is_open(chat, ChatState::Waiting)?;
                office.hang_up(chat);
            }
            Act::Say { text, files } => {
                office.is_open(chat, ChatState::Talking)?;
                office.agent_says(chat, text, &files);
            }
            Act::Offer { text, choices } => {
                office.is_open(chat, ChatState::Talking)?;
                office.agent_sends(
                    chat,
                    text,
                    Vec::new(),
                    choices.iter().map(|choice| quick_reply(choice)).collect(),
                );
            }
            Act::Type { on: true } => {
                office.is_open(chat, ChatState::Talking)?;
                let body = json!({
                    "id": new_id(), "type": "Event", "direction": "Outbound",
                    "events": [{ "eventType": "Typing", "typing": { "type": "On", "duration": 5_000 } }],
                });
                office.tell(chat, &frame("StructuredMessage", body), false);
            }
            Act::Type { on: false } => {}
            Act::Read => return Err(ActError::Unable),
            Act::Transfer { to } => {
                office.is_open(chat, ChatState::Talking)?;
                take(to);
            }
            Act::End => {
                let open = office.desk.chat(chat).is_some_and(|chat| chat.state != ChatState::Over);
                if !open {
                    return Err(ActError::NotOpen);
                }
                office.hang_up(chat);
            }
        }
        Ok(())
    }
}

impl StandIn for Guest {
    fn desk(&self) -> &Desk {
        &self.0.desk
    }

    fn router(&self) -> Router {
        let routes = guest_socket::routes().merge(guest_files::routes()).with_state(self.0.clone());
        self.0.desk.watch(routes, Arc::new(self.clone()))
    }

    fn settings(&self, base: &Url) -> Value {
        let Settings { deployment_id, origin, .. } = &self.0.settings;
        json!({
            "region": "mypurecloud.com", "base_url": base, "deployment_id": deployment_id, "origin": origin,
            "outside_hours_words": [CLOSED],
        })
    }

    fn points(&self) -> Points {
        Points {
            open: Some("onMessage open"),
            say: Some("onMessage line"),
            close: Some("onMessage close"),
            token: None,
            stream: Some("socket"),
            said: Some("message"),
            ended: Some("disconnect"),
        }
    }

    fn deviations(&self) -> &'static [Deviation] {
        crate::genesys::guest::DEVIATIONS
    }
}
