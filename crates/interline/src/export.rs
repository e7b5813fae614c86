//! `interline export`: what a running server serves, as the file that `apply` takes.

use std::path::PathBuf;

use anyhow::{Context, Result, anyhow};
use clap::Args;
use interline_engine::config::Document;
use reqwest::Method;

use crate::canonical;
use crate::outcome::Outcome;
use crate::remote::{self, Remote};

/// Flags of `export`.
#[derive(Debug, Args)]
pub struct Flags {
    /// The app's id.
    #[arg(long, value_name = "ST-…")]
    app: String,
    #[command(flatten)]
    remote: remote::Flags,
    /// Shows secrets in the clear. Without it they are `(secret)`, and applying that keeps them.
    #[arg(long)]
    secrets: bool,
    /// Where to write it; with --secrets, so that only you can read it [default: standard output].
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// Exports an app.
///
/// # Errors
/// What the server says, or what stood in the way.
pub async fn run(flags: Flags) -> Result<Outcome> {
    let remote = Remote::new(&flags.remote.server, &flags.remote.key)?;
    let secrets = if flags.secrets { "clear" } else { "masked" };
    let answer =
        remote.call(Method::GET, &["apps", &flags.app, "document"], &[("secrets", secrets)], None).await?;
    let document = Document::from_json(answer).map_err(|fault| {
        anyhow!("the server's document cannot be read here: {fault}; is it of this version?")
    })?;
    let file = canonical::file_of(&document)?;
    let note = remote.remark().unwrap_or_default();
    match flags.output {
        None => Ok(Outcome { note, ..Outcome::answer(file) }),
        Some(path) => {
            if flags.secrets {
                remote::write_private(&path, &file)?;
            } else {
                std::fs::write(&path, &file).with_context(|| format!("cannot write {}", path.display()))?;
            }
            Ok(Outcome { note: format!("{note}written to {}\n", path.display()), ..Outcome::default() })
        }
    }
}
