//! Your own bot, by a small JSON protocol.
//!
//! For each turn we POST to your URL:
//!
//! ```json
//! { "conversation": "cnv_…", "customer": { "id": "u-…", "channel": "web" },
//!   "text": "where is my order?", "context": { "tier": "gold" },
//!   "history": [{ "by": "customer", "text": "hi" }, { "by": "bot", "text": "Hello" }],
//!   "human_part_over": "agent_ended" }
//! ```
//!
//! `text` is not there when the bot is to begin. You answer:
//!
//! ```json
//! { "messages": ["It is on its way.", "Anything else?"], "context": { "order": 7 }, "action": "listen" }
//! ```
//!
//! `action` is `listen` (the default), `done`, `give_up`, or `transfer` (with a `reason`, if you like). The header
//! `Idempotency-Key` is the same when the same turn is asked again. With a `secret` each request is signed:
//! `Authorization: Bearer <secret>`.

#[cfg(test)]
pub(crate) mod tests;

use std::sync::Arc;

use async_trait::async_trait;
use http::HeaderName;
use interline_connector::bot::Asked;
use interline_connector::http::Request;
use interline_connector::{Bot, BotConnector, Cause, Failure, Http, Secret};
use interline_core::flow::work::{Reply, Then};
use interline_core::transfer::Reason;
use interline_core::{Entry, Speaker};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use url::Url;

/// The longest answer: so many messages, each so long.
const MOST_MESSAGES: usize = 20;
const LONGEST_MESSAGE: usize = 8 * 1024;

/// Your own bot.
#[derive(Debug, Clone, Copy)]
pub struct Webhook;

/// What an operator fills in.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Settings {
    /// Where each turn is POSTed.
    #[schemars(with = "String", extend("format" = "uri"))]
    url: Url,
    /// Sent as `Authorization: Bearer …`.
    #[serde(default)]
    secret: Option<Secret>,
}

impl BotConnector for Webhook {
    fn id(&self) -> &'static str {
        "webhook"
    }

    fn title(&self) -> &'static str {
        "Your own bot (webhook)"
    }

    fn settings_schema(&self) -> Value {
        schemars::schema_for!(Settings).to_value()
    }

    fn build(&self, settings: Value, http: Http) -> Result<Arc<dyn Bot>, String> {
        let settings: Settings = serde_json::from_value(settings).map_err(|error| error.to_string())?;
        Ok(Arc::new(Hook { settings, http }))
    }
}

struct Hook {
    settings: Settings,
    http: Http,
}

#[derive(Serialize)]
struct Question<'a> {
    conversation: &'a str,
    customer: Who,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<&'a str>,
    context: &'a Map<String, Value>,
    history: Vec<Line<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    human_part_over: Option<&'a str>,
}

#[derive(Serialize)]
struct Who {
    id: String,
    channel: String,
}

/// A line of what was said.
#[derive(Serialize)]
pub(crate) struct Line<'a> {
    /// `customer`, `bot`, `agent`.
    pub by: &'static str,
    /// The words.
    pub text: &'a str,
}

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    messages: Vec<String>,
    #[serde(default)]
    context: Map<String, Value>,
    #[serde(default)]
    action: Action,
    #[serde(default)]
    reason: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Action {
    #[default]
    Listen,
    Done,
    GiveUp,
    Transfer,
}

/// What was said, as a bot is told it.
pub(crate) fn lines(before: &[Entry]) -> Vec<Line<'_>> {
    let by = |entry: &Entry| match entry.by {
        Speaker::Customer => "customer",
        Speaker::Bot | Speaker::System => "bot",
        Speaker::Agent { .. } | Speaker::Operator { .. } => "agent",
    };
    let said = before.iter().filter_map(|entry| Some((entry, entry.text()?)));
    let said = said.filter(|(_, text)| !text.text.is_empty());
    said.map(|(entry, text)| Line { by: by(entry), text: &text.text }).collect()
}

impl Hook {
    fn request(&self, asked: Option<&Asked>, body: &impl Serialize) -> Request {
        let mut request = Request::post(self.settings.url.clone()).json(body);
        if let Some(secret) = &self.settings.secret {
            request = request.bearer(&secret.to_secrecy());
        }
        match asked {
            Some(asked) => request
                .header(HeaderName::from_static("idempotency-key"), &asked.key)
                .deadline(asked.deadline),
            None => request,
        }
    }
}

#[async_trait]
impl Bot for Hook {
    async fn turn(&self, asked: &Asked) -> Result<Reply, Failure> {
        let turn = &asked.turn;
        let question = Question {
            conversation: asked.conversation.id.as_str(),
            customer: Who {
                id: asked.conversation.customer.id.user_id(),
                channel: asked.conversation.customer.channel.to_string(),
            },
            text: turn.text.as_deref(),
            context: &turn.context,
            history: lines(&asked.before),
            human_part_over: turn.human_part_over.as_deref(),
        };
        // An object first: serde would read a list as the fields of an answer.
        let answer: Map<String, Value> =
            self.http.send(self.request(Some(asked), &question)).await?.json()?;
        let unreadable = |_| Failure::Bug(Cause::new(Reason::VendorError, "the answer cannot be read"));
        let answer: Answer = serde_json::from_value(Value::Object(answer)).map_err(unreadable)?;
        if answer.messages.len() > MOST_MESSAGES
            || answer.messages.iter().any(|message| message.len() > LONGEST_MESSAGE)
        {
            return Err(Failure::Bug(Cause::new(Reason::VendorError, "the bot says too much")));
        }
        let then = match answer.action {
            Action::Listen => Then::Listens,
            Action::Done => Then::Done,
            Action::GiveUp => Then::GivesUp,
            Action::Transfer => Then::Transfer { reason: answer.reason },
        };
        Ok(Reply { says: answer.messages, context: answer.context, then })
    }

    async fn probe(&self) -> Result<(), String> {
        let ping = serde_json::json!({ "ping": true });
        match self.http.send(self.request(None, &ping)).await {
            Ok(_) => Ok(()),
            Err(failure) => Err(failure.cause().code.clone()),
        }
    }
}
