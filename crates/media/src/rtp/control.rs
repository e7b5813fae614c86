//! RTCP (RFC 3550, 6): a sender or receiver report with a name every five seconds, BYE at the end. What comes in is a
//! sign of life, and tells what the other side lost.

use std::time::Duration;

/// Reports go out so often.
pub const EVERY: Duration = Duration::from_secs(5);

/// A report about what was received (RFC 3550, 6.4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Block {
    /// Who sent it.
    pub source: u32,
    /// Lost since the last report, of 256.
    pub fraction: u8,
    /// Lost in all.
    pub lost: u32,
    /// The highest sequence number, with the wraps before it.
    pub highest: u32,
    /// The jitter, in units of the payload's clock.
    pub jitter: u32,
}

/// What this side sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sent {
    /// Wall clock as NTP does it: seconds since 1900 in the upper half.
    pub ntp: u64,
    /// The RTP time stamp of that moment.
    pub timestamp: u32,
    /// Packets in all.
    pub packets: u32,
    /// Bytes of payload in all.
    pub octets: u32,
}

/// Writes a compound packet: a report, a name, and BYE when it is the last. Gives its length; 0: there is no room.
pub fn write(into: &mut [u8], source: u32, sent: Option<Sent>, heard: Option<Block>, last: bool) -> usize {
    let mut packet = Writer { into, at: 0, full: false };
    let count = u8::from(heard.is_some());
    let body = if sent.is_some() { 6 } else { 1 } + 6 * u16::from(count);
    packet.bytes(&[0x80 | count, if sent.is_some() { 200 } else { 201 }]);
    packet.bytes(&body.to_be_bytes());
    packet.bytes(&source.to_be_bytes());
    if let Some(sent) = sent {
        packet.bytes(&sent.ntp.to_be_bytes());
        packet.bytes(&sent.timestamp.to_be_bytes());
        packet.bytes(&sent.packets.to_be_bytes());
        packet.bytes(&sent.octets.to_be_bytes());
    }
    if let Some(heard) = heard {
        packet.bytes(&heard.source.to_be_bytes());
        packet.bytes(&(u32::from(heard.fraction) << 24 | heard.lost.min(0x7f_ffff)).to_be_bytes());
        packet.bytes(&heard.highest.to_be_bytes());
        packet.bytes(&heard.jitter.to_be_bytes());
        packet.bytes(&[0; 8]);
    }
    // SDES with a CNAME: eight hexadecimal digits, which say nothing about anybody.
    packet.bytes(&[0x81, 202, 0, 4]);
    packet.bytes(&source.to_be_bytes());
    packet.bytes(&[1, 8]);
    let mut name = *b"00000000";
    for (place, letter) in name.iter_mut().enumerate() {
        let digit = (source >> (28 - 4 * place)) & 0xf;
        *letter = b"0123456789abcdef"[digit as usize & 0xf];
    }
    packet.bytes(&name);
    packet.bytes(&[0, 0]);
    if last {
        packet.bytes(&[0x81, 203, 0, 1]);
        packet.bytes(&source.to_be_bytes());
    }
    if packet.full { 0 } else { packet.at }
}

struct Writer<'a> {
    into: &'a mut [u8],
    at: usize,
    full: bool,
}

impl Writer<'_> {
    fn bytes(&mut self, bytes: &[u8]) {
        match self.into.get_mut(self.at..self.at + bytes.len()) {
            Some(room) => {
                room.copy_from_slice(bytes);
                self.at += bytes.len();
            }
            None => self.full = true,
        }
    }
}

/// What a compound packet told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Heard {
    /// What the other side says of our stream `source`, if it does.
    pub about_us: Option<Block>,
    /// It says that it ends.
    pub bye: bool,
}

/// Reads a compound packet; `source` is our own stream. None: it is no RTCP. Unknown packets in it are skipped.
pub fn read(datagram: &[u8], source: u32) -> Option<Heard> {
    let mut rest = datagram;
    let mut heard = Heard::default();
    let mut any = false;
    while let Some(head) = rest.first_chunk::<4>() {
        if head[0] >> 6 != 2 || !(192..=223).contains(&head[1]) {
            return None;
        }
        let length = 4 + 4 * usize::from(u16::from_be_bytes([head[2], head[3]]));
        let body = rest.get(4..length)?;
        let blocks = match head[1] {
            200 => body.get(24..).unwrap_or_default(),
            201 => body.get(4..).unwrap_or_default(),
            203 => {
                heard.bye = true;
                &[]
            }
            _ => &[],
        };
        let reports = blocks.as_chunks::<24>().0.iter().take(usize::from(head[0] & 0x1f));
        heard.about_us = reports.map(block).find(|block| block.source == source).or(heard.about_us);
        any = true;
        rest = rest.get(length..)?;
    }
    (any && rest.is_empty()).then_some(heard)
}

fn block(bytes: &[u8; 24]) -> Block {
    let word = |at: usize| u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
    Block {
        source: word(0),
        fraction: bytes[4],
        lost: word(4) & 0x00ff_ffff,
        highest: word(8),
        jitter: word(12),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_report_is_read_as_written() {
        let mut room = [0; 200];
        let sent = Sent { ntp: 1 << 40, timestamp: 2, packets: 3, octets: 480 };
        let about = Block { source: 9, fraction: 12, lost: 34, highest: 0x1_0005, jitter: 7 };
        let length = write(&mut room, 0xdead_beef, Some(sent), Some(about), true);
        assert_eq!(length, 28 + 24 + 20 + 8);
        assert_eq!(read(&room[..length], 9), Some(Heard { about_us: Some(about), bye: true }));
        let length = write(&mut room, 1, None, Some(about), false);
        assert_eq!(read(&room[..length], 9), Some(Heard { about_us: Some(about), bye: false }));
        assert_eq!(read(&room[..length], 8), Some(Heard::default()), "somebody else's stream");
        assert_eq!(write(&mut room[..20], 1, Some(sent), None, false), 0);
    }

    #[test]
    fn what_is_no_rtcp_is_refused() {
        assert_eq!(read(&[], 1), None);
        assert_eq!(read(&[0x80, 200, 0, 9], 1), None, "cut off");
        assert_eq!(read(&[0x80, 0, 0, 0], 1), None, "RTP");
    }

    proptest! {
        #[test]
        fn any_datagram_is_read_or_refused(datagram in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = read(&datagram, 1);
        }

        #[test]
        fn reports_of_any_shape_are_read(count in 0u8..32, kind in 200u8..204, body in proptest::collection::vec(any::<u8>(), 0..50)) {
            let words = body.len() / 4;
            let mut datagram = vec![0x80 | count, kind, 0, words as u8];
            datagram.extend(&body[..words * 4]);
            prop_assert!(read(&datagram, 1).is_some());
        }
    }
}
