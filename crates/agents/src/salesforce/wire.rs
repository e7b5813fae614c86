//! The vendor's JSON, and nothing else. What it leaves out is empty; what it adds is not read; a field of another type than
//! known is as good as left out.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

/// `POST …/unauthenticated/access-token`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct TokenRequest<'a> {
    pub org_id: &'a str,
    pub es_developer_name: &'a str,
    pub capabilities_version: &'static str,
    pub platform: &'static str,
    pub context: Client,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Client {
    pub app_name: &'static str,
    pub client_version: &'static str,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct TokenAnswer {
    pub access_token: String,
    #[serde(default)]
    pub last_event_id: Value,
    #[serde(default, deserialize_with = "loose")]
    pub context: Context,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Context {
    #[serde(deserialize_with = "loose")]
    pub configuration: Configuration,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Configuration {
    #[serde(deserialize_with = "loose")]
    pub embedded_service_config: Deployment,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Deployment {
    #[serde(deserialize_with = "loose")]
    pub embedded_service_messaging_channel: Channel,
    #[serde(deserialize_with = "loose")]
    pub forms: Vec<Form>,
    #[serde(deserialize_with = "loose")]
    pub attachments: Attachments,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Channel {
    #[serde(deserialize_with = "loose")]
    pub auth_mode: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Form {
    #[serde(deserialize_with = "loose")]
    pub form_fields: Vec<Field>,
}

/// A pre-chat field.
#[derive(Debug, Default, Clone, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Field {
    pub name: String,
    #[serde(deserialize_with = "loose")]
    pub required: bool,
    #[serde(deserialize_with = "loose")]
    pub max_length: Option<usize>,
    #[serde(deserialize_with = "loose")]
    pub is_hidden: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Attachments {
    #[serde(deserialize_with = "loose")]
    pub end_user_to_agent: Option<bool>,
}

/// What an answer of refusal says, for the operator.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Refusal {
    #[serde(deserialize_with = "loose")]
    pub message: Option<String>,
}

/// `POST …/conversation`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Create<'a> {
    pub conversation_id: &'a str,
    pub es_developer_name: &'a str,
    pub routing_attributes: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
}

/// `POST …/message`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Say<'a> {
    pub message: Message<'a>,
    pub es_developer_name: &'a str,
    pub is_new_messaging_session: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Message<'a> {
    pub id: &'a str,
    pub message_type: &'static str,
    pub static_content: StaticText<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct StaticText<'a> {
    pub format_type: &'static str,
    pub text: &'a str,
}

/// The part `messageEntry` of `POST …/file`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SendFile<'a> {
    pub message: FileMessage<'a>,
    pub es_developer_name: &'a str,
    pub is_new_messaging_session: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct FileMessage<'a> {
    pub id: &'a str,
    pub file_id: &'a str,
    pub text: &'static str,
}

/// `GET …/conversation/{id}`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Conversation {
    #[serde(deserialize_with = "loose")]
    pub routing_status: Option<String>,
}

/// `GET …/entries`.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Entries {
    pub conversation_entries: Vec<Entry>,
}

/// What an event of the stream carries.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Envelope {
    pub conversation_id: String,
    pub conversation_entry: Entry,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Entry {
    #[serde(deserialize_with = "loose")]
    pub identifier: String,
    #[serde(deserialize_with = "loose")]
    pub entry_type: String,
    #[serde(deserialize_with = "loose")]
    pub sender_display_name: Option<String>,
    #[serde(deserialize_with = "loose")]
    pub sender: Sender,
    /// A text with JSON in it on the stream; an object in the list.
    #[serde(deserialize_with = "payload")]
    pub entry_payload: Payload,
    /// Milliseconds since 1970; some send it as a text.
    pub transcripted_timestamp: Value,
    #[serde(deserialize_with = "loose")]
    pub related_records: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Sender {
    #[serde(deserialize_with = "loose")]
    pub role: String,
}

/// The parts of all payloads that mean something.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Payload {
    #[serde(deserialize_with = "loose")]
    pub abstract_message: AbstractMessage,
    #[serde(deserialize_with = "loose")]
    pub entries: Vec<Change>,
    #[serde(deserialize_with = "loose")]
    pub routing_type: Option<String>,
    #[serde(deserialize_with = "loose")]
    pub failure_type: Option<String>,
    #[serde(deserialize_with = "loose")]
    pub failure_reason: Option<String>,
    #[serde(deserialize_with = "loose")]
    pub session_status: Option<String>,
    #[serde(deserialize_with = "loose")]
    pub position: Option<u32>,
    #[serde(deserialize_with = "loose")]
    pub queue_position: Option<u32>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct AbstractMessage {
    #[serde(deserialize_with = "loose")]
    pub id: Option<String>,
    pub static_content: Value,
    pub choices: Value,
}

/// Somebody joins or leaves.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Change {
    #[serde(deserialize_with = "loose")]
    pub operation: String,
    #[serde(deserialize_with = "loose")]
    pub display_name: Option<String>,
    #[serde(deserialize_with = "loose")]
    pub participant: Sender,
}

/// One of another type than known is as good as none.
fn loose<'de, T: DeserializeOwned + Default, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
    let value = Value::deserialize(deserializer)?;
    Ok(serde_json::from_value(value).unwrap_or_default())
}

/// One that cannot be read is one in which nothing stands.
fn payload<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Payload, D::Error> {
    let value = Value::deserialize(deserializer)?;
    let value = match &value {
        Value::String(text) => serde_json::from_str(text).unwrap_or_default(),
        _ => value,
    };
    Ok(serde_json::from_value(value).unwrap_or_default())
}

impl TokenAnswer {
    /// The fields of all forms.
    pub fn fields(&self) -> impl Iterator<Item = &Field> {
        let config = &self.context.configuration.embedded_service_config;
        config.forms.iter().flat_map(|form| &form.form_fields)
    }

    /// Where the stream begins.
    pub fn last_event(&self) -> String {
        match &self.last_event_id {
            Value::String(id) => id.clone(),
            Value::Number(id) => id.to_string(),
            _ => "0".to_owned(),
        }
    }
}

impl Entry {
    /// When it was written down, milliseconds since 1970.
    pub fn at(&self) -> i64 {
        let text = || self.transcripted_timestamp.as_str().and_then(|text| text.parse().ok());
        self.transcripted_timestamp.as_i64().or_else(text).unwrap_or(0)
    }
}
