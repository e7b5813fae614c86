//! One edit of an app's document, and the answer to it.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use interline_engine::config::{self, Changed, Document, Draft, Origin, Refused};
use serde::Serialize;

use super::Api;
use super::auth::{Admin, Scope};
use super::input::IfMatch;

/// An answer about a version of the app, with its ETag.
pub(crate) struct Versioned<T>(pub StatusCode, pub i64, pub T);

impl<T: Serialize> IntoResponse for Versioned<T> {
    fn into_response(self) -> Response {
        let Self(status, version, body) = self;
        let mut answer = (status, Json(body)).into_response();
        if let Ok(tag) = HeaderValue::from_str(&format!("\"{version}\"")) {
            answer.headers_mut().insert(header::ETAG, tag);
        }
        answer
    }
}

/// Edits the app's document. Secrets that were sent back masked stay as they were.
pub(crate) async fn change(
    api: &Api,
    scope: &Scope<Admin>,
    expected: IfMatch,
    edit: impl FnOnce(&mut Document) -> Result<(), Refused> + Send,
) -> Result<Changed, Refused> {
    let edit = |draft: Option<Draft>| {
        let Draft { document: current, retired } =
            draft.ok_or_else(|| Refused::Unknown("such app".into()))?;
        let mut next = current.clone();
        edit(&mut next)?;
        let document = config::merge(Some(&current), next, true).map_err(Refused::Invalid)?;
        Ok(Draft { document, retired })
    };
    let changed = api.engine.apps().edit(&scope.app, Origin::Api, expected.0, false, edit).await?;
    told(scope, &changed);
    Ok(changed)
}

/// Who changed what stands in the log.
pub(crate) fn told(scope: &Scope<Admin>, changed: &Changed) {
    if changed.new {
        let (app, key, version) = (&scope.app, &scope.holder.id, changed.version);
        tracing::info!(%app, key, version, "changed by the API");
    }
}
