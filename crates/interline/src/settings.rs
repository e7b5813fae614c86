//! Settings of a node: defaults, then a TOML file, then `INTERLINE_*`, then flags. A key that nobody knows is refused by
//! its name, so that a typo does not go unnoticed.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use anyhow::{Context, Result, anyhow};
use clap::{Args, ValueEnum};
use figment::Figment;
use figment::providers::{Env, Format, Serialized, Toml};
use interline_engine::config::KEPT;
use secrecy::SecretString;
use serde::{Deserialize, Serialize, Serializer};
use url::Url;

/// The variable with the key of the API.
pub const API_KEY: &str = "INTERLINE_KEY";
/// As a setting it would be called so.
const API_KEY_SETTING: &str = "key";

/// Flags of every command that opens the store. Each is also a key of the settings file and an `INTERLINE_…` variable;
/// the keys that seal what is secret are settings only (`keys`).
#[derive(Debug, Clone, Default, Args, Serialize)]
#[group(skip)]
pub struct StoreFlags {
    /// A TOML file with settings; its keys are the names of the flags of `serve` with `_`.
    #[arg(long, value_name = "FILE")]
    #[serde(skip)]
    pub config: Option<PathBuf>,
    /// The directory for the embedded database and the keys [default: ./data].
    #[arg(long, value_name = "DIR")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<PathBuf>,
    /// `postgres://…` instead of the embedded database in the data directory.
    #[arg(long, value_name = "URL")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub database: Option<String>,
}

/// Flags of `serve`.
#[derive(Debug, Clone, Default, Args, Serialize)]
#[group(skip)]
pub struct Flags {
    #[command(flatten)]
    #[serde(flatten)]
    pub store: StoreFlags,
    /// The address to listen on [default: 127.0.0.1:8080].
    #[arg(long, value_name = "ADDR:PORT")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub listen: Option<SocketAddr>,
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
    /// A virus scanner for files, `tcp://host:port` or `unix:///path` of a clamd [default: none].
    #[arg(long, value_name = "ADDRESS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clamd: Option<String>,
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
    /// An OpenTelemetry collector that takes traces by OTLP over HTTP, such as `http://127.0.0.1:4318` [default: no traces].
    #[arg(long, value_name = "URL")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub otlp: Option<Url>,
    /// Of so many traces that begin here are all spans sent, from 0 to 1 [default: 1].
    #[arg(long, value_name = "RATIO")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trace_ratio: Option<f64>,
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
#[derive(Debug, Clone, Deserialize, Serialize)]
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
    /// Where stored files are; none: `files` in the data directory. Uploads under way are in the data directory always.
    pub files_dir: Option<PathBuf>,
    /// A bucket of an S3-compatible store for files, instead of a directory.
    pub s3_bucket: Option<String>,
    /// Its address, where it is not the vendor's own.
    pub s3_endpoint: Option<Url>,
    /// Its region.
    pub s3_region: Option<String>,
    /// What stands before every key.
    pub s3_prefix: Option<String>,
    /// Its credentials; none: those of the environment or the machine. There is no flag for them.
    #[serde(serialize_with = "masked")]
    pub s3_access_key: Option<SecretString>,
    /// The other half.
    #[serde(serialize_with = "masked")]
    pub s3_secret_key: Option<SecretString>,
    /// The virus scanner.
    pub clamd: Option<String>,
    /// So many calls at once; who calls beyond is told to come back.
    pub voice_calls: usize,
    /// The UDP ports for the sound of calls, `16384-32767`.
    pub voice_ports: String,
    /// Where the sound of calls is received. All zeros: at the address that SIP names to the other side.
    pub voice_bind: IpAddr,
    /// The name servers that are asked where to call, `192.0.2.53` or `192.0.2.53:5353`; none: those of the system.
    pub voice_name_servers: Vec<String>,
    /// After so many seconds without sound a call is over.
    pub voice_silence_s: u64,
    /// A service that speaks (`POST …/v1/audio/speech`); none: espeak-ng on this machine.
    pub speech_url: Option<Url>,
    /// Its key. There is no flag for it.
    #[serde(serialize_with = "masked")]
    pub speech_key: Option<SecretString>,
    /// Its model.
    pub speech_model: String,
    /// Its voice, where a channel names none.
    pub speech_voice: String,
    /// A service that understands speech (`POST …/v1/audio/transcriptions`); none: callers are heard by their keys alone.
    pub hearing_url: Option<Url>,
    /// Its key. There is no flag for it.
    #[serde(serialize_with = "masked")]
    pub hearing_key: Option<SecretString>,
    /// Its model.
    pub hearing_model: String,
    /// Music for those who wait, WAV or MP3; none: what is built in.
    pub voice_music: Option<PathBuf>,
    /// The node's name.
    pub node: String,
    /// The log filter.
    pub log: String,
    /// The log format.
    pub log_format: Option<LogFormat>,
    /// The base URL of a collector; none: no traces.
    pub otlp: Option<Url>,
    /// Headers for the collector, `name=value,…`: they may hold a key, so there is no flag.
    #[serde(serialize_with = "masked")]
    pub otlp_headers: Option<SecretString>,
    /// The share of traces that is sampled.
    pub trace_ratio: f64,
}

/// A secret is shown as set, or not.
fn masked<S: Serializer>(secret: &Option<SecretString>, serializer: S) -> Result<S::Ok, S::Error> {
    secret.as_ref().map(|_| KEPT).serialize(serializer)
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
            files_dir: None,
            s3_bucket: None,
            s3_endpoint: None,
            s3_region: None,
            s3_prefix: None,
            s3_access_key: None,
            s3_secret_key: None,
            clamd: None,
            voice_calls: 2_000,
            voice_ports: "16384-32767".into(),
            voice_bind: IpAddr::from([0, 0, 0, 0]),
            voice_name_servers: Vec::new(),
            voice_silence_s: 60,
            speech_url: None,
            speech_key: None,
            speech_model: "tts-1".into(),
            speech_voice: "alloy".into(),
            hearing_url: None,
            hearing_key: None,
            hearing_model: "whisper-1".into(),
            voice_music: None,
            node: "node-1".into(),
            log: "info".into(),
            log_format: None,
            otlp: None,
            otlp_headers: None,
            trace_ratio: 1.0,
        }
    }
}

impl StoreFlags {
    /// As [`Flags::load`].
    ///
    /// # Errors
    /// When a file is missing, or a key or value is wrong; the message names it.
    pub fn load(&self) -> Result<Settings> {
        extract(&layers(self, self)?)
    }
}

impl Flags {
    /// Reads file and environment, and puts the flags on top.
    ///
    /// # Errors
    /// When a file is missing, or a key or value is wrong; the message names it.
    pub fn load(&self) -> Result<Settings> {
        self.load_with_layers().map(|(settings, _)| settings)
    }

    /// [`Flags::load`], with the layers that tell where a value comes from.
    ///
    /// # Errors
    /// As [`Flags::load`].
    pub fn load_with_layers(&self) -> Result<(Settings, Figment)> {
        let layers = layers(&self.store, self)?;
        Ok((extract(&layers)?, layers))
    }
}

fn layers(store: &StoreFlags, flags: &impl Serialize) -> Result<Figment> {
    let mut figment = Figment::new();
    if let Some(file) = &store.config {
        anyhow::ensure!(file.is_file(), "the settings file {} does not exist", file.display());
        figment = figment.merge(Toml::file_exact(file));
    }
    // `INTERLINE_KEY` is a key of the API, for the commands that call a server. What is none may be meant as `keys`.
    let api_key = std::env::var(API_KEY).is_ok_and(|key| key.is_empty() || key.starts_with("ilk_"));
    // `INTERLINE_TEST_…` belongs to our tests.
    let environment = Env::prefixed("INTERLINE_")
        .filter(move |key| !(key.starts_with("test_") || (api_key && key == API_KEY_SETTING)));
    Ok(figment.merge(environment).merge(Serialized::defaults(flags)))
}

fn extract(layers: &Figment) -> Result<Settings> {
    let settings: Settings = layers.extract().map_err(explain)?;
    settings.check()?;
    Ok(settings)
}

/// Says which key is wrong, where it stands, and which there are.
fn explain(error: figment::Error) -> anyhow::Error {
    anyhow!(
        "settings: {error}; the keys are those of `interline serve --help`, with `_` for `-`, `keys`, `otlp_headers`, `files_dir`, `s3_…`, `voice_…`, `speech_…` and `hearing_…`"
    )
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
        if let Some(url) = &self.otlp {
            let plain =
                matches!(url.scheme(), "http" | "https") && url.query().is_none() && url.fragment().is_none();
            let open = url.username().is_empty() && url.password().is_none() && url.host_str().is_some();
            anyhow::ensure!(
                plain && open,
                "otlp must be http(s)://host[:port][/path]; what is secret belongs into otlp_headers"
            );
        }
        anyhow::ensure!(
            self.s3_bucket.is_none() || self.files_dir.is_none(),
            "files are in one place: set files_dir or s3_bucket"
        );
        let s3 = [&self.s3_region, &self.s3_prefix].into_iter().any(Option::is_some)
            || self.s3_endpoint.is_some()
            || self.s3_access_key.is_some()
            || self.s3_secret_key.is_some();
        anyhow::ensure!(
            !s3 || self.s3_bucket.is_some(),
            "s3_bucket is missing: the other s3_ settings need it"
        );
        anyhow::ensure!(
            self.s3_access_key.is_some() == self.s3_secret_key.is_some(),
            "s3_access_key and s3_secret_key are set together"
        );
        anyhow::ensure!((0.0..=1.0).contains(&self.trace_ratio), "trace_ratio must be from 0 to 1");
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
