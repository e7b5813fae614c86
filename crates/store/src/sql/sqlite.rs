//! SQLite, in this process.
//!
//! A statement is a call of some microseconds: it runs on the thread that asks. The lane has a thread of its own; a reader
//! borrows one for whatever may read many rows, so that a long list keeps no other task waiting.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rusqlite::config::DbConfig;
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{OpenFlags, Statement, ToSql};
use tokio::sync::Semaphore;

use super::{Answer, Error, Query, Row, Value, Wants};

/// Statements that stay prepared on one connection. There are about a hundred texts.
const PREPARED: usize = 128;

/// A connection to a file.
pub(crate) struct File(rusqlite::Connection);

impl File {
    /// Opens a file that is there, and tells the connection `set_up` first.
    pub(crate) fn open(path: &Path, set_up: &str) -> Result<Self, Error> {
        // Each connection is one thread's at a time: SQLite need not lock it.
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = rusqlite::Connection::open_with_flags(path, flags)?;
        // A plan does not depend on the values that are bound: nothing is prepared twice.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
        connection.set_prepared_statement_cache_capacity(PREPARED);
        connection.execute_batch(set_up)?;
        Ok(Self(connection))
    }

    pub(super) fn rollback(&mut self) -> Result<(), Error> {
        // Some errors, such as a full disk, have undone it already.
        if self.0.is_autocommit() { Ok(()) } else { self.all("ROLLBACK") }
    }

    pub(crate) fn all(&mut self, statements: &str) -> Result<(), Error> {
        Ok(self.0.execute_batch(statements)?)
    }

    pub(crate) fn run(&mut self, text: &str, values: &[Value]) -> Result<Answer, Error> {
        // `$2` would be a name here, numbered by where it stands; `?2` is the second value.
        let mut statement = self.0.prepare_cached(&text.replace('$', "?"))?;
        for (place, value) in values.iter().enumerate() {
            statement.raw_bind_parameter(place + 1, value)?;
        }
        if statement.column_count() == 0 {
            return Ok(Answer { changed: statement.raw_execute()? as u64, rows: Vec::new() });
        }
        let columns = names(&statement);
        let mut found = statement.raw_query();
        let mut rows = Vec::new();
        while let Some(row) = found.next()? {
            let values = (0..columns.len()).map(|place| Ok(value(row.get_ref(place)?)));
            rows.push(Row::new(columns.clone(), values.collect::<Result<_, rusqlite::Error>>()?));
        }
        Ok(Answer { changed: 0, rows })
    }
}

fn names(statement: &Statement<'_>) -> Arc<[String]> {
    statement.column_names().into_iter().map(str::to_owned).collect()
}

fn value(found: ValueRef<'_>) -> Value {
    match found {
        ValueRef::Integer(number) => Value::Number(Some(number)),
        ValueRef::Text(text) => Value::Text(Some(String::from_utf8_lossy(text).into_owned())),
        // No column of ours holds anything else.
        ValueRef::Null | ValueRef::Real(_) | ValueRef::Blob(_) => Value::Text(None),
    }
}

impl ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Text(Some(text)) => ValueRef::Text(text.as_bytes()),
            Self::Number(Some(number)) => ValueRef::Integer(*number),
            Self::Text(None) | Self::Number(None) => ValueRef::Null,
        }))
    }
}

/// Connections that read, opened when they are needed.
#[derive(Clone)]
pub(crate) struct Readers(Arc<Shelf>);

struct Shelf {
    path: PathBuf,
    set_up: &'static str,
    most: u32,
    /// How many may read now.
    places: Arc<Semaphore>,
    free: Mutex<Vec<File>>,
}

impl Readers {
    pub(crate) fn new(path: PathBuf, set_up: &'static str, most: u32) -> Self {
        let (places, free) = (Arc::new(Semaphore::new(most as usize)), Mutex::default());
        Self(Arc::new(Shelf { path, set_up, most, places, free }))
    }

    pub(super) async fn run(&self, query: Query) -> Result<Answer, Error> {
        let shelf = self.0.clone();
        // Held by the reading itself: whoever asked may go away meanwhile.
        let place = shelf.places.clone().acquire_owned().await.map_err(|_| Error::Closed)?;
        let is_short = query.wants == Wants::One;
        let read = move || {
            let mut file = shelf.take()?;
            let answer = file.run(&query.text, &query.values);
            shelf.free().push(file);
            drop(place);
            answer
        };
        if is_short {
            return read();
        }
        tokio::task::spawn_blocking(read).await.unwrap_or(Err(Error::Closed))
    }

    pub(super) async fn close(&self) {
        // All of them: nobody reads any more.
        let all = self.0.places.acquire_many(self.0.most).await;
        self.0.free().clear();
        self.0.places.close();
        drop(all);
    }
}

impl Shelf {
    fn take(&self) -> Result<File, Error> {
        let free = self.free().pop();
        free.map_or_else(|| File::open(&self.path, self.set_up), Ok)
    }

    fn free(&self) -> MutexGuard<'_, Vec<File>> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
