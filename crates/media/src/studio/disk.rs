//! What was spoken, on disk: a file by the hash of what it says, so that a restart does not ask a service again. Bounded:
//! what was written longest ago goes first. It is a cache: what fails here only costs time.

use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};

use super::shelf::Key;

pub struct Disk {
    at: PathBuf,
    most: u64,
}

impl Disk {
    /// Keeps so many bytes in this directory.
    pub fn new(at: &Path, most: u64) -> Self {
        Self { at: at.to_owned(), most }
    }

    fn path(&self, key: &Key) -> PathBuf {
        let mut name = String::with_capacity(70);
        for byte in key {
            // Writing into a string does not fail.
            let _ = write!(name, "{byte:02x}");
        }
        name.push_str(".snd");
        self.at.join(name)
    }

    /// What is kept.
    pub async fn read(&self, key: &Key) -> Option<Vec<u8>> {
        tokio::fs::read(self.path(key)).await.ok()
    }

    /// Keeps it.
    pub async fn write(&self, key: &Key, bytes: &[u8]) {
        let (path, at, most, bytes) = (self.path(key), self.at.clone(), self.most, bytes.to_vec());
        let written = tokio::task::spawn_blocking(move || {
            write(&path, &at, &bytes)?;
            clear(&at, most)
        });
        if let Ok(Err(error)) = written.await {
            tracing::warn!(%error, "the cache of spoken text cannot be written");
        }
    }
}

/// Whole or not at all, and for nobody else to read: it may say what concerns a customer.
fn write(path: &Path, at: &Path, bytes: &[u8]) -> io::Result<()> {
    use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(at)?;
    let mut unique = [0; 8];
    getrandom::fill(&mut unique).map_err(|_| io::Error::other("no randomness"))?;
    let part = path.with_extension(format!("{:016x}", u64::from_be_bytes(unique)));
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&part)?;
    let written = io::Write::write_all(&mut file, bytes).and_then(|()| std::fs::rename(&part, path));
    if written.is_err() {
        // It may not even be there.
        let _ = std::fs::remove_file(&part);
    }
    written
}

fn clear(at: &Path, most: u64) -> io::Result<()> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(at)? {
        let entry = entry?;
        let state = entry.metadata()?;
        if state.is_file() {
            files.push((state.modified()?, state.len(), entry.path()));
        }
    }
    files.sort();
    let mut all: u64 = files.iter().map(|(_, length, _)| length).sum();
    for (_, length, path) in files {
        if all <= most {
            break;
        }
        std::fs::remove_file(path)?;
        all -= length;
    }
    Ok(())
}
