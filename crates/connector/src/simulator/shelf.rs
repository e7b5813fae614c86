//! Files at the agents' desk: those to be sent lie on a shelf from which the other side fetches them; those that came are
//! fetched and measured, as a system that keeps them would.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use ::http::HeaderMap;
use bytes::Bytes;
use sha2::{Digest as _, Sha256};

/// At most so many bytes lie on the shelf.
const SHELF: usize = 200 * 1024 * 1024;

/// Files to be sent.
#[derive(Default)]
pub(super) struct Shelf(Mutex<Files>);

#[derive(Default)]
struct Files {
    files: HashMap<String, (String, Bytes)>,
    bytes: usize,
}

impl Shelf {
    /// Puts a file there. None: there is no room.
    pub fn put(&self, name: &str, bytes: Bytes) -> Option<String> {
        let mut shelf = self.files();
        if shelf.bytes + bytes.len() > SHELF {
            return None;
        }
        let id = format!("{:032x}", rand(shelf.files.len()));
        shelf.bytes += bytes.len();
        shelf.files.insert(id.clone(), (name.to_owned(), bytes));
        Some(id)
    }

    /// Name and bytes.
    pub fn get(&self, id: &str) -> Option<(String, Bytes)> {
        self.files().files.get(id).cloned()
    }

    fn files(&self) -> MutexGuard<'_, Files> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Nobody guesses where a file lies.
fn rand(count: usize) -> u128 {
    let mut hash = Sha256::new();
    hash.update(count.to_be_bytes());
    hash.update(format!("{:?}{:p}", std::time::SystemTime::now(), &count));
    let bytes: [u8; 32] = hash.finalize().into();
    bytes.iter().take(16).fold(0, |so_far, byte| so_far << 8 | u128::from(*byte))
}

/// The SHA-256 of bytes, in hex.
pub(super) fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Fetches a file: how many bytes came, and their hash.
pub(super) async fn measure(
    client: &reqwest::Client,
    url: &str,
    headers: HeaderMap,
) -> Result<(u64, String), String> {
    let call = client.get(url).headers(headers).send();
    let mut answer = call.await.map_err(|_| "it cannot be reached".to_owned())?;
    if !answer.status().is_success() {
        return Err(format!("HTTP {}", answer.status().as_u16()));
    }
    let (mut bytes, mut hash) = (0, Sha256::new());
    while let Some(chunk) = answer.chunk().await.map_err(|_| "it stopped half-way".to_owned())? {
        bytes += chunk.len() as u64;
        hash.update(&chunk);
    }
    Ok((bytes, hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()))
}
