//! tus 1.0 (<https://tus.io/protocols/resumable-upload>): core, creation, termination. What comes of an upload is told by
//! the answer to its last PATCH; the same PATCH again, at the end and without bytes, gives it again.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{OriginalUri, Path, State};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::StreamExt as _;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, LOCATION};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use interline_connector::FileRefused;
use interline_connector::files::{Declared, Interrupted, Progress, Upload};
use interline_core::FileId;
use serde_json::json;

use super::{Caller, attachment, ok};
use crate::web::Web;
use crate::web::refused::Refused;

const RESUMABLE: HeaderName = HeaderName::from_static("tus-resumable");
const OFFSET: HeaderName = HeaderName::from_static("upload-offset");
const LENGTH: HeaderName = HeaderName::from_static("upload-length");
const METADATA: HeaderName = HeaderName::from_static("upload-metadata");
const VERSION: &str = "1.0.0";

/// `GET files`: what may be sent. Not part of tus.
pub(in crate::web) async fn rules(
    State(web): State<Arc<Web>>,
    headers: HeaderMap,
) -> Result<Response, Refused> {
    let caller = Caller::admit(&web, &headers).await?;
    let rules = web.host.files().rules(caller.app()).ok_or(FileRefused::Off)?;
    Ok(ok(json!({ "maxBytes": rules.max_bytes, "formats": rules.formats, "perMessage": rules.per_message })))
}

/// `POST files`: an upload begins.
pub(in crate::web) async fn create(
    State(web): State<Arc<Web>>,
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
) -> Result<Response, Refused> {
    let caller = Caller::admit(&web, &headers).await?;
    check_version(&headers)?;
    let size =
        number(&headers, &LENGTH).ok_or_else(|| Refused::bad("Upload-Length is missing, or no number"))?;
    let name = headers.get(&METADATA).and_then(|given| filename(given.to_str().ok()?));
    let name = name.ok_or_else(|| Refused::bad("Upload-Metadata has no `filename` in base64"))?;
    let declared = Declared { name: Some(name), size: Some(size) };
    let upload = web.host.files().begin(caller.app(), &caller.customer, declared).await?;
    let location = format!("{}/{}", uri.path().trim_end_matches('/'), upload.0);
    let mut response = (StatusCode::CREATED, [(LOCATION, location)]).into_response();
    stand(&mut response, &Progress { offset: 0, size: Some(size), file: None });
    Ok(response)
}

/// `HEAD files/{upload}`: how far it got.
pub(in crate::web) async fn progress(
    State(web): State<Arc<Web>>,
    Path(upload): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Refused> {
    let caller = Caller::admit(&web, &headers).await?;
    check_version(&headers)?;
    let progress = web.host.files().progress(caller.app(), &caller.customer, &Upload(upload)).await?;
    let mut response = StatusCode::OK.into_response();
    stand(&mut response, &progress);
    Ok(response)
}

/// `PATCH files/{upload}`: more bytes.
pub(in crate::web) async fn append(
    State(web): State<Arc<Web>>,
    Path(upload): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refused> {
    let caller = Caller::admit(&web, &headers).await?;
    check_version(&headers)?;
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    if kind != Some("application/offset+octet-stream") {
        return Err(Refused::unsupported("the content type is not application/offset+octet-stream"));
    }
    let at =
        number(&headers, &OFFSET).ok_or_else(|| Refused::bad("Upload-Offset is missing, or no number"))?;
    let upload = Upload(upload);
    let bytes = body.into_data_stream().map(|piece| piece.map_err(|error| Interrupted(error.to_string())));
    let files = web.host.files();
    let mut progress = files.append(caller.app(), &caller.customer, &upload, at, Box::pin(bytes)).await?;
    if progress.file.is_none() && progress.size == Some(progress.offset) {
        progress.file = Some(files.finish(caller.app(), &caller.customer, &upload, None).await?);
    }
    let mut response = match &progress.file {
        Some(file) => ok(attachment(web.host.as_ref(), caller.app(), file)),
        None => StatusCode::NO_CONTENT.into_response(),
    };
    stand(&mut response, &progress);
    Ok(response)
}

/// `DELETE files/{upload}`: it is given up.
pub(in crate::web) async fn cancel(
    State(web): State<Arc<Web>>,
    Path(upload): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Refused> {
    let caller = Caller::admit(&web, &headers).await?;
    check_version(&headers)?;
    web.host.files().cancel(caller.app(), &caller.customer, &Upload(upload)).await;
    Ok((StatusCode::NO_CONTENT, [(RESUMABLE, VERSION)]).into_response())
}

/// `GET files/{file}/thumbnail`. Not part of tus.
pub(in crate::web) async fn thumbnail(
    State(web): State<Arc<Web>>,
    Path(file): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Refused> {
    let caller = Caller::admit(&web, &headers).await?;
    let picture =
        web.host.files().thumbnail(caller.app(), &caller.customer, &FileId::from(file.as_str())).await?;
    let nosniff = (HeaderName::from_static("x-content-type-options"), "nosniff");
    Ok(([(CONTENT_TYPE, "image/jpeg"), nosniff], picture).into_response())
}

fn check_version(headers: &HeaderMap) -> Result<(), Refused> {
    match headers.get(&RESUMABLE) {
        Some(version) if version == VERSION => Ok(()),
        _ => Err(Refused::precondition("Tus-Resumable is not 1.0.0")),
    }
}

fn number(headers: &HeaderMap, name: &HeaderName) -> Option<u64> {
    headers.get(name)?.to_str().ok()?.trim().parse().ok()
}

/// `filename d29ya3M=,filetype …`.
fn filename(metadata: &str) -> Option<String> {
    let pairs = metadata.split(',').filter_map(|pair| pair.trim().split_once(' '));
    let (_, encoded) = pairs.into_iter().find(|(key, _)| *key == "filename")?;
    String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()
}

/// Where the upload stands, in the answer's headers.
fn stand(response: &mut Response, progress: &Progress) {
    let headers = response.headers_mut();
    headers.insert(RESUMABLE, HeaderValue::from_static(VERSION));
    headers.insert(OFFSET, progress.offset.into());
    if let Some(size) = progress.size {
        headers.insert(LENGTH, size.into());
    }
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_is_in_the_metadata() {
        assert_eq!(filename("filetype dGV4dA==, filename YS5wZGY=").as_deref(), Some("a.pdf"));
        assert_eq!(filename("filename"), None);
        assert_eq!(filename("filename !"), None);
    }
}
