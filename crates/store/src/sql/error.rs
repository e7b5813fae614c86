//! What went wrong, and what that means for whoever asked.

/// Why a statement failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
    #[error(transparent)]
    Postgres(#[from] sqlx::Error),
    /// The system has no thread to give.
    #[error("no thread for the database: {0}")]
    NoThread(#[from] std::io::Error),
    /// A row was expected.
    #[error("no row came back")]
    NoRow,
    /// A column is not there, or not what was expected.
    #[error("the column {0} is missing or holds something else")]
    Column(&'static str),
    /// The thread that ran the statement is gone.
    #[error("the store is closed")]
    Closed,
    /// The connection is of no use any more.
    #[error("the database does not answer")]
    NoAnswer,
}

impl Error {
    /// Whether the connection that gave this error must be thrown away.
    pub(crate) fn lost_connection(&self) -> bool {
        match self {
            Self::NoAnswer => true,
            Self::Postgres(error) => is_lost(error),
            // A file does not go away; one that cannot be read or written says so at every statement.
            Self::Sqlite(_) | Self::NoThread(_) | Self::NoRow | Self::Column(_) | Self::Closed => false,
        }
    }

    /// A row that this one names does not exist.
    pub(crate) fn is_foreign_key_violation(&self) -> bool {
        match self {
            Self::Postgres(error) => {
                error.as_database_error().is_some_and(sqlx::error::DatabaseError::is_foreign_key_violation)
            }
            Self::Sqlite(error) => code(error) == Some(rusqlite::ffi::SQLITE_CONSTRAINT_FOREIGNKEY),
            _ => false,
        }
    }

    /// The same again may go well after a moment.
    ///
    /// PostgreSQL classes: 40 rollback (deadlock, serialisation), 53 resources, 55 object not ready, 57 operator
    /// intervention, 58 system (<https://www.postgresql.org/docs/current/errcodes-appendix.html>). SQLite, low byte of the
    /// code: 5 busy, 6 locked, 7 memory, 10 I/O, 13 disk full (<https://sqlite.org/rescode.html>).
    pub(crate) fn is_transient(&self) -> bool {
        match self {
            Self::Postgres(error) => postgres_code(error).is_some_and(|code| {
                ["40", "53", "55", "57", "58"].iter().any(|class| code.starts_with(class))
            }),
            Self::Sqlite(error) => code(error).is_some_and(|code| matches!(code & 0xff, 5 | 6 | 7 | 10 | 13)),
            _ => false,
        }
    }
}

fn is_lost(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::Protocol(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed
        | sqlx::Error::BeginFailed => true,
        error => postgres_code(error).is_some_and(|code| code.starts_with("08") || code.starts_with("57P")),
    }
}

fn postgres_code(error: &sqlx::Error) -> Option<String> {
    error.as_database_error()?.code().map(|code| code.into_owned())
}

/// The extended code.
fn code(error: &rusqlite::Error) -> Option<i32> {
    error.sqlite_error().map(|error| error.extended_code)
}

impl From<Error> for crate::Error {
    fn from(error: Error) -> Self {
        if error.is_foreign_key_violation() {
            return Self::Gone;
        }
        match error {
            Error::Closed => Self::Closed,
            error if error.lost_connection() || error.is_transient() => Self::Retry(error.to_string()),
            error => Self::Broken(error.to_string()),
        }
    }
}
