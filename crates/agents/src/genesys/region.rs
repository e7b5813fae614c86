//! Regions: each is one domain, under which all hosts of an organisation lie.
//! Source: the region list of the vendor's SDK 269.0.0.

use interline_connector::failure::{Cause, Failure};
use interline_core::transfer::Reason;
use url::Url;

/// The vendor's name of a region, and its domain.
const REGIONS: &[(&str, &str)] = &[
    ("us_east_1", "mypurecloud.com"),
    ("eu_west_1", "mypurecloud.ie"),
    ("ap_southeast_2", "mypurecloud.com.au"),
    ("ap_northeast_1", "mypurecloud.jp"),
    ("eu_central_1", "mypurecloud.de"),
    ("us_west_2", "usw2.pure.cloud"),
    ("ca_central_1", "cac1.pure.cloud"),
    ("ap_northeast_2", "apne2.pure.cloud"),
    ("eu_west_2", "euw2.pure.cloud"),
    ("ap_south_1", "aps1.pure.cloud"),
    ("us_east_2", "use2.us-gov-pure.cloud"),
    ("sa_east_1", "sae1.pure.cloud"),
    ("me_central_1", "mec1.pure.cloud"),
    ("ap_northeast_3", "apne3.pure.cloud"),
    ("eu_central_2", "euc2.pure.cloud"),
    ("mx_central_1", "mxc1.pure.cloud"),
    ("ap_southeast_1", "apse1.pure.cloud"),
    ("eusc_de_east_1", "edee1.eusc-pure.cloud"),
];

/// Where an organisation is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Hosts {
    /// At the vendor: this domain.
    Domain(&'static str),
    /// All of it at one address: a stand-in, or a proxy.
    Base(Url),
}

/// A host of an organisation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Host {
    /// Access tokens.
    Login,
    /// The REST API.
    Api,
    /// The guests' socket.
    Guest,
    /// What a deployment is configured to.
    Config,
}

impl Hosts {
    /// Of what an operator wrote: a region's name, its domain, or the address of its login page. `base` takes the place
    /// of all hosts.
    ///
    /// # Errors
    /// What is wrong, naming the field and the remedy.
    pub fn read(region: &str, base: Option<&Url>) -> Result<Self, String> {
        let domain = domain(region)?;
        let Some(base) = base else { return Ok(Self::Domain(domain)) };
        let plain = matches!(base.scheme(), "http" | "https") && base.host_str().is_some();
        if !plain || base.query().is_some() || base.fragment().is_some() || !base.username().is_empty() {
            return Err("base_url: give http or https, host and port alone, for instance \
                        http://127.0.0.1:4000; leave it out to reach Genesys Cloud itself"
                .into());
        }
        Ok(Self::Base(base.clone()))
    }

    /// The address of `path`, which begins without a slash, on a host.
    ///
    /// # Errors
    /// A bug of ours: the path does not make an address.
    pub fn at(&self, host: Host, path: &str) -> Result<Url, Failure> {
        let bug = || Failure::Bug(Cause::new(Reason::VendorError, "cannot make the address"));
        let socket = host == Host::Guest;
        let text = match self {
            Self::Domain(domain) => {
                let (scheme, name) = match host {
                    Host::Login => ("https", "login"),
                    Host::Api => ("https", "api"),
                    Host::Guest => ("wss", "webmessaging"),
                    Host::Config => ("https", "api-cdn"),
                };
                format!("{scheme}://{name}.{domain}/{path}")
            }
            Self::Base(base) => {
                let text = base.as_str().trim_end_matches('/');
                // `http` becomes `ws`, `https` becomes `wss`.
                let text = if socket { text.replacen("http", "ws", 1) } else { text.to_owned() };
                format!("{text}/{path}")
            }
        };
        text.parse().map_err(|_| bug())
    }
}

fn domain(region: &str) -> Result<&'static str, String> {
    let plain = region.trim().trim_end_matches('/').trim_start_matches("https://");
    let plain = plain.strip_prefix("login.").or_else(|| plain.strip_prefix("apps.")).unwrap_or(plain);
    let known = REGIONS.iter().find(|(name, domain)| {
        plain.eq_ignore_ascii_case(domain) || plain.replace('-', "_").eq_ignore_ascii_case(name)
    });
    known.map(|(_, domain)| *domain).ok_or_else(|| {
        let known: Vec<&str> = REGIONS.iter().map(|(_, domain)| *domain).collect();
        format!(
            "region: give what follows `login.` in the address of your login page; known are: {}",
            known.join(", ")
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_region_is_known_by_name_domain_or_login_page() {
        for told in [
            "mypurecloud.de",
            "eu_central_1",
            "eu-central-1",
            "https://login.mypurecloud.de/",
            " MyPureCloud.DE",
        ] {
            let hosts = Hosts::read(told, None).expect(told);
            assert_eq!(hosts, Hosts::Domain("mypurecloud.de"));
            let at = |host, path| hosts.at(host, path).expect("an address").to_string();
            assert_eq!(at(Host::Login, "oauth/token"), "https://login.mypurecloud.de/oauth/token");
            assert_eq!(at(Host::Guest, "v1"), "wss://webmessaging.mypurecloud.de/v1");
        }
        for bad in ["", "example.com", "mypurecloud.de.evil.com", "evil-mypurecloud.de"] {
            assert!(Hosts::read(bad, None).expect_err(bad).starts_with("region: "), "{bad}");
        }
    }

    #[test]
    fn a_base_takes_the_place_of_all_hosts() {
        let base = "http://127.0.0.1:4000/".parse().expect("a URL");
        let hosts = Hosts::read("mypurecloud.com", Some(&base)).expect("hosts");
        let at = |host| hosts.at(host, "v1").expect("an address").to_string();
        assert_eq!(
            (at(Host::Guest), at(Host::Api)),
            ("ws://127.0.0.1:4000/v1".into(), "http://127.0.0.1:4000/v1".into())
        );
        for bad in ["ftp://x", "http://u:p@x", "http://x?y"] {
            let base = bad.parse().expect("a URL");
            assert!(
                Hosts::read("mypurecloud.com", Some(&base)).expect_err(bad).starts_with("base_url: "),
                "{bad}"
            );
        }
    }
}
