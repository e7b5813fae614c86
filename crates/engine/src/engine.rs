//! The engine as a whole: what it holds, how it starts.

use std::sync::Arc;
use std::time::Duration;

use interline_store::Store;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Instrument as _;
use url::Url;

use crate::clock::Clock;
use crate::config::Apps;
use crate::customers::Customers;
use crate::files::{Desk, Storage};
use crate::hints::Hints;
use crate::ingress::Trouble;
use crate::kept::Kept;
use crate::live::{Slot, Slots};
use crate::marks::Marks;
use crate::observe;
use crate::pinned::Pinned;
use crate::scripts::Scripts;
use crate::setups::Setups;
use crate::timers::Timers;
use crate::watch::Watch;

/// What an engine needs.
pub struct Settings {
    /// The system of record.
    pub store: Store,
    /// The apps to serve.
    pub apps: Arc<Apps>,
    /// Where the outside reaches us. It has no path.
    pub public_url: Url,
    /// This node's name.
    pub node: String,
    /// The bus for hints.
    pub hints: Arc<dyn Hints>,
    /// Where the bytes of files are.
    pub files: Storage,
    /// Who runs the scripts of flows.
    pub scripts: Arc<dyn Scripts>,
}

/// A running engine. Cheap to clone.
#[derive(Clone)]
pub struct Engine {
    pub(crate) inner: Arc<Inner>,
}

/// What the parts of the engine share.
pub(crate) struct Inner {
    pub store: Store,
    pub apps: Arc<Apps>,
    pub public_url: Url,
    pub node: String,
    /// Our fencing number: a later start under the same node name gets a higher one.
    pub fence: i64,
    pub hints: Arc<dyn Hints>,
    pub clock: Clock,
    pub slots: Slots,
    pub customers: Customers,
    pub marks: Marks,
    pub watch: Watch,
    pub timers: Timers,
    pub pinned: Pinned,
    /// What the database said when metrics were last asked for.
    pub counted: observe::Cache,
    /// Who runs the scripts of flows.
    pub scripts: Arc<dyn Scripts>,
    /// The flows that conversations began with.
    pub kept: Kept,
    /// Agent systems with settings of scripts.
    pub setups: Setups,
    /// Files under way.
    pub files: Desk,
    /// Milliseconds since 1970 UTC.
    pub started_at: i64,
    /// So many deliveries may be under way at a time.
    pub deliveries: Arc<Semaphore>,
    /// So many looks of our own into the store may be under way at a time: after an outage a hundred thousand are due at
    /// once, and whoever waits for an answer must not stand in line behind them.
    pub looks: Semaphore,
    /// Tasks with work in hand: a stop waits for them.
    pub tasks: TaskTracker,
    /// Tasks that only watch: a stop ends them.
    pub stop: CancellationToken,
}

/// So many deliveries may be under way at a time on one node.
pub(crate) const DELIVERIES: usize = 4096;
/// How often idle conversations are dropped from memory.
const SWEEP: Duration = Duration::from_secs(15);
/// How often this node says that it lives.
const HEARTBEAT: Duration = Duration::from_secs(5);
/// How often closed conversations past their retention are erased.
const RETENTION: Duration = Duration::from_secs(60);
/// How often uploads that were given up are deleted.
const UPLOADS: Duration = Duration::from_secs(3600);
/// How often flows that no conversation keeps any more are deleted.
const FLOW_SETS: Duration = Duration::from_secs(600);

impl Engine {
    /// Starts: registers the node and takes up what an earlier run left over.
    ///
    /// # Errors
    /// When the store cannot be used.
    pub async fn start(settings: Settings) -> Result<Engine, Trouble> {
        Self::start_at(settings, Clock::system()).await
    }

    /// [`Engine::start`] with another clock, for tests.
    ///
    /// # Errors
    /// When the store cannot be used.
    pub async fn start_at(settings: Settings, clock: Clock) -> Result<Engine, Trouble> {
        let Settings { store, apps, public_url, node, hints, files, scripts } = settings;
        observe::begin();
        // Half of what the store can do: the other half is for whoever waits for an answer.
        let looks = (store.reads() / 2).max(1);
        let fence = store.register_node(&node, clock.now().0).await?;
        let inner = Arc::new(Inner {
            store,
            fence,
            apps,
            public_url,
            node,
            hints,
            clock,
            slots: Slots::default(),
            customers: Customers::default(),
            marks: Marks::default(),
            watch: Watch::default(),
            timers: Timers::default(),
            pinned: Pinned::default(),
            counted: observe::Cache::default(),
            scripts,
            kept: Kept::default(),
            setups: Setups::default(),
            files: Desk::new(files),
            started_at: clock.now().0,
            deliveries: Arc::new(Semaphore::new(DELIVERIES)),
            looks: Semaphore::new(looks),
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
        });
        // Listening begins here and not in the task: what is told before the task runs would be lost.
        let told = inner.hints.listen();
        inner.clone().watch(|inner| inner.follow_hints(told));
        inner.clone().watch(Inner::look_through);
        inner.clone().watch(Inner::flush_marks);
        inner.clone().watch(Inner::retire);
        inner.clone().watch(Inner::listen_for_all);
        inner.clone().watch(|inner| async move { inner.every(SWEEP, Inner::forget_idle).await });
        inner.clone().watch(|inner| async move { inner.every(HEARTBEAT, Inner::beat).await });
        inner.clone().watch(|inner| async move { inner.every(RETENTION, Inner::erase_old).await });
        inner.clone().watch(|inner| async move { inner.every(UPLOADS, Inner::sweep_old_parts).await });
        inner.clone().watch(|inner| async move { inner.every(FLOW_SETS, Inner::sweep_old_flows).await });
        let engine = Engine { inner };
        let host = Arc::new(engine.clone());
        engine.inner.clone().watch(|inner| inner.serve_all(host));
        Ok(engine)
    }

    /// How many conversations are in memory.
    pub fn in_memory(&self) -> usize {
        self.inner.slots.len()
    }

    /// Whether the store answers.
    ///
    /// # Errors
    /// When it does not.
    pub async fn ready(&self) -> Result<(), Trouble> {
        self.inner.store.next_due().await?;
        Ok(())
    }
}

impl Inner {
    /// Milliseconds since 1970 UTC.
    pub(crate) fn now(&self) -> interline_core::Time {
        self.clock.now()
    }

    /// A random number. Should the system have none, the time must do: seeds only pick variants and spread retries.
    pub(crate) fn random(&self) -> u64 {
        getrandom::u64().unwrap_or_else(|_| self.now().0.unsigned_abs())
    }

    /// A place among those that look into the store for our own ends. None: the conversation is in memory, and needs none.
    pub(crate) async fn look_for(&self, slot: &Slot) -> Option<SemaphorePermit<'_>> {
        // Whoever holds it has loaded it, or is about to.
        let is_loaded = slot.live.try_lock().map_or(true, |live| live.is_some());
        if is_loaded { None } else { self.looks.acquire().await.ok() }
    }

    /// Runs a task that only watches.
    fn watch<F: Future<Output = ()> + Send + 'static>(self: Arc<Self>, task: impl FnOnce(Arc<Self>) -> F) {
        let stop = self.stop.clone();
        let task = task(self);
        tokio::spawn(async move { stop.run_until_cancelled_owned(task).await });
    }

    async fn every(self: &Arc<Self>, period: Duration, work: impl AsyncFn(&Arc<Self>)) {
        loop {
            self.clock.sleep(period).await;
            work(self).await;
        }
    }

    async fn forget_idle(self: &Arc<Self>) {
        self.slots.sweep();
        self.customers.sweep();
        self.tidy_metrics();
    }

    async fn beat(self: &Arc<Self>) {
        match self.store.beat(&self.node, self.fence, self.now().0).await {
            Ok(()) => {}
            Err(interline_store::Error::Fenced) => {
                tracing::error!(
                    node = self.node,
                    "another process runs under this node's name: this one stops"
                );
                self.stop.cancel();
            }
            Err(error) => tracing::warn!(%error, "the heartbeat was not written"),
        }
    }

    async fn erase_old(self: &Arc<Self>) {
        if let Err(error) = self.store.sweep(self.now().0, 500).await {
            tracing::warn!(%error, "what is past its retention was not erased");
        }
        self.sweep_files().await;
    }

    async fn sweep_old_flows(self: &Arc<Self>) {
        self.sweep_flow_sets().await;
    }

    async fn sweep_old_parts(self: &Arc<Self>) {
        self.sweep_parts().await;
    }

    /// Does `work` to its end, also when whoever asked for it goes away (a client hangs up), and also before a stop. None: it
    /// panicked.
    pub(crate) async fn surely<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Option<T> {
        self.tasks.spawn(work.in_current_span()).await.ok()
    }
}
