//! One phase: what was sent, what arrived, when. A message carries its phase, its speaker, its number and the time at
//! which it was due, so whoever hears it knows how late it is.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;

use crate::Steady;

/// Makes a message of about a hundred characters, as people write them.
const FILLER: &str = "and so the words of a line of ordinary length, as people write them";

/// Where messages arrive, whatever the phase.
pub struct Meter {
    epoch: Instant,
    current: RwLock<Arc<Phase>>,
}

/// A phase.
pub struct Phase {
    no: u64,
    sent: AtomicU64,
    arrived: AtomicU64,
    /// Per speaker: the last number that arrived, so that a repeat does not count.
    last: Vec<AtomicU64>,
    /// Per speaker: how many more may be on their way.
    window: Vec<Semaphore>,
    lateness_us: Mutex<Vec<u32>>,
}

impl Meter {
    pub fn new() -> Arc<Self> {
        Arc::new(Self { epoch: Instant::now(), current: RwLock::new(Phase::new(0, 0, 0)) })
    }

    /// Begins the next phase.
    pub fn begin(&self, speakers: usize, window: usize) -> Arc<Phase> {
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        *current = Phase::new(current.no + 1, speakers, window);
        current.clone()
    }

    /// Microseconds of this run.
    pub fn now_us(&self) -> u64 {
        u64::try_from(self.epoch.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    /// The instant of `us`.
    pub fn at(&self, us: u64) -> tokio::time::Instant {
        (self.epoch + Duration::from_micros(us)).into()
    }

    /// A message was heard at its other end.
    pub fn heard(&self, text: &str) {
        let mut words = text.split(' ');
        if words.next() != Some("m") {
            return;
        }
        let mut number = || words.next().and_then(|word| word.parse::<u64>().ok()).unwrap_or(u64::MAX);
        let (no, speaker, count, due_us) = (number(), number(), number(), number());
        let phase = self.current.read().unwrap_or_else(PoisonError::into_inner).clone();
        let speaker = usize::try_from(speaker).unwrap_or(usize::MAX);
        let Some(last) = phase.last.get(speaker).filter(|_| phase.no == no) else { return };
        if last.fetch_max(count, Ordering::Relaxed) >= count {
            return;
        }
        phase.arrived.fetch_add(1, Ordering::Relaxed);
        phase.window[speaker].add_permits(1);
        let late = u32::try_from(self.now_us().saturating_sub(due_us)).unwrap_or(u32::MAX);
        phase.lateness_us.lock().unwrap_or_else(PoisonError::into_inner).push(late);
    }
}

impl Phase {
    fn new(no: u64, speakers: usize, window: usize) -> Arc<Self> {
        Arc::new(Self {
            no,
            sent: AtomicU64::new(0),
            arrived: AtomicU64::new(0),
            last: (0..speakers).map(|_| AtomicU64::new(0)).collect(),
            window: (0..speakers).map(|_| Semaphore::new(window)).collect(),
            lateness_us: Mutex::default(),
        })
    }

    /// The words of a message; counts it as sent. Numbers begin at 1.
    pub fn words(&self, speaker: usize, count: u64, due_us: u64) -> String {
        self.sent.fetch_add(1, Ordering::Relaxed);
        format!("m {} {speaker} {count} {due_us} {FILLER}", self.no)
    }

    /// Waits for a place on the way; false when the phase is over.
    pub async fn place(&self, speaker: usize, end: tokio::time::Instant) -> bool {
        match tokio::time::timeout_at(end, self.window[speaker].acquire()).await {
            Ok(Ok(place)) => {
                place.forget();
                true
            }
            Ok(Err(_)) | Err(_) => false,
        }
    }

    /// So many speak.
    pub fn speakers(&self) -> usize {
        self.last.len()
    }

    /// So many arrived.
    pub fn arrived(&self) -> u64 {
        self.arrived.load(Ordering::Relaxed)
    }

    /// Waits until everything has arrived, or until it will not.
    pub async fn drained(&self) {
        let begin = Instant::now();
        while self.arrived() < self.sent.load(Ordering::Relaxed) && begin.elapsed() < Duration::from_secs(20)
        {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// What a steady phase showed.
    pub fn steady(&self, per_second: u64) -> Steady {
        let mut late = std::mem::take(&mut *self.lateness_us.lock().unwrap_or_else(PoisonError::into_inner));
        let (p50, p99) = (at(&mut late, 50), at(&mut late, 99));
        Steady { per_second, p50, p99, sent: self.sent.load(Ordering::Relaxed), arrived: self.arrived() }
    }
}

/// A percentile of microseconds.
pub fn at(us: &mut [u32], percent: usize) -> Duration {
    us.sort_unstable();
    let place = us.len().saturating_sub(1) * percent / 100;
    Duration::from_micros(us.get(place).copied().unwrap_or(0).into())
}
