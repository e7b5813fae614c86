//! The way out: HTTP with a deadline, the address guard, and failures that say whether anything was sent.
//!
//! | file | concept |
//! |---|---|
//! | `request.rs` | what is asked |
//! | `reply.rs` | what came back, and what a status means by itself |
//! | `stream.rs` | answers that do not end: server-sent events |
//! | `socket.rs` | web sockets |

mod reply;
mod request;
mod socket;
mod stream;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ::http::{HeaderMap, StatusCode};
use futures_util::TryStreamExt as _;
use interline_core::transfer::reason::Reason;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tracing::Instrument as _;
use url::Url;

use crate::failure::{Cause, Failure};
use crate::files::{FileStream, Interrupted};
use crate::guard::{Guard, PublicOnly};
use crate::manifest::Acknowledged;

pub use reply::{Reply, of_status, retry_after};
pub use request::{Part, Payload, Request};
pub use socket::{Socket, SocketEnd};
pub use stream::{Event, Events};

/// A request counts as delivered so long after its last byte was handed over, where the manifest says
/// [`Acknowledged::Sent`].
const SENT_AFTER: Duration = Duration::from_secs(2);

/// At most so many requests of one participant wait for an answer at a time.
const OPEN_REQUESTS: usize = 8;

/// A file may be somewhere else so often.
const REDIRECTS: usize = 3;

/// The only way out for connectors. Cheap to clone.
#[derive(Clone)]
pub struct Http {
    calls: Clients,
    /// Answers that do not end take a connection of their own: over HTTP/2 a hundred of them would fill the one that all
    /// calls to a host share.
    streams: Clients,
    guard: Guard,
    open: Arc<Mutex<HashMap<String, Arc<Semaphore>>>>,
}

#[derive(Clone)]
struct Clients {
    /// For hosts that the operator named.
    trusted: reqwest::Client,
    /// For everything else: names resolve to public addresses only.
    public: reqwest::Client,
}

impl Clients {
    fn new(make: impl Fn() -> reqwest::ClientBuilder) -> Result<Self, reqwest::Error> {
        Ok(Self { trusted: make().build()?, public: make().dns_resolver(Arc::new(PublicOnly)).build()? })
    }
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
            calls: Clients::new(base)?,
            streams: Clients::new(|| base().http1_only())?,
            guard,
            open: Arc::default(),
        })
    }

    /// The guard, to allow what the operator names.
    pub fn guard(&self) -> &Guard {
        &self.guard
    }

    /// Asks, and waits for the answer; or, where the manifest says so, until it is sent.
    ///
    /// # Errors
    /// `Retry` when nothing was sent, `Uncertain` when it may have arrived, `Refused` when the address is forbidden.
    /// An answer of any status is not an error here: the connector knows what it means ([`of_status`] helps).
    pub async fn send(&self, request: Request) -> Result<Reply, Failure> {
        // Of the address only the host: a path may hold a token. No `traceparent` is sent: it is nobody else's business.
        let span = tracing::info_span!(
            target: "interline_trace", "http.request", otel.kind = "client",
            http.request.method = %request.method, server.address = request.url.host_str(),
            http.response.status_code = tracing::field::Empty,
        );
        let result = self.exchange(request).instrument(span.clone()).await;
        if let Ok(Reply::Answered { status, .. }) = &result {
            span.record("http.response.status_code", status.as_u16());
        }
        result
    }

    async fn exchange(&self, request: Request) -> Result<Reply, Failure> {
        let (deadline, acknowledged) = (request.deadline, request.acknowledged);
        let client = self.client(&self.calls, &request.url)?;
        let place = self.place(request.lane.clone()).await?;
        let (sent, was_sent) = oneshot::channel();
        let call = request.prepare(client, Some(sent))?.timeout(deadline).send();
        let answer = tokio::spawn(async move {
            // Held until the answer is read, also when nobody waits for it any more.
            let _place: Option<OwnedSemaphorePermit> = place;
            reply::read(call.await).await
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

    /// Asks for an answer that does not end. Its head must come within the request's deadline.
    ///
    /// # Errors
    /// As [`Http::send`]; and what [`of_status`] makes of a status that is not a success.
    pub async fn open(&self, request: Request) -> Result<FileStream, Failure> {
        let client = self.client(&self.streams, &request.url)?;
        let deadline = request.deadline;
        let call = tokio::time::timeout(deadline, request.prepare(client, None)?.send());
        let late = || Failure::Uncertain(Cause::new(Reason::Unreachable, "no answer in time"));
        let answer = call.await.map_err(|_| late())?.map_err(|error| of_error(&error, true))?;
        if !answer.status().is_success() {
            return Err(of_status(answer.status(), answer.headers()));
        }
        Ok(Box::pin(answer.bytes_stream().map_err(|error| Interrupted(describe(&error)))))
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
            let client =
                self.client(&self.calls, &url).map_err(|forbidden| forbidden.cause().code.clone())?;
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
        let client = self.client(&self.calls, &url).map_err(|forbidden| forbidden.cause().code.clone())?;
        let answer = client.get(url).timeout(Duration::from_secs(5)).send().await;
        answer.map(|answer| answer.status()).map_err(|error| describe(&error))
    }

    /// The client for an address that may be called.
    fn client<'a>(&self, clients: &'a Clients, url: &Url) -> Result<&'a reqwest::Client, Failure> {
        if let Err(forbidden) = self.guard.check(url) {
            return Err(Failure::Refused(Cause::new(Reason::Unconfigured, forbidden.to_string())));
        }
        Ok(if self.guard.is_allowed(url) { &clients.trusted } else { &clients.public })
    }

    async fn place(&self, lane: Option<String>) -> Result<Option<OwnedSemaphorePermit>, Failure> {
        let Some(lane) = lane else { return Ok(None) };
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
        let place = semaphore.acquire_owned().await;
        place.map(Some).map_err(|_| Failure::Bug(Cause::new(Reason::VendorError, "lane closed")))
    }
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
