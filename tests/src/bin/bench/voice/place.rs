//! The gateway and the bare stack, each on its core, and what can be seen of them from outside.

use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use interline_tests::App;
use interline_tests::http::Http;
use interline_tests::scratch::Scratch;
use interline_tests::server::{Profile, Server, Setup, free_port, pinned, workspace};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Child;

use super::load::Target;
use super::{GATEWAY, GENERATOR};

/// The app's id in the example.
const BOT: &str = "st-4ad1ae47-95ab-5b29-8d8b-ad1b6b1b7e60";
/// The stack keeps what is over for about a minute.
const GIVEN_BACK: Duration = Duration::from_secs(90);

/// The release build with `examples/voice/app.yaml`.
pub struct Gateway {
    pub server: Server,
    pub sip: u16,
    pub agent: u16,
    pub probe: u16,
    _scratch: Scratch,
}

impl Gateway {
    /// Starts it.
    ///
    /// # Errors
    /// It does not get ready.
    pub async fn start() -> Result<Self> {
        let scratch = Scratch::new("bench-voice")?;
        let app = App { bot: BOT.into(), ..App::fresh() };
        let (sip, agent, probe) = (free_port()?, free_port()?, free_port()?);
        let mut setup = Setup::new(&scratch.path().join("data"), &app, "http://127.0.0.1:9");
        setup.profile = Profile::Release;
        setup.app_file = workspace().join("examples/voice/app.yaml");
        setup.core = Some(GATEWAY);
        setup.flags = vec!["--log".into(), "warn".into()];
        setup.variables = vec![
            ("SIP_LISTEN".into(), format!("127.0.0.1:{sip}")),
            ("AGENT_URI".into(), format!("sip:agent@127.0.0.1:{agent}")),
            ("PROBE_URI".into(), format!("sip:probe@127.0.0.1:{probe}")),
            ("REFER_TO".into(), format!("sip:desk@127.0.0.1:{agent}")),
        ];
        let server = setup.start().await?;
        Ok(Self { server, sip, agent, probe, _scratch: scratch })
    }

    pub fn target(&self) -> Target {
        Target { pid: self.server.pid(), sip: self.sip, agent: self.agent }
    }

    /// What it holds of this kind: `calls`, `dialogs`, `ports`, …
    ///
    /// # Errors
    /// It does not say.
    pub async fn holds(&self, what: &str) -> Result<f64> {
        let metrics = Http::new(self.server.address()).get("/metrics", &[]).await?.text();
        let name = format!("\"{what}\"");
        let line = metrics
            .lines()
            .find(|line| line.starts_with("interline_channel_holds{") && line.contains(&name))
            .with_context(|| format!("no gauge of {what}"))?;
        Ok(line.rsplit_once(' ').context("no value")?.1.parse()?)
    }

    /// Waits until no call is left.
    ///
    /// # Errors
    /// Some are.
    pub async fn empty(&self) -> Result<()> {
        let began = Instant::now();
        while self.holds("dialogs").await? + self.holds("ports").await? > 0.0 {
            ensure!(began.elapsed() < GIVEN_BACK, "calls are left behind");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        Ok(())
    }

    /// Stops it.
    ///
    /// # Errors
    /// It panicked, or does not stop.
    pub async fn stop(mut self) -> Result<()> {
        ensure!(self.server.logged("panicked") == 0, "the server panicked: {}", self.server.log_end());
        self.server.terminate(Duration::from_secs(60)).await?;
        Ok(())
    }
}

/// The stack alone (`bench bare-sip`).
pub struct Bare {
    _child: Child,
    target: Target,
    pub probe: u16,
}

impl Bare {
    /// Starts it. Its agent is at `agent`.
    ///
    /// # Errors
    /// It does not start.
    pub async fn start() -> Result<Self> {
        let (sip, agent) = (free_port()?, free_port()?);
        let mut command = pinned(GATEWAY, std::env::current_exe()?);
        command.arg("bare-sip").arg(format!("127.0.0.1:{sip}")).arg(format!("sip:agent@127.0.0.1:{agent}"));
        let mut child = command.stdout(Stdio::piped()).kill_on_drop(true).spawn()?;
        let mut lines = BufReader::new(child.stdout.take().context("no output")?).lines();
        ensure!(lines.next_line().await?.as_deref() == Some("ready"), "the bare stack does not start");
        // What it says of calls that went wrong shows in the counts.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        let target = Target { pid: child.id().context("it ended")?, sip, agent };
        Ok(Self { _child: child, target, probe: agent })
    }

    pub fn target(&self) -> Target {
        self.target
    }
}

/// This process and all that it starts from now on are on the generator's core.
///
/// # Errors
/// There is no `taskset`.
pub async fn be_the_generator() -> Result<()> {
    let status = tokio::process::Command::new("taskset")
        .args(["-a", "-cp", &GENERATOR.to_string(), &std::process::id().to_string()])
        .stdout(Stdio::null())
        .status()
        .await
        .context("taskset")?;
    ensure!(status.success(), "there is no core for the generator");
    Ok(())
}
