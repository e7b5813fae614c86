//! A world for one test: two apps, a BotKit that answers and one that does not, a server, keys.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use interline_agents::botkit::simulator::{Settings as BotKitSettings, Simulator};
use interline_connector::channel::{Host as _, Said, What};
use interline_connector::files::{Declared, Files as _};
use interline_connector::{Algorithm, Guard, Http};
use interline_core::conversation::entry::Text;
use interline_core::conversation::state::Customer;
use interline_core::{AppId, File};
use interline_engine::config::{Apps, Document, Draft, Origin};
use interline_engine::files::Storage;
use interline_engine::{Clock, Engine, InProcess, KeyRole, Settings};
use interline_files::blobs::Blobs;
use interline_files::parts::Parts;
use interline_store::{KeyRing, Store};
use serde_json::{Value, json};

use crate::client::{Answer, Client};

pub const A: &str = "st-aaaaaaaa-0000-5000-8000-000000000001";
pub const B: &str = "st-bbbbbbbb-0000-5000-8000-000000000002";
const SECRET: &str = "a secret that is quite long indeed, and known to nobody";

pub struct World {
    pub engine: Engine,
    pub router: Router,
    pub botkit: Simulator,
    /// Where the BotKit is.
    pub botkit_url: String,
    /// Where nobody is.
    pub nowhere: String,
    here: String,
    dir: PathBuf,
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

impl World {
    pub async fn start(name: &str) -> Self {
        let dir =
            std::env::temp_dir().join(format!("interline-api-{name}-{}", uuid::Uuid::now_v7().simple()));
        std::fs::create_dir_all(&dir).unwrap();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let here = format!("http://{}", listener.local_addr().unwrap());
        let botkit = Simulator::new(BotKitSettings {
            app_id: A.into(),
            client_id: "cs-a".into(),
            client_secret: SECRET.into(),
            algorithm: Algorithm::HS256,
            prefix: String::new(),
        });
        let botkit_url = serve(botkit.router()).await;
        // A port that was free a moment ago refuses whoever comes.
        let free = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let nowhere = format!("http://{free}");
        let settings = settings(&dir, &here).await;
        for document in [document_a(&botkit_url, &nowhere), document_b()] {
            let document = Document::from_json(document).unwrap();
            let app = AppId::from(document.app.id.as_str());
            let draft = Draft { document, retired: Default::default() };
            settings.apps.edit(&app, Origin::Operator, None, false, |_| Ok(draft)).await.unwrap();
        }
        let engine = Engine::start(settings).await.unwrap();
        let router = interline_api::router(&engine);
        let served = router.clone();
        tokio::spawn(async move { axum::serve(listener, served).await });
        Self { engine, router, botkit, botkit_url, nowhere, here, dir }
    }

    /// The server is stopped and started again, on a clock on which `speed` seconds pass in each second.
    pub async fn restart(&mut self, speed: u32) {
        self.engine.stop().await;
        let settings = settings(&self.dir, &self.here).await;
        self.engine = Engine::start_at(settings, Clock::faster(speed)).await.unwrap();
        self.router = interline_api::router(&self.engine);
    }

    /// Whoever has a new key for this app, or none for all.
    pub async fn key(&self, app: Option<&str>, role: KeyRole) -> Client {
        let app = app.map(AppId::from);
        let name = format!("{role} key");
        let made = self.engine.create_key(app.as_ref(), role, &name, None).await.unwrap();
        self.with_token(&made.token)
    }

    pub fn with_token(&self, token: &str) -> Client {
        Client::new(self.router.clone(), Some(token))
    }

    pub fn without_key(&self) -> Client {
        Client::new(self.router.clone(), None)
    }

    /// An administrator of app A.
    pub async fn admin(&self) -> Client {
        self.key(Some(A), KeyRole::Admin).await
    }

    /// A file that a customer of app A sent, with the link that the customer has.
    pub async fn file(&self, customer: &Customer, name: &str, bytes: &[u8]) -> (File, String) {
        let (engine, app) = (&self.engine, AppId::from(A));
        let declared = Declared { name: Some(name.to_owned()), size: Some(bytes.len() as u64) };
        let upload = engine.begin(&app, customer, declared).await.unwrap();
        let bytes = bytes.to_vec();
        let stream = Box::pin(futures_util::stream::once(async move { Ok(bytes.into()) }));
        let file = engine.append(&app, customer, &upload, 0, stream).await.unwrap().file.unwrap();
        let text = Text { files: vec![file.clone()], ..Text::plain("a file") };
        let said = Said { external_id: None, what: What::Text(text) };
        engine.hear(&app, customer, said).await.unwrap();
        let link = engine.link(&app, &file.id).path().to_owned();
        (file, link)
    }

    /// A customer of app A.
    pub async fn customer(&self, address: &str) -> Customer {
        self.customer_of(A, "web", address).await
    }

    pub async fn customer_of(&self, app: &str, channel: &str, address: &str) -> Customer {
        self.engine.customer(&app.into(), &channel.into(), address).await.unwrap()
    }

    pub async fn say(&self, customer: &Customer, text: &str) {
        self.say_in(A, customer, text).await;
    }

    pub async fn say_in(&self, app: &str, customer: &Customer, text: &str) {
        let said = Said { external_id: None, what: What::Text(Text::plain(text)) };
        self.engine.hear(&app.into(), customer, said).await.unwrap();
    }

    /// The id of the customer's newest conversation.
    pub async fn conversation(&self, client: &Client, customer: &Customer) -> String {
        let path = format!("/v1/apps/{A}/conversations?customer={}", customer.id);
        let found = client.get(&path).await.is(200);
        found["items"][0]["id"].as_str().unwrap().to_owned()
    }

    /// A customer who talks to an agent on the BotKit: the customer, and the conversation's id.
    pub async fn talking(&self, client: &Client, address: &str) -> (Customer, String) {
        let customer = self.customer(address).await;
        self.say(&customer, "human").await;
        let conversation = self.conversation(client, &customer).await;
        let path = format!("/v1/apps/{A}/conversations/{conversation}");
        until(client, &path, |state| state["transfer"]["stage"] == "talking").await;
        (customer, conversation)
    }

    /// A customer whose transfer goes to nobody: the conversation's id, and the number of the participant that fails.
    pub async fn failing(&self, client: &Client, address: &str) -> (Customer, String, u64) {
        let customer = self.customer(address).await;
        self.say(&customer, "nowhere").await;
        let conversation = self.conversation(client, &customer).await;
        let path = format!("/v1/apps/{A}/conversations/{conversation}");
        let failing = |state: &Value| state["participants"][0]["failing_since"].is_string();
        let state = until(client, &path, failing).await;
        (customer, conversation, state["participants"][0]["no"].as_u64().unwrap())
    }
}

/// A node over the store and the files in a directory.
async fn settings(dir: &Path, here: &str) -> Settings {
    let keys = KeyRing::parse(&format!("k1:{}=", "A".repeat(43))).unwrap();
    let url = format!("sqlite://{}", dir.join("it.db").display());
    let store = Store::open(interline_store::Settings { url, lanes: 1, keys }).await.unwrap();
    let http = Http::new(Guard::default()).unwrap();
    let apps = Apps::load(store.clone(), http.clone(), here.parse().unwrap(), false).await.unwrap();
    Settings {
        store,
        apps,
        public_url: here.parse().unwrap(),
        node: "one".into(),
        hints: Arc::new(InProcess::default()),
        files: Storage {
            parts: Parts::open(dir.join("uploads")).unwrap(),
            blobs: Blobs::directory(dir.join("files")).unwrap(),
            scanner: None,
            http,
        },
        scripts: Arc::new(interline_engine::NoScripts),
    }
}

async fn serve(router: Router) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    url
}

/// Reads until it is so. A test that waits in vain fails after half a minute.
pub async fn until(client: &Client, path: &str, so: impl Fn(&Value) -> bool) -> Value {
    let began = Instant::now();
    loop {
        let answer: Answer = client.get(path).await;
        if answer.status == 429 {
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        }
        let body = answer.is(200);
        if so(&body) {
            return body;
        }
        assert!(began.elapsed() < Duration::from_secs(30), "waited in vain at {path}: {body:#}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

pub fn document_a(botkit: &str, nowhere: &str) -> Value {
    json!({
        "app": { "id": A, "name": "Anna's shop" },
        "credentials": {
            "main": { "client_id": "cs-a", "client_secret": SECRET, "scopes": ["web", "botkit"] },
        },
        "channels": { "web": { "type": "web", "credentials": ["main"] } },
        "agents": {
            "desk": { "type": "botkit", "url": botkit, "credential": "main" },
            "nowhere": { "type": "botkit", "url": nowhere, "credential": "main", "opening_ms": 600_000 },
        },
        "default_agent": "desk",
        "flow": flow(),
        "flows": { "support": { "start": "a", "nodes": { "a": { "message": { "text": "Support" } } } } },
    })
}

fn document_b() -> Value {
    json!({
        "app": { "id": B, "name": "Bert's shop" },
        "credentials": { "keys-b": { "client_id": "cs-b", "client_secret": SECRET, "scopes": ["web"] } },
        "channels": { "web-b": { "type": "web", "credentials": ["keys-b"] } },
        "flow": {
            "start": "echo", "otherwise": "echo", "nodes": { "echo": { "message": { "text": "echo {{text}}" } } },
        },
    })
}

fn flow() -> Value {
    json!({
        "start": "hello",
        "words": [
            { "any": ["human"], "go_to": "human" },
            { "any": ["nowhere"], "go_to": "nowhere" },
            { "any": ["bye"], "go_to": "end" },
        ],
        "otherwise": "echo",
        "returned": "back",
        "nodes": {
            "hello": { "message": { "text": "Hello" } },
            "echo": { "message": { "text": "echo {{text}}" } },
            "human": { "agent_transfer": { "message": "One moment" } },
            "nowhere": { "agent_transfer": { "target": { "integration": "nowhere" } } },
            "back": { "message": { "text": "I am the bot again" } },
            "end": { "end": {} },
        },
    })
}
