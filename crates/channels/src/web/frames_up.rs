//! What a frame from the client means. Pure.
//!
//! The trap of this protocol: typing, receipts and the end of an agent chat come as frames with an `event` and an
//! **empty** message body, and keep-alives as frames of the message kind without a message. None of them is a line.

use interline_connector::channel::Mark;
use interline_core::FileId;
use interline_core::conversation::input::Scope;
use serde_json::Value;

use super::{files, ids};

/// What a client told.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Up {
    /// A line.
    Say {
        /// The client's own id of it: without one a repetition cannot be told.
        id: Option<String>,
        /// The client wrote its id as a text.
        quoted: bool,
        /// What the ack names.
        reply_to: Value,
        /// The words; empty only with files.
        text: String,
        /// The files, by id.
        files: Vec<FileId>,
    },
    /// An end.
    Ends {
        /// Of what.
        scope: Scope,
        /// The client's own id of it.
        id: Option<String>,
        /// What the ack names.
        reply_to: Value,
    },
    /// Typing, or no more.
    Typing(bool, Ack),
    /// A receipt for a line, or for everything shown so far.
    Reached(Option<String>, Mark, Ack),
    /// Nothing that concerns anybody.
    Nothing(Ack),
}

/// The ack that a frame wants, if it wants one.
pub(super) type Ack = Option<Value>;

/// Not a frame of this protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Garbage;

/// Reads a frame.
pub(super) fn parse(frame: &str) -> Result<Up, Garbage> {
    let frame: Value = serde_json::from_str(frame).map_err(|_| Garbage)?;
    if !frame.is_object() {
        return Err(Garbage);
    }
    match frame["type"].as_str() {
        Some("ping") => return Ok(Up::Nothing(None)),
        Some("ack") => return Ok(ack(&frame)),
        Some("text" | "message") | None => {}
        Some(_) => return Ok(Up::Nothing(None)),
    }
    if !frame["event"].is_null() {
        return Ok(event(&frame));
    }
    Ok(match frame["resourceid"].as_str() {
        Some("/bot.message") | None => line(&frame),
        Some("/bot.closeConversationSession") => ends(&frame, Scope::Conversation),
        Some("/bot.clientEvent") => client_event(&frame),
        Some(_) => Up::Nothing(None),
    })
}

fn line(frame: &Value) -> Up {
    let files = files::ids(&frame["message"]["attachments"]);
    let Some(body) = frame["message"]["body"].as_str().or((!files.is_empty()).then_some("")) else {
        // No message at all is a keep-alive; a message without words or files is acked and left at that.
        return Up::Nothing(frame["message"].is_object().then(|| reply_to(frame)));
    };
    let mut text = body.replace('\0', "");
    if text.trim().is_empty() {
        if files.is_empty() {
            return Up::Nothing(Some(reply_to(frame)));
        }
        text.clear();
    }
    let id = ids::client(&frame["clientMessageId"]);
    Up::Say { id, quoted: frame["clientMessageId"].is_string(), reply_to: reply_to(frame), text, files }
}

fn ends(frame: &Value, scope: Scope) -> Up {
    Up::Ends { scope, id: ids::client(&frame["clientMessageId"]), reply_to: reply_to(frame) }
}

/// The delivery ack that the client sends if it is configured to. Its `key` is the line's.
fn ack(frame: &Value) -> Up {
    match (frame["status"].as_str(), frame["key"].as_str()) {
        (Some("delivered") | None, Some(key)) => Up::Reached(Some(key.to_owned()), Mark::Delivered, None),
        _ => Up::Nothing(None),
    }
}

/// The events of the agent plug-in.
fn event(frame: &Value) -> Up {
    let line = frame["messageId"].as_str().map(str::to_owned);
    match frame["event"].as_str() {
        Some("typing") => Up::Typing(true, None),
        Some("stop_typing") => Up::Typing(false, None),
        Some("message_delivered") => Up::Reached(line, Mark::Delivered, None),
        // Without an id when the tab becomes visible again: everything on the screen.
        Some("message_read") => Up::Reached(line, Mark::Read, None),
        Some("close_agent_chat") => ends(frame, Scope::AgentChat),
        _ => Up::Nothing(None),
    }
}

/// The events of the documented API.
fn client_event(frame: &Value) -> Up {
    let event = &frame["preDefinedEvent"];
    let ack = Some(reply_to(frame));
    match event["type"].as_str() {
        Some("TYPING_STARTED") => Up::Typing(true, ack),
        Some("TYPING_STOPPED") => Up::Typing(false, ack),
        Some("MESSAGE_READ") => Up::Reached(event["id"].as_str().map(str::to_owned), Mark::Read, ack),
        _ => Up::Nothing(ack),
    }
}

/// What the ack names: the frame's `id`, else its `clientMessageId`.
fn reply_to(frame: &Value) -> Value {
    [&frame["id"], &frame["clientMessageId"]]
        .into_iter()
        .find(|id| id.is_number() || id.as_str().is_some_and(|id| id.len() <= 128))
        .cloned()
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn up(frame: Value) -> Up {
        parse(&frame.to_string()).expect("a frame")
    }

    #[test]
    fn a_line_as_the_client_sends_it() {
        let frame = json!({
            "clientMessageId": 1795329732228u64, "resourceid": "/bot.message",
            "message": { "body": "hel\0lo", "attachments": [] },
            "botInfo": { "chatBot": "Bot", "taskBotId": "st-1" }, "client": "sdk",
            "meta": { "timezone": "Etc/UTC", "locale": "en-US" }, "id": 1795329732228u64,
            "agentDesktopMeta": { "pagesVisited": [] },
        });
        let say = |id: Option<&str>, quoted, reply_to| Up::Say {
            id: id.map(Into::into),
            quoted,
            reply_to,
            text: "hello".into(),
            files: Vec::new(),
        };
        assert_eq!(up(frame), say(Some("1795329732228"), false, json!(1795329732228u64)));
        let retry = json!({ "clientMessageId": "17", "message": { "body": "hello" }, "id": "17" });
        assert_eq!(up(retry), say(Some("17"), true, json!("17")));
        // The `id` counts from 1 in every page: it is for the ack alone.
        let nameless = json!({ "message": { "body": "hello" }, "resourceid": "/bot.message", "id": 1 });
        assert_eq!(up(nameless), say(None, false, json!(1)));
    }

    #[test]
    fn nothing_of_this_is_a_line() {
        let none = [
            json!({ "type": "ping", "resourceid": "/bot.message", "id": 1 }),
            json!({ "type": "ping", "message": { "body": "smuggled" } }),
            json!({ "type": "novelty", "message": { "body": "smuggled" } }),
            json!({ "event": "novelty", "message": { "body": "smuggled" }, "resourceid": "/bot.message" }),
            json!({ "event": { "a": 1 }, "message": { "body": "smuggled" } }),
            json!({ "resourceid": "/bot.novelty", "message": { "body": "smuggled" } }),
            json!({ "resourceid": "/bot.message", "id": 4 }),
            json!({}),
        ];
        for frame in none {
            assert_eq!(up(frame.clone()), Up::Nothing(None), "{frame}");
        }
        let acked = [
            json!({ "message": { "body": " \n\0" }, "id": 4 }),
            json!({ "message": { "body": "" }, "id": 4 }),
            json!({ "message": { "body": { "text": "x" } }, "id": 4 }),
            json!({ "message": { "attachments": [{}] }, "id": 4 }),
            json!({ "resourceid": "/bot.clientEvent", "preDefinedEvent": { "type": "OTHER" }, "id": 4 }),
        ];
        for frame in acked {
            assert_eq!(up(frame.clone()), Up::Nothing(Some(json!(4))), "{frame}");
        }
    }

    #[test]
    fn events_of_the_plug_in() {
        let event = |event: &str| json!({ "event": event, "message": { "body": "", "type": "" }, "messageId": "ms-c-2", "clientMessageId": 5 });
        let line = Some("ms-c-2".to_owned());
        assert_eq!(up(event("typing")), Up::Typing(true, None));
        assert_eq!(up(event("stop_typing")), Up::Typing(false, None));
        assert_eq!(up(event("message_delivered")), Up::Reached(line.clone(), Mark::Delivered, None));
        assert_eq!(up(event("message_read")), Up::Reached(line, Mark::Read, None));
        assert_eq!(up(json!({ "event": "message_read" })), Up::Reached(None, Mark::Read, None));
        let end = |scope| Up::Ends { scope, id: Some("5".into()), reply_to: json!(5) };
        assert_eq!(up(event("close_agent_chat")), end(Scope::AgentChat));
        let close = json!({ "resourceid": "/bot.closeConversationSession", "clientMessageId": 5, "id": 5 });
        assert_eq!(up(close), end(Scope::Conversation));
    }

    #[test]
    fn events_of_the_api_and_acks() {
        let event = |kind: &str| json!({ "resourceid": "/bot.clientEvent", "preDefinedEvent": { "type": kind, "id": "ms-c-2" }, "id": 9 });
        assert_eq!(up(event("TYPING_STARTED")), Up::Typing(true, Some(json!(9))));
        assert_eq!(up(event("TYPING_STOPPED")), Up::Typing(false, Some(json!(9))));
        let line = Some("ms-c-2".to_owned());
        assert_eq!(up(event("MESSAGE_READ")), Up::Reached(line.clone(), Mark::Read, Some(json!(9))));
        let ack = json!({ "clientMessageId": 1, "type": "ack", "replyto": 1, "status": "delivered", "key": "ms-c-2", "id": 1 });
        assert_eq!(up(ack), Up::Reached(line, Mark::Delivered, None));
        assert_eq!(up(json!({ "type": "ack", "replyto": 1 })), Up::Nothing(None));
    }

    #[test]
    fn garbage_is_garbage() {
        let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
        for garbage in ["", "{", "null", "[]", "1", "\"x\"", "{\"a\":}", deep.as_str()] {
            assert_eq!(parse(garbage), Err(Garbage));
        }
    }
}
