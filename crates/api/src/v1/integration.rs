//! An integration as it is shown.

use std::sync::Arc;

use interline_core::IntegrationName;
use interline_engine::Runtime;
use interline_engine::config::{Draft, masked};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::Api;
use super::auth::Scope;
use super::input::Plain;
use super::problem::Problem;
use super::words::IntegrationKind;

/// A channel or an agent system.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(super) struct Integration {
    /// Its name. Integrations of one app have different names.
    pub name: String,
    /// What it is.
    pub kind: IntegrationKind,
    /// Which connector: `GET /v1/connectors` lists them.
    #[serde(rename = "type")]
    pub connector: String,
    /// The connector's name as people know it.
    pub title: String,
    /// What the connector's settings schema asks for. A secret stands there as `(secret)`.
    #[schema(value_type = Object)]
    pub settings: Value,
    /// An agent system: it is the one for channels that name none.
    pub is_default: bool,
    /// An agent system: how many sessions are not over.
    pub live_sessions: i64,
    /// An agent system: the channels that name it.
    pub channels: Vec<String>,
    /// It was deleted while somebody still talked through it. Nothing new goes there, and after the last one it is gone.
    pub retired: bool,
}

/// One by its name.
pub(super) fn view(runtime: &Arc<Runtime>, name: &Plain) -> Result<Integration, Problem> {
    let draft = runtime.configured.as_deref().ok_or_else(Problem::not_found)?;
    let mut found = views(draft).into_iter().filter(|view| view.name == name.as_str());
    found.next().ok_or_else(Problem::not_found)
}

/// All of them by name, without what must be counted.
pub(super) fn views(draft: &Draft) -> Vec<Integration> {
    let document = &draft.document;
    let mut with_retired = document.clone();
    let retired = draft.retired.iter().map(|(name, retired)| (name.clone(), retired.integration.clone()));
    with_retired.agents.extend(retired);
    let shown = masked(&with_retired);
    let channels = with_retired.channels.iter().map(|found| (IntegrationKind::Channel, "channels", found));
    let agents = with_retired.agents.iter().map(|found| (IntegrationKind::AgentSystem, "agents", found));
    let mut views: Vec<Integration> = channels
        .chain(agents)
        .map(|(kind, group, (name, integration))| {
            let mut settings = shown[group][name.as_str()].clone();
            if let Some(settings) = settings.as_object_mut() {
                settings.remove("type");
            }
            let agent = kind == IntegrationKind::AgentSystem;
            let mapped = document.channel_agents.iter().filter(|(_, named)| agent && *named == name);
            Integration {
                name: name.to_string(),
                kind,
                connector: integration.kind.clone(),
                title: title(kind, &integration.kind),
                settings,
                is_default: agent && document.default_agent.as_ref() == Some(name),
                live_sessions: 0,
                channels: mapped.map(|(channel, _)| channel.to_string()).collect(),
                retired: agent && !document.agents.contains_key(name),
            }
        })
        .collect();
    views.sort_by(|a, b| (&a.name, a.retired).cmp(&(&b.name, b.retired)));
    views
}

/// Counts its sessions.
pub(super) async fn count<R>(api: &Api, scope: &Scope<R>, view: &mut Integration) -> Result<(), Problem> {
    if view.kind == IntegrationKind::AgentSystem {
        let name = IntegrationName::from(view.name.as_str());
        view.live_sessions = api.engine.apps().sessions(&scope.app, &name).await?;
    }
    Ok(())
}

/// A connector's name as people know it.
pub(super) fn title(kind: IntegrationKind, connector: &str) -> String {
    let known = match kind {
        IntegrationKind::Channel => interline_channels::find(connector).map(|channel| channel.title),
        IntegrationKind::AgentSystem => interline_agents::all()
            .iter()
            .map(|known| known.manifest())
            .find(|manifest| manifest.id == connector)
            .map(|manifest| manifest.title),
    };
    known.unwrap_or(connector).to_owned()
}
