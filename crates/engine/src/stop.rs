//! Stopping: no new work, work in hand is finished, sockets are told to reconnect.

use std::time::Duration;

use crate::engine::Engine;

/// Deliveries under way get so long to end. What is cut off is sent again with the same key after the restart.
const PATIENCE: Duration = Duration::from_secs(10);

impl Engine {
    /// Tells everybody who watches that it is over: sockets say good-bye, nothing new is dispatched.
    pub fn stop_taking(&self) {
        self.inner.stop.cancel();
    }

    /// [`Engine::stop_taking`], waits for work in hand, and closes the store.
    pub async fn stop(&self) {
        self.inner.stop.cancel();
        self.inner.tasks.close();
        if self.inner.clock.within(PATIENCE, self.inner.tasks.wait()).await.is_none() {
            tracing::warn!("some deliveries did not end in time; they will be repeated with the same key");
        }
        self.inner.flush_marks_now().await;
        self.inner.store.clone().close().await;
    }
}
