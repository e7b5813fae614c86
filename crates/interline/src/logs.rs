//! Structured logs on standard error: JSON lines, or plain text for a person at a terminal.

use std::io::IsTerminal;

use anyhow::{Context, Result};
use tracing_subscriber::EnvFilter;

use crate::settings::LogFormat;

/// Starts logging. `level` is a filter such as `info` or `interline_engine=debug,info`.
///
/// # Errors
/// When the filter cannot be read.
pub fn start(level: &str, format: Option<LogFormat>) -> Result<()> {
    let filter =
        EnvFilter::try_new(level).with_context(|| format!("the log filter `{level}` cannot be read"))?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let terminal = std::io::stderr().is_terminal();
    let format = format.unwrap_or(if terminal { LogFormat::Text } else { LogFormat::Json });
    // Already started: another command of the same process did.
    let _ = match format {
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
        LogFormat::Text => builder.with_ansi(terminal).try_init(),
    };
    Ok(())
}
