//! espeak-ng as a process: it is under the GPL, so it is run, not linked. The text goes to its standard input: no shell
//! and no argument ever sees it.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, Command};

use super::LARGEST;
use super::voice::is_markup;

/// It speaks about a hundred times as fast as anybody talks.
const DEADLINE: Duration = Duration::from_secs(30);

/// The program and how it speaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Espeak {
    /// The program.
    pub program: PathBuf,
    /// The usual voice, as `espeak-ng --voices` lists them.
    pub voice: String,
    /// Words a minute.
    pub speed: u32,
}

impl Default for Espeak {
    fn default() -> Self {
        Self { program: "espeak-ng".into(), voice: "en-us".to_owned(), speed: 160 }
    }
}

impl Espeak {
    pub(super) fn id(&self, name: Option<&str>) -> String {
        format!("espeak {} {}", name.unwrap_or(&self.voice), self.speed)
    }

    pub(super) async fn speak(&self, text: &str, name: Option<&str>) -> Result<Bytes, String> {
        let voice = name.unwrap_or(&self.voice);
        let known = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_' | '+');
        if voice.is_empty() || voice.len() > 40 || voice.starts_with('-') || !voice.chars().all(known) {
            return Err("there is no voice of that name".to_owned());
        }
        let mut command = Command::new(&self.program);
        command.args(["-v", voice, "-s", &self.speed.to_string(), "--stdin", "--stdout"]);
        if is_markup(text) {
            command.arg("-m");
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true);
        let child =
            command.spawn().map_err(|error| format!("the program cannot be started: {}", error.kind()))?;
        match tokio::time::timeout(DEADLINE, said(child, text.as_bytes().to_vec())).await {
            Ok(said) => said.map_err(|error| format!("the program failed: {}", error.kind())),
            Err(_) => Err("the program takes too long".to_owned()),
        }
    }
}

async fn said(mut child: Child, text: Vec<u8>) -> std::io::Result<Bytes> {
    let broken = || std::io::Error::from(std::io::ErrorKind::BrokenPipe);
    let mut into = child.stdin.take().ok_or_else(broken)?;
    let out = child.stdout.take().ok_or_else(broken)?;
    let tell = async move {
        into.write_all(&text).await?;
        // Its standard input ends here.
        into.shutdown().await
    };
    let mut sound = Vec::new();
    let mut out = out.take(LARGEST as u64 + 1);
    let (told, heard) = tokio::join!(tell, out.read_to_end(&mut sound));
    told.and(heard)?;
    if sound.len() > LARGEST || !child.wait().await?.success() {
        return Err(std::io::ErrorKind::InvalidData.into());
    }
    Ok(sound.into())
}
