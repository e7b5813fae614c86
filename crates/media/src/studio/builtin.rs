//! Sounds that are always there.

use std::time::Duration;

use crate::audio::sound::Sound;
use crate::audio::tones;

/// One round of what is heard while the other side is rung, as in North America (ITU-T E.180): 2 s on, 4 s off.
pub fn ringback(rate: u32) -> Sound {
    let mut sound = Sound::tone(&[440.0, 480.0], rate, Duration::from_secs(2));
    sound.samples.iter_mut().for_each(|sample| *sample /= 2);
    sound.samples.extend(Sound::silence(rate, Duration::from_secs(4)).samples);
    sound
}

/// In place of words that nobody can speak: two soft tones.
pub fn signal() -> Sound {
    let mut sound = Sound { rate: 8000, samples: Vec::new() };
    for hz in [660.0, 550.0] {
        sound.samples.extend(tones::tone(&[hz], 8000, 3200));
        sound.samples.extend([0; 800]);
    }
    sound
}

/// One round of music, at 16 kHz: four chords, broken, each note fading.
pub fn music() -> Sound {
    const RATE: usize = 16_000;
    const BEAT: usize = RATE * 3 / 10;
    const CHORDS: [[f32; 4]; 4] = [
        [261.63, 329.63, 392.0, 523.25],
        [220.0, 261.63, 329.63, 440.0],
        [174.61, 220.0, 261.63, 349.23],
        [196.0, 246.94, 293.66, 392.0],
    ];
    let mut notes = Vec::new();
    for chord in CHORDS {
        let [one, two, three, four] = chord;
        notes.extend([one, two, three, four, three, two, three, two]);
    }
    let mut mixed = vec![0i32; notes.len() * BEAT];
    let length = mixed.len();
    for (at, hz) in notes.into_iter().enumerate() {
        let note = tones::tone(&[hz, hz * 2.0], RATE as u32, BEAT * 3);
        for (place, sample) in note.into_iter().enumerate() {
            let fade = 1.0 - place as f32 / (BEAT * 3) as f32;
            // The end of the round rings on into its beginning, so that it can be looped.
            if let Some(to) = mixed.get_mut((at * BEAT + place) % length) {
                *to += (f32::from(sample) * fade * fade * 0.35) as i32;
            }
        }
    }
    let samples = mixed.into_iter().map(|sample| sample.clamp(-32_768, 32_767) as i16).collect();
    Sound { rate: RATE as u32, samples }
}
