//! A virus scanner: clamd, spoken to by its own protocol (INSTREAM).
//!
//! Source: clamd(8), "COMMANDS".

use std::path::{Path, PathBuf};
use std::time::Duration;

use clamav_client::tokio as clamd;

/// A scan of the largest file takes seconds. A scanner that takes longer is down.
const DEADLINE: Duration = Duration::from_secs(60);

/// A clamd. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Scanner {
    address: Address,
}

#[derive(Debug, Clone)]
enum Address {
    Tcp(String),
    Unix(PathBuf),
}

/// What a scanner says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It finds nothing.
    Clean,
    /// It finds this.
    Found(String),
}

/// The scanner did not say.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the scanner does not answer: {0}")]
pub struct Down(pub String);

impl Scanner {
    /// A clamd at `tcp://host:port` or `unix:///path`.
    ///
    /// # Errors
    /// It is no such address.
    pub fn new(address: &str) -> Result<Self, String> {
        let tcp = address.strip_prefix("tcp://").map(|at| at.trim_end_matches('/'));
        let tcp = tcp.filter(|at| {
            at.rsplit_once(':').is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok())
        });
        let unix = address.strip_prefix("unix://").filter(|path| path.starts_with('/'));
        let address = match (tcp, unix) {
            (Some(at), _) => Address::Tcp(at.to_owned()),
            (None, Some(path)) => Address::Unix(path.into()),
            (None, None) => return Err(format!("`{address}` is neither tcp://host:port nor unix:///path")),
        };
        Ok(Self { address })
    }

    /// Whether the file at `path` holds something.
    ///
    /// # Errors
    /// The scanner did not say.
    pub async fn scan(&self, path: &Path) -> Result<Verdict, Down> {
        let scan = async {
            match &self.address {
                Address::Tcp(at) => {
                    clamd::scan_file(path, clamd::Tcp { host_address: at.as_str() }, None).await
                }
                Address::Unix(socket) => {
                    clamd::scan_file(path, clamd::Socket { socket_path: socket }, None).await
                }
            }
        };
        let answer = within(scan).await?;
        verdict(&answer)
    }

    /// Whether it is there.
    ///
    /// # Errors
    /// It is not.
    pub async fn ping(&self) -> Result<(), Down> {
        let ping = async {
            match &self.address {
                Address::Tcp(at) => clamd::ping(clamd::Tcp { host_address: at.as_str() }).await,
                Address::Unix(socket) => clamd::ping(clamd::Socket { socket_path: socket }).await,
            }
        };
        within(ping).await.map(drop)
    }
}

async fn within(call: impl Future<Output = std::io::Result<Vec<u8>>>) -> Result<Vec<u8>, Down> {
    match tokio::time::timeout(DEADLINE, call).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) => Err(Down(error.to_string())),
        Err(_) => Err(Down("no answer in time".to_owned())),
    }
}

/// `stream: OK`, `stream: NAME FOUND`; anything else (a limit of its own, an error) is no verdict.
fn verdict(answer: &[u8]) -> Result<Verdict, Down> {
    let answer = String::from_utf8_lossy(answer);
    let answer = answer.trim_matches(['\0', '\n', '\r', ' ']);
    let said = answer.strip_prefix("stream: ").unwrap_or(answer);
    match said.strip_suffix(" FOUND") {
        Some(found) => Ok(Verdict::Found(found.chars().take(100).collect())),
        None if said == "OK" => Ok(Verdict::Clean),
        None => Err(Down(said.chars().take(200).collect())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_ok_is_clean() {
        assert_eq!(verdict(b"stream: OK\0"), Ok(Verdict::Clean));
        assert_eq!(
            verdict(b"stream: Eicar-Test-Signature FOUND\0"),
            Ok(Verdict::Found("Eicar-Test-Signature".into()))
        );
        assert!(verdict(b"INSTREAM size limit exceeded. ERROR\0").is_err());
        assert!(verdict(b"").is_err());
    }

    #[test]
    fn an_address_says_how_to_get_there() {
        assert!(
            Scanner::new("tcp://127.0.0.1:3310").is_ok() && Scanner::new("unix:///run/clamd.ctl").is_ok()
        );
        for wrong in ["127.0.0.1:3310", "tcp://127.0.0.1", "unix://run", "http://x", ""] {
            assert!(Scanner::new(wrong).is_err(), "{wrong}");
        }
    }
}
