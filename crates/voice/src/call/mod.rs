//! A living call: the caller's leg, and what was known when it came in.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use interline_core::conversation::call::{CallLeg, CallRecord};
use interline_media::Media;
use rsipstack::sip::{Header, HostWithPort, Request, Transport, Uri};
use tokio::sync::{Notify, watch};

use crate::queue::Ticket;
use crate::sip::edge::Edge;
use crate::sip::ladder::{Ladder, Party};
use crate::sip::leg::{Gone, Leg};
use crate::trunk::Trunk;

/// So much is recorded of one call.
const MOST_RECORDS: usize = 200;

/// A call that somebody made to us.
pub struct Call {
    /// The caller's side.
    pub leg: Leg,
    /// Where calls go in and out.
    pub edge: Arc<Edge>,
    /// Where sound comes from.
    pub media: Arc<Media>,
    /// By which trunk it came.
    pub trunk: Arc<Trunk>,
    /// Its messages.
    pub ladder: Arc<Ladder>,
    /// How it began.
    pub began: Began,
    body: Body,
    /// It waits for its answer.
    waits: Mutex<Option<Ticket>>,
    records: Arc<Mutex<Records>>,
    /// What the caller's leg came to is among them.
    is_over: AtomicBool,
    recorded: Notify,
    /// Held while news are told, so that they are told in their order.
    pub(crate) telling_news: tokio::sync::Mutex<()>,
    /// Somebody transfers it: one at a time.
    pub(crate) in_transfer: tokio::sync::Mutex<()>,
    /// Held while what a transfer does is told.
    telling: tokio::sync::Mutex<()>,
    /// What is to be heard before a transfer has been heard.
    pub(crate) spoken: Spoken,
}

/// What we say about the session when we answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    /// The answer to the caller's offer.
    Answer(String),
    /// Our offer, because the caller made none.
    Offer(String),
}

/// What an INVITE told.
#[derive(Debug, Clone)]
pub struct Began {
    /// The caller's number or name.
    pub from: String,
    /// The caller's display name.
    pub name: Option<String>,
    /// What was dialled.
    pub to: String,
    /// The caller's URI, as in `From`.
    pub caller: Uri,
    /// The dialled URI.
    pub called: Uri,
    /// Its Call-ID.
    pub call_id: String,
    /// Where it came from.
    pub peer: SocketAddr,
    /// How.
    pub transport: Transport,
    /// How often it may still be forwarded.
    pub forwards: u32,
    /// All header fields that are not the stack's, in order.
    pub fields: Vec<(String, String)>,
    /// The methods that the caller's side says it takes. Empty: it does not say.
    pub allow: Vec<String>,
    /// The caller insists on reliable provisional responses, which we do not send: it gets none.
    pub no_ringing: bool,
}

impl Began {
    /// Reads an INVITE.
    pub fn of(request: &Request, peer: SocketAddr, transport: Transport) -> Option<Self> {
        use rsipstack::sip::prelude::{HeadersExt as _, ToTypedHeader as _};
        let from = request.from_header().ok()?.typed().ok()?;
        let user = |uri: &Uri| uri.user().map_or_else(|| uri.host_with_port.host.to_string(), str::to_owned);
        let value = |name: &str| {
            request.headers.iter().find(|header| header.name().eq_ignore_ascii_case(name)).map(Header::value)
        };
        let list = |name: &str| -> Vec<String> {
            let lines = request.headers.iter().filter(|header| header.name().eq_ignore_ascii_case(name));
            lines.flat_map(|header| header.value().split(',')).map(|one| one.trim().to_owned()).collect()
        };
        Some(Self {
            from: user(&from.uri),
            name: from
                .display_name
                .clone()
                .map(|name| name.trim_matches('"').to_owned())
                .filter(|name| !name.is_empty()),
            to: user(&request.uri),
            caller: from.uri.clone(),
            called: request.uri.clone(),
            call_id: crate::sip::edge::call_id(request),
            peer,
            transport,
            forwards: value("Max-Forwards").and_then(|left| left.trim().parse().ok()).unwrap_or(70),
            fields: request.headers.iter().filter(|header| told(header)).map(pair).take(64).collect(),
            allow: list("Allow"),
            no_ringing: list("Require").iter().any(|tag| tag.eq_ignore_ascii_case("100rel")),
        })
    }

    /// Whether the caller's side takes a method, as far as it says.
    pub fn takes(&self, method: &str) -> bool {
        self.allow.is_empty() || self.allow.iter().any(|known| known.eq_ignore_ascii_case(method))
    }
}

fn told(header: &Header) -> bool {
    matches!(
        header,
        Header::Other(..)
            | Header::UserToUser(_)
            | Header::Diversion(_)
            | Header::HistoryInfo(_)
            | Header::PAssertedIdentity(_)
            | Header::Privacy(_)
            | Header::Subject(_)
            | Header::UserAgent(_)
            | Header::Reason(_)
            | Header::ReferredBy(_)
            | Header::SessionId(_)
    )
}

fn pair(header: &Header) -> (String, String) {
    (header.name().to_owned(), header.value().to_owned())
}

/// What its legs came to, for its timeline.
#[derive(Debug, Default)]
struct Records {
    all: Vec<CallRecord>,
    /// So many were told.
    told: usize,
}

/// What can be told of a call.
#[derive(Debug, Clone)]
pub struct Trace {
    ladder: Arc<Ladder>,
    records: Arc<Mutex<Records>>,
}

impl Trace {
    /// The messages as a drawing, and what was tried.
    pub fn draw(&self) -> String {
        let records = self.records.lock().unwrap_or_else(PoisonError::into_inner);
        let lines = records.all.iter().map(|record| {
            let CallRecord { method, target, sent, result, took_ms, .. } = record;
            let names: Vec<&str> = sent.iter().map(|field| field.name.as_str()).collect();
            format!("{method} {target}: {result}, {took_ms} ms; sent {}\n", names.join(", "))
        });
        lines.fold(self.ladder.draw() + "\n", |text, line| text + &line)
    }
}

impl Call {
    /// A call whose leg was just taken.
    pub fn new(
        leg: Leg,
        edge: Arc<Edge>,
        media: Arc<Media>,
        trunk: Arc<Trunk>,
        ladder: Arc<Ladder>,
        began: Began,
        body: Body,
    ) -> Self {
        Self {
            leg,
            edge,
            media,
            trunk,
            ladder,
            began,
            body,
            records: Arc::default(),
            waits: Mutex::default(),
            is_over: AtomicBool::new(false),
            recorded: Notify::new(),
            telling_news: tokio::sync::Mutex::default(),
            in_transfer: tokio::sync::Mutex::default(),
            telling: tokio::sync::Mutex::default(),
            spoken: Spoken::default(),
        }
    }

    /// It waits for its answer from now on.
    pub(crate) fn waits(&self, ticket: Ticket) {
        *self.waits.lock().unwrap_or_else(PoisonError::into_inner) = Some(ticket);
    }

    /// Answers it.
    pub fn answer(&self) {
        self.waits.lock().unwrap_or_else(PoisonError::into_inner).take();
        let (Body::Answer(body) | Body::Offer(body)) = &self.body;
        self.leg.accept(body.clone(), matches!(self.body, Body::Offer(_)), Vec::new());
    }

    /// Says that it rings, unless the caller could not take that.
    pub fn ringing(&self) {
        if !self.began.no_ringing {
            self.leg.ringing();
        }
    }

    /// Where numbers go that nobody says more of: to the caller's side.
    pub fn home(&self) -> HostWithPort {
        self.began.caller.host_with_port.clone()
    }

    /// What can be told of it, also when it is over.
    pub fn trace(&self) -> Trace {
        Trace { ladder: self.ladder.clone(), records: self.records.clone() }
    }

    pub(crate) fn record(&self, record: CallRecord) {
        let mut records = self.records.lock().unwrap_or_else(PoisonError::into_inner);
        // A call is not for keeping records.
        if records.all.len() < MOST_RECORDS {
            records.all.push(record);
            self.recorded.notify_one();
        }
    }

    /// Resolves when there may be news.
    pub async fn recorded(&self) {
        self.recorded.notified().await;
    }

    /// What its legs came to since the last time.
    pub fn news(&self) -> Vec<CallRecord> {
        let mut records = self.records.lock().unwrap_or_else(PoisonError::into_inner);
        let news = records.all[records.told..].to_vec();
        records.told = records.all.len();
        news
    }

    fn of_caller(&self, method: &str, code: Option<u16>, result: &str) -> CallRecord {
        CallRecord {
            leg: CallLeg::Caller,
            method: method.into(),
            target: self.began.to.clone(),
            sent: Vec::new(),
            code,
            reason: self.ladder.reason(Party::Caller),
            result: result.into(),
            took_ms: self.ladder.age_ms(),
        }
    }

    /// The caller was answered.
    pub(crate) fn begun(&self) {
        self.record(self.of_caller("INVITE", Some(200), "answered"));
    }

    /// What the caller's leg came to, once it is over.
    pub(crate) fn over(&self, gone: Gone) {
        if !self.is_over.swap(true, Ordering::Relaxed) {
            self.record(self.of_caller("BYE", None, &gone.in_words("the caller")));
        }
    }

    /// Waits until what a transfer did was told, and holds up whoever waits for that.
    pub async fn told_first(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.telling.lock().await
    }

    /// Whether somebody tells what a transfer does.
    pub(crate) fn is_told_of(&self) -> bool {
        self.telling.try_lock().is_err()
    }

    /// What is being said to the caller, so that a transfer that takes the call away can wait for the end of it.
    pub fn spoken(&self) -> &Spoken {
        &self.spoken
    }
}

/// What is being said, and up to where the log was read for it.
#[derive(Default)]
pub struct Spoken {
    playing: Mutex<usize>,
    quiet: Notify,
    read: watch::Sender<u64>,
}

impl Spoken {
    /// Something is said until the returned guard is dropped.
    pub fn begin(&self) -> Speaking<'_> {
        *self.count() += 1;
        Speaking(self)
    }

    fn count(&self) -> MutexGuard<'_, usize> {
        self.playing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Everything up to here is being said, or was.
    pub fn reached(&self, seq: u64) {
        self.read.send_replace(seq);
    }

    /// Resolves when everything up to here is being said, or was; or after a while.
    pub async fn read_up_to(&self, seq: u64) {
        let mut read = self.read.subscribe();
        let reached = read.wait_for(|read| *read >= seq);
        let _ = tokio::time::timeout(Duration::from_secs(2), reached).await;
    }

    /// Resolves when nothing is being said.
    pub async fn quiet(&self) {
        loop {
            let quiet = self.quiet.notified();
            if *self.count() == 0 {
                return;
            }
            quiet.await;
        }
    }
}

/// See [`Spoken::begin`].
pub struct Speaking<'a>(&'a Spoken);

impl Drop for Speaking<'_> {
    fn drop(&mut self) {
        *self.0.count() -= 1;
        self.0.quiet.notify_waiters();
    }
}
