//! The address guard: where connectors may connect to.
//!
//! Every host is resolved once; private, loopback and link-local addresses are refused; the connection goes to the
//! checked address. `host:port` pairs that an operator named (the `--app` file, `--allow-net`) are allowed: an
//! allowance belongs to the process, never to the store.

use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, RwLock};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

/// The addresses that may be connected to. Cheap to clone; clones share the allowances.
#[derive(Debug, Clone, Default)]
pub struct Guard {
    allowed: Arc<RwLock<HashSet<(String, u16)>>>,
}

/// Why a URL may not be called.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Forbidden {
    /// Not http or https.
    #[error("only http and https URLs with a host can be called")]
    Scheme,
    /// A private address.
    #[error("the address {0} is private; name host:port in the --app file or with --allow-net to allow it")]
    Private(String),
}

impl Guard {
    /// Allows the host and port of `url`, wherever it points to.
    pub fn allow(&self, url: &Url) {
        if let (Some(host), Some(port)) = (url.host_str(), url.port_or_known_default())
            && let Ok(mut allowed) = self.allowed.write()
        {
            allowed.insert((host.to_ascii_lowercase(), port));
        }
    }

    /// Whether `url` names an allowed host and port.
    pub fn is_allowed(&self, url: &Url) -> bool {
        let (Some(host), Some(port)) = (url.host_str(), url.port_or_known_default()) else { return false };
        self.allowed.read().is_ok_and(|allowed| allowed.contains(&(host.to_ascii_lowercase(), port)))
    }

    /// Checks a URL before it is called. Names are checked again when they are resolved.
    ///
    /// # Errors
    /// When it may not be called.
    pub fn check(&self, url: &Url) -> Result<(), Forbidden> {
        if !matches!(url.scheme(), "http" | "https") {
            return Err(Forbidden::Scheme);
        }
        let address = match url.host() {
            Some(Host::Ipv4(ip)) => IpAddr::V4(ip),
            Some(Host::Ipv6(ip)) => IpAddr::V6(ip),
            Some(Host::Domain(_)) => return Ok(()),
            None => return Err(Forbidden::Scheme),
        };
        if is_public(address) || self.is_allowed(url) {
            Ok(())
        } else {
            Err(Forbidden::Private(address.to_string()))
        }
    }
}

/// Resolves names to public addresses only.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PublicOnly;

impl Resolve for PublicOnly {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let public: Vec<SocketAddr> = found.filter(|address| is_public(address.ip())).collect();
            if public.is_empty() {
                return Err(Forbidden::Private(name.as_str().to_owned()).into());
            }
            Ok(Box::new(public.into_iter()) as Addrs)
        })
    }
}

/// Whether an address is on the public internet.
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => is_public_v4(v4),
        IpAddr::V6(v6) => v6.to_ipv4_mapped().map_or_else(|| is_public_v6(v6), is_public_v4),
    }
}

fn is_public_v4(ip: Ipv4Addr) -> bool {
    let [a, b, c, _] = ip.octets();
    let special = ip.is_private()
        || ip.is_loopback()
        || ip.is_link_local()
        || ip.is_broadcast()
        || ip.is_documentation()
        || ip.is_multicast()
        || a == 0
        || a >= 240
        // Carrier-grade NAT, IETF protocol assignments, benchmarking.
        || (a == 100 && (64..128).contains(&b))
        || (a == 192 && b == 0 && c == 0)
        || (a == 198 && (b == 18 || b == 19));
    !special
}

fn is_public_v6(ip: Ipv6Addr) -> bool {
    let first = ip.segments()[0];
    let special = ip.is_loopback()
        || ip.is_unspecified()
        || ip.is_multicast()
        || (first & 0xfe00) == 0xfc00
        || (first & 0xffc0) == 0xfe80
        // NAT64 and 6to4 carry an IPv4 address that we have not looked at; documentation goes nowhere.
        || first == 0x2002
        || (first == 0x0064 && ip.segments()[1] == 0xff9b)
        || (first == 0x2001 && ip.segments()[1] == 0x0db8);
    !special
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_addresses_are_refused_in_every_spelling() {
        let guard = Guard::default();
        for bad in [
            "http://127.0.0.1/",
            "http://10.1.2.3/",
            "http://169.254.169.254/",
            "http://[::1]/",
            "http://[::ffff:10.0.0.1]/",
            "http://2130706433/",
            "http://0x7f.1/",
            "http://[fd00::1]/",
            "http://0.0.0.0/",
            "ftp://example.com/",
            "http://100.64.0.1/",
        ] {
            let url: Url = bad.parse().expect(bad);
            assert!(guard.check(&url).is_err(), "{bad}");
        }
        assert_eq!(guard.check(&"https://93.184.216.34/".parse().expect("url")), Ok(()));
    }

    #[test]
    fn an_allowance_is_for_one_host_and_port() {
        let guard = Guard::default();
        guard.allow(&"http://127.0.0.1:4000/x".parse().expect("url"));
        assert_eq!(guard.check(&"http://127.0.0.1:4000/y".parse().expect("url")), Ok(()));
        assert!(guard.check(&"http://127.0.0.1:4001/".parse().expect("url")).is_err());
    }
}
