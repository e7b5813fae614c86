//! One hand-over, from its conversation to its end: what the customer says goes out, what the org tells comes in.
//!
//! `speaking.rs` has what goes out, `listening.rs` what comes in; this is the task that does both.

use std::collections::HashSet;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use interline_connector::http::Events;
use interline_connector::{Cause, Done, Failure, FileStream, Item, Link, Next, RunEnd};
use interline_core::conversation::entry::Text;
use interline_core::conversation::input::AgentEvent;
use interline_core::transfer::{Failure as Typed, Reason};
use tokio::time::Instant;

use super::Integration;
use super::opening::{Document, Start};
use super::pace::Window;
use super::rest::Key;

/// A stream on which not even a ping comes for so long is dead.
const SILENT: Duration = Duration::from_secs(90);
const MINUTE: Duration = Duration::from_secs(60);
/// The customer is warned so long before the token runs out.
const WARNING: u64 = 300;
/// A token that is good for less than this is used to close the conversation, and for nothing else.
const ALMOST_OVER: u64 = 30;

/// A session at work.
pub(super) struct Talk<'a> {
    pub at: &'a Integration,
    pub document: Document,
    pub key: Key,
    /// What waits for the vendor's limit.
    pub held: Option<Box<Item>>,
    /// When the customer's newest messages went out.
    pub sent: Window,
    /// Not before that the held one goes out.
    pub free: Option<Instant>,
    /// Parts of the line under way that are known to have arrived.
    pub there: HashSet<String>,
    /// Something may have arrived of which nobody knows: it is looked up before anything is repeated.
    pub unsure: bool,
    /// Refusals for being too fast, in a row.
    pub limited: u32,
    /// Events since the document was saved.
    pub unsaved: usize,
    /// The org's side is over; we wait for ours.
    pub over: bool,
    /// The conversation is closed.
    pub closed: bool,
}

impl Integration {
    /// Owns a hand-over until it is over, or its stream is lost.
    pub(super) async fn hold(&self, link: &mut dyn Link) -> RunEnd {
        if let Some(document) = link.session().and_then(Document::read) {
            match Box::pin(self.resume(document, link)).await {
                Ok(Some((mut talk, stream))) => return talk.go_on(link, stream).await,
                // It was prepared and never made.
                Ok(None) => {}
                Err(end) => return end,
            }
        }
        match Box::pin(self.open(link)).await {
            Ok((Start { document, stream, .. }, item)) => {
                let mut talk = Talk::new(self, document);
                Box::pin(talk.settle(link, item)).await;
                talk.go_on(link, stream).await
            }
            Err(end) => end,
        }
    }

    /// After a restart of ours, or a cut. None: there is no such conversation.
    async fn resume(
        &self,
        document: Document,
        link: &mut dyn Link,
    ) -> Result<Option<(Talk<'_>, FileStream)>, RunEnd> {
        let mut talk = Talk::new(self, document);
        // A line whose delivery was cut off by the restart comes again.
        talk.unsure = true;
        let stream = match self.stream(&talk.key, &talk.document.last_event).await {
            Ok(stream) => stream,
            Err(Failure::Unauthorized(cause)) => return Err(talk.expired(link, cause.code).await),
            Err(failure) => return Err(RunEnd::Lost(failure.cause().code.clone())),
        };
        match talk.catch_up(link).await {
            Ok(true) => Ok(Some((talk, stream))),
            Ok(false) => Ok(None),
            Err(Failure::Gone(cause)) => Err(talk.expired(link, cause.code).await),
            Err(failure) => Err(RunEnd::Lost(failure.cause().code.clone())),
        }
    }
}

impl<'a> Talk<'a> {
    fn new(at: &'a Integration, document: Document) -> Self {
        Self {
            key: document.key(),
            at,
            document,
            held: None,
            sent: Window::new(at.settings.messages_per_minute, MINUTE),
            free: None,
            there: HashSet::new(),
            unsure: false,
            limited: 0,
            unsaved: 0,
            over: false,
            closed: false,
        }
    }

    /// Relays until it is over, or the stream is lost.
    async fn go_on(&mut self, link: &mut dyn Link, stream: FileStream) -> RunEnd {
        let mut events = Events::new(stream, SILENT);
        let (mut warning, mut expiry) = (self.before_expiry(WARNING), self.before_expiry(ALMOST_OVER));
        loop {
            tokio::select! {
                next = link.next(), if self.held.is_none() => match next {
                    None => return Box::pin(self.leave()).await,
                    Some(Next::Aside(aside)) => Box::pin(self.aside(&aside)).await,
                    Some(Next::Item(item)) => Box::pin(self.settle(link, item)).await,
                },
                () = at(self.free), if self.held.is_some() => {
                    if let Some(item) = self.held.take() {
                        Box::pin(self.settle(link, item)).await;
                    }
                },
                event = events.next() => match event {
                    Ok(Some(event)) => Box::pin(self.event(link, event)).await,
                    Ok(None) => return Box::pin(self.cut(link, "the stream ended".into())).await,
                    Err(broken) => return Box::pin(self.cut(link, broken.0)).await,
                },
                () = at(warning), if warning.is_some() => {
                    warning = None;
                    Box::pin(self.warn(link)).await;
                },
                () = at(expiry), if expiry.is_some() => {
                    expiry = None;
                    Box::pin(self.run_out(link)).await;
                },
            }
        }
    }

    /// The stream is gone: it is taken up again where it was.
    async fn cut(&self, link: &mut dyn Link, why: String) -> RunEnd {
        link.save(self.document.write()).await;
        RunEnd::Lost(why)
    }

    /// The moment that lies so many seconds before the token runs out. None: nobody knows it.
    fn before_expiry(&self, seconds: u64) -> Option<Instant> {
        let exp = u64::try_from(self.document.exp).ok().filter(|exp| *exp > 0)?;
        let left = Duration::from_secs(exp.saturating_sub(seconds)).saturating_sub(since_1970());
        Instant::now().checked_add(left)
    }

    async fn warn(&mut self, link: &mut dyn Link) {
        let text = Text::plain(self.at.settings.expiry_notice.clone());
        if !self.over && !text.is_empty() {
            link.heard(Some("token-runs-out".into()), AgentEvent::Said { text, name: None }).await;
        }
    }

    /// The token is about to run out: as long as it is good, the conversation is closed with it.
    async fn run_out(&mut self, link: &mut dyn Link) {
        if !self.over {
            self.over = true;
            self.close().await;
            self.lost(link, "the token expired".into()).await;
        }
    }

    /// The token is dead, and with it the session: nobody else is let near the conversation. What is left for us is told
    /// without a stream.
    async fn expired(&mut self, link: &mut dyn Link, code: String) -> RunEnd {
        self.over = true;
        self.closed = true;
        self.lost(link, code).await;
        while let Some(next) = link.next().await {
            if let Next::Item(item) = next {
                self.settle(link, item).await;
            }
        }
        RunEnd::Over
    }

    async fn lost(&self, link: &mut dyn Link, code: String) {
        let lost = Typed { reason: Reason::AgentLost, code: Some(code) };
        link.heard(None, AgentEvent::Failed(lost)).await;
    }

    /// Delivers, and says what came of it; or holds it until the vendor takes one more.
    async fn settle(&mut self, link: &mut dyn Link, item: Box<Item>) {
        match self.deliver(&item).await {
            Ok(None) => self.held = Some(item),
            Ok(Some(done)) => link.done(item.entry.seq, Ok(done)).await,
            Err(failure) => {
                let failure = self.failed(failure);
                link.done(item.entry.seq, Err(failure)).await;
            }
        }
    }

    /// What becomes of an entry that was not taken.
    fn failed(&mut self, failure: Failure) -> Failure {
        match failure {
            // It may be there: looked up before it is said again, and not at once: it may still be on its way.
            Failure::Uncertain(cause) => {
                self.unsure = true;
                Failure::Retry { after_ms: Some(1_000), cause }
            }
            Failure::Unauthorized(cause) => Failure::Gone(Cause { reason: Reason::AgentLost, ..cause }),
            Failure::Retry { after_ms: None, cause } if cause.reason == Reason::RateLimited => {
                self.limited = (self.limited + 1).min(6);
                Failure::Retry { after_ms: Some(1_000 << self.limited), cause }
            }
            failure => failure,
        }
    }

    /// Our part is over. A conversation that the agent left would stay open, and what is said in it would begin another
    /// session.
    async fn leave(&mut self) -> RunEnd {
        if self.over && !self.closed {
            self.close().await;
        }
        RunEnd::Over
    }

    /// Closes the conversation, as well as may be: nothing more is said in it either way.
    pub async fn close(&mut self) {
        match self.at.close(&self.key).await {
            Ok(()) => self.closed = true,
            Err(failure) => {
                tracing::info!(code = failure.cause().code, "a conversation of Salesforce was not closed");
            }
        }
    }

    /// Another token for the same customer, while the old one is good.
    pub async fn renewed(&mut self) -> bool {
        match self.at.continuation(&self.key).await {
            Ok(token) => {
                self.document.renew(&token);
                self.key = self.document.key();
                true
            }
            Err(_) => false,
        }
    }

    /// What is settled with an entry that goes well.
    pub fn done(&mut self, remote_ids: Vec<String>) -> Done {
        self.unsaved = 0;
        Done { session: Some(self.document.write()), remote_ids, events: Vec::new() }
    }
}

/// The time that passed since 1970.
pub(super) fn since_1970() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// At that moment; never, if there is none.
async fn at(moment: Option<Instant>) {
    match moment {
        Some(moment) => tokio::time::sleep_until(moment).await,
        None => std::future::pending().await,
    }
}
