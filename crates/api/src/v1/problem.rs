//! Every error, in one shape (RFC 9457). What the engine refuses becomes a status here, and nowhere else.

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use interline_engine::config::{Invalid, Refused};
use interline_engine::{KeyRole, NotDone, Trouble};
use serde::Serialize;
use utoipa::ToSchema;

/// What stands in the way.
#[derive(Debug, Clone)]
pub(crate) struct Problem(Box<Details>);

/// An error, as RFC 9457 describes it. Tell cases apart by `code`.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Problem)]
pub(crate) struct Details {
    /// Always `about:blank`: the status says what kind it is, `code` which one.
    #[serde(rename = "type")]
    kind: &'static str,
    /// The status in words.
    title: &'static str,
    /// The HTTP status.
    status: u16,
    /// What happened, and what to do, for a person.
    detail: String,
    /// A stable word for the case.
    #[schema(pattern = "^[a-z_]+$", example = "version_conflict")]
    code: &'static str,
    /// Every fault of what was sent, each with its place.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    errors: Vec<Fault>,
    /// With `version_conflict`: the version in force.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    version: Option<i64>,
    /// Seconds.
    #[serde(skip)]
    retry_after: Option<u64>,
}

/// A fault in what was sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Fault {
    /// Where: `agents.desk.url`, the name of a query parameter or header. Empty: the body as a whole.
    #[schema(example = "settings.url")]
    pub path: String,
    /// What is wrong, and what to do.
    pub message: String,
}

impl From<Invalid> for Fault {
    fn from(invalid: Invalid) -> Self {
        Self { path: invalid.path, message: invalid.message }
    }
}

impl Problem {
    /// A problem of this status.
    pub fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self(Box::new(Details {
            kind: "about:blank",
            title: status.canonical_reason().unwrap_or("Error"),
            status: status.as_u16(),
            detail: detail.into(),
            code,
            errors: Vec::new(),
            version: None,
            retry_after: None,
        }))
    }

    /// What was sent has faults.
    pub fn invalid(faults: impl IntoIterator<Item = impl Into<Fault>>) -> Self {
        let errors: Vec<Fault> = faults.into_iter().map(Into::into).collect();
        let mut problem = Self::new(StatusCode::BAD_REQUEST, "invalid", in_short(&errors));
        problem.0.errors = errors;
        problem
    }

    /// One fault at one place.
    pub fn at(path: &str, message: impl Into<String>) -> Self {
        Self::invalid([Invalid::at(path, message)])
    }

    /// 409: what was asked for does not fit what is there.
    pub fn conflict(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, code, detail)
    }

    /// 409 with the places that stand in the way.
    pub fn conflict_at(code: &'static str, detail: &str, faults: Vec<Invalid>) -> Self {
        let mut problem = Self::conflict(code, detail);
        problem.0.errors = faults.into_iter().map(Into::into).collect();
        problem
    }

    /// The store is out of reach; nothing was done.
    pub fn unavailable() -> Self {
        let detail = "the store is out of reach; the same again later will do";
        let mut problem = Self::new(StatusCode::SERVICE_UNAVAILABLE, "store_unavailable", detail);
        problem.0.retry_after = Some(1);
        problem
    }

    /// There is no such thing, or not for this key.
    pub fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", "there is no such thing here")
    }

    /// No route.
    pub fn path() -> Self {
        Self::new(StatusCode::NOT_FOUND, "no_such_path", "there is no such path; /openapi.json lists them")
    }

    /// A route, but not by this method.
    pub fn method() -> Self {
        let detail = "this path has no such method; the header Allow lists them";
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", detail)
    }

    /// No key, or not one that counts.
    pub fn no_key() -> Self {
        let detail =
            "send `Authorization: Bearer ilk_…` with a key that is known, not revoked and not expired";
        Self::new(StatusCode::UNAUTHORIZED, "no_valid_key", detail)
    }

    /// The key may not do this.
    pub fn weak(needed: KeyRole, has: KeyRole) -> Self {
        let detail = format!("this needs a key with the role `{needed}`; this one has `{has}`");
        Self::new(StatusCode::FORBIDDEN, "role_too_weak", detail)
    }

    /// The key was used too often.
    pub fn rate(retry_after: u64) -> Self {
        let detail = "too many requests with this key; the header Retry-After says how many seconds to wait";
        let mut problem = Self::new(StatusCode::TOO_MANY_REQUESTS, "too_many_requests", detail);
        problem.0.retry_after = Some(retry_after);
        problem
    }

    /// It took too long.
    pub fn timeout() -> Self {
        let detail = "the request took longer than 30 seconds; a change that was asked for may still be made";
        Self::new(StatusCode::REQUEST_TIMEOUT, "timeout", detail)
    }

    /// Our fault. No internals are told.
    pub fn internal() -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            "something went wrong here; the log says what",
        )
    }

    /// Tells the places of faults as the sender knows them.
    pub fn placed(mut self, place: impl Fn(&Fault) -> String) -> Self {
        let Details { errors, detail, code, .. } = &mut *self.0;
        for fault in errors.iter_mut() {
            fault.path = place(fault);
        }
        if *code == "invalid" {
            *detail = in_short(errors);
        }
        self
    }
}

fn in_short(faults: &[Fault]) -> String {
    match faults {
        [] => "what was sent is not right".to_owned(),
        [Fault { path, message }] if path.is_empty() => message.clone(),
        [Fault { path, message }] => format!("{path}: {message}"),
        more => format!("{} faults; `errors` lists them", more.len()),
    }
}

impl From<Trouble> for Problem {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Unknown | Trouble::FileGone => Self::not_found(),
            Trouble::Store(error) => {
                tracing::warn!(error, "the API cannot reach the store");
                Self::unavailable()
            }
            Trouble::Broken(error) => {
                tracing::error!(error, "the API met something that cannot be read");
                Self::internal()
            }
        }
    }
}

impl From<NotDone> for Problem {
    fn from(not_done: NotDone) -> Self {
        match not_done {
            NotDone::NotNow { code, message } => Self::conflict(code, message),
            NotDone::Trouble(trouble) => trouble.into(),
        }
    }
}

impl From<Refused> for Problem {
    fn from(refused: Refused) -> Self {
        let detail = refused.to_string();
        match refused {
            Refused::Invalid(faults) => Self::invalid(faults),
            Refused::Unknown(_) => Self::new(StatusCode::NOT_FOUND, "not_found", detail),
            Refused::Conflict(version) => {
                let mut problem = Self::new(StatusCode::PRECONDITION_FAILED, "version_conflict", detail);
                problem.0.version = Some(version);
                problem
            }
            Refused::Exists(_) => Self::conflict("exists", detail),
            Refused::InUse { code, message } => Self::conflict(code, message),
            Refused::Trouble(trouble) => trouble.into(),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.0.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(seconds) = self.0.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        (status, headers, serde_json::to_string(&self.0).unwrap_or_default()).into_response()
    }
}
