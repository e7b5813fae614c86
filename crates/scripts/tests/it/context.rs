//! What scripts see, and what of their changes is kept.

use interline_core::flow::script::{Answer, Call, Change};
use serde_json::{Value, json};

use crate::support::{call, done, object, run_all, value};

#[test]
fn everything_of_the_scope_is_there() {
    let cases = [
        ("context.city", json!("Berlin")),
        ("context.UserContext._id", json!("u-1")),
        ("context.steps.Account", json!("42")),
        ("context.session.BotUserSession.cart[0]", json!("tea")),
        ("context.BotUserSession.cart[0]", json!("tea")),
        ("BotUserSession.cart[0]", json!("tea")),
        ("context.UserSession.visits", json!(3)),
        ("context.childBotsContext['st-2'].UserContext._id", json!("u-2")),
        ("content.greeting", json!("Hi")),
        ("env.botId", json!("st-1")),
        ("getCallFlowVariable('toString')", Value::Null),
        ("userSessionUtils.get('hasOwnProperty')", Value::Null),
        ("JSON.stringify(context.session.UserSession)", json!(r#"{"visits":3}"#)),
        ("Object.keys(context).join()", json!("UserContext,childBotsContext,city,session,steps")),
        ("getChildBotContextById('st-9')", Value::Null),
    ];
    for (script, expected) in cases {
        assert_eq!(value(script), expected, "{script}");
    }
}

#[test]
fn a_script_that_changes_nothing_leaves_nothing() {
    let big = serde_json::from_str::<Value>(
        r#"{"id":12345678901234567890,"f":1.0,"e":1e300,"s":{"a":[{"b":null}]}}"#,
    );
    let mut call = call("context.id; context.s.a[0].b");
    call.scope.context = object(big.expect("JSON"));
    let Answer::Done(done) = run_all([call]).remove(0) else { panic!("was to run") };
    assert!(
        done.variables.is_empty() && done.bot_user_session.is_empty() && done.user_session.is_empty(),
        "{done:?}"
    );
}

#[test]
fn variables_are_kept_however_they_are_set() {
    let done = done(
        "context.total = 3; context['a b'] = { c: [1, null] }; setCallFlowVariable('x', undefined); setCallFlowVariable('n', null);
         delete context.city; context.session.BotUserSession.cart.push('milk'); context.UserSession.visits++;
         context.steps.Account = 'nobody'; context.UserContext = null; env.botId = 'st-9'; content = {};",
    );
    let put = Change::Put;
    assert_eq!(
        done.variables,
        [
            ("a b".to_owned(), put(json!({ "c": [1, null] }))),
            ("city".to_owned(), Change::Deleted),
            ("n".to_owned(), put(Value::Null)),
            ("total".to_owned(), put(json!(3))),
        ]
        .into()
    );
    assert_eq!(done.bot_user_session, [("cart".to_owned(), put(json!(["tea", "milk"])))].into());
    assert_eq!(done.user_session, [("visits".to_owned(), put(json!(4)))].into());
}

#[test]
fn a_store_that_a_script_replaced_is_still_a_store() {
    let done = done(
        "context.session.BotUserSession = { order: 1 }; BotUserSession.put('more', 2);
         delete context.session.UserSession; userSessionUtils.put('a', 1);",
    );
    let put = Change::Put;
    assert_eq!(
        done.bot_user_session,
        [
            ("cart".to_owned(), Change::Deleted),
            ("more".to_owned(), put(json!(2))),
            ("order".to_owned(), put(json!(1)))
        ]
        .into()
    );
    assert_eq!(
        done.user_session,
        [("a".to_owned(), put(json!(1))), ("visits".to_owned(), Change::Deleted)].into()
    );
}

#[test]
fn without_a_session_there_is_an_empty_one() {
    let empty = Call { scope: Default::default(), ..call("BotUserSession.put('a', context.UserSession.b)") };
    let put =
        Call { source: "userSessionUtils.put('a', 1); agentUtils.getBotLanguage()".into(), ..empty.clone() };
    let answers = run_all([empty, put]);
    let [Answer::Done(first), Answer::Done(second)] = answers.as_slice() else { panic!("{answers:?}") };
    assert!(first.bot_user_session.is_empty() && first.variables.is_empty());
    assert_eq!(second.user_session, [("a".to_owned(), Change::Put(json!(1)))].into());
    assert_eq!(second.value, Value::Null);
}

#[test]
fn what_has_no_json_is_not_kept_and_said() {
    let done = done(
        "context.f = () => 1; context.big = 1n; const c = {}; c.c = c; context.cycle = c; context.city = () => 1;
         context.bad = { toJSON() { throw new Error('no') } }; Object.defineProperty(context, 'trap', { enumerable: true, get() { throw 1 } });
         context.ok = { n: NaN, d: new Date(0), f() {}, u: undefined }; let deep = []; for (let i = 0; i < 3000; i++) deep = [deep]; context.deep = deep;",
    );
    let ok = Change::Put(json!({ "n": null, "d": "1970-01-01T00:00:00.000Z" }));
    assert_eq!(done.variables, [("ok".to_owned(), ok)].into());
    for name in ["f", "big", "cycle", "city", "bad", "trap", "deep"] {
        assert!(
            done.log.contains(&format!("`{name}` has no JSON and was not kept")),
            "{name}: {:?}",
            done.log
        );
    }
}

#[test]
fn unicode_goes_in_and_out() {
    let mut call = call(
        "context.out = context.größe + ' 👩‍🚀 ' + '\\u0000' + '\\ud83d'; context['\\ud83d'] = 1; context['größe 2'] = '…'; 'ü'.length + '👩'.length",
    );
    call.scope.context = object(json!({ "größe": "naïve \u{0} 中文" }));
    let Answer::Done(done) = run_all([call]).remove(0) else { panic!("was to run") };
    assert_eq!(done.value, 3);
    assert_eq!(
        done.variables,
        [
            ("größe 2".to_owned(), Change::Put(json!("…"))),
            ("out".to_owned(), Change::Put(json!("naïve \u{0} 中文 👩‍🚀 \u{0}\u{fffd}"))),
        ]
        .into()
    );
}

/// Values that are read only when a script looks at them.
fn with_large(source: &str) -> Call {
    let mut call = call(source);
    call.scope.context.insert("big".into(), json!({ "list": vec![7; 2_000], "id": 1.5 }));
    call.scope.context.insert("long".into(), "x".repeat(5_000).into());
    call.scope.content.insert("long".into(), "y".repeat(5_000).into());
    call.scope.env.insert("long".into(), "z".repeat(5_000).into());
    call
}

#[test]
fn large_values_look_as_if_they_had_always_been_there() {
    let cases = [
        ("context.big.list.length + context.big.id", json!(2_001.5)),
        ("context.long.length + content.long.length + env.long.length", json!(15_000)),
        ("Object.keys(context).join()", json!("UserContext,big,childBotsContext,city,long,session,steps")),
        ("'big' in context && Object.hasOwn(context, 'big')", json!(true)),
        ("context.big === context.big", json!(true)),
        ("getCallFlowVariable('long')[0]", json!("x")),
        ("({ ...context }).long.length", json!(5_000)),
        ("JSON.stringify(context).length > 9000", json!(true)),
        (
            "Object.entries(content).map(([name, value]) => name + value.length).join()",
            json!("greeting2,long5000"),
        ),
        ("Object.freeze(context); context.big === context.big", json!(true)),
        ("JSON.parse = () => 1; context.big.list[0]", json!(7)),
        ("Map.prototype.get = () => true; Map.prototype.delete = () => 1; context.long.length", json!(5_000)),
        ("context.big; typeof Object.getOwnPropertyDescriptor(context, 'big').get", json!("undefined")),
    ];
    let answers = run_all(cases.iter().map(|(source, _)| with_large(source)));
    for ((source, expected), answer) in cases.iter().zip(answers) {
        let Answer::Done(done) = answer else { panic!("{source}: {answer:?}") };
        assert_eq!(done.value, *expected, "{source}");
        assert!(done.variables.is_empty(), "{source}: {:?}", done.variables);
    }
}

#[test]
fn changes_of_large_values_are_kept() {
    let put = Change::Put;
    let list = |mut list: Vec<Value>, last: Value| {
        list.push(last);
        put(json!({ "list": list, "id": 1.5 }))
    };
    let cases = [
        ("context.big = 1", "big", put(json!(1))),
        ("context.long = undefined", "long", Change::Deleted),
        ("delete context.long", "long", Change::Deleted),
        ("setCallFlowVariable('long', null)", "long", put(Value::Null)),
        ("context.big.list.push(8); 1", "big", list(vec![json!(7); 2_000], json!(8))),
        ("Object.freeze(context); context.big.list.push(8); 1", "big", list(vec![json!(7); 2_000], json!(8))),
        ("Object.defineProperty(context, 'long', { value: 2, enumerable: true }); 1", "long", put(json!(2))),
        (
            "Object.defineProperty(context, 'long', { get: () => 3, enumerable: true }); 1",
            "long",
            put(json!(3)),
        ),
        ("Map.prototype.get = () => true; context.long = 4", "long", put(json!(4))),
    ];
    let answers = run_all(cases.iter().map(|(source, ..)| with_large(source)));
    for ((source, name, change), answer) in cases.into_iter().zip(answers) {
        let Answer::Done(done) = answer else { panic!("{source}: {answer:?}") };
        assert_eq!(done.variables, [(name.to_owned(), change)].into(), "{source}");
    }
}
