//! Files: what customers upload and agents send becomes a stored file, which an entry may name; and who may fetch it.
//!
//! ```text
//!   upload.rs (customer) ─┐
//!                         ├─► keep.rs: judged, scanned, stripped ─► row, bytes synced ─► File ─► an entry names it
//!   incoming.rs (agent) ──┘                                                                          │
//!                                  links.rs: /f/{token} for people, /f/v/{token} for machines ◄──────┘
//! ```
//!
//! A file is stored before an entry names it, and the commit of the entry takes it from the sweep (`sweep.rs`): so no entry
//! names a file that is not there, and what nobody names is gone after a day.

mod incoming;
mod keep;
mod links;
mod read;
mod sweep;
mod upload;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use interline_connector::files::Source;
use interline_connector::{FileRefused, Http};
use interline_core::{AppId, CustomerId, File, FileId};
use interline_files::blobs::Blobs;
use interline_files::parts::Parts;
use interline_files::scan::Scanner;
use interline_store::FileRow;
use uuid::Uuid;

use crate::ingress::Trouble;

pub(crate) use keep::Sender;
pub use read::{Download, Shared, Told};

/// Where the bytes of files are.
#[derive(Clone)]
pub struct Storage {
    /// Uploads under way.
    pub parts: Parts,
    /// Stored files.
    pub blobs: Blobs,
    /// A virus scanner, for apps that want one.
    pub scanner: Option<Scanner>,
    /// The way to agents' files.
    pub http: Http,
}

/// What the engine keeps of files in memory.
pub(crate) struct Desk {
    pub storage: Storage,
    /// For connectors that send the bytes themselves.
    pub source: Source,
    /// Uploads with bytes, by customer: they count against what a customer may have waiting.
    begun: Mutex<HashMap<(AppId, CustomerId), HashSet<Uuid>>>,
    /// One at a time finishes an upload.
    finishing: Mutex<HashMap<Uuid, Arc<tokio::sync::Mutex<()>>>>,
    /// Pictures are decoded so many at a time: each takes as much memory as it has pixels.
    thumbnails: tokio::sync::Semaphore,
}

/// A customer may have so many files under way, or stored and not sent.
const WAITING: usize = 30;

impl Desk {
    pub fn new(storage: Storage) -> Self {
        Self {
            source: Source(Arc::new(read::Shelf(storage.blobs.clone()))),
            storage,
            begun: Mutex::default(),
            finishing: Mutex::default(),
            thumbnails: tokio::sync::Semaphore::new(2),
        }
    }

    fn begun(&self, app: &AppId, customer: &CustomerId) -> usize {
        let begun = self.begun.lock().unwrap_or_else(PoisonError::into_inner);
        begun.get(&(app.clone(), customer.clone())).map_or(0, HashSet::len)
    }

    /// An upload has bytes from now on. Refused where the customer has `most` others already.
    fn begins(
        &self,
        app: &AppId,
        customer: &CustomerId,
        upload: Uuid,
        most: usize,
    ) -> Result<(), FileRefused> {
        let mut begun = self.begun.lock().unwrap_or_else(PoisonError::into_inner);
        let theirs = begun.entry((app.clone(), customer.clone())).or_default();
        if theirs.len() >= most && !theirs.contains(&upload) {
            return Err(FileRefused::TooManyWaiting { max: WAITING });
        }
        theirs.insert(upload);
        Ok(())
    }

    /// Where the bytes of a customer's uploads are.
    pub(crate) fn spool(&self, customer: &CustomerId) -> Parts {
        self.storage.parts.of(customer.as_str())
    }

    fn is_over(&self, app: &AppId, customer: &CustomerId, upload: Uuid) {
        let key = (app.clone(), customer.clone());
        let mut begun = self.begun.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(theirs) = begun.get_mut(&key) {
            theirs.remove(&upload);
            if theirs.is_empty() {
                begun.remove(&key);
            }
        }
    }

    /// Those that were given up without a word are forgotten with their bytes.
    fn forget_begun(&self) {
        self.begun.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    fn finishing(&self, upload: Uuid) -> Arc<tokio::sync::Mutex<()>> {
        let mut finishing = self.finishing.lock().unwrap_or_else(PoisonError::into_inner);
        // Those that nobody holds are done with.
        finishing.retain(|_, lock| Arc::strong_count(lock) > 1);
        finishing.entry(upload).or_default().clone()
    }
}

/// The name of the bytes.
fn blob_key(app: &AppId, id: &FileId) -> String {
    format!("{app}/{id}")
}

fn file_id(upload: Uuid) -> FileId {
    FileId::new(format!("fil_{}", upload.simple()))
}

/// What the store has of a file.
fn read_row(row: &FileRow) -> Result<File, Trouble> {
    serde_json::from_str(&row.doc).map_err(|error| Trouble::Broken(format!("file: {error}")))
}

/// The person learns that it cannot be done now; the operator, why.
fn unavailable(trouble: impl std::fmt::Display) -> FileRefused {
    tracing::warn!(%trouble, "a file could not be served");
    FileRefused::Unavailable
}
