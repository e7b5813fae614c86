//! Calls a second and CPU for each call, beside the bare stack at the same rate; and what happens beyond the limit.

use std::fmt::Write as _;
use std::time::Duration;

use anyhow::Result;

use super::asterisk;
use super::load::{ANSWER, BRIDGE, FALLBACK, Flow, Outcome, Pace, REFER, run};
use super::place::{Bare, Gateway};
use crate::seconds;
use crate::table::met;

/// Calls at once when as many are made as can be.
const AT_ONCE: usize = 50;
/// Refused REFERs a second that none of may fail.
const FALLBACKS: usize = 1_000;
/// The gate: CPU of a call beside the bare stack's.
const RATIO: f64 = 1.5;
/// Beyond the limit by this much, so much of it is still served.
const BEYOND: (f64, f64) = (1.5, 0.9);
/// A call that is refused is refused within this time, milliseconds.
const AT_ONCE_MS: f64 = 100.0;

struct Row {
    flow: Flow,
    most: Outcome,
    bare_most: Outcome,
    bare: Outcome,
}

pub async fn measure() -> Result<String> {
    let (gateway, bare) = (Gateway::start().await?, Bare::start().await?);
    let time = seconds();
    let most = Pace::Saturated { at_once: AT_ONCE, time };
    // Pools, caches, pages of the binary.
    for target in [gateway.target(), bare.target()] {
        run(target, BRIDGE, Pace::Rate { per_second: 50, time: Duration::from_secs(1) }).await?;
    }
    let mut rows = Vec::new();
    for flow in [ANSWER, BRIDGE, REFER, FALLBACK] {
        let ours = run(gateway.target(), flow, most).await?;
        let same = Pace::Rate { per_second: ours.rate().max(1.0) as usize, time };
        let bare_most = run(bare.target(), flow, most).await?;
        rows.push(Row { flow, most: ours, bare_most, bare: run(bare.target(), flow, same).await? });
    }
    let mut text = table(&rows)?;
    let rate = Pace::Rate { per_second: FALLBACKS, time };
    let (ours, theirs) =
        (run(gateway.target(), FALLBACK, rate).await?, run(bare.target(), FALLBACK, rate).await?);
    for (who, outcome, aim) in [("gateway", ours, met(ours.counts.failed == 0)), ("bare stack", theirs, "–")]
    {
        writeln!(
            text,
            "REFER refused → INVITE at {FALLBACKS}/s, {who}: {} went well, {} failed, {} sent again (aim: 0 failed: {aim})",
            outcome.counts.successful, outcome.counts.failed, outcome.counts.retransmissions
        )?;
    }
    gateway.empty().await?;
    text += &beyond(&gateway, &rows).await?;
    gateway.stop().await?;
    Ok(text)
}

/// The aims of issue 7: calls a second, and CPU milliseconds for each.
fn aims(flow: Flow) -> (Option<f64>, Option<f64>) {
    match flow.name {
        name if name == ANSWER.name => (None, Some(asterisk::ANSWER.1 / 5.0)),
        name if name == BRIDGE.name => (Some(asterisk::BRIDGE.0 * 4.0), Some(asterisk::BRIDGE.1 / 4.0)),
        name if name == REFER.name => (Some(asterisk::REFER * 3.0), None),
        _ => (None, None),
    }
}

fn table(rows: &[Row]) -> Result<String, std::fmt::Error> {
    let mut text = format!(
        "| call | calls/s | aim | CPU ms each | aim | failed | bare stack at that rate: CPU ms | ratio | gate ≤ {RATIO} | bare stack alone: calls/s | CPU ms |\n\
         |---|--:|---|--:|---|--:|--:|--:|---|--:|--:|\n"
    );
    for row in rows {
        let (rate, cpu) = (row.most.rate(), row.most.cpu_ms());
        let ratio = cpu / row.bare.cpu_ms().max(0.001);
        let (most, each) = aims(row.flow);
        let most = most.map_or("–".to_owned(), |aim| format!("≥ {aim:.0}: {}", met(rate >= aim)));
        let each = each.map_or("–".to_owned(), |aim| format!("≤ {aim:.2}: {}", met(cpu <= aim)));
        writeln!(
            text,
            "| {} | {rate:.0} | {most} | {cpu:.3} | {each} | {} | {:.3} | {ratio:.1} | {} | {:.0} | {:.3} |",
            row.flow.name,
            row.most.counts.failed,
            row.bare.cpu_ms(),
            met(ratio <= RATIO),
            row.bare_most.rate(),
            row.bare_most.cpu_ms(),
        )?;
    }
    text.push('\n');
    Ok(text)
}

/// More calls than can be answered.
async fn beyond(gateway: &Gateway, rows: &[Row]) -> Result<String> {
    let clean = rows.iter().find(|row| row.flow.name == ANSWER.name).map_or(0.0, |row| row.most.rate());
    let flow = Flow { caller: "caller_leaves_or_is_refused", ..ANSWER };
    let offered = (clean * BEYOND.0) as usize;
    let got = run(gateway.target(), flow, Pace::Rate { per_second: offered, time: seconds() }).await?;
    let counts = got.counts;
    let served = (counts.successful - counts.refused.min(counts.successful)) as f64 / got.took.as_secs_f64();
    let part = served / clean.max(1.0);
    let at_once = counts.refused == 0 || counts.refused_ms <= AT_ONCE_MS;
    let good = part >= BEYOND.1 && counts.failed == 0 && at_once;
    Ok(format!(
        "\nBeyond the limit: {offered}/s offered, {:.1} of what can be answered: {served:.0}/s answered ({part:.2} of the clean rate), {} told to come back (503 with Retry-After, after {:.0} ms on average), {} failed, {} sent again (aim ≥ {}, none failed, refused at once: {})\n",
        BEYOND.0,
        counts.refused,
        counts.refused_ms,
        counts.failed,
        counts.retransmissions,
        BEYOND.1,
        met(good)
    ))
}
