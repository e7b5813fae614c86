//! The guests' socket: who may come in, and what each frame does.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use interline_connector::simulator::{By, Chat, ChatState, Fault, Line, OUTSIDE_HOURS, ShownFile};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::guest::{CLOSED, Office, Session, Side, frame};
use super::open::lock;
use super::{guest_files, new_id, shows_typing, time};

const LONGEST: usize = 4_096;
const ATTRIBUTES: usize = 2_048;
const BLOCKED: &[&str] = &[".exe", ".bat"];

type Sender = mpsc::UnboundedSender<Option<String>>;

pub(super) fn routes() -> Router<Arc<Office>> {
    Router::new().route("/v1", get(connect))
}

async fn connect(
    State(office): State<Arc<Office>>,
    Query(asked): Query<BTreeMap<String, String>>,
    headers: HeaderMap,
    upgrade: WebSocketUpgrade,
) -> Response {
    let origin = headers.get(header::ORIGIN).and_then(|origin| origin.to_str().ok());
    let deployment = asked.get("deploymentId") == Some(&office.settings.deployment_id);
    if !office.settings.active || !deployment || origin != Some(office.settings.origin.as_str()) {
        return (StatusCode::FORBIDDEN, "the domain or the deployment is not allowed").into_response();
    }
    if let Some(host) = headers.get(header::HOST).and_then(|host| host.to_str().ok()) {
        host.clone_into(&mut lock(&office.host));
    }
    upgrade.on_upgrade(move |socket| serve(office, socket))
}

async fn serve(office: Arc<Office>, mut socket: WebSocket) {
    let (tell, mut told) = mpsc::unbounded_channel::<Option<String>>();
    loop {
        tokio::select! {
            frame = told.recv() => match frame.flatten() {
                Some(text) => if socket.send(Message::Text(text.into())).await.is_err() {
                    return;
                },
                None => return,
            },
            heard = socket.recv() => match heard {
                Some(Ok(Message::Text(text))) => take(&office, &tell, &text).await,
                Some(Ok(_)) => {}
                _ => return,
            },
        }
    }
}

/// A frame under the faults that strike it.
async fn take(office: &Arc<Office>, tell: &Sender, text: &str) {
    let Ok(request) = serde_json::from_str::<Value>(text) else {
        answer(office, tell, string(400, "not JSON", &Value::Null));
        return;
    };
    lock(&office.frames).push((Side::Theirs, request.clone()));
    let faults = office.desk.faults().called(&name(office, &request));
    let tracing = &request["tracingId"];
    for fault in &faults {
        match fault {
            Fault::Latency { ms } => tokio::time::sleep(Duration::from_millis(*ms)).await,
            Fault::ErrorBefore { status: 429, retry_after } => {
                let after = retry_after.unwrap_or(1);
                let mut body = json!({
                    "name": "TooManyRequests", "message": "too many requests", "errorCode": 4029,
                    "errorMessage": "Message rate too high for this session", "retryAfter": after,
                });
                body["tracingId"] = tracing.clone();
                let mut told = frame("TooManyRequestsErrorMessage", body);
                (told["code"], told["tracingId"]) = (429.into(), tracing.clone());
                return answer(office, tell, told);
            }
            Fault::ErrorBefore { status, .. } => {
                return answer(office, tell, string(*status, "a scripted fault", tracing));
            }
            _ => {}
        }
    }
    // What is answered goes another way where a fault wants it.
    let (heard, mut answers) = mpsc::unbounded_channel();
    let spoils = faults.iter().any(|fault| !matches!(fault, Fault::Latency { .. }));
    handle(office, if spoils { &heard } else { tell }, &request).await;
    for fault in &faults {
        match fault {
            Fault::ErrorAfter { status } => {
                answer(office, tell, string(*status, "a scripted fault", tracing))
            }
            Fault::Garbage => drop(tell.send(Some("<html>{\"not\":".into()))),
            Fault::DropAfter => drop(tell.send(None)),
            _ => {}
        }
    }
    while let Ok(lost) = answers.try_recv() {
        drop::<Option<String>>(lost);
    }
}

/// What a rule's `on` is a part of.
fn name(office: &Office, request: &Value) -> String {
    let action = request["action"].as_str().unwrap_or_default();
    let events = &request["message"]["events"][0]["presence"]["type"];
    let kind = match (action, events.as_str()) {
        ("onMessage", Some("Clear")) => "close",
        ("onMessage", _) if request["message"]["type"] == "Event" => "event",
        ("onMessage", _) if has_chat(office, request) => "line",
        ("onMessage", _) => "open",
        _ => "",
    };
    format!("{action} {kind}")
}

fn has_chat(office: &Office, request: &Value) -> bool {
    lock(&office.sessions)
        .iter()
        .any(|session| request["token"] == session.token.as_str() && session.chat.is_some())
}

pub(super) fn answer(office: &Office, tell: &Sender, told: Value) {
    let _ = tell.send(Some(told.to_string()));
    lock(&office.frames).push((Side::Ours, told));
}

pub(super) fn string(code: u16, text: &str, tracing: &Value) -> Value {
    let mut told = json!({ "type": "response", "class": "string", "code": code, "body": text });
    if !tracing.is_null() {
        told["tracingId"] = tracing.clone();
    }
    told
}

async fn handle(office: &Arc<Office>, tell: &Sender, request: &Value) {
    let tracing = &request["tracingId"];
    let Some(token) = request["token"].as_str().filter(|token| token.len() == 36) else {
        return answer(office, tell, string(4020, "token is missing", tracing));
    };
    let action = request["action"].as_str().unwrap_or_default();
    if action == "configureSession" {
        return configure(office, tell, request, token);
    }
    let known = lock(&office.sessions).iter().any(|session| session.token == token);
    if !known {
        return answer(office, tell, string(4007, "Session not found", tracing));
    }
    match action {
        "onMessage" => on_message(office, tell, request, token),
        "onAttachment" => guest_files::on_attachment(office, tell, request, token),
        "getJwt" => {
            let jwt = lock(&office.sessions).iter().find(|it| it.token == token).map(|it| it.jwt.clone());
            let mut told = frame(
                "JwtResponse",
                json!({ "jwt": jwt, "exp": office.desk.clock().now_ms() / 1_000 + 300 }),
            );
            told["tracingId"] = tracing.clone();
            answer(office, tell, told);
        }
        "echo" => {
            let body = json!({ "id": new_id(), "type": "Text", "text": request["message"]["text"], "direction": "Inbound" });
            let mut told = frame("StructuredMessage", body);
            told["tracingId"] = tracing.clone();
            answer(office, tell, told);
        }
        "closeSession" => {
            answer(office, tell, frame("ConnectionClosedEvent", json!({ "reasonCode": "UserDisconnect" })));
            let _ = tell.send(None);
        }
        _ => answer(office, tell, string(400, "Request failed", tracing)),
    }
}

fn configure(office: &Office, tell: &Sender, request: &Value, token: &str) {
    let tracing = &request["tracingId"];
    if request["deploymentId"] != office.settings.deployment_id.as_str() {
        return answer(office, tell, string(401, "the deployment is not known", tracing));
    }
    let mut sessions = lock(&office.sessions);
    let known = sessions.iter_mut().find(|session| session.token == token);
    let is_new = known.is_none();
    let read_only = known.as_ref().is_some_and(|session| session.read_only);
    match known {
        Some(session) => session.sockets.push(tell.clone()),
        None => sessions.push(Session {
            token: token.to_owned(),
            jwt: format!("jwt-{}", new_id()),
            chat: None,
            sockets: vec![tell.clone()],
            read_only: false,
            agent: None,
            messages: Vec::new(),
            uploads: Vec::new(),
        }),
    }
    drop(sessions);
    let mut told = frame(
        "SessionResponse",
        json!({
            "connected": true, "newSession": is_new, "readOnly": read_only, "maxCustomDataBytes": ATTRIBUTES,
            "allowedMedia": { "inbound": { "fileTypes": [{ "type": "*/*" }], "maxFileSizeKB": office.settings.max_file_kb } },
            "blockedExtensions": BLOCKED, "clearedExistingSession": false, "durationSeconds": 259_200,
            "expirationDate": office.desk.clock().now_ms() / 1_000 + 259_200,
        }),
    );
    told["tracingId"] = tracing.clone();
    answer(office, tell, told);
}

fn on_message(office: &Arc<Office>, tell: &Sender, request: &Value, token: &str) {
    let (tracing, message) = (&request["tracingId"], &request["message"]);
    let refuse = |code, text: &str| answer(office, tell, string(code, text, tracing));
    if request["time"].as_str().is_none_or(|time| time.parse::<jiff::Timestamp>().is_err()) {
        return refuse(4020, "time is missing");
    }
    let read_only = lock(&office.sessions).iter().any(|session| session.token == token && session.read_only);
    if read_only {
        return refuse(403, "the session is read only");
    }
    if message["type"] == "Event" {
        return on_event(office, tell, request, token);
    }
    let text = message["text"].as_str().unwrap_or_default();
    let attributes = &message["channel"]["metadata"]["customAttributes"];
    let bytes: usize = attributes
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, value)| name.len() + value.as_str().unwrap_or_default().len())
        .sum();
    match message["type"].as_str() {
        Some("Text") if text.chars().count() > LONGEST => return refuse(4011, "the message is too long"),
        Some("Text") if bytes > ATTRIBUTES => {
            return refuse(4013, "Custom Attributes in channel metadata is larger than 2048 bytes");
        }
        Some("Text") => {}
        _ => return refuse(4003, "the content is not valid"),
    }
    let files = match guest_files::attached(office, token, message) {
        Ok(files) => files,
        Err((code, why)) => return refuse(code, why),
    };
    if text.trim().is_empty() && files.is_empty() {
        return refuse(4003, "there is nothing in the message");
    }
    said(office, tell, request, token, files);
}

/// A line of the guest's: the first one opens the chat.
fn said(office: &Arc<Office>, tell: &Sender, request: &Value, token: &str, files: Vec<ShownFile>) {
    let message = &request["message"];
    let text = message["text"].as_str().unwrap_or_default();
    let opens = !has_chat(office, request);
    let chat = open(office, token, message);
    let id = new_id();
    let mut line = Line::new(By::Customer, text).with_id(&id);
    (line.before, line.files) = (opens, files);
    let mut body = json!({
        "id": id, "type": "Text", "text": text, "direction": "Inbound",
        "channel": { "time": time(office.desk.clock().now_ms()), "messageId": id, "type": "Private" },
        "metadata": if message["metadata"].is_object() { message["metadata"].clone() } else { json!({}) },
    });
    if let Some(content) = message["content"].as_array().filter(|content| !content.is_empty()) {
        let shown = |one: &Value| {
            let mut one = one.clone();
            one["attachment"]["mediaType"] = "File".into();
            one
        };
        body["content"] = content.iter().map(shown).collect::<Vec<_>>().into();
    }
    office.with(&chat, |session| session.messages.push(body.clone()));
    office.desk.line(&chat, line);
    office.desk.change(&chat, |chat| chat.typing = false);
    let mut told = frame("StructuredMessage", body);
    told["tracingId"] = request["tracingId"].clone();
    answer(office, tell, told);
    if opens && office.desk.faults().special(OUTSIDE_HOURS) {
        office.say(&chat, &new_id(), None, CLOSED, Vec::new());
        office.hang_up(&chat);
    }
}

/// The chat of a session; a new one where there is none.
fn open(office: &Office, token: &str, message: &Value) -> String {
    let mut sessions = lock(&office.sessions);
    let Some(session) = sessions.iter_mut().find(|session| session.token == token) else {
        return String::new();
    };
    if let Some(chat) = &session.chat {
        return chat.clone();
    }
    let mut chat = Chat::waiting(new_id(), "Guest");
    let attributes =
        message["channel"]["metadata"]["customAttributes"].as_object().cloned().unwrap_or_default();
    for (name, value) in attributes {
        let value = value.as_str().unwrap_or_default().to_owned();
        match name.as_str() {
            "transcriptUrl" => chat.transcript = Some(value.clone()),
            "customerName" => chat.title.clone_from(&value),
            _ => {}
        }
        chat.context.push((name, value));
    }
    let id = chat.id.clone();
    session.chat = Some(id.clone());
    office.desk.open(chat);
    id
}

fn on_event(office: &Arc<Office>, tell: &Sender, request: &Value, token: &str) {
    let tracing = &request["tracingId"];
    let event = &request["message"]["events"][0];
    let chat = lock(&office.sessions)
        .iter()
        .find(|session| session.token == token)
        .and_then(|session| session.chat.clone());
    match (event["eventType"].as_str(), event["presence"]["type"].as_str()) {
        (Some("Typing"), _) if !office.settings.typing => {
            answer(office, tell, string(403, "Typing indicator is disabled", tracing));
        }
        (Some("Typing"), _) => {
            if let Some(chat) = chat {
                shows_typing(&office.desk, &chat);
            }
        }
        (Some("Presence"), Some("Join")) => {
            open(office, token, &request["message"]);
        }
        (Some("Presence"), Some("Clear")) if !office.settings.clear => {
            answer(office, tell, string(403, "Conversation Clear is disabled", tracing));
        }
        (Some("Presence"), Some("Clear")) => {
            chat.iter().for_each(|chat| office.desk.state(chat, ChatState::Over));
            answer(office, tell, frame("SessionClearedEvent", json!({})));
            answer(office, tell, frame("ConnectionClosedEvent", json!({ "reasonCode": "SessionCleared" })));
            let _ = tell.send(None);
            lock(&office.sessions).retain(|session| session.token != token);
        }
        _ => answer(office, tell, string(400, "Request failed", tracing)),
    }
}

/// What is allowed in.
pub(super) fn is_blocked(name: &str) -> bool {
    BLOCKED.iter().any(|ending| name.to_lowercase().ends_with(ending))
}
