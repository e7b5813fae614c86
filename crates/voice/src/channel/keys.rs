//! Keys that are pressed, until they are an input.

use std::time::Duration;

use interline_core::flow::{Asks, Takes};

/// So long the next key is waited for.
const BETWEEN: Duration = Duration::from_secs(3);
/// More keys are nobody's input.
const MOST: usize = 64;

/// What is being entered.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Keys {
    pressed: String,
}

impl Keys {
    /// A key was pressed. The input, if it is one now.
    pub fn press(&mut self, key: char, asks: &Asks) -> Option<String> {
        match &asks.takes {
            Takes::Digits { max, end_key, .. } => {
                if Some(key) == *end_key {
                    return Some(self.take());
                }
                self.push(key);
                (self.pressed.chars().count() >= *max).then(|| self.take())
            }
            Takes::Menu { choices } => {
                self.push(key);
                let longer = choices.iter().any(|choice| {
                    choice.key.len() > self.pressed.len() && choice.key.starts_with(&self.pressed)
                });
                (!longer).then(|| self.take())
            }
            Takes::Anything => {
                self.push(key);
                (key == '#').then(|| self.take())
            }
        }
    }

    /// Nothing more was pressed for [`Keys::patience`]. What was is the input, if it is anything.
    pub fn pause(&mut self) -> Option<String> {
        (!self.pressed.is_empty()).then(|| self.take())
    }

    /// How long the next key is waited for. None: none was pressed yet.
    pub fn patience(&self, asks: &Asks) -> Option<Duration> {
        let said =
            asks.voice.parameters.get("dtmfCollectInterDigitTimeoutMS").and_then(serde_json::Value::as_u64);
        (!self.pressed.is_empty()).then(|| said.map_or(BETWEEN, Duration::from_millis))
    }

    /// Forgets what was pressed.
    pub fn clear(&mut self) {
        self.pressed.clear();
    }

    fn push(&mut self, key: char) {
        if self.pressed.len() < MOST {
            self.pressed.push(key);
        }
    }

    fn take(&mut self) -> String {
        std::mem::take(&mut self.pressed)
    }
}

#[cfg(test)]
mod tests {
    use interline_core::flow::{MenuChoice, VoiceProperties};

    use super::*;

    fn asks(takes: Takes) -> Asks {
        Asks { node: None, takes, barge_in: true, timeout_ms: None, voice: VoiceProperties::default() }
    }

    fn typed(keys: &mut Keys, asks: &Asks, text: &str) -> Vec<String> {
        text.chars().filter_map(|key| keys.press(key, asks)).collect()
    }

    #[test]
    fn digits_end_by_a_key_by_number_or_by_a_pause() {
        let (mut keys, asks) = (Keys::default(), asks(Takes::Digits { min: 1, max: 4, end_key: Some('#') }));
        assert_eq!(typed(&mut keys, &asks, "12#3456"), ["12", "3456"]);
        assert_eq!(keys.patience(&asks), None);
        assert_eq!(typed(&mut keys, &asks, "78"), [""; 0]);
        assert_eq!(keys.patience(&asks), Some(BETWEEN));
        assert_eq!((keys.pause(), keys.pause()), (Some("78".into()), None));
    }

    #[test]
    fn a_key_of_a_menu_counts_at_once_unless_it_may_be_the_beginning_of_another() {
        let choice = |key: &str| MenuChoice { key: key.into(), words: Vec::new(), label: None };
        let asks = asks(Takes::Menu { choices: vec![choice("1"), choice("10"), choice("2")] });
        let mut keys = Keys::default();
        assert_eq!(typed(&mut keys, &asks, "2"), ["2"]);
        assert_eq!(typed(&mut keys, &asks, "9"), ["9"]);
        assert_eq!(typed(&mut keys, &asks, "10"), ["10"]);
        assert_eq!(typed(&mut keys, &asks, "1"), [""; 0]);
        assert_eq!(keys.pause(), Some("1".into()));
    }
}
