//! What is counted when somebody asks. Live transfers and failing participants come from the database, because what was
//! counted in memory would be wrong after a restart and on the second node; the answer is good for some seconds, so that
//! nobody loads the database by asking.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use interline_core::transfer::Stage;
use serde::Deserialize;

use super::list::{self, METRICS};
use super::record;
use crate::engine::{DELIVERIES, Engine, Inner};
use crate::ingress::Trouble;
use crate::live::About;

/// For so long the database is not asked again.
const FRESH: Duration = Duration::from_secs(10);
/// Rows are read in pages of this size.
const PAGE: i64 = 500;
/// And so many of an app at most: what is beyond is not counted.
const MOST: usize = 20_000;

/// What the database said last.
#[derive(Default)]
pub(crate) struct Cache(tokio::sync::Mutex<Option<(Instant, Arc<Counted>)>>);

/// What the database has.
#[derive(Default)]
struct Counted {
    stages: [u64; STAGES.len()],
    /// Failing and stalled participants, by connector.
    troubled: BTreeMap<&'static str, (u64, u64)>,
}

const STAGES: [(Stage, &str); 5] = [
    (Stage::Requested, "requested"),
    (Stage::Opening, "opening"),
    (Stage::Waiting, "waiting"),
    (Stage::Talking, "talking"),
    (Stage::Closing, "closing"),
];

/// What is read of a state document.
#[derive(Deserialize)]
struct Glance {
    transfer: Option<Live>,
}

#[derive(Deserialize)]
struct Live {
    stage: Stage,
}

impl Engine {
    /// All metrics of this process, in Prometheus' text format 0.0.4.
    pub async fn metrics(&self) -> String {
        let mut page = Page(record::recorder().render());
        match self.inner.counted().await {
            Ok(counted) => {
                page.head(list::STORE_UP).sample(list::STORE_UP, &[], 1);
                page.counted(&counted);
            }
            Err(trouble) => {
                tracing::warn!(%trouble, "live transfers could not be counted");
                page.head(list::STORE_UP).sample(list::STORE_UP, &[], 0);
            }
        }
        page.of(&self.inner);
        page.of_process();
        page.0
    }
}

impl Inner {
    /// Puts away what was observed, so that it does not pile up while nobody asks.
    pub(crate) fn tidy_metrics(&self) {
        record::recorder().run_upkeep();
    }

    async fn counted(&self) -> Result<Arc<Counted>, Trouble> {
        // Held while counting: whoever else asks gets the same answer.
        let mut cache = self.counted.0.lock().await;
        if let Some((at, counted)) = cache.as_ref()
            && at.elapsed() < FRESH
        {
            return Ok(counted.clone());
        }
        let counted = Arc::new(self.count().await?);
        *cache = Some((Instant::now(), counted.clone()));
        Ok(counted)
    }

    async fn count(&self) -> Result<Counted, Trouble> {
        // Also when there is no app.
        self.store.next_due().await?;
        let mut counted = Counted::default();
        for connector in interline_agents::all() {
            counted.troubled.insert(connector.manifest().id, (0, 0));
        }
        for app in self.apps.ids() {
            self.count_live(app.as_str(), &mut counted).await?;
            let Some(runtime) = self.apps.get(&app) else { continue };
            let mut after: Option<(i64, String, i64)> = None;
            for _ in 0..MOST / PAGE.unsigned_abs() as usize {
                let from =
                    after.as_ref().map(|(since, conversation, no)| (*since, conversation.as_str(), *no));
                let found = self.store.failing(app.as_str(), from, PAGE).await?;
                for failing in &found {
                    let name = failing.row.integration.as_str().into();
                    let agent = runtime.agents.get(&name).or_else(|| runtime.told.get(&name));
                    let connector = agent.map_or("none", |agent| agent.manifest().id);
                    let (fails, stalls) = counted.troubled.entry(connector).or_default();
                    let about = serde_json::from_str::<About>(&failing.row.doc);
                    *fails += 1;
                    *stalls += u64::from(about.is_ok_and(|about| about.stalled));
                }
                let Some(last) = found.last().filter(|_| full(found.len())) else { break };
                let since = last.row.failing_since.unwrap_or_default();
                after = Some((since, last.conversation.clone(), last.row.no));
            }
        }
        Ok(counted)
    }

    async fn count_live(&self, app: &str, counted: &mut Counted) -> Result<(), Trouble> {
        let mut after: Option<(i64, String)> = None;
        for _ in 0..MOST / PAGE.unsigned_abs() as usize {
            let from = after.as_ref().map(|(opened_at, id)| (*opened_at, id.as_str()));
            let found = self.store.live(app, from, PAGE).await?;
            for live in &found {
                let glance =
                    serde_json::from_str::<Glance>(&live.doc).ok().and_then(|glance| glance.transfer);
                for (count, (stage, _)) in counted.stages.iter_mut().zip(STAGES) {
                    *count += u64::from(glance.as_ref().is_some_and(|live| live.stage == stage));
                }
            }
            let Some(last) = found.last().filter(|_| full(found.len())) else { break };
            after = Some((last.opened_at, last.id.clone()));
        }
        Ok(())
    }
}

/// There may be more.
fn full(page: usize) -> bool {
    i64::try_from(page).unwrap_or(i64::MAX) >= PAGE
}

/// The page as it grows.
struct Page(String);

impl Page {
    fn head(&mut self, name: &str) -> &mut Self {
        if let Some(metric) = METRICS.iter().find(|metric| metric.name == name) {
            let _ = writeln!(self.0, "# HELP {name} {}\n# TYPE {name} {}", metric.help, metric.kind.as_str());
        }
        self
    }

    /// The labels' values are our own words.
    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl std::fmt::Display) {
        self.0.push_str(name);
        for (at, (label, word)) in labels.iter().enumerate() {
            let _ = write!(self.0, "{}{label}=\"{word}\"", if at == 0 { '{' } else { ',' });
        }
        let _ = writeln!(self.0, "{} {value}", if labels.is_empty() { "" } else { "}" });
    }

    fn one(&mut self, name: &str, value: impl std::fmt::Display) {
        self.head(name).sample(name, &[], value);
    }

    fn counted(&mut self, counted: &Counted) {
        self.head(list::TRANSFERS);
        for ((_, stage), count) in STAGES.iter().zip(counted.stages) {
            self.sample(list::TRANSFERS, &[("stage", stage)], count);
        }
        self.head(list::FAILING);
        for (connector, (failing, _)) in &counted.troubled {
            self.sample(list::FAILING, &[("connector", connector)], failing);
        }
        self.head(list::STALLED);
        for (connector, (_, stalled)) in &counted.troubled {
            self.sample(list::STALLED, &[("connector", connector)], stalled);
        }
    }

    fn of(&mut self, inner: &Inner) {
        self.one(list::READERS, inner.customers.readers());
        self.one(list::IN_MEMORY, inner.slots.len());
        self.one(list::UNDER_WAY, DELIVERIES - inner.deliveries.available_permits().min(DELIVERIES));
        self.head(list::HELD);
        for channel in interline_channels::CHANNELS {
            for (what, held) in (channel.holds)() {
                self.sample(list::HELD, &[("channel", channel.id), ("what", what)], held);
            }
        }
        self.head(list::BUILD).sample(list::BUILD, &[("version", env!("CARGO_PKG_VERSION"))], 1);
        self.one(list::STARTED_AT, inner.started_at / 1000);
    }

    /// What the kernel says of us; elsewhere than on Linux, nothing. Source: proc(5).
    fn of_process(&mut self) {
        let read = |file: &str| std::fs::read_to_string(format!("/proc/self/{file}")).unwrap_or_default();
        // Fields 14 and 15, in hundredths of a second; the name before them may hold spaces.
        let stat = read("stat");
        let fields: Vec<&str> =
            stat.rsplit_once(") ").map(|(_, after)| after.split(' ').collect()).unwrap_or_default();
        let ticks = |at: usize| fields.get(at).and_then(|field| field.parse::<u32>().ok());
        if let (Some(user), Some(system)) = (ticks(11), ticks(12)) {
            self.one(list::CPU, (f64::from(user) + f64::from(system)) / 100.0);
        }
        let status = read("status");
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let resident = resident.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
        if let Some(kib) = resident {
            self.one(list::MEMORY, kib * 1024);
        }
        if let Ok(files) = std::fs::read_dir("/proc/self/fd") {
            self.one(list::FILES, files.count());
        }
    }
}
