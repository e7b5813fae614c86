//! Files at the agent's desk: those that came are fetched and measured, as a desk that keeps them would; those to be sent
//! lie on a shelf from which the platform fetches them.

use std::collections::HashMap;
use std::sync::{MutexGuard, PoisonError};

use axum::extract::{DefaultBodyLimit, Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, put};
use axum::{Json, Router};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::Simulator;
use super::sdk::Payload;

/// At most so many bytes lie on the shelf: of one file, and of all.
const LARGEST: usize = 30 * 1024 * 1024;
const SHELF: usize = 200 * 1024 * 1024;

/// A file, as the agent sees it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ShownFile {
    /// What it is called.
    pub name: String,
    /// The page behind which it is, or where it lies.
    pub url: String,
    /// How large the platform says it is.
    pub bytes: Option<u64>,
    /// The hash of what was fetched, once all of it was.
    pub sha256: Option<String>,
    /// Why it could not be fetched.
    pub failed: Option<String>,
}

impl ShownFile {
    /// One that came, and is being fetched.
    pub(super) fn received(one: &Value) -> Self {
        let (name, url) = (text(one, "fileName"), text(one, "fileUrl"));
        Self { name, url, bytes: one["bytes"].as_u64(), sha256: None, failed: None }
    }

    /// One that the agent sends.
    pub(super) fn sent(name: &str, url: &url::Url) -> Self {
        Self { name: name.to_owned(), url: url.to_string(), bytes: None, sha256: None, failed: None }
    }
}

/// Files to be sent.
#[derive(Default)]
pub(super) struct Shelf {
    files: HashMap<String, (String, Bytes)>,
    bytes: usize,
}

pub(super) fn routes() -> Router<Simulator> {
    Router::new()
        .route("/_sim/botkit/api/files", put(shelve).post(shelve).layer(DefaultBodyLimit::max(LARGEST)))
        .route("/_sim/botkit/files/{id}/{name}", get(fetch))
}

#[derive(Deserialize)]
struct Named {
    name: String,
}

/// The raw bytes, under a name.
async fn shelve(State(sim): State<Simulator>, Query(named): Query<Named>, bytes: Bytes) -> Response {
    match sim.shelve(&named.name, bytes) {
        Some(id) => Json(json!({ "id": id })).into_response(),
        None => (StatusCode::INSUFFICIENT_STORAGE, "there is no room for more files here").into_response(),
    }
}

async fn fetch(State(sim): State<Simulator>, Path((id, _)): Path<(String, String)>) -> Response {
    let file = sim.shelf().files.get(&id).cloned();
    match file {
        Some((_, bytes)) => {
            let headers = [
                (header::CONTENT_TYPE, "application/octet-stream"),
                (header::CONTENT_DISPOSITION, "attachment"),
                (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
            ];
            (headers, bytes).into_response()
        }
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

impl Simulator {
    /// Puts a file on the shelf. None: it is full.
    pub fn shelve(&self, name: &str, bytes: Bytes) -> Option<String> {
        let mut shelf = self.shelf();
        if shelf.bytes + bytes.len() > SHELF {
            return None;
        }
        let id = format!(
            "{:032x}",
            u128::from(shelf.files.len() as u64) << 64 | u128::from(super::now_ms().unsigned_abs())
        );
        shelf.bytes += bytes.len();
        shelf.files.insert(id.clone(), (name.to_owned(), bytes));
        Some(id)
    }

    /// What lies on the shelf, and where the platform finds it: where it found this stand-in before, else where the page
    /// was found. None: one of them does not lie there.
    pub(super) fn on_shelf(&self, ids: &[String], headers: &HeaderMap) -> Option<Vec<(String, url::Url)>> {
        let page = headers.get(header::HOST).and_then(|host| host.to_str().ok()).map(str::to_owned);
        let host = self.shared().called_at.clone().or(page)?;
        let shelf = self.shelf();
        let find = |id: &String| {
            let (name, _) = shelf.files.get(id)?;
            let mut url = url::Url::parse(&format!("http://{host}/_sim/botkit/files/")).ok()?;
            url.path_segments_mut().ok()?.pop_if_empty().push(id).push(name);
            Some((name.clone(), url))
        };
        ids.iter().map(find).collect()
    }

    /// Fetches the files of an event, each by itself, and shows what came.
    pub(super) fn fetch_files(&self, chat: &str, payload: &Payload) {
        for one in payload.attachments() {
            let (sim, chat, page, from) =
                (self.clone(), chat.to_owned(), text(one, "fileUrl"), text(one, "downloadUrl"));
            let announced = one["bytes"].as_u64();
            tokio::spawn(async move {
                let fetched = sim.measure(&from).await.and_then(|(bytes, sha256)| match announced {
                    Some(announced) if announced != bytes => {
                        Err(format!("{bytes} bytes came, {announced} were announced"))
                    }
                    Some(_) | None => Ok(sha256),
                });
                sim.show(&chat, &page, &fetched);
            });
        }
    }

    /// How many bytes are there, and their hash.
    async fn measure(&self, from: &str) -> Result<(u64, String), String> {
        let mut answer =
            self.client().get(from).send().await.map_err(|_| "it cannot be reached".to_owned())?;
        if !answer.status().is_success() {
            return Err(format!("HTTP {}", answer.status().as_u16()));
        }
        let (mut bytes, mut hash) = (0, Sha256::new());
        while let Some(chunk) = answer.chunk().await.map_err(|_| "it stopped half-way".to_owned())? {
            bytes += chunk.len() as u64;
            hash.update(&chunk);
        }
        Ok((bytes, hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()))
    }

    fn show(&self, chat: &str, page: &str, fetched: &Result<String, String>) {
        let mut shared = self.shared();
        let chat = shared.chats.iter_mut().find(|known| known.id == chat);
        let files = chat.into_iter().flat_map(|chat| &mut chat.lines).flat_map(|line| &mut line.files);
        for file in files.filter(|file| file.url == page) {
            match fetched {
                Ok(sha256) => file.sha256 = Some(sha256.clone()),
                Err(why) => file.failed = Some(why.clone()),
            }
        }
        drop(shared);
        self.changed();
    }

    fn shelf(&self) -> MutexGuard<'_, Shelf> {
        self.inner.desk_files.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn text(one: &Value, name: &str) -> String {
    one[name].as_str().unwrap_or_default().to_owned()
}
