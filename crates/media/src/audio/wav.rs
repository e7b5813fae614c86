//! WAV files: reading what telephony and speech programs write (also µ-law and A-law, and headers of a stream whose
//! length was not known), writing 16-bit samples.
//!
//! Source: Multimedia Programming Interface and Data Specifications 1.0 (IBM, Microsoft, 1991); RFC 2361 for the kinds.

use super::g711;
use super::sound::{LONGEST, Sound, Unusable};

/// The length of the header that is written, in bytes.
pub const HEADER: usize = 44;

/// How samples are written.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Pcm8,
    Pcm16,
    Pcm24,
    Pcm32,
    Float,
    Ulaw,
    Alaw,
}

#[derive(Debug, Clone, Copy)]
struct Format {
    kind: Kind,
    channels: usize,
    rate: u32,
}

/// Reads a file. Several channels become one.
///
/// # Errors
/// It is no WAV file, of a kind that is not known, or too long.
pub fn read(bytes: &[u8]) -> Result<Sound, Unusable> {
    let (format, data) = parts(bytes)?;
    let mixed = |frame: Frame<'_>| {
        let count = frame.len() as i32;
        (frame.map(|sample| i32::from(one(format.kind, sample))).sum::<i32>() / count.max(1)) as i16
    };
    Ok(Sound { rate: format.rate, samples: frames(format, data)?.map(mixed).collect() })
}

/// Reads the channels of a file, each as a sound: a recording's are what was heard and what was sent.
///
/// # Errors
/// As [`read`].
pub fn channels(bytes: &[u8]) -> Result<Vec<Sound>, Unusable> {
    let (format, data) = parts(bytes)?;
    (0..format.channels)
        .map(|at| {
            let sample = |mut frame: Frame<'_>| frame.nth(at).map_or(0, |sample| one(format.kind, sample));
            Ok(Sound { rate: format.rate, samples: frames(format, data)?.map(sample).collect() })
        })
        .collect()
}

/// The format and the samples.
fn parts(bytes: &[u8]) -> Result<(Format, &[u8]), Unusable> {
    let mut rest = match bytes.get(..12) {
        Some(head) if head.starts_with(b"RIFF") && head.ends_with(b"WAVE") => &bytes[12..],
        _ => return Err(Unusable::Format("no WAV file")),
    };
    let mut format = None;
    while let Some((head, body)) = rest.split_first_chunk::<8>() {
        let length = u32::from_le_bytes([head[4], head[5], head[6], head[7]]) as usize;
        match &head[..4] {
            b"fmt " => {
                format = Some(self::format(body).ok_or(Unusable::Format("a WAV file of an unknown kind"))?);
            }
            b"data" => {
                let format = format.ok_or(Unusable::Format("a WAV file without its format"))?;
                // A program that writes to a pipe does not know the length: then all that follows is sound.
                return Ok((format, body.get(..length).unwrap_or(body)));
            }
            _ => {}
        }
        rest = body.get(length.saturating_add(length % 2)..).unwrap_or_default();
    }
    Err(Unusable::Format("a WAV file without sound"))
}

fn format(body: &[u8]) -> Option<Format> {
    let short = |at: usize| Some(u16::from_le_bytes(*body.get(at..)?.first_chunk()?));
    let rate = u32::from_le_bytes(*body.get(4..)?.first_chunk()?);
    let (mut kind, channels, bits) = (short(0)?, usize::from(short(2)?), short(14)?);
    if kind == 0xfffe {
        // Extensible: the kind is the beginning of an identifier.
        kind = short(24)?;
    }
    let kind = match (kind, bits) {
        (1, 8) => Kind::Pcm8,
        (1, 16) => Kind::Pcm16,
        (1, 24) => Kind::Pcm24,
        (1, 32) => Kind::Pcm32,
        (3, 32) => Kind::Float,
        (7, 8) => Kind::Ulaw,
        (6, 8) => Kind::Alaw,
        _ => return None,
    };
    ((1..=8).contains(&channels) && (4000..=192_000).contains(&rate)).then_some(Format {
        kind,
        channels,
        rate,
    })
}

/// The samples of one moment, as bytes: one for each channel.
type Frame<'a> = std::slice::ChunksExact<'a, u8>;

fn frames(format: Format, data: &[u8]) -> Result<impl Iterator<Item = Frame<'_>>, Unusable> {
    let width = match format.kind {
        Kind::Pcm8 | Kind::Ulaw | Kind::Alaw => 1,
        Kind::Pcm16 => 2,
        Kind::Pcm24 => 3,
        Kind::Pcm32 | Kind::Float => 4,
    };
    let frames = data.chunks_exact(width * format.channels);
    if frames.len() as u64 > LONGEST.as_secs() * u64::from(format.rate) {
        return Err(Unusable::TooLong);
    }
    Ok(frames.map(move |frame| frame.chunks_exact(width)))
}

fn one(kind: Kind, bytes: &[u8]) -> i16 {
    match (kind, bytes) {
        (Kind::Pcm8, [byte]) => (i16::from(*byte) - 128) << 8,
        (Kind::Ulaw, [byte]) => g711::from_ulaw(*byte),
        (Kind::Alaw, [byte]) => g711::from_alaw(*byte),
        (Kind::Float, [a, b, c, d]) => {
            // Not a number becomes 0 by the cast.
            (f32::from_le_bytes([*a, *b, *c, *d]).clamp(-1.0, 1.0) * 32_767.0) as i16
        }
        // The upper two bytes are enough of the wider ones.
        (_, [.., low, high]) => i16::from_le_bytes([*low, *high]),
        _ => 0,
    }
}

/// The header of a file with so many bytes of 16-bit samples.
pub fn header(rate: u32, channels: u16, bytes: usize) -> [u8; HEADER] {
    let bytes = u32::try_from(bytes).unwrap_or(u32::MAX - 36);
    let each = 2 * channels;
    let mut header = [0; HEADER];
    let parts: [&[u8]; 13] = [
        b"RIFF",
        &bytes.saturating_add(36).to_le_bytes(),
        b"WAVE",
        b"fmt ",
        &16u32.to_le_bytes(),
        &1u16.to_le_bytes(),
        &channels.to_le_bytes(),
        &rate.to_le_bytes(),
        &(rate * u32::from(each)).to_le_bytes(),
        &each.to_le_bytes(),
        &16u16.to_le_bytes(),
        b"data",
        &bytes.to_le_bytes(),
    ];
    for (to, from) in header.iter_mut().zip(parts.concat()) {
        *to = from;
    }
    header
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn file(kind: u16, bits: u16, channels: u16, data: &[u8]) -> Vec<u8> {
        let mut bytes = header(8000, channels, data.len()).to_vec();
        bytes[20..22].copy_from_slice(&kind.to_le_bytes());
        bytes[34..36].copy_from_slice(&bits.to_le_bytes());
        bytes.extend(data);
        bytes
    }

    #[test]
    fn all_kinds_are_read() {
        let samples = |bytes: &[u8]| read(bytes).expect("readable").samples;
        assert_eq!(samples(&file(1, 16, 1, &[1, 0, 0xff, 0xff])), [1, -1]);
        assert_eq!(samples(&file(1, 16, 2, &[10, 0, 20, 0])), [15]);
        let both = channels(&file(1, 16, 2, &[10, 0, 20, 0])).expect("readable");
        assert_eq!(both.iter().map(|sound| sound.samples[0]).collect::<Vec<_>>(), [10, 20]);
        assert_eq!(samples(&file(1, 8, 1, &[128, 255])), [0, 127 << 8]);
        assert_eq!(samples(&file(1, 24, 1, &[9, 1, 2])), [0x201]);
        assert_eq!(samples(&file(1, 32, 1, &[9, 9, 1, 2])), [0x201]);
        assert_eq!(samples(&file(3, 32, 1, &1.0f32.to_le_bytes())), [32_767]);
        assert_eq!(samples(&file(3, 32, 1, &f32::NAN.to_le_bytes())), [0]);
        assert_eq!(samples(&file(7, 8, 1, &[0x80])), [32_124]);
        assert_eq!(samples(&file(6, 8, 1, &[0xaa])), [32_256]);
    }

    #[test]
    fn a_length_that_was_not_known_reads_to_the_end() {
        let mut bytes = file(1, 16, 1, &[1, 0, 2, 0]);
        bytes[40..44].copy_from_slice(&0x7fff_f024u32.to_le_bytes());
        assert_eq!(read(&bytes).expect("readable").samples, [1, 2]);
    }

    #[test]
    fn what_is_no_sound_is_refused() {
        assert!(read(b"").is_err());
        assert!(read(b"RIFF....WAVE").is_err());
        assert!(read(&file(2, 4, 1, &[0; 8])).is_err(), "ADPCM");
        assert!(read(&file(1, 16, 0, &[0; 8])).is_err(), "no channels");
        assert!(read(&file(1, 16, 1, &[0; 8])[..40]).is_err(), "cut off");
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(at in 0usize..48, with in proptest::collection::vec(any::<u8>(), 0..16)) {
            let mut bytes = file(1, 16, 1, &[0; 64]);
            for (to, from) in bytes.iter_mut().skip(at).zip(with) {
                *to = from;
            }
            let _ = read(&bytes);
            let _ = channels(&bytes);
        }
    }
}
