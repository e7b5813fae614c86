//! Errors. Each variant is a decision for the caller, not a description of what went wrong inside.

use crate::seal::SealError;

/// Why a call to the store did not give its answer.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// The database is away, overloaded or gave up a lock: try the same call again after a moment.
    ///
    /// A commit that ends like this **may have been written** (the connection can die between the database's commit
    /// and its answer). Repeating it is harmless: the inbox key makes it a duplicate, or the version guard a conflict.
    #[error("the database is not available now: {0}")]
    Retry(String),
    /// A repeat would fail the same way: a fault in the call or in the store. Nothing was written.
    #[error("the database refused this: {0}")]
    Broken(String),
    /// The conversation or its customer does not exist (any more; most likely it was erased). Drop the work.
    #[error("the conversation or its customer does not exist: it was erased, or never opened")]
    Gone,
    /// A file that the unit names is not there (any more), or another conversation's. Nothing was written.
    #[error("a file is no longer there, or belongs to another conversation")]
    FileGone,
    /// A sealed value cannot be opened: an operator must bring the key back, or the row was tampered with.
    #[error(transparent)]
    Sealed(#[from] SealError),
    /// Another process registered under this node's id: stop serving at once.
    #[error("another process has registered under this node id")]
    Fenced,
    /// The store was closed.
    #[error("the store is closed")]
    Closed,
}

impl Error {
    /// Whether the same call may succeed after a moment.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Retry(_) => true,
            Self::Broken(_) | Self::Gone | Self::FileGone | Self::Sealed(_) | Self::Fenced | Self::Closed => {
                false
            }
        }
    }
}

/// Why a store could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The URL names neither database.
    #[error("the database URL must start with sqlite:// or postgres://, this one starts with {0:?}")]
    Url(String),
    /// The database was written by a newer program. Nothing was changed.
    #[error(
        "the database has schema version {found}, this program knows versions up to {known}: \
         start the newer program again, or restore a backup from before the upgrade"
    )]
    NewerSchema {
        /// The version the database has.
        found: u64,
        /// The newest version this program knows.
        known: u64,
    },
    /// A step of the schema change failed.
    #[error("the schema could not be brought up to date: {0}")]
    Migrate(String),
    /// The database cannot be reached, or refuses us.
    #[error("the database cannot be opened: {0}")]
    Database(String),
    /// The database file cannot be created.
    #[error("the database file {path} cannot be created: {source}")]
    File {
        /// The file's path.
        path: String,
        /// What the operating system says.
        source: std::io::Error,
    },
}
