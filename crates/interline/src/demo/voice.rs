//! Calls in the demo: the example app, an agent who follows a script, and a caller who does. What both hear and say is written
//! as WAV, to listen to. A softphone may call as well.

use std::net::{SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use interline_media::Prompt;
use interline_voice::actors::{Agent, Does, caller};
use interline_voice::live;

use crate::app_file::AppFile;

const APP: &str = include_str!("../../../../examples/voice/app.yaml");

/// The telephones of a demo.
pub struct Phones {
    sip: SocketAddr,
    agent: SocketAddr,
    data: PathBuf,
}

impl Phones {
    /// Takes ports: `usual` for SIP if it is free, else any.
    ///
    /// # Errors
    /// None is.
    pub fn new(data: &Path, usual: u16) -> Result<Self> {
        let free = |port: u16| -> Option<SocketAddr> {
            let bound = UdpSocket::bind(("127.0.0.1", port)).ok()?.local_addr().ok()?;
            std::net::TcpListener::bind(bound).ok().map(|_| bound)
        };
        let sip = free(usual).or_else(|| free(0)).context("no port is free for SIP")?;
        let agent = free(0).context("no port is free for the agent")?;
        Ok(Self { sip, agent, data: data.join("voice") })
    }

    /// The example app, with these telephones.
    ///
    /// # Errors
    /// It is not what it should be.
    pub fn app(&self) -> Result<AppFile> {
        AppFile::parse("the demo's voice app", APP, |name| match name {
            "SIP_LISTEN" => Some(self.sip.to_string()),
            "AGENT_URI" | "PROBE_URI" | "REFER_TO" => Some(format!("sip:agent@{}", self.agent)),
            _ => None,
        })
    }

    /// What to call.
    pub fn uri(&self) -> String {
        format!("sip:menu@{}", self.sip)
    }

    /// Where the recordings are.
    pub fn folder(&self) -> &Path {
        &self.data
    }

    /// The agent waits, and once the caller calls: it hears the menu, presses 1, and talks to the agent.
    ///
    /// # Errors
    /// The call did not come about: why, and what was seen.
    pub async fn try_out(self) -> Result<()> {
        std::fs::create_dir_all(&self.data)?;
        let media = live::gateway().map_err(|error| anyhow!(error))?.media().clone();
        let says = |text: &str| Does::Says(vec![Prompt::Text { text: text.into(), voice: None }]);
        let waits = |ms: u64| Does::Waits(Duration::from_millis(ms));
        let desk = vec![waits(500), says("Hello, this is the agent. How can I help you?"), waits(3_000)];
        let recorded = |name: &str| Some(self.data.join(name));
        let agent = Agent::start(self.agent, media.clone(), desk, recorded("agent.wav"));
        let agent = agent.await.map_err(|error| anyhow!(error))?;
        // Whoever takes calls needs a moment to begin.
        let script = [
            Does::Listens(150),
            Does::Presses("1".into()),
            waits(5_000),
            says("I have a question about my bill."),
            waits(8_000),
        ];
        let drawn = caller(&self.uri(), &media, &script, recorded("caller.wav")).await;
        std::fs::write(self.data.join("call.txt"), drawn.as_ref().unwrap_or_else(|seen| seen))?;
        drawn.map_err(|seen| anyhow!(seen))?;
        // A softphone that calls finds the agent, too.
        std::future::pending::<()>().await;
        drop(agent);
        Ok(())
    }
}
