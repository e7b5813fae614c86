//! SQLite's log is copied back into the file beside the writer, not by it.
//!
//! Left to itself, the commit that fills the log pays for copying all of it back: tens of milliseconds for everybody who
//! waits behind it. A passive checkpoint on a connection of its own takes no lock that a writer or reader waits for. The
//! writer keeps its own limit (`wal_autocheckpoint`) as a backstop, but finds nearly everything copied when it gets there.

use std::time::{Duration, Instant};

use tokio::task::JoinHandle;

use crate::db::{Db, Dialect};
use crate::sql::{self, Connection, File};

/// How often the log is looked at.
const EVERY: Duration = Duration::from_millis(100);
/// So many pages (of 4 kB) are worth it. Small steps: what is copied is synced, and a long sync would hold up the writer's own.
const ENOUGH: i64 = 256;
/// Fewer wait so long: a log that was copied begins anew, and its first commit is synced twice.
const PATIENCE: Duration = Duration::from_secs(5);

/// Starts copying back. None for a database that does so itself. The task ends when it is aborted.
pub(crate) async fn start(db: &Db) -> Result<Option<JoinHandle<()>>, sql::Error> {
    if db.dialect != Dialect::Sqlite {
        return Ok(None);
    }
    let Connection::Sqlite(mut file) = db.writer().await? else { return Ok(None) };
    Ok(Some(tokio::spawn(async move {
        let mut ticks = tokio::time::interval(EVERY);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut last = Instant::now();
        loop {
            ticks.tick().await;
            if !is_worth_it(&mut file, last.elapsed()) {
                continue;
            }
            // It waits for the disk.
            let copying = tokio::task::spawn_blocking(move || {
                let copied = file.all("PRAGMA wal_checkpoint(PASSIVE)");
                (file, copied)
            });
            let Ok((back, copied)) = copying.await else { return };
            (file, last) = (back, Instant::now());
            if let Err(error) = copied {
                tracing::debug!(%error, "a checkpoint did not go through; the next one will");
            }
        }
    })))
}

/// Whether enough waits to be copied, or it has waited long enough. A look at shared memory.
fn is_worth_it(file: &mut File, since: Duration) -> bool {
    let pages = pending(file).unwrap_or_else(|error| {
        tracing::debug!(%error, "what a checkpoint would copy is not known");
        ENOUGH
    });
    pages >= ENOUGH || (pages > 0 && since >= PATIENCE)
}

/// Pages of the log that were not copied yet.
fn pending(file: &mut File) -> Result<i64, sql::Error> {
    let answer = file.run("PRAGMA wal_checkpoint(NOOP)", &[])?;
    let row = answer.rows().first().ok_or(sql::Error::NoRow)?;
    Ok(row.try_get::<i64>("log")? - row.try_get::<i64>("checkpointed")?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn little_is_copied_late_and_much_at_once() {
        let folder = std::env::temp_dir().join(format!("interline_checkpoint_{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder");
        let path = folder.join("a.db");
        std::fs::write(&path, "").expect("a file");
        let mut file = File::open(&path, "PRAGMA journal_mode=WAL; CREATE TABLE t (a TEXT)").expect("opened");
        file.all("PRAGMA wal_checkpoint(TRUNCATE)").expect("emptied");
        assert!(!is_worth_it(&mut file, PATIENCE), "there is nothing");
        let insert = |file: &mut File, bytes: usize| {
            file.all(&format!("INSERT INTO t VALUES (hex(zeroblob({bytes})))")).expect("written");
        };
        insert(&mut file, 10);
        assert!(!is_worth_it(&mut file, Duration::ZERO));
        assert!(is_worth_it(&mut file, PATIENCE));
        insert(&mut file, 600_000);
        assert!(is_worth_it(&mut file, Duration::ZERO));
        file.all("PRAGMA wal_checkpoint(PASSIVE)").expect("copied");
        assert_eq!(pending(&mut file).expect("known"), 0);
        drop(file);
        std::fs::remove_dir_all(&folder).expect("removed");
    }
}
