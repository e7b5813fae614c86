//! An app's file: a [`Document`] as YAML, with `${NAME}` filled in from the environment.
//!
//! A fault is told as `FILE:LINE:COLUMN: path: what is wrong`. Columns count the filled-in line.

use std::path::Path;

use anyhow::{Context, Result, anyhow};
use interline_engine::config::{Document, Invalid, Refused};
use serde_json::Value;

use crate::places::{Place, Places};
use crate::variables;

/// A file that was read.
#[derive(Debug)]
pub struct AppFile {
    /// What it says.
    pub document: Document,
    shown: String,
    places: Places,
}

impl AppFile {
    /// Reads a file.
    ///
    /// # Errors
    /// Each with the file's name, and the place where there is one.
    pub fn read(path: &Path) -> Result<Self> {
        let shown = path.display().to_string();
        let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {shown}"))?;
        Self::parse(&shown, &text, |name| std::env::var(name).ok())
    }

    /// Reads a text that is called `shown`. `look_up` is the environment.
    ///
    /// # Errors
    /// With the place where there is one.
    pub fn parse(shown: &str, text: &str, look_up: impl Fn(&str) -> Option<String>) -> Result<Self> {
        let text = variables::fill_in(text, look_up).with_context(|| shown.to_owned())?;
        let places = Places::of(&text);
        match serde_saphyr::from_str(&text) {
            Ok(document) => Ok(Self { document, shown: shown.to_owned(), places }),
            Err(error) => {
                let fault = Invalid { path: String::new(), message: discreet(&error) };
                Err(anyhow!("{}", told(shown, &placed(&text, &places, &error, fault))))
            }
        }
    }

    /// Where `path` stands, as `FILE:LINE:COLUMN`.
    pub fn place(&self, path: &str) -> Option<String> {
        self.places.find(path).map(|place| format!("{}:{place}", self.shown))
    }

    /// Why the document is not in force, with the places of its faults.
    pub fn refused(&self, refused: Refused) -> anyhow::Error {
        match refused {
            Refused::Invalid(faults) => anyhow!("this file is not in force\n{}", self.told(&faults)),
            other => anyhow::Error::new(other).context(self.shown.clone()),
        }
    }

    /// A line for each fault, with its place in this file.
    pub fn told(&self, faults: &[Invalid]) -> String {
        let lines: Vec<String> = faults
            .iter()
            .map(|fault| told(&self.shown, &(self.places.find(&fault.path), fault.clone())))
            .collect();
        lines.join("\n")
    }
}

fn told(shown: &str, (place, fault): &(Option<Place>, Invalid)) -> String {
    match place {
        Some(place) => format!("{shown}:{place}: {fault}"),
        None => format!("{shown}: {fault}"),
    }
}

/// The reader's words without the text of the file, which may be a secret, and without the place: ours stands in front.
fn discreet(error: &serde_saphyr::Error) -> String {
    let words = error.without_snippet().to_string();
    let words = words.lines().next().unwrap_or_default();
    words.split_once(" at line ").map_or(words, |(words, _)| words).to_owned()
}

/// Where a fault of the file is. What is missing is not at any place: the reader says where it noticed, and the same
/// document as JSON says what lacks it.
fn placed(
    text: &str,
    places: &Places,
    error: &serde_saphyr::Error,
    fault: Invalid,
) -> (Option<Place>, Invalid) {
    let as_json = serde_saphyr::from_str::<Value>(text).ok().and_then(|json| Document::from_json(json).err());
    if let Some(same) = as_json.filter(|other| other.message == fault.message && !other.path.is_empty()) {
        return (places.find(&same.path), same);
    }
    let place = error.location().map(Place::from);
    let path = place.and_then(|place| places.path_at(place)).unwrap_or_default();
    (place, Invalid { path, ..fault })
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str =
        "app: { id: st-x, name: Test }\nflow:\n  start: a\n  otherwise: a\n  nodes:\n    a: { end: {} }\n";

    fn fault(file: &str) -> String {
        AppFile::parse("app.yaml", file, |_| None).expect_err(file).to_string()
    }

    #[test]
    fn a_fault_is_told_with_its_place_and_path() {
        for (from, to, wanted) in [
            ("  otherwise", "  otherwize", "app.yaml:4:3: flow.otherwize: "),
            ("name: Test", "name: [Test]", "app.yaml:1:24: app.name: "),
            ("    a: { end", "    a: { ende", "app.yaml:6:10: flow.nodes.a"),
            ("  start: a\n", "", "app.yaml:2:1: flow: missing field `start`"),
            ("flow:", "flaw:", "app.yaml:2:1: flaw: unknown field `flaw`, expected one of"),
            ("flow:", "flow: [", "app.yaml:"),
            ("  nodes:", "\tnodes:", "app.yaml:4:"),
        ] {
            assert!(FILE.contains(from), "{from}");
            let said = fault(&FILE.replacen(from, to, 1));
            assert!(said.starts_with(wanted), "`{wanted}` is missing: {said}");
        }
    }

    #[test]
    fn a_fault_quotes_no_secret() {
        for secret in ["s3cr3t", "[s3cr3t]", "\"s3cr3t\"", "{ s3cr3t: 1 }"] {
            let file = format!(
                "credentials:\n  main: {secret}\n  more:\n    client_id: x\n    client_secret: {secret}\n    scopes: [web]\n{FILE}"
            );
            let said = fault(&file);
            assert!(!said.contains("s3cr3t") || secret.starts_with('{'), "{said}");
        }
    }

    #[test]
    fn faults_of_others_are_placed() {
        let file = AppFile::parse("app.yaml", FILE, |_| None).expect("a file");
        let faults = [
            Invalid::at("flow.nodes.a", "one"),
            Invalid::at("agents.desk.url", "two"),
            Invalid::at("", "three"),
        ];
        assert_eq!(
            file.told(&faults),
            "app.yaml:6:5: flow.nodes.a: one\napp.yaml:1:1: agents.desk.url: two\napp.yaml:1:1: three"
        );
    }
}
