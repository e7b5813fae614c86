//! The figures beside the aims of issue 2.

use std::fmt::Write as _;
use std::time::Duration;

use crate::machine::Fsync;
use crate::{Cpu, Row, Steady};

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// Whether an aim is.
pub fn met(met: bool) -> &'static str {
    if met { "met" } else { "**NOT met**" }
}

/// All tables.
pub fn all(rows: &[Row], fsync: &Fsync) -> String {
    let mut text = String::new();
    // Writing to a String does not fail.
    let _ = saturation(&mut text, rows);
    let _ = steady(&mut text, rows, fsync);
    text
}

fn saturation(text: &mut String, rows: &[Row]) -> std::fmt::Result {
    writeln!(
        text,
        "\nAt saturation (messages/s that arrived; baseline: the same rows through the same writer, no logic; aim ≥ 0.5)\n"
    )?;
    writeln!(
        text,
        "| database | open | way | relay/s | baseline/s | ratio | aim | cores: server | load | database | baseline cores |"
    )?;
    writeln!(text, "|---|--:|---|--:|--:|--:|---|--:|--:|--:|---|")?;
    for row in rows {
        let ratio = row.saturated / row.baseline;
        let Cpu { server, load, database } = row.busy;
        let base = row.baseline_busy;
        writeln!(
            text,
            "| {} | {} | {} | {:.0} | {:.0} | {ratio:.2} | {} | {server:.2} | {load:.2} | {database:.2} | {:.2} + {:.2} |",
            row.database,
            row.conversations,
            row.way.name(),
            row.saturated,
            row.baseline,
            met(ratio >= 0.5),
            base.load,
            base.database,
        )?;
    }
    Ok(())
}

fn steady(text: &mut String, rows: &[Row], fsync: &Fsync) -> std::fmt::Result {
    let aim = Duration::from_millis(10) + 3 * fsync.p99;
    writeln!(
        text,
        "\nAt a steady rate, from the time a message was due to its arrival (aim: p99 ≤ 10 ms + 3 × fsync p99 = {:.1} ms)\n",
        ms(aim)
    )?;
    writeln!(
        text,
        "| database | open | way | rate/s | p50 | p99 | aim | lost | baseline p50 | p99 | server CPU s per 1,000 | load | database | server RSS |"
    )?;
    writeln!(text, "|---|--:|---|--:|--:|--:|---|--:|--:|--:|--:|--:|--:|--:|")?;
    for row in rows {
        let Steady { per_second, p50, p99, sent, arrived } = row.steady;
        let each = |cores: f64| cores / per_second.max(1) as f64 * 1_000.0;
        let Cpu { server, load, database } = row.steady_cpu;
        let aim = if per_second < crate::STEADY { "not at 1,000/s" } else { met(p99 <= aim) };
        writeln!(
            text,
            "| {} | {} | {} | {per_second} | {:.1} ms | {:.1} ms | {aim} | {} | {:.1} ms | {:.1} ms | {:.2} | {:.2} | {:.2} | {:.0} MB |",
            row.database,
            row.conversations,
            row.way.name(),
            ms(p50),
            ms(p99),
            sent - arrived.min(sent),
            ms(row.baseline_steady.p50),
            ms(row.baseline_steady.p99),
            each(server),
            each(load),
            each(database),
            row.memory as f64 / 1024.0 / 1024.0,
        )?;
    }
    Ok(())
}
