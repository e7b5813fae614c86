//! What is played, and how.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use url::Url;

use crate::audio::sound::Sound;

/// Something to hear.
#[derive(Debug, Clone)]
pub enum Prompt {
    /// Spoken text. Text that begins with `<speak` is SSML.
    Text {
        /// What is said.
        text: String,
        /// Whose voice. None: the usual one.
        voice: Option<String>,
    },
    /// A file somewhere else, WAV or MP3.
    Url(Url),
    /// A file here.
    File(PathBuf),
    /// Sound.
    Sound(Arc<Sound>),
    /// Nothing, for so long.
    Silence(Duration),
    /// Frequencies together.
    Tone {
        /// Which, in hertz.
        hz: Vec<f32>,
        /// For so many milliseconds.
        ms: u32,
    },
    /// What is heard while the other side is rung: one round of it, to be looped.
    Ringback,
    /// Music for those who wait: one round of it, to be looped.
    Music,
}

/// How prompts are played.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Play {
    /// Again and again, until it is aborted.
    pub loops: bool,
    /// A key that is pressed aborts it.
    pub barge_in: bool,
    /// What plays and waits is aborted first.
    pub flush: bool,
}

/// How it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Played {
    /// All of it was sent, and its time has passed.
    Whole,
    /// By `abort`, by a key, or because the session ended.
    Aborted,
    /// A prompt could not be made: why. Nothing of it was heard.
    Failed(String),
}
