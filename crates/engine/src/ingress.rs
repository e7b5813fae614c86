//! An input is stepped and committed in one unit; then it is told who has to look.

use std::sync::Arc;
use std::time::Instant;

use interline_core::{
    App, Entry, Input, IntegrationName, Owner, ParticipantNo, Role, Speaker, State, Step, Time, TransferNo,
    try_step,
};
use interline_core::conversation::facts::{Facts, Tag, TaskRun};
use interline_core::flow::NeedScript;
use interline_core::flow::script::Answer;
use interline_store::{Committed, EntryRow, FactsRow, Inbox, Opening, ParticipantRow, RemoteId, StateWrite, TagRow, TaskRow, Unit};
use serde::Serialize;
use tokio::sync::MutexGuard;
use tracing::Instrument as _;

use crate::apps::Runtime;
use crate::engine::Inner;
use crate::hints;
use crate::host::phase_of;
use crate::live::{About, Live, Row, Slot};
use crate::observe::{self, trace};

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

/// What the inbox keeps of an input: enough to step it again.
#[derive(Debug, Serialize)]
struct Recorded<'a> {
    app_version: i64,
    now: Time,
    seed: u64,
    inputs: &'a [Input],
    /// What scripts answered, in the order in which the steps needed them.
    #[serde(skip_serializing_if = "<[Answer]>::is_empty")]
    answers: &'a [Answer],
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
            let (steps, answers) = self.plan(&app, &live.state, &change.inputs, now, seed).await;
            let news = live.apply(&change, steps, answers, now);
            if !news.stepped && news.written.is_empty() {
                **guard = Some(live);
                return Ok(Changed::Done);
            }
            let unit = news.unit(runtime, slot, &live, &change, &key, (now, seed))?;
            if news.stepped {
                slot.tail().doubt();
            }
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
    ) -> (Vec<Step>, Vec<Answer>) {
        let (mut steps, mut answers): (Vec<Step>, Vec<Answer>) = (Vec::with_capacity(inputs.len()), Vec::new());
        let mut used = 0;
        for input in inputs {
            let step = loop {
                let before = steps.last().map_or(state, |step| &step.state);
                match try_step(app, before, input, &answers[used..], now, seed) {
                    Ok(step) => break step,
                    Err(NeedScript(call)) => answers.push(self.scripts.run(*call).await),
                }
            };
            used += step.answers;
            steps.push(step);
        }
        (steps, answers)
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
struct News {
    entries: Vec<Entry>,
    /// The participants whose rows are to be written.
    written: Vec<ParticipantNo>,
    /// The state is to be written, and the inputs with it.
    stepped: bool,
    /// The customer talks to somebody else now.
    phase_changed: bool,
    /// The transfer that the flow asked for has its first agent now.
    agent_came: bool,
    /// What scripts answered.
    answers: Vec<Answer>,
    /// The facts of the conversation, if they are others now.
    facts: Option<Facts>,
    tasks: Vec<TaskRun>,
    tags: Vec<Tag>,
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
        let counts = self.version == 0 || facts != self.state.facts || (self.closed_at == Some(now.0) && news.stepped);
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

impl News {
    /// The agent's line, by its name outside.
    fn said_as(&self, change: &Change<'_>) -> Option<RemoteId> {
        let (participant, remote_id) = change.says_as.clone()?;
        let line = self.entries.iter().find(|entry| matches!(entry.by, Speaker::Agent { .. }))?;
        Some(RemoteId { participant: i64::from(participant.0), remote_id, seq: to_i64(line.seq.0), part: 0 })
    }

    /// The files that the new entries name, each once.
    fn files(&self) -> Vec<String> {
        let named = self.entries.iter().filter_map(Entry::text).flat_map(|text| &text.files);
        let mut ids: Vec<String> = named.map(|file| file.id.as_str().to_owned()).collect();
        ids.sort_unstable();
        ids.dedup();
        ids
    }

    fn unit(
        &self,
        runtime: &Runtime,
        slot: &Slot,
        live: &Live,
        change: &Change<'_>,
        key: &InboxKey,
        (now, seed): (Time, u64),
    ) -> Result<Unit, Trouble> {
        let mut participants = Vec::with_capacity(self.written.len() + 1);
        for row in self.written.iter().filter_map(|no| live.rows.get(no)) {
            let mut written = row.row.clone();
            written.doc = json(&row.about)?;
            participants.push(written);
        }
        if live.version == 0 {
            participants.push(customer_row(&live.state.customer.channel));
        }
        let entries = self.entries.iter().map(|entry| {
            Ok::<_, Trouble>(EntryRow { seq: to_i64(entry.seq.0), at: entry.at.0, doc: json(entry)? })
        });
        let recorded = Recorded {
            app_version: runtime.version,
            now,
            seed,
            inputs: &change.inputs,
            answers: &self.answers,
        };
        let inbox = || {
            Ok::<_, Trouble>(Inbox {
                integration: key.integration.clone(),
                scope: key.scope.clone(),
                external_id: key.external_id.clone(),
                at: now.0,
                doc: json(&recorded)?,
            })
        };
        Ok(Unit {
            app: slot.key.app.shared(),
            conversation: slot.key.conversation.shared(),
            inbox: self.stepped.then(inbox).transpose()?,
            state: self.stepped.then(|| state_write(runtime, live)).transpose()?,
            entries: entries.collect::<Result<_, _>>()?,
            participants,
            files: self.files(),
            facts: self.facts_row(live)?,
            tasks: self.tasks.iter().map(|run| TaskRow { task: run.task.clone(), done: run.done, at: now.0 }).collect(),
            tags: self.tag_rows(now)?,
            remote_ids: change.remote_ids.iter().cloned().chain(self.said_as(change)).collect(),
        })
    }
}

impl News {
    /// What is counted of the conversation, if it changed.
    fn facts_row(&self, live: &Live) -> Result<Option<FactsRow>, Trouble> {
        let Some(facts) = &self.facts else { return Ok(None) };
        Ok(Some(FactsRow {
            customer: live.state.customer.id.as_str().to_owned(),
            channel: live.state.customer.channel.as_str().to_owned(),
            opened_at: live.opened_at,
            closed_at: live.closed_at,
            label: facts.label(live.closed_at.is_some()).as_str(),
            interactive: facts.interactive,
            reached: i64::from(facts.reached),
            after_tasks: facts.reached > 0 && facts.tasks_before > 0,
            accepted: i64::from(facts.accepted),
            joined: i64::from(facts.joined),
            handed_off: i64::from(facts.handed_off),
            failed: i64::from(facts.failed),
            failed_why: facts.failed_why.as_ref().map(word).transpose()?,
            took_over: i64::from(facts.took_over),
            closed_by: facts.closed_by.as_ref().map(word).transpose()?,
            doc: json(facts)?,
        }))
    }

    fn tag_rows(&self, now: Time) -> Result<Vec<TagRow>, Trouble> {
        let row = |tag: &Tag| {
            let (name, value) = (tag.name.clone(), tag.value.clone());
            Ok(TagRow { level: word(&tag.level)?, name, value, at: now.0 })
        };
        self.tags.iter().map(row).collect()
    }
}

fn state_write(runtime: &Runtime, live: &Live) -> Result<StateWrite, Trouble> {
    let state = &live.state;
    Ok(StateWrite {
        expected_version: live.version,
        doc: json(state)?,
        owner: state.owner.as_str(),
        epoch: to_i64(state.epoch.0),
        head: to_i64(state.head.0),
        wake_at: state.wake_at().map(|at| at.0),
        closed_at: live.closed_at,
        retain_until: live.closed_at.and_then(|at| Some(at + runtime.retention_ms?)),
        opening: (live.version == 0).then(|| Opening {
            customer: state.customer.id.as_str().to_owned(),
            channel: state.customer.channel.as_str().to_owned(),
            opened_at: live.opened_at,
        }),
    })
}

/// The customer's own row: number 0. It holds the marks; the channel reads the log by itself.
fn customer_row(channel: &IntegrationName) -> ParticipantRow {
    let row = new_row(ParticipantNo(0), channel, Role::Customer, 0);
    ParticipantRow { doc: "{}".to_owned(), done: true, ..row }
}

/// A participant that has heard everything up to `cursor`, and nothing is waiting for it. Its document is written with
/// the unit.
fn new_row(no: ParticipantNo, integration: &IntegrationName, plays: Role, cursor: i64) -> ParticipantRow {
    ParticipantRow {
        no: i64::from(no.0),
        integration: integration.as_str().to_owned(),
        role: role(plays).to_owned(),
        doc: String::new(),
        cursor,
        head: cursor,
        due_at: None,
        attempts: 0,
        failing_since: None,
        attempt_key: None,
        last_error: None,
        delivered: 0,
        read: 0,
        session: None,
        done: false,
    }
}

fn role(role: Role) -> &'static str {
    match role {
        Role::Customer => "customer",
        Role::Bot => "bot",
        Role::Agent => "agent",
        Role::Interceptor => "interceptor",
        Role::Nobody => "nobody",
    }
}

/// A word of an enum, as it stands in JSON.
fn word(value: &impl Serialize) -> Result<String, Trouble> {
    Ok(json(value)?.trim_matches('"').to_owned())
}

pub(crate) fn json(value: &impl Serialize) -> Result<String, Trouble> {
    serde_json::to_string(value).map_err(|error| Trouble::Broken(error.to_string()))
}

/// Sequence numbers and epochs are counted up from 0 one by one; they do not come near the limit.
pub(crate) fn to_i64(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
