//! What was heard on a call: tones in recordings.

use std::path::Path;

use anyhow::{Context, Result};
use interline_media::Sound;
use interline_media::audio::wav;
use interline_media::tones::{self, Heard};

/// Speech has shorter ones, milliseconds.
const LONG: u32 = 500;

/// What was heard, as it was recorded in a file: the left side.
///
/// # Errors
/// There is no such file, or it is no WAV file.
pub fn heard(path: &Path) -> Result<Sound> {
    left(&std::fs::read(path).context(path.display().to_string())?)
}

/// The left side of a recording, or all of it.
///
/// # Errors
/// It is no WAV file.
pub fn left(recording: &[u8]) -> Result<Sound> {
    let channels = wav::channels(recording).ok().context("no WAV file")?;
    channels.into_iter().next().context("no channel")
}

/// The tones of about this frequency that last.
pub fn tones(sound: &Sound, hz: f32) -> Vec<Heard> {
    let mut found = tones::detect(&sound.samples, sound.rate);
    found.retain(|tone| (tone.hz - hz).abs() < 20.0 && tone.to_ms - tone.from_ms >= LONG);
    found
}
