//! The client against the stand-in, over real sockets; and hostile input.
//!
//! [`World`] is a whole little installation: a stand-in on a port, the integration, and an engine that is small enough to
//! read: it hands out entries in order, tries again what is to be tried again, forgets what it heard before, and runs a lost
//! session anew from its document.

mod bad;
mod ends;
mod engine;
mod faults;
mod files;
mod limits;
mod relay;
mod setup;
mod spec;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::Router;
use interline_connector::agent::{Brief, Connector, Env};
use interline_connector::simulator::{
    Act, Acts as _, Chat, ChatState, Desk, Fault, Logged, Points, Served, StandIn,
};
use interline_connector::{Aside, Guard, Http, Item, Next};
use interline_core::conversation::entry::Text;
use interline_core::conversation::input::AgentEvent;
use interline_core::conversation::state::Customer;
use interline_core::transfer::{Outcome, Reason};
use interline_core::{
    Body, Entry, Epoch, Owner, Participant, ParticipantNo, Role, Seq, Speaker, Time, TransferNo,
};
use serde_json::{Value, json};

use super::Salesforce;
use super::simulator::{Settings as Org, Simulator};
use engine::Engine;

const SUMMARY: &str = "- I want my money back";
const TRANSCRIPT: &str = "https://chat.example.com/t/abc";

/// Waits until `look` finds something.
async fn eventually<T>(mut look: impl FnMut() -> Option<T>) -> T {
    for _ in 0..1_000 {
        if let Some(found) = look() {
            return found;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("it did not happen within 10 s");
}

/// Waits until these words are there, in this order.
async fn until(words: &[&str], seen: impl Fn() -> Vec<String>) {
    for _ in 0..1_000 {
        if seen() == words {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(seen(), words);
}

fn env(url: &url::Url) -> Env {
    let guard = Guard::default();
    guard.allow(url);
    Env {
        app: "app_1".into(),
        name: "crm".into(),
        public_url: "https://chat.example.com".parse().expect("a URL"),
        http: Http::new(guard).expect("a client"),
        webhook: "https://chat.example.com/in/app_1/crm/secret".parse().expect("a URL"),
        credentials: Arc::default(),
    }
}

struct World {
    sim: Simulator,
    served: Served,
    engine: Engine,
    seq: Mutex<u64>,
}

impl World {
    async fn new() -> Self {
        Self::with(Org::roomy(), json!({})).await
    }

    /// With an org, and with `settings` beside those that reach it.
    async fn with(org: Org, settings: Value) -> Self {
        Self::behind(org, settings, |router| router).await
    }

    /// With something before the org that changes what it says.
    async fn behind(org: Org, settings: Value, before: impl FnOnce(Router) -> Router) -> Self {
        let sim = Simulator::new(org);
        let served = Served::start(before(sim.router())).await.expect("a port");
        let mut all = StandIn::settings(&sim, &served.url);
        all.as_object_mut().expect("settings").extend(settings.as_object().expect("an object").clone());
        let agent = Salesforce.build(all, env(&served.url)).expect("an integration");
        Self { sim, served, engine: Engine::run(agent), seq: Mutex::new(0) }
    }

    fn desk(&self) -> &Desk {
        self.sim.desk()
    }

    // ── what the engine hands out ────────────────────────────────────────────────────────────────────────────────

    /// The next entry of the conversation.
    fn item(&self, by: Speaker, body: Body) -> Item {
        let mut seq = self.seq.lock().expect("lock");
        *seq += 1;
        item(*seq, by, body)
    }

    fn give(&self, item: Item) -> Seq {
        let seq = item.entry.seq;
        self.engine.give(Next::Item(Box::new(item)));
        seq
    }

    fn say(&self, text: &str) -> Seq {
        self.give(self.item(Speaker::Customer, Body::Text(Text::plain(text))))
    }

    fn aside(&self, aside: Aside) {
        self.engine.give(Next::Aside(aside));
    }

    /// The Open of a hand-over with all that can travel along.
    fn opening(&self) -> Item {
        let mut item = self.item(Speaker::System, Body::Open);
        item.conversation.customer.profile = serde_json::from_value(json!({
            "first_name": "Ada", "last_name": "Lovelace", "email": "ada@example.com", "phone": "+44 20",
            "language": "en-GB",
        }))
        .expect("a profile");
        item.participant.queue = Some("billing".into());
        item.context.skills = vec!["refunds".into(), "vip".into()];
        item.context.data = BTreeMap::from([("tier".to_owned(), "gold".to_owned())]);
        item.context.summary = SUMMARY.into();
        item.transcript = Some(TRANSCRIPT.parse().expect("a URL"));
        item
    }

    /// A hand-over is asked for, and seen at the agents' desk.
    async fn waiting(&self) -> String {
        let known = self.desk().chats().len();
        self.give(self.opening());
        eventually(|| self.desk().chats().get(known).map(|chat| chat.id.clone())).await
    }

    /// An agent talks.
    async fn talking(&self) -> String {
        let chat = self.waiting().await;
        self.act(&chat, Act::Accept { agent: Some("Jane".into()) }).await;
        self.until_heard(|event| matches!(event, AgentEvent::Joined { .. })).await;
        chat
    }

    fn close(&self, outcome: Outcome) -> Seq {
        let body = Body::Close { participant: ParticipantNo(2), outcome };
        self.give(self.item(Speaker::System, body))
    }

    // ── what is seen ─────────────────────────────────────────────────────────────────────────────────────────────

    async fn act(&self, chat: &str, act: Act) {
        self.sim.act(chat, act).await.expect("acted");
    }

    fn chat(&self, id: &str) -> Chat {
        self.desk().chat(id).expect("a chat")
    }

    async fn until_heard(&self, so: impl Fn(&AgentEvent) -> bool) -> AgentEvent {
        eventually(|| self.engine.heard().into_iter().find(|event| so(event))).await
    }

    /// What agents said, as the customer hears it.
    fn spoken(&self) -> Vec<String> {
        let said = |event| match event {
            AgentEvent::Said { text, .. } => Some(text.text),
            _ => None,
        };
        self.engine.heard().into_iter().filter_map(said).collect()
    }

    async fn until_spoken(&self, words: &[&str]) {
        until(words, || self.spoken()).await;
    }

    /// Until the customer's words at the desk are these.
    async fn until_words(&self, chat: &str, words: &[&str]) {
        until(words, || self.chat(chat).customer_words().into_iter().map(str::to_owned).collect()).await;
    }

    async fn until_over(&self, chat: &str) {
        eventually(|| (self.chat(chat).state == ChatState::Over).then_some(())).await;
    }

    fn calls(&self, what: &str) -> Vec<Logged> {
        let is = |call: &Logged| format!("{} {}", call.method, call.path).contains(what);
        self.desk().log().all().into_iter().filter(is).collect()
    }

    fn fault(&self, on: Option<&str>, times: u32, fault: Fault) {
        self.desk().faults().add(on.expect("a point"), times, fault);
    }

    fn points(&self) -> Points {
        self.sim.points()
    }

    /// Time passes at once, here and at the org.
    async fn pass(&self, time: Duration) {
        self.desk().clock().advance(i64::try_from(time.as_millis()).expect("small"));
        tokio::time::pause();
        tokio::time::advance(time).await;
        tokio::time::resume();
    }
}

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    i64::try_from(since.as_millis()).expect("a sane clock")
}

fn item(seq: u64, by: Speaker, body: Body) -> Item {
    let transfer = Some(TransferNo(1));
    let entry = Entry {
        seq: Seq(seq),
        at: Time(now_ms()),
        by,
        to: Role::Agent,
        epoch: Epoch(2),
        transfer,
        release_of: None,
        body,
    };
    let participant = Participant {
        no: ParticipantNo(2),
        integration: "crm".into(),
        role: Role::Agent,
        transfer,
        queue: None,
        from: Seq(1),
        to: None,
        took_over: false,
        only_close: false,
        gone: false,
    };
    let conversation = Brief {
        app: "app_1".into(),
        id: "cnv_1".into(),
        customer: Customer {
            id: "cus_1".into(),
            channel: "web".into(),
            address: "ada".into(),
            profile: Default::default(),
            connection: Default::default(),
        },
        owner: Owner::Agent,
    };
    Item {
        entry,
        participant,
        conversation,
        before: Vec::new(),
        files: Vec::new(),
        transcript: None,
        context: Default::default(),
    }
}
