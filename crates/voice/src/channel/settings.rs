//! How an app takes calls: a trunk, and which number leads to which flow.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use interline_connector::Secret;
use interline_core::flow::FlowName;
use interline_media::Codec;
use rsipstack::sip::{HostWithPort, Transport};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use crate::sip::edge::{Listen, Tls};
use crate::sip::text::{Fields, UuiPlace};
use crate::target::Allowed;
use crate::trunk::{Digits, Network, Srtp, Trunk, account};

/// A trunk, as an operator describes it.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Where to listen by UDP and TCP: `0.0.0.0:5060`, `[::]:5060`. Trunks may share an address.
    pub listen: One,
    /// Where to listen by TLS, and what to show.
    #[serde(default)]
    pub tls: Option<TlsSettings>,
    /// How the outside reaches us, if that is not where we listen.
    #[serde(default)]
    pub external: Option<IpAddr>,
    /// Who may call: addresses and networks (`192.0.2.0/24`). Nobody else gets in.
    pub sources: Vec<String>,
    /// Callers prove who they are by digest: their user name …
    #[serde(default)]
    pub username: Option<String>,
    /// … and password.
    #[serde(default)]
    pub password: Option<Secret>,
    /// They are challenged by MD5 alone, and not by SHA-256 first: for those who read the first challenge and no other.
    #[serde(default)]
    pub md5_only: bool,
    /// Who we are when the other side challenges us: user name …
    #[serde(default)]
    pub our_username: Option<String>,
    /// … and password.
    #[serde(default)]
    pub our_password: Option<Secret>,
    /// Which flow a called number leads to. `7896*` stands for all that begin so; the longest wins. Empty: every number
    /// leads to the flow `main`.
    #[serde(default)]
    pub numbers: BTreeMap<String, FlowName>,
    /// Where telephone numbers are called: `sip.carrier.example`, `192.0.2.1:5060`. None: the caller's side.
    #[serde(default)]
    pub termination: Option<String>,
    /// How we call, where a target does not say it: `udp`, `tcp`, `tls`.
    #[serde(default)]
    pub transport: Option<Way>,
    /// Whom we may call beside the destinations of agent systems: hosts (`*.example.com`) and numbers (`+1555*`).
    #[serde(default)]
    pub allow: Vec<String>,
    /// SIP headers that stand in every INVITE, REFER and BYE of a transfer.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// Where the other side looks for user-to-user information.
    #[serde(default)]
    pub user_to_user: UuiPlace,
    /// A `+` goes in front of a called number of digits.
    #[serde(default)]
    pub e164: bool,
    /// How keys come.
    #[serde(default)]
    pub digits: Digits,
    /// What is offered, the best first: `pcmu`, `pcma`, `g722`.
    #[serde(default = "codecs")]
    pub codecs: Vec<Sound>,
    /// Whether sound is encrypted. Keys are exchanged in the signalling, so use TLS.
    #[serde(default)]
    pub srtp: Srtp,
    /// Whom we call is asked by OPTIONS every so many seconds whether it is there; who does not answer is not called. None: it
    /// is not asked.
    #[serde(default)]
    pub options_ping_s: Option<u32>,
    /// Where audio files are that flows name.
    #[serde(default)]
    pub audio: Option<PathBuf>,
    /// Whose voice speaks, by the name that the speech service has for it.
    #[serde(default)]
    pub voice: Option<String>,
}

/// One, or several.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum One {
    /// One.
    One(SocketAddr),
    /// Several.
    Many(Vec<SocketAddr>),
}

/// TLS.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TlsSettings {
    /// Where to listen.
    pub listen: One,
    /// The certificate chain, a PEM file.
    pub certificate: PathBuf,
    /// Its key, a PEM file.
    pub key: PathBuf,
    /// The authorities that other servers are checked by, a PEM file. None: the system's.
    #[serde(default)]
    pub authorities: Option<PathBuf>,
}

/// A transport.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Way {
    /// UDP.
    Udp,
    /// TCP.
    Tcp,
    /// TLS.
    Tls,
}

/// A codec.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Sound {
    /// G.711 µ-law.
    Pcmu,
    /// G.711 A-law.
    Pcma,
    /// G.722.
    G722,
}

fn codecs() -> Vec<Sound> {
    vec![Sound::Pcmu, Sound::Pcma, Sound::G722]
}

impl One {
    fn all(&self) -> Vec<SocketAddr> {
        match self {
            Self::One(address) => vec![*address],
            Self::Many(addresses) => addresses.clone(),
        }
    }
}

impl Settings {
    /// Reads and checks them.
    ///
    /// # Errors
    /// What is wrong, naming the field and the remedy.
    pub fn read(settings: &Value) -> Result<Self, String> {
        let settings = Self::deserialize(settings).map_err(|error| error.to_string())?;
        if settings.listen.all().is_empty() {
            return Err("listen: is empty; name an address such as 0.0.0.0:5060".into());
        }
        for family in [true, false] {
            if settings.listen.all().iter().filter(|address| address.is_ipv4() == family).count() > 1 {
                return Err("listen: one address of each family, IPv4 and IPv6, is the most".into());
            }
        }
        if settings.sources.is_empty() {
            return Err("sources: is empty; name who may call, such as 192.0.2.0/24".into());
        }
        for source in &settings.sources {
            Network::read(source).map_err(|error| format!("sources: {error}"))?;
        }
        if settings.username.is_some() != settings.password.is_some() {
            return Err("username and password belong together".into());
        }
        if settings.our_username.is_some() != settings.our_password.is_some() {
            return Err("our_username and our_password belong together".into());
        }
        if let Some(host) = &settings.termination {
            home(host).ok_or_else(|| format!("termination: `{host}` is no host"))?;
        }
        if settings.codecs.is_empty() {
            return Err("codecs: is empty; leave it out for all".into());
        }
        Ok(settings)
    }

    /// Where to listen.
    ///
    /// # Errors
    /// A certificate cannot be read.
    pub fn listen(&self) -> Result<Listen, String> {
        let read =
            |path: &PathBuf| std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()));
        let tls = match &self.tls {
            Some(tls) => Some(Tls {
                listen: tls.listen.all(),
                certificate: read(&tls.certificate)?,
                key: read(&tls.key)?,
                authorities: tls.authorities.as_ref().map(read).transpose()?,
            }),
            None => None,
        };
        Ok(Listen { udp: self.listen.all(), tcp: self.listen.all(), tls, external: self.external })
    }

    /// The trunk.
    pub fn trunk(&self, name: &str) -> Trunk {
        let own = |(name, value): (&String, &String)| (name.clone(), value.clone());
        let fields: Vec<(String, String)> = self.headers.iter().map(own).collect();
        Trunk {
            name: name.to_owned(),
            sources: self.sources.iter().filter_map(|source| Network::read(source).ok()).collect(),
            callers: account(self.username.clone(), self.password.clone()),
            md5_only: self.md5_only,
            account: account(self.our_username.clone(), self.our_password.clone()),
            home: self.termination.as_deref().and_then(home),
            transport: self.transport.map(|way| match way {
                Way::Udp => Transport::Udp,
                Way::Tcp => Transport::Tcp,
                Way::Tls => Transport::Tls,
            }),
            allowed: Allowed::new(self.allow.clone(), Vec::new()),
            fields: Fields::of(fields.iter().map(|(name, value)| (name.as_str(), value.as_str()))),
            uui: self.user_to_user,
            e164: self.e164,
            digits: self.digits,
            codecs: self
                .codecs
                .iter()
                .map(|codec| match codec {
                    Sound::Pcmu => Codec::Pcmu,
                    Sound::Pcma => Codec::Pcma,
                    Sound::G722 => Codec::G722,
                })
                .collect(),
            srtp: self.srtp,
        }
    }
}

fn home(host: &str) -> Option<HostWithPort> {
    let uri = rsipstack::sip::Uri::try_from(format!("sip:{host}")).ok()?;
    let plain = uri.auth.is_none() && uri.params.is_empty() && !host.contains(char::is_whitespace);
    plain.then_some(uri.host_with_port)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn nobody_gets_in_by_default() {
        let good = json!({ "listen": "127.0.0.1:5060", "sources": ["127.0.0.1"] });
        assert!(Settings::read(&good).is_ok());
        for (settings, says) in [
            (json!({ "listen": "127.0.0.1:5060" }), "sources"),
            (json!({ "listen": "127.0.0.1:5060", "sources": [] }), "sources"),
            (json!({ "listen": "127.0.0.1:5060", "sources": ["everybody"] }), "everybody"),
            (json!({ "listen": [], "sources": ["::/0"] }), "listen"),
            (json!({ "listen": ["127.0.0.1:1", "127.0.0.2:1"], "sources": ["::/0"] }), "family"),
            (json!({ "listen": "127.0.0.1:5060", "sources": ["::/0"], "username": "a" }), "belong together"),
            (json!({ "listen": "127.0.0.1:5060", "sources": ["::/0"], "termination": "a b" }), "termination"),
            (json!({ "listen": "127.0.0.1:5060", "sources": ["::/0"], "codecs": [] }), "codecs"),
        ] {
            let error = Settings::read(&settings).expect_err(says);
            assert!(error.contains(says), "{settings}: {error}");
        }
    }
}
