//! A customer's BotKit server, and the agents behind it. It checks what a real one checks and what its bot files read,
//! releases held lines, and is fast enough for load.
//!
//! As in a real BotKit, an event is answered only after the callbacks that it caused were answered, and one data object
//! is used for the whole human part. Files that its agents send lie with it, where the server fetches them.

use std::collections::{BTreeMap, HashSet};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::http::{Answer, Http};
use crate::shelf::{Brought, Lies, Shelf, Shelved};
use crate::{App, now_ms};

/// What BotKit's framework takes.
const MAX_BODY: usize = 102_400;

/// How events of a kind are answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answers {
    /// As they should be.
    Properly,
    /// Not at all.
    Never,
    /// With this status.
    Status(u16),
    /// With 200 and something that is not JSON.
    Garbage,
}

/// How it behaves. It may change at any time.
#[derive(Debug, Clone, Copy)]
pub struct Manners {
    /// To `on_agent_transfer`.
    pub transfers: Answers,
    /// To `on_user_message` and `on_bot_message`.
    pub messages: Answers,
    /// Held lines are released.
    pub releases: bool,
}

impl Default for Manners {
    fn default() -> Self {
        Self { transfers: Answers::Properly, messages: Answers::Properly, releases: true }
    }
}

/// An event that arrived.
#[derive(Debug, Clone)]
pub struct Sighting {
    /// When.
    pub at: Instant,
    /// Its name.
    pub event: String,
    /// Its id.
    pub request_id: String,
    /// In agent mode.
    pub agent_mode: bool,
    /// The user.
    pub from: String,
    /// The words.
    pub text: String,
    /// The files that came with them.
    pub files: Vec<Brought>,
}

/// Called with every event that is fine, before it is answered.
pub type Hook = Arc<dyn Fn(Sighting) + Send + Sync>;

/// A human part as the bot file remembers it.
#[derive(Debug, Clone)]
pub struct Session {
    /// The user, as the events name them.
    pub from: String,
    /// What the user said last before it: names the test's customer.
    pub last_words: String,
    /// The data object.
    pub payload: Map<String, Value>,
}

/// How callbacks went.
#[derive(Debug, Default)]
pub struct Callbacks {
    /// Answered 2xx.
    pub good: AtomicU64,
    /// Answered otherwise.
    pub refused: AtomicU64,
    /// Not answered.
    pub unanswered: AtomicU64,
}

/// A running BotKit.
pub struct BotKit {
    /// Its callback URL.
    pub url: String,
    shared: Arc<Shared>,
    server: JoinHandle<()>,
}

struct Shared {
    app: App,
    hook: Hook,
    manners: Mutex<Manners>,
    known_tokens: Mutex<HashSet<String>>,
    sessions: Mutex<Vec<Session>>,
    arrived: watch::Sender<usize>,
    last_words: Mutex<BTreeMap<String, String>>,
    faults: Mutex<Vec<String>>,
    callbacks: Callbacks,
    idle: Mutex<Vec<Http>>,
    shelf: Shelf,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl BotKit {
    /// Starts one on a free port.
    ///
    /// # Errors
    /// When there is none.
    pub async fn start(app: &App, hook: Hook) -> Result<Self> {
        let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let url = format!("http://{}", listener.local_addr()?);
        let shared = Arc::new(Shared {
            app: app.clone(),
            hook,
            manners: Mutex::default(),
            known_tokens: Mutex::default(),
            sessions: Mutex::default(),
            arrived: watch::Sender::new(0),
            last_words: Mutex::default(),
            faults: Mutex::default(),
            callbacks: Callbacks::default(),
            idle: Mutex::default(),
            shelf: Shelf::default(),
        });
        let routes = Router::new()
            .route("/sdk/bots/{bot}/{event}", post(event))
            .layer(DefaultBodyLimit::max(MAX_BODY))
            .with_state(shared.clone())
            .merge(shared.shelf.routes());
        let server = tokio::spawn(async move {
            let _ = axum::serve(listener, routes).await;
        });
        Ok(Self { url, shared, server })
    }

    /// One that keeps what arrives.
    ///
    /// # Errors
    /// As [`BotKit::start`].
    pub async fn keeping(app: &App) -> Result<(Self, Arc<Mutex<Vec<Sighting>>>)> {
        let seen: Arc<Mutex<Vec<Sighting>>> = Arc::default();
        let kept = seen.clone();
        let botkit = Self::start(app, Arc::new(move |sighting| lock(&kept).push(sighting))).await?;
        Ok((botkit, seen))
    }

    /// Changes how it behaves.
    pub fn behave(&self, manners: Manners) {
        *lock(&self.shared.manners) = manners;
    }

    /// Where the server did not keep to the protocol.
    pub fn faults(&self) -> Vec<String> {
        lock(&self.shared.faults).clone()
    }

    /// How callbacks went.
    pub fn callbacks(&self) -> &Callbacks {
        &self.shared.callbacks
    }

    /// The human parts so far.
    pub fn sessions(&self) -> Vec<Session> {
        lock(&self.shared.sessions).clone()
    }

    /// Waits until there were so many human parts.
    ///
    /// # Errors
    /// When they do not come.
    pub async fn wait_for_sessions(&self, count: usize, patience: Duration) -> Result<()> {
        let mut arrived = self.shared.arrived.subscribe();
        let wait = tokio::time::timeout(patience, arrived.wait_for(|arrived| *arrived >= count)).await;
        let there = lock(&self.shared.sessions).len();
        wait.with_context(|| format!("{there} of {count} transfers arrived within {patience:?}"))??;
        Ok(())
    }

    /// Puts a file where the server finds it.
    pub fn shelve(&self, name: &str, bytes: impl Into<Bytes>, lies: Lies) -> Shelved {
        self.shared.shelf.put(&self.url, name, bytes.into(), lies)
    }

    /// The agent's voice in a human part.
    ///
    /// # Errors
    /// When the data object lacks what the SDK needs.
    pub fn voice(&self, session: &Session) -> Result<Voice> {
        Voice::new(self.shared.clone(), session)
    }
}

impl Drop for BotKit {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// What bot files and the SDK read of an event.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Event {
    request_id: String,
    bot_id: String,
    message: Option<String>,
    #[serde(rename = "agent_transfer", default)]
    agent_transfer: bool,
    channel: Channel,
    context: Dialog,
    base_url: String,
    send_user_message_url: String,
    send_bot_message_url: String,
    skip_user_message_url: String,
    skip_bot_message_url: String,
}

#[derive(Deserialize)]
struct Channel {
    from: String,
    #[serde(rename = "type")]
    kind: String,
    #[serde(rename = "channelInfos")]
    infos: Infos,
}

#[derive(Deserialize)]
struct Infos {
    from: String,
    #[serde(default)]
    attachments: Vec<Brought>,
}

#[derive(Deserialize)]
struct Dialog {
    session: ContextSession,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ContextSession {
    user_context: UserContext,
    #[serde(rename = "BotUserSession")]
    _bot_user_session: Map<String, Value>,
    #[serde(rename = "UserSession")]
    _user_session: Map<String, Value>,
}

#[derive(Deserialize)]
struct UserContext {
    #[serde(rename = "_id")]
    id: String,
}

#[derive(Deserialize, Clone)]
#[serde(rename_all = "camelCase")]
struct Claims {
    app_id: String,
    exp: Option<f64>,
}

async fn event(
    State(shared): State<Arc<Shared>>,
    Path((bot, name)): Path<(String, String)>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    if let Err(error) = shared.check_token(&headers) {
        shared.fault(format!("{name}: token: {error}"));
        return refuse(401, "Invalid apikey");
    }
    let event: Event = match serde_json::from_slice(&body) {
        Ok(event) => event,
        Err(error) => {
            shared.fault(format!("{name}: body: {error}: {}", String::from_utf8_lossy(&body)));
            return refuse(500, "the bot file threw");
        }
    };
    if let Err(error) = shared.check(&bot, &event) {
        shared.fault(format!("{name} {}: {error}", event.request_id));
        return refuse(500, "the bot file threw");
    }
    let manners = *lock(&shared.manners);
    let message = matches!(name.as_str(), "on_user_message" | "on_bot_message");
    let from = event.channel.from.clone();
    (shared.hook)(Sighting {
        at: Instant::now(),
        event: name.clone(),
        request_id: event.request_id.clone(),
        agent_mode: event.agent_transfer,
        from: from.clone(),
        text: event.message.clone().unwrap_or_default(),
        files: event.channel.infos.attachments.clone(),
    });
    match if message { manners.messages } else { manners.transfers } {
        Answers::Properly => {}
        Answers::Never => std::future::pending().await,
        Answers::Status(status) => return refuse(status, "as the test wants"),
        Answers::Garbage => return (StatusCode::OK, "<html>\0\u{fffd} not what you think").into_response(),
    }
    match name.as_str() {
        "on_agent_transfer" => shared.transferred(&from, &body),
        "on_user_message" if !event.agent_transfer => {
            lock(&shared.last_words).insert(from, event.message.unwrap_or_default());
            if manners.releases && !shared.release(&event.send_bot_message_url, &body).await {
                return refuse(500, "the callback failed");
            }
        }
        "on_bot_message" if manners.releases => {
            if !shared.release(&event.send_user_message_url, &body).await {
                return refuse(500, "the callback failed");
            }
        }
        "on_user_message" | "on_bot_message" | "on_event" => {}
        other => {
            shared.fault(format!("{other}: nobody subscribed to this"));
            return refuse(404, "Event not found");
        }
    }
    let mut response =
        (StatusCode::OK, axum::Json(json!({ "__payloadClass": "OnMessagePayload" }))).into_response();
    response.headers_mut().insert("supportsmessageack", axum::http::HeaderValue::from_static("true"));
    response
}

fn refuse(status: u16, why: &str) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, axum::Json(json!({ "errors": [{ "msg": why, "code": status.as_u16() }] }))).into_response()
}

impl Shared {
    fn fault(&self, fault: String) {
        let mut faults = lock(&self.faults);
        if faults.len() < 100 {
            faults.push(fault);
        }
    }

    fn check_token(&self, headers: &HeaderMap) -> Result<()> {
        let token = headers.get("token").context("the header `token` is missing")?.to_str()?;
        if lock(&self.known_tokens).contains(token) {
            return Ok(());
        }
        let mut validation = Validation::new(Algorithm::HS256);
        validation.validate_exp = false;
        validation.required_spec_claims.clear();
        let key = DecodingKey::from_secret(self.app.secret.as_bytes());
        let claims = jsonwebtoken::decode::<Claims>(token, &key, &validation)?.claims;
        anyhow::ensure!(claims.app_id == self.app.client_id, "another client");
        let now = now_ms() as f64 / 1000.0;
        anyhow::ensure!(claims.exp.is_none_or(|exp| exp > now), "expired");
        lock(&self.known_tokens).insert(token.to_owned());
        Ok(())
    }

    fn check(&self, bot: &str, event: &Event) -> Result<()> {
        anyhow::ensure!(bot == self.app.bot && event.bot_id == self.app.bot, "another bot");
        let id = &event.request_id;
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        anyhow::ensure!(!id.is_empty() && id.chars().all(plain), "an id that does not fit into a URL");
        for (url, call) in [
            (&event.send_user_message_url, "sendUserMessage"),
            (&event.send_bot_message_url, "sendBotMessage"),
            (&event.skip_user_message_url, "skipUserMessage"),
            (&event.skip_bot_message_url, "skipBotMessage"),
        ] {
            anyhow::ensure!(!url.is_empty(), "{call}: no URL");
            anyhow::ensure!(url.split('/').nth(6) == Some(bot), "{call}: segment 6 of {url} is not the bot");
        }
        anyhow::ensure!(event.base_url.split('/').nth(6) == Some(bot), "baseUrl: segment 6 is not the bot");
        let channel = &event.channel;
        anyhow::ensure!(channel.from == channel.infos.from, "channel: two users");
        anyhow::ensure!(
            channel.kind == "rtm" && !event.context.session.user_context.id.is_empty(),
            "channel or context"
        );
        Ok(())
    }

    fn transferred(&self, from: &str, body: &[u8]) {
        let payload = serde_json::from_slice(body).unwrap_or_default();
        let last_words = lock(&self.last_words).get(from).cloned().unwrap_or_default();
        lock(&self.sessions).push(Session { from: from.to_owned(), last_words, payload });
        self.arrived.send_modify(|arrived| *arrived += 1);
    }

    /// Lets a held line go on unchanged. Whether the platform took it.
    async fn release(&self, url: &str, body: &[u8]) -> bool {
        let Ok((to, path)) = split(url) else { return false };
        let http = lock(&self.idle).pop();
        let mut http = http.unwrap_or_else(|| Http::new(to));
        let good = self.call(&mut http, &path, body).await.is_good();
        lock(&self.idle).push(http);
        good
    }

    async fn call(&self, http: &mut Http, path: &str, body: &[u8]) -> Said {
        self.send(http, path, body).await.map_or(Said::Unanswered, |answer| Said::of(&answer))
    }

    async fn send(&self, http: &mut Http, path: &str, body: &[u8]) -> std::io::Result<Answer> {
        // As BotKit signs: no more than these two claims, and a fraction of a second.
        let exp = now_ms() as f64 / 1000.0 + 60.0;
        let token = self.app.sign(&json!({ "appId": self.app.client_id, "exp": exp }));
        let answer = http.call("POST", path, &[("auth", &token)], body).await;
        let said = answer.as_ref().map_or(Said::Unanswered, Said::of);
        let counter = match said {
            Said::Good => &self.callbacks.good,
            Said::Refused(_) => &self.callbacks.refused,
            Said::Unanswered => &self.callbacks.unanswered,
        };
        counter.fetch_add(1, Ordering::Relaxed);
        answer
    }
}

/// What became of a callback.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Said {
    /// 2xx.
    Good,
    /// Another status.
    Refused(u16),
    /// No answer.
    Unanswered,
}

impl Said {
    fn of(answer: &Answer) -> Self {
        if answer.ok() { Self::Good } else { Self::Refused(answer.status) }
    }

    /// 2xx.
    pub fn is_good(self) -> bool {
        self == Self::Good
    }
}

/// Speaks as the agent of one human part, with the data object of its `on_agent_transfer`.
pub struct Voice {
    shared: Arc<Shared>,
    http: Http,
    base: String,
    path: String,
    id: String,
    /// The data object without `message`.
    payload: Map<String, Value>,
    /// The same as it goes over the wire, without its first brace.
    rest: String,
}

impl Voice {
    fn new(shared: Arc<Shared>, session: &Session) -> Result<Self> {
        let text = |name: &str| {
            let value = session.payload.get(name).and_then(Value::as_str);
            value.with_context(|| format!("the data object has no {name}"))
        };
        let (to, path) = split(text("sendUserMessageUrl")?)?;
        let (_, base) = split(text("baseUrl")?)?;
        let id = text("requestId")?.to_owned();
        let mut payload = session.payload.clone();
        payload.remove("message");
        payload.insert("__payloadClass".into(), "OnAgentTransferPayload".into());
        let rest = Value::from(payload.clone()).to_string()[1..].to_owned();
        Ok(Self { shared, http: Http::new(to), base, path, id, payload, rest })
    }

    /// `sendUserMessage`.
    pub async fn say(&mut self, text: &str) -> Said {
        let path = self.path.clone();
        self.post(&path, text).await
    }

    /// `sendUserMessage` with files, in the place that the SDK keeps.
    pub async fn say_with(&mut self, text: &str, files: &[Shelved]) -> Said {
        self.send_with(text, files).await.map_or(Said::Unanswered, |answer| Said::of(&answer))
    }

    /// [`Voice::say_with`], and what the platform says to it.
    ///
    /// # Errors
    /// No answer.
    pub async fn send_with(&mut self, text: &str, files: &[Shelved]) -> Result<Answer> {
        let list = files.iter().map(|file| json!({ "fileName": file.name, "fileUrl": file.url }));
        let mut payload = Value::from(self.payload.clone());
        payload["message"] = text.into();
        payload["channel"]["channelInfos"]["attachments"] = list.collect::<Vec<_>>().into();
        let (path, body) = (self.path.clone(), payload.to_string());
        Ok(self.shared.send(&mut self.http, &path, body.as_bytes()).await?)
    }

    /// `clearAgentSession`.
    pub async fn clear(&mut self) -> Said {
        let path = format!("{}/clearAgentSession/{}", self.base, self.id);
        self.post(&path, "").await
    }

    async fn post(&mut self, path: &str, text: &str) -> Said {
        let body = format!(r#"{{"message":{},{}"#, Value::from(text), self.rest);
        self.shared.call(&mut self.http, path, body.as_bytes()).await
    }
}

fn split(url: &str) -> Result<(SocketAddr, String)> {
    let Some(rest) = url.strip_prefix("http://") else { bail!("{url} is not http") };
    let (host, path) = rest.split_once('/').context("a URL without a path")?;
    Ok((
        host.parse().with_context(|| format!("{host} is not an address on this machine"))?,
        format!("/{path}"),
    ))
}
