//! Bytes that nobody can reach any more are deleted: of files that no entry named for a day, of what was erased, and of
//! uploads that were given up.

use std::time::Duration;

use interline_core::{AppId, FileId};

use super::blob_key;
use crate::engine::Inner;

/// So long a file waits for an entry that names it.
const UNSENT: Duration = Duration::from_secs(24 * 3600);
/// So many at a time.
const BATCH: i64 = 200;

impl Inner {
    /// One round. What cannot be deleted now is found again in the next.
    pub(crate) async fn sweep_files(&self) {
        let now = self.now().0;
        let before = now - i64::try_from(UNSENT.as_millis()).unwrap_or(i64::MAX);
        loop {
            let gone = match self.store.sweep_files(before, now, BATCH).await {
                Ok(gone) => gone,
                Err(error) => {
                    tracing::warn!(%error, "files were not swept");
                    return;
                }
            };
            let found = gone.len();
            for (app, id) in gone {
                if !self.delete_bytes(&app, &id).await {
                    return;
                }
            }
            if found < usize::try_from(BATCH).unwrap_or(usize::MAX) {
                return;
            }
        }
    }

    /// False: they are found again in the next round.
    pub(super) async fn delete_bytes(&self, app: &str, id: &str) -> bool {
        let key = blob_key(&AppId::from(app), &FileId::from(id));
        if let Err(error) = self.files.storage.blobs.delete(&key).await {
            tracing::warn!(app, file = id, ?error, "the bytes of a file were not deleted");
            return false;
        }
        // The row goes last: until then the bytes are found again.
        if let Err(error) = self.store.forget_file(app, id).await {
            tracing::warn!(app, file = id, %error, "a file was not forgotten");
            return false;
        }
        true
    }

    /// Uploads that were given up without a word.
    pub(crate) async fn sweep_parts(&self) {
        let before = std::time::SystemTime::now() - UNSENT;
        if self.files.storage.parts.sweep(before).await > 0 {
            self.files.forget_begun();
        }
    }
}
