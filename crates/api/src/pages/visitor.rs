//! Who uses a link, for the list of its uses.

use std::net::{IpAddr, SocketAddr};

use axum::extract::{ConnectInfo, Request};
use axum::http::{HeaderMap, HeaderValue, header};
use interline_engine::Access;

/// So much of a program's name is noted.
const AGENT_CHARS: usize = 200;

/// Whoever made this request, by this way.
pub(super) fn access(how: &str, request: &Request) -> Access {
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(peer)| peer.ip());
    let agent = request.headers().get(header::USER_AGENT).map(HeaderValue::as_bytes).unwrap_or_default();
    Access {
        how: how.to_owned(),
        peer: client(peer, request.headers()).map_or_else(|| "unknown".to_owned(), |peer| peer.to_string()),
        agent: String::from_utf8_lossy(agent).chars().take(AGENT_CHARS).collect(),
    }
}

/// The client's address. A proxy on this machine is believed, and of what it says only what it added itself: anybody can
/// send the header.
fn client(peer: Option<IpAddr>, headers: &HeaderMap) -> Option<IpAddr> {
    let peer = peer.map(|peer| peer.to_canonical())?;
    if !peer.is_loopback() {
        return Some(peer);
    }
    let told = headers.get_all("x-forwarded-for").iter().next_back().and_then(|value| value.to_str().ok());
    let last = told.and_then(|told| told.rsplit(',').next()?.trim().parse().ok());
    Some(last.unwrap_or(peer))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use axum::http::HeaderName;

    use super::*;

    fn client_of(peer: &str, forwarded: &[&'static str]) -> String {
        let headers =
            forwarded.iter().map(|line| ("x-forwarded-for".parse().unwrap(), line.parse().unwrap()));
        let headers: HeaderMap = headers.collect::<Vec<(HeaderName, HeaderValue)>>().into_iter().collect();
        client(Some(peer.parse().unwrap()), &headers).unwrap().to_string()
    }

    #[test]
    fn only_a_proxy_on_this_machine_says_who_comes() {
        assert_eq!(client_of("203.0.113.9", &["198.51.100.1"]), "203.0.113.9");
        assert_eq!(client_of("127.0.0.1", &[]), "127.0.0.1");
        assert_eq!(client_of("127.0.0.1", &["10.9.9.9, 198.51.100.1"]), "198.51.100.1");
        assert_eq!(client_of("::1", &["10.9.9.9", "2001:db8::1"]), "2001:db8::1");
        assert_eq!(client_of("::ffff:127.0.0.1", &["198.51.100.1"]), "198.51.100.1");
        assert_eq!(client_of("127.0.0.1", &["198.51.100.1, <script>"]), "127.0.0.1");
        assert_eq!(client(None, &HeaderMap::new()), None);
    }
}
