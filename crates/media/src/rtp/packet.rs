//! An RTP packet (RFC 3550, 5.1). Reading takes a datagram from anybody and never panics; writing puts a plain header of
//! twelve bytes right before the payload, so that a packet is passed on without copying it.

use std::ops::Range;

/// The fixed part of the header, in bytes.
pub const HEADER: usize = 12;

/// The largest datagram that is taken or sent, in bytes. What is longer is no telephone audio.
pub const LARGEST: usize = 1500;

/// What a packet says about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packet {
    /// The marker: a talk spurt or an event begins.
    pub marker: bool,
    /// The payload type, 0 to 127.
    pub kind: u8,
    /// The sequence number.
    pub sequence: u16,
    /// The time stamp, in units of the payload's clock.
    pub timestamp: u32,
    /// Who sends.
    pub source: u32,
    /// Where the payload is in the datagram. At least [`HEADER`] bytes are before it.
    pub payload: Range<usize>,
}

/// Reads a datagram. None: it is no RTP packet of version 2, or its lengths do not fit together.
pub fn read(datagram: &[u8]) -> Option<Packet> {
    let fixed: &[u8; HEADER] = datagram.first_chunk()?;
    if fixed[0] >> 6 != 2 {
        return None;
    }
    let mut start = HEADER + 4 * usize::from(fixed[0] & 0x0f);
    if fixed[0] & 0x10 != 0 {
        let extension: &[u8; 4] = datagram.get(start..)?.first_chunk()?;
        start += 4 + 4 * usize::from(u16::from_be_bytes([extension[2], extension[3]]));
    }
    let mut end = datagram.len();
    if fixed[0] & 0x20 != 0 {
        let padding = usize::from(*datagram.last()?);
        if padding == 0 {
            return None;
        }
        end = end.checked_sub(padding)?;
    }
    if start > end {
        return None;
    }
    Some(Packet {
        marker: fixed[1] & 0x80 != 0,
        kind: fixed[1] & 0x7f,
        sequence: u16::from_be_bytes([fixed[2], fixed[3]]),
        timestamp: u32::from_be_bytes([fixed[4], fixed[5], fixed[6], fixed[7]]),
        source: u32::from_be_bytes([fixed[8], fixed[9], fixed[10], fixed[11]]),
        payload: start..end,
    })
}

/// How long the header of a packet is: what SRTP leaves readable. None: see [`read`].
pub fn header_len(datagram: &[u8]) -> Option<usize> {
    let first = *datagram.first()?;
    let mut start = HEADER + 4 * usize::from(first & 0x0f);
    if first & 0x10 != 0 {
        let extension: &[u8; 4] = datagram.get(start..)?.first_chunk()?;
        start += 4 + 4 * usize::from(u16::from_be_bytes([extension[2], extension[3]]));
    }
    (start <= datagram.len()).then_some(start)
}

/// Writes a plain header into the first [`HEADER`] bytes of `into`. False: there is no room.
pub fn write(into: &mut [u8], marker: bool, kind: u8, sequence: u16, timestamp: u32, source: u32) -> bool {
    let Some(header) = into.first_chunk_mut::<HEADER>() else { return false };
    header[0] = 0x80;
    header[1] = (kind & 0x7f) | if marker { 0x80 } else { 0 };
    header[2..4].copy_from_slice(&sequence.to_be_bytes());
    header[4..8].copy_from_slice(&timestamp.to_be_bytes());
    header[8..12].copy_from_slice(&source.to_be_bytes());
    true
}

/// Whether a datagram on a port that both share is RTCP (RFC 5761, 4).
pub fn is_control(datagram: &[u8]) -> bool {
    datagram.get(1).is_some_and(|kind| (192..=223).contains(kind))
}

/// Whether `sequence` comes after `last`, with the wrap at 65,536.
pub fn is_after(sequence: u16, last: u16) -> bool {
    sequence != last && sequence.wrapping_sub(last) < 0x8000
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_plain_packet_is_read_as_written() {
        let mut datagram = [0u8; HEADER + 3];
        datagram[HEADER..].copy_from_slice(b"abc");
        assert!(write(&mut datagram, true, 101, 65_535, u32::MAX, 7));
        let packet = read(&datagram).expect("a packet");
        assert_eq!(
            packet,
            Packet {
                marker: true,
                kind: 101,
                sequence: 65_535,
                timestamp: u32::MAX,
                source: 7,
                payload: 12..15
            }
        );
    }

    #[test]
    fn sources_extension_and_padding_are_not_payload() {
        let mut datagram = vec![0x80 | 0x20 | 0x10 | 2, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3];
        datagram.extend([0; 8]);
        datagram.extend([0xbe, 0xde, 0, 1, 9, 9, 9, 9]);
        datagram.extend(*b"xy");
        datagram.extend([0, 0, 3]);
        let packet = read(&datagram).expect("a packet");
        assert_eq!(&datagram[packet.payload], b"xy");
        assert_eq!(header_len(&datagram), Some(28));
    }

    #[test]
    fn lengths_that_do_not_fit_are_refused() {
        assert_eq!(read(&[0x80; 11]), None);
        assert_eq!(read(&[0x40; 12]), None, "version 1");
        let mut short = [0u8; 12];
        short[0] = 0x8f;
        assert_eq!(read(&short), None, "15 sources, none there");
        let mut padded = [0u8; 13];
        padded[0] = 0xa0;
        assert_eq!(read(&padded), None, "padding of nothing");
        padded[12] = 200;
        assert_eq!(read(&padded), None, "padding longer than the packet");
    }

    #[test]
    fn sequence_numbers_wrap() {
        assert!(is_after(0, 65_535));
        assert!(!is_after(65_535, 0));
        assert!(!is_after(5, 5));
    }

    proptest! {
        #[test]
        fn any_datagram_is_read_or_refused(datagram in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Some(packet) = read(&datagram) {
                prop_assert!(packet.payload.start >= HEADER);
                prop_assert!(datagram.get(packet.payload).is_some());
            }
            let _ = header_len(&datagram);
        }
    }
}
