//! Files: how customers send and fetch them, how agents' files come in, and how a refusal is told.
//!
//! ```text
//!   channel ─► Files::begin ─► append … append ─► finish ─► File ─► an entry names it
//!   vendor's webhook ─► Incoming ─► the engine fetches and stores it ─► File ─► an entry names it
//!   entry with files ─► Item::files: a link for people, a link for the vendor's machine
//! ```

use std::pin::Pin;
use std::sync::Arc;

use ::http::HeaderMap;
use async_trait::async_trait;
use bytes::Bytes;
use futures_util::Stream;
use interline_core::conversation::state::Customer;
use interline_core::{AppId, File, FileId};
use url::Url;

use crate::formats;

/// The bytes of a file, on their way.
pub type FileStream = Pin<Box<dyn Stream<Item = Result<Bytes, Interrupted>> + Send>>;

/// Bytes stopped coming before all were there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the file stopped half-way: {0}")]
pub struct Interrupted(pub String);

/// What customers send and fetch. An upload belongs to the customer who began it: nobody else's is found.
#[async_trait]
pub trait Files: Send + Sync {
    /// What an app takes. None: no files.
    fn rules(&self, app: &AppId) -> Option<Rules>;

    /// Begins an upload. What is known of it is judged now, the rest when it is finished.
    ///
    /// # Errors
    /// It is not taken.
    async fn begin(
        &self,
        app: &AppId,
        customer: &Customer,
        declared: Declared,
    ) -> Result<Upload, FileRefused>;

    /// How far an upload got, also after a restart of ours.
    ///
    /// # Errors
    /// There is no such upload (any more).
    async fn progress(
        &self,
        app: &AppId,
        customer: &Customer,
        upload: &Upload,
    ) -> Result<Progress, FileRefused>;

    /// Adds bytes at `at`, which is where the upload stands. What came before a stream broke is kept. A second call for
    /// the same upload ends the first: its connection is dead.
    ///
    /// # Errors
    /// [`FileRefused::Misplaced`] tells where it stands; any other ends the upload, but for `Interrupted` and those that
    /// say "try again".
    async fn append(
        &self,
        app: &AppId,
        customer: &Customer,
        upload: &Upload,
        at: u64,
        bytes: FileStream,
    ) -> Result<Progress, FileRefused>;

    /// All of it is there: it is checked and stored. `name` where it was not declared at the beginning. The same again
    /// gives the same file.
    ///
    /// # Errors
    /// It is not taken, and the upload is over; or it can be tried again.
    async fn finish(
        &self,
        app: &AppId,
        customer: &Customer,
        upload: &Upload,
        name: Option<&str>,
    ) -> Result<File, FileRefused>;

    /// Gives an upload up.
    async fn cancel(&self, app: &AppId, customer: &Customer, upload: &Upload);

    /// The customer's own files with these ids, in this order.
    ///
    /// # Errors
    /// There are too many of them, or one is not there (any more), or is not the customer's.
    async fn own(&self, app: &AppId, customer: &Customer, ids: &[FileId]) -> Result<Vec<File>, FileRefused>;

    /// Fetches files that the customer's program names by address, and stores them. Addresses pass the guard.
    ///
    /// # Errors
    /// There are too many of them, or one is not taken; those that are stored and not named are swept.
    async fn fetch(
        &self,
        app: &AppId,
        customer: &Customer,
        files: Vec<Incoming>,
    ) -> Result<Vec<File>, FileRefused>;

    /// A page where the customer can fetch a file of a conversation of theirs a limited number of times.
    fn link(&self, app: &AppId, file: &FileId) -> Url;

    /// A small JPEG of a picture that the customer sent or was sent. It does not count as a download.
    ///
    /// # Errors
    /// There is no such picture, or it cannot be read.
    async fn thumbnail(&self, app: &AppId, customer: &Customer, file: &FileId) -> Result<Bytes, FileRefused>;
}

/// What an app takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules {
    /// The largest file, in bytes.
    pub max_bytes: u64,
    /// By extension, lower case, without the dot.
    pub formats: Vec<String>,
    /// So many files with one message.
    pub per_message: usize,
}

/// What a sender says of a file beforehand.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Declared {
    /// Its name, as the sender gave it.
    pub name: Option<String>,
    /// Its size in bytes.
    pub size: Option<u64>,
}

/// An upload: a sealed text that says whose it is and what was declared. Fit for a URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upload(pub String);

/// How far an upload got.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// So many bytes are there.
    pub offset: u64,
    /// Of so many, if it was declared.
    pub size: Option<u64>,
    /// It is finished, and this came of it.
    pub file: Option<File>,
}

/// A file of an agent's, somewhere outside. `Debug` shows no address: it may be a secret.
#[derive(Clone)]
pub struct Incoming {
    /// As the vendor calls it; none: what the answer says, or the end of the path.
    pub name: Option<String>,
    /// Where it is.
    pub url: Url,
    /// To be sent with the request: what the vendor asks of whoever fetches it.
    pub headers: HeaderMap,
}

impl std::fmt::Debug for Incoming {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Incoming").field("name", &self.name).finish_non_exhaustive()
    }
}

/// A file of an entry on its way to an agent system.
#[derive(Debug, Clone)]
pub struct Carried {
    /// Which.
    pub file: File,
    /// A page for people: a limited number of downloads, for a limited time. It is a secret.
    pub page: Url,
    /// The bytes, for the vendor's machine: not counted, good for an hour. It is a secret.
    pub fetch: Url,
    /// The vendor takes it as a file: see [`crate::manifest::TakesFiles`]. Else `page` in words stands for it.
    pub fits: bool,
    /// The bytes, for vendors that are sent them.
    pub source: Source,
}

/// Where the bytes of a stored file come from.
#[derive(Clone)]
pub struct Source(pub Arc<dyn Stored>);

impl std::fmt::Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Source")
    }
}

/// One that has nothing: for tests that move no bytes.
impl Default for Source {
    fn default() -> Self {
        Self(Arc::new(Nothing))
    }
}

struct Nothing;

#[async_trait]
impl Stored for Nothing {
    async fn read(&self, _: &AppId, _: &File) -> Result<FileStream, Interrupted> {
        Err(Interrupted("there is nothing".into()))
    }
}

/// Gives out the bytes of stored files.
#[async_trait]
pub trait Stored: Send + Sync {
    /// The bytes of a file of an app, from their beginning.
    ///
    /// # Errors
    /// They are not there (any more), or cannot be read now.
    async fn read(&self, app: &AppId, file: &File) -> Result<FileStream, Interrupted>;
}

impl Carried {
    /// What stands for it where only words go: name, size and link, and a warning if there is one.
    pub fn in_words(&self) -> String {
        let File { name, size, warning, .. } = &self.file;
        let warning =
            warning.as_ref().map_or_else(String::new, |found| format!(" [a scanner found {found}]"));
        format!("{name} ({}){warning}: {}", human_size(*size), self.page)
    }
}

/// A size in MB with three digits, as the vendor's wire has it.
pub fn megabytes(bytes: u64) -> f64 {
    (bytes as f64 / (1024.0 * 1024.0) * 1000.0).round() / 1000.0
}

/// A size for people: `999 bytes`, `1.2 kB`, `25 MB`, in powers of 1,024 as the limits are.
pub fn human_size(bytes: u64) -> String {
    let scaled = |unit: u64| {
        let tenths = bytes.saturating_mul(10) / unit;
        if tenths.is_multiple_of(10) || tenths >= 1000 {
            (tenths / 10).to_string()
        } else {
            format!("{}.{}", tenths / 10, tenths % 10)
        }
    };
    match bytes {
        1 => "1 byte".to_owned(),
        0..1024 => format!("{bytes} bytes"),
        1024..1_048_576 => format!("{} kB", scaled(1024)),
        _ => format!("{} MB", scaled(1_048_576)),
    }
}

/// Why a file is not taken. The text is for the person who tried, and says what would be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FileRefused {
    /// The app takes none.
    #[error("Files cannot be sent here.")]
    Off,
    /// There is nothing in it.
    #[error("The file is empty.")]
    Empty,
    /// It is larger than is taken.
    #[error("The file is too large. Files of up to {} can be sent.", human_size(*max))]
    TooLarge {
        /// The most, in bytes.
        max: u64,
    },
    /// More with one message than is taken.
    #[error("At most {max} files can be sent with one message.")]
    TooMany {
        /// The most.
        max: usize,
    },
    /// More at a time than is taken, in progress or stored and not sent.
    #[error("Too many files at a time: at most {max}. Send these first, or wait a moment.")]
    TooManyWaiting {
        /// The most.
        max: usize,
    },
    /// Nothing is left of its name.
    #[error("The file has no usable name.")]
    Nameless,
    /// Its extension is not one that is taken.
    #[error("Files of this type cannot be sent. These can: {}.", formats::list(accepted))]
    Format {
        /// What is taken.
        accepted: Vec<String>,
    },
    /// Its content is not what its name says.
    #[error("The file's content is not what its name says: it is not a .{extension} file.")]
    Mismatch {
        /// What the name says.
        extension: String,
    },
    /// A scanner found something in it.
    #[error("The file was not accepted: a virus scanner found {found} in it.")]
    Infected {
        /// What.
        found: String,
    },
    /// It could not be scanned, and is not taken unscanned.
    #[error("The file could not be checked for viruses right now. Please try again later.")]
    ScannerDown,
    /// There is no room for it.
    #[error("There is no room for the file right now. Please try again later.")]
    Full,
    /// It stopped half-way. What came is kept for a while: go on from there.
    #[error("The upload stopped half-way. Please try again.")]
    Interrupted,
    /// The bytes do not follow what is there.
    #[error("The upload stands at byte {offset}.")]
    Misplaced {
        /// Where it stands.
        offset: u64,
    },
    /// There is no such file or upload, not any more, or it is somebody else's.
    #[error("The file is no longer there. Please attach it again.")]
    Unknown,
    /// What an agent's system says of its own file.
    #[error("The file could not be fetched: {0}.")]
    Unfetchable(String),
    /// It cannot be done now; nothing was accepted.
    #[error("The service is not available right now. Please try again.")]
    Unavailable,
}

impl FileRefused {
    /// What the agent who sent the file reads in the chat.
    pub fn for_agent(&self, name: Option<&str>) -> String {
        format!("{} was not sent to the customer. {self}", name.unwrap_or("A file"))
    }

    /// A stable word for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Off => "files_off",
            Self::Empty => "file_empty",
            Self::TooLarge { .. } => "file_too_large",
            Self::TooMany { .. } => "too_many_files",
            Self::TooManyWaiting { .. } => "too_many_files_waiting",
            Self::Nameless => "file_name",
            Self::Format { .. } => "file_format",
            Self::Mismatch { .. } => "file_content",
            Self::Infected { .. } => "file_infected",
            Self::ScannerDown => "file_not_scanned",
            Self::Full => "no_room",
            Self::Interrupted => "upload_interrupted",
            Self::Misplaced { .. } => "upload_offset",
            Self::Unknown => "file_unknown",
            Self::Unfetchable(_) => "file_unfetchable",
            Self::Unavailable => "unavailable",
        }
    }

    /// The HTTP status that says the same.
    pub fn status(&self) -> u16 {
        match self {
            Self::Off => 403,
            Self::Empty
            | Self::Nameless
            | Self::Interrupted
            | Self::TooMany { .. }
            | Self::Unfetchable(_) => 400,
            Self::TooLarge { .. } => 413,
            Self::Format { .. } | Self::Mismatch { .. } => 415,
            Self::Infected { .. } => 422,
            Self::TooManyWaiting { .. } => 429,
            Self::Unknown => 404,
            Self::Misplaced { .. } => 409,
            Self::ScannerDown | Self::Unavailable => 503,
            Self::Full => 507,
        }
    }

    /// Whether the same again may do.
    pub fn is_passing(&self) -> bool {
        matches!(
            self,
            Self::ScannerDown
                | Self::Full
                | Self::Interrupted
                | Self::Misplaced { .. }
                | Self::Unavailable
                | Self::TooManyWaiting { .. }
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_for_people() {
        let told: Vec<String> =
            [0, 1, 999, 1024, 1_300, 26_214_400, 26_214_401, 1_200_000].map(human_size).into();
        assert_eq!(told, ["0 bytes", "1 byte", "999 bytes", "1 kB", "1.2 kB", "25 MB", "25 MB", "1.1 MB"]);
    }

    #[test]
    fn a_refusal_says_what_would_be_taken() {
        let told = FileRefused::TooLarge { max: 25 * 1024 * 1024 }.to_string();
        assert_eq!(told, "The file is too large. Files of up to 25 MB can be sent.");
        let told = FileRefused::Format { accepted: vec!["pdf".into(), "txt".into()] }.to_string();
        assert_eq!(told, "Files of this type cannot be sent. These can: .pdf, .txt.");
    }
}
