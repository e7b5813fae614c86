//! What was made, in memory: what was used longest ago goes first. Those who want the same at the same time get the same.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sha2::{Digest as _, Sha256};
use tokio::sync::OnceCell;

use crate::audio::sound::Sound;

/// What tells one from another.
pub type Key = [u8; 32];

/// The key of these parts. No two lists of parts have the same.
pub fn key(parts: &[&[u8]]) -> Key {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}

pub struct Shelf {
    most: usize,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    entries: HashMap<Key, Entry>,
    bytes: usize,
    turn: u64,
}

struct Entry {
    sound: Arc<OnceCell<Arc<Sound>>>,
    bytes: usize,
    used: u64,
}

impl Shelf {
    /// Keeps so many bytes.
    pub fn new(most: usize) -> Self {
        Self { most, kept: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is kept under `key`, or what `make` makes. A failure is not kept.
    pub async fn get(
        &self,
        key: Key,
        make: impl Future<Output = Result<Arc<Sound>, String>>,
    ) -> Result<Arc<Sound>, String> {
        let cell = {
            let mut kept = self.lock();
            kept.turn += 1;
            let turn = kept.turn;
            let entry =
                kept.entries.entry(key).or_insert_with(|| Entry { sound: Arc::default(), bytes: 0, used: 0 });
            entry.used = turn;
            entry.sound.clone()
        };
        let made = cell.get_or_try_init(|| make).await.cloned();
        let mut kept = self.lock();
        match &made {
            Ok(sound) => kept.weigh(key, sound.samples.len() * 2),
            Err(_) => {
                // Unless somebody else is at it.
                if kept.entries.get(&key).is_some_and(|entry| Arc::strong_count(&entry.sound) <= 2) {
                    kept.entries.remove(&key);
                }
            }
        }
        kept.clear(self.most);
        made
    }
}

impl Kept {
    fn weigh(&mut self, key: Key, bytes: usize) {
        if let Some(entry) = self.entries.get_mut(&key)
            && entry.bytes == 0
        {
            entry.bytes = bytes;
            self.bytes += bytes;
        }
    }

    fn clear(&mut self, most: usize) {
        while self.bytes > most {
            let made = self.entries.iter().filter(|(_, entry)| entry.bytes > 0);
            let Some(oldest) = made.min_by_key(|(_, entry)| entry.used).map(|(key, _)| *key) else { return };
            if let Some(entry) = self.entries.remove(&oldest) {
                self.bytes -= entry.bytes;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sound(value: i16) -> Arc<Sound> {
        Arc::new(Sound { rate: 8000, samples: vec![value; 100] })
    }

    #[tokio::test]
    async fn what_was_used_longest_ago_goes_first() {
        let shelf = Shelf::new(450);
        for value in [1, 2, 1, 3] {
            let made = shelf.get([value as u8; 32], async { Ok(sound(value)) }).await.expect("made");
            assert_eq!(made.samples[0], value);
        }
        let again = |value: u8| shelf.get([value; 32], async { Ok(sound(99)) });
        assert_eq!(again(1).await.expect("kept").samples[0], 1);
        assert_eq!(again(2).await.expect("made anew").samples[0], 99);
        assert!(shelf.lock().bytes <= 450);
    }

    #[tokio::test]
    async fn it_is_made_once_and_a_failure_is_not_kept() {
        let shelf = Shelf::new(10_000);
        assert!(shelf.get([7; 32], async { Err("no".to_owned()) }).await.is_err());
        assert!(shelf.lock().entries.is_empty());
        let slow = shelf.get([7; 32], async {
            tokio::task::yield_now().await;
            Ok(sound(1))
        });
        let other = shelf.get([7; 32], async { Ok(sound(2)) });
        let (slow, other) = tokio::join!(slow, other);
        assert_eq!((slow.expect("made").samples[0], other.expect("the same").samples[0]), (1, 1));
    }
}
