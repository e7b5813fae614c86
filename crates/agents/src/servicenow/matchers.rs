//! Texts that an administrator of the instance wrote, in any language, and that mean something. The vendor gives no code
//! for them, so they are recognised by patterns that an operator can change.

use regex::{Regex, RegexBuilder, RegexSet, RegexSetBuilder};

/// A pattern takes at most so many bytes when it is compiled.
const MOST: usize = 256 * 1024;

/// Any of some patterns.
#[derive(Debug)]
pub(super) struct Matcher(RegexSet);

impl Matcher {
    /// # Errors
    /// One is not a regular expression; with the name of the field.
    pub fn new(field: &str, patterns: &[String]) -> Result<Self, String> {
        if let Some(empty) = patterns.iter().position(|pattern| pattern.trim().is_empty()) {
            return Err(format!(
                "{field}: pattern {} is empty and would fit every text; leave it out",
                empty + 1
            ));
        }
        let set = RegexSetBuilder::new(patterns).case_insensitive(true).size_limit(MOST).build();
        set.map(Self).map_err(|error| unreadable(field, &error))
    }

    pub fn fits(&self, text: &str) -> bool {
        self.0.is_match(text)
    }
}

/// Patterns that find a name: their group `name`.
#[derive(Debug)]
pub(super) struct Finder(Vec<Regex>);

impl Finder {
    /// # Errors
    /// As [`Matcher::new`].
    pub fn new(field: &str, patterns: &[String]) -> Result<Self, String> {
        let one = |pattern: &String| {
            let built = RegexBuilder::new(pattern).case_insensitive(true).size_limit(MOST).build();
            built.map_err(|error| unreadable(field, &error))
        };
        patterns.iter().map(one).collect::<Result<_, _>>().map(Self)
    }

    /// None: it does not fit. Else the name, where one is in it.
    pub fn find(&self, text: &str) -> Option<Option<String>> {
        let found = self.0.iter().find_map(|pattern| pattern.captures(text))?;
        let name = found.name("name").map(|name| name.as_str().trim());
        Some(name.filter(|name| !name.is_empty()).map(str::to_owned))
    }
}

fn unreadable(field: &str, error: &regex::Error) -> String {
    match error {
        regex::Error::CompiledTooBig(_) => format!("{field}: the patterns are too large; make them simpler"),
        _ => format!("{field}: not a regular expression: {error}"),
    }
}

/// As settings hold them.
pub(super) fn texts(patterns: &[&str]) -> Vec<String> {
    patterns.iter().map(|pattern| (*pattern).to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_recognised_in_any_language() {
        let matcher = Matcher::new("f", &texts(&["no agents", "kein(e)? mitarbeiter"])).expect("patterns");
        assert!(
            matcher.fits("There are NO AGENTS available.") && matcher.fits("Derzeit ist KEIN Mitarbeiter da")
        );
        assert!(!matcher.fits("An agent will be with you"));
        assert!(!Matcher::new("f", &[]).expect("none").fits(""));
    }

    #[test]
    fn a_bad_pattern_names_its_field() {
        for bad in ["(", " ", "(a{1000}){1000}"] {
            let refused = Matcher::new("no_agents_texts", &texts(&[bad])).expect_err(bad);
            assert!(refused.starts_with("no_agents_texts: "), "{refused}");
        }
        assert!(Finder::new("joined_texts", &texts(&["["])).is_err());
    }

    #[test]
    fn a_name_is_found_where_there_is_one() {
        let finder = Finder::new("f", &texts(&["^(?<name>.+?) has entered", "joined"])).expect("patterns");
        assert_eq!(finder.find("Agent One has entered the chat."), Some(Some("Agent One".into())));
        assert_eq!((finder.find("Somebody joined"), finder.find("left")), (Some(None), None));
    }
}
