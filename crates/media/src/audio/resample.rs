//! From one rate to another: a low-pass filter (a sinc under a Kaiser window) that is looked at only where a sample of the
//! new rate is. Exact for rates with a common ratio, as all in telephony have.

use std::f64::consts::PI;

/// The filter reaches over so many samples of the lower rate, to each side.
const REACH: usize = 16;

/// The pass band ends here, of half the lower rate: 3.68 kHz at 8 kHz.
const CUT: f64 = 0.92;

/// How steep the window falls; 7 gives about 70 dB.
const BETA: f64 = 7.0;

/// Rates that are taken.
const RATES: std::ops::RangeInclusive<u32> = 4000..=192_000;

/// Makes another rate of a stream.
pub struct Resampler {
    up: usize,
    down: usize,
    /// Coefficients by phase: `up` times `taps`.
    filter: Vec<f32>,
    taps: usize,
    /// The last samples, `taps` of them, and what came now.
    held: Vec<f32>,
    /// Where the next new sample is, in `1/up` samples behind the first of `held`.
    at: usize,
}

impl Resampler {
    /// From `from` to `to` samples a second. None: a rate that no sound has.
    pub fn new(from: u32, to: u32) -> Option<Self> {
        if !RATES.contains(&from) || !RATES.contains(&to) {
            return None;
        }
        let common = gcd(from, to);
        let (up, down) = ((to / common) as usize, (from / common) as usize);
        // In samples of the old rate.
        let cut = CUT * f64::from(to.min(from)) / f64::from(from);
        let reach = (REACH as f64 / (f64::from(to.min(from)) / f64::from(from))).ceil() as usize;
        let taps = 2 * reach;
        let mut filter = vec![0.0; up * taps];
        for (phase, coefficients) in filter.chunks_exact_mut(taps).enumerate() {
            let middle = (reach - 1) as f64 + phase as f64 / up as f64;
            let mut sum = 0.0;
            for (tap, coefficient) in coefficients.iter_mut().enumerate() {
                let off = tap as f64 - middle;
                let value = cut * sinc(off * cut) * kaiser(off / reach as f64);
                *coefficient = value as f32;
                sum += value;
            }
            // Silence and steady sound stay as they are in each phase.
            coefficients.iter_mut().for_each(|coefficient| *coefficient /= sum as f32);
        }
        Some(Self { up, down, filter, taps, held: vec![0.0; taps - 1], at: 0 })
    }

    /// Takes samples, and adds what they make to `out`. The sound is late by half the filter.
    pub fn push(&mut self, samples: &[i16], out: &mut Vec<i16>) {
        self.held.extend(samples.iter().map(|sample| f32::from(*sample)));
        loop {
            let (start, phase) = (self.at / self.up, self.at % self.up);
            let Some(window) = self.held.get(start..start + self.taps) else { break };
            let coefficients = self.filter.chunks_exact(self.taps).nth(phase).unwrap_or_default();
            out.push(rounded(dot(window, coefficients)));
            self.at += self.down;
        }
        let done = (self.at / self.up).min(self.held.len());
        self.held.drain(..done);
        self.at -= done * self.up;
    }
}

/// The sum of the products. In lanes: one sum waits for itself at each step, eight do not, and become vectors.
fn dot(samples: &[f32], by: &[f32]) -> f32 {
    const LANES: usize = 8;
    let ((samples, last), (by, last_by)) = (samples.as_chunks::<LANES>(), by.as_chunks::<LANES>());
    let mut sums = [0.0f32; LANES];
    for (samples, by) in samples.iter().zip(by) {
        for ((sum, sample), by) in sums.iter_mut().zip(samples).zip(by) {
            *sum += sample * by;
        }
    }
    let rest: f32 = last.iter().zip(last_by).map(|(sample, by)| sample * by).sum();
    sums.iter().sum::<f32>() + rest
}

/// The nearest sample. The cast cuts off what is behind the point, and keeps within the limits by itself.
fn rounded(value: f32) -> i16 {
    (value + 0.5f32.copysign(value)) as i16
}

/// A whole sound at another rate. A rate that no sound has gives silence of no length.
pub fn whole(samples: &[i16], from: u32, to: u32) -> Vec<i16> {
    if from == to {
        return samples.to_vec();
    }
    let Some(mut resampler) = Resampler::new(from, to) else { return Vec::new() };
    let length = (samples.len() as u64 * u64::from(to)).div_ceil(u64::from(from)) as usize;
    // The sound is late by half the filter; what is late is cut in front and pushed out behind.
    let half = resampler.taps / 2;
    let late = half * resampler.up / resampler.down;
    let mut out = Vec::with_capacity(length + 2 * late + 2);
    resampler.push(samples, &mut out);
    resampler.push(&vec![0; resampler.taps + resampler.down], &mut out);
    out.drain(..late.saturating_sub(1).min(out.len()));
    out.truncate(length);
    out
}

fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}

fn sinc(x: f64) -> f64 {
    if x.abs() < 1e-9 { 1.0 } else { (PI * x).sin() / (PI * x) }
}

/// The Kaiser window at `x`, from −1 to 1.
fn kaiser(x: f64) -> f64 {
    if x.abs() > 1.0 { 0.0 } else { bessel(BETA * (1.0 - x * x).sqrt()) / bessel(BETA) }
}

/// The modified Bessel function of order zero, by its series.
fn bessel(x: f64) -> f64 {
    let (mut sum, mut term) = (1.0, 1.0);
    for k in 1..32 {
        term *= (x / 2.0 / f64::from(k)).powi(2);
        sum += term;
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::super::tones;
    use super::*;

    fn loudness(samples: &[i16]) -> f64 {
        let middle = &samples[samples.len() / 4..samples.len() * 3 / 4];
        (middle.iter().map(|sample| f64::from(*sample).powi(2)).sum::<f64>() / middle.len() as f64).sqrt()
    }

    #[test]
    fn what_both_rates_can_carry_stays() {
        for (from, to) in
            [(22_050, 8000), (24_000, 8000), (8000, 16_000), (16_000, 8000), (44_100, 8000), (8000, 48_000)]
        {
            let tone = tones::tone(&[1000.0], from, from as usize);
            let made = whole(&tone, from, to);
            assert_eq!(made.len(), to as usize, "{from} to {to}");
            let ratio = loudness(&made) / loudness(&tone);
            assert!((0.98..1.02).contains(&ratio), "{from} to {to}: {ratio}");
            let found = tones::detect(&made, to);
            assert!(matches!(found.as_slice(), [one] if (one.hz - 1000.0).abs() < 20.0), "{found:?}");
        }
    }

    #[test]
    fn what_the_new_rate_cannot_carry_goes() {
        let tone = tones::tone(&[5000.0], 22_050, 22_050);
        let made = whole(&tone, 22_050, 8000);
        assert!(loudness(&made) < loudness(&tone) / 200.0, "{}", loudness(&made));
    }

    #[test]
    fn pieces_make_the_same_as_the_whole() {
        let tone = tones::tone(&[440.0], 8000, 8000);
        let mut together = Vec::new();
        Resampler::new(8000, 16_000).expect("rates").push(&tone, &mut together);
        let (mut pieces, mut resampler) = (Vec::new(), Resampler::new(8000, 16_000).expect("rates"));
        for piece in tone.chunks(37) {
            resampler.push(piece, &mut pieces);
        }
        assert_eq!(pieces, together);
        assert!(together.len().abs_diff(16_000) <= 2);
    }

    #[test]
    fn rates_that_no_sound_has_are_refused() {
        assert!(Resampler::new(0, 8000).is_none());
        assert!(Resampler::new(8000, 1_000_000).is_none());
        assert!(whole(&[1, 2, 3], 1, 8000).is_empty());
    }
}
