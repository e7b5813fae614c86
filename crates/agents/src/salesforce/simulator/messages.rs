//! What the customer says, types and reads.

use ::http::{HeaderMap, StatusCode};
use axum::Json;
use axum::body::Bytes;
use axum::extract::{Multipart, Path, State};
use interline_connector::simulator::{By, ChatState, Line};
use serde_json::{Value, json};
use uuid::Uuid;

use super::Simulator;
use super::events::{Sender, Told};
use super::org::too_many;
use super::refused::{Refused, bad};

/// The largest message, all of its JSON.
const LARGEST: usize = 8 * 1024;
const LARGEST_FILE: usize = 5 * 1024 * 1024;
/// The vendor does not publish its list; this is one that is shorter than ours.
const FORMATS: [&str; 9] = ["pdf", "png", "jpg", "jpeg", "gif", "txt", "docx", "xlsx", "csv"];

type Accepted = Result<(StatusCode, Json<Value>), Refused>;

fn is_uuid(value: &Value) -> Result<&str, Refused> {
    let text = value.as_str().unwrap_or_default();
    let lower = Uuid::try_parse(text).is_ok_and(|id| id.to_string() == text);
    if lower { Ok(text) } else { Err(bad("an id must be a lower-case UUID")) }
}

pub(super) async fn message(
    State(sim): State<Simulator>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Accepted {
    if body.len() > LARGEST {
        return Err(Refused(StatusCode::PAYLOAD_TOO_LARGE, "the message is too long"));
    }
    let asked: Value = serde_json::from_slice(&body).map_err(|_| bad("no JSON"))?;
    let message = &asked["message"];
    let message_id = is_uuid(&message["id"])?;
    if message["messageType"] != "StaticContentMessage" || message["staticContent"]["formatType"] != "Text" {
        return Err(bad("only StaticContentMessage with formatType Text is taken"));
    }
    let text = message["staticContent"]["text"].as_str().filter(|text| !text.is_empty());
    let text = text.ok_or(bad("staticContent.text is required"))?;
    sim.is_deployment(asked["esDeveloperName"].as_str())?;
    let subject = sim.said(&headers, &id, message_id)?;
    sim.desk().line(&id, Line::new(By::Customer, text).with_id(message_id));
    Ok(sim.echoed(&subject, &id, message_id, json!({ "formatType": "Text", "text": text })))
}

pub(super) async fn file(
    State(sim): State<Simulator>,
    Path(id): Path<String>,
    headers: HeaderMap,
    form: Multipart,
) -> Accepted {
    let (entry, name, bytes) = parts(form).await?;
    let message = is_uuid(&entry["message"]["id"])?;
    is_uuid(&entry["message"]["fileId"])?;
    sim.is_deployment(entry["esDeveloperName"].as_str())?;
    if !sim.settings().files {
        return Err(Refused(StatusCode::FORBIDDEN, "attachments are not enabled"));
    }
    if bytes.len() > LARGEST_FILE {
        return Err(Refused(StatusCode::PAYLOAD_TOO_LARGE, "larger than 5 MB"));
    }
    let extension = name.rsplit_once('.').map(|(_, extension)| extension.to_lowercase()).unwrap_or_default();
    if !FORMATS.contains(&extension.as_str()) {
        return Err(Refused(StatusCode::UNSUPPORTED_MEDIA_TYPE, "this type is not supported"));
    }
    let subject = sim.said(&headers, &id, message)?;
    let shown = sim.desk().received(&name, &bytes);
    sim.desk().line(&id, Line { files: vec![shown], ..Line::new(By::Customer, "").with_id(message) });
    let content = json!({ "formatType": "Attachments", "text": null, "attachments": [{ "name": name }] });
    Ok(sim.echoed(&subject, &id, message, content))
}

/// The two parts of a file: what it belongs to; name and bytes.
async fn parts(mut form: Multipart) -> Result<(Value, String, Bytes), Refused> {
    let (mut entry, mut file) = (None, None);
    while let Some(part) = form.next_field().await.map_err(|_| bad("the form is broken"))? {
        let (name, kind) = (part.name().map(str::to_owned), part.content_type().map(str::to_owned));
        let file_name = part.file_name().map(str::to_owned);
        let bytes = part.bytes().await.map_err(|_| bad("the form is broken"))?;
        match name.as_deref() {
            Some("messageEntry") if kind.as_deref() == Some("application/json") => {
                entry = Some(serde_json::from_slice(&bytes).map_err(|_| bad("messageEntry is no JSON"))?);
            }
            Some("messageEntry") => return Err(bad("messageEntry must be application/json")),
            Some("fileData") if kind.is_some() => {
                file = Some((file_name.ok_or(bad("fileData has no filename"))?, bytes));
            }
            Some("fileData") => return Err(bad("fileData has no content type")),
            _ => return Err(bad("an unknown part")),
        }
    }
    match (entry, file) {
        (Some(entry), Some((name, bytes))) => Ok((entry, name, bytes)),
        _ => Err(bad("messageEntry and fileData are required")),
    }
}

impl Simulator {
    /// One more message of the customer's, if it may be. Returns the subject.
    fn said(&self, headers: &HeaderMap, id: &str, message: &str) -> Result<String, Refused> {
        let (now, most) = (self.desk().clock().now_ms(), self.settings().messages_per_minute);
        let (subject, anew) = self.with(headers, id, |known| {
            if !known.open {
                return Err(bad("the conversation is closed"));
            }
            if too_many(&mut known.inbound, now, most, 60_000) {
                return Err(Refused(StatusCode::TOO_MANY_REQUESTS, "too many messages"));
            }
            known.messages.push(message.to_owned());
            Ok((known.subject.clone(), !std::mem::replace(&mut known.session, true)))
        })?;
        if anew {
            // What the vendor does, and no client of ours wants.
            self.desk().line(id, Line::new(By::System, "A new session began."));
            self.desk().state(id, ChatState::Waiting);
        }
        Ok(subject)
    }

    /// The customer's own words come back on the stream: so they know that they are there.
    fn echoed(&self, subject: &str, id: &str, message: &str, content: Value) -> (StatusCode, Json<Value>) {
        let told = Told::message(Sender::customer(subject), message, content);
        self.tell(id, told);
        let entry = json!({ "id": message, "clientTimestamp": self.desk().clock().now_ms() });
        (StatusCode::ACCEPTED, Json(json!({ "conversationEntries": [entry] })))
    }
}

pub(super) async fn entry(
    State(sim): State<Simulator>,
    Path(id): Path<String>,
    headers: HeaderMap,
    Json(asked): Json<Value>,
) -> Result<StatusCode, Refused> {
    let on = match asked["entryType"].as_str() {
        Some("TypingStartedIndicator") => true,
        Some("TypingStoppedIndicator") => false,
        _ => return Err(bad("entryType must be a typing indicator")),
    };
    is_uuid(&asked["id"])?;
    sim.with(&headers, &id, |_| Ok(()))?;
    sim.desk().change(&id, |chat| chat.typing = on);
    Ok(StatusCode::ACCEPTED)
}

pub(super) async fn acknowledge(
    State(sim): State<Simulator>,
    Path(id): Path<String>,
    headers: HeaderMap,
    Json(asked): Json<Value>,
) -> Result<StatusCode, Refused> {
    let acks = asked["acks"].as_array().filter(|acks| !acks.is_empty()).ok_or(bad("acks is required"))?;
    sim.with(&headers, &id, |_| Ok(()))?;
    for ack in acks {
        let read = match ack["entryType"].as_str() {
            Some("Delivery") => false,
            Some("Read") => true,
            _ => return Err(bad("entryType must be Delivery or Read")),
        };
        is_uuid(&ack["id"])?;
        let what = ack["conversationEntryId"].as_str().ok_or(bad("conversationEntryId is required"))?;
        sim.desk().mark(&id, what, read);
    }
    Ok(StatusCode::ACCEPTED)
}
