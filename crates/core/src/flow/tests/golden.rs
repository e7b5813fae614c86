//! Every exit of every type of node is taken once; and those are the exits that the documentation lists.

use std::collections::BTreeSet;

use serde_json::json;

use super::work::{Outcome as Came, Reply, Then};
use super::*;
use crate::flow::hours::{Day, Hours, Span};
use crate::transfer::{Failure, Outcome, Reason};

/// What happens before the exit is taken.
enum Happens {
    /// Nothing: the node leads on by itself.
    Nothing,
    /// The flow variable `flag` is set.
    Flag,
    /// It is so late on a Thursday. Else there are no business hours.
    Hour(i64),
    Says(&'static str),
    Silence,
    /// Something comes of the work.
    Comes(Came),
    /// A bot was asked something, and answers so.
    Answers(Then),
    Returns(Outcome),
}

use Happens::{Answers, Comes, Flag, Hour, Nothing, Returns, Says, Silence};

/// A node of this kind whose exits lead to nodes that say which exit they are.
fn node(kind: &str, fields: Value) -> Value {
    let mut fields = fields;
    for (name, exit) in fields.as_object_mut().unwrap() {
        name_exits(exit, &format!("{kind}.{name}"));
    }
    fields
}

fn name_exits(value: &mut Value, at: &str) {
    match value {
        Value::String(text) if text == "EXIT" => *text = at.to_owned(),
        Value::Object(fields) => {
            fields.iter_mut().for_each(|(name, value)| name_exits(value, &format!("{at}.{name}")));
        }
        Value::Array(values) => {
            let at = |no: usize| format!("{at}[{no}]");
            values.iter_mut().enumerate().for_each(|(no, value)| name_exits(value, &at(no)));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn cases() -> Vec<(&'static str, &'static str, Value, Happens)> {
    let error = json!({ "go_to": "EXIT" });
    let tries = json!({ "tries": 1, "go_to": "EXIT" });
    let flag = json!([{ "if": { "when": { "variable": "flag", "is": "set" } }, "go_to": "EXIT" }]);
    let says = |source: &str| json!({ "text": { "script": source }, "next": "EXIT", "on_error": error });
    let menu = |message: Value| {
        json!({ "message": message, "choices": [{ "key": "1", "go_to": "EXIT" }],
        "timeout": tries, "wrong_input": tries, "on_error": error })
    };
    let digits = |message: Value| {
        json!({ "message": message, "next": "EXIT", "timeout": tries, "wrong_input": tries,
        "on_error": error })
    };
    let broken = || json!({ "script": "fail" });
    let split = || json!({ "branches": flag, "otherwise": "EXIT" });
    let hours = || json!({ "inside": "EXIT", "outside": "EXIT", "on_error": error });
    let there = || json!({ "available": "EXIT", "not_available": "EXIT", "on_error": error });
    let queue = || json!({ "queue": "q", "hours": "default", "inside": "EXIT", "outside": "EXIT", "on_error": error });
    let send = json!({ "url": "https://x.test/" });
    let chat = || json!({ "link": "https://c.test/", "send": send, "next": "EXIT", "on_error": error });
    let bot = || {
        json!({ "bot": "clever", "message": "?", "success": "EXIT", "failure": "EXIT",
        "on_agent_transfer": "EXIT", "timeout": tries, "on_error": error })
    };
    let api =
        |failure: Value| json!({ "request": send, "success": "EXIT", "failure": failure, "on_error": error });
    let script =
        |source: &str| json!({ "source": source, "branches": flag, "next": "EXIT", "on_error": error });
    let human = || json!({ "returned": "EXIT", "on_failure": error });
    let answered = |status| Comes(Came::Answered { status, body: json!({}) });
    let failed = || Comes(Came::Failed { code: "timeout".into() });
    vec![
        ("message", "next", says("{}"), Nothing),
        ("message", "on_error.go_to", says("fail"), Nothing),
        ("ivr_menu", "choices[0].go_to", menu(json!("?")), Says("1")),
        ("ivr_menu", "timeout.go_to", menu(json!("?")), Silence),
        ("ivr_menu", "wrong_input.go_to", menu(json!("?")), Says("9")),
        ("ivr_menu", "on_error.go_to", menu(broken()), Nothing),
        ("digit_input", "next", digits(json!("?")), Says("12")),
        ("digit_input", "timeout.go_to", digits(json!("?")), Silence),
        ("digit_input", "wrong_input.go_to", digits(json!("?")), Says("x")),
        ("digit_input", "on_error.go_to", digits(broken()), Nothing),
        ("split", "branches[0].go_to", split(), Flag),
        ("split", "otherwise", split(), Nothing),
        ("business_hours", "inside", hours(), Hour(10)),
        ("business_hours", "outside", hours(), Hour(20)),
        ("business_hours", "on_error.go_to", hours(), Nothing),
        ("agent_availability", "available", there(), Comes(Came::Available(Some(true)))),
        ("agent_availability", "available", there(), Comes(Came::Available(None))),
        ("agent_availability", "not_available", there(), Comes(Came::Available(Some(false)))),
        ("agent_availability", "on_error.go_to", there(), failed()),
        ("set_queue", "inside", queue(), Hour(10)),
        ("set_queue", "outside", queue(), Hour(20)),
        ("set_queue", "on_error.go_to", queue(), Nothing),
        ("deflection", "next", chat(), answered(202)),
        ("deflection", "on_error.go_to", chat(), answered(500)),
        ("deflection", "on_error.go_to", chat(), failed()),
        ("automation", "success", bot(), Answers(Then::Done)),
        ("automation", "failure", bot(), Answers(Then::GivesUp)),
        ("automation", "on_agent_transfer", bot(), Answers(Then::Transfer { reason: None })),
        ("automation", "timeout.go_to", bot(), Silence),
        (
            "automation",
            "on_error.go_to",
            json!({ "bot": "nobody", "on_agent_transfer": "EXIT", "on_error": error }),
            Nothing,
        ),
        ("api", "success", api(json!("EXIT")), answered(200)),
        ("api", "failure", api(json!("EXIT")), answered(500)),
        ("api", "failure", api(json!("EXIT")), failed()),
        ("api", "on_error.go_to", api(Value::Null), answered(404)),
        ("script", "branches[0].go_to", script("{}"), Flag),
        ("script", "next", script("{}"), Nothing),
        ("script", "on_error.go_to", script("fail"), Nothing),
        ("agent_transfer", "returned", human(), Returns(Outcome::AgentEnded)),
        (
            "agent_transfer",
            "on_failure.go_to",
            human(),
            Returns(Outcome::Failed(Failure::of(Reason::NoAgents))),
        ),
    ]
}

/// What the bot says last when the node is reached and this happens.
fn last_words(kind: &str, node: &Value, happens: &Happens) -> Option<String> {
    let read: Node = serde_json::from_value(json!({ kind: node })).unwrap();
    let mut nodes = json!({ "it": { kind: node } });
    for exit in crate::flow::check::exits_of(&read) {
        nodes[&exit] = json!({ "message": { "text": exit } });
    }
    let mut stage = Stage::new(json!({ "start": "it", "nodes": nodes })).call();
    match happens {
        Flag => stage.memory.set("flag", json!(1)).unwrap(),
        Hour(hour) => {
            let span = Span { from: "09:00".into(), to: "17:00".into() };
            let week = [(Day::Thursday, vec![span])].into();
            let hours = Hours { zone: "Etc/UTC".into(), week, holidays: BTreeMap::new() };
            stage.app.hours.insert("default".into(), hours);
            stage.now = Time(hour * 3_600_000);
        }
        Nothing | Says(_) | Silence | Comes(_) | Answers(_) | Returns(_) => {}
    }
    let mut acts = stage.hears(&Event::Started);
    match happens {
        Nothing | Flag | Hour(_) => {}
        Says(text) => acts = stage.hears(&Event::Said(&Text::plain(*text))),
        Silence => acts = stage.hears(&Event::NoInput),
        Comes(outcome) => acts = stage.hears(&Event::Worked { no: stage.memory.works, outcome }),
        Answers(then) => {
            stage.hears(&Event::Said(&Text::plain("hi")));
            let outcome = Came::Turned(Reply { then: then.clone(), ..Reply::default() });
            acts = stage.hears(&Event::Worked { no: stage.memory.works, outcome: &outcome });
        }
        Returns(outcome) => {
            let place = Place { flow: MAIN.into(), node: "it".into() };
            acts = stage.hears(&Event::Returned { place: Some(&place), outcome });
        }
    }
    acts.iter().rev().find_map(|act| if let Act::Say(text) = act { Some(text.text.clone()) } else { None })
}

#[test]
fn every_exit_of_every_node_is_taken() {
    for (kind, exit, fields, happens) in cases() {
        let node = node(kind, fields);
        assert_eq!(last_words(kind, &node, &happens), Some(format!("{kind}.{exit}")), "{node}");
    }
}

/// As the documentation has it: `choices[0].go_to` is a choice's `go_to`, `on_error.go_to` is the `on_error`.
fn as_documented(exit: &str) -> String {
    let plain = exit.split_once("].").map_or(exit, |(_, field)| field);
    match plain {
        "on_error.go_to" | "on_failure.go_to" => plain.trim_end_matches(".go_to").to_owned(),
        other => other.to_owned(),
    }
}

#[test]
fn those_are_all_exits_of_all_nodes() {
    let mut taken: BTreeMap<String, BTreeSet<String>> =
        [("go_to_flow".to_owned(), BTreeSet::new()), ("end".to_owned(), BTreeSet::new())].into();
    for (kind, exit, ..) in cases() {
        taken.entry(kind.to_owned()).or_default().insert(as_documented(exit));
    }
    let page = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/flows/README.md");
    let page = std::fs::read_to_string(page).unwrap();
    let table =
        page.split("## Nodes").nth(1).unwrap().split("\n\n").find(|part| part.contains("|---|")).unwrap();
    let quoted = |cell: &str| cell.split('`').skip(1).step_by(2).map(str::to_owned).collect::<BTreeSet<_>>();
    let documented: BTreeMap<String, BTreeSet<String>> = table
        .lines()
        .filter(|line| line.starts_with("| `"))
        .map(|line| {
            let cells: Vec<&str> = line.split(" | ").collect();
            (quoted(cells[0]).pop_first().unwrap(), quoted(cells[2]))
        })
        .collect();
    assert_eq!(taken, documented);
    // And those that the validator follows.
    for (kind, _, fields, _) in cases() {
        let node: Node = serde_json::from_value(json!({ kind: node(kind, fields) })).unwrap();
        for exit in crate::flow::check::exits_of(&node) {
            let exit = as_documented(exit.split_once('.').unwrap().1);
            assert!(taken[kind].contains(&exit), "{kind}: {exit} is never taken");
        }
    }
}
