//! What of a guest goes by HTTP: the deployment's configuration, uploads, and what was said before.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, put};
use axum::{Json, Router};
use interline_connector::simulator::ShownFile;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::guest::{Office, Upload, frame};
use super::guest_socket::{answer, is_blocked, string};
use super::open::lock;
use super::{new_id, time};

/// An upload must bring this header: its address was signed with it.
const TAG: (&str, &str) = ("x-amz-tagging", "organizationId=stand-in");

pub(super) fn routes() -> Router<Arc<Office>> {
    Router::new()
        .route("/webdeployments/v1/deployments/{id}/config.json", get(config))
        .route("/api/v2/webmessaging/messages", get(messages))
        .route("/upload/{id}", put(upload).layer(DefaultBodyLimit::max(64 * 1024 * 1024)))
}

async fn config(State(office): State<Arc<Office>>, Path(id): Path<String>) -> Response {
    let settings = &office.settings;
    if id != settings.deployment_id {
        return StatusCode::NOT_FOUND.into_response();
    }
    let disconnect =
        json!({ "enabled": settings.disconnect.is_some(), "type": settings.disconnect.unwrap_or("Send") });
    Json(json!({
        "id": id, "version": "1", "status": if settings.active { "Active" } else { "Inactive" },
        "messenger": { "enabled": true, "apps": { "conversations": {
            "showAgentTypingIndicator": true, "showUserTypingIndicator": settings.typing,
            "conversationDisconnect": disconnect, "conversationClear": { "enabled": settings.clear },
        } } },
        "auth": { "enabled": false },
    }))
    .into_response()
}

/// What was said before, newest first, as pages.
async fn messages(
    State(office): State<Arc<Office>>,
    Query(asked): Query<BTreeMap<String, String>>,
    headers: HeaderMap,
) -> Response {
    let given = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let jwt =
        given.get(..7).filter(|scheme| scheme.eq_ignore_ascii_case("bearer ")).and_then(|_| given.get(7..));
    let origin = headers.get(header::ORIGIN).is_some_and(|origin| origin == office.settings.origin.as_str());
    let sessions = lock(&office.sessions);
    let session = sessions.iter().find(|session| jwt == Some(session.jwt.as_str()) && origin);
    let Some(session) = session else { return StatusCode::UNAUTHORIZED.into_response() };
    let number =
        |name: &str, usual: usize| asked.get(name).and_then(|text| text.parse().ok()).unwrap_or(usual).max(1);
    let (size, page) = (number("pageSize", 25), number("pageNumber", 1));
    let total = session.messages.len();
    let entities: Vec<&Value> = session.messages.iter().rev().skip((page - 1) * size).take(size).collect();
    Json(json!({
        "entities": entities, "pageSize": size, "pageNumber": page, "total": total, "pageCount": total.div_ceil(size),
    }))
    .into_response()
}

/// A guest asks where a file may be put.
pub(super) fn on_attachment(
    office: &Office,
    tell: &mpsc::UnboundedSender<Option<String>>,
    request: &Value,
    token: &str,
) {
    let text = |name: &str| request[name].as_str().unwrap_or_default().to_owned();
    let (id, name, kind) = (text("attachmentId"), text("fileName"), text("fileType"));
    let Some(size) =
        request["fileSize"].as_u64().filter(|_| id.len() == 36 && !name.is_empty() && !kind.is_empty())
    else {
        return answer(office, tell, string(4020, "a parameter is missing", &request["tracingId"]));
    };
    let refused = if is_blocked(&name) {
        Some((4001, "the file type is not allowed"))
    } else if size > office.settings.max_file_kb * 1_000 {
        Some((4002, "the file is too large"))
    } else {
        None
    };
    let mut told = match refused {
        Some((code, why)) => frame(
            "GenerateUrlError",
            json!({
                "name": "GenerateUrlError", "message": why, "errorCode": code, "errorMessage": why, "attachmentId": id,
            }),
        ),
        None => {
            let url = format!("http://{}/upload/{id}", lock(&office.host));
            lock(&office.sessions).iter_mut().filter(|session| session.token == token).for_each(|session| {
                let (id, name, kind) = (id.clone(), name.clone(), kind.clone());
                session.uploads.push(Upload { id, name, kind, size, bytes: None });
            });
            frame(
                "PresignedUrlResponse",
                json!({
                    "attachmentId": id, "url": url, "headers": { TAG.0: TAG.1 }, "fileName": name, "fileType": kind, "fileSize": size,
                }),
            )
        }
    };
    told["tracingId"] = request["tracingId"].clone();
    answer(office, tell, told);
}

async fn upload(
    State(office): State<Arc<Office>>,
    Path(id): Path<String>,
    headers: HeaderMap,
    bytes: Bytes,
) -> Response {
    if headers.get(TAG.0).is_none_or(|value| value != TAG.1) {
        return (StatusCode::FORBIDDEN, "SignatureDoesNotMatch").into_response();
    }
    let mut sessions = lock(&office.sessions);
    let found = sessions.iter_mut().find_map(|session| {
        let sockets = session.sockets.clone();
        session.uploads.iter_mut().find(|upload| upload.id == id).map(|upload| (sockets, upload))
    });
    let Some((sockets, upload)) = found else { return StatusCode::NOT_FOUND.into_response() };
    if headers.get(header::CONTENT_TYPE).is_none_or(|kind| kind != upload.kind.as_str()) {
        return (StatusCode::FORBIDDEN, "SignatureDoesNotMatch").into_response();
    }
    let at = time(office.desk.clock().now_ms());
    let told = if bytes.len() as u64 == upload.size && !office.desk.faults().special("upload_fails") {
        upload.bytes = Some(bytes);
        frame(
            "UploadSuccessEvent",
            json!({ "attachmentId": id, "downloadUrl": format!("https://download.example.com/{}", new_id()), "timestamp": at }),
        )
    } else {
        frame(
            "UploadFailureEvent",
            json!({ "attachmentId": id, "errorCode": 4003, "errorMessage": "the content is not valid", "timestamp": at }),
        )
    };
    drop(sessions);
    sockets.iter().for_each(|socket| answer(&office, socket, told.clone()));
    StatusCode::OK.into_response()
}

/// The files of a message, all of which were uploaded.
pub(super) fn attached(
    office: &Office,
    token: &str,
    message: &Value,
) -> Result<Vec<ShownFile>, (u16, &'static str)> {
    let sessions = lock(&office.sessions);
    let uploads = sessions.iter().find(|session| session.token == token).map(|session| &session.uploads);
    let content = message["content"].as_array().into_iter().flatten();
    content
        .map(|one| {
            let id = one["attachment"]["id"]
                .as_str()
                .filter(|_| one["contentType"] == "Attachment")
                .ok_or((4003, "unknown content"))?;
            let upload = uploads
                .into_iter()
                .flatten()
                .find(|upload| upload.id == id)
                .ok_or((4009, "the attachment is not known"))?;
            let bytes = upload.bytes.as_ref().ok_or((4010, "the upload is not complete"))?;
            Ok(office.desk.received(&upload.name, bytes))
        })
        .collect()
}
