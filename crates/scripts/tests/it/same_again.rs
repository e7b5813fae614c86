//! The same call gives the same answer, whenever and wherever it runs.

use interline_core::Time;
use interline_core::flow::script::{Answer, Call};
use serde_json::{Value, json};

use crate::support::{call, run_all, value};

#[test]
fn the_clock_stands_still_at_the_calls_moment_in_utc() {
    let cases = [
        ("Date.now()", json!(1_795_977_296_789_i64)),
        ("new Date().toISOString()", json!("2026-11-29T18:34:56.789Z")),
        ("'' + new Date()", json!("Sun Nov 29 2026 18:34:56 GMT+0000 (UTC)")),
        ("Date()", json!("Sun Nov 29 2026 18:34:56 GMT+0000 (UTC)")),
        ("new Date().toDateString()", json!("Sun Nov 29 2026")),
        ("new Date().toTimeString()", json!("18:34:56 GMT+0000 (UTC)")),
        ("new Date().toLocaleString()", json!("11/29/2026, 6:34:56 PM")),
        ("new Date(0).toLocaleTimeString()", json!("12:00:00 AM")),
        (
            "const d = new Date(); [d.getFullYear(), d.getMonth(), d.getDate(), d.getDay(), d.getHours(), d.getMinutes(), d.getTimezoneOffset()]",
            json!([2026, 10, 29, 0, 18, 34, 0]),
        ),
        ("new Date(2026, 0, 31, 12).getTime()", json!(1_769_860_800_000_i64)),
        ("new Date(99, 0).getFullYear()", json!(1999)),
        ("const d = new Date(0); d.setHours(5, 6); d.toISOString()", json!("1970-01-01T05:06:00.000Z")),
        ("Date.parse('2026-01-02')", json!(1_767_312_000_000_i64)),
        ("Date.parse('2026-01-02T00:00:00')", json!(1_767_312_000_000_i64)),
        ("Date.parse('2026-01-02T01:00:00+01:00')", json!(1_767_312_000_000_i64)),
        ("Date.parse('Jan 2, 2026')", json!(1_767_312_000_000_i64)),
        ("new Date('Fri, 02 Jan 2026 00:00:00 GMT').getTime()", json!(1_767_312_000_000_i64)),
        ("new Date('nonsense').getTime()", Value::Null),
        ("'' + new Date(NaN)", json!("Invalid Date")),
        ("new Date(new Date(5)).getTime()", json!(5)),
        ("new Date().constructor === Date && new Date() instanceof Date && Date.length", json!(7)),
        ("class D extends Date {}; new D() instanceof D && new D(3).getTime()", json!(3)),
        ("typeof performance", json!("undefined")),
    ];
    for (script, expected) in cases {
        assert_eq!(value(script), expected, "{script}");
    }
}

#[test]
fn random_numbers_come_from_the_seed() {
    let three = "[Math.random(), Math.random(), Math.random()]";
    let seeded = |seed| Call { seed, ..call(three) };
    let answers = run_all([seeded(1), seeded(1), seeded(2)]);
    assert_eq!(answers[0], answers[1]);
    assert_ne!(answers[0], answers[2]);
    let spread = value(
        "let low = 0; for (let i = 0; i < 10000; i++) { const r = Math.random(); if (!(r >= 0 && r < 1)) throw r; if (r < 0.5) low++ } low",
    );
    assert!((4_700..5_300).contains(&spread.as_u64().expect("a count")), "{spread}");
}

#[test]
fn the_same_call_gives_the_same_answer_also_at_a_limit() {
    // (How many pieces of memory there are is not: how much an allocator takes for a piece is its own affair.)
    let scripts = [
        "context.a = Math.random(); context.b = new Date(); [...new Set([3, 1, 2])]",
        "let n = 0; function f() { n++; f() } try { f() } catch (e) {} n",
        "throw new Error('x')",
    ];
    let first = run_all(scripts.map(call));
    let mut backwards = run_all(scripts.map(call).into_iter().rev());
    backwards.reverse();
    assert_eq!(first, backwards);
}

#[test]
fn an_early_moment_and_a_late_one() {
    let at = |now| Call { now: Time(now), ..call("new Date().toISOString()") };
    let answers = run_all([at(0), at(-1), at(i64::MAX)]);
    let values: Vec<_> = answers
        .into_iter()
        .map(|answer| match answer {
            Answer::Done(done) => done.value,
            Answer::Failed(fault) => json!(fault.message),
        })
        .collect();
    assert_eq!(values[..2], [json!("1970-01-01T00:00:00.000Z"), json!("1969-12-31T23:59:59.999Z")]);
    assert!(values[2].as_str().expect("words").starts_with("RangeError"), "{}", values[2]);
}
