//! Stored files in a directory: one folder an app, one file a file. Written elsewhere, synced, then renamed into place and
//! the folder synced: what has its place is whole, also after a loss of power.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use interline_connector::FileStream;
use interline_connector::files::Interrupted;

use super::BlobError;
use crate::parts::{blocking, private_dir};

/// So many bytes are read at once.
const BLOCK: usize = 256 * 1024;

/// A directory with files.
#[derive(Clone)]
pub struct Directory {
    root: Arc<PathBuf>,
}

impl Directory {
    pub(super) fn open(root: PathBuf) -> std::io::Result<Self> {
        private_dir(&root)?;
        Ok(Self { root: Arc::new(root) })
    }

    pub(super) fn path(&self, key: &str) -> Result<PathBuf, BlobError> {
        let plain = |part: &str| {
            !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'))
        };
        if key.split('/').all(plain) {
            Ok(self.root.join(key))
        } else {
            Err(BlobError::Unavailable("not a key".to_owned()))
        }
    }

    pub(super) async fn put(&self, key: &str, from: &Path) -> Result<(), BlobError> {
        let (from, to) = (from.to_owned(), self.path(key)?);
        Ok(blocking(move || move_in(&from, &to)).await?)
    }

    pub(super) async fn open_file(&self, key: &str) -> Result<Option<(u64, FileStream)>, BlobError> {
        let path = self.path(key)?;
        let opened = blocking(move || match std::fs::File::open(path) {
            Ok(file) => Ok(Some((file.metadata()?.len(), file))),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        });
        Ok(opened.await?.map(|(size, file)| (size, stream(file))))
    }

    pub(super) async fn delete(&self, key: &str) -> Result<(), BlobError> {
        match tokio::fs::remove_file(self.path(key)?).await {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
            _ => Ok(()),
        }
    }
}

fn move_in(from: &Path, to: &Path) -> std::io::Result<()> {
    let folder = to.parent().unwrap_or(to);
    if !folder.is_dir() {
        private_dir(folder)?;
        sync_dir(folder.parent().unwrap_or(folder))?;
    }
    std::fs::File::open(from)?.sync_all()?;
    match std::fs::rename(from, to) {
        Ok(()) => {}
        // Another file system.
        Err(error) if error.kind() == std::io::ErrorKind::CrossesDevices => {
            let beside = to.with_extension("part");
            let copied = std::fs::copy(from, &beside).and_then(|_| std::fs::File::open(&beside)?.sync_all());
            if let Err(error) = copied.and_then(|()| std::fs::rename(&beside, to)) {
                let _ = std::fs::remove_file(&beside);
                return Err(error);
            }
        }
        Err(error) => return Err(error),
    }
    sync_dir(folder)
}

/// A rename is durable once its folder is.
fn sync_dir(folder: &Path) -> std::io::Result<()> {
    std::fs::File::open(folder)?.sync_all()
}

/// Reads block by block, on the pool for blocking work; one at a time, because whoever fetches sets the pace.
fn stream(file: std::fs::File) -> FileStream {
    Box::pin(futures_util::stream::unfold(Some(file), |file| async {
        let mut file = file?;
        let read = blocking(move || {
            let mut block = BytesMut::zeroed(BLOCK);
            let mut filled = 0;
            while let Some(rest) = block.get_mut(filled..).filter(|rest| !rest.is_empty()) {
                match file.read(rest)? {
                    0 => break,
                    more => filled += more,
                }
            }
            block.truncate(filled);
            Ok((file, block.freeze()))
        });
        match read.await {
            Ok((_, block)) if block.is_empty() => None,
            Ok((file, block)) => Some((Ok::<Bytes, _>(block), Some(file))),
            Err(error) => Some((Err(Interrupted(error.to_string())), None)),
        }
    }))
}
