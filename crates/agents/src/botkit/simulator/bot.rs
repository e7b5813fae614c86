//! The event endpoints, and the bot file behind them: it does what the sample live-chat bot does.

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use interline_connector::simulator::{By, Chat, ChatState, Line, ShownFile};
use serde_json::{Map, Value, json};

use super::gate::{self, Refused, at};
use super::sdk::{Class, Payload};
use super::{HOLD, Simulator};

/// `{prefix}/sdk/bots/…`.
pub(super) fn routes(prefix: &str) -> Router<Simulator> {
    let prefix = prefix.trim_end_matches('/');
    Router::new()
        .route(&format!("{prefix}/sdk/bots/{{bot}}/{{event}}"), post(default_component))
        .route(&format!("{prefix}/sdk/bots/{{bot}}/components/{{component}}/{{event}}"), post(with_component))
        .layer(DefaultBodyLimit::disable())
}

async fn default_component(
    State(sim): State<Simulator>,
    Path((bot, event)): Path<(String, String)>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    sim.event(&Arrived { bot, component: "default".into(), event }, &headers, &body).await
}

async fn with_component(
    State(sim): State<Simulator>,
    Path((bot, component, event)): Path<(String, String, String)>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    sim.event(&Arrived { bot, component, event }, &headers, &body).await
}

/// Where an event came in.
struct Arrived {
    bot: String,
    component: String,
    event: String,
}

impl Simulator {
    async fn event(&self, arrived: &Arrived, headers: &HeaderMap, body: &[u8]) -> Response {
        match self.handle(arrived, headers, body).await {
            Ok(payload) => success(&payload),
            Err(refused) => refused.into_response(),
        }
    }

    async fn handle(&self, arrived: &Arrived, headers: &HeaderMap, body: &[u8]) -> Result<Payload, Refused> {
        let payload = self.check(arrived, headers, body)?;
        if self.desk().faults().special(HOLD) {
            return Ok(payload);
        }
        if self.behaviour().answer_at_once {
            let (sim, event, payload) = (self.clone(), arrived.event.clone(), payload.clone());
            tokio::spawn(async move { sim.bot_file(&event, payload).await });
        } else {
            self.bot_file(&arrived.event, payload.clone()).await?;
        }
        Ok(payload)
    }

    fn check(&self, arrived: &Arrived, headers: &HeaderMap, body: &[u8]) -> Result<Payload, Refused> {
        let fields = gate::parse(headers, body)?;
        // With a prefix BotKit's check is not on the way: it is mounted on /sdk/ alone.
        if self.inner.settings.prefix.trim_matches('/').is_empty() {
            if !gate::is_bot_id(&arrived.bot) {
                return Err(Refused::internal("Cannot read properties of null (reading '0')"));
            }
            let now = self.desk().clock().now_ms() as f64 / 1000.0;
            gate::check_credentials(headers, &self.keys_of(&arrived.bot), now)?;
        }
        let class = match arrived.event.as_str() {
            "on_user_message" | "on_bot_message" => Class::Message,
            "on_agent_transfer" => Class::AgentTransfer,
            "on_event" => Class::Event,
            "on_variable_update" if !fields.contains_key("data") => {
                return Err(Refused::internal("Cannot read properties of undefined (reading 'eventType')"));
            }
            "on_webhook" | "on_alert" | "on_variable_update" => {
                return Err(Refused::internal("the bot file has no handler for this event"));
            }
            _ => return Err(Refused::new(404, "NOT_FOUND", "Event not found")),
        };
        if arrived.bot != self.inner.settings.app_id {
            return Err(Refused::internal("bot not registered"));
        }
        gate::check_fields(class, &arrived.bot, &fields)?;
        Ok(Payload::new(class, &arrived.bot, &arrived.component, fields))
    }

    /// Its result is the promise that the handler returns.
    async fn bot_file(&self, event: &str, payload: Payload) -> Result<(), Refused> {
        match event {
            "on_user_message" if payload.fields.get("agent_transfer") == Some(&true.into()) => {
                self.user_to_agent(payload).await
            }
            "on_user_message" => self.user_to_bot(payload).await,
            "on_bot_message" => {
                self.call_url("sendUserMessage", "sendUserMessageUrl", &payload).await.map(|_| ())
            }
            "on_agent_transfer" => self.transfer(payload).await,
            _ => {
                self.told(&payload);
                Ok(())
            }
        }
    }

    async fn user_to_bot(&self, payload: Payload) -> Result<(), Refused> {
        let word = self.behaviour().take_over_word;
        if word.is_some_and(|word| payload.text("message").eq_ignore_ascii_case(&word)) {
            let id = self.begin_chat(&payload);
            self.customer_line(&id, &payload);
            return self.call_base("startAgentSession", &payload).await.map(|_| ());
        }
        self.call_url("sendBotMessage", "sendBotMessageUrl", &payload).await.map(|_| ())
    }

    /// In agent mode: to the agent; where no agent has this user, to the bot, as the sample does.
    async fn user_to_agent(&self, payload: Payload) -> Result<(), Refused> {
        let adopt = self.behaviour().adopt_strangers;
        let known = self.parts().of(&payload.visitor());
        match known.or_else(|| adopt.then(|| self.begin_chat(&payload))) {
            Some(id) => {
                self.customer_line(&id, &payload);
                Ok(())
            }
            None => self.call_url("sendBotMessage", "sendBotMessageUrl", &payload).await.map(|_| ()),
        }
    }

    /// The three calls are made without waiting for each other.
    async fn transfer(&self, payload: Payload) -> Result<(), Refused> {
        let behaviour = self.behaviour();
        let id = self.begin_chat(&payload);
        let welcome = async {
            let Some(text) = &behaviour.welcome else { return Ok(()) };
            let welcome = payload.with_message(text);
            self.call_url("sendUserMessage", "sendUserMessageUrl", &welcome).await.map(|_| ())
        };
        let start = async {
            if !behaviour.start_session {
                return Ok(());
            }
            self.call_base("startAgentSession", &payload).await.map(|_| ())
        };
        let transcript = async {
            if !behaviour.transcript {
                return Ok(());
            }
            let history = self.get_messages(&payload).await?.body;
            let lines = read_history(&history)?;
            self.desk().change(&id, |chat| drop(chat.lines.splice(0..0, lines)));
            Ok(())
        };
        let (welcome, start, transcript) = tokio::join!(welcome, start, transcript);
        welcome.and(start).and(transcript)
    }

    /// An `on_event`: the agent is told.
    fn told(&self, payload: &Payload) {
        let kind = at(&payload.fields, "/event/eventType").and_then(Value::as_str).unwrap_or("?").to_owned();
        let chat = self.parts().of(&payload.visitor());
        if let Some(id) = chat {
            self.desk().line(&id, Line::new(By::System, format!("Event: {kind}")));
        }
    }

    fn begin_chat(&self, payload: &Payload) -> String {
        let id = payload.text("requestId").to_owned();
        let visitor = payload.visitor();
        if self.parts().begin(&id, visitor.clone(), payload.clone()) {
            self.desk().open(shown(&id, visitor, payload));
        }
        id
    }

    /// The words reach the agent at once; the files are fetched meanwhile.
    fn customer_line(&self, id: &str, payload: &Payload) {
        let text = |one: &Value, name: &str| one[name].as_str().unwrap_or_default().to_owned();
        let files = payload.attachments().iter().map(|one| ShownFile {
            bytes: one["bytes"].as_u64(),
            ..ShownFile::at(text(one, "fileName"), text(one, "fileUrl"))
        });
        let line = Line { files: files.collect(), ..Line::new(By::Customer, payload.text("message")) };
        let Some(place) = self.desk().line(id, line) else { return };
        for one in payload.attachments() {
            let (desk, id) = (self.desk().clone(), id.to_owned());
            let (page, from) = (text(one, "fileUrl"), text(one, "downloadUrl"));
            tokio::spawn(async move { desk.fetch_from(&from, &id, place, &page, HeaderMap::new()).await });
        }
    }
}

/// The chat as its agent sees it: the sample shows whom it is with, what is known of them and why they come.
fn shown(id: &str, visitor: String, payload: &Payload) -> Chat {
    let part = |pointer: &str| at(&payload.fields, &format!("/context{pointer}"));
    let text = |pointer: &str| part(pointer).and_then(Value::as_str).map(str::to_owned);
    let identity = text("/session/UserContext/identities/0/val");
    let names: Vec<String> = ["firstName", "lastName"]
        .iter()
        .filter_map(|name| text(&format!("/session/UserContext/{name}")))
        .collect();
    let named = (!names.is_empty()).then(|| names.join(" "));
    let mut context = Vec::new();
    let mut tell = |name: &str, value: Option<String>| {
        context.extend(value.filter(|value| !value.is_empty()).map(|value| (name.to_owned(), value)));
    };
    tell("identity", identity.clone());
    tell("e-mail", text("/session/UserContext/emailId"));
    tell("language", text("/currentLanguage"));
    for name in ["queue", "skills", "summary"] {
        let value = part(&format!("/session/BotUserSession/{name}"));
        tell(name, value.map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned)));
    }
    for (name, value) in
        part("/session/UserContext/customData").and_then(Value::as_object).into_iter().flatten()
    {
        tell(name, value.as_str().map(str::to_owned));
    }
    Chat {
        title: named.or(identity).unwrap_or_else(|| visitor.clone()),
        visitor,
        state: ChatState::Talking,
        context,
        transcript: text("/session/BotUserSession/transcriptUrl"),
        ..Chat::waiting(id, "")
    }
}

fn success(payload: &Payload) -> Response {
    let body = match payload.class {
        Class::AgentTransfer => json!({ "headers": { "supportsMessageAck": true } }),
        Class::Message | Class::Event => payload.json(),
    };
    ([("supportsMessageAck", "true")], axum::Json(body)).into_response()
}

/// As strict as BotKit's history page, which breaks on an entry without a text.
fn read_history(history: &Value) -> Result<Vec<Line>, Refused> {
    let broken = |what: &str| Refused::internal(format!("the history page breaks: {what}"));
    let messages = history["messages"].as_array().ok_or_else(|| broken("no messages"))?;
    // Clocks may step back a little in between.
    let time = |message: Option<&Value>| message.and_then(|message| message["timestampValue"].as_i64());
    if time(messages.first()) < time(messages.last()) {
        return Err(broken("not newest first"));
    }
    let mut lines = Vec::new();
    for message in messages.iter().rev() {
        let fields: &Map<String, Value> =
            message.as_object().ok_or_else(|| broken("an entry is no object"))?;
        let text =
            at(fields, "/components").and_then(|list| list.pointer("/0/data/text")).and_then(Value::as_str);
        let by = match message["type"].as_str() {
            Some("incoming") => By::Customer,
            Some("outgoing") => By::Bot,
            Some(_) | None => return Err(broken("an entry's type")),
        };
        message["createdOn"].as_str().ok_or_else(|| broken("an entry without createdOn"))?;
        let text = text.ok_or_else(|| broken("an entry without text"))?;
        let at_ms = message["timestampValue"].as_i64().unwrap_or(0);
        lines.push(Line { at_ms, before: true, ..Line::new(by, text) });
    }
    Ok(lines)
}
