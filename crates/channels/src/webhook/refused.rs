//! The error shape of this protocol: `{"errors":[{"msg","code"}],"_v":"v2","_t"}`, with its words.

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use interline_connector::FileRefused;
use interline_connector::channel::Unavailable;
use serde_json::json;
use uuid::Uuid;

/// A request turned away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refused(StatusCode, String);

impl Refused {
    /// `why` is for whoever writes the program.
    pub fn bad(why: &str) -> Self {
        Self(StatusCode::BAD_REQUEST, format!("Invalid Request Payload: {why}"))
    }

    pub fn token() -> Self {
        Self(StatusCode::UNAUTHORIZED, "Invalid Access token".into())
    }

    pub fn no_bot() -> Self {
        Self(StatusCode::NOT_FOUND, "there is no such bot".into())
    }

    /// The turn took too long.
    pub fn late() -> Self {
        Self(StatusCode::GATEWAY_TIMEOUT, "the bot did not answer in time".into())
    }

    /// A poll id that was answered already, or is none.
    pub fn no_data() -> Self {
        Self(StatusCode::BAD_REQUEST, "No data found".into())
    }
}

/// A file is not taken: the text is for people, and says what would be.
impl From<FileRefused> for Refused {
    fn from(refused: FileRefused) -> Self {
        let status = StatusCode::from_u16(refused.status()).unwrap_or(StatusCode::BAD_REQUEST);
        Self(status, format!("message.attachments: {refused}"))
    }
}

impl From<Unavailable> for Refused {
    fn from(reason: Unavailable) -> Self {
        Self(StatusCode::SERVICE_UNAVAILABLE, reason.0)
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let Self(status, msg) = self;
        let trace = Uuid::new_v4().simple().to_string();
        let errors = json!([{ "msg": msg, "code": status.as_u16() }]);
        (status, Json(json!({ "errors": errors, "_v": "v2", "_t": trace }))).into_response()
    }
}
