//! What the validator finds.

use serde_json::json;

use super::*;

pub fn faults_of(flow: &Value) -> Vec<Fault> {
    let flow: Flow = serde_json::from_value(flow.clone()).unwrap();
    let asks = json!({ "start": "a", "nodes": { "a": { "digit_input": { "message": "?", "next": "a" } } } });
    let asks: Flow = serde_json::from_value(asks).unwrap();
    let known = Known {
        is_agent: &|name| name.as_str() == "desk",
        is_bot: &|name| name.as_str() == "clever",
        has_hours: &|name| name == "default",
        flow: &|name| (name.as_str() == "asks").then_some(&asks),
    };
    check("flow", &flow, &known)
}

fn errors(flow: &Value) -> Vec<String> {
    let faults = faults_of(flow);
    faults.iter().filter(|fault| fault.severity == Severity::Error).map(ToString::to_string).collect()
}

fn warnings(flow: &Value) -> Vec<String> {
    let faults = faults_of(flow);
    faults.iter().filter(|fault| fault.severity == Severity::Warning).map(ToString::to_string).collect()
}

#[test]
fn nothing_is_found_in_a_sound_flow() {
    let flow = json!({
        "start": "hello", "words": [{ "any": ["agent"], "go_to": "human" }], "otherwise": "hello",
        "nodes": {
            "hello": { "message": { "text": "Hello" } },
            "human": { "agent_transfer": { "on_failure": { "message": "Nobody is there" } } } } });
    assert_eq!(faults_of(&flow), []);
}

#[test]
fn every_target_that_does_not_exist_is_named_with_its_node() {
    let flow = json!({
        "start": "x1", "otherwise": "x2", "no_agents": "x3", "words": [{ "any": ["a"], "go_to": "x7" }],
        "out_of_hours": { "flow": "gone" },
        "nodes": {
            "hello": { "message": { "text": "Hello", "next": "x4" } },
            "menu": { "ivr_menu": { "message": "?", "choices": [{ "key": "1", "go_to": "x8" }],
                "timeout": { "go_to": "x9" } } },
            "open": { "business_hours": { "hours": "none", "inside": "hello", "outside": "hello" } },
            "bot": { "automation": { "bot": "dull", "on_agent_transfer": "human" } },
            "human": { "agent_transfer": { "returned": "x5", "on_failure": { "go_to": "x6" },
                "target": { "integration": "desk" }, "fallback": [{ "integration": "ghost" }] } } } });
    let found = errors(&flow);
    for missing in [
        "flow.start names the node `x1`",
        "flow.otherwise names the node `x2`",
        "flow.no_agents names the node `x3`",
        "flow.nodes.hello.message.next names the node `x4`",
        "flow.nodes.human.agent_transfer.returned names the node `x5`",
        "flow.nodes.human.agent_transfer.on_failure.go_to names the node `x6`",
        "flow.words[0].go_to names the node `x7`",
        "flow.nodes.menu.ivr_menu.choices[0].go_to names the node `x8`",
        "flow.nodes.menu.ivr_menu.timeout.go_to names the node `x9`",
        "flow.nodes.human.agent_transfer names the agent system `ghost`",
        "flow.nodes.open.business_hours.hours names the business hours `none`",
        "flow.nodes.bot.automation.bot names the bot `dull`",
        "flow.out_of_hours names the flow `gone`",
    ] {
        assert!(found.iter().any(|fault| fault.starts_with(missing)), "{missing}: {found:#?}");
    }
    assert_eq!(found.len(), 13, "{found:#?}");
    let faults = faults_of(&flow);
    let with_node =
        faults.iter().filter(|fault| fault.path.contains("nodes.")).all(|fault| fault.node.is_some());
    assert!(with_node);
}

#[test]
fn what_is_never_reached_is_told() {
    let flow = begins("yes", json!({}));
    let found = warnings(&flow);
    assert_eq!(found, ["flow.nodes.no is never reached", "flow.nodes.oops is never reached"]);
}

#[test]
fn circles_without_a_question_are_told() {
    let says = |next: &str| json!({ "message": { "text": "x", "next": next } });
    let flow = json!({ "start": "a", "nodes": { "a": says("b"), "b": says("c"), "c": says("b") } });
    assert_eq!(
        errors(&flow),
        ["flow.nodes.b leads in a circle in which the customer is not asked anything: `b` → `c`"]
    );
    let split = json!({ "split": { "branches": [], "otherwise": "b" } });
    let flow = json!({ "start": "a", "nodes": { "a": says("b"), "b": says("c"), "c": split } });
    assert_eq!((errors(&flow).len(), warnings(&flow).len()), (0, 1), "a way out may be found");
    let asks = json!({ "digit_input": { "message": "?", "next": "b" } });
    let flow = json!({ "start": "a", "nodes": { "a": says("b"), "b": says("c"), "c": asks } });
    assert_eq!(errors(&flow), [""; 0], "a question is a pause");
}

#[test]
fn thousands_of_nodes_and_a_long_circle_are_no_trouble() {
    let mut nodes = serde_json::Map::new();
    for at in 0..9_999 {
        let next = format!("n{}", (at + 1) % 9_999);
        nodes.insert(format!("n{at}"), json!({ "message": { "text": "x", "next": next } }));
    }
    assert_eq!(errors(&json!({ "start": "n0", "nodes": nodes })).len(), 1);
}

#[test]
fn a_transfer_without_a_way_out_is_warned_of() {
    let found = warnings(&json!({ "start": "h", "nodes": { "h": { "agent_transfer": {} } } }));
    assert_eq!(found.len(), 1);
    assert!(found[0].starts_with("flow.nodes.h.agent_transfer.on_failure is not set"), "{found:?}");
}

#[test]
fn a_flow_before_a_transfer_must_not_ask() {
    let found =
        errors(&json!({ "start": "h", "nodes": { "h": { "agent_transfer": { "before": "asks" } } } }));
    assert!(found[0].contains("asks the customer: that prevents the transfer"), "{found:?}");
}

#[test]
fn what_makes_no_sense_in_a_node_is_told() {
    let test = json!({ "if": { "all": [] }, "go_to": "end" });
    let nodes = json!({
        "split": { "split": { "branches": vec![test; 11], "otherwise": "end" } },
        "menu": { "ivr_menu": { "message": [], "choices": [{ "key": "11", "go_to": "end" }] } },
        "digits": { "digit_input": { "message": "?", "min": 4, "max": 3, "next": "end" } },
        "there": { "agent_availability": { "skills": ["a"], "agents": ["b"], "available": "end", "not_available": "end" } },
        "queue": { "set_queue": { "queue": "a", "priority": 11, "inside": "end" } },
        "api": { "api": { "request": { "url": "https://{{context.host}}/" }, "wait": { "async": { "seconds": 30 } },
            "sets": { "session": "/a", "x": "a.b" }, "success": "end" } },
        "ftp": { "api": { "request": { "url": "ftp://x" }, "success": "end" } },
        "say": { "message": { "text": "{{env.key}}" } },
        "human": { "agent_transfer": { "call": { "headers": { "X A": "b" } } } },
        "end": { "end": {} } });
    let found = errors(&json!({ "start": "split", "nodes": nodes }));
    for wrong in [
        "flow.nodes.split.split.branches has 11 branches",
        "flow.nodes.menu.ivr_menu.message has no text",
        "flow.nodes.menu.ivr_menu.choices[0].key is `11`",
        "flow.nodes.digits.digit_input.max",
        "flow.nodes.there.agent_availability.agents stands beside",
        "flow.nodes.queue.set_queue.priority",
        "flow.nodes.api.api.request.url has a variable in its host",
        "flow.nodes.api.api.wait.async.seconds",
        "flow.nodes.api.api.sets sets `session`",
        "flow.nodes.api.api.sets `x` is neither",
        "flow.nodes.ftp.api.request.url begins neither",
        "flow.nodes.human.agent_transfer.call.headers",
    ] {
        assert!(found.iter().any(|fault| fault.starts_with(wrong)), "{wrong}: {found:#?}");
    }
    assert_eq!(found.len(), 12, "{found:#?}");
}

#[test]
fn wrong_types_are_refused_when_they_are_read() {
    for wrong in [
        json!({ "nodes": {} }),
        json!({ "start": 7, "nodes": {} }),
        json!({ "start": "a", "nodes": { "a": { "mesage": { "text": "x" } } } }),
        json!({ "start": "a", "nodes": { "a": { "message": { "text": "x", "nxt": "b" } } } }),
        json!({ "start": "a", "nodes": { "a": { "split": { "branches": [{ "if": { "is": 1 }, "go_to": "a" }], "otherwise": "a" } } } }),
        json!({ "start": "a", "nodes": [] }),
    ] {
        assert!(serde_json::from_value::<Flow>(wrong.clone()).is_err(), "{wrong}");
    }
}

#[test]
fn the_schema_names_every_node_type() {
    let schema = serde_json::to_string(&schema()).unwrap();
    for kind in [
        "message",
        "ivr_menu",
        "digit_input",
        "split",
        "business_hours",
        "agent_availability",
        "set_queue",
        "deflection",
        "automation",
        "api",
        "go_to_flow",
        "script",
        "agent_transfer",
        "end",
    ] {
        assert!(schema.contains(&format!("\"{kind}\"")), "{kind}");
    }
}
