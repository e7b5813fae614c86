//! Apps: their settings, every version that was ever in force.
//!
//! An inbox row names the version it was computed with, so old versions stay. The same content gets the same version:
//! applying a file twice changes nothing, and going back to an old file gives the old number again.

use std::sync::Arc;

use sqlx::{AnyConnection, Row as _};

use crate::Store;
use crate::error::Error;
use crate::group::Failure;
use crate::task;

struct New {
    app: String,
    prints: Vec<String>,
    doc: String,
}

impl Store {
    /// Puts `doc` in force for the app and gives its version, from 1. The document is sealed at rest.
    pub async fn put_app(&self, app: &str, doc: &str) -> Result<i64, Error> {
        let prints = self.seal().fingerprints(&place(app), doc)?;
        let doc = self.seal().seal(&place(app), doc.as_bytes())?;
        let new = Arc::new(New { app: app.to_owned(), prints, doc });
        let call = task::call(move |connection| Box::pin(put(connection, new.clone())));
        self.lanes().task(app, "app", call).await
    }

    /// One version of the app's document.
    pub async fn get_app(&self, app: &str, version: i64) -> Result<Option<String>, Error> {
        let row = sqlx::query("SELECT doc FROM app_version WHERE app = $1 AND version = $2")
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
        sqlx::query("SELECT current FROM app WHERE app = $1")
            .bind(app)
            .fetch_optional(self.readers())
            .await?
            .map(|row| Ok(row.try_get("current")?))
            .transpose()
    }

    /// All apps and their versions in force: what a process that starts must serve.
    pub async fn apps(&self) -> Result<Vec<(String, i64)>, Error> {
        let rows = sqlx::query("SELECT app, current FROM app ORDER BY app").fetch_all(self.readers()).await?;
        rows.iter().map(|row| Ok((row.try_get("app")?, row.try_get("current")?))).collect()
    }
}

/// All versions of an app share a place: which of them a row is cannot be known before it is written. Swapping two
/// versions of one app is therefore not noticed; swapping two apps is.
fn place(app: &str) -> String {
    format!("{app}|app_version|doc")
}

async fn put(connection: &mut AnyConnection, new: Arc<New>) -> Result<i64, Failure> {
    let version = match known(connection, &new).await? {
        Some(version) => version,
        None => add(connection, &new).await?,
    };
    sqlx::query(
        "INSERT INTO app (app, current) VALUES ($1, $2) \
         ON CONFLICT (app) DO UPDATE SET current = excluded.current",
    )
    .bind(new.app.clone())
    .bind(version)
    .execute(connection)
    .await?;
    Ok(version)
}

async fn known(connection: &mut AnyConnection, new: &New) -> Result<Option<i64>, Failure> {
    for print in &new.prints {
        let row = sqlx::query("SELECT version FROM app_version WHERE app = $1 AND fingerprint = $2")
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

async fn add(connection: &mut AnyConnection, new: &New) -> Result<i64, Failure> {
    let row = sqlx::query("SELECT coalesce(max(version), 0) AS last FROM app_version WHERE app = $1")
        .bind(new.app.clone())
        .fetch_one(&mut *connection)
        .await?;
    let version = row.try_get::<i64, _>("last")? + 1;
    let print = new.prints.first().cloned().unwrap_or_default();
    sqlx::query("INSERT INTO app_version (app, version, fingerprint, doc) VALUES ($1, $2, $3, $4)")
        .bind(new.app.clone())
        .bind(version)
        .bind(print)
        .bind(new.doc.clone())
        .execute(connection)
        .await?;
    Ok(version)
}
