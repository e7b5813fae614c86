//! Digest authentication, both ways (RFC 3261 §22, RFC 7616, RFC 8760): MD5 and SHA-256, `qop=auth`.

use std::fmt::Write as _;

use md5::Md5;
use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use crate::gate::check::split;

/// A nonce of ours is taken for so long, milliseconds.
const NONCE_MS: i64 = 60_000;

/// A name and a password.
#[derive(Debug, Clone)]
pub struct Account {
    /// The user name.
    pub username: String,
    /// The password.
    pub password: SecretString,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Algorithm {
    Md5,
    Sha256,
}

impl Algorithm {
    fn named(name: Option<&str>) -> Option<Self> {
        match name {
            None => Some(Self::Md5),
            Some(name) if name.eq_ignore_ascii_case("MD5") => Some(Self::Md5),
            Some(name) if name.eq_ignore_ascii_case("SHA-256") => Some(Self::Sha256),
            Some(_) => None,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Md5 => "MD5",
            Self::Sha256 => "SHA-256",
        }
    }

    fn hash(self, text: &str) -> String {
        match self {
            Self::Md5 => hex(&Md5::digest(text.as_bytes())),
            Self::Sha256 => hex(&Sha256::digest(text.as_bytes())),
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}

/// What a response is computed from.
struct Inputs<'a> {
    algorithm: Algorithm,
    realm: &'a str,
    nonce: &'a str,
    uri: &'a str,
    method: &'a str,
    /// `qop=auth`: the count and the client's nonce.
    auth: Option<(&'a str, &'a str)>,
}

impl Inputs<'_> {
    fn response(&self, account: &Account) -> String {
        let Self { algorithm, realm, nonce, uri, method, auth } = self;
        let secret =
            algorithm.hash(&format!("{}:{realm}:{}", account.username, account.password.expose_secret()));
        let request = algorithm.hash(&format!("{method}:{uri}"));
        algorithm.hash(&match auth {
            Some((count, client)) => format!("{secret}:{nonce}:{count}:{client}:auth:{request}"),
            None => format!("{secret}:{nonce}:{request}"),
        })
    }
}

/// A parameter of a challenge or of credentials, without its quotes.
fn parameter<'a>(value: &'a str, name: &str) -> Option<&'a str> {
    let rest = value
        .trim()
        .get(..7)
        .filter(|scheme| scheme.eq_ignore_ascii_case("Digest "))
        .map(|_| &value.trim()[7..])?;
    split(rest, ',').into_iter().find_map(|part| {
        let (key, value) = part.split_once('=')?;
        key.trim().eq_ignore_ascii_case(name).then(|| value.trim().trim_matches('"'))
    })
}

/// The answer to the topmost challenge that can be answered (RFC 8760 §2.4). None: none can.
pub fn answer<'a>(
    challenges: impl Iterator<Item = &'a str>,
    account: &Account,
    method: &str,
    uri: &str,
    client_nonce: &str,
) -> Option<String> {
    let (value, algorithm) = challenges
        .filter_map(|value| Some((value, Algorithm::named(parameter(value, "algorithm"))?)))
        .find(|(value, _)| {
            let qop = parameter(value, "qop");
            parameter(value, "nonce").is_some()
                && qop.is_none_or(|qop| qop.split(',').any(|one| one.trim() == "auth"))
        })?;
    let (realm, nonce) = (parameter(value, "realm")?, parameter(value, "nonce")?);
    let auth = parameter(value, "qop").map(|_| ("00000001", client_nonce));
    let response = Inputs { algorithm, realm, nonce, uri, method, auth }.response(account);
    let username = account.username.replace('"', "");
    let mut out = format!(
        "Digest username=\"{username}\", realm=\"{realm}\", nonce=\"{nonce}\", uri=\"{uri}\", response=\"{response}\", algorithm={}",
        algorithm.name()
    );
    if let Some((count, client)) = auth {
        let _ = write!(out, ", qop=auth, nc={count}, cnonce=\"{client}\"");
    }
    if let Some(opaque) = parameter(value, "opaque") {
        let _ = write!(out, ", opaque=\"{opaque}\"");
    }
    Some(out)
}

/// What we ask of callers that have to prove who they are.
pub struct Challenger {
    /// Signs our nonces, so that none has to be remembered.
    key: [u8; 32],
}

/// What comes of credentials.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proof {
    /// It is them.
    Proven,
    /// The nonce is too old: they may try again.
    Stale,
    /// It is not.
    Wrong,
}

impl Challenger {
    /// One with a key of its own.
    ///
    /// # Errors
    /// The system has no randomness.
    pub fn new() -> Result<Self, getrandom::Error> {
        let mut key = [0; 32];
        getrandom::fill(&mut key)?;
        Ok(Self { key })
    }

    /// The challenges, SHA-256 first, for `WWW-Authenticate`.
    pub fn challenges(&self, realm: &str, now_ms: i64, stale: bool) -> [String; 2] {
        let nonce = self.nonce(now_ms);
        let stale = if stale { ", stale=true" } else { "" };
        [Algorithm::Sha256, Algorithm::Md5].map(|algorithm| {
            format!(
                "Digest realm=\"{realm}\", nonce=\"{nonce}\", qop=\"auth\", algorithm={}{stale}",
                algorithm.name()
            )
        })
    }

    /// Checks an `Authorization`.
    pub fn check(&self, value: &str, account: &Account, realm: &str, method: &str, now_ms: i64) -> Proof {
        let get = |name| parameter(value, name);
        let (Some(nonce), Some(uri), Some(given)) = (get("nonce"), get("uri"), get("response")) else {
            return Proof::Wrong;
        };
        let Some(algorithm) = Algorithm::named(get("algorithm")) else { return Proof::Wrong };
        if get("username") != Some(&account.username) || get("realm") != Some(realm) {
            return Proof::Wrong;
        }
        let Some(age) = self.age(nonce, now_ms) else { return Proof::Wrong };
        let auth = match get("qop") {
            Some("auth") => match (get("nc"), get("cnonce")) {
                (Some(count), Some(client)) => Some((count, client)),
                _ => return Proof::Wrong,
            },
            Some(_) => return Proof::Wrong,
            None => None,
        };
        let expected = Inputs { algorithm, realm, nonce, uri, method, auth }.response(account);
        if !bool::from(expected.as_bytes().ct_eq(given.to_ascii_lowercase().as_bytes())) {
            return Proof::Wrong;
        }
        if age > NONCE_MS { Proof::Stale } else { Proof::Proven }
    }

    fn nonce(&self, now_ms: i64) -> String {
        format!("{now_ms:x}-{}", self.signature(now_ms))
    }

    fn signature(&self, at_ms: i64) -> String {
        hex(&Sha256::new()
            .chain_update(self.key)
            .chain_update(at_ms.to_be_bytes())
            .chain_update(self.key)
            .finalize())
    }

    /// How old a nonce of ours is. None: it is none of ours.
    fn age(&self, nonce: &str, now_ms: i64) -> Option<i64> {
        let (at, signature) = nonce.split_once('-')?;
        let at = i64::from_str_radix(at, 16).ok()?;
        bool::from(self.signature(at).as_bytes().ct_eq(signature.as_bytes())).then(|| now_ms - at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(password: &str) -> Account {
        Account { username: "Mufasa".into(), password: password.to_owned().into() }
    }

    /// RFC 7616 §3.9.1.
    #[test]
    fn the_standard_s_own_example() {
        let inputs = |algorithm| Inputs {
            algorithm,
            realm: "http-auth@example.org",
            nonce: "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v",
            uri: "/dir/index.html",
            method: "GET",
            auth: Some(("00000001", "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ")),
        };
        let account = account("Circle of Life");
        assert_eq!(inputs(Algorithm::Md5).response(&account), "8ca523f5e9506fed4657c9700eebdbec");
        let sha = "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1";
        assert_eq!(inputs(Algorithm::Sha256).response(&account), sha);
    }

    #[test]
    fn what_we_answer_we_would_accept() {
        let us = Challenger::new().expect("randomness");
        let (good, other) = (account("secret"), account("other"));
        for pick in 0..2 {
            let challenge = &us.challenges("voice", 1_000, false)[pick];
            let proof = answer([challenge.as_str()].into_iter(), &good, "INVITE", "sip:a@b", "c1")
                .expect("an answer");
            let check = |account, method, now| us.check(&proof, account, "voice", method, now);
            assert_eq!(check(&good, "INVITE", 2_000), Proof::Proven);
            assert_eq!(check(&other, "INVITE", 2_000), Proof::Wrong);
            assert_eq!(check(&good, "BYE", 2_000), Proof::Wrong);
            assert_eq!(check(&good, "INVITE", 1_000 + NONCE_MS + 1), Proof::Stale);
            let another = Challenger::new().expect("randomness");
            assert_eq!(another.check(&proof, &good, "voice", "INVITE", 2_000), Proof::Wrong);
        }
    }

    #[test]
    fn the_topmost_challenge_that_we_know_is_answered() {
        let challenges = [
            "Digest realm=\"r\", nonce=\"n1\", algorithm=SHA-512-256, qop=\"auth\"",
            "Basic realm=\"r\"",
            "Digest realm=\"r\", nonce=\"n2\", qop=\"auth-int\"",
            "Digest realm=\"r\", nonce=\"n3\", algorithm=SHA-256, qop=\"auth-int,auth\", opaque=\"o\"",
            "Digest realm=\"r\", nonce=\"n4\"",
        ];
        let found = answer(challenges.into_iter(), &account("x"), "BYE", "sip:a@b", "c").expect("an answer");
        assert!(
            found.contains("nonce=\"n3\"") && found.contains("opaque=\"o\"") && found.contains("nc=00000001")
        );
        assert_eq!(answer(challenges[..3].iter().copied(), &account("x"), "BYE", "sip:a@b", "c"), None);
    }
}
