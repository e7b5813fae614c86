//! The REST API of a running server, as commands call it.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use clap::Args;
use interline_engine::config::Invalid;
use reqwest::{Client, Method, StatusCode};
use serde::Deserialize;
use serde_json::Value;
use url::{Host, Url};

use crate::yaml::quoted;

/// A server that cannot be connected to within this time is not there.
const CONNECT: Duration = Duration::from_secs(5);
/// An answer takes so long at most; the server gives up after 30 seconds.
const ANSWER: Duration = Duration::from_secs(45);

/// Where the server is, and who calls.
#[derive(Debug, Clone, Args)]
#[group(skip)]
pub struct Flags {
    /// The running server.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8080")]
    pub server: Url,
    #[command(flatten)]
    pub key: KeyFlags,
}

/// Who calls.
#[derive(Debug, Clone, Args)]
#[group(skip)]
pub struct KeyFlags {
    /// A key of the API (`interline key create`). On the command line others on this machine can read it.
    #[arg(long, value_name = "TOKEN", env = "INTERLINE_KEY", hide_env_values = true)]
    pub key: Option<String>,
    /// A file that holds the key; it comes before --key.
    #[arg(long, value_name = "FILE")]
    pub key_file: Option<PathBuf>,
}

impl KeyFlags {
    fn read(&self) -> Result<String> {
        let token = match (&self.key_file, &self.key) {
            (Some(file), _) => std::fs::read_to_string(file)
                .with_context(|| format!("cannot read the key file {}", file.display()))?,
            (None, Some(key)) => key.clone(),
            (None, None) => bail!(
                "a key is needed: set INTERLINE_KEY, or give --key-file FILE; `interline key create` makes one"
            ),
        };
        let token = token.trim();
        // The text itself is not shown: it may be a secret of something else.
        anyhow::ensure!(
            token.starts_with("ilk_") && !token.contains(char::is_whitespace),
            "this is no key: it begins with ilk_"
        );
        Ok(token.to_owned())
    }
}

/// An error as the server tells it (RFC 9457).
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Problem {
    /// What happened, and what to do.
    pub detail: String,
    /// A stable word for the case.
    pub code: String,
    /// Every fault of what was sent.
    pub errors: Vec<Fault>,
}

/// A fault in what was sent.
#[derive(Debug, Deserialize)]
pub struct Fault {
    path: String,
    message: String,
}

impl Problem {
    /// The faults, each with its path.
    pub fn faults(&self) -> Vec<Invalid> {
        self.errors
            .iter()
            .map(|fault| Invalid::at(printable(&fault.path), printable(&fault.message)))
            .collect()
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", printable(&self.detail))?;
        if !self.code.is_empty() {
            write!(f, " ({})", printable(&self.code))?;
        }
        self.faults().iter().try_for_each(|fault| write!(f, "\n  {fault}"))
    }
}

impl std::error::Error for Problem {}

/// A server to talk to.
pub struct Remote {
    server: Url,
    key: String,
    client: Client,
}

impl Remote {
    /// Nothing is sent yet.
    ///
    /// # Errors
    /// When there is no key, or the URL is none of a server.
    pub fn new(server: &Url, key: &KeyFlags) -> Result<Self> {
        let plain = matches!(server.scheme(), "http" | "https") && server.host().is_some();
        let bare = server.username().is_empty() && server.password().is_none() && server.query().is_none();
        anyhow::ensure!(plain && bare, "--server must be http(s)://host[:port]");
        let mut client = Client::builder()
            .connect_timeout(CONNECT)
            .timeout(ANSWER)
            // The key goes to this server and nowhere else.
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("interline/", env!("CARGO_PKG_VERSION")));
        if is_loopback(server) {
            client = client.no_proxy();
        }
        let client = client.build().context("cannot set up TLS")?;
        Ok(Self { server: server.clone(), key: key.read()?, client })
    }

    /// A remark for whoever sends a key where others can read it.
    pub fn remark(&self) -> Option<String> {
        let open = self.server.scheme() == "http" && !is_loopback(&self.server);
        open.then(|| {
            format!("note: the key and what it shows go to {} in the clear; use https\n", self.server)
        })
    }

    /// Calls `/v1/{path}`; each part of the path is taken as it is. The answer's JSON.
    ///
    /// # Errors
    /// A [`Problem`] of the server, or what stood in the way of an answer.
    pub async fn call(
        &self,
        method: Method,
        path: &[&str],
        query: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Result<Value> {
        let mut url = self.server.clone();
        url.path_segments_mut()
            .map_err(|()| anyhow!("--server has no path"))?
            .pop_if_empty()
            .push("v1")
            .extend(path);
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let mut request = self.client.request(method, url).bearer_auth(&self.key);
        if let Some(body) = body {
            request = request.json(body);
        }
        let answer = request.send().await.map_err(|error| self.unanswered(&error))?;
        let status = answer.status();
        let bytes = answer.bytes().await.map_err(|error| self.unanswered(&error))?;
        if status.is_success() {
            if bytes.is_empty() {
                return Ok(Value::Null);
            }
            return serde_json::from_slice(&bytes).map_err(|_| self.stranger(status));
        }
        // Whatever else answers there says something else.
        match serde_json::from_slice::<Problem>(&bytes) {
            Ok(problem) if !problem.code.is_empty() => Err(anyhow::Error::new(problem)),
            _ => Err(self.stranger(status)),
        }
    }

    fn unanswered(&self, error: &reqwest::Error) -> anyhow::Error {
        let server = self.server.as_str().trim_end_matches('/');
        if error.is_connect() {
            return anyhow!(
                "no interline server at {server}: start one or pass --server ({})",
                deepest(error)
            );
        }
        if error.is_timeout() {
            return anyhow!("{server} does not answer in time; what was asked for may still be done");
        }
        anyhow!(
            "{server} did not answer to the end ({}); what was asked for may have been done",
            deepest(error)
        )
    }

    fn stranger(&self, status: StatusCode) -> anyhow::Error {
        anyhow!(
            "{} answers HTTP {} but not as an interline server of this version does: check --server",
            self.server.as_str().trim_end_matches('/'),
            status.as_u16()
        )
    }
}

/// Writes a secret, so that only its owner can read it.
///
/// # Errors
/// When the file cannot be written.
pub fn write_private(path: &Path, content: &str) -> Result<()> {
    use std::io::Write as _;
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let written = options.open(path).and_then(|mut file| {
        // One that was there keeps its permissions otherwise.
        #[cfg(unix)]
        file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
        file.write_all(content.as_bytes())
    });
    written.with_context(|| format!("cannot write {}", path.display()))
}

/// Whether a URL leads to this machine.
pub fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        None => false,
    }
}

/// A server's words at a terminal: nothing in them moves the cursor.
pub fn printable(text: &str) -> String {
    let odd = |c: char| c != '\n' && quoted(c.encode_utf8(&mut [0; 4])).contains("\\u");
    text.chars().filter(|c| !odd(*c) && *c != '\r').collect()
}

fn deepest(error: &reqwest::Error) -> String {
    let mut words = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(inner) = source {
        words = inner.to_string();
        source = inner.source();
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flags(key: &str) -> KeyFlags {
        KeyFlags { key: Some(key.into()), key_file: None }
    }

    #[test]
    fn a_key_is_needed_and_is_not_shown() {
        let url: Url = "http://127.0.0.1:1".parse().expect("url");
        let none = KeyFlags { key: None, key_file: None };
        assert!(Remote::new(&url, &none).err().expect("no key").to_string().contains("INTERLINE_KEY"));
        let wrong = Remote::new(&url, &flags("pa55word")).err().expect("no key").to_string();
        assert!(wrong.contains("ilk_") && !wrong.contains("pa55word"), "{wrong}");
        assert!(Remote::new(&url, &flags("ilk_a_b\n")).is_ok());
        for odd in ["ftp://127.0.0.1/", "http://me:pw@127.0.0.1/", "http://127.0.0.1/?a=b"] {
            assert!(Remote::new(&odd.parse().expect("url"), &flags("ilk_a_b")).is_err(), "{odd}");
        }
    }

    #[test]
    fn plain_http_to_elsewhere_is_remarked() {
        for (url, remarked) in [
            ("http://127.0.0.1:8080", false),
            ("http://localhost", false),
            ("https://interline.example.com", false),
            ("http://10.0.0.1", true),
        ] {
            let remote = Remote::new(&url.parse().expect("url"), &flags("ilk_a_b")).expect("remote");
            assert_eq!(remote.remark().is_some(), remarked, "{url}");
        }
    }

    #[test]
    fn words_of_a_server_do_not_move_the_cursor() {
        let problem: Problem = serde_json::from_str(
            r#"{ "detail": "a\u001b[2J\u202eb", "code": "invalid", "errors": [{ "path": "app.id", "message": "is\rno" }] }"#,
        )
        .expect("a problem");
        assert_eq!(problem.to_string(), "a[2Jb (invalid)\n  app.id: isno");
    }

    #[tokio::test]
    async fn nobody_there_says_what_to_do() {
        let remote =
            Remote::new(&"http://127.0.0.1:9".parse().expect("url"), &flags("ilk_a_b")).expect("remote");
        let error = remote.call(Method::GET, &["apps"], &[], None).await.expect_err("nobody").to_string();
        assert!(
            error.starts_with("no interline server at http://127.0.0.1:9: start one or pass --server"),
            "{error}"
        );
    }
}
