//! A trunk: who may call us by it, and how we call by it.

use std::net::IpAddr;
use std::time::Duration;

use interline_connector::Secret;
use interline_media as media;
use rsipstack::sip::{HostWithPort, Transport};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::sip::digest::Account;
use crate::sip::text::{Fields, UuiPlace};
use crate::target::Allowed;

/// How digits come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Digits {
    /// As telephone events (RFC 4733).
    #[default]
    Rfc4733,
    /// As tones.
    Inband,
    /// By INFO.
    Info,
}

/// Whether sound is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Srtp {
    /// Never.
    #[default]
    Off,
    /// If the other side can.
    Optional,
    /// Or no call.
    Required,
}

/// Sources, as `10.0.0.0/8`, `192.0.2.1` or `2001:db8::/32`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    bits: u32,
}

impl Network {
    /// Reads one.
    ///
    /// # Errors
    /// It is none; in words for the operator.
    pub fn read(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is no address and no network such as 10.0.0.0/8");
        let (address, bits) =
            text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
        let address: IpAddr = address.parse().map_err(|_| wrong())?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.map_or(Ok(most), str::parse).map_err(|_| wrong())?;
        if bits > most { Err(wrong()) } else { Ok(Self { address, bits }) }
    }

    /// Whether an address is in it.
    pub fn holds(self, ip: IpAddr) -> bool {
        let shifted = |value: u128, wide: u32| value.checked_shr(wide - self.bits).unwrap_or(0);
        match (self.address, ip.to_canonical()) {
            (IpAddr::V4(ours), IpAddr::V4(theirs)) => {
                shifted(u32::from(ours).into(), 32) == shifted(u32::from(theirs).into(), 32)
            }
            (IpAddr::V6(ours), IpAddr::V6(theirs)) => {
                shifted(ours.into(), 128) == shifted(theirs.into(), 128)
            }
            _ => false,
        }
    }
}

/// A trunk, ready for use.
#[derive(Debug, Clone)]
pub struct Trunk {
    /// Under which name it stands in its app.
    pub name: String,
    /// Who may call.
    pub sources: Vec<Network>,
    /// Who has to prove it, and by what.
    pub callers: Option<Account>,
    /// They are challenged by MD5 alone.
    pub md5_only: bool,
    /// Who we are when we are challenged.
    pub account: Option<Account>,
    /// Where numbers go.
    pub home: Option<HostWithPort>,
    /// How we call, where the target does not say it.
    pub transport: Option<Transport>,
    /// Whom we may call.
    pub allowed: Allowed,
    /// What stands in every INVITE of ours.
    pub fields: Fields,
    /// Where user-to-user information goes.
    pub uui: UuiPlace,
    /// `+` goes in front of a called number that begins with a digit.
    pub e164: bool,
    /// How digits come.
    pub digits: Digits,
    /// What we offer, the best first.
    pub codecs: Vec<media::Codec>,
    /// Whether sound is encrypted.
    pub srtp: Srtp,
}

impl Trunk {
    /// Whether a call from there is for this trunk.
    pub fn is_from(&self, ip: IpAddr) -> bool {
        self.sources.iter().any(|network| network.holds(ip))
    }

    /// What a leg of this trunk asks of its media.
    pub fn media(&self, local: Option<IpAddr>) -> media::Options {
        media::Options {
            local,
            codecs: self.codecs.clone(),
            digits: match self.digits {
                Digits::Rfc4733 => media::Digits::Rfc4733,
                Digits::Inband => media::Digits::Inband,
                Digits::Info => media::Digits::Info,
            },
            srtp: match self.srtp {
                Srtp::Off => media::Srtp::Off,
                Srtp::Optional => media::Srtp::Optional,
                Srtp::Required => media::Srtp::Required,
            },
            ptime: None,
        }
    }
}

/// An account from two settings.
pub fn account(username: Option<String>, password: Option<Secret>) -> Option<Account> {
    Some(Account { username: username?, password: password?.to_secrecy() })
}

/// The flow, or the name, that a dialled number leads to: the pattern with the most matching digits wins (`7896*`).
pub fn longest<'a, T>(patterns: impl IntoIterator<Item = (&'a str, T)>, dialled: &str) -> Option<T> {
    let fitting = patterns.into_iter().filter_map(|(pattern, to)| {
        let exact = pattern == dialled;
        let head = pattern.strip_suffix('*').filter(|head| dialled.starts_with(head));
        let score = if exact { usize::MAX } else { head?.len() };
        Some((score, to))
    });
    fitting.max_by_key(|(score, _)| *score).map(|(_, to)| to)
}

/// How long the steps of a transfer may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// Until somebody answers.
    pub ring: Duration,
    /// Until the first news of a REFER.
    pub first_news: Duration,
    /// Until the last.
    pub last_news: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            ring: Duration::from_secs(60),
            first_news: Duration::from_secs(15),
            last_news: Duration::from_secs(120),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_are_networks() {
        let holds =
            |network: &str, ip: &str| Network::read(network).expect(network).holds(ip.parse().expect(ip));
        assert!(holds("10.0.0.0/8", "10.200.1.1") && !holds("10.0.0.0/8", "11.0.0.1"));
        assert!(holds("192.0.2.1", "192.0.2.1") && !holds("192.0.2.1", "192.0.2.2"));
        assert!(holds("0.0.0.0/0", "8.8.8.8") && !holds("0.0.0.0/0", "::1"));
        assert!(holds("2001:db8::/32", "2001:db8:1::1") && holds("127.0.0.1", "::ffff:127.0.0.1"));
        for bad in ["", "10.0.0.0/33", "x", "10.0.0.0/x"] {
            assert!(Network::read(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_longest_pattern_wins() {
        let patterns = [("7896*", 1), ("789654*", 2), ("789654321", 3), ("*", 4)];
        for (dialled, to) in [("78961", 1), ("7896549", 2), ("789654321", 3), ("1", 4)] {
            assert_eq!(longest(patterns, dialled), Some(to), "{dialled}");
        }
        assert_eq!(longest(patterns[..3].iter().copied(), "1"), None);
    }
}
