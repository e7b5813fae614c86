//! Values and errors.

use interline_core::flow::script::Why;
use serde_json::{Value, json};

use crate::support::{done, failed, value};

#[test]
fn the_value_is_the_last_expression_or_what_is_returned() {
    let cases = [
        ("1 + 1", json!(2)),
        ("var a = 1; a + 1;", json!(2)),
        ("if (env.botId) { 'yes' } else { 'no' }", json!("yes")),
        ("return context.city", json!("Berlin")),
        ("if (context.city) {\n  return { a: 1 };\n}\nreturn 2; // the end", json!({ "a": 1 })),
        ("(async () => { await null; return 5 })()", json!(5)),
        ("Promise.resolve([1])", json!([1])),
        ("new Promise(() => {})", Value::Null),
        ("", Value::Null),
        ("undefined", Value::Null),
        ("(() => 1)", Value::Null),
        ("Symbol('a')", Value::Null),
        ("10n", Value::Null),
        ("NaN", Value::Null),
        ("const a = {}; a.a = a; a", Value::Null),
        ("'use strict'; this === globalThis", json!(true)),
        ("undeclared = 1; undeclared", json!(1)),
    ];
    for (script, expected) in cases {
        assert_eq!(value(script), expected, "{script}");
    }
}

#[test]
fn promises_are_kept_before_the_script_is_over() {
    let done = done(
        "(async () => { context.a = await Promise.resolve(1); agentUtils.setQueue('later') })(); context.b = 2",
    );
    assert_eq!((done.variables.len(), done.effects.len()), (2, 1));
}

#[test]
fn an_error_names_flow_node_and_line() {
    let cases = [
        ("let a = 1;\nlet b = ;", 2, Why::Syntax, "SyntaxError"),
        ("\n\nif (", 3, Why::Syntax, "SyntaxError"),
        ("import x from 'y'", 1, Why::Syntax, "SyntaxError"),
        ("return 1;\nlet b = ;", 2, Why::Syntax, "SyntaxError"),
        ("\n\nnothing.at.all", 3, Why::Threw, "ReferenceError"),
        ("\ncontext.session.missing.deep", 2, Why::Threw, "TypeError"),
        ("function f() {\n  throw new Error('own');\n}\n\nf();", 2, Why::Threw, "Error: own"),
        ("const e = new Error('x');\ne.name = 'Mine';\nthrow e", 1, Why::Threw, "Mine: x"),
        ("\nJSON.parse('{')", 2, Why::Threw, "SyntaxError"),
        ("\n\nvoiceUtils.nothing()", 3, Why::Threw, "TypeError"),
        ("\nreturn missing", 2, Why::Threw, "ReferenceError"),
        ("\n[1].map(x => {\n  return x.y.z;\n})", 3, Why::Threw, "TypeError"),
        ("\n(async () => {\n  await null;\n  nothing();\n})()", 4, Why::Threw, "ReferenceError"),
    ];
    for (script, line, why, message) in cases {
        let fault = failed(script);
        assert_eq!((fault.line, fault.why), (Some(line), why), "{script}: {fault}");
        assert!(fault.message.starts_with(message), "{script}: {fault}");
        assert_eq!((fault.flow.as_str(), fault.node.to_string().as_str()), ("main", "script"));
    }
}

#[test]
fn what_is_thrown_need_not_be_an_error() {
    let cases = [
        ("throw 'plain words'", "threw plain words"),
        ("throw 42", "threw 42"),
        ("throw null", "threw null"),
        ("throw { a: 1 }", "threw something"),
        ("throw '\\ud83d'", "threw something"),
        ("Promise.reject('words')", "threw words"),
    ];
    for (script, message) in cases {
        let fault = failed(script);
        assert_eq!((fault.why, fault.line), (Why::Threw, None), "{script}");
        assert_eq!(fault.message, message, "{script}");
    }
    let long = failed("throw new Error('ä'.repeat(10000))");
    assert!(long.message.len() <= 300);
}

#[test]
fn an_error_that_lies_about_itself_is_no_danger() {
    for script in [
        "const e = new Error('a'); e.stack = 5; throw e",
        "const e = new Error('a'); e.stack = 'at x (script:99999999999999999:1)'; throw e",
        "const e = new Error('a'); Object.defineProperty(e, 'message', { get() { throw e } }); throw e",
        "const e = new Error('a'); Object.defineProperty(e, 'stack', { get() { for (;;) {} } }); throw e",
        "throw new Proxy(new Error('a'), { get() { throw 1 } })",
        "Error.prepareStackTrace = () => { throw 1 }; null.x",
        "Error.stackTraceLimit = -1; null.x",
        "const e = new RangeError('Maximum call stack size exceeded'); throw e",
    ] {
        failed(script);
    }
}

#[test]
fn null_bytes_in_a_script_are_an_error() {
    let fault = failed("1;\u{0}2");
    assert!(matches!(fault.why, Why::Syntax | Why::Internal), "{fault:?}");
}
