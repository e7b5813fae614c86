//! All bytes of a file are there: it is judged, and stored.
//!
//! The row is written before the bytes get their place, and the spooled bytes leave with the last step: a crash in
//! between leaves a row that nobody knows the id of, which the sweep takes, and bytes from which it can be done again.

use std::path::PathBuf;

use interline_connector::{FileRefused, formats};
use interline_core::{AppId, CustomerId, File, FileId};
use interline_files::blobs::BlobError;
use interline_files::parts::{Whole, measure};
use interline_files::scan::Verdict;
use interline_files::{content, name, strip};
use interline_store::FileRow;
use uuid::Uuid;

use super::{blob_key, file_id, read_row, unavailable};
use crate::config::{FileRules, ScannerDown, WhenFound};
use crate::engine::Inner;
use crate::observe;

/// Whose file it is, and how it came.
pub(crate) struct Sender<'a> {
    pub app: &'a AppId,
    /// The customer whose conversation it is for, whoever sends it.
    pub customer: &'a CustomerId,
    /// `customer` or `agent`.
    pub by: &'static str,
}

impl<'a> Sender<'a> {
    /// An agent, in a conversation of this customer.
    pub fn agent(app: &'a AppId, customer: &'a CustomerId) -> Self {
        Self { app, customer, by: "agent" }
    }
}

/// A name that may be kept, and its extension, which the app takes.
pub(super) fn judge_name(rules: &FileRules, given: &str) -> Result<(String, String), FileRefused> {
    let name = name::clean(given).ok_or(FileRefused::Nameless)?;
    let extension = formats::extension(&name).filter(|it| rules.formats.contains(it));
    let extension = extension.ok_or_else(|| FileRefused::Format { accepted: rules.formats.clone() })?;
    Ok((name, extension))
}

impl Inner {
    /// Judges and stores what was spooled as `upload`. The same again gives the same file.
    pub(super) async fn keep(
        &self,
        rules: &FileRules,
        sender: &Sender<'_>,
        upload: Uuid,
        given_name: &str,
        size: Option<u64>,
    ) -> Result<File, FileRefused> {
        let lock = self.files.finishing(upload);
        let _one_at_a_time = lock.lock().await;
        let kept = self.keep_one(rules, sender, upload, given_name, size).await;
        observe::file_taken(sender.by, &kept);
        if !kept.as_ref().is_err_and(FileRefused::is_passing) {
            self.files.spool(sender.customer).remove(upload).await;
            self.files.is_over(sender.app, sender.customer, upload);
        }
        kept
    }

    async fn keep_one(
        &self,
        rules: &FileRules,
        sender: &Sender<'_>,
        upload: Uuid,
        given_name: &str,
        declared: Option<u64>,
    ) -> Result<File, FileRefused> {
        let parts = self.files.spool(sender.customer);
        let Some(whole) = parts.whole(upload).await.map_err(unavailable)? else {
            // The bytes left the spool when they were stored.
            return self.kept_already(sender, &file_id(upload)).await?.ok_or(FileRefused::Empty);
        };
        match (whole.size, declared) {
            (0, _) => return Err(FileRefused::Empty),
            (there, Some(declared)) if there < declared => return Err(FileRefused::Interrupted),
            (there, _) if there > rules.max_bytes => {
                return Err(FileRefused::TooLarge { max: rules.max_bytes });
            }
            _ => {}
        }
        let (name, extension) = judge_name(rules, given_name)?;
        let (judged, path) = (name.clone(), whole.path.clone());
        let format = blocking(move || content::decide(&judged, &path)).await?.map_err(unavailable)?;
        let format = format.ok_or(FileRefused::Mismatch { extension })?;
        let warning = self.scan(rules, &whole).await?;
        let whole = if rules.strip_location {
            self.strip(parts.scratch(upload), whole, format).await?
        } else {
            whole
        };
        let Whole { path, size, sha256 } = whole;
        let id = file_id(upload);
        let file = File { id, name, mime: format.mime.to_owned(), size, sha256, warning };
        let row = FileRow {
            id: file.id.as_str().to_owned(),
            customer: sender.customer.as_str().to_owned(),
            conversation: None,
            by: sender.by.to_owned(),
            doc: serde_json::to_string(&file).map_err(unavailable)?,
            size: i64::try_from(size).unwrap_or(i64::MAX),
            created_at: self.now().0,
            shared_at: None,
            revoked_at: None,
        };
        self.store.put_file(sender.app.as_str(), row).await.map_err(|error| match error {
            // The person was erased meanwhile, and with them what they are sending.
            interline_store::Error::Gone => FileRefused::Unknown,
            error => unavailable(error),
        })?;
        let stored = self.files.storage.blobs.put(&blob_key(sender.app, &file.id), &path).await;
        stored.map_err(|error| match error {
            BlobError::Full => FileRefused::Full,
            BlobError::Unavailable(why) => unavailable(why),
        })?;
        // An erasure between the two steps found no bytes to delete.
        match self.kept_already(sender, &file.id).await {
            Ok(Some(_)) => Ok(file),
            Ok(None) => {
                let deleted = self.files.storage.blobs.delete(&blob_key(sender.app, &file.id)).await;
                deleted.map_err(unavailable)?;
                Err(FileRefused::Unknown)
            }
            Err(trouble) => Err(trouble),
        }
    }

    async fn kept_already(&self, sender: &Sender<'_>, id: &FileId) -> Result<Option<File>, FileRefused> {
        let row = self.store.file(sender.app.as_str(), id.as_str()).await.map_err(unavailable)?;
        row.map(|row| read_row(&row)).transpose().map_err(unavailable)
    }

    /// What a scanner found, where such a file is passed on with a warning.
    async fn scan(&self, rules: &FileRules, whole: &Whole) -> Result<Option<String>, FileRefused> {
        let Some(scan) = &rules.scan else { return Ok(None) };
        let verdict = match &self.files.storage.scanner {
            Some(scanner) => scanner.scan(&whole.path).await.map_err(|down| down.to_string()),
            None => Err("this server has no scanner".to_owned()),
        };
        match (verdict, scan.found, scan.down) {
            (Ok(Verdict::Clean), ..) => Ok(None),
            (Ok(Verdict::Found(found)), WhenFound::Block, _) => Err(FileRefused::Infected { found }),
            (Ok(Verdict::Found(found)), WhenFound::Warn, _) => Ok(Some(found)),
            (Err(why), _, ScannerDown::Refuse) => {
                tracing::warn!(why, "a file could not be scanned and was refused");
                Err(FileRefused::ScannerDown)
            }
            (Err(why), _, ScannerDown::Accept) => {
                tracing::warn!(why, "a file could not be scanned and was accepted");
                Ok(None)
            }
        }
    }

    /// A picture without what tells where it was taken. One that cannot be read to its end is not what its name says.
    async fn strip(
        &self,
        to: PathBuf,
        whole: Whole,
        format: &'static formats::Format,
    ) -> Result<Whole, FileRefused> {
        if format.category != formats::Category::Image {
            return Ok(whole);
        }
        let from = whole.path.clone();
        let stripped = blocking(move || {
            let stripped = strip::strip(&from, &to, format)?;
            stripped.then(|| measure(to)).transpose()
        })
        .await?;
        match stripped {
            Ok(stripped) => Ok(stripped.unwrap_or(whole)),
            Err(error) if error.kind() == std::io::ErrorKind::InvalidData => {
                Err(FileRefused::Mismatch { extension: format.extension.to_owned() })
            }
            Err(error) => Err(unavailable(error)),
        }
    }
}

/// Reading and writing files of our own takes the pool for that.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, FileRefused> {
    tokio::task::spawn_blocking(work).await.map_err(unavailable)
}
