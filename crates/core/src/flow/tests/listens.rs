//! The small form: a flow that listens for words.

use serde_json::{Value, json};

use super::*;
use crate::transfer::{Failure, Outcome, Reason};

fn small(nodes: Value) -> Stage {
    Stage::new(small_flow(nodes))
}

fn small_flow(more: Value) -> Value {
    let says = |text: &str| json!({ "message": { "text": text } });
    let mut nodes = json!({
        "hello": says("Hello"), "echo": says("You said {{text}}"), "sorry": says("Sorry"),
        "closed": says("We open at nine"), "human": { "agent_transfer": {} }, "end": { "end": {} },
    });
    nodes.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    json!({
        "start": "hello",
        "words": [
            { "any": ["agent"], "go_to": "human" },
            { "any": ["real person"], "go_to": "human" },
            { "any": ["bye"], "go_to": "end" },
        ],
        "otherwise": "echo",
        "nodes": nodes,
    })
}

#[test]
fn starts_at_the_start_node() {
    assert_eq!(small(json!({})).starts(), ["Hello"]);
}

#[test]
fn nodes_follow_each_other_until_the_bot_waits_hands_over_or_ends() {
    let mut stage = small(json!({
        "hello": { "message": { "text": "Hello", "next": "there" } },
        "there": { "message": { "text": "there", "next": "human" } },
    }));
    assert_eq!(stage.starts(), ["Hello", "there", "transfer by main.human"]);
    assert_eq!(stage.says("bye"), ["end"]);
}

#[test]
fn words_are_whole_and_in_any_case() {
    for text in ["agent", "AGENT!", "an agent, please", "a Real  Person", "real-person"] {
        assert_eq!(small(json!({})).says(text), ["transfer by main.human"], "{text}");
    }
    for text in ["agents", "reagent", "person real", ""] {
        assert_eq!(small(json!({})).says(text), [format!("You said {text}")], "{text}");
    }
}

#[test]
fn the_first_match_wins_and_an_empty_phrase_matches_nothing() {
    let mut flow = small_flow(json!({}));
    flow["words"].as_array_mut().unwrap().insert(0, json!({ "any": ["  "], "go_to": "sorry" }));
    assert_eq!(Stage::new(flow).says("agent bye"), ["transfer by main.human"]);
}

#[test]
fn a_flow_that_listens_for_nothing_begins_anew() {
    let mut stage = Stage::new(json!({ "start": "a", "nodes": { "a": { "message": { "text": "A" } } } }));
    assert_eq!(stage.starts(), ["A"]);
    assert_eq!(stage.says("x"), ["A"]);
}

#[test]
fn one_of_several_texts_is_picked_by_the_seed() {
    let any = |texts: Value, seed| {
        let mut stage = small(json!({ "hello": { "message": { "text": texts } } }));
        stage.seed = seed;
        stage.starts()
    };
    let two = json!(["Hello", { "text": "Hi", "link": "https://x.test/hi.wav" }]);
    assert_eq!(any(two.clone(), 0), ["Hello"]);
    assert_eq!(any(two.clone(), 3), ["Hi"]);
    assert_eq!(any(two, u64::MAX), ["Hi"]);
    assert_eq!(any(json!([]), 7), [""; 0]);
}

#[test]
fn what_the_customer_said_is_data_and_not_a_template() {
    let mut stage = small(json!({}));
    stage.app.env.insert("key".into(), "secret".into());
    assert_eq!(stage.says("{{text}} {{env.key}}"), ["You said {{text}} {{env.key}}"]);
}

#[test]
fn a_circle_is_cut() {
    let mut stage = small(json!({ "hello": { "message": { "text": "again", "next": "hello" } } }));
    let acts = stage.starts();
    assert_eq!(acts.iter().filter(|act| *act == "again").count(), 64);
    assert!(acts[64].starts_with("failed at hello: the flow goes in circles"), "{acts:?}");
    assert_eq!(acts[65], stage.app.texts.flow_failed);
    assert_eq!(acts.len(), 66);
}

#[test]
fn a_node_that_does_not_exist_fails_and_the_bot_goes_on() {
    let mut stage = small(json!({ "hello": { "message": { "text": "Hello", "next": "nowhere" } } }));
    let sorry = stage.app.texts.flow_failed.clone();
    assert_eq!(stage.starts(), ["Hello", "failed at nowhere: there is no node `nowhere`", &sorry]);
    assert_eq!(stage.says("hi"), ["You said hi"]);
}

#[test]
fn a_transfer_node_speaks_before_it_hands_over() {
    let mut stage = small(json!({ "human": { "agent_transfer": { "message": "One moment" } } }));
    assert_eq!(stage.says("agent"), ["One moment", "transfer by main.human"]);
}

fn returned(stage: &mut Stage, by_itself: bool, outcome: &Outcome) -> Vec<String> {
    let place = Place { flow: MAIN.into(), node: "human".into() };
    let place = (!by_itself).then_some(&place);
    let acts = stage.hears(&Event::Returned { place, outcome });
    acts.iter().filter_map(short).collect()
}

#[test]
fn after_the_human_part_the_nodes_own_path_comes_first() {
    let mut flow = small_flow(json!({ "human": { "agent_transfer": { "returned": "sorry" } } }));
    flow["returned"] = json!("hello");
    let mut stage = Stage::new(flow);
    assert_eq!(returned(&mut stage, false, &Outcome::AgentEnded), ["Sorry"]);
    assert_eq!(
        returned(&mut stage, true, &Outcome::AgentEnded),
        ["Hello"],
        "the agent's side had begun by itself"
    );
    assert_eq!(returned(&mut small(json!({})), true, &Outcome::Idle), [""; 0]);
}

fn failed(flow: Value, reason: Reason) -> Vec<String> {
    returned(&mut Stage::new(flow), false, &Outcome::Failed(Failure::of(reason)))
}

#[test]
fn on_failure_the_node_comes_first() {
    let on_failure = |path: Value| {
        let mut flow = small_flow(json!({ "human": { "agent_transfer": { "on_failure": path } } }));
        flow["no_agents"] = json!("sorry");
        flow
    };
    assert_eq!(
        failed(on_failure(json!({ "message": "Later", "go_to": "end" })), Reason::NoAgents),
        ["Later", "end"]
    );
    assert_eq!(failed(on_failure(json!({ "message": "Later" })), Reason::NoAgents), ["Later"]);
    assert_eq!(failed(on_failure(json!({ "go_to": "closed" })), Reason::NoAgents), ["We open at nine"]);
}

#[test]
fn on_failure_the_start_nodes_flow_for_the_reason_comes_next_and_the_apps_text_last() {
    let mut flow = small_flow(json!({}));
    flow["no_agents"] = json!("sorry");
    flow["out_of_hours"] = json!("closed");
    for reason in [Reason::NoAgents, Reason::QueueFull, Reason::QueueTimeout, Reason::Busy, Reason::NoAnswer]
    {
        assert_eq!(failed(flow.clone(), reason), ["Sorry"], "{reason:?}");
    }
    assert_eq!(failed(flow.clone(), Reason::OutsideHours), ["We open at nine"]);
    let last = App::default().texts.transfer_failed;
    for reason in [Reason::Unreachable, Reason::Unconfigured, Reason::AgentLost, Reason::Loop] {
        assert_eq!(failed(flow.clone(), reason), [last.as_str()], "{reason:?}");
    }
    flow["no_agents"] = json!({ "flow": "callback" });
    let callback = json!({ "start": "a", "nodes": { "a": { "message": { "text": "We call you back" } } } });
    let mut stage = Stage::with(json!({ "main": flow, "callback": callback }));
    let outcome = Outcome::Failed(Failure::of(Reason::NoAgents));
    assert_eq!(returned(&mut stage, false, &outcome), ["We call you back"]);
}
