//! The published client's uploads (`file-upload.js` of kore-web-sdk 10.1.12).
//!
//! ```text
//!   POST file/token ─► a token for the file
//!   up to 1 MiB:  POST file  (fields, then the file in base64, then a thumbnail of the same bytes)
//!   above:        POST file/token ─► a second token; POST file/{first}/chunk with chunkNo, messageToken = the second,
//!                 chunk in base64, 1 MiB each, one after the other; PUT file/{first} with messageToken and the name
//! ```
//!
//! It never empties its form: each body brings the parts of all uploads of the page so far, and the last of a name counts.
//! A size that is a multiple of 1 MiB has an empty last chunk; the client then writes the words `[object Object]`.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::Response;
use bytes::Bytes;
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use interline_connector::files::{Declared, Interrupted, Upload};
use interline_connector::{FileRefused, FileStream};
use interline_core::{File, FileId};
use serde_json::json;

use super::multipart::{Base64, Malformed, Multipart, boundary};
use super::{Caller, attachment, ok};
use crate::web::Web;
use crate::web::refused::Refused;

/// The client's chunk, in bytes.
const CHUNK: u64 = 1024 * 1024;
/// So many blocks of a file may wait between the reader and the writer.
const AHEAD: usize = 4;

impl From<Malformed> for Refused {
    fn from(_: Malformed) -> Self {
        Refused::bad("the upload stopped half-way, or its body is not what an upload has")
    }
}

/// `POST attachment/file/token`.
pub(in crate::web) async fn token(
    State(web): State<Arc<Web>>,
    headers: HeaderMap,
) -> Result<Response, Refused> {
    let caller = Caller::admit(&web, &headers).await?;
    let upload = web.host.files().begin(caller.app(), &caller.customer, Declared::default()).await?;
    Ok(ok(json!({ "fileToken": upload.0 })))
}

/// `POST attachment/file`.
pub(in crate::web) async fn small(
    State(web): State<Arc<Web>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refused> {
    let caller = Caller::admit(&web, &headers).await?;
    let mut parts = read(&headers, body)?;
    let mut name = Name::default();
    // What became of an earlier one was answered when it was the last.
    let mut last: Option<Result<Upload, Refused>> = None;
    while let Some(part) = parts.next().await? {
        if part.name == "file" {
            if let Some(Ok(earlier)) = last.take() {
                web.host.files().cancel(caller.app(), &caller.customer, &earlier).await;
            }
            let upload = web.host.files().begin(caller.app(), &caller.customer, Declared::default()).await?;
            name.of_part = part.filename;
            let poured = pour(&web, &caller, &upload, 0, &mut parts, part.is_base64).await;
            last = Some(poured.map(|()| upload));
        } else if Name::is_told_by(&part.name) {
            name.take(&part.name, parts.text().await?);
        }
    }
    let upload = last.unwrap_or_else(|| Err(Refused::bad("the part `file` is missing")))?;
    let file = web.host.files().finish(caller.app(), &caller.customer, &upload, name.get()).await?;
    Ok(ok(answer(&web, &caller, &file)))
}

/// `POST attachment/file/{token}/chunk`.
pub(in crate::web) async fn chunk(
    State(web): State<Arc<Web>>,
    Path(first): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refused> {
    let caller = Caller::admit(&web, &headers).await?;
    let mut parts = read(&headers, body)?;
    let (mut number, mut upload) = (None, Upload(first));
    let mut last = Err(Refused::bad("the part `chunk` is missing"));
    while let Some(part) = parts.next().await? {
        match part.name.as_str() {
            "chunkNo" => number = parts.text().await?.trim().parse::<u64>().ok(),
            "messageToken" => upload = Upload(parts.text().await?),
            "chunk" => {
                last = one_chunk(&web, &caller, &upload, number.take(), &mut parts, part.is_base64).await;
            }
            _ => {}
        }
    }
    last.map(|()| ok(json!({ "status": "success" })))
}

async fn one_chunk(
    web: &Web,
    caller: &Caller,
    upload: &Upload,
    number: Option<u64>,
    parts: &mut Parts,
    is_base64: bool,
) -> Result<(), Refused> {
    let number = number.ok_or_else(|| Refused::bad("chunkNo is missing, or not a number"))?;
    let at = number.saturating_mul(CHUNK);
    let there = web.host.files().progress(caller.app(), &caller.customer, upload).await?.offset;
    // What is not base64 is the empty last one; what is there already had its answer lost, or is of an earlier body.
    if is_base64 && at >= there {
        pour(web, caller, upload, at, parts, true).await?;
    }
    Ok(())
}

/// `PUT attachment/file/{token}`.
pub(in crate::web) async fn commit(
    State(web): State<Arc<Web>>,
    Path(first): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refused> {
    let caller = Caller::admit(&web, &headers).await?;
    let mut parts = read(&headers, body)?;
    let (mut upload, mut name) = (Upload(first), Name::default());
    while let Some(part) = parts.next().await? {
        if part.name == "messageToken" {
            upload = Upload(parts.text().await?);
        } else if Name::is_told_by(&part.name) {
            name.take(&part.name, parts.text().await?);
        }
    }
    let file = web.host.files().finish(caller.app(), &caller.customer, &upload, name.get()).await?;
    Ok(ok(answer(&web, &caller, &file)))
}

/// `GET attachment/file/{file}/url`.
pub(in crate::web) async fn url(
    State(web): State<Arc<Web>>,
    Path(file): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Refused> {
    let caller = Caller::admit(&web, &headers).await?;
    let file = own(&web, &caller, &file).await?;
    Ok(ok(json!({ "fileUrl": web.host.files().link(caller.app(), &file.id) })))
}

/// `GET attachment/v2/stream/{bot}/file/{file}/url`.
pub(in crate::web) async fn stream_url(
    state: State<Arc<Web>>,
    Path((_, file)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Response, Refused> {
    url(state, Path(file), headers).await
}

async fn own(web: &Web, caller: &Caller, id: &str) -> Result<File, FileRefused> {
    let own = web.host.files().own(caller.app(), &caller.customer, &[FileId::from(id)]).await?;
    own.into_iter().next().ok_or(FileRefused::Unknown)
}

fn answer(web: &Web, caller: &Caller, file: &File) -> serde_json::Value {
    attachment(web.host.as_ref(), caller.app(), file)
}

type Parts = Multipart<axum::body::BodyDataStream>;

fn read(headers: &HeaderMap, body: Body) -> Result<Parts, Refused> {
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let boundary = kind.and_then(boundary);
    let boundary = boundary.ok_or_else(|| Refused::bad("the body is not multipart/form-data"))?;
    Ok(Multipart::new(body.into_data_stream(), &boundary))
}

/// What the file is called: a field, else the part's own word; with the extension that is told beside.
#[derive(Default)]
struct Name {
    field: Option<String>,
    extension: Option<String>,
    of_part: Option<String>,
    whole: Option<String>,
}

impl Name {
    fn is_told_by(part: &str) -> bool {
        matches!(part, "filename" | "fileExtension")
    }

    fn take(&mut self, name: &str, words: String) {
        match name {
            "filename" => self.field = Some(words),
            "fileExtension" => self.extension = Some(words),
            _ => {}
        }
    }

    fn get(&mut self) -> Option<&str> {
        let name = self.field.take().or_else(|| self.of_part.take())?;
        self.whole = Some(match &self.extension {
            Some(extension) if !name.contains('.') && !extension.is_empty() => format!("{name}.{extension}"),
            _ => name,
        });
        self.whole.as_deref()
    }
}

/// Hands the bytes of a part on as they come.
async fn pour(
    web: &Web,
    caller: &Caller,
    upload: &Upload,
    at: u64,
    parts: &mut Parts,
    is_base64: bool,
) -> Result<(), Refused> {
    let (sender, mut receiver) = tokio::sync::mpsc::channel::<Result<Bytes, Interrupted>>(AHEAD);
    let bytes: FileStream = Box::pin(futures_util::stream::poll_fn(move |cx| receiver.poll_recv(cx)));
    let files = web.host.files();
    let write = files.append(caller.app(), &caller.customer, upload, at, bytes);
    let feed = async {
        let fed = feed(parts, is_base64, &sender).await;
        if fed.is_err() {
            // Else the file would end here, as if it were whole.
            let _ = sender.send(Err(Interrupted("the body broke".to_owned()))).await;
        }
        drop(sender);
        fed
    };
    let (written, fed) = futures_util::future::join(write, feed).await;
    written?;
    Ok(fed?)
}

async fn feed(
    parts: &mut Parts,
    is_base64: bool,
    to: &tokio::sync::mpsc::Sender<Result<Bytes, Interrupted>>,
) -> Result<(), Malformed> {
    let mut decoder = Base64::default();
    while let Some(piece) = parts.data().await? {
        let bytes = if is_base64 { decoder.decode(&piece)? } else { piece };
        if !bytes.is_empty() && to.send(Ok(bytes.into())).await.is_err() {
            // Refused already: the rest is not wanted.
            return Ok(());
        }
    }
    decoder.finish()
}
