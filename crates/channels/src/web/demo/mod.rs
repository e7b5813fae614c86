//! A sample shop with our own widget on it: for `demo`, for tests, and to see what a page does to have the chat.
//!
//! No framework, no inline script or style. It gets its logins from `POST /demo/jwt` (form `identity`, answer
//! `{"jwt":"…","botInfo":{"name":"…","_id":"st-…"}}`), which only the binary in demo mode serves: this crate signs nothing.

use axum::Router;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use http::HeaderName;
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};

/// As strict as a company's page may be. `ws:` and `wss:` are for browsers in which `'self'` does not cover them.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src data: https:; \
                      connect-src 'self' ws: wss:; base-uri 'none'; form-action 'none'; frame-ancestors 'self'";

/// The demo page's routes, under `/demo/`.
pub fn demo_page() -> Router {
    Router::new()
        .route("/demo", get(|| async { Redirect::permanent("/demo/") }))
        .route("/demo/", get(|| async { file("text/html; charset=utf-8", include_str!("shop.html")) }))
        .route(
            "/demo/shop.js",
            get(|| async { file("text/javascript; charset=utf-8", include_str!("shop.js")) }),
        )
        .route("/demo/shop.css", get(|| async { file("text/css; charset=utf-8", include_str!("shop.css")) }))
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
    fn the_page_needs_no_inline_code_and_nobody_writes_markup() {
        let page = include_str!("shop.html");
        assert!(!page.contains("<style") && !page.contains("style=") && !page.contains("onclick"));
        let code = page.replace("<script src=\"https://HOST/widget.js\"", "");
        assert_eq!(code.matches("<script").count(), code.matches("<script src=").count());
        let widget = include_str!("../../../../../widget/dist/interline.js");
        for script in [include_str!("shop.js"), widget] {
            for forbidden in
                ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function"]
            {
                assert!(!script.contains(forbidden), "{forbidden}");
            }
        }
    }
}
