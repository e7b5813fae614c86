//! Which pages may use the channel. Checked on every HTTP request and on the socket's handshake.
//!
//! A preflight names no app, so it is answered for every origin; it grants nothing, because the request behind it is
//! refused, without effect and unreadable for the page, if the app does not allow the origin. An answer that is about
//! no app (unknown bot, unreadable body) may be read by any page: the client shows its text. No cookies anywhere.

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, CACHE_CONTROL, HOST, ORIGIN, VARY,
};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use url::Url;

use super::Settings;
use super::refused::{ForeignOrigin, Refused};

const METHODS: HeaderValue = HeaderValue::from_static("GET, POST, PUT, OPTIONS, HEAD, PATCH, DELETE");
const HEADERS: HeaderValue = HeaderValue::from_static(concat!(
    "authorization, content-type, x-rtm-v, accept, x-requested-with, user-agent, ",
    "tus-resumable, upload-offset, upload-length, upload-metadata"
));
/// What a page may read of an answer: an upload's address, and where it stands.
const EXPOSED: HeaderValue =
    HeaderValue::from_static("Location, Retry-After, Tus-Resumable, Upload-Offset, Upload-Length");

/// Answers preflights, and lets pages read answers.
pub(super) async fn answer(request: Request, next: Next) -> Response {
    let origin = request.headers().get(ORIGIN).cloned();
    let preflight = request.method() == Method::OPTIONS;
    let mut response =
        if preflight { StatusCode::NO_CONTENT.into_response() } else { next.run(request).await };
    let readable = response.extensions().get::<ForeignOrigin>().is_none();
    let headers = response.headers_mut();
    headers.insert(VARY, HeaderValue::from_static("Origin"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Some(origin) = origin.filter(|_| readable) {
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
    }
    if preflight {
        headers.insert(ACCESS_CONTROL_ALLOW_METHODS, METHODS);
        headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, HEADERS);
        headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
    }
    response
}

/// Whether the page behind this request may use the channel. A request without `Origin` comes from no page.
///
/// # Errors
/// It may not.
pub(super) fn check(settings: &Settings, public_url: &Url, headers: &HeaderMap) -> Result<(), Refused> {
    let Some(origin) = headers.get(ORIGIN) else { return Ok(()) };
    let origin = origin.to_str().map_err(|_| Refused::foreign_origin())?;
    let ours = public_url.origin().ascii_serialization().eq_ignore_ascii_case(origin);
    let listed = settings.origins.iter().any(|allowed| allowed == "*" || same(allowed, origin));
    if ours || listed || is_where_it_was_sent(origin, headers) {
        Ok(())
    } else {
        Err(Refused::foreign_origin())
    }
}

/// `*`, or an origin and nothing more.
pub(super) fn well_formed(origin: &str) -> bool {
    origin == "*"
        || Url::parse(origin)
            .is_ok_and(|url| url.origin().is_tuple() && same(&url.origin().ascii_serialization(), origin))
}

fn same(allowed: &str, origin: &str) -> bool {
    allowed.trim_end_matches('/').eq_ignore_ascii_case(origin.trim_end_matches('/'))
}

/// A page of our own host, also when the server is reached under another name than its public one (`localhost`).
fn is_where_it_was_sent(origin: &str, headers: &HeaderMap) -> bool {
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    let authority = origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://"));
    host.is_some() && host == authority
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn allowed(origins: &[&str], origin: Option<&str>, host: &str) -> bool {
        let settings: Settings =
            serde_json::from_value(json!({ "credentials": ["c"], "origins": origins })).expect("settings");
        let mut headers = HeaderMap::new();
        headers.insert(HOST, host.parse().expect("host"));
        if let Some(origin) = origin {
            headers.insert(ORIGIN, origin.parse().expect("origin"));
        }
        check(&settings, &Url::parse("https://chat.example").expect("url"), &headers).is_ok()
    }

    #[test]
    fn only_listed_and_own_origins() {
        assert!(allowed(&[], None, "inner"));
        assert!(allowed(&[], Some("https://chat.example"), "inner"));
        assert!(allowed(&[], Some("http://localhost:8080"), "localhost:8080"));
        assert!(allowed(&["https://shop.example/"], Some("https://shop.example"), "inner"));
        assert!(allowed(&["*"], Some("https://evil.example"), "inner"));
        for foreign in
            ["https://evil.example", "http://chat.example", "null", "https://chat.example.evil.example", ""]
        {
            assert!(!allowed(&["https://shop.example"], Some(foreign), "inner"), "{foreign}");
        }
        assert!(!allowed(&["https://shop.example"], Some("https://shop.example:8443"), "inner"));
        assert!(!allowed(&["https://shop.example"], Some("http://shop.example"), "inner"));
    }

    #[test]
    fn well_formed_origins() {
        for good in ["*", "https://a.example", "http://localhost:3000", "https://a.example/"] {
            assert!(well_formed(good), "{good}");
        }
        for bad in ["", "a.example", "https://a.example/x", "https://a.example:443", "null", "data:x", "**"] {
            assert!(!well_formed(bad), "{bad}");
        }
    }
}
