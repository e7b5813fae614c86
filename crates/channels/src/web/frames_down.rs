//! The frames for a client. Pure.
//!
//! Two generations of the client listen for different events (10.x `agent_connected`, 11.x `agent_session_active`, and
//! so on): both are sent, and each ignores the other's. A frame of type `events` always has a `message`: the agent
//! plug-in of 10.x reads it without a guard.

use interline_connector::channel::{Line, Mark, Phase};
use interline_core::conversation::entry::Text;
use interline_core::{Body, Speaker};
use serde_json::{Map, Value, json};

use super::ids;
use super::login::iso;

/// What frames say beside the line.
#[derive(Debug, Clone, Copy)]
pub(super) struct View<'a> {
    /// The app.
    pub app: &'a str,
    /// The bot's name.
    pub bot: &'a str,
    /// The bot's picture, or empty.
    pub icon: &'a str,
    /// The text for a place in the queue, or empty.
    pub queued: &'a str,
}

/// The frames for a line of the log; none if the client has nothing to show for it.
/// `attachments` are those of the line, as the wire has them.
pub(super) fn line(view: View<'_>, line: &Line, attachments: Vec<Value>) -> Vec<Value> {
    let mut frames = bare(view, line);
    if let Some(frame) = frames.first_mut().filter(|_| !attachments.is_empty()) {
        match frame["message"].as_object_mut() {
            Some(message) => drop(message.insert("attachments".into(), attachments.into())),
            // The message of an answer is a list of parts.
            None => frame["attachments"] = attachments.into(),
        }
    }
    frames
}

fn bare(view: View<'_>, line: &Line) -> Vec<Value> {
    let event = |kind: &str, author: Value| agent_event(view, line, kind, author);
    match &line.entry.body {
        Body::Text(text) => vec![match &line.entry.by {
            Speaker::Customer => user_message(view, line, text),
            Speaker::Agent { name } => from_person(view, line, text, name.as_deref()),
            // A person of ours with a name is shown as the agent is; one without speaks in the bot's name.
            Speaker::Operator { name: Some(name) } => from_person(view, line, text, Some(name)),
            Speaker::Bot | Speaker::Operator { name: None } | Speaker::System => response(view, line, text),
        }],
        Body::Queued { position } if !view.queued.is_empty() => {
            let text = view.queued.replace("{position}", &position.to_string());
            vec![response(view, line, &Text::plain(text))]
        }
        Body::Queued { .. } => Vec::new(),
        Body::Opened => vec![
            session_event(view, line, "session_start"),
            session_event(view, line, "Session_Start"),
            session_event(view, line, "bot_active"),
            session_event(view, line, "Bot_Active"),
        ],
        Body::AgentJoined { name } => vec![
            event("agent_connected", author(name.as_deref())),
            event("agent_session_active", author(name.as_deref())),
            session_event(view, line, "agent_session_start"),
        ],
        Body::AgentLeft => vec![
            event("agent_disconnected", Value::Null),
            event("agent_session_inactive", Value::Null),
            session_event(view, line, "agent_session_end"),
            session_event(view, line, "bot_active"),
            session_event(view, line, "Bot_Active"),
        ],
        Body::Closed => vec![session_event(view, line, "session_end")],
        Body::Open
        | Body::Close { .. }
        | Body::ReturnPackage(_)
        | Body::TurnDone(_)
        | Body::Voice(_)
        | Body::Work { .. }
        | Body::Note(_) => Vec::new(),
    }
}

/// A human agent is there already, for a page that is opened in the middle of a human part.
pub(super) fn agent_is_here(view: View<'_>) -> [Value; 2] {
    ["agent_connected", "agent_session_active"].map(|kind| {
        let message = json!({ "type": kind, "author": { "type": "AGENT", "firstName": "", "lastName": "" } });
        json!({ "type": "events", "from": "bot", "message": message, "botInfo": bot_info(view) })
    })
}

/// The ack of a frame.
pub(super) fn ack(reply_to: &Value) -> Value {
    json!({ "ok": true, "replyto": reply_to, "message": "delivered", "type": "ack" })
}

/// The agent is typing, or stopped.
pub(super) fn agent_typing(view: View<'_>, on: bool) -> Value {
    let kind = if on { "typing" } else { "stoptyping" };
    json!({
        "type": "events", "from": "bot", "botInfo": bot_info(view),
        "message": { "type": kind, "author": { "type": "AGENT" } },
    })
}

/// The agent's side has one of the user's lines.
pub(super) fn receipt(view: View<'_>, client_id: &Value, mark: Mark) -> Value {
    let kind = match mark {
        Mark::Delivered => "message_delivered",
        Mark::Read => "message_read",
    };
    json!({
        "type": "events", "from": "bot", "botInfo": bot_info(view),
        "message": { "type": kind, "clientMessageId": client_id },
    })
}

/// Who the customer talks to, for our own widget. With the bot's name and picture, because it comes first.
pub(super) fn phase(view: View<'_>, phase: &Phase) -> Value {
    let mut frame = json!({ "type": "phase", "from": "bot", "botInfo": bot_info(view), "icon": view.icon });
    frame["phase"] = match phase {
        Phase::Closed => "closed",
        Phase::Bot => "bot",
        Phase::Waiting { position } => {
            if let Some(position) = position {
                frame["position"] = (*position).into();
            }
            "waiting"
        }
        Phase::Agent { name } => {
            if let Some(name) = name {
                frame["agent"] = name.as_str().into();
            }
            "agent"
        }
    }
    .into();
    frame
}

/// A frame of our own widget that was not accepted. `again`: the same one may be accepted later.
pub(super) fn refused(reply_to: &Value, text: &str, again: bool) -> Value {
    json!({ "ok": false, "replyto": reply_to, "message": text, "again": again, "type": "refused" })
}

/// A text to the user that is no line of the log.
pub(super) fn aside(view: View<'_>, text: &str, now_ms: i64) -> Value {
    let id = ids::unlogged();
    json!({
        "type": "bot_response", "from": "bot",
        "message": [text_part(text)],
        "messageId": id, "key": id, "traceId": id,
        "botInfo": bot_info(view), "icon": view.icon,
        "createdOn": iso(now_ms), "timestamp": now_ms,
    })
}

/// A text as the client is to be given it. It takes a text for HTML (and some Markdown) and would swallow what looks
/// like a tag or an entity; so those, and only those, are escaped, and everything else stays as it was said.
pub(super) fn shown(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let next = chars.peek().copied().unwrap_or(' ');
        match c {
            '&' if next.is_ascii_alphanumeric() || next == '#' => shown.push_str("&amp;"),
            '<' if next.is_ascii_alphabetic() || matches!(next, '/' | '!' | '?') => shown.push_str("&lt;"),
            _ => shown.push(c),
        }
    }
    shown
}

/// A message template as a component of this protocol: `{"type":"template","payload":{"template_type":…}}`, given
/// whole or only its payload. None: not a template.
pub(super) fn template(rich: &Value) -> Option<Value> {
    let payload = if rich["payload"].is_object() { &rich["payload"] } else { rich };
    payload["template_type"].as_str()?;
    let kind = rich["type"].as_str().unwrap_or("template");
    Some(json!({ "type": kind, "payload": payload }))
}

/// First and last name of a speaker.
pub(super) fn names(name: Option<&str>) -> (&str, &str) {
    let name = name.unwrap_or_default().trim();
    name.split_once(' ').map_or((name, ""), |(first, last)| (first, last.trim()))
}

fn bot_info(view: View<'_>) -> Value {
    json!({ "chatBot": view.bot, "taskBotId": view.app })
}

fn author(name: Option<&str>) -> Value {
    let (first, last) = names(name);
    json!({ "type": "AGENT", "firstName": first, "lastName": last })
}

/// What every frame about an entry carries.
fn frame(view: View<'_>, line: &Line, kind: &str) -> Map<String, Value> {
    let id = ids::message(&line.conversation, line.entry.seq);
    let mut frame = Map::new();
    frame.insert("type".into(), kind.into());
    frame.insert("from".into(), "bot".into());
    frame.insert("botInfo".into(), bot_info(view));
    frame.insert("sessionId".into(), line.conversation.as_str().into());
    frame.insert("traceId".into(), id.into());
    frame.insert("timestamp".into(), line.entry.at.0.into());
    frame
}

fn text_part(text: &str) -> Value {
    let text = shown(text);
    json!({
        "type": "text",
        "cInfo": { "body": text },
        "component": { "type": "text", "payload": { "text": text } },
    })
}

/// A part with a template. The client takes a payload that has a `text` as it is, and parses one that is a JSON text;
/// an object without `text` it would unwrap once too often.
fn template_part(text: &str, template: Value) -> Value {
    let whole = template["payload"]["text"].as_str().is_some_and(|text| !text.is_empty());
    let component =
        if whole { template } else { json!({ "type": template["type"], "payload": template.to_string() }) };
    json!({ "type": "text", "cInfo": { "body": shown(text) }, "component": component })
}

fn response(view: View<'_>, line: &Line, text: &Text) -> Value {
    let part = match text.rich.as_ref().and_then(template) {
        Some(template) => template_part(&text.text, template),
        None => text_part(&text.text),
    };
    let mut frame = frame(view, line, "bot_response");
    let id = frame["traceId"].clone();
    frame.insert("message".into(), json!([part]));
    frame.insert("messageId".into(), id.clone());
    frame.insert("key".into(), id);
    frame.insert("icon".into(), view.icon.into());
    frame.insert("createdOn".into(), iso(line.entry.at.0).into());
    frame.into()
}

fn from_person(view: View<'_>, line: &Line, text: &Text, name: Option<&str>) -> Value {
    let mut frame = response(view, line, text);
    if text.rich.as_ref().and_then(template).is_none() {
        let payload = json!({ "template_type": "live_agent", "text": shown(&text.text) });
        frame["message"][0]["component"] = json!({ "type": "template", "payload": payload });
    }
    frame["author"] = author(name);
    frame["enableLiveChatMetaData"] = true.into();
    frame["agent_MessageId"] = frame["messageId"].clone();
    frame
}

/// A line that the customer wrote in another tab.
fn user_message(view: View<'_>, line: &Line, text: &Text) -> Value {
    let client_id = text.client_id.as_deref().map(|id| ids::untagged(id).0);
    // The client takes the id for the time of the line, too.
    let id = match client_id.map(|id| ids::to_client(id, false)) {
        Some(Value::Number(id)) => Value::Number(id),
        _ => line.entry.at.0.into(),
    };
    let mut frame = frame(view, line, "user_message");
    frame.insert("from".into(), "self".into());
    frame.insert("message".into(), json!({ "body": shown(&text.text), "attachments": [] }));
    frame.insert("id".into(), id);
    frame.insert("createdOn".into(), iso(line.entry.at.0).into());
    frame.into()
}

fn agent_event(view: View<'_>, line: &Line, kind: &str, author: Value) -> Value {
    let mut frame = frame(view, line, "events");
    let mut message = json!({ "type": kind });
    if !author.is_null() {
        message["author"] = author;
    }
    frame.insert("message".into(), message);
    frame.into()
}

/// The documented names are in lower case, the 11.x client listens for two of them in capitals.
fn session_event(view: View<'_>, line: &Line, kind: &str) -> Value {
    let mut frame = frame(view, line, kind);
    if kind.starts_with(char::is_uppercase) {
        let info = json!({ "isActive": true, "sessionId": line.conversation.as_str() });
        frame.insert("recentSessionInfo".into(), info);
    }
    frame.into()
}

#[cfg(test)]
#[path = "frames_down_tests.rs"]
mod tests;
