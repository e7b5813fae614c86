//! The frames of the guests' socket, of what is used. What comes in may lack anything.
//! Source: the vendor's guest message definitions, web-messaging-sdk-java 18.1.0.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A frame of ours.
#[derive(Debug, Serialize)]
#[serde(tag = "action", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub(super) enum Request<'a> {
    /// Begins a session, or takes one up.
    ConfigureSession { deployment_id: &'a str, start_new: bool },
    /// Says or does something.
    OnMessage { time: String, message: Message<'a> },
    /// Asks where a file may be put.
    OnAttachment {
        attachment_id: &'a str,
        file_name: &'a str,
        file_type: &'a str,
        file_size: u64,
        errors_as_json: bool,
    },
    /// Asks for what opens the history.
    GetJwt,
    /// Keeps the socket open.
    Echo { message: Message<'a> },
    /// Closes the sockets of a session.
    CloseSession { close_all_connections: bool },
}

/// A frame with whose it is, and by what its answer is known.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Outgoing<'a> {
    #[serde(flatten)]
    pub request: &'a Request<'a>,
    pub token: &'a str,
    pub tracing_id: &'a str,
}

#[derive(Debug, Default, Serialize)]
pub(super) struct Message<'a> {
    #[serde(rename = "type")]
    pub kind: Kind,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Metadata<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub content: Vec<Content<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<Event>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channel: Option<Channel<'a>>,
}

#[derive(Debug, Default, Serialize)]
pub(super) enum Kind {
    #[default]
    Text,
    Event,
}

/// What comes back with the message: its id at our side.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Metadata<'a> {
    pub custom_message_id: &'a str,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Content<'a> {
    pub content_type: &'static str,
    pub attachment: Attachment<'a>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Attachment<'a> {
    pub id: &'a str,
    pub media_type: &'static str,
}

#[derive(Debug, Serialize)]
#[serde(tag = "eventType")]
pub(super) enum Event {
    Typing { typing: On },
    Presence { presence: Presence },
}

#[derive(Debug, Serialize)]
#[serde(tag = "type")]
pub(super) enum On {
    On,
}

#[derive(Debug, Serialize)]
#[serde(tag = "type")]
pub(super) enum Presence {
    Clear,
}

#[derive(Debug, Serialize)]
pub(super) struct Channel<'a> {
    pub metadata: ChannelMetadata<'a>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ChannelMetadata<'a> {
    pub custom_attributes: &'a BTreeMap<String, String>,
}

/// A frame of the vendor's.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Frame {
    pub class: String,
    pub code: u16,
    pub body: Value,
    pub tracing_id: Option<String>,
}

/// A message of either side: on the socket and in the history.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Structured {
    pub id: Option<String>,
    #[serde(rename = "type")]
    pub kind: String,
    pub text: Option<String>,
    pub direction: String,
    pub originating_entity: Option<String>,
    pub channel: StructuredChannel,
    pub content: Vec<Value>,
    pub events: Vec<Value>,
    pub metadata: BTreeMap<String, Value>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct StructuredChannel {
    pub from: From,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct From {
    pub nickname: Option<String>,
    pub first_name: Option<String>,
    pub last_name: Option<String>,
}

/// What a session may do.
#[derive(Debug, Default, Clone, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Session {
    pub new_session: bool,
    pub read_only: bool,
    pub max_custom_data_bytes: Option<usize>,
    pub allowed_media: AllowedMedia,
    pub blocked_extensions: Vec<String>,
}

#[derive(Debug, Default, Clone, Deserialize)]
#[serde(default)]
pub(super) struct AllowedMedia {
    pub inbound: Option<FileUpload>,
}

#[derive(Debug, Default, Clone, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct FileUpload {
    pub file_types: Vec<FileType>,
    #[serde(rename = "maxFileSizeKB")]
    pub max_file_size_kb: Option<u64>,
}

#[derive(Debug, Default, Clone, Deserialize)]
#[serde(default)]
pub(super) struct FileType {
    #[serde(rename = "type")]
    pub mime: String,
}

/// Where a file may be put.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Presigned {
    pub url: String,
    pub headers: BTreeMap<String, String>,
}

/// Why something was not done.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Refusal {
    pub error_code: u16,
    pub retry_after: Option<u64>,
}

/// `GET /api/v2/webmessaging/messages`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Page {
    pub entities: Vec<Value>,
    pub page_count: u32,
}

/// `…/deployments/{id}/config.json`, of what the probe looks at.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Config {
    pub status: String,
    pub messenger: Messenger,
    pub auth: Switch,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Messenger {
    pub enabled: bool,
    pub apps: Apps,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Apps {
    pub conversations: Conversations,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Conversations {
    pub conversation_disconnect: Switch,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Switch {
    pub enabled: bool,
}
