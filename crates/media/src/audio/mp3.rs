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
