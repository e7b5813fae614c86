//! G.711: a sample in eight bits (ITU-T G.711; the arithmetic is that of its reference code, G.191). From bytes by
//! tables, to bytes by counting leading zeros.

/// A table of 256 values. A macro, because a constant function calls no function that it is given.
macro_rules! table {
    ($expand:ident) => {{
        let mut table = [0; 256];
        let mut at = 0;
        while at < 256 {
            table[at] = $expand(at as u8);
            at += 1;
        }
        table
    }};
}

/// Decoded values of µ-law, made when compiled.
const ULAW: [i16; 256] = table!(expand_ulaw);
/// Decoded values of A-law.
const ALAW: [i16; 256] = table!(expand_alaw);

/// A µ-law byte as a sample.
pub fn from_ulaw(byte: u8) -> i16 {
    ULAW[usize::from(byte)]
}

/// An A-law byte as a sample.
pub fn from_alaw(byte: u8) -> i16 {
    ALAW[usize::from(byte)]
}

/// A sample as a µ-law byte.
pub fn to_ulaw(sample: i16) -> u8 {
    const BIAS: i32 = 0x84;
    const CLIP: i32 = 32_635;
    let sign = if sample < 0 { 0x80 } else { 0 };
    let size = i32::from(sample).abs().min(CLIP) + BIAS;
    // The highest bit that is set says the segment: bit 7 is the first of eight.
    let segment = 24 - size.leading_zeros() as i32;
    let step = (size >> (segment + 3)) & 0x0f;
    !(sign | (segment << 4) | step) as u8
}

/// A sample as an A-law byte.
pub fn to_alaw(sample: i16) -> u8 {
    let sample = i32::from(sample) >> 4;
    // Negative values are mirrored around −½: one's complement.
    let (sign, size) = if sample < 0 { (0, !sample) } else { (0x80, sample) };
    let coded = if size < 16 {
        size
    } else {
        let segment = 28 - size.leading_zeros() as i32;
        (segment << 4) | ((size >> (segment - 1)) & 0x0f)
    };
    ((sign | coded) ^ 0x55) as u8
}

const fn expand_ulaw(byte: u8) -> i16 {
    let byte = !byte as i32;
    let size = ((((byte & 0x0f) << 3) + 0x84) << ((byte & 0x70) >> 4)) - 0x84;
    (if byte & 0x80 != 0 { -size } else { size }) as i16
}

const fn expand_alaw(byte: u8) -> i16 {
    let byte = (byte ^ 0x55) as i32;
    let (segment, step) = ((byte & 0x70) >> 4, (byte & 0x0f) << 4);
    let size = if segment == 0 { step + 8 } else { (step + 0x108) << (segment - 1) };
    (if byte & 0x80 != 0 { size } else { -size }) as i16
}

#[cfg(test)]
mod tests {
    use audio_codec::{Decoder as _, Encoder as _, pcma, pcmu};

    use super::*;

    #[test]
    fn known_values() {
        assert_eq!((to_ulaw(0), to_ulaw(-1), to_ulaw(i16::MAX), to_ulaw(i16::MIN)), (0xff, 0x7f, 0x80, 0x00));
        assert_eq!((to_alaw(0), to_alaw(-1), to_alaw(i16::MAX), to_alaw(i16::MIN)), (0xd5, 0x55, 0xaa, 0x2a));
        assert_eq!((from_ulaw(0xff), from_ulaw(0x80), from_ulaw(0)), (0, 32_124, -32_124));
        assert_eq!((from_alaw(0xd5), from_alaw(0xaa), from_alaw(0x2a)), (8, 32_256, -32_256));
    }

    #[test]
    fn every_byte_comes_back() {
        for byte in 0..=255u8 {
            assert_eq!(to_alaw(from_alaw(byte)), byte);
            // µ-law has two zeros.
            assert_eq!(to_ulaw(from_ulaw(byte)), if byte == 0x7f { 0xff } else { byte });
        }
    }

    #[test]
    fn as_others_do_it() {
        let bytes: Vec<u8> = (0..=255).collect();
        let mut samples = [0i16; 256];
        pcmu::PcmuDecoder::new().decode_into(&bytes, &mut samples).expect("decodes");
        assert!(bytes.iter().zip(samples).all(|(byte, sample)| from_ulaw(*byte) == sample));
        pcma::PcmaDecoder::new().decode_into(&bytes, &mut samples).expect("decodes");
        assert!(bytes.iter().zip(samples).all(|(byte, sample)| from_alaw(*byte) == sample));
    }

    #[test]
    fn the_nearest_value_is_taken() {
        let near = |decode: fn(u8) -> i16, coded: u8, sample: i16| {
            let off = |byte: u8| (i32::from(decode(byte)) - i32::from(sample)).abs();
            let best = (0..=255).map(off).min().unwrap_or_default();
            // Both laws cut instead of rounding in places: one step of the segment is allowed.
            off(coded) <= best * 2 + 16
        };
        for sample in (i16::MIN..=i16::MAX).step_by(7) {
            assert!(near(from_ulaw, to_ulaw(sample), sample), "µ {sample}");
            assert!(near(from_alaw, to_alaw(sample), sample), "A {sample}");
        }
        let mut bytes = [0u8; 1];
        for sample in (i16::MIN..=i16::MAX).step_by(13) {
            pcmu::PcmuEncoder::new().encode_into(&[sample], &mut bytes).expect("encodes");
            let theirs = (i32::from(from_ulaw(bytes[0])) - i32::from(sample)).abs();
            let ours = (i32::from(from_ulaw(to_ulaw(sample))) - i32::from(sample)).abs();
            assert!(ours <= theirs + 1, "{sample}: {ours} and {theirs}");
        }
    }
}
