//! The server under load: both ways, at saturation and at a steady rate.
//!
//! Saturation is a closed loop: over one conversation 64 messages are on their way, over many one for each. The steady
//! rate is an open loop: each message has its time, and is late from then on, whoever made it wait.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use interline_store::{EntryRow, Inbox, KeyRing, ParticipantRow, Settings, Store};
use interline_tests::App;
use interline_tests::botkit::{BotKit, Session};
use interline_tests::postgres::Database;
use interline_tests::server::{Profile, Server, Setup, cpu_of, example_with};
use interline_tests::web::Site;
use tokio::task::JoinSet;

use crate::crowd::{Crowd, Tab};
use crate::phase::{Meter, Phase};
use crate::{Cpu, STEADY, Steady, Way, seconds};

/// On their way over one conversation.
const WINDOW: usize = 64;

impl Rows {
    /// Their sizes: most of what the disk has to take.
    pub fn describe(&self) -> String {
        format!(
            "rows of a message: state {} B, entry {} B, participant {} B + session {} B, input of the user {} B, of the agent {} B",
            self.state.len(),
            self.entry.doc.len(),
            self.participant.doc.len(),
            self.participant.session.as_ref().map_or(0, String::len),
            self.from_user.doc.len(),
            self.from_agent.doc.len(),
        )
    }
}

/// What one way showed.
pub struct Relay {
    pub way: Way,
    pub saturated: f64,
    pub busy: Cpu,
    pub steady: Steady,
    pub steady_cpu: Cpu,
    pub memory: u64,
}

/// The rows that the relay left behind, for the baseline.
pub struct Rows {
    pub state: String,
    pub entry: EntryRow,
    pub participant: ParticipantRow,
    pub from_user: Inbox,
    pub from_agent: Inbox,
}

/// The example's app without the limits of a single customer.
pub fn app_file(directory: &Path) -> Result<std::path::PathBuf> {
    let limits = "type: web\n    limits: { messages_per_second: 1000000, messages_burst: 1000000 }";
    example_with(directory, &[("type: web", limits)])
}

/// Measures both ways.
pub async fn measure(
    scratch: &Path,
    database: Option<&Database>,
    conversations: usize,
) -> Result<(Vec<Relay>, Rows)> {
    let (app, meter) = (App::fresh(), Meter::new());
    let heard = meter.clone();
    let botkit = BotKit::start(&app, Arc::new(move |seen| heard.heard(&seen.text))).await?;
    let setup = Setup {
        profile: Profile::Release,
        database: database.map(|database| database.url.clone()),
        app_file: app_file(scratch)?,
        flags: vec!["--log".into(), "warn".into()],
        ..Setup::new(&scratch.join("data"), &app, &botkit.url)
    };
    let mut server = setup.start().await?;
    let site = Site { address: server.address(), app: app.clone() };
    let mut crowd = Crowd::gather(&site, &botkit, &meter, conversations).await?;
    let mut all = Vec::new();
    for way in [Way::ToAgent, Way::ToUser] {
        let mut bench =
            Bench { server: &server, botkit: &botkit, database, meter: &meter, crowd: &mut crowd };
        bench.saturate(way, Duration::from_secs(1)).await?;
        let (saturated, busy) = bench.saturate(way, seconds()).await?;
        // What it cannot carry would only show how long the queue got.
        let per_second = if saturated > 1.1 * STEADY as f64 { STEADY } else { (saturated / 2.0) as u64 };
        let (steady, steady_cpu) = bench.steady(way, per_second, seconds()).await?;
        all.push(Relay { way, saturated, busy, steady, steady_cpu, memory: server.memory() });
    }
    anyhow::ensure!(botkit.faults().is_empty(), "the protocol was broken: {:?}", botkit.faults());
    let session = crowd.sessions.first().cloned().context("nobody")?;
    drop(crowd);
    server.terminate(Duration::from_secs(30)).await?;
    let rows = rows(&server, &app, &session).await?;
    Ok((all, rows))
}

struct Bench<'a> {
    server: &'a Server,
    botkit: &'a BotKit,
    database: Option<&'a Database>,
    meter: &'a Arc<Meter>,
    crowd: &'a mut Crowd,
}

/// When messages are sent.
#[derive(Clone, Copy)]
pub enum Pace {
    /// As soon as there is a place.
    Saturated,
    /// The message of speaker `s` out of `of`, number `n`, at `begin + (n·of + s)·every`.
    Steady { begin_us: u64, every_us: u64, of: u64 },
}

impl Bench<'_> {
    async fn saturate(&mut self, way: Way, time: Duration) -> Result<(f64, Cpu)> {
        let window = if self.crowd.tabs.len() == 1 && way == Way::ToAgent { WINDOW } else { 1 };
        let phase = self.meter.begin(self.speakers(way), window);
        let (clock, begin) = (self.clock(), Instant::now());
        let end = tokio::time::Instant::now() + time;
        self.talk(way, &phase, Pace::Saturated, end).await?;
        let (arrived, took) = (phase.arrived(), begin.elapsed());
        let busy = self.since(clock, took);
        phase.drained().await;
        Ok((arrived as f64 / took.as_secs_f64(), busy))
    }

    async fn steady(&mut self, way: Way, per_second: u64, time: Duration) -> Result<(Steady, Cpu)> {
        let speakers = self.speakers(way);
        let phase = self.meter.begin(speakers, 0);
        let (clock, begin) = (self.clock(), Instant::now());
        let end = tokio::time::Instant::now() + time;
        let every_us = 1_000_000 / per_second.max(1);
        let pace = Pace::Steady { begin_us: self.meter.now_us() + 10_000, every_us, of: speakers as u64 };
        self.talk(way, &phase, pace, end).await?;
        let cpu = self.since(clock, begin.elapsed());
        phase.drained().await;
        Ok((phase.steady(per_second), cpu))
    }

    fn speakers(&self, way: Way) -> usize {
        if self.crowd.tabs.len() == 1 && way == Way::ToUser { WINDOW } else { self.crowd.tabs.len() }
    }

    async fn talk(
        &mut self,
        way: Way,
        phase: &Arc<Phase>,
        pace: Pace,
        end: tokio::time::Instant,
    ) -> Result<()> {
        let turns = (0..phase.speakers())
            .map(|speaker| Turns::new(self.meter.clone(), phase.clone(), pace, end, speaker));
        match way {
            Way::ToAgent => {
                let tabs = std::mem::take(&mut self.crowd.tabs);
                self.crowd.tabs = users_talk(tabs, turns.collect()).await?;
                Ok(())
            }
            Way::ToUser => self.agents_talk(turns.collect()).await,
        }
    }

    async fn agents_talk(&mut self, turns: Vec<Turns>) -> Result<()> {
        let mut speaking = JoinSet::new();
        for (mut voice, mut turns) in self.crowd.voices(self.botkit, turns.len())?.into_iter().zip(turns) {
            speaking.spawn(async move {
                while let Some(words) = turns.next().await {
                    let said = voice.say(&words).await;
                    anyhow::ensure!(said.is_good(), "a callback failed: {said:?}");
                }
                Ok(())
            });
        }
        speaking.join_all().await.into_iter().collect::<Result<Vec<()>>>()?;
        for tab in &mut self.crowd.tabs {
            tab.check().await?;
        }
        Ok(())
    }

    fn clock(&self) -> [Duration; 3] {
        let database = self.database.and_then(Database::cpu).unwrap_or_default();
        [self.server.cpu(), cpu_of(std::process::id()), database]
    }

    fn since(&self, clock: [Duration; 3], took: Duration) -> Cpu {
        let now = self.clock();
        let share = |no: usize| now[no].saturating_sub(clock[no]).as_secs_f64() / took.as_secs_f64();
        Cpu { server: share(0), load: share(1), database: share(2) }
    }
}

/// Everybody says what it is their turn to say; they come back in their order.
pub async fn users_talk(tabs: Vec<Tab>, turns: Vec<Turns>) -> Result<Vec<Tab>> {
    let mut speaking = JoinSet::new();
    for (mut tab, turns) in tabs.into_iter().zip(turns) {
        speaking.spawn(async move {
            let speaker = turns.speaker;
            tab.speak(turns).await?;
            anyhow::Ok((speaker, tab))
        });
    }
    let mut tabs = speaking.join_all().await.into_iter().collect::<Result<Vec<(usize, Tab)>>>()?;
    tabs.sort_by_key(|(speaker, _)| *speaker);
    Ok(tabs.into_iter().map(|(_, tab)| tab).collect())
}

/// A speaker's messages, each when it is time.
pub struct Turns {
    meter: Arc<Meter>,
    phase: Arc<Phase>,
    pace: Pace,
    end: tokio::time::Instant,
    speaker: usize,
    count: u64,
}

impl Turns {
    pub fn new(
        meter: Arc<Meter>,
        phase: Arc<Phase>,
        pace: Pace,
        end: tokio::time::Instant,
        speaker: usize,
    ) -> Self {
        Self { meter, phase, pace, end, speaker, count: 0 }
    }

    pub async fn next(&mut self) -> Option<String> {
        let due_us = match self.pace {
            Pace::Saturated => {
                self.phase.place(self.speaker, self.end).await.then_some(())?;
                self.meter.now_us()
            }
            Pace::Steady { begin_us, every_us, of } => {
                let due_us = begin_us + (self.count * of + self.speaker as u64) * every_us;
                let due = self.meter.at(due_us);
                (due < self.end).then_some(())?;
                tokio::time::sleep_until(due).await;
                due_us
            }
        };
        self.count += 1;
        Some(self.phase.words(self.speaker, self.count, due_us))
    }
}

impl Tab {
    async fn speak(&mut self, mut turns: Turns) -> Result<()> {
        while let Some(words) = turns.next().await {
            self.say(&words).await?;
        }
        Ok(())
    }
}

/// Reads what the relay wrote, with the store itself.
async fn rows(server: &Server, app: &App, session: &Session) -> Result<Rows> {
    let setup = server.setup();
    let url = store_url(setup.database.as_deref(), &setup.data);
    let store =
        Store::open(Settings { url, lanes: 0, keys: KeyRing::load_or_create(&setup.data.join("keys"))? })
            .await?;
    let id = session.payload["requestId"].as_str().context("no requestId")?;
    let conversation = id.split('-').next().unwrap_or_default();
    let loaded = store.load(&app.bot, conversation).await?.context("the conversation is gone")?;
    let inbox = store.replay(&app.bot, conversation).await?;
    let last =
        |by: &str| inbox.iter().rev().find(|row| row.integration == by && row.doc.contains("\"m ")).cloned();
    let entries = store.entries_after(&app.bot, conversation, loaded.head - 1, 1).await?;
    let participant = loaded.participants.iter().find(|row| row.role == "agent").cloned();
    let rows = Rows {
        state: loaded.doc,
        entry: entries.into_iter().next().context("no entry")?,
        participant: participant.context("no agent")?,
        from_user: last("web").context("no input of the user")?,
        from_agent: last("desk").context("no input of the agent")?,
    };
    store.close().await;
    Ok(rows)
}

/// The URL of a database, or of the embedded one in `data`.
pub fn store_url(database: Option<&str>, data: &Path) -> String {
    database.map_or_else(|| format!("sqlite://{}", data.join("interline.db").display()), str::to_owned)
}
