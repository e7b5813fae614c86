//! The agent page, its JSON, and the switches for tests. Everything under `/_sim/botkit`.

use std::time::Duration;

use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};

use super::gate::at;
use super::{Behaviour, Rule, SayError, Simulator};

/// A page that asks for news waits this long.
const POLL: Duration = Duration::from_secs(1);

/// Nothing but the page's own files runs or is shown.
const CSP: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; base-uri 'none'; \
                   form-action 'none'; frame-ancestors 'self'";

pub(super) fn routes() -> Router<Simulator> {
    Router::new()
        .route("/_sim/botkit", get(async || Redirect::permanent("/_sim/botkit/")))
        .route("/_sim/botkit/", get(async || file("text/html; charset=utf-8", include_str!("page.html"))))
        .route("/_sim/botkit/page.js", get(async || file("text/javascript", include_str!("page.js"))))
        .route("/_sim/botkit/page.css", get(async || file("text/css", include_str!("page.css"))))
        .route("/_sim/botkit/api/state", get(state))
        .route("/_sim/botkit/api/conversations", get(conversations))
        .route("/_sim/botkit/api/conversations/{id}/lines", get(lines))
        .route("/_sim/botkit/api/conversations/{id}/say", post(say))
        .route("/_sim/botkit/api/conversations/{id}/end", post(end))
        .route("/_sim/botkit/behaviour", get(behaviour).put(set_behaviour))
        .route("/_sim/botkit/faults", get(faults).put(set_faults).post(set_faults).delete(clear_faults))
        .route("/_sim/botkit/log", get(log))
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

#[derive(Deserialize)]
struct Poll {
    /// What the page has already.
    #[serde(default)]
    version: u64,
    /// The conversation it shows.
    conversation: Option<String>,
}

/// Everything the page shows; where nothing is new, the answer comes after a second and holds the version alone.
async fn state(State(sim): State<Simulator>, Query(poll): Query<Poll>) -> Json<Value> {
    let mut versions = sim.inner.version.subscribe();
    let news = versions.wait_for(|version| *version != poll.version);
    let version = match tokio::time::timeout(POLL, news).await {
        Ok(Ok(version)) => *version,
        Ok(Err(_)) | Err(_) => return Json(json!({ "version": poll.version })),
    };
    let transcript = poll.conversation.as_deref().and_then(|id| transcript(&sim, id));
    let lines = poll.conversation.map(|id| sim.lines(&id));
    let conversations = sim.conversations();
    Json(json!({
        "version": version, "conversations": conversations, "lines": lines, "transcript": transcript,
    }))
}

/// The link that came with the hand-over, if there is one.
fn transcript(sim: &Simulator, id: &str) -> Option<String> {
    let shared = sim.shared();
    let chat = shared.chats.iter().find(|chat| chat.id == id)?;
    let url = at(&chat.data.fields, "/context/session/BotUserSession/transcriptUrl")?;
    url.as_str().map(str::to_owned)
}

async fn conversations(State(sim): State<Simulator>) -> Json<Value> {
    Json(json!(sim.conversations()))
}

async fn lines(State(sim): State<Simulator>, Path(id): Path<String>) -> Response {
    if sim.conversations().iter().any(|conversation| conversation.id == id) {
        Json(sim.lines(&id)).into_response()
    } else {
        StatusCode::NOT_FOUND.into_response()
    }
}

#[derive(Deserialize)]
struct Say {
    text: String,
    /// Files that were put on the shelf before, by id.
    #[serde(default)]
    files: Vec<String>,
}

async fn say(
    State(sim): State<Simulator>,
    Path(id): Path<String>,
    headers: HeaderMap,
    Json(say): Json<Say>,
) -> Response {
    let Some(files) = sim.on_shelf(&say.files, &headers) else {
        return (StatusCode::NOT_FOUND, "there is no such file on the shelf").into_response();
    };
    // A page that is closed meanwhile does not stop the call to the platform.
    let task = tokio::spawn(async move { sim.say_with(&id, &say.text, files).await });
    answer(task.await)
}

async fn end(State(sim): State<Simulator>, Path(id): Path<String>) -> Response {
    let task = tokio::spawn(async move { sim.end(&id).await });
    answer(task.await)
}

fn answer(done: Result<Result<(), SayError>, tokio::task::JoinError>) -> Response {
    match done {
        Ok(Ok(())) => Json(json!({})).into_response(),
        Ok(Err(error @ SayError::NotOpen)) => (StatusCode::CONFLICT, error.to_string()).into_response(),
        Ok(Err(error @ SayError::Failed(_))) => (StatusCode::BAD_GATEWAY, error.to_string()).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

async fn behaviour(State(sim): State<Simulator>) -> Json<Behaviour> {
    Json(sim.behaviour())
}

async fn set_behaviour(State(sim): State<Simulator>, Json(behaviour): Json<Behaviour>) {
    sim.set_behaviour(behaviour);
}

async fn faults(State(sim): State<Simulator>) -> Json<Vec<Rule>> {
    Json(sim.faults())
}

async fn set_faults(State(sim): State<Simulator>, Json(faults): Json<Vec<Rule>>) {
    sim.set_faults(faults);
}

async fn clear_faults(State(sim): State<Simulator>) {
    sim.set_faults(Vec::new());
}

async fn log(State(sim): State<Simulator>) -> Json<Value> {
    Json(json!(sim.log()))
}
