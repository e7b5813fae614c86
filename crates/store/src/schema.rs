//! The schema and its version.
//!
//! One directory of migrations serves both databases. A migration that was released is never edited: the next change
//! is the next file. A database that is newer than the program is refused before anything is touched.

use sqlx::migrate::{MigrateError, Migrator};
use sqlx::{AnyConnection, Connection as _, Row as _};

use crate::db::{self, Dialect};
use crate::error::OpenError;

static MIGRATIONS: Migrator = sqlx::migrate!("./migrations");

/// The newest schema version this program knows.
pub fn known_version() -> u64 {
    MIGRATIONS.iter().map(|migration| migration.version.unsigned_abs()).max().unwrap_or(0)
}

/// Brings the database at `url` up to date and gives its version. Two programs may do it at once on PostgreSQL (the
/// migrator takes an advisory lock); on SQLite `serve` locks its data directory.
pub(crate) async fn migrate(url: &str) -> Result<u64, OpenError> {
    let dialect = Dialect::of(url)?;
    let options = db::options(url, dialect)?;
    let mut connection =
        db::connect(&options, dialect).await.map_err(|error| OpenError::Database(error.to_string()))?;
    let known = known_version();
    let outcome = bring_up(&mut connection, known).await;
    let _ = connection.close().await;
    outcome.map(|()| known)
}

async fn bring_up(connection: &mut AnyConnection, known: u64) -> Result<(), OpenError> {
    let found = stored_version(connection).await;
    if found > known {
        return Err(OpenError::NewerSchema { found, known });
    }
    MIGRATIONS.run(connection).await.map_err(|error| match error {
        MigrateError::VersionMissing(found) => OpenError::NewerSchema { found: found.unsigned_abs(), known },
        other => OpenError::Migrate(other.to_string()),
    })
}

/// The version in the database; 0 for an empty one. An error here means that the migrator's table is missing: whatever
/// else is wrong, the migrator meets it again a moment later and reports it.
async fn stored_version(connection: &mut AnyConnection) -> u64 {
    sqlx::query("SELECT coalesce(max(version), 0) AS version FROM _sqlx_migrations")
        .fetch_one(connection)
        .await
        .and_then(|row| row.try_get::<i64, _>("version"))
        .map_or(0, i64::unsigned_abs)
}
