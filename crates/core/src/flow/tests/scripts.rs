//! Scripts, as the interpreter sees them: asked for, answered, in effect.

use serde_json::json;

use super::*;
use crate::transfer::Ask;

fn task(done: Value, more: Value) -> Value {
    let mut node = json!({ "source": done.to_string(), "next": "yes", "on_error": { "go_to": "oops" } });
    node.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    begins("task", json!({ "task": { "script": node } }))
}

#[test]
fn a_script_sets_variables_and_goes_on() {
    let done = json!({ "value": 7, "variables": { "tier": { "put": "gold" } } });
    let branch =
        json!({ "if": { "when": { "variable": "tier", "is": "equals", "value": "gold" } }, "go_to": "no" });
    let mut stage = Stage::new(task(done, json!({ "result": "answer", "branches": [branch] })));
    assert_eq!(stage.starts(), ["no", "end"]);
    assert_eq!(stage.memory.variables["tier"], "gold");
    assert_eq!(stage.memory.variables["answer"], 7);
    assert_eq!(stage.asked.len(), 1);
    assert_eq!((stage.asked[0].flow.as_str(), stage.asked[0].node.as_str()), ("main", "task"));
}

#[test]
fn without_a_rule_that_holds_it_takes_the_next() {
    assert_eq!(Stage::new(task(json!({}), json!({}))).starts(), ["yes", "end"]);
}

#[test]
fn a_script_that_fails_takes_the_error_exit_and_has_changed_nothing() {
    let mut stage = Stage::new(task(json!("x"), json!({ "source": "fail" })));
    assert_eq!(stage.starts(), ["failed at task: flow main, node task, line 1: it threw", "oops", "end"]);
    assert!(stage.memory.variables.is_empty());
}

#[test]
fn a_script_that_keeps_too_much_fails() {
    let done = json!({ "variables": { "big": { "put": "x".repeat(memory::MOST_VARIABLES) } } });
    let mut stage = Stage::new(task(done, json!({})));
    assert_eq!(stage.starts(), ["failed at task: the variables are too large", "oops", "end"]);
    assert!(stage.memory.variables.is_empty());
}

#[test]
fn a_script_sees_the_context() {
    let mut stage = Stage::new(task(json!({}), json!({}))).call();
    stage.app.content.insert("greeting".into(), "Hi".into());
    stage.app.env.insert("key".into(), "secret".into());
    stage.customer.profile.first_name = Some("Ada".into());
    stage.customer.connection.headers =
        vec![crate::conversation::connection::Header { name: "X-ExternalCallId".into(), value: "42".into() }];
    stage.customer.connection.channel_type = Some("korevg".into());
    stage.starts();
    let scope = &stage.asked[0].scope;
    assert_eq!(scope.content["greeting"], "Hi");
    assert_eq!(scope.env["key"], "secret");
    assert_eq!(scope.context["UserContext"]["firstName"], "Ada");
    let channel = &scope.context["session"]["BotUserSession"]["channels"][0];
    assert_eq!(channel["type"], "korevg");
    assert_eq!(channel["handle"]["sipHeaders"][0], json!({ "name": "X-ExternalCallId", "value": "42" }));
}

#[test]
fn what_scripts_ask_for_counts_at_the_next_transfer() {
    let set = |set: &str, more: Value| {
        let mut effect = json!({ "set": set });
        effect.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        effect
    };
    let effects = json!([
        set("transfer_sip_uri", json!({ "uri": "sip:a@b" })),
        set("referred_by", json!({ "number": "+1" })),
        set("user_info", json!({ "info": { "firstName": "Ada" } })),
        set("bot_language", json!({ "code": "de" })),
        set("user_language", json!({ "code": "fr" })),
        set("queue", json!({ "queue": "vip" })),
        set("priority", json!({ "priority": 0 })),
        set("agent_system", json!({ "name": "salesforce", "config": { "orgId": "1" } })),
        set("named_agents", json!({ "ids": ["a1"], "wait_seconds": 30 })),
        set("agent_matching", json!({ "skills": ["s"], "agent_groups": ["g"], "skill_groups": ["sg"] })),
        set("waiting_experience", json!({ "id": "w" })),
        set("external_agent_recording", json!({ "record": "pause" })),
        set("agent_recording", json!({ "record": "stop" })),
        set("agent_transcribe", json!({ "transcribe": false })),
    ]);
    let mut stage = Stage::new(task(json!({ "effects": effects }), json!({})));
    stage.starts();
    let Ask { call, user, language, user_language, queue, priority, agents, .. } = &stage.memory.ask;
    assert_eq!((call.destination.as_deref(), call.referred_by.as_deref()), (Some("sip:a@b"), Some("+1")));
    assert_eq!(user["firstName"], "Ada");
    assert_eq!((language.as_deref(), user_language.as_deref()), (Some("de"), Some("fr")));
    assert_eq!(
        (queue.as_deref(), *priority, agents.as_slice()),
        (Some("vip"), Some(0), ["a1".to_owned()].as_slice())
    );
    let ask = &stage.memory.ask;
    assert_eq!(ask.system.as_deref(), Some("salesforce"));
    let stored = serde_json::to_string(&stage.memory).unwrap();
    assert!(!ask.setup.is_nothing() && !stored.contains("orgId"), "settings of a script may be secrets");
    assert_eq!(
        (ask.wait_for_agents_s, ask.waiting.as_deref(), ask.transcribe),
        (Some(30), Some("w"), Some(false))
    );
    assert_eq!(
        (&ask.skills[..], &ask.agent_groups[..], &ask.skill_groups[..]),
        (&["s".to_owned()][..], &["g".to_owned()][..], &["sg".to_owned()][..])
    );
    assert_eq!(
        (ask.recording, ask.external_recording),
        (Some(script::Recording::Stop), Some(script::Recording::Pause))
    );
}

fn voice(command: Value) -> Value {
    task(json!({ "effects": [{ "set": "voice", "command": command }] }), json!({}))
}

#[test]
fn a_voice_command_is_for_the_call_and_elsewhere_said() {
    let hangup = json!({ "do": "hangup", "message": ["Bye"], "headers": { "X-A": "b" }, "queue": true });
    assert_eq!(Stage::new(voice(hangup.clone())).starts(), ["Bye", "end"]);
    let acts = Stage::new(voice(hangup)).call().hears(&Event::Started);
    assert!(matches!(&acts[0], Act::Voice(script::Voice::Hangup { .. })), "{acts:?}");
    let play = json!({ "do": "play", "message": ["Hi", "https://x.test/a.wav"] });
    let acts = Stage::new(voice(play)).hears(&Event::Started);
    let Act::Say(second) = &acts[1] else { panic!("{acts:?}") };
    assert!(second.recording.is_some() && second.text.is_empty());
}

#[test]
fn a_message_may_be_a_script() {
    let source = json!({ "value": "computed" }).to_string();
    let node = json!({ "message": { "text": { "script": source }, "next": "end" } });
    assert_eq!(Stage::new(begins("m", json!({ "m": node }))).starts(), ["computed", "end"]);
}

#[test]
fn a_circle_of_scripts_is_cut() {
    let node = json!({ "script": { "source": "{}", "next": "s", "on_error": { "go_to": "oops" } } });
    let mut stage = Stage::new(begins("s", json!({ "s": node })));
    assert_eq!(stage.starts(), ["failed at s: more than 32 scripts without a pause", "oops", "end"]);
    assert_eq!(stage.asked.len(), 32);
}

#[test]
fn each_script_of_a_step_has_its_own_randomness() {
    let two = json!({
        "a": { "script": { "source": "{}", "next": "b" } }, "b": { "script": { "source": "{}", "next": "end" } } });
    let mut stage = Stage::new(begins("a", two));
    assert_eq!(stage.starts(), ["end"]);
    assert_eq!(stage.asked.len(), 2);
    assert_ne!(stage.asked[0].seed, stage.asked[1].seed);
}
