//! A vendor's rate limit, kept by us: words wait for their turn, what may be lost gives way first.

use std::num::NonZeroU32;
use std::sync::Mutex;
use std::time::Duration;

use governor::clock::DefaultClock;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use tokio::time::Instant;

/// So many requests a minute, shared by everybody who holds it.
pub struct Pacer {
    limiter: RateLimiter<NotKeyed, InMemoryState, DefaultClock>,
    /// What may be lost has a third of it at most, so that words find room.
    lossy: RateLimiter<NotKeyed, InMemoryState, DefaultClock>,
    /// The vendor asked for a pause until then.
    paused: Mutex<Option<Instant>>,
}

impl Pacer {
    /// At most `per_minute` requests a minute, of which `burst` may come at once.
    pub fn new(per_minute: NonZeroU32, burst: NonZeroU32) -> Self {
        let third = NonZeroU32::new(per_minute.get() / 3).unwrap_or(NonZeroU32::MIN);
        let small = NonZeroU32::new(burst.get() / 3).unwrap_or(NonZeroU32::MIN);
        Self {
            limiter: RateLimiter::direct(Quota::per_minute(per_minute).allow_burst(burst)),
            lossy: RateLimiter::direct(Quota::per_minute(third).allow_burst(small)),
            paused: Mutex::new(None),
        }
    }

    /// Waits for its turn: for what must not be lost. Safe to drop.
    pub async fn turn(&self) {
        loop {
            let until = self.paused_until();
            match until.filter(|until| *until > Instant::now()) {
                Some(until) => tokio::time::sleep_until(until).await,
                None => break,
            }
        }
        self.limiter.until_ready().await;
    }

    /// Whether there is room now: for what may be lost, typing before all.
    pub fn has_room(&self) -> bool {
        let paused = self.paused_until().is_some_and(|until| until > Instant::now());
        !paused && self.lossy.check().is_ok() && self.limiter.check().is_ok()
    }

    /// The vendor asked for a pause (429 with `Retry-After`): nobody asks before.
    pub fn pause(&self, time: Duration) {
        let until = Instant::now() + time;
        if let Ok(mut paused) = self.paused.lock() {
            *paused = Some(paused.map_or(until, |known| known.max(until)));
        }
    }

    fn paused_until(&self) -> Option<Instant> {
        self.paused.lock().ok().and_then(|paused| *paused)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pacer(per_minute: u32, burst: u32) -> Pacer {
        let number = |n| NonZeroU32::new(n).expect("not zero");
        Pacer::new(number(per_minute), number(burst))
    }

    #[tokio::test]
    async fn what_may_be_lost_leaves_room_for_words() {
        let pacer = pacer(60, 9);
        let typed = (0..20).filter(|_| pacer.has_room()).count();
        assert_eq!(typed, 3, "a third of the burst");
        // Six are left for words, at once.
        for _ in 0..6 {
            tokio::time::timeout(Duration::from_millis(500), pacer.turn()).await.expect("room for words");
        }
        assert!(!pacer.has_room());
    }

    #[tokio::test]
    async fn a_pause_is_for_everybody() {
        let pacer = pacer(6_000, 100);
        pacer.pause(Duration::from_secs(3_600));
        assert!(!pacer.has_room());
        let turn = tokio::time::timeout(Duration::from_millis(50), pacer.turn()).await;
        assert!(turn.is_err(), "it did not wait");
    }
}
