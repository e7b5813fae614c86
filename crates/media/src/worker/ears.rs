//! Those who listen to a leg: recordings, keys in the sound, speech. Only a leg that somebody listens to has ears; all
//! others decode nothing.

use std::collections::HashMap;
use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use crate::audio::jitter::Window;
use crate::audio::tones;
use crate::record::{RATE, Tape};
use crate::speech::{Cut, Utterance};

/// Recordings are handed on in pieces of half a second.
const PIECE: usize = RATE as usize;

/// What listens to one leg. All sound in it has 8,000 samples a second.
pub struct Ears {
    heard: Window,
    sent: Window,
    tapes: HashMap<u64, (Tape, Vec<i16>)>,
    keys: Option<tones::Keys>,
    speech: Option<(Cut, mpsc::Sender<Utterance>)>,
}

impl Ears {
    /// Nobody listens yet.
    pub fn new(jitter: &RangeInclusive<Duration>) -> Self {
        let (heard, sent) = (Window::new(jitter), Window::new(jitter));
        Self { heard, sent, tapes: HashMap::new(), keys: None, speech: None }
    }

    /// Listens for keys in the sound.
    pub fn keys(&mut self) {
        self.keys.get_or_insert_default();
    }

    /// Records.
    pub fn record(&mut self, id: u64, tape: Tape) {
        self.tapes.insert(id, (tape, Vec::with_capacity(PIECE)));
    }

    /// Ends a recording.
    pub fn stop(&mut self, id: u64) -> Option<Tape> {
        let (mut tape, rest) = self.tapes.remove(&id)?;
        tape.add(rest);
        Some(tape)
    }

    /// Listens for speech. None: no more.
    pub fn speech(&mut self, to: Option<(Cut, mpsc::Sender<Utterance>)>) {
        self.speech = to;
    }

    /// Nobody listens any more.
    pub fn are_idle(&self) -> bool {
        self.tapes.is_empty() && self.keys.is_none() && self.speech.is_none()
    }

    /// Sound that came in.
    pub fn heard(&mut self, source: u32, timestamp: u32, samples: &[i16], now: Instant) {
        self.heard.push(source, timestamp, samples, now);
    }

    /// Sound that went out.
    pub fn sent(&mut self, source: u32, timestamp: u32, samples: &[i16], now: Instant) {
        if !self.tapes.is_empty() {
            self.sent.push(source, timestamp, samples, now);
        }
    }

    /// So many samples of time have passed. Gives the keys that were heard in them.
    pub fn turn(&mut self, length: usize, mut key: impl FnMut(char)) {
        let heard = self.heard.pull(length);
        if let Some(keys) = &mut self.keys {
            keys.hear(heard, &mut key);
        }
        if let Some((cut, to)) = &mut self.speech
            && let Some(utterance) = cut.hear(heard)
        {
            // Whoever is still busy with the last ones hears one less.
            let _ = to.try_send(utterance);
        }
        if self.tapes.is_empty() {
            return;
        }
        let sent = self.sent.pull(length);
        for (tape, piece) in self.tapes.values_mut() {
            piece.extend(heard.iter().zip(sent).flat_map(|(heard, sent)| [*heard, *sent]));
            if piece.len() >= PIECE {
                tape.add(std::mem::replace(piece, Vec::with_capacity(PIECE)));
            }
        }
    }
}

impl Drop for Ears {
    fn drop(&mut self) {
        for (mut tape, rest) in self.tapes.drain().map(|(_, both)| both) {
            tape.add(rest);
        }
    }
}
