//! Entries go out: one task per participant that has something to hear, one entry at a time, in order.
//!
//! ```text
//!   find the next entry it hears ─► (an Open or Close: commit "attempt") ─► deliver ─► one commit: cursor, session,
//!        ▲                                                                            remote ids, step of the events
//!        └────────────────────────────────────────────────────────────────────────────────┘
//! ```
//!
//! The conversation is never locked during a call: a real BotKit calls back while our request to it is still open.

pub(crate) mod call;
pub mod outcome;
pub(crate) mod settle;

use std::collections::BTreeMap;
use std::sync::Arc;

use interline_connector::agent::Brief;
use interline_connector::manifest::{Dedupe, Delivery};
use interline_connector::{AgentSystem, Cause, Failure, Item};
use interline_core::conversation::input::DeliveryResult;
use interline_core::transfer::Reason;
use interline_core::{Body, Entry, Input, ParticipantNo, Seq};
use tokio::sync::MutexGuard;
use tracing::Instrument as _;

use crate::apps::Runtime;
use crate::engine::Inner;
use crate::ingress::{Change, Trouble, to_i64};
use crate::live::{Key, Live, Row, Slot};
use crate::observe;
use crate::perform;
use outcome::STALLED_AFTER_MS;

/// Entries are read from the database in pages of this size.
const PAGE: i64 = 100;

pub(crate) type Rows = BTreeMap<ParticipantNo, Row>;

/// What a participant's turn came to.
enum Turn {
    /// There may be more.
    More,
    /// Nothing to do now; a hint or a timer comes when there is.
    Rest,
}

/// What a look at a participant found.
enum Found {
    /// It is to hear this.
    Entry(Box<Ready>),
    /// It is a duplex session: its own task takes the entries.
    Duplex(Arc<dyn AgentSystem>),
    /// Look again.
    Again,
    /// Nothing now.
    Nothing,
}

struct Ready {
    row: Row,
    entry: Arc<Entry>,
    /// Or why there is none.
    agent: Result<Arc<dyn AgentSystem>, String>,
    item: Item,
    /// It was begun before, and nobody knows what came of it.
    unknown: bool,
}

impl Inner {
    /// Makes sure a task delivers to this participant.
    pub(crate) fn dispatch(self: &Arc<Self>, key: &Key, no: ParticipantNo) {
        if self.stop.is_cancelled() || self.apps.get(&key.app).is_none() {
            return;
        }
        let slot = self.slots.get(key);
        if !slot.running().insert(no) {
            return;
        }
        let inner = self.clone();
        self.tasks.spawn(async move {
            loop {
                // As it is in force now: it may have changed since the last turn.
                let Some(runtime) = inner.apps.get(&slot.key.app) else {
                    slot.running().remove(&no);
                    return;
                };
                match inner.turn(&runtime, &slot, no).await {
                    Ok(Turn::More) if !inner.stop.is_cancelled() => {}
                    Ok(Turn::More) => {
                        slot.running().remove(&no);
                        return;
                    }
                    Ok(Turn::Rest) => return,
                    Err(trouble) => return inner.wait_for_store(&slot, no, &trouble).await,
                }
            }
        });
    }

    /// A turn was not possible.
    async fn wait_for_store(self: &Arc<Self>, slot: &Slot, no: ParticipantNo, trouble: &Trouble) {
        let _live = slot.live.lock().await;
        slot.running().remove(&no);
        match trouble {
            // It was erased: nothing is to be delivered any more.
            Trouble::Unknown => return,
            Trouble::Store(_) => self.deliver_at(&slot.key, no, self.now().0 + 1_000),
            // Not repaired within a second; the database is looked through now and then.
            Trouble::Broken(_) | Trouble::FileGone => {}
        }
        tracing::warn!(conversation = %slot.key.conversation, %no, %trouble, "delivery is waiting");
    }

    async fn turn(
        self: &Arc<Self>,
        runtime: &Arc<Runtime>,
        slot: &Arc<Slot>,
        no: ParticipantNo,
    ) -> Result<Turn, Trouble> {
        let place = self.look_for(slot).await;
        let mut guard = slot.live.lock().await;
        let found = self.look(runtime, slot, &mut guard, no).await?;
        drop(place);
        if matches!(found, Found::Nothing | Found::Duplex(_)) {
            // While `live` is held: an entry that comes after this finds no task and starts one.
            slot.running().remove(&no);
        }
        drop(guard);
        let Ready { row, entry, agent, item, unknown } = match found {
            Found::Nothing => return Ok(Turn::Rest),
            Found::Again => return Ok(Turn::More),
            Found::Duplex(agent) => {
                self.keep_running(slot, no, agent).await?;
                return Ok(Turn::Rest);
            }
            Found::Entry(ready) => *ready,
        };
        if let Body::Work { work, .. } = &entry.body {
            self.perform(runtime, slot, &row, (&entry, work), unknown).await?;
            return Ok(Turn::More);
        }
        let attempt = observe::Delivery::begin(&slot.key, &row, &entry, agent.as_ref().ok());
        let result = match &agent {
            Err(why) => Err(Failure::Gone(Cause::new(Reason::Unconfigured, why))),
            Ok(_) if unknown => Err(Failure::Uncertain(Cause::new(
                Reason::Unreachable,
                "the server restarted during the attempt",
            ))),
            Ok(agent) => self.call(agent.as_ref(), &item, &row).instrument(attempt.span()).await,
        };
        attempt.ended(&result);
        // What comes of it is stepped under the app that is in force now: it may have changed during the call.
        let in_force = self.apps.get(&slot.key.app);
        let runtime = in_force.as_ref().unwrap_or(runtime);
        let settle = self.settle_surely(runtime, slot, &row, &entry, agent.as_ref().ok(), result);
        settle.instrument(attempt.span()).await?;
        Ok(Turn::More)
    }

    /// What this participant is to hear now. What must be written before it is delivered is written.
    async fn look(
        self: &Arc<Self>,
        runtime: &Runtime,
        slot: &Slot,
        guard: &mut MutexGuard<'_, Option<Live>>,
        no: ParticipantNo,
    ) -> Result<Found, Trouble> {
        self.load(slot, guard).await?;
        let Some(live) = guard.as_ref() else { return Ok(Found::Nothing) };
        let Some(row) = live.rows.get(&no).cloned() else { return Ok(Found::Nothing) };
        let agent = self.agent_of(runtime, &live.state, &row.about.participant);
        if let Some(agent) = agent.as_ref().ok().filter(|agent| agent.manifest().delivery == Delivery::Pinned)
        {
            return Ok(Found::Duplex(agent.clone()));
        }
        if row.row.done {
            return Ok(Found::Nothing);
        }
        let Some((entry, ready)) = self.next_entry(slot, guard.as_ref(), &row).await? else {
            self.caught_up(runtime, slot, guard, &row).await?;
            return Ok(Found::Nothing);
        };
        if !ready {
            return Ok(Found::Nothing);
        }
        if row.about.waiting.as_ref().is_some_and(|waiting| waiting.until > self.now().0) {
            let told = self.wait(runtime, slot, guard, &row, entry.seq).await?;
            return Ok(if told { Found::Again } else { Found::Nothing });
        }
        // Read before the attempt is noted: what fails here was not attempted.
        let takes = agent.as_ref().ok().and_then(|agent| agent.manifest().takes.files);
        let Some(live) = guard.as_ref() else { return Ok(Found::Nothing) };
        let item = self.item(slot, &row, entry.clone(), live, takes).await?;
        let once = perform::once(&entry) || agent.as_ref().is_ok_and(|agent| once(agent.as_ref(), &entry));
        let unknown = once && self.mark_attempt(runtime, slot, guard, &row, &entry).await?;
        Ok(Found::Entry(Box::new(Ready { row, entry, agent, item, unknown })))
    }

    /// Between two tries. A pause that a vendor asked for may be longer than a customer should wait without anybody
    /// knowing: the stall is told on time. True: it was told now.
    pub(crate) async fn wait(
        self: &Arc<Self>,
        runtime: &Runtime,
        slot: &Slot,
        guard: &mut MutexGuard<'_, Option<Live>>,
        row: &Row,
        seq: Seq,
    ) -> Result<bool, Trouble> {
        let now = self.now().0;
        let Some(waiting) = row.about.waiting.clone() else { return Ok(false) };
        let no = row.about.participant.no;
        let stalls_at =
            row.row.failing_since.map_or(i64::MAX, |since| since.saturating_add(STALLED_AFTER_MS));
        if row.about.stalled || now < stalls_at {
            let at = if row.about.stalled { waiting.until } else { waiting.until.min(stalls_at) };
            self.deliver_at(&slot.key, no, at);
            return Ok(false);
        }
        let rows = move |rows: &mut Rows| {
            if let Some(row) = rows.get_mut(&no) {
                row.about.stalled = true;
                row.row.due_at = Some(waiting.until);
            }
        };
        let result = DeliveryResult::Stalled(waiting.failure.clone());
        let input = Input::Delivery { participant: no, seq, result };
        let by = row.about.participant.integration.as_str();
        let change = Change { rows: &rows, touched: Some(no), ..Change::inputs(by, vec![input], None) };
        self.change(runtime, slot, guard, change).await?;
        Ok(true)
    }

    /// The next entry that this participant is to hear now, and whether it is time for it.
    pub(crate) async fn next_entry(
        &self,
        slot: &Slot,
        live: Option<&Live>,
        row: &Row,
    ) -> Result<Option<(Arc<Entry>, bool)>, Trouble> {
        let Some(live) = live else { return Ok(None) };
        let participant = &row.about.participant;
        let mut cursor = Seq(row.row.cursor.unsigned_abs());
        let head = Seq(row.row.head.unsigned_abs());
        while cursor < head {
            let page = self.entries_after(slot, cursor, PAGE).await?;
            let Some(last) = page.last().map(|entry| entry.seq) else { break };
            let wanted = |entry: &&Arc<Entry>| participant.hears(entry) && live.state.still_wanted(entry);
            if let Some(entry) = page.iter().find(wanted) {
                let ready = live.state.ready_for(participant, entry);
                return Ok(Some((entry.clone(), ready)));
            }
            cursor = last;
        }
        Ok(None)
    }

    /// Entries after `seq`, from memory if they are there.
    pub(crate) async fn entries_after(
        &self,
        slot: &Slot,
        seq: Seq,
        limit: i64,
    ) -> Result<Vec<Arc<Entry>>, Trouble> {
        if let Some(entries) = slot.tail().after(seq) {
            return Ok(entries);
        }
        let (app, conversation) = (slot.key.app.as_str(), slot.key.conversation.as_str());
        let rows = self.store.entries_after(app, conversation, to_i64(seq.0), limit).await?;
        rows.iter().map(|row| read_entry(&row.doc).map(Arc::new)).collect()
    }

    /// The last `limit` entries before `seq`, oldest first, from memory if they are there.
    pub(crate) async fn entries_before(
        &self,
        slot: &Slot,
        seq: Seq,
        limit: usize,
    ) -> Result<Vec<Arc<Entry>>, Trouble> {
        if let Some(entries) = slot.tail().before(seq, limit) {
            return Ok(entries);
        }
        let (app, conversation) = (slot.key.app.as_str(), slot.key.conversation.as_str());
        let rows = self.store.entries_before(app, conversation, to_i64(seq.0), limit as i64).await?;
        rows.iter().map(|row| read_entry(&row.doc).map(Arc::new)).collect()
    }

    /// Nothing is left for a participant: its cursor stands at its head.
    async fn caught_up(
        self: &Arc<Self>,
        runtime: &Runtime,
        slot: &Slot,
        guard: &mut MutexGuard<'_, Option<Live>>,
        row: &Row,
    ) -> Result<(), Trouble> {
        if row.row.cursor >= row.row.head && row.row.due_at.is_none() {
            return Ok(());
        }
        let no = row.about.participant.no;
        let rows = move |rows: &mut Rows| {
            if let Some(row) = rows.get_mut(&no) {
                row.row.cursor = row.row.head;
                row.settled();
            }
        };
        let change =
            Change { rows: &rows, touched: Some(no), ..Change::inputs("dispatch", Vec::new(), None) };
        self.change(runtime, slot, guard, change).await.map(|_| ())
    }

    /// Opening and closing at a vendor that cannot recognise a repeat: the attempt is written first. One that was written
    /// before and has no result is not repeated: true.
    async fn mark_attempt(
        self: &Arc<Self>,
        runtime: &Runtime,
        slot: &Slot,
        guard: &mut MutexGuard<'_, Option<Live>>,
        row: &Row,
        entry: &Entry,
    ) -> Result<bool, Trouble> {
        let no = row.about.participant.no;
        let key = format!("{no}#{}", entry.seq);
        if row.row.attempt_key.as_ref() == Some(&key) {
            return Ok(true);
        }
        let rows = move |rows: &mut Rows| {
            if let Some(row) = rows.get_mut(&no) {
                row.row.attempt_key = Some(key.clone());
            }
        };
        let change =
            Change { rows: &rows, touched: Some(no), ..Change::inputs("dispatch", Vec::new(), None) };
        self.change(runtime, slot, guard, change).await?;
        Ok(false)
    }
}

/// Opening and closing at a vendor that cannot recognise a repeat.
pub(crate) fn once(agent: &dyn AgentSystem, entry: &Entry) -> bool {
    matches!(entry.body, Body::Open | Body::Close { .. }) && agent.manifest().dedupe == Dedupe::None
}

/// What travels along with every entry.
pub(crate) fn brief(live: &Live) -> Brief {
    Brief {
        app: live.state.app.clone(),
        id: live.state.id.clone(),
        customer: live.state.customer.clone(),
        owner: live.state.owner,
    }
}

pub(crate) fn read_entry(doc: &str) -> Result<Entry, Trouble> {
    serde_json::from_str(doc).map_err(|error| Trouble::Broken(format!("entry: {error}")))
}
