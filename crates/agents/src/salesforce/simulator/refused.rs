//! How the org says no.

use ::http::StatusCode;
use axum::Json;
use axum::response::{IntoResponse, Response};
use serde_json::json;

/// The org says no.
pub(super) struct Refused(pub StatusCode, pub &'static str);

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        (self.0, Json(json!({ "message": self.1, "errorCode": self.0.as_u16().to_string() }))).into_response()
    }
}

/// The request is wrong.
pub(super) const fn bad(why: &'static str) -> Refused {
    Refused(StatusCode::BAD_REQUEST, why)
}

/// There is no such thing.
pub(super) const fn unknown(why: &'static str) -> Refused {
    Refused(StatusCode::NOT_FOUND, why)
}
