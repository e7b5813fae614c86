//! Live transfers, and what an operator does to one.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use interline_core::TransferNo;
use interline_core::conversation::input::{OperatorAct, Scope as What};
use interline_engine::Overview;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Api;
use super::at::At;
use super::auth::{Operate, Read, Scope};
use super::conversations::{Act, place};
use super::input::{In, Once, Params, Plain};
use super::page::{self, Limit, Page};
use super::problem::Problem;
use super::state::{CustomerRef, Transfer};

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(list_transfers))
        .routes(routes!(end_transfer))
        .routes(routes!(retry_transfer))
        .routes(routes!(return_transfer))
}

/// A live transfer, and whose it is.
#[derive(Debug, Clone, Serialize, ToSchema)]
struct LiveTransfer {
    /// The conversation's id.
    conversation: String,
    /// When the conversation began.
    opened_at: At,
    /// The person.
    customer: CustomerRef,
    /// The transfer.
    transfer: Transfer,
}

/// Which transfers.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ListTransfers {
    /// How many at most.
    #[serde(default)]
    #[param(inline, required = false)]
    limit: Limit,
    /// `next` of the page before.
    #[param(nullable = false)]
    cursor: Option<String>,
}

/// List live transfers
///
/// By when the conversation began, newest first.
#[utoipa::path(get, path = "/apps/{app}/transfers", tag = "transfers", security(("key" = ["read"])),
    params(ListTransfers),
    responses((status = 200, description = "A page of live transfers.", body = Page<LiveTransfer>)))]
async fn list_transfers(
    State(api): State<Api>,
    scope: Scope<Read>,
    Params(query): Params<ListTransfers>,
) -> Result<Json<Page<LiveTransfer>>, Problem> {
    let after: Option<(i64, String)> = page::read("transfers", query.cursor.as_deref())?;
    let after = after.as_ref().map(|(opened_at, id)| (*opened_at, id.as_str()));
    let found = api.engine.live_transfers(&scope.app, after, query.limit.and_one()).await?;
    let Page { items, next } = Page::of("transfers", query.limit, found, place, live);
    Ok(Json(Page { items: items.into_iter().flatten().collect(), next }))
}

/// None: it ended, and the list does not know yet.
fn live(overview: Overview) -> Option<LiveTransfer> {
    let Overview { state, opened_at, .. } = overview;
    Some(LiveTransfer {
        conversation: state.id.to_string(),
        opened_at: At(opened_at),
        customer: state.customer.into(),
        transfer: state.transfer?.into(),
    })
}

/// `…/{conversation}/transfers/{transfer}`.
#[derive(Deserialize)]
struct OneTransfer {
    conversation: Plain,
    transfer: u32,
}

/// End the conversation of a live transfer
///
/// The human part and the conversation are over.
#[utoipa::path(post, path = "/apps/{app}/conversations/{conversation}/transfers/{transfer}/end",
    tag = "transfers", security(("key" = ["operate"])), params(Once),
    responses((status = 204, description = "It is over."),
        (status = 409, description = "`other_transfer`: this one is not live.")))]
async fn end_transfer(
    State(api): State<Api>,
    scope: Scope<Operate>,
    In(OneTransfer { conversation, transfer }): In<OneTransfer>,
    once: Once,
) -> Result<StatusCode, Problem> {
    let act = OperatorAct::Ends(What::Conversation);
    let act = Act { name: "end_transfer", act, transfer: Some(TransferNo(transfer)) };
    act.on(&api, &scope, &conversation, once).await
}

/// Give the customer back to the bot
///
/// The human part is over, and the conversation goes on with the bot.
#[utoipa::path(post, path = "/apps/{app}/conversations/{conversation}/transfers/{transfer}/return",
    tag = "transfers", security(("key" = ["operate"])), params(Once),
    responses((status = 204, description = "The bot takes over."),
        (status = 409, description = "`other_transfer`: this one is not live.")))]
async fn return_transfer(
    State(api): State<Api>,
    scope: Scope<Operate>,
    In(OneTransfer { conversation, transfer }): In<OneTransfer>,
    once: Once,
) -> Result<StatusCode, Problem> {
    let act = OperatorAct::Ends(What::AgentChat);
    let act = Act { name: "return", act, transfer: Some(TransferNo(transfer)) };
    act.on(&api, &scope, &conversation, once).await
}

/// Try the agent system anew
///
/// Gives up the try that is under way, and tries the same agent system again.
#[utoipa::path(post, path = "/apps/{app}/conversations/{conversation}/transfers/{transfer}/retry",
    tag = "transfers", security(("key" = ["operate"])), params(Once),
    responses((status = 204, description = "It is tried anew."),
        (status = 409, description = "`other_transfer`: this one is not live. `agent_is_there`: an agent talks \
            already.")))]
async fn retry_transfer(
    State(api): State<Api>,
    scope: Scope<Operate>,
    In(OneTransfer { conversation, transfer }): In<OneTransfer>,
    once: Once,
) -> Result<StatusCode, Problem> {
    let transfer = Some(TransferNo(transfer));
    let act = Act { name: "retry", act: OperatorAct::Retries, transfer };
    act.on(&api, &scope, &conversation, once).await
}
