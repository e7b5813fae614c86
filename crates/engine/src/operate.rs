//! What operators see and do: lists, timelines, and acts on a live conversation. Every act is an input like any other,
//! with its author; what it finds changed since the operator looked is answered, not done.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use interline_connector::channel::Phase;
use interline_core::conversation::input::OperatorAct;
use interline_core::transfer::Stage;
use interline_core::{
    App, AppId, ConversationId, CustomerId, Entry, Input, Owner, Participant, ParticipantNo, Seq, State,
    TransferNo,
};
use interline_store::{CustomerFound, Erased, Filter, Summary};

use crate::dispatch::read_entry;
use crate::engine::{Engine, Inner};
use crate::host::phase_of;
use crate::ingress::{Change, InboxKey, Trouble, to_i64};
use crate::live::{About, Key, Live, Row, Slot};

/// A conversation in a list.
#[derive(Debug, Clone)]
pub struct Overview {
    /// Its state.
    pub state: State,
    /// Milliseconds since 1970.
    pub opened_at: i64,
    /// Milliseconds since 1970.
    pub closed_at: Option<i64>,
}

impl Overview {
    /// Whom the customer talks to.
    pub fn phase(&self) -> Phase {
        phase_of(&self.state)
    }
}

/// A conversation with everybody who takes or took part.
#[derive(Debug, Clone)]
pub struct Detail {
    /// The conversation.
    pub overview: Overview,
    /// Who takes part, by number.
    pub seats: Vec<Seat>,
    /// The customer has everything up to here.
    pub customer_delivered: Seq,
    /// The customer read everything up to here.
    pub customer_read: Seq,
}

/// A participant, and how far it heard the log.
#[derive(Debug, Clone)]
pub struct Seat {
    /// Who.
    pub participant: Participant,
    /// The last entry that was delivered to it or passed by.
    pub cursor: Seq,
    /// The last entry that is for it.
    pub head: Seq,
    /// Delivered up to this entry.
    pub delivered: Seq,
    /// Read up to this entry.
    pub read: Seq,
    /// Failed tries at the entry behind the cursor.
    pub attempts: i64,
    /// Since when it has been failing, milliseconds since 1970.
    pub failing_since: Option<i64>,
    /// When it is tried next, milliseconds since 1970.
    pub due_at: Option<i64>,
    /// It was reported as stalled.
    pub stalled: bool,
    /// The last failure, in the vendor's words.
    pub last_error: Option<String>,
    /// Nothing will be delivered to it any more.
    pub done: bool,
}

/// Why an act was not done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotDone {
    /// It does not fit what the conversation is now.
    #[error("{message}")]
    NotNow {
        /// A stable word: `closed`, `no_transfer`, `other_transfer`, `agent_is_there`, `nothing_held`, `other_entry`.
        code: &'static str,
        /// For the operator.
        message: &'static str,
    },
    /// It could not be done at all.
    #[error(transparent)]
    Trouble(#[from] Trouble),
}

fn not_now(code: &'static str, message: &'static str) -> NotDone {
    NotDone::NotNow { code, message }
}

/// A page of a list goes on behind (opened at, id) of the last row of the page before.
pub type After<'a> = Option<(i64, &'a str)>;

impl Engine {
    /// Conversations, newest first.
    ///
    /// # Errors
    /// The store is out of reach.
    pub async fn conversations(
        &self,
        app: &AppId,
        filter: &Filter<'_>,
        after: After<'_>,
        limit: i64,
    ) -> Result<Vec<Overview>, Trouble> {
        let found = self.inner.store.conversations(app.as_str(), filter, after, limit).await?;
        found.into_iter().map(overview).collect()
    }

    /// Conversations with a live transfer, newest first.
    ///
    /// # Errors
    /// The store is out of reach.
    pub async fn live_transfers(
        &self,
        app: &AppId,
        after: After<'_>,
        limit: i64,
    ) -> Result<Vec<Overview>, Trouble> {
        let found = self.inner.store.live(app.as_str(), after, limit).await?;
        found.into_iter().map(overview).collect()
    }

    /// Participants whose last try failed, the longest failing first. `after`: (failing since, conversation, number).
    ///
    /// # Errors
    /// The store is out of reach.
    pub async fn held(
        &self,
        app: &AppId,
        after: Option<(i64, &str, i64)>,
        limit: i64,
    ) -> Result<Vec<(ConversationId, Seat)>, Trouble> {
        let found = self.inner.store.failing(app.as_str(), after, limit).await?;
        let seat = |failing: interline_store::Failing| {
            let about: About = serde_json::from_str(&failing.row.doc)
                .map_err(|error| Trouble::Broken(format!("participant: {error}")))?;
            Ok((ConversationId::new(failing.conversation), seat(&Row { about, row: failing.row })))
        };
        found.into_iter().map(seat).collect()
    }

    /// Customers, newest first. `after`: the last id of the page before.
    ///
    /// # Errors
    /// The store is out of reach.
    pub async fn customers(
        &self,
        app: &AppId,
        channel: Option<&str>,
        address: Option<&str>,
        after: Option<&str>,
        limit: i64,
    ) -> Result<Vec<CustomerFound>, Trouble> {
        Ok(self.inner.store.customers(app.as_str(), channel, address, after, limit).await?)
    }

    /// One customer.
    ///
    /// # Errors
    /// [`Trouble::Unknown`]: this app has no such customer.
    pub async fn customer_by_id(&self, app: &AppId, id: &CustomerId) -> Result<CustomerFound, Trouble> {
        // Newest first, so the first that is before everything that begins with this id is this one, if it is there.
        let behind = format!("{id}0");
        let found = self.inner.store.customers(app.as_str(), None, None, Some(&behind), 1).await?;
        found.into_iter().find(|found| found.id == id.as_str()).ok_or(Trouble::Unknown)
    }

    /// One conversation.
    ///
    /// # Errors
    /// [`Trouble::Unknown`]: this app has no such conversation.
    pub async fn conversation(&self, app: &AppId, id: &ConversationId) -> Result<Detail, Trouble> {
        let slot = self.inner.slots.get(&Key { app: app.clone(), conversation: id.clone() });
        let mut guard = slot.live.lock().await;
        self.inner.load(&slot, &mut guard).await?;
        let live = guard.as_ref().ok_or(Trouble::Unknown)?;
        let mark = |at: usize| Seq(slot.customer_marks[at].load(Ordering::Relaxed).unsigned_abs());
        Ok(Detail {
            overview: Overview {
                state: live.state.clone(),
                opened_at: live.opened_at,
                closed_at: live.closed_at,
            },
            seats: live.rows.values().map(seat).collect(),
            customer_delivered: mark(0),
            customer_read: mark(1),
        })
    }

    /// Everything that happened in a conversation after `after`, notes included: the timeline.
    ///
    /// # Errors
    /// [`Trouble::Unknown`]: this app has no such conversation.
    pub async fn timeline(
        &self,
        app: &AppId,
        id: &ConversationId,
        after: Seq,
        limit: i64,
    ) -> Result<Vec<Entry>, Trouble> {
        let store = &self.inner.store;
        let rows = store.entries_after(app.as_str(), id.as_str(), to_i64(after.0), limit).await?;
        if rows.is_empty() && !store.conversation_exists(app.as_str(), id.as_str()).await? {
            return Err(Trouble::Unknown);
        }
        rows.iter().map(|row| read_entry(&row.doc)).collect()
    }

    /// Does something to a conversation, in the name of `by`. With `transfer`, only if that is the live one. The same
    /// `key` again changes nothing.
    ///
    /// # Errors
    /// Nothing was done then.
    pub async fn operate(
        &self,
        app: &AppId,
        id: &ConversationId,
        by: &str,
        act: OperatorAct,
        transfer: Option<TransferNo>,
        key: Option<String>,
    ) -> Result<(), NotDone> {
        let (inner, by) = (self.inner.clone(), by.to_owned());
        let slot_key = Key { app: app.clone(), conversation: id.clone() };
        let done =
            self.inner.surely(async move { inner.operate(&slot_key, by, act, transfer, key).await }).await;
        done.unwrap_or_else(|| Err(Trouble::Broken("a panic".into()).into()))
    }

    /// Tries the entry that a failing participant is stuck at again, now.
    ///
    /// # Errors
    /// Nothing was done then.
    pub async fn retry_participant(
        &self,
        app: &AppId,
        id: &ConversationId,
        no: ParticipantNo,
    ) -> Result<(), NotDone> {
        let inner = &self.inner;
        let runtime = inner.apps.get(app).ok_or(Trouble::Unknown)?;
        let slot = inner.slots.get(&Key { app: app.clone(), conversation: id.clone() });
        let mut guard = slot.live.lock().await;
        inner.load(&slot, &mut guard).await?;
        let live = guard.as_ref().ok_or(Trouble::Unknown)?;
        held_row(live, no)?;
        let now = inner.now().0;
        let rows = move |rows: &mut BTreeMap<ParticipantNo, Row>| {
            if let Some(row) = rows.get_mut(&no) {
                // The attempts are counted on: a result is told once for each (`settle.rs`).
                row.row.failing_since = None;
                row.row.due_at = Some(now);
                row.about.stalled = false;
                row.about.waiting = None;
            }
        };
        let change =
            Change { rows: &rows, touched: Some(no), ..Change::inputs("operator", Vec::new(), None) };
        inner.change(&runtime, &slot, &mut guard, change).await?;
        drop(guard);
        inner.dispatch(&slot.key, no);
        Ok(())
    }

    /// Erases a customer: everything that was ever written about them. Whoever is logged in as them is shown out.
    ///
    /// # Errors
    /// [`Trouble::Unknown`]: this app has no such customer.
    pub async fn erase_customer(&self, app: &AppId, customer: &CustomerId) -> Result<Erased, Trouble> {
        let inner = &self.inner;
        if inner.store.customer_by_id(app.as_str(), customer.as_str()).await?.is_none() {
            return Err(Trouble::Unknown);
        }
        let theirs = inner.store.conversations_of(app.as_str(), customer.as_str(), i64::MAX).await?;
        let erased = inner.store.erase_customer(app.as_str(), customer.as_str()).await?;
        for conversation in theirs {
            let key = Key { app: app.clone(), conversation: ConversationId::new(conversation) };
            inner.slots.forget(&key).await;
        }
        inner.customers.forget(app, customer).await;
        // What cannot be deleted now is, with the next sweep.
        inner.files.spool(customer).forget().await;
        inner.sweep_files().await;
        Ok(erased)
    }

    /// "Test connection" of an agent system. None: this app has no such one.
    pub async fn probe(&self, app: &AppId, integration: &str) -> Option<Result<(), String>> {
        let runtime = self.inner.apps.get(app)?;
        let agent = runtime.agents.get(&integration.into())?.clone();
        let probe = self.inner.clock.within(PROBE, crate::dispatch::call::caught(agent.probe())).await;
        Some(match probe {
            Some(Some(result)) => result,
            Some(None) => Err("the connector panicked; please report this".into()),
            None => Err("no answer within 20 seconds".into()),
        })
    }
}

/// A connection test takes so long at most.
const PROBE: std::time::Duration = std::time::Duration::from_secs(20);

impl Inner {
    /// Only the entry that a participant is stuck at can be skipped: what comes after it may yet arrive.
    async fn is_next(&self, slot: &Slot, live: &Live, act: &OperatorAct) -> Result<(), NotDone> {
        let OperatorAct::Skips { participant, seq } = act else { return Ok(()) };
        let next = self.next_entry(slot, Some(live), held_row(live, *participant)?).await?;
        if next.is_some_and(|(entry, _)| entry.seq == *seq) {
            return Ok(());
        }
        Err(not_now("other_entry", "this entry is not the one that is held; look again"))
    }

    async fn operate(
        self: &Arc<Self>,
        key: &Key,
        by: String,
        act: OperatorAct,
        transfer: Option<TransferNo>,
        once: Option<String>,
    ) -> Result<(), NotDone> {
        let runtime = self.apps.get(&key.app).ok_or(Trouble::Unknown)?;
        let slot = self.slots.get(key);
        let mut guard = slot.live.lock().await;
        self.load(&slot, &mut guard).await?;
        let live = guard.as_ref().ok_or(Trouble::Unknown)?;
        let inbox = once.map(|external_id| InboxKey {
            integration: "operator".into(),
            scope: key.conversation.as_str().to_owned(),
            external_id,
        });
        let touched = match &act {
            OperatorAct::Skips { participant, .. } | OperatorAct::Drops { participant } => Some(*participant),
            OperatorAct::Ends(_) | OperatorAct::Retries | OperatorAct::Says { .. } => None,
        };
        let fitting = match fits(&runtime.app, live, &act, transfer) {
            Ok(()) => self.is_next(&slot, live, &act).await,
            not_now => not_now,
        };
        if let Err(not_done) = fitting {
            // What was done by this very key need not fit any more: it is what made the difference.
            let before = match &inbox {
                Some(inbox) => self.was_heard(key, inbox).await?,
                None => false,
            };
            return if before { Ok(()) } else { Err(not_done) };
        }
        let (dropped, passed) = match &act {
            OperatorAct::Drops { .. } => (true, None),
            OperatorAct::Skips { seq, .. } => (false, Some(*seq)),
            OperatorAct::Ends(_) | OperatorAct::Retries | OperatorAct::Says { .. } => (false, None),
        };
        let rows = move |rows: &mut BTreeMap<ParticipantNo, Row>| {
            let Some(row) = touched.and_then(|no| rows.get_mut(&no)) else { return };
            if dropped {
                row.about.participant.gone = true;
                row.row.done = true;
                row.row.due_at = None;
            }
            if let Some(seq) = passed {
                row.row.cursor = row.row.cursor.max(to_i64(seq.0));
                row.row.attempt_key = row.about.pinned.then(|| crate::pinned::RUNNING.to_owned());
                row.settled();
            }
        };
        let input = Input::Operator { by, act };
        let change = Change { rows: &rows, touched, ..Change::inputs("operator", vec![input], inbox) };
        self.change(&runtime, &slot, &mut guard, change).await?;
        drop(guard);
        if let Some(no) = touched {
            self.dispatch(key, no);
        }
        Ok(())
    }
}

impl Inner {
    /// Whether an input came with this key before. It reads the whole inbox of the conversation: for rare cases.
    async fn was_heard(&self, key: &Key, inbox: &InboxKey) -> Result<bool, Trouble> {
        let heard = self.store.replay(key.app.as_str(), key.conversation.as_str()).await?;
        Ok(heard.iter().any(|heard| {
            heard.integration == inbox.integration
                && heard.scope == inbox.scope
                && heard.external_id == inbox.external_id
        }))
    }
}

/// Whether an act fits what the conversation is now.
fn fits(app: &App, live: &Live, act: &OperatorAct, transfer: Option<TransferNo>) -> Result<(), NotDone> {
    let state = &live.state;
    let stage = state.transfer.as_ref().map(|transfer| transfer.stage);
    if let Some(asked) = transfer
        && state.transfer.as_ref().map(|live| live.no) != Some(asked)
    {
        return Err(not_now("other_transfer", "this transfer is over"));
    }
    let closed = || not_now("closed", "the conversation is closed");
    match act {
        OperatorAct::Ends(interline_core::conversation::input::Scope::AgentChat) if stage.is_none() => {
            Err(not_now("no_transfer", "there is no live transfer"))
        }
        OperatorAct::Ends(_) | OperatorAct::Says { .. } if state.owner == Owner::Closed => Err(closed()),
        OperatorAct::Ends(_) | OperatorAct::Says { .. } => Ok(()),
        OperatorAct::Retries => match stage {
            None => Err(not_now("no_transfer", "there is no live transfer")),
            Some(Stage::Talking | Stage::Closing) => {
                Err(not_now("agent_is_there", "an agent is there already; end the transfer instead"))
            }
            Some(Stage::Opening | Stage::Waiting) if !rung_takes_new(app, state) => {
                Err(not_now("deleted", "this agent system was deleted: nothing new goes there"))
            }
            Some(Stage::Requested | Stage::Opening | Stage::Waiting) => Ok(()),
        },
        OperatorAct::Skips { participant, seq } => {
            let row = held_row(live, *participant)?;
            let waits = row.row.cursor < to_i64(seq.0) && to_i64(seq.0) <= row.row.head;
            if waits {
                Ok(())
            } else {
                Err(not_now("other_entry", "the participant is stuck at another entry"))
            }
        }
        OperatorAct::Drops { participant } => held_row(live, *participant).map(|_| ()),
    }
}

fn rung_takes_new(app: &App, state: &State) -> bool {
    let rung = state.transfer.as_ref().and_then(|transfer| transfer.rung.as_ref());
    rung.is_some_and(|rung| app.takes_new(&rung.target.integration))
}

/// The row of a participant that something waits for.
fn held_row(live: &Live, no: ParticipantNo) -> Result<&Row, NotDone> {
    let row = live.rows.get(&no).ok_or(Trouble::Unknown)?;
    if row.row.done || row.row.head <= row.row.cursor {
        return Err(not_now("nothing_held", "nothing is held for this participant any more"));
    }
    Ok(row)
}

fn overview(found: Summary) -> Result<Overview, Trouble> {
    let state = serde_json::from_str(&found.doc)
        .map_err(|error| Trouble::Broken(format!("state document: {error}")))?;
    Ok(Overview { state, opened_at: found.opened_at, closed_at: found.closed_at })
}

fn seat(row: &Row) -> Seat {
    let seq = |number: i64| Seq(number.unsigned_abs());
    Seat {
        participant: row.about.participant.clone(),
        cursor: seq(row.row.cursor),
        head: seq(row.row.head),
        delivered: seq(row.row.delivered),
        read: seq(row.row.read),
        attempts: row.row.attempts,
        failing_since: row.row.failing_since,
        due_at: row.row.due_at,
        stalled: row.about.stalled,
        last_error: row.row.last_error.clone(),
        done: row.row.done,
    }
}
