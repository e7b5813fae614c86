//! Integrations: the channels and agent systems of an app, one at a time.

use std::time::Instant;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use interline_core::IntegrationName;
use interline_engine::config::{
    Deleted, Document, Integration as Configured, Invalid, LiveTransfers, Refused, Replacement,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Api;
use super::auth::{Admin, Operate, Read, Scope};
use super::change::{Versioned, change, told};
use super::input::{Body, Check, IfMatch, In, Named, Params, Plain, precise};
use super::integration::{Integration, count, view, views};
use super::page::{Limit, Page, behind};
use super::patch::merge_patch;
use super::problem::{Fault, Problem};
use super::words::{self, IntegrationKind};

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(list_integrations, create_integration))
        .routes(routes!(get_integration, replace_integration, patch_integration, delete_integration))
        .routes(routes!(test_integration))
        .routes(routes!(show_webhook))
        .routes(routes!(make_default, unmake_default))
}

/// Which integrations.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ListIntegrations {
    /// Only channels, or only agent systems.
    #[param(inline, nullable = false)]
    kind: Option<IntegrationKind>,
    /// How many at most.
    #[serde(default)]
    #[param(inline, required = false)]
    limit: Limit,
    /// `next` of the page before.
    #[param(nullable = false)]
    cursor: Option<String>,
}

/// List integrations
///
/// Channels and agent systems, by name; deleted agent systems that still have sessions are marked `retired`.
#[utoipa::path(get, path = "/apps/{app}/integrations", tag = "integrations", security(("key" = ["read"])),
    params(ListIntegrations),
    responses((status = 200, description = "A page of integrations, by name.", body = Page<Integration>)))]
async fn list_integrations(
    State(api): State<Api>,
    scope: Scope<Read>,
    Params(query): Params<ListIntegrations>,
) -> Result<Json<Page<Integration>>, Problem> {
    let all =
        views(scope.draft()?).into_iter().filter(|view| query.kind.is_none_or(|kind| view.kind == kind));
    let place = |view: &Integration| (view.name.clone(), view.retired);
    let mut found = behind("integrations", query.limit, query.cursor.as_deref(), all, place)?;
    for view in &mut found {
        count(&api, &scope, view).await?;
    }
    Ok(Json(Page::of("integrations", query.limit, found, place, |view| view)))
}

/// A new integration.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewIntegration {
    /// Its name: letters, digits, `-`, `_`, `.`, at most 64. It stays.
    #[schema(min_length = 1, max_length = 64, pattern = "^[A-Za-z0-9._-]+$")]
    name: String,
    /// What it is.
    kind: IntegrationKind,
    /// Which connector.
    #[serde(rename = "type")]
    connector: String,
    /// What the connector's settings schema asks for.
    #[schema(value_type = Object)]
    settings: Map<String, Value>,
    /// An agent system: makes it the one for channels that name none.
    #[serde(default)]
    #[schema(required = false)]
    default: bool,
}

impl Check for NewIntegration {
    fn check(&self, faults: &mut Vec<Invalid>) {
        if self.name.len() > 64 || Plain::try_from(self.name.clone()).is_err() {
            faults.push(Invalid::at("name", "use letters, digits, `-`, `_` and `.`, 1 to 64 of them"));
        }
        if self.default && self.kind == IntegrationKind::Channel {
            faults.push(Invalid::at("default", "only an agent system can be the default"));
        }
        check_settings(&self.settings, faults);
    }
}

fn check_settings(settings: &Map<String, Value>, faults: &mut Vec<Invalid>) {
    if settings.contains_key("type") {
        faults.push(Invalid::at("settings.type", "stands beside `settings`, not in it"));
    }
}

/// Add an integration
///
/// In force from the next input on.
#[utoipa::path(post, path = "/apps/{app}/integrations", tag = "integrations", security(("key" = ["admin"])),
    params(IfMatch), request_body = NewIntegration,
    responses((status = 201, description = "It is in force.", body = Integration),
        (status = 409, description = "`exists`: there is one of this name. `type_in_use`: one of this name was \
            deleted, was of another type, and still has sessions.")))]
async fn create_integration(
    State(api): State<Api>,
    scope: Scope<Admin>,
    expected: IfMatch,
    Body(new): Body<NewIntegration>,
) -> Result<Versioned<Integration>, Problem> {
    let name = IntegrationName::from(new.name.as_str());
    let edit = |document: &mut Document| {
        if document.channels.contains_key(&name) || document.agents.contains_key(&name) {
            return Err(Refused::Exists(format!("an integration `{name}`")));
        }
        let configured = Configured { kind: new.connector, settings: new.settings };
        match new.kind {
            IntegrationKind::Channel => document.channels.insert(name.clone(), configured),
            IntegrationKind::AgentSystem => document.agents.insert(name.clone(), configured),
        };
        if new.default {
            document.default_agent = Some(name.clone());
        }
        Ok(())
    };
    changed(&api, &scope, StatusCode::CREATED, &name, expected, edit).await
}

/// Show an integration
#[utoipa::path(get, path = "/apps/{app}/integrations/{name}", tag = "integrations",
    security(("key" = ["read"])),
    responses((status = 200, description = "The integration.", body = Integration,
        headers(("ETag" = String, description = "The app's version, for `If-Match`.")))))]
async fn get_integration(
    State(api): State<Api>,
    scope: Scope<Read>,
    In(Named { name }): In<Named>,
) -> Result<Versioned<Integration>, Problem> {
    let mut view = view(&scope.runtime, &name)?;
    count(&api, &scope, &mut view).await?;
    Ok(Versioned(StatusCode::OK, scope.runtime.version, view))
}

/// An integration's settings.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = IntegrationSettings)]
struct Replacing {
    /// Another connector. Default: the same. An agent system with live sessions keeps its type.
    #[serde(rename = "type")]
    connector: Option<String>,
    /// All settings. A secret that you send as `(secret)` stays as it is.
    #[schema(value_type = Object)]
    settings: Map<String, Value>,
}

impl Check for Replacing {
    fn check(&self, faults: &mut Vec<Invalid>) {
        check_settings(&self.settings, faults);
    }
}

/// Replace an integration's settings
///
/// In force from the next input on. What is left out takes its default.
#[utoipa::path(put, path = "/apps/{app}/integrations/{name}", tag = "integrations",
    security(("key" = ["admin"])), params(IfMatch), request_body = Replacing,
    responses((status = 200, description = "They are in force.", body = Integration),
        (status = 409, description = "`type_in_use`: it has live sessions and keeps its type.")))]
async fn replace_integration(
    State(api): State<Api>,
    scope: Scope<Admin>,
    In(Named { name }): In<Named>,
    expected: IfMatch,
    Body(new): Body<Replacing>,
) -> Result<Versioned<Integration>, Problem> {
    let name = IntegrationName::from(name.as_str());
    let edit = |document: &mut Document| {
        let configured = configured(document, &name)?;
        configured.settings = new.settings;
        if let Some(connector) = new.connector {
            configured.kind = connector;
        }
        Ok(())
    };
    changed(&api, &scope, StatusCode::OK, &name, expected, edit).await
}

/// A change of an integration's settings.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = IntegrationPatch)]
struct Patch {
    /// What is to be otherwise (RFC 7386): null takes a setting away.
    #[schema(value_type = Object)]
    settings: Map<String, Value>,
}

impl Check for Patch {
    fn check(&self, faults: &mut Vec<Invalid>) {
        check_settings(&self.settings, faults);
    }
}

/// Change some of an integration's settings
///
/// In force from the next input on. What is left out stays.
#[utoipa::path(patch, path = "/apps/{app}/integrations/{name}", tag = "integrations",
    security(("key" = ["admin"])), params(IfMatch), request_body = Patch,
    responses((status = 200, description = "They are in force.", body = Integration)))]
async fn patch_integration(
    State(api): State<Api>,
    scope: Scope<Admin>,
    In(Named { name }): In<Named>,
    expected: IfMatch,
    Body(patch): Body<Patch>,
) -> Result<Versioned<Integration>, Problem> {
    let name = IntegrationName::from(name.as_str());
    let edit = |document: &mut Document| {
        merge_patch(&mut configured(document, &name)?.settings, patch.settings);
        Ok(())
    };
    changed(&api, &scope, StatusCode::OK, &name, expected, edit).await
}

/// How an integration is deleted.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Deleting {
    /// Which agent system takes its place as the default and for channels that name it; or `none`: nobody does.
    #[param(value_type = Option<String>, pattern = "^[A-Za-z0-9._-]+$", max_length = 128, nullable = false)]
    replacement: Option<Plain>,
    /// What becomes of live transfers. There is no default.
    #[param(inline, nullable = false)]
    live: Option<words::LiveTransfers>,
}

/// What was deleted.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = DeletedIntegration)]
struct DeletedView {
    /// The app's version in force.
    version: i64,
    /// Where it was named before: `default_agent`, `channel_agents.web`, `flow.nodes.handover`.
    named_in: Vec<String>,
    /// How many of its sessions were not over. They end, or go on, as was chosen.
    live: i64,
}

/// Delete an integration
///
/// What named it names the replacement, or nothing; who still talks through it is ended or goes on: by choice, in one
/// commit. `none` is always the word, never a name.
#[utoipa::path(delete, path = "/apps/{app}/integrations/{name}", tag = "integrations",
    security(("key" = ["admin"])), params(Deleting, IfMatch),
    responses((status = 200, description = "It is deleted.", body = DeletedView),
        (status = 409, description = "`live_transfers`: it has live transfers; say `live=end` or `live=stay`. \
            `replacement_needed`: it is the default, or a channel names it; say `replacement=NAME` or \
            `replacement=none`.")))]
async fn delete_integration(
    State(api): State<Api>,
    scope: Scope<Admin>,
    In(Named { name }): In<Named>,
    Params(query): Params<Deleting>,
    expected: IfMatch,
) -> Result<Versioned<DeletedView>, Problem> {
    let replacement = query.replacement.map(|name| match name.as_str() {
        "none" => Replacement::Nothing,
        name => Replacement::With(name.into()),
    });
    let (name, live) = (IntegrationName::from(name.as_str()), query.live.map(LiveTransfers::from));
    let deleted =
        api.engine.apps().delete_integration(&scope.app, &name, replacement, live, expected.0).await?;
    let Deleted { version, named_in, live } = deleted;
    told(&scope, &interline_engine::config::Changed { version, new: true });
    Ok(Versioned(StatusCode::OK, version, DeletedView { version, named_in, live }))
}

/// Where an agent system calls.
#[derive(Serialize, ToSchema)]
struct Webhook {
    /// The address to enter at the vendor. Whoever knows it may call it.
    url: String,
}

/// Show an agent system's webhook address
///
/// The address that its vendor calls, for systems that call: the set-up guide of each says where to enter it. It holds a
/// secret part, and stays the same until the server's key is changed and the old one is removed.
#[utoipa::path(get, path = "/apps/{app}/integrations/{name}/webhook", tag = "integrations",
    security(("key" = ["admin"])),
    responses((status = 200, description = "The address.", body = Webhook)))]
async fn show_webhook(
    State(api): State<Api>,
    scope: Scope<Admin>,
    In(Named { name }): In<Named>,
) -> Result<Json<Webhook>, Problem> {
    let name = IntegrationName::from(name.as_str());
    let url = api.engine.webhook_of(&scope.app, &name).ok_or_else(Problem::not_found)?;
    Ok(Json(Webhook { url: url.into() }))
}

/// What a connection test came to.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = TestResult)]
struct Tested {
    /// It would work.
    ok: bool,
    /// If not: what is wrong, and what to do.
    message: String,
    /// How long it took, in milliseconds.
    took_ms: u64,
}

/// Test an integration
///
/// Calls the agent system, for 20 seconds at most, and says whether a transfer there would work. A channel calls nobody: its
/// settings were checked when it was configured.
#[utoipa::path(post, path = "/apps/{app}/integrations/{name}/test", tag = "integrations",
    security(("key" = ["operate"])),
    responses((status = 200, description = "What came of it. A failed test is `ok: false`, not an error.",
        body = Tested)))]
async fn test_integration(
    State(api): State<Api>,
    scope: Scope<Operate>,
    In(Named { name }): In<Named>,
) -> Result<Json<Tested>, Problem> {
    if scope.document()?.channels.contains_key(&IntegrationName::from(name.as_str())) {
        let message = "A channel calls nobody; its settings are in force.".into();
        return Ok(Json(Tested { ok: true, message, took_ms: 0 }));
    }
    let began = Instant::now();
    let probed = api.engine.probe(&scope.app, name.as_str()).await.ok_or_else(Problem::not_found)?;
    let took_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    Ok(Json(match probed {
        Ok(()) => Tested { ok: true, message: "It works.".into(), took_ms },
        Err(message) => Tested { ok: false, message, took_ms },
    }))
}

/// Make an agent system the default
///
/// It is the one for channels that name none.
#[utoipa::path(post, path = "/apps/{app}/integrations/{name}/default", tag = "integrations",
    security(("key" = ["admin"])), params(IfMatch),
    responses((status = 200, description = "It is the default.", body = Integration),
        (status = 409, description = "`not_an_agent_system`: it is a channel.")))]
async fn make_default(
    State(api): State<Api>,
    scope: Scope<Admin>,
    In(Named { name }): In<Named>,
    expected: IfMatch,
) -> Result<Versioned<Integration>, Problem> {
    let name = IntegrationName::from(name.as_str());
    let edit = |document: &mut Document| {
        configured(document, &name)?;
        if !document.agents.contains_key(&name) {
            let message = format!("`{name}` is a channel; only an agent system can be the default");
            return Err(Refused::InUse { code: "not_an_agent_system", message });
        }
        document.default_agent = Some(name.clone());
        Ok(())
    };
    changed(&api, &scope, StatusCode::OK, &name, expected, edit).await
}

/// Have no default agent system
///
/// Transfers of channels that name none then find no agent system.
#[utoipa::path(delete, path = "/apps/{app}/integrations/{name}/default", tag = "integrations",
    security(("key" = ["admin"])), params(IfMatch),
    responses((status = 200, description = "There is no default any more.", body = Integration),
        (status = 409, description = "`not_the_default`: it was not the default.")))]
async fn unmake_default(
    State(api): State<Api>,
    scope: Scope<Admin>,
    In(Named { name }): In<Named>,
    expected: IfMatch,
) -> Result<Versioned<Integration>, Problem> {
    let name = IntegrationName::from(name.as_str());
    let edit = |document: &mut Document| {
        configured(document, &name)?;
        if document.default_agent.as_ref() != Some(&name) {
            let message = format!("`{name}` is not the default");
            return Err(Refused::InUse { code: "not_the_default", message });
        }
        document.default_agent = None;
        Ok(())
    };
    changed(&api, &scope, StatusCode::OK, &name, expected, edit).await
}

/// Changes the app, and shows the integration as it is then.
async fn changed(
    api: &Api,
    scope: &Scope<Admin>,
    status: StatusCode,
    name: &IntegrationName,
    expected: IfMatch,
    edit: impl FnOnce(&mut Document) -> Result<(), Refused> + Send,
) -> Result<Versioned<Integration>, Problem> {
    let place = |fault: &Fault| precise(&place(&fault.path, name), &fault.message);
    let changed = change(api, scope, expected, edit).await;
    let changed = changed.map_err(|refused| Problem::from(refused).placed(place))?;
    let runtime = api.engine.apps().get(&scope.app).ok_or_else(Problem::not_found)?;
    let mut view = view(&runtime, &Plain::try_from(name.to_string()).map_err(|_| Problem::not_found())?)?;
    count(api, scope, &mut view).await?;
    Ok(Versioned(status, changed.version, view))
}

/// A place in the document, as the sender of this integration knows it.
fn place(path: &str, name: &IntegrationName) -> String {
    let inner = ["agents.", "channels."]
        .iter()
        .find_map(|group| path.strip_prefix(group)?.strip_prefix(name.as_str()))
        .filter(|rest| rest.is_empty() || rest.starts_with('.'));
    match inner {
        Some("") => "settings".into(),
        Some(".type") => "type".into(),
        Some(rest) => format!("settings{rest}"),
        None => path.to_owned(),
    }
}

fn configured<'a>(document: &'a mut Document, name: &IntegrationName) -> Result<&'a mut Configured, Refused> {
    let Document { channels, agents, .. } = document;
    let found = channels.get_mut(name).or_else(|| agents.get_mut(name));
    found.ok_or_else(|| Refused::Unknown(format!("integration `{name}`")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_told_where_the_sender_wrote_it() {
        let name = IntegrationName::from("desk");
        for (path, told) in [
            ("agents.desk.url", "settings.url"),
            ("agents.desk.type", "type"),
            ("agents.desk", "settings"),
            ("channels.desk.origins", "settings.origins"),
            ("agents.desk2.url", "agents.desk2.url"),
            ("flow.start", "flow.start"),
        ] {
            assert_eq!(place(path, &name), told);
        }
    }
}
