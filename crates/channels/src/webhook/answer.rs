//! What the program gets.

use interline_connector::channel::Line;
use interline_core::Body;
use interline_core::flow::Expects;
use serde_json::{Value, json};

use crate::times::iso;
use crate::turns::Turn;

/// The answer of a turn. `poll`: where what comes later can be had.
pub(super) fn turn(turn: &Turn, app: &str, to: &str, poll: Option<&str>) -> Value {
    let mut answer = json!({ "to": to, "from": app, "data": data(&turn.lines), "_v": "v2" });
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
pub(super) fn data(lines: &[Line]) -> Vec<Value> {
    lines.iter().filter_map(line).collect()
}

fn line(line: &Line) -> Option<Value> {
    let Body::Text(text) = &line.entry.body else { return None };
    let (kind, val) = match &text.rich {
        Some(rich) => ("template", rich.clone()),
        None => ("text", Value::from(text.text.as_str())),
    };
    Some(json!({
        "type": kind,
        "val": val,
        "createdOn": iso(line.entry.at.0),
        "messageId": format!("{}-{}", line.conversation, line.entry.seq),
    }))
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
