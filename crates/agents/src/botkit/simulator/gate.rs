//! What BotKit checks before its bot file sees an event, and the words in which it refuses.

use std::fmt;

use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use interline_connector::Algorithm;
use jsonwebtoken::{DecodingKey, Validation};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use url::Url;

use super::sdk::{ATTACHMENTS, Class};

/// The framework's default limit of a body.
pub(super) const MAX_BODY: usize = 102_400;

/// Every event must carry these URLs, each with the bot id as segment 6.
const URLS: [&str; 9] = [
    "baseUrl",
    "sendUserMessageUrl",
    "sendBotMessageUrl",
    "skipUserMessageUrl",
    "skipBotMessageUrl",
    "resetBotUrl",
    "clearConversationSessionUrl",
    "sendFeedbackMessageUrl",
    "getBotVariableUrl",
];

/// BotKit says no.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Refused {
    pub(super) status: u16,
    pub(super) code: Value,
    pub(super) msg: String,
}

impl Refused {
    pub(super) fn new(status: u16, code: impl Into<Value>, msg: impl Into<String>) -> Self {
        Self { status, code: code.into(), msg: msg.into() }
    }

    /// Something threw.
    pub(super) fn internal(msg: impl Into<String>) -> Self {
        Self::new(500, "INTERNAL_SERVER_ERROR", msg)
    }

    fn credentials() -> Self {
        Self::new(401, 4002, "Invalid apikey")
    }
}

/// A status that a fault answers with, in BotKit's words.
pub(super) fn scripted(status: StatusCode) -> Response {
    let code = if status == StatusCode::UNAUTHORIZED { json!(4002) } else { json!("INTERNAL_SERVER_ERROR") };
    Refused::new(status.as_u16(), code, "scripted fault").into_response()
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.status, self.code, self.msg)
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let body = json!({ "errors": [{ "msg": self.msg, "code": self.code }] });
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, axum::Json(&body)).into_response();
        if self.status == 401
            && let Ok(value) = HeaderValue::from_str(&body.to_string())
        {
            response.headers_mut().insert(HeaderName::from_static("response-error-description"), value);
        }
        response
    }
}

/// Size and syntax come first, as in the framework.
pub(super) fn parse(headers: &HeaderMap, body: &[u8]) -> Result<Map<String, Value>, Refused> {
    if body.len() > MAX_BODY {
        return Err(Refused::internal("request entity too large"));
    }
    let kind = headers.get("content-type").and_then(|value| value.to_str().ok()).unwrap_or("");
    if !kind.starts_with("application/json") {
        return Ok(Map::new());
    }
    match serde_json::from_slice(body) {
        Ok(Value::Object(fields)) => Ok(fields),
        Ok(_) | Err(_) => Err(Refused::new(412, "VALIDATION_ERROR", "Invalid JSON")),
    }
}

/// `st-` and 8-4-4-4-12 hex digits, third group starting with 5, fourth with 8, 9, a or b.
pub(super) fn is_bot_id(text: &str) -> bool {
    let Some(uuid) = text.strip_prefix("st-") else { return false };
    let groups: Vec<&str> = uuid.split('-').collect();
    let lengths = groups.iter().map(|group| group.len()).eq([8, 4, 4, 4, 12]);
    lengths
        && groups.iter().all(|group| group.chars().all(|c| c.is_ascii_hexdigit()))
        && groups[2].starts_with('5')
        && groups[3].to_ascii_lowercase().starts_with(['8', '9', 'a', 'b'])
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Claims {
    app_id: String,
    exp: Option<f64>,
    nbf: Option<f64>,
}

/// The credentials of the bot in the URL.
pub(super) struct Keys<'a> {
    pub(super) client_id: &'a str,
    pub(super) client_secret: &'a str,
    pub(super) algorithm: Algorithm,
}

/// The `token`, or the old `apikey`. The algorithm is BotKit's own, never the token's.
pub(super) fn check_credentials(headers: &HeaderMap, keys: &Keys<'_>, now: f64) -> Result<(), Refused> {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let Some(token) = header("token") else {
        return if header("apikey") == Some(keys.client_secret) {
            Ok(())
        } else {
            Err(Refused::credentials())
        };
    };
    let mut validation = Validation::new(jwt_algorithm(keys.algorithm));
    validation.validate_exp = false;
    validation.validate_aud = false;
    validation.required_spec_claims.clear();
    let key = DecodingKey::from_secret(keys.client_secret.as_bytes());
    let claims =
        jsonwebtoken::decode::<Claims>(token, &key, &validation).map_err(|_| Refused::credentials())?.claims;
    let in_time = claims.exp.is_none_or(|exp| now < exp) && claims.nbf.is_none_or(|nbf| now >= nbf);
    if claims.app_id == keys.client_id && in_time { Ok(()) } else { Err(Refused::credentials()) }
}

pub(super) fn jwt_algorithm(algorithm: Algorithm) -> jsonwebtoken::Algorithm {
    match algorithm {
        Algorithm::HS256 => jsonwebtoken::Algorithm::HS256,
        Algorithm::HS512 => jsonwebtoken::Algorithm::HS512,
    }
}

/// What the SDK and common bot files reach for. They throw, or fail with INVALID_ARGUMENTS, where something is missing;
/// a stand-in that is strict finds it before a customer does.
pub(super) fn check_fields(class: Class, bot: &str, fields: &Map<String, Value>) -> Result<(), Refused> {
    let text = |pointer: &str| at(fields, pointer).and_then(Value::as_str).filter(|text| !text.is_empty());
    for pointer in [
        "/requestId",
        "/channel/from",
        "/channel/type",
        "/channel/channelInfos/from",
        "/context/session/UserContext/_id",
    ] {
        if text(pointer).is_none() {
            return Err(Refused::internal(format!(
                "Cannot read properties of undefined (reading '{pointer}')"
            )));
        }
    }
    for pointer in [
        "/context/session/BotUserSession",
        "/context/session/UserSession",
        "/metaInfo",
        "/metaTags/userMetaTags",
    ] {
        if at(fields, pointer).is_none_or(|value| !value.is_object() && !value.is_array()) {
            return Err(Refused::internal(format!(
                "Cannot read properties of undefined (reading '{pointer}')"
            )));
        }
    }
    if text("/botId") != Some(bot) {
        return Err(Refused::internal("botId differs from the URL's"));
    }
    let more: &[&str] = match class {
        Class::AgentTransfer => &["callbackUrl", "getDialogUrl"],
        Class::Message | Class::Event => &[],
    };
    for name in URLS.iter().chain(more) {
        let url = fields.get(*name).and_then(Value::as_str).unwrap_or("");
        if url.split('/').nth(6) != Some(bot) {
            return Err(Refused::new(400, "INVALID_ARGUMENTS", format!("{name} is missing or malformed")));
        }
    }
    let needed_text = matches!(class, Class::Message);
    if needed_text && fields.get("message").and_then(Value::as_str).is_none() {
        return Err(Refused::internal("message is not text"));
    }
    if matches!(class, Class::Event) && text("/event/eventType").is_none() {
        return Err(Refused::internal("event.eventType is missing"));
    }
    check_attachments(fields)?;
    if fields.get("agent_transfer").is_some_and(|value| !value.is_boolean()) {
        return Err(Refused::internal("agent_transfer is not a boolean"));
    }
    Ok(())
}

/// What a bot file that passes files on reads of each.
fn check_attachments(fields: &Map<String, Value>) -> Result<(), Refused> {
    let Some(list) = at(fields, ATTACHMENTS) else { return Ok(()) };
    let list = list.as_array().filter(|list| !list.is_empty());
    let list = list.ok_or_else(|| Refused::internal("attachments.forEach is not a function"))?;
    let text = |one: &Value, name: &str| one[name].as_str().is_some_and(|text| !text.is_empty());
    let is_url = |one: &Value, name: &str| {
        one[name]
            .as_str()
            .and_then(|url| Url::parse(url).ok())
            .is_some_and(|url| url.scheme().starts_with("http"))
    };
    for one in list {
        let texts = ["fileId", "fileName", "mime"].iter().all(|name| text(one, name));
        let urls = ["fileUrl", "downloadUrl"].iter().all(|name| is_url(one, name));
        let kind = matches!(one["fileType"].as_str(), Some("image" | "audio" | "video" | "attachment"));
        if !(texts && urls && kind && one["bytes"].is_u64() && one["size"].is_number()) {
            return Err(Refused::internal("an attachment is not complete"));
        }
    }
    Ok(())
}

/// A value by JSON pointer.
pub(super) fn at<'a>(fields: &'a Map<String, Value>, pointer: &str) -> Option<&'a Value> {
    let (first, rest) = pointer.strip_prefix('/')?.split_once('/').unwrap_or((pointer.get(1..)?, ""));
    let value = fields.get(first)?;
    if rest.is_empty() { Some(value) } else { value.pointer(&format!("/{rest}")) }
}
