//! Whom to call: read, allowed, and found.

use std::net::SocketAddr;

use interline_connector::guard::{Guard, is_public};
use rsipstack::sip::{Auth, Domain, Host, HostWithPort, Param, Scheme, Transport, Uri};

use crate::names::{self, Records};
use crate::sip::text::clean;

/// So many addresses of one name are tried.
const MOST_ADDRESSES: usize = 4;

/// Why somebody is not called.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It is neither a number nor a SIP URI.
    #[error("it is neither a telephone number nor a SIP URI")]
    Unreadable,
    /// It is outside of what the trunk allows.
    #[error("the trunk does not allow calls there")]
    NotAllowed,
    /// There is no such host.
    #[error("the host has no address")]
    Unknown,
    /// It is a number, and nothing says where numbers go.
    #[error("a number needs a trunk that says where numbers go")]
    NoTrunk,
}

/// Reads `+1555…`, `tel:…`, `sip:…` and `sips:…`. A number without a host goes to `home`.
///
/// # Errors
/// It is neither, or there is no home for it.
pub fn read(text: &str, home: Option<&HostWithPort>) -> Result<Uri, Refused> {
    let text = clean(text);
    let bare = text.strip_prefix("tel:").unwrap_or(&text);
    let number: String =
        bare.chars().filter(|letter| !matches!(letter, ' ' | '-' | '.' | '(' | ')')).collect();
    let digits = number.strip_prefix('+').unwrap_or(&number);
    let number = number.split(';').next().unwrap_or_default().to_owned();
    let is_number = digits.len() >= 2
        && digits
            .split(';')
            .next()
            .is_some_and(|digits| digits.bytes().all(|it| it.is_ascii_digit() || it == b'*' || it == b'#'));
    if is_number {
        let host = home.ok_or(Refused::NoTrunk)?.clone();
        let auth = Some(Auth { user: number, password: None });
        return Ok(Uri {
            scheme: Some(Scheme::Sip),
            auth,
            host_with_port: host,
            params: Vec::new(),
            headers: Vec::new(),
        });
    }
    let lower = text.to_ascii_lowercase();
    if !(lower.starts_with("sip:") || lower.starts_with("sips:")) || text.contains(['<', '>', '"', ' ']) {
        return Err(Refused::Unreadable);
    }
    Uri::try_from(text.as_str()).map_err(|_| Refused::Unreadable)
}

/// Whom a trunk may call: hosts (`sip.example.com`, `*.example.com`, `10.0.0.1:5070`) and numbers (`+1*`, `+15551234567`).
/// A number at a host that is not named needs both.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Allowed {
    patterns: Vec<String>,
    named: Vec<Uri>,
}

impl Allowed {
    /// By patterns; `named` are URIs that the operator wrote down themselves.
    pub fn new(patterns: Vec<String>, named: Vec<Uri>) -> Self {
        Self { patterns: patterns.into_iter().map(|pattern| pattern.to_ascii_lowercase()).collect(), named }
    }

    /// Whether this may be called. `home`: where the trunk's numbers go.
    pub fn allows(&self, uri: &Uri, home: Option<&HostWithPort>) -> bool {
        let same = |named: &Uri| named.user() == uri.user() && named.host_with_port == uri.host_with_port;
        if self.named.iter().any(same) {
            return true;
        }
        let host = uri.host_with_port.to_string().to_ascii_lowercase();
        let bare = uri.host_with_port.host.to_string().to_ascii_lowercase();
        if self.patterns.iter().any(|pattern| fits(pattern, &host) || fits(pattern, &bare)) {
            return true;
        }
        let at_home = home.is_some_and(|home| *home == uri.host_with_port);
        at_home
            && uri.user().is_some_and(|user| {
                self.patterns.iter().any(|pattern| fits(pattern, &user.to_ascii_lowercase()))
            })
    }
}

/// `*` at the end or at the beginning of a pattern stands for anything.
fn fits(pattern: &str, text: &str) -> bool {
    match (pattern.strip_suffix('*'), pattern.strip_prefix('*')) {
        (Some(head), _) => text.starts_with(head),
        (None, Some(tail)) => text.ends_with(tail),
        (None, None) => pattern == text,
    }
}

/// Whether the operator named this host and port, in the file of an app or on the command line.
pub fn is_trusted(uri: &Uri, guard: &Guard) -> bool {
    let port = uri.host_with_port.port.map_or(5060, |port| port.value());
    format!("http://{}:{port}/", uri.host_with_port.host).parse().is_ok_and(|url| guard.is_allowed(&url))
}

/// Where somebody is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// How.
    pub transport: Transport,
    /// At which address.
    pub at: SocketAddr,
    /// The name that a certificate has to bear, if it is not the address.
    pub name: Option<Domain>,
    /// It was said how, so that nothing else is tried.
    pub fixed: bool,
}

/// Where a URI is, by address: the best first. `trusted`: private addresses are as good as others, because the operator named
/// the host.
///
/// # Errors
/// There is no such host, or it is where only we should be.
pub async fn find(uri: &Uri, transport: Option<Transport>, trusted: bool) -> Result<Vec<Found>, Refused> {
    find_by(names::here(), uri, transport, trusted).await
}

async fn find_by(
    records: &dyn Records,
    uri: &Uri,
    transport: Option<Transport>,
    trusted: bool,
) -> Result<Vec<Found>, Refused> {
    let named = uri.params.iter().find_map(|param| match param {
        Param::Transport(transport) => Some(*transport),
        _ => None,
    });
    let secure = uri.scheme == Some(Scheme::Sips);
    let wanted = if secure { Some(Transport::Tls) } else { named.or(transport) };
    let port = uri.host_with_port.port.map(|port| port.value());
    let (found, name): (Vec<(Transport, SocketAddr)>, _) = match &uri.host_with_port.host {
        Host::IpAddr(ip) => {
            let usual = wanted.unwrap_or(Transport::Udp);
            let default = if usual == Transport::Tls { 5061 } else { 5060 };
            (vec![(usual, SocketAddr::new(*ip, port.unwrap_or(default)))], None)
        }
        Host::Domain(name) => {
            (names::look_up(records, &name.to_string(), port, wanted).await, Some(name.clone()))
        }
    };
    let all = found.len();
    let mut found: Vec<Found> = found
        .into_iter()
        .filter(|(_, at)| trusted || is_public(at.ip()))
        .map(|(transport, at)| Found { transport, at, name: name.clone(), fixed: wanted.is_some() })
        .collect();
    found.dedup();
    found.truncate(MOST_ADDRESSES);
    match (found.is_empty(), all) {
        (false, _) => Ok(found),
        (true, 0) => Err(Refused::Unknown),
        (true, _) => Err(Refused::NotAllowed),
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use async_trait::async_trait;

    use super::*;
    use crate::names::Service;

    fn uri(text: &str) -> Uri {
        Uri::try_from(text).expect(text)
    }

    #[test]
    fn numbers_go_home_and_uris_stay() {
        let home = uri("sip:trunk.example:5070").host_with_port;
        for (text, read_as) in [
            ("+1 (555) 123-4567", "sip:+15551234567@trunk.example:5070"),
            ("tel:+15551234567;phone-context=x", "sip:+15551234567@trunk.example:5070"),
            ("911", "sip:911@trunk.example:5070"),
            ("sip:ann@10.0.0.1;transport=tcp", "sip:ann@10.0.0.1;transport=TCP"),
        ] {
            assert_eq!(read(text, Some(&home)).map(|uri| uri.to_string()), Ok(read_as.to_owned()), "{text}");
        }
        assert_eq!(read("+15551234567", None), Err(Refused::NoTrunk));
        for bad in ["", "http://x", "sip:a@b>\r\nVia: x", "javascript:1", "sip:", "hello"] {
            assert_eq!(read(bad, Some(&home)), Err(Refused::Unreadable), "{bad}");
        }
    }

    #[test]
    fn nobody_else_is_called() {
        let home = uri("sip:trunk.example").host_with_port;
        let patterns = ["+1555*", "*.partner.example", "10.0.0.1:5070"].map(str::to_owned).to_vec();
        let allowed = Allowed::new(patterns, vec![uri("sip:agent@127.0.0.1:5080")]);
        for (text, ok) in [
            ("sip:+15551234567@trunk.example", true),
            ("sip:+19001234567@trunk.example", false),
            ("sip:+15551234567@evil.example", false),
            ("sip:anyone@eu.partner.example", true),
            ("sip:anyone@partner.example.evil", false),
            ("sip:a@10.0.0.1:5070", true),
            ("sip:a@10.0.0.1", false),
            ("sip:agent@127.0.0.1:5080", true),
            ("sip:other@127.0.0.1:5080", false),
        ] {
            assert_eq!(allowed.allows(&uri(text), Some(&home)), ok, "{text}");
        }
    }

    #[tokio::test]
    async fn private_addresses_are_for_the_operator_to_name() {
        let local = uri("sip:a@127.0.0.1");
        assert_eq!(find(&local, None, false).await, Err(Refused::NotAllowed));
        let found = find(&local, Some(Transport::Tcp), true).await.expect("found");
        assert_eq!(said(&found), ["TCP 127.0.0.1:5060"]);
        let secure = find(&uri("sips:a@93.184.216.34"), None, false).await.expect("found");
        assert_eq!(said(&secure), ["TLS 93.184.216.34:5061"]);
    }

    fn said(found: &[Found]) -> Vec<String> {
        found.iter().map(|one| format!("{} {}", one.transport, one.at)).collect()
    }

    /// A name server that knows one name.
    struct Known;

    #[async_trait]
    impl Records for Known {
        async fn services(&self, name: &str) -> Vec<Service> {
            let at = |priority, port, host: &str| Service { priority, weight: 0, port, host: host.into() };
            match name {
                "_sip._udp.trunk.example." => {
                    vec![at(1, 5_080, "inside.example"), at(2, 5_080, "one.example")]
                }
                "_sip._tcp.trunk.example." => vec![at(1, 5_090, "two.example")],
                "_sips._tcp.trunk.example." => vec![at(1, 5_091, "three.example")],
                _ => Vec::new(),
            }
        }

        async fn addresses(&self, host: &str) -> Vec<IpAddr> {
            match host {
                "inside.example" => vec![[192, 0, 2, 9].into()],
                "one.example" => vec![[93, 184, 216, 34].into()],
                "two.example" => vec![[93, 184, 216, 35].into()],
                "three.example" => vec![[93, 184, 216, 36].into()],
                _ => Vec::new(),
            }
        }
    }

    #[tokio::test]
    async fn a_name_without_a_port_is_looked_up_by_srv() {
        let ask = async |text: &str, transport| {
            find_by(&Known, &uri(text), transport, false).await.map(|found| said(&found))
        };
        // What is not public is for the operator to name.
        let all = ["UDP 93.184.216.34:5080", "TCP 93.184.216.35:5090"];
        assert_eq!(ask("sip:a@trunk.example", None).await, Ok(all.map(str::to_owned).to_vec()));
        for (text, transport, only) in [
            ("sip:a@trunk.example;transport=tcp", None, all[1]),
            ("sip:a@trunk.example", Some(Transport::Tcp), all[1]),
            ("sips:a@trunk.example", None, "TLS 93.184.216.36:5091"),
        ] {
            assert_eq!(ask(text, transport).await, Ok(vec![only.to_owned()]), "{text}");
        }
        let named = find_by(&Known, &uri("sips:a@trunk.example"), None, false).await.expect("found");
        assert_eq!(named[0].name, Some("trunk.example".into()));
        assert_eq!(ask("sip:a@other.example", None).await, Err(Refused::Unknown));
    }
}
