//! Links to files. They describe themselves; what is counted, and who used one, is in the store.
//!
//! ```text
//!   /f/{token}     for people: app, file and the participant it was given to (0: the customer). Each of them has so many
//!                  downloads, for so long after the file was shared
//!   /f/v/{token}   for a vendor's machine: app, file and the moment from which on it is no good. Not counted
//! ```

use interline_core::{AppId, FileId, ParticipantNo};
use url::Url;
use uuid::Uuid;

use crate::engine::{Engine, Inner};
use crate::token;

const FOR_PEOPLE: &str = "interline file v1";
const FOR_MACHINES: &str = "interline file fetch v1";
/// A vendor fetches at once, or when it tries again; not tomorrow.
const FETCH_MS: i64 = 3_600_000;
const IDS_BYTES: usize = 32;

/// What a person's link leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Page {
    pub app: AppId,
    pub file: FileId,
    pub participant: ParticipantNo,
}

impl Page {
    /// Under which name its downloads are counted.
    pub fn audience(&self) -> String {
        self.participant.to_string()
    }
}

/// What a machine's link leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fetch {
    pub app: AppId,
    pub file: FileId,
    pub until: i64,
}

impl Engine {
    /// A page where the people of a participant can fetch a file; 0 is the customer.
    pub fn file_page(&self, app: &AppId, file: &FileId, participant: ParticipantNo) -> Option<Url> {
        self.inner.file_page(app, file, participant)
    }
}

impl Inner {
    /// None: an id is not the UUID that ours are.
    pub(crate) fn file_page(&self, app: &AppId, file: &FileId, participant: ParticipantNo) -> Option<Url> {
        let mut names = ids(app, file)?;
        names.extend_from_slice(&participant.0.to_be_bytes());
        let token = token::sign(self.store.seal(), FOR_PEOPLE, names)?;
        self.public_url.join(&format!("/f/{token}")).ok()
    }

    /// None: an id is not the UUID that ours are.
    pub(crate) fn file_fetch(&self, app: &AppId, file: &FileId) -> Option<Url> {
        let mut names = ids(app, file)?;
        names.extend_from_slice(&(self.now().0 + FETCH_MS).to_be_bytes());
        let token = token::sign(self.store.seal(), FOR_MACHINES, names)?;
        self.public_url.join(&format!("/f/v/{token}")).ok()
    }

    pub(super) fn read_page(&self, token: &str) -> Option<Page> {
        let names = token::read(self.store.seal(), FOR_PEOPLE, token)?;
        let (app, file, rest) = read_ids(&names)?;
        let participant = ParticipantNo(u32::from_be_bytes(rest.try_into().ok()?));
        Some(Page { app, file, participant })
    }

    pub(super) fn read_fetch(&self, token: &str) -> Option<Fetch> {
        let names = token::read(self.store.seal(), FOR_MACHINES, token)?;
        let (app, file, rest) = read_ids(&names)?;
        let until = i64::from_be_bytes(rest.try_into().ok()?);
        Some(Fetch { app, file, until })
    }
}

fn ids(app: &AppId, file: &FileId) -> Option<Vec<u8>> {
    let app = Uuid::try_parse(app.as_str().strip_prefix("st-")?).ok()?;
    let file = Uuid::try_parse(file.as_str().strip_prefix("fil_")?).ok()?;
    Some([app.as_bytes().as_slice(), file.as_bytes()].concat())
}

fn read_ids(names: &[u8]) -> Option<(AppId, FileId, &[u8])> {
    let (ids, rest) = names.split_at_checked(IDS_BYTES)?;
    let app = Uuid::from_slice(ids.get(..16)?).ok()?;
    let file = Uuid::from_slice(ids.get(16..)?).ok()?;
    Some((AppId::new(format!("st-{app}")), FileId::new(format!("fil_{}", file.simple())), rest))
}
