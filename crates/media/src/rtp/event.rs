//! Digits as events (RFC 4733): a packet says which key is down and for how long; all packets of one key press share a
//! time stamp, and the last is sent three times.

use std::time::{Duration, Instant};

/// The payload of an event, in bytes.
pub const LENGTH: usize = 4;

/// Keys are reported no faster than this, on average. Nobody types faster; a flood is dropped.
const PACE: Duration = Duration::from_millis(40);

/// So many may come at once.
const BURST: u32 = 32;

/// How loud a key is said to be: −10 dBm0.
const VOLUME: u8 = 10;

/// What an event packet says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Event {
    /// Which: 0 to 9, 10 is `*`, 11 is `#`, 12 to 15 are A to D; what is above are no keys.
    pub code: u8,
    /// The key is up again.
    pub end: bool,
    /// How long it was down until now, in units of the payload's clock.
    pub duration: u16,
}

/// Reads an event's payload. None: it is too short.
pub fn read(payload: &[u8]) -> Option<Event> {
    let [code, flags, high, low] = *payload.first_chunk::<LENGTH>()?;
    Some(Event { code, end: flags & 0x80 != 0, duration: u16::from_be_bytes([high, low]) })
}

/// An event's payload.
pub fn write(event: Event) -> [u8; LENGTH] {
    let [high, low] = event.duration.to_be_bytes();
    [event.code, VOLUME | if event.end { 0x80 } else { 0 }, high, low]
}

/// The key of an event. None: it is no key (flash, tones).
pub fn key(code: u8) -> Option<char> {
    Some(char::from(*b"0123456789*#ABCD".get(usize::from(code))?))
}

/// The event of a key. None: there is no such key.
pub fn code(key: char) -> Option<u8> {
    let key = key.to_ascii_uppercase();
    "0123456789*#ABCD".chars().position(|known| known == key).and_then(|at| u8::try_from(at).ok())
}

/// Key presses among the event packets of one stream.
#[derive(Debug, Default)]
pub struct Keys {
    last: Option<Last>,
    pace: Pace,
}

#[derive(Debug, Clone, Copy)]
struct Last {
    source: u32,
    timestamp: u32,
    code: u8,
    end: bool,
}

impl Keys {
    /// The key that this packet presses. None: it is more of a press already told, an old one, no key, or one too many.
    ///
    /// A press is told by its first packet that arrives, also when that is one of the three that end it.
    pub fn hear(&mut self, source: u32, timestamp: u32, event: Event, now: Instant) -> Option<char> {
        let key = key(event.code)?;
        let told = self.last.is_some_and(|last| last.source == source && !last.begins(timestamp, event));
        let same = self.last.is_some_and(|last| last.source == source && last.timestamp == timestamp);
        if same && let Some(last) = &mut self.last {
            last.end |= event.end;
        }
        if told {
            // A press longer than the field can say goes on under the next time stamp (RFC 4733, 2.5.1.3).
            if let Some(last) = &mut self.last
                && last.continues(timestamp, event)
            {
                last.timestamp = timestamp;
            }
            return None;
        }
        self.last = Some(Last { source, timestamp, code: event.code, end: event.end });
        self.pace.allows(now).then_some(key)
    }
}

impl Last {
    /// Whether this is a press of its own.
    fn begins(&self, timestamp: u32, event: Event) -> bool {
        let later = timestamp.wrapping_sub(self.timestamp);
        later != 0 && later < 1 << 31 && !self.continues(timestamp, event)
    }

    fn continues(&self, timestamp: u32, event: Event) -> bool {
        !self.end && event.code == self.code && timestamp.wrapping_sub(self.timestamp) == 0xffff
    }
}

/// A bucket that fills with time.
#[derive(Debug, Default)]
pub struct Pace {
    full_at: Option<Instant>,
}

impl Pace {
    /// Whether one more may come now.
    pub fn allows(&mut self, now: Instant) -> bool {
        let empty = now.checked_sub(PACE * BURST).unwrap_or(now);
        let until = self.full_at.map_or(empty, |at| at.max(empty)) + PACE;
        if until > now {
            return false;
        }
        self.full_at = Some(until);
        true
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn event(code: u8, end: bool, duration: u16) -> Event {
        Event { code, end, duration }
    }

    #[test]
    fn payloads_are_read_as_written() {
        let pressed = event(11, true, 800);
        assert_eq!(write(pressed), [11, 0x8a, 3, 32]);
        assert_eq!(read(&write(pressed)), Some(pressed));
        assert_eq!(read(&[1, 2, 3]), None);
    }

    #[test]
    fn keys_and_codes_are_the_same_list() {
        for (at, letter) in "0123456789*#ABCD".chars().enumerate() {
            assert_eq!(code(letter), Some(at as u8));
            assert_eq!(key(at as u8), Some(letter));
        }
        assert_eq!(code('a'), Some(12));
        assert_eq!((key(16), code('x')), (None, None));
    }

    #[test]
    fn a_press_is_told_once() {
        let (mut keys, now) = (Keys::default(), Instant::now());
        let press: Vec<_> = [(false, 160), (false, 320), (true, 480), (true, 480), (true, 480)]
            .iter()
            .map(|(end, duration)| keys.hear(1, 1000, event(5, *end, *duration), now))
            .collect();
        assert_eq!(press, [Some('5'), None, None, None, None]);
        assert_eq!(keys.hear(1, 2000, event(5, true, 480), now), Some('5'), "seen only at its end");
        assert_eq!(keys.hear(1, 1000, event(5, true, 480), now), None, "late");
        assert_eq!(keys.hear(2, 1000, event(5, true, 480), now), Some('5'), "another stream");
        assert_eq!(keys.hear(2, 3000, event(16, false, 480), now), None, "flash");
    }

    #[test]
    fn a_press_longer_than_the_field_is_one() {
        let (mut keys, now) = (Keys::default(), Instant::now());
        assert_eq!(keys.hear(1, 10, event(1, false, 0xffff), now), Some('1'));
        assert_eq!(keys.hear(1, 10 + 0xffff, event(1, false, 160), now), None);
        assert_eq!(keys.hear(1, 10 + 0xffff, event(1, true, 320), now), None);
        assert_eq!(keys.hear(1, 10 + 2 * 0xffff, event(1, false, 160), now), Some('1'));
    }

    #[test]
    fn a_flood_is_dropped() {
        let (mut keys, now) = (Keys::default(), Instant::now());
        let mut told = 0;
        for at in 0..10_000 {
            told += u32::from(keys.hear(1, at * 10, event(1, false, 1), now).is_some());
        }
        assert_eq!(told, BURST);
        let later = now + PACE * 3;
        let more = (0..100).filter(|at| keys.hear(1, 200_000 + at * 10, event(1, false, 1), later).is_some());
        assert_eq!(more.count(), 3);
    }

    proptest! {
        #[test]
        fn any_events_are_taken(packets in proptest::collection::vec((0u32..3, any::<u32>(), any::<u8>(), any::<bool>(), any::<u16>()), 0..100)) {
            let (mut keys, now) = (Keys::default(), Instant::now());
            for (source, timestamp, code, end, duration) in packets {
                let _ = keys.hear(source, timestamp, event(code, end, duration), now);
            }
        }
    }
}
