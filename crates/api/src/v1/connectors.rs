//! Connectors: the types that an integration can be of, with what a form must ask for.

use axum::Json;
use interline_connector::manifest;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Api;
use super::auth::{Keyed, Read};
use super::page::Page;
use super::problem::Problem;
use super::words::IntegrationKind;

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(list_connectors))
}

/// A type of integration.
#[derive(Debug, Clone, Serialize, ToSchema)]
struct Connector {
    /// What an integration of it is.
    kind: IntegrationKind,
    /// The word for it: an integration's `type`.
    #[serde(rename = "type")]
    id: &'static str,
    /// Its name as people know it.
    title: &'static str,
    /// An agent system: what it can do.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    manifest: Option<Manifest>,
    /// The settings, as JSON Schema (2020-12). Secrets are `writeOnly`.
    #[schema(value_type = Object)]
    settings_schema: Value,
}

/// What an agent system can do.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = ConnectorManifest)]
struct Manifest {
    /// It tells that an agent joined.
    tells_joined: bool,
    /// It tells the place in the queue.
    tells_position: bool,
    /// It drops a repeated delivery. If not, a delivery that may have arrived is not repeated.
    drops_repeats: bool,
    /// A session at it is one connection that Interline holds.
    holds_connection: bool,
    /// A lost connection can be taken up again.
    resumes: bool,
    /// How long its "ended" can overtake its last words, in milliseconds.
    drain_ms: u64,
    /// How long it may take to accept a transfer, in milliseconds, where that differs from the app's deadline.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    opening_ms: Option<u64>,
}

impl From<&manifest::Manifest> for Manifest {
    fn from(theirs: &manifest::Manifest) -> Self {
        Self {
            tells_joined: theirs.signals.joined,
            tells_position: theirs.signals.queued,
            drops_repeats: theirs.dedupe == manifest::Dedupe::ByKey,
            holds_connection: theirs.delivery == manifest::Delivery::Pinned,
            resumes: theirs.resumes,
            drain_ms: theirs.drain_ms,
            opening_ms: theirs.opening_ms,
        }
    }
}

/// List connectors
///
/// All types of channels and agent systems that this server knows, with the settings that each asks for.
#[utoipa::path(get, path = "/connectors", tag = "connectors", security(("key" = ["read"])),
    responses((status = 200, description = "All of them.", body = Page<Connector>)))]
async fn list_connectors(_: Keyed<Read>) -> Result<Json<Page<Connector>>, Problem> {
    let channels = interline_channels::CHANNELS.iter().map(|channel| Connector {
        kind: IntegrationKind::Channel,
        id: channel.id,
        title: channel.title,
        manifest: None,
        settings_schema: (channel.settings)().to_value(),
    });
    let agents = interline_agents::all().iter().map(|connector| Connector {
        kind: IntegrationKind::AgentSystem,
        id: connector.manifest().id,
        title: connector.manifest().title,
        manifest: Some(connector.manifest().into()),
        settings_schema: connector.settings_schema(),
    });
    Ok(Json(Page::all(channels.chain(agents).collect())))
}
