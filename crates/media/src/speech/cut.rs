//! Where somebody begins and ends to speak, by loudness: an utterance begins with 60 ms that are well above the noise, and
//! ends with a pause.

use std::collections::VecDeque;
use std::time::Duration;

/// What was said between two pauses: samples at 8 kHz.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Utterance {
    /// The samples.
    pub samples: Vec<i16>,
}

/// A frame: 20 ms.
const FRAME: usize = 160;
/// So many loud frames in a row begin an utterance.
const BEGINS: u32 = 3;
/// So many frames before it belong to it: a soft first letter.
const BEFORE: usize = 15;
/// Louder than the noise by this, in power: 9 dB.
const ABOVE: f32 = 8.0;
/// Quieter than this is never speech: −50 dB of full scale, as power.
const FLOOR: f32 = 10_000.0;

/// Cuts a stream at 8 kHz into utterances.
pub struct Cut {
    pause: u32,
    longest: usize,
    frame: Vec<i16>,
    before: VecDeque<i16>,
    noise: f32,
    loud: u32,
    quiet: u32,
    said: Option<Vec<i16>>,
}

impl Cut {
    /// An utterance ends with a pause of `pause`, and at `longest` in any case.
    pub fn new(pause: Duration, longest: Duration) -> Self {
        let frames = |time: Duration| u32::try_from(time.as_millis() / 20).unwrap_or(u32::MAX).max(5);
        Self {
            pause: frames(pause),
            longest: frames(longest.min(Duration::from_secs(120))) as usize * FRAME,
            frame: Vec::with_capacity(FRAME),
            before: VecDeque::with_capacity(BEFORE * FRAME),
            noise: FLOOR / ABOVE,
            loud: 0,
            quiet: 0,
            said: None,
        }
    }

    /// Takes sound. Gives an utterance that has just ended.
    pub fn hear(&mut self, samples: &[i16]) -> Option<Utterance> {
        let mut ended = None;
        for sample in samples {
            self.frame.push(*sample);
            if self.frame.len() == FRAME {
                let frame = std::mem::replace(&mut self.frame, Vec::with_capacity(FRAME));
                ended = self.judge(&frame).or(ended);
            }
        }
        ended
    }

    fn judge(&mut self, frame: &[i16]) -> Option<Utterance> {
        let power = frame.iter().map(|sample| f32::from(*sample).powi(2)).sum::<f32>() / FRAME as f32;
        let loud = power > (self.noise * ABOVE).max(FLOOR);
        // What is quiet is noise, and noise changes slowly; what becomes quieter is believed at once.
        if !loud || power < self.noise {
            self.noise += (power - self.noise) * if power < self.noise { 0.3 } else { 0.05 };
        }
        self.loud = if loud { self.loud + 1 } else { 0 };
        self.quiet = if loud { 0 } else { self.quiet + 1 };
        let Some(said) = &mut self.said else {
            while self.before.len() + FRAME > BEFORE * FRAME {
                self.before.drain(..FRAME.min(self.before.len()));
            }
            self.before.extend(frame);
            if self.loud >= BEGINS {
                self.said = Some(self.before.drain(..).collect());
            }
            return None;
        };
        said.extend_from_slice(frame);
        if self.quiet < self.pause && said.len() < self.longest {
            return None;
        }
        self.loud = 0;
        self.said.take().map(|samples| Utterance { samples })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::tones;

    fn cut() -> Cut {
        Cut::new(Duration::from_millis(700), Duration::from_secs(10))
    }

    fn quiet(ms: usize) -> Vec<i16> {
        (0..ms * 8).map(|at| [3, -4, 5, -2][at % 4]).collect()
    }

    #[test]
    fn speech_between_pauses_is_one_utterance() {
        let mut cut = cut();
        assert_eq!(cut.hear(&quiet(1000)), None);
        assert_eq!(cut.hear(&tones::tone(&[300.0, 500.0], 8000, 8000)), None);
        assert_eq!(cut.hear(&quiet(300)), None, "a short pause is part of it");
        assert_eq!(cut.hear(&tones::tone(&[300.0], 8000, 4000)), None);
        let said = cut.hear(&quiet(800)).expect("it ended").samples;
        let ms = said.len() / 8;
        assert!((2500..2900).contains(&ms), "{ms}");
        assert_eq!(cut.hear(&quiet(5000)), None);
    }

    #[test]
    fn a_click_is_no_speech_and_a_monologue_is_cut() {
        let mut cut = cut();
        cut.hear(&quiet(500));
        cut.hear(&tones::tone(&[300.0], 8000, 160));
        assert_eq!(cut.hear(&quiet(2000)), None);
        let said = cut.hear(&tones::tone(&[300.0], 8000, 8000 * 11)).expect("cut");
        assert!(said.samples.len() <= 80_000 + 160);
    }
}
