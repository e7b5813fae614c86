//! Keys of the API for one app. Server-wide keys are made by the command line alone.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use interline_connector::channel::Host as _;
use interline_engine::KeyRow;
use interline_engine::config::Invalid;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Api;
use super::at::At;
use super::auth::{Admin, Read, Scope};
use super::input::{Body, Check, In, Params, Plain, check_text};
use super::page::{self, Limit, Page};
use super::problem::Problem;
use super::words::KeyRole;

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(list_keys, create_key)).routes(routes!(revoke_key))
}

/// A key, without its secret part.
#[derive(Debug, Clone, Serialize, ToSchema)]
struct Key {
    /// The public part.
    id: String,
    /// It stands in timelines.
    name: String,
    /// What it may do.
    role: KeyRole,
    /// When it was made.
    created_at: At,
    /// From when on it does not count. Not there: never.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    expires_at: Option<At>,
    /// Since when it does not count, because it was revoked.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    revoked_at: Option<At>,
}

/// A key that was made just now.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = KeyWithToken)]
struct NewKey {
    #[serde(flatten)]
    key: Key,
    /// What to send as `Authorization: Bearer …`. Keep it: it is shown only here.
    token: String,
}

impl TryFrom<KeyRow> for Key {
    type Error = Problem;

    fn try_from(row: KeyRow) -> Result<Self, Problem> {
        let role: interline_engine::KeyRole = row.role.parse().map_err(|_| Problem::internal())?;
        Ok(Self {
            id: row.id,
            name: row.name,
            role: role.into(),
            created_at: At(row.created_at),
            expires_at: row.expires_at.map(At),
            revoked_at: row.revoked_at.map(At),
        })
    }
}

/// Which keys.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ListKeys {
    /// How many at most.
    #[serde(default)]
    #[param(inline, required = false)]
    limit: Limit,
    /// `next` of the page before.
    #[param(nullable = false)]
    cursor: Option<String>,
}

/// List keys
///
/// Those of this app, oldest first, also expired and revoked ones.
#[utoipa::path(get, path = "/apps/{app}/keys", tag = "keys", security(("key" = ["read"])), params(ListKeys),
    responses((status = 200, description = "A page of keys, oldest first.", body = Page<Key>)))]
async fn list_keys(
    State(api): State<Api>,
    scope: Scope<Read>,
    Params(query): Params<ListKeys>,
) -> Result<Json<Page<Key>>, Problem> {
    let after: Option<String> = page::read("keys", query.cursor.as_deref())?;
    let rows = api.engine.keys(&scope.app, after.as_deref(), query.limit.and_one()).await?;
    let keys = rows.into_iter().map(Key::try_from).collect::<Result<Vec<_>, _>>()?;
    Ok(Json(Page::of("keys", query.limit, keys, |key| key.id.clone(), |key| key)))
}

/// A key to make.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewKey)]
struct KeyToMake {
    /// It stands in timelines: who or what it is for.
    #[schema(min_length = 1, max_length = 100)]
    name: String,
    /// What it may do.
    role: KeyRole,
    /// From when on it does not count: a time that is still to come. Default: never.
    expires_at: Option<At>,
}

impl Check for KeyToMake {
    fn check(&self, faults: &mut Vec<Invalid>) {
        check_text("name", &self.name, 100, false, faults);
    }
}

/// Make a key
///
/// For this app alone. Its token is shown in the answer and never again.
#[utoipa::path(post, path = "/apps/{app}/keys", tag = "keys", security(("key" = ["admin"])),
    request_body = KeyToMake,
    responses((status = 201, description = "The key, with its token.", body = NewKey)))]
async fn create_key(
    State(api): State<Api>,
    scope: Scope<Admin>,
    Body(new): Body<KeyToMake>,
) -> Result<(StatusCode, Json<NewKey>), Problem> {
    if new.expires_at.is_some_and(|at| at.0 <= api.engine.now_ms()) {
        return Err(Problem::at("expires_at", "is over already"));
    }
    // The maker is an admin, and there is no higher role.
    let expires_at = new.expires_at.map(|at| at.0);
    let made = api.engine.create_key(Some(&scope.app), new.role.into(), &new.name, expires_at).await?;
    tracing::info!(app = %scope.app, key = scope.holder.id, made = made.row.id, "a key was made by the API");
    let key = NewKey { token: made.token, key: made.row.try_into()? };
    Ok((StatusCode::CREATED, Json(key)))
}

/// `…/{key}`.
#[derive(Deserialize)]
struct OneKey {
    key: Plain,
}

/// Revoke a key
///
/// It does not count from now on. A key may revoke itself.
#[utoipa::path(delete, path = "/apps/{app}/keys/{key}", tag = "keys", security(("key" = ["admin"])),
    responses((status = 204, description = "It is revoked."),
        (status = 404, description = "`not_found`: this app has no such key, or it was revoked before.")))]
async fn revoke_key(
    State(api): State<Api>,
    scope: Scope<Admin>,
    In(OneKey { key }): In<OneKey>,
) -> Result<StatusCode, Problem> {
    if !api.engine.revoke_key(&scope.app, key.as_str()).await? {
        return Err(Problem::not_found());
    }
    tracing::info!(app = %scope.app, key = scope.holder.id, revoked = %key, "a key was revoked by the API");
    Ok(StatusCode::NO_CONTENT)
}
