//! A world for one test: a database, an app, its agent systems, and engines that can be killed.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use interline_connector::channel::{ChannelApp, HeardAs, Host, Line, Place, Said, What};
use interline_connector::{AgentSystem, Answer, Bot, Guard, Http, Unverified};
use interline_core::conversation::entry::{Note, Text};
use interline_core::conversation::state::Customer;
use interline_core::flow::{Flows, MAIN};
use interline_core::transfer::deadline::Deadlines;
use interline_core::{App, AppId, Body, Entry, Speaker, State};
use interline_engine::config::{FileRules, Transcript};
use interline_engine::files::Storage;
use interline_engine::{Apps, Clock, Engine, Hints, InProcess, NoScripts, Runtime, Scripts, Settings};
use interline_files::blobs::Blobs;
use interline_files::parts::Parts;
use interline_store::{KeyRing, Loaded, ParticipantRow, Store};
use serde_json::{Value, json};
use sqlx::{AnyConnection, Connection as _, Executor as _};
use url::Url;

pub const WEB: &str = "web";

/// Runs a test on each database, side by side: tests mostly wait.
pub fn each(name: &str, test: impl AsyncFn(World) + Sync) {
    sides(name, &test, |url| run(&test, World::on(url, None)));
}

/// As [`each`], in a PostgreSQL database that no other test uses: for engines that serve all apps of their store.
pub fn each_alone(name: &str, test: impl AsyncFn(World) + Sync) {
    sides(name, &test, |server| {
        let own = format!("it_{}", uuid::Uuid::now_v7().simple());
        admin(&server, &format!("CREATE DATABASE {own}"));
        let (base, _) = server.rsplit_once('/').unwrap();
        run(&test, World::on(format!("{base}/{own}"), None));
        admin(&server, &format!("DROP DATABASE {own} WITH (FORCE)"));
    });
}

fn sides(name: &str, test: &(impl AsyncFn(World) + Sync), on_postgres: impl FnOnce(String) + Send) {
    std::thread::scope(|threads| {
        match std::env::var("INTERLINE_TEST_POSTGRES") {
            Ok(url) => {
                let other = std::thread::Builder::new().name(format!("{name} on PostgreSQL"));
                other.spawn_scoped(threads, move || on_postgres(url)).unwrap();
            }
            Err(_) => eprintln!("{name}: skipped on PostgreSQL, INTERLINE_TEST_POSTGRES is not set"),
        }
        run(test, World::sqlite(name));
    });
}

fn admin(server: &str, sql: &str) {
    sqlx::any::install_default_drivers();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut connection = AnyConnection::connect(server).await.unwrap();
        connection.execute(sqlx::AssertSqlSafe(sql.to_owned())).await.unwrap();
        connection.close().await.unwrap();
    });
}

fn run(test: &impl AsyncFn(World), world: World) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (dir, files) = (world.dir.clone(), world.files_dir.clone());
    runtime.block_on(test(world));
    drop(runtime);
    let _ = std::fs::remove_dir_all(files);
    if let Some(dir) = dir {
        let _ = std::fs::remove_dir_all(dir);
    }
}

#[derive(Clone)]
pub struct World {
    url: String,
    dir: Option<PathBuf>,
    pub app: App,
    agents: BTreeMap<interline_core::IntegrationName, Arc<dyn AgentSystem>>,
    bots: BTreeMap<interline_core::IntegrationName, Arc<dyn Bot>>,
    /// Who runs the scripts of flows.
    pub scripts: Arc<dyn Scripts>,
    pub clock: Clock,
    hints: Option<Arc<dyn Hints>>,
    node: String,
    /// The key ring that the store is opened with.
    pub keys: String,
    /// The link to what was said before a transfer.
    pub transcript: Transcript,
    /// Which files are taken.
    pub files: FileRules,
    /// Where files are.
    pub files_dir: PathBuf,
    /// What connectors and files may be fetched from although it is private.
    pub guard: Guard,
    /// The store's documents are served, not `app`: with these allowances, and callbacks come here.
    pub site: Option<(Guard, Url)>,
    /// Other apps that are like `app`.
    pub twins: Vec<AppId>,
}

/// The ring's first key.
pub fn first_key() -> String {
    format!("k1:{}=", "A".repeat(43))
}

/// A running engine on its own runtime: killing it takes every task with it.
pub struct Node {
    runtime: Option<tokio::runtime::Runtime>,
    pub engine: Engine,
    pub store: Store,
    pub app: AppId,
}

impl World {
    fn sqlite(name: &str) -> Self {
        let dir =
            std::env::temp_dir().join(format!("interline-engine-{name}-{}", uuid::Uuid::now_v7().simple()));
        std::fs::create_dir_all(&dir).unwrap();
        Self::on(format!("sqlite://{}", dir.join("it.db").display()), Some(dir))
    }

    fn on(url: String, dir: Option<PathBuf>) -> Self {
        // PostgreSQL is shared: the app keeps the tests apart.
        let id = format!("st-{}", uuid::Uuid::now_v7());
        let flow = json!({
            "start": "hello",
            "words": [{"any": ["human"], "go_to": "human"}, {"any": ["bye"], "go_to": "end"}],
            "otherwise": "echo",
            "nodes": {
                "hello": {"message": {"text": "Hello"}},
                "echo": {"message": {"text": "echo {{text}}"}},
                "human": {"agent_transfer": {"message": "One moment"}},
                "end": {"end": {}},
            },
        });
        let app = App {
            id: id.as_str().into(),
            flows: Flows::of(serde_json::from_value(flow).unwrap()),
            ..App::default()
        };
        let (clock, node) = (Clock::system(), format!("node-{id}"));
        let (keys, transcript) = (first_key(), Transcript::default());
        let files_dir =
            std::env::temp_dir().join(format!("interline-files-{}", uuid::Uuid::now_v7().simple()));
        Self {
            url,
            dir,
            app,
            agents: BTreeMap::new(),
            bots: BTreeMap::new(),
            scripts: Arc::new(NoScripts),
            clock,
            hints: None,
            node,
            keys,
            transcript,
            files: FileRules::default(),
            files_dir,
            guard: Guard::default(),
            site: None,
            twins: Vec::new(),
        }
    }

    /// Adds an agent system. The first is the default, the others are its fallbacks.
    pub fn agent(mut self, name: &str, agent: Arc<dyn AgentSystem>) -> Self {
        self.app.agents.insert(name.into(), agent.describe());
        if self.app.default_agent.is_none() {
            self.app.default_agent = Some(name.into());
        } else {
            let mut flow = serde_json::to_value(self.app.flows.get(&MAIN.into()).unwrap()).unwrap();
            let transfer = &mut flow["nodes"]["human"]["agent_transfer"];
            if !transfer["fallback"].is_array() {
                transfer["fallback"] = json!([]);
            }
            transfer["fallback"].as_array_mut().unwrap().push(json!({"integration": name}));
            self = self.flow(flow);
        }
        self.agents.insert(name.into(), agent);
        self
    }

    /// With this as `main`.
    pub fn flow(mut self, flow: Value) -> Self {
        self.app.flows = Flows::of(serde_json::from_value(flow).unwrap());
        self
    }

    /// With this bot.
    pub fn bot(mut self, name: &str, bot: Arc<dyn Bot>) -> Self {
        self.app.bots.insert(name.into());
        self.bots.insert(name.into(), bot);
        self
    }

    pub fn without_agent(mut self, name: &str) -> Self {
        self.agents.remove(&name.into());
        self
    }

    pub fn deadlines(mut self, edit: impl FnOnce(&mut Deadlines)) -> Self {
        edit(&mut self.app.deadlines);
        self
    }

    pub fn faster(mut self, speed: u32) -> Self {
        self.clock = Clock::faster(speed);
        // A busy machine is not an agent system that does not answer.
        let deadlines = &mut self.app.deadlines;
        deadlines.opening_ms = deadlines.opening_ms.max(10_000 * u64::from(speed));
        deadlines.idle_ms = deadlines.idle_ms.max(60_000 * u64::from(speed));
        self
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    /// The same database by another way.
    pub fn at(mut self, url: &str) -> Self {
        self.url = url.to_owned();
        self
    }

    /// Another node's name.
    pub fn named(mut self, node: &str) -> Self {
        self.node = node.to_owned();
        self
    }

    pub fn hints(mut self, hints: impl Hints) -> Self {
        self.hints = Some(Arc::new(hints));
        self
    }

    pub async fn start(&self) -> Node {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let (world, url) = (self.clone(), self.url.clone());
        // Opening a store cannot be spawned (its future is not `Send`), hence a thread.
        let open = move || {
            let (engine, store) = runtime.block_on(async move {
                let keys = KeyRing::parse(&world.keys).unwrap();
                let store = Store::open(interline_store::Settings { url, lanes: 2, keys }).await.unwrap();
                let clock = world.clock;
                let engine = Engine::start_at(world.settings(store.clone()).await, clock).await.unwrap();
                (engine, store)
            });
            (runtime, engine, store)
        };
        let (runtime, engine, store) = tokio::task::spawn_blocking(open).await.unwrap();
        Node { runtime: Some(runtime), engine, store, app: self.app.id.clone() }
    }

    async fn settings(self, store: Store) -> Settings {
        let (apps, public_url) = match self.site.clone() {
            Some((guard, public_url)) => {
                let http = Http::new(guard).unwrap();
                (Apps::load(store.clone(), http, public_url.clone(), false).await.unwrap(), public_url)
            }
            None => {
                let all = std::iter::once(&self.app.id).chain(&self.twins);
                let apps = Apps::of(store.clone(), all.map(|id| self.runtime(id)).collect()).await.unwrap();
                (apps, "https://interline.example".parse().unwrap())
            }
        };
        Settings {
            apps,
            store,
            public_url,
            node: self.node,
            hints: self.hints.unwrap_or_else(|| Arc::new(InProcess::default())),
            files: Storage {
                parts: Parts::open(self.files_dir.join("uploads")).unwrap(),
                blobs: Blobs::directory(self.files_dir.join("files")).unwrap(),
                scanner: None,
                http: Http::new(self.guard).unwrap(),
            },
            scripts: self.scripts,
        }
    }

    fn runtime(&self, id: &AppId) -> Runtime {
        let channel_app = ChannelApp {
            id: id.clone(),
            name: "Test".into(),
            credentials: BTreeMap::new(),
            channels: BTreeMap::new(),
        };
        Runtime {
            app: Arc::new(App { id: id.clone(), ..self.app.clone() }),
            agents: self.agents.clone(),
            told: BTreeMap::new(),
            bots: self.bots.clone(),
            http: Some(Http::new(self.guard.clone()).unwrap()),
            channel_app: Arc::new(channel_app),
            retention_ms: None,
            transcript: self.transcript.clone(),
            files: self.files.clone(),
            configured: None,
            version: 1,
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // A runtime must not be dropped where async code runs.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Node {
    /// Where the engine runs.
    pub fn handle(&self) -> tokio::runtime::Handle {
        self.runtime.as_ref().unwrap().handle().clone()
    }

    /// Runs something where the engine runs, so that it dies with it.
    pub async fn on<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> T {
        self.runtime.as_ref().unwrap().spawn(work).await.unwrap()
    }

    /// As `kill -9` would: nothing is finished, nothing is written.
    pub async fn kill(mut self) {
        let runtime = self.runtime.take().unwrap();
        tokio::task::spawn_blocking(move || runtime.shutdown_timeout(Duration::from_secs(5))).await.unwrap();
    }

    pub async fn customer(&self, address: &str) -> Customer {
        let (engine, app, address) = (self.engine.clone(), self.app.clone(), address.to_owned());
        self.on(async move { engine.customer(&app, &WEB.into(), &address).await.unwrap() }).await
    }

    pub async fn hear(&self, customer: &Customer, external_id: Option<&str>, what: What) -> HeardAs {
        let (engine, app, customer) = (self.engine.clone(), self.app.clone(), customer.clone());
        let said = Said { external_id: external_id.map(str::to_owned), what };
        self.on(async move { engine.hear(&app, &customer, said).await.unwrap() }).await
    }

    pub async fn say(&self, customer: &Customer, text: &str) -> HeardAs {
        self.hear(customer, None, What::Text(Text::plain(text))).await
    }

    pub async fn place(&self, customer: &Customer, undelivered: bool) -> Place {
        let (engine, app, customer) = (self.engine.clone(), self.app.clone(), customer.clone());
        self.on(async move { engine.place(&app, &customer, undelivered).await.unwrap() }).await
    }

    pub async fn read(&self, customer: &Customer, place: &mut Place, limit: usize) -> Vec<Line> {
        let (engine, app, customer) = (self.engine.clone(), self.app.clone(), customer.clone());
        let mut at = place.clone();
        let (lines, at) = self
            .on(async move {
                let lines = engine.read(&app, &customer, &mut at, limit).await.unwrap();
                (lines, at)
            })
            .await;
        *place = at;
        lines
    }

    /// A vendor's call.
    pub async fn webhook(&self, connector: &str, body: Value) -> Answer {
        self.webhook_of(&self.app, connector, body).await
    }

    pub async fn webhook_of(&self, app: &AppId, connector: &str, body: Value) -> Answer {
        let (engine, app, connector) = (self.engine.clone(), app.clone(), connector.to_owned());
        let request = Unverified {
            method: http::Method::POST,
            path: String::new(),
            query: String::new(),
            headers: http::HeaderMap::new(),
            body: bytes::Bytes::from(body.to_string()),
            now_ms: 0,
            secret_part: false,
        };
        self.on(async move { engine.receive(&app, &connector, &request).await }).await
    }

    pub async fn conversations(&self, customer: &Customer) -> Vec<String> {
        let mut all =
            self.store.conversations_of(self.app.as_str(), customer.id.as_str(), 100).await.unwrap();
        all.reverse();
        all
    }

    /// The customer's newest conversation.
    pub async fn conversation(&self, customer: &Customer) -> String {
        self.conversations(customer).await.pop().unwrap()
    }

    pub async fn loaded(&self, customer: &Customer) -> Loaded {
        let conversation = self.conversation(customer).await;
        self.store.load(self.app.as_str(), &conversation).await.unwrap().unwrap()
    }

    pub async fn state(&self, customer: &Customer) -> State {
        serde_json::from_str(&self.loaded(customer).await.doc).unwrap()
    }

    pub async fn row(&self, customer: &Customer, no: i64) -> ParticipantRow {
        self.loaded(customer).await.participants.into_iter().find(|row| row.no == no).unwrap()
    }

    /// The log of the newest conversation.
    pub async fn log(&self, customer: &Customer) -> Vec<Entry> {
        let conversation = self.conversation(customer).await;
        self.log_of(&conversation).await
    }

    pub async fn log_of(&self, conversation: &str) -> Vec<Entry> {
        let rows = self.store.entries_after(self.app.as_str(), conversation, 0, 10_000).await.unwrap();
        rows.iter().map(|row| serde_json::from_str(&row.doc).unwrap()).collect()
    }

    pub async fn notes(&self, customer: &Customer) -> Vec<Note> {
        let log = self.log(customer).await;
        log.into_iter()
            .filter_map(|entry| if let Body::Note(note) = entry.body { Some(note) } else { None })
            .collect()
    }

    /// What the customer sees, as short words.
    pub async fn seen(&self, customer: &Customer) -> Vec<String> {
        self.log(customer).await.iter().filter(|entry| entry.customer_sees()).map(short).collect()
    }

    pub async fn until_seen(&self, customer: &Customer, words: &str) {
        until(&format!("the customer sees {words:?}"), async || {
            self.seen(customer).await.iter().any(|seen| seen == words).then_some(())
        })
        .await;
    }

    pub async fn until_noted(&self, customer: &Customer, what: &str, is: impl Fn(&Note) -> bool) {
        until(what, async || self.notes(customer).await.iter().any(&is).then_some(())).await;
    }
}

pub fn short(entry: &Entry) -> String {
    let who = match &entry.by {
        Speaker::Customer => "customer",
        Speaker::Bot => "bot",
        Speaker::Agent { .. } => "agent",
        Speaker::Operator { .. } => "operator",
        Speaker::System => "system",
    };
    match &entry.body {
        Body::Text(text) => format!("{who}: {}", text.text),
        Body::AgentJoined { .. } => "joined".into(),
        Body::AgentLeft => "left".into(),
        Body::Opened => "opened".into(),
        Body::Closed => "closed".into(),
        Body::Queued { position } => format!("queued {position}"),
        other => format!("{other:?}"),
    }
}

/// Polls until there is something. A test that waits in vain fails after half a minute.
pub async fn until<T>(what: &str, look: impl AsyncFn() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(began.elapsed() < Duration::from_secs(30), "waited in vain: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
