//! Receipts of customers: two monotone marks per conversation, written now and then, the newest one only. Losing some is
//! harmless: a client that reconnects gets a few lines again and draws each once.

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use interline_connector::channel::Mark;
use interline_core::{CustomerId, Seq};
use tokio::task::JoinSet;

use crate::engine::Inner;
use crate::ingress::{Trouble, to_i64};
use crate::live::Key;

const FLUSH: Duration = Duration::from_millis(500);
/// So many are written side by side: the store puts them into one commit.
const TOGETHER: usize = 64;

/// Marks that were not written yet: delivered and read.
#[derive(Default)]
pub(crate) struct Marks(Mutex<HashMap<(Key, CustomerId), (i64, i64)>>);

impl Marks {
    fn map(&self) -> std::sync::MutexGuard<'_, HashMap<(Key, CustomerId), (i64, i64)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// Raises a mark. Clients name the conversation, so it is checked before it is written.
    pub(crate) fn mark(&self, key: Key, customer: &CustomerId, seq: Seq, mark: Mark) {
        let seq = to_i64(seq.0);
        let mut marks = self.marks.map();
        let (delivered, read) = marks.entry((key, customer.clone())).or_default();
        // What was read has arrived.
        *delivered = (*delivered).max(seq);
        if mark == Mark::Read {
            *read = (*read).max(seq);
        }
    }

    /// The mark as far as it is known here and not written yet.
    pub(crate) fn pending_delivered(&self, key: &Key, customer: &CustomerId) -> i64 {
        self.marks.map().get(&(key.clone(), customer.clone())).map_or(0, |(delivered, _)| *delivered)
    }

    pub(crate) async fn flush_marks(self: Arc<Self>) {
        loop {
            self.clock.sleep(FLUSH).await;
            self.flush_marks_now().await;
        }
    }

    pub(crate) async fn flush_marks_now(self: &Arc<Self>) {
        // What is not durable yet stays known here.
        let marks = self.marks.map().clone();
        let mut writing = JoinSet::new();
        for (whose, both) in marks {
            if writing.len() >= TOGETHER {
                writing.join_next().await;
            }
            let inner = self.clone();
            writing.spawn(async move {
                let written = inner.write_mark(&whose.0, &whose.1, both).await;
                if let Err(error @ Trouble::Store(_)) = written {
                    tracing::warn!(%error, "receipts were not written");
                    return;
                }
                let mut marks = inner.marks.map();
                if marks.get(&whose) == Some(&both) {
                    marks.remove(&whose);
                }
            });
        }
        while writing.join_next().await.is_some() {}
    }

    /// Nobody marks what is not theirs, nor what is not there yet.
    async fn write_mark(
        self: &Arc<Self>,
        key: &Key,
        customer: &CustomerId,
        (delivered, read): (i64, i64),
    ) -> Result<(), Trouble> {
        let slot = self.slots.get(key);
        let head = {
            let mut guard = slot.live.lock().await;
            self.load(&slot, &mut guard).await?;
            let live = guard.as_ref().filter(|live| live.state.customer.id == *customer);
            to_i64(live.ok_or(Trouble::Unknown)?.state.head.0)
        };
        let (delivered, read) = (delivered.min(head), read.min(head));
        let before = (
            slot.customer_marks[0].fetch_max(delivered, Ordering::Relaxed),
            slot.customer_marks[1].fetch_max(read, Ordering::Relaxed),
        );
        let (app, conversation) = (key.app.as_str(), key.conversation.as_str());
        self.store.mark(app, conversation, 0, delivered, read).await?;
        self.customer_reached(&slot, before, (delivered, read)).await
    }
}
