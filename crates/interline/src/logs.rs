//! Structured logs on standard error: JSON lines, or plain text for a person at a terminal. Traces go to a collector, if one
//! is set (`logs/traces.rs`), and never into the log.

mod traces;

use std::io::IsTerminal;

use anyhow::{Context, Result};
use interline_engine::observe::trace::TARGET;
use tracing::Subscriber;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer};

use crate::settings::{LogFormat, Settings};
use traces::Traces;

/// Starts logging. `level` is a filter such as `info` or `interline_engine=debug,info`.
///
/// # Errors
/// When the filter cannot be read.
pub fn start(level: &str, format: Option<LogFormat>) -> Result<()> {
    let registry = tracing_subscriber::registry().with(filter(level)?);
    // Already started: another command of the same process did.
    let _ = registry.with(lines(format)).try_init();
    Ok(())
}

/// [`start`] with the settings of a node, and with its traces. They are sent until what this returns is dropped.
///
/// # Errors
/// When the filter cannot be read, or the collector's headers are none.
pub fn start_with_traces(settings: &Settings) -> Result<Option<Traces>> {
    let Some(traces) = Traces::of(settings)? else {
        return start(&settings.log, settings.log_format).map(|()| None);
    };
    let spans = tracing_opentelemetry::layer()
        .with_tracer(traces.tracer())
        // What they would add is for people who mend Interline, and costs on every span.
        .with_location(false)
        .with_threads(false)
        .with_target(false)
        .with_tracked_inactivity(false)
        .with_filter(Targets::new().with_target(TARGET, LevelFilter::INFO));
    let lines = lines(settings.log_format).with_filter(filter(&settings.log)?);
    let _ = tracing_subscriber::registry().with(spans).with(lines).try_init();
    Ok(Some(traces))
}

/// Spans that are made for traces are not for the log; without a collector they are not made.
fn filter(level: &str) -> Result<EnvFilter> {
    let filter =
        EnvFilter::try_new(level).with_context(|| format!("the log filter `{level}` cannot be read"))?;
    // The SIP stack writes whole messages into its log: who calls whom, and proofs of passwords.
    Ok(filter.add_directive(format!("{TARGET}=off").parse()?).add_directive("rsipstack=off".parse()?))
}

fn lines<S>(format: Option<LogFormat>) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let terminal = std::io::stderr().is_terminal();
    match format.unwrap_or(if terminal { LogFormat::Text } else { LogFormat::Json }) {
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
        LogFormat::Text => lines.with_ansi(terminal).boxed(),
    }
}
