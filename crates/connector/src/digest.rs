//! The fixed digest: what was said before a transfer, in a few lines, for an agent who has no time to read all of it. It
//! stands behind the summarizer's seat until there is one that understands what it reads.

use interline_core::{Entry, Speaker};

/// So many of the customer's lines.
const LINES: usize = 5;
/// Each of them up to so many bytes.
const LINE: usize = 300;

/// The last five things that the customer said, oldest first. Empty: they said nothing.
pub fn digest(before: &[Entry]) -> String {
    let said = before.iter().rev().filter(|entry| entry.by == Speaker::Customer).filter_map(Entry::text);
    let mut lines: Vec<String> = said.filter_map(|text| line(&text.text)).take(LINES).collect();
    lines.reverse();
    lines.join("\n")
}

fn line(text: &str) -> Option<String> {
    let one = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let end = one.floor_char_boundary(LINE);
    match one.get(..end).filter(|kept| !kept.is_empty())? {
        kept if kept.len() < one.len() => Some(format!("- {kept}…")),
        kept => Some(format!("- {kept}")),
    }
}
