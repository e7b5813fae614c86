//! Heartbeats and fences: which process is the node.

use std::sync::Arc;

use crate::Store;
use crate::error::Error;
use crate::sql;
use crate::task;

impl Store {
    /// Announces this process as the node `node_id` and gives its fencing number. A process that registered the same id
    /// before has a smaller number and is told so at its next [`beat`](Self::beat).
    pub async fn register_node(&self, node_id: &str, now: i64) -> Result<i64, Error> {
        let id: Arc<str> = node_id.into();
        let call = task::call(move |connection| {
            let id = id.to_string();
            Box::pin(async move {
                let row = sql::query(
                    "INSERT INTO node (id, fence, seen_at) VALUES ($1, 1, $2) \
                     ON CONFLICT (id) DO UPDATE SET fence = node.fence + 1, seen_at = excluded.seen_at \
                     RETURNING fence",
                )
                .bind(id)
                .bind(now)
                .fetch_one(connection)
                .await?;
                Ok(row.try_get::<i64>("fence")?)
            })
        });
        self.lanes().task("", node_id, call).await
    }

    /// Says that this process is alive. [`Error::Fenced`]: it is the node no more and must stop.
    pub async fn beat(&self, node_id: &str, fence: i64, now: i64) -> Result<(), Error> {
        let id: Arc<str> = node_id.into();
        let call = task::call(move |connection| {
            let id = id.to_string();
            Box::pin(async move {
                let changed = sql::query("UPDATE node SET seen_at = $3 WHERE id = $1 AND fence = $2")
                    .bind(id)
                    .bind(fence)
                    .bind(now)
                    .execute(connection)
                    .await?;
                Ok(changed.rows_affected())
            })
        });
        if self.lanes().task("", node_id, call).await? == 1 { Ok(()) } else { Err(Error::Fenced) }
    }
}
