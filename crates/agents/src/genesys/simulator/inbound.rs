//! What comes in for the agents: checked as strictly as the fact sheet allows, then done.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse as _, Response};
use interline_connector::simulator::{By, Chat, Line, OUTSIDE_HOURS, ShownFile};
use serde_json::{Value, json};

use super::conversation::{Conversation, Party};
use super::gate::{bad, not_found};
use super::open::{Org, lock};
use super::{RESULT, new_id, queue_id, shows_typing};

/// Agents' lines may have so many characters; the stand-in holds the customers' to the same.
const LONGEST: usize = 2_000;
/// The attributes of a message, in bytes.
const ATTRIBUTES: usize = 2_048;

type Attributes = BTreeMap<String, String>;

/// `POST …/inbound/open/message`.
pub(super) async fn message(
    State(org): State<Arc<Org>>,
    Path(integration): Path<String>,
    Query(asked): Query<BTreeMap<String, String>>,
    Json(body): Json<Value>,
) -> Response {
    if integration != org.settings.integration_id {
        return not_found("the integration");
    }
    let attributes = match check(&body) {
        Ok(attributes) => attributes,
        Err(why) => return bad(&why),
    };
    let (from, text) = (&body["channel"]["from"], body["text"].as_str().unwrap_or_default());
    let sender = from["id"].as_str().unwrap_or_default();
    let known = lock(&org.conversations)
        .iter()
        .find(|known| known.from == sender && known.is_open())
        .map(|known| known.id.clone());
    let opens = known.is_none();
    let id = known.unwrap_or_else(|| open(&org, from, &attributes));
    let mut line = Line::new(By::Customer, text).with_id(new_id());
    line.before = opens;
    let attached: Vec<ShownFile> = files(&body).collect();
    line.files.clone_from(&attached);
    let provider_id = body["channel"]["messageId"].as_str().unwrap_or_default();
    let now = org.now();
    let message = line.id.clone();
    let _ = org.change(&id, |conversation| conversation.add_message(&line, provider_id, true, now)).await;
    let place = org.desk.line(&id, line);
    org.desk.change(&id, |chat| chat.typing = false);
    fetch(&org, &id, place, attached);
    if opens {
        let (org, id) = (org.clone(), id.clone());
        let queue = attributes.get("QueueName").cloned().unwrap_or_else(|| "Support".into());
        tokio::spawn(async move { flow(&org, &id, &queue).await });
    }
    if org.desk.faults().special("receipt_failed") {
        let (org, id, message) = (org.clone(), id.clone(), message.clone());
        tokio::spawn(async move {
            org.tell_receipt(&id, &message.unwrap_or_default(), "Failed", Some("ServerError")).await
        });
    }
    answer(
        &body,
        message,
        (asked.get("prefetchConversationId").map(String::as_str) == Some("true")).then_some(id),
    )
}

fn answer(body: &Value, message: Option<String>, conversation: Option<String>) -> Response {
    let mut told = json!({ "id": message, "type": "Text", "channel": echoed(body) });
    for part in ["text", "metadata"] {
        if !body[part].is_null() {
            told[part] = body[part].clone();
        }
    }
    if let Some(conversation) = conversation {
        told["conversationId"] = conversation.into();
    }
    Json(told).into_response()
}

fn echoed(body: &Value) -> Value {
    let mut channel = json!({ "platform": "Open", "type": "Private" });
    for part in ["messageId", "from", "to", "time"] {
        if !body["channel"][part].is_null() {
            channel[part] = body["channel"][part].clone();
        }
    }
    channel
}

/// What the vendor's machine does with attachments: it fetches them from where they are said to be.
fn fetch(org: &Arc<Org>, chat: &str, place: Option<usize>, files: Vec<ShownFile>) {
    let Some(place) = place else { return };
    for file in files {
        let (org, chat) = (org.clone(), chat.to_owned());
        tokio::spawn(async move { org.desk.fetch(&chat, place, &file.url, Default::default()).await });
    }
}

fn files(body: &Value) -> impl Iterator<Item = ShownFile> + '_ {
    body["content"].as_array().into_iter().flatten().map(|one| {
        let attachment = &one["attachment"];
        let text = |name: &str| attachment[name].as_str().unwrap_or_default();
        ShownFile::at(text("filename"), text("url"))
    })
}

/// A new conversation: the customer, and the flow that looks after it.
fn open(org: &Org, from: &Value, attributes: &Attributes) -> String {
    let now = org.now();
    let name = from["nickname"].as_str().or(from["id"].as_str()).unwrap_or_default();
    let mut customer = Party::new("customer", name, now);
    let mut chat = Chat::waiting(new_id(), name);
    chat.visitor = from["id"].as_str().unwrap_or_default().to_owned();
    for part in ["firstName", "lastName", "email"] {
        if let Some(value) = from[part].as_str() {
            chat.context.push((part.to_owned(), value.to_owned()));
        }
    }
    if org.settings.takes_attributes {
        customer.attributes.clone_from(attributes);
        chat.transcript = attributes.get("transcriptUrl").cloned();
        chat.context.extend(attributes.clone());
    }
    let conversation = Conversation {
        id: chat.id.clone(),
        from: chat.visitor.clone(),
        participants: vec![customer, Party::new("workflow", "Interline inbound", now)],
        messages: Vec::new(),
    };
    let id = chat.id.clone();
    lock(&org.conversations).push(conversation);
    org.desk.open(chat);
    id
}

/// The inbound message flow: into the queue, or away outside working hours.
async fn flow(org: &Org, id: &str, queue: &str) {
    if org.desk.faults().special(OUTSIDE_HOURS) {
        let _ = org.tell_message(id, &new_id(), "We are closed.", Vec::new()).await;
        let set = |conversation: &mut Conversation| {
            if let Some(customer) = conversation.customer() {
                customer.attributes.insert(RESULT.to_owned(), "OutsideHours".to_owned());
            }
        };
        if org.change(id, set).await.is_ok() {
            let _ = org.hang_up(id, "system").await;
        }
        return;
    }
    let now = org.now();
    let mut acd = Party::new("acd", queue, now);
    acd.queue = Some(queue_id(queue));
    let _ = org
        .change(id, |conversation| {
            // An agent who was quicker took it from the flow.
            if conversation.agent().is_none() {
                conversation.end(&["workflow"], now, "transfer");
                conversation.participants.push(acd);
            }
        })
        .await;
}

/// `POST …/inbound/open/event`.
pub(super) async fn event(
    State(org): State<Arc<Org>>,
    Path(integration): Path<String>,
    Json(body): Json<Value>,
) -> Response {
    if integration != org.settings.integration_id {
        return not_found("the integration");
    }
    let events = body["events"].as_array().map(Vec::as_slice).unwrap_or_default();
    if events.len() != 1 || events.iter().any(|event| event["eventType"] != "Typing") {
        return bad("events: one Typing is expected");
    }
    if let Err(why) = check_from(&body["channel"]) {
        return bad(&why);
    }
    let from = body["channel"]["from"]["id"].as_str().unwrap_or_default();
    let chat = lock(&org.conversations)
        .iter()
        .find(|known| known.from == from && known.is_open())
        .map(|known| known.id.clone());
    if let Some(chat) = chat {
        shows_typing(&org.desk, &chat);
    }
    Json(json!({ "id": new_id(), "type": "Event", "channel": echoed(&body), "events": [{ "eventType": "Typing" }] })).into_response()
}

/// `POST …/inbound/open/receipt`.
pub(super) async fn receipt(
    State(org): State<Arc<Org>>,
    Path(integration): Path<String>,
    Json(body): Json<Value>,
) -> Response {
    if integration != org.settings.integration_id {
        return not_found("the integration");
    }
    let (id, status) = (body["id"].as_str().unwrap_or_default(), body["status"].as_str().unwrap_or_default());
    if !matches!(status, "Delivered" | "Failed") {
        return bad("status: Delivered or Failed");
    }
    if body["channel"]["to"]["id"].as_str().is_none_or(str::is_empty) || !is_time(&body["channel"]["time"]) {
        return bad("channel.to.id and channel.time are required");
    }
    let chat = lock(&org.conversations)
        .iter()
        .find(|known| known.messages.iter().any(|message| message.id == id && !message.inbound))
        .map(|known| known.id.clone());
    let Some(chat) = chat else { return not_found("the message") };
    if status == "Delivered" {
        org.desk.mark(&chat, id, false);
    }
    let told = json!({ "id": id, "type": "Receipt", "channel": echoed(&body), "status": status, "isFinalReceipt": true, "direction": "Outbound" });
    Json(told).into_response()
}

/// What a message must have. Gives its attributes.
fn check(body: &Value) -> Result<Attributes, String> {
    let channel = &body["channel"];
    check_from(channel)?;
    if channel["messageId"].as_str().is_none_or(|id| id.is_empty() || id.len() > 255) {
        return Err("channel.messageId is required".into());
    }
    let text = body["text"].as_str().unwrap_or_default();
    let content = match &body["content"] {
        Value::Null => &[][..],
        Value::Array(content) => content.as_slice(),
        _ => return Err("content is a list".into()),
    };
    if text.trim().is_empty() && content.is_empty() {
        return Err("text or content is required".into());
    }
    if text.chars().count() > LONGEST {
        return Err("text is longer than 2000 characters".into());
    }
    if content.len() > 1 {
        return Err("content: one attachment a message".into());
    }
    for one in content {
        let attachment = &one["attachment"];
        let has = |name: &str| attachment[name].as_str().is_some_and(|text| !text.is_empty());
        let kind = attachment["mediaType"].as_str().unwrap_or_default();
        let url = attachment["url"].as_str().unwrap_or_default();
        if !has("id")
            || !matches!(kind, "Image" | "Video" | "Audio" | "File" | "Link")
            || !url.starts_with("http")
        {
            return Err("content.attachment: id, mediaType and url are required".into());
        }
    }
    let attributes = &channel["metadata"]["customAttributes"];
    if attributes.is_null() {
        return Ok(Attributes::new());
    }
    let read: Attributes =
        serde_json::from_value(attributes.clone()).map_err(|_| "customAttributes are texts by name")?;
    let bytes: usize = read.iter().map(|(name, value)| name.len() + value.len()).sum();
    if bytes > ATTRIBUTES { Err("customAttributes are too large".into()) } else { Ok(read) }
}

fn check_from(channel: &Value) -> Result<(), String> {
    let from = &channel["from"];
    if from["id"].as_str().is_none_or(str::is_empty) {
        return Err("channel.from.id is required".into());
    }
    if !matches!(from["idType"].as_str(), Some("Email" | "Phone" | "Opaque")) {
        return Err("channel.from.idType: Email, Phone or Opaque".into());
    }
    if is_time(&channel["time"]) {
        Ok(())
    } else {
        Err("channel.time: ISO 8601 with milliseconds, UTC".into())
    }
}

fn is_time(value: &Value) -> bool {
    let text = value.as_str().unwrap_or_default();
    text.len() == 24
        && text.ends_with('Z')
        && text.get(19..20) == Some(".")
        && text.parse::<jiff::Timestamp>().is_ok()
}
