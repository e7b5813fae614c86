//! Secrets at rest.
//!
//! ```text
//!   sealed = v1.<key id>.<nonce>.<ciphertext and tag>          base64url, no padding
//!   row key = HMAC-SHA256(ring key, "interline seal v1" 0 aad)
//!   ciphertext = AES-256-GCM(row key, random 96-bit nonce, aad, clear text)
//! ```
//!
//! The associated data (`aad`) says where the value lives (`app|participant|session|conversation#no`), so a sealed
//! value that is copied to another row does not open there. Each place has its own key, derived from the ring's: random
//! nonces of GCM may be used about 2³² times under one key (NIST SP 800-38D, 8.3), and session documents are sealed at
//! every delivery; at 10,000 a second one key would be used up in five days.
//!
//! A code (`mac`) for something that leaves the house and comes back, such as a link, has a key of its own for each
//! purpose, derived from the ring's in the same way.
//!
//! The ring holds the newest key first. Everything is sealed with the newest; every key opens what it sealed.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use aes_gcm::aead::{Aead as _, Payload};
use aes_gcm::{Aes256Gcm, KeyInit as _, Nonce};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use hmac::{Hmac, Mac as _};
use sha2::Sha256;
use subtle::{Choice, ConstantTimeEq as _};
use zeroize::Zeroizing;

const KEY_BYTES: usize = 32;
const NONCE_BYTES: usize = 12;
const MAC_BYTES: usize = 32;
/// A shorter code would be guessed too soon.
const MAC_SHORTEST: usize = 16;

/// Why a value could not be sealed or opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// The key it was sealed with is not in the ring.
    #[error("sealed with key {0:?}, which is not in the key ring: add it behind the newest key")]
    MissingKey(String),
    /// The value does not open: wrong key under the right name, changed bytes, or copied from another row.
    #[error("a value sealed with key {0:?} does not open here: wrong key, or the row was tampered with")]
    Forged(String),
    /// The text is not a sealed value.
    #[error("not a sealed value")]
    Malformed,
    /// The operating system gave no random bytes, or the cipher refused the length.
    #[error("sealing failed")]
    Failed,
}

/// Why a key ring could not be read.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// No key in it.
    #[error("the key ring is empty: it needs at least one id:base64key")]
    Empty,
    /// A part is not `id:base64key`. The text itself is not shown: it may be a key.
    #[error("key number {0} is not id:base64key (id: letters, digits, - and _; key: 32 bytes in base64)")]
    Malformed(usize),
    /// Two keys have the same id.
    #[error("the key id {0:?} stands twice in the key ring")]
    Twice(String),
    /// Everybody on the machine can read the key file.
    #[error("the key file {0} can be read by everybody: chmod 600 it")]
    Readable(PathBuf),
    /// The key file cannot be read or written.
    #[error("the key file {path}: {source}")]
    File {
        /// The file's path.
        path: PathBuf,
        /// What the operating system says.
        source: std::io::Error,
    },
    /// The operating system gave no random bytes.
    #[error("no random bytes from the operating system")]
    Random,
}

struct Key {
    id: String,
    bytes: Zeroizing<[u8; KEY_BYTES]>,
}

/// The keys, newest first. Printing it shows the ids only.
#[derive(Clone)]
pub struct KeyRing {
    keys: Arc<[Key]>,
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.keys.iter().map(|key| &key.id)).finish()
    }
}

impl KeyRing {
    /// Reads `id:base64key,id2:base64key`, newest first; line breaks work as commas do.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let parts = text.split([',', '\n']).map(str::trim).filter(|part| !part.is_empty());
        let mut keys: Vec<Key> = Vec::new();
        for (index, part) in parts.enumerate() {
            let key = parse_key(part).ok_or(KeyError::Malformed(index + 1))?;
            if keys.iter().any(|other| other.id == key.id) {
                return Err(KeyError::Twice(key.id));
            }
            keys.push(key);
        }
        if keys.is_empty() { Err(KeyError::Empty) } else { Ok(Self { keys: keys.into() }) }
    }

    /// Reads the key file, or creates it with one fresh key, readable by its owner only. Losing this file loses every
    /// sealed value: it belongs in a backup, but not in the one that holds the database.
    pub fn load_or_create(path: &Path) -> Result<Self, KeyError> {
        let failed = |source| KeyError::File { path: path.to_owned(), source };
        match read_private(path) {
            Ok(text) => return Self::parse(&text?),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(failed(error)),
        }
        let line = Zeroizing::new(fresh_key_line()?);
        // Written beside and then linked: a crash leaves a whole file or none, and of two processes one wins.
        let beside = path.with_extension(format!("new-{}", std::process::id()));
        let written =
            write_private(&beside, line.as_bytes()).and_then(|()| std::fs::hard_link(&beside, path));
        let _ = std::fs::remove_file(&beside);
        match written {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(failed(error)),
        }
        Self::parse(&read_private(path).map_err(failed)??)
    }

    /// The ids, newest first: for a status line.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.keys.iter().map(|key| key.id.as_str())
    }
}

fn parse_key(part: &str) -> Option<Key> {
    let (id, encoded) = part.split_once(':')?;
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if id.is_empty() || id.len() > 32 || !id.chars().all(plain) {
        return None;
    }
    let decoded = Zeroizing::new(STANDARD.decode(encoded).or_else(|_| URL_SAFE_NO_PAD.decode(encoded)).ok()?);
    let bytes = Zeroizing::new(<[u8; KEY_BYTES]>::try_from(decoded.as_slice()).ok()?);
    Some(Key { id: id.to_owned(), bytes })
}

fn fresh_key_line() -> Result<String, KeyError> {
    let mut bytes = Zeroizing::new([0_u8; KEY_BYTES]);
    let mut id = [0_u8; 4];
    getrandom::fill(bytes.as_mut()).map_err(|_| KeyError::Random)?;
    getrandom::fill(&mut id).map_err(|_| KeyError::Random)?;
    Ok(format!("k{:08x}:{}\n", u32::from_be_bytes(id), STANDARD.encode(bytes.as_ref())))
}

/// The outer result is the operating system's, the inner one ours.
fn read_private(path: &Path) -> std::io::Result<Result<Zeroizing<String>, KeyError>> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        if std::fs::metadata(path)?.permissions().mode() & 0o007 != 0 {
            return Ok(Err(KeyError::Readable(path.to_owned())));
        }
    }
    Ok(Ok(Zeroizing::new(std::fs::read_to_string(path)?)))
}

fn write_private(path: &Path, content: &[u8]) -> std::io::Result<()> {
    use std::io::Write as _;
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(content)?;
    file.sync_all()
}

/// Seals and opens values with a [`KeyRing`].
#[derive(Clone, Debug)]
pub struct Sealer {
    ring: KeyRing,
}

impl Sealer {
    /// A sealer that uses the ring's newest key and opens with all of them.
    pub fn new(ring: KeyRing) -> Self {
        Self { ring }
    }

    /// Seals `plain` for the one place that `aad` names.
    pub fn seal(&self, aad: &str, plain: &[u8]) -> Result<String, SealError> {
        let key = self.ring.keys.first().ok_or(SealError::Failed)?;
        let mut nonce = [0_u8; NONCE_BYTES];
        getrandom::fill(&mut nonce).map_err(|_| SealError::Failed)?;
        let sealed = cipher(key, aad)?
            .encrypt(&Nonce::from(nonce), Payload { msg: plain, aad: aad.as_bytes() })
            .map_err(|_| SealError::Failed)?;
        Ok(format!("v1.{}.{}.{}", key.id, URL_SAFE_NO_PAD.encode(nonce), URL_SAFE_NO_PAD.encode(sealed)))
    }

    /// Opens what was sealed for the same `aad`.
    pub fn open(&self, aad: &str, sealed: &str) -> Result<Vec<u8>, SealError> {
        let mut parts = sealed.split('.');
        let (Some("v1"), Some(id), Some(nonce), Some(body), None) =
            (parts.next(), parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(SealError::Malformed);
        };
        let key = self.ring.keys.iter().find(|key| key.id == id);
        let key = key.ok_or_else(|| SealError::MissingKey(id.chars().take(32).collect()))?;
        let nonce = URL_SAFE_NO_PAD.decode(nonce).map_err(|_| SealError::Malformed)?;
        let nonce = <[u8; NONCE_BYTES]>::try_from(nonce.as_slice()).map_err(|_| SealError::Malformed)?;
        let body = URL_SAFE_NO_PAD.decode(body).map_err(|_| SealError::Malformed)?;
        cipher(key, aad)?
            .decrypt(&Nonce::from(nonce), Payload { msg: &body, aad: aad.as_bytes() })
            .map_err(|_| SealError::Forged(key.id.clone()))
    }

    /// A code over `bytes` that nobody can make without the newest key, for one `purpose`.
    pub fn mac(&self, purpose: &str, bytes: &[u8]) -> Result<[u8; MAC_BYTES], SealError> {
        mac(self.ring.keys.first().ok_or(SealError::Failed)?, purpose, bytes)
    }

    /// The codes under each key, newest first.
    pub fn macs(&self, purpose: &str, bytes: &[u8]) -> Result<Vec<[u8; MAC_BYTES]>, SealError> {
        self.ring.keys.iter().map(|key| mac(key, purpose, bytes)).collect()
    }

    /// Whether `given` is the code over `bytes` under any key of the ring, whole or its first 16 bytes or more. Takes the
    /// same time for every wrong code of one length.
    pub fn verify_mac(&self, purpose: &str, bytes: &[u8], given: &[u8]) -> bool {
        if given.len() < MAC_SHORTEST || given.len() > MAC_BYTES {
            return false;
        }
        let Ok(macs) = self.macs(purpose, bytes) else { return false };
        let same =
            |mac: &[u8; MAC_BYTES]| mac.get(..given.len()).map_or(Choice::from(0), |mac| mac.ct_eq(given));
        macs.iter().fold(Choice::from(0), |found, mac| found | same(mac)).into()
    }

    /// Whether the newest key sealed this.
    pub(crate) fn is_newest(&self, sealed: &str) -> bool {
        sealed.strip_prefix("v1.").is_some_and(|rest| self.is_newest_print(rest))
    }

    /// Whether the newest key made this fingerprint.
    pub(crate) fn is_newest_print(&self, print: &str) -> bool {
        let newest = self.ring.keys.first().map(|key| key.id.as_str());
        print.split_once('.').map(|(id, _)| id) == newest
    }

    /// Opens a value that must be text.
    pub(crate) fn open_text(&self, aad: &str, sealed: &str) -> Result<String, SealError> {
        String::from_utf8(self.open(aad, sealed)?).map_err(|_| SealError::Malformed)
    }

    /// Keyed hashes of `content` under each key, newest first: equal content can be recognised without being readable,
    /// also after the newest key changed.
    pub(crate) fn fingerprints(&self, aad: &str, content: &str) -> Result<Vec<String>, SealError> {
        let print = |key: &Key| {
            let digest =
                derive(key, "interline fingerprint v1", &[aad.as_bytes(), b"\0", content.as_bytes()])?;
            Ok(format!("{}.{}", key.id, URL_SAFE_NO_PAD.encode(digest.as_ref())))
        };
        self.ring.keys.iter().map(print).collect()
    }
}

fn cipher(key: &Key, aad: &str) -> Result<Aes256Gcm, SealError> {
    let row_key = derive(key, "interline seal v1", &[aad.as_bytes()])?;
    Aes256Gcm::new_from_slice(row_key.as_ref()).map_err(|_| SealError::Failed)
}

/// In two steps, so that no purpose can be continued by the bytes of another.
fn mac(key: &Key, purpose: &str, bytes: &[u8]) -> Result<[u8; MAC_BYTES], SealError> {
    let own = derive(key, "interline mac v1", &[purpose.as_bytes()])?;
    let mut mac =
        <Hmac<Sha256> as hmac::KeyInit>::new_from_slice(own.as_ref()).map_err(|_| SealError::Failed)?;
    mac.update(bytes);
    Ok(mac.finalize().into_bytes().into())
}

fn derive(key: &Key, purpose: &str, parts: &[&[u8]]) -> Result<Zeroizing<[u8; KEY_BYTES]>, SealError> {
    let mut mac =
        <Hmac<Sha256> as hmac::KeyInit>::new_from_slice(key.bytes.as_ref()).map_err(|_| SealError::Failed)?;
    mac.update(purpose.as_bytes());
    mac.update(b"\0");
    for part in parts {
        mac.update(part);
    }
    Ok(Zeroizing::new(mac.finalize().into_bytes().into()))
}
