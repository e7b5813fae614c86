//! The binary: configuration, wiring, commands.
//!
//! | file | concept |
//! |---|---|
//! | `settings.rs` | file, environment and flags, in this order |
//! | `app_file.rs`, `variables.rs` | the `--app` file: an app with stable names, `${ENV}` filled in |
//! | `node.rs` | a running node: store, engine, listener, and how it stops |
//! | `demo.rs` | everything on one port, with the simulators |

mod app_file;
mod demo;
mod logs;
mod node;
mod settings;
mod variables;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::settings::Flags;

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
    /// Serves the apps of the --app files.
    Serve(Flags),
    /// Serves a sample app with stand-ins for the agent systems and a page to try it.
    Demo(demo::Flags),
    /// Brings the database to this version's schema, and says which it is. `serve` does so by itself.
    Migrate(Flags),
}

fn main() -> ExitCode {
    // Before anything opens a connection: one crypto provider for all (docs/decisions/0002).
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let cli = Cli::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&anyhow::Error::new(error).context("cannot start threads")),
    };
    let result = match cli.command {
        Command::Serve(flags) => flags.load().and_then(|settings| runtime.block_on(node::serve(settings))),
        Command::Demo(flags) => runtime.block_on(demo::run(flags)),
        Command::Migrate(flags) => {
            flags.load().and_then(|settings| runtime.block_on(node::migrate(settings)))
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(&error),
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
