//! Stored files. A key is `app/file`; what is put under it is durable when the call returns.

mod directory;
mod s3;

use std::path::{Path, PathBuf};

use interline_connector::FileStream;

pub use directory::Directory;
pub use s3::{S3, S3Settings};

/// Where stored files are. Cheap to clone.
#[derive(Clone)]
pub enum Blobs {
    /// A directory of this node.
    Directory(Directory),
    /// A bucket of an S3-compatible store.
    S3(S3),
}

/// Why bytes could not be kept or given.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BlobError {
    /// There is no room.
    #[error("there is no room")]
    Full,
    /// The store is out of reach, or refuses us.
    #[error("{0}")]
    Unavailable(String),
}

impl From<std::io::Error> for BlobError {
    fn from(error: std::io::Error) -> Self {
        if crate::parts::is_full(&error) { Self::Full } else { Self::Unavailable(error.to_string()) }
    }
}

/// A stored file that can be read by its path; a copy is removed when this goes.
pub struct Local {
    path: PathBuf,
    is_copy: bool,
}

impl Local {
    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Local {
    fn drop(&mut self) {
        if self.is_copy {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

impl Blobs {
    /// Files in a directory; it is made if it is not there.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn directory(dir: impl Into<PathBuf>) -> std::io::Result<Self> {
        Directory::open(dir.into()).map(Self::Directory)
    }

    /// Files in a bucket.
    ///
    /// # Errors
    /// A setting is wrong.
    pub fn s3(settings: S3Settings) -> Result<Self, String> {
        S3::new(settings).map(Self::S3)
    }

    /// Keeps the file at `path` under `key`, and takes it from there if it can. The same key again is replaced.
    ///
    /// # Errors
    /// Nothing is kept then.
    pub async fn put(&self, key: &str, path: &Path) -> Result<(), BlobError> {
        match self {
            Self::Directory(directory) => directory.put(key, path).await,
            Self::S3(bucket) => bucket.put(key, path).await,
        }
    }

    /// The bytes under `key` and how many there are. None: nothing is there.
    ///
    /// # Errors
    /// The store is out of reach.
    pub async fn open(&self, key: &str) -> Result<Option<(u64, FileStream)>, BlobError> {
        match self {
            Self::Directory(directory) => directory.open_file(key).await,
            Self::S3(bucket) => bucket.open(key).await,
        }
    }

    /// The bytes under `key` as a file; `scratch` is where a copy may go. None: nothing is there.
    ///
    /// # Errors
    /// The store is out of reach.
    pub async fn local(&self, key: &str, scratch: PathBuf) -> Result<Option<Local>, BlobError> {
        match self {
            Self::Directory(directory) => {
                let path = directory.path(key)?;
                let there = tokio::fs::try_exists(&path).await?;
                Ok(there.then_some(Local { path, is_copy: false }))
            }
            Self::S3(bucket) => {
                let copy = Local { path: scratch, is_copy: true };
                Ok(bucket.copy_to(key, copy.path()).await?.then_some(copy))
            }
        }
    }

    /// Deletes what is under `key`, if anything is.
    ///
    /// # Errors
    /// The store is out of reach.
    pub async fn delete(&self, key: &str) -> Result<(), BlobError> {
        match self {
            Self::Directory(directory) => directory.delete(key).await,
            Self::S3(bucket) => bucket.delete(key).await,
        }
    }
}
