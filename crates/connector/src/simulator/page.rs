//! The agent page, its JSON, and the switches for tests. Everything under `/_sim/{vendor}`.

use std::sync::Arc;
use std::time::Duration;

use ::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, Query, State};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post, put};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};

use super::acts::{Act, ActError, Acts};
use super::chat::Chat;
use super::desk::Desk;
use super::faults::Rule;

/// A page that asks for news waits this long.
const POLL: Duration = Duration::from_secs(1);
/// A file of the agent's may be so large.
const LARGEST: usize = 64 * 1024 * 1024;

/// Nothing but the page's own files runs or is shown. The demo frames it, from another port of this machine.
const CSP: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; base-uri 'none'; \
                   form-action 'none'; frame-ancestors 'self' http://127.0.0.1:*";

#[derive(Clone)]
struct Site {
    desk: Desk,
    acts: Arc<dyn Acts>,
}

pub(super) fn routes(desk: Desk, acts: Arc<dyn Acts>) -> Router {
    let base = format!("/_sim/{}", desk.vendor());
    let at = |path: &str| format!("{base}{path}");
    let home = at("/");
    Router::new()
        .route(&base, get(async move || Redirect::permanent(&home)))
        .route(&at("/"), get(async || file("text/html; charset=utf-8", include_str!("page.html"))))
        .route(&at("/page.js"), get(async || file("text/javascript", include_str!("page.js"))))
        .route(&at("/page.css"), get(async || file("text/css", include_str!("page.css"))))
        .route(&at("/api/about"), get(about))
        .route(&at("/api/state"), get(state))
        .route(&at("/api/conversations"), get(conversations))
        .route(&at("/api/conversations/{id}/lines"), get(lines))
        .route(&at("/api/conversations/{id}/{act}"), post(act))
        .route(&at("/api/files"), put(shelve).post(shelve).layer(DefaultBodyLimit::max(LARGEST)))
        .route(&at("/files/{id}/{name}"), get(fetch))
        .route(&at("/faults"), get(faults).put(set_faults).post(set_faults).delete(clear_faults))
        .route(&at("/clock"), get(clock).put(move_clock))
        .route(&at("/log"), get(log))
        .with_state(Site { desk, acts })
}

fn file(kind: &'static str, text: &'static str) -> Response {
    let headers = [
        (header::CONTENT_TYPE, kind),
        (header::CONTENT_SECURITY_POLICY, CSP),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::CACHE_CONTROL, "no-cache"),
        (HeaderName::from_static("referrer-policy"), "no-referrer"),
    ];
    (headers, text).into_response()
}

async fn about(State(site): State<Site>) -> Json<Value> {
    Json(json!({ "vendor": site.desk.vendor(), "title": site.desk.title(), "can": site.acts.can() }))
}

#[derive(Deserialize)]
struct Poll {
    /// What the page has already.
    #[serde(default)]
    version: u64,
    /// The conversation it shows.
    conversation: Option<String>,
}

/// Everything the page shows; where nothing is new, the answer comes after a second and holds the version alone.
async fn state(State(site): State<Site>, Query(poll): Query<Poll>) -> Json<Value> {
    let mut versions = site.desk.version();
    let news = versions.wait_for(|version| *version != poll.version);
    let version = match tokio::time::timeout(POLL, news).await {
        Ok(Ok(version)) => *version,
        Ok(Err(_)) | Err(_) => return Json(json!({ "version": poll.version })),
    };
    let lines = poll.conversation.and_then(|id| site.desk.chat(&id)).map(|chat| chat.lines);
    Json(json!({ "version": version, "conversations": listed(&site.desk), "lines": lines }))
}

fn listed(desk: &Desk) -> Vec<Value> {
    let one = |chat: &Chat| {
        let mut told = json!(chat);
        told["last"] = chat.lines.last().map(|line| line.in_short()).unwrap_or_default().into();
        told
    };
    desk.chats().iter().map(one).collect()
}

async fn conversations(State(site): State<Site>) -> Json<Value> {
    Json(json!(listed(&site.desk)))
}

async fn lines(State(site): State<Site>, Path(id): Path<String>) -> Response {
    match site.desk.chat(&id) {
        Some(chat) => Json(chat.lines).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

/// What the page says of an act; each act takes what it needs.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Told {
    text: String,
    /// Files that were put on the shelf before, by id.
    files: Vec<String>,
    choices: Vec<String>,
    agent: Option<String>,
    on: bool,
    to: String,
}

async fn act(
    State(site): State<Site>,
    Path((id, act)): Path<(String, String)>,
    headers: HeaderMap,
    Json(told): Json<Told>,
) -> Response {
    if site.desk.on_shelf("").is_none() && !told.files.is_empty() {
        // Nobody called yet: where the page was found the other side may find the file.
        site.desk.is_called_at(&headers);
    }
    let files: Option<Vec<_>> = told.files.iter().map(|id| site.desk.on_shelf(id)).collect();
    let Some(files) = files else {
        return (StatusCode::NOT_FOUND, "there is no such file on the shelf").into_response();
    };
    let act = match act.as_str() {
        "accept" => Act::Accept { agent: told.agent },
        "decline" => Act::Decline,
        "say" => Act::Say { text: told.text, files },
        "offer" => Act::Offer { text: told.text, choices: told.choices },
        "type" => Act::Type { on: told.on },
        "read" => Act::Read,
        "transfer" => Act::Transfer { to: told.to },
        "end" => Act::End,
        _ => return StatusCode::NOT_FOUND.into_response(),
    };
    // A page that is closed meanwhile does not stop what the agent did.
    let task = tokio::spawn(async move { site.acts.act(&id, act).await });
    match task.await {
        Ok(Ok(())) => Json(json!({})).into_response(),
        Ok(Err(error @ ActError::NotOpen)) => (StatusCode::CONFLICT, error.to_string()).into_response(),
        Ok(Err(error @ ActError::Unable)) => (StatusCode::NOT_IMPLEMENTED, error.to_string()).into_response(),
        Ok(Err(error @ ActError::Failed(_))) => (StatusCode::BAD_GATEWAY, error.to_string()).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

#[derive(Deserialize)]
struct Named {
    name: String,
}

/// The raw bytes, under a name.
async fn shelve(State(site): State<Site>, Query(named): Query<Named>, bytes: Bytes) -> Response {
    match site.desk.shelve(&named.name, bytes) {
        Some(id) => Json(json!({ "id": id })).into_response(),
        None => (StatusCode::INSUFFICIENT_STORAGE, "there is no room for more files here").into_response(),
    }
}

async fn fetch(State(site): State<Site>, Path((id, _)): Path<(String, String)>) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "application/octet-stream"),
        (header::CONTENT_DISPOSITION, "attachment"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    match site.desk.shelved(&id) {
        Some(bytes) => (headers, bytes).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

async fn faults(State(site): State<Site>) -> Json<Vec<Rule>> {
    Json(site.desk.faults().all())
}

async fn set_faults(State(site): State<Site>, Json(rules): Json<Vec<Rule>>) {
    site.desk.faults().set(rules);
}

async fn clear_faults(State(site): State<Site>) {
    site.desk.faults().set(Vec::new());
}

#[derive(Deserialize)]
struct Moved {
    advance_ms: i64,
}

async fn clock(State(site): State<Site>) -> Json<Value> {
    Json(json!({ "now_ms": site.desk.clock().now_ms() }))
}

async fn move_clock(State(site): State<Site>, Json(moved): Json<Moved>) {
    site.desk.clock().advance(moved.advance_ms);
    site.desk.changed();
}

async fn log(State(site): State<Site>) -> Json<Value> {
    Json(json!(site.desk.log().all()))
}
