//! Work that flows give out: requests to APIs, questions about agents, turns of external bots. The built-in participants.
//!
//! ```text
//!   step: a Work entry ─► dispatch ─► perform ─► one commit: cursor, and the input `Worked` ─► step goes on
//! ```
//!
//! Whatever goes wrong is an outcome that the flow has an exit for: nothing here is tried again by itself, but for notices, for
//! which no flow waits.

mod notice;
mod request;

use std::sync::Arc;
use std::time::Duration;

use interline_connector::bot::Asked;
use interline_connector::{Cause, Failure};
use interline_core::flow::work::{Availability, Outcome, Task, Turn, Verb, Work};
use interline_core::{Body, Entry, Input};

use crate::apps::Runtime;
use crate::dispatch::call::caught;
use crate::dispatch::{Rows, brief};
use crate::engine::Inner;
use crate::ingress::{Change, InboxKey, Trouble, to_i64};
use crate::live::{Row, Slot};

/// So much of what was said before is told to a bot.
const BEFORE: usize = 100;
/// What came of it is written again after so long.
const PAUSE: Duration = Duration::from_secs(1);

/// Whether a piece of work must not be done twice: after a crash nobody knows whether it was.
pub(crate) fn once(entry: &Entry) -> bool {
    match &entry.body {
        Body::Work { work, .. } => match &work.task {
            Task::Request(request) => !matches!(request.method, Verb::Get | Verb::Put | Verb::Delete),
            Task::Availability(_) => false,
            Task::Turn(_) => false,
            // Who is told twice knows it by the key.
            Task::Notice(_) => false,
        },
        _ => false,
    }
}

impl Inner {
    /// Does a piece of work, and writes what came of it. `unknown`: it was begun before a crash, and must not be repeated.
    pub(crate) async fn perform(
        self: &Arc<Self>,
        runtime: &Arc<Runtime>,
        slot: &Arc<Slot>,
        row: &Row,
        (entry, work): (&Arc<Entry>, &Work),
        unknown: bool,
    ) -> Result<(), Trouble> {
        let failed = |code: &str| Outcome::Failed { code: code.to_owned() };
        let outcome = if unknown {
            failed("the server restarted during the attempt")
        } else {
            let _place = self.deliveries.acquire().await;
            let deadline = Duration::from_millis(work.deadline_ms);
            match self.clock.within(deadline, caught(self.attempt(runtime, slot, row, (entry, work)))).await {
                Some(Some(Ok(Ok(outcome)))) => outcome,
                Some(Some(Ok(Err(again)))) => {
                    return self.settle_surely(runtime, slot, row, entry, None, Err(again)).await;
                }
                Some(Some(Err(trouble))) => return Err(trouble),
                Some(None) => failed("it panicked"),
                None => failed("timeout"),
            }
        };
        loop {
            match self.came_of(slot, row, entry, work.no, outcome.clone()).await {
                Err(Trouble::Store(error)) if !self.stop.is_cancelled() => {
                    tracing::warn!(conversation = %slot.key.conversation, error, "what came of work waits for the store");
                    self.clock.sleep(PAUSE).await;
                }
                done => return done,
            }
        }
    }

    /// The inner error: it is to be tried again.
    async fn attempt(
        &self,
        runtime: &Runtime,
        slot: &Slot,
        row: &Row,
        (entry, work): (&Entry, &Work),
    ) -> Result<Result<Outcome, Failure>, Trouble> {
        let key = format!("{}/{}", slot.key.conversation, work.no);
        let deadline = Duration::from_millis(work.deadline_ms);
        Ok(Ok(match &work.task {
            Task::Notice(notice) => {
                let told = self.told(runtime, slot, row, notice, key).await?;
                let too_late = self.now() >= entry.at.plus(work.deadline_ms);
                return Ok(notice::decide(told, too_late));
            }
            Task::Request(request) => match &runtime.http {
                Some(http) => request::send(http, request, &runtime.app.env, &key, deadline).await,
                None => Outcome::Failed { code: "this process makes no requests".to_owned() },
            },
            Task::Availability(asked) => available(runtime, asked).await,
            Task::Turn(turn) => self.turn_of(runtime, slot, entry, turn, key, deadline).await?,
        }))
    }

    async fn turn_of(
        &self,
        runtime: &Runtime,
        slot: &Slot,
        entry: &Entry,
        turn: &Turn,
        key: String,
        deadline: Duration,
    ) -> Result<Outcome, Trouble> {
        let Some(bot) = runtime.bots.get(&turn.bot).cloned() else {
            return Ok(Outcome::Failed { code: "the bot no longer exists".to_owned() });
        };
        let conversation = {
            let mut guard = slot.live.lock().await;
            self.load(slot, &mut guard).await?;
            guard.as_ref().map(brief).ok_or(Trouble::Unknown)?
        };
        let wanted =
            |entry: &&Arc<Entry>| entry.customer_sees() || matches!(entry.body, Body::ReturnPackage(_));
        let before = self.entries_before(slot, entry.seq, BEFORE).await?;
        let before = before.iter().filter(wanted).map(|entry| Entry::clone(entry)).collect();
        let asked = Asked { conversation, turn: turn.clone(), before, key, deadline };
        Ok(match bot.turn(&asked).await {
            Ok(reply) => Outcome::Turned(reply),
            Err(failure) => failed(&failure),
        })
    }

    async fn came_of(
        self: &Arc<Self>,
        slot: &Arc<Slot>,
        row: &Row,
        entry: &Entry,
        no: u64,
        outcome: Outcome,
    ) -> Result<(), Trouble> {
        let (participant, seq) = (row.about.participant.no, entry.seq);
        let rows = move |rows: &mut Rows| {
            if let Some(row) = rows.get_mut(&participant) {
                row.row.cursor = row.row.cursor.max(to_i64(seq.0));
                row.row.delivered = row.row.delivered.max(to_i64(seq.0));
                row.row.attempt_key = None;
                row.settled();
            }
        };
        let by = row.about.participant.integration.as_str();
        let key = InboxKey {
            integration: by.to_owned(),
            scope: "work".to_owned(),
            external_id: format!("{}/{no}", slot.key.conversation),
        };
        let inputs = vec![Input::Worked { no, outcome }];
        let change =
            Change { rows: &rows, touched: Some(participant), ..Change::inputs(by, inputs, Some(key)) };
        // As it is in force now: it may have changed meanwhile.
        let Some(runtime) = self.apps.get(&slot.key.app) else { return Ok(()) };
        let mut guard = slot.live.lock().await;
        self.change(&runtime, slot, &mut guard, change).await.map(|_| ())
    }
}

async fn available(runtime: &Runtime, asked: &Availability) -> Outcome {
    match runtime.agents.get(&asked.integration) {
        // It was deleted since.
        None => Outcome::Available(Some(false)),
        Some(agent) => match agent.availability(asked).await {
            Ok(there) => Outcome::Available(there),
            Err(failure) => failed(&failure),
        },
    }
}

fn failed(failure: &Failure) -> Outcome {
    let Cause { code, .. } = failure.cause();
    Outcome::Failed { code: code.clone() }
}
