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

/// The version of the database at `url`, which is not changed; 0: there is none yet.
pub(crate) async fn version(url: &str) -> Result<u64, OpenError> {
    let dialect = Dialect::of(url)?;
    if dialect == Dialect::Sqlite && db::file(url).is_some_and(|path| !std::path::Path::new(path).exists()) {
        return Ok(0);
    }
    let database = |error: sqlx::Error| OpenError::Database(error.to_string());
    let options = db::options(url, dialect)?;
    let mut connection = db::connect(&options, dialect).await.map_err(database)?;
    let found = stored_version(&mut connection).await;
    let _ = connection.close().await;
    match found {
        Ok(version) => Ok(version),
        // The migrator's table is missing.
        Err(sqlx::Error::Database(_)) => Ok(0),
        Err(error) => Err(database(error)),
    }
}

async fn bring_up(connection: &mut AnyConnection, known: u64) -> Result<(), OpenError> {
    // An error here means that the migrator's table is missing: whatever else is wrong, the migrator meets it again a
    // moment later and reports it.
    let found = stored_version(connection).await.unwrap_or(0);
    if found > known {
        return Err(OpenError::NewerSchema { found, known });
    }
    MIGRATIONS.run(connection).await.map_err(|error| match error {
        MigrateError::VersionMissing(found) => OpenError::NewerSchema { found: found.unsigned_abs(), known },
        other => OpenError::Migrate(other.to_string()),
    })
}

/// The version that the migrator wrote down.
async fn stored_version(connection: &mut AnyConnection) -> Result<u64, sqlx::Error> {
    sqlx::query("SELECT coalesce(max(version), 0) AS version FROM _sqlx_migrations")
        .fetch_one(connection)
        .await
        .and_then(|row| row.try_get::<i64, _>("version"))
        .map(i64::unsigned_abs)
}
