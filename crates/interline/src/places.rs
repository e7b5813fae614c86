//! Where each part of a YAML file stands: faults are told with the line that a person has to look at.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_saphyr::Spanned;

/// A place in a file, counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The line.
    pub line: u64,
    /// The column, in characters.
    pub column: u64,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

impl From<serde_saphyr::Location> for Place {
    fn from(at: serde_saphyr::Location) -> Self {
        Self { line: at.line(), column: at.column() }
    }
}

/// The index of a file: path ↔ place.
#[derive(Debug, Default)]
pub struct Places {
    root: Option<Spanned<Node>>,
}

#[derive(Debug)]
enum Node {
    Map(Vec<(Spanned<String>, Spanned<Node>)>),
    List(Vec<Spanned<Node>>),
    Scalar,
}

impl Places {
    /// Reads a file. One that is no YAML has no places: whoever reads it for its content tells why.
    pub fn of(text: &str) -> Self {
        Self { root: serde_saphyr::from_str(text).ok() }
    }

    /// The place of `path` (`flow.words[0].go_to`). Of one that is not there: the place of what should hold it.
    pub fn find(&self, path: &str) -> Option<Place> {
        let root = self.root.as_ref()?;
        Some(deepest(&root.value, place(root), path).1)
    }

    /// The path of what begins at a place.
    pub fn path_at(&self, at: Place) -> Option<String> {
        path_at(&self.root.as_ref()?.value, at, "")
    }
}

fn place<T>(spanned: &Spanned<T>) -> Place {
    spanned.referenced.into()
}

/// Follows `path` as far as it goes. Returns how much of it is left, and where that is.
fn deepest(node: &Node, here: Place, path: &str) -> (usize, Place) {
    let stays = (path.len(), here);
    if path.is_empty() {
        return stays;
    }
    let further = |found: Vec<(usize, Place)>| found.into_iter().min_by_key(|(left, _)| *left);
    match node {
        Node::Map(entries) => {
            let name = path.strip_prefix('.').unwrap_or(path);
            let named = entries.iter().filter_map(|(key, value)| {
                let rest = name.strip_prefix(key.value.as_str())?;
                // A name may hold dots: of several that fit, the one that leads further counts.
                (rest.is_empty() || rest.starts_with(['.', '[']))
                    .then(|| deepest(&value.value, of_entry(key, value), rest))
            });
            let found = further(named.collect()).or_else(|| match entries.as_slice() {
                // A node's kind (`message:`) may be left out of a path.
                [(_, only)] => Some(deepest(&only.value, here, path)).filter(|(left, _)| *left < path.len()),
                _ => None,
            });
            found.unwrap_or(stays)
        }
        Node::List(items) => {
            let digits = path.trim_start_matches(['.', '[']);
            let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
            let (number, rest) = digits.split_at(end);
            let item = number.parse().ok().and_then(|index: usize| items.get(index));
            let rest = rest.strip_prefix(']').unwrap_or(rest);
            item.map_or(stays, |item| deepest(&item.value, place(item), rest))
        }
        Node::Scalar => stays,
    }
}

/// A value that is wrong is looked for where it stands; of a group, its name.
fn of_entry(key: &Spanned<String>, value: &Spanned<Node>) -> Place {
    match value.value {
        Node::Scalar => place(value),
        Node::Map(_) | Node::List(_) => place(key),
    }
}

fn path_at(node: &Node, at: Place, path: &str) -> Option<String> {
    match node {
        Node::Map(entries) => entries.iter().find_map(|(key, value)| {
            let dot = if path.is_empty() { "" } else { "." };
            let inner = format!("{path}{dot}{}", key.value);
            if place(key) == at || (place(value) == at && !begins_inside(&value.value, at)) {
                return Some(inner);
            }
            path_at(&value.value, at, &inner)
        }),
        Node::List(items) => items.iter().enumerate().find_map(|(index, item)| {
            let inner = format!("{path}[{index}]");
            if place(item) == at && !begins_inside(&item.value, at) {
                return Some(inner);
            }
            path_at(&item.value, at, &inner)
        }),
        Node::Scalar => None,
    }
}

/// A block begins where its first part begins: the part is meant then.
fn begins_inside(node: &Node, at: Place) -> bool {
    match node {
        Node::Map(entries) => entries.first().is_some_and(|(key, _)| place(key) == at),
        Node::List(items) => items.first().is_some_and(|item| place(item) == at),
        Node::Scalar => false,
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;

        impl<'de> Visitor<'de> for Any {
            type Value = Node;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("anything")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Node::Map(entries))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Node, A::Error> {
                let mut items = Vec::new();
                while let Some(item) = list.next_element()? {
                    items.push(item);
                }
                Ok(Node::List(items))
            }

            fn visit_bool<E: Error>(self, _: bool) -> Result<Node, E> {
                Ok(Node::Scalar)
            }

            fn visit_i64<E: Error>(self, _: i64) -> Result<Node, E> {
                Ok(Node::Scalar)
            }

            fn visit_u64<E: Error>(self, _: u64) -> Result<Node, E> {
                Ok(Node::Scalar)
            }

            fn visit_f64<E: Error>(self, _: f64) -> Result<Node, E> {
                Ok(Node::Scalar)
            }

            fn visit_str<E: Error>(self, _: &str) -> Result<Node, E> {
                Ok(Node::Scalar)
            }

            fn visit_unit<E: Error>(self) -> Result<Node, E> {
                Ok(Node::Scalar)
            }

            fn visit_none<E: Error>(self) -> Result<Node, E> {
                Ok(Node::Scalar)
            }
        }

        deserializer.deserialize_any(Any)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "\
# a comment
app:
  id: st-1
agents:
  desk:
    type: botkit
    url: http://x
  desk.two: { type: botkit, url: http://y }
flow:
  words:
    - any: [agent, human]
      go_to: handover
  nodes:
    hello:
      message:
        text: Hi
        next: away
";

    fn at(path: &str) -> (u64, u64) {
        let place = Places::of(FILE).find(path).expect("a place");
        (place.line, place.column)
    }

    #[test]
    fn a_path_leads_to_its_value_and_a_group_to_its_name() {
        assert_eq!(at("app.id"), (3, 7));
        assert_eq!(at("agents.desk"), (5, 3));
        assert_eq!(at("agents.desk.url"), (7, 10));
        assert_eq!(at("flow.words[0].go_to"), (12, 14));
        assert_eq!(at("flow.words.0.any.1"), (11, 20));
    }

    #[test]
    fn a_name_may_hold_dots() {
        assert_eq!(at("agents.desk.two"), (8, 3));
        assert_eq!(at("agents.desk.two.url"), (8, 34));
    }

    #[test]
    fn what_is_not_there_is_looked_for_where_it_should_be() {
        assert_eq!(at("agents.desk.secret"), (5, 3));
        assert_eq!(at("flow.otherwise"), (9, 1));
        assert_eq!(at("flow.words[7].go_to"), (10, 3));
        assert_eq!(at("channels.web"), (2, 1));
        assert_eq!(at(""), (2, 1));
    }

    #[test]
    fn a_nodes_kind_may_be_left_out() {
        assert_eq!(at("flow.nodes.hello.next"), (17, 15));
        assert_eq!(at("flow.nodes.hello.message.next"), (17, 15));
        assert_eq!(at("flow.nodes.hello.nowhere"), (14, 5));
    }

    #[test]
    fn a_place_leads_to_its_path() {
        let places = Places::of(FILE);
        let path = |line, column| places.path_at(Place { line, column });
        assert_eq!(path(3, 3).as_deref(), Some("app.id"));
        assert_eq!(path(3, 7).as_deref(), Some("app.id"));
        assert_eq!(path(12, 14).as_deref(), Some("flow.words[0].go_to"));
        assert_eq!(path(8, 34).as_deref(), Some("agents.desk.two.url"));
        assert_eq!(path(1, 1), None);
    }

    #[test]
    fn no_yaml_has_no_places() {
        assert_eq!(Places::of("a: [").find("a"), None);
    }
}
