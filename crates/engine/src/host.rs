//! What channels see of the engine.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use async_trait::async_trait;
use interline_connector::channel::{
    ChannelApp, HandedOff, HeardAs, Hint, HistoryPage, Host, Line, Mark, Page, Phase, Place, Said,
    Unavailable, What,
};
use interline_connector::{FileRefused, Files};
use interline_core::conversation::call::CallRecord;
use interline_core::conversation::connection::Connection;
use interline_core::conversation::profile::Profile;
use interline_core::conversation::state::Customer;
use interline_core::conversation::voicemail::Recorded;
use interline_core::transfer::Stage;
use interline_core::{
    AppId, Body, ConversationId, CustomerId, Entry, Input, IntegrationName, Owner, Seq, State,
};
use interline_store::Once;
use tokio::sync::broadcast;
use tracing::Instrument as _;
use url::Url;

use crate::apps::Runtime;
use crate::dispatch::read_entry;
use crate::engine::{Engine, Inner};
use crate::ingress::{Change, Changed, InboxKey, Trouble, to_i64};
use crate::live::{Key, Live};
use crate::observe::trace;

/// A client that reconnects gets at most so many entries again.
const AGAIN: i64 = 100;
/// The history goes back so many conversations.
const CONVERSATIONS: i64 = 200;
/// The next one is nearly always among so many.
const FEW: i64 = 4;
/// Entries are read in pages of this size.
const PAGE: i64 = 200;
/// Who comes back within this time returns, milliseconds: 24 hours.
const RETURNS: i64 = 86_400_000;
/// So often a line is tried again when its conversation closed in between.
const TRIES: usize = 5;

fn unavailable(trouble: Trouble) -> Unavailable {
    if trouble == Trouble::FileGone {
        return Unavailable(FileRefused::Unknown.to_string());
    }
    tracing::warn!(%trouble, "a channel could not be served");
    Unavailable("The service is not available right now. Please try again.".into())
}

impl From<interline_store::Error> for Lost {
    fn from(error: interline_store::Error) -> Self {
        Self(unavailable(error.into()))
    }
}

/// Who the customer talks to. While the agent's last words are drained, the agent still counts as there.
pub(crate) fn phase_of(state: &State) -> Phase {
    let transfer = match state.owner {
        Owner::Closed => return Phase::Closed,
        Owner::Bot => return Phase::Bot,
        Owner::Agent => state.transfer.as_ref(),
    };
    match transfer.map(|transfer| (transfer.stage, transfer)) {
        Some((Stage::Talking | Stage::Closing, transfer)) => Phase::Agent { name: transfer.agent.clone() },
        Some((Stage::Requested | Stage::Opening | Stage::Waiting, transfer)) => {
            Phase::Waiting { position: transfer.position }
        }
        None => Phase::Waiting { position: None },
    }
}

fn input_of(what: What) -> Input {
    match what {
        What::Connected => Input::Connected,
        What::NoInput => Input::NoInput,
        What::Text(text) => Input::CustomerSaid(text),
        What::Ends(scope) => Input::CustomerEnds(scope),
    }
}

/// Whether it opens a conversation if none is open.
fn opens(input: &Input) -> bool {
    !matches!(input, Input::CustomerEnds(_) | Input::Called(_) | Input::Voicemail(_))
}

/// A trouble on its way to a channel.
struct Lost(Unavailable);

impl From<Lost> for Unavailable {
    fn from(lost: Lost) -> Self {
        lost.0
    }
}

#[async_trait]
impl Host for Engine {
    fn app(&self, app: &AppId) -> Option<Arc<ChannelApp>> {
        self.inner.apps.get(app).map(|runtime| runtime.channel_app.clone())
    }

    fn public_url(&self) -> &Url {
        &self.inner.public_url
    }

    fn now_ms(&self) -> i64 {
        self.inner.now().0
    }

    fn seal(&self, purpose: &str, plain: &str) -> String {
        // Without randomness nothing can be sealed; an empty token is read by nobody.
        self.inner.store.seal().seal(&format!("token|{purpose}"), plain.as_bytes()).unwrap_or_default()
    }

    fn unseal(&self, purpose: &str, token: &str) -> Option<String> {
        let plain = self.inner.store.seal().open(&format!("token|{purpose}"), token).ok()?;
        String::from_utf8(plain).ok()
    }

    async fn first_use(
        &self,
        app: &AppId,
        purpose: &str,
        key: &str,
        ttl_ms: i64,
    ) -> Result<Option<i64>, Unavailable> {
        let now = self.now_ms();
        let once =
            self.inner.store.once(app.as_str(), purpose, key, now, now + ttl_ms).await.map_err(Lost::from)?;
        Ok(match once {
            Once::First => None,
            Once::Seen { first_at } => Some(first_at),
        })
    }

    async fn customer(
        &self,
        app: &AppId,
        channel: &IntegrationName,
        address: &str,
    ) -> Result<Customer, Unavailable> {
        let (store, now) = (&self.inner.store, self.now_ms());
        let row =
            store.customer(app.as_str(), channel.as_str(), address, now, "{}").await.map_err(Lost::from)?;
        let (id, channel, address) = (CustomerId::new(row.id), channel.clone(), address.to_owned());
        if row.new {
            self.inner.customers.get(app, &id).fresh.store(true, Ordering::Relaxed);
        }
        Ok(Customer { id, channel, address, profile: Profile::default(), connection: Connection::default() })
    }

    async fn hear(&self, app: &AppId, customer: &Customer, said: Said) -> Result<HeardAs, Unavailable> {
        self.heard(app, customer, said.external_id, vec![input_of(said.what)]).await
    }

    async fn hear_call(
        &self,
        app: &AppId,
        customer: &Customer,
        legs: Vec<CallRecord>,
        what: Option<What>,
    ) -> Result<HeardAs, Unavailable> {
        let what = what.map(input_of);
        let mut inputs: Vec<Input> = legs.into_iter().map(Input::Called).collect();
        // A conversation is opened before something is noted in it, and closed after.
        let at = if what.as_ref().is_some_and(opens) { 0 } else { inputs.len() };
        inputs.splice(at..at, what);
        if inputs.is_empty() {
            return Ok(HeardAs::Nothing);
        }
        self.heard(app, customer, None, inputs).await
    }

    async fn read(
        &self,
        app: &AppId,
        customer: &Customer,
        place: &mut Place,
        limit: usize,
    ) -> Result<Vec<Line>, Unavailable> {
        self.inner.read(app, customer, place, limit).await.map_err(unavailable)
    }

    async fn place(&self, app: &AppId, customer: &Customer, undelivered: bool) -> Result<Place, Unavailable> {
        self.inner.place(app, customer, undelivered).await.map_err(unavailable)
    }

    async fn phase(&self, app: &AppId, customer: &Customer) -> Result<Phase, Unavailable> {
        self.inner.phase(app, customer).await.map_err(unavailable)
    }

    async fn history(
        &self,
        app: &AppId,
        customer: &Customer,
        page: Page,
    ) -> Result<HistoryPage, Unavailable> {
        let Page { skip, before, limit } = page;
        self.inner.page(app, customer, skip, before, limit, skip + limit + 1).await.map_err(unavailable)
    }

    fn watch(&self, app: &AppId, customer: &Customer) -> broadcast::Receiver<Hint> {
        self.inner.customers.watch(app, &customer.id)
    }

    fn mark(&self, app: &AppId, customer: &Customer, conversation: &ConversationId, seq: Seq, mark: Mark) {
        let key = Key { app: app.clone(), conversation: conversation.clone() };
        self.inner.mark(key, &customer.id, seq, mark);
    }

    fn typing(&self, app: &AppId, customer: &Customer, on: bool) {
        let (inner, app, customer) = (self.inner.clone(), app.clone(), customer.id.clone());
        self.inner.tasks.spawn(async move { inner.customer_types(&app, &customer, on).await });
    }

    async fn handed_off(
        &self,
        app: &AppId,
        conversation: &ConversationId,
        summary: bool,
    ) -> Result<HandedOff, Unavailable> {
        self.inner.handed_off(app, conversation, summary).await.map_err(unavailable)
    }

    async fn voicemail(
        &self,
        app: &AppId,
        customer: &Customer,
        conversation: &ConversationId,
        seq: Seq,
        recorded: Recorded,
    ) -> Result<(), Unavailable> {
        let (inner, key) = (self.inner.clone(), Key { app: app.clone(), conversation: conversation.clone() });
        let (id, by) = (customer.id.clone(), customer.channel.clone());
        let take = async move { inner.take_voicemail(key, &id, &by, seq, recorded).await };
        let taken = self.inner.surely(take).await;
        taken.unwrap_or_else(|| Err(Trouble::Broken("a panic".into()))).map_err(unavailable)
    }

    fn files(&self) -> &dyn Files {
        self
    }

    async fn stopping(&self) {
        self.inner.stop.cancelled().await;
    }
}

impl Engine {
    async fn heard(
        &self,
        app: &AppId,
        customer: &Customer,
        external_id: Option<String>,
        inputs: Vec<Input>,
    ) -> Result<HeardAs, Unavailable> {
        let Some(runtime) = self.inner.apps.get(app) else {
            return Err(Unavailable("There is no such bot.".into()));
        };
        let (inner, runtime, customer) = (self.inner.clone(), runtime.clone(), customer.clone());
        let span = trace::heard(app, &customer.channel);
        let hear =
            async move { inner.hear(&runtime, &customer, external_id, &inputs).await }.instrument(span);
        let heard = self.inner.surely(hear).await;
        heard.unwrap_or_else(|| Err(Trouble::Broken("a panic".into()))).map_err(unavailable)
    }
}

impl Inner {
    async fn hear(
        self: &Arc<Self>,
        runtime: &Runtime,
        customer: &Customer,
        external_id: Option<String>,
        inputs: &[Input],
    ) -> Result<HeardAs, Trouble> {
        let app = &runtime.app.id;
        let person = self.customers.get(app, &customer.id);
        let mut open = person.open.lock().await;
        let mut fresh = self.is_fresh(app, customer);
        let key = external_id.map(|external_id| InboxKey {
            integration: customer.channel.as_str().to_owned(),
            scope: customer.id.as_str().to_owned(),
            external_id,
        });
        if inputs.iter().any(opens) {
            person.fresh.store(false, Ordering::Relaxed);
        }
        for _ in 0..TRIES {
            if open.is_none() && !fresh {
                let found = self.store.open_conversation(app.as_str(), customer.id.as_str()).await?;
                *open = found.map(ConversationId::new);
            }
            if let Some(heard) = self.hear_in(runtime, customer, &mut open, (inputs, fresh), &key).await? {
                return Ok(heard);
            }
            fresh = false;
        }
        Err(Trouble::Store("the conversation keeps changing".into()))
    }

    /// A caller who was never here before this call: nothing of theirs is to be looked up.
    fn is_fresh(&self, app: &AppId, customer: &Customer) -> bool {
        customer.connection.is_call && self.customers.get(app, &customer.id).fresh.load(Ordering::Relaxed)
    }

    /// Hears something in the open conversation, or in a new one if none is. None: the conversation closed or was erased since
    /// we looked, or another node opened one.
    async fn hear_in(
        self: &Arc<Self>,
        runtime: &Runtime,
        customer: &Customer,
        open: &mut Option<ConversationId>,
        (inputs, fresh): (&[Input], bool),
        key: &Option<InboxKey>,
    ) -> Result<Option<HeardAs>, Trouble> {
        // Until it went well, nothing is known to be open.
        let known = open.take();
        if known.is_none() && !inputs.iter().any(opens) {
            return Ok(Some(HeardAs::Nothing));
        }
        let app = &runtime.app.id;
        let id = known.clone().unwrap_or_else(fresh_conversation);
        let slot = self.slots.get(&Key { app: app.clone(), conversation: id.clone() });
        let mut guard = slot.live.lock().await;
        if known.is_none() {
            let mut state = State::new(app.clone(), id.clone(), customer.clone());
            let closed = match fresh {
                true => None,
                false => self.store.last_closed(app.as_str(), customer.id.as_str()).await?,
            };
            state.customer.connection.returns = closed.is_some_and(|at| at > self.now().0 - RETURNS);
            let rows = std::collections::BTreeMap::new();
            *guard = Some(Live { state, version: 0, opened_at: self.now().0, closed_at: None, rows });
        }
        let is_open =
            |live: &Option<Live>| live.as_ref().is_some_and(|live| live.state.owner != Owner::Closed);
        match self.load(&slot, &mut guard).await {
            Ok(()) if is_open(&guard) => {}
            Ok(()) | Err(Trouble::Unknown) => return Ok(None),
            Err(trouble) => return Err(trouble),
        }
        let mut inputs = inputs.to_vec();
        inputs.retain(|input| known.is_none() || *input != Input::Connected);
        if inputs.is_empty() {
            *open = known;
            return Ok(Some(HeardAs::Nothing));
        }
        let change = Change::inputs(customer.channel.as_str(), inputs, key.clone());
        match self.change(runtime, &slot, &mut guard, change).await {
            Ok(Changed::Done) => {
                *open = is_open(&guard).then_some(id);
                Ok(Some(HeardAs::New))
            }
            Ok(Changed::Again) => {
                *open = known;
                Ok(Some(HeardAs::Again))
            }
            Err(Trouble::Unknown) => Ok(None),
            Err(trouble) => Err(trouble),
        }
    }

    async fn read(
        &self,
        app: &AppId,
        customer: &Customer,
        place: &mut Place,
        limit: usize,
    ) -> Result<Vec<Line>, Trouble> {
        let mut lines = Vec::new();
        loop {
            let Some(conversation) = place.conversation.clone() else {
                // That of a call was opened here.
                let open = match customer.connection.is_call {
                    true => self.customers.get(app, &customer.id).open.lock().await.clone(),
                    false => None,
                };
                let first = match open {
                    Some(open) => Some(open),
                    None => self.conversation_after(app, customer, None).await?,
                };
                let Some(first) = first else { return Ok(lines) };
                *place = Place { conversation: Some(first), seq: Seq(0) };
                continue;
            };
            let slot = self.slots.get(&Key { app: app.clone(), conversation: conversation.clone() });
            let entries = self.entries_after(&slot, place.seq, PAGE).await?;
            let caught_up = entries.is_empty();
            for entry in entries {
                if lines.len() >= limit {
                    return Ok(lines);
                }
                place.seq = entry.seq;
                if entry.customer_sees() {
                    lines.push(Line { conversation: conversation.clone(), entry: (*entry).clone() });
                }
            }
            if !caught_up {
                continue;
            }
            // A call has one conversation.
            let over = |line: &Line| line.entry.body == Body::Closed;
            if customer.connection.is_call && lines.iter().any(over) {
                return Ok(lines);
            }
            // A reader goes on to the customer's next conversation once this one is over.
            let closed = slot.tail().closed();
            let closed = match closed {
                Some(closed) => closed,
                None => self.is_closed(app, &conversation).await?,
            };
            let next = if closed {
                self.conversation_after(app, customer, Some(&conversation)).await?
            } else {
                None
            };
            let Some(next) = next else { return Ok(lines) };
            *place = Place { conversation: Some(next), seq: Seq(0) };
        }
    }

    async fn is_closed(&self, app: &AppId, conversation: &ConversationId) -> Result<bool, Trouble> {
        let loaded = self.store.load(app.as_str(), conversation.as_str()).await?;
        Ok(loaded.is_none_or(|loaded| loaded.closed_at.is_some()))
    }

    async fn newest(&self, app: &AppId, customer: &Customer) -> Result<Option<ConversationId>, Trouble> {
        let newest = self.store.conversations_of(app.as_str(), customer.id.as_str(), 1).await?;
        Ok(newest.into_iter().next().map(ConversationId::new))
    }

    /// The customer's conversation after `before`; with none, the first one that is not too long ago.
    async fn conversation_after(
        &self,
        app: &AppId,
        customer: &Customer,
        before: Option<&ConversationId>,
    ) -> Result<Option<ConversationId>, Trouble> {
        let of = |limit| self.store.conversations_of(app.as_str(), customer.id.as_str(), limit);
        let mut newest_first = of(FEW).await?;
        let reaches_back =
            |found: &[String]| before.is_some_and(|before| found.iter().any(|id| id == before.as_str()));
        if newest_first.len() as i64 == FEW && !reaches_back(&newest_first) {
            newest_first = of(CONVERSATIONS).await?;
        }
        let newer =
            newest_first.into_iter().take_while(|id| before.is_none_or(|before| id != before.as_str()));
        Ok(newer.last().map(ConversationId::new))
    }

    async fn phase(&self, app: &AppId, customer: &Customer) -> Result<Phase, Trouble> {
        let Some(conversation) = self.newest(app, customer).await? else { return Ok(Phase::Closed) };
        let slot = self.slots.get(&Key { app: app.clone(), conversation });
        let mut guard = slot.live.lock().await;
        self.load(&slot, &mut guard).await?;
        Ok(guard.as_ref().map_or(Phase::Closed, |live| phase_of(&live.state)))
    }

    async fn place(&self, app: &AppId, customer: &Customer, undelivered: bool) -> Result<Place, Trouble> {
        if self.is_fresh(app, customer) {
            return Ok(Place::default());
        }
        let Some(conversation) = self.newest(app, customer).await? else { return Ok(Place::default()) };
        let key = Key { app: app.clone(), conversation: conversation.clone() };
        let slot = self.slots.get(&key);
        let mut guard = slot.live.lock().await;
        self.load(&slot, &mut guard).await?;
        let head = guard.as_ref().map_or(0, |live| to_i64(live.state.head.0));
        drop(guard);
        let seq = if undelivered {
            let delivered = slot.customer_marks[0]
                .load(Ordering::Relaxed)
                .max(self.pending_delivered(&key, &customer.id));
            delivered.max(head - AGAIN).min(head)
        } else {
            head
        };
        Ok(Place { conversation: Some(conversation), seq: Seq(seq.unsigned_abs()) })
    }

    /// A page of a customer's texts, oldest first. At most `most` lines are counted.
    pub(crate) async fn page(
        &self,
        app: &AppId,
        customer: &Customer,
        skip: usize,
        before: Option<(ConversationId, Seq)>,
        limit: usize,
        most: usize,
    ) -> Result<HistoryPage, Trouble> {
        let mut conversations =
            self.store.conversations_of(app.as_str(), customer.id.as_str(), CONVERSATIONS).await?;
        let mut end = i64::MAX;
        if let Some((conversation, seq)) = before {
            let Some(at) = conversations.iter().position(|id| id == conversation.as_str()) else {
                return Ok(HistoryPage { lines: Vec::new(), total: 0, more: false });
            };
            conversations.drain(..at);
            end = to_i64(seq.0);
        }
        // Newest first, until there are enough.
        let mut newest_first: Vec<Line> = Vec::new();
        let mut total = 0;
        'conversations: for conversation in conversations {
            loop {
                let rows = self.store.entries_before(app.as_str(), &conversation, end, PAGE).await?;
                let Some(first) = rows.first().map(|row| row.seq) else { break };
                for row in rows.iter().rev() {
                    let entry: Entry = read_entry(&row.doc)?;
                    if !entry.customer_sees() || !matches!(entry.body, Body::Text(_)) {
                        continue;
                    }
                    total += 1;
                    if total > skip && newest_first.len() < limit {
                        newest_first.push(Line { conversation: conversation.as_str().into(), entry });
                    }
                    if total >= most {
                        break 'conversations;
                    }
                }
                end = first;
            }
            end = i64::MAX;
        }
        newest_first.reverse();
        Ok(HistoryPage { more: total > skip + newest_first.len(), lines: newest_first, total })
    }
}

fn fresh_conversation() -> ConversationId {
    ConversationId::new(format!("cnv_{}", uuid::Uuid::now_v7().simple()))
}
