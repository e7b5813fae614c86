//! An app's file: a [`Document`] as YAML, with `${NAME}` filled in from the environment.

use std::path::Path;

use anyhow::{Context, Result};
use interline_engine::config::Document;

use crate::variables;

/// Reads a file.
///
/// # Errors
/// Each with the file's name, and the line where there is one.
pub fn read(path: &Path) -> Result<Document> {
    let shown = path.display().to_string();
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {shown}"))?;
    parse(&text, |name| std::env::var(name).ok()).with_context(|| shown)
}

/// Reads a text. `look_up` is the environment.
///
/// # Errors
/// With the line where there is one.
pub fn parse(text: &str, look_up: impl Fn(&str) -> Option<String>) -> Result<Document> {
    let text = variables::fill_in(text, look_up)?;
    // Our own words come without the file's: an error may quote a secret.
    serde_saphyr::from_str(&text).map_err(|error| {
        let place = error.location().map(|at| format!("line {}, column {}: ", at.line(), at.column()));
        anyhow::anyhow!("{}{}", place.unwrap_or_default(), first_line(&error.without_snippet().to_string()))
    })
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}
