//! APIs, questions about agents, external bots, links to the chat: work that others do.

use serde_json::json;

use super::work::{Outcome, Reply, Then};
use super::*;

fn api(more: Value) -> Value {
    let mut node = json!({
        "request": { "method": "POST", "url": "https://x.test/orders/{{context.id}}?q={{text}}",
            "headers": { "Authorization": "Bearer {{env.token}}" },
            "body": { "id": "{{context.id}}", "all": "order {{context.id}}", "key": "{{env.token}}" } },
        "sets": { "state": "/order/state", "code": "status", "none": "/no/such" },
        "success": "yes", "failure": "no", "on_error": { "go_to": "oops" } });
    node.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    begins("ask", json!({ "ask": { "api": node } }))
}

fn ordered(flow: Value) -> Stage {
    let mut stage = Stage::new(flow);
    stage.memory.set("id", json!(7)).unwrap();
    stage.memory.text = "a b{{env.token}}".into();
    stage.app.env.insert("token".into(), "se\"cret".into());
    stage
}

fn answered(status: u16, body: Value) -> Outcome {
    Outcome::Answered { status, body }
}

fn failed(code: &str) -> Outcome {
    Outcome::Failed { code: code.into() }
}

#[test]
fn a_request_is_filled_and_its_settings_only_when_it_is_sent() {
    let mut stage = ordered(api(json!({})));
    let acts = stage.hears(&Event::Started);
    let Act::Work(work) = &acts[0] else { panic!("{acts:?}") };
    let stored = serde_json::to_string(work).unwrap();
    assert!(!stored.contains("cret"), "{stored}");
    let work::Task::Request(request) = &work.task else { panic!("{work:?}") };
    let env = &stage.app.env;
    assert_eq!(request.url.fill(env), "https://x.test/orders/7?q=a%20b%7B%7Benv.token%7D%7D");
    assert_eq!(request.headers["Authorization"].fill(env), "Bearer se\"cret");
    let body: Value = serde_json::from_str(&request.body.as_ref().unwrap().fill(env)).unwrap();
    assert_eq!(body, json!({ "id": 7, "all": "order 7", "key": "se\"cret" }));
}

#[test]
fn an_api_has_success_failure_and_error() {
    let order = json!({ "order": { "state": "shipped" } });
    let mut stage = ordered(api(json!({})));
    stage.starts();
    assert_eq!(stage.works(&answered(200, order.clone())), ["yes", "end"]);
    assert_eq!(stage.memory.variables["state"], "shipped");
    assert_eq!(stage.memory.variables["code"], 200);
    assert_eq!(stage.memory.variables["none"], Value::Null);
    for (outcome, leads) in
        [(answered(404, json!({})), "no"), (answered(302, json!("")), "no"), (failed("x"), "no")]
    {
        let mut stage = ordered(api(json!({})));
        stage.starts();
        assert_eq!(stage.works(&outcome), [leads, "end"], "{outcome:?}");
    }
    let mut stage = ordered(api(json!({ "failure": null })));
    stage.starts();
    assert_eq!(
        stage.works(&answered(500, json!({}))),
        ["failed at ask: the API answered 500", "oops", "end"]
    );
    let mut stage = ordered(api(json!({ "failure": null })));
    stage.starts();
    assert_eq!(
        stage.works(&failed("forbidden")),
        ["failed at ask: it did not work: forbidden", "oops", "end"]
    );
    let mut stage = ordered(api(json!({ "errors_fail": false })));
    stage.starts();
    assert_eq!(stage.works(&answered(404, json!({}))), ["yes", "end"]);
}

#[test]
fn an_answer_that_is_too_large_takes_the_error_exit() {
    let mut stage = ordered(api(json!({})));
    stage.starts();
    let large = json!({ "order": { "state": "x".repeat(memory::MOST_VARIABLES) } });
    assert_eq!(stage.works(&answered(200, large))[1..], ["oops", "end"]);
}

#[test]
fn an_answer_that_does_not_come_or_comes_late_is_not_waited_for() {
    let mut stage = ordered(api(json!({ "wait": { "async": { "seconds": 12 } } })));
    stage.starts();
    assert_eq!(stage.passes(11_999), [""; 0]);
    assert_eq!(stage.passes(1), ["failed at ask: no answer came in time", "oops", "end"]);
    assert_eq!(stage.works(&answered(200, json!({}))), [""; 0]);
}

#[test]
fn a_silent_bot_is_excused_and_given_up() {
    let mut flow = api(json!({ "wait": { "async": { "seconds": 20 } } }));
    let then = json!({ "end": { "message": "Please call again" } });
    flow["no_input"] =
        json!({ "seconds": 4, "message": "One moment", "retries": 2, "give_up_seconds": 15, "then": then });
    let mut stage = ordered(flow.clone());
    stage.starts();
    assert_eq!(stage.passes(4_000), ["One moment"]);
    assert_eq!(stage.passes(4_000), ["One moment"]);
    assert_eq!(stage.passes(4_000), [""; 0]);
    let acts = stage.passes(3_000);
    assert_eq!(acts, ["failed at ask: the bot was silent for too long", "Please call again", "end"]);
    flow["no_input"]["then"] = json!({ "transfer": { "node": "human" } });
    flow["nodes"]["human"] = json!({ "agent_transfer": {} });
    let mut stage = ordered(flow);
    stage.starts();
    assert_eq!(stage.passes(15_000)[1..], ["transfer by main.human"]);
}

#[test]
fn availability_has_three_exits() {
    let node = |more: Value| {
        let mut node = json!({ "available": "yes", "not_available": "no", "skills": ["billing"],
            "on_error": { "go_to": "oops" } });
        node.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        begins("there", json!({ "there": { "agent_availability": node } }))
    };
    for (there, leads) in [(Some(true), "yes"), (Some(false), "no"), (None, "yes")] {
        let mut stage = Stage::new(node(json!({})));
        let asked = stage.starts();
        assert_eq!(asked, [r#"work: {"availability":{"integration":"desk","skills":["billing"]}}"#]);
        assert_eq!(stage.works(&Outcome::Available(there)), [leads, "end"]);
    }
    let mut stage = Stage::new(node(json!({})));
    stage.starts();
    assert_eq!(stage.works(&failed("unreachable"))[1..], ["oops", "end"]);
    let mut stage = Stage::new(node(json!({ "target": { "integration": "gone" } })));
    assert_eq!(stage.starts(), ["no", "end"], "where nobody is configured, nobody is there");
}

fn automation(more: Value) -> Value {
    let mut node = json!({ "bot": "clever", "instructions": "Help {{context.name}}", "tells": ["name"],
        "message": "How can I help?", "on_agent_transfer": "yes", "on_error": { "go_to": "oops" } });
    node.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    begins("bot", json!({ "bot": { "automation": node } }))
}

fn turned(says: &[&str], then: Then) -> Outcome {
    let says = says.iter().map(|text| (*text).to_owned()).collect();
    Outcome::Turned(Reply { says, then, ..Reply::default() })
}

#[test]
fn a_bot_talks_until_it_hands_over() {
    let mut stage = Stage::new(automation(json!({})));
    stage.memory.set("name", json!("Ada")).unwrap();
    assert_eq!(stage.starts(), ["How can I help?"]);
    let turn = json!({ "turn": { "bot": "clever", "instructions": "Help Ada", "text": "hi", "context": { "name": "Ada" } } });
    assert_eq!(stage.says("hi"), [format!("work: {turn}")]);
    assert_eq!(
        stage.works(&turned(&["Hello Ada", "What is it?"], Then::Listens)),
        ["Hello Ada", "What is it?"]
    );
    stage.says("a human please");
    let transfer = Then::Transfer { reason: Some("asked for".into()) };
    assert_eq!(stage.works(&turned(&[], transfer)), ["yes", "end"]);
    assert_eq!(stage.memory.variables["transferReason"], "asked for");
}

#[test]
fn a_bot_may_begin_itself() {
    let mut stage = Stage::new(automation(json!({ "message": null })));
    assert!(stage.starts()[0].starts_with("work: "));
    assert_eq!(stage.works(&turned(&["Hello"], Then::Listens)), ["Hello"]);
}

#[test]
fn what_is_said_while_the_bot_is_at_work_is_its_next_turn() {
    let mut stage = Stage::new(automation(json!({})));
    stage.starts();
    stage.says("one");
    assert_eq!(stage.says("two"), [""; 0]);
    assert_eq!(stage.says("three"), [""; 0]);
    let acts = stage.works(&turned(&["first"], Then::Listens));
    assert_eq!(acts[0], "first");
    assert!(acts[1].contains(r#""text":"two\nthree""#), "{acts:?}");
}

#[test]
fn a_bot_has_exits_for_success_failure_and_error() {
    let exits = json!({ "success": "yes", "failure": "no" });
    for (outcome, leads) in [(turned(&[], Then::Done), "yes"), (turned(&[], Then::GivesUp), "no")] {
        let mut stage = Stage::new(automation(exits.clone()));
        stage.starts();
        stage.says("x");
        assert_eq!(stage.works(&outcome), [leads, "end"]);
    }
    let mut stage = Stage::new(automation(json!({})));
    stage.starts();
    stage.says("x");
    assert_eq!(stage.works(&turned(&["done"], Then::Done)), ["done"], "without an exit it goes on talking");
    stage.says("x");
    assert_eq!(stage.works(&failed("timeout"))[1..], ["oops", "end"]);
    let mut stage = Stage::new(automation(json!({})));
    stage.app.bots.clear();
    stage.starts();
    assert_eq!(stage.says("x"), ["failed at bot: the app has no bot `clever`", "oops", "end"]);
}

#[test]
fn a_bot_sets_variables_but_none_of_ours() {
    let mut stage = Stage::new(automation(json!({})));
    stage.starts();
    stage.says("x");
    let context = json!({ "order": 7 }).as_object().unwrap().clone();
    stage.works(&Outcome::Turned(Reply { context, ..Reply::default() }));
    assert_eq!(stage.memory.variables["order"], 7);
    stage.says("x");
    let context = json!({ "session": {} }).as_object().unwrap().clone();
    assert_eq!(stage.works(&Outcome::Turned(Reply { context, ..Reply::default() }))[1..], ["oops", "end"]);
}

#[test]
fn a_deflection_sends_the_link_and_goes_on() {
    let send = json!({ "method": "POST", "url": "https://sms.test/", "body": { "text": "{{context.deflection.link}}" } });
    let node = json!({ "deflection": { "link": "https://chat.test/?u={{context.id}}", "send": send,
        "message": "I sent you a link", "next": "yes", "on_error": { "go_to": "oops" } } });
    let flow = begins("chat", json!({ "chat": node }));
    let mut stage = ordered(flow.clone());
    assert!(stage.starts()[0].contains("https://chat.test/?u=7"));
    assert_eq!(stage.works(&answered(202, json!({}))), ["I sent you a link", "yes", "end"]);
    let mut stage = ordered(flow);
    stage.starts();
    assert_eq!(stage.works(&answered(500, json!({})))[1..], ["oops", "end"]);
}
