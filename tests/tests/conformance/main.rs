//! Every agent system against its stand-in, through the built server, over real sockets: one test for each scenario and
//! connector, `salesforce::both_ways_in_order`.
//!
//! The tests are found at run time: each connector of `interline_agents::all()` that has a stand-in is run through every
//! scenario of `interline_connector::simulator::SCENARIOS`. A new vendor needs nothing here. What a connector says it does
//! otherwise ([`Deviation`]) is not run; `deviations::{connector}` prints it, and fails when it is not true to its manifest.
//!
//! | file | concept |
//! |---|---|
//! | `world.rs` | the server, the stand-ins, the operator |
//! | `customer.rs`, `desk.rs` | the two sides of a chat |
//! | `opening.rs` … `ladder.rs` | the scenarios |
//! | `several.rs` | several agent systems at once, whichever there are |
//! | `matrix.rs` | the table in `docs/connectors/README.md` |
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test: a wrong assumption ends it; deviations are its output"
)]

mod customer;
mod desk;
mod ending;
mod failing;
mod filing;
mod hearing;
mod ladder;
mod matrix;
mod opening;
mod several;
mod talking;
mod world;

use std::pin::Pin;
use std::process::ExitCode;

use anyhow::Result;
use interline_connector::simulator::{Deviation, SCENARIOS};
use interline_tests::office::Kind;
use libtest_mimic::{Arguments, Failed, Trial};

tokio::task_local! {
    /// The server's store is PostgreSQL.
    static ON_POSTGRESQL: bool;
}

/// Whether this test's server has its store in PostgreSQL.
fn is_on_postgresql() -> bool {
    ON_POSTGRESQL.try_with(|it| *it).unwrap_or(false)
}

/// A scenario on its way.
type Running = Pin<Box<dyn Future<Output = Result<()>> + Send>>;
type Scenario = fn(Kind) -> Running;

/// Whether `name` is one of the scenarios that are run on PostgreSQL too: those in which the store matters most.
fn on_postgresql(name: &str) -> bool {
    ["both_ways_in_order", "server_killed", "fallback_with_lines_waiting"].contains(&name)
}

/// The code of a scenario.
fn scenario(name: &str) -> Option<Scenario> {
    macro_rules! table {
        ($($module:ident: $($name:ident),+;)+) => {
            match name {
                $($(stringify!($name) => Some((|kind| Box::pin($module::$name(kind))) as Scenario),)+)+
                _ => None,
            }
        };
    }
    table! {
        opening: open_with_context, stranger, queue_position, agent_joins, lines_while_queued, second_handover;
        talking: both_ways_in_order, typing, receipts_delivered, receipts_read, agent_transfer, long_text, rich_degraded;
        filing: files_to_agent, files_to_customer, files_refused;
        ending: customer_ends, agent_ends, operator_ends, no_agents, outside_hours, queue_timeout, customer_silent;
        failing: token_expires, rate_limited, error_before_effect, error_after_effect, dropped_after_effect,
            line_refused, server_killed;
        hearing: inbound_duplicate, inbound_late, inbound_forged, inbound_unsigned, end_overtakes_words,
            stream_killed;
        ladder: fallback_with_lines_waiting;
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let mut trials = several::trials();
    trials.push(Trial::test("matrix::is_up_to_date", || done(matrix::is_up_to_date())));
    trials.push(Trial::test("scenarios::all_are_there", all_are_there));
    for kind in Kind::all() {
        trials.push(Trial::test(format!("deviations::{}", kind.id), move || done(honest(kind))));
        trials.extend(SCENARIOS.iter().flat_map(|(name, _)| trials_of(kind, name)));
    }
    libtest_mimic::run(&arguments, trials).exit_code()
}

/// On SQLite, and for some on PostgreSQL. One that the connector deviates in is shown as ignored.
fn trials_of(kind: Kind, name: &'static str) -> Vec<Trial> {
    let deviates = deviation(kind, name).is_some();
    let trial = |full: String, postgresql: bool| {
        let run = move || match scenario(name) {
            Some(_) if deviates => Ok(()),
            Some(scenario) => done(block_on(ON_POSTGRESQL.scope(postgresql, scenario(kind)))),
            None => Err("this scenario has no code".into()),
        };
        Trial::test(full, run).with_ignored_flag(deviates)
    };
    let mut trials = vec![trial(format!("{}::{name}", kind.id), false)];
    if on_postgresql(name) {
        trials.push(trial(format!("{}::{name}_on_postgresql", kind.id), true));
    }
    trials
}

fn deviation(kind: Kind, name: &str) -> Option<&'static Deviation> {
    kind.deviations().iter().find(|deviation| deviation.scenario == name)
}

/// Runs what a test does; a thread of its own for the server's side of each stand-in.
fn block_on(work: impl Future<Output = Result<()>>) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(work)
}

fn done(result: Result<()>) -> Result<(), Failed> {
    match result {
        Ok(()) => Ok(()),
        // It said so.
        Err(error) if error.is::<world::Skipped>() => Ok(()),
        Err(error) => Err(format!("{error:?}").into()),
    }
}

fn all_are_there() -> Result<(), Failed> {
    let missing: Vec<&str> =
        SCENARIOS.iter().map(|(name, _)| *name).filter(|name| scenario(name).is_none()).collect();
    if missing.is_empty() { Ok(()) } else { Err(format!("without code: {missing:?}").into()) }
}

/// Deviations name scenarios, each once and with a reason, and what the manifest denies is among them.
fn honest(kind: Kind) -> Result<()> {
    let manifest = kind.connector.manifest();
    let deviations = kind.deviations();
    for (at, Deviation { scenario, reason }) in deviations.iter().enumerate() {
        println!("{}::{scenario} is not run: {reason}", kind.id);
        anyhow::ensure!(SCENARIOS.iter().any(|(name, _)| name == scenario), "there is no `{scenario}`");
        let doubled = deviations.iter().skip(at + 1).any(|other| other.scenario == *scenario);
        anyhow::ensure!(!doubled, "`{scenario}` stands there twice");
        anyhow::ensure!(reason.len() > 20, "`{scenario}`: give a reason, as a sentence");
    }
    for (can, name) in [
        (manifest.takes.typing, "typing"),
        (manifest.takes.receipts, "receipts_delivered"),
        (manifest.takes.files.is_some(), "files_to_agent"),
        (manifest.signals.queued, "queue_position"),
        (manifest.signals.joined, "agent_joins"),
    ] {
        anyhow::ensure!(
            can || deviation(kind, name).is_some(),
            "the manifest denies `{name}`, no deviation says so"
        );
    }
    Ok(())
}
