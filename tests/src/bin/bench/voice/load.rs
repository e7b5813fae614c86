//! Callers and agents by the thousand: SIPp with the scenarios of `tests/voice/`, on the generator's core.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use interline_tests::server::cpu_of;
use interline_tests::sipp::{Counts, Sipp};

/// A response that takes longer is none.
const PATIENCE_MS: &str = "8000";

/// One kind of call, as SIPp plays it.
#[derive(Debug, Clone, Copy)]
pub struct Flow {
    /// For the table.
    pub name: &'static str,
    /// What is called.
    pub user: &'static str,
    /// The caller's part.
    pub caller: &'static str,
    /// The agent's part.
    pub agent: Option<&'static str>,
}

pub const ANSWER: Flow = Flow { name: "answer", user: "answer", caller: "caller_leaves", agent: None };
pub const BRIDGE: Flow =
    Flow { name: "bridge (INVITE)", user: "agent", caller: "caller_stays", agent: Some("agent_leaves") };
pub const REFER: Flow = Flow { name: "REFER", user: "refer", caller: "refer_accepted", agent: None };
pub const FALLBACK: Flow = Flow {
    name: "REFER refused → INVITE",
    user: "refer",
    caller: "refer_refused",
    agent: Some("agent_leaves"),
};

/// How many calls, and how fast.
#[derive(Debug, Clone, Copy)]
pub enum Pace {
    /// So many at once, each followed by the next, for so long.
    Saturated { at_once: usize, time: Duration },
    /// So many a second, whatever comes of them.
    Rate { per_second: usize, time: Duration },
}

/// What came of it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Outcome {
    /// Calls that went as in the scenario, of them those that were refused where that may be.
    pub counts: Counts,
    /// From the first call to the last end.
    pub took: Duration,
    /// CPU time of the server meanwhile.
    pub cpu: Duration,
}

impl Outcome {
    /// Calls a second that went well.
    pub fn rate(&self) -> f64 {
        self.counts.successful as f64 / self.took.as_secs_f64().max(0.001)
    }

    /// CPU time of the server for each of them, milliseconds.
    pub fn cpu_ms(&self) -> f64 {
        self.cpu.as_secs_f64() * 1e3 / (self.counts.successful.max(1)) as f64
    }
}

/// Who is called.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// Its process.
    pub pid: u32,
    /// Its SIP port.
    pub sip: u16,
    /// Where it looks for its agents.
    pub agent: u16,
}

/// Runs callers, and agents if there are any, to their end.
pub async fn run(target: Target, flow: Flow, pace: Pace) -> Result<Outcome> {
    run_held(target, flow, pace, Duration::ZERO).await
}

/// The same, with calls that last so long.
pub async fn run_held(target: Target, flow: Flow, pace: Pace, held: Duration) -> Result<Outcome> {
    let agent = flow.agent.map(|agent| {
        let agent = common(Sipp::agent(agent, target.agent), held).flags(&["-m", "1000000"]);
        agent.start()
    });
    let agent = agent.transpose()?;
    let flags: Vec<String> = match pace {
        Pace::Saturated { at_once, time } => vec![
            "-r".into(),
            "100000".into(),
            "-l".into(),
            at_once.to_string(),
            "-m".into(),
            "10000000".into(),
        ]
        .into_iter()
        .chain(["-timeout".into(), time.as_secs().to_string()])
        .collect(),
        Pace::Rate { per_second, time } => {
            let all = (per_second as f64 * time.as_secs_f64()).ceil() as usize;
            let (rate, all, most) = (per_second.to_string(), all.to_string(), "100000".to_owned());
            vec!["-r".into(), rate, "-m".into(), all, "-l".into(), most]
        }
    };
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    let caller = common(Sipp::caller(flow.caller, flow.user, target.sip)?, held);
    let caller = caller.with("status", status(flow)).with("challenge", "X-Why: bench").flags(&flags);
    let (cpu, began) = (cpu_of(target.pid), Instant::now());
    let counts = caller.start()?.counted().await.with_context(|| flow.name)?;
    let (took, cpu) = (began.elapsed(), cpu_of(target.pid).saturating_sub(cpu));
    drop(agent);
    Ok(Outcome { counts, took, cpu })
}

fn status(flow: Flow) -> &'static str {
    if flow.agent.is_some() { "405 Method Not Allowed" } else { "202 Accepted" }
}

/// Callers have numbers of their own, nobody waits for nothing, and lost datagrams are not the socket's.
fn common(sipp: Sipp, held: Duration) -> Sipp {
    static RUN: AtomicU64 = AtomicU64::new(100);
    let run = RUN.fetch_add(1, Ordering::Relaxed);
    let pause = format!("<pause milliseconds=\"{}\"/>", held.as_millis());
    sipp.changed("+15550001111", &format!("+1{run}[call_number]"))
        .changed("<pause milliseconds=\"200\"/>", if held.is_zero() { "" } else { &pause })
        .flags(&["-recv_timeout", PATIENCE_MS, "-buff_size", "4194304", "-trace_stat", "-stf", "stat.csv"])
}
