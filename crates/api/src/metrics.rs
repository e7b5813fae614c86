//! `/metrics`, and what is counted of every request.
//!
//! The page answers to whoever asks from this machine, or with a key of the whole server. Behind a reverse proxy on this
//! machine every request comes from it: one that says that it was passed on, or that was sent to another name than this
//! machine's, needs the key.

use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use axum::Router;
use axum::extract::{ConnectInfo, MatchedPath, Request, State};
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, FORWARDED, HOST, VIA, WWW_AUTHENTICATE};
use axum::http::{Extensions, HeaderMap, Method, StatusCode, Uri};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use interline_engine::observe::{http_answered, trace};
use interline_engine::{Engine, Trouble};
use tracing::Instrument as _;

/// Prometheus' text format.
const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

pub(crate) fn routes(engine: Engine) -> Router {
    Router::new().route("/metrics", get(metrics)).with_state(engine)
}

async fn metrics(State(engine): State<Engine>, request: Request) -> Response {
    let (parts, _) = request.into_parts();
    if !is_local(&parts.extensions, &parts.headers, &parts.uri) {
        match holds_server_key(&engine, &parts.headers).await {
            Ok(true) => {}
            Ok(false) => {
                let why = "from another machine, /metrics needs a key of the whole server";
                return (StatusCode::UNAUTHORIZED, [(WWW_AUTHENTICATE, "Bearer")], why).into_response();
            }
            Err(trouble) => {
                tracing::warn!(%trouble, "a key could not be looked up");
                return (StatusCode::SERVICE_UNAVAILABLE, "the store is out of reach").into_response();
            }
        }
    }
    ([(CONTENT_TYPE, TEXT)], engine.metrics().await).into_response()
}

/// Asked on this machine, by its own name, and not passed on by a proxy as far as one can tell.
fn is_local(extensions: &Extensions, headers: &HeaderMap, uri: &Uri) -> bool {
    let peer = extensions.get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(peer)| peer.ip().to_canonical());
    let passed_on = headers.contains_key(FORWARDED)
        || headers.contains_key(VIA)
        || headers.contains_key("x-real-ip")
        || headers.keys().any(|name| name.as_str().starts_with("x-forwarded-"));
    // HTTP/1.1 names the host in a header, HTTP/2 in the URI.
    let header = headers.get(HOST).and_then(|host| host.to_str().ok()?.parse::<Uri>().ok());
    let host = uri.host().or_else(|| header.as_ref().and_then(Uri::host)).unwrap_or_default();
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let here = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|host| host.is_loopback());
    peer.is_some_and(|peer| peer.is_loopback()) && !passed_on && here
}

async fn holds_server_key(engine: &Engine, headers: &HeaderMap) -> Result<bool, Trouble> {
    let Some(token) = bearer(headers) else { return Ok(false) };
    // Every role may read.
    Ok(engine.key_holder(token).await?.is_some_and(|holder| holder.app.is_none()))
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// Counts and traces a request. Only the template of its path is looked at: a path may hold a token.
pub(crate) async fn observe(State(engine): State<Engine>, request: Request, next: Next) -> Response {
    let began = Instant::now();
    let method = method(request.method());
    let route = request.extensions().get::<MatchedPath>().cloned();
    let route = route.as_ref().map_or("none", MatchedPath::as_str);
    let caller =
        if trace::is_on() { caller(&engine, request.headers()).await } else { trace::Caller::Silent };
    let span = trace::request(method, route, caller);
    let answer = next.run(request).instrument(span.clone()).await;
    let status = answer.status().as_u16();
    trace::answered(&span, status);
    http_answered(method, route, status, began.elapsed());
    answer
}

/// The known ones: anybody can make one up.
fn method(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        "OPTIONS" => "OPTIONS",
        _ => "other",
    }
}

/// Whose trace the request belongs to: with a key of ours the caller's own; a vendor's is only named. One with a key that
/// is not known is nobody.
async fn caller(engine: &Engine, headers: &HeaderMap) -> trace::Caller {
    let Some(told) = headers.get("traceparent").and_then(|told| told.to_str().ok()) else {
        return trace::Caller::Silent;
    };
    match bearer(headers).filter(|token| token.starts_with("ilk_")) {
        None => trace::Caller::Other(told.to_owned()),
        Some(token) => match engine.key_holder(token).await {
            Ok(Some(_)) => trace::Caller::Trusted(told.to_owned()),
            Ok(None) | Err(_) => trace::Caller::Silent,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn local(peer: Option<&str>, uri: &str, headers: &[(&'static str, &str)]) -> bool {
        let mut extensions = Extensions::new();
        if let Some(peer) = peer {
            extensions.insert(ConnectInfo(SocketAddr::new(peer.parse().expect("an address"), 40_000)));
        }
        let pair = |(name, value): &(&'static str, &str)| {
            (http::HeaderName::from_static(name), value.parse().expect("a value"))
        };
        is_local(&extensions, &headers.iter().map(pair).collect(), &uri.parse().expect("a URI"))
    }

    #[test]
    fn only_this_machine_is_local() {
        let host = ("host", "127.0.0.1:8080");
        for peer in ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"] {
            assert!(local(Some(peer), "/metrics", &[host]), "{peer}");
        }
        for host in ["localhost", "localhost:8080", "[::1]:8080", "127.0.0.1"] {
            assert!(local(Some("::1"), "/metrics", &[("host", host)]), "{host}");
        }
        assert!(local(Some("::1"), "http://localhost:8080/metrics", &[]));
        assert!(!local(None, "/metrics", &[host]));
        for peer in ["10.0.0.1", "192.0.2.1", "::ffff:10.0.0.1", "fe80::1"] {
            assert!(!local(Some(peer), "/metrics", &[host]), "{peer}");
        }
        for header in
            ["x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip", "forwarded", "via"]
        {
            assert!(!local(Some("127.0.0.1"), "/metrics", &[host, (header, "127.0.0.1")]), "{header}");
        }
        // A proxy that passes the name on, and a page whose name was pointed at this machine.
        for host in ["chat.example.com", "chat.example.com:8080", "127.0.0.1.example.com", "", "::"] {
            assert!(!local(Some("127.0.0.1"), "/metrics", &[("host", host)]), "{host}");
        }
        assert!(!local(Some("127.0.0.1"), "/metrics", &[]));
    }
}
