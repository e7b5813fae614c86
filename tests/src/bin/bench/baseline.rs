//! The same rows through the same writer, by as many at once, with no logic and no network: what the database allows.
//!
//! A message to the agent is two units: the input with its state, entry and participant; then the participant's cursor.
//! One to the user is one unit: the input with its state and entry.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use interline_store::{
    Committed, EntryRow, Inbox, KeyRing, Opening, ParticipantRow, Settings, StateWrite, Store, Unit,
};
use interline_tests::postgres::{self, Database};
use interline_tests::scratch::Scratch;
use interline_tests::server::cpu_of;
use tokio::sync::{Mutex, Semaphore};
use tokio::task::JoinSet;

use crate::phase::at;
use crate::relay::{Rows, store_url};
use crate::{Cpu, Steady, Way, seconds};

const APP: &str = "st-00000000-0000-5000-8000-000000000001";

/// What the writer can do.
pub struct Baseline {
    pub saturated: f64,
    pub busy: Cpu,
    pub steady: Steady,
}

struct Conversation {
    id: Arc<str>,
    customer: String,
    /// Held while a unit is on its way, as the engine does.
    version: Mutex<i64>,
    /// Cursors follow in order, one at a time.
    cursor: Mutex<()>,
    seq: AtomicI64,
}

struct Writer {
    store: Store,
    way: Way,
    state: String,
    entry: String,
    participant: ParticipantRow,
    input: Inbox,
    all: Vec<Conversation>,
}

/// Measures one way. With a database, another one on the same server is used.
pub async fn measure(
    database: Option<&Database>,
    rows: &Rows,
    way: Way,
    conversations: usize,
    per_second: u64,
) -> Result<Baseline> {
    let scratch = Scratch::new("baseline")?;
    let own = if database.is_some() { postgres::database("baseline").await? } else { None };
    let url = store_url(own.as_ref().map(|own| own.url.as_str()), scratch.path());
    let keys = KeyRing::parse("bench:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=")?;
    let store = Store::open(Settings { url, lanes: 0, keys }).await?;
    let writer = Arc::new(Writer::new(store, rows, way, conversations).await?);
    // One message and one cursor of a conversation may be on their way at once; 64 wait behind the one conversation.
    let workers = if conversations == 1 { 2 } else { conversations };
    writer.saturate(workers, Duration::from_secs(1)).await?;
    let clock = (cpu_of(std::process::id()), own.as_ref().and_then(Database::cpu).unwrap_or_default());
    let begin = Instant::now();
    let done = writer.saturate(workers, seconds()).await?;
    let took = begin.elapsed().as_secs_f64();
    let busy = Cpu {
        load: (cpu_of(std::process::id()) - clock.0).as_secs_f64() / took,
        database: own
            .as_ref()
            .and_then(Database::cpu)
            .unwrap_or_default()
            .saturating_sub(clock.1)
            .as_secs_f64()
            / took,
        server: 0.0,
    };
    let steady = writer.steady(per_second, seconds()).await?;
    writer.store.clone().close().await;
    drop(writer);
    if let Some(own) = own {
        own.remove().await?;
    }
    Ok(Baseline { saturated: done as f64 / took, busy, steady })
}

impl Writer {
    async fn new(store: Store, rows: &Rows, way: Way, conversations: usize) -> Result<Self> {
        let input = if way == Way::ToAgent { rows.from_user.clone() } else { rows.from_agent.clone() };
        let mut participant = rows.participant.clone();
        participant.attempts = 0;
        let mut all = Vec::new();
        for no in 0..conversations {
            let customer = store.customer(APP, "web", &format!("customer-{no}"), 1, "{}").await?.id;
            all.push(Conversation {
                id: format!("cnv_{}", uuid::Uuid::now_v7().simple()).into(),
                customer,
                version: Mutex::new(0),
                cursor: Mutex::new(()),
                seq: AtomicI64::new(0),
            });
        }
        let (state, entry) = (rows.state.clone(), rows.entry.doc.clone());
        Ok(Self { store, way, state, entry, participant, input, all })
    }

    /// One message over one conversation.
    async fn message(&self, conversation: &Conversation) -> Result<()> {
        {
            let mut version = conversation.version.lock().await;
            let unit = self.unit(conversation, *version);
            match self.store.commit(unit).await? {
                Committed::Done { version: new } => *version = new,
                other => bail!("{other:?}"),
            }
            conversation.seq.store(*version, Ordering::Relaxed);
        }
        if self.way == Way::ToAgent {
            let _turn = conversation.cursor.lock().await;
            let seq = conversation.seq.load(Ordering::Relaxed);
            let participants =
                vec![ParticipantRow { cursor: seq, head: seq, due_at: None, ..self.participant.clone() }];
            let unit = Unit {
                app: APP.into(),
                conversation: conversation.id.clone(),
                inbox: None,
                state: None,
                entries: Vec::new(),
                participants,
                remote_ids: Vec::new(),
                files: Vec::new(),
                facts: None,
                tasks: Vec::new(),
                tags: Vec::new(),
            };
            self.store.commit(unit).await?;
        }
        Ok(())
    }

    fn unit(&self, conversation: &Conversation, version: i64) -> Unit {
        let seq = version + 1;
        let now = i64::try_from(interline_tests::now_ms()).unwrap_or(0);
        let participant =
            || ParticipantRow { cursor: seq - 1, head: seq, due_at: Some(now), ..self.participant.clone() };
        Unit {
            app: APP.into(),
            conversation: conversation.id.clone(),
            inbox: Some(Inbox {
                external_id: uuid::Uuid::now_v7().simple().to_string(),
                scope: if self.way == Way::ToAgent {
                    conversation.customer.clone()
                } else {
                    self.input.scope.clone()
                },
                at: now,
                ..self.input.clone()
            }),
            state: Some(StateWrite {
                expected_version: version,
                doc: self.state.clone(),
                owner: "agent",
                epoch: 2,
                head: seq,
                wake_at: Some(now + 900_000),
                closed_at: None,
                retain_until: None,
                opening: (version == 0).then(|| Opening {
                    customer: conversation.customer.clone(),
                    channel: "web".into(),
                    opened_at: now,
                }),
            }),
            entries: vec![EntryRow { seq, at: now, doc: self.entry.clone() }],
            participants: if self.way == Way::ToAgent { vec![participant()] } else { Vec::new() },
            remote_ids: Vec::new(),
            files: Vec::new(),
            facts: None,
            tasks: Vec::new(),
            tags: Vec::new(),
        }
    }

    async fn saturate(self: &Arc<Self>, workers: usize, time: Duration) -> Result<u64> {
        let done = Arc::new(AtomicU64::new(0));
        let begin = Instant::now();
        let mut tasks = JoinSet::new();
        for worker in 0..workers {
            let (writer, done) = (self.clone(), done.clone());
            tasks.spawn(async move {
                while begin.elapsed() < time {
                    writer.message(&writer.all[worker % writer.all.len()]).await?;
                    done.fetch_add(1, Ordering::Relaxed);
                }
                anyhow::Ok(())
            });
        }
        tasks.join_all().await.into_iter().collect::<Result<Vec<()>>>()?;
        Ok(done.load(Ordering::Relaxed))
    }

    /// Late is counted to the message's own commit, and to that of its cursor.
    async fn steady(self: &Arc<Self>, per_second: u64, time: Duration) -> Result<Steady> {
        let every = Duration::from_micros(1_000_000 / per_second.max(1));
        let begin = tokio::time::Instant::now();
        let count = u32::try_from(time.as_micros() / every.as_micros().max(1))?;
        let mut tasks = JoinSet::new();
        let gate = Arc::new(Semaphore::new(10_000));
        for no in 0..count {
            let due = begin + every * no;
            tokio::time::sleep_until(due).await;
            let place = gate.clone().acquire_owned().await?;
            let writer = self.clone();
            tasks.spawn(async move {
                writer.message(&writer.all[no as usize % writer.all.len()]).await?;
                drop(place);
                anyhow::Ok(u32::try_from(due.elapsed().as_micros()).unwrap_or(u32::MAX))
            });
        }
        let mut late = tasks.join_all().await.into_iter().collect::<Result<Vec<u32>>>()?;
        let arrived = late.len() as u64;
        Ok(Steady { per_second, p50: at(&mut late, 50), p99: at(&mut late, 99), sent: count.into(), arrived })
    }
}
