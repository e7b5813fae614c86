//! Calls, and what comes of them.

use interline_core::Time;
use interline_core::flow::script::{Answer, Call, Done, Fault, Scope};
use interline_scripts::Scripts;
use serde_json::{Map, Value, json};

/// 2026-11-29 18:34:56.789 UTC, a Sunday.
pub const NOW: Time = Time(1_795_977_296_789);

/// What the examples of the functions speak of.
pub fn scope() -> Scope {
    Scope {
        context: object(json!({
            "city": "Berlin",
            "UserContext": { "_id": "u-1" },
            "steps": { "Account": "42" },
            "childBotsContext": { "st-2": { "UserContext": { "_id": "u-2" } } },
            "session": { "BotUserSession": { "cart": ["tea"] }, "UserSession": { "visits": 3 } },
        })),
        content: object(json!({ "greeting": "Hi" })),
        env: object(json!({ "botId": "st-1" })),
        language: Some("en".into()),
    }
}

pub fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(fields) => fields,
        other => panic!("no object: {other}"),
    }
}

pub fn call(source: &str) -> Call {
    Call {
        flow: "main".into(),
        node: "script".into(),
        source: source.into(),
        scope: scope(),
        now: NOW,
        seed: 7,
    }
}

/// Runs calls one after the other, in one pool.
pub fn run_all(calls: impl IntoIterator<Item = Call>) -> Vec<Answer> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(async {
        let scripts = Scripts::new().expect("threads");
        let mut answers = Vec::new();
        for call in calls {
            answers.push(scripts.run(call).await);
        }
        answers
    })
}

pub fn run(source: &str) -> Answer {
    run_all([call(source)]).remove(0)
}

pub fn done(source: &str) -> Done {
    match run(source) {
        Answer::Done(done) => done,
        Answer::Failed(fault) => panic!("{source}\n{fault}"),
    }
}

pub fn failed(source: &str) -> Fault {
    match run(source) {
        Answer::Failed(fault) => fault,
        Answer::Done(done) => panic!("{source}\nwas to fail, and gave {done:?}"),
    }
}

/// The value of a script.
pub fn value(source: &str) -> Value {
    done(source).value
}
