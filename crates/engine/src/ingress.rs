//! An input is stepped and committed in one unit; then it is told who has to look.

use std::sync::Arc;
use std::time::Instant;

use interline_core::conversation::facts::{Facts, Tag, TaskRun};
use interline_core::flow::NeedScript;
use interline_core::flow::script::Answer;
use interline_core::{App, Entry, Input, Owner, ParticipantNo, State, Step, Time, TransferNo, try_step};
use interline_store::{Committed, RemoteId};
use serde::Serialize;
use tokio::sync::MutexGuard;
use tracing::Instrument as _;

use crate::apps::Runtime;
use crate::engine::Inner;
use crate::hints;
use crate::host::phase_of;
use crate::live::{About, Live, Row, Slot, Unsettled};
use crate::observe::{self, trace};
use crate::unit::new_row;

/// Why something could not be done. Nothing was accepted then.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    /// There is no such conversation in this app.
    #[error("there is no such conversation")]
    Unknown,
    /// The store is out of reach; the same again later will do.
    #[error("the store is out of reach: {0}")]
    Store(String),
    /// A file that was to be named is no longer there, or is another conversation's.
    #[error("a file is no longer there")]
    FileGone,
    /// What the store holds cannot be read.
    #[error("the conversation cannot be read: {0}")]
    Broken(String),
}

impl From<interline_store::Error> for Trouble {
    fn from(error: interline_store::Error) -> Self {
        match error {
            interline_store::Error::Gone => Self::Unknown,
            interline_store::Error::FileGone => Self::FileGone,
            error if error.is_retryable() => Self::Store(error.to_string()),
            error => Self::Broken(error.to_string()),
        }
    }
}

/// What is to be changed.
pub(crate) struct Change<'a> {
    /// What happened. Empty: only rows change.
    pub inputs: Vec<Input>,
    /// The key under which it happens once; none: a fresh one.
    pub key: Option<InboxKey>,
    /// Who heard it, for the inbox.
    pub by: &'a str,
    /// What else changes in the participants' rows, before the inputs are stepped. May be called again after a conflict.
    pub rows: &'a (dyn Fn(&mut std::collections::BTreeMap<ParticipantNo, Row>) + Send + Sync),
    /// The participant whose row `rows` changes.
    pub touched: Option<ParticipantNo>,
    /// What the outside calls entries.
    pub remote_ids: Vec<RemoteId>,
    /// What this participant's outside calls the first line of the agent that comes of the inputs.
    pub says_as: Option<(ParticipantNo, String)>,
}

/// Inbound exactly-once: (integration, scope, external id) is unique.
#[derive(Debug, Clone)]
pub(crate) struct InboxKey {
    pub integration: String,
    pub scope: String,
    pub external_id: String,
}

/// What became of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Changed {
    /// It is durable.
    Done,
    /// It was there already.
    Again,
}

/// So often a change is computed again when somebody else was faster.
const TRIES: usize = 8;

impl Change<'_> {
    pub fn inputs(by: &str, inputs: Vec<Input>, key: Option<InboxKey>) -> Change<'_> {
        Change { inputs, key, by, rows: &|_| {}, touched: None, remote_ids: Vec::new(), says_as: None }
    }
}

impl Inner {
    /// Makes sure the conversation is loaded.
    pub(crate) async fn load(&self, slot: &Slot, live: &mut Option<Live>) -> Result<(), Trouble> {
        if live.is_none() {
            let key = &slot.key;
            let loaded = self.store.load(key.app.as_str(), key.conversation.as_str()).await?;
            *live = Some(Live::read(slot, loaded.ok_or(Trouble::Unknown)?)?);
        }
        Ok(())
    }

    /// Steps and commits a change of a loaded conversation. Nothing is told before it is durable.
    pub(crate) async fn change(
        self: &Arc<Self>,
        runtime: &Runtime,
        slot: &Slot,
        guard: &mut MutexGuard<'_, Option<Live>>,
        change: Change<'_>,
    ) -> Result<Changed, Trouble> {
        let span = trace::received(&slot.key, &change);
        self.step_and_commit(runtime, slot, guard, change).instrument(span).await
    }

    async fn step_and_commit(
        self: &Arc<Self>,
        runtime: &Runtime,
        slot: &Slot,
        guard: &mut MutexGuard<'_, Option<Live>>,
        change: Change<'_>,
    ) -> Result<Changed, Trouble> {
        let (now, seed) = (self.now(), self.random());
        let fresh = InboxKey {
            integration: change.by.to_owned(),
            scope: "fresh".to_owned(),
            external_id: uuid::Uuid::now_v7().simple().to_string(),
        };
        let key = change.key.clone().unwrap_or(fresh);
        for _ in 0..TRIES {
            self.load(slot, guard).await?;
            // Taken, and put back once it is durable: whoever fails or is cut off in between leaves nothing half-known, and
            // the next one reads what the store has.
            let Some(mut live) = guard.take() else { return Err(Trouble::Unknown) };
            let opened = live.version == 0;
            let app = self.app_of(runtime, &live.state).await?;
            let (steps, answers) = self.plan(&app, &live.state, &change.inputs, now, seed).await?;
            let news = live.apply(&change, steps, answers, now);
            if !news.stepped && news.written.is_empty() {
                **guard = Some(live);
                return Ok(Changed::Done);
            }
            let unit = news.unit(runtime, slot, &live, &change, &key, (now, seed))?;
            let unsettled = news.stepped.then(|| slot.unsettled());
            let (began, span) = (Instant::now(), trace::commit(unit.entries.len()));
            let committed = self.store.commit(unit).instrument(span).await;
            observe::committed(began.elapsed(), committed.is_ok());
            match committed {
                Ok(Committed::Done { version }) => {
                    if news.stepped {
                        observe::taken(&change.inputs);
                        live.version = version;
                    }
                    self.adopt(slot, &live, news);
                    unsettled.into_iter().for_each(Unsettled::settled);
                    **guard = Some(live);
                    return Ok(Changed::Done);
                }
                Ok(Committed::Duplicate { .. }) => {
                    observe::duplicate();
                    return Ok(Changed::Again);
                }
                // Another node opened a conversation for this customer.
                Ok(Committed::Conflict) if opened => return Err(Trouble::Unknown),
                Ok(Committed::Conflict) => observe::commit_conflicted(),
                // It may or may not have been written.
                Err(error) => return Err(error.into()),
            }
        }
        Err(Trouble::Store("too many conflicts".into()))
    }

    /// Steps the inputs, one after the other. A script that a step needs is run, and the step done again from where it began:
    /// the conversation waits for it, and no other does.
    async fn plan(
        &self,
        app: &App,
        state: &State,
        inputs: &[Input],
        now: Time,
        seed: u64,
    ) -> Result<(Vec<Step>, Vec<Answer>), Trouble> {
        let (mut steps, mut answers): (Vec<Step>, Vec<Answer>) =
            (Vec::with_capacity(inputs.len()), Vec::new());
        let mut used = 0;
        for input in inputs {
            let step = loop {
                let before = steps.last().map_or(state, |step| &step.state);
                match try_step(app, before, input, &answers[used..], now, seed) {
                    Ok(step) => break step,
                    Err(NeedScript(call)) => {
                        let mut answer = self.scripts.run(*call).await;
                        self.seal_private(state, &mut answer)?;
                        answers.push(answer);
                    }
                }
            };
            used += step.answers;
            steps.push(step);
        }
        Ok((steps, answers))
    }

    /// Takes over what was committed and tells who has to look.
    fn adopt(self: &Arc<Self>, slot: &Slot, live: &Live, news: News) {
        let seen = news.phase_changed || news.entries.iter().any(Entry::customer_sees);
        observe::stepped(&live.state.customer.channel, &news.entries);
        if news.agent_came {
            self.measure_wait(&slot.key, &live.state);
        }
        if news.stepped {
            slot.tail().push(news.entries, &live.state);
        }
        self.watch.tell(live);
        if let Some(at) = live.state.wake_at() {
            self.tick_at(&slot.key, at.0);
        }
        let due: Vec<ParticipantNo> = live
            .rows
            .values()
            .filter(|row| {
                let waiting = !row.row.done && row.row.head > row.row.cursor && row.row.attempts == 0;
                // A duplex session also wants to know that its part is over.
                waiting || (row.about.pinned && news.written.contains(&row.about.participant.no))
            })
            .map(|row| row.about.participant.no)
            .collect();
        if seen || !due.is_empty() {
            self.hints.tell(hints::About {
                app: slot.key.app.clone(),
                conversation: slot.key.conversation.clone(),
                customer: seen.then(|| live.state.customer.id.clone()),
                due,
            });
        }
    }
}

/// What a change made of a conversation.
pub(crate) struct News {
    pub entries: Vec<Entry>,
    /// The participants whose rows are to be written.
    pub written: Vec<ParticipantNo>,
    /// The state is to be written, and the inputs with it.
    pub stepped: bool,
    /// The customer talks to somebody else now.
    pub phase_changed: bool,
    /// The transfer that the flow asked for has its first agent now.
    pub agent_came: bool,
    /// What scripts answered.
    pub answers: Vec<Answer>,
    /// The facts of the conversation, if they are others now.
    pub facts: Option<Facts>,
    pub tasks: Vec<TaskRun>,
    pub tags: Vec<Tag>,
}

impl Live {
    /// Computes a change, in place.
    fn apply(&mut self, change: &Change<'_>, steps: Vec<Step>, answers: Vec<Answer>, now: Time) -> News {
        (change.rows)(&mut self.rows);
        let mut news = News {
            entries: Vec::new(),
            written: change.touched.into_iter().collect(),
            stepped: self.version == 0,
            phase_changed: false,
            agent_came: false,
            answers,
            facts: None,
            tasks: Vec::new(),
            tags: Vec::new(),
        };
        let facts = self.state.facts.clone();
        let (phase, talked) = (phase_of(&self.state), has_agent(&self.state));
        for (input, stepped) in change.inputs.iter().zip(steps) {
            // A result or a tick that came too late leaves no trace; what the outside said always does.
            news.stepped |= !matches!(input, Input::Delivery { .. } | Input::Tick)
                || !stepped.entries.is_empty()
                || !stepped.participants.is_empty()
                || stepped.state != self.state;
            self.state = stepped.state;
            news.entries.extend(stepped.entries);
            news.tasks.extend(stepped.tasks);
            news.tags.extend(stepped.tags);
            for participant in stepped.participants {
                news.written.push(participant.no);
                self.joined_or_changed(participant);
            }
        }
        if self.state.owner == Owner::Closed {
            self.closed_at.get_or_insert(now.0);
        }
        // The row is made with the conversation; relayed lines change no fact, and write none.
        let counts =
            self.version == 0 || facts != self.state.facts || (self.closed_at == Some(now.0) && news.stepped);
        news.facts = counts.then(|| self.state.facts.clone());
        news.phase_changed = phase != phase_of(&self.state);
        news.agent_came = has_agent(&self.state).is_some_and(|now| talked != Some(now));
        self.raise_heads(&mut news, now);
        news.written.sort_unstable();
        news.written.dedup();
        news
    }

    fn joined_or_changed(&mut self, participant: interline_core::Participant) {
        let no = participant.no;
        if let Some(known) = self.rows.get_mut(&no) {
            known.about.participant = participant;
            return;
        }
        let before = to_i64(participant.from.0) - 1;
        let row = new_row(no, &participant.integration, participant.role, before);
        let about = About {
            participant,
            stalled: false,
            waiting: None,
            pinned: false,
            traces: trace::Waiting::default(),
        };
        self.rows.insert(no, Row { about, row });
    }

    /// A participant's head is the last entry for it. A new participant may have to hear entries that are older than
    /// this change (the next rung starts where the transfer began), so its head is at least its own beginning.
    fn raise_heads(&mut self, news: &mut News, now: Time) {
        let stepping = trace::Stepping::now();
        for (no, row) in &mut self.rows {
            row.about.traces.forget(if row.row.done { i64::MAX } else { row.row.cursor });
            if row.row.done {
                continue;
            }
            let about = &row.about.participant;
            let heard = news.entries.iter().rev().find(|entry| about.hears(entry)).map(|entry| entry.seq);
            let joined_late = row.row.head < to_i64(about.from.0) && about.from <= self.state.head;
            for entry in news.entries.iter().filter(|entry| about.hears(entry)) {
                stepping.wrote(&mut row.about.traces, entry.seq);
            }
            if joined_late {
                stepping.wrote(&mut row.about.traces, about.from);
            }
            let head = match (heard, joined_late) {
                (Some(seq), _) => to_i64(seq.0),
                (None, true) => to_i64(self.state.head.0),
                (None, false) => row.row.head,
            };
            if head > row.row.head {
                row.row.head = head;
                if row.row.due_at.is_none() {
                    row.row.due_at = Some(now.0);
                }
                news.written.push(*no);
            }
            // Its part is over and it has heard all of it.
            let over = about.gone || (about.to.is_some() && row.row.cursor >= row.row.head);
            if over {
                row.row.done = true;
                row.row.due_at = None;
                news.written.push(*no);
            }
        }
    }
}

/// The transfer of the flow that has or had an agent, if it is live. One that an agent began was not waited for.
fn has_agent(state: &State) -> Option<TransferNo> {
    let transfer = state.transfer.as_ref()?;
    (transfer.talked && transfer.node.is_some()).then_some(transfer.no)
}

pub(crate) fn json(value: &impl Serialize) -> Result<String, Trouble> {
    serde_json::to_string(value).map_err(|error| Trouble::Broken(error.to_string()))
}

/// Sequence numbers and epochs are counted up from 0 one by one; they do not come near the limit.
pub(crate) fn to_i64(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
