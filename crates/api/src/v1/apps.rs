//! Apps: what is in force, and putting a whole document in force.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use interline_core::{AppId, IntegrationName};
use interline_engine::KeyRole;
use interline_engine::config::{self, Document, Draft, Invalid, Origin, Refused, differences, masked};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Api;
use super::auth::{Admin, Keyed, Read, Scope};
use super::change::Versioned;
use super::input::{Body, Check, IfMatch, In, Params, Plain, document};
use super::page::{Limit, Page, behind};
use super::problem::Problem;
use super::words::{Algorithm, DifferenceKind, LiveTransfers, Scope as CredentialScope};

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(list_apps))
        .routes(routes!(get_app, apply_document))
        .routes(routes!(get_document))
}

/// An app in a list.
#[derive(Debug, Clone, Serialize, ToSchema)]
struct AppSummary {
    /// `st-` and a UUID: the bot id on every wire.
    id: String,
    /// As shown to customers.
    name: String,
    /// The version in force.
    version: i64,
}

/// An app.
#[derive(Debug, Clone, Serialize, ToSchema)]
struct App {
    /// `st-` and a UUID: the bot id on every wire.
    id: String,
    /// As shown to customers.
    name: String,
    /// The version in force. It is the ETag, too.
    version: i64,
    /// How much there is.
    counts: Counts,
    /// What it was made from. A secret stands there as `(secret)`.
    #[schema(value_type = DocumentShape)]
    document: Value,
}

/// How much there is of an app.
#[derive(Debug, Clone, Serialize, ToSchema)]
struct Counts {
    /// Customers known.
    customers: i64,
    /// Conversations kept, open or closed.
    conversations: i64,
    /// Conversations that are open.
    open: i64,
    /// Participants with entries before them.
    behind: i64,
    /// Participants whose last try failed.
    failing: i64,
}

/// An app as people write it: the same shape as the file of `serve --app`. Names are stable and references are by name.
/// A secret that you send as `(secret)` stays as it is.
#[derive(Serialize, ToSchema)]
#[schema(as = Document)]
#[allow(dead_code, reason = "only its schema is used")]
pub(super) struct DocumentShape {
    /// Which app, and what it is called.
    app: Identity,
    /// Who may sign, by name.
    #[schema(required = false)]
    credentials: BTreeMap<String, CredentialShape>,
    /// The channels, by name: `type`, and what the type's settings schema asks for (`GET /v1/connectors`).
    #[schema(required = false)]
    channels: BTreeMap<String, IntegrationShape>,
    /// The agent systems, by name: `type`, and what the type's settings schema asks for.
    #[schema(required = false)]
    agents: BTreeMap<String, IntegrationShape>,
    /// The agent system for channels that name none.
    #[schema(required = false)]
    default_agent: String,
    /// Channel → agent system.
    #[schema(required = false)]
    channel_agents: BTreeMap<String, String>,
    /// How long each stage of a transfer may take, in milliseconds: `requested_ms`, `opening_ms`, `waiting_ms`,
    /// `idle_ms`, `closing_ms`, `hold_ms`.
    #[schema(required = false)]
    deadlines: BTreeMap<String, u64>,
    /// What the customer is told when the flow says nothing else: `transfer_failed`, `not_delivered`, `dropped`.
    #[schema(required = false)]
    texts: BTreeMap<String, String>,
    /// The link to what was said before a transfer: `link` (whether there is one), `accesses`, `expires_hours`.
    #[schema(value_type = Object, required = false)]
    transcript: (),
    /// Files that customers and agents send: `enabled`, `max_bytes`, `formats`, `per_message`, `downloads`, `hours`,
    /// `strip_location`, `scan` (`found`: `block` or `warn`; `down`: `refuse` or `accept`).
    #[schema(value_type = Object, required = false)]
    files: (),
    /// The external bots, by name: `type`, and what the type's settings schema asks for.
    #[schema(required = false)]
    bots: BTreeMap<String, IntegrationShape>,
    /// Business hours, by name: `zone`, `week` (day → spans of `from` and `to`), `holidays` (date → spans).
    #[schema(value_type = Object, required = false)]
    hours: (),
    /// Texts that flows and scripts name as `content.<name>`.
    #[schema(required = false)]
    content: BTreeMap<String, String>,
    /// Settings that scripts, conditions and requests of flows name as `env.<name>`. They are secrets: `(secret)` where
    /// they are masked.
    #[schema(required = false)]
    env: BTreeMap<String, String>,
    /// When a silent conversation with the bot ends: `inactivity_minutes` (5 to 20160), `message`, `reminder` (`minutes`,
    /// `message`).
    #[schema(value_type = Object, required = false)]
    sessions: (),
    /// Channel → its entry flow; for others it is `flow`.
    #[schema(required = false)]
    channel_flows: BTreeMap<String, String>,
    /// What the bot says and when it hands over: the flow `main`.
    flow: FlowShape,
    /// More published flows, by name.
    #[schema(required = false)]
    flows: BTreeMap<String, FlowShape>,
}

/// What the bot says and when it hands over: nodes by name, and which of them runs when. `GET /v1/flow_schema` says all of
/// it.
#[derive(Serialize, ToSchema)]
#[schema(as = DocumentFlow)]
#[allow(dead_code, reason = "only its schema is used")]
pub(super) struct FlowShape {
    /// What it is for, in a line.
    #[schema(required = false)]
    title: String,
    /// The node that runs when the customer opens the chat.
    start: String,
    /// What the customer may say, first match first: `any` (whole words, in any case) and `go_to`.
    #[schema(value_type = Vec<Object>, required = false)]
    words: (),
    /// The node that runs when nothing in `words` matches. Not there: the flow begins anew.
    #[schema(required = false)]
    otherwise: String,
    /// The node that runs when a human part is over and its transfer node says nothing else.
    #[schema(required = false)]
    returned: String,
    /// The node, or the flow (`{ flow: … }`), that runs when a transfer found no agent and its node says nothing else.
    #[schema(value_type = Value, required = false)]
    no_agents: (),
    /// The node, or the flow, that runs when a transfer came outside working hours and its node says nothing else.
    #[schema(value_type = Value, required = false)]
    out_of_hours: (),
    /// The node, or the flow, that runs without words when a caller hangs up.
    #[schema(value_type = Value, required = false)]
    exit: (),
    /// What is said, and done in the end, while the bot waits for others.
    #[schema(value_type = Object, required = false)]
    no_input: (),
    /// The error exit of nodes that have none: `message`, `go_to`.
    #[schema(value_type = Object, required = false)]
    on_error: (),
    /// Voice properties of nodes that have none.
    #[schema(value_type = Object, required = false)]
    voice: (),
    /// The nodes by name, each with its type: `message`, `ivr_menu`, `digit_input`, `split`, `business_hours`,
    /// `agent_availability`, `set_queue`, `deflection`, `automation`, `api`, `go_to_flow`, `script`, `agent_transfer`, `end`.
    #[schema(value_type = Object, required = false)]
    nodes: (),
    /// Where the nodes stand in the designer.
    #[schema(value_type = Object, required = false)]
    layout: (),
}

/// Which app, and what it is called.
#[derive(Serialize, ToSchema)]
#[schema(as = AppIdentity)]
#[allow(dead_code, reason = "only its schema is used")]
struct Identity {
    /// `st-` and a lower-case version 5 UUID. An app keeps its id.
    id: String,
    /// As shown to customers.
    name: String,
    /// How long closed conversations are kept. Not there: until somebody erases them.
    #[schema(required = false)]
    retention_days: u32,
}

/// A client id with its secret, and what it opens.
#[derive(Serialize, ToSchema)]
#[schema(as = DocumentCredential)]
#[allow(dead_code, reason = "only its schema is used")]
struct CredentialShape {
    /// `cs-…`.
    client_id: String,
    /// `(secret)` where it is masked.
    client_secret: String,
    /// The only algorithm accepted and used. Default: HS256.
    #[schema(required = false)]
    algorithm: Algorithm,
    /// What it may be used for.
    scopes: Vec<CredentialScope>,
}

/// A configured connector: `type`, and beside it the settings of that type.
#[derive(Serialize, ToSchema)]
#[schema(as = DocumentIntegration)]
#[allow(dead_code, reason = "only its schema is used")]
struct IntegrationShape {
    /// Which connector.
    #[serde(rename = "type")]
    kind: String,
}

/// Which apps.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ListApps {
    /// How many at most.
    #[serde(default)]
    #[param(inline, required = false)]
    limit: Limit,
    /// `next` of the page before.
    #[param(nullable = false)]
    cursor: Option<String>,
}

/// List apps
///
/// Those that the key may see: its own, or with a server-wide key all.
#[utoipa::path(get, path = "/apps", tag = "apps", security(("key" = ["read"])), params(ListApps),
    responses((status = 200, description = "A page of apps, by id.", body = Page<AppSummary>)))]
async fn list_apps(
    State(api): State<Api>,
    keyed: Keyed<Read>,
    Params(query): Params<ListApps>,
) -> Result<Json<Page<AppSummary>>, Problem> {
    let apps = api.engine.apps();
    let known = apps.ids().into_iter().filter(|app| keyed.sees(app)).filter_map(|app| apps.get(&app));
    let summary = |runtime: std::sync::Arc<interline_engine::Runtime>| AppSummary {
        id: runtime.app.id.to_string(),
        name: runtime.channel_app.name.clone(),
        version: runtime.version,
    };
    let place = |app: &AppSummary| app.id.clone();
    let found = behind("apps", query.limit, query.cursor.as_deref(), known.map(summary), place)?;
    Ok(Json(Page::of("apps", query.limit, found, place, |app| app)))
}

/// Show an app
///
/// With its document, secrets masked, and how much there is of it.
#[utoipa::path(get, path = "/apps/{app}", tag = "apps", security(("key" = ["read"])),
    responses((status = 200, description = "The app.", body = App,
        headers(("ETag" = String, description = "The version, for `If-Match`.")))))]
async fn get_app(State(api): State<Api>, scope: Scope<Read>) -> Result<Versioned<App>, Problem> {
    let counts = api.engine.counts(&scope.app).await?;
    let app = App {
        id: scope.app.to_string(),
        name: scope.runtime.channel_app.name.clone(),
        version: scope.runtime.version,
        counts: Counts {
            customers: counts.customers,
            conversations: counts.conversations,
            open: counts.open,
            behind: counts.behind,
            failing: counts.failing,
        },
        document: masked(scope.document()?),
    };
    Ok(Versioned(StatusCode::OK, app.version, app))
}

/// How secrets are shown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Secrets {
    /// As `(secret)`.
    #[default]
    Masked,
    /// As they are.
    Clear,
}

/// How the document is shown.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ShowDocument {
    /// `masked` (the default) shows each secret as `(secret)`; `clear` needs the role `admin`.
    #[serde(default)]
    #[param(inline, required = false)]
    secrets: Secrets,
}

/// Export an app
///
/// The document that was put in force, as `PUT` takes it.
#[utoipa::path(get, path = "/apps/{app}/document", tag = "apps", security(("key" = ["read"])),
    params(ShowDocument),
    responses((status = 200, description = "The document.", body = DocumentShape,
        headers(("ETag" = String, description = "The version, for `If-Match`."))),
        (status = 403, description = "`role_too_weak`: secrets in the clear need `admin`.")))]
async fn get_document(
    scope: Scope<Read>,
    Params(query): Params<ShowDocument>,
) -> Result<Versioned<Value>, Problem> {
    let document = match query.secrets {
        Secrets::Masked => masked(scope.document()?),
        Secrets::Clear => {
            scope.need(KeyRole::Admin)?;
            tracing::info!(app = %scope.app, key = scope.holder.id, "secrets were shown by the API");
            scope.document()?.to_json()
        }
    };
    Ok(Versioned(StatusCode::OK, scope.runtime.version, document))
}

/// How a document is applied.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Apply {
    /// Says what would change, and every fault, and changes nothing.
    #[serde(default)]
    #[param(required = false)]
    dry_run: bool,
    /// Takes away what the document leaves out. Without it credentials, channels and agent systems that are left out stay.
    #[serde(default)]
    #[param(required = false)]
    prune: bool,
    /// What becomes of live transfers of agent systems that are taken away. There is no default.
    #[param(inline, nullable = false)]
    live: Option<LiveTransfers>,
}

/// What applying a document came to.
#[derive(Debug, Clone, Serialize, ToSchema)]
struct Applied {
    /// The version in force. 0: there is none yet (a dry run of a new app).
    version: i64,
    /// The document differs from what was in force before.
    changed: bool,
    /// What differs, in the order of the paths. Secrets are not shown.
    differences: Vec<Difference>,
    /// Agent systems that are taken away. Each stays until its last session is over.
    retired: Vec<String>,
}

/// One difference between two documents.
#[derive(Debug, Clone, Serialize, ToSchema)]
struct Difference {
    /// Where: `agents.desk.url`.
    path: String,
    /// What happens there.
    kind: DifferenceKind,
    /// What was there.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Value>)]
    before: Option<Value>,
    /// What will be there.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Value>)]
    after: Option<Value>,
}

impl Check for Value {
    /// The document says it itself, with all the rest.
    fn check(&self, _: &mut Vec<Invalid>) {}
}

/// `/v1/apps/{app}`, where the app need not be there yet.
#[derive(Deserialize)]
struct OneApp {
    app: Plain,
}

/// Apply a document
///
/// Makes the app, or changes it to this: validated as a whole, one commit, in force from the next input on. A new app needs
/// a server-wide key with the role `admin`.
#[utoipa::path(put, path = "/apps/{app}", tag = "apps", security(("key" = ["admin"])),
    params(Apply, IfMatch), request_body = DocumentShape,
    responses((status = 200, description = "It is in force, or, in a dry run, would be.", body = Applied),
        (status = 409, description = "`live_transfers`: an agent system that is taken away has live transfers, and \
            `live` was not given. `type_in_use`: one of another type than before has live transfers.")))]
async fn apply_document(
    State(api): State<Api>,
    keyed: Keyed<Admin>,
    In(OneApp { app }): In<OneApp>,
    Params(query): Params<Apply>,
    expected: IfMatch,
    Body(body): Body<Value>,
) -> Result<Versioned<Applied>, Problem> {
    let app = AppId::from(app.as_str());
    let apps = api.engine.apps();
    let current = apps.draft(&app);
    if !keyed.sees(&app) || (current.is_none() && keyed.holder.app.is_some()) {
        return Err(Problem::not_found());
    }
    let next = document(body)?;
    let in_force = apps.get(&app).map_or(0, |runtime| runtime.version);
    let merged = merge(&app, current.as_ref(), next.clone(), query.prune)?;
    let retired = missing(current.as_ref(), &merged);
    if query.live.is_none() {
        refuse_live(&api, &app, &retired).await?;
    }
    let mut told = Vec::new();
    let edit = |draft: Option<Draft>| {
        let document = merge(&app, draft.as_ref(), next, query.prune)?;
        // Somebody was faster, and what was asked about their sessions above is not what is taken away.
        if missing(draft.as_ref(), &document) != retired {
            return Err(Refused::Conflict(in_force));
        }
        told = differences(draft.as_ref().map(|draft| &draft.document), &document);
        Ok(Draft { document, retired: draft.map(|draft| draft.retired).unwrap_or_default() })
    };
    let (version, changed) = if query.dry_run {
        if expected.0.is_some_and(|expected| expected != in_force) {
            return Err(Refused::Conflict(in_force).into());
        }
        apps.check(&app, Origin::Api, edit).await?;
        (in_force, !told.is_empty())
    } else {
        let end = query.live == Some(LiveTransfers::End);
        let changed = apps.edit(&app, Origin::Api, expected.0, end, edit).await?;
        tracing::info!(%app, key = keyed.holder.id, version = changed.version, "a document was applied by the API");
        (changed.version, changed.new)
    };
    let differences = told.into_iter().map(Into::into).collect();
    let retired = retired.iter().map(ToString::to_string).collect();
    Ok(Versioned(StatusCode::OK, version, Applied { version, changed, differences, retired }))
}

fn merge(app: &AppId, current: Option<&Draft>, next: Document, prune: bool) -> Result<Document, Refused> {
    if next.app.id != app.as_str() {
        let message = format!("is `{}`, but the path says {app}", next.app.id);
        return Err(Refused::Invalid(vec![Invalid::at("app.id", message)]));
    }
    config::merge(current.map(|current| &current.document), next, prune).map_err(Refused::Invalid)
}

/// The agent systems that are in force and will not be.
fn missing(current: Option<&Draft>, next: &Document) -> Vec<IntegrationName> {
    let names = current.into_iter().flat_map(|current| current.document.agents.keys());
    names.filter(|name| !next.agents.contains_key(*name)).cloned().collect()
}

async fn refuse_live(api: &Api, app: &AppId, retired: &[IntegrationName]) -> Result<(), Problem> {
    for name in retired {
        let live = api.engine.apps().sessions(app, name).await?;
        if live > 0 {
            let detail = format!(
                "{live} transfers on `{name}` are not over: say live=end to end them, or live=stay to let them go on"
            );
            return Err(Problem::conflict("live_transfers", detail));
        }
    }
    Ok(())
}

impl From<config::Difference> for Difference {
    fn from(difference: config::Difference) -> Self {
        let config::Difference { path, kind, before, after } = difference;
        Self { path, kind: kind.into(), before, after }
    }
}
