//! The pools and connections, and everything that differs between the two databases.
//!
//! The SQL text is one and the same. What differs stands here and in `sql/`: how a connection is set up, and who runs a
//! statement.
//!
//! | | SQLite | PostgreSQL |
//! |---|---|---|
//! | writers | one connection on a thread of its own, so nobody ever waits for the file's lock | one per lane |
//! | readers | 4 connections, read only by pragma | 8 connections |
//! | a writing transaction | `BEGIN IMMEDIATE` | `BEGIN` |
//! | durable | WAL with `synchronous=FULL`: a commit returns after its fsync | the server's default |

use std::path::PathBuf;
use std::time::Duration;

use sqlx::any::{AnyConnectOptions, AnyPoolOptions};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AnyConnection, ConnectOptions as _, Connection as _, Executor as _};

use crate::error::OpenError;
use crate::sql::{self, Connection, File, FileReaders, Readers, Server};

/// How long opening a connection may take before the caller is told to come back later.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Which of the two databases this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// A file of ours.
    Sqlite,
    /// A server.
    Postgres,
}

impl Dialect {
    /// The dialect that a database URL names.
    pub(crate) fn of(url: &str) -> Result<Self, OpenError> {
        match url.split_once(':').map_or("", |(scheme, _)| scheme) {
            "sqlite" => Ok(Self::Sqlite),
            "postgres" | "postgresql" => Ok(Self::Postgres),
            // Not the whole URL: it may hold a password.
            other => Err(OpenError::Url(other.chars().take(16).collect())),
        }
    }

    /// The number of lanes when the settings name none.
    pub(crate) fn default_lanes(self) -> usize {
        match self {
            Self::Sqlite => 1,
            Self::Postgres => 8,
        }
    }

    /// What a lane does last: SQLite's log is copied back into the file and emptied, so that a stopped store is one file.
    pub(crate) fn tear_down(self) -> Option<&'static str> {
        match self {
            Self::Sqlite => Some("PRAGMA wal_checkpoint(TRUNCATE)"),
            Self::Postgres => None,
        }
    }

    pub(crate) fn readers(self) -> u32 {
        match self {
            Self::Sqlite => 4,
            Self::Postgres => 8,
        }
    }

    /// What every connection is told first.
    fn set_up(self, writes: bool) -> &'static str {
        match (self, writes) {
            // `secure_delete` overwrites what is deleted, so that an erased customer is not in the file's free pages.
            // The cache is small: the system has one too, and a large one is searched through after many a commit.
            // The checkpoint copies the WAL back every 16 MB instead of every 4: each one costs two more fsyncs.
            (Self::Sqlite, true) => {
                "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA busy_timeout=5000; \
                 PRAGMA foreign_keys=ON; PRAGMA secure_delete=ON; PRAGMA cache_size=-8192; \
                 PRAGMA wal_autocheckpoint=4000; PRAGMA journal_size_limit=67108864"
            }
            (Self::Sqlite, false) => {
                "PRAGMA busy_timeout=5000; PRAGMA query_only=ON; PRAGMA cache_size=-2048"
            }
            // The group statements join a list of at most 64 keys with a table: always by its index. Left alone, the
            // planner chooses a scan while a table is small and keeps that plan when it has grown.
            (Self::Postgres, true) => {
                "SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off; \
                 SET statement_timeout = '30s'; SET idle_in_transaction_session_timeout = '60s'"
            }
            (Self::Postgres, false) => "SET statement_timeout = '15s'",
        }
    }
}

/// Where connections come from.
#[derive(Clone)]
pub(crate) struct Db {
    source: Source,
    pub(crate) dialect: Dialect,
    pub(crate) readers: Readers,
}

#[derive(Clone)]
enum Source {
    File(PathBuf),
    Server(AnyConnectOptions),
}

impl Db {
    /// Prepares the pools; the schema must be up to date already.
    pub(crate) async fn open(url: &str) -> Result<Self, OpenError> {
        let dialect = Dialect::of(url)?;
        let refused = |error: sqlx::Error| OpenError::Database(error.to_string());
        let set_up = dialect.set_up(false);
        let (source, readers) = match dialect {
            Dialect::Sqlite => {
                let options: SqliteConnectOptions = url.parse().map_err(refused)?;
                let path = options.get_filename().to_owned();
                (
                    Source::File(path.clone()),
                    Readers::Sqlite(FileReaders::new(path, set_up, dialect.readers())),
                )
            }
            Dialect::Postgres => {
                let options = options(url, dialect)?;
                let pool = AnyPoolOptions::new()
                    .max_connections(dialect.readers())
                    .acquire_timeout(CONNECT_TIMEOUT)
                    .after_connect(move |connection, _| {
                        Box::pin(async move { connection.execute(set_up).await.map(|_| ()) })
                    })
                    .connect_with(options.clone())
                    .await
                    .map_err(refused)?;
                (Source::Server(options), Readers::Postgres(pool))
            }
        };
        Ok(Self { source, dialect, readers })
    }

    /// A new connection that may write.
    pub(crate) async fn writer(&self) -> Result<Connection, sql::Error> {
        Ok(match &self.source {
            Source::File(path) => Connection::Sqlite(File::open(path, self.dialect.set_up(true))?),
            Source::Server(options) => {
                Connection::Postgres(Server::new(connect(options, self.dialect).await?))
            }
        })
    }
}

/// A connection of sqlx, for the schema on either database and for the lanes of a server.
pub(crate) async fn connect(
    options: &AnyConnectOptions,
    dialect: Dialect,
) -> Result<AnyConnection, sqlx::Error> {
    let connecting = async {
        let mut connection = AnyConnection::connect_with(options).await?;
        connection.execute(dialect.set_up(true)).await?;
        Ok(connection)
    };
    tokio::time::timeout(CONNECT_TIMEOUT, connecting).await.unwrap_or(Err(sqlx::Error::PoolTimedOut))
}

/// Reads the URL, and creates a missing SQLite file so that only its owner can read it.
pub(crate) fn options(url: &str, dialect: Dialect) -> Result<AnyConnectOptions, OpenError> {
    sqlx::any::install_default_drivers();
    let missing = match dialect {
        Dialect::Sqlite => {
            create_file(url)?;
            ("mode", "rwc")
        }
        Dialect::Postgres => ("application_name", "interline"),
    };
    let (name, value) = missing;
    let separator = if url.contains('?') { '&' } else { '?' };
    let full = if url.contains(&format!("{name}=")) {
        url.to_owned()
    } else {
        format!("{url}{separator}{name}={value}")
    };
    let options: AnyConnectOptions =
        full.parse().map_err(|error: sqlx::Error| OpenError::Database(error.to_string()))?;
    // Statements are long and their values private: neither belongs in a log.
    Ok(options.disable_statement_logging())
}

/// The file that a SQLite URL names; none: it is in memory, or its name is escaped.
pub(crate) fn file(url: &str) -> Option<&str> {
    let rest = url.trim_start_matches("sqlite:").trim_start_matches("//");
    let path = rest.split('?').next().unwrap_or(rest);
    (!path.is_empty() && !path.contains('%') && !path.starts_with(':')).then_some(path)
}

/// SQLite gives its side files the permissions of the main one, so the main one is created with the right ones first.
fn create_file(url: &str) -> Result<(), OpenError> {
    let Some(path) = file(url) else { return Ok(()) };
    let mut file = std::fs::OpenOptions::new();
    file.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut file, 0o600);
    match file.open(path) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        Err(source) => Err(OpenError::File { path: path.to_owned(), source }),
    }
}
