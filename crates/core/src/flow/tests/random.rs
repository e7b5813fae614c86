//! Whatever a flow says and whoever says what: a conversation is never left without a way on, and the same again gives the
//! same.

use proptest::prelude::*;
use serde_json::json;

use super::work::{Outcome, Reply, Then};
use super::*;

const NODES: [&str; 7] = ["a", "b", "c", "d", "e", "f", "gone"];

fn target() -> impl Strategy<Value = Value> {
    prop::sample::select(NODES.to_vec()).prop_map(|name| json!(name))
}

fn maybe() -> impl Strategy<Value = Value> {
    prop_oneof![1 => Just(Value::Null), 2 => target()]
}

fn script() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(json!("fail")),
        Just(json!({ "variables": { "x": { "put": 1 } } }).to_string().into()),
        Just(json!({ "effects": [{ "set": "voice", "command": { "do": "hangup", "message": [], "headers": {}, "queue": true } }] }).to_string().into()),
        Just(json!({ "variables": { "x": { "put": "x".repeat(33_000) } } }).to_string().into()),
    ]
}

fn node() -> impl Strategy<Value = Value> {
    let error = || maybe().prop_map(|node| json!({ "go_to": node }));
    prop_oneof![
        maybe().prop_map(|next| json!({ "message": { "text": "said {{text}}", "next": next } })),
        (target(), maybe(), maybe(), error()).prop_map(|(go, timeout, wrong, error)| json!({ "ivr_menu": {
            "message": "?", "choices": [{ "key": "1", "go_to": go }], "timeout": { "tries": 2, "go_to": timeout },
            "wrong_input": { "tries": 2, "go_to": wrong }, "on_error": error } })),
        (target(), maybe(), error()).prop_map(|(next, wrong, error)| json!({ "digit_input": {
            "message": "?", "next": next, "wrong_input": { "tries": 1, "go_to": wrong }, "on_error": error } })),
        (target(), target()).prop_map(|(yes, no)| {
            let test = json!({ "when": { "variable": "x", "is": "set" } });
            json!({ "split": { "branches": [{ "if": test, "go_to": yes }], "otherwise": no } })
        }),
        (target(), target(), error())
            .prop_map(|(yes, no, error)| json!({ "business_hours": { "inside": yes, "outside": no, "on_error": error } })),
        (target(), target(), error()).prop_map(|(yes, no, error)| json!({ "agent_availability": {
            "available": yes, "not_available": no, "on_error": error } })),
        (target(), maybe(), error()).prop_map(|(yes, no, error)| json!({ "api": {
            "request": { "url": "https://x.test/" }, "success": yes, "failure": no, "on_error": error } })),
        (target(), maybe(), error()).prop_map(|(transfer, done, error)| json!({ "automation": {
            "bot": "clever", "on_agent_transfer": transfer, "success": done, "on_error": error } })),
        prop::sample::select(vec!["main", "other", "gone"]).prop_map(|flow| json!({ "go_to_flow": { "flow": flow } })),
        (script(), maybe(), error())
            .prop_map(|(source, next, error)| json!({ "script": { "source": source, "next": next, "on_error": error } })),
        prop::option::of(Just("other")).prop_map(|before| json!({ "agent_transfer": { "before": before } })),
        Just(json!({ "end": { "message": "bye" } })),
    ]
}

fn flow() -> impl Strategy<Value = Value> {
    let nodes = prop::collection::vec(node(), 6);
    (target(), maybe(), maybe(), nodes).prop_map(|(start, otherwise, error, nodes)| {
        let nodes: serde_json::Map<String, Value> =
            NODES.iter().zip(nodes).map(|(name, node)| ((*name).to_owned(), node)).collect();
        json!({ "start": start, "otherwise": otherwise, "on_error": { "go_to": error }, "nodes": nodes })
    })
}

#[derive(Debug, Clone)]
enum Happens {
    Says(&'static str),
    Silence,
    Passes(u64),
    Works(Outcome),
    Returns(bool),
    HangsUp,
}

fn happens() -> impl Strategy<Value = Happens> {
    let reply = |then| Outcome::Turned(Reply { says: vec!["x".into()], then, ..Reply::default() });
    let outcome = prop_oneof![
        Just(Outcome::Answered { status: 200, body: json!({}) }),
        Just(Outcome::Answered { status: 500, body: json!(null) }),
        Just(Outcome::Available(Some(false))),
        Just(reply(Then::Listens)),
        Just(reply(Then::Done)),
        Just(reply(Then::Transfer { reason: None })),
        Just(Outcome::Failed { code: "timeout".into() }),
    ];
    prop_oneof![
        5 => prop::sample::select(vec!["1", "12345", "hello", ""]).prop_map(Happens::Says),
        1 => Just(Happens::Silence),
        2 => (0..30_000_u64).prop_map(Happens::Passes),
        5 => outcome.prop_map(Happens::Works),
        1 => any::<bool>().prop_map(Happens::Returns),
        1 => Just(Happens::HangsUp),
    ]
}

fn happen(stage: &mut Stage, what: &Happens) -> Vec<Act> {
    match what {
        Happens::Says(text) => stage.hears(&Event::Said(&Text::plain(*text))),
        Happens::Silence => stage.hears(&Event::NoInput),
        Happens::Passes(ms) => {
            stage.now = stage.now.plus(*ms);
            stage.hears(&Event::Tick)
        }
        Happens::Works(outcome) => {
            let no = stage.memory.works;
            stage.hears(&Event::Worked { no, outcome })
        }
        Happens::Returns(failed) => {
            let failure = crate::transfer::Failure::of(crate::transfer::Reason::NoAgents);
            let failed = failed.then_some(crate::transfer::Outcome::Failed(failure));
            let outcome = failed.unwrap_or(crate::transfer::Outcome::AgentEnded);
            stage.hears(&Event::Returned { place: None, outcome: &outcome })
        }
        Happens::HangsUp => stage.hears(&Event::HungUp),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_flow_never_wedges_a_conversation(
        (main, other) in (flow(), flow()),
        story in prop::collection::vec(happens(), 0..12),
        call in any::<bool>(),
    ) {
        let begin = || {
            let stage = Stage::with(json!({ "main": main, "other": other }));
            if call { stage.call() } else { stage }
        };
        let (mut one, mut two) = (begin(), begin());
        prop_assert_eq!(one.hears(&Event::Started), two.hears(&Event::Started));
        for what in &story {
            (one.memory.turn, two.memory.turn) = (None, None);
            let acts = happen(&mut one, what);
            prop_assert_eq!(&acts, &happen(&mut two, what), "the same again is the same");
            prop_assert_eq!(&one.memory, &two.memory);
            prop_assert!(acts.len() < 2_200, "{}", acts.len());
            prop_assert!(one.memory.fits());
            if let Some(at) = &one.at {
                let works = matches!(at.wait, memory::Wait::Work { .. });
                prop_assert!(!works || at.until.is_some(), "work is not waited for without end");
            }
            // On a call somebody always knows what comes next.
            let goes_on = one.at.is_some()
                || one.memory.turn.is_some()
                || acts.iter().any(|act| matches!(act, Act::End | Act::Transfer(_)))
                || matches!(what, Happens::HangsUp | Happens::Passes(_) | Happens::Works(_));
            prop_assert!(!call || goes_on, "{what:?}: {acts:?}");
        }
    }
}
