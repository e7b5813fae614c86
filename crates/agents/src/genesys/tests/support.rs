//! A small engine for one hand-over.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use axum::body::Bytes;
use axum::extract::{OriginalUri, State};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::{Json, Router};
use interline_connector::agent::{Connector, Env};
use interline_connector::channel::Mark;
use interline_connector::simulator::{Desk, Logged, Served, StandIn};
use interline_connector::webhook::Unverified;
use interline_connector::{
    AgentSystem, Aside, Done, Failure, FileRefused, Guard, Heard, Http, Incoming, Item, Link, Next, RunEnd,
    UpTo,
};
use interline_core::conversation::input::AgentEvent;
use interline_core::{File, FileId, Seq};

use serde_json::{Value, json};
use tokio::sync::{mpsc, watch};
use tokio_util::task::AbortOnDropHandle;
use url::Url;

use crate::hostile;

pub use super::items::*;

const PATIENCE: Duration = Duration::from_secs(20);

// ── the engine ───────────────────────────────────────────────────────────────────────────────────────────────────────

/// What one hand-over came to, as the engine would know it.
#[derive(Debug, Default)]
pub struct Known {
    pub document: Option<Value>,
    /// Each entry's results, in order.
    pub results: Vec<(u64, Result<Vec<String>, Failure>)>,
    /// Each event once.
    pub heard: Vec<AgentEvent>,
    pub typing: Vec<bool>,
    pub receipts: Vec<(Mark, UpTo)>,
    /// What the vendor took and refused later: its id, and why.
    pub refused: Vec<(String, String)>,
    pub kept: Vec<Incoming>,
    ids: Vec<String>,
    pub end: Option<RunEnd>,
}

/// One hand-over, and whatever webhooks tell of it.
#[derive(Clone)]
pub struct Notes(Arc<Mutex<Known>>, watch::Sender<u64>);

impl Notes {
    fn new(document: Option<Value>) -> Self {
        Self(Arc::new(Mutex::new(Known { document, ..Known::default() })), watch::Sender::new(0))
    }

    pub fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn change(&self, change: impl FnOnce(&mut Known)) {
        change(&mut self.lock());
        self.1.send_modify(|version| *version += 1);
    }

    fn hear(&self, id: Option<String>, event: AgentEvent) {
        self.change(|known| {
            let new = id.as_ref().is_none_or(|id| !known.ids.contains(id));
            known.ids.extend(id);
            if new {
                known.heard.push(event);
            }
        });
    }

    pub async fn until<T>(&self, what: &str, mut so: impl FnMut(&Known) -> Option<T>) -> T {
        let mut versions = self.1.subscribe();
        let looking = async {
            loop {
                versions.mark_unchanged();
                if let Some(found) = so(&self.lock()) {
                    return found;
                }
                versions.changed().await.expect("the sender is ours");
            }
        };
        match tokio::time::timeout(PATIENCE, looking).await {
            Ok(found) => found,
            Err(_) => panic!("it never came to this: {what}; known is {:?}", self.lock()),
        }
    }

    /// The last result of an entry, once it is one that moves the cursor.
    pub async fn settled(&self, seq: u64) -> Result<Vec<String>, Failure> {
        let moves = |result: &&(u64, Result<Vec<String>, Failure>)| {
            result.0 == seq && matches!(result.1, Ok(_) | Err(Failure::Refused(_) | Failure::Gone(_)))
        };
        self.until(&format!("entry {seq} is settled"), |known| {
            known.results.iter().find(moves).map(|it| it.1.clone())
        })
        .await
    }

    pub async fn joined(&self, name: &str) {
        let so = |known: &Known| {
            let found = |event: &AgentEvent| matches!(event, AgentEvent::Joined { name: Some(known) } if known == name);
            known.heard.iter().any(found).then_some(())
        };
        self.until(&format!("{name} joined"), so).await;
    }

    pub async fn said(&self, text: &str) -> Option<String> {
        let so = |known: &Known| {
            known.heard.iter().find_map(|event| match event {
                AgentEvent::Said { text: said, name } if said.text == text => Some(name.clone()),
                _ => None,
            })
        };
        self.until(&format!("`{text}` was said"), so).await
    }

    /// All that was said, in order.
    pub fn all_said(&self) -> Vec<String> {
        let said = |event: &AgentEvent| match event {
            AgentEvent::Said { text, .. } => Some(text.text.clone()),
            _ => None,
        };
        self.lock().heard.iter().filter_map(said).collect()
    }

    pub async fn ended(&self) -> AgentEvent {
        let so = |known: &Known| {
            known
                .heard
                .iter()
                .find(|it| matches!(it, AgentEvent::Ended { .. } | AgentEvent::Failed(_)))
                .cloned()
        };
        self.until("it ended", so).await
    }
}

/// A link as the engine's: an entry is handed out until its cursor moves.
struct TestLink {
    notes: Notes,
    items: mpsc::UnboundedReceiver<Next>,
    current: Option<Item>,
    again: VecDeque<Item>,
}

#[async_trait]
impl Link for TestLink {
    fn session(&self) -> Option<Value> {
        self.notes.lock().document.clone()
    }

    async fn next(&mut self) -> Option<Next> {
        if !self.again.is_empty() {
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
        let next = match self.again.pop_front() {
            Some(item) => Next::Item(Box::new(item)),
            None => self.items.recv().await?,
        };
        if let Next::Item(item) = &next {
            self.current = Some((**item).clone());
        }
        Some(next)
    }

    async fn done(&mut self, seq: Seq, result: Result<Done, Failure>) {
        let item = self.current.take().expect("something was handed out");
        assert_eq!(item.entry.seq, seq);
        if matches!(
            result,
            Err(Failure::Retry { .. } | Failure::Uncertain(_) | Failure::Unauthorized(_) | Failure::Bug(_))
        ) {
            self.again.push_back(item);
        }
        self.notes.change(|known| {
            if let Ok(Some(document)) = result.as_ref().map(|done| done.session.clone()) {
                known.document = Some(document);
            }
            known.results.push((seq.0, result.map(|done| done.remote_ids)));
        });
    }

    async fn heard(&mut self, id: Option<String>, event: AgentEvent) {
        self.notes.hear(id, event);
    }

    fn typing(&mut self, on: bool) {
        self.notes.change(|known| known.typing.push(on));
    }

    async fn receipt(&mut self, mark: Mark, up_to: UpTo) {
        self.notes.change(|known| known.receipts.push((mark, up_to)));
    }

    async fn keep(&mut self, file: Incoming) -> Result<File, FileRefused> {
        let name = file.name.clone().unwrap_or_default();
        if name.ends_with(".exe") {
            return Err(FileRefused::Format { accepted: vec!["pdf".into()] });
        }
        let bytes =
            reqwest::get(file.url.clone()).await.expect("the file is there").bytes().await.expect("bytes");
        self.notes.change(|known| known.kept.push(file));
        let sha256 = String::new();
        Ok(File {
            id: FileId::from("fil_9"),
            name,
            mime: "x".into(),
            size: bytes.len() as u64,
            sha256,
            warning: None,
        })
    }

    async fn save(&mut self, session: Value) {
        self.notes.change(|known| known.document = Some(session));
    }
}

/// A hand-over that runs.
pub struct Running {
    pub notes: Notes,
    items: mpsc::UnboundedSender<Next>,
    _task: AbortOnDropHandle<()>,
}

impl Running {
    pub fn tell(&self, item: Item) {
        self.items.send(Next::Item(Box::new(item))).expect("it runs");
    }

    pub fn aside(&self, aside: Aside) {
        self.items.send(Next::Aside(aside)).expect("it runs");
    }

    /// The engine goes down, and comes up with what is durable.
    pub fn document(&self) -> Option<Value> {
        self.notes.lock().document.clone()
    }
}

// ── the world ────────────────────────────────────────────────────────────────────────────────────────────────────────

/// An integration, the stand-in behind it, and the address where its webhooks come.
pub struct World {
    pub desk: Desk,
    pub sim: Served,
    pub hook: Served,
    pub agent: Arc<dyn AgentSystem>,
    hooked: Hooked,
    listening: Mutex<Option<AbortOnDropHandle<()>>>,
}

#[derive(Clone, Default)]
struct Hooked(Arc<Mutex<Hook>>);

/// Who proves webhooks, who is told, and what was heard.
type Hook = (Option<Arc<dyn AgentSystem>>, Option<Notes>, Vec<Heard>);

impl World {
    pub async fn of(connector: &dyn Connector, stand_in: &dyn StandIn, more: Value) -> Self {
        let sim = Served::start(stand_in.router()).await.expect("a port");
        let hooked = Hooked::default();
        let hook =
            Served::start(Router::new().fallback(webhook).with_state(hooked.clone())).await.expect("a port");
        let mut settings = stand_in.settings(&sim.url);
        for (name, value) in more.as_object().expect("settings") {
            settings[name] = value.clone();
        }
        let env = env(&sim.url, &hook);
        stand_in.calls(env.webhook.clone());
        let agent = connector.build(settings, env).expect("an agent");
        hooked.0.lock().expect("lock").0 = Some(agent.clone());
        let world =
            Self { desk: stand_in.desk().clone(), sim, hook, agent, hooked, listening: Mutex::default() };
        world.listen();
        world
    }

    /// The same, but another host stands where the vendor's should.
    pub async fn at(connector: &dyn Connector, stand_in: &dyn StandIn, host: &Url) -> Self {
        let mut world = Self::of(connector, stand_in, json!({})).await;
        let env = env(host, &world.hook);
        world.agent = connector.build(stand_in.settings(host), env).expect("an agent");
        world
    }

    /// What an Open, and the probe, come to at a private address that nobody named.
    pub async fn elsewhere(connector: &dyn Connector, stand_in: &dyn StandIn) -> String {
        let mut world = Self::of(connector, stand_in, json!({})).await;
        let settings = stand_in.settings(&"http://127.0.0.2:9/".parse().expect("a URL"));
        world.agent = connector.build(settings, env(&world.sim.url, &world.hook)).expect("an agent");
        let wrong = world.agent.probe().await.expect_err("not called");
        assert!(wrong.contains("private"), "{wrong}");
        let chat = world.resume(None);
        chat.tell(open_item(1));
        match chat.notes.settled(1).await {
            Err(Failure::Refused(cause)) => cause.code,
            other => panic!("{other:?}"),
        }
    }

    /// What an Open comes to at a host that begins an answer and drips from then on.
    pub async fn dripping(
        connector: &dyn Connector,
        stand_in: &dyn StandIn,
        begun: &'static [u8],
    ) -> Result<Vec<String>, Failure> {
        let (url, mut was_asked) = hostile::dripping(begun).await;
        let world = Self::at(connector, stand_in, &url).await;
        let chat = world.resume(None);
        chat.tell(open_item(1));
        was_asked.recv().await.expect("a request");
        hostile::pass(Duration::from_secs(16)).await;
        chat.notes.until("a result", |known| known.results.first().cloned()).await.1
    }

    pub fn listen(&self) {
        let agent = self.agent.clone();
        let task = tokio::spawn(async move {
            while let RunEnd::Lost(_) = agent.listen().await {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        });
        *self.listening.lock().expect("lock") = Some(AbortOnDropHandle::new(task));
    }

    pub fn stop_listening(&self) {
        *self.listening.lock().expect("lock") = None;
    }

    /// A hand-over with what an earlier run left.
    pub fn resume(&self, document: Option<Value>) -> Running {
        let notes = Notes::new(document);
        self.hooked.0.lock().expect("lock").1 = Some(notes.clone());
        let (send, mut items) = mpsc::unbounded_channel();
        let (agent, known) = (self.agent.clone(), notes.clone());
        let task = tokio::spawn(async move {
            loop {
                let (current, again) = (None, VecDeque::new());
                // A lost run leaves what it had in hand to the next.
                let mut link = TestLink { notes: known.clone(), items, current, again };
                let end = agent.run(&mut link).await;
                known.change(|known| known.end = Some(end.clone()));
                if end == RunEnd::Over {
                    return;
                }
                items = match link.current.take() {
                    None => link.items,
                    Some(item) => back(item, link.items),
                };
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        });
        Running { notes, items: send, _task: AbortOnDropHandle::new(task) }
    }

    /// A hand-over that was accepted, and its chat at the desk.
    pub async fn opened(&self) -> (Running, String) {
        let chat = self.resume(None);
        chat.tell(open_item(1));
        chat.notes.settled(1).await.expect("accepted");
        let id = self.desk.chats().last().expect("a chat").id.clone();
        (chat, id)
    }

    pub async fn at_desk<T>(&self, what: &str, so: impl FnMut(&Desk) -> Option<T>) -> T {
        self.desk.until(PATIENCE, so).await.unwrap_or_else(|| panic!("the desk never saw this: {what}"))
    }

    /// Waits until what went over the wire is so.
    pub async fn on_wire(&self, what: &str, so: impl Fn(&[Logged]) -> bool) {
        for _ in 0..2_000 {
            if so(&self.desk.log().all()) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("this never went over the wire: {what}");
    }

    /// The customer's words, once there are so many lines.
    pub async fn customer_words(&self, chat: &str, lines: usize) -> Vec<String> {
        let so = |desk: &Desk| {
            let chat = desk.chat(chat)?;
            let words = chat.customer_words();
            (words.len() >= lines).then(|| words.into_iter().map(str::to_owned).collect())
        };
        self.at_desk(&format!("{lines} lines of the customer's"), so).await
    }

    pub fn webhooks(&self) -> usize {
        self.hooked.0.lock().expect("lock").2.len()
    }

    /// The files that webhooks brought.
    pub fn files(&self) -> Vec<Incoming> {
        let hooked = self.hooked.0.lock().expect("lock");
        let files = hooked.2.iter().filter_map(|heard| match heard {
            Heard::Event { files, .. } => Some(files.clone()),
            _ => None,
        });
        files.flatten().collect()
    }
}

/// The items again, this one first.
fn back(item: Item, mut items: mpsc::UnboundedReceiver<Next>) -> mpsc::UnboundedReceiver<Next> {
    let (send, all) = mpsc::unbounded_channel();
    send.send(Next::Item(Box::new(item))).expect("the receiver is there");
    tokio::spawn(async move {
        while let Some(next) = items.recv().await {
            if send.send(next).is_err() {
                return;
            }
        }
    });
    all
}

fn env(host: &Url, hook: &Served) -> Env {
    let guard = Guard::default();
    guard.allow(host);
    guard.allow(&host.as_str().replacen("http", "ws", 1).parse().expect("a URL"));
    Env {
        app: "st-1".into(),
        name: "desk".into(),
        public_url: hook.url.clone(),
        http: Http::new(guard).expect("a client"),
        webhook: hook.at("/in/st-1/desk/secret"),
        credentials: Arc::default(),
    }
}

async fn webhook(
    State(hooked): State<Hooked>,
    OriginalUri(uri): OriginalUri,
    method: Method,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let path =
        uri.path().strip_prefix("/in/st-1/desk/secret").map(|rest| rest.trim_start_matches('/').to_owned());
    let (agent, notes) = {
        let hooked = hooked.0.lock().expect("lock");
        (hooked.0.clone().expect("an agent"), hooked.1.clone())
    };
    let request = Unverified {
        method,
        secret_part: path.is_some(),
        path: path.unwrap_or_default(),
        query: uri.query().unwrap_or_default().into(),
        headers,
        body,
        now_ms: 0,
    };
    let answer = match agent.receive(&request) {
        Ok(received) => {
            for heard in received.heard {
                if let Some(notes) = &notes {
                    note(notes, &heard);
                }
                hooked.0.lock().expect("lock").2.push(heard);
            }
            received.answer
        }
        Err(rejected) => rejected.0,
    };
    let status = StatusCode::from_u16(answer.status).expect("a status");
    (status, Json(answer.body.unwrap_or_default())).into_response()
}

fn note(notes: &Notes, heard: &Heard) {
    match heard {
        Heard::Event { external_id, event, conversation, participant, .. } => {
            assert_eq!((conversation.as_str(), participant.0), (CONVERSATION, 2));
            notes.hear(external_id.clone(), event.clone());
        }
        Heard::Typing { on, .. } => notes.change(|known| known.typing.push(*on)),
        Heard::Receipt { mark, up_to, .. } => {
            notes.change(|known| known.receipts.push((*mark, up_to.clone())))
        }
        Heard::Refused { remote_id, code, .. } => {
            notes.change(|known| known.refused.push((remote_id.clone(), code.clone())));
        }
        other => panic!("Genesys does not tell {other:?}"),
    }
}
