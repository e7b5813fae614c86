//! The vendor's JSON: the Virtual Agent Bot Integration API.
//!
//! Source: `ServiceNow/ServiceNowDocs`, `markdown/api-reference/rest-apis/bot-api.md`.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use super::super::reading::lenient;

/// What stands in for "nothing special": a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(super) enum Action {
    StartConversation,
    Agent,
    EndConversation,
    Typing,
    Viewing,
    UpdateMessages,
}

/// A request.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Request {
    /// Unique for each; comes back with what follows from it.
    pub request_id: String,
    pub client_session_id: String,
    pub user_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub action: Option<Action>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<Message>,
    pub bot_to_bot: bool,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub context_variables: BTreeMap<String, String>,
    /// Comes back with everything.
    pub client_variables: Ours,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<Said>,
    /// Milliseconds since 1970.
    pub timestamp: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub app_inbound_id: Option<String>,
}

/// Whose conversation it is, in our words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Ours {
    pub tenant: String,
    pub handoff: String,
}

#[derive(Debug, Clone, Serialize)]
#[serde(untagged)]
pub(super) enum Message {
    Said(Words),
    /// For `UPDATE_MESSAGES` alone: here it is a list.
    Marks(Vec<Marked>),
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Words {
    pub text: String,
    /// False: an offered choice was taken.
    pub typed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_message_id: Option<String>,
    /// The field table says a list, every example an object: it is an object.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attachment: Option<Attachment>,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Attachment {
    pub client_attachment_id: String,
    pub content_type: String,
    pub file_name: String,
    pub url: String,
}

#[derive(Debug, Clone, Serialize)]
pub(super) struct Marked {
    pub id: String,
    pub status: &'static str,
}

/// A line of before.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Said {
    pub is_bot_message: bool,
    pub value: String,
    pub display_name: String,
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// Milliseconds since 1970, as a text.
    pub timestamp: String,
}

/// The answer to a request, where the channel is asynchronous.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Answer {
    #[serde(deserialize_with = "lenient")]
    pub status: Option<String>,
    pub error: Value,
}

/// The answer to an upload.
#[derive(Debug, Deserialize)]
pub(super) struct Uploaded {
    pub result: Media,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Media {
    pub media_url: String,
}

/// What the instance tells. A field of another shape than we know counts as missing.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Told {
    #[serde(deserialize_with = "lenient")]
    pub request_id: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub client_session_id: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub user_id: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub client_variables: Option<Ours>,
    #[serde(deserialize_with = "lenient")]
    pub agent_chat: Option<bool>,
    #[serde(deserialize_with = "lenient")]
    pub completed: Option<bool>,
    #[serde(deserialize_with = "lenient")]
    pub take_control: Option<bool>,
    #[serde(deserialize_with = "lenient_list")]
    pub body: Vec<Control>,
}

/// One of the things that a call tells.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Control {
    #[serde(deserialize_with = "lenient")]
    pub ui_type: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub action_type: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub spinner_type: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub message: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub label: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub header: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub prompt_msg: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub content: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub alt_text: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub image_url: Option<String>,
    /// A card: JSON in a text.
    #[serde(deserialize_with = "lenient")]
    pub data: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub message_id: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub agent_info: Option<AgentInfo>,
    pub value: Value,
    pub values: Value,
    pub links: Value,
    #[serde(deserialize_with = "lenient_list")]
    pub options: Vec<Choice>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct AgentInfo {
    #[serde(deserialize_with = "lenient")]
    pub sent_from_agent: Option<bool>,
    #[serde(deserialize_with = "lenient")]
    pub agent_name: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Choice {
    #[serde(deserialize_with = "lenient")]
    pub label: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub value: Option<String>,
}

impl Control {
    /// Said by a human.
    pub fn is_of_agent(&self) -> bool {
        self.agent_info.as_ref().is_some_and(|info| info.sent_from_agent == Some(true))
    }
}

/// The elements that are what we know.
fn lenient_list<'de, D: Deserializer<'de>, T: DeserializeOwned>(deserializer: D) -> Result<Vec<T>, D::Error> {
    let Value::Array(all) = Value::deserialize(deserializer)? else { return Ok(Vec::new()) };
    Ok(all.into_iter().filter_map(|one| serde_json::from_value(one).ok()).collect())
}
