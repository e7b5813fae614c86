//! A piece of sound in memory.

use std::io;
use std::path::Path;
use std::time::Duration;

use super::{mp3, resample, wav};

/// Samples, one channel.
#[derive(Clone, PartialEq, Eq)]
pub struct Sound {
    /// Samples a second.
    pub rate: u32,
    /// The samples.
    pub samples: Vec<i16>,
}

/// Sounds of files are at most so long. What is longer is no prompt; at 48 kHz it would fill the memory.
pub const LONGEST: Duration = Duration::from_secs(30 * 60);

/// A file that is no sound.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// It is of another kind, or damaged.
    #[error("the file is no sound that can be played: {0}")]
    Format(&'static str),
    /// It is longer than [`LONGEST`].
    #[error("the sound is longer than 30 minutes")]
    TooLong,
}

impl std::fmt::Debug for Sound {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Sound({} ms)", self.length().as_millis())
    }
}

impl Sound {
    /// Nothing, for so long.
    pub fn silence(rate: u32, length: Duration) -> Self {
        Self { rate, samples: vec![0; count(rate, length.min(LONGEST))] }
    }

    /// Tones together, for so long.
    pub fn tone(hz: &[f32], rate: u32, length: Duration) -> Self {
        Self { rate, samples: super::tones::tone(hz, rate, count(rate, length.min(LONGEST))) }
    }

    /// A file's bytes: WAV or MP3, as its first bytes say.
    ///
    /// # Errors
    /// It is neither, or damaged, or too long.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Unusable> {
        if bytes.starts_with(b"RIFF") { wav::read(bytes) } else { mp3::read(bytes) }
    }

    /// How long it is.
    pub fn length(&self) -> Duration {
        Duration::from_micros(self.samples.len() as u64 * 1_000_000 / u64::from(self.rate.max(1)))
    }

    /// The same at another rate.
    pub fn at_rate(&self, rate: u32) -> Self {
        Self { rate, samples: resample::whole(&self.samples, self.rate, rate) }
    }

    /// Writes it as a WAV file.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write_wav(&self, to: &Path) -> io::Result<()> {
        let mut bytes = wav::header(self.rate, 1, self.samples.len() * 2).to_vec();
        bytes.extend(self.samples.iter().flat_map(|sample| sample.to_le_bytes()));
        std::fs::write(to, bytes)
    }
}

fn count(rate: u32, length: Duration) -> usize {
    usize::try_from(length.as_micros() * u128::from(rate) / 1_000_000).unwrap_or_default()
}
