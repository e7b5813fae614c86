//! What every instance has: users who log in, OAuth, the user table, and calls that go out.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ::http::header::{AUTHORIZATION, CONTENT_TYPE};
use ::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Form, Json, Router};
use interline_connector::simulator::{Desk, Fault};
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};
use url::Url;

use super::super::account::basic;

/// The integration user, and how it logs in.
pub const USER: &str = "interline.user";
pub const PASSWORD: &str = "basic-password-1";
pub const CLIENT_ID: &str = "0cc0d1a5e1f24f5fa9f1b2a3c4d5e6f7";
pub const CLIENT_SECRET: &str = "oauth-client-secret-1";
pub const REFRESH_TOKEN: &str = "oauth-refresh-token-1";
/// What the instance sends with each call.
pub const CALLER: (&str, &str) = ("x-interline-key", "caller-secret-0123456789");

/// An access token lasts so long, seconds.
const TOKEN_SECONDS: i64 = 1_799;
/// Whoever is called must answer within this time; it is not tried again.
const CALL: Duration = Duration::from_millis(5_000);

/// One instance. Clones are the same one.
#[derive(Clone)]
pub struct Instance(Arc<Inner>);

struct Inner {
    desk: Desk,
    /// Access tokens, and until when they last.
    tokens: Mutex<HashMap<String, i64>>,
    webhook: Mutex<Option<Url>>,
    /// What goes out, in order for each lane.
    lanes: Mutex<HashMap<String, mpsc::UnboundedSender<Call>>>,
    made: AtomicU64,
    complaints: Mutex<Vec<String>>,
}

/// A call that goes out.
struct Call {
    name: &'static str,
    body: Bytes,
    answer: Option<oneshot::Sender<Result<(), String>>>,
}

impl Instance {
    pub fn new(desk: Desk) -> Self {
        Self(Arc::new(Inner {
            desk,
            tokens: Mutex::default(),
            webhook: Mutex::default(),
            lanes: Mutex::default(),
            made: AtomicU64::new(1),
            complaints: Mutex::default(),
        }))
    }

    pub fn desk(&self) -> &Desk {
        &self.0.desk
    }

    /// An id as the platform makes them.
    pub fn sys_id(&self) -> String {
        format!("5f2c{:028x}", self.0.made.fetch_add(1, Ordering::Relaxed))
    }

    pub fn calls(&self, webhook: Url) {
        *locked(&self.0.webhook) = Some(webhook);
    }

    pub fn webhook(&self) -> Option<Url> {
        locked(&self.0.webhook).clone()
    }

    /// What was wrong with a request and would go unnoticed at the vendor.
    pub fn complain(&self, what: impl Into<String>) {
        locked(&self.0.complaints).push(what.into());
    }

    pub fn complaints(&self) -> Vec<String> {
        locked(&self.0.complaints).clone()
    }

    // ── who calls ────────────────────────────────────────────────────────────────────────────────────────────────

    /// Whether it is the integration user. Else the answer.
    pub fn admit(&self, headers: &HeaderMap) -> Result<(), Box<Response>> {
        if self.desk().faults().special("mfa") {
            let mut answer = not_authenticated();
            answer.headers_mut().insert("x-mfa_token", HeaderValue::from_static("required"));
            return Err(Box::new(answer));
        }
        let given = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let now = self.desk().clock().now_ms();
        let lasts = |token: &str| locked(&self.0.tokens).get(token).is_some_and(|until| *until > now);
        let known = match given.split_once(' ') {
            Some(("Bearer", token)) => lasts(token),
            Some(("Basic", _)) => given == basic(USER, PASSWORD),
            _ => false,
        };
        if known { Ok(()) } else { Err(Box::new(not_authenticated())) }
    }

    pub fn router(&self) -> Router {
        Router::new()
            .route("/oauth_token.do", post(oauth))
            .route("/api/now/table/sys_user", get(users))
            .route("/api/now/table/sys_user/{id}", get(user))
            .with_state(self.clone())
    }

    // ── calls that go out ────────────────────────────────────────────────────────────────────────────────────────

    /// Tells, behind all that this lane told before.
    pub fn tell(&self, name: &'static str, lane: &str, body: &Value) {
        self.send(lane, Call { name, body: bytes(body), answer: None });
    }

    /// Tells, and waits for the answer.
    pub async fn tell_and_wait(&self, name: &'static str, lane: &str, body: Bytes) -> Result<(), String> {
        let (answer, answered) = oneshot::channel();
        self.send(lane, Call { name, body, answer: Some(answer) });
        answered.await.unwrap_or_else(|_| Err("the stand-in stopped".into()))
    }

    pub fn tell_bytes(&self, name: &'static str, lane: &str, body: Bytes) {
        self.send(lane, Call { name, body, answer: None });
    }

    /// Whether what is told next under this name is somebody else's, who only plays this instance.
    pub fn is_forged(&self, name: &str) -> bool {
        let rules = self.desk().faults().all();
        rules.iter().any(|rule| {
            let meant = rule.on.as_deref().is_none_or(|on| name.contains(on));
            meant && matches!(rule.fault, Fault::Forged | Fault::Unsigned)
        })
    }

    fn send(&self, lane: &str, call: Call) {
        let mut lanes = locked(&self.0.lanes);
        let sender = lanes.entry(lane.to_owned()).or_insert_with(|| {
            let (sender, mut calls) = mpsc::unbounded_channel::<Call>();
            let inner = Arc::downgrade(&self.0);
            tokio::spawn(async move {
                while let Some(call) = calls.recv().await {
                    let Some(inner) = inner.upgrade() else { return };
                    let result = Self(inner).make(call.name, call.body).await;
                    if let Some(answer) = call.answer {
                        let _ = answer.send(result);
                    }
                }
            });
            sender
        });
        let _ = sender.send(call);
    }

    async fn make(&self, name: &'static str, body: Bytes) -> Result<(), String> {
        let faults = self.desk().faults().told(name);
        // One that is cut is not made again: the row is there, and nobody was told.
        if faults.contains(&Fault::Lose) || faults.contains(&Fault::Kill) {
            return Ok(());
        }
        let caller = if faults.contains(&Fault::Forged) {
            Some("somebody-elses-secret")
        } else {
            (!faults.contains(&Fault::Unsigned)).then_some(CALLER.1)
        };
        let late = faults.iter().find_map(|fault| match fault {
            Fault::Late { ms } => Some(*ms),
            _ => None,
        });
        if let Some(ms) = late {
            let instance = self.clone();
            tokio::spawn(async move {
                tokio::time::sleep(Duration::from_millis(ms)).await;
                let _ = instance.post(body, caller).await;
            });
            return Ok(());
        }
        let result = self.post(body.clone(), caller).await;
        if faults.contains(&Fault::Twice) {
            let _ = self.post(body, caller).await;
        }
        result
    }

    async fn post(&self, body: Bytes, caller: Option<&str>) -> Result<(), String> {
        let Some(url) = self.webhook() else { return Err("the connection URL is empty".into()) };
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(value) = caller.and_then(|value| HeaderValue::from_str(value).ok()) {
            headers.insert(CALLER.0, value);
        }
        let call = self.desk().client().post(url.clone()).headers(headers.clone()).body(body.clone());
        let answer = call.timeout(CALL).send().await;
        let status = answer.as_ref().map_or(0, |answer| answer.status().as_u16());
        // Of the address all but its secret part.
        let shown = url.path().rsplit_once('/').map_or("/", |(before, _)| before).to_owned();
        self.desk().made(&Method::POST, &shown, &headers, body, status);
        match answer {
            Ok(answer) if answer.status().is_success() => Ok(()),
            Ok(answer) => Err(format!("HTTP {}: {}", status, answer.text().await.unwrap_or_default())),
            Err(_) => Err("there was no answer within 5 s".into()),
        }
    }
}

/// What an operator enters under `login`.
pub fn login() -> Value {
    json!({
        "type": "oauth", "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET, "refresh_token": REFRESH_TOKEN,
    })
}

/// What an operator enters under `caller`.
pub fn caller() -> Value {
    json!({ "type": "header", "name": CALLER.0, "value": CALLER.1 })
}

pub fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

pub fn bytes(body: &Value) -> Bytes {
    body.to_string().into()
}

/// An error as the platform tells it.
pub fn failure(status: StatusCode, message: &str, detail: &str) -> Response {
    let body = json!({ "error": { "message": message, "detail": detail }, "status": "failure" });
    (status, Json(body)).into_response()
}

fn not_authenticated() -> Response {
    failure(StatusCode::UNAUTHORIZED, "User Not Authenticated", "Required to provide Auth information")
}

async fn oauth(
    State(instance): State<Instance>,
    headers: HeaderMap,
    form: Result<Form<HashMap<String, String>>, axum::extract::rejection::FormRejection>,
) -> Response {
    let refused = |error: &str| {
        (StatusCode::UNAUTHORIZED, Json(json!({ "error_description": "access_denied", "error": error })))
            .into_response()
    };
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let Ok(Form(form)) = form else { return refused("server_error") };
    let is = |name: &str, value: &str| form.get(name).is_some_and(|given| given == value);
    if !kind.starts_with("application/x-www-form-urlencoded") {
        return refused("server_error");
    }
    if !is("client_id", CLIENT_ID) || !is("client_secret", CLIENT_SECRET) {
        return refused("invalid_client");
    }
    if !is("grant_type", "refresh_token") || !is("refresh_token", REFRESH_TOKEN) {
        return refused("invalid_grant");
    }
    let token = instance.sys_id();
    let until = instance.desk().clock().now_ms() + TOKEN_SECONDS * 1_000;
    locked(&instance.0.tokens).insert(token.clone(), until);
    Json(json!({
        "scope": "useraccount", "token_type": "Bearer", "expires_in": TOKEN_SECONDS,
        "refresh_token": REFRESH_TOKEN, "access_token": token,
    }))
    .into_response()
}

async fn users(
    State(instance): State<Instance>,
    headers: HeaderMap,
    Query(query): Query<HashMap<String, String>>,
) -> Response {
    if let Err(answer) = instance.admit(&headers) {
        return *answer;
    }
    let wanted = query.get("sysparm_query").and_then(|text| text.strip_prefix("user_name="));
    let found: Vec<Value> = wanted
        .filter(|name| *name == USER)
        .map(|_| json!({ "sys_id": instance.sys_id() }))
        .into_iter()
        .collect();
    Json(json!({ "result": found })).into_response()
}

async fn user(State(instance): State<Instance>, headers: HeaderMap, Path(id): Path<String>) -> Response {
    if let Err(answer) = instance.admit(&headers) {
        return *answer;
    }
    match name_of(&id) {
        Some(name) => Json(json!({ "result": { "name": name } })).into_response(),
        None => failure(
            StatusCode::NOT_FOUND,
            "No Record found",
            "Record doesn't exist or ACL restricts the record retrieval",
        ),
    }
}

/// The sys_id of an agent: it holds the name, so that nobody has to keep a list.
pub fn agent_id(name: &str) -> String {
    let hex: String = name.bytes().take(15).map(|byte| format!("{byte:02x}")).collect();
    format!("a9{hex:0<30}")
}

fn name_of(id: &str) -> Option<String> {
    let hex = id.strip_prefix("a9").filter(|hex| hex.is_ascii())?;
    let bytes = (0..hex.len() / 2).filter_map(|at| u8::from_str_radix(hex.get(at * 2..at * 2 + 2)?, 16).ok());
    String::from_utf8(bytes.filter(|byte| *byte != 0).collect()).ok().filter(|name| !name.is_empty())
}
