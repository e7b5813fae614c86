//! A server without `--app`, and commands that talk to it.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use interline_tests::http::{Answer, Http};
use interline_tests::scratch::Scratch;
use interline_tests::server::{self, Profile};
use serde_json::{Value, json};
use tokio::process::Child;

/// Nothing here takes longer.
pub const SOON: Duration = Duration::from_secs(30);
/// Nobody listens there.
pub const NOBODY: &str = "127.0.0.1:9";

/// What a command said.
#[derive(Debug)]
pub struct Said {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Said {
    /// Its answer, if it ended well.
    #[track_caller]
    pub fn well(self) -> String {
        assert_eq!(self.code, 0, "{self:?}");
        self.out
    }

    /// What it complained about.
    #[track_caller]
    pub fn badly(self) -> String {
        assert_eq!(self.code, 1, "{self:?}");
        assert!(!self.err.contains("panicked"), "{self:?}");
        self.err
    }
}

/// Runs `interline` to its end. Variables: an app's usual ones, and `more`.
pub async fn interline(args: &[&str], more: &[(&str, &str)]) -> Said {
    let mut command = server::command(Profile::Debug);
    command.args(args).envs(more.iter().copied()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().unwrap();
    let output =
        tokio::time::timeout(SOON, child.wait_with_output()).await.expect("it does not end").unwrap();
    Said {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

/// A server that serves its store.
pub struct Node {
    pub data: PathBuf,
    pub address: SocketAddr,
    /// A server-wide admin key.
    pub key: String,
    database: Option<String>,
    child: Option<Child>,
    /// The keys that seal; none: the file.
    pub keys: Option<String>,
}

impl Node {
    /// Starts one in a directory of its own below `scratch`, with a key that was made before it.
    pub async fn start(scratch: &Scratch, name: &str, database: Option<&str>) -> Self {
        Self::start_with(scratch, name, database, None).await
    }

    /// [`Node::start`] with keys from a variable.
    pub async fn start_with(
        scratch: &Scratch,
        name: &str,
        database: Option<&str>,
        keys: Option<&str>,
    ) -> Self {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, server::free_port().unwrap()));
        let mut node = Self {
            data: scratch.path().join(name),
            address,
            key: String::new(),
            database: database.map(str::to_owned),
            child: None,
            keys: keys.map(str::to_owned),
        };
        let made = node.command(&["key", "create", "--role", "admin"]).await;
        assert!(!made.err.contains(made.out.trim()), "the token is told twice: {made:?}");
        node.key = made.well().trim().to_owned();
        node.spawn().await;
        node
    }

    /// Starts the process and waits until it is ready.
    pub async fn spawn(&mut self) {
        let mut command = server::command(Profile::Debug);
        command.args(["serve", "--listen", &self.address.to_string(), "--allow-net", NOBODY]);
        command.arg("--data").arg(&self.data);
        if let Some(database) = &self.database {
            command.arg("--database").arg(database);
        }
        if let Some(keys) = &self.keys {
            command.env("INTERLINE_KEYS", keys);
        }
        let log = std::fs::OpenOptions::new().create(true).append(true).open(self.log()).unwrap();
        self.child = Some(command.stderr(log).spawn().unwrap());
        let begin = Instant::now();
        while !Http::new(self.address).get("/readyz", &[]).await.is_ok_and(|answer| answer.ok()) {
            let path = self.log();
            let log = || std::fs::read_to_string(&path).unwrap_or_default();
            assert!(self.child.as_mut().unwrap().try_wait().unwrap().is_none(), "it ended:\n{}", log());
            assert!(begin.elapsed() < SOON, "it is not ready:\n{}", log());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    fn log(&self) -> PathBuf {
        self.data.join("server.log")
    }

    /// Stops it.
    pub async fn stop(&mut self) {
        let mut child = self.child.take().unwrap();
        let id = child.id().unwrap().to_string();
        assert!(tokio::process::Command::new("kill").args(["-TERM", &id]).status().await.unwrap().success());
        assert!(tokio::time::timeout(SOON, child.wait()).await.expect("it does not stop").unwrap().success());
    }

    /// A command that opens its store.
    pub async fn command(&self, args: &[&str]) -> Said {
        let data = self.data.display().to_string();
        let mut all = args.to_vec();
        all.extend(["--data", &data]);
        if let Some(database) = &self.database {
            all.extend(["--database", database]);
        }
        let keys = self.keys.as_deref().map(|keys| ("INTERLINE_KEYS", keys));
        interline(&all, keys.as_slice()).await
    }

    /// A command that calls it, with its key.
    pub async fn remote(&self, args: &[&str]) -> Said {
        self.remote_as(&self.key, args, &[]).await
    }

    /// A command that calls it, with any key and variables.
    pub async fn remote_as(&self, key: &str, args: &[&str], more: &[(&str, &str)]) -> Said {
        let server = format!("http://{}", self.address);
        let mut all = args.to_vec();
        all.extend(["--server", &server]);
        interline(&all, &[&[("INTERLINE_KEY", key)], more].concat()).await
    }

    /// A call of its API.
    pub async fn call(&self, method: &str, path: &str, body: &Value) -> Answer {
        let key = format!("Bearer {}", self.key);
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let call =
            Http::new(self.address).call(method, path, &[("authorization", &key)], body.as_bytes()).await;
        call.unwrap()
    }

    /// Puts a document in force by the API itself.
    pub async fn put(&self, document: &Value) {
        let path = format!("/v1/apps/{}", id(document));
        let answer = self.call("PUT", &path, document).await;
        assert!(answer.ok(), "{}", answer.text());
    }

    /// The document in force, with its secrets.
    pub async fn document(&self, app: &str) -> Value {
        let answer = self.call("GET", &format!("/v1/apps/{app}/document?secrets=clear"), &Value::Null).await;
        assert!(answer.ok(), "{}", answer.text());
        answer.json()
    }

    /// The version in force.
    pub async fn version(&self, app: &str) -> i64 {
        self.call("GET", &format!("/v1/apps/{app}"), &Value::Null).await.json()["version"].as_i64().unwrap()
    }
}

/// The id of a document.
pub fn id(document: &Value) -> String {
    document["app"]["id"].as_str().unwrap().to_owned()
}

/// A small document of a new app.
pub fn small() -> Value {
    let app = interline_tests::App::fresh();
    json!({
        "app": { "id": app.bot, "name": "Support" },
        "credentials": { "main": {
            "client_id": app.client_id, "client_secret": app.secret, "algorithm": "HS256", "scopes": ["web", "botkit"] } },
        "channels": { "web": { "type": "web", "credentials": ["main"], "origins": ["*"] } },
        "agents": {
            "desk": { "type": "botkit", "url": format!("http://{NOBODY}"), "subscribe": ["transfers"] },
            "night": { "type": "botkit", "url": format!("http://{NOBODY}/night"), "subscribe": ["transfers"] },
        },
        "default_agent": "desk",
        "flow": { "start": "hello", "otherwise": "handover", "nodes": {
            "hello": { "message": { "text": "Hello" } },
            "handover": { "agent_transfer": { "fallback": [{ "integration": "night" }] } } } },
    })
}

/// Writes a file, and gives its path.
pub fn file(scratch: &Scratch, name: &str, text: &str) -> String {
    let path = scratch.path().join(name);
    std::fs::write(&path, text).unwrap();
    path.display().to_string()
}

/// Only its owner may read it.
pub fn private(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(path).unwrap().permissions().mode() & 0o077 == 0
}
