//! SQLite's log is copied back into the file beside the writer, not by it.
//!
//! Left to itself, the commit that fills the log pays for copying all of it back: tens of milliseconds for everybody who
//! waits behind it. A passive checkpoint on a connection of its own takes no lock that a writer or reader waits for. The
//! writer keeps its own limit (`wal_autocheckpoint`) as a backstop, but finds nearly everything copied when it gets there.

use std::time::Duration;

use tokio::task::JoinHandle;

use crate::db::{Db, Dialect};
use crate::sql::{self, Connection};

/// How often. Small steps: what is copied is synced, and a long sync would hold up the writer's own.
const EVERY: Duration = Duration::from_millis(100);

/// Starts copying back. None for a database that does so itself. The task ends when it is aborted.
pub(crate) async fn start(db: &Db) -> Result<Option<JoinHandle<()>>, sql::Error> {
    if db.dialect != Dialect::Sqlite {
        return Ok(None);
    }
    let Connection::Sqlite(mut file) = db.writer().await? else { return Ok(None) };
    Ok(Some(tokio::spawn(async move {
        let mut ticks = tokio::time::interval(EVERY);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            // With nothing to copy this costs a look at shared memory. With much it waits for the disk.
            let copying = tokio::task::spawn_blocking(move || {
                let copied = file.all("PRAGMA wal_checkpoint(PASSIVE)");
                (file, copied)
            });
            let Ok((back, copied)) = copying.await else { return };
            file = back;
            if let Err(error) = copied {
                tracing::debug!(%error, "a checkpoint did not go through; the next one will");
            }
        }
    })))
}
