//! What the program sends.

use interline_connector::channel::What;
use interline_core::Profile;
use interline_core::conversation::input::Scope;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::attachments::{Attachment, Attachments};
use super::refused::Refused;

/// The longest text, in bytes.
const LONGEST: usize = 4 * 1024;
/// The longest id.
const LONGEST_ID: usize = 256;

/// `POST /chatbot/v2/webhook/{bot}`
#[derive(Debug, Deserialize)]
pub(super) struct Request {
    #[serde(default)]
    session: Session,
    message: Message,
    from: From,
    #[serde(rename = "customData", default)]
    data: Map<String, Value>,
    #[serde(rename = "interactiveLanguage", default)]
    language: Option<String>,
    /// The program's own id of this: the same one again changes nothing and gets the same answer. Ours.
    #[serde(rename = "requestId", default)]
    id: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
struct Session {
    #[serde(default)]
    new: bool,
}

#[derive(Debug, Deserialize)]
struct Message {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    val: Value,
    #[serde(default)]
    attachments: Vec<Attachment>,
}

#[derive(Debug, Deserialize)]
struct From {
    id: String,
    #[serde(rename = "userInfo", default)]
    info: Info,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Info {
    first_name: Option<String>,
    last_name: Option<String>,
    email: Option<String>,
}

/// What is asked for.
#[derive(Debug, Clone)]
pub(super) enum Asked {
    /// The customer did something.
    Did(What),
    /// The customer said something, perhaps with files.
    Says {
        /// The words; there may be none beside files.
        text: String,
        /// The files, as they were named.
        attachments: Attachments,
    },
    /// The conversation is to be closed.
    Close,
}

impl Request {
    /// Reads a request.
    pub fn read(body: &[u8]) -> Result<Self, Refused> {
        let request: Self = serde_json::from_slice(body)
            .map_err(|_| Refused::bad("JSON with message {type, val} and from {id} is expected"))?;
        let is_id =
            |id: &str| !id.trim().is_empty() && id.len() <= LONGEST_ID && !id.chars().any(char::is_control);
        if !is_id(&request.from.id) {
            return Err(Refused::bad("from.id must be a text of 1 to 256 bytes"));
        }
        if request.id.as_deref().is_some_and(|id| !is_id(id)) {
            return Err(Refused::bad("requestId must be a text of 1 to 256 bytes"));
        }
        Ok(request)
    }

    /// Who speaks.
    pub fn address(&self) -> &str {
        &self.from.id
    }

    /// The program's id of this.
    pub fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// Whether a conversation that is open is to be closed before.
    pub fn begins_anew(&self) -> bool {
        self.session.new
    }

    /// What is told of the person. The program is trusted with it: it signed.
    pub fn profile(&self) -> Profile {
        let Info { first_name, last_name, email } = &self.from.info;
        let word = |value: &Value| match value {
            Value::String(text) => Some(text.clone()),
            Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
            Value::Null | Value::Array(_) | Value::Object(_) => None,
        };
        let data = self.data.iter().filter_map(|(name, value)| Some((name.clone(), word(value)?))).collect();
        Profile {
            first_name: first_name.clone(),
            last_name: last_name.clone(),
            email: email.clone(),
            language: self.language.clone(),
            data,
            ..Profile::default()
        }
        .bounded()
    }

    /// What is asked for.
    pub fn asked(&self) -> Result<Asked, Refused> {
        let Message { kind, val, attachments } = &self.message;
        match (kind.as_str(), val) {
            ("event", Value::String(event)) if event == "ON_CONNECT" => Ok(Asked::Did(What::Connected)),
            ("event", Value::String(event)) if event == "SESSION_CLOSURE" => Ok(Asked::Close),
            ("event", _) => Err(Refused::bad("message.val: ON_CONNECT or SESSION_CLOSURE")),
            ("text", Value::String(text)) if !text.trim().is_empty() => says(text, attachments),
            ("text", Value::String(_) | Value::Null) if !attachments.is_empty() => says("", attachments),
            ("template" | "formData", value) if !value.is_null() => {
                // What was chosen or filled in comes as JSON; a flow reads it as a text.
                says(&value.as_str().map_or_else(|| value.to_string(), str::to_owned), attachments)
            }
            _ => Err(Refused::bad("message.type: text, template, event or formData, with a message.val")),
        }
    }
}

fn says(text: &str, attachments: &[Attachment]) -> Result<Asked, Refused> {
    if text.len() > LONGEST {
        return Err(Refused::bad("message.val is longer than 4 kB"));
    }
    let attachments = Attachments::read(attachments)?;
    Ok(Asked::Says { text: text.to_owned(), attachments })
}

/// What closes a conversation.
pub(super) fn closes() -> What {
    What::Ends(Scope::Conversation)
}
