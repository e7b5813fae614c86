//! Both products against their stand-ins, over real sockets; the stand-ins' own strictness; and hostile input.
//!
//! [`Platform`] plays the engine: it proves and understands calls with `receive`, and keeps what it heard, each external id
//! once.

mod agent_chat;
mod bad;
mod connect;
mod ends;
mod files;
mod link;
mod probe;
mod settings;
mod spec;
mod starts;

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse as _, Response};
use interline_connector::agent::{Brief, Connector, Context, Env};
use interline_connector::simulator::{Act, Acts, Desk, Served, StandIn};
use interline_connector::webhook::{Heard, Unverified};
use interline_connector::{AgentSystem, Guard, Http, Incoming, Item};
use interline_core::conversation::entry::{Body, Entry, Role, Speaker, Text};
use interline_core::conversation::input::AgentEvent;
use interline_core::conversation::profile::Profile;
use interline_core::conversation::state::Customer;
use interline_core::transfer::Outcome;
use interline_core::{Epoch, Owner, Participant, ParticipantNo, Seq, Time, TransferNo};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinSet;
use url::Url;

use super::simulator::AgentChat;
use super::{ServiceNow, ServiceNowTokyo};

const APP: &str = "st-0192af00-0000-5000-8000-000000000000";
const CONVERSATION: &str = "cnv_0192af00000070008000000000000001";
const HANDLE: &str = "cnv_0192af00000070008000000000000001.2";
const SECRET_PART: &str = "s3cret-part";
const SOON: Duration = Duration::from_secs(10);

// ── the platform ─────────────────────────────────────────────────────────────────────────────────────────────────────

/// One thing that was heard.
#[derive(Debug, Clone)]
#[allow(clippy::large_enum_variant, reason = "there are few of them")]
enum Was {
    Event(Option<String>, AgentEvent, Vec<Incoming>),
    Typing(bool),
}

struct Platform {
    agent: OnceLock<Arc<dyn AgentSystem>>,
    heard: watch::Sender<Vec<Was>>,
    ids: Mutex<HashSet<String>>,
    /// The status of each call's answer.
    answers: watch::Sender<Vec<u16>>,
}

impl Default for Platform {
    fn default() -> Self {
        Self {
            agent: OnceLock::new(),
            heard: watch::Sender::new(Vec::new()),
            ids: Mutex::default(),
            answers: watch::Sender::new(Vec::new()),
        }
    }
}

impl Platform {
    fn hear(&self, id: Option<String>, event: AgentEvent, files: Vec<Incoming>) {
        let is_new = id.as_ref().is_none_or(|id| self.ids.lock().expect("lock").insert(id.clone()));
        if is_new {
            self.heard.send_modify(|heard| heard.push(Was::Event(id, event, files)));
        }
    }

    fn take(&self, request: &Unverified) -> u16 {
        match self.agent.get().expect("an agent").receive(request) {
            Ok(received) => {
                for heard in received.heard {
                    match heard {
                        Heard::Event { conversation, participant, external_id, event, files } => {
                            assert_eq!(
                                (conversation.as_str(), participant),
                                (CONVERSATION, ParticipantNo(2))
                            );
                            self.hear(external_id, event, files);
                        }
                        Heard::Typing { on, .. } => {
                            self.heard.send_modify(|heard| heard.push(Was::Typing(on)));
                        }
                        other => panic!("{other:?}"),
                    }
                }
                received.answer.status
            }
            Err(rejected) => rejected.0.status,
        }
    }

    /// Waits until what was heard has something.
    async fn until<T>(&self, mut look: impl FnMut(&[Was]) -> Option<T>) -> T {
        let mut heard = self.heard.subscribe();
        let found = tokio::time::timeout(SOON, async {
            loop {
                let found = look(&heard.borrow_and_update());
                if let Some(found) = found {
                    return found;
                }
                heard.changed().await.expect("the platform");
            }
        });
        match found.await {
            Ok(found) => found,
            Err(_) => panic!("it did not happen; heard: {:?}", self.heard.borrow()),
        }
    }

    async fn event(&self, event: &AgentEvent) {
        self.until(|all| {
            all.iter().any(|was| matches!(was, Was::Event(_, it, _) if it == event)).then_some(())
        })
        .await;
    }

    fn events(&self) -> Vec<AgentEvent> {
        let event = |was: &Was| match was {
            Was::Event(_, event, _) => Some(event.clone()),
            Was::Typing(_) => None,
        };
        self.heard.borrow().iter().filter_map(event).collect()
    }

    fn said(&self) -> Vec<String> {
        let words = |event| match event {
            AgentEvent::Said { text, .. } => Some(text.text),
            _ => None,
        };
        self.events().into_iter().filter_map(words).collect()
    }
}

async fn called(
    State(platform): State<Arc<Platform>>,
    Path(secret): Path<String>,
    method: Method,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let request = unverified(method, headers, body, secret == SECRET_PART);
    let status = platform.take(&request);
    platform.answers.send_modify(|answers| answers.push(status));
    StatusCode::from_u16(status).expect("a status").into_response()
}

fn unverified(method: Method, headers: HeaderMap, body: Bytes, secret_part: bool) -> Unverified {
    Unverified { method, path: String::new(), query: String::new(), headers, body, now_ms: 0, secret_part }
}

// ── the world ────────────────────────────────────────────────────────────────────────────────────────────────────────

/// A whole little installation of one of the two.
struct World<S> {
    sim: S,
    served: Served,
    agent: Arc<dyn AgentSystem>,
    platform: Arc<Platform>,
    public: Served,
    settings: Value,
    /// Aborted with it.
    _listening: JoinSet<()>,
}

impl<S: StandIn + Acts + Clone> World<S> {
    async fn with(sim: S, connector: &dyn Connector, changes: Value) -> Self {
        let served = Served::start(sim.router()).await.expect("a port");
        let platform = Arc::new(Platform::default());
        let router = Router::new()
            .route("/in/app/desk/{secret}", axum::routing::any(called))
            .route("/f/{name}", axum::routing::get(async |Path(name): Path<String>| name))
            .with_state(platform.clone());
        let public = Served::start(router).await.expect("a port");
        let webhook = public.at(&format!("/in/app/desk/{SECRET_PART}"));
        sim.calls(webhook);
        let settings = changed(sim.settings(&served.url), &changes);
        let agent = build(connector, settings.clone(), &public.url, &[&served.url]).expect("good settings");
        assert!(platform.agent.set(agent.clone()).is_ok());
        let listener = agent.clone();
        let mut listening = JoinSet::new();
        listening.spawn(async move {
            listener.listen().await;
        });
        Self { sim, served, agent, platform, public, settings, _listening: listening }
    }

    fn desk(&self) -> &Desk {
        self.sim.desk()
    }

    /// The newest chat on the desk.
    async fn chat(&self) -> String {
        let newest = |desk: &Desk| desk.chats().pop().map(|chat| chat.id);
        self.desk().until(SOON, newest).await.expect("a chat")
    }

    async fn act(&self, chat: &str, act: Act) {
        self.sim.act(chat, act).await.expect("it was taken");
    }

    /// Waits until the customer's words on the desk are these.
    async fn shows(&self, chat: &str, words: &[&str]) {
        let all = |desk: &Desk| desk.chat(chat).filter(|chat| chat.customer_words() == words);
        if self.desk().until(SOON, all).await.is_none() {
            panic!("{words:?} expected, {:?} seen", self.desk().chat(chat));
        }
    }

    /// The bodies of the requests that came to this path.
    fn sent(&self, path: &str) -> Vec<Value> {
        let all = self.desk().log().all();
        all.into_iter().filter(|it| it.path.starts_with(path)).map(|it| it.body).collect()
    }
}

/// The world of Agent Chat.
type Chatting = World<AgentChat>;

impl Chatting {
    async fn new(changes: Value) -> Self {
        Self::with(AgentChat::default(), &ServiceNow, changes).await
    }

    async fn tell(&self, item: &Item, session: Option<Value>) -> interline_connector::Done {
        self.agent.deliver(item, session).await.expect("delivered")
    }

    /// A hand-over that waits. Gives the session document and the chat.
    async fn opened(&self) -> (Value, String) {
        let done = self.tell(&open(), None).await;
        let chat = self.chat().await;
        self.platform.event(&AgentEvent::Queued { position: None }).await;
        (done.session.expect("a session document"), chat)
    }

    /// A hand-over with an agent.
    async fn talking(&self) -> (Value, String) {
        let (session, chat) = self.opened().await;
        self.act(&chat, Act::Accept { agent: None }).await;
        (session, chat)
    }

    const PATH: &'static str = "/api/sn_va_as_service/bot/integration";

    /// Waits until so many requests of this action came; gives them.
    async fn actions(&self, action: &str, count: usize) -> Vec<Value> {
        let of = |_: &Desk| {
            let all: Vec<Value> =
                self.sent(Self::PATH).into_iter().filter(|it| it["action"] == action).collect();
            (all.len() >= count).then_some(all)
        };
        self.desk().until(SOON, of).await.expect("the requests")
    }
}

/// Lets so much time pass at once.
async fn pass(time: Duration) {
    tokio::time::pause();
    tokio::time::advance(time).await;
    tokio::time::resume();
}

fn changed(mut settings: Value, changes: &Value) -> Value {
    for (name, value) in changes.as_object().expect("settings") {
        if value.is_null() {
            settings.as_object_mut().expect("settings").remove(name);
        } else {
            settings[name] = value.clone();
        }
    }
    settings
}

fn build(
    connector: &dyn Connector,
    settings: Value,
    public: &Url,
    allowed: &[&Url],
) -> Result<Arc<dyn AgentSystem>, String> {
    let guard = Guard::default();
    allowed.iter().for_each(|url| guard.allow(url));
    let env = Env {
        app: APP.into(),
        name: "desk".into(),
        public_url: public.clone(),
        http: Http::new(guard).expect("a client"),
        webhook: public.join(&format!("/in/app/desk/{SECRET_PART}")).expect("a URL"),
        credentials: Arc::new(BTreeMap::new()),
    };
    connector.build(settings, env)
}

// ── entries ──────────────────────────────────────────────────────────────────────────────────────────────────────────

fn item(seq: u64, by: Speaker, body: Body) -> Item {
    let at = Time(1_795_329_324_502 + i64::try_from(seq).expect("small"));
    let to = Role::Agent;
    Item {
        entry: Entry {
            seq: Seq(seq),
            at,
            by,
            to,
            epoch: Epoch(2),
            transfer: Some(TransferNo(1)),
            release_of: None,
            body,
        },
        participant: Participant {
            no: ParticipantNo(2),
            integration: "desk".into(),
            role: Role::Agent,
            transfer: Some(TransferNo(1)),
            queue: None,
            from: Seq(1),
            to: None,
            took_over: false,
            only_close: false,
            gone: false,
        },
        conversation: Brief {
            app: APP.into(),
            id: CONVERSATION.into(),
            customer: Customer {
                id: "cus_01a204dd17f574aeb94bcf55b9bf7754".into(),
                channel: "web".into(),
                address: "ann".into(),
                profile: Profile::default(),
                connection: Default::default(),
            },
            owner: Owner::Agent,
        },
        before: Vec::new(),
        files: Vec::new(),
        transcript: None,
        context: Context::default(),
    }
}

fn line(seq: u64, words: &str) -> Item {
    item(seq, Speaker::Customer, Body::Text(Text::plain(words)))
}

fn close(seq: u64, outcome: Outcome) -> Item {
    item(seq, Speaker::System, Body::Close { participant: ParticipantNo(2), outcome })
}

/// Somebody of whom all is known.
fn open() -> Item {
    let mut open = item(1, Speaker::System, Body::Open);
    open.conversation.customer.profile = Profile {
        name: Some("Ann Lee".into()),
        email: Some("ann@example.com".into()),
        language: Some("de".into()),
        data: BTreeMap::from([("plan".to_owned(), "gold".to_owned())]),
        ..Profile::default()
    };
    open.context = Context {
        skills: vec!["german".into(), "billing".into()],
        data: BTreeMap::from([("plan".to_owned(), "gold".to_owned())]),
        summary: "- my laptop is broken".into(),
        ..Context::default()
    };
    open.participant.queue = Some(super::simulator::QUEUE.to_owned());
    open.transcript = Some("https://chat.example.com/t/token".parse().expect("a URL"));
    let said =
        |seq, by, words: &str| Entry { to: Role::Bot, ..item(seq, by, Body::Text(Text::plain(words))).entry };
    open.before = vec![said(0, Speaker::Bot, "Hello"), said(1, Speaker::Customer, "my laptop is broken")];
    open
}

fn joined(name: &str) -> AgentEvent {
    AgentEvent::Joined { name: Some(name.into()) }
}

fn says(words: &str) -> AgentEvent {
    AgentEvent::Said { text: Text::plain(words), name: Some("Agent One".into()) }
}
