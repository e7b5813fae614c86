//! Time as the engine sees it: the system's, or a faster one, so that a test need not wait a minute to see what comes
//! of a minute. Every wait and every "now" of the engine goes through here.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use interline_core::Time;

/// The engine's clock. Copies show the same time.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    /// For a faster one: when it began, on both clocks.
    began: Option<(i64, Instant)>,
    speed: u32,
}

impl Clock {
    /// The system's.
    pub fn system() -> Self {
        Self { began: None, speed: 1 }
    }

    /// One on which `speed` seconds pass in each second, from now on. For tests.
    pub fn faster(speed: u32) -> Self {
        Self { began: Some((system_ms(), Instant::now())), speed: speed.max(1) }
    }

    /// Now.
    pub fn now(&self) -> Time {
        Time(match self.began {
            None => system_ms(),
            Some((from, began)) => from + ms(began.elapsed() * self.speed),
        })
    }

    pub(crate) async fn sleep(&self, time: Duration) {
        tokio::time::sleep(time / self.speed).await;
    }

    /// None: it took longer than `time`.
    pub(crate) async fn within<T>(&self, time: Duration, work: impl Future<Output = T>) -> Option<T> {
        tokio::time::timeout(time / self.speed, work).await.ok()
    }
}

fn system_ms() -> i64 {
    ms(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default())
}

fn ms(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}
