//! Files are given out: to people by a link that counts, to machines by one that does not, to operators by the API.

use async_trait::async_trait;
use interline_connector::FileStream;
use interline_connector::files::{Interrupted, Stored};
use interline_core::{AppId, ConversationId, File, FileId, Time};
use interline_files::blobs::Blobs;
use interline_store::{Access, FileRow, FileShare, Redeemed};

use super::{blob_key, read_row};
use crate::engine::{Engine, Inner};
use crate::ingress::Trouble;
use crate::observe;
use crate::transcript::Closed;

/// The stored files, as connectors see them.
pub(super) struct Shelf(pub Blobs);

#[async_trait]
impl Stored for Shelf {
    async fn read(&self, app: &AppId, file: &File) -> Result<FileStream, Interrupted> {
        match self.0.open(&blob_key(app, &file.id)).await {
            Ok(Some((_, bytes))) => Ok(bytes),
            Ok(None) => Err(Interrupted("the bytes are missing".into())),
            Err(error) => Err(Interrupted(error.to_string())),
        }
    }
}

/// A file behind a person's link.
#[derive(Debug, Clone)]
pub struct Shared {
    /// The bot's name.
    pub bot: String,
    /// Which file.
    pub file: File,
    /// How often it may still be downloaded by this link.
    pub left: u32,
    /// Until when.
    pub until: Time,
}

/// A file on its way out.
pub struct Download {
    /// Which.
    pub file: File,
    /// Its bytes.
    pub bytes: FileStream,
    /// How often it may still be downloaded by this link; none: it is not counted.
    pub left: Option<u32>,
}

impl std::fmt::Debug for Download {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Download").field("file", &self.file).field("left", &self.left).finish_non_exhaustive()
    }
}

/// A file of a conversation, for operators.
#[derive(Debug, Clone)]
pub struct Told {
    /// Which.
    pub file: File,
    /// `customer` or `agent`.
    pub by: String,
    /// When an entry first named it.
    pub shared_at: Option<Time>,
    /// When an operator withdrew it.
    pub revoked_at: Option<Time>,
    /// Its downloads, by the participant whose link was used; 0 is the customer.
    pub shares: Vec<FileShare>,
}

impl Engine {
    /// What is behind a person's link, without using it.
    ///
    /// # Errors
    /// It is not good any more.
    pub async fn peek_file(&self, token: &str) -> Result<Shared, Closed> {
        let (_, shared) = self.inner.find_file(token).await?;
        if shared.left == 0 { Err(Closed::UsedUp) } else { Ok(shared) }
    }

    /// Uses a person's link once. It is counted and noted before this returns.
    ///
    /// # Errors
    /// It is not good any more; or the store is out of reach, and a download may have been counted.
    pub async fn download_file(&self, token: &str, by: Access) -> Result<Download, Closed> {
        let given = self.count_and_open(token, by).await;
        observe::file_asked(match &given {
            Ok(_) => "granted",
            Err(Closed::Unknown) => "unknown",
            Err(Closed::UsedUp) => "used_up",
            Err(Closed::Expired) => "expired",
            Err(Closed::Revoked) => "revoked",
            Err(Closed::Trouble(_)) => "trouble",
        });
        given
    }

    async fn count_and_open(&self, token: &str, by: Access) -> Result<Download, Closed> {
        let inner = &self.inner;
        let (page, shared) = inner.find_file(token).await?;
        // Opened first: what cannot be given is not counted.
        let bytes = inner.open_file(&page.app, &shared.file).await?;
        let most = inner.apps.get(&page.app).map_or(0, |runtime| runtime.files.downloads);
        let redeemed = inner
            .store
            .redeem_file(
                page.app.as_str(),
                page.file.as_str(),
                &page.audience(),
                i64::from(most),
                inner.now().0,
                by,
            )
            .await?;
        match redeemed {
            Redeemed::Granted { used } => {
                let left = most.saturating_sub(u32::try_from(used).unwrap_or(u32::MAX));
                Ok(Download { file: shared.file, bytes, left: Some(left) })
            }
            Redeemed::UsedUp => Err(Closed::UsedUp),
            Redeemed::Revoked => Err(Closed::Revoked),
            Redeemed::Unknown => Err(Closed::Unknown),
        }
    }

    /// A vendor's machine fetches.
    ///
    /// # Errors
    /// The link is not good any more.
    pub async fn fetch_file(&self, token: &str) -> Result<Download, Closed> {
        let inner = &self.inner;
        let fetch = inner.read_fetch(token).ok_or(Closed::Unknown)?;
        if fetch.until <= inner.now().0 {
            return Err(Closed::Expired);
        }
        let row = inner.store.file(fetch.app.as_str(), fetch.file.as_str()).await?;
        let row = row.ok_or(Closed::Unknown)?;
        if row.revoked_at.is_some() {
            return Err(Closed::Revoked);
        }
        let file = read_row(&row)?;
        let bytes = inner.open_file(&fetch.app, &file).await?;
        Ok(Download { file, bytes, left: None })
    }

    /// A file of an app, for operators. Not counted; withdrawn ones too.
    ///
    /// # Errors
    /// [`Closed::Unknown`]: this app has no such file.
    pub async fn operator_file(&self, app: &AppId, id: &FileId) -> Result<Download, Closed> {
        let row = self.inner.store.file(app.as_str(), id.as_str()).await?;
        let file = read_row(&row.ok_or(Closed::Unknown)?)?;
        let bytes = self.inner.open_file(app, &file).await?;
        Ok(Download { file, bytes, left: None })
    }

    /// The files of a conversation, oldest first, with their downloads.
    ///
    /// # Errors
    /// [`Trouble::Unknown`]: this app has no such conversation.
    pub async fn files_of(&self, app: &AppId, conversation: &ConversationId) -> Result<Vec<Told>, Trouble> {
        let rows = self.inner.store.files_of(app.as_str(), conversation.as_str()).await?;
        if rows.is_empty() {
            // Whether there is such a conversation at all.
            self.conversation(app, conversation).await?;
        }
        let told = |(row, shares): (FileRow, Vec<FileShare>)| {
            Ok(Told {
                file: read_row(&row)?,
                by: row.by,
                shared_at: row.shared_at.map(Time),
                revoked_at: row.revoked_at.map(Time),
                shares,
            })
        };
        rows.into_iter().map(told).collect()
    }

    /// Withdraws a file: nobody but operators gets it any more. False: it was withdrawn before.
    ///
    /// # Errors
    /// [`Trouble::Unknown`]: this app has no such file.
    pub async fn revoke_file(&self, app: &AppId, id: &FileId) -> Result<bool, Trouble> {
        let store = &self.inner.store;
        if store.file(app.as_str(), id.as_str()).await?.is_none() {
            return Err(Trouble::Unknown);
        }
        Ok(store.revoke_file(app.as_str(), id.as_str(), self.inner.now().0).await?)
    }
}

impl Inner {
    /// What a person's link leads to: shared, not withdrawn, in time; perhaps used up.
    async fn find_file(&self, token: &str) -> Result<(super::links::Page, Shared), Closed> {
        let page = self.read_page(token).ok_or(Closed::Unknown)?;
        let runtime = self.apps.get(&page.app).ok_or(Closed::Unknown)?;
        let row = self.store.file(page.app.as_str(), page.file.as_str()).await?.ok_or(Closed::Unknown)?;
        if row.revoked_at.is_some() {
            return Err(Closed::Revoked);
        }
        // Before an entry names it, it is nobody's but its sender's.
        let shared_at = row.shared_at.ok_or(Closed::Unknown)?;
        let until = Time(shared_at).plus(u64::from(runtime.files.hours) * 3_600_000);
        if until <= self.now() {
            return Err(Closed::Expired);
        }
        let used = self.store.file_uses(page.app.as_str(), page.file.as_str(), &page.audience()).await?;
        let left = runtime.files.downloads.saturating_sub(u32::try_from(used).unwrap_or(u32::MAX));
        let bot = runtime.channel_app.name.clone();
        let file = read_row(&row)?;
        Ok((page, Shared { bot, file, left, until }))
    }

    async fn open_file(&self, app: &AppId, file: &File) -> Result<FileStream, Closed> {
        let opened = self.files.storage.blobs.open(&blob_key(app, &file.id)).await;
        match opened {
            Ok(Some((_, bytes))) => Ok(bytes),
            Ok(None) => {
                tracing::error!(%app, file = %file.id, "the bytes of a file are missing");
                Err(Closed::Unknown)
            }
            Err(error) => Err(Closed::Trouble(Trouble::Store(format!("files: {error:?}")))),
        }
    }
}
