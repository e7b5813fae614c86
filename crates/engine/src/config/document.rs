//! An app as people write it: the `--app` file, the body of `apply`, the answer of `export`. One shape for all.
//!
//! ```yaml
//! app: { id: ${BOT_ID}, name: Support }
//! credentials:
//!   main: { client_id: ${CLIENT_ID}, client_secret: ${CLIENT_SECRET}, algorithm: HS256, scopes: [web, botkit] }
//! channels:
//!   web: { type: web, credentials: [main], origins: ["https://www.example.com"] }
//! agents:
//!   desk: { type: botkit, url: ${BOTKIT_URL} }
//! default_agent: desk
//! flow: …
//! ```

use std::collections::BTreeMap;
use std::fmt;

use interline_connector::{Algorithm, Credential, Secret, formats};
use interline_core::IntegrationName;
use interline_core::app::{Sessions, Texts};
use interline_core::flow::hours::Hours;
use interline_core::flow::{Flow, FlowName, MAIN};
use interline_core::transfer::deadline::Deadlines;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::Invalid;

/// An app: names are stable, references are by name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Document {
    /// Which app, and what it is called.
    pub app: Identity,
    /// Who may sign, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub credentials: BTreeMap<String, ScopedCredential>,
    /// The channels, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub channels: BTreeMap<IntegrationName, Integration>,
    /// The agent systems, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub agents: BTreeMap<IntegrationName, Integration>,
    /// The agent system for channels that name none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_agent: Option<IntegrationName>,
    /// Channel → agent system.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub channel_agents: BTreeMap<IntegrationName, IntegrationName>,
    /// How long each stage of a transfer may take.
    #[serde(default, skip_serializing_if = "is_default")]
    pub deadlines: Deadlines,
    /// What the customer is told when the flow says nothing else.
    #[serde(default, skip_serializing_if = "is_default")]
    pub texts: Texts,
    /// The link to what was said before a transfer.
    #[serde(default, skip_serializing_if = "is_default")]
    pub transcript: Transcript,
    /// Files that customers and agents send.
    #[serde(default, skip_serializing_if = "is_default")]
    pub files: FileRules,
    /// The external bots, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub bots: BTreeMap<IntegrationName, Integration>,
    /// Business hours, by name; `default` where a node names none.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub hours: BTreeMap<String, Hours>,
    /// Texts that flows and scripts name as `content.<name>`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub content: BTreeMap<String, String>,
    /// Settings that scripts, conditions and requests of flows name as `env.<name>`. They are kept as secrets.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, Secret>,
    /// When a silent conversation with the bot ends.
    #[serde(default, skip_serializing_if = "is_default")]
    pub sessions: Sessions,
    /// Channel → its entry flow; for others it is `flow`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub channel_flows: BTreeMap<IntegrationName, FlowName>,
    /// What the bot says and when it hands over: the flow `main`.
    pub flow: Flow,
    /// More published flows, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub flows: BTreeMap<FlowName, Flow>,
}

/// Which app, and what it is called.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Identity {
    /// `st-` and a version 5 UUID.
    pub id: String,
    /// As shown to customers.
    pub name: String,
    /// How long closed conversations are kept; none: until somebody erases them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retention_days: Option<u32>,
}

/// A client id with its secret, and what it opens.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScopedCredential {
    /// `cs-…`.
    pub client_id: String,
    /// Used as raw UTF-8.
    pub client_secret: Secret,
    /// The only algorithm accepted and used.
    #[serde(default)]
    pub algorithm: Algorithm,
    /// What it may be used for. There is no default: whoever writes a secret down says what it opens.
    pub scopes: Vec<Scope>,
}

impl ScopedCredential {
    /// Without its scopes.
    pub fn credential(&self) -> Credential {
        Credential {
            client_id: self.client_id.clone(),
            client_secret: self.client_secret.to_secrecy(),
            algorithm: self.algorithm,
        }
    }
}

/// What a credential opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Logins of web chat customers.
    Web,
    /// Calls of and to a BotKit.
    Botkit,
    /// Requests of IVRs.
    Ivr,
    /// Requests of programs to a webhook channel.
    Webhook,
}

impl Scope {
    /// Whether it is for channels of this type: each has the scope of its name. IVRs and programs may also sign with one for
    /// the web: before they had scopes of their own, all channels used that.
    pub(super) fn is_for(self, kind: &str) -> bool {
        self == Self::Web || self.word() == kind
    }

    /// As it stands in a document.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Web => "web",
            Self::Botkit => "botkit",
            Self::Ivr => "ivr",
            Self::Webhook => "webhook",
        }
    }
}

/// A configured connector. `Debug` shows no settings: some are secrets.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct Integration {
    /// Which connector: the id of its manifest.
    #[serde(rename = "type")]
    pub kind: String,
    /// What its settings schema asks for.
    #[serde(flatten)]
    pub settings: Map<String, Value>,
}

impl fmt::Debug for Integration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Integration").field("kind", &self.kind).finish_non_exhaustive()
    }
}

/// The link to what was said before a transfer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Transcript {
    /// Whether agent systems get one at all.
    pub link: bool,
    /// How often it may be opened.
    pub accesses: u32,
    /// It ends so many hours after the transfer was asked for.
    pub expires_hours: u32,
}

impl Default for Transcript {
    fn default() -> Self {
        Self { link: true, accesses: 10, expires_hours: 30 * 24 }
    }
}

/// Files that customers and agents send.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FileRules {
    /// Whether any are taken.
    pub enabled: bool,
    /// The largest, in bytes.
    pub max_bytes: u64,
    /// Which, by extension: lower case, without the dot.
    pub formats: Vec<String>,
    /// So many with one message.
    pub per_message: usize,
    /// How often each side may download one.
    pub downloads: u32,
    /// For so many hours after it was shared.
    pub hours: u32,
    /// Whether pictures are freed of what tells where they were taken.
    pub strip_location: bool,
    /// Whether a virus scanner sees them first; the server has to have one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scan: Option<Scan>,
}

/// A virus scanner sees files first. There are no defaults: whoever wants it says what it is to mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scan {
    /// It finds something.
    pub found: WhenFound,
    /// It does not answer.
    pub down: ScannerDown,
}

/// A scanner finds something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WhenFound {
    /// The file is refused.
    Block,
    /// It is passed on, with a warning.
    Warn,
}

/// The scanner does not answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ScannerDown {
    /// No file is taken until it does.
    Refuse,
    /// Files are taken unscanned.
    Accept,
}

/// 25 MB, as the seed page says.
const MAX_FILE: u64 = 25 * 1024 * 1024;

impl Default for FileRules {
    fn default() -> Self {
        Self {
            enabled: true,
            max_bytes: MAX_FILE,
            formats: formats::ALL.iter().map(|&extension| extension.to_owned()).collect(),
            per_message: 10,
            downloads: 5,
            hours: 48,
            strip_location: false,
            scan: None,
        }
    }
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl Document {
    /// A published flow.
    pub fn published(&self, name: &FlowName) -> Option<&Flow> {
        if name.as_str() == MAIN { Some(&self.flow) } else { self.flows.get(name) }
    }

    /// All published flows, with where each stands: `flow`, `flows.support`.
    pub fn all_flows(&self) -> impl Iterator<Item = (FlowName, String, &Flow)> {
        let more = self.flows.iter().map(|(name, flow)| (name.clone(), format!("flows.{name}"), flow));
        std::iter::once((FlowName::from(MAIN), "flow".to_owned(), &self.flow)).chain(more)
    }

    /// Reads one from JSON.
    ///
    /// # Errors
    /// Where, and what is wrong there. It quotes no value: it may be a secret.
    pub fn from_json(value: Value) -> Result<Self, Invalid> {
        serde_path_to_error::deserialize(value).map_err(|error| {
            let path = error.path().to_string();
            let path = if path == "." { String::new() } else { path };
            Invalid { path, message: discreet(&error.into_inner().to_string()) }
        })
    }

    /// As JSON, secrets in the clear. What is not set is not there.
    pub fn to_json(&self) -> Value {
        // It was read from JSON or YAML, so it can be written.
        let mut value = serde_json::to_value(self).unwrap_or_default();
        drop_nulls(&mut value);
        value
    }
}

/// serde quotes what it did not expect; that may be a secret on the wrong line, or one that was taken for a number.
pub(super) fn discreet(message: &str) -> String {
    // What was expected comes last, and is ours.
    let (said, expected) = message.split_at(message.rfind(", expected ").unwrap_or(message.len()));
    let of_a_value =
        ["invalid type: ", "invalid value: ", "unknown variant "].iter().any(|words| said.contains(words));
    let quote = |c: char| c == '"' || (c == '`' && of_a_value);
    match (said.split_once(quote), said.rsplit_once(quote)) {
        (Some((before, rest)), Some((_, after))) if rest.contains(quote) => {
            format!("{before}…{after}{expected}")
        }
        (Some((before, _)), _) => format!("{before}…"),
        (None, _) => message.to_owned(),
    }
}

fn drop_nulls(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.retain(|_, value| !value.is_null());
            map.values_mut().for_each(drop_nulls);
        }
        Value::Array(list) => list.iter_mut().for_each(drop_nulls),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
