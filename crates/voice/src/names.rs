//! The addresses of names (RFC 3263): SRV records tell how, where and in which order; where there are none, the addresses of
//! the name itself are taken.

use std::net::{IpAddr, SocketAddr};
use std::sync::{LazyLock, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::join_all;
use hickory_resolver::TokioResolver;
use hickory_resolver::config::{NameServerConfig, ResolverConfig};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::RData;
use rsipstack::sip::Transport;

/// A name server that is silent is waited for so long, and asked twice.
const PATIENCE: Duration = Duration::from_secs(2);

/// One SRV record (RFC 2782).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// The lowest is tried first.
    pub priority: u16,
    /// How often it is the first among its equals.
    pub weight: u16,
    /// Where it listens.
    pub port: u16,
    /// On which host.
    pub host: String,
}

/// Who knows records.
#[async_trait]
pub trait Records: Send + Sync {
    /// The SRV records of `_sip._udp.…` and the like. Empty: there are none, or nobody knows.
    async fn services(&self, name: &str) -> Vec<Service>;

    /// The addresses of a host. Empty: there are none, or nobody knows.
    async fn addresses(&self, host: &str) -> Vec<IpAddr>;
}

/// Where a name is, the best first. `port`: it was said where, so that nothing is asked but addresses. `transport`: it was said
/// how.
pub async fn look_up(
    records: &dyn Records,
    name: &str,
    port: Option<u16>,
    transport: Option<Transport>,
) -> Vec<(Transport, SocketAddr)> {
    let mut found = Vec::new();
    if port.is_none() {
        let ways = transport.map_or_else(|| vec![Transport::Udp, Transport::Tcp], |said| vec![said]);
        let asked =
            ways.into_iter().map(|way| async move { (way, records.services(&service(way, name)).await) });
        for (way, services) in join_all(asked).await {
            for service in in_order(services, chance) {
                let addresses = records.addresses(&service.host).await;
                found.extend(addresses.into_iter().map(|ip| (way, SocketAddr::new(ip, service.port))));
            }
        }
    }
    if found.is_empty() {
        let usual = transport.unwrap_or(Transport::Udp);
        let port = port.unwrap_or(if usual == Transport::Tls { 5061 } else { 5060 });
        let addresses = records.addresses(name).await;
        found.extend(addresses.into_iter().map(|ip| (usual, SocketAddr::new(ip, port))));
    }
    found
}

/// Under which name a service stands; from the root, so that no search domain is tried.
fn service(way: Transport, name: &str) -> String {
    let prefix = match way {
        Transport::Tls => "_sips._tcp",
        Transport::Tcp => "_sip._tcp",
        _ => "_sip._udp",
    };
    format!("{prefix}.{}.", name.trim_end_matches('.'))
}

/// Records in the order in which they are tried: by priority, and among equals by chance, the heavier the sooner.
/// `chance(n)`: a number up to and including n.
fn in_order(mut services: Vec<Service>, mut chance: impl FnMut(u32) -> u32) -> Vec<Service> {
    // A weight of nothing stands first, so that it has a small chance (RFC 2782).
    services.sort_by_key(|service| (service.priority, service.weight));
    let mut ordered = Vec::with_capacity(services.len());
    while let Some(priority) = services.first().map(|service| service.priority) {
        let equals = services.iter().take_while(|service| service.priority == priority);
        let weights: Vec<u32> = equals.map(|service| service.weight.into()).collect();
        let mut left = chance(weights.iter().sum());
        let chosen = weights.iter().position(|weight| {
            let hit = left <= *weight;
            left = left.saturating_sub(*weight);
            hit
        });
        ordered.push(services.remove(chosen.unwrap_or(0)));
    }
    ordered
}

fn chance(most: u32) -> u32 {
    let mut bytes = [0; 8];
    // Without randomness the first is as good as any.
    let _ = getrandom::fill(&mut bytes);
    u32::try_from(u64::from_ne_bytes(bytes) % (u64::from(most) + 1)).unwrap_or(0)
}

static SERVERS: OnceLock<Vec<SocketAddr>> = OnceLock::new();
static HERE: LazyLock<Dns> = LazyLock::new(|| Dns::new(SERVERS.get().map_or(&[], Vec::as_slice)));

/// Asks these name servers from now on. Only the first word counts, and none after the first question.
pub fn ask(servers: Vec<SocketAddr>) {
    let _ = SERVERS.set(servers);
}

/// The names that this process knows.
pub fn here() -> &'static dyn Records {
    &*HERE
}

/// By DNS. SRV records come from the name servers of the process, or of the system (`/etc/resolv.conf`). So do addresses from
/// those of the process; else the system knows them, by `/etc/hosts` and whatever else it asks.
struct Dns {
    resolver: Option<TokioResolver>,
    own: bool,
}

impl Dns {
    fn new(servers: &[SocketAddr]) -> Self {
        let own = !servers.is_empty();
        let provider = TokioRuntimeProvider::default();
        let builder = if own {
            let mut config = ResolverConfig::default();
            for server in servers {
                config.add_name_server(name_server(*server));
            }
            Ok(TokioResolver::builder_with_config(config, provider))
        } else {
            TokioResolver::builder(provider)
        };
        let resolver = builder.and_then(|mut builder| {
            (builder.options_mut().timeout, builder.options_mut().attempts) = (PATIENCE, 1);
            builder.build()
        });
        let resolver = resolver.inspect_err(|error| tracing::warn!(%error, "no SRV records: no name server"));
        Self { resolver: resolver.ok(), own }
    }
}

fn name_server(at: SocketAddr) -> NameServerConfig {
    let mut server = NameServerConfig::udp_and_tcp(at.ip());
    for connection in &mut server.connections {
        connection.port = at.port();
    }
    server
}

#[async_trait]
impl Records for Dns {
    async fn services(&self, name: &str) -> Vec<Service> {
        let Some(resolver) = &self.resolver else { return Vec::new() };
        let Ok(lookup) = resolver.srv_lookup(name).await else { return Vec::new() };
        let records = lookup.answers().iter().filter_map(|record| match &record.data {
            RData::SRV(srv) => Some(Service {
                priority: srv.priority,
                weight: srv.weight,
                port: srv.port,
                host: srv.target.to_utf8().trim_end_matches('.').to_owned(),
            }),
            _ => None,
        });
        // A lone dot: the service is not there.
        records.filter(|service| !service.host.is_empty()).collect()
    }

    async fn addresses(&self, host: &str) -> Vec<IpAddr> {
        if let Some(resolver) = self.resolver.as_ref().filter(|_| self.own)
            && let Ok(found) = resolver.lookup_ip(format!("{}.", host.trim_end_matches('.'))).await
        {
            return found.iter().collect();
        }
        let known = tokio::net::lookup_host((host, 0)).await;
        known.map(|found| found.map(|address| address.ip()).collect()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(priority: u16, weight: u16, host: &str) -> Service {
        Service { priority, weight, port: 5070, host: host.into() }
    }

    fn hosts(services: &[Service]) -> Vec<&str> {
        services.iter().map(|service| service.host.as_str()).collect()
    }

    #[test]
    fn the_lowest_priority_comes_first_and_weight_decides_among_equals() {
        let all = vec![service(20, 1, "c"), service(10, 30, "b"), service(10, 10, "a"), service(10, 0, "z")];
        // The least, and the most that chance can say.
        assert_eq!(hosts(&in_order(all.clone(), |_| 0)), ["z", "a", "b", "c"]);
        assert_eq!(hosts(&in_order(all.clone(), |most| most)), ["b", "a", "z", "c"]);
        let first = |_| in_order(all.clone(), chance).swap_remove(0).host;
        let heavy = (0..4_000).map(first).filter(|host| host == "b").count();
        assert!((2_600..3_400).contains(&heavy), "three quarters of them: {heavy}");
    }

    /// Knows one name by UDP and TCP, and one that has no services.
    struct Known;

    #[async_trait]
    impl Records for Known {
        async fn services(&self, name: &str) -> Vec<Service> {
            match name {
                "_sip._udp.trunk.example." => {
                    vec![service(2, 0, "two.example"), service(1, 0, "one.example")]
                }
                "_sip._tcp.trunk.example." => vec![service(1, 0, "one.example")],
                "_sips._tcp.trunk.example." => {
                    vec![service(1, 0, "two.example"), service(2, 0, "gone.example")]
                }
                _ => Vec::new(),
            }
        }

        async fn addresses(&self, host: &str) -> Vec<IpAddr> {
            match host {
                "one.example" => vec![[192, 0, 2, 1].into(), [192, 0, 2, 11].into()],
                "two.example" => vec![[192, 0, 2, 2].into()],
                "plain.example" => vec![[192, 0, 2, 3].into()],
                _ => Vec::new(),
            }
        }
    }

    #[tokio::test]
    async fn services_tell_how_and_where_and_else_it_is_the_name_itself() {
        let udp = ["UDP 192.0.2.1:5070", "UDP 192.0.2.11:5070", "UDP 192.0.2.2:5070"];
        let tcp = ["TCP 192.0.2.1:5070", "TCP 192.0.2.11:5070"];
        let all: Vec<&str> = udp.iter().chain(&tcp).copied().collect();
        for (name, port, transport, expected) in [
            ("trunk.example", None, None, all),
            ("trunk.example", None, Some(Transport::Udp), udp.to_vec()),
            ("trunk.example", None, Some(Transport::Tcp), tcp.to_vec()),
            ("trunk.example", None, Some(Transport::Tls), vec!["TLS 192.0.2.2:5070"]),
            ("plain.example", None, None, vec!["UDP 192.0.2.3:5060"]),
            ("plain.example", None, Some(Transport::Tls), vec!["TLS 192.0.2.3:5061"]),
            // It is said where: SRV is not asked.
            ("two.example", Some(5080), Some(Transport::Tcp), vec!["TCP 192.0.2.2:5080"]),
            ("gone.example", None, None, vec![]),
        ] {
            let found = look_up(&Known, name, port, transport).await;
            let found: Vec<String> = found.iter().map(|(way, at)| format!("{way} {at}")).collect();
            assert_eq!(found, expected, "{name} {port:?} {transport:?}");
        }
    }
}
