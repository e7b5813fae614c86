//! Words of a vendor's flow that say why nobody takes a hand-over, where the vendor itself does not: an operator names them.

use interline_core::transfer::Reason;

/// What settings name, by field.
pub(crate) struct Refusals<'a> {
    /// `outside_hours_words`.
    pub outside_hours: &'a [String],
    /// `no_agents_words`.
    pub no_agents: &'a [String],
}

impl Refusals<'_> {
    /// # Errors
    /// One would stand in every message; with the name of the field.
    pub fn check(&self) -> Result<(), String> {
        let fields = [("outside_hours_words", self.outside_hours), ("no_agents_words", self.no_agents)];
        for (field, words) in fields {
            if words.iter().any(|words| words.trim().is_empty()) {
                return Err(format!("{field}: leave out empty ones; they would stand in every message"));
            }
        }
        Ok(())
    }

    /// Why nobody takes it, if these words say so.
    pub fn reason(&self, said: &str) -> Option<Reason> {
        let said = said.to_lowercase();
        let names = |words: &[String]| words.iter().any(|words| said.contains(&words.to_lowercase()));
        if names(self.outside_hours) {
            Some(Reason::OutsideHours)
        } else {
            names(self.no_agents).then_some(Reason::NoAgents)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_found_in_any_case_and_empty_ones_are_no_words() {
        let [closed, nobody, empty] = ["We are CLOSED", "nobody is there", " "].map(|it| [it.to_owned()]);
        let refusals = Refusals { outside_hours: &closed, no_agents: &nobody };
        assert_eq!(refusals.check(), Ok(()));
        assert_eq!(refusals.reason("Sorry: we are closed."), Some(Reason::OutsideHours));
        assert_eq!(refusals.reason("Nobody is there"), Some(Reason::NoAgents));
        assert_eq!(refusals.reason("Welcome"), None);
        let refusals = Refusals { outside_hours: &closed, no_agents: &empty };
        assert!(refusals.check().is_err_and(|wrong| wrong.starts_with("no_agents_words: ")));
    }
}
