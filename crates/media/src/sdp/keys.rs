//! Keys in a description: `a=crypto` (RFC 4568). A key says who may hear a call, so it is never shown.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};

/// How packets are sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Suite {
    /// AES-128 in counter mode, ten bytes of HMAC-SHA1 (RFC 3711).
    Aes128Sha80,
    /// The same with four bytes.
    Aes128Sha32,
    /// AES-256, ten bytes (RFC 6188).
    Aes256Sha80,
    /// The same with four bytes.
    Aes256Sha32,
}

impl Suite {
    /// All, in the order in which they are offered.
    pub const ALL: [Self; 4] = [Self::Aes128Sha80, Self::Aes256Sha80, Self::Aes128Sha32, Self::Aes256Sha32];

    /// The name in `a=crypto`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Aes128Sha80 => "AES_CM_128_HMAC_SHA1_80",
            Self::Aes128Sha32 => "AES_CM_128_HMAC_SHA1_32",
            Self::Aes256Sha80 => "AES_256_CM_HMAC_SHA1_80",
            Self::Aes256Sha32 => "AES_256_CM_HMAC_SHA1_32",
        }
    }

    /// The length of its master key, in bytes.
    pub fn key(self) -> usize {
        match self {
            Self::Aes128Sha80 | Self::Aes128Sha32 => 16,
            Self::Aes256Sha80 | Self::Aes256Sha32 => 32,
        }
    }

    /// The length of a packet's tag, in bytes. RTCP has ten in any case.
    pub fn tag(self) -> usize {
        match self {
            Self::Aes128Sha80 | Self::Aes256Sha80 => 10,
            Self::Aes128Sha32 | Self::Aes256Sha32 => 4,
        }
    }
}

/// The length of the master salt, in bytes.
pub const SALT: usize = 14;

/// A master key with its salt.
#[derive(Clone, PartialEq, Eq)]
pub struct Key {
    bytes: [u8; 32 + SALT],
    length: usize,
}

impl fmt::Debug for Key {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Key")
    }
}

impl Key {
    /// A key of so many bytes, and the salt after it. None: the lengths do not fit.
    pub fn new(suite: Suite, bytes: &[u8]) -> Option<Self> {
        let length = suite.key();
        let mut key = Self { bytes: [0; 32 + SALT], length };
        if bytes.len() != length + SALT {
            return None;
        }
        key.bytes.get_mut(..bytes.len())?.copy_from_slice(bytes);
        Some(key)
    }

    /// A random one. None: the system has no randomness; then there is no secret either.
    pub fn random(suite: Suite) -> Option<Self> {
        let mut bytes = [0; 32 + SALT];
        let bytes = bytes.get_mut(..suite.key() + SALT)?;
        getrandom::fill(bytes).ok()?;
        Self::new(suite, bytes)
    }

    /// The master key.
    pub fn key(&self) -> &[u8] {
        &self.bytes[..self.length]
    }

    /// The salt.
    pub fn salt(&self) -> &[u8] {
        &self.bytes[self.length..self.length + SALT]
    }
}

/// One `a=crypto` line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Crypto {
    /// Its number, which an answer repeats.
    pub tag: u32,
    /// How packets are sealed.
    pub suite: Suite,
    /// The key of the side that says it.
    pub key: Key,
}

impl Crypto {
    /// Reads `1 AES_CM_128_HMAC_SHA1_80 inline:…|2^31`. None: it is not understood, or asks for what is not done here
    /// (key identifiers in packets, packets that are not sealed).
    pub fn read(value: &str) -> Option<Self> {
        let mut words = value.split_ascii_whitespace();
        let tag = words.next().filter(|tag| tag.len() <= 9)?.parse().ok()?;
        let name = words.next()?;
        let suite = Suite::ALL.into_iter().find(|suite| suite.name().eq_ignore_ascii_case(name))?;
        let key = words.next()?.strip_prefix("inline:").filter(|key| !key.contains(';'))?;
        let mut parts = key.split('|');
        let coded = parts.next()?;
        let bytes = STANDARD.decode(coded).or_else(|_| STANDARD_NO_PAD.decode(coded)).ok()?;
        // What is left is a lifetime (`2^31`), which no call outlives, or a key identifier (`1:4`).
        if parts.any(|part| part.contains(':')) || words.any(|word| !word.starts_with("WSH=")) {
            return None;
        }
        Some(Self { tag, suite, key: Key::new(suite, &bytes)? })
    }

    /// The value of the attribute.
    pub fn write(&self) -> String {
        let mut bytes = self.key.key().to_vec();
        bytes.extend(self.key.salt());
        format!("{} {} inline:{}", self.tag, self.suite.name(), STANDARD.encode(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INLINE: &str = "inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz";

    #[test]
    fn keys_are_read_as_written_and_not_shown() {
        for suite in Suite::ALL {
            let crypto = Crypto { tag: 3, suite, key: Key::random(suite).expect("randomness") };
            assert_eq!(Crypto::read(&crypto.write()), Some(crypto.clone()));
            assert!(format!("{crypto:?}").ends_with("key: Key }"));
        }
    }

    #[test]
    fn the_example_of_the_standard_is_read() {
        let line = format!("1 AES_CM_128_HMAC_SHA1_80 {INLINE}|2^20 WSH=64");
        let crypto = Crypto::read(&line).expect("readable");
        assert_eq!((crypto.tag, crypto.suite), (1, Suite::Aes128Sha80));
        assert_eq!((crypto.key.key().len(), crypto.key.salt().len()), (16, 14));
    }

    #[test]
    fn what_is_not_done_is_left_out() {
        for line in [
            format!("1 AES_CM_128_HMAC_SHA1_80 {INLINE}|2^20|1:4"),
            format!("1 AES_CM_128_HMAC_SHA1_80 {INLINE} UNENCRYPTED_SRTP"),
            format!("1 AES_CM_128_HMAC_SHA1_80 {INLINE};{INLINE}"),
            format!("1 AES_256_CM_HMAC_SHA1_80 {INLINE}"),
            format!("1 F8_128_HMAC_SHA1_80 {INLINE}"),
            "1 AES_CM_128_HMAC_SHA1_80 inline:short".to_owned(),
            "x".to_owned(),
            String::new(),
        ] {
            assert_eq!(Crypto::read(&line), None, "{line}");
        }
    }
}
