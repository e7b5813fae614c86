//! Connect Support from outside: its internal REST API, and the agents.

use std::sync::{Arc, Mutex};

use ::http::{HeaderMap, StatusCode};
use async_trait::async_trait;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use interline_connector::simulator::{
    Act, ActError, Acts, By, Chat, ChatState, Desk, Deviation, Faults, Line, OUTSIDE_HOURS, Points, StandIn,
};
use serde_json::{Value, json};
use url::Url;

use super::instance::{Instance, USER, agent_id, caller, failure, locked, login};
use super::support::{QUEUE, Rule, Session, Support, escaped, user_of};

/// The instance lists so many lines.
const PAGE: usize = 30;
/// The usual agent.
const AGENT: &str = "Agent One";

/// The stand-in for Connect Support. Clones are the same one.
#[derive(Clone)]
pub struct Connect(Arc<Inner>);

struct Inner {
    instance: Instance,
    support: Mutex<Support>,
}

impl Default for Connect {
    fn default() -> Self {
        let instance = Instance::new(Desk::new("servicenow_tokyo", "ServiceNow Connect Support"));
        Self(Arc::new(Inner { instance, support: Mutex::default() }))
    }
}

impl Connect {
    fn instance(&self) -> &Instance {
        &self.0.instance
    }

    /// How the business rule was written.
    pub fn rule(&self, rule: Rule) {
        locked(&self.0.support).rule = rule;
    }

    /// What was wrong with requests.
    pub fn complaints(&self) -> Vec<String> {
        self.instance().complaints()
    }

    /// Puts a chat into a state, as a job of the instance does.
    pub fn put(&self, chat: &str, state: u8) {
        self.change(chat, |session| session.state = state);
    }

    fn change<T>(&self, group: &str, change: impl FnOnce(&mut Session) -> T) -> Option<T> {
        locked(&self.0.support).chats.get_mut(group).map(change)
    }

    fn session(&self, group: &str) -> Option<Session> {
        locked(&self.0.support).chats.get(group).cloned()
    }

    fn entry(&self, session: &Session) -> Value {
        let assigned_to = session.agent.as_deref().map(agent_id).unwrap_or_default();
        locked(&self.0.support).entry(session, &assigned_to)
    }

    /// A new row of `live_message`, with what was said as HTML; and what the business rule makes of it.
    fn row(&self, group: &str, by: &str, html: &str) -> Option<(Value, Option<axum::body::Bytes>)> {
        let now = self.instance().desk().clock().now_ms();
        let stamp =
            jiff::Timestamp::from_millisecond(now).map(|at| at.strftime("%Y-%m-%d %H:%M:%S").to_string());
        let stamp = stamp.unwrap_or_default();
        let row = json!({
            "sys_id": self.instance().sys_id(), "group": group, "formatted_message": html,
            "sys_created_by": by, "sys_created_on": stamp, "last_message": stamp,
        });
        self.change(group, |session| session.rows.push(row.clone()))?;
        let told = locked(&self.0.support).told(&row);
        Some((row, told))
    }

    fn notice(&self, group: &str, words: &str) {
        if let Some((_, Some(told))) = self.row(group, "system", &escaped(words)) {
            self.instance().tell_bytes("notice", group, told);
        }
    }

    fn end(&self, group: &str, state: u8) {
        self.change(group, |session| session.state = state);
        self.instance().desk().state(group, ChatState::Over);
    }
}

// ── the API ──────────────────────────────────────────────────────────────────────────────────────────────────────────

type Body = Result<Json<Value>, axum::extract::rejection::JsonRejection>;

fn message(body: Body) -> Result<String, Box<Response>> {
    let bad = || Box::new(failure(StatusCode::BAD_REQUEST, "Bad request", "message is missing"));
    let Ok(Json(body)) = body else { return Err(bad()) };
    body["message"].as_str().filter(|text| !text.is_empty()).map(str::to_owned).ok_or_else(bad)
}

fn missing(what: &str) -> Response {
    failure(StatusCode::NOT_FOUND, "No Record found", what)
}

/// The queue is closed, or nobody is there: how a chat is refused, and with which words.
fn closed(faults: &Faults) -> Option<(StatusCode, &'static str)> {
    if faults.special(OUTSIDE_HOURS) {
        return Some((StatusCode::FORBIDDEN, "Chat is closed outside our business hours"));
    }
    faults.special("no_agents").then_some((StatusCode::SERVICE_UNAVAILABLE, "Chat is currently unavailable"))
}

async fn open(
    State(sim): State<Connect>,
    headers: HeaderMap,
    Path(queue): Path<String>,
    body: Body,
) -> Response {
    if let Err(answer) = sim.instance().admit(&headers) {
        return *answer;
    }
    if queue != QUEUE {
        return missing("no such queue");
    }
    let faults = sim.instance().desk().faults();
    if let Some((status, text)) = closed(faults) {
        return (status, Json(json!({ "result": text }))).into_response();
    }
    if faults.special("no_role") {
        return failure(StatusCode::FORBIDDEN, "Insufficient rights", "ACL");
    }
    let words = match message(body) {
        Ok(words) => words,
        Err(answer) => return *answer,
    };
    let group = sim.instance().sys_id();
    let number = locked(&sim.0.support).chats.len() + 1;
    let session = Session {
        sys_id: sim.instance().sys_id(),
        group: group.clone(),
        queue: queue.clone(),
        number,
        state: 1,
        agent: None,
        description: words.clone(),
        rows: Vec::new(),
    };
    locked(&sim.0.support).chats.insert(group.clone(), session.clone());
    sim.instance().desk().open(as_chat(&group, &queue, &words));
    sim.row(&group, USER, &escaped(&words));
    Json(json!({ "result": sim.entry(&session) })).into_response()
}

/// All that is known stands in the first words.
fn as_chat(group: &str, queue: &str, words: &str) -> Chat {
    let told = |name: &str| words.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    let mut chat = Chat::waiting(group, told("Customer").unwrap_or("Customer"));
    chat.transcript = told("Transcript").map(str::to_owned);
    chat.context = vec![("queue".to_owned(), queue.to_owned()), ("message".to_owned(), words.to_owned())];
    let pairs = words.lines().filter_map(|line| line.split_once(": "));
    chat.context.extend(pairs.map(|(name, value)| (name.to_owned(), value.to_owned())));
    chat
}

async fn queue(State(sim): State<Connect>, headers: HeaderMap, Path(queue): Path<String>) -> Response {
    if let Err(answer) = sim.instance().admit(&headers) {
        return *answer;
    }
    if sim.instance().desk().faults().special("no_role") {
        return failure(StatusCode::FORBIDDEN, "Insufficient rights", "ACL");
    }
    if queue != QUEUE {
        return missing("no such queue");
    }
    let waiting = locked(&sim.0.support).chats.values().filter(|session| session.state == 1).count();
    let mut told = json!({
        "sys_id": queue, "name": "Support", "question": "How can we help?", "average_wait_time": "2 Minutes",
        "waiting_count": waiting, "escalate_to": "", "is_agent_for": false,
    });
    if let Some((_, text)) = closed(sim.instance().desk().faults()) {
        told["not_available"] = text.into();
    }
    Json(json!({ "result": told })).into_response()
}

#[derive(serde::Deserialize)]
struct Wanted {
    group_id: String,
}

async fn sessions(State(sim): State<Connect>, headers: HeaderMap, Query(wanted): Query<Wanted>) -> Response {
    if let Err(answer) = sim.instance().admit(&headers) {
        return *answer;
    }
    let found: Vec<Value> = sim.session(&wanted.group_id).iter().map(|session| sim.entry(session)).collect();
    Json(json!({ "result": found })).into_response()
}

async fn lines(State(sim): State<Connect>, headers: HeaderMap, Path(group): Path<String>) -> Response {
    if let Err(answer) = sim.instance().admit(&headers) {
        return *answer;
    }
    let Some(session) = sim.session(&group) else { return missing("no such conversation") };
    let newest: Vec<Value> = session.rows.iter().rev().take(PAGE).cloned().collect();
    Json(json!({ "result": newest })).into_response()
}

async fn say(
    State(sim): State<Connect>,
    headers: HeaderMap,
    Path(group): Path<String>,
    body: Body,
) -> Response {
    if let Err(answer) = sim.instance().admit(&headers) {
        return *answer;
    }
    let words = match message(body) {
        Ok(words) => words,
        Err(answer) => return *answer,
    };
    if sim.session(&group).is_none_or(|session| session.state > 2) {
        return missing("no such conversation, or it is closed");
    }
    sim.instance().desk().line(&group, Line::new(By::Customer, &words));
    let Some((row, told)) = sim.row(&group, USER, &escaped(&words)) else {
        return missing("no such conversation");
    };
    if let Some(told) = told {
        sim.instance().tell_bytes("echo", &group, told);
    }
    Json(json!({ "result": row })).into_response()
}

async fn leave(
    State(sim): State<Connect>,
    headers: HeaderMap,
    Path((group, call)): Path<(String, String)>,
    body: Body,
) -> Response {
    if let Err(answer) = sim.instance().admit(&headers) {
        return *answer;
    }
    if body.is_err() || !matches!(call.as_str(), "leave" | "close" | "rejoin") {
        return failure(StatusCode::BAD_REQUEST, "Bad request", "an unknown call, or no JSON");
    }
    let Some(session) = sim.session(&group) else { return missing("no such session") };
    match (call.as_str(), session.state) {
        ("rejoin", 7 | 8) => sim.put(&group, 1),
        ("rejoin", _) => {
            return failure(StatusCode::BAD_REQUEST, "Bad request", "it is closed for good, or open");
        }
        (_, 1 | 2) => {
            sim.end(&group, 7);
            sim.notice(&group, "The customer has left the conversation");
        }
        _ => {}
    }
    let session = sim.session(&group).unwrap_or(session);
    Json(json!({ "result": sim.entry(&session) })).into_response()
}

// ── the agents ───────────────────────────────────────────────────────────────────────────────────────────────────────

#[async_trait]
impl Acts for Connect {
    fn can(&self) -> &'static [&'static str] {
        &["accept", "decline", "say", "offer", "transfer", "end"]
    }

    async fn act(&self, chat: &str, act: Act) -> Result<(), ActError> {
        let session = self.session(chat).filter(|session| session.state <= 2).ok_or(ActError::NotOpen)?;
        let talking = session.state == 2;
        let agent = session.agent.unwrap_or_else(|| AGENT.to_owned());
        match act {
            Act::Accept { agent } if !talking => {
                self.assign(chat, agent.unwrap_or_else(|| AGENT.to_owned()));
                Ok(())
            }
            Act::Decline if !talking => {
                self.end(chat, 8);
                self.notice(chat, "The conversation was closed");
                Ok(())
            }
            Act::Say { text, files } if talking && files.is_empty() => {
                self.agent_says(chat, &agent, &text, &escaped(&text)).await
            }
            // A row holds what a canned response of the instance's looks like.
            Act::Offer { text, choices } if talking => {
                let list: String =
                    choices.iter().map(|choice| format!("<li>{}</li>", escaped(choice))).collect();
                let html = format!("<b>{}</b><ul>{list}</ul>", escaped(&text));
                self.agent_says(chat, &agent, &text, &html).await
            }
            Act::Transfer { to } if talking => {
                self.notice(chat, &format!("{agent} has left the conversation"));
                self.assign(chat, to);
                Ok(())
            }
            Act::End => {
                self.end(chat, 3);
                self.notice(chat, &format!("{agent} has closed the conversation"));
                Ok(())
            }
            Act::Type { .. } | Act::Read => Err(ActError::Unable),
            Act::Say { files, .. } if !files.is_empty() => Err(ActError::Unable),
            Act::Accept { .. }
            | Act::Decline
            | Act::Say { .. }
            | Act::Offer { .. }
            | Act::Transfer { .. } => Err(ActError::NotOpen),
        }
    }
}

impl Connect {
    async fn agent_says(&self, chat: &str, agent: &str, words: &str, html: &str) -> Result<(), ActError> {
        let line = Line::new(By::Agent, words);
        let place = self.instance().desk().line(chat, line).ok_or(ActError::NotOpen)?;
        let forged = self.instance().is_forged("message");
        let (row, told) = self.row(chat, &user_of(agent), html).ok_or(ActError::NotOpen)?;
        if forged {
            // It never was one of this instance's.
            self.change(chat, |session| session.rows.retain(|known| *known != row));
        }
        let Some(told) = told else { return Ok(()) };
        let result = self.instance().tell_and_wait("message", chat, told).await;
        result.map_err(|why| {
            self.instance().desk().failed(chat, place, &why);
            ActError::Failed(why)
        })
    }

    fn assign(&self, chat: &str, agent: String) {
        self.change(chat, |session| (session.state, session.agent) = (2, Some(agent.clone())));
        self.instance().desk().change(chat, |chat| {
            (chat.state, chat.agent) = (ChatState::Talking, Some(agent.clone()));
        });
        self.notice(chat, &format!("{agent} has joined the conversation"));
    }
}

impl StandIn for Connect {
    fn desk(&self) -> &Desk {
        self.instance().desk()
    }

    fn router(&self) -> Router {
        let base = |path: &str| format!("/api/now/connect/{path}");
        let api = Router::new()
            .route(&base("support/queues/{queue}"), get(queue))
            .route(&base("support/queues/{queue}/sessions"), post(open))
            .route(&base("support/sessions"), get(sessions))
            .route(&base("support/sessions/{group}/{call}"), post(leave))
            .route(&base("conversations/{group}/messages"), get(lines).post(say))
            .with_state(self.clone())
            .merge(self.instance().router());
        self.desk().watch(api, Arc::new(self.clone()))
    }

    fn settings(&self, base: &Url) -> Value {
        json!({
            "instance_url": base,
            "login": login(),
            "integration_user": USER,
            "queue_id": QUEUE,
            "caller": caller(),
            "poll_ms": 1_000,
        })
    }

    fn calls(&self, webhook: Url) {
        self.instance().calls(webhook);
    }

    fn queue(&self) -> &'static str {
        QUEUE
    }

    fn points(&self) -> Points {
        Points {
            open: Some("POST /api/now/connect/support/queues/"),
            say: Some("POST /api/now/connect/conversations/"),
            close: Some("POST /api/now/connect/support/sessions/"),
            token: Some("POST /oauth_token.do"),
            // The calls, and what is asked for where one was cut.
            stream: Some("GET /api/now/connect/support/sessions"),
            said: Some("message"),
            ended: Some("notice"),
        }
    }

    fn deviations(&self) -> &'static [Deviation] {
        &[
            Deviation { scenario: "typing", reason: "Connect Support's API neither tells nor takes it." },
            Deviation {
                scenario: "receipts_delivered",
                reason: "Connect Support's API neither tells nor takes them.",
            },
            Deviation {
                scenario: "receipts_read",
                reason: "Connect Support's API neither tells nor takes them.",
            },
            Deviation {
                scenario: "files_to_agent",
                reason: "Connect Support's API takes no files: each goes as a link in words.",
            },
            Deviation { scenario: "files_to_customer", reason: "Connect Support's API gives no files." },
        ]
    }
}
