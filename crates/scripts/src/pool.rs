//! The threads that run scripts.
//!
//! As many as the machine has cores, and a queue before them. A script cannot be taken off its thread, so when one does
//! not come back (a single operation of the interpreter that takes for ever), the watcher answers in its place and
//! another thread takes its seat: no other conversation waits for it.

use std::collections::{BTreeMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use interline_core::flow::script::{Answer, Call, Limit, Why};
use tokio::sync::oneshot;

use crate::{fault, run};

/// How long the threads may take.
#[derive(Clone, Copy)]
struct Patience {
    /// After this a script is stopped wherever the interpreter looks up from its work.
    stop: Duration,
    /// After this it is given up.
    give_up: Duration,
    /// So long a call waits for a thread.
    wait: Duration,
}

const PATIENCE: Patience =
    Patience { stop: Duration::from_secs(2), give_up: Duration::from_secs(4), wait: Duration::from_secs(10) };

/// So many calls may wait.
const MOST_WAITING: usize = 1_000;
/// So many threads may be lost before no new one takes a seat: what they do costs a core each.
const MOST_LOST: usize = 8;

/// Runs scripts. Dropping it ends its threads.
pub struct Scripts {
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    /// There is something to run, or it is over.
    work: Condvar,
    /// There is something to watch, or it is over.
    watch: Condvar,
    patience: Patience,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Job>,
    /// By the number of the run.
    running: BTreeMap<u64, Job>,
    runs: u64,
    /// The scripts that hold a thread we have given up, one for each such thread. They are not run again: a script in
    /// everybody's way would take one thread after the other.
    lost: Vec<Arc<str>>,
    over: bool,
}

struct Job {
    call: Arc<Call>,
    answer: oneshot::Sender<Answer>,
    /// Since when it waits; then, since when it runs.
    since: Instant,
}

impl Scripts {
    /// A pool with a thread for each core.
    ///
    /// # Errors
    /// When the system gives no threads.
    pub fn new() -> std::io::Result<Self> {
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        Self::with(cores, PATIENCE)
    }

    fn with(threads: usize, patience: Patience) -> std::io::Result<Self> {
        let shared = Arc::new(Shared {
            state: Mutex::default(),
            work: Condvar::new(),
            watch: Condvar::new(),
            patience,
        });
        let scripts = Self { shared };
        for _ in 0..threads.max(1) {
            spawn("script", &scripts.shared, Shared::work)?;
        }
        spawn("script-watch", &scripts.shared, Shared::watch)?;
        Ok(scripts)
    }

    /// Runs a call. It always answers, with a fault if there is nothing better; the longest it can take is the time in
    /// the queue (10 s) and 4 s for the script.
    ///
    /// No timer of the caller's runtime is involved, so a test may hold its clock.
    pub async fn run(&self, call: Call) -> Answer {
        let call = Arc::new(call);
        let busy = || Answer::Failed(fault::fault(&call, None, Why::Busy, "too many scripts are waiting"));
        let (answer, answered) = oneshot::channel();
        {
            let mut state = self.shared.lock();
            if state.lost.contains(&call.source) {
                return Answer::Failed(fault::limit(&call, None, Limit::Time));
            }
            if state.waiting.len() >= MOST_WAITING {
                return busy();
            }
            state.waiting.push_back(Job { call: call.clone(), answer, since: Instant::now() });
        }
        self.shared.work.notify_one();
        self.shared.watch.notify_one();
        answered.await.unwrap_or_else(|_| busy())
    }
}

impl Drop for Scripts {
    fn drop(&mut self) {
        self.shared.lock().over = true;
        self.shared.work.notify_all();
        self.shared.watch.notify_all();
    }
}

fn spawn(name: &str, shared: &Arc<Shared>, run: fn(&Arc<Shared>)) -> std::io::Result<()> {
    let shared = shared.clone();
    let thread = std::thread::Builder::new().name(name.into()).stack_size(run::THREAD_STACK);
    thread.spawn(move || run(&shared)).map(drop)
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Nobody panics with the state in hand.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a thread does.
    fn work(self: &Arc<Self>) {
        while let Some((run, call)) = self.next() {
            let until = Instant::now() + self.patience.stop;
            let answer = catch_unwind(AssertUnwindSafe(|| run::run(&call, until)));
            let answer = answer.unwrap_or_else(|_| {
                tracing::error!(flow = call.flow, node = %call.node, "the script engine panicked");
                Answer::Failed(fault::fault(&call, None, Why::Internal, "the script engine failed"))
            });
            let mut state = self.lock();
            match state.running.remove(&run) {
                // Whoever asked may be gone; then nobody needs to know.
                Some(job) => _ = job.answer.send(answer),
                // Given up meanwhile, and another thread has the seat.
                None => {
                    if let Some(at) = state.lost.iter().position(|lost| *lost == call.source) {
                        state.lost.swap_remove(at);
                    }
                    return;
                }
            }
        }
    }

    /// The next call; none when it is over.
    fn next(&self) -> Option<(u64, Arc<Call>)> {
        let mut state = self.lock();
        loop {
            if state.over {
                return None;
            }
            if let Some(mut job) = state.waiting.pop_front() {
                state.runs += 1;
                let (run, call) = (state.runs, job.call.clone());
                job.since = Instant::now();
                state.running.insert(run, job);
                self.watch.notify_one();
                return Some((run, call));
            }
            state = self.work.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// What the watcher does: answers for those that do not come back.
    fn watch(self: &Arc<Self>) {
        let mut state = self.lock();
        while !state.over {
            let now = Instant::now();
            while state.waiting.front().is_some_and(|job| now >= job.since + self.patience.wait) {
                // Dropping the job tells the caller.
                state.waiting.pop_front();
            }
            let late = |(_, job): &(&u64, &Job)| now >= job.since + self.patience.give_up;
            // The oldest run has the lowest number.
            let oldest = state.running.iter().next().filter(late).map(|(run, _)| *run);
            if let Some(job) = oldest.and_then(|run| state.running.remove(&run)) {
                self.give_up(&mut state, job);
                continue;
            }
            let running = state.running.values().next().map(|job| job.since + self.patience.give_up);
            let waiting = state.waiting.front().map(|job| job.since + self.patience.wait);
            state = match running.into_iter().chain(waiting).min() {
                Some(next) => {
                    let pause = next.saturating_duration_since(now);
                    self.watch.wait_timeout(state, pause).unwrap_or_else(PoisonError::into_inner).0
                }
                None => self.watch.wait(state).unwrap_or_else(PoisonError::into_inner),
            };
        }
        // Whoever still waits is told; whoever runs is answered by its thread.
        state.waiting.clear();
    }

    fn give_up(self: &Arc<Self>, state: &mut State, job: Job) {
        let Job { call, answer, .. } = job;
        state.lost.push(call.source.clone());
        let lost = state.lost.len();
        tracing::error!(flow = call.flow, node = %call.node, lost, "a script does not come back");
        if lost <= MOST_LOST
            && let Err(error) = spawn("script", self, Self::work)
        {
            tracing::error!(%error, "no thread for scripts");
        }
        _ = answer.send(Answer::Failed(fault::limit(&call, None, Limit::Time)));
    }
}

#[cfg(test)]
mod tests;
