//! The error shape of this protocol: `{"errors":[{"msg","code","httpStatus"}]}`. The client shows `msg` to the user.

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use interline_connector::channel::Unavailable;
use serde_json::{Value, json};

/// A request turned away. The message is fit for the user. There is no 429: this client cannot read one.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Refused {
    status: StatusCode,
    code: Value,
    message: String,
    foreign_origin: bool,
}

/// Marks a response whose origin may not read it.
#[derive(Debug, Clone, Copy)]
pub(super) struct ForeignOrigin;

impl Refused {
    fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, code: status.as_u16().into(), message: message.into(), foreign_origin: false }
    }

    pub fn bad(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    pub fn unauthorized(message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, message)
    }

    /// The client logs in again on this one.
    pub fn token_expired() -> Self {
        Self { code: "TOKEN_EXPIRED".into(), ..Self::unauthorized("token expired") }
    }

    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, message)
    }

    pub fn unsupported(message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, message)
    }

    pub fn precondition(message: impl Into<String>) -> Self {
        Self::new(StatusCode::PRECONDITION_FAILED, message)
    }

    /// A file that is not taken. The client reads the status as a text here.
    pub fn of_file(status: StatusCode, code: &'static str, message: String) -> Self {
        Self { code: code.into(), ..Self::new(status, message) }
    }

    pub fn foreign_origin() -> Self {
        let refused =
            Self::new(StatusCode::FORBIDDEN, "this page may not use this bot: its origin is not allowed");
        Self { foreign_origin: true, ..refused }
    }
}

impl From<Unavailable> for Refused {
    fn from(reason: Unavailable) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, reason.0)
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let status = self.status.as_str();
        let body = json!({ "errors": [{ "msg": self.message, "code": self.code, "httpStatus": status }] });
        let mut response = (self.status, Json(body)).into_response();
        if self.foreign_origin {
            response.extensions_mut().insert(ForeignOrigin);
        }
        response
    }
}
