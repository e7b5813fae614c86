//! Credentials: client ids with their secrets, and what each opens. A secret that we make is shown once.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use interline_connector::Secret;
use interline_engine::config::{Document, Invalid, Refused, ScopedCredential};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::Api;
use super::auth::{Admin, Read, Scope};
use super::change::{Versioned, change};
use super::input::{Body, Check, IfMatch, In, Named, Params, Plain, check_text};
use super::page::{Limit, Page, behind};
use super::problem::{Fault, Problem};
use super::words::{Algorithm, Scope as Opens};

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(list_credentials, create_credential))
        .routes(routes!(get_credential, set_scopes, delete_credential))
        .routes(routes!(rotate_credential))
}

/// A client id, and what it opens. Its secret is not shown.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Credential)]
struct View {
    /// Its name in the app.
    name: String,
    /// `cs-…`.
    client_id: String,
    /// The only algorithm accepted and used.
    algorithm: Algorithm,
    /// What it may be used for.
    scopes: Vec<Opens>,
}

/// A credential, with the secret if it was made just now.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = CredentialWithSecret)]
struct Fresh {
    #[serde(flatten)]
    view: View,
    /// The secret that was made: keep it, it is shown only here. Not there when you brought your own.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    client_secret: Option<String>,
}

fn view(name: &str, credential: &ScopedCredential) -> View {
    View {
        name: name.to_owned(),
        client_id: credential.client_id.clone(),
        algorithm: credential.algorithm.into(),
        scopes: credential.scopes.iter().copied().map(Into::into).collect(),
    }
}

/// As it is in force now.
fn now(api: &Api, scope: &Scope<Admin>, name: &Plain) -> Result<View, Problem> {
    let draft = api.engine.apps().draft(&scope.app).ok_or_else(Problem::not_found)?;
    let credential = draft.document.credentials.get(name.as_str()).ok_or_else(Problem::not_found)?;
    Ok(view(name.as_str(), credential))
}

/// 244 random bits.
fn random() -> String {
    format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple())
}

/// Which credentials.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ListCredentials {
    /// How many at most.
    #[serde(default)]
    #[param(inline, required = false)]
    limit: Limit,
    /// `next` of the page before.
    #[param(nullable = false)]
    cursor: Option<String>,
}

/// List credentials
#[utoipa::path(get, path = "/apps/{app}/credentials", tag = "credentials", security(("key" = ["read"])),
    params(ListCredentials),
    responses((status = 200, description = "A page of credentials, by name.", body = Page<View>)))]
async fn list_credentials(
    scope: Scope<Read>,
    Params(query): Params<ListCredentials>,
) -> Result<Json<Page<View>>, Problem> {
    let all = scope.document()?.credentials.iter().map(|(name, credential)| view(name, credential));
    let place = |view: &View| view.name.clone();
    let found = behind("credentials", query.limit, query.cursor.as_deref(), all, place)?;
    Ok(Json(Page::of("credentials", query.limit, found, place, |view| view)))
}

/// Show a credential
#[utoipa::path(get, path = "/apps/{app}/credentials/{name}", tag = "credentials",
    security(("key" = ["read"])),
    responses((status = 200, description = "The credential, without its secret.", body = View,
        headers(("ETag" = String, description = "The app's version, for `If-Match`.")))))]
async fn get_credential(
    scope: Scope<Read>,
    In(Named { name }): In<Named>,
) -> Result<Versioned<View>, Problem> {
    let credential = scope.document()?.credentials.get(name.as_str()).ok_or_else(Problem::not_found)?;
    Ok(Versioned(StatusCode::OK, scope.runtime.version, view(name.as_str(), credential)))
}

/// A new credential.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewCredential {
    /// Its name: letters, digits, `-`, `_`, `.`, at most 64. It stays.
    #[schema(min_length = 1, max_length = 64, pattern = "^[A-Za-z0-9._-]+$")]
    name: String,
    /// Default: `cs-` and a random UUID.
    #[schema(min_length = 1, max_length = 128)]
    client_id: Option<String>,
    /// Default: 244 random bits, shown in the answer and never again.
    #[schema(min_length = 1, max_length = 512)]
    client_secret: Option<String>,
    /// The only algorithm accepted and used. Default: HS256.
    algorithm: Option<Algorithm>,
    /// What it may be used for.
    scopes: Vec<Opens>,
}

impl Check for NewCredential {
    fn check(&self, faults: &mut Vec<Invalid>) {
        if self.name.len() > 64 || Plain::try_from(self.name.clone()).is_err() {
            faults.push(Invalid::at("name", "use letters, digits, `-`, `_` and `.`, 1 to 64 of them"));
        }
        if let Some(id) = &self.client_id {
            check_text("client_id", id, 128, false, faults);
        }
        if let Some(secret) = &self.client_secret {
            check_text("client_secret", secret, 512, false, faults);
            if secret == interline_engine::config::KEPT {
                faults.push(Invalid::at("client_secret", "stands for a secret that is there; leave it out"));
            }
        }
    }
}

/// Add a credential
#[utoipa::path(post, path = "/apps/{app}/credentials", tag = "credentials", security(("key" = ["admin"])),
    params(IfMatch), request_body = NewCredential,
    responses((status = 201, description = "It counts from now on.", body = Fresh),
        (status = 409, description = "`exists`: there is one of this name.")))]
async fn create_credential(
    State(api): State<Api>,
    scope: Scope<Admin>,
    expected: IfMatch,
    Body(new): Body<NewCredential>,
) -> Result<Versioned<Fresh>, Problem> {
    let made = new.client_secret.is_none().then(random);
    let credential = ScopedCredential {
        client_id: new.client_id.unwrap_or_else(|| format!("cs-{}", Uuid::new_v4())),
        client_secret: Secret::new(new.client_secret.or_else(|| made.clone()).unwrap_or_default()),
        algorithm: new.algorithm.map(Into::into).unwrap_or_default(),
        scopes: new.scopes.into_iter().map(Into::into).collect(),
    };
    let name = new.name;
    let fresh = Fresh { view: view(&name, &credential), client_secret: made };
    let edit = |document: &mut Document| {
        if document.credentials.contains_key(&name) {
            return Err(Refused::Exists(format!("a credential `{name}`")));
        }
        document.credentials.insert(name.clone(), credential);
        Ok(())
    };
    let here = format!("credentials.{name}.");
    let place = |fault: &Fault| fault.path.strip_prefix(&here).unwrap_or(&fault.path).to_owned();
    let changed = change(&api, &scope, expected, edit).await;
    let changed = changed.map_err(|refused| Problem::from(refused).placed(place))?;
    Ok(Versioned(StatusCode::CREATED, changed.version, fresh))
}

/// What a credential may be used for.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = CredentialScopes)]
struct Scopes {
    /// All of it.
    scopes: Vec<Opens>,
}

impl Check for Scopes {
    fn check(&self, _: &mut Vec<Invalid>) {}
}

/// Change what a credential opens
#[utoipa::path(patch, path = "/apps/{app}/credentials/{name}", tag = "credentials",
    security(("key" = ["admin"])), params(IfMatch), request_body = Scopes,
    responses((status = 200, description = "It is in force.", body = View),
        (status = 409, description = "`credential_in_use`: an integration needs a scope that would be gone; `errors` \
            says which.")))]
async fn set_scopes(
    State(api): State<Api>,
    scope: Scope<Admin>,
    In(Named { name }): In<Named>,
    expected: IfMatch,
    Body(new): Body<Scopes>,
) -> Result<Versioned<View>, Problem> {
    let edit = |document: &mut Document| {
        known(document, &name)?.scopes = new.scopes.into_iter().map(Into::into).collect();
        Ok(())
    };
    let changed = change(&api, &scope, expected, edit).await.map_err(in_use)?;
    Ok(Versioned(StatusCode::OK, changed.version, now(&api, &scope, &name)?))
}

/// Give a credential a new secret
///
/// The old one counts no more, at once. The new one is shown in the answer and never again.
#[utoipa::path(post, path = "/apps/{app}/credentials/{name}/rotate", tag = "credentials",
    security(("key" = ["admin"])), params(IfMatch),
    responses((status = 200, description = "The new secret.", body = Fresh)))]
async fn rotate_credential(
    State(api): State<Api>,
    scope: Scope<Admin>,
    In(Named { name }): In<Named>,
    expected: IfMatch,
) -> Result<Versioned<Fresh>, Problem> {
    let secret = random();
    let edit = |document: &mut Document| {
        known(document, &name)?.client_secret = Secret::new(secret.clone());
        Ok(())
    };
    let changed = change(&api, &scope, expected, edit).await?;
    let fresh = Fresh { view: now(&api, &scope, &name)?, client_secret: Some(secret) };
    Ok(Versioned(StatusCode::OK, changed.version, fresh))
}

/// Delete a credential
#[utoipa::path(delete, path = "/apps/{app}/credentials/{name}", tag = "credentials",
    security(("key" = ["admin"])), params(IfMatch),
    responses((status = 204, description = "It is gone."),
        (status = 409, description = "`credential_in_use`: an integration needs it; `errors` says which.")))]
async fn delete_credential(
    State(api): State<Api>,
    scope: Scope<Admin>,
    In(Named { name }): In<Named>,
    expected: IfMatch,
) -> Result<Versioned<()>, Problem> {
    let edit = |document: &mut Document| {
        known(document, &name)?;
        document.credentials.remove(name.as_str());
        Ok(())
    };
    let changed = change(&api, &scope, expected, edit).await.map_err(in_use)?;
    Ok(Versioned(StatusCode::NO_CONTENT, changed.version, ()))
}

fn known<'a>(document: &'a mut Document, name: &Plain) -> Result<&'a mut ScopedCredential, Refused> {
    let found = document.credentials.get_mut(name.as_str());
    found.ok_or_else(|| Refused::Unknown(format!("credential `{name}`")))
}

/// The document without it is faulty: somebody needs it.
fn in_use(refused: Refused) -> Problem {
    match refused {
        Refused::Invalid(faults) => {
            Problem::conflict_at("credential_in_use", "an integration needs this credential", faults)
        }
        Refused::Unknown(_)
        | Refused::Conflict(_)
        | Refused::Exists(_)
        | Refused::InUse { .. }
        | Refused::Trouble(_) => refused.into(),
    }
}
