//! Duplex sessions: sockets and calls that one task of this node owns for as long as they last.
//!
//! The task runs the connector's `run` with a [`Link`]. A lost session is resumed from its document where the manifest
//! says so, also after a restart of ours; else the agent is lost and the transfer goes on with the next rung.
//!
//! A thousand sessions mostly wait. What a session does now and then is boxed, here and in the connectors, so that its state is
//! there while it is done and not as long as the session lasts.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use interline_connector::channel::Mark;
use interline_connector::{
    AgentSystem, Aside, Cause, Done, Failure, FileRefused, Incoming, Item, Link, Next, RunEnd, UpTo,
};
use interline_core::conversation::input::{AgentEvent, DeliveryResult};
use interline_core::transfer::Reason;
use interline_core::{Entry, File, Input, ParticipantNo, Seq, Time};
use serde_json::Value;
use tokio::sync::{Notify, watch};
use tracing::Instrument as _;

use crate::apps::Runtime;
use crate::dispatch::call::caught;
use crate::dispatch::once;
use crate::engine::Inner;
use crate::files::Sender;
use crate::ingress::{Change, InboxKey, Trouble};
use crate::live::{Key, Row, Slot};
use crate::observe;

/// A session that cannot be resumed for so long is given up, milliseconds.
const GIVE_UP_MS: u64 = 60_000;
/// The pause before a lost session is taken up again; twice as long each time, up to the last.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LAST_PAUSE: Duration = Duration::from_secs(10);
/// A session looks by itself for something new this often: a hint may be lost, the store may have been out of reach.
const LOOK: Duration = Duration::from_secs(5);
/// What stands in `attempt_key` while a session runs; while it opens or closes something that must not be repeated, the
/// entry stands behind it.
pub(crate) const RUNNING: &str = "running";

/// So much that is not in the log waits for a session; what is older is forgotten.
const ASIDES: usize = 16;

type Running = HashMap<(Key, ParticipantNo), Arc<Wake>>;

/// How a session learns that there is something to tell.
#[derive(Default)]
struct Wake {
    notify: Notify,
    asides: Mutex<VecDeque<Aside>>,
}

impl Wake {
    fn asides(&self) -> std::sync::MutexGuard<'_, VecDeque<Aside>> {
        self.asides.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The duplex sessions that run on this node.
#[derive(Default)]
pub(crate) struct Pinned(Mutex<Running>);

impl Pinned {
    /// Tells a session something that is not in the log. A newer typing takes the place of an older one.
    pub fn tell_aside(&self, key: &Key, no: ParticipantNo, aside: Aside) {
        let Some(wake) = self.map().get(&(key.clone(), no)).cloned() else { return };
        let mut asides = wake.asides();
        if matches!(aside, Aside::Typing(_)) {
            asides.retain(|known| !matches!(known, Aside::Typing(_)));
        }
        asides.push_back(aside);
        while asides.len() > ASIDES {
            asides.pop_front();
        }
        drop(asides);
        wake.notify.notify_one();
    }

    fn map(&self) -> std::sync::MutexGuard<'_, Running> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// Makes sure the session runs, and tells it that there may be something new.
    pub(crate) async fn keep_running(
        self: &Arc<Self>,
        slot: &Arc<Slot>,
        no: ParticipantNo,
        agent: Arc<dyn AgentSystem>,
    ) -> Result<(), Trouble> {
        let wake = Arc::new(Wake::default());
        {
            let mut running = self.pinned.map();
            if let Some(known) = running.get(&(slot.key.clone(), no)) {
                known.notify.notify_one();
                return Ok(());
            }
            running.insert((slot.key.clone(), no), wake.clone());
        }
        let (inner, slot) = (self.clone(), slot.clone());
        let (begun, fruitful) = (AtomicBool::new(false), AtomicBool::new(false));
        let mut session = Session { inner, slot, no, agent, wake, begun, fruitful };
        match session.begin().await {
            Ok(true) => {
                let stop = self.stop.clone();
                self.tasks.spawn(async move {
                    // A stop drops the session where it stands; the next start takes it up.
                    let run = async {
                        while let Some(agent) = session.run().await {
                            session.agent = agent;
                        }
                    };
                    stop.run_until_cancelled(run).await;
                    session.forget();
                });
                Ok(())
            }
            Ok(false) => {
                session.forget();
                Ok(())
            }
            Err(error) => {
                session.forget();
                Err(error)
            }
        }
    }
}

struct Session {
    inner: Arc<Inner>,
    slot: Arc<Slot>,
    no: ParticipantNo,
    agent: Arc<dyn AgentSystem>,
    wake: Arc<Wake>,
    /// It was noted that the session runs.
    begun: AtomicBool,
    /// The current run delivered or heard something.
    fruitful: AtomicBool,
}

impl Session {
    /// The app as it is in force now: a session may last longer than a version.
    fn runtime(&self) -> Result<Arc<Runtime>, Trouble> {
        self.inner.apps.get(&self.slot.key.app).ok_or(Trouble::Unknown)
    }

    fn forget(&self) {
        self.inner.pinned.map().remove(&(self.slot.key.clone(), self.no));
    }

    /// Whether there is something to run, and it may be. That it runs is noted with the first entry that it gets.
    async fn begin(&self) -> Result<bool, Trouble> {
        let Some(row) = self.row().await?.filter(|row| !row.row.done) else { return Ok(false) };
        let ran_before = row.row.attempt_key.as_deref().is_some_and(|key| key.starts_with(RUNNING));
        if ran_before && !self.agent.manifest().resumes {
            self.lost("the server restarted").await?;
            return Ok(false);
        }
        Ok(true)
    }

    /// Runs it to its end; or until its integration was changed: then it goes on under the new settings.
    async fn run(&self) -> Option<Arc<dyn AgentSystem>> {
        let mut changes = self.inner.apps.changes();
        let mut pause = FIRST_PAUSE;
        // Since when nothing came of it.
        let mut failing: Option<Time> = None;
        loop {
            let end = tokio::select! {
                end = self.run_once() => end,
                agent = self.replaced(&mut changes) => return Some(agent),
            };
            match self.row().await {
                Ok(Some(row)) if !row.row.done && row.about.participant.to.is_none() => {}
                // Its part is over; nothing more will be delivered.
                Ok(_) => {
                    Box::pin(self.over()).await;
                    return None;
                }
                Err(_) => {}
            }
            let why = match end {
                RunEnd::Over => "the session ended".to_owned(),
                RunEnd::Lost(why) => {
                    if self.fruitful.swap(false, Ordering::Relaxed) {
                        (pause, failing) = (FIRST_PAUSE, None);
                    }
                    let now = self.inner.now();
                    let since = *failing.get_or_insert(now);
                    if self.agent.manifest().resumes && now < since.plus(GIVE_UP_MS) {
                        tracing::info!(participant = %self.no, why, "a duplex session is taken up again");
                        self.inner.clock.sleep(pause).await;
                        pause = (pause * 2).min(LAST_PAUSE);
                        continue;
                    }
                    why
                }
            };
            Box::pin(self.insist(|| self.lost(&why))).await;
            return None;
        }
    }

    /// Resolves when other settings are in force for the integration.
    async fn replaced(&self, changes: &mut watch::Receiver<u64>) -> Arc<dyn AgentSystem> {
        loop {
            changes.mark_unchanged();
            let agent = self.agent_in_force().await;
            if let Some(agent) = agent.filter(|agent| !Arc::ptr_eq(agent, &self.agent)) {
                return agent;
            }
            if changes.changed().await.is_err() {
                return std::future::pending().await;
            }
        }
    }

    async fn agent_in_force(&self) -> Option<Arc<dyn AgentSystem>> {
        let runtime = self.inner.apps.get(&self.slot.key.app)?;
        let mut guard = self.slot.live.lock().await;
        self.inner.load(&self.slot, &mut guard).await.ok()?;
        let live = guard.as_ref()?;
        let row = live.rows.get(&self.no)?;
        self.inner.agent_of(&runtime, &live.state, &row.about.participant).ok()
    }

    /// The connector has the session, until it is lost or over.
    async fn run_once(&self) -> RunEnd {
        let document = self.row().await.ok().flatten().and_then(|row| row.row.session);
        let mut link = Line { session: self, document, current: None, noted: None };
        caught(self.agent.run(&mut link))
            .await
            .unwrap_or_else(|| RunEnd::Lost("the connector panicked".into()))
    }

    async fn row(&self) -> Result<Option<Row>, Trouble> {
        let mut guard = self.slot.live.lock().await;
        Box::pin(self.inner.load(&self.slot, &mut guard)).await?;
        Ok(guard.as_ref().and_then(|live| live.rows.get(&self.no)).cloned())
    }

    async fn change_row(&self, change: impl Fn(&mut Row) + Send + Sync) -> Result<(), Trouble> {
        self.step(Vec::new(), None, change).await
    }

    async fn step(
        &self,
        inputs: Vec<Input>,
        key: Option<InboxKey>,
        change: impl Fn(&mut Row) + Send + Sync,
    ) -> Result<(), Trouble> {
        let no = self.no;
        let rows = move |rows: &mut BTreeMap<ParticipantNo, Row>| {
            if let Some(row) = rows.get_mut(&no) {
                change(row);
            }
        };
        let mut guard = self.slot.live.lock().await;
        self.inner.load(&self.slot, &mut guard).await?;
        let by = guard.as_ref().and_then(|live| live.rows.get(&no)).map(Row::integration).unwrap_or_default();
        let change = Change { rows: &rows, touched: Some(no), ..Change::inputs(&by, inputs, key) };
        self.inner.change(&*self.runtime()?, &self.slot, &mut guard, change).await.map(|_| ())
    }

    /// What the vendor told.
    async fn hear(
        &self,
        inputs: Vec<Input>,
        key: Option<InboxKey>,
        says_as: Option<(ParticipantNo, String)>,
    ) -> Result<(), Trouble> {
        let runtime = self.runtime()?;
        let mut guard = self.slot.live.lock().await;
        self.inner.load(&self.slot, &mut guard).await?;
        let row = guard.as_ref().and_then(|live| live.rows.get(&self.no));
        let by = row.map(Row::integration).unwrap_or_default();
        let change = Change { says_as, ..Change::inputs(&by, inputs, key) };
        self.inner.change(&runtime, &self.slot, &mut guard, change).await.map(|_| ())
    }

    async fn over(&self) {
        // What was settled last may have said so already.
        if matches!(self.row().await, Ok(Some(row)) if row.row.done && row.row.due_at.is_none()) {
            return;
        }
        let done = |row: &mut Row| {
            row.row.done = true;
            row.row.due_at = None;
        };
        self.insist(|| self.change_row(done)).await;
    }

    async fn lost(&self, why: &str) -> Result<(), Trouble> {
        let cause = Cause::new(Reason::AgentLost, why);
        let result = DeliveryResult::Gone(cause.typed());
        let input = Input::Delivery { participant: self.no, seq: Seq(0), result };
        self.step(vec![input], None, move |row| {
            row.row.done = true;
            row.row.due_at = None;
            row.row.last_error = Some(cause.code.clone());
        })
        .await
    }

    /// Durable, or not at all because the server stops: a result that cannot be written now is written later.
    async fn insist<F: Future<Output = Result<(), Trouble>>>(&self, write: impl Fn() -> F) {
        loop {
            match write().await {
                // Erased: there is nothing left to write to.
                Ok(()) | Err(Trouble::Unknown) => return,
                Err(error) => tracing::warn!(%error, "a duplex session waits for the store"),
            }
            self.inner.clock.sleep(Duration::from_secs(1)).await;
        }
    }
}

/// What a session finds to do.
enum Found {
    Item(Row, Arc<Entry>, Box<Item>),
    /// It was begun before, and nobody knows what came of it.
    Unknown(Row, Arc<Entry>),
    Over,
    /// Nothing before this much time has passed, or something new comes.
    Wait(Duration),
}

struct Line<'a> {
    session: &'a Session,
    /// As a text: it is read once, when the connector begins.
    document: Option<String>,
    /// What was handed out and is not settled.
    current: Option<(Row, Arc<Entry>, observe::Delivery)>,
    /// The attempt that this run noted, so that it is not taken for one of an earlier run.
    noted: Option<Seq>,
}

impl Line<'_> {
    async fn settle(&self, row: &Row, entry: &Arc<Entry>, result: Result<Done, Failure>) {
        let Session { inner, slot, agent, .. } = self.session;
        let settle = || async {
            let runtime = self.session.runtime()?;
            inner.settle(&runtime, slot, row, entry, Some(agent), result.clone()).await
        };
        self.session.insist(settle).await;
    }

    /// What is to be delivered now. What must be written before is written.
    async fn look(&mut self) -> Result<Found, Trouble> {
        let Session { inner, slot, no, agent, .. } = self.session;
        let runtime = &*self.session.runtime()?;
        let mut guard = slot.live.lock().await;
        inner.load(slot, &mut guard).await?;
        let Some(row) = guard.as_ref().and_then(|live| live.rows.get(no)).cloned() else {
            return Ok(Found::Over);
        };
        if row.row.done {
            return Ok(Found::Over);
        }
        let entry = match inner.next_entry(slot, guard.as_ref(), &row).await? {
            Some((entry, true)) => entry,
            None if row.about.participant.to.is_some() => return Ok(Found::Over),
            Some(_) | None => return Ok(Found::Wait(LOOK)),
        };
        if let Some(until) = row.about.waiting.as_ref().map(|waiting| waiting.until) {
            let left = until.saturating_sub(inner.now().0);
            if left > 0 {
                inner.wait(runtime, slot, &mut guard, &row, entry.seq).await?;
                return Ok(Found::Wait(Duration::from_millis(left.unsigned_abs())));
            }
        }
        let takes = agent.manifest().takes.files;
        let Some(live) = guard.as_ref() else { return Ok(Found::Over) };
        let item = inner.item(slot, &row, entry.clone(), live, takes).await?;
        let once = once(agent.as_ref(), &entry) && self.noted != Some(entry.seq);
        let begun = self.session.begun.load(Ordering::Relaxed);
        if once || !begun {
            let key = once.then(|| format!("{RUNNING} {no}#{}", entry.seq));
            if key.is_some() && row.row.attempt_key == key {
                return Ok(Found::Unknown(row, entry));
            }
            if once {
                // Before the write: dropped in the middle of it, this call was not the one that attempted.
                self.noted = Some(entry.seq);
            }
            let (no, now) = (*no, inner.now().0);
            let rows = move |rows: &mut BTreeMap<ParticipantNo, Row>| {
                let Some(row) = rows.get_mut(&no) else { return };
                if !begun {
                    row.about.pinned = true;
                    row.row.attempt_key.get_or_insert_with(|| RUNNING.to_owned());
                    row.row.due_at = Some(now);
                }
                if let Some(key) = &key {
                    row.row.attempt_key = Some(key.clone());
                }
            };
            let change = Change { rows: &rows, touched: Some(no), ..Change::inputs("", Vec::new(), None) };
            inner.change(runtime, slot, &mut guard, change).await?;
            self.session.begun.store(true, Ordering::Relaxed);
        }
        Ok(Found::Item(row, entry, Box::new(item)))
    }
}

#[async_trait]
impl Link for Line<'_> {
    fn session(&self) -> Option<Value> {
        serde_json::from_str(self.document.as_ref()?).ok()
    }

    async fn next(&mut self) -> Option<Next> {
        loop {
            let aside = self.session.wake.asides().pop_front();
            if let Some(aside) = aside {
                return Some(Next::Aside(aside));
            }
            let wait = match Box::pin(self.look()).await {
                Ok(Found::Item(row, entry, item)) => {
                    let Session { slot, agent, .. } = self.session;
                    let attempt = observe::Delivery::begin(&slot.key, &row, &entry, Some(agent));
                    self.current = Some((row, entry, attempt));
                    return Some(Next::Item(item));
                }
                Ok(Found::Unknown(row, entry)) => {
                    let cause = Cause::new(Reason::Unreachable, "the session was lost during the attempt");
                    self.settle(&row, &entry, Err(Failure::Uncertain(cause))).await;
                    continue;
                }
                Ok(Found::Over) | Err(Trouble::Unknown) => return None,
                Ok(Found::Wait(wait)) => wait.min(LOOK),
                Err(_) => Duration::from_secs(1),
            };
            let _ = self.session.inner.clock.within(wait, self.session.wake.notify.notified()).await;
        }
    }

    async fn done(&mut self, seq: Seq, result: Result<Done, Failure>) {
        let current = self.current.take().filter(|(_, entry, _)| entry.seq == seq);
        let Some((row, entry, attempt)) = current else {
            tracing::warn!(%seq, "a duplex connector settled an entry that it was not given");
            return;
        };
        if let Some(session) = result.as_ref().ok().and_then(|done| done.session.as_ref()) {
            self.document = Some(session.to_string());
        }
        if result.is_ok() {
            self.session.fruitful.store(true, Ordering::Relaxed);
        }
        self.noted = None;
        attempt.ended(&result);
        self.settle(&row, &entry, result).instrument(attempt.span()).await;
    }

    async fn heard(&mut self, external_id: Option<String>, event: AgentEvent) {
        let session = self.session;
        session.fruitful.store(true, Ordering::Relaxed);
        let integration = session.row().await.ok().flatten().map(|row| row.integration()).unwrap_or_default();
        let input = Input::Agent { participant: session.no, event };
        let says_as = external_id.clone().map(|external_id| (session.no, external_id));
        let key = external_id.map(|external_id| InboxKey {
            integration: integration.clone(),
            scope: format!("{}/{}", session.slot.key.conversation, session.no),
            external_id,
        });
        session.insist(|| session.hear(vec![input.clone()], key.clone(), says_as.clone())).await;
    }

    async fn heard_all(&mut self, events: Vec<AgentEvent>) {
        let session = self.session;
        session.fruitful.store(true, Ordering::Relaxed);
        let input = |event| Input::Agent { participant: session.no, event };
        let inputs: Vec<Input> = events.into_iter().map(input).collect();
        if !inputs.is_empty() {
            session.insist(|| session.hear(inputs.clone(), None, None)).await;
        }
    }

    fn typing(&mut self, on: bool) {
        let Session { inner, slot, no, .. } = self.session;
        let (inner, slot, no) = (inner.clone(), slot.clone(), *no);
        let tasks = inner.tasks.clone();
        tasks.spawn(async move { inner.agent_types(&slot, no, on).await });
    }

    async fn receipt(&mut self, mark: Mark, up_to: UpTo) {
        let Session { inner, slot, no, .. } = self.session;
        // Not worth waiting for: a newer one makes up for it.
        if let Err(error) = inner.agent_reached(slot, *no, mark, up_to).await {
            tracing::debug!(%error, "a receipt was not taken");
        }
    }

    async fn keep(&mut self, file: Incoming) -> Result<File, FileRefused> {
        let Session { inner, slot, .. } = self.session;
        let customer = match inner.customer_of(slot).await {
            Ok(customer) => customer,
            Err(_) => return Err(FileRefused::Unavailable),
        };
        let kept = inner.take_in(&Sender::agent(&slot.key.app, &customer), vec![file]).await?;
        kept.into_iter().next().ok_or(FileRefused::Unavailable)
    }

    async fn save(&mut self, session: Value) {
        let text = session.to_string();
        self.document = Some(text.clone());
        let save = move |row: &mut Row| row.row.session = Some(text.clone());
        let save = &save;
        self.session.insist(|| self.session.change_row(save)).await;
    }
}
