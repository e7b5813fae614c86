//! Things that may happen once: a token's `jti`, a share link, a request id.
//!
//! Only a SHA-256 of the key is kept: keys may be tokens or name a person. An entry that has expired counts as new.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};

use crate::Store;
use crate::error::Error;
use crate::group::Failure;
use crate::sql::{self, Connection};
use crate::task;

/// Whether this was the first time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Once {
    /// Nobody was here before; now it is noted.
    First,
    /// Somebody was.
    Seen {
        /// When, milliseconds.
        first_at: i64,
    },
}

struct Row {
    app: String,
    kind: String,
    hash: String,
    now: i64,
    expires_at: i64,
}

impl Store {
    /// Notes `key` and says whether it was there already: atomic, and it survives restarts. `kind` separates uses;
    /// times are milliseconds.
    pub async fn once(
        &self,
        app: &str,
        kind: &str,
        key: &str,
        now: i64,
        expires_at: i64,
    ) -> Result<Once, Error> {
        let hash = URL_SAFE_NO_PAD.encode(Sha256::digest(key.as_bytes()));
        let row = Arc::new(Row { app: app.to_owned(), kind: kind.to_owned(), hash, now, expires_at });
        let name = row.hash.clone();
        let call = task::call(move |connection| Box::pin(note(connection, row.clone())));
        self.lanes().task(app, &name, call).await
    }
}

async fn note(connection: &mut Connection, row: Arc<Row>) -> Result<Once, Failure> {
    let taken = sql::query(
        "INSERT INTO once (app, kind, hash, first_at, expires_at) VALUES ($1, $2, $3, $4, $5) \
         ON CONFLICT (app, kind, hash) DO UPDATE SET first_at = excluded.first_at, \
         expires_at = excluded.expires_at WHERE once.expires_at <= excluded.first_at RETURNING first_at",
    )
    .bind(row.app.clone())
    .bind(row.kind.clone())
    .bind(row.hash.clone())
    .bind(row.now)
    .bind(row.expires_at)
    .fetch_optional(&mut *connection)
    .await?;
    if taken.is_some() {
        return Ok(Once::First);
    }
    let seen = sql::query("SELECT first_at FROM once WHERE app = $1 AND kind = $2 AND hash = $3")
        .bind(row.app.clone())
        .bind(row.kind.clone())
        .bind(row.hash.clone())
        .fetch_one(connection)
        .await?;
    Ok(Once::Seen { first_at: seen.try_get("first_at")? })
}
