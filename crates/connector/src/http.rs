//! The way out: HTTP with a deadline, the address guard, and failures that say whether anything was sent.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use ::http::{HeaderMap, StatusCode, header::RETRY_AFTER};
use bytes::Bytes;
use futures_util::TryStreamExt as _;
use http_body::{Body, Frame, SizeHint};
use interline_core::transfer::reason::Reason;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tracing::Instrument as _;
use url::Url;

use crate::failure::{Cause, Failure};
use crate::files::{FileStream, Interrupted};
use crate::guard::{Guard, PublicOnly};
use crate::manifest::Acknowledged;

/// A request counts as delivered so long after its last byte was handed over, where the manifest says
/// [`Acknowledged::Sent`].
const SENT_AFTER: Duration = Duration::from_secs(2);

/// At most so many requests of one participant wait for an answer at a time.
const OPEN_REQUESTS: usize = 8;

/// Answers are read up to this size; what is longer is cut off and the connection dropped.
const MAX_ANSWER: usize = 1024 * 1024;

/// A file may be somewhere else so often.
const REDIRECTS: usize = 3;

/// The only way out for connectors. Cheap to clone.
#[derive(Clone)]
pub struct Http {
    /// For hosts that the operator named.
    trusted: reqwest::Client,
    /// For everything else: names resolve to public addresses only.
    public: reqwest::Client,
    guard: Guard,
    open: Arc<Mutex<HashMap<String, Arc<Semaphore>>>>,
}

/// A request.
pub struct Request {
    /// Where to.
    pub url: Url,
    /// Beside content type and length.
    pub headers: HeaderMap,
    /// JSON.
    pub body: Bytes,
    /// How long the answer may take, from now.
    pub deadline: Duration,
    /// When it counts as delivered.
    pub acknowledged: Acknowledged,
    /// Whose request it is: its participant's part of the key.
    pub lane: String,
}

/// What came back.
#[derive(Debug)]
pub enum Reply {
    /// An answer, of whatever status.
    Answered {
        /// The status.
        status: StatusCode,
        /// The headers.
        headers: HeaderMap,
        /// The body, up to 1 MiB.
        body: Bytes,
    },
    /// No answer yet; it counts as delivered. The answer is still read and dropped.
    Sent,
}

impl Http {
    /// A client that asks `guard` where it may go.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub fn new(guard: Guard) -> Result<Self, reqwest::Error> {
        let base = || {
            reqwest::Client::builder()
                .connect_timeout(Duration::from_secs(5))
                // Node closes idle connections after 5 s; a request on one that is being closed would be lost.
                .pool_idle_timeout(Duration::from_secs(4))
                .redirect(reqwest::redirect::Policy::none())
                .no_proxy()
                .user_agent(concat!("interline/", env!("CARGO_PKG_VERSION")))
        };
        Ok(Self {
            trusted: base().build()?,
            public: base().dns_resolver(Arc::new(PublicOnly)).build()?,
            guard,
            open: Arc::default(),
        })
    }

    /// The guard, to allow what the operator names.
    pub fn guard(&self) -> &Guard {
        &self.guard
    }

    /// POSTs JSON.
    ///
    /// # Errors
    /// `Retry` when nothing was sent, `Uncertain` when it may have arrived, `Refused` when the address is forbidden.
    /// An answer of any status is not an error here: the connector knows what it means ([`of_status`] helps).
    pub async fn post(&self, request: Request) -> Result<Reply, Failure> {
        // Of the address only the host: a path may hold a token. No `traceparent` is sent: it is nobody else's business.
        let span = tracing::info_span!(
            target: "interline_trace", "http.post", otel.kind = "client",
            server.address = request.url.host_str(), http.response.status_code = tracing::field::Empty,
        );
        let result = self.send(request).instrument(span.clone()).await;
        if let Ok(Reply::Answered { status, .. }) = &result {
            span.record("http.response.status_code", status.as_u16());
        }
        result
    }

    async fn send(&self, request: Request) -> Result<Reply, Failure> {
        let Request { url, mut headers, body, deadline, acknowledged, lane } = request;
        if let Err(forbidden) = self.guard.check(&url) {
            return Err(Failure::Refused(Cause::new(Reason::Unconfigured, forbidden.to_string())));
        }
        let client = if self.guard.is_allowed(&url) { &self.trusted } else { &self.public };
        let place = self.place(lane).await?;
        headers.insert(::http::header::CONTENT_TYPE, ::http::HeaderValue::from_static("application/json"));
        let (sent, was_sent) = oneshot::channel();
        let body = reqwest::Body::wrap(Watched { bytes: Some(body), sent: Some(sent) });
        let call = client.post(url).headers(headers).timeout(deadline).body(body).send();
        let answer = tokio::spawn(async move {
            // Held until the answer is read, also when nobody waits for it any more.
            let _place: OwnedSemaphorePermit = place;
            read(call.await).await
        });
        let sent = Arc::new(std::sync::atomic::AtomicBool::new(false));
        let flag = sent.clone();
        let sent_long_ago = async move {
            if was_sent.await.is_err() {
                // The request ended without its body: the answer tells why.
                std::future::pending::<()>().await;
            }
            flag.store(true, std::sync::atomic::Ordering::Relaxed);
            match acknowledged {
                Acknowledged::Sent => tokio::time::sleep(SENT_AFTER).await,
                Acknowledged::Answer => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            answer = answer => match answer {
                Ok(Ok(reply)) => Ok(reply),
                Ok(Err(error)) => Err(of_error(&error, sent.load(std::sync::atomic::Ordering::Relaxed))),
                Err(_) => Err(Failure::Bug(Cause::new(Reason::VendorError, "request task failed"))),
            },
            () = sent_long_ago => Ok(Reply::Sent),
        }
    }

    /// GETs a file as a stream. All of it may take `deadline`. Redirects are followed, each through the guard; `headers`
    /// stay with the first host.
    ///
    /// # Errors
    /// In words for the operator and the agent's side; without the address, which may hold a token.
    pub async fn fetch(
        &self,
        mut url: Url,
        headers: HeaderMap,
        deadline: Duration,
    ) -> Result<FileStream, String> {
        let first = url.origin();
        for _ in 0..=REDIRECTS {
            self.guard.check(&url).map_err(|forbidden| forbidden.to_string())?;
            let client = if self.guard.is_allowed(&url) { &self.trusted } else { &self.public };
            let headers = if url.origin() == first { headers.clone() } else { HeaderMap::new() };
            let answer = client.get(url.clone()).headers(headers).timeout(deadline).send().await;
            let answer = answer.map_err(|error| describe(&error))?;
            if answer.status().is_success() {
                let broken = |error: reqwest::Error| Interrupted(describe(&error));
                return Ok(Box::pin(answer.bytes_stream().map_err(broken)));
            }
            let next = answer.headers().get(::http::header::LOCATION).and_then(|to| to.to_str().ok());
            url = match next.filter(|_| answer.status().is_redirection()).map(|to| url.join(to)) {
                Some(Ok(next)) => next,
                _ => return Err(format!("HTTP {}", answer.status().as_u16())),
            };
        }
        Err("too many redirects".to_owned())
    }

    /// Whether anything answers at `url`, whatever it says.
    ///
    /// # Errors
    /// In words for the operator.
    pub async fn reach(&self, url: Url) -> Result<StatusCode, String> {
        self.guard.check(&url).map_err(|forbidden| forbidden.to_string())?;
        let client = if self.guard.is_allowed(&url) { &self.trusted } else { &self.public };
        let answer = client.get(url).timeout(Duration::from_secs(5)).send().await;
        answer.map(|answer| answer.status()).map_err(|error| describe(&error))
    }

    async fn place(&self, lane: String) -> Result<OwnedSemaphorePermit, Failure> {
        let semaphore = {
            let Ok(mut open) = self.open.lock() else {
                return Err(Failure::Bug(Cause::new(Reason::VendorError, "lanes poisoned")));
            };
            // Lanes that nobody uses are dropped, so that the map stays as small as what is under way.
            if open.len() > 1024 {
                open.retain(|_, semaphore| semaphore.available_permits() < OPEN_REQUESTS);
            }
            open.entry(lane).or_insert_with(|| Arc::new(Semaphore::new(OPEN_REQUESTS))).clone()
        };
        semaphore
            .acquire_owned()
            .await
            .map_err(|_| Failure::Bug(Cause::new(Reason::VendorError, "lane closed")))
    }
}

async fn read(answer: Result<reqwest::Response, reqwest::Error>) -> Result<Reply, reqwest::Error> {
    let mut answer = answer?;
    let (status, headers) = (answer.status(), answer.headers().clone());
    let mut body = Vec::new();
    while body.len() < MAX_ANSWER {
        match answer.chunk().await {
            Ok(Some(chunk)) => body.extend_from_slice(&chunk),
            Ok(None) => break,
            // The status says whether it worked; a body that stops half-way does not change that.
            Err(_) => break,
        }
    }
    Ok(Reply::Answered { status, headers, body: body.into() })
}

fn of_error(error: &reqwest::Error, sent: bool) -> Failure {
    let cause = Cause::new(Reason::Unreachable, describe(error));
    if error.is_connect() || error.is_builder() || !sent {
        Failure::Retry { after_ms: None, cause }
    } else {
        Failure::Uncertain(cause)
    }
}

/// The kind of a transport error, without the URL: it may hold a token.
fn describe(error: &reqwest::Error) -> String {
    let kind = if error.is_timeout() {
        "no answer in time"
    } else if error.is_connect() {
        "cannot connect"
    } else {
        "connection lost"
    };
    let mut source = std::error::Error::source(error);
    let mut deepest = String::new();
    while let Some(inner) = source {
        deepest = inner.to_string();
        source = inner.source();
    }
    if deepest.is_empty() { kind.to_owned() } else { format!("{kind}: {deepest}") }
}

/// What a status that is not a success means by itself. Connectors with better knowledge decide before.
pub fn of_status(status: StatusCode, headers: &HeaderMap) -> Failure {
    let code = format!("HTTP {}", status.as_u16());
    let after_ms = retry_after(headers);
    match status.as_u16() {
        401 | 403 => Failure::Unauthorized(Cause::new(Reason::Unauthorized, code)),
        404 | 410 => Failure::Gone(Cause::new(Reason::AgentLost, code)),
        429 => Failure::Retry { after_ms, cause: Cause::new(Reason::RateLimited, code) },
        503 if after_ms.is_some() => {
            Failure::Retry { after_ms, cause: Cause::new(Reason::VendorError, code) }
        }
        400..=499 => Failure::Refused(Cause::new(Reason::BadRequest, code)),
        500..=599 => Failure::Uncertain(Cause::new(Reason::VendorError, code)),
        _ => Failure::Bug(Cause::new(Reason::VendorError, code)),
    }
}

/// `Retry-After` in seconds, as milliseconds, at most an hour. The date form is rare and read as absent.
pub fn retry_after(headers: &HeaderMap) -> Option<u64> {
    let seconds: u64 = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(seconds.min(3600) * 1000)
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
