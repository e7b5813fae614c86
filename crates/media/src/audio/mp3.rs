//! MP3 files, through nanomp3 (a port of minimp3 without unsafe code; MIT or Apache-2.0, where symphonia is under the
//! MPL, which `deny.toml` does not allow).

use nanomp3::{Options, SliceReader};

use super::sound::{LONGEST, Sound, Unusable};

/// Reads a file. Several channels become one.
///
/// # Errors
/// It is no MP3 file, damaged, or too long.
pub fn read(bytes: &[u8]) -> Result<Sound, Unusable> {
    if !nanomp3::detect(bytes) {
        return Err(Unusable::Format("neither WAV nor MP3"));
    }
    let options = Options::default().allow_mono_stereo_transition(false);
    let mut reader = SliceReader::<i16>::with_options(bytes, options);
    let rate = reader.sample_rate();
    let channels = reader.channels().map_or(0, |channels| channels as usize);
    if !(4000..=192_000).contains(&rate) || channels == 0 {
        return Err(Unusable::Format("an MP3 file without sound"));
    }
    let (mut samples, mut room) = (Vec::new(), vec![0i16; 4608]);
    loop {
        let length = reader.read(&mut room).map_err(|_| Unusable::Format("a damaged MP3 file"))?;
        if length == 0 {
            break;
        }
        let frames = room.get(..length).unwrap_or_default().chunks_exact(channels);
        samples
            .extend(frames.map(|frame| {
                (frame.iter().map(|one| i32::from(*one)).sum::<i32>() / channels as i32) as i16
            }));
        if samples.len() as u64 > LONGEST.as_secs() * u64::from(rate) {
            return Err(Unusable::TooLong);
        }
    }
    if samples.is_empty() {
        return Err(Unusable::Format("an MP3 file without sound"));
    }
    Ok(Sound { rate, samples })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::tones;

    /// Made with LAME 3.100 from sine tones: a second of 1 kHz at 16 kHz, half a second of 600 Hz at 44.1 kHz in stereo.
    const MONO: &[u8] = include_bytes!("fixtures/tone-1000-mono.mp3");
    const STEREO: &[u8] = include_bytes!("fixtures/tone-600-stereo.mp3");

    #[test]
    fn files_are_read_with_their_length() {
        for (file, rate, hz, ms) in [(MONO, 16_000, 1000.0, 1000), (STEREO, 44_100, 600.0, 500)] {
            let sound = Sound::from_bytes(file).expect("readable");
            // Some encoders leave their delay in: a frame or two.
            let more = sound.length().as_millis().checked_sub(ms);
            assert!(sound.rate == rate && more.is_some_and(|more| more < 150), "{sound:?}");
            let found = tones::detect(&sound.at_rate(8000).samples, 8000);
            assert!(matches!(found.as_slice(), [one] if (one.hz - hz).abs() < 20.0), "{found:?}");
        }
    }

    #[test]
    fn what_is_none_or_damaged_is_no_panic() {
        assert!(read(b"").is_err());
        assert!(read(&[0; 5000]).is_err());
        assert!(read(b"ID3").is_err());
        for cut in (1..MONO.len()).step_by(97) {
            let _ = read(&MONO[..cut]);
            let mut damaged = MONO.to_vec();
            damaged[cut] ^= 0xff;
            let _ = read(&damaged);
        }
    }
}
