//! A document as an IVR would read it.

use crate::vxml_rules::{Node, check, parse};

/// A document that keeps the rules.
pub struct Dialog(Node);

impl Dialog {
    pub fn read(document: &str) -> Self {
        let root = parse(document);
        check(&root);
        Self(root)
    }

    /// What is said, prompt by prompt.
    pub fn prompts(&self) -> Vec<String> {
        self.0.all("prompt").iter().map(|prompt| prompt.text.clone()).collect()
    }

    /// The recordings.
    pub fn audio(&self) -> Vec<&str> {
        self.0.all("audio").iter().filter_map(|audio| audio.get("src")).collect()
    }

    pub fn language(&self) -> &str {
        self.0.get("xml:lang").unwrap()
    }

    pub fn property(&self, name: &str) -> Option<&str> {
        let properties = self.0.all("property");
        properties
            .iter()
            .find(|property| property.get("name") == Some(name))
            .and_then(|found| found.get("value"))
    }

    /// The first value of a variable.
    pub fn value(&self, name: &str) -> &str {
        let variables = self.0.all("var");
        let found = variables.iter().find(|variable| variable.get("name") == Some(name));
        found.unwrap_or_else(|| panic!("no variable {name}")).get("expr").unwrap()
    }

    /// What is returned, in the end.
    pub fn returned(&self) -> Vec<String> {
        let returns = self.0.all("return");
        let names = returns.last().expect("it returns").get("namelist").unwrap();
        names.split(' ').map(str::to_owned).collect()
    }

    /// What `event` becomes when this happens.
    pub fn on(&self, event: &str) -> Option<String> {
        let handlers = self.0.all(event);
        let assigns = handlers.first()?.all("assign");
        assigns.iter().find(|assign| assign.get("name") == Some("event"))?.get("expr").map(str::to_owned)
    }

    /// Destination, type and application-to-application information of the transfer.
    pub fn transfer(&self) -> Option<(&str, &str, Option<&str>)> {
        let transfers = self.0.all("transfer");
        let transfer = transfers.first()?;
        Some((transfer.get("dest")?, transfer.get("type")?, transfer.get("aai")))
    }

    /// Grammars that are elsewhere.
    pub fn references(&self) -> Vec<&str> {
        self.0.all("grammar").iter().filter_map(|grammar| grammar.get("src")).collect()
    }

    /// Words, and what they mean.
    pub fn words(&self) -> Vec<(String, String)> {
        let grammars = self.0.all("grammar");
        let spoken = grammars.iter().filter(|grammar| grammar.get("mode") == Some("voice"));
        let meaning = |item: &&Node| {
            let tag = item.children.iter().find(|child| child.name == "tag").expect("a meaning");
            let words = item.text.strip_suffix(&tag.text).unwrap().to_owned();
            let key = tag.text.strip_prefix("out = \"").and_then(|rest| rest.strip_suffix("\";"));
            (words, key.expect("a key").to_owned())
        };
        spoken.flat_map(|grammar| grammar.all("item")).map(|item| meaning(&item)).collect()
    }

    /// Whether these keys, as a whole, are what the grammar takes.
    pub fn takes_keys(&self, keys: &str) -> bool {
        let grammars = self.0.all("grammar");
        let grammar = grammars.iter().find(|grammar| grammar.get("mode") == Some("dtmf")).expect("keys");
        let root = rule(grammar, grammar.get("root").unwrap());
        ends(grammar, root, keys, 0).contains(&keys.len())
    }
}

fn rule<'g>(grammar: &'g Node, id: &str) -> &'g Node {
    grammar.children.iter().find(|rule| rule.get("id") == Some(id)).expect("the rule")
}

/// Where a part of a grammar can have ended that began at `at`.
fn ends(grammar: &Node, node: &Node, keys: &str, at: usize) -> Vec<usize> {
    match node.name.as_str() {
        "one-of" => node.children.iter().flat_map(|item| ends(grammar, item, keys, at)).collect(),
        "ruleref" => ends(grammar, rule(grammar, node.get("uri").unwrap().trim_start_matches('#')), keys, at),
        "tag" => vec![at],
        _ => {
            let repeat = node.get("repeat").unwrap_or("1-1");
            let (min, max) = repeat.split_once('-').unwrap_or((repeat, repeat));
            let (min, max): (usize, usize) = (min.parse().unwrap(), max.parse().unwrap());
            let mut found = if min == 0 { vec![at] } else { Vec::new() };
            let mut here = vec![at];
            for times in 1..=max {
                here = here.iter().flat_map(|at| once(grammar, node, keys, *at)).collect();
                if times >= min {
                    found.extend(&here);
                }
            }
            found
        }
    }
}

fn once(grammar: &Node, node: &Node, keys: &str, at: usize) -> Vec<usize> {
    if node.children.is_empty() {
        let token = node.text.trim();
        return if keys[at..].starts_with(token) { vec![at + token.len()] } else { Vec::new() };
    }
    node.children.iter().fold(vec![at], |places, child| {
        places.iter().flat_map(|at| ends(grammar, child, keys, *at)).collect()
    })
}
