use serde_json::json;

use super::*;
use crate::variables;

/// What a file means: read as `apply` reads it.
fn read(text: &str) -> Value {
    let filled = variables::fill_in(text, |_| None).expect(text);
    serde_saphyr::from_str(&filled).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

fn ordered(value: &Value) -> Ordered {
    serde_json::from_str(&value.to_string()).expect("JSON")
}

/// Texts that something could go wrong with.
const NASTY: &[&str] = &[
    "",
    " ",
    "  leading",
    "trailing  ",
    "\ttab",
    "tab\tinside",
    "null",
    "Null",
    "~",
    "true",
    "True",
    "FALSE",
    "yes",
    "No",
    "on",
    "OFF",
    "y",
    "N",
    "0",
    "007",
    "12",
    "-12",
    "+12",
    "1.5",
    "1e3",
    "0x1f",
    "0o17",
    "1_000",
    "1:30",
    ".5",
    "5.",
    ".inf",
    "-.inf",
    ".NaN",
    "2026-11-22",
    "2026-11-22T10:00:00Z",
    "12 apples",
    "3d",
    "e5",
    "a: b",
    "a:",
    "a:b",
    ": a",
    ":",
    "a #b",
    "a#b",
    "#a",
    "# $HOME",
    "- a",
    "-",
    "-a",
    "--- a",
    "---",
    "...",
    "....",
    "? a",
    "?",
    "!tag",
    "&anchor",
    "*alias",
    "a & b",
    "|",
    ">",
    "| a",
    "@a",
    "`a`",
    "%a",
    "[a]",
    "{a}",
    "{{text}} said",
    "you said {{text}}",
    "a, b",
    "'",
    "\"",
    "'a'",
    "\"a\"",
    "it's",
    "it's \"quoted\"",
    "back\\slash",
    "both \\ and '",
    "=",
    "<<",
    "a = b",
    "$",
    "$$",
    "$5",
    "${NAME}",
    "a ${X} b",
    "$$$",
    "(secret)",
    "https://www.example.com:8443/a?b=c#d",
    "http://[::1]/",
    "*",
    "Grüße",
    "こんにちは",
    "👋 Hello",
    "🇩🇪",
    "a\u{a0}b",
    "\u{a0}",
    "\u{85}",
    "\u{2028}",
    "a\u{feff}",
    "\u{feff}a",
    "\u{202e}abc",
    "\u{7f}",
    "\u{0}",
    "\u{1b}[31m",
    "\r",
    "a\r\nb",
    "two\nlines",
    "two\nlines\n",
    "two\nlines\n\n",
    "\nfirst empty",
    "\n",
    "\n\n",
    "a\n\nb",
    "a\n  b\n c",
    " a\nb",
    "\ta\nb",
    "a\n\tb",
    "a \nb ",
    "a\n \nb",
    "a\n   ",
    "a\n# no comment\nb",
    "a\n# costs $5\nb",
    "#a\n#b",
    "a: b\nc: d",
    "- a\n- b",
    "--- \n---\n...",
    "a\n---\nb",
    "$a\n${B}\n$$",
    "{\na\n}",
    "\"a\n\"",
    "a\n'b'\n",
    "👋\n🇩🇪\n",
    "last\n\u{2028}",
    "ends with backslash\\",
];

#[test]
fn every_text_is_read_as_it_was() {
    for text in NASTY {
        let value =
            json!({ "a": { "b": text, "list": [text, { "c": text, "d": text }, [text]] }, "z": text });
        let written = write(&ordered(&value));
        assert_eq!(read(&written), value, "{text:?} was written as\n{written}");
    }
}

#[test]
fn every_text_can_be_a_name() {
    for text in NASTY {
        let value = json!({ "a": { *text: { *text: 1 } }, "list": [{ *text: 2, "z": 3 }] });
        let written = write(&ordered(&value));
        assert_eq!(read(&written), value, "{text:?} was written as\n{written}");
    }
}

#[test]
fn texts_of_all_characters_are_read_as_they_were() {
    // Three characters of each sort, in every order: what matters is who stands beside whom.
    let sorts = [
        "a", "7", " ", "\n", "#", "$", "{", "}", ":", "-", "'", "\"", "\\", "\t", "|", "é", "👋", ",", "&",
        "!",
    ];
    for first in sorts {
        for second in sorts {
            for third in sorts {
                for fourth in ["", "b", "\n", " "] {
                    let text = format!("{first}{second}{third}{fourth}");
                    let value = json!({ "n": { "m": text }, "o": 1 });
                    let written = write(&ordered(&value));
                    assert_eq!(read(&written), value, "{text:?} was written as\n{written}");
                }
            }
        }
    }
}

#[test]
fn it_reads_well() {
    let document: Ordered = serde_json::from_str(
        r##"{ "app": { "id": "st-0a9c", "name": "Support", "retention_days": 30 },
              "empty": { "list": [], "map": {} },
              "flow": { "words": [{ "any": ["agent", "yes", "7"], "go_to": "handover" }],
                        "nodes": { "end": { "end": {} },
                                   "hello": { "message": { "text": ["Hello: say \"agent\".", "Two\nlines, 5 $", "It's me"] } } } },
              "last": [[1, 2.5], true, "# no comment"] }"##,
    )
    .expect("JSON");
    assert_eq!(
        write(&document),
        r##"app:
  id: st-0a9c
  name: Support
  retention_days: 30

empty:
  list: []
  map: {}

flow:
  words:
    - any:
        - agent
        - "yes"
        - "7"
      go_to: handover
  nodes:
    end:
      end: {}
    hello:
      message:
        text:
          - 'Hello: say "agent".'
          - |-
            Two
            lines, 5 $$
          - It's me

last:
  - - 1
    - 2.5
  - true
  - "# no comment"
"##
    );
}
