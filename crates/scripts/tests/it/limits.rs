//! What a script may take, and how it is stopped.

use interline_core::flow::script::{Answer, Call, Limit, MOST_SOURCE, Why};
use serde_json::json;

use crate::support::{call, done, failed, object, run_all};

fn stopped_by(limit: Limit, scripts: &[&str]) {
    for script in scripts {
        let why = failed(script).why;
        // On a machine that others keep busy the clock may come before the ticks.
        let clock = limit == Limit::Ticks && why == Why::Limit(Limit::Time);
        assert!(clock || why == Why::Limit(limit), "{script}: {why:?}");
    }
}

#[test]
fn loops_end_by_ticks() {
    stopped_by(
        Limit::Ticks,
        &[
            "for (;;) {}",
            "while (true) { try { for (;;) {} } catch (e) {} finally { continue } }",
            "let a = []; a.length = 4294967295; a.indexOf(1)",
            "let a = []; a.length = 4294967295; a.forEach(() => {})",
            "Array.prototype.includes.call({ length: Number.MAX_SAFE_INTEGER }, 1)",
            "/(a+)+$/.test('a'.repeat(50) + 'b')",
            "(async () => { for (;;) await 1 })()",
            "function* g() { for (;;) yield 1 } for (const x of g()) {}",
            "while (Date.now() < 1e15) {}",
            "const p = new Proxy({}, { get: () => p }); for (let x = p; ; x = x.x) {}",
            "context.x = { toJSON() { for (;;) {} } }",
            "({ get a() { for (;;) {} } })",
            "agentUtils.setQueue({ toJSON() { for (;;) {} } })",
            "context.x = 1; Object.defineProperty(context, 'y', { enumerable: true, get() { for (;;) {} } })",
        ],
    );
}

#[test]
fn recursion_ends_by_the_stack() {
    stopped_by(
        Limit::Stack,
        &[
            "function f() { f() } f()",
            "const f = () => f(); f()",
            "const o = { toString() { return '' + o } }; '' + o",
            "const o = { get a() { return this.a } }; o.a",
            "class A { constructor() { new A() } } new A()",
        ],
    );
    // Promises that wait for each other take memory until none is left even for an error that says so.
    failed("Promise.resolve().then(function again() { return Promise.resolve().then(again) })");
    // Deep data is an error of its own kind, or no error, but never the end of the thread.
    done("try { JSON.parse('['.repeat(1e5)) } catch (e) { 1 }");
    done("try { eval('('.repeat(50000)) } catch (e) { 1 }");
    done("try { new RegExp('('.repeat(50000)) } catch (e) { 1 }");
    done("let d = []; for (let i = 0; i < 30000; i++) d = [d]; d");
}

#[test]
fn allocation_ends_by_memory() {
    stopped_by(
        Limit::Memory,
        &[
            "const a = []; for (;;) a.push('x'.repeat(1e6) + a.length)",
            "new Array(1e7).fill(0).map(() => ({}))",
            "const a = {}; for (let i = 0; ; i++) a['k' + i] = {}",
            "new ArrayBuffer(1e9)",
            "'x'.repeat(2 ** 29).split('')",
        ],
    );
}

#[test]
fn a_caught_memory_error_leaves_the_rest_working() {
    let done = done("let n = 0; try { new ArrayBuffer(1e9) } catch (e) { n = 1 } context.n = n; n");
    assert_eq!(done.value, 1);
}

#[test]
fn huge_results_are_refused_or_left_out() {
    // What a script keeps or asks for is meant; its last expression may not be.
    let huge = done("new Array(1e5).fill('x')");
    assert_eq!((huge.value, huge.log.len()), (json!(null), 1));
    stopped_by(
        Limit::Answer,
        &[
            "context.huge = 'x'.repeat(1e6)",
            "for (let i = 0; i < 1000; i++) context['k' + i] = 'x'.repeat(100)",
            "for (let i = 0; i < 65; i++) agentUtils.setQueue('q')",
            "for (;;) { try { agentUtils.setQueue('q') } catch (e) {} }",
            "const long = 'x'.repeat(4000); for (let i = 0; i < 20; i++) voiceUtils.play(long)",
        ],
    );
    let long = done("agentUtils.setQueue('x'.repeat(5000)); voiceUtils.play(new Array(101).fill('x'))");
    assert!(long.effects.is_empty() && long.log.len() == 2, "{long:?}");
}

#[test]
fn a_long_script_is_refused() {
    assert_eq!(failed(&"1;".repeat(MOST_SOURCE)).why, Why::Limit(Limit::Source));
    done(&"1;".repeat(MOST_SOURCE / 2));
}

#[test]
fn a_large_context_fits() {
    let context = json!({ "big": "x".repeat(200_000), "many": vec![7; 10_000] });
    let call = Call { ..call("context.big.length + context.many.length") };
    let mut scope = call.scope.clone();
    scope.context = object(context);
    let Answer::Done(done) = run_all([Call { scope, ..call }]).remove(0) else { panic!("was to run") };
    assert_eq!(done.value, 210_000);
    assert!(done.variables.is_empty());
}

#[test]
fn too_deep_a_call_names_its_line() {
    let fault = failed("function f() {\n  f();\n}\nf();");
    assert_eq!(fault.line, Some(2), "{fault}");
}

#[test]
fn a_run_that_was_stopped_changes_nothing() {
    // A fault carries neither changes nor effects: there is no place for them in it.
    let fault = failed("agentUtils.setQueue('q'); context.a = 1; for (;;) {}");
    assert_eq!(fault.to_string(), "flow main, node script: the script works for too long");
}
