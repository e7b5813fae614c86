//! `/status`: what an operator looks at when something is stuck. The page holds no data: the browser asks the API for it,
//! with the key that the operator types, which stays in that tab.

use axum::Router;
use axum::response::Redirect;
use axum::routing::get;

use super::file;

/// Our files, and calls of our own API.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
                      form-action 'none'; frame-ancestors 'none'; base-uri 'none'; require-trusted-types-for 'script'";
const PAGE: &str = include_str!("status/page.html");
const SCRIPT: &str = include_str!("status/page.js");
const STREAM: &str = include_str!("status/stream.js");
const STYLE: &str = concat!(include_str!("base.css"), include_str!("status/page.css"));

pub(super) fn routes() -> Router {
    Router::new()
        .route("/status", get(async || file("text/html; charset=utf-8", POLICY, PAGE)))
        .route("/status/", get(async || Redirect::permanent("/status")))
        .route("/status/page.js", get(async || file("text/javascript; charset=utf-8", POLICY, SCRIPT)))
        .route("/status/stream.js", get(async || file("text/javascript; charset=utf-8", POLICY, STREAM)))
        .route("/status/page.css", get(async || file("text/css; charset=utf-8", POLICY, STYLE)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_needs_no_inline_code_and_writes_no_markup() {
        assert!(!PAGE.contains("<style") && !PAGE.contains("style=") && !PAGE.contains("onclick"));
        assert_eq!(PAGE.matches("<script").count(), PAGE.matches("<script type=\"module\" src=").count());
        for script in [SCRIPT, STREAM] {
            for forbidden in
                ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "localStorage"]
            {
                assert!(!script.contains(forbidden), "{forbidden}");
            }
        }
    }
}
