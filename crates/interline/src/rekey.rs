//! `interline rekey`: everything that is sealed is sealed again with the newest key, so that an older one can go.

use anyhow::{Context, Result};

use crate::data;
use crate::outcome::Outcome;
use crate::settings::StoreFlags;

/// So many values are sealed at a time.
const BATCH: i64 = 500;

/// Seals everything again.
///
/// # Errors
/// When a server runs, or something does not open with the keys that are there.
pub async fn run(flags: StoreFlags) -> Result<Outcome> {
    let settings = flags.load()?;
    let opened = data::open_alone(&settings).await?;
    let keys = data::known_keys(&settings)?;
    let done = opened.store.rekey(BATCH).await;
    opened.store.close().await;
    let done = done.context("not everything is sealed with the newest key; keep the old keys")?;
    let mut ids = keys.ids();
    let newest = ids.next().unwrap_or_default();
    let old: Vec<&str> = ids.collect();
    let interline_store::Rekeyed { sessions, apps, flows } = done;
    let mut answer = format!(
        "sealed again with the key {newest}: {sessions} sessions, {apps} versions of apps, {flows} flows\n"
    );
    if old.is_empty() {
        answer.push_str(
            "there is no other key: put a new one in front of it to leave it (docs/operate/keys.md)\n",
        );
    } else {
        answer.push_str(&format!("the old keys can be removed now: {}\n", old.join(", ")));
    }
    let mut note = String::new();
    if !old.is_empty() {
        note.push_str(
            "transcript links, web logins and settings of scripts that an old key made end with it\n",
        );
        if settings.database.is_some() {
            note.push_str("other nodes on this database must have the new key before\n");
        }
    }
    Ok(Outcome { note, ..Outcome::answer(answer) })
}
