//! Request → what it means: the calls that a BotKit makes to us.
//!
//! | call | means |
//! |---|---|
//! | `POST sendUserMessage/{id}`, `sendBotMessage/{id}`, `skipUserMessage/{id}`, `skipBotMessage/{id}`, `startAgentSession/{id}`, `clearAgentSession/{id}`, `clearConversationSession/{id}` | a callback; what it does is decided by `classify` in core |
//! | `POST extendcallid/{id}`, `resetBot/{id}`, `sendFeedbackMessage/{id}`, `sendAlertMessage/{id}`, `serviceCallback/{id}` | nothing: 200 |
//! | `GET getMessages?skip=&limit=&userId=` | history |
//! | `GET getBotVariable`, `GET dialog/{id}` | there are none: 200 with an empty list |
//!
//! The token is checked before anything else is looked at. GETs of a real BotKit carry the four bytes `null` as body.

use ::http::Method;
use interline_connector::credential::check_times;
use interline_connector::webhook::{
    Answer, Heard, History, HistoryQuery, Proof, Received, Rejected, Unverified,
};
use interline_core::ConversationId;
use interline_core::conversation::classify::Call;
use interline_core::conversation::entry::{Entry, Speaker, Text};
use interline_core::conversation::request_id::RequestId;
use serde_json::{Value, json};

use super::Integration;
use super::attachments::{self, with_names};
use super::wire::{
    Callback, ChannelType, Claims, Component, ComponentText, Message, MessageObject, Messages, Tags,
};

/// A call holds the event it stems from (at most 100 kB), perhaps with a template added.
const MAX_BODY: usize = 256 * 1024;

/// The most that is said to a user in one line, in bytes.
const MAX_TEXT: usize = 32 * 1024;

/// The most that is given to the bot in one line, in characters. Source: vendor page "Functions for the BotKit SDK".
const MAX_FOR_BOT: usize = 3_000;

/// A page of history: the SDK's default, and the most.
const PAGE: usize = 20;
const MAX_PAGE: usize = 100;

impl Integration {
    /// See the module's table.
    pub(super) fn understand(&self, request: &Unverified) -> Result<Received, Rejected> {
        self.prove(request)?;
        if request.body.len() > MAX_BODY {
            return Err(refuse(400, "the body is too large"));
        }
        let path = request.path.trim_matches('/');
        let (call, id) = path.split_once('/').unwrap_or((path, ""));
        let get = match call {
            "getMessages" | "getBotVariable" | "dialog" => true,
            "sendUserMessage"
            | "sendBotMessage"
            | "skipUserMessage"
            | "skipBotMessage"
            | "startAgentSession"
            | "clearAgentSession"
            | "clearConversationSession"
            | "extendcallid"
            | "resetBot"
            | "sendFeedbackMessage"
            | "sendAlertMessage"
            | "serviceCallback" => false,
            _ => return Err(refuse(404, "there is no such call")),
        };
        if request.method != if get { Method::GET } else { Method::POST } {
            return Err(refuse(405, "this call has another method"));
        }
        match call {
            "getMessages" => return self.asked_for_history(request),
            "getBotVariable" => return Ok(answered(json!({ "count": 0, "variables": [] }))),
            _ => {}
        }
        let id: RequestId =
            id.parse().map_err(|_| refuse(404, "this is not a request id that was given to this BotKit"))?;
        if call == "dialog" {
            return Ok(named(id, json!({ "_id": "", "nodes": [], "components": [] })));
        }
        let body = read(&request.body)?;
        let files = match call {
            "sendUserMessage" => attachments::incoming(&body)?,
            _ => Vec::new(),
        };
        let meant = match call {
            "sendUserMessage" => Call::SendUserMessage(for_user(body)?),
            "sendBotMessage" => Call::SendBotMessage(for_bot(body)?),
            "skipUserMessage" => Call::SkipUserMessage,
            "skipBotMessage" => Call::SkipBotMessage,
            "startAgentSession" => Call::StartAgentSession,
            "clearAgentSession" => Call::ClearAgentSession,
            "clearConversationSession" => Call::CloseConversation,
            _ => return Ok(named(id, json!({}))),
        };
        Ok(Received {
            proof: Proof::Token,
            heard: vec![Heard::Callback { id, call: meant, files }],
            answer: done(),
        })
    }

    /// The header `auth` holds a token signed with the app's secret, in its algorithm, naming its client id.
    fn prove(&self, request: &Unverified) -> Result<(), Rejected> {
        let header = request.headers.get("auth").and_then(|value| value.to_str().ok());
        let token = header.ok_or_else(|| refuse(401, "the header `auth` with a token is missing"))?;
        let claims: Claims =
            self.credential.verify(token).map_err(|error| refuse(401, &error.to_string()))?;
        if claims.exp.is_none() && !self.settings.accept_tokens_without_exp {
            return Err(refuse(401, "the token never expires"));
        }
        check_times(claims.exp, claims.nbf, request.now_ms)
            .map_err(|error| refuse(401, &error.to_string()))?;
        if claims.app_id == self.credential.client_id {
            Ok(())
        } else {
            Err(refuse(401, "the token names another client"))
        }
    }

    fn asked_for_history(&self, request: &Unverified) -> Result<Received, Rejected> {
        let mut query = HistoryQuery { customer: String::new(), skip: 0, limit: PAGE };
        // BotKit writes the user id into the URL as it is: a plus is a plus.
        let plain = request.query.replace('+', "%2B");
        for (name, value) in url::form_urlencoded::parse(plain.as_bytes()) {
            let number = || value.parse::<usize>().map_err(|_| refuse(400, "skip and limit are numbers"));
            match name.as_ref() {
                "userId" => query.customer = value.into_owned(),
                "skip" => query.skip = number()?,
                "limit" => query.limit = number()?.clamp(1, MAX_PAGE),
                _ => {}
            }
        }
        if query.customer.is_empty() {
            return Err(refuse(400, "userId is missing"));
        }
        Ok(Received { proof: Proof::Token, heard: vec![Heard::History(query)], answer: done() })
    }
}

fn refuse(status: u16, message: &str) -> Rejected {
    Rejected(Answer::error(status, message))
}

fn done() -> Answer {
    Answer::ok(json!({}))
}

/// Proven, answered, and of no consequence.
fn answered(body: Value) -> Received {
    Received { proof: Proof::Token, heard: Vec::new(), answer: Answer::ok(body) }
}

/// Of no consequence either, but only for whom the id belongs to.
fn named(id: RequestId, body: Value) -> Received {
    Received { proof: Proof::Token, heard: vec![Heard::Named(id)], answer: Answer::ok(body) }
}

/// BotKit sends the whole payload back with every line, up to 100 kB of it: what is not looked at is not built.
fn read(body: &[u8]) -> Result<Callback, Rejected> {
    // A struct could be read from an array as well.
    let is_object = body.trim_ascii_start().first() == Some(&b'{');
    let read = if is_object { serde_json::from_slice(body).ok() } else { None };
    read.ok_or_else(|| refuse(400, "the body is not the JSON of a payload, or its message is not a text"))
}

/// The words for the user: the message, or what overrides it.
fn for_user(body: Callback) -> Result<Text, Rejected> {
    let message = limited(body.message.unwrap_or_default())?;
    match body.override_message_payload {
        Some(over) if over.is_template => template(over.body),
        Some(over) => match over.body {
            Value::String(text) => Ok(Text::plain(limited(text)?)),
            Value::Null => Ok(Text::plain(message)),
            _ => Err(refuse(400, "overrideMessagePayload.body is not a text")),
        },
        None => {
            let rich = unchanged_rich(&message, body.message_object);
            Ok(Text { rich, ..Text::plain(message) })
        }
    }
}

fn for_bot(body: Callback) -> Result<Text, Rejected> {
    let message = limited(body.message.unwrap_or_default())?;
    if message.chars().count() > MAX_FOR_BOT {
        return Err(refuse(400, "a message for the bot has at most 3000 characters"));
    }
    Ok(Text::plain(message))
}

/// A channel template, as JSON text. The message beside it may be of another speaker, so it never stands for it.
fn template(body: Value) -> Result<Text, Rejected> {
    let body = match body {
        Value::String(text) => serde_json::from_str(&limited(text)?)
            .map_err(|_| refuse(400, "overrideMessagePayload.body is not the JSON of a template"))?,
        other => other,
    };
    if !body.is_object() || body.to_string().len() > MAX_TEXT {
        return Err(refuse(400, "overrideMessagePayload.body is not a template of at most 32 kB"));
    }
    let rich = without_nul(body);
    let words = in_words(&rich);
    Ok(Text { rich: Some(rich), ..Text::plain(words) })
}

/// What stands for a template where nothing richer can be shown: its words, and what may be chosen.
fn in_words(rich: &Value) -> String {
    let payload = &rich["payload"];
    let texts = [&payload["text"], &payload["heading"], &payload["title"], &rich["text"]];
    let Some(words) = texts.into_iter().find_map(Value::as_str) else {
        return format!("[{}]", payload["template_type"].as_str().unwrap_or("message"));
    };
    let choices = [&payload["buttons"], &payload["quick_replies"], &payload["elements"]];
    let titles = choices.into_iter().filter_map(Value::as_array).flatten();
    let titles = titles.filter_map(|choice| choice["title"].as_str()).map(|title| format!("- {title}"));
    std::iter::once(words.to_owned()).chain(titles).collect::<Vec<_>>().join("\n")
}

/// A rich message that went to BotKit as plain words, and came back with the same words.
fn unchanged_rich(message: &str, object: Value) -> Option<Value> {
    let object: MessageObject = serde_json::from_value(object).ok()?;
    (object.text == message && !object.rich.is_null()).then(|| without_nul(object.rich))
}

fn limited(text: String) -> Result<String, Rejected> {
    if text.len() > MAX_TEXT {
        return Err(refuse(400, "a text has at most 32 kB"));
    }
    Ok(if text.contains('\0') { text.replace('\0', "") } else { text })
}

/// NUL cannot be stored as text everywhere, and nobody can see it.
fn without_nul(value: Value) -> Value {
    match value {
        Value::String(text) => Value::String(text.replace('\0', "")),
        Value::Array(items) => Value::Array(items.into_iter().map(without_nul).collect()),
        Value::Object(fields) => {
            Value::Object(fields.into_iter().map(|(k, v)| (k.replace('\0', ""), without_nul(v))).collect())
        }
        other => other,
    }
}

/// The answer to `getMessages`, newest first. A line that was held stands in the log twice; it is told once.
pub(super) fn render_history(history: &History) -> Answer {
    let seen = history.lines.iter().rev().filter(|(_, entry)| entry.customer_sees());
    let messages = seen.filter_map(|(conversation, entry)| message(conversation, entry)).collect();
    let page = Messages { total: history.total, more_available: history.more, messages };
    serde_json::to_value(page)
        .map_or_else(|_| Answer::error(500, "the history cannot be written"), Answer::ok)
}

fn message(conversation: &ConversationId, entry: &Entry) -> Option<Message> {
    let text = with_names(entry.text()?);
    let created_on = jiff::Timestamp::from_millisecond(entry.at.0).ok()?;
    Some(Message {
        id: format!("ms-{conversation}-{}", entry.seq),
        kind: if entry.by == Speaker::Customer { "incoming" } else { "outgoing" },
        created_on: format!("{created_on:.3}"),
        lang: "en",
        session_id: conversation.to_string(),
        channels: [ChannelType { kind: "rtm" }],
        chnl: "rtm",
        timestamp_value: entry.at.0,
        components: [Component {
            id: format!("cp-{conversation}-{}", entry.seq),
            kind: "text",
            data: ComponentText { text },
            thumbnails: [],
        }],
        tags: Tags::default(),
    })
}
