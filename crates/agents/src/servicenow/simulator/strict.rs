//! What a request to the bot integration API must look like. The vendor finds most of it out later and says nothing.

use serde_json::Value;

/// Every field that is documented.
const FIELDS: [&str; 19] = [
    "requestId",
    "clientSessionId",
    "userId",
    "emailId",
    "action",
    "message",
    "botToBot",
    "contextVariables",
    "clientVariables",
    "history",
    "silentMessage",
    "timestamp",
    "timezone",
    "topic",
    "intent",
    "appInboundId",
    "cause",
    "enterpriseId",
    "token",
];

/// The actions, and since which version of the app.
const ACTIONS: [(&str, u8); 12] = [
    ("AGENT", 3),
    ("START_CONVERSATION", 3),
    ("END_CONVERSATION", 3),
    ("SWITCH", 3),
    ("SET_USER_TIMEZONE", 3),
    ("TYPING", 3),
    ("VIEWING", 3),
    ("CREATE_CONVERSATION", 4),
    ("START_CREATED_CONVERSATION", 4),
    ("FAULT_CONVERSATION", 4),
    ("SEND_HISTORY", 4),
    ("UPDATE_MESSAGES", 4),
];

/// What is wrong with a request.
pub(super) fn wrong(request: &Value, version: u8) -> Result<(), String> {
    let fields = request.as_object().ok_or("it is no object")?;
    if let Some(unknown) = fields.keys().find(|name| !FIELDS.contains(&name.as_str())) {
        return Err(format!("there is no field {unknown}"));
    }
    for name in ["requestId", "userId"] {
        if request[name].as_str().is_none_or(str::is_empty) {
            return Err(format!("{name} is missing"));
        }
    }
    for name in ["clientSessionId", "emailId", "timezone", "appInboundId", "token"] {
        if fields.get(name).is_some_and(|value| !value.is_string()) {
            return Err(format!("{name} is no text"));
        }
    }
    if fields.get("timestamp").is_some_and(|value| !value.is_i64()) {
        return Err("timestamp is no number".into());
    }
    if fields.get("botToBot").is_some_and(|value| !value.is_boolean()) {
        return Err("botToBot is neither true nor false".into());
    }
    if fields.get("contextVariables").is_some_and(|all| !is_texts(all)) {
        return Err("contextVariables is no object of texts".into());
    }
    history(fields.get("history"))?;
    message(request, action(request, version)?)
}

fn action(request: &Value, version: u8) -> Result<Option<&str>, String> {
    let Some(action) = request.get("action") else { return Ok(None) };
    let action = action.as_str().ok_or("action is no text")?;
    match ACTIONS.iter().find(|(known, _)| *known == action) {
        Some((_, since)) if *since <= version => Ok(Some(action)),
        Some(_) => Err(format!("{action} is not known to this version of the app")),
        None => Err(format!("there is no action {action}")),
    }
}

fn is_texts(all: &Value) -> bool {
    all.as_object().is_some_and(|all| all.values().all(Value::is_string))
}

fn history(history: Option<&Value>) -> Result<(), String> {
    let Some(history) = history else { return Ok(()) };
    let lines = history.as_array().ok_or("history is no list")?;
    let is_stamp = |text: &str| text.len() == 13 && text.bytes().all(|byte| byte.is_ascii_digit());
    let good = |line: &Value| {
        line["isBotMessage"].is_boolean()
            && line["value"].is_string()
            && line["displayName"].is_string()
            && line["type"] == "text"
            && line["timestamp"].as_str().is_some_and(is_stamp)
    };
    if lines.iter().all(good) { Ok(()) } else { Err("a line of history is incomplete".into()) }
}

fn message(request: &Value, action: Option<&str>) -> Result<(), String> {
    let message = &request["message"];
    match action {
        Some("TYPING" | "VIEWING" | "SEND_HISTORY" | "FAULT_CONVERSATION" | "START_CREATED_CONVERSATION") => {
            Ok(())
        }
        Some("UPDATE_MESSAGES") => {
            let good = |mark: &Value| {
                mark["id"].is_string()
                    && matches!(mark["status"].as_str(), Some("sent_to_user" | "external_error"))
            };
            let marks = message.as_array().filter(|marks| !marks.is_empty() && marks.iter().all(good));
            marks.map(|_| ()).ok_or_else(|| "message is no list of marks".into())
        }
        Some("END_CONVERSATION") if message["text"] != "" => Err("the text of an end must be empty".into()),
        _ => words(message),
    }
}

fn words(message: &Value) -> Result<(), String> {
    let attachment = &message["attachment"];
    if !message.is_object() {
        return Err("message is no object".into());
    }
    if !attachment.is_null() {
        let fields = ["clientAttachmentId", "contentType", "fileName", "url"];
        if !fields.iter().all(|name| attachment[*name].as_str().is_some_and(|text| !text.is_empty())) {
            return Err("an attachment is incomplete".into());
        }
    } else if !message["text"].is_string() {
        return Err("a message has no text".into());
    }
    if message.get("typed").is_some_and(|typed| !typed.is_boolean()) {
        return Err("typed is neither true nor false".into());
    }
    Ok(())
}
