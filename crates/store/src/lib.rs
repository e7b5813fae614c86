//! The system of record: what happened, durable, on SQLite or PostgreSQL, from one SQL text.
//!
//! The store knows nothing of the domain. Documents are JSON texts, ids are texts, times are milliseconds since 1970. The
//! app id is the first key of every table and the first argument of every call about an app's data, so one tenant cannot
//! reach another's rows by a forgotten condition.
//!
//! ```text
//!              commit(Unit) · mark · once · customer · …                load · entries · due · replay · …
//!                        │                                                        ▲
//!                        ▼                                                        │
//!          lanes by hash of the conversation                               a pool of readers
//!          (SQLite 1, PostgreSQL 8)                                               │
//!                        │ up to 64 in one transaction                            │
//!                        ▼                                                        │
//!   inbox ─► conversation ─► entry ─► participant ─► remote id ──── durable ──────┘
//!   new?     version guard                                 │
//!                                                          └──► only now the callers get their answers
//! ```
//!
//! | question | file |
//! |---|---|
//! | What is written together? | `unit.rs` |
//! | How is a group written, when is it given up? | `group.rs`, `rows.rs` |
//! | Who writes when, what if the database goes away? | `writer.rs`, `task.rs` |
//! | What can be read? | `read.rs`, `customer.rs`, `app.rs`; page by page: `list.rs` |
//! | Who may call the API, who saw a transcript? | `keys.rs`, `share.rs` |
//! | Which flows are drafted and published, which do conversations keep? | `flows.rs` |
//! | What is counted? | `facts.rs` |
//! | Which files are there, who names and who fetched them? | `file.rs` |
//! | How are secrets kept, how does a key leave? | `seal.rs`, `rekey.rs` |
//! | How is something forgotten? | `erase.rs` |
//! | What do the tables look like? | `migrations/`, `schema.rs` |
//! | What differs between the databases? | `db.rs`, `sql/` |

mod app;
mod checkpoint;
mod customer;
mod db;
mod erase;
mod error;
mod facts;
mod file;
mod flows;
mod group;
mod keys;
mod list;
mod node;
mod once;
mod read;
mod rekey;
mod rows;
mod schema;
mod seal;
mod share;
mod sql;
mod task;
mod unit;
mod writer;

use std::sync::Arc;

pub use app::PutApp;
pub use customer::CustomerRow;
pub use db::Dialect;
pub use erase::Erased;
pub use error::{Error, OpenError};
pub use facts::{FactsRow, LabelSum, Period, TagRow, TagSum, TaskRow, TaskSum, WordSum};
pub use file::{FileRow, FileShare};
pub use flows::{FlowRow, FlowVersion, Published, PutDraft};
pub use keys::KeyRow;
pub use list::{CustomerFound, Failing, Filter, Summary};
pub use once::Once;
pub use read::{Counts, Due, Loaded};
pub use rekey::Rekeyed;
pub use schema::known_version;
pub use seal::{KeyError, KeyRing, SealError, Sealer};
pub use share::{Access, AccessRow, Redeemed, ShareRow};
pub use unit::{Committed, EntryRow, Inbox, Opening, ParticipantRow, RemoteId, StateWrite, Unit};

/// What [`Store::open`] needs.
#[derive(Clone)]
pub struct Settings {
    /// `sqlite:///absolute/path/file.db` (created if missing) or `postgres://…`.
    pub url: String,
    /// How many writers. 0: one on SQLite, eight on PostgreSQL. SQLite always has one: it has one lock.
    pub lanes: usize,
    /// The keys that seal session documents and app settings.
    pub keys: KeyRing,
}

impl std::fmt::Debug for Settings {
    /// Without the URL: it may hold a password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Settings")
            .field("lanes", &self.lanes)
            .field("keys", &self.keys)
            .finish_non_exhaustive()
    }
}

/// The open store. Cloning it is cheap and gives the same store.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    db: db::Db,
    lanes: writer::Lanes,
    /// Copies SQLite's log back into the file.
    checkpoints: Option<tokio::task::JoinHandle<()>>,
    sealer: Sealer,
}

impl Drop for Inner {
    fn drop(&mut self) {
        if let Some(checkpoints) = &self.checkpoints {
            checkpoints.abort();
        }
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store")
            .field("dialect", &self.inner.db.dialect)
            .field("lanes", &self.inner.lanes.count())
            .finish_non_exhaustive()
    }
}

impl Store {
    /// Opens the database, brings its schema up to date and starts the lanes.
    ///
    /// # Errors
    ///
    /// [`OpenError::NewerSchema`] when a newer program has written it; nothing is changed then. The others say what is
    /// wrong with the URL, the file or the server.
    pub async fn open(settings: Settings) -> Result<Self, OpenError> {
        schema::migrate(&settings.url).await?;
        let db = db::Db::open(&settings.url).await?;
        let lanes = match (db.dialect, settings.lanes) {
            (Dialect::Sqlite, _) => 1,
            (dialect, 0) => dialect.default_lanes(),
            (Dialect::Postgres, lanes) => lanes,
        };
        let lanes =
            writer::Lanes::start(&db, lanes).await.map_err(|error| OpenError::Database(error.to_string()))?;
        let checkpoints =
            checkpoint::start(&db).await.map_err(|error| OpenError::Database(error.to_string()))?;
        Ok(Self { inner: Arc::new(Inner { db, lanes, checkpoints, sealer: Sealer::new(settings.keys) }) })
    }

    /// Brings the schema up to date without opening the store, and gives its version.
    pub async fn migrate_only(url: &str) -> Result<u64, OpenError> {
        schema::migrate(url).await
    }

    /// The schema version of the database at `url`, without changing or creating it; 0: there is none yet.
    pub async fn stored_version(url: &str) -> Result<u64, OpenError> {
        schema::version(url).await
    }

    /// Writes a unit; resolves only when it is durable.
    ///
    /// Units of one conversation are written in the order of their calls. A caller that goes away before the answer does
    /// not undo the write.
    ///
    /// # Errors
    ///
    /// See [`Error`]; after [`Error::Retry`] the unit may have been written.
    pub async fn commit(&self, mut unit: Unit) -> Result<Committed, Error> {
        // Here and not in the lane: callers run side by side, a lane's time is everybody's.
        for row in &mut unit.participants {
            if let Some(session) = &mut row.session {
                let place = unit::session_place(&unit.app, &unit.conversation, row.no);
                let sealed = self.inner.sealer.seal(&place, session.as_bytes())?;
                zeroize::Zeroize::zeroize(session);
                *session = sealed;
            }
        }
        self.inner.lanes.unit(unit).await
    }

    /// Raises a participant's receipts (delivered up to, read up to). Smaller numbers change nothing, and an unknown
    /// participant is no error.
    pub async fn mark(
        &self,
        app: &str,
        conversation: &str,
        participant: i64,
        delivered: i64,
        read: i64,
    ) -> Result<(), Error> {
        let (app, conversation) = (app.to_owned(), conversation.to_owned());
        self.inner.lanes.mark(group::Mark { app, conversation, participant, delivered, read }).await
    }

    /// Seals and opens other secrets with the store's keys.
    pub fn seal(&self) -> &Sealer {
        &self.inner.sealer
    }

    /// Which database this is.
    pub fn dialect(&self) -> Dialect {
        self.inner.db.dialect
    }

    /// Writes what is waiting, and closes every connection. Other clones get [`Error::Closed`] from then on.
    pub async fn close(self) {
        if let Some(checkpoints) = &self.inner.checkpoints {
            checkpoints.abort();
        }
        self.inner.lanes.stop().await;
        self.inner.db.readers.close().await;
    }

    /// How many reads may be under way at a time; more wait.
    pub fn reads(&self) -> usize {
        self.inner.db.dialect.readers() as usize
    }

    fn readers(&self) -> &sql::Readers {
        &self.inner.db.readers
    }

    fn lanes(&self) -> &writer::Lanes {
        &self.inner.lanes
    }
}
