//! Files, as entries name them. The bytes are elsewhere, stored and synced before an entry names them.

use serde::{Deserialize, Serialize};

use crate::FileId;

/// A stored file. It is the same file for as long as it exists: nothing here changes once an entry names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct File {
    /// Which one.
    pub id: FileId,
    /// What it is called: one part of a path, without control characters, at most 255 bytes, with its extension.
    pub name: String,
    /// Its media type, decided by content and name. Never what the sender claimed.
    pub mime: String,
    /// Bytes.
    pub size: u64,
    /// The hash of the bytes, lower-case hexadecimal.
    pub sha256: String,
    /// What a scanner says it holds, where such files are passed on with a warning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warning: Option<String>,
}

impl File {
    /// Whether a picture of it can be shown: such content cannot run.
    pub fn is_image(&self) -> bool {
        matches!(self.mime.as_str(), "image/jpeg" | "image/png" | "image/gif" | "image/bmp" | "image/tiff")
    }
}
