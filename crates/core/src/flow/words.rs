//! What a customer's words mean: a phrase that the flow listens for, a choice of a menu, digits.

use super::document::{Flow, NodeId};
use super::node::{Choice, Digits, Menu};

/// The words of a text: lower case, without what stands between them.
fn words(text: &str) -> Vec<String> {
    let words = text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    words.map(str::to_lowercase).collect()
}

/// Whether a phrase is in what was said, as whole words, in any case.
fn heard(said: &[String], phrase: &str) -> bool {
    let phrase: Vec<String> = phrase.split_whitespace().map(str::to_lowercase).collect();
    !phrase.is_empty() && said.windows(phrase.len()).any(|window| window == phrase)
}

impl Flow {
    /// The node that these words lead to; none: they are not understood.
    pub(super) fn understood(&self, text: &str) -> Option<&NodeId> {
        if self.words.is_empty() {
            return None;
        }
        let said = words(text);
        let matches = self.words.iter().find(|words| words.any.iter().any(|phrase| heard(&said, phrase)));
        matches.map(|words| &words.go_to)
    }
}

impl Menu {
    /// The choice that is meant: its key, its label, or one of its words.
    pub(super) fn choice(&self, text: &str) -> Option<&Choice> {
        let text = text.trim();
        let exact = |choice: &&Choice| {
            choice.key == text || choice.label.as_ref().is_some_and(|label| label.eq_ignore_ascii_case(text))
        };
        let said = words(text);
        self.choices.iter().find(exact).or_else(|| {
            self.choices.iter().find(|choice| choice.words.iter().any(|phrase| heard(&said, phrase)))
        })
    }
}

impl Digits {
    /// The digits that were pressed, said or typed; none: they are too few, too many, or none.
    pub(super) fn read(&self, text: &str) -> Option<String> {
        let text = text.trim();
        let text = self.end_key.and_then(|key| text.strip_suffix(key)).unwrap_or(text);
        let pressed: String = text.chars().filter(|c| !matches!(c, ' ' | '-' | '.' | '/')).collect();
        let fits = (self.min..=self.max).contains(&pressed.len());
        (fits && pressed.chars().all(|c| c.is_ascii_digit() || matches!(c, '*' | '#'))).then_some(pressed)
    }
}
