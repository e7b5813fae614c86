//! The client against the stand-in, over real sockets; the stand-in's own strictness; and hostile input.
//!
//! [`World`] is a whole little installation: a stand-in on one port, a platform on another, and the integration
//! between them. The platform proves and understands calls with `receive`, as the engine does, and keeps what it heard.

mod bad;
mod calls;
mod faults;
mod files;
mod relay;
mod stand_in;
mod trimming;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{OriginalUri, Path, State};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use interline_connector::agent::{Brief, Connector, Env};
use interline_connector::simulator::Line;
use interline_connector::webhook::{Answer, Heard, History, HistoryQuery, Unverified};
use interline_connector::{AgentSystem, Algorithm, Credential, Guard, Http, Incoming, Item};
use interline_core::conversation::classify::Call;
use interline_core::conversation::entry::Text;
use interline_core::conversation::request_id::{RequestId, RequestKind};
use interline_core::conversation::state::Customer;
use interline_core::transfer::{Outcome, Reason};
use interline_core::{
    Body, ConversationId, Entry, Epoch, Owner, Participant, ParticipantNo, Role, Seq, Speaker, Time,
    TransferNo,
};
use serde_json::{Value, json};

use super::BotKit;
use super::simulator::{Settings as SimSettings, Simulator};

const CLIENT: &str = "cs-5a2b0c1d-1111-5222-8333-944444444444";
const SECRET: &str = "1AbC0dEfGhIjKlMnOpQrStUvWxYz+/0123456789abc=";
const CONVERSATION: &str = "cnv_0192af00";
const CUSTOMER: &str = "cus_0192af01";
/// The same person on the wire.
const USER: &str = "u-0192af01";

fn app_id() -> String {
    format!("st-{}", uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_DNS, b"interline.test"))
}

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    i64::try_from(since.as_millis()).expect("a sane clock")
}

async fn serve(router: Router) -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

/// Waits until `look` finds something.
async fn eventually<T>(mut look: impl FnMut() -> Option<T>) -> T {
    for _ in 0..500 {
        if let Some(found) = look() {
            return found;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("it did not happen within 5 s");
}

// ── the platform ─────────────────────────────────────────────────────────────────────────────────────────────────────

#[derive(Default)]
struct Platform {
    agent: OnceLock<Arc<dyn AgentSystem>>,
    heard: Mutex<Vec<(RequestId, Call)>>,
    /// The files of the calls that had some.
    attached: Mutex<Vec<Vec<Incoming>>>,
    asked: Mutex<Vec<HistoryQuery>>,
    /// Every request with the status it got.
    seen: Mutex<Vec<Seen>>,
    /// Answers every call with this status instead.
    refuse_with: Mutex<Option<u16>>,
    history: Mutex<Vec<Entry>>,
}

#[derive(Debug, Clone)]
struct Seen {
    method: Method,
    path: String,
    query: String,
    headers: HeaderMap,
    body: Bytes,
    status: u16,
}

impl Platform {
    fn router(self: &Arc<Self>) -> Router {
        Router::new()
            .route("/api/botsdk/stream/{app}/{*rest}", axum::routing::any(called))
            .with_state(self.clone())
    }

    fn calls(&self) -> Vec<Call> {
        self.heard.lock().expect("lock").iter().map(|(_, call)| call.clone()).collect()
    }

    fn heard(&self) -> Vec<(RequestId, Call)> {
        self.heard.lock().expect("lock").clone()
    }

    fn attached(&self) -> Vec<Vec<Incoming>> {
        self.attached.lock().expect("lock").clone()
    }

    fn seen(&self) -> Vec<Seen> {
        self.seen.lock().expect("lock").clone()
    }

    fn answer(&self, request: &Unverified) -> Answer {
        if let Some(status) = *self.refuse_with.lock().expect("lock") {
            return Answer::error(status, "scripted");
        }
        let agent = self.agent.get().expect("an agent");
        let received = match agent.receive(request) {
            Ok(received) => received,
            Err(rejected) => return rejected.0,
        };
        let mut answer = received.answer;
        for heard in received.heard {
            match heard {
                Heard::Callback { id, call, files } => {
                    self.heard.lock().expect("lock").push((id, call));
                    if !files.is_empty() {
                        self.attached.lock().expect("lock").push(files);
                    }
                }
                Heard::History(query) => {
                    let lines: Vec<_> = self.history.lock().expect("lock").clone();
                    let total = lines.len();
                    let lines = lines.into_iter().map(|entry| (CONVERSATION.into(), entry)).collect();
                    answer = agent.history(&History { lines, total, more: false });
                    self.asked.lock().expect("lock").push(query);
                }
                Heard::Named(_) => {}
                Heard::Event { .. }
                | Heard::Receipt { .. }
                | Heard::Refused { .. }
                | Heard::Typing { .. } => {
                    panic!("BotKit has no sessions of its own")
                }
            }
        }
        answer
    }
}

async fn called(
    State(platform): State<Arc<Platform>>,
    Path((_, rest)): Path<(String, String)>,
    OriginalUri(uri): OriginalUri,
    method: Method,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let query = uri.query().unwrap_or("").to_owned();
    let request = Unverified {
        method: method.clone(),
        path: rest,
        query: query.clone(),
        headers: headers.clone(),
        body: body.clone(),
        now_ms: now_ms(),
        secret_part: false,
    };
    let answer = platform.answer(&request);
    let status = answer.status;
    let path = uri.path().to_owned();
    platform.seen.lock().expect("lock").push(Seen { method, path, query, headers, body, status });
    let status = StatusCode::from_u16(status).expect("a status");
    (status, axum::Json(answer.body.unwrap_or(Value::Null))).into_response()
}

// ── the world ────────────────────────────────────────────────────────────────────────────────────────────────────────

struct World {
    sim: Simulator,
    /// Of the stand-in.
    url: String,
    agent: Arc<dyn AgentSystem>,
    platform: Arc<Platform>,
    seq: Mutex<u64>,
}

impl World {
    async fn new() -> Self {
        Self::with(Algorithm::HS256, "", json!({ "subscribe": ["messages", "transfers"] })).await
    }

    async fn with(algorithm: Algorithm, prefix: &str, settings: Value) -> Self {
        let sim = Simulator::new(SimSettings {
            app_id: app_id(),
            client_id: CLIENT.into(),
            client_secret: SECRET.into(),
            algorithm,
            prefix: prefix.into(),
        });
        let url = format!("http://{}{prefix}", serve(sim.router()).await);
        let platform = Arc::new(Platform::default());
        let public = format!("http://{}/", serve(platform.router()).await);
        let agent = agent(&url, &public, algorithm, settings).expect("an agent");
        assert!(platform.agent.set(agent.clone()).is_ok());
        Self { sim, url, agent, platform, seq: Mutex::new(0) }
    }

    /// The next entry of the conversation, on its way to BotKit.
    fn item(&self, by: Speaker, to: Role, body: Body) -> Item {
        let mut seq = self.seq.lock().expect("lock");
        *seq += 1;
        item(*seq, by, to, body)
    }

    fn line(&self, by: Speaker, to: Role, text: &str) -> Item {
        self.item(by, to, Body::Text(Text::plain(text)))
    }

    /// The customer asks for a human; BotKit accepts. Gives the session document and the agent's chat.
    async fn transfer(&self) -> (Value, String) {
        let item = self.item(Speaker::System, Role::Agent, Body::Open);
        let done = self.agent.deliver(&item, None).await.expect("accepted");
        let session = done.session.expect("a session document");
        let id = session["requestId"].as_str().expect("the request id").to_owned();
        (session, id)
    }
}

/// What was said in a chat at the desk.
fn lines(sim: &Simulator, chat: &str) -> Vec<Line> {
    sim.desk().chat(chat).map(|chat| chat.lines).unwrap_or_default()
}

/// An integration of the BotKit at `url`, with `settings` added.
fn agent(
    url: &str,
    public: &str,
    algorithm: Algorithm,
    settings: Value,
) -> Result<Arc<dyn AgentSystem>, String> {
    let mut all = json!({ "url": url });
    for (name, value) in settings.as_object().expect("settings") {
        all[name] = value.clone();
    }
    let guard = Guard::default();
    if let Ok(url) = url.parse() {
        guard.allow(&url);
    }
    let credential = Credential { client_id: CLIENT.into(), client_secret: SECRET.into(), algorithm };
    let env = Env {
        app: app_id().as_str().into(),
        name: "desk".into(),
        public_url: public.parse().expect("a URL"),
        http: Http::new(guard).expect("a client"),
        webhook: public.parse().expect("a URL"),
        credentials: Arc::new(BTreeMap::from([("main".to_owned(), credential)])),
    };
    BotKit.build(all, env)
}

fn entry(seq: u64, by: Speaker, to: Role, body: Body) -> Entry {
    let at = Time(1_795_329_324_502 + i64::try_from(seq).expect("small"));
    let transfer = (to == Role::Agent).then_some(TransferNo(1));
    Entry { seq: Seq(seq), at, by, to, epoch: Epoch(2), transfer, release_of: None, body }
}

fn said(seq: u64, by: Speaker, to: Role, text: &str) -> Entry {
    entry(seq, by, to, Body::Text(Text::plain(text)))
}

fn item(seq: u64, by: Speaker, to: Role, body: Body) -> Item {
    let interceptor = to == Role::Interceptor;
    Item {
        entry: entry(seq, by, to, body),
        participant: Participant {
            no: ParticipantNo(if interceptor { 1 } else { 2 }),
            integration: "desk".into(),
            role: to,
            transfer: (!interceptor).then_some(TransferNo(1)),
            queue: None,
            from: Seq(1),
            to: None,
            took_over: false,
            only_close: false,
            gone: false,
        },
        conversation: Brief {
            app: app_id().as_str().into(),
            id: CONVERSATION.into(),
            customer: Customer {
                id: CUSTOMER.into(),
                channel: "web".into(),
                address: "ann+tickets@example.com".into(),
                profile: Default::default(),
                connection: Default::default(),
            },
            owner: Owner::Bot,
        },
        before: Vec::new(),
        files: Vec::new(),
        transcript: None,
        context: Default::default(),
    }
}

fn close(outcome: Outcome) -> Body {
    Body::Close { participant: ParticipantNo(2), outcome }
}

fn id_of(item: &Item, kind: RequestKind) -> RequestId {
    RequestId {
        conversation: ConversationId::from(CONVERSATION),
        participant: item.participant.no,
        epoch: item.entry.epoch,
        seq: item.entry.seq,
        kind,
    }
}
