//! The list of functions: each example does what the list says, and the list is complete.

use std::collections::BTreeSet;

use interline_core::flow::script::Answer;
use interline_scripts::functions;
use serde_json::Value;

use crate::support::{call, done, run_all, value};

#[test]
fn every_example_does_what_the_list_says() {
    let examples: Vec<_> = functions::all().flat_map(|function| function.examples).collect();
    let answers = run_all(examples.iter().map(|(script, _)| call(script)));
    for ((script, expected), answer) in examples.into_iter().zip(answers) {
        let Answer::Done(mut done) = answer else { panic!("{script}: {answer:?}") };
        done.log.clear();
        let mut shown = serde_json::to_value(done).expect("JSON");
        let fields = shown.as_object_mut().expect("an object");
        fields.retain(|_, value| !value.is_null());
        let expected: Value = serde_json::from_str(expected).expect("the list's JSON");
        assert_eq!(shown, expected, "{script}");
    }
}

#[test]
fn every_function_has_an_example_and_is_there() {
    for function in functions::all() {
        assert!(!function.examples.is_empty(), "{} has no example", function.name);
        assert_eq!(value(&format!("typeof {}", function.name)), "function", "{}", function.name);
    }
}

#[test]
fn nothing_callable_is_missing_from_the_list() {
    let listed: BTreeSet<&str> = functions::all().map(|function| function.name).collect();
    let spaces: BTreeSet<&str> = listed.iter().filter_map(|name| Some(name.split_once('.')?.0)).collect();
    for space in spaces {
        let found = value(&format!(
            "[...Object.getOwnPropertyNames({space}), ...Object.keys(Object.getOwnPropertyDescriptors(Object.getPrototypeOf({space})))].filter(name => name !== 'constructor' && typeof {space}[name] === 'function' && !Object.prototype[name])"
        ));
        for name in found.as_array().expect("names") {
            let name = format!("{space}.{}", name.as_str().expect("a name"));
            assert!(listed.contains(name.as_str()), "{name} is not in the list");
        }
    }
}

#[test]
fn what_was_ignored_is_in_the_log_and_stops_nothing() {
    let done = done(
        "agentUtils.setQueue();\nagentUtils.setPriority(99);\nvoiceUtils.hangup('', { 'X B': 1 });\nagentUtils.setUserInfo('Ann');\n\
         userSessionUtils.put(Symbol.iterator, 1);\nsetCallFlowVariable('steps', 1);\n'end'",
    );
    assert_eq!(done.value, "end");
    assert_eq!(
        done.log,
        [
            "agentUtils.setQueue: ignored, `queue` is missing",
            "agentUtils.setPriority: ignored the priority: it is no whole number from 0 to 10",
            "voiceUtils.hangup: ignored the header `X B`",
            "agentUtils.setUserInfo: ignored, `info` is no object",
            "setCallFlowVariable: `steps` is no name for a variable",
        ]
    );
}

#[test]
fn effects_keep_their_order() {
    let done = done("agentUtils.setQueue('a'); print('b'); agentUtils.setQueue('c')");
    let effects = serde_json::to_value(done.effects).expect("JSON");
    let order: Vec<_> =
        effects.as_array().expect("a list").iter().map(|effect| effect["set"].clone()).collect();
    assert_eq!(order, ["queue", "print", "queue"]);
}

#[test]
fn the_log_is_bounded() {
    let done = done("for (let i = 0; i < 1000; i++) console.log('ä'.repeat(1000), i)");
    assert_eq!(done.log.len(), 20);
    assert!(done.log.iter().all(|line| line.len() <= 300));
}
