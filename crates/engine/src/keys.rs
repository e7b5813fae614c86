//! Keys of the API: who may do what. Only a hash is kept.
//!
//! ```text
//!   Authorization: Bearer ilk_<id>_<secret>          hash = base64url(SHA-256(secret))
//! ```
//!
//! The secret is 244 random bits, so a plain hash of it cannot be guessed backwards.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use interline_core::AppId;
use interline_store::{KeyRow, Store};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use uuid::Uuid;

use crate::engine::Engine;
use crate::ingress::Trouble;

/// What a key may do. Each includes the ones before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyRole {
    /// Look at everything but secrets.
    Read,
    /// Also act on conversations: end, retry, speak, revoke links.
    Operate,
    /// Also change the app, its credentials and keys, erase customers, and see secrets.
    Admin,
}

impl KeyRole {
    /// As it stands in the database and in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Operate => "operate",
            Self::Admin => "admin",
        }
    }
}

impl fmt::Display for KeyRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for KeyRole {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "read" => Ok(Self::Read),
            "operate" => Ok(Self::Operate),
            "admin" => Ok(Self::Admin),
            _ => Err("a role is read, operate or admin".into()),
        }
    }
}

/// Whose key a request came with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// The key's id.
    pub id: String,
    /// The key's name: it stands in timelines.
    pub name: String,
    /// What it may do.
    pub role: KeyRole,
    /// For one app; none: for all of them, and to make new ones.
    pub app: Option<AppId>,
}

/// A new key. The token is shown once.
#[derive(Clone)]
pub struct NewKey {
    /// What is stored.
    pub row: KeyRow,
    /// What its holder sends.
    pub token: String,
}

/// Makes a key and stores its hash. `app`: none for all apps.
///
/// # Errors
/// The store is out of reach.
pub async fn create_key(
    store: &Store,
    app: Option<&AppId>,
    role: KeyRole,
    name: &str,
    now: i64,
    expires_at: Option<i64>,
) -> Result<NewKey, Trouble> {
    let id = Uuid::now_v7().simple().to_string();
    // Two version 4 UUIDs are 244 random bits.
    let secret = format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple());
    let row = KeyRow {
        app: app.map_or(String::new(), |app| app.as_str().to_owned()),
        hash: hash(&secret),
        role: role.as_str().to_owned(),
        name: name.to_owned(),
        created_at: now,
        expires_at,
        revoked_at: None,
        id: id.clone(),
    };
    store.add_key(&row).await?;
    Ok(NewKey { row, token: format!("ilk_{id}_{secret}") })
}

fn hash(secret: &str) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(secret.as_bytes()))
}

impl Engine {
    /// Whose key `token` is. None: nobody's, or it was revoked or has expired.
    ///
    /// # Errors
    /// The store is out of reach.
    pub async fn key_holder(&self, token: &str) -> Result<Option<Holder>, Trouble> {
        let Some((id, secret)) = token.strip_prefix("ilk_").and_then(|rest| rest.split_once('_')) else {
            return Ok(None);
        };
        let Some(row) = self.inner.store.key(id).await? else { return Ok(None) };
        let same: bool = row.hash.as_bytes().ct_eq(hash(secret).as_bytes()).into();
        let over = row.revoked_at.is_some() || row.expires_at.is_some_and(|at| at <= self.inner.now().0);
        let role = row.role.parse().ok().filter(|_| same && !over);
        let app = (!row.app.is_empty()).then(|| AppId::from(row.app.as_str()));
        Ok(role.map(|role| Holder { id: row.id, name: row.name, role, app }))
    }

    /// Makes a key for one app, or with none for all.
    ///
    /// # Errors
    /// The store is out of reach.
    pub async fn create_key(
        &self,
        app: Option<&AppId>,
        role: KeyRole,
        name: &str,
        expires_at: Option<i64>,
    ) -> Result<NewKey, Trouble> {
        create_key(&self.inner.store, app, role, name, self.inner.now().0, expires_at).await
    }

    /// The keys of an app, by id. `after`: the last id of the page before.
    ///
    /// # Errors
    /// The store is out of reach.
    pub async fn keys(&self, app: &AppId, after: Option<&str>, limit: i64) -> Result<Vec<KeyRow>, Trouble> {
        Ok(self.inner.store.keys(app.as_str(), after, limit).await?)
    }

    /// Revokes a key. False: this app has no such key, or it was revoked before.
    ///
    /// # Errors
    /// The store is out of reach.
    pub async fn revoke_key(&self, app: &AppId, id: &str) -> Result<bool, Trouble> {
        Ok(self.inner.store.revoke_key(app.as_str(), id, self.inner.now().0).await?)
    }

    /// What is in force, and how to change it.
    pub fn apps(&self) -> &std::sync::Arc<crate::config::Apps> {
        &self.inner.apps
    }

    /// Numbers of an app, for a status line. Counts rows.
    ///
    /// # Errors
    /// The store is out of reach.
    pub async fn counts(&self, app: &AppId) -> Result<interline_store::Counts, Trouble> {
        Ok(self.inner.store.counts(app.as_str()).await?)
    }
}
