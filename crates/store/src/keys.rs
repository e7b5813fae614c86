//! Keys of the API: who may call it, and as what.
//!
//! The store keeps a hash that the caller made; it never sees the secret.

use std::sync::Arc;

use crate::Store;
use crate::error::Error;
use crate::group::Failure;
use crate::sql::{self, Connection, Row};
use crate::task;

/// A key of the API.
#[derive(Clone, PartialEq, Eq)]
pub struct KeyRow {
    /// The app it is for; empty: the whole server.
    pub app: String,
    /// Its public part, unique over all apps.
    pub id: String,
    /// The hash of its secret part.
    pub hash: String,
    /// What it may do.
    pub role: String,
    /// What people call it.
    pub name: String,
    /// When it was made, milliseconds.
    pub created_at: i64,
    /// From when on it does not count, milliseconds.
    pub expires_at: Option<i64>,
    /// When it was withdrawn, milliseconds.
    pub revoked_at: Option<i64>,
}

impl std::fmt::Debug for KeyRow {
    /// Without the hash.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeyRow")
            .field("app", &self.app)
            .field("id", &self.id)
            .field("role", &self.role)
            .field("name", &self.name)
            .field("created_at", &self.created_at)
            .field("expires_at", &self.expires_at)
            .field("revoked_at", &self.revoked_at)
            .finish_non_exhaustive()
    }
}

impl Store {
    /// Adds a key. Adding the same one again changes nothing, so it may be repeated after [`Error::Retry`].
    ///
    /// # Errors
    ///
    /// [`Error::Broken`] when another key has this id.
    pub async fn add_key(&self, key: &KeyRow) -> Result<(), Error> {
        let (app, id) = (key.app.clone(), key.id.clone());
        let key = Arc::new(key.clone());
        let call = task::call(move |connection| Box::pin(add(connection, key.clone())));
        self.lanes().task(&app, &id, call).await
    }

    /// The key with this id, over all apps: it is looked up before the app is known. Also one that has expired or was
    /// revoked: the caller looks.
    pub async fn key(&self, id: &str) -> Result<Option<KeyRow>, Error> {
        sql::query(
            "SELECT app, id, hash, role, name, created_at, expires_at, revoked_at FROM api_key WHERE id = $1",
        )
        .bind(id)
        .fetch_optional(self.readers())
        .await?
        .map(|row| key(&row))
        .transpose()
    }

    /// The app's keys by id, from behind `after` on; those of the whole server for an empty `app`.
    pub async fn keys(&self, app: &str, after: Option<&str>, limit: i64) -> Result<Vec<KeyRow>, Error> {
        let rows = sql::query(
            "SELECT app, id, hash, role, name, created_at, expires_at, revoked_at FROM api_key \
             WHERE app = $1 AND id > $2 ORDER BY id LIMIT $3",
        )
        .bind(app)
        // No id is empty, so everything is behind the empty one.
        .bind(after.unwrap_or_default())
        .bind(limit)
        .fetch_all(self.readers())
        .await?;
        rows.iter().map(key).collect()
    }

    /// Withdraws a key from `now` on, milliseconds. False: this app has no such key, or it was revoked already.
    pub async fn revoke_key(&self, app: &str, id: &str, now: i64) -> Result<bool, Error> {
        let key: Arc<(String, String)> = Arc::new((app.to_owned(), id.to_owned()));
        let call = task::call(move |connection| {
            let key = key.clone();
            Box::pin(async move {
                let changed = sql::query(
                    "UPDATE api_key SET revoked_at = $3 WHERE app = $1 AND id = $2 AND revoked_at IS NULL",
                )
                .bind(key.0.clone())
                .bind(key.1.clone())
                .bind(now)
                .execute(connection)
                .await?;
                Ok(changed.rows_affected() == 1)
            })
        });
        self.lanes().task(app, id, call).await
    }
}

async fn add(connection: &mut Connection, key: Arc<KeyRow>) -> Result<(), Failure> {
    let added = sql::query(
        "INSERT INTO api_key (app, id, hash, role, name, created_at, expires_at, revoked_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING",
    )
    .bind(key.app.clone())
    .bind(key.id.clone())
    .bind(key.hash.clone())
    .bind(key.role.clone())
    .bind(key.name.clone())
    .bind(key.created_at)
    .bind(key.expires_at)
    .bind(key.revoked_at)
    .execute(&mut *connection)
    .await?;
    if added.rows_affected() == 1 {
        return Ok(());
    }
    let same = sql::query("SELECT id FROM api_key WHERE app = $1 AND id = $2 AND hash = $3")
        .bind(key.app.clone())
        .bind(key.id.clone())
        .bind(key.hash.clone())
        .fetch_optional(connection)
        .await?;
    match same {
        Some(_) => Ok(()),
        None => Err(Failure::Other(Error::Broken("another API key has this id".to_owned()))),
    }
}

fn key(row: &Row) -> Result<KeyRow, Error> {
    Ok(KeyRow {
        app: row.try_get("app")?,
        id: row.try_get("id")?,
        hash: row.try_get("hash")?,
        role: row.try_get("role")?,
        name: row.try_get("name")?,
        created_at: row.try_get("created_at")?,
        expires_at: row.try_get("expires_at")?,
        revoked_at: row.try_get("revoked_at")?,
    })
}
