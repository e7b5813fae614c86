//! How fast a socket may talk: a bucket that fills by itself.

use tokio::time::Instant;

/// A token bucket.
#[derive(Debug)]
pub(super) struct Pace {
    per_second: f64,
    burst: f64,
    left: f64,
    at: Instant,
}

impl Pace {
    pub fn new(per_second: f64, burst: u32, now: Instant) -> Self {
        let burst = f64::from(burst);
        Self { per_second, burst, left: burst, at: now }
    }

    /// Takes one. False: too fast.
    pub fn take(&mut self, now: Instant) -> bool {
        let gained = now.saturating_duration_since(self.at).as_secs_f64() * self.per_second;
        self.at = now;
        self.left = (self.left + gained).min(self.burst);
        let enough = self.left >= 1.0;
        if enough {
            self.left -= 1.0;
        }
        enough
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_burst_and_then_the_rate() {
        let start = Instant::now();
        let mut pace = Pace::new(2.0, 3, start);
        assert!((0..3).all(|_| pace.take(start)));
        assert!(!pace.take(start));
        assert!(pace.take(start + Duration::from_millis(600)));
        assert!(!pace.take(start + Duration::from_millis(700)));
        let late = start + Duration::from_secs(60);
        assert_eq!((0..9).filter(|_| pace.take(late)).count(), 3);
    }
}
