//! There is nothing to reach, and nothing is left behind.

use interline_core::flow::script::{Answer, Why};
use serde_json::{Value, json};

use crate::support::{call, done, failed, run, run_all, value};

#[test]
fn nothing_that_reaches_out_is_there() {
    for name in [
        "fetch",
        "require",
        "process",
        "WebAssembly",
        "XMLHttpRequest",
        "WebSocket",
        "setTimeout",
        "setInterval",
        "std",
        "os",
        "bjson",
        "Worker",
        "module",
        "exports",
        "global",
        "window",
        "Deno",
        "Bun",
        "load",
        "read",
        "scriptArgs",
        "gc",
        "performance",
        "WeakRef",
        "FinalizationRegistry",
        "navigator",
        "__dirname",
        "Buffer",
        "importScripts",
    ] {
        assert_eq!(value(&format!("typeof {name}")), "undefined", "{name}");
    }
    assert_eq!(failed("require('fs')").why, Why::Threw);
    assert_eq!(failed("import('fs')").why, Why::Threw);
    assert_eq!(failed("import fs from 'fs'").why, Why::Syntax);
    assert_eq!(failed("import.meta").why, Why::Syntax);
    assert_eq!(failed("Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)").why, Why::Threw);
}

#[test]
fn what_is_there_is_known() {
    // A newer QuickJS may bring more: this is where somebody looks at it.
    let names = value("Object.getOwnPropertyNames(globalThis).sort().join(' ')");
    let known: Vec<_> = include_str!("globals.txt").lines().collect();
    assert_eq!(names.as_str().expect("names").split(' ').collect::<Vec<_>>(), known);
}

#[test]
fn code_made_from_text_is_as_shut_in() {
    assert_eq!(value("eval('1 + 1')"), 2);
    assert_eq!(value("new Function('return typeof process')()"), "undefined");
    assert_eq!(value("agentUtils.setQueue.constructor('return typeof require')()"), "undefined");
    assert_eq!(value("(0, eval)('typeof std')"), "undefined");
}

#[test]
fn the_real_clock_is_not_to_be_had() {
    for script in [
        "new (new Date().constructor)().getTime()",
        "Object.getPrototypeOf(new Date()).constructor.now()",
        "Reflect.construct(Date, []).getTime()",
        "class D extends Date { constructor() { super() } } new D().getTime()",
        "Reflect.construct(Object, [], Date) && Date.now()",
    ] {
        assert_eq!(value(script), 1_795_977_296_789_i64, "{script}");
    }
}

#[test]
fn nothing_is_left_for_the_next_call() {
    let spoil = "Object.prototype.polluted = 1; Array.prototype.push = () => { throw 1 }; Object.prototype.toJSON = () => 'x';
        JSON.stringify = () => 'y'; globalThis.agentUtils = null; Math.random = () => 4; Date.now = () => 0; Object.freeze(Object.prototype);
        context.session.UserSession.__proto__.get = () => 'z'; globalThis.left = 'behind'; Promise.prototype.then = null;
        Object.defineProperty(globalThis, 'context', { value: 1, writable: false, configurable: false }); 1";
    let look = "[typeof polluted, ({}).polluted, typeof left, [1].push(2), JSON.stringify([1]), typeof agentUtils.setQueue, Date.now() > 0,
        userSessionUtils.get('visits'), typeof context]";
    // More often than there are threads, so that each of them meets it.
    for _ in 0..8 {
        let answers = run_all([call(spoil), call(look), call(spoil), call(look)]);
        let expected = json!(["undefined", null, "undefined", 2, "[1]", "function", true, 3, "object"]);
        for answer in [&answers[1], &answers[3]] {
            let Answer::Done(done) = answer else { panic!("{answer:?}") };
            assert_eq!(done.value, expected);
        }
    }
}

#[test]
fn a_script_that_redefines_globals_only_confuses_itself() {
    // It cannot make us fail or keep what it must not: the answer is read from outside.
    let scripts = [
        "Object.prototype.toJSON = () => 'x'; context.a = { b: 1 }; 1",
        "Object.keys = null; Object.prototype.hasOwnProperty = null; Array.prototype.includes = () => false; setCallFlowVariable('session', 1); context.a = 1",
        "JSON = null; context.a = 1; 5",
        "context = null; 5",
        "context = { a: 1 }; BotUserSession = 7; 5",
        "Object.setPrototypeOf(context, null); context.a = 1",
        "Object.freeze(context); 1",
        "globalThis.userSessionUtils = undefined; Date = undefined; Math = undefined; 1",
        "Object.prototype.__proto__ = null; context.__proto__ = { a: 1 }; 1",
        "Object.defineProperty(Object.prototype, 'value', { get() { throw 1 } }); context.a = 1; 1",
        "context['__proto__'] = { x: 1 }; setCallFlowVariable('__proto__', { y: 1 }); userSessionUtils.put('__proto__', { z: 1 })",
        "for (const k of Object.getOwnPropertyNames(globalThis)) { try { delete globalThis[k] } catch (e) {} } 1",
    ];
    for script in scripts {
        match run(script) {
            Answer::Done(done) => assert!(!done.variables.contains_key("session"), "{script}"),
            Answer::Failed(fault) => assert_eq!(fault.why, Why::Threw, "{script}: {fault}"),
        }
    }
    assert_eq!(done("context['__proto__'] = { x: 1 }; context.x").value, 1);
}

#[test]
fn text_of_the_scope_is_data() {
    let mut call = call("context.evil + env.evil");
    let evil = "\"}); throw new Error('out'); ({\"`${1}`</script>\u{2028}";
    call.scope.context.insert("evil".into(), Value::from(evil));
    call.scope.env.insert("evil".into(), Value::from(evil));
    call.scope.context.insert("__proto__".into(), json!({ "polluted": true }));
    let Answer::Done(done) = run_all([call]).remove(0) else { panic!("was to run") };
    assert_eq!(done.value, format!("{evil}{evil}"));
}
