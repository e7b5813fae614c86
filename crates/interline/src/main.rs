//! The binary: configuration, wiring, commands.
//!
//! | file | concept |
//! |---|---|
//! | `settings.rs` | file, environment and flags, in this order |
//! | `data.rs` | the data directory and the store: who uses it, and how a command opens it |
//! | `node.rs` | a running node: store, engine, listener, and how it stops |
//! | `open_files.rs` | how many connections a node may have |
//! | `app_file.rs`, `variables.rs`, `places.rs` | an app's file: `${ENV}` filled in, each fault with its line |
//! | `canonical.rs`, `yaml.rs` | a document as its file |
//! | `apply.rs`, `export.rs`, `remote.rs` | configuration as code: commands that talk REST to a running server |
//! | `key.rs`, `rekey.rs` | keys of the API; sealing with the newest key |
//! | `check/` | would it work? |
//! | `outcome.rs` | what a command says at its end |
//! | `demo/` | everything on one port, with the simulators |
//! | `stand_ins.rs`, `simulate.rs` | the vendors' stand-ins; one alone |

mod app_file;
mod apply;
mod canonical;
mod check;
mod data;
mod demo;
mod export;
mod files;
mod key;
mod logs;
mod node;
mod open_files;
mod outcome;
mod places;
mod rekey;
mod remote;
mod settings;
mod simulate;
mod stand_ins;
mod variables;
mod voice;
mod yaml;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::outcome::Outcome;
use crate::settings::{Flags, StoreFlags};

/// A relayed line is many small, short-lived buffers; the system's allocator took a quarter of the time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The neutral layer between a bot and the human agents of any contact center.
#[derive(Debug, Parser)]
#[command(name = "interline", version, about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serves the apps of its store, and those of the --app files.
    Serve(Flags),
    /// Serves a sample app with stand-ins for the agent systems and a page to try it.
    Demo(demo::Flags),
    /// Runs one vendor's stand-in alone, with the paths of the real host.
    Simulate(simulate::Flags),
    /// Brings an app's file in force on a running server, or shows what would change.
    Apply(apply::Flags),
    /// Shows an app of a running server as the file that `apply` takes.
    Export(export::Flags),
    /// Says whether `serve` with these flags would work: settings, place, app files, each agent system tried.
    Check(check::Flags),
    /// Makes, lists and withdraws keys of the API.
    #[command(subcommand)]
    Key(key::Command),
    /// Seals everything again with the newest key, so that older ones can be removed. The server must not run.
    Rekey(StoreFlags),
    /// Brings the database to this version's schema, and says which it is. `serve` does so by itself.
    Migrate(StoreFlags),
}

fn main() -> ExitCode {
    // Before anything opens a connection: one crypto provider for all (docs/decisions/0002).
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let cli = Cli::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&anyhow::Error::new(error).context("cannot start threads")),
    };
    match runtime.block_on(run(cli.command)) {
        Ok(outcome) => outcome.say(),
        Err(error) => failed(&error),
    }
}

async fn run(command: Command) -> anyhow::Result<Outcome> {
    match command {
        Command::Serve(flags) => node::serve(flags.load()?).await.map(|()| Outcome::default()),
        Command::Demo(flags) => demo::run(flags).await.map(|()| Outcome::default()),
        Command::Simulate(flags) => simulate::run(flags).await.map(|()| Outcome::default()),
        Command::Apply(flags) => apply::run(flags).await,
        Command::Export(flags) => export::run(flags).await,
        Command::Check(flags) => check::run(flags).await,
        Command::Key(command) => key::run(command).await,
        Command::Rekey(flags) => rekey::run(flags).await,
        Command::Migrate(flags) => node::migrate(flags.load()?).await.map(|()| Outcome::default()),
    }
}

#[allow(
    clippy::print_stderr,
    reason = "the last word of a command that failed is for the person who called it"
)]
fn failed(error: &anyhow::Error) -> ExitCode {
    eprintln!("interline: {error:#}");
    ExitCode::FAILURE
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn every_command_line_can_be_read() {
        super::Cli::command().debug_assert();
    }
}
