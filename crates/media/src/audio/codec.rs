//! The codecs of telephony here. All have a clock of 8,000 a second on the wire and 64 kbit/s, so a packet of one becomes
//! a packet of another of the same length and time: 20 ms are 160 bytes.

use audio_codec::g722::{G722Decoder, G722Encoder};
use audio_codec::{Decoder as _, Encoder as _};

use super::g711;

/// A codec.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Codec {
    /// G.711 µ-law.
    Pcmu,
    /// G.711 A-law.
    Pcma,
    /// G.722 at 64 kbit/s: 16 kHz. Its clock is said to be 8 kHz (RFC 3551, 4.5.2), which is an old mistake.
    G722,
}

/// The most samples in a packet: a full datagram of G.722.
pub const MOST: usize = 2 * super::super::rtp::packet::LARGEST;

impl Codec {
    /// The static payload type (RFC 3551, table 4).
    pub fn kind(self) -> u8 {
        match self {
            Self::Pcmu => 0,
            Self::Pcma => 8,
            Self::G722 => 9,
        }
    }

    /// The name in SDP.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pcmu => "PCMU",
            Self::Pcma => "PCMA",
            Self::G722 => "G722",
        }
    }

    /// Samples a second.
    pub fn rate(self) -> u32 {
        8000 * self.samples()
    }

    /// Samples for one byte, and for one unit of the clock.
    pub fn samples(self) -> u32 {
        match self {
            Self::Pcmu | Self::Pcma => 1,
            Self::G722 => 2,
        }
    }
}

/// Bytes to samples.
pub enum Decoder {
    /// Stateless.
    Pcmu,
    /// Stateless.
    Pcma,
    /// With what it remembers of the sound until now.
    G722(Box<G722Decoder>),
}

impl Decoder {
    /// For `codec`.
    pub fn new(codec: Codec) -> Self {
        match codec {
            Codec::Pcmu => Self::Pcmu,
            Codec::Pcma => Self::Pcma,
            Codec::G722 => Self::G722(Box::new(G722Decoder::new())),
        }
    }

    /// What it is for.
    pub fn codec(&self) -> Codec {
        match self {
            Self::Pcmu => Codec::Pcmu,
            Self::Pcma => Codec::Pcma,
            Self::G722(_) => Codec::G722,
        }
    }

    /// Decodes into the beginning of `into`, and gives that part. What does not fit is left out.
    pub fn decode<'a>(&mut self, bytes: &[u8], into: &'a mut [i16]) -> &'a mut [i16] {
        let length = match self {
            Self::Pcmu => map(bytes, into, g711::from_ulaw),
            Self::Pcma => map(bytes, into, g711::from_alaw),
            Self::G722(decoder) => {
                let bytes = bytes.get(..bytes.len().min(into.len() / 2)).unwrap_or_default();
                decoder.decode_into(bytes, into).unwrap_or(0)
            }
        };
        into.get_mut(..length).unwrap_or_default()
    }
}

/// Samples to bytes.
pub enum Encoder {
    /// Stateless.
    Pcmu,
    /// Stateless.
    Pcma,
    /// With what it remembers of the sound until now.
    G722(Box<G722Encoder>),
}

impl Encoder {
    /// For `codec`.
    pub fn new(codec: Codec) -> Self {
        match codec {
            Codec::Pcmu => Self::Pcmu,
            Codec::Pcma => Self::Pcma,
            Codec::G722 => Self::G722(Box::new(G722Encoder::new())),
        }
    }

    /// What it is for.
    pub fn codec(&self) -> Codec {
        match self {
            Self::Pcmu => Codec::Pcmu,
            Self::Pcma => Codec::Pcma,
            Self::G722(_) => Codec::G722,
        }
    }

    /// Encodes into the beginning of `into`, and gives how many bytes. What does not fit is left out.
    pub fn encode(&mut self, samples: &[i16], into: &mut [u8]) -> usize {
        match self {
            Self::Pcmu => map(samples, into, g711::to_ulaw),
            Self::Pcma => map(samples, into, g711::to_alaw),
            Self::G722(encoder) => {
                let samples = samples.get(..samples.len().min(into.len() * 2) & !1).unwrap_or_default();
                encoder.encode_into(samples, into).unwrap_or(0)
            }
        }
    }
}

fn map<A: Copy, B>(from: &[A], into: &mut [B], with: impl Fn(A) -> B) -> usize {
    for (to, from) in into.iter_mut().zip(from) {
        *to = with(*from);
    }
    from.len().min(into.len())
}

#[cfg(test)]
mod tests {
    use super::super::tones;
    use super::*;

    #[test]
    fn a_tone_survives_each_codec() {
        for codec in [Codec::Pcmu, Codec::Pcma, Codec::G722] {
            let tone = tones::tone(&[1000.0], codec.rate(), codec.rate() as usize / 2);
            let (mut encoder, mut decoder) = (Encoder::new(codec), Decoder::new(codec));
            let (mut bytes, mut samples) = ([0; 160], [0; 320]);
            let mut heard = Vec::new();
            for frame in tone.chunks_exact(160 * codec.samples() as usize) {
                assert_eq!(encoder.encode(frame, &mut bytes), 160);
                heard.extend_from_slice(decoder.decode(&bytes, &mut samples));
            }
            let found = tones::detect(&heard, codec.rate());
            assert!(
                matches!(found.as_slice(), [one] if (one.hz - 1000.0).abs() < 20.0),
                "{codec:?}: {found:?}"
            );
        }
    }

    #[test]
    fn lengths_that_do_not_fit_are_cut() {
        for codec in [Codec::Pcmu, Codec::G722] {
            let mut few = [0i16; 7];
            assert!(Decoder::new(codec).decode(&[1; 100], &mut few).len() <= 7);
            let mut little = [0u8; 3];
            assert_eq!(Encoder::new(codec).encode(&[5; 101], &mut little), 3);
            assert_eq!(Decoder::new(codec).decode(&[], &mut few).len(), 0);
        }
    }
}
