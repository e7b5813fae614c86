//! BotKit's JSON, as it goes over the wire. Types only; what they mean stands in `outbound.rs` and `inbound.rs`.
//!
//! Source: vendor pages "Events for the BotKit SDK", "Functions for the BotKit SDK", "Context Object", and BotKit's own
//! code. Unknown fields are ignored on both sides.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use url::Url;

/// The claims of a token, in both directions. Times in seconds; BotKit writes `exp` as a fraction.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Claims {
    pub app_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exp: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nbf: Option<f64>,
}

/// The body of an event, platform to BotKit.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Event {
    pub request_id: String,
    pub bot_id: String,
    pub message: String,
    #[serde(rename = "agent_transfer")]
    pub agent_transfer: bool,
    pub channel: Channel,
    pub context: Context,
    pub meta_info: Empty,
    pub meta_tags: MetaTags,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message_object: Option<MessageObject>,
    #[serde(flatten)]
    pub urls: Urls,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event: Option<EventInfo>,
    #[serde(rename = "CCAIMetaInfo", skip_serializing_if = "Option::is_none")]
    pub contact_center: Option<ContactCenter>,
}

/// Where BotKit calls back. It derives four more from `base_url`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Urls {
    pub base_url: String,
    pub send_user_message_url: String,
    pub send_bot_message_url: String,
    pub skip_user_message_url: String,
    pub skip_bot_message_url: String,
    pub send_alert_message_url: String,
    pub reset_bot_url: String,
    pub clear_conversation_session_url: String,
    pub send_feedback_message_url: String,
    pub get_bot_variable_url: String,
    pub callback_url: String,
    pub get_dialog_url: String,
}

/// `{}`.
#[derive(Debug, Serialize)]
pub(super) struct Empty {}

/// Who the user is, twice: message handlers read the top level, transfer handlers `channelInfos`.
#[derive(Debug, Serialize)]
pub(super) struct Channel {
    #[serde(rename = "_id")]
    pub id: String,
    pub from: String,
    #[serde(rename = "type")]
    pub kind: &'static str,
    #[serde(rename = "channelInfos")]
    pub infos: ChannelInfos,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ChannelInfos {
    pub request_id: String,
    pub from: String,
    #[serde(rename = "type")]
    pub kind: &'static str,
    pub body: String,
    pub client: &'static str,
    pub handle: Handle,
    pub bot_info: BotInfo,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub attachments: Vec<Attachment>,
}

/// A file. The vendor's names where its web frame has some.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Attachment {
    pub file_id: String,
    pub file_name: String,
    /// `image`, `audio`, `video` or `attachment`.
    pub file_type: &'static str,
    /// A page for people; so many downloads, for so long.
    pub file_url: Url,
    /// The bytes, for a program; for an hour. Ours, not the vendor's.
    pub download_url: Url,
    /// MB.
    pub size: f64,
    pub bytes: u64,
    pub mime: String,
    /// What a scanner found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warning: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Handle {
    pub user_id: String,
    pub task_bot_id: String,
    pub trace_id: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct BotInfo {
    pub task_bot_id: String,
    pub chat_bot: String,
}

/// The dialog context. Sample code throws where `session` lacks one of its parts.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Context {
    pub bot: String,
    pub botid: String,
    pub intent: &'static str,
    pub entities: Empty,
    pub traits: Vec<Empty>,
    pub current_language: String,
    pub suggested_languages: Vec<&'static str>,
    pub history: Vec<HistoryEntry>,
    pub on_hold_tasks: Vec<Empty>,
    #[serde(rename = "message_tone")]
    pub message_tone: Vec<Empty>,
    #[serde(rename = "dialog_tone")]
    pub dialog_tone: Vec<Empty>,
    pub current_tags: Vec<Empty>,
    pub historic_tags: Vec<Empty>,
    pub user_inputs: Empty,
    pub session: Session,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Session {
    pub enterprise_context: Empty,
    pub bot_context: Empty,
    pub user_context: UserContext,
    pub user_session: Empty,
    pub bot_user_session: BotUserSession,
    #[serde(rename = "opts")]
    pub opts: Opts,
}

/// Bot files read it as `payload.context.session.BotUserSession`.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct BotUserSession {
    /// At a transfer: where the agent can read what was said before. Ours, not the vendor's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transcript_url: Option<Url>,
    /// At a transfer: where it is to go, and what the agent should be good at. Ours.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queue: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub skills: Vec<String>,
    /// At a transfer: what was said before, in a few lines. Ours.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub summary: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct UserContext {
    #[serde(rename = "_id")]
    pub id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_name: Option<String>,
    pub identities: Vec<Identity>,
    pub custom_data: BTreeMap<String, String>,
}

#[derive(Debug, Serialize)]
pub(super) struct Identity {
    pub val: String,
    #[serde(rename = "type")]
    pub kind: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Opts {
    pub user_id: String,
    pub stream_id: String,
}

/// One entry of `context.history`. The vendor's shapes are open; these are the two that it documents for a transfer and
/// one for what was said.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum HistoryEntry {
    #[serde(rename_all = "camelCase")]
    Said {
        #[serde(rename = "type")]
        kind: &'static str,
        message: String,
        timestamp: i64,
    },
    #[serde(rename_all = "camelCase")]
    Node {
        node_id: &'static str,
        state: &'static str,
        #[serde(rename = "type")]
        kind: &'static str,
        component_name: &'static str,
        timestamp: i64,
    },
    #[serde(rename_all = "camelCase")]
    Dialog { dialog_state: &'static str, timestamp: i64 },
}

#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct MetaTags {
    pub user_meta_tags: Vec<Empty>,
    pub session_meta_tags: Vec<Empty>,
    pub message_meta_tags: Vec<Empty>,
}

/// Opaque to BotKit, echoed in its calls. Carries a rich message past a bot file that knows plain text only.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct MessageObject {
    pub text: String,
    pub rich: Value,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct EventInfo {
    pub event_type: &'static str,
}

/// Part of an `on_event` about the contact center.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ContactCenter {
    pub session_id: String,
    pub conversation_id: String,
    pub bot_id: String,
    pub source: &'static str,
    pub timestamp: i64,
}

/// The body of a call, BotKit to platform: of the payload that it sends back, what we look at. `messageObject` may be
/// anything.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Callback {
    #[serde(default)]
    pub message: Option<String>,
    #[serde(default)]
    pub override_message_payload: Option<OverrideMessage>,
    #[serde(default)]
    pub message_object: Value,
    #[serde(default)]
    pub channel: Value,
    #[serde(default)]
    pub attachments: Value,
}

/// Says something else than `message`. With `is_template` the body is the JSON text of a channel template.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct OverrideMessage {
    #[serde(default)]
    pub body: Value,
    #[serde(default)]
    pub is_template: bool,
}

/// `getMessages`: newest first.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Messages {
    pub total: usize,
    pub more_available: bool,
    pub messages: Vec<Message>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Message {
    #[serde(rename = "_id")]
    pub id: String,
    /// `incoming` is from the user.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// RFC 3339 with milliseconds.
    pub created_on: String,
    pub lang: &'static str,
    pub session_id: String,
    pub channels: [ChannelType; 1],
    pub chnl: &'static str,
    pub timestamp_value: i64,
    /// BotKit's history page reads the first one's text and breaks without it.
    pub components: [Component; 1],
    pub tags: Tags,
}

#[derive(Debug, Serialize)]
pub(super) struct ChannelType {
    #[serde(rename = "type")]
    pub kind: &'static str,
}

#[derive(Debug, Serialize)]
pub(super) struct Component {
    #[serde(rename = "_id")]
    pub id: String,
    #[serde(rename = "cT")]
    pub kind: &'static str,
    pub data: ComponentText,
    pub thumbnails: [Empty; 0],
}

#[derive(Debug, Serialize)]
pub(super) struct ComponentText {
    pub text: String,
}

#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Tags {
    pub message_tags: [Empty; 0],
    pub user_tags: [Empty; 0],
    pub session_tags: [Empty; 0],
}

/// An error, in both directions. `code` is text or a number.
#[derive(Debug, Deserialize)]
pub(super) struct Errors {
    pub errors: Vec<ErrorInfo>,
}

#[derive(Debug, Deserialize)]
pub(super) struct ErrorInfo {
    #[serde(default)]
    pub code: Value,
}
