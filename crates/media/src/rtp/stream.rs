//! One stream out. Whatever feeds it (a prompt, a bridged leg, keys), its sequence numbers and time stamps go on without
//! a break, so that the other side hears one talker.

use std::time::Instant;

use super::packet::{self, HEADER, Packet};

/// Sequence number and time stamp of the stream that is sent.
#[derive(Debug)]
pub struct Stream {
    /// Who we are on this stream.
    pub source: u32,
    sequence: u16,
    timestamp: u32,
    /// When `timestamp` was.
    at: Option<Instant>,
    relayed: Option<Relayed>,
    /// Packets sent.
    pub packets: u64,
    /// Bytes of payload sent.
    pub octets: u64,
}

/// How a relayed stream becomes ours: what is added to its numbers.
#[derive(Debug, Clone, Copy)]
struct Relayed {
    source: u32,
    sequence: u16,
    timestamp: u32,
    /// The last of the incoming stream that was passed on.
    last: (u16, u32),
}

/// A stream that jumps further than this is another one, by its numbers: ten seconds at 8 kHz.
const JUMP: u32 = 80_000;

impl Stream {
    /// A stream with these random beginnings (RFC 3550, 5.1).
    pub fn new(source: u32, sequence: u16, timestamp: u32) -> Self {
        Self { source, sequence, timestamp, at: None, relayed: None, packets: 0, octets: 0 }
    }

    /// The time stamp of this moment, at 8 kHz. It never goes back.
    pub fn now(&self, now: Instant) -> u32 {
        let Some(at) = self.at else { return self.timestamp };
        self.timestamp.wrapping_add(units(now.saturating_duration_since(at)))
    }

    /// Writes the header of the next packet of our own into the first bytes of `datagram`.
    /// `timestamp` is what [`Stream::now`] gave when what it carries began.
    pub fn own(&mut self, datagram: &mut [u8], kind: u8, timestamp: u32, marker: bool, now: Instant) {
        let begins = self.at.is_none() || self.relayed.take().is_some();
        self.sequence = self.sequence.wrapping_add(1);
        packet::write(datagram, marker || begins, kind, self.sequence, timestamp, self.source);
        self.advance(timestamp, now);
        self.count(datagram);
    }

    /// Writes our header over that of a packet that is passed on. `datagram` begins [`HEADER`] bytes before the payload.
    pub fn pass(&mut self, datagram: &mut [u8], incoming: &Packet, kind: u8, now: Instant) {
        let fits = |relayed: &Relayed| {
            let jump = incoming.timestamp.wrapping_sub(relayed.last.1);
            relayed.source == incoming.source && !(JUMP..=u32::MAX - JUMP).contains(&jump)
        };
        let begins = !self.relayed.as_ref().is_some_and(fits);
        if begins {
            // One packet after the last, and as much later as it is.
            let next = if self.at.is_some() { self.now(now) } else { self.timestamp };
            self.relayed = Some(Relayed {
                source: incoming.source,
                sequence: self.sequence.wrapping_add(1).wrapping_sub(incoming.sequence),
                timestamp: next.wrapping_sub(incoming.timestamp),
                last: (incoming.sequence, incoming.timestamp),
            });
        }
        let Some(relayed) = &mut self.relayed else { return };
        let sequence = incoming.sequence.wrapping_add(relayed.sequence);
        let timestamp = incoming.timestamp.wrapping_add(relayed.timestamp);
        packet::write(datagram, incoming.marker || begins, kind, sequence, timestamp, self.source);
        if begins || packet::is_after(sequence, self.sequence) {
            self.sequence = sequence;
            relayed.last = (incoming.sequence, incoming.timestamp);
        }
        self.advance(timestamp, now);
        self.count(datagram);
    }

    /// The next relayed packet begins anew, whoever sends it.
    pub fn cut(&mut self) {
        self.relayed = None;
    }

    /// The time stamp was that of this moment. All packets of a key press have that of its beginning: no time passes
    /// with them.
    fn advance(&mut self, timestamp: u32, now: Instant) {
        if self.at.is_none() || (1..1 << 31).contains(&timestamp.wrapping_sub(self.timestamp)) {
            self.timestamp = timestamp;
            self.at = Some(now);
        }
    }

    fn count(&mut self, datagram: &[u8]) {
        self.packets += 1;
        self.octets += datagram.len().saturating_sub(HEADER) as u64;
    }
}

fn units(time: std::time::Duration) -> u32 {
    // 8 units a millisecond; what is longer than a day is no call.
    u32::try_from(time.as_micros() / 125).unwrap_or(u32::MAX / 4)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn sent(stream: &mut Stream, incoming: Option<(u32, u16, u32)>, at: Instant) -> Packet {
        let mut datagram = [0; HEADER + 160];
        match incoming {
            Some((source, sequence, timestamp)) => {
                let incoming = Packet {
                    marker: false,
                    kind: 0,
                    sequence,
                    timestamp,
                    source,
                    payload: HEADER..HEADER + 160,
                };
                stream.pass(&mut datagram, &incoming, 8, at);
            }
            None => {
                let timestamp = stream.now(at);
                stream.own(&mut datagram, 8, timestamp, false, at);
            }
        }
        packet::read(&datagram).expect("a packet")
    }

    #[test]
    fn prompt_bridge_prompt_is_one_stream() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut stream = Stream::new(7, 65_534, u32::MAX - 100);
        let all = [
            sent(&mut stream, None, at(0)),
            sent(&mut stream, None, at(20)),
            sent(&mut stream, Some((1, 9, 1000)), at(60)),
            sent(&mut stream, Some((1, 10, 1160)), at(81)),
            sent(&mut stream, Some((2, 500, 77)), at(100)),
            sent(&mut stream, None, at(140)),
        ];
        let sequences: Vec<_> = all.iter().map(|packet| packet.sequence).collect();
        assert_eq!(sequences, [65_535, 0, 1, 2, 3, 4]);
        let steps: Vec<_> =
            all.windows(2).map(|two| two[1].timestamp.wrapping_sub(two[0].timestamp)).collect();
        assert_eq!(steps, [160, 320, 160, 152, 320]);
        let markers: Vec<_> = all.iter().map(|packet| packet.marker).collect();
        assert_eq!(markers, [true, false, true, false, true, true]);
        assert!(all.iter().all(|packet| packet.source == 7 && packet.kind == 8));
        assert_eq!((stream.packets, stream.octets), (6, 960));
    }

    #[test]
    fn loss_and_disorder_are_passed_on() {
        let now = Instant::now();
        let mut stream = Stream::new(7, 99, 0);
        let sequences: Vec<_> = [10u16, 11, 14, 13, 15]
            .iter()
            .map(|at| sent(&mut stream, Some((1, *at, u32::from(*at) * 160)), now).sequence)
            .collect();
        assert_eq!(sequences, [100, 101, 104, 103, 105]);
        assert_eq!(sent(&mut stream, None, now).sequence, 106, "after the highest");
    }

    #[test]
    fn time_passes_while_a_key_is_pressed() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut stream = Stream::new(7, 0, 0);
        let began = stream.now(at(0));
        for ms in [0, 20, 40, 60] {
            stream.own(&mut [0; HEADER + 4], 101, began, ms == 0, at(ms));
        }
        assert_eq!(stream.now(at(100)), 800);
    }

    #[test]
    fn a_stream_that_jumps_begins_anew() {
        let now = Instant::now();
        let mut stream = Stream::new(7, 0, 0);
        let first = sent(&mut stream, Some((1, 10, 1000)), now);
        let second = sent(&mut stream, Some((1, 30_000, 900_000_000)), now + Duration::from_millis(20));
        assert_eq!(second.sequence, first.sequence + 1);
        assert_eq!(second.timestamp, first.timestamp + 160);
        assert!(second.marker);
    }
}
