//! What changes in conversations, for live views. Nothing is computed while nobody watches, and a watcher that is too slow
//! misses some and is told so.

use interline_core::transfer::Stage;
use interline_core::{AppId, ConversationId, CustomerId, IntegrationName, Owner, Seq, TransferNo};
use tokio::sync::broadcast;

use crate::engine::Engine;
use crate::live::Live;

/// A watcher that is so many changes behind misses some.
const BEHIND: usize = 1024;

/// A conversation changed. It says how it stands now, not what was said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The tenant.
    pub app: AppId,
    /// The conversation.
    pub conversation: ConversationId,
    /// Whose it is.
    pub customer: CustomerId,
    /// By which channel.
    pub channel: IntegrationName,
    /// Who owns it.
    pub owner: Owner,
    /// Where its live transfer stands.
    pub transfer: Option<(TransferNo, Stage)>,
    /// The last entry of its log.
    pub head: Seq,
    /// A participant's last delivery failed.
    pub failing: bool,
}

/// Who watches.
#[derive(Debug)]
pub(crate) struct Watch(broadcast::Sender<Change>);

impl Default for Watch {
    fn default() -> Self {
        Self(broadcast::channel(BEHIND).0)
    }
}

impl Watch {
    /// Tells whoever watches.
    pub fn tell(&self, live: &Live) {
        if self.0.receiver_count() == 0 {
            return;
        }
        let state = &live.state;
        // Nobody may have stayed in the meantime.
        let _ = self.0.send(Change {
            app: state.app.clone(),
            conversation: state.id.clone(),
            customer: state.customer.id.clone(),
            channel: state.customer.channel.clone(),
            owner: state.owner,
            transfer: state.transfer.as_ref().map(|transfer| (transfer.no, transfer.stage)),
            head: state.head,
            failing: live.rows.values().any(|row| !row.row.done && row.row.failing_since.is_some()),
        });
    }
}

impl Engine {
    /// What changes from now on, in all apps: whoever asks takes its own.
    pub fn changes(&self) -> broadcast::Receiver<Change> {
        self.inner.watch.0.subscribe()
    }
}
