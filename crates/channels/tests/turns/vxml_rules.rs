//! The rules of VoiceXML 2.1 and SRGS 1.0 that a document is held to, from the recommendations and their schemas
//! (<https://www.w3.org/TR/voicexml21/>, <https://www.w3.org/TR/voicexml20/>, <https://www.w3.org/TR/speech-grammar/>):
//! which element may stand where, with which attributes of which type, and what must be declared.

use std::collections::BTreeSet;

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

/// An element.
#[derive(Debug, Clone, Default)]
pub struct Node {
    pub name: String,
    pub attributes: Vec<(String, String)>,
    pub children: Vec<Node>,
    /// Its own text and that of its children, in order.
    pub text: String,
    /// Whether there is text between its children.
    pub is_mixed: bool,
}

impl Node {
    pub fn get(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub fn all<'a>(&'a self, name: &str) -> Vec<&'a Node> {
        let mut found: Vec<&Node> = if self.name == name { vec![self] } else { Vec::new() };
        found.extend(self.children.iter().flat_map(|child| child.all(name)));
        found
    }
}

/// Reads a document; it must be well-formed.
pub fn parse(document: &str) -> Node {
    let mut reader = Reader::from_str(document);
    let mut stack = vec![Node::default()];
    let open = |start: &BytesStart<'_>| {
        let name = String::from_utf8(start.name().as_ref().to_vec()).expect("UTF-8");
        let attributes: Vec<(String, String)> = start
            .attributes()
            .map(|attribute| {
                let attribute = attribute.expect("a well-formed attribute, given once");
                let key = String::from_utf8(attribute.key.as_ref().to_vec()).expect("UTF-8");
                let raw = std::str::from_utf8(&attribute.value).expect("UTF-8").to_owned();
                (key, quick_xml::escape::unescape(&raw).expect("known references").into_owned())
            })
            .collect();
        Node { name, attributes, ..Node::default() }
    };
    let add = |stack: &mut Vec<Node>, text: &str| {
        let node = stack.last_mut().unwrap();
        node.is_mixed |= !text.trim().is_empty();
        node.text.push_str(text);
    };
    loop {
        match reader.read_event().expect("well-formed XML") {
            Event::Start(start) => stack.push(open(&start)),
            Event::Empty(start) => close(&mut stack, open(&start)),
            Event::End(_) => {
                let node = stack.pop().unwrap();
                close(&mut stack, node);
            }
            Event::Text(text) => add(&mut stack, std::str::from_utf8(&text).expect("UTF-8")),
            Event::GeneralRef(reference) => {
                let name = std::str::from_utf8(&reference).expect("UTF-8").to_owned();
                let text = quick_xml::escape::unescape(&format!("&{name};"))
                    .expect("a known reference")
                    .into_owned();
                add(&mut stack, &text);
            }
            Event::CData(text) => add(&mut stack, std::str::from_utf8(&text).expect("UTF-8")),
            Event::Decl(_) | Event::Comment(_) | Event::PI(_) => {}
            Event::DocType(kind) => {
                assert!(stack.len() == 1 && stack[0].children.is_empty(), "a document type comes first");
                assert!(kind.starts_with(b"vxml "), "it is that of the root");
            }
            Event::Eof => break,
        }
    }
    assert_eq!(stack.len(), 1, "every element is closed");
    let mut top = stack.pop().unwrap();
    assert!(!top.is_mixed && top.children.len() == 1, "one root");
    let is_char = |c: char| matches!(c, '\t' | '\n' | '\r' | '\u{20}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..);
    assert!(document.chars().all(is_char), "only characters of XML 1.0");
    top.children.remove(0)
}

fn close(stack: &mut [Node], node: Node) {
    let parent = stack.last_mut().unwrap();
    parent.text.push_str(&node.text);
    parent.children.push(node);
}

/// The executable content (VoiceXML 2.0, 5.3).
const EXECUTABLE: &str = "assign audio clear data disconnect enumerate exit foreach goto if log prompt reprompt return script submit throw value var";
/// What may be spoken (SSML as VoiceXML has it, 4.1).
const SPEECH: &str =
    "audio break emphasis enumerate foreach lexicon mark metadata p phoneme prosody s say-as sub value voice";
/// What may stand in a field that listens.
const INPUT: &str =
    "audio catch enumerate error filled grammar help link noinput nomatch option prompt property value";

/// Children, whether text may stand between them, required attributes, other attributes.
fn rules(name: &str) -> (String, bool, &'static str, &'static str) {
    let (children, mixed, required, optional) = match name {
        "vxml" => (
            "catch data error form help link menu meta metadata noinput nomatch property script var",
            false,
            "version xmlns",
            "xml:lang xml:base application",
        ),
        "form" => (
            "block catch data error field filled grammar help initial link noinput nomatch object property record script subdialog transfer var",
            false,
            "",
            "id scope",
        ),
        "field" => (INPUT, true, "", "name expr cond type slot modal xml:base"),
        "transfer" => (
            "audio catch enumerate error filled grammar help link noinput nomatch prompt property value",
            true,
            "",
            "name expr cond dest destexpr bridge type connecttimeout maxtime transferaudio aai aaiexpr",
        ),
        "block" => (EXECUTABLE, true, "", "name expr cond"),
        "filled" => (EXECUTABLE, true, "", "mode namelist"),
        "noinput" | "nomatch" | "help" | "error" => (EXECUTABLE, true, "", "count cond"),
        "catch" => (EXECUTABLE, true, "event", "count cond"),
        "prompt" => (SPEECH, true, "", "bargein bargeintype cond count timeout xml:lang xml:base"),
        "audio" => (SPEECH, true, "", "src expr fetchtimeout fetchhint maxage maxstale"),
        "break" => ("", false, "", "time strength"),
        "assign" => ("", false, "name expr", ""),
        "var" => ("", false, "name", "expr"),
        "property" => ("", false, "name value", ""),
        "return" => ("", false, "", "event eventexpr message messageexpr namelist"),
        "submit" => (
            "",
            false,
            "",
            "next expr namelist method enctype fetchaudio fetchhint fetchtimeout maxage maxstale",
        ),
        "grammar" => (
            "rule meta metadata lexicon tag",
            true,
            "",
            "xmlns version root mode tag-format src srcexpr type weight xml:lang xml:base fetchhint fetchtimeout maxage maxstale",
        ),
        "rule" => ("example item one-of ruleref tag token", true, "id", "scope"),
        "one-of" => ("item", false, "", "xml:lang"),
        "item" => ("item one-of ruleref tag token", true, "", "repeat repeat-prob weight xml:lang"),
        "ruleref" => ("", false, "", "uri special type"),
        "tag" => ("", true, "", ""),
        other => panic!("VoiceXML 2.1 has no <{other}>, or we never write one"),
    };
    (children.to_owned(), mixed, required, optional)
}

/// Holds a document to the rules.
pub fn check(root: &Node) {
    assert_eq!(root.name, "vxml");
    assert_eq!(root.get("version"), Some("2.1"));
    assert_eq!(root.get("xmlns"), Some("http://www.w3.org/2001/vxml"));
    assert!(!root.all("form").is_empty(), "a document has a dialog");
    check_node(root);
    for form in root.all("form") {
        check_names(form);
    }
    let ids: Vec<&str> = root.all("form").iter().filter_map(|form| form.get("id")).collect();
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len(), "ids are unique");
    for grammar in root.all("grammar") {
        check_grammar(grammar);
    }
}

fn check_node(node: &Node) {
    let (children, mixed, required, optional) = rules(&node.name);
    let name = &node.name;
    for child in &node.children {
        assert!(
            children.split(' ').any(|known| known == child.name),
            "<{}> may not stand in <{name}>",
            child.name
        );
    }
    assert!(mixed || !node.is_mixed, "<{name}> holds no text: {}", node.text);
    for required in required.split(' ').filter(|required| !required.is_empty()) {
        assert!(node.get(required).is_some(), "<{name}> needs {required}");
    }
    for (attribute, value) in &node.attributes {
        let known = required.split(' ').chain(optional.split(' ')).any(|known| known == attribute);
        assert!(known, "<{name}> has no attribute {attribute}");
        check_type(name, attribute, value);
    }
    one_of(node, "return", &["event", "eventexpr", "namelist"], 1);
    one_of(node, "transfer", &["dest", "destexpr"], 1);
    one_of(node, "transfer", &["bridge", "type"], 1);
    one_of(node, "transfer", &["aai", "aaiexpr"], 1);
    one_of(node, "audio", &["src", "expr"], 1);
    if name == "submit" {
        assert!(node.get("next").is_some() ^ node.get("expr").is_some(), "<submit> goes somewhere");
    }
    if name == "property" && matches!(node.get("name"), Some("timeout" | "interdigittimeout")) {
        assert!(is_time(node.get("value").unwrap()), "{node:?}");
    }
    node.children.iter().for_each(check_node);
}

fn one_of(node: &Node, name: &str, attributes: &[&str], most: usize) {
    let given = attributes.iter().filter(|attribute| node.get(attribute).is_some()).count();
    assert!(node.name != name || given <= most, "<{name}> has only one of {attributes:?}");
}

fn check_type(name: &str, attribute: &str, value: &str) {
    let is_right = match (name, attribute) {
        (_, "bargein") => matches!(value, "true" | "false"),
        ("transfer", "type") => matches!(value, "bridge" | "blind" | "consultation"),
        (_, "time" | "connecttimeout" | "maxtime" | "fetchtimeout") => is_time(value),
        (_, "xml:lang") => {
            value.split('-').all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric()))
        }
        ("property", "name") => is_token(value),
        (_, "id") | ("field" | "transfer" | "var" | "assign", "name") => is_ncname(value),
        (_, "namelist") => value.split(' ').all(is_ncname),
        (_, "event") => value.split(' ').all(|event| event.split('.').all(is_token)),
        (_, "src" | "next" | "uri" | "dest") => !value.is_empty() && !value.contains(char::is_whitespace),
        ("rule", "scope") => matches!(value, "public" | "private"),
        ("grammar", "mode") => matches!(value, "voice" | "dtmf"),
        ("item", "repeat") => {
            let (min, max) = value.split_once('-').unwrap_or((value, value));
            let number = |text: &str| text.parse::<u32>().ok();
            number(min).is_some() && (max.is_empty() || number(max) >= number(min))
        }
        ("var", "expr") => is_literal(value),
        _ => true,
    };
    assert!(is_right, "<{name} {attribute}=\"{value}\">");
}

/// A time designation (CSS2): a number with `s` or `ms`.
fn is_time(value: &str) -> bool {
    let number = value.strip_suffix("ms").or_else(|| value.strip_suffix('s'));
    number.is_some_and(|number| number.parse::<f64>().is_ok_and(|number| number >= 0.0))
}

fn is_token(value: &str) -> bool {
    !value.is_empty() && value.chars().all(|c| c.is_alphanumeric() || "._-:".contains(c))
}

fn is_ncname(value: &str) -> bool {
    is_token(value) && !value.contains(':') && value.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

/// A literal of ECMAScript, as we write them: JSON, an object in brackets.
fn is_literal(value: &str) -> bool {
    let json = value.strip_prefix('(').and_then(|value| value.strip_suffix(')')).unwrap_or(value);
    let object = json.starts_with('{') == value.starts_with('(');
    object
        && serde_json::from_str::<serde_json::Value>(json).is_ok()
        && !value.contains(['\u{2028}', '\u{2029}'])
}

/// Names are declared once, and what is assigned or returned is declared.
fn check_names(form: &Node) {
    let declared: Vec<&str> = ["var", "field", "transfer"]
        .iter()
        .flat_map(|kind| form.all(kind))
        .filter_map(|node| node.get("name"))
        .collect();
    let unique: BTreeSet<&str> = declared.iter().copied().collect();
    assert_eq!(unique.len(), declared.len(), "declared twice: {declared:?}");
    for assign in form.all("assign") {
        assert!(unique.contains(assign.get("name").unwrap()), "{assign:?} is not declared");
    }
    for returned in form.all("return").iter().filter_map(|node| node.get("namelist")) {
        for name in returned.split(' ') {
            assert!(unique.contains(name), "{name} is returned and not declared");
        }
    }
}

fn check_grammar(grammar: &Node) {
    let inline = !grammar.children.is_empty();
    assert!(inline ^ grammar.get("src").is_some(), "a grammar is in place or elsewhere: {grammar:?}");
    if !inline {
        return;
    }
    assert_eq!(grammar.get("xmlns"), Some("http://www.w3.org/2001/06/grammar"));
    assert_eq!(grammar.get("version"), Some("1.0"));
    let is_keys = grammar.get("mode") == Some("dtmf");
    assert!(is_keys || grammar.get("xml:lang").is_some(), "speech has a language");
    let ids: Vec<&str> = grammar.all("rule").iter().filter_map(|rule| rule.get("id")).collect();
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len(), "rules are defined once");
    assert!(ids.contains(&grammar.get("root").expect("a root rule")));
    for uri in grammar.all("ruleref").iter().filter_map(|reference| reference.get("uri")) {
        assert!(ids.contains(&uri.strip_prefix('#').expect("a rule of this grammar")));
    }
    for choice in grammar.all("one-of") {
        assert!(!choice.children.is_empty(), "a choice has items");
    }
    if is_keys {
        for item in grammar.all("item").iter().filter(|item| item.children.is_empty()) {
            assert!(item.text.trim().chars().all(|c| c.is_ascii_digit() || "*#ABCD".contains(c)), "{item:?}");
        }
    }
}

#[test]
fn the_rules_refuse_what_is_wrong() {
    let form = |inside: &str| {
        format!("<vxml version=\"2.1\" xmlns=\"http://www.w3.org/2001/vxml\"><form>{inside}</form></vxml>")
    };
    check(&parse(&form("<var name=\"a\" expr=\"1\"/><block><return namelist=\"a\"/></block>")));
    for wrong in [
        form("<prompt>hi</prompt>"),
        form("<block><return namelist=\"b\"/></block>"),
        form("<var name=\"a\"/><var name=\"a\"/>"),
        form("<var name=\"1a\"/>"),
        form("<var name=\"a\" expr=\"{}\"/>"),
        form("text"),
        form("<block><prompt bargein=\"yes\">a</prompt></block>"),
        form("<field name=\"f\"><grammar/></field>"),
        form(
            "<field name=\"f\"><grammar xmlns=\"http://www.w3.org/2001/06/grammar\" version=\"1.0\" mode=\"dtmf\" root=\"x\"><rule id=\"y\">1</rule></grammar></field>",
        ),
        form("<property name=\"timeout\" value=\"5\"/>"),
        form("<unknown/>"),
        form("<block><submit/></block>"),
        "<vxml version=\"2.0\"/>".into(),
        "<vxml version=\"2.1\" xmlns=\"http://www.w3.org/2001/vxml\"/>".into(),
        "<vxml>".into(),
    ] {
        let refused = std::panic::catch_unwind(|| check(&parse(&wrong)));
        assert!(refused.is_err(), "{wrong}");
    }
}
