//! Memory: of a server that nobody calls, of bridged calls, and what is left after each five hundred.

use std::fmt::Write as _;
use std::time::Duration;

use anyhow::{Result, ensure};

use super::load::{BRIDGE, Flow, Pace, run_held};
use super::place::Gateway;
use crate::table::met;

const CALLS: usize = 500;
const CYCLES: usize = 4;
/// They come in so fast, and last until all are there and a while longer.
const PER_SECOND: usize = 100;
const HELD: Duration = Duration::from_secs(9);
/// The aims of issue 7.
const IDLE_MIB: f64 = 30.0;
const CALL_KIB: f64 = 60.0;
/// The allocator keeps pages of its own; more than this in a cycle of 500 calls is growth: 1 KiB a call.
const GROWTH_KIB: f64 = 512.0;
/// The stack forgets a call within this time after its end.
const FORGOTTEN: Duration = Duration::from_secs(66);

pub async fn measure() -> Result<String> {
    let gateway = Gateway::start().await?;
    let kib = || gateway.server.memory() as f64 / 1024.0;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let idle = kib();
    let few = Pace::Rate { per_second: 20, time: Duration::from_secs(1) };
    run_held(gateway.target(), BRIDGE, few, Duration::ZERO).await?;
    gateway.empty().await?;
    let warm = kib();
    let mut text = format!(
        "Memory of the server: idle {:.1} MiB (aim ≤ {IDLE_MIB:.0}: {}), after 20 calls {:.1} MiB\n\n\
         | cycle of {CALLS} calls | at their height | each | aim ≤ {CALL_KIB:.0} KiB | after | more than a cycle before | aim: none from the second on |\n|---|--:|--:|---|--:|--:|---|\n",
        idle / 1024.0,
        met(idle / 1024.0 <= IDLE_MIB),
        warm / 1024.0
    );
    let mut before = warm;
    for cycle in 1..=CYCLES {
        let high = height(&gateway).await?;
        gateway.empty().await?;
        tokio::time::sleep(FORGOTTEN).await;
        let after = kib();
        // Later cycles find room that is free already.
        let each = (high - warm) / CALLS as f64;
        writeln!(
            text,
            "| {cycle} | {:.1} MiB | {each:.0} KiB | {} | {:.1} MiB | {:.0} KiB | {} |",
            high / 1024.0,
            met(each <= CALL_KIB),
            after / 1024.0,
            after - before,
            if cycle < 3 { "–" } else { met(after - before <= GROWTH_KIB) },
        )?;
        before = after;
    }
    gateway.stop().await?;
    Ok(text)
}

/// Five hundred bridged calls at once: resident memory when all are there, in KiB.
async fn height(gateway: &Gateway) -> Result<f64> {
    let flow = Flow { caller: "caller_leaves", agent: Some("agent_stays"), ..BRIDGE };
    let time = Duration::from_secs((CALLS / PER_SECOND) as u64);
    let pace = Pace::Rate { per_second: PER_SECOND, time };
    let calls = tokio::spawn(run_held(gateway.target(), flow, pace, HELD));
    tokio::time::sleep(time + Duration::from_secs(2)).await;
    let (sessions, high) = (gateway.holds("ports").await?, gateway.server.memory() as f64 / 1024.0);
    let outcome = calls.await??;
    ensure!(outcome.counts.failed == 0, "{} of {CALLS} calls failed", outcome.counts.failed);
    ensure!(sessions == 2.0 * CALLS as f64, "{sessions} sessions of {CALLS} bridged calls");
    Ok(high)
}
