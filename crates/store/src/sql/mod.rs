//! One SQL text, two databases: SQLite in this process ([`sqlite`]), PostgreSQL over a connection ([`server`]).
//!
//! Columns are TEXT and BIGINT, placeholders `$1`, `$2`, …; so a [`Value`] is a text or a number, and that is all there is
//! between a query and either driver.

mod error;
mod server;
mod sqlite;
mod value;

use std::borrow::Cow;

pub(crate) use error::Error;
pub(crate) use server::Server;
pub(crate) use sqlite::{File, Readers as FileReaders};
pub(crate) use value::{Row, Value};

/// A statement with its values.
#[derive(Debug)]
pub(crate) struct Query {
    text: Cow<'static, str>,
    values: Vec<Value>,
    wants: Wants,
}

/// What a statement is to give.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wants {
    /// How many rows changed.
    Changes,
    /// The one row that its key leads to: microseconds.
    One,
    /// Rows, for which many may have to be read.
    Rows,
}

/// What came of a statement.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    /// Rows that it inserted, updated or deleted; not counted where rows are wanted.
    changed: u64,
    rows: Vec<Row>,
}

impl Answer {
    pub(crate) fn rows_affected(&self) -> u64 {
        self.changed
    }

    pub(crate) fn rows(&self) -> &[Row] {
        &self.rows
    }
}

/// Where a statement can run: on a connection, or on any free reader.
pub(crate) trait Place {
    fn run(self, query: Query) -> impl Future<Output = Result<Answer, Error>> + Send;
}

/// A statement; values are bound in the order of their numbers.
pub(crate) fn query(text: impl Into<Cow<'static, str>>) -> Query {
    Query::with(text, Vec::new())
}

impl Query {
    pub(crate) fn with(text: impl Into<Cow<'static, str>>, values: Vec<Value>) -> Self {
        Self { text: text.into(), values, wants: Wants::Changes }
    }

    pub(crate) fn bind(mut self, value: impl Into<Value>) -> Self {
        self.values.push(value.into());
        self
    }

    pub(crate) async fn execute(self, place: impl Place) -> Result<Answer, Error> {
        place.run(self).await
    }

    pub(crate) async fn fetch_all(mut self, place: impl Place) -> Result<Vec<Row>, Error> {
        self.wants = Wants::Rows;
        Ok(place.run(self).await?.rows)
    }

    /// The row that a key leads to, if there is one.
    pub(crate) async fn fetch_optional(mut self, place: impl Place) -> Result<Option<Row>, Error> {
        self.wants = Wants::One;
        Ok(place.run(self).await?.rows.into_iter().next())
    }

    /// The one row of a count or a sum, whatever was read for it.
    pub(crate) async fn fetch_one(self, place: impl Place) -> Result<Row, Error> {
        self.fetch_all(place).await?.into_iter().next().ok_or(Error::NoRow)
    }
}

/// A connection that may write. On SQLite statements run on the thread that awaits them: a lane has one of its own.
pub(crate) enum Connection {
    Sqlite(File),
    Postgres(Server),
}

impl Connection {
    /// Begins a transaction that will write. SQLite takes its write lock at once, because a lock taken later can fail
    /// half-way.
    pub(crate) async fn begin(&mut self) -> Result<(), Error> {
        match self {
            Self::Sqlite(file) => file.all("BEGIN IMMEDIATE"),
            Self::Postgres(server) => server.all("BEGIN").await,
        }
    }

    pub(crate) async fn commit(&mut self) -> Result<(), Error> {
        self.all("COMMIT").await
    }

    /// Undoes the transaction, if there still is one.
    pub(crate) async fn rollback(&mut self) -> Result<(), Error> {
        match self {
            Self::Sqlite(file) => file.rollback(),
            // Without a transaction this is a warning.
            Self::Postgres(server) => server.all("ROLLBACK").await,
        }
    }

    /// Runs statements that take and give nothing.
    pub(crate) async fn all(&mut self, statements: &'static str) -> Result<(), Error> {
        match self {
            Self::Sqlite(file) => file.all(statements),
            Self::Postgres(server) => server.all(statements).await,
        }
    }

    /// Ends it politely.
    pub(crate) async fn close(self) {
        match self {
            Self::Sqlite(file) => drop(file),
            Self::Postgres(server) => server.close().await,
        }
    }
}

impl Place for &mut Connection {
    async fn run(self, query: Query) -> Result<Answer, Error> {
        match self {
            Connection::Sqlite(file) => file.run(&query.text, &query.values),
            Connection::Postgres(server) => server.run(query).await,
        }
    }
}

/// Connections that only read.
#[derive(Clone)]
pub(crate) enum Readers {
    Sqlite(FileReaders),
    Postgres(sqlx::AnyPool),
}

impl Readers {
    /// Waits until nobody reads, and closes them.
    pub(crate) async fn close(&self) {
        match self {
            Self::Sqlite(file) => file.close().await,
            Self::Postgres(pool) => pool.close().await,
        }
    }
}

impl Place for &Readers {
    async fn run(self, query: Query) -> Result<Answer, Error> {
        match self {
            Readers::Sqlite(file) => file.run(query).await,
            Readers::Postgres(pool) => server::run(pool, query).await,
        }
    }
}
