//! `GET websdkthemes/{bot}/activetheme`: the 11.x client draws nothing until it knows that there is a theme.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use http::HeaderMap;
use serde_json::{Value, json};

use super::Web;
use super::refused::Refused;

pub(super) async fn active(
    State(web): State<Arc<Web>>,
    Path(bot): Path<String>,
    headers: HeaderMap,
) -> Result<Json<Value>, Refused> {
    web.admit(&headers, Some(&bot)).await?;
    // The built-in look.
    Ok(Json(json!({ "activeTheme": true })))
}
