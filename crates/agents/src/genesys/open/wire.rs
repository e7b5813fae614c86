//! The vendor's JSON, of what is used. What comes in may lack anything: everything there is optional.
//! Source: the vendor's Python SDK 269.0.0.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// `POST …/inbound/open/message`.
#[derive(Debug, Serialize)]
pub(super) struct Message<'a> {
    pub channel: Channel<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub content: Vec<Content<'a>>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Channel<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message_id: Option<&'a str>,
    pub from: From<'a>,
    pub time: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<ChannelMetadata<'a>>,
}

/// Who says it. Only the first message tells more than the id.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct From<'a> {
    pub id: &'a str,
    pub id_type: IdType,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nickname: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<&'a str>,
}

#[derive(Debug, Default, Serialize)]
pub(super) enum IdType {
    #[default]
    Opaque,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ChannelMetadata<'a> {
    pub custom_attributes: &'a BTreeMap<String, String>,
}

#[derive(Debug, Serialize)]
pub(super) struct Content<'a> {
    pub attachment: Attachment<'a>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Attachment<'a> {
    pub id: &'a str,
    pub media_type: &'static str,
    pub url: &'a str,
    pub mime: &'a str,
    pub filename: &'a str,
    pub sha256: &'a str,
}

/// `POST …/inbound/open/event`.
#[derive(Debug, Serialize)]
pub(super) struct Event<'a> {
    pub channel: Channel<'a>,
    pub events: [EventType; 1],
}

#[derive(Debug, Serialize)]
#[serde(tag = "eventType")]
pub(super) enum EventType {
    Typing,
}

/// `POST …/inbound/open/receipt`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Receipt<'a> {
    pub id: &'a str,
    pub channel: ReceiptChannel<'a>,
    pub status: &'static str,
    pub is_final_receipt: bool,
    pub direction: &'static str,
}

#[derive(Debug, Serialize)]
pub(super) struct ReceiptChannel<'a> {
    pub to: From<'a>,
    pub time: String,
}

/// What an inbound message is answered with.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Accepted {
    pub id: Option<String>,
    pub conversation_id: Option<String>,
}

/// `POST /oauth/token`.
#[derive(Deserialize)]
pub(super) struct Token {
    pub access_token: String,
    pub expires_in: u64,
}

/// The API's error body.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Error {
    pub code: Option<String>,
    pub message: Option<String>,
}

/// A conversation and who takes part: the API's answer and a queue topic's event.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(super) struct Conversation {
    pub id: String,
    pub participants: Vec<Participant>,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Participant {
    pub id: String,
    pub purpose: String,
    pub name: Option<String>,
    pub state: Option<String>,
    pub connected_time: Option<String>,
    pub end_time: Option<String>,
    pub disconnect_type: Option<String>,
    pub queue: Option<Reference>,
    pub attributes: Option<BTreeMap<String, Value>>,
    pub messages: Vec<MessageDetails>,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(super) struct Reference {
    pub id: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct MessageDetails {
    pub message_id: Option<String>,
}

/// `GET …/messages/{id}/details`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct MessageData {
    pub provider_message_id: Option<String>,
}

/// What comes to the webhook.
#[derive(Debug, Deserialize)]
pub(super) struct Outbound {
    pub id: String,
    pub channel: OutboundChannel,
    #[serde(rename = "type")]
    pub kind: String,
    #[serde(default)]
    pub text: Option<String>,
    #[serde(default)]
    pub content: Vec<Value>,
    #[serde(default)]
    pub events: Vec<Value>,
    #[serde(default)]
    pub status: Option<String>,
    #[serde(default)]
    pub reasons: Vec<Value>,
}

#[derive(Debug, Deserialize)]
pub(super) struct OutboundChannel {
    #[serde(default)]
    pub id: Option<String>,
    #[serde(default)]
    pub to: Option<Reference>,
    #[serde(default)]
    pub from: Option<Reference>,
}

/// `POST /api/v2/notifications/channels`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct NotificationChannel {
    pub id: String,
    pub connect_uri: String,
}

/// A topic to listen to, and whether we may.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Topic {
    pub id: String,
    #[serde(skip_serializing)]
    pub state: Option<String>,
    #[serde(skip_serializing)]
    pub missing_permissions: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Topics {
    pub entities: Vec<Topic>,
}

/// A frame of a notification channel.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Notification {
    pub topic_name: String,
    pub event_body: Value,
}

/// What the probe looks at.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Integration {
    pub outbound_notification_webhook_url: Option<String>,
    pub create_status: Option<String>,
    pub recipient: Option<Reference>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Recipients {
    pub entities: Vec<Recipient>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Recipient {
    pub id: Option<String>,
    pub flow: Option<Reference>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Queues {
    pub entities: Vec<Queue>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Queue {
    pub name: String,
    /// Who belongs to it, there or not.
    pub member_count: Option<u64>,
}
