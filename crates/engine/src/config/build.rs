//! A document becomes something that runs. Every fault is told at once, each with its path.

use std::collections::BTreeMap;
use std::sync::Arc;

use interline_agents::all as connectors;
use interline_connector::agent::{Connector, Env};
use interline_connector::channel::ChannelApp;
use interline_connector::{AgentSystem, Bot, Credential, Http, formats};
use interline_core::{App, AppId, IntegrationName};
use interline_store::Sealer;
use serde_json::{Map, Value};
use url::Url;
use uuid::Uuid;

use super::apps::{Draft, Origin};
use super::document::{Document, Integration, Scope, ScopedCredential, discreet};
use super::{Invalid, Retired, flows};
use crate::address;
use crate::apps::Runtime;

/// Names stand in paths and on wires.
const LONGEST_NAME: usize = 64;

/// More than any vendor takes. One file is one HTTP request of a person.
const LARGEST_FILE: u64 = 1024 * 1024 * 1024;

/// The state document keeps the names of what is held, and has a limit.
const MOST_FILES: usize = 20;

type Agents = BTreeMap<IntegrationName, Arc<dyn AgentSystem>>;

/// What a document is built with.
pub(super) struct Site<'a> {
    pub http: &'a Http,
    pub public_url: &'a Url,
    pub seal: &'a Sealer,
    pub origin: Origin,
    /// This process has a virus scanner.
    pub has_scanner: bool,
    /// What is in force: settings that do not change are not judged again.
    pub current: Option<&'a Document>,
    /// What runs: an integration that does not change is not built anew, so that its sessions and streams go on.
    pub running: Option<&'a Runtime>,
}

/// Makes the app ready to run.
pub(super) fn build(draft: &Draft, site: &Site<'_>, version: i64) -> Result<Runtime, Vec<Invalid>> {
    let document = &draft.document;
    let mut faults = Vec::new();
    check_bot_id(&document.app.id, &mut faults);
    check_names(document, &mut faults);
    check_credentials(document, &mut faults);
    check_files(document, site, &mut faults);
    let id = AppId::from(document.app.id.as_str());
    let env = |name: &IntegrationName| env(document, site.http, site.public_url, site.seal, &id, name);
    let (channels, told) = channels(document, site, &env, &mut faults);
    let mut agents = agents(document, site, &env, &mut faults);
    let bots = bots(document, site, &mut faults);
    check_references(document, &agents, &mut faults);
    flows::check(document, site, &mut faults);
    if !faults.is_empty() {
        return Err(faults);
    }
    let mut systems: BTreeMap<_, _> =
        agents.iter().map(|(name, agent)| (name.clone(), agent.describe())).collect();
    for (name, retired) in &draft.retired {
        let Retired { integration, credentials, .. } = retired;
        let mut env = env(name);
        Arc::make_mut(&mut env.credentials).retain(|name, _| credentials.contains(name));
        // It ran until now. Should a new version of ours not take its settings any more, its sessions are given up.
        let built = connector(&integration.kind)
            .and_then(|connector| connector.build(settings(integration), env).ok());
        if let Some(agent) = built {
            systems
                .insert(name.clone(), interline_core::app::AgentSystem { retired: true, ..agent.describe() });
            agents.insert(name.clone(), agent);
        }
    }
    let app = App {
        id: id.clone(),
        agents: systems,
        agent_types: document.agents.iter().map(|(name, agent)| (name.clone(), agent.kind.clone())).collect(),
        default_agent: document.default_agent.clone(),
        channel_agents: document.channel_agents.clone(),
        flows: flows::set_of(document),
        bots: document.bots.keys().cloned().collect(),
        hours: document.hours.clone(),
        content: document.content.clone(),
        env: document.env.iter().map(|(name, value)| (name.clone(), value.expose().to_owned())).collect(),
        sessions: document.sessions.clone(),
        deadlines: document.deadlines.clone(),
        texts: document.texts.clone(),
    };
    let credentials = with_scope(document, &[Scope::Web, Scope::Ivr, Scope::Webhook]);
    let channel_app = ChannelApp { id, name: document.app.name.clone(), credentials, channels };
    Ok(Runtime {
        app: Arc::new(app),
        agents,
        told,
        bots,
        http: Some(site.http.clone()),
        channel_app: Arc::new(channel_app),
        retention_ms: document.app.retention_days.map(|days| i64::from(days) * 86_400_000),
        transcript: document.transcript.clone(),
        files: document.files.clone(),
        version,
        configured: Some(Arc::new(draft.clone())),
    })
}

/// What an agent system is built with.
pub(super) fn env(
    document: &Document,
    http: &Http,
    public_url: &Url,
    seal: &Sealer,
    id: &AppId,
    name: &IntegrationName,
) -> Env {
    Env {
        app: id.clone(),
        name: name.clone(),
        public_url: public_url.clone(),
        http: http.clone(),
        webhook: address::of(seal, public_url, id, name).unwrap_or_else(|| public_url.clone()),
        credentials: Arc::new(with_scope(document, &[Scope::Botkit])),
    }
}

pub(super) fn connector(kind: &str) -> Option<&'static dyn Connector> {
    connectors().iter().find(|connector| connector.manifest().id == kind).copied()
}

fn settings(integration: &Integration) -> Value {
    Value::Object(integration.settings.clone())
}

/// The credentials that have one of these scopes.
fn with_scope(document: &Document, scopes: &[Scope]) -> BTreeMap<String, Credential> {
    let has_one =
        |credential: &ScopedCredential| credential.scopes.iter().any(|scope| scopes.contains(scope));
    let granted = document.credentials.iter().filter(|(_, credential)| has_one(credential));
    granted.map(|(name, credential)| (name.clone(), credential.credential())).collect()
}

/// A BotKit answers 500 to anything else.
fn check_bot_id(id: &str, faults: &mut Vec<Invalid>) {
    let uuid = id
        .strip_prefix("st-")
        .and_then(|uuid| Uuid::try_parse(uuid).ok().filter(|read| read.to_string() == uuid));
    let good =
        uuid.is_some_and(|uuid| uuid.get_version_num() == 5 && uuid.get_variant() == uuid::Variant::RFC4122);
    if !good {
        let suggestion = Uuid::new_v5(&Uuid::NAMESPACE_URL, id.as_bytes());
        faults.push(Invalid::at(
            "app.id",
            format!("`{id}` is not `st-` and a lower-case version 5 UUID; for instance st-{suggestion}"),
        ));
    }
}

fn check_names(document: &Document, faults: &mut Vec<Invalid>) {
    let plain = |name: &str| {
        !name.is_empty()
            && name.len() <= LONGEST_NAME
            && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
    };
    let channels = document.channels.keys().map(|name| ("channels", name.as_str()));
    let agents = document.agents.keys().map(|name| ("agents", name.as_str()));
    let credentials = document.credentials.keys().map(|name| ("credentials", name.as_str()));
    let bots = document.bots.keys().map(|name| ("bots", name.as_str()));
    let flows = document.flows.keys().map(|name| ("flows", name.as_str()));
    let named = channels.chain(agents).chain(credentials).chain(bots).chain(flows);
    for (group, name) in named.filter(|(_, name)| !plain(name)) {
        let shown: String = name.chars().take(LONGEST_NAME).collect();
        let rule = format!("use letters, digits, `-`, `_` and `.`, at most {LONGEST_NAME}");
        faults.push(Invalid::at(format!("{group}.{shown}"), format!("is not a name: {rule}")));
    }
    for name in document.channels.keys().filter(|name| document.agents.contains_key(*name)) {
        let message = "a channel has this name already; integrations of one app have different names";
        faults.push(Invalid::at(format!("agents.{name}"), message));
    }
}

fn check_credentials(document: &Document, faults: &mut Vec<Invalid>) {
    let mut ids = BTreeMap::new();
    for (name, credential) in &document.credentials {
        let at = |field: &str| format!("credentials.{name}.{field}");
        if credential.client_id.is_empty() {
            faults.push(Invalid::at(at("client_id"), "is empty; `cs-` and a UUID is usual"));
        }
        if credential.client_secret.expose().is_empty() {
            faults.push(Invalid::at(at("client_secret"), "is empty: anybody could sign"));
        }
        if let Some(other) = ids.insert(credential.client_id.as_str(), name) {
            faults.push(Invalid::at(at("client_id"), format!("is the one of `{other}`")));
        }
    }
}

fn check_files(document: &Document, site: &Site<'_>, faults: &mut Vec<Invalid>) {
    let rules = &document.files;
    let at = |field: &str| format!("files.{field}");
    if !(1..=LARGEST_FILE).contains(&rules.max_bytes) {
        let message = format!("is from 1 to {LARGEST_FILE} (1 GB)");
        faults.push(Invalid::at(at("max_bytes"), message));
    }
    if !(1..=MOST_FILES).contains(&rules.per_message) {
        faults.push(Invalid::at(at("per_message"), format!("is from 1 to {MOST_FILES}")));
    }
    for (no, extension) in rules.formats.iter().enumerate() {
        if formats::find(extension).is_none() {
            let message = format!("`{extension}` is not known; these are: {}", formats::ALL.join(", "));
            faults.push(Invalid::at(format!("files.formats[{no}]"), message));
        }
    }
    if rules.enabled && rules.formats.is_empty() {
        faults.push(Invalid::at(at("formats"), "is empty; say `enabled: false` if no files are to be taken"));
    }
    if rules.hours == 0 || rules.downloads == 0 {
        faults.push(Invalid::at("files", "hours and downloads are at least 1"));
    }
    // What is in the store was judged before: the files of an app are not the reason not to serve it.
    if rules.scan.is_some() && !site.has_scanner && site.origin != Origin::Store {
        faults.push(Invalid::at(at("scan"), "this server has no scanner; set `clamd` in its settings"));
    }
}

/// What the channels know of themselves, and who is told by those that tell.
fn channels(
    document: &Document,
    site: &Site<'_>,
    env: &dyn Fn(&IntegrationName) -> Env,
    faults: &mut Vec<Invalid>,
) -> (BTreeMap<IntegrationName, (String, Value)>, Agents) {
    let (mut channels, mut told) = (BTreeMap::new(), Agents::new());
    for (name, integration) in &document.channels {
        let at = format!("channels.{name}");
        let Some(channel) = interline_channels::find(&integration.kind) else {
            let known: Vec<&str> = interline_channels::CHANNELS.iter().map(|channel| channel.id).collect();
            faults.push(no_type(&at, "channel", &integration.kind, &known));
            continue;
        };
        let settings = settings(integration);
        if let Err(message) = (channel.check)(&settings) {
            faults.push(within(&at, &message));
        }
        for used in settings["credentials"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            if let Some(message) = unfit(document, used, &integration.kind) {
                faults.push(Invalid::at(format!("{at}.credentials"), message));
            }
        }
        if let Some(push) = channel.push {
            let unchanged = site.current.and_then(|current| current.channels.get(name)) == Some(integration);
            judge_addresses(&at, &integration.settings, site, unchanged, faults);
            // What is wrong with the settings was said above.
            told.extend(push(settings.clone(), env(name)).ok().flatten().map(|push| (name.clone(), push)));
        }
        channels.insert(name.clone(), (integration.kind.clone(), settings));
    }
    (channels, told)
}

/// Why a credential may not sign for a channel of this type.
fn unfit(document: &Document, used: &str, kind: &str) -> Option<String> {
    let Some(known) = document.credentials.get(used) else {
        return Some(format!("there is no credential `{used}` with the scope `{kind}`"));
    };
    if known.scopes.iter().any(|scope| scope.is_for(kind)) {
        return None;
    }
    let has: Vec<&str> = known.scopes.iter().map(|scope| scope.word()).collect();
    Some(format!(
        "the credential `{used}` has not the scope `{kind}`, but {has:?}; add it to its `scopes`, or name another"
    ))
}

fn agents(
    document: &Document,
    site: &Site<'_>,
    env: &dyn Fn(&IntegrationName) -> Env,
    faults: &mut Vec<Invalid>,
) -> Agents {
    let mut agents = Agents::new();
    for (name, integration) in &document.agents {
        let at = format!("agents.{name}");
        let Some(connector) = connector(&integration.kind) else {
            let known: Vec<&str> = connectors().iter().map(|connector| connector.manifest().id).collect();
            faults.push(no_type(&at, "agent system", &integration.kind, &known));
            continue;
        };
        let unchanged = site.current.and_then(|current| current.agents.get(name)) == Some(integration);
        judge_addresses(&at, &integration.settings, site, unchanged, faults);
        let built = match running(document, site, name, integration) {
            Some(agent) => Ok(agent),
            None => connector.build(settings(integration), env(name)),
        };
        match built {
            Ok(agent) => {
                agents.insert(name.clone(), agent);
            }
            Err(message) => faults.push(within(&at, &message)),
        }
    }
    agents
}

fn bots(
    document: &Document,
    site: &Site<'_>,
    faults: &mut Vec<Invalid>,
) -> BTreeMap<IntegrationName, Arc<dyn Bot>> {
    let mut bots = BTreeMap::new();
    for (name, integration) in &document.bots {
        let at = format!("bots.{name}");
        let Some(connector) = interline_bots::find(&integration.kind) else {
            let known: Vec<&str> = interline_bots::all().iter().map(|bot| bot.id()).collect();
            faults.push(no_type(&at, "bot", &integration.kind, &known));
            continue;
        };
        let unchanged = site.current.and_then(|current| current.bots.get(name)) == Some(integration);
        judge_addresses(&at, &integration.settings, site, unchanged, faults);
        match connector.build(settings(integration), site.http.clone()) {
            Ok(bot) => _ = bots.insert(name.clone(), bot),
            Err(message) => faults.push(within(&at, &message)),
        }
    }
    bots
}

/// An integration that runs just so.
fn running(
    document: &Document,
    site: &Site<'_>,
    name: &IntegrationName,
    integration: &Integration,
) -> Option<Arc<dyn AgentSystem>> {
    let was = &site.running?.configured.as_ref()?.document;
    let same = was.agents.get(name) == Some(integration) && was.credentials == document.credentials;
    site.running?.agents.get(name).filter(|_| same).cloned()
}

/// What a file of the operator names may be reached, private or not. What comes by the API may not be private, unless
/// this process was told that it may.
fn judge_addresses(
    at: &str,
    settings: &Map<String, Value>,
    site: &Site<'_>,
    unchanged: bool,
    faults: &mut Vec<Invalid>,
) {
    let mut addresses = Vec::new();
    for (field, value) in settings {
        find_addresses(field, value, &mut addresses);
    }
    for (field, url) in addresses {
        match site.origin {
            Origin::Operator => site.http.guard().allow(&url),
            Origin::Api if unchanged => {}
            Origin::Api => {
                if let Err(forbidden) = site.http.guard().check(&url) {
                    faults.push(Invalid::at(format!("{at}.{field}"), forbidden.to_string()));
                }
            }
            Origin::Store => {}
        }
    }
}

/// The addresses in a setting, however deep. That of a SIP URI stands as if it were HTTP's: the guard knows host and port.
pub(super) fn find_addresses(field: &str, value: &Value, found: &mut Vec<(String, Url)>) {
    match value {
        Value::String(text) => found.extend(url_of(text).map(|url| (field.to_owned(), url))),
        Value::Object(fields) => {
            fields.iter().for_each(|(name, value)| find_addresses(&format!("{field}.{name}"), value, found));
        }
        Value::Array(values) => values.iter().for_each(|value| find_addresses(field, value, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn url_of(text: &str) -> Option<Url> {
    let Some(sip) = text.strip_prefix("sip:").or_else(|| text.strip_prefix("sips:")) else {
        return Url::parse(text).ok();
    };
    let host = sip.split([';', '?']).next()?.rsplit('@').next()?;
    let mut url = Url::parse(&format!("http://{host}/")).ok()?;
    if url.port().is_none() {
        url.set_port(Some(5060)).ok()?;
    }
    Some(url)
}

fn check_references(document: &Document, agents: &Agents, faults: &mut Vec<Invalid>) {
    // One that is there and faulty has its own fault already.
    let known = |name: &IntegrationName| agents.contains_key(name) || document.agents.contains_key(name);
    let default = document.default_agent.iter().map(|name| ("default_agent".to_owned(), name));
    let mapped =
        document.channel_agents.iter().map(|(channel, name)| (format!("channel_agents.{channel}"), name));
    for (place, name) in default.chain(mapped).filter(|(_, name)| !known(name)) {
        faults.push(Invalid::at(place, format!("there is no agent system `{name}` under `agents`")));
    }
    for channel in document.channel_agents.keys().filter(|name| !document.channels.contains_key(*name)) {
        let message = format!("there is no channel `{channel}` under `channels`");
        faults.push(Invalid::at(format!("channel_agents.{channel}"), message));
    }
}

fn no_type(at: &str, what: &str, kind: &str, known: &[&str]) -> Invalid {
    let message = format!("there is no {what} type `{kind}`; there is {}", known.join(", "));
    Invalid::at(format!("{at}.type"), message)
}

/// A connector's own words begin with the field.
fn within(at: &str, message: &str) -> Invalid {
    let message = &discreet(message);
    let field = message.split_once(": ").filter(|(field, _)| {
        field.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '[' | ']'))
    });
    match field {
        Some((field, message)) => Invalid::at(format!("{at}.{field}"), message),
        None => Invalid::at(at, message),
    }
}
