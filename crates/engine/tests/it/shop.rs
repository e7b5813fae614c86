//! An installation as people run it: an app made of a document, BotKits on loopback, and their calls over HTTP.

use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::extract::{Path, RawQuery, State};
use axum::response::{IntoResponse, Response};
use interline_agents::botkit::simulator::{Settings, Simulator};
use interline_connector::channel::HeardAs;
use interline_connector::simulator::By;
use interline_connector::{Algorithm, Answer, Credential, Guard, Unverified};
use interline_core::AppId;
use interline_core::conversation::state::Customer;
use interline_engine::Engine;
use interline_engine::config::{
    Changed, Deleted, Document, Draft, LiveTransfers, Origin, Refused, Replacement,
};
use serde_json::{Value, json};
use url::Url;

use crate::world::{Node, World, until};

pub const CLIENT: &str = "cs-5a2b0c1d-1111-5222-8333-944444444444";
pub const SECRET: &str = "1AbC0dEfGhIjKlMnOpQrStUvWxYz+/0123456789abc=";

/// Who answers vendors' calls at the moment.
type Door = Arc<Mutex<Option<(Engine, tokio::runtime::Handle)>>>;

pub struct Shop {
    pub world: World,
    pub desk: Simulator,
    pub spare: Simulator,
    /// As an operator writes it.
    pub document: Value,
    door: Door,
}

impl Shop {
    /// Two BotKits, `desk` (the default) and `spare`, and a web channel. Nothing is applied yet.
    pub async fn open(mut world: World) -> Self {
        let app = format!(
            "st-{}",
            uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_URL, world.app.id.as_str().as_bytes())
        );
        world.app.id = app.as_str().into();
        let door = Door::default();
        let public = serve(
            Router::new()
                .route("/api/botsdk/stream/{app}/{*call}", axum::routing::any(called))
                .with_state(door.clone()),
        )
        .await;
        world.site = Some((Guard::default(), public));
        let botkit = || {
            Simulator::new(Settings {
                app_id: app.clone(),
                client_id: CLIENT.into(),
                client_secret: SECRET.into(),
                algorithm: Algorithm::HS256,
                prefix: String::new(),
            })
        };
        let (desk, spare) = (botkit(), botkit());
        let (at_desk, at_spare) = (serve(desk.router()).await, serve(spare.router()).await);
        // A busy machine is not an agent system that does not answer.
        let patient = 600_000;
        let document = json!({
            "app": { "id": app, "name": "Shop" },
            "credentials": { "main": { "client_id": CLIENT, "client_secret": SECRET, "scopes": ["web", "botkit"] } },
            "channels": { "web": { "type": "web", "credentials": ["main"] } },
            "agents": {
                "desk": { "type": "botkit", "url": at_desk, "opening_ms": patient },
                "spare": { "type": "botkit", "url": at_spare, "opening_ms": patient },
            },
            "default_agent": "desk",
            "deadlines": { "idle_ms": 36_000_000 },
            "flow": {
                "start": "hello",
                "words": [{ "any": ["human"], "go_to": "human" }, { "any": ["bye"], "go_to": "end" }],
                "otherwise": "echo",
                "nodes": {
                    "hello": { "message": { "text": "Hello" } },
                    "echo": { "message": { "text": "echo {{text}}" } },
                    "human": { "agent_transfer": { "message": "One moment" } },
                    "end": { "end": {} },
                },
            },
        });
        Self { world, desk, spare, document, door }
    }

    /// [`Shop::open`], started and the document applied.
    pub async fn running(world: World) -> (Self, Node) {
        let shop = Self::open(world).await;
        let node = shop.start().await;
        shop.apply(&node).await.unwrap();
        (shop, node)
    }

    /// Starts an engine on the store as it is.
    pub async fn start(&self) -> Node {
        let node = self.world.start().await;
        *self.door.lock().unwrap() = Some((node.engine.clone(), node.handle()));
        node
    }

    /// As `kill -9` would.
    pub async fn kill(&self, node: Node) {
        *self.door.lock().unwrap() = None;
        node.kill().await;
    }

    /// The allowances of this process are forgotten, as by a new one.
    pub fn forget_allowances(&mut self) {
        if let Some((guard, _)) = &mut self.world.site {
            *guard = Guard::default();
        }
    }

    pub async fn apply(&self, node: &Node) -> Result<Changed, Refused> {
        let document = self.document.clone();
        edit(node, Origin::Operator, None, false, move |value| *value = document).await
    }

    /// A call of a BotKit, made by hand.
    pub async fn call(&self, node: &Node, call: &str, id: &str) -> Answer {
        let credential = Credential {
            client_id: CLIENT.into(),
            client_secret: SECRET.to_owned().into(),
            algorithm: Algorithm::HS256,
        };
        let exp = now_ms() / 1000 + 60;
        let token = credential.sign(&json!({ "appId": CLIENT, "exp": exp })).unwrap();
        let mut headers = http::HeaderMap::new();
        headers.insert("auth", token.parse().unwrap());
        let request = Unverified {
            method: http::Method::POST,
            path: format!("{call}/{id}"),
            query: String::new(),
            headers,
            body: bytes::Bytes::from_static(b"{}"),
            now_ms: now_ms(),
            secret_part: false,
        };
        let (engine, app) = (node.engine.clone(), node.app.clone());
        node.on(async move { engine.receive(&app, "botkit", &request).await }).await
    }
}

fn now_ms() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap()
}

async fn serve(router: Router) -> Url {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    format!("http://{address}/").parse().unwrap()
}

async fn called(
    State(door): State<Door>,
    Path((app, call)): Path<(String, String)>,
    RawQuery(query): RawQuery,
    method: http::Method,
    headers: http::HeaderMap,
    body: bytes::Bytes,
) -> Response {
    let Some((engine, runtime)) = door.lock().unwrap().clone() else {
        return http::StatusCode::SERVICE_UNAVAILABLE.into_response();
    };
    let query = query.unwrap_or_default();
    let request =
        Unverified { method, path: call, query, headers, body, now_ms: now_ms(), secret_part: false };
    let answered =
        runtime.spawn(async move { engine.receive(&AppId::from(app.as_str()), "botkit", &request).await });
    let Ok(answer) = answered.await else { return http::StatusCode::BAD_GATEWAY.into_response() };
    let status = http::StatusCode::from_u16(answer.status).unwrap();
    (status, axum::Json(answer.body.unwrap_or_default())).into_response()
}

// ── changing ─────────────────────────────────────────────────────────────────────────────────────────────────────────

/// Edits the app's document as JSON.
pub async fn edit(
    node: &Node,
    origin: Origin,
    expected: Option<i64>,
    end: bool,
    change: impl FnOnce(&mut Value) + Send + 'static,
) -> Result<Changed, Refused> {
    let (apps, app) = (node.engine.apps().clone(), node.app.clone());
    node.on(async move { apps.edit(&app, origin, expected, end, changed(change)).await }).await
}

/// [`edit`] as the API does it.
pub async fn edit_by_api(
    node: &Node,
    change: impl FnOnce(&mut Value) + Send + 'static,
) -> Result<Changed, Refused> {
    edit(node, Origin::Api, None, false, change).await
}

/// A change of the JSON as a change of the draft.
pub fn changed(change: impl FnOnce(&mut Value)) -> impl FnOnce(Option<Draft>) -> Result<Draft, Refused> {
    |draft| {
        let (mut value, retired) = match draft {
            Some(draft) => (draft.document.to_json(), draft.retired),
            None => Default::default(),
        };
        change(&mut value);
        let document = Document::from_json(value).map_err(|fault| Refused::Invalid(vec![fault]))?;
        Ok(Draft { document, retired })
    }
}

pub async fn delete(
    node: &Node,
    name: &str,
    replacement: Option<Replacement>,
    live: Option<LiveTransfers>,
) -> Result<Deleted, Refused> {
    let (apps, app, name) = (node.engine.apps().clone(), node.app.clone(), name.to_owned());
    node.on(
        async move { apps.delete_integration(&app, &name.as_str().into(), replacement, live, None).await },
    )
    .await
}

pub fn with(name: &str) -> Option<Replacement> {
    Some(Replacement::With(name.into()))
}

/// The document in force.
pub fn in_force(node: &Node) -> Value {
    node.engine.apps().draft(&node.app).unwrap().document.to_json()
}

/// The deleted agent systems that are still there.
pub fn retired(node: &Node) -> Vec<String> {
    let draft = node.engine.apps().draft(&node.app).unwrap();
    draft.retired.keys().map(ToString::to_string).collect()
}

pub async fn until_forgotten(node: &Node) {
    until("what was deleted is forgotten", async || retired(node).is_empty().then_some(())).await;
}

pub fn paths(refused: &Refused) -> Vec<String> {
    match refused {
        Refused::Invalid(faults) => faults.iter().map(|fault| fault.path.clone()).collect(),
        other => panic!("not a matter of paths: {other:?}"),
    }
}

pub fn in_use(refused: &Refused) -> &'static str {
    match refused {
        Refused::InUse { code, .. } => code,
        other => panic!("not in use: {other:?}"),
    }
}

// ── talking ──────────────────────────────────────────────────────────────────────────────────────────────────────────

/// A customer who talks to an agent at `desk`; gives the chat's id there.
pub async fn talking(node: &Node, desk: &Simulator, address: &str) -> (Customer, String) {
    let customer = node.customer(address).await;
    let chat = asks_for_a_human(node, desk, &customer).await;
    (customer, chat)
}

pub async fn asks_for_a_human(node: &Node, desk: &Simulator, customer: &Customer) -> String {
    let before: Vec<String> = chats_of(desk, customer);
    assert_eq!(node.say(customer, "a human please").await, HeardAs::New);
    let chat = until("a chat at the desk", async || {
        chats_of(desk, customer).into_iter().find(|chat| !before.contains(chat))
    })
    .await;
    until("they talk", async || {
        let state = node.state(customer).await;
        state.transfer.filter(|live| live.stage == interline_core::transfer::Stage::Talking).map(|_| ())
    })
    .await;
    chat
}

pub fn chats_of(desk: &Simulator, customer: &Customer) -> Vec<String> {
    let visitor = customer.id.user_id();
    desk.desk().chats().into_iter().filter(|chat| chat.visitor == visitor).map(|chat| chat.id).collect()
}

/// What the customer said at the desk since the chat began.
pub fn told(desk: &Simulator, chat: &str) -> Vec<String> {
    let lines = desk.desk().chat(chat).map(|chat| chat.lines).unwrap_or_default();
    lines.into_iter().filter(|line| !line.before && line.by == By::Customer).map(|line| line.text).collect()
}

pub async fn until_told(desk: &Simulator, chat: &str, words: &str) {
    until(&format!("the desk is told {words:?}"), async || {
        told(desk, chat).iter().any(|told| told == words).then_some(())
    })
    .await;
}

/// Both ways.
pub async fn they_understand_each_other(
    node: &Node,
    desk: &Simulator,
    customer: &Customer,
    chat: &str,
    words: &str,
) {
    node.say(customer, words).await;
    until_told(desk, chat, words).await;
    desk.say(chat, &format!("re: {words}")).await.unwrap();
    node.until_seen(customer, &format!("agent: re: {words}")).await;
}
