//! A request to an API: through the address guard, without redirects, and of what comes back no more than a flow can use.

use std::collections::BTreeMap;
use std::time::Duration;

use ::http::{HeaderName, Method, header};
use bytes::Bytes;
use interline_connector::Http;
use interline_connector::http::{Payload, Reply, Request};
use interline_core::flow::work::{self, Outcome};
use serde_json::Value;
use url::Url;

/// The largest answer, in bytes. It stands in the input's row, and what the flow picks from it in the state.
const MOST: usize = 64 * 1024;

pub(super) async fn send(
    http: &Http,
    asked: &work::Request,
    env: &BTreeMap<String, String>,
    key: &str,
    deadline: Duration,
) -> Outcome {
    let failed = |code: &str| Outcome::Failed { code: code.to_owned() };
    let request = match prepare(asked, env, key) {
        Ok(request) => request.deadline(deadline),
        Err(why) => return failed(why),
    };
    match http.send(request).await {
        Ok(Reply::Answered { body, .. }) if body.len() > MOST => failed("too_large"),
        Ok(Reply::Answered { status, body, .. }) => {
            Outcome::Answered { status: status.as_u16(), body: read(&body) }
        }
        Ok(Reply::Sent) => failed("no answer"),
        Err(failure) => super::failed(&failure),
    }
}

fn prepare(
    asked: &work::Request,
    env: &BTreeMap<String, String>,
    key: &str,
) -> Result<Request, &'static str> {
    let url = Url::parse(&asked.url.fill(env)).map_err(|_| "the URL cannot be read")?;
    let method = Method::from_bytes(asked.method.as_str().as_bytes()).map_err(|_| "the method is unknown")?;
    let mut request = Request::new(method, url);
    let mut kind = None;
    for (name, value) in &asked.headers {
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| "a header has no name")?;
        let value = value.fill(env);
        if name == header::CONTENT_TYPE {
            kind = Some(value);
        } else if !matches!(name, header::HOST | header::CONTENT_LENGTH | header::TRANSFER_ENCODING) {
            request = request.header(name, &value);
        }
    }
    // The same for every repetition, for APIs that know the header.
    request = request.header(HeaderName::from_static("idempotency-key"), key);
    let Some(body) = &asked.body else { return Ok(request) };
    let kind = kind.unwrap_or_else(|| "application/json".to_owned());
    let kind = kind.parse().map_err(|_| "the content type cannot be read")?;
    Ok(request.body(Payload::Bytes(kind, Bytes::from(body.fill(env)))))
}

/// JSON where it is that, else a text.
fn read(body: &[u8]) -> Value {
    match serde_json::from_slice(body) {
        Ok(value) => value,
        Err(_) => Value::String(String::from_utf8_lossy(body).into_owned()),
    }
}
