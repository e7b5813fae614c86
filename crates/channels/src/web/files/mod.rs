//! Files that customers send and fetch: the vendor's calls as its client makes them (`sdk.rs`), and tus for everybody else
//! (`tus.rs`). Both end in [`Files`](interline_connector::files::Files); nothing is kept here.

mod multipart;
mod sdk;
mod tus;

use std::borrow::Cow;
use std::sync::Arc;

use axum::extract::DefaultBodyLimit;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use http::{HeaderMap, StatusCode};
use interline_connector::FileRefused;
use interline_connector::channel::{Host, Line};
use interline_connector::formats;
use interline_core::conversation::entry::Text;
use interline_core::conversation::state::Customer;
use interline_core::{AppId, Body, Entry, File, FileId};
use serde_json::{Value, json};

use super::Web;
use super::pass::{Client, Guest};
use super::refused::Refused;

/// The routes, below `/api` and `/api/1.1`. Bodies are streams, and limited by what the app takes.
pub(super) fn routes() -> Router<Arc<Web>> {
    Router::new()
        .route("/attachment/file/token", post(sdk::token))
        .route("/attachment/file", post(sdk::small))
        .route("/attachment/file/{token}/chunk", post(sdk::chunk))
        .route("/attachment/file/{token}", axum::routing::put(sdk::commit))
        .route("/attachment/file/{token}/url", get(sdk::url))
        .route("/attachment/v2/stream/{bot}/file/{file}/url", get(sdk::stream_url))
        .route("/files", get(tus::rules).post(tus::create))
        .route("/files/{upload}", axum::routing::head(tus::progress).patch(tus::append).delete(tus::cancel))
        .route("/files/{file}/thumbnail", get(tus::thumbnail))
        .layer(DefaultBodyLimit::disable())
}

/// Who asks.
struct Caller {
    guest: Guest,
    customer: Customer,
}

impl Caller {
    async fn admit(web: &Web, headers: &HeaderMap) -> Result<Self, Refused> {
        let guest = web.admit(headers, None).await?;
        let customer = web.customer(&guest).await?;
        Ok(Self { guest, customer })
    }

    fn app(&self) -> &AppId {
        &self.guest.app.id
    }
}

/// A file as the vendor's wire has it, with what our widget wants beside.
pub(super) fn attachment(host: &dyn Host, app: &AppId, file: &File) -> Value {
    let mut attachment = json!({
        "fileId": file.id,
        "fileName": file.name,
        "fileType": formats::wire_kind(&file.name),
        "fileUrl": host.files().link(app, &file.id),
        "size": interline_connector::files::megabytes(file.size),
        "bytes": file.size,
        "mime": file.mime,
    });
    if let Some(found) = &file.warning {
        attachment["warning"] = found.as_str().into();
    }
    attachment
}

/// Words with a line for each file: for clients that know no files from others than their user.
pub(super) fn in_words(host: &dyn Host, app: &AppId, words: &str, files: &[File]) -> String {
    let mut all = words.to_owned();
    for file in files {
        if !all.is_empty() {
            all.push('\n');
        }
        let size = interline_connector::files::human_size(file.size);
        // What markdown reads as its own would end the name too early.
        let name: String = file
            .name
            .chars()
            .map(|letter| if matches!(letter, '[' | ']' | '(' | ')') { '_' } else { letter })
            .collect();
        let warning =
            file.warning.as_ref().map_or_else(String::new, |found| format!(" (a scanner found {found})"));
        all.push_str(&format!("[{name}]({}) ({size}){warning}", host.files().link(app, &file.id)));
    }
    all
}

/// A line as a client is told of it: our widget has its files beside the words, any other in the words, too.
pub(super) fn told<'a>(
    host: &dyn Host,
    app: &AppId,
    client: Client,
    line: &'a Line,
) -> (Cow<'a, Line>, Vec<Value>) {
    let Some(text) = line.entry.text().filter(|text| !text.files.is_empty()) else {
        return (Cow::Borrowed(line), Vec::new());
    };
    let attachments = text.files.iter().map(|file| attachment(host, app, file)).collect();
    if client == Client::Interline {
        return (Cow::Borrowed(line), attachments);
    }
    let words = in_words(host, app, &text.text, &text.files);
    let body = Body::Text(Text { text: words, ..text.clone() });
    let entry = Entry { body, ..line.entry.clone() };
    (Cow::Owned(Line { entry, conversation: line.conversation.clone() }), attachments)
}

/// The ids of a frame's attachments. What is no id of ours is asked for all the same, and not found.
pub(super) fn ids(attachments: &Value) -> Vec<FileId> {
    let named = attachments.as_array().into_iter().flatten().take(MOST_NAMED);
    named.filter_map(|one| one["fileId"].as_str()).map(FileId::from).collect()
}

/// Far more than anybody may send: how many are too many is the app's word.
const MOST_NAMED: usize = 200;

impl From<FileRefused> for Refused {
    fn from(refused: FileRefused) -> Self {
        let status = StatusCode::from_u16(refused.status()).unwrap_or(StatusCode::BAD_REQUEST);
        Refused::of_file(status, refused.code(), refused.to_string())
    }
}

/// JSON with 200.
fn ok(body: Value) -> Response {
    Json(body).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_taken_from_any_list() {
        let found = ids(&json!([{ "fileId": "fil_1" }, { "fileName": "x" }, 7, { "fileId": "fil_2" }]));
        assert_eq!(found, [FileId::from("fil_1"), FileId::from("fil_2")]);
        assert!(ids(&json!("fil_1")).is_empty());
        assert_eq!(ids(&json!(vec![json!({ "fileId": "x" }); 1000])).len(), MOST_NAMED);
    }
}
