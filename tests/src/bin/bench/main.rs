//! `make bench`: how fast a durable relay is, what it costs, and how far that is from the writer alone. One run, one
//! machine, everything in it: ratios are between figures of the same run.
//!
//! | file | measures |
//! |---|---|
//! | `machine.rs` | the machine: fsync, a Node sink that only counts |
//! | `crowd.rs` | customers and agents who say what they are told to |
//! | `phase.rs` | one phase: what was sent, what arrived, when |
//! | `relay.rs` | the server: saturation, a steady rate, CPU, memory |
//! | `baseline.rs` | the same rows through the same writer, with no logic and no network |
//! | `idle.rs` | memory of conversations in which nothing happens |
//! | `start.rs` | start to ready, and lists, with 100,000 conversations |
//! | `files.rs` | files of 25 MB beside a bare handler, and a hundred at once |
//! | `agents.rs` | each agent system against its stand-in, and 5,000 sessions at once |
//! | `weight.rs` | server memory of a live transfer |
//! | `flows.rs` | nodes, steps and scripts, without a server |
//! | `voice/` | calls beside the bare SIP stack, and their sound |
//! | `table.rs` | the figures beside the aims |
//!
//! `INTERLINE_TEST_POSTGRES` names the PostgreSQL server (`tests/support/postgres.sh`), `INTERLINE_TEST_DIR` a directory
//! on the disk to measure, `INTERLINE_BENCH_SECONDS` the length of each phase (5), `INTERLINE_BENCH_LIVE` and
//! `INTERLINE_BENCH_SESSIONS` the crowds of the agent systems (1,000 and 5,000).
#![allow(clippy::print_stdout, reason = "the table is the output")]

mod agents;
mod baseline;
mod crowd;
mod files;
mod flows;
mod idle;
mod machine;
mod phase;
mod relay;
mod start;
mod table;
mod voice;
mod weight;

use std::time::Duration;

use anyhow::Result;
use interline_tests::postgres::{self, Database};
use interline_tests::scratch::Scratch;

/// The server's: the baseline must not be slowed down by another one.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A message a millisecond.
const STEADY: u64 = 1_000;

/// Which way messages go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// From the user's socket to BotKit.
    ToAgent,
    /// From BotKit's call to the user's socket.
    ToUser,
}

impl Way {
    fn name(self) -> &'static str {
        match self {
            Self::ToAgent => "user → agent",
            Self::ToUser => "agent → user",
        }
    }
}

/// What one phase at a steady rate showed.
#[derive(Debug, Clone, Copy)]
struct Steady {
    per_second: u64,
    p50: Duration,
    p99: Duration,
    sent: u64,
    arrived: u64,
}

/// CPU per wall-clock second of each process, 1.0 = one core.
#[derive(Debug, Clone, Copy, Default)]
struct Cpu {
    server: f64,
    load: f64,
    database: f64,
}

/// One row of the table.
#[derive(Debug, Clone)]
struct Row {
    database: &'static str,
    conversations: usize,
    way: Way,
    saturated: f64,
    busy: Cpu,
    steady: Steady,
    steady_cpu: Cpu,
    memory: u64,
    baseline: f64,
    baseline_busy: Cpu,
    baseline_steady: Steady,
}

fn seconds() -> Duration {
    let given = std::env::var("INTERLINE_BENCH_SECONDS").ok().and_then(|text| text.parse().ok());
    Duration::from_secs(given.unwrap_or(5))
}

#[tokio::main]
async fn main() -> Result<()> {
    let begin = std::time::Instant::now();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if helped(&arguments).await? {
        return Ok(());
    }
    let scratch = Scratch::new("bench")?;
    println!("{}\n", machine::describe(scratch.path()));
    let fsync = machine::fsync(scratch.path())?;
    println!("{fsync}\n");
    // `bench start`, `files`, `agents`, `weight`, `flows`, `voice [PART]`: that part alone.
    match arguments.first().map(String::as_str) {
        Some("start") => {
            println!("{}\n", start::measure().await?);
            return Ok(());
        }
        Some("flows") => {
            println!("{}\n", flows::measure().await?);
            return Ok(());
        }
        Some("files") => {
            println!("{}\n", files::measure().await?);
            return Ok(());
        }
        Some("agents") => {
            println!("{}\n", agents::measure().await?);
            return Ok(());
        }
        Some("weight") => {
            println!("{}\n", weight::measure(agents::live()).await?);
            return Ok(());
        }
        Some("voice") => {
            println!("{}\n", voice::measure(arguments.get(1).map(String::as_str)).await?);
            return Ok(());
        }
        Some(_) | None => {}
    }
    match machine::node_sink().await {
        Ok(sink) => println!("{sink}\n"),
        Err(error) => println!("Node sink: not measured ({error:#})\n"),
    }
    let mut rows = Vec::new();
    for conversations in [1, 1_000] {
        rows.extend(measure("SQLite", None, conversations).await?);
    }
    for conversations in [1, 1_000] {
        match postgres::database("bench").await? {
            Some(database) => rows.extend(measure("PostgreSQL", Some(database), conversations).await?),
            None => println!("PostgreSQL: not measured\n"),
        }
    }
    println!("{}", table::all(&rows, &fsync));
    println!("{}\n", idle::measure().await?);
    println!("{}\n", start::measure().await?);
    println!("{}\n", files::measure().await?);
    println!("{}\n", agents::measure().await?);
    println!("{}\n", flows::measure().await?);
    println!("{}\n", voice::measure(None).await?);
    println!("The bench took {:.0} s.", begin.elapsed().as_secs_f64());
    Ok(())
}

/// The programs that the bench starts beside itself. False: it is the bench itself.
async fn helped(arguments: &[String]) -> Result<bool> {
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["bare", directory] => files::bare(directory.into()).await?,
        ["bare-sip", listen, agent] => voice::bare::serve(listen.parse()?, agent).await?,
        ["relay", calls, seconds, how] => {
            voice::relay::gateway(calls.parse()?, seconds.parse()?, voice::relay::How::read(how)?)?;
        }
        ["relay-load", calls, seconds, how] => {
            voice::relay_load::generate(calls.parse()?, seconds.parse()?, voice::relay::How::read(how)?)?;
        }
        _ => return Ok(false),
    }
    Ok(true)
}

/// Both ways over so many open conversations, and the baseline with the rows that this left behind.
async fn measure(name: &'static str, database: Option<Database>, conversations: usize) -> Result<Vec<Row>> {
    let scratch = Scratch::new("bench")?;
    println!("{name}, {conversations} open: relay …");
    let (relays, rows) = relay::measure(scratch.path(), database.as_ref(), conversations).await?;
    println!("{}", rows.describe());
    println!("{name}, {conversations} open: baseline …");
    let mut all = Vec::new();
    for relay in relays {
        let base =
            baseline::measure(database.as_ref(), &rows, relay.way, conversations, relay.steady.per_second)
                .await?;
        all.push(Row {
            database: name,
            conversations,
            way: relay.way,
            saturated: relay.saturated,
            busy: relay.busy,
            steady: relay.steady,
            steady_cpu: relay.steady_cpu,
            memory: relay.memory,
            baseline: base.saturated,
            baseline_busy: base.busy,
            baseline_steady: base.steady,
        });
    }
    if let Some(database) = database {
        database.remove().await?;
    }
    Ok(all)
}
