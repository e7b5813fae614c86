//! YAML that reads well: block style, in the order given, quoted only where another reading is possible.
//!
//! It is read back by `variables.rs` first, so every `$` is doubled.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Number, Value};

/// A JSON value whose names keep their order.
#[derive(Debug, Clone, PartialEq)]
pub enum Ordered {
    /// Nothing; it is left out.
    Null,
    /// A switch.
    Bool(bool),
    /// A number.
    Number(Number),
    /// A text.
    Text(String),
    /// A list.
    List(Vec<Ordered>),
    /// Names and values.
    Map(Vec<(String, Ordered)>),
}

impl Ordered {
    /// The same without an order.
    pub fn to_value(&self) -> Value {
        match self {
            Self::Null => Value::Null,
            Self::Bool(switch) => Value::Bool(*switch),
            Self::Number(number) => Value::Number(number.clone()),
            Self::Text(text) => Value::String(text.clone()),
            Self::List(items) => items.iter().map(Self::to_value).collect(),
            Self::Map(entries) => {
                Value::Object(entries.iter().map(|(name, value)| (name.clone(), value.to_value())).collect())
            }
        }
    }
}

/// Writes a file. Between the parts of the outermost map stands an empty line.
pub fn write(document: &Ordered) -> String {
    let mut text = String::new();
    match document {
        Ordered::Map(entries) => {
            for (at, entry) in entries.iter().enumerate() {
                if at > 0 {
                    text.push('\n');
                }
                write_entry(entry, 0, &mut text);
            }
        }
        other => {
            text.push_str(&inline(other));
            text.push('\n');
        }
    }
    text.replace('$', "$$")
}

fn write_entry((name, value): &(String, Ordered), depth: usize, text: &mut String) {
    indent(depth, text);
    text.push_str(&scalar(name));
    text.push(':');
    write_value(value, depth + 1, text);
}

/// The part after `name:`, with its line break.
fn write_value(value: &Ordered, depth: usize, text: &mut String) {
    match value {
        Ordered::Map(entries) if !entries.is_empty() => {
            text.push('\n');
            entries.iter().for_each(|entry| write_entry(entry, depth, text));
        }
        Ordered::List(items) if !items.is_empty() => {
            text.push('\n');
            items.iter().for_each(|item| write_item(item, depth, text));
        }
        Ordered::Text(content) if stands_as_block(content) => write_block(content, depth, text),
        other => {
            text.push(' ');
            text.push_str(&inline(other));
            text.push('\n');
        }
    }
}

fn write_item(item: &Ordered, depth: usize, text: &mut String) {
    indent(depth, text);
    text.push('-');
    match item {
        Ordered::Map(entries) if !entries.is_empty() => {
            // The first name stands beside the dash.
            let mut inner = String::new();
            entries.iter().for_each(|entry| write_entry(entry, depth + 1, &mut inner));
            text.push(' ');
            text.push_str(inner.trim_start_matches(' '));
        }
        Ordered::List(items) if !items.is_empty() => {
            let mut inner = String::new();
            items.iter().for_each(|item| write_item(item, depth + 1, &mut inner));
            text.push(' ');
            text.push_str(inner.trim_start_matches(' '));
        }
        Ordered::Text(content) if stands_as_block(content) => write_block(content, depth + 1, text),
        other => {
            text.push(' ');
            text.push_str(&inline(other));
            text.push('\n');
        }
    }
}

fn write_block(content: &str, depth: usize, text: &mut String) {
    let (mark, lines) = match content.strip_suffix('\n') {
        Some(lines) => (" |\n", lines),
        None => (" |-\n", content),
    };
    text.push_str(mark);
    for line in lines.split('\n') {
        if !line.is_empty() {
            indent(depth, text);
            text.push_str(line);
        }
        text.push('\n');
    }
}

fn indent(depth: usize, text: &mut String) {
    text.extend(std::iter::repeat_n("  ", depth));
}

fn inline(value: &Ordered) -> String {
    match value {
        Ordered::Null => "null".to_owned(),
        Ordered::Bool(switch) => switch.to_string(),
        Ordered::Number(number) => number.to_string(),
        Ordered::Text(text) => scalar(text),
        // Only empty ones come here.
        Ordered::List(_) => "[]".to_owned(),
        Ordered::Map(_) => "{}".to_owned(),
    }
}

/// Several lines, and nothing in them that a block would lose or read otherwise.
fn stands_as_block(text: &str) -> bool {
    let body = text.strip_suffix('\n').unwrap_or(text);
    let line_is_plain = |line: &str| {
        let begin = line.trim_start();
        (line.is_empty() || !begin.is_empty())
            // `variables.rs` leaves such a line alone, and would leave our doubled `$` in it.
            && !(begin.starts_with('#') && line.contains('$'))
    };
    text.contains('\n')
        && !body.starts_with([' ', '\t', '\n'])
        && !body.is_empty()
        && !body.ends_with('\n')
        && !text.chars().any(|c| c != '\n' && needs_escape(c))
        && body.split('\n').all(line_is_plain)
}

/// A text on one line.
fn scalar(text: &str) -> String {
    if is_plain(text) {
        return text.to_owned();
    }
    let escape = text.chars().any(needs_escape);
    if !escape && text.contains(['"', '\\']) && !text.contains('\'') {
        return format!("'{text}'");
    }
    quoted(text)
}

/// In double quotes, everything on one line.
pub fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            c if needs_escape(c) => quoted.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// Not printable in YAML, a line break in some reading of it, or read as something else by a terminal. All of them have
/// four hex digits.
fn needs_escape(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}')
        // Marks that turn the direction of what follows: a file must read as it is.
        || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Words that mean something else in one of the versions of YAML.
const WORDS: &[&str] = &["null", "true", "false", "yes", "no", "on", "off", "y", "n"];

/// Whether the text means itself without quotes, in every version of YAML.
fn is_plain(text: &str) -> bool {
    let (Some(first), Some(last)) = (text.chars().next(), text.chars().next_back()) else { return false };
    // Other than these, what is not ASCII means nothing in YAML.
    let begins_well = first.is_ascii_alphanumeric()
        || matches!(first, '/' | '_' | '(' | '$' | '+' | '.')
        || (!first.is_ascii() && !first.is_whitespace());
    let looks_like_a_number = matches!(first, '0'..='9' | '+' | '.')
        && text
            .chars()
            .all(|c| c.is_ascii_hexdigit() || matches!(c, '.' | '_' | '+' | '-' | ':' | 'x' | 'o'));
    let word = matches!(text.to_ascii_lowercase().as_str(), ".inf" | "+.inf" | ".nan")
        || WORDS.iter().any(|word| text.eq_ignore_ascii_case(word));
    begins_well
        && !looks_like_a_number
        && !word
        && !last.is_whitespace()
        && last != ':'
        && !text.contains(": ")
        && !text.contains(" #")
        // A date is a date in YAML 1.1.
        && !(first.is_ascii_digit() && text.contains('-'))
        && !text.starts_with("...")
        && !text.chars().any(needs_escape)
}

impl<'de> Deserialize<'de> for Ordered {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;

        impl<'de> Visitor<'de> for Any {
            type Value = Ordered;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("JSON")
            }

            fn visit_unit<E: Error>(self) -> Result<Ordered, E> {
                Ok(Ordered::Null)
            }

            fn visit_bool<E: Error>(self, switch: bool) -> Result<Ordered, E> {
                Ok(Ordered::Bool(switch))
            }

            fn visit_i64<E: Error>(self, number: i64) -> Result<Ordered, E> {
                Ok(Ordered::Number(number.into()))
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<Ordered, E> {
                Ok(Ordered::Number(number.into()))
            }

            fn visit_f64<E: Error>(self, number: f64) -> Result<Ordered, E> {
                Ok(Number::from_f64(number).map_or(Ordered::Null, Ordered::Number))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Ordered, E> {
                Ok(Ordered::Text(text.to_owned()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Ordered, A::Error> {
                let mut items = Vec::new();
                while let Some(item) = list.next_element()? {
                    items.push(item);
                }
                Ok(Ordered::List(items))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Ordered, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Ordered::Map(entries))
            }
        }

        deserializer.deserialize_any(Any)
    }
}

#[cfg(test)]
#[path = "yaml_tests.rs"]
mod tests;
