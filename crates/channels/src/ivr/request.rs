//! What an IVR sends: JSON, or the form that a `<subdialog>` or `<submit>` of VoiceXML makes of its variables.

use http::HeaderMap;
use http::header::CONTENT_TYPE;
use serde::Deserialize;
use serde_json::{Map, Value};

/// The longest utterance, in bytes.
pub(super) const LONGEST: usize = 4 * 1024;
/// The longest id or address.
const LONGEST_ID: usize = 256;

/// One request.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub(super) struct Request {
    /// Identifies the call, and so the conversation.
    #[serde(rename = "callId", default)]
    pub call: String,
    /// What was said or pressed. Empty: nothing, see `event`.
    #[serde(default)]
    pub message: String,
    /// What happened instead: `noinput`, `nomatch`, `hangup`, `continue`. Ours.
    #[serde(default)]
    pub event: String,
    /// Who calls.
    #[serde(default)]
    pub from: Option<String>,
    /// The VoiceXML application root document.
    #[serde(default)]
    pub app_root: Option<String>,
    /// The JWT, where it is not in the query.
    #[serde(default)]
    pub token: Option<String>,
    /// The turn that this answers, as the last answer named it: the same one again changes nothing. Ours.
    #[serde(default)]
    pub turn: Option<Value>,
    /// What the recogniser tells.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

/// What of the rest a recogniser tells: the names that scripts know.
const HEARD: [&str; 5] = ["confidence", "inputmode", "Inputmode", "interpretation", "utterance"];

impl Request {
    /// Reads a request.
    ///
    /// # Errors
    /// In words for whoever sets the IVR up.
    pub fn read(headers: &HeaderMap, body: &[u8]) -> Result<Self, &'static str> {
        let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let form = kind.starts_with("application/x-www-form-urlencoded");
        let request: Self = if form {
            let fields = url::form_urlencoded::parse(body);
            let fields = fields.map(|(name, value)| (name.into_owned(), Value::from(value.into_owned())));
            serde_json::from_value(Value::Object(fields.collect()))
        } else {
            serde_json::from_slice(body)
        }
        .map_err(|_| "the body must be JSON or a form with callId and message")?;
        let is_id = |text: &str| {
            !text.trim().is_empty() && text.len() <= LONGEST_ID && !text.chars().any(char::is_control)
        };
        if !is_id(&request.call) {
            return Err("callId is missing, or no text of at most 256 bytes");
        }
        if request.message.len() > LONGEST {
            return Err("message is longer than 4 kB");
        }
        let from = request.from.filter(|from| is_id(from));
        Ok(Self { from, ..request })
    }

    /// The turn, as a key.
    pub fn key(&self) -> Option<String> {
        let turn = match self.turn.as_ref()? {
            Value::String(text) if !text.is_empty() && text.len() <= LONGEST_ID => text.clone(),
            Value::Number(number) => number.to_string(),
            _ => return None,
        };
        // A word and a silence in the same turn are two things.
        Some(format!("{}/{turn}/{}", self.call, self.event))
    }

    /// What the recogniser tells, each at most 1 kB.
    pub fn heard(&self) -> Map<String, Value> {
        let fits = |value: &Value| value.to_string().len() <= 1_024;
        let told = self.rest.iter().filter(|(name, value)| HEARD.contains(&name.as_str()) && fits(value));
        told.map(|(name, value)| (name.clone(), value.clone())).collect()
    }

    /// Whether it was pressed.
    pub fn by_keys(&self) -> bool {
        let mode = self.rest.get("inputmode").or_else(|| self.rest.get("Inputmode"));
        mode.and_then(Value::as_str).is_some_and(|mode| mode.eq_ignore_ascii_case("dtmf"))
    }
}
