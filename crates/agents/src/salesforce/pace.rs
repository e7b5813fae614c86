//! A vendor's "so many within so long", kept by us: the vendor may count in any window of that length.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

/// What went out within the window.
#[derive(Debug)]
pub(super) struct Window {
    most: usize,
    length: Duration,
    taken: VecDeque<Instant>,
}

impl Window {
    /// At most `most` within any `length`.
    pub fn new(most: usize, length: Duration) -> Self {
        Self { most: most.max(1), length, taken: VecDeque::new() }
    }

    /// Takes a place. Else: when there is one.
    ///
    /// # Errors
    /// The moment from which on it is worth asking again.
    pub fn take(&mut self) -> Result<(), Instant> {
        let now = Instant::now();
        while self.taken.front().is_some_and(|first| now.duration_since(*first) >= self.length) {
            self.taken.pop_front();
        }
        match self.taken.front() {
            Some(first) if self.taken.len() >= self.most => Err(*first + self.length),
            _ => {
                self.taken.push_back(now);
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn no_window_holds_more() {
        let mut window = Window::new(3, Duration::from_secs(30));
        let begin = Instant::now();
        let mut taken = Vec::new();
        for _ in 0..10 {
            while let Err(free) = window.take() {
                tokio::time::sleep_until(free).await;
            }
            taken.push(begin.elapsed().as_secs());
            tokio::time::advance(Duration::from_secs(1)).await;
        }
        assert_eq!(taken, [0, 1, 2, 30, 31, 32, 60, 61, 62, 90]);
    }
}
