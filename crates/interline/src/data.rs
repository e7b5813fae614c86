//! The data directory and the store behind it: who uses it, and how a command opens it.
//!
//! | command | lock | schema |
//! |---|---|---|
//! | `serve`, `demo`, `migrate` | takes it, or does not start | brings it up to date |
//! | `rekey` | takes it: a server would go on sealing with the old key | brings it up to date |
//! | `key` | takes it if nobody has it; works beside a server | beside a server: must be ours |
//! | `check` | takes it if nobody has it | only looks |

use std::fs::File;
use std::io::ErrorKind;
use std::path::Path;

use anyhow::{Context, Result, bail};
use interline_store::{KeyRing, Store, known_version};

use crate::settings::Settings;

/// One process a data directory: two would each believe to be the only writer.
///
/// # Errors
/// When another process has it, or it cannot be made.
pub fn lock(data: &Path) -> Result<File> {
    try_lock(data)?.with_context(|| in_use(data))
}

/// The data directory, locked; none: another process has it.
fn try_lock(data: &Path) -> Result<Option<File>> {
    std::fs::create_dir_all(data)
        .with_context(|| format!("cannot make the data directory {}", data.display()))?;
    let path = data.join("lock");
    let file = File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
    taken(file)
}

/// Whether anybody uses the data directory. What is not there is not made.
///
/// # Errors
/// When it cannot be found out.
pub fn look(data: &Path) -> Result<Use> {
    let path = data.join("lock");
    let file = match File::options().write(true).open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Ok(Use { taken: false, _lock: None });
        }
        Err(error) => return Err(error).with_context(|| format!("cannot open {}", path.display())),
    };
    let lock = taken(file)?;
    Ok(Use { taken: lock.is_none(), _lock: lock })
}

/// Whether somebody uses a data directory.
pub struct Use {
    /// Another process does.
    pub taken: bool,
    /// Nobody does, and nobody can while this is held.
    _lock: Option<File>,
}

fn taken(file: File) -> Result<Option<File>> {
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(std::fs::TryLockError::WouldBlock) => Ok(None),
        Err(std::fs::TryLockError::Error(error)) => Err(error).context("cannot lock the data directory"),
    }
}

fn in_use(data: &Path) -> String {
    format!("the data directory {} is in use by another interline process", data.display())
}

/// The keys that seal what is secret at rest: from the settings, or the file in the data directory, made if missing.
///
/// # Errors
/// When they cannot be read.
pub fn keys(settings: &Settings) -> Result<KeyRing> {
    match &settings.keys {
        Some(keys) => Ok(KeyRing::parse(keys)?),
        None => Ok(KeyRing::load_or_create(&settings.data.join("keys"))?),
    }
}

/// [`keys`] of a store that is there already: a new key file would open nothing in it.
///
/// # Errors
/// When there are none, or they cannot be read.
pub fn known_keys(settings: &Settings) -> Result<KeyRing> {
    let file = settings.data.join("keys");
    anyhow::ensure!(
        settings.keys.is_some() || file.is_file(),
        "there is no key file {}: give the keys of this database (INTERLINE_KEYS, or `keys` in the settings file)",
        file.display()
    );
    keys(settings)
}

/// The store, for a short use.
pub struct Opened {
    /// The store.
    pub store: Store,
    /// Held until the end, if nobody else has it.
    _lock: Option<File>,
}

/// Opens the store, also beside a server.
///
/// # Errors
/// When a server of another version runs: nothing is changed under it.
pub async fn open_beside(settings: &Settings) -> Result<Opened> {
    let lock = try_lock(&settings.data)?;
    let url = settings.database_url()?;
    let found = Store::stored_version(&url).await?;
    let known = known_version();
    if lock.is_none() && found < known {
        bail!(
            "a server runs on {} whose database has schema version {found}, and this program needs {known}: \
             stop the server first, or use the `interline` that it was started with",
            settings.data.display()
        );
    }
    // A running server has its keys; if not from the file, then from elsewhere.
    let keys = if lock.is_none() { known_keys(settings)? } else { keys(settings)? };
    let store = Store::open(interline_store::Settings { url, lanes: 1, keys }).await?;
    Ok(Opened { store, _lock: lock })
}

/// Opens the store of a server that does not run, with a lock on the data directory.
///
/// # Errors
/// When a server runs, or there is nothing to open.
pub async fn open_alone(settings: &Settings) -> Result<Opened> {
    if look(&settings.data)?.taken {
        bail!("{}: stop it first", in_use(&settings.data));
    }
    let url = settings.database_url()?;
    if Store::stored_version(&url).await? == 0 {
        bail!("there is no database yet in {}", settings.data.display());
    }
    let keys = known_keys(settings)?;
    let lock = try_lock(&settings.data)?.with_context(|| in_use(&settings.data))?;
    let store = Store::open(interline_store::Settings { url, lanes: 0, keys }).await?;
    Ok(Opened { store, _lock: Some(lock) })
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Scratch(std::path::PathBuf);

    impl Scratch {
        fn new() -> Self {
            let path = std::env::temp_dir().join(format!("interline-data-{}", uuid::Uuid::now_v7().simple()));
            Self(path)
        }

        fn settings(&self) -> Settings {
            Settings { data: self.0.clone(), ..Settings::default() }
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn looking_makes_nothing_and_sees_who_is_there() {
        let scratch = Scratch::new();
        assert!(!look(&scratch.0).expect("a look").taken);
        assert!(!scratch.0.exists());
        let held = lock(&scratch.0).expect("the lock");
        assert!(look(&scratch.0).expect("a look").taken);
        assert!(lock(&scratch.0).is_err());
        drop(held);
        assert!(!look(&scratch.0).expect("a look").taken);
    }

    #[tokio::test]
    async fn beside_a_server_nothing_is_migrated() {
        let scratch = Scratch::new();
        let settings = scratch.settings();
        let server = lock(&scratch.0).expect("the lock");
        let refused = open_beside(&settings).await.err().expect("an older schema").to_string();
        assert!(refused.contains("schema version 0") && refused.contains("stop the server"), "{refused}");
        assert!(!scratch.0.join("interline.db").exists() && !scratch.0.join("keys").exists());
        drop(server);
        let opened = open_beside(&settings).await.expect("alone");
        opened.store.close().await;
        // Now it is up to date, and a server may run.
        let _server = lock(&scratch.0);
        drop(opened._lock);
        let _server = lock(&scratch.0).expect("the lock");
        open_beside(&settings).await.expect("beside").store.close().await;
        // A server with keys from elsewhere: no file is made for it.
        std::fs::remove_file(scratch.0.join("keys")).expect("the key file");
        let refused = open_beside(&settings).await.err().expect("no keys").to_string();
        assert!(refused.contains("INTERLINE_KEYS"), "{refused}");
        assert!(!scratch.0.join("keys").exists());
    }

    #[tokio::test]
    async fn alone_means_alone() {
        let scratch = Scratch::new();
        let settings = scratch.settings();
        assert!(
            open_alone(&settings).await.err().expect("nothing there").to_string().contains("no database yet")
        );
        assert!(!scratch.0.exists());
        open_beside(&settings).await.expect("made").store.close().await;
        let server = lock(&scratch.0).expect("the lock");
        let refused = open_alone(&settings).await.err().expect("in use").to_string();
        assert!(refused.contains("in use") && refused.contains("stop it"), "{refused}");
        drop(server);
        open_alone(&settings).await.expect("alone").store.close().await;
    }
}
