//! Files in memory, judged by name and size alone.

use std::collections::HashMap;
use std::sync::Mutex;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::StreamExt as _;
use interline_connector::files::{Declared, Files, Progress, Rules, Upload};
use interline_connector::{FileRefused, FileStream, Incoming, formats};
use interline_core::conversation::state::Customer;
use interline_core::{AppId, File, FileId};
use url::Url;

pub const MAX: u64 = 3 * 1024 * 1024;

#[derive(Default)]
struct Under {
    owner: String,
    declared: Declared,
    bytes: Vec<u8>,
    file: Option<File>,
}

#[derive(Default)]
pub struct MemoryFiles {
    uploads: Mutex<HashMap<String, Under>>,
    stored: Mutex<Vec<(String, File, Vec<u8>)>>,
}

impl MemoryFiles {
    pub fn bytes(&self, id: &str) -> Option<Vec<u8>> {
        let stored = self.stored.lock().expect("lock");
        stored.iter().find(|(_, file, _)| file.id.as_str() == id).map(|(_, _, bytes)| bytes.clone())
    }

    /// A file as an agent would have sent it.
    pub fn file(name: &str) -> File {
        File {
            id: FileId::new(format!("fil_{}", uuid::Uuid::now_v7().simple())),
            name: name.into(),
            mime: "application/pdf".into(),
            size: 1_572_864,
            sha256: "00".into(),
            warning: None,
        }
    }

    fn rules() -> Rules {
        let formats = ["pdf", "txt", "png"].map(str::to_owned).into();
        Rules { max_bytes: MAX, formats, per_message: 3 }
    }
}

fn owner(app: &AppId, customer: &Customer) -> String {
    format!("{app}/{}", customer.id)
}

#[async_trait]
impl Files for MemoryFiles {
    fn rules(&self, app: &AppId) -> Option<Rules> {
        (app.as_str() == super::APP_A).then(Self::rules)
    }

    async fn begin(
        &self,
        app: &AppId,
        customer: &Customer,
        declared: Declared,
    ) -> Result<Upload, FileRefused> {
        if declared.size.is_some_and(|size| size > MAX) {
            return Err(FileRefused::TooLarge { max: MAX });
        }
        let token = format!("v1.k.{}", uuid::Uuid::now_v7().simple());
        let under = Under { owner: owner(app, customer), declared, ..Under::default() };
        self.uploads.lock().expect("lock").insert(token.clone(), under);
        Ok(Upload(token))
    }

    async fn progress(
        &self,
        app: &AppId,
        customer: &Customer,
        upload: &Upload,
    ) -> Result<Progress, FileRefused> {
        let uploads = self.uploads.lock().expect("lock");
        let under = uploads.get(&upload.0).filter(|under| under.owner == owner(app, customer));
        let under = under.ok_or(FileRefused::Unknown)?;
        let offset = under.bytes.len() as u64;
        Ok(Progress { offset, size: under.declared.size, file: under.file.clone() })
    }

    async fn append(
        &self,
        app: &AppId,
        customer: &Customer,
        upload: &Upload,
        at: u64,
        mut bytes: FileStream,
    ) -> Result<Progress, FileRefused> {
        let so_far = self.progress(app, customer, upload).await?;
        if so_far.offset != at {
            return Err(FileRefused::Misplaced { offset: so_far.offset });
        }
        let most = so_far.size.unwrap_or(MAX);
        while let Some(piece) = bytes.next().await {
            let piece = piece.map_err(|_| FileRefused::Interrupted)?;
            let mut uploads = self.uploads.lock().expect("lock");
            let under = uploads.get_mut(&upload.0).ok_or(FileRefused::Unknown)?;
            under.bytes.extend_from_slice(&piece);
            if under.bytes.len() as u64 > most {
                return Err(FileRefused::TooLarge { max: most });
            }
        }
        self.progress(app, customer, upload).await
    }

    async fn finish(
        &self,
        app: &AppId,
        customer: &Customer,
        upload: &Upload,
        name: Option<&str>,
    ) -> Result<File, FileRefused> {
        self.progress(app, customer, upload).await?;
        let mut uploads = self.uploads.lock().expect("lock");
        let under = uploads.get_mut(&upload.0).ok_or(FileRefused::Unknown)?;
        if let Some(file) = &under.file {
            return Ok(file.clone());
        }
        let name = under.declared.name.clone().or(name.map(str::to_owned)).ok_or(FileRefused::Nameless)?;
        let accepted = Self::rules().formats;
        if !formats::extension(&name).is_some_and(|extension| accepted.contains(&extension)) {
            return Err(FileRefused::Format { accepted });
        }
        if under.bytes.is_empty() {
            return Err(FileRefused::Empty);
        }
        let file = File { size: under.bytes.len() as u64, ..Self::file(&name) };
        under.file = Some(file.clone());
        self.stored.lock().expect("lock").push((under.owner.clone(), file.clone(), under.bytes.clone()));
        Ok(file)
    }

    async fn cancel(&self, _: &AppId, _: &Customer, upload: &Upload) {
        self.uploads.lock().expect("lock").remove(&upload.0);
    }

    async fn own(&self, app: &AppId, customer: &Customer, ids: &[FileId]) -> Result<Vec<File>, FileRefused> {
        if ids.len() > 3 {
            return Err(FileRefused::TooMany { max: 3 });
        }
        let stored = self.stored.lock().expect("lock");
        let own = |id: &FileId| {
            stored
                .iter()
                .find(|(by, file, _)| file.id == *id && *by == owner(app, customer))
                .map(|(_, file, _)| file.clone())
        };
        ids.iter().map(|id| own(id).ok_or(FileRefused::Unknown)).collect()
    }

    async fn fetch(&self, _: &AppId, _: &Customer, _: Vec<Incoming>) -> Result<Vec<File>, FileRefused> {
        Err(FileRefused::Off)
    }

    fn link(&self, _: &AppId, file: &FileId) -> Url {
        format!("https://files.example/f/{file}").parse().expect("a url")
    }

    async fn thumbnail(&self, _: &AppId, _: &Customer, _: &FileId) -> Result<Bytes, FileRefused> {
        Ok(Bytes::from_static(b"\xff\xd8"))
    }
}
