//! What a request brings: path, query, headers, body. Each is read or refused here, with the place of the fault.

use std::fmt;

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use interline_engine::config::Invalid;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use utoipa::IntoParams;

use super::Api;
use super::problem::Problem;

/// Names and ids are not longer.
const LONGEST: usize = 128;

/// A name or an id: letters, digits, `-`, `_`, `.`. Nothing else is one, so nothing else reaches the store.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Plain(String);

impl TryFrom<String> for Plain {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let plain = !text.is_empty()
            && text.len() <= LONGEST
            && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'));
        if plain { Ok(Self(text)) } else { Err("is not a name or an id of ours") }
    }
}

impl Plain {
    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Plain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Parts of the path by name. What cannot be one is not there: 404.
pub(crate) struct In<T>(pub T);

/// `…/{name}`: an integration, a channel, a credential.
#[derive(Deserialize)]
pub(crate) struct Named {
    /// The name.
    pub name: Plain,
}

impl<T: DeserializeOwned + Send> FromRequestParts<Api> for In<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Problem> {
        let path = Path::<T>::from_request_parts(parts, api).await;
        path.map(|Path(inner)| Self(inner)).map_err(|_| Problem::not_found())
    }
}

/// Something that a person typed, to be looked for: no control characters, and not long.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Sought(String);

impl TryFrom<String> for Sought {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        if text.is_empty() || text.len() > 512 || text.chars().any(char::is_control) {
            return Err("give 1 to 512 bytes without control characters");
        }
        Ok(Self(text))
    }
}

impl Sought {
    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The query.
pub(crate) struct Params<T>(pub T);

impl<T: DeserializeOwned + Send> FromRequestParts<Api> for Params<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Api) -> Result<Self, Problem> {
        Query::<T>::try_from_uri(&parts.uri).map(|Query(inner)| Self(inner)).map_err(|rejection| {
            let text = rejection.body_text();
            let text = text.strip_prefix("Failed to deserialize query string: ").unwrap_or(&text);
            let (path, message) = text.split_once(": ").unwrap_or(("", text));
            Problem::invalid([fault(path, message)])
        })
    }
}

/// A body that can tell what is wrong with it.
pub(crate) trait Check {
    /// Adds every fault.
    fn check(&self, faults: &mut Vec<Invalid>);
}

/// A JSON body, checked.
pub(crate) struct Body<T>(pub T);

impl<T: DeserializeOwned + Check> FromRequest<Api> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, api: &Api) -> Result<Self, Problem> {
        let body: T = read(&bytes(request, api).await?)?;
        let mut faults = Vec::new();
        body.check(&mut faults);
        if faults.is_empty() { Ok(Self(body)) } else { Err(Problem::invalid(faults)) }
    }
}

/// The bytes of a JSON body.
async fn bytes(request: Request, api: &Api) -> Result<Bytes, Problem> {
    if !is_json(request.headers()) {
        let detail = "send JSON, with `Content-Type: application/json`";
        return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "not_json", detail));
    }
    Bytes::from_request(request, api).await.map_err(|rejection: BytesRejection| match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => {
            Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", "a body has at most 1 MiB")
        }
        _ => Problem::at("", "the body was cut off"),
    })
}

fn is_json(headers: &HeaderMap) -> bool {
    let sent = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let kind = sent.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    kind == "application/json" || (kind.starts_with("application/") && kind.ends_with("+json"))
}

fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let read = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let path = error.path().to_string();
        // What it says where it knows none.
        let path = if matches!(path.as_str(), "." | "?") { "" } else { &path };
        Problem::invalid([fault(path, &error.inner().to_string())])
    })?;
    json.end().map_err(|_| Problem::at("", "something follows the JSON document"))?;
    Ok(read)
}

fn fault(path: &str, message: &str) -> Invalid {
    Invalid::at(precise(path, message), message)
}

/// serde says where a value is wrong, but of an unknown or missing field only where it is not.
pub(crate) fn precise(path: &str, message: &str) -> String {
    let field = ["unknown field `", "missing field `"].iter().find_map(|before| {
        let name = message.strip_prefix(before)?.split_once('`')?.0;
        let last = path.rsplit('.').next();
        (last != Some(name)).then_some(name)
    });
    match field {
        Some(field) if path.is_empty() => field.to_owned(),
        Some(field) => format!("{path}.{field}"),
        None => path.to_owned(),
    }
}

/// A text of `1..=most` bytes without control characters, but for line ends and tabs with `lines`.
pub(crate) fn check_text(path: &str, text: &str, most: usize, lines: bool, faults: &mut Vec<Invalid>) {
    let control = |c: char| c.is_control() && !(lines && matches!(c, '\n' | '\r' | '\t'));
    if text.trim().is_empty() {
        faults.push(Invalid::at(path, "is empty"));
    } else if text.len() > most {
        faults.push(Invalid::at(path, format!("has {} bytes; at most {most} are taken", text.len())));
    } else if text.chars().any(control) {
        faults.push(Invalid::at(path, "holds control characters"));
    }
}

/// `If-Match`: the version that is to be changed.
#[derive(Debug, Clone, Copy, IntoParams)]
#[into_params(names("If-Match"), parameter_in = Header)]
pub(crate) struct IfMatch(
    /// The ETag of the version that you looked at. Nothing is changed if another one is in force (412).
    #[param(value_type = Option<String>, example = "\"12\"", nullable = false)]
    pub Option<i64>,
);

impl FromRequestParts<Api> for IfMatch {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Api) -> Result<Self, Problem> {
        let Some(sent) = parts.headers.get(header::IF_MATCH) else { return Ok(Self(None)) };
        let quoted = sent.to_str().unwrap_or_default().trim();
        if quoted == "*" {
            return Ok(Self(None));
        }
        let inner = quoted.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
        let inner = inner.filter(|inner| !inner.contains('"'));
        let inner = inner.ok_or_else(|| Problem::at("If-Match", "send back an ETag as it was: \"12\""))?;
        // An ETag that is none of ours is never the one in force.
        Ok(Self(Some(inner.parse().unwrap_or(-1))))
    }
}

/// `Idempotency-Key`: the same key again changes nothing more.
#[derive(Debug, Clone, IntoParams)]
#[into_params(names("Idempotency-Key"), parameter_in = Header)]
pub(crate) struct Once(
    /// Any text of your own, 1 to 255 visible characters. The same act with the same key is done once, however often it
    /// is sent.
    #[param(value_type = Option<String>, min_length = 1, max_length = 255, nullable = false)]
    Option<String>,
);

impl Once {
    /// The key under which `act` of `holder` is done once.
    pub fn key(self, holder: &interline_engine::Holder, act: &str) -> Option<String> {
        self.0.map(|key| format!("{}/{act}/{key}", holder.id))
    }
}

impl FromRequestParts<Api> for Once {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Api) -> Result<Self, Problem> {
        let Some(sent) = parts.headers.get("idempotency-key") else { return Ok(Self(None)) };
        let key = sent.to_str().ok().filter(|key| (1..=255).contains(&key.len()));
        match key {
            Some(key) => Ok(Self(Some(key.to_owned()))),
            None => Err(Problem::at("Idempotency-Key", "give 1 to 255 visible characters")),
        }
    }
}

/// A document, read so that no value is quoted: it may be a secret.
pub(crate) fn document(body: serde_json::Value) -> Result<interline_engine::config::Document, Problem> {
    interline_engine::config::Document::from_json(body)
        .map_err(|invalid| Problem::invalid([fault(&invalid.path, &invalid.message)]))
}
