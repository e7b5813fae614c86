//! What the program gets.

use interline_connector::channel::{Host, Line};
use interline_connector::files::human_size;
use interline_core::conversation::entry::Text;
use interline_core::flow::Expects;
use interline_core::{AppId, Body, ConversationId, Entry, File};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::times::iso;
use crate::turns::Turn;

/// The answer of a turn. `poll`: where what comes later can be had.
pub(super) fn turn(host: &dyn Host, turn: &Turn, app: &AppId, to: &str, poll: Option<&str>) -> Value {
    let mut answer = json!({ "to": to, "from": app, "data": data(host, app, &turn.lines), "_v": "v2" });
    let over = ends_task(turn.expects.as_ref());
    answer["endOfTask"] = Value::from(over);
    if over {
        answer["endReason"] = Value::from("Fulfilled");
    }
    if let Some(poll) = poll {
        answer["pollId"] = Value::from(poll);
    }
    answer
}

/// Whether the flow has come to an end: it is over, or listens for anything.
fn ends_task(expects: Option<&Expects>) -> bool {
    match expects {
        Some(Expects::End | Expects::HandedOff(_)) => true,
        Some(Expects::Input(asks)) => asks.node.is_none(),
        Some(Expects::Nothing) | None => false,
    }
}

/// What is said, line by line.
pub(super) fn data(host: &dyn Host, app: &AppId, lines: &[Line]) -> Vec<Value> {
    let said = lines.iter().filter_map(|told| {
        let Body::Text(text) = &told.entry.body else { return None };
        let files: Vec<String> = text.files.iter().map(|file| in_words(host, app, file)).collect();
        Some(line(&told.entry, &told.conversation, text, &files))
    });
    said.collect()
}

/// A line that is said. Files are links in its words.
pub(super) fn line(entry: &Entry, conversation: &ConversationId, text: &Text, files: &[String]) -> Value {
    let (kind, val) = match &text.rich {
        Some(rich) => ("template", rich.clone()),
        None => {
            let words = std::iter::once(&text.text).filter(|words| !words.is_empty()).chain(files);
            ("text", Value::from(words.map(String::as_str).collect::<Vec<_>>().join("\n")))
        }
    };
    json!({
        "type": kind,
        "val": val,
        "createdOn": iso(entry.at.0),
        "messageId": format!("{conversation}-{}", entry.seq),
    })
}

fn in_words(host: &dyn Host, app: &AppId, file: &File) -> String {
    format!("{} ({}): {}", file.name, human_size(file.size), host.files().link(app, &file.id))
}

/// A request in asynchronous mode: what comes of it is posted.
pub(super) fn accepted() -> Value {
    json!({ "status": "ok", "_v": "v2", "traceId": Uuid::new_v4().simple().to_string() })
}

/// What became of closing a conversation.
pub(super) fn closure(closed: bool) -> Value {
    let (kind, description) = if closed {
        ("SESSION_CLOSURE_SUCCESS", "The session was closed.")
    } else {
        ("SESSION_CLOSURE_IGNORED", "There was no open session.")
    };
    let event =
        json!({ "type": "event", "val": "SESSION_CLOSURE", "eventType": kind, "description": description });
    json!({ "data": [event], "_v": "v2" })
}
