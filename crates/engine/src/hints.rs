//! Hints between the parts of a node, and later between nodes: "something changed there, look".
//!
//! A hint carries no content. Losing, doubling or reordering one costs latency, never correctness: whoever gets it reads
//! the truth from its own last position, and `timers.rs` looks through the database for what nobody told.

use interline_core::{AppId, ConversationId, CustomerId, ParticipantNo};
use tokio::sync::broadcast;

/// Something changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct About {
    /// The tenant.
    pub app: AppId,
    /// The conversation.
    pub conversation: ConversationId,
    /// The customer, when there is something for them to see.
    pub customer: Option<CustomerId>,
    /// Participants that have something to hear.
    pub due: Vec<ParticipantNo>,
}

/// A bus for hints.
pub trait Hints: Send + Sync + 'static {
    /// Tells everybody, this node included. Never waits.
    fn tell(&self, about: About);
    /// What is told from now on.
    fn listen(&self) -> broadcast::Receiver<About>;
}

/// The bus of a single node.
#[derive(Debug)]
pub struct InProcess(broadcast::Sender<About>);

impl Default for InProcess {
    fn default() -> Self {
        Self(broadcast::channel(8192).0)
    }
}

impl Hints for InProcess {
    fn tell(&self, about: About) {
        // Nobody listens while starting and stopping; the database is looked through then.
        let _ = self.0.send(about);
    }

    fn listen(&self) -> broadcast::Receiver<About> {
        self.0.subscribe()
    }
}
