//! What is asked.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use ::http::header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE};
use ::http::{HeaderMap, HeaderName, HeaderValue, Method};
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use interline_core::transfer::reason::Reason;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Serialize;
use tokio::sync::oneshot;
use url::Url;

use crate::failure::{Cause, Failure};
use crate::files::FileStream;
use crate::manifest::Acknowledged;

/// How long an answer may take where nothing else is said.
const DEADLINE: Duration = Duration::from_secs(15);

/// A request. It is put together from its beginnings: `Request::post(url).bearer(&token).json(&body)`.
pub struct Request {
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) headers: HeaderMap,
    pub(super) body: Payload,
    pub(super) deadline: Duration,
    pub(super) acknowledged: Acknowledged,
    pub(super) lane: Option<String>,
    /// What could not be put together. It is told when it is sent, so that nobody has to look at every part.
    faulty: Option<&'static str>,
}

/// What a request brings.
pub enum Payload {
    /// Nothing.
    Empty,
    /// Bytes, with their content type.
    Bytes(HeaderValue, Bytes),
    /// A stream of known length, with its content type.
    Stream(HeaderValue, u64, FileStream),
    /// `multipart/form-data`.
    Multipart(Vec<Part>),
}

/// A part of `multipart/form-data`.
pub struct Part {
    /// Its name.
    pub name: &'static str,
    /// The name of the file that it is.
    pub file: Option<String>,
    /// Its content type.
    pub kind: String,
    /// How many bytes.
    pub size: u64,
    /// The bytes.
    pub bytes: FileStream,
}

impl Part {
    /// Bytes that are there already.
    pub fn bytes(name: &'static str, kind: &str, bytes: Bytes) -> Self {
        let size = bytes.len() as u64;
        let bytes: FileStream = Box::pin(futures_util::stream::once(async move { Ok(bytes) }));
        Self { name, file: None, kind: kind.to_owned(), size, bytes }
    }
}

impl Request {
    /// A request without anything. The answer may take 15 s.
    pub fn new(method: Method, url: Url) -> Self {
        Self {
            method,
            url,
            headers: HeaderMap::new(),
            body: Payload::Empty,
            deadline: DEADLINE,
            acknowledged: Acknowledged::Answer,
            lane: None,
            faulty: None,
        }
    }

    /// A GET.
    pub fn get(url: Url) -> Self {
        Self::new(Method::GET, url)
    }

    /// A POST.
    pub fn post(url: Url) -> Self {
        Self::new(Method::POST, url)
    }

    /// With these headers, beside those it has.
    pub fn headers(mut self, headers: HeaderMap) -> Self {
        self.headers.extend(headers);
        self
    }

    /// With this header.
    pub fn header(mut self, name: HeaderName, value: &str) -> Self {
        match HeaderValue::from_str(value) {
            Ok(value) => {
                self.headers.insert(name, value);
            }
            Err(_) => self.faulty = Some("cannot make a header"),
        }
        self
    }

    /// With this header, which nobody may see.
    pub fn secret(mut self, name: HeaderName, value: &SecretString) -> Self {
        match HeaderValue::from_str(value.expose_secret()) {
            Ok(mut value) => {
                value.set_sensitive(true);
                self.headers.insert(name, value);
            }
            Err(_) => self.faulty = Some("cannot make a header of a secret"),
        }
        self
    }

    /// With `Authorization: Bearer`.
    pub fn bearer(self, token: &SecretString) -> Self {
        let value = SecretString::from(format!("Bearer {}", token.expose_secret()));
        self.secret(AUTHORIZATION, &value)
    }

    /// With `Authorization: Basic`.
    pub fn basic(self, user: &str, password: &SecretString) -> Self {
        use base64::Engine as _;
        let plain = format!("{user}:{}", password.expose_secret());
        let value = format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(plain));
        self.secret(AUTHORIZATION, &SecretString::from(value))
    }

    /// Brings JSON.
    pub fn json(self, body: &impl Serialize) -> Self {
        match serde_json::to_vec(body) {
            Ok(bytes) => self.json_bytes(bytes.into()),
            Err(_) => Self { faulty: Some("cannot make the body"), ..self },
        }
    }

    /// Brings JSON that is written already: a signature may cover its exact bytes.
    pub fn json_bytes(self, body: Bytes) -> Self {
        Self { body: Payload::Bytes(HeaderValue::from_static("application/json"), body), ..self }
    }

    /// Brings a form, URL-encoded.
    pub fn form(self, fields: &[(&str, &str)]) -> Self {
        let text = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let kind = HeaderValue::from_static("application/x-www-form-urlencoded");
        Self { body: Payload::Bytes(kind, text.into()), ..self }
    }

    /// Brings this.
    pub fn body(self, body: Payload) -> Self {
        Self { body, ..self }
    }

    /// The answer may take so long, from when it is sent.
    pub fn deadline(self, deadline: Duration) -> Self {
        Self { deadline, ..self }
    }

    /// When it counts as delivered.
    pub fn acknowledged(self, acknowledged: Acknowledged) -> Self {
        Self { acknowledged, ..self }
    }

    /// Whose request it is: at most 8 of one lane wait for an answer at a time.
    pub fn lane(self, lane: String) -> Self {
        Self { lane: Some(lane), ..self }
    }

    /// For the wire. `sent` is told when the last byte of a body was handed over; a stream says so with its first.
    pub(super) fn prepare(
        self,
        client: &reqwest::Client,
        sent: Option<oneshot::Sender<()>>,
    ) -> Result<reqwest::RequestBuilder, Failure> {
        let bug = |what: &str| Failure::Bug(Cause::new(Reason::VendorError, what));
        if let Some(what) = self.faulty {
            return Err(bug(what));
        }
        let call = client.request(self.method, self.url).headers(self.headers);
        Ok(match self.body {
            // Its head is all there is: once connected, it may have arrived.
            Payload::Empty => {
                sent.map(|sent| sent.send(()));
                call
            }
            Payload::Bytes(kind, bytes) => {
                let body = Watched { bytes: Some(bytes), sent };
                call.header(CONTENT_TYPE, kind).body(reqwest::Body::wrap(body))
            }
            Payload::Stream(kind, size, bytes) => {
                let body = reqwest::Body::wrap_stream(announced(bytes, sent));
                call.header(CONTENT_TYPE, kind).header(CONTENT_LENGTH, size).body(body)
            }
            Payload::Multipart(parts) => {
                let (mut sent, mut form) = (sent, reqwest::multipart::Form::new());
                for Part { name, file, kind, size, bytes } in parts {
                    let body = reqwest::Body::wrap_stream(announced(bytes, sent.take()));
                    let mut part = reqwest::multipart::Part::stream_with_length(body, size);
                    part = part.mime_str(&kind).map_err(|_| bug("cannot make a part"))?;
                    if let Some(file) = file {
                        part = part.file_name(file);
                    }
                    form = form.part(name, part);
                }
                call.multipart(form)
            }
        })
    }
}

/// A stream that tells when its first bytes were taken: from then on something may have arrived.
fn announced(bytes: FileStream, mut sent: Option<oneshot::Sender<()>>) -> FileStream {
    use futures_util::StreamExt as _;
    Box::pin(bytes.inspect(move |_| {
        if let Some(sent) = sent.take() {
            let _ = sent.send(());
        }
    }))
}

/// A body that tells when its last byte was handed over.
struct Watched {
    bytes: Option<Bytes>,
    sent: Option<oneshot::Sender<()>>,
}

impl Body for Watched {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let bytes = self.bytes.take();
        if let Some(sent) = self.sent.take() {
            let _ = sent.send(());
        }
        Poll::Ready(bytes.map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.bytes.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
    }
}
