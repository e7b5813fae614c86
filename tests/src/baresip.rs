//! A softphone: baresip (Debian `baresip-core`), told what to do by its control socket (`ctrl_tcp`), and heard by its
//! recording (`sndfile`). Nothing here waits for a time: it waits for what the telephone tells.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep, timeout_at};

use crate::scratch::Scratch;
use crate::server::free_port;

/// What takes longer hangs.
const LONGEST: Duration = Duration::from_secs(60);

/// How a telephone is set up.
#[derive(Debug, Clone, Default)]
pub struct Line {
    /// Its user.
    pub user: String,
    /// What it plays, without end: WAV.
    pub plays: PathBuf,
    /// It answers by itself.
    pub answers: bool,
    /// Sound is encrypted, or there is no call (SDES).
    pub srtp: bool,
    /// TLS: its certificate and key in one PEM file, and whom it trusts.
    pub tls: Option<(PathBuf, PathBuf)>,
}

/// A telephone that runs.
#[derive(Debug)]
pub struct Phone {
    /// Where it is called.
    pub port: u16,
    control: TcpStream,
    read: Vec<u8>,
    child: Child,
    folder: Scratch,
}

impl Phone {
    /// Switches it on.
    ///
    /// # Errors
    /// When baresip is not there, or does not start.
    pub async fn start(line: &Line) -> Result<Self> {
        let folder = Scratch::new("baresip")?;
        let (listen, control) = (pair()?, free_port()?);
        let port = if line.tls.is_some() { listen + 1 } else { listen };
        let transport = if line.tls.is_some() { "tls" } else { "udp" };
        let mut config = format!(
            "module_path {}\nmodule g711.so\nmodule aufile.so\nmodule sndfile.so\nmodule srtp.so\n\
             module_tmp account.so\nmodule_app menu.so\nmodule ctrl_tcp.so\n\
             ctrl_tcp_listen 127.0.0.1:{control}\nsip_listen 127.0.0.1:{listen}\n\
             audio_source aufile,{}\nsnd_path {}\ncall_max_calls 4\n",
            modules()?.display(),
            line.plays.display(),
            folder.path().display(),
        );
        if let Some((certificate, authority)) = &line.tls {
            let lines = [("sip_certificate", certificate), ("sip_cafile", authority)];
            config.extend(lines.map(|(name, path)| format!("{name} {}\n", path.display())));
        }
        std::fs::write(folder.path().join("config"), config)?;
        let mut account = format!("<sip:{}@127.0.0.1:{port};transport={transport}>;regint=0", line.user);
        account.push_str(if line.srtp { ";mediaenc=srtp-mand" } else { "" });
        account.push_str(if line.answers { ";answermode=auto\n" } else { "\n" });
        std::fs::write(folder.path().join("accounts"), account)?;
        let child = Command::new("baresip")
            .arg("-f")
            .arg(folder.path())
            .arg("-4")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .context("baresip: is baresip-core installed?")?;
        let until = Instant::now() + LONGEST;
        let control = loop {
            match TcpStream::connect((Ipv4Addr::LOCALHOST, control)).await {
                Ok(control) => break control,
                Err(error) if Instant::now() > until => return Err(error).context("baresip does not start"),
                Err(_) => sleep(Duration::from_millis(20)).await,
            }
        };
        Ok(Self { port, control, read: Vec::new(), child, folder })
    }

    /// Calls somebody.
    ///
    /// # Errors
    /// When baresip is gone.
    pub async fn dial(&mut self, uri: &str) -> Result<()> {
        self.does("dial", uri).await
    }

    /// Presses a key.
    ///
    /// # Errors
    /// When baresip is gone.
    pub async fn press(&mut self, key: char) -> Result<()> {
        self.does("sndcode", &key.to_string()).await
    }

    /// Asks whom it talks to to call somebody else.
    ///
    /// # Errors
    /// When baresip is gone.
    pub async fn transfer(&mut self, uri: &str) -> Result<()> {
        self.does("transfer", uri).await
    }

    /// Hangs up.
    ///
    /// # Errors
    /// When baresip is gone.
    pub async fn hang_up(&mut self) -> Result<()> {
        self.does("hangup", "").await
    }

    /// Waits until it tells this: `CALL_ESTABLISHED`, `CALL_RTPESTAB`, `CALL_MENC`, `CALL_CLOSED`, …
    ///
    /// # Errors
    /// When it does not, in a minute.
    pub async fn tells(&mut self, event: &str) -> Result<Value> {
        let until = Instant::now() + LONGEST;
        let mut told = Vec::new();
        loop {
            while let Some(message) = self.next() {
                if message["type"] == event {
                    return Ok(message);
                }
                told.push(message["type"].to_string());
            }
            let mut bytes = [0; 4096];
            let Ok(length) = timeout_at(until, self.control.read(&mut bytes)).await else {
                bail!("baresip does not tell {event}: {told:?}");
            };
            match length? {
                0 => bail!("baresip is gone before {event}: {told:?}"),
                length => self.read.extend_from_slice(&bytes[..length]),
            }
        }
    }

    /// Waits until so many milliseconds more were heard.
    ///
    /// # Errors
    /// When they were not, in a minute.
    pub async fn listens(&self, ms: u64) -> Result<()> {
        let until = Instant::now() + LONGEST;
        let length = || self.recording().and_then(|path| Ok(std::fs::metadata(path)?.len())).unwrap_or(0);
        // 8 kHz, 16 bits.
        let wanted = length() + ms * 16;
        while length() < wanted {
            if Instant::now() > until {
                bail!("baresip hears nothing");
            }
            sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }

    /// Switches it off: what it heard, as WAV.
    ///
    /// # Errors
    /// When it heard nothing, or does not end.
    pub async fn heard(mut self) -> Result<Vec<u8>> {
        self.does("quit", "").await?;
        timeout_at(Instant::now() + LONGEST, self.child.wait()).await.context("baresip does not end")??;
        Ok(std::fs::read(self.recording()?)?)
    }

    fn recording(&self) -> Result<PathBuf> {
        let files = std::fs::read_dir(self.folder.path())?;
        let mut names = files.filter_map(|file| Some(file.ok()?.path()));
        names.find(|path| path.to_string_lossy().ends_with("-dec.wav")).context("nothing was heard")
    }

    async fn does(&mut self, command: &str, parameters: &str) -> Result<()> {
        let told = json!({ "command": command, "params": parameters }).to_string();
        // A netstring.
        self.control.write_all(format!("{}:{told},", told.len()).as_bytes()).await?;
        Ok(())
    }

    fn next(&mut self) -> Option<Value> {
        let colon = self.read.iter().position(|byte| *byte == b':')?;
        let length: usize = std::str::from_utf8(&self.read[..colon]).ok()?.parse().ok()?;
        if self.read.len() < colon + length + 2 {
            return None;
        }
        let rest = self.read.split_off(colon + length + 2);
        let message = std::mem::replace(&mut self.read, rest);
        serde_json::from_slice(&message[colon + 1..=colon + length]).ok()
    }
}

/// A free port of which the next one is free as well: baresip's TLS is there.
fn pair() -> Result<u16> {
    for _ in 0..100 {
        let port = free_port()?;
        if port < u16::MAX && std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, port + 1)).is_ok() {
            return Ok(port);
        }
    }
    bail!("no two ports in a row are free");
}

fn modules() -> Result<PathBuf> {
    let known = [
        "/usr/lib/baresip/modules",
        "/usr/lib/x86_64-linux-gnu/baresip/modules",
        "/usr/local/lib/baresip/modules",
    ];
    let found = known.into_iter().map(Path::new).find(|path| path.is_dir());
    found.map(Path::to_path_buf).context("baresip's modules are nowhere: is baresip-core installed?")
}
