//! Splits, hours, queues, flows that lead to flows, transfers, ends.

use serde_json::json;

use super::*;
use crate::conversation::facts::{Label, Standing};
use crate::flow::hours::{Day, Hours, Span};

fn when(variable: &str, is: &str, value: Value) -> Value {
    json!({ "when": { "variable": variable, "is": is, "value": value } })
}

fn split(condition: &Value) -> Vec<String> {
    let branch = json!({ "if": condition, "go_to": "yes" });
    let mut stage = Stage::new(begins(
        "split",
        json!({ "split": { "split": { "branches": [branch], "otherwise": "no" } } }),
    ));
    let variables =
        json!({ "tier": "Gold", "count": "12", "list": ["a", "b"], "deep": { "er": 1 }, "none": "" });
    stage.memory.variables = variables.as_object().unwrap().clone();
    stage.app.env.insert("region".into(), "eu".into());
    let mut said = stage.starts();
    said.truncate(1);
    said
}

#[test]
fn a_split_compares() {
    for (condition, holds) in [
        (when("context.tier", "equals", json!("gold")), true),
        (when("tier", "not_equals", json!("gold")), false),
        (when("context.count", "greater", json!(9)), true),
        (when("context.count", "at_least", json!(12)), true),
        (when("context.count", "less", json!(12)), false),
        (when("context.count", "at_most", json!("11.5")), false),
        (when("context.missing", "less", json!(5)), false),
        (when("context.missing", "not_equals", json!("x")), true),
        (when("context.tier", "contains", json!("OL")), true),
        (when("context.list", "contains", json!("b")), true),
        (when("context.list", "not_contains", json!("c")), true),
        (when("context.tier", "starts_with", json!("go")), true),
        (when("context.tier", "ends_with", json!("go")), false),
        (when("context.tier", "in", json!(["silver", "gold"])), true),
        (when("context.deep.er", "equals", json!(1)), true),
        (when("context.none", "empty", json!(null)), true),
        (when("context.none", "set", json!(null)), false),
        (when("env.region", "equals", json!("eu")), true),
        (when("context.tier", "equals", json!("{{context.tier}}")), true),
    ] {
        assert_eq!(split(&condition), [if holds { "yes" } else { "no" }], "{condition}");
    }
}

#[test]
fn a_split_has_and_or_and_not() {
    let (yes, no) = (when("tier", "equals", json!("gold")), when("tier", "equals", json!("tin")));
    for (condition, holds) in [
        (json!({ "all": [yes, yes] }), true),
        (json!({ "all": [yes, no] }), false),
        (json!({ "any": [no, yes] }), true),
        (json!({ "any": [no, no] }), false),
        (json!({ "not": no }), true),
        (json!({ "all": [{ "any": [no, yes] }, { "not": no }] }), true),
    ] {
        assert_eq!(split(&condition), [if holds { "yes" } else { "no" }], "{condition}");
    }
}

fn nine_to_five() -> Hours {
    let span = Span { from: "09:00".into(), to: "17:00".into() };
    Hours { zone: "Etc/UTC".into(), week: [(Day::Thursday, vec![span])].into(), holidays: BTreeMap::new() }
}

/// Thursday, 1 January 1970.
fn at(hour: i64) -> Time {
    Time(hour * 3_600_000)
}

#[test]
fn business_hours_have_three_exits() {
    let node =
        json!({ "business_hours": { "inside": "yes", "outside": "no", "on_error": { "go_to": "oops" } } });
    let mut stage = Stage::new(begins("hours", json!({ "hours": node })));
    stage.app.hours.insert("default".into(), nine_to_five());
    stage.now = at(10);
    assert_eq!(stage.starts(), ["yes", "end"]);
    stage.now = at(18);
    assert_eq!(stage.starts(), ["no", "end"]);
    stage.app.hours.clear();
    assert_eq!(stage.starts(), ["failed at hours: the app has no business hours `default`", "oops", "end"]);
}

#[test]
fn set_queue_asks_for_queue_and_priority_and_goes_by_hours() {
    let node = json!({ "set_queue": {
        "queue": "{{context.area}}", "priority": 2, "hours": "default", "inside": "yes", "outside": "no",
        "on_error": { "go_to": "oops" } } });
    let mut stage = Stage::new(begins("queue", json!({ "queue": node })));
    stage.memory.set("area", json!("billing")).unwrap();
    stage.app.hours.insert("default".into(), nine_to_five());
    stage.now = at(10);
    assert_eq!(stage.starts(), ["yes", "end"]);
    assert_eq!((stage.memory.ask.queue.as_deref(), stage.memory.ask.priority), (Some("billing"), Some(2)));
    stage.now = at(8);
    assert_eq!(stage.starts(), ["no", "end"]);
    stage.app.hours.clear();
    assert_eq!(stage.starts()[1..], ["oops", "end"]);
}

#[test]
fn set_queue_may_be_a_script() {
    let script =
        json!({ "effects": [{ "set": "queue", "queue": "vip" }, { "set": "priority", "priority": 0 }] });
    let node = json!({ "set_queue": { "script": script.to_string(), "inside": "yes" } });
    let mut stage = Stage::new(begins("queue", json!({ "queue": node })));
    assert_eq!(stage.starts(), ["yes", "end"]);
    assert_eq!((stage.memory.ask.queue.as_deref(), stage.memory.ask.priority), (Some("vip"), Some(0)));
}

#[test]
fn a_flow_goes_to_another_and_stays_there() {
    let main = json!({ "start": "go", "nodes": { "go": { "go_to_flow": { "flow": "other" } } } });
    let other =
        json!({ "start": "hi", "otherwise": "hi", "nodes": { "hi": { "message": { "text": "other" } } } });
    let mut stage = Stage::with(json!({ "main": main, "other": other }));
    assert_eq!(stage.starts(), ["other"]);
    assert_eq!(stage.says("x"), ["other"]);
    let mut stage =
        Stage::new(json!({ "start": "go", "nodes": { "go": { "go_to_flow": { "flow": "gone" } } } }));
    let acts = stage.starts();
    assert!(acts[0].ends_with("there is no published flow `gone`"), "{acts:?}");
}

#[test]
fn two_flows_that_lead_to_each_other_are_cut() {
    let to = |flow: &str| json!({ "start": "go", "nodes": { "go": { "go_to_flow": { "flow": flow } } } });
    let mut stage = Stage::with(json!({ "main": to("other"), "other": to("main") }));
    let acts = stage.starts();
    assert!(acts[0].contains("goes in circles"), "{acts:?}");
}

#[test]
fn the_entry_flow_is_the_connections_then_the_channels_then_main() {
    let says = |text: &str| json!({ "start": "a", "nodes": { "a": { "message": { "text": text } } } });
    let flows = || json!({ "main": says("main"), "web": says("web"), "vip": says("vip") });
    assert_eq!(Stage::with(flows()).starts(), ["main"]);
    let mut stage = Stage::with(flows());
    let mut all = (*stage.app.flows).clone();
    all.entries.insert("web".into(), "web".into());
    stage.app.flows = all.into();
    assert_eq!(stage.starts(), ["web"]);
    stage.memory = Memory::default();
    stage.customer.connection.flow = Some("vip".into());
    assert_eq!(stage.starts(), ["vip"]);
    stage.memory = Memory::default();
    stage.customer.connection.flow = Some("gone".into());
    assert_eq!(stage.starts(), ["web"]);
}

#[test]
fn an_end_says_good_bye() {
    let mut stage = Stage::new(json!({ "start": "e", "nodes": { "e": { "end": { "message": "Bye" } } } }));
    assert_eq!(stage.starts(), ["Bye", "end"]);
    assert_eq!((stage.facts.tasks_done, stage.facts.label(true)), (1, Label::SelfService));
}

#[test]
fn a_transfer_may_run_a_flow_first() {
    let main = begins(
        "human",
        json!({
        "human": { "agent_transfer": { "before": "hold", "on_failure": { "message": "Nobody", "go_to": "end" } } } }),
    );
    let hold = |node: Value| json!({ "start": "a", "nodes": { "a": node, "end": { "end": {} } } });
    let says = hold(json!({ "message": { "text": "I look for somebody" } }));
    let mut stage = Stage::with(json!({ "main": main, "hold": says }));
    assert_eq!(stage.starts(), ["I look for somebody", "transfer by main.human"]);
    assert_eq!(stage.memory.flow, Some("main".into()));
    let ends = hold(json!({ "message": { "text": "I look", "next": "end" } }));
    assert_eq!(
        Stage::with(json!({ "main": main, "hold": ends })).starts(),
        ["I look", "transfer by main.human"]
    );
    let asks = hold(json!({ "digit_input": { "message": "?", "next": "end" } }));
    let acts = Stage::with(json!({ "main": main, "hold": asks })).starts();
    assert_eq!(acts[2..], ["Nobody", "end"], "a question prevents the transfer: {acts:?}");
}

#[test]
fn a_flow_before_a_transfer_may_wait_for_an_api() {
    let main = begins("human", json!({ "human": { "agent_transfer": { "before": "hold" } } }));
    let api = json!({ "api": { "request": { "url": "https://x.test/" }, "success": "end" } });
    let hold = json!({ "start": "a", "nodes": { "a": api, "end": { "end": {} } } });
    let mut stage = Stage::with(json!({ "main": main, "hold": hold }));
    assert_eq!(stage.starts().len(), 1);
    assert_eq!(
        stage.works(&work::Outcome::Answered { status: 200, body: json!({}) }),
        ["transfer by main.human"]
    );
}

#[test]
fn an_in_queue_flow_hands_nothing_over_and_ends_nothing() {
    let main = json!({ "start": "human", "nodes": { "human": { "agent_transfer": {} } } });
    for (node, said) in [
        (json!({ "message": { "text": "Please hold", "next": "end" } }), "Please hold"),
        (json!({ "message": { "text": "Please hold", "next": "human" } }), "Please hold"),
    ] {
        let human = json!({ "agent_transfer": {} });
        let queue = json!({ "start": "a", "nodes": { "a": node, "end": { "end": {} }, "human": human } });
        let mut stage = Stage::with(json!({ "main": main, "queue": queue }));
        let acts = stage.hears(&Event::Queued(&"queue".into()));
        assert_eq!(acts.iter().filter_map(short).collect::<Vec<_>>(), [said]);
        assert_eq!((stage.memory.flow.clone(), stage.at.clone()), (None, None));
    }
}

#[test]
fn a_transfer_node_counts_and_tags() {
    let node = json!({ "agent_transfer": {
        "containment": "self_service", "tags": { "session": { "topic": "{{context.area}}" } } } });
    let mut stage = Stage::new(begins("human", json!({ "human": node })));
    stage.memory.set("area", json!("billing")).unwrap();
    let acts = stage.hears(&Event::Started);
    assert!(
        acts.iter().any(|act| matches!(act, Act::Tag(tag) if tag.name == "topic" && tag.value == "billing"))
    );
    assert_eq!(stage.facts.label(false), Label::SelfService);
    assert_eq!((stage.facts.reached, stage.facts.reached_at), (1, Some(Time(0))));
}

#[test]
fn who_leaves_midway_dropped_off_and_who_is_not_understood_too() {
    let menu = json!({ "ivr_menu": { "message": "?", "choices": [{ "key": "1", "go_to": "yes" }] } });
    let mut stage = Stage::new(begins("menu", json!({ "menu": menu })));
    stage.starts();
    assert_eq!(stage.facts.label(true), Label::SelfService, "nobody said anything");
    stage.says("7");
    assert_eq!((stage.facts.standing, stage.facts.label(false)), (Standing::Midway, Label::SelfService));
    assert_eq!(stage.facts.label(true), Label::DropOff);
    stage.says("1");
    assert_eq!(stage.facts.label(true), Label::SelfService);
}

#[test]
fn a_flow_has_an_error_exit_for_all_its_nodes() {
    let mut flow =
        begins("hours", json!({ "hours": { "business_hours": { "inside": "yes", "outside": "no" } } }));
    flow["on_error"] = json!({ "message": "We are sorry", "go_to": "oops" });
    assert_eq!(Stage::new(flow).starts()[1..], ["We are sorry", "oops", "end"]);
}

#[test]
fn an_error_exit_that_fails_is_cut() {
    let mut flow =
        begins("hours", json!({ "hours": { "business_hours": { "inside": "yes", "outside": "no" } } }));
    flow["on_error"] = json!({ "go_to": "hours" });
    let mut stage = Stage::new(flow).call();
    let acts = stage.starts();
    assert_eq!(acts[acts.len() - 2..], [stage.app.texts.flow_failed.clone(), "end".into()]);
}

#[test]
fn the_exit_flow_runs_when_the_caller_hangs_up() {
    let mut flow = begins(
        "menu",
        json!({
        "menu": { "ivr_menu": { "message": "?", "choices": [{ "key": "1", "go_to": "yes" }] } },
        "tell": { "api": { "request": { "url": "https://x.test/gone" }, "success": "end" } } }),
    );
    flow["exit"] = json!("tell");
    let mut stage = Stage::new(flow).call();
    stage.starts();
    let acts = stage.hears(&Event::HungUp);
    assert!(acts.iter().any(|act| matches!(act, Act::Work(_))), "{acts:?}");
}

#[test]
fn ten_thousand_nodes_are_walked_in_pieces() {
    let mut nodes = json!({ "end": { "end": {} } });
    let links = 10_000;
    for at in 0..links {
        let next = if at + 1 == links { "end".to_owned() } else { format!("n{}", at + 1) };
        nodes[format!("n{at}")] = json!({ "split": { "branches": [], "otherwise": next } });
    }
    let flow = json!({ "start": "n0", "nodes": nodes });
    let mut stage = Stage::new(flow.clone());
    let acts = stage.starts();
    assert!(acts[0].contains("goes in circles"), "a thousand nodes without a pause are too many");
    let faults = super::checked::faults_of(&flow);
    assert!(
        faults.iter().all(|fault| fault.severity == Severity::Error && fault.path.ends_with(".nodes")),
        "{faults:?}"
    );
}
