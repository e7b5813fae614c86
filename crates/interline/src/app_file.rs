//! The `--app` file: one app with stable names, written by a person.
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
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};
use interline_agents::all as connectors;
use interline_connector::agent::Env;
use interline_connector::channel::ChannelApp;
use interline_connector::{Credential, Http};
use interline_core::app::Texts;
use interline_core::flow::Flow;
use interline_core::transfer::deadline::Deadlines;
use interline_core::{App, AppId, IntegrationName};
use interline_engine::Runtime;
use serde::Deserialize;
use serde_json::{Map, Value};
use url::Url;
use uuid::Uuid;

use crate::variables;

/// An app as its file says.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AppFile {
    app: Identity,
    credentials: BTreeMap<String, ScopedCredential>,
    #[serde(default)]
    channels: BTreeMap<IntegrationName, Integration>,
    #[serde(default)]
    agents: BTreeMap<IntegrationName, Integration>,
    #[serde(default)]
    default_agent: Option<IntegrationName>,
    #[serde(default)]
    channel_agents: BTreeMap<IntegrationName, IntegrationName>,
    #[serde(default)]
    deadlines: Deadlines,
    #[serde(default)]
    texts: Texts,
    flow: Flow,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Identity {
    /// `st-` and a version 5 UUID.
    id: String,
    name: String,
    /// How long closed conversations are kept; none: until somebody erases them.
    #[serde(default)]
    retention_days: Option<u32>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ScopedCredential {
    client_id: String,
    client_secret: secrecy::SecretString,
    #[serde(default)]
    algorithm: interline_connector::Algorithm,
    /// What it may be used for. There is no default: whoever writes a secret down says what it opens.
    scopes: Vec<Scope>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Scope {
    Web,
    Botkit,
}

#[derive(Debug, Deserialize)]
struct Integration {
    #[serde(rename = "type")]
    kind: String,
    #[serde(flatten)]
    settings: Map<String, Value>,
}

impl AppFile {
    /// Reads a file, with `${NAME}` filled in from the environment.
    ///
    /// # Errors
    /// Each with the file's name, and the line where there is one.
    pub fn read(path: &Path) -> Result<Self> {
        let shown = path.display().to_string();
        let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {shown}"))?;
        Self::parse(&text, |name| std::env::var(name).ok()).with_context(|| shown)
    }

    /// Reads a text.
    ///
    /// # Errors
    /// With the line where there is one.
    pub fn parse(text: &str, look_up: impl Fn(&str) -> Option<String>) -> Result<Self> {
        let text = variables::fill_in(text, look_up)?;
        // Our own words come without the file's: an error may quote a secret.
        serde_saphyr::from_str(&text).map_err(|error| {
            let place = error.location().map(|at| format!("line {}, column {}: ", at.line(), at.column()));
            anyhow::anyhow!(
                "{}{}",
                place.unwrap_or_default(),
                first_line(&error.without_snippet().to_string())
            )
        })
    }

    /// Makes the app ready to run. What its file names may be reached, private or not.
    ///
    /// # Errors
    /// What is wrong with it, naming the place.
    pub fn build(self, http: &Http, public_url: &Url, version: i64) -> Result<Runtime> {
        check_bot_id(&self.app.id)?;
        let id = AppId::from(self.app.id.as_str());
        let with_scope = |scope: Scope| -> BTreeMap<String, Credential> {
            let granted =
                self.credentials.iter().filter(|(_, credential)| credential.scopes.contains(&scope));
            granted
                .map(|(name, credential)| {
                    let credential = Credential {
                        client_id: credential.client_id.clone(),
                        client_secret: credential.client_secret.clone(),
                        algorithm: credential.algorithm,
                    };
                    (name.clone(), credential)
                })
                .collect()
        };
        let mut channels = BTreeMap::new();
        for (name, integration) in &self.channels {
            let Some(channel) = interline_channels::find(&integration.kind) else {
                let known: Vec<&str> =
                    interline_channels::CHANNELS.iter().map(|channel| channel.id).collect();
                bail!(
                    "channels.{name}: there is no channel type `{}`; there is {}",
                    integration.kind,
                    known.join(", ")
                );
            };
            let settings = Value::Object(integration.settings.clone());
            (channel.check)(&settings)
                .map_err(anyhow::Error::msg)
                .with_context(|| format!("channels.{name}"))?;
            for used in settings["credentials"].as_array().into_iter().flatten().filter_map(Value::as_str) {
                let granted =
                    self.credentials.get(used).is_some_and(|known| known.scopes.contains(&Scope::Web));
                ensure!(
                    granted,
                    "channels.{name}.credentials: there is no credential `{used}` with the scope `web`"
                );
            }
            channels.insert(name.clone(), (integration.kind.clone(), settings));
        }
        let credentials = Arc::new(with_scope(Scope::Botkit));
        let mut agents = BTreeMap::new();
        for (name, integration) in &self.agents {
            let known = || connectors().iter().map(|connector| connector.manifest().id);
            let Some(connector) =
                connectors().iter().find(|connector| connector.manifest().id == integration.kind)
            else {
                let known: Vec<&str> = known().collect();
                bail!(
                    "agents.{name}: there is no agent system type `{}`; there is {}",
                    integration.kind,
                    known.join(", ")
                );
            };
            allow(http, &integration.settings);
            let env = Env {
                app: id.clone(),
                name: name.clone(),
                public_url: public_url.clone(),
                http: http.clone(),
                credentials: credentials.clone(),
            };
            let agent = connector
                .build(Value::Object(integration.settings.clone()), env)
                .map_err(anyhow::Error::msg)
                .with_context(|| format!("agents.{name}"))?;
            agents.insert(name.clone(), agent);
        }
        for (place, name) in self.default_agent.iter().map(|name| ("default_agent".to_owned(), name)).chain(
            self.channel_agents.iter().map(|(channel, name)| (format!("channel_agents.{channel}"), name)),
        ) {
            ensure!(agents.contains_key(name), "{place}: there is no agent system `{name}` under `agents:`");
        }
        for channel in self.channel_agents.keys() {
            ensure!(
                channels.contains_key(channel),
                "channel_agents: there is no channel `{channel}` under `channels:`"
            );
        }
        let faults = self.flow.check(|name| agents.contains_key(name));
        ensure!(faults.is_empty(), "{}", faults.join("\n"));
        let channel_credentials = with_scope(Scope::Web);
        let app = App {
            id: id.clone(),
            agents: agents.iter().map(|(name, agent)| (name.clone(), agent.describe())).collect(),
            default_agent: self.default_agent,
            channel_agents: self.channel_agents,
            flow: self.flow,
            deadlines: self.deadlines,
            texts: self.texts,
        };
        let channel_app = ChannelApp { id, name: self.app.name, credentials: channel_credentials, channels };
        Ok(Runtime {
            app: Arc::new(app),
            agents,
            channel_app: Arc::new(channel_app),
            retention_ms: self.app.retention_days.map(|days| i64::from(days) * 86_400_000),
            version,
        })
    }
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

/// Every URL in an integration's settings names a host that the operator wants us to reach.
fn allow(http: &Http, settings: &Map<String, Value>) {
    for url in settings.values().filter_map(Value::as_str).filter_map(|text| Url::parse(text).ok()) {
        http.guard().allow(&url);
    }
}

/// A BotKit answers 500 to anything else.
fn check_bot_id(id: &str) -> Result<()> {
    let uuid = id
        .strip_prefix("st-")
        .and_then(|uuid| Uuid::try_parse(uuid).ok().filter(|read| read.to_string() == uuid));
    let good =
        uuid.is_some_and(|uuid| uuid.get_version_num() == 5 && uuid.get_variant() == uuid::Variant::RFC4122);
    if !good {
        let suggestion = Uuid::new_v5(&Uuid::NAMESPACE_URL, id.as_bytes());
        bail!("app.id: `{id}` is not `st-` and a lower-case version 5 UUID; for instance st-{suggestion}");
    }
    Ok(())
}
