//! Files of conversations: what was sent, who downloaded it, withdrawing one.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use interline_core::conversation::file as core;
use interline_core::{ConversationId, FileId};
use interline_engine::files::Told;
use interline_engine::{Closed, FileShare, Trouble};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Api;
use super::at::At;
use super::auth::{Operate, Read, Scope};
use super::conversations::OneConversation;
use super::input::{In, Plain};
use super::page::Page;
use super::problem::Problem;
use super::transcripts::Access;
use crate::pages::files::attach;

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(list_files))
        .routes(routes!(get_file_content))
        .routes(routes!(revoke_file))
}

/// A stored file.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct File {
    /// `fil_` and a UUID.
    pub id: String,
    /// What it is called.
    pub name: String,
    /// Its media type, decided by its content.
    pub mime: String,
    /// Bytes.
    pub size: u64,
    /// The SHA-256 of its bytes, lower-case hexadecimal.
    pub sha256: String,
    /// What a virus scanner found in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub warning: Option<String>,
}

impl From<core::File> for File {
    fn from(file: core::File) -> Self {
        let core::File { id, name, mime, size, sha256, warning } = file;
        Self { id: id.as_str().to_owned(), name, mime, size, sha256, warning }
    }
}

/// A file of a conversation.
#[derive(Debug, Clone, Serialize, ToSchema)]
struct ConversationFile {
    /// The file.
    #[serde(flatten)]
    file: File,
    /// Who sent it: `customer` or `agent`.
    by: String,
    /// When an entry first named it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    shared_at: Option<At>,
    /// Since when it is withdrawn.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    revoked_at: Option<At>,
    /// Its downloads by people, by the participant whose link was used.
    downloads: Vec<Downloads>,
}

/// How often one link to a file was used.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = FileDownloads)]
struct Downloads {
    /// The participant that the link was given to; 0 is the customer.
    participant: u32,
    /// How often it was used.
    used: i64,
    /// Every use, the first one first.
    accesses: Vec<Access>,
}

impl From<FileShare> for Downloads {
    fn from(share: FileShare) -> Self {
        Self {
            // We wrote it: it is a number.
            participant: share.audience.parse().unwrap_or_default(),
            used: share.used,
            accesses: share.accesses.into_iter().map(Into::into).collect(),
        }
    }
}

impl From<Told> for ConversationFile {
    fn from(told: Told) -> Self {
        Self {
            file: told.file.into(),
            by: told.by,
            shared_at: told.shared_at.map(Into::into),
            revoked_at: told.revoked_at.map(Into::into),
            downloads: told.shares.into_iter().map(Into::into).collect(),
        }
    }
}

/// Show the files of a conversation
#[utoipa::path(get, path = "/apps/{app}/conversations/{conversation}/files", tag = "conversations",
    security(("key" = ["read"])),
    responses((status = 200, description = "All files that its entries name, oldest first.",
        body = Page<ConversationFile>)))]
async fn list_files(
    State(api): State<Api>,
    scope: Scope<Read>,
    In(OneConversation { conversation }): In<OneConversation>,
) -> Result<Json<Page<ConversationFile>>, Problem> {
    let id = ConversationId::from(conversation.as_str());
    let files = api.engine.files_of(&scope.app, &id).await?;
    Ok(Json(Page::all(files.into_iter().map(Into::into).collect())))
}

/// `…/files/{file}`.
#[derive(Deserialize)]
struct OneFile {
    file: Plain,
}

/// Get the bytes of a file
///
/// It does not count as a download, and works for files that were withdrawn.
#[utoipa::path(get, path = "/apps/{app}/files/{file}/content", tag = "conversations",
    security(("key" = ["operate"])),
    responses((status = 200, description = "The file, as an attachment.", content_type = "application/octet-stream",
        body = String)))]
async fn get_file_content(
    State(api): State<Api>,
    scope: Scope<Operate>,
    In(OneFile { file }): In<OneFile>,
) -> Result<Response, Problem> {
    match api.engine.operator_file(&scope.app, &FileId::from(file.as_str())).await {
        Ok(download) => {
            tracing::info!(app = %scope.app, key = scope.holder.id, file = %download.file.id, "a file was given by the API");
            let bytes = [(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"))];
            Ok((bytes, attach(download)).into_response())
        }
        Err(Closed::Trouble(trouble)) => Err(trouble.into()),
        Err(Closed::Unknown | Closed::UsedUp | Closed::Expired | Closed::Revoked) => {
            Err(Trouble::Unknown.into())
        }
    }
}

/// Withdraw a file
///
/// Neither the customer nor an agent can download it from now on. Again, it changes nothing.
#[utoipa::path(delete, path = "/apps/{app}/files/{file}", tag = "conversations", security(("key" = ["operate"])),
    responses((status = 204, description = "It is withdrawn.")))]
async fn revoke_file(
    State(api): State<Api>,
    scope: Scope<Operate>,
    In(OneFile { file }): In<OneFile>,
) -> Result<StatusCode, Problem> {
    api.engine.revoke_file(&scope.app, &FileId::from(file.as_str())).await?;
    Ok(StatusCode::NO_CONTENT)
}
