//! Customers upload. An upload is a sealed text that says whose it is; its bytes are in the spool under its UUID. So
//! nothing is written before bytes come, and an upload goes on after a restart.

use async_trait::async_trait;
use bytes::Bytes;
use interline_connector::files::{Declared, Files, Progress, Rules, Upload};
use interline_connector::{FileRefused, FileStream, Incoming};
use interline_core::conversation::state::Customer;
use interline_core::{AppId, CustomerId, File, FileId, ParticipantNo};
use interline_files::parts::AppendError;
use serde::{Deserialize, Serialize};
use url::Url;
use uuid::Uuid;

use super::keep::{Sender, blocking, judge_name};
use super::{WAITING, blob_key, file_id, read_row, unavailable};
use crate::config::FileRules;
use crate::engine::{Engine, Inner};

/// An upload is good for so long: what nobody names is swept then anyway.
const GOOD_FOR_MS: i64 = 24 * 3_600_000;
const PURPOSE: &str = "upload";

/// What an upload's text says.
#[derive(Serialize, Deserialize)]
struct Ticket {
    #[serde(rename = "i")]
    id: Uuid,
    #[serde(rename = "a")]
    app: AppId,
    #[serde(rename = "c")]
    customer: CustomerId,
    #[serde(rename = "u")]
    until: i64,
    #[serde(rename = "n", default, skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(rename = "s", default, skip_serializing_if = "Option::is_none")]
    size: Option<u64>,
}

impl Inner {
    fn rules(&self, app: &AppId) -> Result<FileRules, FileRefused> {
        let runtime = self.apps.get(app).ok_or(FileRefused::Off)?;
        if runtime.files.enabled { Ok(runtime.files.clone()) } else { Err(FileRefused::Off) }
    }

    fn ticket(&self, app: &AppId, customer: &Customer, upload: &Upload) -> Result<Ticket, FileRefused> {
        let plain = self.store.seal().open(PURPOSE, &upload.0).map_err(|_| FileRefused::Unknown)?;
        let ticket: Ticket = serde_json::from_slice(&plain).map_err(|_| FileRefused::Unknown)?;
        let theirs = ticket.app == *app && ticket.customer == customer.id && ticket.until > self.now().0;
        if theirs { Ok(ticket) } else { Err(FileRefused::Unknown) }
    }

    /// How many files of the customer are stored and not sent.
    async fn unsent(&self, app: &AppId, customer: &CustomerId) -> Result<usize, FileRefused> {
        let unsent = self.store.unshared_count(app.as_str(), customer.as_str()).await.map_err(unavailable)?;
        Ok(usize::try_from(unsent).unwrap_or(usize::MAX))
    }

    async fn progress(&self, app: &AppId, ticket: &Ticket) -> Result<Progress, FileRefused> {
        let offset = self.files.spool(&ticket.customer).len(ticket.id).await.map_err(unavailable)?;
        if offset == 0 {
            let row =
                self.store.file(app.as_str(), file_id(ticket.id).as_str()).await.map_err(unavailable)?;
            if let Some(file) = row.map(|row| read_row(&row)).transpose().map_err(unavailable)? {
                // What was stripped from a picture was uploaded all the same.
                let offset = ticket.size.unwrap_or(file.size);
                return Ok(Progress { offset, size: ticket.size, file: Some(file) });
            }
        }
        Ok(Progress { offset, size: ticket.size, file: None })
    }

    async fn finish(&self, rules: &FileRules, ticket: &Ticket, name: &str) -> Result<File, FileRefused> {
        let sender = Sender { app: &ticket.app, customer: &ticket.customer, by: "customer" };
        self.keep(rules, &sender, ticket.id, name, ticket.size).await
    }
}

#[async_trait]
impl Files for Engine {
    fn rules(&self, app: &AppId) -> Option<Rules> {
        let rules = self.inner.rules(app).ok()?;
        let FileRules { max_bytes, formats, per_message, .. } = rules;
        Some(Rules { max_bytes, formats, per_message })
    }

    async fn begin(
        &self,
        app: &AppId,
        customer: &Customer,
        declared: Declared,
    ) -> Result<Upload, FileRefused> {
        let inner = &self.inner;
        let rules = inner.rules(app)?;
        match declared.size {
            Some(0) => return Err(FileRefused::Empty),
            Some(size) if size > rules.max_bytes => {
                return Err(FileRefused::TooLarge { max: rules.max_bytes });
            }
            _ => {}
        }
        let name = declared.name.map(|name| judge_name(&rules, &name)).transpose()?;
        let waiting =
            inner.unsent(app, &customer.id).await?.saturating_add(inner.files.begun(app, &customer.id));
        if waiting >= WAITING {
            return Err(FileRefused::TooManyWaiting { max: WAITING });
        }
        let ticket = Ticket {
            id: Uuid::now_v7(),
            app: app.clone(),
            customer: customer.id.clone(),
            until: inner.now().0 + GOOD_FOR_MS,
            name: name.map(|(name, _)| name),
            size: declared.size,
        };
        let plain = serde_json::to_vec(&ticket).map_err(unavailable)?;
        Ok(Upload(inner.store.seal().seal(PURPOSE, &plain).map_err(unavailable)?))
    }

    async fn progress(
        &self,
        app: &AppId,
        customer: &Customer,
        upload: &Upload,
    ) -> Result<Progress, FileRefused> {
        let ticket = self.inner.ticket(app, customer, upload)?;
        self.inner.progress(app, &ticket).await
    }

    async fn append(
        &self,
        app: &AppId,
        customer: &Customer,
        upload: &Upload,
        at: u64,
        bytes: FileStream,
    ) -> Result<Progress, FileRefused> {
        let inner = &self.inner;
        let rules = inner.rules(app)?;
        let ticket = inner.ticket(app, customer, upload)?;
        let so_far = inner.progress(app, &ticket).await?;
        if so_far.file.is_some() {
            let there = so_far.offset;
            return if at == there { Ok(so_far) } else { Err(FileRefused::Misplaced { offset: there }) };
        }
        let unsent = if so_far.offset == 0 { inner.unsent(app, &customer.id).await? } else { 0 };
        inner.files.begins(app, &customer.id, ticket.id, WAITING.saturating_sub(unsent))?;
        let most = ticket.size.unwrap_or(rules.max_bytes).min(rules.max_bytes);
        let parts = inner.files.spool(&customer.id);
        let offset = match parts.append(ticket.id, at, bytes, most).await {
            Ok(offset) => offset,
            Err(error) => {
                let refused = match error {
                    AppendError::Misplaced { offset } => FileRefused::Misplaced { offset },
                    AppendError::TooLarge => FileRefused::TooLarge { max: most },
                    AppendError::Interrupted { .. } | AppendError::Superseded => FileRefused::Interrupted,
                    AppendError::Full => FileRefused::Full,
                    AppendError::Io(why) => unavailable(why),
                };
                if !refused.is_passing() {
                    Files::cancel(self, app, customer, upload).await;
                }
                return Err(refused);
            }
        };
        match (&ticket.name, ticket.size) {
            (Some(name), Some(size)) if offset == size => {
                let file = inner.finish(&rules, &ticket, name).await?;
                Ok(Progress { offset, size: ticket.size, file: Some(file) })
            }
            _ => Ok(Progress { offset, size: ticket.size, file: None }),
        }
    }

    async fn finish(
        &self,
        app: &AppId,
        customer: &Customer,
        upload: &Upload,
        name: Option<&str>,
    ) -> Result<File, FileRefused> {
        let rules = self.inner.rules(app)?;
        let ticket = self.inner.ticket(app, customer, upload)?;
        let name = ticket.name.clone().or_else(|| name.map(str::to_owned)).ok_or(FileRefused::Nameless)?;
        let (inner, rules) = (self.inner.clone(), rules);
        // To its end, also when the client hangs up: it asks again, and then it is there.
        let finished = self.inner.surely(async move { inner.finish(&rules, &ticket, &name).await }).await;
        finished.unwrap_or(Err(FileRefused::Unavailable))
    }

    async fn cancel(&self, app: &AppId, customer: &Customer, upload: &Upload) {
        if let Ok(ticket) = self.inner.ticket(app, customer, upload) {
            self.inner.files.spool(&customer.id).remove(ticket.id).await;
            self.inner.files.is_over(app, &customer.id, ticket.id);
            // It may be finished already, and wait for an entry.
            let (store, now) = (&self.inner.store, self.inner.now().0);
            let id = file_id(ticket.id);
            match store.drop_file(app.as_str(), customer.id.as_str(), id.as_str(), now).await {
                Ok(true) => {
                    self.inner.delete_bytes(app.as_str(), id.as_str()).await;
                }
                Ok(false) => {}
                Err(error) => tracing::warn!(%error, "a file that was given up waits for its sweep"),
            }
        }
    }

    async fn own(&self, app: &AppId, customer: &Customer, ids: &[FileId]) -> Result<Vec<File>, FileRefused> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let rules = self.inner.rules(app)?;
        if ids.len() > rules.per_message {
            return Err(FileRefused::TooMany { max: rules.per_message });
        }
        let names: Vec<String> = ids.iter().map(|id| id.as_str().to_owned()).collect();
        let rows = self.inner.store.files(app.as_str(), &names).await.map_err(unavailable)?;
        let own = |id: &FileId| {
            let theirs = |row: &&interline_store::FileRow| {
                row.id == id.as_str()
                    && row.customer == customer.id.as_str()
                    && row.by == "customer"
                    && row.revoked_at.is_none()
            };
            let row = rows.iter().find(theirs).ok_or(FileRefused::Unknown)?;
            read_row(row).map_err(unavailable)
        };
        ids.iter().map(own).collect()
    }

    async fn fetch(
        &self,
        app: &AppId,
        customer: &Customer,
        files: Vec<Incoming>,
    ) -> Result<Vec<File>, FileRefused> {
        let sender = Sender { app, customer: &customer.id, by: "customer" };
        self.inner.take_in(&sender, files).await
    }

    fn link(&self, app: &AppId, file: &FileId) -> Url {
        let link = self.inner.file_page(app, file, ParticipantNo(0));
        // Ids of ours always make a link.
        link.unwrap_or_else(|| self.inner.public_url.clone())
    }

    async fn thumbnail(&self, app: &AppId, customer: &Customer, file: &FileId) -> Result<Bytes, FileRefused> {
        let row = self.inner.store.file(app.as_str(), file.as_str()).await.map_err(unavailable)?;
        let theirs = row.filter(|row| row.customer == customer.id.as_str() && row.revoked_at.is_none());
        let file = read_row(&theirs.ok_or(FileRefused::Unknown)?).map_err(unavailable)?;
        if !file.is_image() {
            return Err(FileRefused::Unknown);
        }
        let desk = &self.inner.files;
        let _place = desk.thumbnails.acquire().await.map_err(unavailable)?;
        let key = blob_key(app, &file.id);
        let scratch = desk.storage.parts.scratch(Uuid::now_v7());
        let picture = desk.storage.blobs.local(&key, scratch).await.map_err(unavailable)?;
        let picture = picture.ok_or(FileRefused::Unknown)?;
        let made = blocking(move || interline_files::thumbnail::make(picture.path())).await?;
        made.map(Bytes::from).ok_or(FileRefused::Unknown)
    }
}
