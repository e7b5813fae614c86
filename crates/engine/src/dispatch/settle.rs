//! What comes of a delivery is written: one commit.

use std::sync::Arc;
use std::time::Duration;

use interline_connector::channel::{Hint, Mark};
use interline_connector::manifest::Dedupe;
use interline_connector::{AgentSystem, Done, Failure};
use interline_core::conversation::input::{AgentEvent, DeliveryResult};
use interline_core::{Body, CustomerId, Entry, Input, Role, Speaker, Time};
use interline_store::RemoteId;

use super::Rows;
use super::outcome::{Cursor, STALLED_AFTER_MS, verdict};
use crate::apps::Runtime;
use crate::engine::Inner;
use crate::ingress::{Change, InboxKey, Trouble, to_i64};
use crate::live::{Row, Slot, Waiting};
use crate::pinned::RUNNING;

/// The pause before a result is written again.
const PAUSE: Duration = Duration::from_secs(1);

impl Inner {
    /// [`Inner::settle`], again and again while the store is out of reach: a result that is lost is a line that arrives
    /// twice, or a session that nobody knows of.
    pub(crate) async fn settle_surely(
        self: &Arc<Self>,
        runtime: &Runtime,
        slot: &Arc<Slot>,
        row: &Row,
        entry: &Arc<Entry>,
        agent: Option<&Arc<dyn AgentSystem>>,
        result: Result<Done, Failure>,
    ) -> Result<(), Trouble> {
        loop {
            match self.settle(runtime, slot, row, entry, agent, result.clone()).await {
                Err(Trouble::Store(error)) if !self.stop.is_cancelled() => {
                    tracing::warn!(conversation = %slot.key.conversation, error, "a result waits for the store");
                    self.clock.sleep(PAUSE).await;
                }
                settled => return settled,
            }
        }
    }

    /// One commit: cursor, session document, remote ids, and the step of what the domain must know.
    pub(crate) async fn settle(
        self: &Arc<Self>,
        runtime: &Runtime,
        slot: &Arc<Slot>,
        row: &Row,
        entry: &Arc<Entry>,
        agent: Option<&Arc<dyn AgentSystem>>,
        result: Result<Done, Failure>,
    ) -> Result<(), Trouble> {
        let no = row.about.participant.no;
        let seq = entry.seq;
        let arrived = result.is_ok();
        let settled = Settled::of(self, row, entry, agent, result);
        let Settled { inputs, remote_ids, session, cursor, failure, now } = settled;
        let told_stalled = inputs
            .iter()
            .any(|input| matches!(input, Input::Delivery { result: DeliveryResult::Stalled(_), .. }));
        let rows = move |rows: &mut Rows| {
            let Some(row) = rows.get_mut(&no) else { return };
            if let Some(session) = &session {
                row.row.session = Some(session.clone());
            }
            row.row.last_error = failure.as_ref().and_then(|failure| failure.code.clone());
            // What was settled must not look like a finished run to the next start of a duplex session.
            row.row.attempt_key = row.about.pinned.then(|| RUNNING.to_owned());
            match cursor {
                Cursor::Passes => {
                    row.row.cursor = row.row.cursor.max(to_i64(seq.0));
                    if arrived {
                        row.row.delivered = row.row.delivered.max(to_i64(seq.0));
                    }
                    row.settled();
                }
                Cursor::Stays { retry_in_ms } => row.stays(now, retry_in_ms, told_stalled, failure.clone()),
                Cursor::Closes => {
                    row.about.participant.gone = true;
                    row.row.done = true;
                    row.row.due_at = None;
                }
            }
        };
        let by = row.about.participant.integration.as_str();
        // Written again after a commit of which nobody knows whether it was, it counts once.
        let key = InboxKey {
            integration: by.to_owned(),
            scope: "delivery".to_owned(),
            external_id: format!("{}/{no}#{seq}/{}", slot.key.conversation, row.row.attempts),
        };
        let change =
            Change { rows: &rows, touched: Some(no), remote_ids, ..Change::inputs(by, inputs, Some(key)) };
        let mut guard = slot.live.lock().await;
        self.change(runtime, slot, &mut guard, change).await?;
        let customer = guard.as_ref().map(|live| live.state.customer.id.clone());
        drop(guard);
        let Some(customer) = customer.filter(|_| arrived) else { return Ok(()) };
        match row.about.participant.role {
            Role::Agent => self.tell_reached(slot, &customer, entry),
            // What was brought to the customer is delivered, and agents learn it.
            Role::Customer => self.mark(slot.key.clone(), &customer, entry.seq, Mark::Delivered),
            Role::Interceptor | Role::Bot | Role::Nobody => {}
        }
        Ok(())
    }

    /// The customer learns that a line of theirs is with the agent.
    fn tell_reached(&self, slot: &Slot, customer: &CustomerId, entry: &Entry) {
        if entry.by != Speaker::Customer {
            return;
        }
        let hint = Hint::Reached {
            conversation: slot.key.conversation.clone(),
            seq: entry.seq,
            mark: Mark::Delivered,
            client_ids: entry.text().and_then(|text| text.client_id.clone()).into_iter().collect(),
        };
        self.customers.tell(&slot.key.app, customer, hint);
    }
}

/// What a delivery comes to.
struct Settled {
    inputs: Vec<Input>,
    remote_ids: Vec<RemoteId>,
    session: Option<String>,
    cursor: Cursor,
    failure: Option<interline_core::transfer::Failure>,
    now: Time,
}

impl Settled {
    fn of(
        inner: &Inner,
        row: &Row,
        entry: &Entry,
        agent: Option<&Arc<dyn AgentSystem>>,
        result: Result<Done, Failure>,
    ) -> Self {
        let (participant, seq, now) = (row.about.participant.no, entry.seq, inner.now());
        match result {
            Ok(done) => {
                // Where an answer of success means little, the first thing that the vendor tells is the sign.
                let accepts = agent.is_some_and(|agent| agent.manifest().signals.accepts);
                let opened = (accepts && matches!(entry.body, Body::Open)).then_some(Input::Delivery {
                    participant,
                    seq,
                    result: DeliveryResult::Accepted,
                });
                let told =
                    done.events.into_iter().map(|event: AgentEvent| Input::Agent { participant, event });
                let part = |(part, remote_id): (usize, String)| RemoteId {
                    participant: i64::from(participant.0),
                    remote_id,
                    seq: to_i64(seq.0),
                    part: i64::try_from(part).unwrap_or(0),
                };
                Self {
                    inputs: opened.into_iter().chain(told).collect(),
                    remote_ids: done.remote_ids.into_iter().enumerate().map(part).collect(),
                    session: done.session.map(|session| session.to_string()),
                    cursor: Cursor::Passes,
                    failure: None,
                    now,
                }
            }
            Err(failure) => {
                let dedupe = agent.map_or(Dedupe::None, |agent| agent.manifest().dedupe);
                let failing_for = row.row.failing_since.map_or(0, |since| now.0 - since);
                let verdict = verdict(
                    &failure,
                    dedupe,
                    row.row.attempts,
                    failing_for,
                    row.about.stalled,
                    inner.random(),
                );
                let told = verdict.tell.map(|result| Input::Delivery { participant, seq, result });
                Self {
                    inputs: told.into_iter().collect(),
                    remote_ids: Vec::new(),
                    session: None,
                    cursor: verdict.cursor,
                    failure: Some(failure.cause().typed()),
                    now,
                }
            }
        }
    }
}

impl Row {
    /// The entry behind the cursor is to be tried again.
    fn stays(
        &mut self,
        now: Time,
        retry_in_ms: u64,
        told: bool,
        failure: Option<interline_core::transfer::Failure>,
    ) {
        self.row.attempts += 1;
        let since = *self.row.failing_since.get_or_insert(now.0);
        self.about.stalled |= told;
        let until = now.plus(retry_in_ms).0;
        // Looked at earlier when it would be reported as stalled before.
        let stalls_at = since.saturating_add(STALLED_AFTER_MS);
        self.row.due_at = Some(if self.about.stalled { until } else { until.min(stalls_at) });
        self.about.waiting = failure.map(|failure| Waiting { until, failure });
    }

    /// The entry behind the cursor is done with.
    pub(crate) fn settled(&mut self) {
        self.row.attempts = 0;
        self.row.failing_since = None;
        self.about.stalled = false;
        self.about.waiting = None;
        if self.row.head <= self.row.cursor && !self.about.pinned {
            self.row.due_at = None;
        }
    }
}
