//! Apps: their settings, every version that was ever in force.
//!
//! An inbox row names the version it was computed with, so old versions stay. The same content gets the same version:
//! applying a file twice changes nothing, and going back to an old file gives the old number again.

use std::sync::Arc;

use crate::Store;
use crate::error::Error;
use crate::flows::{self, Published, Sealed};
use crate::group::Failure;
use crate::sql::{self, Connection};
use crate::task;

/// Whether a document was put in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PutApp {
    /// It is in force.
    Done(i64),
    /// Another version is (`None`: there is no such app): nothing was written.
    Conflict(Option<i64>),
}

struct New {
    app: String,
    prints: Vec<String>,
    doc: String,
    published: Sealed,
}

impl Store {
    /// Puts `doc` in force for the app and gives its version, from 1. The document is sealed at rest.
    pub async fn put_app(&self, app: &str, doc: &str) -> Result<i64, Error> {
        let new = Arc::new(self.new_version(app, doc, &Published::default())?);
        let call = task::call(move |connection| Box::pin(put(connection, new.clone())));
        self.lanes().task(app, "app", call).await
    }

    /// Puts `doc` in force as [`put_app`](Self::put_app) does, but only over the version `expected`; `None`: only if there
    /// is no such app yet. After [`Error::Retry`] it may be in force, and a repeat then finds a conflict.
    /// `published` is written in the same transaction.
    pub async fn put_app_if(
        &self,
        app: &str,
        expected: Option<i64>,
        doc: &str,
        published: &Published,
    ) -> Result<PutApp, Error> {
        let new = Arc::new(self.new_version(app, doc, published)?);
        let call = task::call(move |connection| Box::pin(put_if(connection, new.clone(), expected)));
        self.lanes().task(app, "app", call).await
    }

    fn new_version(&self, app: &str, doc: &str, published: &Published) -> Result<New, Error> {
        let prints = self.seal().fingerprints(&place(app), doc)?;
        let doc = self.seal().seal(&place(app), doc.as_bytes())?;
        let published = self.seal_published(app, published)?;
        Ok(New { app: app.to_owned(), prints, doc, published })
    }

    /// One version of the app's document.
    pub async fn get_app(&self, app: &str, version: i64) -> Result<Option<String>, Error> {
        let row = sql::query("SELECT doc FROM app_version WHERE app = $1 AND version = $2")
            .bind(app)
            .bind(version)
            .fetch_optional(self.readers())
            .await?;
        let Some(row) = row else { return Ok(None) };
        let sealed: String = row.try_get("doc")?;
        Ok(Some(self.seal().open_text(&place(app), &sealed)?))
    }

    /// The version in force.
    pub async fn current_app(&self, app: &str) -> Result<Option<i64>, Error> {
        sql::query("SELECT current FROM app WHERE app = $1")
            .bind(app)
            .fetch_optional(self.readers())
            .await?
            .map(|row| Ok(row.try_get("current")?))
            .transpose()
    }

    /// All apps and their versions in force: what a process that starts must serve.
    pub async fn apps(&self) -> Result<Vec<(String, i64)>, Error> {
        let rows = sql::query("SELECT app, current FROM app ORDER BY app").fetch_all(self.readers()).await?;
        rows.iter().map(|row| Ok((row.try_get("app")?, row.try_get("current")?))).collect()
    }
}

/// All versions of an app share a place: which of them a row is cannot be known before it is written. Swapping two
/// versions of one app is therefore not noticed; swapping two apps is.
pub(crate) fn place(app: &str) -> String {
    format!("{app}|app_version|doc")
}

async fn put(connection: &mut Connection, new: Arc<New>) -> Result<i64, Failure> {
    let version = match known(connection, &new).await? {
        Some(version) => version,
        None => add(connection, &new).await?,
    };
    sql::query(
        "INSERT INTO app (app, current) VALUES ($1, $2) \
         ON CONFLICT (app) DO UPDATE SET current = excluded.current",
    )
    .bind(new.app.clone())
    .bind(version)
    .execute(&mut *connection)
    .await?;
    flows::publish(connection, &new.app, &new.published).await?;
    Ok(version)
}

/// The guard is a write of the app's row, and the first one: two nodes cannot both pass it.
async fn put_if(
    connection: &mut Connection,
    new: Arc<New>,
    expected: Option<i64>,
) -> Result<PutApp, Failure> {
    let guard = match expected {
        Some(expected) => {
            sql::query("UPDATE app SET current = current WHERE app = $1 AND current = $2")
                .bind(new.app.clone())
                .bind(expected)
                .execute(&mut *connection)
                .await?
        }
        None => {
            sql::query("INSERT INTO app (app, current) VALUES ($1, 0) ON CONFLICT DO NOTHING")
                .bind(new.app.clone())
                .execute(&mut *connection)
                .await?
        }
    };
    if guard.rows_affected() == 1 {
        return put(connection, new).await.map(PutApp::Done);
    }
    let row = sql::query("SELECT current FROM app WHERE app = $1")
        .bind(new.app.clone())
        .fetch_optional(connection)
        .await?;
    Ok(PutApp::Conflict(row.map(|row| row.try_get("current")).transpose()?))
}

async fn known(connection: &mut Connection, new: &New) -> Result<Option<i64>, Failure> {
    for print in &new.prints {
        let row = sql::query("SELECT version FROM app_version WHERE app = $1 AND fingerprint = $2")
            .bind(new.app.clone())
            .bind(print.clone())
            .fetch_optional(&mut *connection)
            .await?;
        if let Some(row) = row {
            return Ok(Some(row.try_get("version")?));
        }
    }
    Ok(None)
}

async fn add(connection: &mut Connection, new: &New) -> Result<i64, Failure> {
    let row = sql::query("SELECT coalesce(max(version), 0) AS last FROM app_version WHERE app = $1")
        .bind(new.app.clone())
        .fetch_one(&mut *connection)
        .await?;
    let version = row.try_get::<i64>("last")? + 1;
    let print = new.prints.first().cloned().unwrap_or_default();
    sql::query("INSERT INTO app_version (app, version, fingerprint, doc) VALUES ($1, $2, $3, $4)")
        .bind(new.app.clone())
        .bind(version)
        .bind(print)
        .bind(new.doc.clone())
        .execute(connection)
        .await?;
    Ok(version)
}
