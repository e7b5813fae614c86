//! Channels, and the agent system that each names.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use interline_core::IntegrationName;
use interline_engine::config::{Document, Invalid, Refused};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Api;
use super::auth::{Admin, Read, Scope};
use super::change::{Versioned, change};
use super::input::{Body, Check, IfMatch, In, Named, Params};
use super::integration::title;
use super::page::{Limit, Page, behind};
use super::problem::{Fault, Problem};
use super::words::IntegrationKind;

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(list_channels)).routes(routes!(set_agent_system))
}

/// A channel, and where its transfers go.
#[derive(Debug, Clone, Serialize, ToSchema)]
struct Channel {
    /// Its name.
    name: String,
    /// Which connector.
    #[serde(rename = "type")]
    connector: String,
    /// The connector's name as people know it.
    title: String,
    /// The agent system that it names. Not there: it takes the default.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    agent_system: Option<String>,
}

/// Which channels.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ListChannels {
    /// How many at most.
    #[serde(default)]
    #[param(inline, required = false)]
    limit: Limit,
    /// `next` of the page before.
    #[param(nullable = false)]
    cursor: Option<String>,
}

fn views(document: &Document) -> Vec<Channel> {
    let view = |(name, integration): (&IntegrationName, &interline_engine::config::Integration)| Channel {
        name: name.to_string(),
        connector: integration.kind.clone(),
        title: title(IntegrationKind::Channel, &integration.kind),
        agent_system: document.channel_agents.get(name).map(ToString::to_string),
    };
    document.channels.iter().map(view).collect()
}

/// List channels
#[utoipa::path(get, path = "/apps/{app}/channels", tag = "channels", security(("key" = ["read"])),
    params(ListChannels),
    responses((status = 200, description = "A page of channels, by name.", body = Page<Channel>)))]
async fn list_channels(
    scope: Scope<Read>,
    Params(query): Params<ListChannels>,
) -> Result<Json<Page<Channel>>, Problem> {
    let place = |channel: &Channel| channel.name.clone();
    let all = views(scope.document()?);
    let found = behind("channels", query.limit, query.cursor.as_deref(), all, place)?;
    Ok(Json(Page::of("channels", query.limit, found, place, |channel| channel)))
}

/// Where a channel's transfers go.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ChannelAgentSystem)]
struct AgentSystemOf {
    /// The agent system's name; null: the default.
    #[serde(deserialize_with = "Option::deserialize")]
    #[schema(required = true)]
    agent_system: Option<String>,
}

impl Check for AgentSystemOf {
    /// Whether there is such an agent system, the document says.
    fn check(&self, _: &mut Vec<Invalid>) {}
}

/// Choose a channel's agent system
#[utoipa::path(put, path = "/apps/{app}/channels/{name}/agent_system", tag = "channels",
    security(("key" = ["admin"])), params(IfMatch), request_body = AgentSystemOf,
    responses((status = 200, description = "It is in force from the next transfer on.", body = Channel)))]
async fn set_agent_system(
    State(api): State<Api>,
    scope: Scope<Admin>,
    In(Named { name }): In<Named>,
    expected: IfMatch,
    Body(new): Body<AgentSystemOf>,
) -> Result<Versioned<Channel>, Problem> {
    let name = IntegrationName::from(name.as_str());
    let edit = |document: &mut Document| {
        if !document.channels.contains_key(&name) {
            return Err(Refused::Unknown(format!("channel `{name}`")));
        }
        match new.agent_system {
            Some(agent) => document.channel_agents.insert(name.clone(), agent.as_str().into()),
            None => document.channel_agents.remove(&name),
        };
        Ok(())
    };
    let here = format!("channel_agents.{name}");
    let place = |fault: &Fault| if fault.path == here { "agent_system".into() } else { fault.path.clone() };
    let changed = change(&api, &scope, expected, edit).await;
    let changed = changed.map_err(|refused| Problem::from(refused).placed(place))?;
    let runtime = api.engine.apps().get(&scope.app);
    let draft = runtime.as_ref().and_then(|runtime| runtime.configured.as_deref());
    let all = draft.map(|draft| views(&draft.document)).unwrap_or_default();
    let view = all.into_iter().find(|channel| channel.name == name.as_str());
    Ok(Versioned(StatusCode::OK, changed.version, view.ok_or_else(Problem::not_found)?))
}
