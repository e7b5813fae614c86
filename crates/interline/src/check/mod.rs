//! `interline check`: would `serve` with these settings work? It changes nothing and opens nothing that a server uses.
//!
//! | file | concept |
//! |---|---|
//! | `effective.rs` | the settings in force, and where each comes from |
//! | `place.rs` | data directory, keys, database, port, public URL |
//! | `apps.rs` | the app files: every fault, and each agent system tried |
//! | `remote.rs` | with `--server`: a running server tries them |

mod apps;
mod effective;
mod place;
mod remote;

use std::fmt::Write as _;
use std::path::Path;

use anyhow::Result;
use clap::Args;
use interline_voice::sip::digest::Account;
use url::Url;

use crate::outcome::Outcome;
use crate::remote::KeyFlags;
use crate::settings;

/// The exit code when something failed.
const FAILED: u8 = 1;

/// Flags of `check`.
#[derive(Debug, Args)]
pub struct Flags {
    #[command(flatten)]
    settings: settings::Flags,
    /// Places a test call to this SIP URI (`sip:agent@192.0.2.1`), and says what was seen. `SIP_USERNAME` and `SIP_PASSWORD`
    /// answer a challenge.
    #[arg(value_name = "SIP_URI")]
    sip: Option<String>,
    /// Asks this running server to test each integration, instead of looking here.
    #[arg(long, value_name = "URL")]
    server: Option<Url>,
    #[command(flatten)]
    key: KeyFlags,
}

/// What came of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Ok,
    /// It works, and may not be what is meant.
    Remark,
    Failed,
}

/// Everything that was found.
#[derive(Debug, Default)]
struct Report {
    found: Vec<(Verdict, String)>,
}

impl Report {
    fn ok(&mut self, what: impl Into<String>) {
        self.found.push((Verdict::Ok, what.into()));
    }

    fn remark(&mut self, what: impl Into<String>) {
        self.found.push((Verdict::Remark, what.into()));
    }

    /// Each names its remedy.
    fn failed(&mut self, what: impl Into<String>) {
        self.found.push((Verdict::Failed, what.into()));
    }

    fn end(self, mut answer: String, note: String) -> Outcome {
        for (verdict, what) in &self.found {
            let word = match verdict {
                Verdict::Ok => "ok    ",
                Verdict::Remark => "remark",
                Verdict::Failed => "FAILED",
            };
            // What takes several lines stays in its column.
            let _ = writeln!(answer, "{word}  {}", what.replace('\n', "\n        "));
        }
        let failed = self.found.iter().filter(|(verdict, _)| *verdict == Verdict::Failed).count();
        let _ = match failed {
            0 => writeln!(answer, "\nnothing failed"),
            1 => writeln!(answer, "\n1 check failed"),
            more => writeln!(answer, "\n{more} checks failed"),
        };
        Outcome { answer, note, code: if failed > 0 { FAILED } else { 0 } }
    }
}

/// Checks.
///
/// # Errors
/// When the settings cannot be read, or there is no server where `--server` says.
pub async fn run(flags: Flags) -> Result<Outcome> {
    let mut report = Report::default();
    if let Some(target) = &flags.sip {
        let secret = |name: &str| std::env::var(name).ok();
        let account = secret("SIP_USERNAME").zip(secret("SIP_PASSWORD"));
        let account = account.map(|(username, password)| Account { username, password: password.into() });
        match interline_voice::trial::call(target, account).await {
            Ok(seen) => report.ok(seen),
            Err(seen) if Path::new(target).is_file() => {
                report.failed(format!("{seen}. To check the file: interline check --app {target}"));
            }
            Err(seen) => report.failed(seen),
        }
        return Ok(report.end(String::new(), String::new()));
    }
    if let Some(server) = &flags.server {
        let server = crate::remote::Remote::new(server, &flags.key)?;
        remote::check(&server, &mut report).await?;
        return Ok(report.end(String::new(), server.remark().unwrap_or_default()));
    }
    let (settings, layers) = flags.settings.load_with_layers()?;
    let shown = effective::shown(&settings, &layers)?;
    place::check(&settings, &mut report).await;
    apps::check(&settings, &mut report).await;
    Ok(report.end(format!("{shown}\n"), String::new()))
}
