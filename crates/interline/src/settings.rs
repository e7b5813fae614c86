//! Settings of a node: defaults, then a TOML file, then `INTERLINE_*`, then flags. A key that nobody knows is refused by
//! its name, so that a typo does not go unnoticed.

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::{Context, Result, anyhow};
use clap::{Args, ValueEnum};
use figment::Figment;
use figment::providers::{Env, Format, Serialized, Toml};
use serde::{Deserialize, Serialize};
use url::Url;

/// Flags of `serve` and `migrate`. Each is also a key of the settings file and an `INTERLINE_…` variable.
#[derive(Debug, Clone, Default, Args, Serialize)]
pub struct Flags {
    /// A TOML file with settings; its keys are the names of these flags with `_`.
    #[arg(long, value_name = "FILE")]
    #[serde(skip)]
    pub config: Option<PathBuf>,
    /// The address to listen on [default: 127.0.0.1:8080].
    #[arg(long, value_name = "ADDR:PORT")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub listen: Option<SocketAddr>,
    /// The directory for the embedded database and the keys [default: ./data].
    #[arg(long, value_name = "DIR")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<PathBuf>,
    /// `postgres://…` instead of the embedded database in the data directory.
    #[arg(long, value_name = "URL")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub database: Option<String>,
    /// Where the outside reaches this server; no path [default: http://LISTEN].
    #[arg(long, value_name = "URL")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub public_url: Option<Url>,
    /// A YAML file with an app; may be given several times.
    #[arg(long, value_name = "FILE")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub app: Vec<PathBuf>,
    /// A host:port that connectors may reach although its address is private; may be given several times.
    #[arg(long, value_name = "HOST:PORT")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub allow_net: Vec<String>,
    /// This node's name [default: node-1].
    #[arg(long, value_name = "NAME")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// What to log: `info`, or a filter such as `interline_engine=debug,info` [default: info].
    #[arg(long, value_name = "FILTER")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log: Option<String>,
    /// How to log [default: text at a terminal, json elsewhere].
    #[arg(long, value_name = "FORMAT")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log_format: Option<LogFormat>,
}

/// How to log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// For people.
    Text,
}

/// The settings in force.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// The address to listen on.
    pub listen: SocketAddr,
    /// The data directory.
    pub data: PathBuf,
    /// A PostgreSQL URL; none: the embedded database.
    pub database: Option<String>,
    /// Keys that seal what is secret at rest, newest first: `id:base64,…`; none: a file in the data directory.
    pub keys: Option<String>,
    /// Where the outside reaches us.
    pub public_url: Option<Url>,
    /// The app files.
    pub app: Vec<PathBuf>,
    /// Allowed private addresses.
    pub allow_net: Vec<String>,
    /// The node's name.
    pub node: String,
    /// The log filter.
    pub log: String,
    /// The log format.
    pub log_format: Option<LogFormat>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            data: PathBuf::from("data"),
            database: None,
            keys: None,
            public_url: None,
            app: Vec::new(),
            allow_net: Vec::new(),
            node: "node-1".into(),
            log: "info".into(),
            log_format: None,
        }
    }
}

impl Flags {
    /// Reads file and environment, and puts the flags on top.
    ///
    /// # Errors
    /// When a file is missing, or a key or value is wrong; the message names it.
    pub fn load(&self) -> Result<Settings> {
        let mut figment = Figment::new();
        if let Some(file) = &self.config {
            anyhow::ensure!(file.is_file(), "the settings file {} does not exist", file.display());
            figment = figment.merge(Toml::file_exact(file));
        }
        // `INTERLINE_TEST_…` belongs to our tests.
        let environment = Env::prefixed("INTERLINE_").filter(|key| !key.starts_with("test_"));
        let settings: Settings =
            figment.merge(environment).merge(Serialized::defaults(self)).extract().map_err(explain)?;
        settings.check()?;
        Ok(settings)
    }
}

/// Says which key is wrong, where it stands, and which there are.
fn explain(error: figment::Error) -> anyhow::Error {
    anyhow!("settings: {error}; the keys are those of `interline serve --help`, with `_` for `-`, and `keys`")
}

impl Settings {
    fn check(&self) -> Result<()> {
        if let Some(url) = &self.public_url {
            let plain = matches!(url.scheme(), "http" | "https") && matches!(url.path(), "" | "/");
            let bare = url.query().is_none() && url.fragment().is_none() && url.host_str().is_some();
            anyhow::ensure!(
                plain && bare,
                "public_url must be http(s)://host[:port] without a path: a BotKit counts the segments of our URLs"
            );
        }
        Ok(())
    }

    /// The database's URL: what is set, or the embedded one in the data directory.
    ///
    /// # Errors
    /// When the data directory cannot be named.
    pub fn database_url(&self) -> Result<String> {
        if let Some(url) = &self.database {
            return Ok(url.clone());
        }
        let directory = std::path::absolute(&self.data).context("the data directory")?;
        Ok(format!("sqlite://{}", directory.join("interline.db").display()))
    }
}
