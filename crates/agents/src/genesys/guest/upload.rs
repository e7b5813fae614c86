//! A file of the customer's: announced, put where the vendor says, named in a message.

use std::time::Duration;

use ::http::{HeaderName, HeaderValue, Method};
use interline_connector::Carried;
use interline_connector::http::{Payload, Reply, Request as Put};
use interline_core::AppId;
use uuid::Uuid;

use super::Integration;
use super::history::not_put;
use super::line::{Line, Trouble};
use super::wire::{Presigned, Request, Session};

/// 25 MB may take so long.
const DEADLINE: Duration = Duration::from_secs(60);

/// Whether a session takes a file: the vendor compares sizes in units of 1,000 bytes.
pub(super) fn takes(session: &Session, carried: &Carried) -> bool {
    let file = &carried.file;
    let name = file.name.to_lowercase();
    let blocked = session.blocked_extensions.iter().any(|ending| name.ends_with(&ending.to_lowercase()));
    let Some(rules) = &session.allowed_media.inbound else { return false };
    let kind = |allowed: &str| {
        allowed == "*/*"
            || allowed == file.mime
            || allowed.strip_suffix('*').is_some_and(|kind| file.mime.starts_with(kind))
    };
    let small = rules.max_file_size_kb.is_none_or(|most| file.size <= most.saturating_mul(1_000));
    carried.fits && !blocked && small && rules.file_types.iter().any(|allowed| kind(&allowed.mime))
}

impl Integration {
    /// Uploads a file. Gives the id to name in a message.
    ///
    /// # Errors
    /// It is not taken, or the socket is over.
    pub(super) async fn upload(
        &self,
        app: &AppId,
        line: &mut Line,
        carried: &Carried,
    ) -> Result<String, Trouble> {
        let (id, file) = (Uuid::new_v4().to_string(), &carried.file);
        let request = Request::OnAttachment {
            attachment_id: &id,
            file_name: &file.name,
            file_type: &file.mime,
            file_size: file.size,
            errors_as_json: true,
        };
        let place = line.ask(&request, |frame| frame.class == "PresignedUrlResponse").await?;
        let place: Presigned = serde_json::from_value(place.body).unwrap_or_default();
        self.put(app, carried, place).await.map_err(|code| Trouble::Failed(not_put(code)))?;
        let done = |frame: &super::wire::Frame| {
            frame.class == "UploadSuccessEvent" && frame.body["attachmentId"] == id.as_str()
        };
        line.until(done, None).await?;
        Ok(id)
    }

    async fn put(&self, app: &AppId, carried: &Carried, place: Presigned) -> Result<(), String> {
        let url = place.url.parse().map_err(|_| "the vendor names no place for the file".to_owned())?;
        let file = &carried.file;
        let bytes = carried.source.0.read(app, file).await.map_err(|error| error.to_string())?;
        let kind = HeaderValue::from_str(&file.mime).map_err(|_| "the file's type".to_owned())?;
        let mut put = Put::new(Method::PUT, url).deadline(DEADLINE);
        for (name, value) in &place.headers {
            let name =
                HeaderName::from_bytes(name.as_bytes()).map_err(|_| "a header of the vendor's".to_owned())?;
            // What we say ourselves is not said twice.
            if name != ::http::header::CONTENT_TYPE && name != ::http::header::CONTENT_LENGTH {
                put = put.header(name, value);
            }
        }
        match self.http.send(put.body(Payload::Stream(kind, file.size, bytes))).await {
            Ok(Reply::Answered { status, .. }) if status.is_success() => Ok(()),
            Ok(Reply::Answered { status, .. }) => {
                Err(format!("the upload was answered with HTTP {}", status.as_u16()))
            }
            Ok(Reply::Sent) => Err("the upload was not answered".to_owned()),
            Err(failure) => Err(failure.cause().code.clone()),
        }
    }
}
