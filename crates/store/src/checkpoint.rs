//! SQLite's log is copied back into the file beside the writer, not by it.
//!
//! Left to itself, the commit that fills the log pays for copying all of it back: tens of milliseconds for everybody who
//! waits behind it. A passive checkpoint on a connection of its own takes no lock that a writer or reader waits for. The
//! writer keeps its own limit (`wal_autocheckpoint`) as a backstop, but finds nearly everything copied when it gets there.

use std::time::Duration;

use sqlx::Executor as _;
use tokio::task::JoinHandle;

use crate::db::{Db, Dialect};

/// How often. Small steps: what is copied is synced, and a long sync would hold up the writer's own.
const EVERY: Duration = Duration::from_millis(100);

/// Starts copying back. None for a database that does so itself. The task ends when it is aborted.
pub(crate) async fn start(db: &Db) -> Result<Option<JoinHandle<()>>, sqlx::Error> {
    if db.dialect != Dialect::Sqlite {
        return Ok(None);
    }
    let mut connection = db.writer().await?;
    Ok(Some(tokio::spawn(async move {
        let mut ticks = tokio::time::interval(EVERY);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            // With nothing to copy this costs a look at shared memory.
            if let Err(error) = connection.execute("PRAGMA wal_checkpoint(PASSIVE)").await {
                tracing::debug!(%error, "a checkpoint did not go through; the next one will");
            }
        }
    })))
}
