//! A plain chat page that speaks this very protocol: for `demo`, for tests, and to read how little a client needs.
//!
//! No framework, no inline script or style, text nodes only. It gets its login from `POST /demo/jwt` (form `identity`,
//! answer `{"jwt":"…","botInfo":{"name":"…","_id":"st-…"}}`), which only the binary in demo mode serves: this crate
//! signs nothing.

use axum::Router;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use http::HeaderName;
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};

/// `ws:` and `wss:` are for browsers in which `'self'` does not cover them.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; \
                      connect-src 'self' ws: wss:; base-uri 'none'; form-action 'none'; frame-ancestors 'self'";

/// The demo page's routes, under `/demo/`.
pub fn demo_page() -> Router {
    Router::new()
        .route("/demo", get(|| async { Redirect::permanent("/demo/") }))
        .route("/demo/", get(|| async { file("text/html; charset=utf-8", include_str!("chat.html")) }))
        .route(
            "/demo/chat.js",
            get(|| async { file("text/javascript; charset=utf-8", include_str!("chat.js")) }),
        )
        .route("/demo/chat.css", get(|| async { file("text/css; charset=utf-8", include_str!("chat.css")) }))
}

fn file(kind: &'static str, text: &'static str) -> Response {
    let headers: [(HeaderName, &'static str); 5] = [
        (CONTENT_TYPE, kind),
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, "no-referrer"),
        (CACHE_CONTROL, "no-cache"),
    ];
    (headers, text).into_response()
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_page_needs_no_inline_code_and_writes_no_markup() {
        let page = include_str!("chat.html");
        assert!(!page.contains("<style") && !page.contains("style=") && !page.contains("onclick"));
        assert_eq!(page.matches("<script").count(), page.matches("<script src=").count());
        let script = include_str!("chat.js");
        for forbidden in ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("] {
            assert!(!script.contains(forbidden), "{forbidden}");
        }
        for id in ["say", "send", "end"] {
            assert!(page.contains(&format!("data-testid=\"{id}\"")), "{id}");
        }
    }
}
