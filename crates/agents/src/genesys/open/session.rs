//! One hand-over: what is to be told goes out (`deliver.rs`), and what becomes of it is heard, by notifications while its queue
//! is told, else by asking.
//!
//! ```text
//!   link.next() ─► deliver.rs ─► the API            webhook ─► inbound.rs ─► the engine
//!   notices.rs ─► Seat ─┐
//!   trigger ─► look ────┼─► Standing ─► joined, over ─► link.heard()
//!   asking ─────────────┘
//! ```

use std::collections::BTreeMap;
use std::pin::Pin;
use std::time::Duration;

use ::http::Method;
use interline_connector::http::Request;
use interline_connector::{Aside, Failure, Link, Next, RunEnd};
use interline_core::Seq;
use interline_core::conversation::input::AgentEvent;
use interline_core::transfer::{Failure as Typed, Reason};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::Integration;
use super::seats::{Queues, Seat, is_id};
use super::standing::Standing;
use super::wire::Conversation;

/// Asking goes ever slower, down to this many times the first pause.
const SLOWEST: u32 = 6;
/// Notifications are not always reliable: a chat that is told of looks for itself this often.
const CHECK: Duration = Duration::from_secs(300);
/// The vendor's own clients tell typing so often at most.
const TYPING: Duration = Duration::from_secs(5);

type Look<'a> = Pin<Box<dyn Future<Output = Result<Conversation, Failure>> + Send + 'a>>;

/// What is kept of a hand-over.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Document {
    /// Who the customer is to the vendor.
    pub address: String,
    /// The vendor's id of the conversation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conversation: Option<String>,
    /// The vendor's id of the last message that is known to have arrived.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last: Option<String>,
    /// The agent who is known to talk, as the vendor's participant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
}

pub(super) struct Chat<'a> {
    pub integration: &'a Integration,
    pub document: Document,
    pub seat: Option<Seat>,
    /// The parts of a line that arrived, by the vendor's ids, until the whole line is settled.
    pub sent: Option<(Seq, Vec<String>)>,
    /// The next message may have been sent before: by an earlier run, or without an answer.
    pub doubtful: bool,
    /// The attributes that the flow needs, until they are known to be there.
    pub attributes: Option<BTreeMap<String, String>>,
    /// An Open was sent and nobody knows what became of it: there may be a conversation.
    pub asked: bool,
    /// It is over at the vendor.
    pub over: bool,
    queues: watch::Receiver<Queues>,
    /// The queue that it was last seen in, and whether what happens there is told.
    queue: Option<String>,
    covered: bool,
    /// The vendor knows the conversation: one that is new may not be found at once.
    found: bool,
    pub look_at: Instant,
    pause: Duration,
    typing_until: Option<Instant>,
    typed_at: Option<Instant>,
    delivered: Seq,
}

impl Integration {
    pub(super) async fn serve(&self, link: &mut dyn Link) -> RunEnd {
        let document = link.session().and_then(|session| serde_json::from_value(session).ok());
        let mut chat = Chat::new(self, document.unwrap_or_default());
        chat.run(link).await
    }
}

impl<'a> Chat<'a> {
    fn new(integration: &'a Integration, document: Document) -> Self {
        let mut chat = Self {
            integration,
            doubtful: document.conversation.is_some(),
            seat: None,
            sent: None,
            attributes: None,
            asked: false,
            over: false,
            queues: integration.seats.queues.subscribe(),
            queue: None,
            covered: false,
            found: false,
            look_at: Instant::now(),
            pause: Duration::from_millis(integration.settings.poll_ms),
            typing_until: None,
            typed_at: None,
            delivered: Seq(0),
            document,
        };
        chat.take_seat();
        chat
    }

    /// Its place, once its address is known.
    pub fn take_seat(&mut self) {
        if self.document.address.is_empty() {
            return;
        }
        let seats = &self.integration.seats;
        let seat = self.seat.get_or_insert_with(|| seats.take(&self.document.address));
        if let Some(conversation) = &self.document.conversation {
            seat.is_called(conversation);
        }
    }

    async fn run(&mut self, link: &mut dyn Link) -> RunEnd {
        let mut looking: Option<Look<'a>> = None;
        loop {
            let may_look = looking.is_none() && !self.over && self.document.conversation.is_some();
            let typing_until = self.typing_until;
            tokio::select! {
                next = link.next() => match next {
                    None => return RunEnd::Over,
                    Some(Next::Aside(aside)) => Box::pin(self.aside(aside)).await,
                    Some(Next::Item(item)) => {
                        // What is said goes first; a look that waits for its turn begins anew.
                        if looking.take().is_some() {
                            self.look_at = Instant::now();
                        }
                        let result = Box::pin(self.deliver(link, &item)).await;
                        link.done(item.entry.seq, result).await;
                    }
                },
                found = finished(&mut looking) => {
                    looking = None;
                    Box::pin(self.found(link, found)).await;
                }
                () = told(&mut self.seat) => Box::pin(self.hear(link)).await,
                Ok(()) = self.queues.changed() => self.is_covered(),
                () = sleep_until(self.look_at), if may_look => looking = self.look(),
                () = sleep_until(typing_until.unwrap_or(self.look_at)), if typing_until.is_some() => {
                    self.typing_until = None;
                    link.typing(false);
                }
            }
        }
    }

    async fn aside(&mut self, aside: Aside) {
        let address = &self.document.address;
        if self.over || address.is_empty() {
            return;
        }
        match aside {
            Aside::Typing(true) if self.typed_at.is_none_or(|at| at.elapsed() >= TYPING) => {
                self.typed_at = Some(Instant::now());
                self.integration.tell_typing(address).await;
            }
            // The vendor's indicator runs out by itself.
            Aside::Typing(_) => {}
            // "Read" is not taken; what was read was delivered.
            Aside::Receipt { seq, remote_id: Some(remote_id), .. } if seq > self.delivered => {
                self.delivered = seq;
                self.integration.tell_delivered(address, &remote_id).await;
            }
            Aside::Receipt { .. } => {}
        }
    }

    // ── what becomes of it ───────────────────────────────────────────────────────────────────────────────────────

    fn look(&self) -> Option<Look<'a>> {
        let (integration, conversation) = (self.integration, self.document.conversation.as_ref()?);
        let path = format!("api/v2/conversations/messages/{conversation}");
        Some(Box::pin(async move { integration.api.poll(&path).await }))
    }

    /// A look came back.
    async fn found(&mut self, link: &mut dyn Link, found: Result<Conversation, Failure>) {
        // A look that failed saw nothing.
        let check = if self.covered && found.is_ok() { CHECK } else { self.pause };
        self.look_at = Instant::now() + check;
        let slowest = Duration::from_millis(self.integration.settings.poll_ms) * SLOWEST;
        self.pause = (self.pause * 2).min(slowest);
        match found {
            Ok(conversation) => self.stands(link, &conversation).await,
            Err(Failure::Gone(cause)) if self.found => {
                let lost = AgentEvent::Failed(Typed { reason: Reason::AgentLost, code: Some(cause.code) });
                self.is_over(link, lost).await;
            }
            Err(failure) => tracing::debug!(code = failure.cause().code, "a look at a conversation failed"),
        }
    }

    /// A notification or a trigger told something.
    async fn hear(&mut self, link: &mut dyn Link) {
        let Some(told) = self.integration.seats.heard(&self.document.address) else { return };
        self.typing_until = told.typing_until.or(self.typing_until);
        if told.look {
            self.look_at = Instant::now();
        }
        for words in told.words {
            self.tell_agent(link, &words).await;
        }
        if let Some(conversation) = told.conversation {
            self.stands(link, &conversation).await;
        }
    }

    /// Whether somebody tells what happens in its queue, since when it must look once: something may have happened before.
    fn is_covered(&mut self) {
        let queues = self.queues.borrow_and_update();
        let covered = self.queue.as_ref().is_some_and(|queue| queues.told.contains(queue));
        drop(queues);
        if covered != self.covered {
            self.covered = covered;
            self.look_at = Instant::now();
            self.pause = Duration::from_millis(self.integration.settings.poll_ms);
        }
    }

    async fn stands(&mut self, link: &mut dyn Link, conversation: &Conversation) {
        self.found = true;
        let queue = conversation.participants.iter().rev().find_map(|party| party.queue.as_ref()?.id.clone());
        if queue.is_some() && queue != self.queue {
            self.integration.seats.want(queue.as_deref().unwrap_or_default());
            self.queue = queue;
            self.is_covered();
        }
        self.attribute(conversation).await;
        let standing = Standing::of(conversation, self.document.agent.is_some());
        if let Some((id, name)) = standing.agent
            && self.document.agent.as_ref() != Some(&id)
            && !self.over
        {
            self.document.agent = Some(id.clone());
            self.integration.seats.talks(&self.document.address, name.clone());
            link.heard(Some(format!("joined/{id}")), AgentEvent::Joined { name }).await;
            link.save(json!(self.document)).await;
        }
        if let Some(over) = standing.over {
            self.is_over(link, over).await;
        }
    }

    pub async fn is_over(&mut self, link: &mut dyn Link, event: AgentEvent) {
        if !self.over {
            self.over = true;
            link.heard(Some("over".to_owned()), event).await;
        }
    }

    /// Not every organisation takes the attributes of a first message: what is missing is added.
    async fn attribute(&mut self, conversation: &Conversation) {
        let Some(wanted) = self.attributes.take() else { return };
        let Some(customer) = conversation.participants.iter().find(|party| party.purpose == "customer")
        else {
            self.attributes = Some(wanted);
            return;
        };
        let has = |name: &String| customer.attributes.as_ref().is_some_and(|known| known.contains_key(name));
        if wanted.keys().all(has) || !is_id(&customer.id) {
            return;
        }
        let (conversation, party) = (&conversation.id, &customer.id);
        let path = format!("api/v2/conversations/{conversation}/participants/{party}/attributes");
        let Some(url) = self.integration.api.at(&path).ok().filter(|_| is_id(conversation)) else { return };
        let body = json!({ "attributes": wanted });
        let make = || Request::new(Method::PATCH, url.clone()).json(&body);
        if let Err(failure) = self.integration.api.ask(make).await {
            tracing::warn!(code = failure.cause().code, "the attributes of a hand-over could not be added");
        }
    }
}

async fn finished(looking: &mut Option<Look<'_>>) -> Result<Conversation, Failure> {
    match looking {
        Some(look) => look.await,
        None => std::future::pending().await,
    }
}

async fn told(seat: &mut Option<Seat>) {
    if let Some(seat) = seat
        && seat.told.changed().await.is_ok()
    {
        return;
    }
    // No place yet; or another run of the same chat took it, and hears what is told.
    std::future::pending().await
}
