//! A directory that is gone afterwards, unless the test failed.

use std::path::{Path, PathBuf};

/// A directory of a test.
#[derive(Debug)]
pub struct Scratch {
    path: PathBuf,
}

impl Scratch {
    /// Makes one. Under `INTERLINE_TEST_DIR`, else the system's place for such things.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn new(name: &str) -> std::io::Result<Self> {
        let parent = std::env::var_os("INTERLINE_TEST_DIR").map_or_else(std::env::temp_dir, PathBuf::from);
        let path = parent.join(format!("interline-{name}-{}", uuid::Uuid::now_v7().simple()));
        std::fs::create_dir_all(&path)?;
        Ok(Self { path })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Scratch {
    #[allow(clippy::print_stderr, reason = "the person who looks into a failed test wants to know")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("kept for a look: {}", self.path.display());
        } else {
            let _ = std::fs::remove_dir_all(&self.path);
        }
    }
}
