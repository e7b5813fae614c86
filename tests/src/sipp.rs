//! Callers and agents on the telephone: SIPp (Debian `sip-tester`), with the scenarios of `tests/voice/`.
//!
//! `{{> name}}` in a scenario is `tests/voice/parts/name.xml`; `{{name}}` is what [`Sipp::with`] says; a line that is
//! `{{?name}}` alone is left out if nothing is said.

use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::process::{Child, Command};

use crate::scratch::Scratch;
use crate::server::{free_port, workspace};

/// A scenario that takes longer hangs. Session timers need a minute.
const LONGEST: Duration = Duration::from_secs(120);

/// One SIPp.
#[derive(Debug, Clone)]
pub struct Sipp {
    scenario: String,
    ip: &'static str,
    port: u16,
    arguments: Vec<String>,
    holes: Vec<(String, String)>,
    changes: Vec<(String, String)>,
    patience: Duration,
}

/// What SIPp counted.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Counts {
    /// Calls that went as in the scenario.
    pub successful: u64,
    /// Calls that did not.
    pub failed: u64,
    /// Messages that were sent again.
    pub retransmissions: u64,
    /// What the scenario counts as `counter="1"`.
    pub refused: u64,
    /// How long those took on average: the scenario's `rtd="1"`, milliseconds.
    pub refused_ms: f64,
}

/// A SIPp that runs.
#[derive(Debug)]
pub struct Running {
    name: String,
    patience: Duration,
    child: Child,
    folder: Scratch,
}

impl Sipp {
    /// An agent at `port`, who takes one call.
    pub fn agent(scenario: &str, port: u16) -> Self {
        Self {
            scenario: scenario.into(),
            ip: "127.0.0.1",
            port,
            arguments: Vec::new(),
            holes: Vec::new(),
            changes: Vec::new(),
            patience: LONGEST,
        }
    }

    /// A caller who calls `user` at the server.
    ///
    /// # Errors
    /// When no port is free.
    pub fn caller(scenario: &str, user: &str, server: u16) -> Result<Self> {
        let arguments = vec![format!("127.0.0.1:{server}"), "-s".into(), user.into()];
        let port = free_port()?;
        Ok(Self {
            scenario: scenario.into(),
            ip: "127.0.0.1",
            port,
            arguments,
            holes: Vec::new(),
            changes: Vec::new(),
            patience: LONGEST,
        })
    }

    /// By IPv6.
    #[must_use]
    pub fn by_ipv6(mut self) -> Self {
        self.ip = "::1";
        for argument in &mut self.arguments {
            *argument = argument.replace("127.0.0.1:", "[::1]:");
        }
        self
    }

    /// What `{{name}}` in the scenario stands for.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.holes.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Every `from` in the scenario becomes `to`.
    #[must_use]
    pub fn changed(mut self, from: &str, to: &str) -> Self {
        self.changes.push((from.to_owned(), to.to_owned()));
        self
    }

    /// More flags.
    #[must_use]
    pub fn flags(mut self, flags: &[&str]) -> Self {
        self.arguments.extend(flags.iter().map(|flag| (*flag).to_owned()));
        self
    }

    /// It may take so long, where many calls are made.
    #[must_use]
    pub fn within(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Starts it.
    ///
    /// # Errors
    /// When SIPp is not there.
    pub fn start(self) -> Result<Running> {
        let folder = Scratch::new("sipp")?;
        let scenario = folder.path().join("scenario.xml");
        std::fs::write(&scenario, self.text()?)?;
        let mut command = Command::new("sipp");
        command
            .current_dir(folder.path())
            .args(&self.arguments)
            .arg("-sf")
            .arg(scenario)
            .args([
                "-i",
                self.ip,
                "-p",
                &self.port.to_string(),
                "-nostdin",
                "-trace_err",
                "-error_file",
                "errors",
            ])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        if !self.arguments.iter().any(|argument| argument == "-m") {
            command.args(["-m", "1"]);
        }
        let child = command.spawn().context("sipp: is sip-tester installed?")?;
        Ok(Running { name: self.scenario, patience: self.patience, child, folder })
    }

    /// The scenario, with its parts and with what was said.
    fn text(&self) -> Result<String> {
        let folder = workspace().join("tests/voice");
        let read = |name: &str| std::fs::read_to_string(folder.join(name)).context(name.to_owned());
        let mut text = read(&format!("{}.xml", self.scenario))?;
        // What is said may bring parts of its own.
        for _ in 0..3 {
            for (hole, value) in &self.holes {
                text = text.replace(&format!("{{{{{hole}}}}}"), value);
                text = text.replace(&format!("{{{{?{hole}}}}}"), value);
            }
            while let Some((head, rest)) = text.split_once("{{> ") {
                let (part, tail) = rest.split_once("}}").context("a part without an end")?;
                text = format!("{head}{}{tail}", read(&format!("parts/{part}.xml"))?);
            }
        }
        for (from, to) in &self.changes {
            text = text.replace(from, to);
        }
        let said = |line: &&str| !line.trim().starts_with("{{?");
        Ok(text.lines().filter(said).map(|line| format!("{line}\n")).collect())
    }

    /// Runs it to its end.
    ///
    /// # Errors
    /// What went other than in the scenario.
    pub async fn run(self) -> Result<()> {
        self.start()?.end().await
    }
}

/// `00:00:00:001000`: hours, minutes, seconds, microseconds.
fn milliseconds(time: &str) -> f64 {
    let parts = time.trim().split(':').map(|part| part.parse::<f64>().unwrap_or_default());
    parts.zip([3_600_000.0, 60_000.0, 1_000.0, 0.001]).map(|(part, unit)| part * unit).sum()
}

impl Running {
    /// Waits until it ends.
    ///
    /// # Errors
    /// What went other than in the scenario.
    pub async fn end(mut self) -> Result<()> {
        let Ok(status) = tokio::time::timeout(self.patience, self.child.wait()).await else {
            bail!("{}: it hangs: {}", self.name, self.errors());
        };
        match status?.code() {
            Some(0) => Ok(()),
            code => bail!("{}: {code:?}: {}", self.name, self.errors()),
        }
    }

    /// Waits until it ends, however it does, and reads its counters. It must run with `-trace_stat -stf stat.csv`.
    ///
    /// # Errors
    /// It hangs, or left no counters.
    pub async fn counted(mut self) -> Result<Counts> {
        if tokio::time::timeout(self.patience, self.child.wait()).await.is_err() {
            bail!("{}: it hangs: {}", self.name, self.errors());
        }
        let text = std::fs::read_to_string(self.folder.path().join("stat.csv"));
        let text = text.with_context(|| format!("{}: {}", self.name, self.errors()))?;
        let (head, last) = (text.lines().next(), text.lines().next_back());
        let (head, last) = (head.context("no head")?.split(';'), last.context("no counters")?.split(';'));
        let all: std::collections::HashMap<&str, &str> = head.zip(last).collect();
        let count = |name: &str| all.get(name).and_then(|value| value.trim().parse().ok()).unwrap_or(0);
        Ok(Counts {
            successful: count("SuccessfulCall(C)"),
            failed: count("FailedCall(C)"),
            retransmissions: count("Retransmissions(C)"),
            refused: count("GenericCounter1(C)"),
            refused_ms: all.get("ResponseTime1(C)").map_or(0.0, |time| milliseconds(time)),
        })
    }

    fn errors(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("errors")).unwrap_or_default()
    }
}
