//! The SDK inside BotKit: payload objects, and the calls that it makes to the platform.

use std::time::Duration;

use axum::body::Bytes;
use axum::http::{HeaderMap, HeaderValue, Method};
use interline_connector::simulator::{AgentFile, Fault};
use jsonwebtoken::{EncodingKey, Header};
use serde_json::{Map, Value, json};

use super::gate::{Refused, at, is_bot_id, jwt_algorithm};
use super::{EXPIRED_TOKEN, FOREIGN_TOKEN, NO_EXP, Simulator};

/// `__payloadClass`: the event that a payload stems from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    Message,
    AgentTransfer,
    Event,
}

/// Where files are: the SDK carries the whole channel over, and drops an `attachments` beside the message.
pub(super) const ATTACHMENTS: &str = "/channel/channelInfos/attachments";

/// What every class carries over from the event.
const COMMON: [&str; 14] = [
    "requestId",
    "botId",
    "context",
    "message",
    "channel",
    "baseUrl",
    "sendUserMessageUrl",
    "sendBotMessageUrl",
    "skipUserMessageUrl",
    "skipBotMessageUrl",
    "getBotVariableUrl",
    "metaTags",
    "messageObject",
    "sendFeedbackMessageUrl",
];

impl Class {
    fn name(self) -> &'static str {
        match self {
            Self::Message => "OnMessagePayload",
            Self::AgentTransfer => "OnAgentTransferPayload",
            Self::Event => "OnEventPayload",
        }
    }

    fn more(self) -> &'static [&'static str] {
        match self {
            Self::Message => &["componentId", "agent_transfer", "isTemplate", "metaInfo", "formattedMessage"],
            Self::AgentTransfer => &["callbackUrl"],
            Self::Event => {
                &["componentId", "agent_transfer", "isTemplate", "metaInfo", "formattedMessage", "event"]
            }
        }
    }
}

/// The data object that a bot file is given, and gives back to the SDK.
#[derive(Debug, Clone)]
pub(super) struct Payload {
    pub(super) class: Class,
    pub(super) fields: Map<String, Value>,
}

impl Payload {
    /// Of what the platform sent, BotKit keeps what it knows.
    pub(super) fn new(class: Class, bot: &str, component: &str, mut sent: Map<String, Value>) -> Self {
        let mut fields = Map::new();
        for name in COMMON.iter().chain(class.more()) {
            if let Some(value) = sent.remove(*name) {
                fields.insert((*name).to_owned(), value);
            }
        }
        fields.insert("botId".into(), bot.into());
        if class == Class::AgentTransfer {
            // Known to the class, but filled by the bot file alone.
            fields.remove("message");
        }
        match class {
            Class::Message | Class::Event => {
                fields.insert("componentId".into(), component.into());
            }
            Class::AgentTransfer => {}
        }
        if class == Class::Message {
            fields.insert("ackMessage".into(), true.into());
        }
        Self { class, fields }
    }

    pub(super) fn text(&self, name: &str) -> &str {
        self.fields.get(name).and_then(Value::as_str).unwrap_or("")
    }

    /// As the sample bot finds the user.
    pub(super) fn visitor(&self) -> String {
        let found =
            at(&self.fields, "/channel/channelInfos/from").or_else(|| at(&self.fields, "/channel/from"));
        found.and_then(Value::as_str).unwrap_or("").to_owned()
    }

    pub(super) fn with_message(&self, message: &str) -> Self {
        let mut other = self.clone();
        other.fields.insert("message".into(), message.into());
        other
    }

    /// As a bot file offers choices: by a template of the channel.
    pub(super) fn with_choices(mut self, text: &str, choices: &[String]) -> Self {
        let button = |choice: &String| json!({ "type": "postback", "title": choice, "payload": choice });
        let buttons: Vec<Value> = choices.iter().map(button).collect();
        let payload = json!({ "template_type": "button", "text": text, "buttons": buttons });
        let body = json!({ "type": "template", "payload": payload }).to_string();
        let over = json!({ "body": body, "isTemplate": true });
        self.fields.insert("overrideMessagePayload".into(), over);
        self
    }

    /// As a bot file adds files of its own.
    pub(super) fn with_files(mut self, files: &[AgentFile]) -> Self {
        let list: Vec<Value> =
            files.iter().map(|file| json!({ "fileName": file.name, "fileUrl": file.url })).collect();
        let infos = self.fields.get_mut("channel").and_then(|channel| channel.get_mut("channelInfos"));
        if let Some(infos) = infos.filter(|_| !list.is_empty()) {
            infos["attachments"] = list.into();
        }
        self
    }

    /// The files that came with the event.
    pub(super) fn attachments(&self) -> &[Value] {
        let list = at(&self.fields, ATTACHMENTS).and_then(Value::as_array);
        list.map(Vec::as_slice).unwrap_or_default()
    }

    /// As it goes over the wire.
    pub(super) fn json(&self) -> Value {
        let mut fields = self.fields.clone();
        fields.insert("__payloadClass".into(), self.class.name().into());
        Value::Object(fields)
    }
}

/// What the platform answered to a call.
#[derive(Debug, Clone)]
pub(super) struct Answered {
    pub(super) status: u16,
    pub(super) body: Value,
}

impl Simulator {
    /// `sdk.sendUserMessage`, `sendBotMessage`, … by a URL that the payload carries.
    pub(super) async fn call_url(
        &self,
        name: &str,
        field: &str,
        payload: &Payload,
    ) -> Result<Answered, Refused> {
        let url = payload.text(field).to_owned();
        if url.is_empty() {
            return Err(Refused::new(400, "INVALID_ARGUMENTS", format!("{field} is missing")));
        }
        self.call(Method::POST, name, url, &payload.json()).await
    }

    /// `sdk.startAgentSession`, `clearAgentSession`, `extendcallid`: relative to the base URL.
    pub(super) async fn call_base(&self, name: &str, payload: &Payload) -> Result<Answered, Refused> {
        let (base, id) = (payload.text("baseUrl"), payload.text("requestId"));
        if base.is_empty() || id.is_empty() {
            return Err(Refused::new(400, "INVALID_ARGUMENTS", "baseUrl or requestId is missing"));
        }
        self.call(Method::POST, name, format!("{base}/{name}/{id}"), &payload.json()).await
    }

    /// `sdk.getMessages`: a GET with the four bytes `null` as body and an unencoded user id.
    pub(super) async fn get_messages(&self, payload: &Payload) -> Result<Answered, Refused> {
        let (base, user) = (payload.text("baseUrl"), payload.visitor());
        self.call(
            Method::GET,
            "getMessages",
            format!("{base}/getMessages?skip=0&limit=20&userId={user}"),
            &Value::Null,
        )
        .await
    }

    async fn call(&self, method: Method, name: &str, url: String, body: &Value) -> Result<Answered, Refused> {
        let faults = self.desk().faults().told(name);
        for fault in &faults {
            if let Fault::Late { ms } = fault {
                tokio::time::sleep(Duration::from_millis(*ms)).await;
            }
        }
        if faults.contains(&Fault::Lose) {
            return Err(Refused::internal("socket hang up"));
        }
        let token = self.callback_token(&url, &faults).ok_or_else(|| Refused::internal("cannot sign"))?;
        let mut headers = HeaderMap::new();
        if !faults.contains(&Fault::Unsigned) {
            headers.insert("auth", token);
        }
        headers.insert("content-type", HeaderValue::from_static("application/json"));
        headers.insert("accept", HeaderValue::from_static("application/json, text/plain, */*"));
        headers.insert("user-agent", HeaderValue::from_static("axios/1.7.4"));
        let body = Bytes::from(body.to_string());
        let answered = self.request(&method, &url, &headers, body.clone()).await;
        if faults.contains(&Fault::Twice) {
            let _ = self.request(&method, &url, &headers, body).await;
        }
        match answered {
            Ok(answered) if (200..300).contains(&answered.status) => Ok(answered),
            Ok(answered) => {
                let why = answered.body["errors"][0]["msg"]
                    .as_str()
                    .map_or_else(String::new, |why| format!(": {why}"));
                Err(Refused::internal(format!("Request failed with status code {}{why}", answered.status)))
            }
            Err(lost) => Err(Refused::internal(lost)),
        }
    }

    async fn request(
        &self,
        method: &Method,
        url: &str,
        headers: &HeaderMap,
        body: Bytes,
    ) -> Result<Answered, String> {
        let call = self.desk().client().request(method.clone(), url).headers(headers.clone());
        let answer = call.body(body.clone()).send().await;
        let outcome = match answer {
            Ok(answer) => {
                let status = answer.status().as_u16();
                let body = answer.bytes().await.unwrap_or_default();
                Ok(Answered { status, body: serde_json::from_slice(&body).unwrap_or(Value::Null) })
            }
            Err(error) => Err(if error.is_connect() { "ECONNREFUSED" } else { "socket hang up" }.to_owned()),
        };
        let status = outcome.as_ref().map_or(0, |answered| answered.status);
        self.desk().made(method, url, headers, body, status);
        outcome
    }

    /// The token that signs a call. Segment 6 of the URL chooses the credentials, as in the SDK; where it is not a bot
    /// id that BotKit has an entry for, its default credentials sign.
    fn callback_token(&self, url: &str, faults: &[Fault]) -> Option<HeaderValue> {
        let bot = url.split('/').nth(6).map(|segment| segment.split('?').next().unwrap_or(segment));
        let keys = self.keys_of(bot.filter(|bot| is_bot_id(bot)).unwrap_or(""));
        let (mut app, mut secret) = (keys.client_id, keys.client_secret);
        if faults.contains(&Fault::Forged) {
            secret = "another secret";
        }
        if self.desk().faults().special(FOREIGN_TOKEN) {
            app = "cs-00000000-0000-5000-8000-000000000000";
        }
        let now_ms = self.desk().clock().now_ms();
        // Milliseconds by 1000, not rounded.
        let exp = if self.desk().faults().special(NO_EXP) {
            None
        } else if self.desk().faults().special(EXPIRED_TOKEN) {
            Some((now_ms - 600_000) as f64 / 1000.0)
        } else {
            Some((now_ms + 60_000) as f64 / 1000.0)
        };
        let claims = match exp {
            Some(exp) => json!({ "appId": app, "exp": exp }),
            None => json!({ "appId": app }),
        };
        let key = EncodingKey::from_secret(secret.as_bytes());
        let token = jsonwebtoken::encode(&Header::new(jwt_algorithm(keys.algorithm)), &claims, &key).ok()?;
        HeaderValue::from_str(&token).ok()
    }
}
