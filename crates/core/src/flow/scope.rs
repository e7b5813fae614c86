//! Variables: what `{{…}}` in texts, conditions and scripts see.
//!
//! | path | what |
//! |---|---|
//! | `text` | what the customer said last |
//! | `context.<name>`, `<name>` | a flow variable |
//! | `context.steps.<node>` | what was pressed or chosen there |
//! | `context.session.UserSession.<name>`, `context.session.BotUserSession.<name>` | the two stores of scripts |
//! | `context.UserContext.<name>` | what is known of the person |
//! | `context.lastTransfer` | how the last human part ended |
//! | `content.<name>` | a text of the app |
//! | `env.<name>` | a setting of the app: in conditions, scripts and requests only |
//!
//! What stands for a variable is data: it is never read as a template again.

use std::cell::OnceCell;
use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::interpolate::{interpolate, look_up};
use super::memory::Memory;
use super::script;
use super::work::{Piece, Pieces};
use crate::conversation::entry::Text;
use crate::conversation::state::Customer;
use crate::{App, ConversationId};

/// What can be seen from a place in a flow. It is put together when it is first looked at.
#[derive(Debug)]
pub struct Scope<'a> {
    app: &'a App,
    conversation: &'a ConversationId,
    customer: &'a Customer,
    memory: &'a Memory,
    /// What the customer said in this step.
    said: Option<&'a Text>,
    whole: OnceCell<script::Scope>,
    for_texts: OnceCell<script::Scope>,
}

impl<'a> Scope<'a> {
    /// What can be seen now.
    pub fn new(
        app: &'a App,
        conversation: &'a ConversationId,
        customer: &'a Customer,
        memory: &'a Memory,
        said: Option<&'a Text>,
    ) -> Self {
        let (whole, for_texts) = (OnceCell::new(), OnceCell::new());
        Self { app, conversation, customer, memory, said, whole, for_texts }
    }

    /// The value at a path; none where there is none.
    pub fn get(&self, path: &str) -> Option<&Value> {
        let path = path.trim();
        let name = path.strip_prefix("context.").unwrap_or(path);
        // Most conditions look at a plain flow variable: those need not be put together with all the rest.
        match self.memory.variables.get(name) {
            Some(value) if !script::RESERVED.contains(&name) => Some(value),
            Some(_) | None => look_up(path, self.whole.get_or_init(|| self.for_script())),
        }
    }

    /// A text with its variables. A setting (`env`) stands in no text: it may be a secret.
    pub fn fill(&self, text: &str) -> String {
        if !text.contains("{{") {
            return text.to_owned();
        }
        interpolate(text, self.for_texts())
    }

    fn for_texts(&self) -> &script::Scope {
        self.for_texts.get_or_init(|| script::Scope { env: Map::new(), ..self.for_script() })
    }

    /// What is known of the person, by the names that scripts know.
    fn person(&self) -> Value {
        let profile = &self.customer.profile;
        let mut person =
            json!({ "_id": self.customer.id.user_id(), "identities": [{ "val": self.customer.address }] });
        let known = [
            ("firstName", &profile.first_name),
            ("lastName", &profile.last_name),
            ("emailId", &profile.email),
            ("phoneNo", &profile.phone),
        ];
        for (name, value) in known.into_iter().filter_map(|(name, value)| Some((name, value.as_ref()?))) {
            person[name] = Value::from(value.as_str());
        }
        if let Some(name) = profile.full_name() {
            person["fullName"] = Value::from(name);
        }
        if !profile.data.is_empty() {
            person["customData"] = json!(profile.data);
        }
        person
    }

    fn user_session(&self) -> Map<String, Value> {
        let mut session = self.memory.user_session.clone();
        if self.customer.connection.is_call && self.customer.connection.returns {
            session.entry("isRepeatedVoiceUser").or_insert(Value::Bool(true));
        }
        session
    }

    fn bot_session(&self) -> Map<String, Value> {
        let connection = &self.customer.connection;
        let mut handle = match &connection.handle {
            Some(Value::Object(handle)) => handle.clone(),
            Some(_) | None => Map::new(),
        };
        if !connection.headers.is_empty() {
            handle.insert("sipHeaders".into(), json!(connection.headers));
        }
        let known =
            [("caller", &connection.caller), ("called", &connection.called), ("callId", &connection.call_id)];
        for (name, value) in known.into_iter().filter_map(|(name, value)| Some((name, value.as_ref()?))) {
            handle.entry(name).or_insert_with(|| Value::from(value.as_str()));
        }
        let kind = connection.channel_type.as_deref().unwrap_or("rtm");
        let mut session = self.memory.bot_session.clone();
        let mut put = |name: &str, value: Value| _ = session.entry(name).or_insert(value);
        put("conversationSessionId", Value::from(self.conversation.as_str()));
        put("channels", json!([{ "type": kind, "userId": self.customer.id.user_id(), "handle": handle }]));
        if connection.returns && !connection.is_call {
            put("isReturn24hCC", Value::Bool(true));
        }
        let mut last =
            json!({ "channel": kind, "messagePayload": { "message": { "body": self.memory.text } } });
        if let Some(heard) = self.said.and_then(|said| said.heard.as_ref()) {
            last["asrMetaData"] = Value::Object(heard.asr.clone());
        }
        put("lastMessage", last);
        session
    }

    /// A text with its variables, for a request: its settings are filled when it is sent.
    pub fn pieces(&self, text: &str, write: impl Fn(&str) -> String) -> Pieces {
        let piece = |part| match part {
            Part::Text(text) => Piece::Text(text.to_owned()),
            Part::Gap(path) => match path.trim().strip_prefix("env.") {
                Some(name) => Piece::Env(name.to_owned()),
                None => Piece::Text(write(&self.gap(path))),
            },
        };
        Pieces(parts(text).map(piece).collect())
    }

    fn gap(&self, path: &str) -> String {
        interpolate(&format!("{{{{{path}}}}}"), self.for_texts())
    }

    /// A JSON body with its variables. A text that is one variable becomes its value, whatever type that has.
    pub fn json_pieces(&self, body: &Value) -> Pieces {
        let mut pieces = Vec::new();
        self.write_json(body, &mut pieces);
        Pieces(pieces)
    }

    fn write_json(&self, value: &Value, into: &mut Vec<Piece>) {
        let mut put = |text: String| match into.last_mut() {
            Some(Piece::Text(last)) => last.push_str(&text),
            Some(Piece::Env(_) | Piece::EnvInJson(_)) | None => into.push(Piece::Text(text)),
        };
        match value {
            Value::String(text) => match only_gap(text).filter(|path| !is_env(path)) {
                Some(path) => put(self.get(path).map_or("null".to_owned(), Value::to_string)),
                None => self.write_text(text, into),
            },
            Value::Array(items) => {
                put("[".to_owned());
                for (at, item) in items.iter().enumerate() {
                    if at > 0 {
                        into.push(Piece::Text(",".to_owned()));
                    }
                    self.write_json(item, into);
                }
                into.push(Piece::Text("]".to_owned()));
            }
            Value::Object(fields) => {
                put("{".to_owned());
                for (at, (name, field)) in fields.iter().enumerate() {
                    let comma = if at > 0 { "," } else { "" };
                    into.push(Piece::Text(format!("{comma}{}:", Value::from(name.as_str()))));
                    self.write_json(field, into);
                }
                into.push(Piece::Text("}".to_owned()));
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => put(value.to_string()),
        }
    }

    fn write_text(&self, text: &str, into: &mut Vec<Piece>) {
        into.push(Piece::Text("\"".to_owned()));
        for piece in self.pieces(text, str::to_owned).0 {
            into.push(match piece {
                Piece::Text(text) => Piece::Text(in_json(&text)),
                Piece::Env(name) | Piece::EnvInJson(name) => Piece::EnvInJson(name),
            });
        }
        into.push(Piece::Text("\"".to_owned()));
    }

    /// What a script sees.
    pub fn for_script(&self) -> script::Scope {
        let mut context = self.memory.variables.clone();
        context.insert("text".into(), Value::from(self.memory.text.as_str()));
        if let Some(word) = &self.memory.last_transfer {
            context.insert("lastTransfer".into(), Value::from(word.as_str()));
        }
        let stores = json!({ "UserSession": self.user_session(), "BotUserSession": self.bot_session() });
        context.insert("session".into(), stores);
        context.insert("steps".into(), Value::Object(self.memory.steps.clone()));
        context.insert("UserContext".into(), self.person());
        let texts = |map: &BTreeMap<String, String>| {
            map.iter().map(|(name, text)| (name.clone(), Value::from(text.as_str()))).collect()
        };
        script::Scope {
            context,
            content: texts(&self.app.content),
            env: texts(&self.app.env),
            language: self.memory.ask.language.clone().or_else(|| self.customer.profile.language.clone()),
        }
    }
}

/// A value as people read it.
pub fn plain(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => value.to_string(),
    }
}

fn in_json(text: &str) -> String {
    let quoted = Value::from(text).to_string();
    quoted[1..quoted.len() - 1].to_owned()
}

/// Whether a gap is for a setting.
pub(super) fn is_env(path: &str) -> bool {
    path.trim().starts_with("env.")
}

/// A part of a template.
pub(super) enum Part<'t> {
    /// As it stands.
    Text(&'t str),
    /// `{{path}}`.
    Gap(&'t str),
}

/// The parts of a template, in order. What is not closed stands as it is.
pub(super) fn parts(template: &str) -> impl Iterator<Item = Part<'_>> {
    let mut rest = template;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        if let Some(inner) = rest.strip_prefix("{{")
            && let Some((path, after)) = inner.split_once("}}")
        {
            rest = after;
            return Some(Part::Gap(path));
        }
        // The next gap begins behind what is looked at: an unclosed one must not be met again.
        let from = if rest.starts_with("{{") { 2 } else { 0 };
        let to = rest[from..].find("{{").map_or(rest.len(), |at| at + from);
        let (text, after) = rest.split_at(to);
        rest = after;
        Some(Part::Text(text))
    })
}

fn only_gap(template: &str) -> Option<&str> {
    let path = template.trim().strip_prefix("{{")?.strip_suffix("}}")?;
    (!path.contains("{{") && !path.contains("}}")).then_some(path)
}
