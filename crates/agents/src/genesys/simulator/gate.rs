//! Who may call, and how often.

use std::collections::{HashMap, VecDeque};

use axum::Json;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::new_id;
use super::open::Settings;

/// A minute.
const WINDOW_MS: i64 = 60_000;

#[derive(Default)]
pub(super) struct Gate {
    /// Until when each is good.
    tokens: HashMap<String, i64>,
    /// When the calls of the last minute came.
    calls: VecDeque<i64>,
}

impl Gate {
    /// `POST /oauth/token`.
    pub fn issue(&mut self, settings: &Settings, headers: &HeaderMap, body: &[u8], now: i64) -> Response {
        let expected = STANDARD.encode(format!("{}:{}", settings.client_id, settings.client_secret));
        let form =
            headers.get(header::CONTENT_TYPE).is_some_and(|kind| kind == "application/x-www-form-urlencoded");
        if !form || body != b"grant_type=client_credentials" {
            let told = json!({ "error": "unsupported_grant_type", "description": "grant_type must be client_credentials" });
            return (StatusCode::BAD_REQUEST, Json(told)).into_response();
        }
        if headers
            .get(header::AUTHORIZATION)
            .is_none_or(|given| given != format!("Basic {expected}").as_str())
        {
            let told =
                json!({ "error": "invalid_client", "description": "client not found or invalid secret" });
            return (StatusCode::UNAUTHORIZED, Json(told)).into_response();
        }
        let token = self.grant(now + settings.token_seconds * 1_000);
        Json(json!({ "access_token": token, "token_type": "bearer", "expires_in": settings.token_seconds }))
            .into_response()
    }

    /// A new token, good until then.
    pub fn grant(&mut self, until: i64) -> String {
        let token = format!("tok-{}", new_id());
        self.tokens.insert(token.clone(), until);
        token
    }

    /// All tokens are good for nothing from now on.
    pub fn revoke(&mut self) {
        self.tokens.clear();
    }

    /// Whether a call may be made: none, and it counts; else what it is answered.
    pub fn refuses(&mut self, settings: &Settings, headers: &HeaderMap, now: i64) -> Option<Response> {
        let given = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let token = given.and_then(|value| value.strip_prefix("Bearer "));
        if token.and_then(|token| self.tokens.get(token)).is_none_or(|until| *until <= now) {
            return Some(error(StatusCode::UNAUTHORIZED, "bad.credentials", "Invalid login credentials."));
        }
        while self.calls.front().is_some_and(|at| *at <= now - WINDOW_MS) {
            self.calls.pop_front();
        }
        if self.calls.len() >= settings.per_minute {
            let first = self.calls.front().copied().unwrap_or(now);
            let seconds = (first + WINDOW_MS - now).max(0) as u64 / 1_000 + 1;
            let message = "Rate limit exceeded the maximum. Retry the request in [n] seconds";
            let mut answer = error(StatusCode::TOO_MANY_REQUESTS, "too.many.requests", message);
            answer.headers_mut().insert(header::RETRY_AFTER, seconds.into());
            return Some(answer);
        }
        self.calls.push_back(now);
        None
    }
}

/// An error as the API tells it.
pub(super) fn error(status: StatusCode, code: &str, message: &str) -> Response {
    let body = json!({
        "message": message, "code": code, "status": status.as_u16(), "contextId": new_id(), "details": [], "errors": [],
    });
    (status, Json(body)).into_response()
}

pub(super) fn bad(message: &str) -> Response {
    error(StatusCode::BAD_REQUEST, "bad.request", message)
}

pub(super) fn not_found(what: &str) -> Response {
    error(StatusCode::NOT_FOUND, "not.found", &format!("{what} was not found"))
}
