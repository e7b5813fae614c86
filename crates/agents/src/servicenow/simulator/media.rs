//! Files at an instance: what is uploaded to it, and what agents send, under addresses that ask who comes.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use ::http::{HeaderMap, StatusCode};
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Multipart, Path, State};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::json;
use url::Url;

use super::instance::{Instance, failure, locked};

/// What the stand-in takes, in bytes; the vendor says 1 GB.
const MOST: usize = 64 * 1024 * 1024;

/// Where all of them are.
const PATH: &str = "/api/now/v1/cs/media/";

/// The files of one instance. Clones are the same ones.
#[derive(Clone)]
pub(super) struct Media {
    instance: Instance,
    files: Arc<Mutex<HashMap<String, Kept>>>,
}

#[derive(Clone)]
enum Kept {
    /// It was uploaded.
    Bytes(Bytes),
    /// It lies on the desk's shelf.
    Shelf(Url),
}

impl Media {
    pub fn new(instance: Instance) -> Self {
        Self { instance, files: Arc::default() }
    }

    pub fn router(&self) -> Router {
        Router::new()
            .route("/api/now/v1/cccif/media/upload", post(upload).layer(DefaultBodyLimit::max(MOST)))
            .route("/api/now/v1/cs/media/{token}", get(fetch))
            .with_state(self.clone())
    }

    /// A file of an agent's gets an address at the instance.
    pub fn of_agent(&self, shelf: &Url) -> Option<Url> {
        let token = self.instance.sys_id();
        let url = shelf.join(&format!("{PATH}{token}")).ok()?;
        locked(&self.files).insert(token, Kept::Shelf(shelf.clone()));
        Some(url)
    }

    /// What was uploaded and has this address.
    pub fn uploaded(&self, url: &Url) -> Option<Bytes> {
        match locked(&self.files).get(url.path().strip_prefix(PATH)?)? {
            Kept::Bytes(bytes) => Some(bytes.clone()),
            Kept::Shelf(_) => None,
        }
    }
}

async fn upload(
    State(media): State<Media>,
    headers: HeaderMap,
    form: Result<Multipart, axum::extract::multipart::MultipartRejection>,
) -> Response {
    if let Err(answer) = media.instance.admit(&headers) {
        return *answer;
    }
    let bad = |what: &str| failure(StatusCode::BAD_REQUEST, "Bad request", what);
    let Ok(mut form) = form else { return bad("no multipart") };
    let mut user = None;
    loop {
        let field = match form.next_field().await {
            Ok(Some(field)) => field,
            Ok(None) => return bad("file is missing"),
            Err(_) => return bad("the form was cut off"),
        };
        match field.name() {
            Some("user_id") => user = field.text().await.ok().filter(|user| !user.is_empty()),
            Some("provider_application_id") => {}
            // What stands behind the file is not read.
            Some("file") if user.is_none() => return bad("user_id must come before file"),
            Some("file") => {
                let Some(name) = field.file_name().map(str::to_owned) else {
                    return bad("the file has no name");
                };
                let Ok(bytes) = field.bytes().await else { return bad("the file was cut off") };
                return keep(&media, &headers, &name, bytes);
            }
            _ => return bad("an unknown part"),
        }
    }
}

fn keep(media: &Media, headers: &HeaderMap, name: &str, bytes: Bytes) -> Response {
    let token = media.instance.sys_id();
    let host = headers.get("host").and_then(|host| host.to_str().ok()).unwrap_or("localhost");
    let url = format!("http://{host}{PATH}{token}");
    locked(&media.files).insert(token, Kept::Bytes(bytes));
    let result = json!({ "mediaUrl": url, "name": name, "state": "available", "attachmentId": media.instance.sys_id() });
    (StatusCode::CREATED, Json(json!({ "result": result }))).into_response()
}

async fn fetch(State(media): State<Media>, headers: HeaderMap, Path(token): Path<String>) -> Response {
    if let Err(answer) = media.instance.admit(&headers) {
        return *answer;
    }
    let kept = locked(&media.files).get(&token).cloned();
    match kept {
        Some(Kept::Bytes(bytes)) => bytes.into_response(),
        Some(Kept::Shelf(url)) => match media.instance.desk().client().get(url).send().await {
            Ok(answer) if answer.status().is_success() => answer
                .bytes()
                .await
                .map_or_else(|_| StatusCode::BAD_GATEWAY.into_response(), Bytes::into_response),
            _ => StatusCode::BAD_GATEWAY.into_response(),
        },
        None => failure(StatusCode::NOT_FOUND, "No Record found", "no such media"),
    }
}
