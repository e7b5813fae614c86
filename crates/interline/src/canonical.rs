//! A document as its file: in the order of its type, without what goes without saying.

use std::collections::{BTreeMap, HashSet};

use anyhow::{Context, Result};
use interline_engine::config::Document;

use crate::yaml::{self, Ordered};

/// Parts that are all defaults: of them only what differs is written.
const ALL_DEFAULTS: &[&str] = &["deadlines", "texts", "transcript"];

/// The file of a document. Reading it gives an equal document.
///
/// # Errors
/// When the document cannot be written at all.
pub fn file_of(document: &Document) -> Result<String> {
    let json = serde_json::to_string(document).context("the document cannot be written")?;
    let whole: Ordered = serde_json::from_str(&json).context("the document cannot be written")?;
    Ok(yaml::write(&without_defaults(document, without_nulls(whole))))
}

fn without_nulls(tree: Ordered) -> Ordered {
    match tree {
        Ordered::Map(entries) => Ordered::Map(
            entries
                .into_iter()
                .filter(|(_, value)| *value != Ordered::Null)
                .map(|(name, value)| (name, without_nulls(value)))
                .collect(),
        ),
        Ordered::List(items) => Ordered::List(items.into_iter().map(without_nulls).collect()),
        other => other,
    }
}

/// What may be a default is left out, and the rest read again: was it one, the document is the same. So this knows
/// nothing about the types, and does not have to learn when they get more fields.
fn without_defaults(document: &Document, tree: Ordered) -> Ordered {
    let mut by_name: BTreeMap<String, Vec<Path>> = BTreeMap::new();
    collect(&tree, &mut Vec::new(), &mut by_name);
    let mut tree = tree;
    let mut leave_out = |paths: &[Path]| {
        let less = without(&tree, &mut Vec::new(), &paths.iter().collect());
        let same = Document::from_json(less.to_value()).is_ok_and(|less| less == *document);
        if same {
            tree = less;
        }
        same
    };
    for paths in by_name.values_mut() {
        // Inner parts come first: an outer one may be empty without them.
        paths.sort_by_key(|path| std::cmp::Reverse(path.len()));
        // Fields of one name are mostly of one type: all at once, and one by one only if they differ.
        if !leave_out(paths) {
            for path in paths.iter() {
                leave_out(std::slice::from_ref(path));
            }
        }
    }
    tree
}

/// Names, and the numbers of items.
type Path = Vec<String>;

fn collect(tree: &Ordered, at: &mut Path, found: &mut BTreeMap<String, Vec<Path>>) {
    match tree {
        Ordered::Map(entries) => {
            for (name, value) in entries {
                at.push(name.clone());
                let known = at.len() == 2 && ALL_DEFAULTS.contains(&at[0].as_str());
                if known || is_empty(value) {
                    found.entry(name.clone()).or_default().push(at.clone());
                }
                collect(value, at, found);
                at.pop();
            }
        }
        Ordered::List(items) => {
            for (index, item) in items.iter().enumerate() {
                at.push(index.to_string());
                collect(item, at, found);
                at.pop();
            }
        }
        Ordered::Null | Ordered::Bool(_) | Ordered::Number(_) | Ordered::Text(_) => {}
    }
}

fn is_empty(value: &Ordered) -> bool {
    match value {
        Ordered::Map(entries) => entries.is_empty(),
        Ordered::List(items) => items.is_empty(),
        Ordered::Null | Ordered::Bool(_) | Ordered::Number(_) | Ordered::Text(_) => false,
    }
}

fn without(tree: &Ordered, at: &mut Path, paths: &HashSet<&Path>) -> Ordered {
    match tree {
        Ordered::Map(entries) => {
            let mut kept = Vec::new();
            for (name, value) in entries {
                at.push(name.clone());
                if !paths.contains(&*at) {
                    kept.push((name.clone(), without(value, at, paths)));
                }
                at.pop();
            }
            Ordered::Map(kept)
        }
        Ordered::List(items) => {
            let mut kept = Vec::new();
            for (index, item) in items.iter().enumerate() {
                at.push(index.to_string());
                kept.push(without(item, at, paths));
                at.pop();
            }
            Ordered::List(kept)
        }
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use interline_engine::config::KEPT;
    use serde_json::{Value, json};

    use super::*;
    use crate::app_file::AppFile;

    fn document(value: Value) -> Document {
        Document::from_json(value).expect("a document")
    }

    fn read(file: &str) -> Document {
        AppFile::parse("test.yaml", file, |_| None).expect(file).document
    }

    fn large() -> Value {
        let mut nodes = serde_json::Map::new();
        for at in 0..300 {
            nodes.insert(
                format!("say-{at}"),
                json!({ "message": { "text": [
                    format!("Ω {at} 👋: costs ${at} or ${{PRICE}} # not a comment"),
                    format!("  leading, \"quoted\", 'single', \\ back\nsecond line {at}\n\n- third: #4\n"),
                    format!("{at}"),
                    "yes",
                ], "next": "say-0" } }),
            );
            nodes.insert(
                format!("hand.over-{at}"),
                json!({ "agent_transfer": { "message": "One moment\nplease", "fallback": [{ "integration": "desk", "queue": "007" }],
                        "on_failure": { "message": "später: vielleicht", "go_to": "say-1" } } }),
            );
            nodes.insert(format!("bare-{at}"), json!({ "agent_transfer": {} }));
        }
        nodes.insert("end".into(), json!({ "end": {} }));
        json!({
            "app": { "id": "st-x", "name": "Überblick: \"42\" #1", "retention_days": 30 },
            "credentials": {
                "main": { "client_id": "cs-1", "client_secret": "0123", "algorithm": "HS512", "scopes": ["web", "botkit"] },
                "none": { "client_id": "cs-2", "client_secret": "$a${B}$$", "scopes": [] },
            },
            "channels": { "web": { "type": "web", "credentials": [], "origins": ["*"] } },
            "agents": { "desk": { "type": "botkit", "url": "http://127.0.0.1:1/", "subscribe": ["transfers"], "end_notice": "" } },
            "default_agent": "desk",
            "channel_agents": { "web": "desk" },
            "deadlines": { "idle_ms": 1000 },
            "transcript": { "link": false },
            "flow": { "start": "say-0", "words": [{ "any": ["ja", "No", "1"], "go_to": "end" }, { "any": [], "go_to": "end" }],
                      "otherwise": "say-1", "returned": "say-2", "nodes": nodes },
        })
    }

    #[test]
    fn a_large_document_is_read_as_it_was() {
        let document = document(large());
        let file = file_of(&document).expect("a file");
        assert_eq!(read(&file), document, "{file}");
        // And its file is the same again, byte for byte.
        assert_eq!(file_of(&read(&file)).expect("a file"), file);
    }

    #[test]
    fn the_order_is_the_types_and_defaults_are_left_out() {
        let file = file_of(&document(large())).expect("a file");
        let parts: Vec<&str> =
            file.lines().filter(|line| !line.starts_with(' ') && !line.is_empty()).collect();
        assert_eq!(
            parts,
            [
                "app:",
                "credentials:",
                "channels:",
                "agents:",
                "default_agent: desk",
                "channel_agents:",
                "deadlines:",
                "transcript:",
                "flow:",
            ]
        );
        assert!(file.contains(
            "deadlines:\n  idle_ms: 1000\n\ntranscript:\n  link: false\n\nflow:\n  start: say-0\n  words:\n"
        ));
        assert!(file.contains("    bare-7:\n      agent_transfer: {}\n"), "a bare node has nothing to say");
        assert!(
            file.contains("      scopes: []\n") || file.contains("    scopes: []\n"),
            "scopes have no default"
        );
        assert!(file.contains("    credentials: []\n"), "what a connector's settings say stays");
        assert!(file.contains("  desk:\n    type: botkit\n"), "the type comes first");
        assert!(!file.contains("null") && !file.contains("fallback: []") && !file.contains("on_failure: {}"));
    }

    #[test]
    fn the_smallest_document_is_small() {
        let smallest = document(json!({
            "app": { "id": "st-x", "name": "Test" },
            "flow": { "start": "a", "otherwise": "a", "nodes": { "a": { "end": {} } } },
        }));
        let file = file_of(&smallest).expect("a file");
        assert_eq!(
            file,
            "app:\n  id: st-x\n  name: Test\n\nflow:\n  start: a\n  otherwise: a\n  nodes:\n    a:\n      end: {}\n"
        );
        assert_eq!(read(&file), smallest);
    }

    #[test]
    fn a_masked_secret_is_written_as_it_is_sent_back() {
        let file = file_of(&document(json!({
            "app": { "id": "st-x", "name": "Test" },
            "credentials": { "main": { "client_id": "cs-1", "client_secret": KEPT, "scopes": ["web"] } },
            "flow": { "start": "a", "otherwise": "a", "nodes": { "a": { "end": {} } } },
        })))
        .expect("a file");
        assert!(file.contains("    client_secret: (secret)\n"), "{file}");
        assert_eq!(read(&file).credentials["main"].client_secret.expose(), KEPT);
    }
}
