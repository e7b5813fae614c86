//! What shape an answer is asked for in. Naming a shape is what counts: a link preview that takes anything (`*/*`) has
//! asked for nothing, and costs nothing.

use axum::http::{HeaderMap, header};

/// The shapes of an answer. In a tie the first one is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// For a person in a browser.
    Page,
    /// `application/json`.
    Json,
    /// `text/plain`.
    Text,
}

const NAMES: [(Shape, &str); 3] =
    [(Shape::Page, "text/html"), (Shape::Json, "application/json"), (Shape::Text, "text/plain")];

impl Shape {
    /// The shape that `Accept` names with the highest weight (RFC 9110, 12.5.1). Ranges with `*` name none, nor does a
    /// weight of 0 or one that cannot be read; where none is named, it is the page.
    pub(super) fn asked(headers: &HeaderMap) -> Self {
        let ranges: Vec<&str> = headers
            .get_all(header::ACCEPT)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .collect();
        let mut asked = (0, Self::Page);
        for (shape, name) in NAMES {
            let weight = ranges.iter().filter_map(|range| weight(range, name)).max().unwrap_or(0);
            if weight > asked.0 {
                asked = (weight, shape);
            }
        }
        asked.1
    }
}

/// The weight of a range in thousandths, if it names `name`.
fn weight(range: &str, name: &str) -> Option<u32> {
    let mut parts = range.split(';').map(str::trim);
    if !parts.next()?.eq_ignore_ascii_case(name) {
        return None;
    }
    let given = parts.filter_map(|part| part.split_once('=')).find(|(key, _)| key.eq_ignore_ascii_case("q"));
    given.map_or(Some(1000), |(_, value)| thousandths(value))
}

/// `qvalue`: 0 to 1, at most three digits behind the point (RFC 9110, 12.4.2).
fn thousandths(value: &str) -> Option<u32> {
    let (whole, digits) = value.split_once('.').unwrap_or((value, ""));
    let proper =
        matches!(whole, "0" | "1") && digits.len() <= 3 && digits.bytes().all(|b| b.is_ascii_digit());
    let weight = format!("{whole}{digits:0<3}").parse().ok()?;
    (proper && weight <= 1000).then_some(weight)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn asked(accept: &[&'static str]) -> Shape {
        let lines = accept.iter().map(|line| (header::ACCEPT, line.parse().unwrap()));
        Shape::asked(&lines.collect::<HeaderMap>())
    }

    #[test]
    fn only_what_is_named_is_asked_for() {
        for page in [
            "*/*",
            "",
            "text/*, application/*",
            "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
            "text/html, application/json",
            "application/json;q=0.9, text/html;q=0.9",
            "application/json;q=0",
            "application/json;q=0.0, text/plain; Q=0.000",
            "application/json;q=high",
            "application/json;q=2",
            "application/json;q=1.001",
            "application/json;q=-1",
            "application/json;q=0.1234",
            "application/problem+json",
            "image/png",
        ] {
            assert_eq!(asked(&[page]), Shape::Page, "{page}");
        }
        for json in [
            "application/json",
            "Application/JSON; charset=utf-8",
            "application/json, text/plain, */*",
            "text/html;q=0.8, application/json;q=0.9",
            "text/html;q=0, application/json;q=0.001",
            "application/json ; q=0.5 , */*;q=0.9",
        ] {
            assert_eq!(asked(&[json]), Shape::Json, "{json}");
        }
        assert_eq!(asked(&["text/plain"]), Shape::Text);
        assert_eq!(asked(&["application/json;q=0.2, text/plain;q=0.3"]), Shape::Text);
        assert_eq!(asked(&["image/png", "text/plain"]), Shape::Text, "two lines are one list");
        assert_eq!(asked(&[]), Shape::Page);
    }
}
