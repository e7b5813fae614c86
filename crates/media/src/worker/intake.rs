//! The stream that comes in: whose it is, and how well it arrives (RFC 3550, A.1, A.3, A.8).

use std::time::Instant;

use crate::rtp::control::Block;
use crate::rtp::packet::{self, Packet};

/// What is known of it.
#[derive(Debug, Default)]
pub struct Intake {
    source: Option<u32>,
    /// Somebody new, who has sent one packet: its number.
    candidate: Option<(u32, u16)>,
    base: u16,
    highest: u16,
    wraps: u32,
    received: u32,
    /// At the last report: expected and received.
    reported: (u32, u32),
    transit: Option<u32>,
    /// Times 16.
    jitter: u32,
    begun: Option<Instant>,
}

impl Intake {
    /// The next packet's sender is taken as it is.
    pub fn renew(&mut self) {
        self.source = None;
        self.candidate = None;
    }

    /// Whether anything came.
    pub fn any(&self) -> bool {
        self.received > 0
    }

    /// A packet of sound came. False: it is of somebody new, who has to send two in a row to be believed. Senders change
    /// their number in the middle of a call without saying so: an agent's music, then the agent.
    pub fn take(&mut self, packet: &Packet, now: Instant) -> bool {
        if self.source != Some(packet.source) {
            let follows = self.candidate == Some((packet.source, packet.sequence.wrapping_sub(1)));
            if self.source.is_some() && !follows {
                self.candidate = Some((packet.source, packet.sequence));
                return false;
            }
            *self = Self {
                source: Some(packet.source),
                base: packet.sequence,
                highest: packet.sequence.wrapping_sub(1),
                begun: self.begun.or(Some(now)),
                wraps: 0,
                ..Self::default()
            };
        }
        self.received = self.received.saturating_add(1);
        if packet::is_after(packet.sequence, self.highest) {
            if packet.sequence < self.highest && self.received > 1 {
                self.wraps = self.wraps.wrapping_add(1);
            }
            self.highest = packet.sequence;
        }
        self.measure(packet.timestamp, now);
        true
    }

    /// Whose stream it is.
    pub fn is_of(&self, source: u32) -> bool {
        self.source == Some(source)
    }

    fn measure(&mut self, timestamp: u32, now: Instant) {
        let Some(begun) = self.begun else { return };
        let came = (now.saturating_duration_since(begun).as_micros() / 125) as u32;
        let transit = came.wrapping_sub(timestamp);
        if let Some(last) = self.transit {
            let off = (transit.wrapping_sub(last) as i32).unsigned_abs().min(80_000);
            self.jitter = self.jitter.saturating_add(off).saturating_sub(self.jitter / 16);
        }
        self.transit = Some(transit);
    }

    fn expected(&self) -> u32 {
        let highest = (self.wraps << 16) | u32::from(self.highest);
        highest.wrapping_sub(u32::from(self.base)).wrapping_add(1)
    }

    /// Packets that did not come. Doubled ones are no less than none.
    pub fn lost(&self) -> u32 {
        if self.received == 0 { 0 } else { self.expected().saturating_sub(self.received) }
    }

    /// Uneven arrival, in units of 8 kHz.
    pub fn jitter(&self) -> u32 {
        self.jitter / 16
    }

    /// What a report says of it, since the last one.
    pub fn block(&mut self) -> Option<Block> {
        let source = self.source.filter(|_| self.received > 0)?;
        let (expected, received) = (self.expected(), self.received);
        let since = expected.wrapping_sub(self.reported.0);
        let lost = since.saturating_sub(received.wrapping_sub(self.reported.1));
        let fraction = (u64::from(lost) * 256).checked_div(u64::from(since)).unwrap_or(0).min(255) as u8;
        self.reported = (expected, received);
        let highest = (self.wraps << 16) | u32::from(self.highest);
        Some(Block { source, fraction, lost: self.lost(), highest, jitter: self.jitter() })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn packet(source: u32, sequence: u16) -> Packet {
        Packet {
            marker: false,
            kind: 0,
            sequence,
            timestamp: u32::from(sequence) * 160,
            source,
            payload: 12..172,
        }
    }

    #[test]
    fn loss_is_counted_over_the_wrap() {
        let (mut intake, start) = (Intake::default(), Instant::now());
        for (at, sequence) in [65_534u16, 65_535, 1, 0, 4].into_iter().enumerate() {
            assert!(intake.take(&packet(1, sequence), start + Duration::from_millis(20 * at as u64)));
        }
        assert_eq!(intake.lost(), 2);
        let block = intake.block().expect("a block");
        assert_eq!((block.lost, block.fraction, block.highest), (2, 73, 0x1_0004));
        intake.take(&packet(1, 5), start);
        assert_eq!(intake.block().map(|block| block.fraction), Some(0), "since the last report");
    }

    #[test]
    fn somebody_new_sends_two_in_a_row() {
        let (mut intake, now) = (Intake::default(), Instant::now());
        assert!(intake.take(&packet(1, 5), now));
        assert!(!intake.take(&packet(2, 100), now));
        assert!(intake.take(&packet(1, 6), now));
        assert!(!intake.take(&packet(2, 200), now), "one packet now and then is nobody");
        assert!(!intake.take(&packet(3, 201), now));
        assert!(!intake.take(&packet(2, 201), now));
        assert!(intake.take(&packet(2, 202), now));
        assert!(intake.is_of(2));
        intake.renew();
        assert!(intake.take(&packet(9, 1), now), "after new terms at once");
    }

    #[test]
    fn an_even_stream_has_no_jitter() {
        let (mut intake, start) = (Intake::default(), Instant::now());
        for at in 0..100u16 {
            intake.take(&packet(1, at), start + Duration::from_millis(20) * u32::from(at));
        }
        assert_eq!((intake.jitter(), intake.lost()), (0, 0));
    }
}
