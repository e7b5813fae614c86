//! A stand-in for BotKit, with the sample live-chat bot file loaded and an agent page.
//!
//! It was written from the protocol's fact sheet, before the client and without looking at it: real paths, BotKit's own
//! checks and refusals, its tokens with a fractional `exp`, its habit of answering an event only after the platform
//! answered its callbacks. It refuses everything that a real BotKit, or a bot file like the sample, would stumble over.
//!
//! ```text
//!   POST {prefix}/sdk/bots/{bot}/{event}     gate.rs (checks) ─► bot.rs (the bot file) ─► sdk.rs (callbacks)
//!   /_sim/botkit/                            page.rs: the agent page and its JSON
//!   /_sim/botkit/files/{id}/{name}           files.rs: files that the agent sends
//!   /_sim/botkit/faults, /log                what goes wrong on purpose, what went over the wire
//! ```

mod bot;
mod faults;
mod files;
mod gate;
mod page;
mod sdk;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::body::Bytes;
use interline_connector::Algorithm;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::watch;

pub use faults::{Fault, Rule};
pub use files::ShownFile;
use gate::Keys;
use sdk::Payload;

/// At most so many requests are remembered in the log, and so many bytes of their bodies.
const LOGGED: usize = 5_000;
const LOGGED_BYTES: usize = 32 * 1024 * 1024;

/// What stands in BotKit's `config.json`.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The bot it serves: `st-` and a version 5 UUID. The credentials below stand under its id; there are no working
    /// default credentials, so a URL of the wrong depth shows as a refused token.
    pub app_id: String,
    /// `credentials.<bot>.appId`.
    pub client_id: String,
    /// `credentials.<bot>.apikey`.
    pub client_secret: String,
    /// `jwt.<bot>.jwtAlgorithm`.
    pub algorithm: Algorithm,
    /// `app.apiPrefix`, empty or like `/botkit`. With a prefix BotKit checks no credentials at all, and neither does
    /// this.
    pub prefix: String,
}

/// What its bot file does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Behaviour {
    /// Tells the user that an agent is coming, when a transfer comes in.
    pub welcome: Option<String>,
    /// Calls `startAgentSession` when a transfer comes in.
    pub start_session: bool,
    /// Fetches the transcript for the agent.
    pub transcript: bool,
    /// Answers an event at once, not after its callbacks were answered.
    pub answer_at_once: bool,
    /// Opens a chat for a user in agent mode whom it does not know: it was restarted, the human part goes on.
    pub adopt_strangers: bool,
    /// A word of the user that makes it start an agent session by itself.
    pub take_over_word: Option<String>,
}

impl Default for Behaviour {
    fn default() -> Self {
        Self {
            welcome: Some("An agent will be with you shortly".into()),
            start_session: true,
            transcript: true,
            answer_at_once: false,
            adopt_strangers: false,
            take_over_word: None,
        }
    }
}

/// One chat as the agent sees it: one `on_agent_transfer`, or one that BotKit took by itself.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Conversation {
    /// The request id that began it.
    pub id: String,
    /// The user's id: `channel.channelInfos.from`.
    pub visitor: String,
    /// What the agent page shows as the user's name.
    pub title: String,
    /// Not ended by the agent.
    pub open: bool,
    /// When it began, milliseconds since 1970.
    pub since_ms: i64,
    /// How many lines it has.
    pub lines: usize,
    /// The newest line's words, or the names of its files.
    pub last: String,
}

/// One line of a chat.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Line {
    /// Who says it.
    pub by: By,
    /// The words.
    pub text: String,
    /// When, milliseconds since 1970.
    pub at_ms: i64,
    /// From the transcript: said before the agent came.
    pub before: bool,
    /// An agent's line that the platform did not take, and why.
    pub failed: Option<String>,
    /// The files that came with it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<ShownFile>,
}

/// Who says a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum By {
    /// The customer.
    Customer,
    /// The bot, before the agent came.
    Bot,
    /// The agent.
    Agent,
    /// The stand-in itself.
    System,
}

/// One request that went over the wire.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Logged {
    /// When it was answered, milliseconds since 1970.
    pub at_ms: i64,
    /// Which way.
    pub direction: Direction,
    /// The method.
    pub method: String,
    /// The path of an event, the URL of a callback.
    pub path: String,
    /// The answer's status; 0: there was none.
    pub status: u16,
    /// The body.
    pub body: Value,
}

/// Which way a request went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// From the platform.
    In,
    /// To the platform.
    Out,
}

/// A running stand-in. Clones are the same one.
#[derive(Clone)]
pub struct Simulator {
    inner: Arc<Inner>,
}

struct Inner {
    settings: Settings,
    client: reqwest::Client,
    shared: Mutex<Shared>,
    version: watch::Sender<u64>,
    desk_files: Mutex<files::Shelf>,
}

#[derive(Default)]
struct Shared {
    behaviour: Behaviour,
    faults: Vec<Rule>,
    chats: Vec<Chat>,
    log: VecDeque<Record>,
    log_bytes: usize,
    /// Host and port by which the platform reaches this: from there it fetches files.
    called_at: Option<String>,
}

/// A request in the log; its body is read only when somebody looks.
struct Record {
    direction: Direction,
    method: &'static str,
    path: String,
    status: u16,
    body: Bytes,
    at_ms: i64,
}

struct Chat {
    id: String,
    visitor: String,
    title: String,
    open: bool,
    since_ms: i64,
    lines: Vec<Line>,
    /// The data object of the event that began it; used for every later call, as the sample does.
    data: Payload,
}

/// A chat cannot be spoken into.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SayError {
    /// There is no such chat, or the agent ended it.
    #[error("there is no such open conversation")]
    NotOpen,
    /// The platform did not take it.
    #[error("the platform did not take it: {0}")]
    Failed(String),
}

impl Simulator {
    /// A stand-in with nothing in it yet.
    pub fn new(settings: Settings) -> Self {
        let inner = Inner {
            settings,
            client: reqwest::Client::new(),
            shared: Mutex::default(),
            version: watch::Sender::new(1),
            desk_files: Mutex::default(),
        };
        Self { inner: Arc::new(inner) }
    }

    /// Its HTTP side: events, agent page, faults and log. Nothing else, so that it can be merged with others.
    pub fn router(&self) -> Router {
        bot::routes(&self.inner.settings.prefix)
            .merge(page::routes())
            .merge(files::routes())
            .with_state(self.clone())
    }

    /// Changes what the bot file does.
    pub fn set_behaviour(&self, behaviour: Behaviour) {
        self.shared().behaviour = behaviour;
    }

    /// What the bot file does.
    pub fn behaviour(&self) -> Behaviour {
        self.shared().behaviour.clone()
    }

    /// Replaces the scripted faults.
    pub fn set_faults(&self, faults: Vec<Rule>) {
        self.shared().faults = faults;
    }

    /// The faults that are still to come.
    pub fn faults(&self) -> Vec<Rule> {
        self.shared().faults.clone()
    }

    /// The newest requests, oldest first.
    pub fn log(&self) -> Vec<Logged> {
        self.shared().log.iter().map(Record::read).collect()
    }

    /// All chats, oldest first.
    pub fn conversations(&self) -> Vec<Conversation> {
        self.shared().chats.iter().map(Chat::describe).collect()
    }

    /// The lines of a chat, oldest first; none if there is no such chat.
    pub fn lines(&self, id: &str) -> Vec<Line> {
        let shared = self.shared();
        shared.chats.iter().find(|chat| chat.id == id).map(|chat| chat.lines.clone()).unwrap_or_default()
    }

    /// The agent says something: `sendUserMessage` with the stored data object. Returns when the platform answered.
    ///
    /// # Errors
    /// When it did not take it.
    pub async fn say(&self, id: &str, text: &str) -> Result<(), SayError> {
        self.say_with(id, text, Vec::new()).await
    }

    /// [`Simulator::say`], with files: their names, and where the platform can fetch them.
    ///
    /// # Errors
    /// When it did not take it.
    pub async fn say_with(
        &self,
        id: &str,
        text: &str,
        files: Vec<(String, url::Url)>,
    ) -> Result<(), SayError> {
        let (data, place) = {
            let mut shared = self.shared();
            let chat =
                shared.chats.iter_mut().find(|chat| chat.id == id && chat.open).ok_or(SayError::NotOpen)?;
            let shown = files.iter().map(|(name, url)| ShownFile::sent(name, url)).collect();
            chat.lines.push(Line { files: shown, ..Line::new(By::Agent, text) });
            (chat.data.with_message(text).with_files(&files), chat.lines.len() - 1)
        };
        self.changed();
        let answered = self.call_url("sendUserMessage", "sendUserMessageUrl", &data).await;
        answered.map(|_| ()).map_err(|refused| {
            let mut shared = self.shared();
            let chat = shared.chats.iter_mut().find(|chat| chat.id == id);
            if let Some(line) = chat.and_then(|chat| chat.lines.get_mut(place)) {
                line.failed = Some(refused.msg.clone());
            }
            drop(shared);
            self.changed();
            SayError::Failed(refused.msg)
        })
    }

    /// The agent ends the chat: `clearAgentSession`. Returns when the platform answered.
    ///
    /// # Errors
    /// When it did not take it; the chat is ended here all the same.
    pub async fn end(&self, id: &str) -> Result<(), SayError> {
        let data = {
            let mut shared = self.shared();
            let chat =
                shared.chats.iter_mut().find(|chat| chat.id == id && chat.open).ok_or(SayError::NotOpen)?;
            chat.open = false;
            chat.lines.push(Line::new(By::System, "You ended the conversation."));
            chat.data.clone()
        };
        self.changed();
        let answered = self.call_base("clearAgentSession", &data).await;
        answered.map(|_| ()).map_err(|refused| SayError::Failed(refused.msg))
    }

    fn shared(&self) -> MutexGuard<'_, Shared> {
        self.inner.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn client(&self) -> &reqwest::Client {
        &self.inner.client
    }

    /// The credentials under a bot id. Those of the default entry are nobody's.
    fn keys_of(&self, bot: &str) -> Keys<'_> {
        let settings = &self.inner.settings;
        if bot == settings.app_id {
            Keys {
                client_id: &settings.client_id,
                client_secret: &settings.client_secret,
                algorithm: settings.algorithm,
            }
        } else {
            Keys { client_id: "cs-default", client_secret: "default-secret", algorithm: Algorithm::HS256 }
        }
    }

    fn record(&self, direction: Direction, method: &'static str, path: String, status: u16, body: Bytes) {
        let mut shared = self.shared();
        shared.log_bytes += body.len();
        shared.log.push_back(Record { direction, method, path, status, body, at_ms: now_ms() });
        while shared.log.len() > LOGGED || shared.log_bytes > LOGGED_BYTES {
            let Some(oldest) = shared.log.pop_front() else { break };
            shared.log_bytes -= oldest.body.len();
        }
    }

    /// The agent page has something new to show.
    fn changed(&self) {
        self.inner.version.send_modify(|version| *version += 1);
    }
}

impl Record {
    fn read(&self) -> Logged {
        Logged {
            at_ms: self.at_ms,
            direction: self.direction,
            method: self.method.to_owned(),
            path: self.path.clone(),
            status: self.status,
            body: serde_json::from_slice(&self.body).unwrap_or(Value::Null),
        }
    }
}

impl Chat {
    fn describe(&self) -> Conversation {
        Conversation {
            id: self.id.clone(),
            visitor: self.visitor.clone(),
            title: self.title.clone(),
            open: self.open,
            since_ms: self.since_ms,
            lines: self.lines.len(),
            last: self.lines.last().map(Line::in_short).unwrap_or_default(),
        }
    }
}

impl Line {
    fn new(by: By, text: impl Into<String>) -> Self {
        Self { by, text: text.into(), at_ms: now_ms(), before: false, failed: None, files: Vec::new() }
    }

    fn in_short(&self) -> String {
        if self.text.is_empty() {
            let names: Vec<&str> = self.files.iter().map(|file| file.name.as_str()).collect();
            names.join(", ")
        } else {
            self.text.clone()
        }
    }
}

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
