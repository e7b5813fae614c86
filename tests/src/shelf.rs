//! Files at a BotKit: those that an event brings, and the shelf from which the server fetches what agents send.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use futures_util::stream::{self, StreamExt as _};
use serde::Deserialize;

/// A file of an event.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Brought {
    /// `fil_…`.
    pub file_id: String,
    /// What it is called.
    pub file_name: String,
    /// `image`, `audio`, `video` or `attachment`.
    pub file_type: String,
    /// The page for people.
    pub file_url: String,
    /// The bytes, for programs.
    pub download_url: String,
    /// How many there are.
    pub bytes: u64,
    /// What it is.
    pub mime: String,
}

/// How a file of an agent's lies on the shelf.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lies {
    /// As it should.
    Whole,
    /// Without its size being told beforehand.
    Unmeasured,
    /// Half of it comes, then the connection breaks.
    Broken,
}

/// A file that an agent may send.
#[derive(Debug, Clone)]
pub struct Shelved {
    /// What the agent calls it.
    pub name: String,
    /// Where it lies.
    pub url: String,
}

/// What agents may send.
#[derive(Clone, Default)]
pub(crate) struct Shelf {
    files: Arc<Mutex<Vec<(Bytes, Lies)>>>,
}

impl Shelf {
    pub(crate) fn routes(&self) -> Router {
        Router::new().route("/files/{place}", get(lying)).with_state(self.clone())
    }

    /// At the server that is found at `base`.
    pub(crate) fn put(&self, base: &str, name: &str, bytes: Bytes, lies: Lies) -> Shelved {
        let mut files = self.files();
        files.push((bytes, lies));
        Shelved { name: name.to_owned(), url: format!("{base}/files/{}", files.len() - 1) }
    }

    fn files(&self) -> MutexGuard<'_, Vec<(Bytes, Lies)>> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn lying(State(shelf): State<Shelf>, Path(place): Path<usize>) -> Response {
    let Some((bytes, lies)) = shelf.files().get(place).cloned() else {
        return StatusCode::NOT_FOUND.into_response();
    };
    match lies {
        Lies::Whole => bytes.into_response(),
        Lies::Unmeasured => Body::from_stream(stream::iter([Ok::<_, std::io::Error>(bytes)])).into_response(),
        Lies::Broken => {
            let half = stream::iter([Ok(bytes.slice(..bytes.len() / 2))]);
            // Later than the half, or hyper would send nothing at all.
            let broken = stream::once(async {
                tokio::time::sleep(Duration::from_millis(100)).await;
                Err(std::io::Error::other("as the test wants"))
            });
            Body::from_stream(half.chain(broken)).into_response()
        }
    }
}
