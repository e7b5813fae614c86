//! Uploads under way: their bytes, spooled to a directory of this node. What is on disk counts: an upload goes on after a
//! restart where its file ends.
//!
//! Each piece is written and hashed as it comes, by the pool for blocking work: no byte is copied here. What is written is
//! synced while the rest comes, so that the end of a large upload does not wait for all of it. Only an upload that was taken
//! up again after a restart is read once more for its hash.

use std::collections::HashMap;
use std::ffi::OsString;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use bytes::Bytes;
use futures_util::StreamExt as _;
use interline_connector::FileStream;
use sha2::{Digest as _, Sha256};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// What is written is synced in the background when it has grown by so many bytes.
const SYNC: u64 = 2 * 1024 * 1024;

/// Uploads under way. Cheap to clone.
#[derive(Clone)]
pub struct Parts {
    inner: Arc<Inner>,
    /// Where the uploads of this handle are.
    dir: PathBuf,
}

struct Inner {
    /// The directory of all.
    root: PathBuf,
    /// Those that have somebody adding to them, or a hash that is worth keeping.
    open: Mutex<HashMap<Uuid, Open>>,
}

#[derive(Default)]
struct Open {
    /// Held by whoever adds to it.
    lock: Arc<tokio::sync::Mutex<Option<Running>>>,
    /// Ends the one who adds to it now.
    stop: CancellationToken,
}

/// The hash of all bytes so far.
struct Running {
    hasher: Sha256,
    hashed: u64,
}

/// Why bytes were not added.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// The upload stands elsewhere.
    #[error("the upload stands at byte {offset}")]
    Misplaced {
        /// Where.
        offset: u64,
    },
    /// More than may come.
    #[error("more bytes than may come")]
    TooLarge,
    /// The stream broke. What came before is kept.
    #[error("the stream broke at byte {offset}")]
    Interrupted {
        /// Where the upload stands.
        offset: u64,
    },
    /// Somebody else goes on with it.
    #[error("somebody else goes on with it")]
    Superseded,
    /// The disk is full, or a quota.
    #[error("there is no room")]
    Full,
    /// It cannot be written.
    #[error("{0}")]
    Io(String),
}

impl From<std::io::Error> for AppendError {
    fn from(error: std::io::Error) -> Self {
        if is_full(&error) { Self::Full } else { Self::Io(error.to_string()) }
    }
}

/// All bytes of an upload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Whole {
    /// Where they are.
    pub path: PathBuf,
    /// How many.
    pub size: u64,
    /// Their hash, lower-case hexadecimal.
    pub sha256: String,
}

/// Whether a write failed for want of room: a full disk, a quota, a limit of the process.
pub(crate) fn is_full(error: &std::io::Error) -> bool {
    use std::io::ErrorKind;
    matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge)
}

impl Parts {
    /// Opens the directory; makes it if it is not there, for this user alone.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn open(dir: impl Into<PathBuf>) -> std::io::Result<Self> {
        let dir = dir.into();
        private_dir(&dir)?;
        let inner = Inner { root: dir.clone(), open: Mutex::default() };
        Ok(Self { inner: Arc::new(inner), dir })
    }

    /// The uploads of one owner: they have a directory of their own, so that all of them can be forgotten.
    pub fn of(&self, owner: &str) -> Self {
        let plain = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
        let name: String = owner.chars().filter(plain).collect();
        Self { inner: self.inner.clone(), dir: self.inner.root.join(name) }
    }

    /// Adds bytes at `at`; not more than `max` in all. A second call for the same upload ends the first and waits until it
    /// let go. Returns where the upload stands.
    ///
    /// # Errors
    /// See [`AppendError`]; what came before is kept.
    pub async fn append(
        &self,
        id: Uuid,
        at: u64,
        mut bytes: FileStream,
        max: u64,
    ) -> Result<u64, AppendError> {
        let (lock, stop) = self.take_over(id);
        let mut running = lock.lock().await;
        let offset = self.len(id).await?;
        if offset != at {
            return Err(AppendError::Misplaced { offset });
        }
        let hasher = match running.take() {
            Some(running) if running.hashed == offset => Some(running.hasher),
            _ => (offset == 0).then(Sha256::new),
        };
        let mut spool =
            Spool { path: self.path(id), file: None, hasher, len: offset, synced: offset, sync: None };
        let ended = loop {
            let next = tokio::select! {
                biased;
                () = stop.cancelled() => break Err(AppendError::Superseded),
                next = bytes.next() => next,
            };
            match next {
                None => break Ok(()),
                Some(Err(_)) => break Err(AppendError::Interrupted { offset: 0 }),
                Some(Ok(piece)) => {
                    if spool.len + piece.len() as u64 > max {
                        break Err(AppendError::TooLarge);
                    }
                    spool = spool.write(piece).await?;
                }
            }
        };
        spool.settle().await?;
        *running = spool.hasher.map(|hasher| Running { hasher, hashed: spool.len });
        match ended {
            Ok(()) => Ok(spool.len),
            Err(AppendError::Interrupted { .. }) => Err(AppendError::Interrupted { offset: spool.len }),
            Err(error) => Err(error),
        }
    }

    /// How many bytes of an upload are there.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub async fn len(&self, id: Uuid) -> std::io::Result<u64> {
        match tokio::fs::metadata(self.path(id)).await {
            Ok(found) => Ok(found.len()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(0),
            Err(error) => Err(error),
        }
    }

    /// All that came of an upload, with its hash. None: nothing did.
    ///
    /// # Errors
    /// It cannot be read.
    pub async fn whole(&self, id: Uuid) -> std::io::Result<Option<Whole>> {
        let path = self.path(id);
        let size = match tokio::fs::metadata(&path).await {
            Ok(found) => found.len(),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let (lock, _) = self.take_over(id);
        let running = lock.lock().await.take().filter(|running| running.hashed == size);
        if let Some(Running { hasher, .. }) = running {
            return Ok(Some(Whole { path, size, sha256: hex(hasher) }));
        }
        blocking(move || measure(path)).await.map(Some)
    }

    /// A place for a changed copy of an upload. [`Parts::remove`] removes it too.
    pub fn scratch(&self, id: Uuid) -> PathBuf {
        self.dir.join(format!("{}.copy", id.simple()))
    }

    /// Forgets an upload.
    pub async fn remove(&self, id: Uuid) {
        let open = self.opened().remove(&id);
        if let Some(open) = open {
            open.stop.cancel();
            // Whoever adds to it must not make it anew.
            let _ = open.lock.lock().await;
        }
        for path in [self.path(id), self.scratch(id)] {
            match tokio::fs::remove_file(&path).await {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    tracing::warn!(%error, "an upload was not removed");
                }
                _ => {}
            }
        }
    }

    /// Forgets all uploads of this handle's owner; those that bytes come for now are ended.
    pub async fn forget(&self) {
        let dir = self.dir.clone();
        let ids = blocking(move || names(&dir)).await.unwrap_or_default();
        for id in ids.iter().filter_map(|name| Uuid::try_parse(name.to_str()?).ok()) {
            self.remove(id).await;
        }
        let dir = self.dir.clone();
        match blocking(move || std::fs::remove_dir_all(dir)).await {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                tracing::warn!(%error, "uploads were not removed");
            }
            _ => {}
        }
    }

    /// Forgets uploads that nobody added to since `before`. Returns how many.
    pub async fn sweep(&self, before: SystemTime) -> u64 {
        let root = self.inner.root.clone();
        let swept = blocking(move || sweep(&root, before));
        let swept = swept.await.unwrap_or_default();
        let ids = swept.iter().filter_map(|name| Uuid::try_parse(name.to_str()?).ok());
        let mut open = self.opened();
        for id in ids {
            open.remove(&id);
        }
        swept.len() as u64
    }

    fn path(&self, id: Uuid) -> PathBuf {
        self.dir.join(id.simple().to_string())
    }

    fn opened(&self) -> std::sync::MutexGuard<'_, HashMap<Uuid, Open>> {
        self.inner.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends whoever adds to the upload now, and gives its lock and what will end us.
    fn take_over(&self, id: Uuid) -> (Arc<tokio::sync::Mutex<Option<Running>>>, CancellationToken) {
        let mut open = self.opened();
        let open = open.entry(id).or_default();
        std::mem::take(&mut open.stop).cancel();
        (open.lock.clone(), open.stop.clone())
    }
}

/// The file that an upload is written to.
struct Spool {
    path: PathBuf,
    file: Option<std::fs::File>,
    /// None: what was there before this process was not hashed.
    hasher: Option<Sha256>,
    len: u64,
    /// Up to here a sync was asked for.
    synced: u64,
    /// The sync that is under way. Its error is the only one that tells of bytes lost by the disk.
    sync: Option<JoinHandle<std::io::Result<()>>>,
}

impl Spool {
    /// Writes a piece.
    async fn write(mut self, piece: Bytes) -> Result<Self, AppendError> {
        if piece.is_empty() {
            return Ok(self);
        }
        let work = move || {
            let mut file = match self.file.take() {
                Some(file) => file,
                None => append_to(&self.path)?,
            };
            file.write_all(&piece)?;
            if let Some(hasher) = &mut self.hasher {
                hasher.update(&piece);
            }
            self.len += piece.len() as u64;
            self.file = Some(file);
            Ok(self)
        };
        let mut spool = blocking(work).await?;
        spool.sync_what_grew().await?;
        Ok(spool)
    }

    /// Begins a sync of what was written since the last one, if that is over.
    async fn sync_what_grew(&mut self) -> Result<(), AppendError> {
        if self.len - self.synced < SYNC || self.sync.as_ref().is_some_and(|sync| !sync.is_finished()) {
            return Ok(());
        }
        self.settle().await?;
        if let Some(file) = &self.file {
            let file = file.try_clone()?;
            self.synced = self.len;
            self.sync = Some(tokio::task::spawn_blocking(move || file.sync_data()));
        }
        Ok(())
    }

    /// Waits for the sync that is under way.
    async fn settle(&mut self) -> Result<(), AppendError> {
        match self.sync.take() {
            Some(sync) => Ok(sync.await.map_err(std::io::Error::other)??),
            None => Ok(()),
        }
    }
}

/// Opens a file to add to; its owner's directory is made with it.
fn append_to(path: &Path) -> std::io::Result<std::fs::File> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let open = || std::fs::OpenOptions::new().append(true).create(true).mode(0o600).open(path);
    match (open(), path.parent()) {
        (Err(error), Some(owner)) if error.kind() == std::io::ErrorKind::NotFound => {
            private_dir(owner)?;
            open()
        }
        (opened, _) => opened,
    }
}

fn names(dir: &Path) -> std::io::Result<Vec<OsString>> {
    std::fs::read_dir(dir)?.map(|entry| Ok(entry?.file_name())).collect()
}

/// Removes files that were not written to since `before`, and owners' directories that are empty then. Returns their names.
fn sweep(dir: &Path, before: SystemTime) -> std::io::Result<Vec<OsString>> {
    let mut swept = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        let found = entry.metadata()?;
        if found.is_dir() {
            swept.extend(sweep(&entry.path(), before)?);
            // One that is not empty stays.
            let _ = std::fs::remove_dir(entry.path());
        } else if found.modified().is_ok_and(|at| at < before) && std::fs::remove_file(entry.path()).is_ok() {
            swept.push(entry.file_name());
        }
    }
    Ok(swept)
}

/// Makes a directory for this user alone.
pub(crate) fn private_dir(dir: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)
}

/// The size and the hash of a file.
///
/// # Errors
/// It cannot be read.
pub fn measure(path: PathBuf) -> std::io::Result<Whole> {
    let mut hasher = Sha256::new();
    let size = std::io::copy(&mut std::fs::File::open(&path)?, &mut Hashing(&mut hasher))?;
    Ok(Whole { path, size, sha256: hex(hasher) })
}

struct Hashing<'a>(&'a mut Sha256);

impl std::io::Write for Hashing<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn hex(hasher: Sha256) -> String {
    hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Runs on the pool for blocking work.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> std::io::Result<T> + Send + 'static,
) -> std::io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(std::io::Error::other)?
}
