//! Each agent system against its stand-in: lines through many live transfers, and many sessions at once of those that are
//! listened to; `weight.rs` has the memory of each. The stand-ins take as many calls as come, and the pacers are told so: what
//! a vendor allows has a test of its own in its folder.

use std::fmt::Write as _;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use futures_util::future::try_join_all;
use interline_connector::manifest::Delivery;
use interline_connector::simulator::By;
use interline_tests::office::{Kind, Office};
use interline_tests::operator::Operator;
use interline_tests::scratch::Scratch;
use interline_tests::server::{Profile, Server, Setup};
use interline_tests::web::Site;
use interline_tests::{App, document};
use serde_json::json;
use tokio::task::JoinSet;

use crate::crowd::{Tab, customers};
use crate::phase::{Meter, Phase};
use crate::relay::{Pace, Turns, users_talk};
use crate::table::met;
use crate::{seconds, weight};

/// Live transfers for the throughput, and sessions at once for those that are listened to.
const LIVE: usize = 1_000;
const SESSIONS: usize = 5_000;
/// Lines to each customer when none may be missed.
const EACH: u64 = 3;
/// A crowd is handed over within this time.
const PATIENCE: Duration = Duration::from_secs(600);

/// The tables.
///
/// # Errors
/// Something did not work; with whose stand-in.
pub async fn measure() -> Result<String> {
    let (live, sessions) = (live(), many("INTERLINE_BENCH_SESSIONS", SESSIONS));
    let mut text = format!(
        "Agent systems against their stand-ins (release, SQLite, {live} live transfers; the load and the stand-in share the \
         machine with the server)\n\n\
         | agent system | user → agent/s | agent → user/s |\n\
         |---|--:|--:|\n"
    );
    for kind in Kind::all() {
        let (to_agent, to_user) = throughput(kind, live).await.with_context(|| kind.id)?;
        writeln!(text, "| {} | {to_agent:.0} | {to_user:.0} |", kind.id)?;
    }
    write!(text, "\n{}", weight::measure(live).await?)?;
    write!(text, "\nSessions at once, {EACH} lines to each customer\n\n")?;
    writeln!(
        text,
        "| agent system | sessions | handed over in | lines | missed | aim: none |\n|---|--:|--:|--:|--:|---|"
    )?;
    for kind in Kind::all().into_iter().filter(|kind| kind.connector.manifest().delivery == Delivery::Pinned)
    {
        let (took, sent, missed) = sessions_at_once(kind, sessions).await.with_context(|| kind.id)?;
        writeln!(
            text,
            "| {} | {sessions} | {:.1} s | {sent} | {missed} | {} |",
            kind.id,
            took.as_secs_f64(),
            met(missed == 0)
        )?;
    }
    Ok(text)
}

/// A number of the environment's.
fn many(name: &str, usual: usize) -> usize {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(usual)
}

/// How many transfers are live at a time.
pub fn live() -> usize {
    many("INTERLINE_BENCH_LIVE", LIVE)
}

/// Lines a second, to the agents and to the customers.
async fn throughput(kind: Kind, live: usize) -> Result<(f64, f64)> {
    let scratch = Scratch::new("bench")?;
    let mut scene = Scene::open(kind, scratch.path(), None, live).await?;
    scene.hand_over(0..live, live).await?;
    scene.users(Duration::from_secs(1)).await?;
    let to_agent = scene.users(seconds()).await?;
    let to_user = scene.agents(seconds()).await?;
    scene.close().await?;
    Ok((to_agent, to_user))
}

async fn sessions_at_once(kind: Kind, sessions: usize) -> Result<(Duration, u64, u64)> {
    let scratch = Scratch::new("bench")?;
    let mut scene = Scene::open(kind, scratch.path(), None, sessions).await?;
    let begin = Instant::now();
    scene.hand_over(0..sessions, sessions).await?;
    let took = begin.elapsed();
    let chats = scene.chats()?;
    let phase = scene.meter.begin(chats.len(), 0);
    let gate = Arc::new(tokio::sync::Semaphore::new(64));
    let mut speaking = JoinSet::new();
    for (speaker, chat) in chats.into_iter().enumerate() {
        let (office, phase, meter, gate) =
            (scene.office.clone(), phase.clone(), scene.meter.clone(), gate.clone());
        speaking.spawn(async move {
            let _turn = gate.acquire().await?;
            let mut http = office.connect();
            for count in 1..=EACH {
                let words = phase.words(speaker, count, meter.now_us());
                let answer = office.act(&mut http, &chat, "say", &json!({ "text": words })).await?;
                ensure!(answer.ok(), "an agent cannot speak: {} {}", answer.status, answer.text());
            }
            anyhow::Ok(())
        });
    }
    speaking.join_all().await.into_iter().collect::<Result<Vec<()>>>()?;
    phase.drained().await;
    let sent = EACH * sessions as u64;
    let missed = sent - phase.arrived().min(sent);
    scene.close().await?;
    Ok((took, sent, missed))
}

/// A server, a stand-in and a crowd of customers.
pub struct Scene {
    pub server: Server,
    office: Arc<Office>,
    meter: Arc<Meter>,
    pub tabs: Vec<Tab>,
}

impl Scene {
    /// With so many customers, nobody of whom asked for a human yet. On SQLite where no `database` is named.
    pub async fn open(kind: Kind, scratch: &Path, database: Option<String>, count: usize) -> Result<Self> {
        let (app, meter) = (App::fresh(), Meter::new());
        let office = Arc::new(Office::open(kind, &app, "desk").await?);
        let heard = meter.clone();
        office.desk().on_line(move |line| {
            if line.by == By::Customer {
                heard.heard(&line.text);
            }
        });
        let mut document = document::document(&app, &[office.settings()]);
        document["channels"]["web"]["limits"] =
            json!({ "messages_per_second": 1_000_000, "messages_burst": 1_000_000 });
        // A crowd that comes at once, on a machine that is busy with it.
        document["deadlines"] =
            json!({ "opening_ms": 600_000, "waiting_ms": 3_600_000, "idle_ms": 3_600_000 });
        let app_file = scratch.join("app.yaml");
        std::fs::write(&app_file, document.to_string())?;
        let setup = Setup {
            profile: Profile::Release,
            app_file,
            database,
            flags: vec!["--log".into(), "warn".into()],
            ..Setup::new(&scratch.join("data"), &app, "")
        };
        let server = setup.start().await?;
        office.enter_webhook(&mut Operator::new(&server).await?).await?;
        let site = Site { address: server.address(), app };
        let tabs = customers(&site, &meter, count, 0).await?;
        Ok(Self { server, office, meter, tabs })
    }

    /// These ask for a human, so many at a time, and get one.
    pub async fn hand_over(&mut self, whom: Range<usize>, at_once: usize) -> Result<()> {
        let (begin, mut http) = (Instant::now(), self.office.connect());
        let mut asked = whom.start;
        while asked < whom.end {
            let until = whom.end.min(asked + at_once);
            try_join_all(self.tabs[asked..until].iter_mut().map(|tab| tab.ask("a human please"))).await?;
            asked = until;
            loop {
                let talking = self.office.accept_all(&mut http).await?;
                if talking == asked {
                    break;
                }
                ensure!(
                    begin.elapsed() < PATIENCE,
                    "{talking} of {asked} were handed over:\n{}",
                    self.server.log_end()
                );
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
        Ok(())
    }

    fn chats(&self) -> Result<Vec<String>> {
        let chats: Vec<String> = self.office.desk().chats().into_iter().map(|chat| chat.id).collect();
        ensure!(chats.len() == self.tabs.len(), "{} chats of {}", chats.len(), self.tabs.len());
        Ok(chats)
    }

    fn turns(&self, phase: &Arc<Phase>, time: Duration) -> Vec<Turns> {
        let end = tokio::time::Instant::now() + time;
        let turns = |speaker| Turns::new(self.meter.clone(), phase.clone(), Pace::Saturated, end, speaker);
        (0..phase.speakers()).map(turns).collect()
    }

    /// Lines a second that arrive at the desk, one of each conversation on its way.
    async fn users(&mut self, time: Duration) -> Result<f64> {
        let phase = self.meter.begin(self.tabs.len(), 1);
        let begin = Instant::now();
        self.tabs = users_talk(std::mem::take(&mut self.tabs), self.turns(&phase, time)).await?;
        let rate = phase.arrived() as f64 / begin.elapsed().as_secs_f64();
        phase.drained().await;
        Ok(rate)
    }

    /// Lines a second that arrive at the customers.
    async fn agents(&mut self, time: Duration) -> Result<f64> {
        let phase = self.meter.begin(self.tabs.len(), 1);
        let begin = Instant::now();
        let mut speaking = JoinSet::new();
        for (mut turns, chat) in self.turns(&phase, time).into_iter().zip(self.chats()?) {
            let office = self.office.clone();
            speaking.spawn(async move {
                let mut http = office.connect();
                while let Some(words) = turns.next().await {
                    let answer = office.act(&mut http, &chat, "say", &json!({ "text": words })).await?;
                    ensure!(answer.ok(), "an agent cannot speak: {} {}", answer.status, answer.text());
                }
                Ok(())
            });
        }
        speaking.join_all().await.into_iter().collect::<Result<Vec<()>>>()?;
        let rate = phase.arrived() as f64 / begin.elapsed().as_secs_f64();
        phase.drained().await;
        Ok(rate)
    }

    pub async fn close(mut self) -> Result<()> {
        for tab in &mut self.tabs {
            tab.check().await?;
        }
        drop(self.tabs);
        self.server.terminate(Duration::from_secs(60)).await?;
        Ok(())
    }
}
