//! `GET /widget.js`: our own chat window, for any page that names it in a script tag.
//!
//! It is built from `widget/` at the top of the repository; what that build made is checked in, so that building the
//! server needs no Node.js.

use std::sync::LazyLock;

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use http::header::{
    ACCEPT_ENCODING, ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, ETAG,
    IF_NONE_MATCH, VARY, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, HeaderName};
use uuid::Uuid;

static SCRIPT: &[u8] = include_bytes!("../../../../widget/dist/interline.js");
static ZIPPED: &[u8] = include_bytes!("../../../../widget/dist/interline.js.gz");
/// Weak: the same text, compressed or not.
static TAG: LazyLock<String> =
    LazyLock::new(|| format!("W/\"{}\"", Uuid::new_v5(&Uuid::NAMESPACE_URL, SCRIPT).simple()));

/// A page keeps it so long without asking: an update reaches everybody soon.
const SHORT: &str = "public, max-age=300";

pub(super) async fn script(headers: HeaderMap) -> Response {
    let common: [(HeaderName, &str); 7] = [
        (CONTENT_TYPE, "text/javascript; charset=utf-8"),
        (CACHE_CONTROL, SHORT),
        (ETAG, TAG.as_str()),
        (VARY, "Accept-Encoding"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        // It is meant for other origins' pages, also for those that check its hash (`integrity`).
        (HeaderName::from_static("cross-origin-resource-policy"), "cross-origin"),
        (ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
    ];
    let given = |name| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if given(IF_NONE_MATCH).split(',').any(|tag| tag.trim() == TAG.as_str()) {
        return (StatusCode::NOT_MODIFIED, common).into_response();
    }
    if takes_gzip(given(ACCEPT_ENCODING)) {
        return (common, [(CONTENT_ENCODING, "gzip")], ZIPPED).into_response();
    }
    (common, SCRIPT).into_response()
}

/// Whether `Accept-Encoding` (RFC 9110, 12.5.3) names gzip and does not weigh it 0.
fn takes_gzip(accepted: &str) -> bool {
    accepted.split(',').any(|coding| {
        let (name, weight) = coding.split_once(';').unwrap_or((coding, ""));
        let never =
            weight.trim().strip_prefix("q=").is_some_and(|q| q.parse::<f32>().is_ok_and(|q| q <= 0.0));
        name.trim().eq_ignore_ascii_case("gzip") && !never
    })
}

#[cfg(test)]
mod tests {
    use super::takes_gzip;

    #[test]
    fn gzip_goes_to_who_takes_it() {
        for yes in ["gzip", "br, gzip;q=0.8", "GZIP", "deflate,gzip;q=1"] {
            assert!(takes_gzip(yes), "{yes}");
        }
        for no in ["", "br", "gzip;q=0", "gzip; q=0.0", "x-gzip-not"] {
            assert!(!takes_gzip(no), "{no}");
        }
    }
}
