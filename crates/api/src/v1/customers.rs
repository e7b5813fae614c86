//! Customers: who they are, and forgetting one.

use axum::Json;
use axum::extract::State;
use interline_core::CustomerId;
use interline_engine::Erased;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Api;
use super::auth::{Admin, Read, Scope};
use super::input::{In, Params, Plain, Sought};
use super::page::{self, Limit, Page};
use super::problem::Problem;
use super::state::Customer;

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(list_customers)).routes(routes!(get_customer, erase_customer))
}

/// Which customers: all conditions hold.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ListCustomers {
    /// The channel's name.
    #[param(value_type = Option<String>, pattern = "^[A-Za-z0-9._-]+$", max_length = 128, nullable = false)]
    channel: Option<Plain>,
    /// The address, exactly.
    #[param(value_type = Option<String>, min_length = 1, max_length = 512, nullable = false)]
    address: Option<Sought>,
    /// How many at most.
    #[serde(default)]
    #[param(inline, required = false)]
    limit: Limit,
    /// `next` of the page before.
    #[param(nullable = false)]
    cursor: Option<String>,
}

/// List customers
///
/// Newest first.
#[utoipa::path(get, path = "/apps/{app}/customers", tag = "customers", security(("key" = ["read"])),
    params(ListCustomers),
    responses((status = 200, description = "A page of customers, newest first.", body = Page<Customer>)))]
async fn list_customers(
    State(api): State<Api>,
    scope: Scope<Read>,
    Params(query): Params<ListCustomers>,
) -> Result<Json<Page<Customer>>, Problem> {
    let after: Option<String> = page::read("customers", query.cursor.as_deref())?;
    let (channel, address) =
        (query.channel.as_ref().map(Plain::as_str), query.address.as_ref().map(Sought::as_str));
    let limit = query.limit.and_one();
    let found = api.engine.customers(&scope.app, channel, address, after.as_deref(), limit).await?;
    Ok(Json(Page::of("customers", query.limit, found, |customer| customer.id.clone(), Into::into)))
}

/// `…/{customer}`.
#[derive(Deserialize)]
struct OneCustomer {
    customer: Plain,
}

impl OneCustomer {
    /// `cus_…`, or `u-…` as it stands on the field's wires.
    fn id(&self) -> Result<CustomerId, Problem> {
        CustomerId::from_user_id(self.customer.as_str()).ok_or_else(Problem::not_found)
    }
}

/// Show a customer
#[utoipa::path(get, path = "/apps/{app}/customers/{customer}", tag = "customers",
    security(("key" = ["read"])),
    responses((status = 200, description = "The customer.", body = Customer)))]
async fn get_customer(
    State(api): State<Api>,
    scope: Scope<Read>,
    In(one): In<OneCustomer>,
) -> Result<Json<Customer>, Problem> {
    Ok(Json(api.engine.customer_by_id(&scope.app, &one.id()?).await?.into()))
}

/// How much was erased.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = ErasedCustomer)]
struct ErasedView {
    /// Conversations.
    conversations: u64,
    /// Entries of their logs.
    entries: u64,
    /// Inputs that had led to them.
    inputs: u64,
    /// Sessions with agent systems.
    participants: u64,
    /// Ids that the outside gave to entries.
    remote_ids: u64,
    /// Transcript links that were used or withdrawn.
    transcripts: u64,
    /// Their uses.
    transcript_accesses: u64,
    /// Files, with their bytes.
    files: u64,
}

/// Erase a customer
///
/// Everything that was ever written about them, at once and for good. Whoever is logged in as them is shown out. What an
/// agent system was told is there still: ask its operator.
#[utoipa::path(delete, path = "/apps/{app}/customers/{customer}", tag = "customers",
    security(("key" = ["admin"])),
    responses((status = 200, description = "They are erased.", body = ErasedView)))]
async fn erase_customer(
    State(api): State<Api>,
    scope: Scope<Admin>,
    In(one): In<OneCustomer>,
) -> Result<Json<ErasedView>, Problem> {
    let customer = one.id()?;
    let erased = api.engine.erase_customer(&scope.app, &customer).await?;
    tracing::info!(app = %scope.app, key = scope.holder.id, %customer, "a customer was erased by the API");
    let Erased {
        customers: _,
        conversations,
        entries,
        inputs,
        participants,
        remote_ids,
        shares,
        share_accesses,
        files,
        once: _,
    } = erased;
    Ok(Json(ErasedView {
        conversations,
        entries,
        inputs,
        participants,
        remote_ids,
        transcripts: shares,
        transcript_accesses: share_accesses,
        files,
    }))
}
