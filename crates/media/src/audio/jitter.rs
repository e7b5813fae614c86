//! Packets back in order and in time, for those who listen: recording, keys in the sound, speech. A window of time that
//! packets are written into by their time stamp and that is read from behind them, at the pace of the clock.
//!
//! What is relayed does not pass here: the far end has a buffer of its own.

use std::collections::VecDeque;
use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

/// A missing stretch is filled with what was before, fading, for so many frames.
const FADES: u32 = 3;

/// After so many packets in a row that came too late, the window moves to where they are.
const LATE: u32 = 3;

/// A window at 8,000 samples a second, which is also the clock of time stamps.
pub struct Window {
    /// None: nothing was heard at that moment.
    samples: VecDeque<Option<i16>>,
    /// The time stamp of the first sample.
    first: u32,
    source: Option<u32>,
    delay: RangeInclusive<u32>,
    /// How uneven packets come (RFC 3550, 6.4.1), times 16.
    jitter: u32,
    last: Option<(Instant, u32)>,
    frame: Vec<i16>,
    missed: u32,
    /// So many packets in a row came too late.
    late: u32,
}

fn units(time: Duration) -> u32 {
    u32::try_from(time.as_micros() / 125).unwrap_or(u32::MAX)
}

/// The longest window: a second.
const LONGEST: u32 = 8000;

impl Window {
    /// A window that waits between these times for late packets.
    pub fn new(delay: &RangeInclusive<Duration>) -> Self {
        let low = units(*delay.start()).clamp(160, LONGEST / 2);
        let high = units(*delay.end()).clamp(low, LONGEST / 2);
        Self {
            samples: VecDeque::new(),
            first: 0,
            source: None,
            delay: low..=high,
            jitter: 0,
            last: None,
            frame: Vec::new(),
            missed: FADES,
            late: 0,
        }
    }

    /// Writes the sound of a packet to its place.
    pub fn push(&mut self, source: u32, timestamp: u32, samples: &[i16], now: Instant) {
        self.measure(timestamp, now);
        let offset = timestamp.wrapping_sub(self.first) as i32;
        let length = i32::try_from(samples.len()).unwrap_or(i32::MAX);
        let late = offset.saturating_add(length) <= 0;
        self.late = if late { self.late + 1 } else { 0 };
        // Another talker, a leap of its clock, or a clock that is slower than ours.
        if self.source != Some(source) || offset.unsigned_abs() > LONGEST || self.late > LATE {
            self.begin(source, timestamp);
        } else if late {
            return;
        }
        let offset = timestamp.wrapping_sub(self.first) as i32;
        for (at, sample) in (offset..).zip(samples) {
            let Ok(at) = usize::try_from(at) else { continue };
            if at >= LONGEST as usize * 2 {
                break;
            }
            if at >= self.samples.len() {
                self.samples.resize(at + 1, None);
            }
            if let Some(place) = self.samples.get_mut(at) {
                *place = Some(*sample);
            }
        }
    }

    /// From here on, what comes is behind what is still to be read.
    fn begin(&mut self, source: u32, timestamp: u32) {
        self.source = Some(source);
        self.late = 0;
        let delay = self.delay_now().saturating_sub(self.samples.len() as u32);
        self.samples.extend(std::iter::repeat_n(None, delay as usize));
        self.first = timestamp.wrapping_sub(self.samples.len() as u32);
    }

    fn measure(&mut self, timestamp: u32, now: Instant) {
        if let Some((at, last)) = self.last {
            let came = units(now.saturating_duration_since(at)) as i32;
            let off = came.wrapping_sub(timestamp.wrapping_sub(last) as i32).unsigned_abs().min(LONGEST);
            self.jitter = self.jitter.saturating_add(off).saturating_sub(self.jitter / 16);
        }
        self.last = Some((now, timestamp));
    }

    fn delay_now(&self) -> u32 {
        (self.jitter / 16).saturating_mul(4).clamp(*self.delay.start(), *self.delay.end())
    }

    /// The sound of the next `length` samples of the clock. What is missing is filled with what was before, fading;
    /// then with silence.
    pub fn pull(&mut self, length: usize) -> &[i16] {
        let before = std::mem::take(&mut self.frame);
        let heard = self.samples.iter().take(length).filter(|sample| sample.is_some()).count();
        let available = self.samples.len().min(length);
        let mut frame: Vec<i16> =
            self.samples.drain(..available).map(|sample| sample.unwrap_or_default()).collect();
        frame.resize(length, 0);
        self.first = self.first.wrapping_add(length as u32);
        if heard * 2 < length && self.missed < FADES && before.len() == length {
            self.missed += 1;
            if heard == 0 {
                let fade = |sample: &i16| (i32::from(*sample) / 2) as i16;
                frame = before.iter().map(fade).collect();
            }
        } else if heard > 0 {
            self.missed = 0;
        }
        // A sender whose clock is faster than ours fills the window: what is too much is left out.
        let most = (self.delay_now() * 2 + 320) as usize;
        if self.samples.len() > most {
            let more = self.samples.len() - most;
            self.samples.drain(..more);
            self.first = self.first.wrapping_add(more as u32);
        }
        self.frame = frame;
        &self.frame
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DELAY: RangeInclusive<Duration> = Duration::from_millis(40)..=Duration::from_millis(200);

    fn all(window: &mut Window, frames: usize) -> Vec<i16> {
        (0..frames).flat_map(|_| window.pull(160).to_vec()).collect()
    }

    #[test]
    fn order_is_restored() {
        let (mut window, now) = (Window::new(&DELAY), Instant::now());
        for at in [0u32, 2, 1, 3] {
            window.push(1, 1000 + at * 160, &[at as i16 + 1; 160], now);
        }
        let heard = all(&mut window, 6);
        let frames: Vec<_> = heard.chunks(160).map(|frame| frame[80]).collect();
        assert_eq!(frames, [0, 0, 1, 2, 3, 4], "two frames late");
    }

    #[test]
    fn a_gap_fades_and_then_is_silent() {
        let (mut window, now) = (Window::new(&DELAY), Instant::now());
        window.push(1, 0, &[800; 160], now);
        let mut heard = all(&mut window, 6);
        window.push(1, 160 * 8, &[100; 160], now + Duration::from_millis(160));
        heard.extend(all(&mut window, 5));
        let frames: Vec<_> = heard.chunks(160).map(|frame| frame[80]).collect();
        assert_eq!(frames, [0, 0, 800, 400, 200, 100, 0, 0, 0, 0, 100]);
    }

    #[test]
    fn a_late_packet_is_left_out_and_a_new_talker_is_heard() {
        let (mut window, now) = (Window::new(&DELAY), Instant::now());
        window.push(1, 1600, &[1; 160], now);
        all(&mut window, 5);
        window.push(1, 1600, &[9; 160], now);
        assert!(all(&mut window, 3).iter().all(|sample| *sample < 9));
        window.push(2, 77, &[5; 160], now);
        assert!(all(&mut window, 4).contains(&5));
    }

    #[test]
    fn a_slow_clock_is_followed() {
        let (mut window, now) = (Window::new(&DELAY), Instant::now());
        window.push(1, 0, &[5; 160], now);
        // Read twice as fast as it comes.
        let heard: Vec<i16> = (1..100u32)
            .flat_map(|at| {
                window.push(1, at * 160, &[5; 160], now + Duration::from_millis(20) * at);
                all(&mut window, 2)
            })
            .collect();
        let most = heard.iter().filter(|sample| **sample == 5).count();
        assert!(most > 20 * 160, "{most}");
    }

    #[test]
    fn hostile_time_stamps_need_no_memory() {
        let (mut window, now) = (Window::new(&DELAY), Instant::now());
        let mut stamp = 1u32;
        for at in 0..10_000u32 {
            stamp = stamp.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            window.push(at % 3, stamp >> (at % 32), &[1; 160], now);
            if at % 2 == 0 {
                window.pull(160);
            }
            assert!(window.samples.len() <= LONGEST as usize * 3, "{}", window.samples.len());
        }
    }
}
