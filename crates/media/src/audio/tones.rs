//! Tones and keys: made, and found again (Goertzel's filter: how much of one frequency is in a piece of sound).
//!
//! Keys in the sound itself are pairs of one low and one high frequency (ITU-T Q.23); how strict a receiver is says Q.24.

use std::f32::consts::TAU;

const LOW: [f32; 4] = [697.0, 770.0, 852.0, 941.0];
const HIGH: [f32; 4] = [1209.0, 1336.0, 1477.0, 1633.0];
const KEYS: [[char; 4]; 4] =
    [['1', '2', '3', 'A'], ['4', '5', '6', 'B'], ['7', '8', '9', 'C'], ['*', '0', '#', 'D']];

/// How loud made tones are together: −10 dB of full scale.
const LEVEL: f32 = 10_000.0;

/// A sum of frequencies, `length` samples of it, with soft ends so that nothing clicks.
pub fn tone(hz: &[f32], rate: u32, length: usize) -> Vec<i16> {
    let each = LEVEL / hz.len().max(1) as f32;
    let soft = (rate as usize / 400).min(length / 2).max(1);
    let sample = |at: usize| {
        // The remainder keeps the phase exact however long it lasts.
        let sum: f32 = hz.iter().map(|hz| wave(*hz, rate, at)).sum();
        let end = (at + 1).min(length - at).min(soft) as f32 / soft as f32;
        (sum * each * end) as i16
    };
    (0..length).map(sample).collect()
}

fn wave(hz: f32, rate: u32, at: usize) -> f32 {
    let turns = (f64::from(hz) * at as f64 / f64::from(rate.max(1))).fract();
    (TAU * turns as f32).sin()
}

/// The two frequencies of a key. None: there is no such key.
pub fn key(key: char) -> Option<[f32; 2]> {
    let key = key.to_ascii_uppercase();
    KEYS.iter().zip(LOW).find_map(|(row, low)| {
        let column = row.iter().position(|known| *known == key)?;
        Some([low, *HIGH.get(column)?])
    })
}

/// How much of `hz` is in `samples`: the square of its amplitude.
fn power(samples: &[i16], hz: f32, rate: u32) -> f32 {
    let by = 2.0 * (TAU * hz / rate as f32).cos();
    let (mut one, mut two) = (0.0f32, 0.0f32);
    for sample in samples {
        let next = f32::from(*sample) + by * one - two;
        (two, one) = (one, next);
    }
    let length = samples.len().max(1) as f32;
    (one * one + two * two - by * one * two) * 4.0 / (length * length)
}

/// Finds keys in a stream of sound at 8 kHz.
pub struct Keys {
    block: Vec<i16>,
    /// The key of the last blocks, and in how many.
    last: (Option<char>, u32),
    told: Option<char>,
    pause: u32,
}

/// A block: 12.75 ms. Three in a row hold every press of 40 ms (Q.24), none that is shorter than 23 ms.
const BLOCK: usize = 102;
/// Presses are told in their so-manieth block.
const PRESSED: u32 = 3;
/// A key is up after so many blocks without it.
const UP: u32 = 2;
/// Quieter than this is no key: −36 dB of full scale, squared amplitude.
const QUIET: f32 = 250_000.0;

impl Default for Keys {
    fn default() -> Self {
        Self { block: Vec::with_capacity(BLOCK), last: (None, 0), told: None, pause: 0 }
    }
}

impl Keys {
    /// The keys that are pressed in these samples, each once.
    pub fn hear(&mut self, samples: &[i16], mut pressed: impl FnMut(char)) {
        for sample in samples {
            self.block.push(*sample);
            if self.block.len() == BLOCK {
                if let Some(key) = self.judge() {
                    pressed(key);
                }
                self.block.clear();
            }
        }
    }

    fn judge(&mut self) -> Option<char> {
        let now = key_in(&self.block);
        self.last = if now == self.last.0 { (now, self.last.1 + 1) } else { (now, 1) };
        if now == self.told {
            self.pause = 0;
        } else {
            self.pause += 1;
            if self.pause >= UP {
                self.told = None;
            }
        }
        let key = now.filter(|_| self.last.1 >= PRESSED && self.told != now)?;
        self.told = Some(key);
        self.pause = 0;
        Some(key)
    }
}

/// The key in a block at 8 kHz: one frequency of each group alone, about as loud as each other, and little else.
fn key_in(block: &[i16]) -> Option<char> {
    let energy =
        block.iter().map(|sample| f32::from(*sample).powi(2)).sum::<f32>() / block.len().max(1) as f32;
    if energy < QUIET / 2.0 {
        return None;
    }
    let (row, low) = loudest(block, LOW)?;
    let (column, high) = loudest(block, HIGH)?;
    // Twist: the high one up to 4 dB louder, the low one up to 8 dB.
    if low < QUIET / 4.0 || high < QUIET / 4.0 || high > low * 2.5 || low > high * 6.3 {
        return None;
    }
    // Two pure tones carry half the square of their amplitudes; speech carries much more beside them.
    ((low + high) / 2.0 > energy * 0.7).then_some(KEYS[row][column])
}

/// The loudest of four, if it stands out.
fn loudest(block: &[i16], of: [f32; 4]) -> Option<(usize, f32)> {
    let powers = of.map(|hz| power(block, hz, 8000));
    let (at, most) = powers.iter().copied().enumerate().max_by(|one, other| one.1.total_cmp(&other.1))?;
    let others = powers.iter().enumerate().filter(|(place, _)| *place != at);
    // Blocks as short as these let neighbours in; 5 dB is what is left between them.
    others.map(|(_, power)| *power).all(|power| power * 3.2 < most).then_some((at, most))
}

/// The keys that are heard in a piece of sound, in order.
pub fn digits(samples: &[i16], rate: u32) -> String {
    let samples = super::resample::whole(samples, rate, 8000);
    let mut heard = String::new();
    Keys::default().hear(&samples, |key| heard.push(key));
    heard
}

/// A tone that was found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Heard {
    /// Its frequency, to about 10 Hz: the loudest one.
    pub hz: f32,
    /// Where it begins, in milliseconds.
    pub from_ms: u32,
    /// Where it ends.
    pub to_ms: u32,
}

/// The tones in a piece of sound: stretches of at least 60 ms in which one frequency, from 100 Hz to 3.5 kHz, is most of
/// what is heard. For tests and the demo: it looks at every frequency.
pub fn detect(samples: &[i16], rate: u32) -> Vec<Heard> {
    let block = (rate as usize / 50).max(1);
    let mut found: Vec<Heard> = Vec::new();
    for (at, samples) in samples.chunks_exact(block).enumerate() {
        let Some(hz) = pure(samples, rate) else { continue };
        let (from_ms, to_ms) = (at as u32 * 20, at as u32 * 20 + 20);
        match found.last_mut() {
            Some(last) if last.to_ms + 20 >= from_ms && (last.hz - hz).abs() < 25.0 => last.to_ms = to_ms,
            _ => found.push(Heard { hz, from_ms, to_ms }),
        }
    }
    found.retain(|heard| heard.to_ms - heard.from_ms >= 60);
    found
}

fn pure(samples: &[i16], rate: u32) -> Option<f32> {
    let energy =
        samples.iter().map(|sample| f32::from(*sample).powi(2)).sum::<f32>() / samples.len().max(1) as f32;
    if energy < QUIET / 2.0 {
        return None;
    }
    let best = |from: f32, to: f32, step: f32| {
        let all = (0..).map(|at| from + step * at as f32).take_while(move |hz| *hz <= to);
        all.map(|hz| (hz, power(samples, hz, rate))).max_by(|one, other| one.1.total_cmp(&other.1))
    };
    let (near, _) = best(100.0, 3500.0, 25.0)?;
    let (hz, power) = best(near - 20.0, near + 20.0, 5.0)?;
    (power / 2.0 > energy * 0.6).then_some(hz)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Noise without a dependency: a linear congruential generator.
    fn noise(length: usize, level: i32) -> Vec<i16> {
        let mut state = 1u32;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            ((state >> 16) as i32 % (2 * level + 1) - level) as i16
        };
        (0..length).map(|_| next()).collect()
    }

    fn presses(keys: &str, on_ms: usize, off_ms: usize) -> Vec<i16> {
        let mut all = vec![0; 400];
        for letter in keys.chars() {
            all.extend(tone(&key(letter).expect("a key"), 8000, on_ms * 8));
            all.extend(vec![0; off_ms * 8]);
        }
        all
    }

    #[test]
    fn every_key_is_heard_once() {
        let all = "1234567890*#ABCD11";
        assert_eq!(digits(&presses(all, 60, 60), 8000), all);
        assert_eq!(digits(&presses(all, 45, 45), 8000), all);
        assert_eq!(digits(&presses("5", 2000, 50), 8000), "5");
    }

    #[test]
    fn keys_are_heard_through_a_codec_and_some_noise() {
        let mut sound = presses("159*", 70, 70);
        for (sample, noise) in sound.iter_mut().zip(noise(100_000, 300)) {
            let there = super::super::g711::to_ulaw(sample.saturating_add(noise));
            *sample = super::super::g711::from_ulaw(there);
        }
        assert_eq!(digits(&sound, 8000), "159*");
    }

    #[test]
    fn what_is_no_key_is_not_heard() {
        assert_eq!(digits(&presses("5", 20, 60), 8000), "", "too short");
        assert_eq!(digits(&noise(80_000, 20_000), 8000), "", "noise");
        assert_eq!(digits(&tone(&[697.0], 8000, 8000), 8000), "", "one tone");
        assert_eq!(digits(&tone(&[440.0, 480.0], 8000, 8000), 8000), "", "ringing");
        let quiet: Vec<i16> = presses("5", 100, 50).iter().map(|sample| sample / 100).collect();
        assert_eq!(digits(&quiet, 8000), "", "too quiet");
    }

    #[test]
    fn tones_are_found_with_their_times() {
        let mut sound = vec![0; 8000];
        sound.extend(tone(&[440.0], 8000, 4000));
        sound.extend(tone(&[1330.0], 8000, 8000));
        let found = detect(&sound, 8000);
        let close = |heard: &Heard, hz: f32, from: u32, to: u32| {
            (heard.hz - hz).abs() < 15.0
                && heard.from_ms.abs_diff(from) <= 40
                && heard.to_ms.abs_diff(to) <= 40
        };
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(close(&found[0], 440.0, 1000, 1500) && close(&found[1], 1330.0, 1500, 2500), "{found:?}");
        assert!(detect(&noise(16_000, 10_000), 8000).is_empty());
    }
}
