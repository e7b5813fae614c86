//! Calls that wait for their answer. How long the oldest of them waits says whether more calls come than can be answered.
//!
//! A count says it less well: a hundred calls that come in the same moment are answered in a moment, and ten that wait for a
//! database that is away are not.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Who waits longer than this soon gives up, and nobody is helped by more of them.
const LATE: Duration = Duration::from_secs(1);

/// An INVITE that the stack has not seen after 500 ms is sent again: there must be time left. A machine that stands still for
/// a moment should turn nobody away.
const UNSEEN: Duration = Duration::from_millis(300);

/// The calls that wait.
#[derive(Debug, Default)]
pub struct Queue(Mutex<Waiting>);

#[derive(Debug, Default)]
struct Waiting {
    next: u64,
    /// In the order in which they came.
    since: BTreeMap<u64, Instant>,
}

/// A call that waits, until it is dropped.
#[derive(Debug)]
pub struct Ticket {
    queue: Arc<Queue>,
    no: u64,
}

impl Queue {
    /// One more waits.
    pub fn wait(self: &Arc<Self>) -> Ticket {
        let mut waiting = self.waiting();
        let no = waiting.next;
        waiting.next += 1;
        waiting.since.insert(no, Instant::now());
        drop(waiting);
        Ticket { queue: self.clone(), no }
    }

    /// Whether calls are answered too late already, or will be: a message has waited so long for the stack.
    pub fn is_late(&self, unseen: Duration) -> bool {
        unseen > UNSEEN
            || self.waiting().since.first_key_value().is_some_and(|(_, since)| since.elapsed() > LATE)
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.queue.waiting().since.remove(&self.no);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_decides() {
        let queue = Arc::new(Queue::default());
        let (first, second) = (queue.wait(), queue.wait());
        assert!(!queue.is_late(UNSEEN) && queue.is_late(2 * UNSEEN));
        for since in queue.waiting().since.values_mut().take(1) {
            *since = Instant::now().checked_sub(2 * LATE).expect("the machine runs for longer");
        }
        assert!(queue.is_late(Duration::ZERO));
        drop(first);
        assert!(!queue.is_late(Duration::ZERO), "the others have not waited for long");
        drop(second);
        assert!(queue.waiting().since.is_empty());
    }
}
