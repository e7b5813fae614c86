//! The event endpoints, and the bot file behind them: it does what the sample live-chat bot does.

use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use serde_json::{Map, Value, json};

use super::faults::{Fault, take_for_event};
use super::gate::{self, Refused, at};
use super::sdk::{Class, Payload};
use super::{By, Chat, Direction, Line, ShownFile, Simulator, now_ms};

/// `{prefix}/sdk/bots/…`.
pub(super) fn routes(prefix: &str) -> Router<Simulator> {
    let prefix = prefix.trim_end_matches('/');
    Router::new()
        .route(&format!("{prefix}/sdk/bots/{{bot}}/{{event}}"), post(default_component))
        .route(&format!("{prefix}/sdk/bots/{{bot}}/components/{{component}}/{{event}}"), post(with_component))
        .layer(DefaultBodyLimit::disable())
}

async fn default_component(
    State(sim): State<Simulator>,
    Path((bot, event)): Path<(String, String)>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let path = format!("/sdk/bots/{bot}/{event}");
    sim.event(Arrived { bot, component: "default".into(), event, path }, headers, body).await
}

async fn with_component(
    State(sim): State<Simulator>,
    Path((bot, component, event)): Path<(String, String, String)>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let path = format!("/sdk/bots/{bot}/components/{component}/{event}");
    sim.event(Arrived { bot, component, event, path }, headers, body).await
}

/// Where an event came in.
struct Arrived {
    bot: String,
    component: String,
    event: String,
    path: String,
}

impl Simulator {
    async fn event(&self, arrived: Arrived, headers: HeaderMap, body: Bytes) -> Response {
        let (path, raw) = (arrived.path.clone(), body.clone());
        if let Some(host) = headers.get(header::HOST).and_then(|host| host.to_str().ok()) {
            self.shared().called_at = Some(host.to_owned());
        }
        // What the bot file does goes on when the platform hangs up.
        let sim = self.clone();
        let task = tokio::spawn(async move { sim.handle(&arrived, &headers, &body).await });
        let (status, response) = match task.await {
            Ok(Outcome::Answer(response)) => (response.status().as_u16(), Some(response)),
            Ok(Outcome::Never) => (0, None),
            Ok(Outcome::Drop) => (0, Some(Body::from_stream(broken()).into_response())),
            Err(_) => (500, Some(Refused::internal("the handler crashed").into_response())),
        };
        self.record(Direction::In, "POST", path, status, raw);
        match response {
            Some(response) => response,
            None => std::future::pending().await,
        }
    }

    async fn handle(&self, arrived: &Arrived, headers: &HeaderMap, body: &[u8]) -> Outcome {
        let checked = self.check(arrived, headers, body);
        let payload = match checked {
            Ok(payload) => payload,
            Err(refused) => return Outcome::Answer(refused.into_response()),
        };
        let faults = take_for_event(&mut self.shared().faults, &arrived.event);
        for fault in &faults {
            match fault {
                Fault::Latency { ms } => tokio::time::sleep(Duration::from_millis(*ms)).await,
                Fault::ErrorBefore { status, retry_after } => {
                    return Outcome::Answer(scripted(*status, *retry_after));
                }
                _ => {}
            }
        }
        let done = if faults.contains(&Fault::Hold) {
            Ok(())
        } else if self.behaviour().answer_at_once {
            let (sim, event, payload) = (self.clone(), arrived.event.clone(), payload.clone());
            tokio::spawn(async move { sim.bot_file(&event, payload).await });
            Ok(())
        } else {
            self.bot_file(&arrived.event, payload.clone()).await
        };
        for fault in &faults {
            match fault {
                Fault::ErrorAfter { status } => return Outcome::Answer(scripted(*status, None)),
                Fault::NeverAnswer => return Outcome::Never,
                Fault::DropAfter => return Outcome::Drop,
                Fault::Garbage => {
                    let junk = Bytes::from_static(b"<html>\xff\xfe{\"not\":");
                    return Outcome::Answer(([(header::CONTENT_TYPE, "text/html")], junk).into_response());
                }
                _ => {}
            }
        }
        Outcome::Answer(match done {
            Ok(()) => success(&payload),
            Err(refused) => refused.into_response(),
        })
    }

    fn check(&self, arrived: &Arrived, headers: &HeaderMap, body: &[u8]) -> Result<Payload, Refused> {
        let fields = gate::parse(headers, body)?;
        // With a prefix BotKit's check is not on the way: it is mounted on /sdk/ alone.
        if self.inner.settings.prefix.trim_matches('/').is_empty() {
            if !gate::is_bot_id(&arrived.bot) {
                return Err(Refused::internal("Cannot read properties of null (reading '0')"));
            }
            gate::check_credentials(headers, &self.keys_of(&arrived.bot), now_ms() as f64 / 1000.0)?;
        }
        let class = match arrived.event.as_str() {
            "on_user_message" | "on_bot_message" => Class::Message,
            "on_agent_transfer" => Class::AgentTransfer,
            "on_event" => Class::Event,
            "on_variable_update" if !fields.contains_key("data") => {
                return Err(Refused::internal("Cannot read properties of undefined (reading 'eventType')"));
            }
            "on_webhook" | "on_alert" | "on_variable_update" => {
                return Err(Refused::internal("the bot file has no handler for this event"));
            }
            _ => return Err(Refused::new(404, "NOT_FOUND", "Event not found")),
        };
        if arrived.bot != self.inner.settings.app_id {
            return Err(Refused::internal("bot not registered"));
        }
        gate::check_fields(class, &arrived.bot, &fields)?;
        Ok(Payload::new(class, &arrived.bot, &arrived.component, fields))
    }

    /// Its result is the promise that the handler returns.
    async fn bot_file(&self, event: &str, payload: Payload) -> Result<(), Refused> {
        match event {
            "on_user_message" if payload.fields.get("agent_transfer") == Some(&true.into()) => {
                self.user_to_agent(payload).await
            }
            "on_user_message" => self.user_to_bot(payload).await,
            "on_bot_message" => {
                self.call_url("sendUserMessage", "sendUserMessageUrl", &payload).await.map(|_| ())
            }
            "on_agent_transfer" => self.transfer(payload).await,
            _ => {
                self.told(&payload);
                Ok(())
            }
        }
    }

    async fn user_to_bot(&self, payload: Payload) -> Result<(), Refused> {
        let word = self.behaviour().take_over_word;
        if word.is_some_and(|word| payload.text("message").eq_ignore_ascii_case(&word)) {
            let id = self.begin_chat(&payload);
            self.customer_line(&id, &payload);
            return self.call_base("startAgentSession", &payload).await.map(|_| ());
        }
        self.call_url("sendBotMessage", "sendBotMessageUrl", &payload).await.map(|_| ())
    }

    /// In agent mode: to the agent; where no agent has this user, to the bot, as the sample does.
    async fn user_to_agent(&self, payload: Payload) -> Result<(), Refused> {
        let adopt = self.behaviour().adopt_strangers;
        match self.open_chat(&payload.visitor()).or_else(|| adopt.then(|| self.begin_chat(&payload))) {
            Some(id) => {
                self.customer_line(&id, &payload);
                Ok(())
            }
            None => self.call_url("sendBotMessage", "sendBotMessageUrl", &payload).await.map(|_| ()),
        }
    }

    /// The three calls are made without waiting for each other.
    async fn transfer(&self, payload: Payload) -> Result<(), Refused> {
        let behaviour = self.behaviour();
        let id = self.begin_chat(&payload);
        let welcome = async {
            let Some(text) = &behaviour.welcome else { return Ok(()) };
            let welcome = payload.with_message(text);
            self.call_url("sendUserMessage", "sendUserMessageUrl", &welcome).await.map(|_| ())
        };
        let start = async {
            if !behaviour.start_session {
                return Ok(());
            }
            self.call_base("startAgentSession", &payload).await.map(|_| ())
        };
        let transcript = async {
            if !behaviour.transcript {
                return Ok(());
            }
            let history = self.get_messages(&payload).await?.body;
            self.add_transcript(&id, read_history(&history)?);
            Ok(())
        };
        let (welcome, start, transcript) = tokio::join!(welcome, start, transcript);
        welcome.and(start).and(transcript)
    }

    /// An `on_event`: the agent is told.
    fn told(&self, payload: &Payload) {
        let kind = at(&payload.fields, "/event/eventType").and_then(Value::as_str).unwrap_or("?").to_owned();
        if let Some(id) = self.open_chat(&payload.visitor()) {
            self.add_line(&id, Line::new(By::System, format!("Event: {kind}")));
        }
    }

    fn begin_chat(&self, payload: &Payload) -> String {
        let id = payload.text("requestId").to_owned();
        let identity = at(&payload.fields, "/context/session/UserContext/identities/0/val");
        let visitor = payload.visitor();
        let mut shared = self.shared();
        if !shared.chats.iter().any(|chat| chat.id == id) {
            shared.chats.push(Chat {
                id: id.clone(),
                title: identity.and_then(Value::as_str).unwrap_or(&visitor).to_owned(),
                visitor,
                open: true,
                since_ms: now_ms(),
                lines: Vec::new(),
                data: payload.clone(),
            });
        }
        drop(shared);
        self.changed();
        id
    }

    fn open_chat(&self, visitor: &str) -> Option<String> {
        let shared = self.shared();
        let chat = shared.chats.iter().rev().find(|chat| chat.open && chat.visitor == visitor)?;
        Some(chat.id.clone())
    }

    /// The words reach the agent at once; the files are fetched meanwhile.
    fn customer_line(&self, id: &str, payload: &Payload) {
        let files = payload.attachments().iter().map(ShownFile::received).collect();
        self.add_line(id, Line { files, ..Line::new(By::Customer, payload.text("message")) });
        self.fetch_files(id, payload);
    }

    fn add_line(&self, id: &str, line: Line) {
        if let Some(chat) = self.shared().chats.iter_mut().find(|chat| chat.id == id) {
            chat.lines.push(line);
        }
        self.changed();
    }

    fn add_transcript(&self, id: &str, lines: Vec<Line>) {
        if let Some(chat) = self.shared().chats.iter_mut().find(|chat| chat.id == id) {
            chat.lines.splice(0..0, lines);
        }
        self.changed();
    }
}

enum Outcome {
    Answer(Response),
    Never,
    Drop,
}

fn success(payload: &Payload) -> Response {
    let body = match payload.class {
        Class::AgentTransfer => json!({ "headers": { "supportsMessageAck": true } }),
        Class::Message | Class::Event => payload.json(),
    };
    ([("supportsMessageAck", "true")], axum::Json(body)).into_response()
}

fn scripted(status: u16, retry_after: Option<u64>) -> Response {
    let code = if status == 401 { json!(4002) } else { json!("INTERNAL_SERVER_ERROR") };
    let mut response = Refused::new(status, code, "scripted fault").into_response();
    if let Some(seconds) = retry_after {
        response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
    }
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response
}

/// A body that breaks before its first byte: the connection is closed without an answer.
fn broken() -> impl futures_util::Stream<Item = Result<Bytes, std::io::Error>> {
    futures_util::stream::once(async { Err(std::io::Error::other("scripted fault")) })
}

/// As strict as BotKit's history page, which breaks on an entry without a text.
fn read_history(history: &Value) -> Result<Vec<Line>, Refused> {
    let broken = |what: &str| Refused::internal(format!("the history page breaks: {what}"));
    let messages = history["messages"].as_array().ok_or_else(|| broken("no messages"))?;
    // Clocks may step back a little in between.
    let time = |message: Option<&Value>| message.and_then(|message| message["timestampValue"].as_i64());
    if time(messages.first()) < time(messages.last()) {
        return Err(broken("not newest first"));
    }
    let mut lines = Vec::new();
    for message in messages.iter().rev() {
        let fields: &Map<String, Value> =
            message.as_object().ok_or_else(|| broken("an entry is no object"))?;
        let text =
            at(fields, "/components").and_then(|list| list.pointer("/0/data/text")).and_then(Value::as_str);
        let by = match message["type"].as_str() {
            Some("incoming") => By::Customer,
            Some("outgoing") => By::Bot,
            Some(_) | None => return Err(broken("an entry's type")),
        };
        message["createdOn"].as_str().ok_or_else(|| broken("an entry without createdOn"))?;
        lines.push(Line {
            by,
            text: text.ok_or_else(|| broken("an entry without text"))?.to_owned(),
            at_ms: message["timestampValue"].as_i64().unwrap_or(0),
            before: true,
            failed: None,
            files: Vec::new(),
        });
    }
    Ok(lines)
}
