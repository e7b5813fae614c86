//! Flows: drafts, validation, publishing, history.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use interline_core::flow::{self, FlowName};
use interline_engine::FlowRow;
use interline_engine::config::{FlowRefused, FlowSummary, Invalid, Refused, Validated};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Api;
use super::apps::FlowShape;
use super::at::At;
use super::auth::{Admin, Keyed, Read, Scope};
use super::change::Versioned;
use super::input::{Body, Check, IfMatch, In, Params, Plain};
use super::page::{self, Limit, Page, behind};
use super::problem::{Fault, Problem};

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(get_flow_schema))
        .routes(routes!(list_flows, begin_flow))
        .routes(routes!(get_flow, publish_flow, unpublish_flow))
        .routes(routes!(get_draft, put_draft, delete_draft))
        .routes(routes!(publish_draft))
        .routes(routes!(validate_flow))
        .routes(routes!(list_versions))
        .routes(routes!(get_version))
        .routes(routes!(restore_version))
}

/// `…/flows/{flow}`.
#[derive(Deserialize)]
struct OneFlow {
    flow: Plain,
}

/// `…/flows/{flow}/versions/{version}`.
#[derive(Deserialize)]
struct OneVersion {
    flow: Plain,
    version: i64,
}

fn name(flow: &Plain) -> FlowName {
    FlowName::from(flow.as_str())
}

/// A flow in a list.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = FlowSummary)]
struct Summary {
    /// Its name. `main` is the one under `flow` of the document.
    name: String,
    /// Whether it is in force.
    published: bool,
    /// How many nodes the published one has.
    nodes: usize,
    /// The version of its draft, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    draft: Option<i64>,
}

/// A flow: its nodes by name, and which of them runs when. `GET /v1/flow_schema` describes it.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Flow)]
struct Shown {
    /// Its name.
    name: String,
    /// The document.
    #[schema(value_type = Object)]
    flow: Value,
}

/// A draft, or a published version.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = FlowVersion)]
struct Version {
    /// The flow's name.
    name: String,
    /// Counted from 1, drafts and published versions each for themselves.
    version: i64,
    /// When it was changed or published.
    at: At,
    /// By whom: the name of a key, `the API`, `a file`.
    by: String,
    /// The document.
    #[schema(value_type = Object)]
    flow: Value,
}

/// A published version in a list.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = FlowVersionSummary)]
struct VersionSummary {
    /// Counted from 1.
    version: i64,
    /// When it was published.
    at: At,
    /// By whom.
    by: String,
}

/// What the validator finds.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = FlowFindings)]
struct Findings {
    /// Whether it can be published: there are no errors.
    sound: bool,
    /// Errors first.
    findings: Vec<Finding>,
}

/// Something wrong in a flow.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = FlowFinding)]
struct Finding {
    /// `error`: it cannot be published. `warning`: it can, and probably should not be so.
    severity: Severity,
    /// Where: `flow.nodes.hello.message.next`.
    path: String,
    /// The node. Not there: the flow itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    node: Option<String>,
    /// What is wrong.
    message: String,
}

/// How bad it is.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = FlowSeverity)]
enum Severity {
    /// It cannot run.
    Error,
    /// It can run.
    Warning,
}

/// What publishing came to.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = FlowPublished)]
struct Published {
    /// The version of the app in force.
    app_version: i64,
    /// Warnings.
    findings: Vec<Finding>,
}

impl From<flow::Fault> for Finding {
    fn from(fault: flow::Fault) -> Self {
        let flow::Fault { path, node, message, severity } = fault;
        let severity = match severity {
            flow::Severity::Error => Severity::Error,
            flow::Severity::Warning => Severity::Warning,
        };
        Self { severity, path, node: node.map(|node| node.to_string()), message }
    }
}

impl From<Validated> for Findings {
    fn from(validated: Validated) -> Self {
        let sound = validated.is_sound();
        Self { sound, findings: validated.faults.into_iter().map(Into::into).collect() }
    }
}

impl From<FlowRefused> for Problem {
    fn from(refused: FlowRefused) -> Self {
        match refused {
            FlowRefused::Faults(faults) => {
                let errors = faults.into_iter().filter(|fault| fault.severity == flow::Severity::Error);
                Self::invalid(errors.map(|fault| Fault { path: fault.path, message: fault.message }))
            }
            FlowRefused::DraftChanged(version) => Refused::Conflict(version).into(),
            FlowRefused::Refused(refused) => refused.into(),
        }
    }
}

/// A flow as it is sent: the document by itself.
#[derive(Deserialize)]
#[serde(transparent)]
struct Sent(flow::Flow);

impl Check for Sent {
    /// The validator says more.
    fn check(&self, _: &mut Vec<Invalid>) {}
}

/// A new flow.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewFlow {
    /// Its name: letters, digits, `-`, `_`, `.`, at most 64.
    #[schema(value_type = String, pattern = "^[A-Za-z0-9._-]+$", max_length = 64)]
    name: Plain,
    /// The document.
    #[schema(value_type = FlowShape)]
    flow: flow::Flow,
}

impl Check for NewFlow {
    fn check(&self, faults: &mut Vec<Invalid>) {
        if self.name.as_str().len() > 64 {
            faults.push(Invalid::at("name", "is at most 64 characters long"));
        }
    }
}

fn json(flow: &impl Serialize) -> Value {
    serde_json::to_value(flow).unwrap_or_default()
}

fn version(name: &Plain, row: FlowRow) -> Result<Version, Problem> {
    let flow = serde_json::from_str(&row.doc).map_err(|_| Problem::internal())?;
    Ok(Version { name: name.to_string(), version: row.version, at: At(row.at), by: row.by, flow })
}

/// The JSON Schema of flows
///
/// What a flow may say: the node types, their fields and their exits.
#[utoipa::path(get, path = "/flow_schema", tag = "flows", security(("key" = ["read"])),
    responses((status = 200, description = "JSON Schema, draft 2020-12.", body = Object)))]
async fn get_flow_schema(_: Keyed<Read>) -> Json<Value> {
    Json(flow::schema().to_value())
}

/// Which flows.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ListFlows {
    /// How many at most.
    #[serde(default)]
    #[param(inline, required = false)]
    limit: Limit,
    /// `next` of the page before.
    #[param(nullable = false)]
    cursor: Option<String>,
}

/// List flows
///
/// Those in force, and those that are only drafted.
#[utoipa::path(get, path = "/apps/{app}/flows", tag = "flows", security(("key" = ["read"])), params(ListFlows),
    responses((status = 200, description = "A page of flows, by name.", body = Page<Summary>)))]
async fn list_flows(
    State(api): State<Api>,
    scope: Scope<Read>,
    Params(query): Params<ListFlows>,
) -> Result<Json<Page<Summary>>, Problem> {
    let all = api.engine.apps().flows(&scope.app).await?;
    let place = |summary: &FlowSummary| summary.name.to_string();
    let found = behind("flows", query.limit, query.cursor.as_deref(), all, place)?;
    Ok(Json(Page::of("flows", query.limit, found, place, |flow| Summary {
        name: flow.name.to_string(),
        published: flow.published,
        nodes: flow.nodes,
        draft: flow.draft,
    })))
}

/// Begin a flow
///
/// It is a draft until it is published.
#[utoipa::path(post, path = "/apps/{app}/flows", tag = "flows", security(("key" = ["admin"])),
    request_body = NewFlow,
    responses((status = 201, description = "It is drafted; this is what the validator says.", body = Findings),
        (status = 409, description = "`exists`: there is a flow of this name.")))]
async fn begin_flow(
    State(api): State<Api>,
    scope: Scope<Admin>,
    Body(new): Body<NewFlow>,
) -> Result<Versioned<Findings>, Problem> {
    let (apps, name) = (api.engine.apps(), name(&new.name));
    let version = apps.begin_flow(&scope.app, &name, &new.flow, &scope.holder.name).await?;
    let validated = apps.validate_flow(&scope.app, &name, &new.flow)?;
    Ok(Versioned(StatusCode::CREATED, version, validated.into()))
}

/// Get a published flow
#[utoipa::path(get, path = "/apps/{app}/flows/{flow}", tag = "flows", security(("key" = ["read"])),
    responses((status = 200, description = "The flow in force.", body = Shown)))]
async fn get_flow(
    State(api): State<Api>,
    scope: Scope<Read>,
    In(OneFlow { flow }): In<OneFlow>,
) -> Result<Json<Shown>, Problem> {
    let found = api.engine.apps().flow(&scope.app, &name(&flow))?;
    Ok(Json(Shown { name: flow.to_string(), flow: json(&found) }))
}

/// Publish a flow
///
/// Conversations that run keep the flows that they began with; those that begin from now on take this one.
#[utoipa::path(put, path = "/apps/{app}/flows/{flow}", tag = "flows", security(("key" = ["admin"])),
    request_body = FlowShape,
    responses((status = 200, description = "It is in force.", body = Published)))]
async fn publish_flow(
    State(api): State<Api>,
    scope: Scope<Admin>,
    In(OneFlow { flow }): In<OneFlow>,
    Body(Sent(sent)): Body<Sent>,
) -> Result<Versioned<Published>, Problem> {
    let (apps, name) = (api.engine.apps(), name(&flow));
    apps.knows_flow(&scope.app, &name).await?;
    Ok(published(apps.publish_flow(&scope.app, &name, &sent, &scope.holder.name).await?))
}

fn published((changed, validated): (interline_engine::config::Changed, Validated)) -> Versioned<Published> {
    let findings = Findings::from(validated).findings;
    Versioned(StatusCode::OK, changed.version, Published { app_version: changed.version, findings })
}

/// Take a flow out of force
///
/// Its history stays. `main` cannot be taken out, and neither can a flow that another names.
#[utoipa::path(delete, path = "/apps/{app}/flows/{flow}", tag = "flows", security(("key" = ["admin"])),
    responses((status = 204, description = "It is out of force."),
        (status = 400, description = "Another flow names it."),
        (status = 409, description = "`flow_in_use`: it is `main`.")))]
async fn unpublish_flow(
    State(api): State<Api>,
    scope: Scope<Admin>,
    In(OneFlow { flow }): In<OneFlow>,
) -> Result<StatusCode, Problem> {
    api.engine.apps().unpublish_flow(&scope.app, &name(&flow), &scope.holder.name).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Get a flow's draft
#[utoipa::path(get, path = "/apps/{app}/flows/{flow}/draft", tag = "flows", security(("key" = ["read"])),
    responses((status = 200, description = "The draft. Its version is the ETag.", body = Version)))]
async fn get_draft(
    State(api): State<Api>,
    scope: Scope<Read>,
    In(OneFlow { flow }): In<OneFlow>,
) -> Result<Versioned<Version>, Problem> {
    let row = api.engine.apps().flow_draft(&scope.app, &name(&flow)).await?;
    let row = row.ok_or_else(Problem::not_found)?;
    Ok(Versioned(StatusCode::OK, row.version, version(&flow, row)?))
}

/// Write a flow's draft
///
/// Whatever the validator says of it: a draft may be half done. `If-Match` is the ETag of the draft (`"0"`: there is none).
#[utoipa::path(put, path = "/apps/{app}/flows/{flow}/draft", tag = "flows", security(("key" = ["admin"])),
    params(IfMatch), request_body = FlowShape,
    responses((status = 200, description = "It is written; this is what the validator says.", body = Findings)))]
async fn put_draft(
    State(api): State<Api>,
    scope: Scope<Admin>,
    In(OneFlow { flow }): In<OneFlow>,
    expected: IfMatch,
    Body(Sent(sent)): Body<Sent>,
) -> Result<Versioned<Findings>, Problem> {
    let (apps, name) = (api.engine.apps(), name(&flow));
    apps.knows_flow(&scope.app, &name).await?;
    let version = apps.put_flow_draft(&scope.app, &name, &sent, &scope.holder.name, expected.0).await?;
    let validated = apps.validate_flow(&scope.app, &name, &sent)?;
    Ok(Versioned(StatusCode::OK, version, validated.into()))
}

/// Throw a flow's draft away
#[utoipa::path(delete, path = "/apps/{app}/flows/{flow}/draft", tag = "flows", security(("key" = ["admin"])),
    responses((status = 204, description = "It is gone.")))]
async fn delete_draft(
    State(api): State<Api>,
    scope: Scope<Admin>,
    In(OneFlow { flow }): In<OneFlow>,
) -> Result<StatusCode, Problem> {
    match api.engine.apps().delete_flow_draft(&scope.app, &name(&flow)).await? {
        true => Ok(StatusCode::NO_CONTENT),
        false => Err(Problem::not_found()),
    }
}

/// Publish a flow's draft
#[utoipa::path(post, path = "/apps/{app}/flows/{flow}/draft/publish", tag = "flows",
    security(("key" = ["admin"])),
    responses((status = 200, description = "It is in force, and the draft is gone.", body = Published),
        (status = 400, description = "It has errors; `errors` lists them.")))]
async fn publish_draft(
    State(api): State<Api>,
    scope: Scope<Admin>,
    In(OneFlow { flow }): In<OneFlow>,
) -> Result<Versioned<Published>, Problem> {
    let (apps, name) = (api.engine.apps(), name(&flow));
    let row = apps.flow_draft(&scope.app, &name).await?.ok_or_else(Problem::not_found)?;
    let sent: flow::Flow = serde_json::from_str(&row.doc).map_err(|_| Problem::internal())?;
    Ok(published(apps.publish_flow(&scope.app, &name, &sent, &scope.holder.name).await?))
}

/// Validate a flow
///
/// As if it were published under this name; nothing is written.
#[utoipa::path(post, path = "/apps/{app}/flows/{flow}/validate", tag = "flows", security(("key" = ["read"])),
    request_body = FlowShape,
    responses((status = 200, description = "What the validator says.", body = Findings)))]
async fn validate_flow(
    State(api): State<Api>,
    scope: Scope<Read>,
    In(OneFlow { flow }): In<OneFlow>,
    Body(Sent(sent)): Body<Sent>,
) -> Result<Json<Findings>, Problem> {
    let (apps, name) = (api.engine.apps(), name(&flow));
    apps.knows_flow(&scope.app, &name).await?;
    Ok(Json(apps.validate_flow(&scope.app, &name, &sent)?.into()))
}

/// List a flow's versions
///
/// Newest first.
#[utoipa::path(get, path = "/apps/{app}/flows/{flow}/versions", tag = "flows", security(("key" = ["read"])),
    params(ListFlows),
    responses((status = 200, description = "A page of versions, newest first.", body = Page<VersionSummary>)))]
async fn list_versions(
    State(api): State<Api>,
    scope: Scope<Read>,
    In(OneFlow { flow }): In<OneFlow>,
    Params(query): Params<ListFlows>,
) -> Result<Json<Page<VersionSummary>>, Problem> {
    let before: Option<i64> = page::read("flow_versions", query.cursor.as_deref())?;
    let before = before.unwrap_or(i64::MAX);
    let (apps, name) = (api.engine.apps(), name(&flow));
    let found = apps.flow_versions(&scope.app, &name, before, query.limit.and_one()).await?;
    if found.is_empty() {
        apps.knows_flow(&scope.app, &name).await?;
    }
    Ok(Json(Page::of(
        "flow_versions",
        query.limit,
        found,
        |row| row.version,
        |row| VersionSummary { version: row.version, at: At(row.at), by: row.by },
    )))
}

/// Get a version of a flow
#[utoipa::path(get, path = "/apps/{app}/flows/{flow}/versions/{version}", tag = "flows",
    security(("key" = ["read"])),
    responses((status = 200, description = "As it was published.", body = Version)))]
async fn get_version(
    State(api): State<Api>,
    scope: Scope<Read>,
    In(OneVersion { flow, version: no }): In<OneVersion>,
) -> Result<Json<Version>, Problem> {
    Ok(Json(version(&flow, api.engine.apps().flow_version(&scope.app, &name(&flow), no).await?)?))
}

/// Restore a version of a flow
///
/// It is published again, if it still makes sense: what it names may be gone.
#[utoipa::path(post, path = "/apps/{app}/flows/{flow}/versions/{version}/restore", tag = "flows",
    security(("key" = ["admin"])),
    responses((status = 200, description = "It is in force.", body = Published),
        (status = 400, description = "It makes no sense any more; `errors` says why.")))]
async fn restore_version(
    State(api): State<Api>,
    scope: Scope<Admin>,
    In(OneVersion { flow, version }): In<OneVersion>,
) -> Result<Versioned<Published>, Problem> {
    let apps = api.engine.apps();
    Ok(published(apps.restore_flow(&scope.app, &name(&flow), version, &scope.holder.name).await?))
}
