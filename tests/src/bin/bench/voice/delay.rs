//! How long a call is on its way to the agent: idle, and beside other calls.

use std::fmt::Write as _;
use std::time::Duration;

use anyhow::Result;

use super::load::{BRIDGE, Pace, run};
use super::place::{Bare, Gateway};
use super::probe::{Delays, nothing, probe};
use crate::table::met;

const CALLS: usize = 300;
/// Calls a second beside.
const BESIDE: usize = 200;

pub async fn measure() -> Result<String> {
    let (gateway, bare) = (Gateway::start().await?, Bare::start().await?);
    let base = nothing(CALLS).await?;
    let mut text = format!(
        "From the caller's INVITE to the agent's, and from the agent's 200 to its ACK; {CALLS} calls, one after the other (a datagram between the two sockets: p50 {:.2} ms, p99 {:.2} ms)\n\n\
         | | INVITE p50 | p99 | aim | ACK p50 | p99 |\n|---|--:|--:|---|--:|--:|\n",
        Delays::at(&base, 0.5),
        Delays::at(&base, 0.99),
    );
    for (who, beside) in [("gateway", 0), ("bare stack", 0), ("gateway", BESIDE), ("bare stack", BESIDE)] {
        let ours = who == "gateway";
        let (target, user, agent) = if ours {
            (gateway.target(), "probe", gateway.probe)
        } else {
            (bare.target(), "agent", bare.probe)
        };
        // The bare stack has one agent: beside the probe it only answers.
        let flow = if ours { BRIDGE } else { super::load::ANSWER };
        let load = (beside > 0).then(|| {
            let pace = Pace::Rate { per_second: beside, time: Duration::from_secs(6) };
            tokio::spawn(run(target, flow, pace))
        });
        if load.is_some() {
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        let delays = probe(user, target.sip, agent, CALLS).await?;
        let failed = match load {
            Some(load) => load.await??.counts.failed,
            None => 0,
        };
        let (p50, p99) = (Delays::at(&delays.through, 0.5), Delays::at(&delays.through, 0.99));
        let aim = match (ours, beside) {
            (false, _) => "–".to_owned(),
            (true, 0) => format!("≤ 0.25, 0.6: {}", met(p50 <= 0.25 && p99 <= 0.6)),
            (true, _) => format!("p99 ≤ 1: {}", met(p99 <= 1.0 && failed == 0)),
        };
        writeln!(
            text,
            "| {who}, {} | {p50:.2} ms | {p99:.2} ms | {aim} | {:.2} ms | {:.2} ms |",
            if beside == 0 {
                "idle".to_owned()
            } else {
                format!("beside {beside} calls/s ({failed} failed)")
            },
            Delays::at(&delays.joined, 0.5),
            Delays::at(&delays.joined, 0.99),
        )?;
    }
    gateway.stop().await?;
    Ok(text)
}
