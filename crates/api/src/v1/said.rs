//! What a customer said, told by somebody else: an import, a smoke test, a page that has no channel of its own. It goes
//! the way of every line of that channel, and the customer sees it there.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use interline_connector::channel::{Host as _, Said, What};
use interline_core::IntegrationName;
use interline_core::conversation::entry::Text;
use interline_engine::Filter;
use interline_engine::config::Invalid;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Api;
use super::auth::{Admin, Scope};
use super::input::{Body, Check, Once, check_text};
use super::problem::Problem;

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(hear_customer))
}

/// Something that a customer said.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct CustomerSaid {
    /// The channel's name.
    #[schema(pattern = "^[A-Za-z0-9._-]+$", min_length = 1, max_length = 64)]
    channel: String,
    /// The customer's address there (web: the subject of the login).
    #[schema(min_length = 1, max_length = 256)]
    address: String,
    /// The words.
    #[schema(min_length = 1, max_length = 4096)]
    text: String,
}

impl Check for CustomerSaid {
    fn check(&self, faults: &mut Vec<Invalid>) {
        check_text("channel", &self.channel, 64, false, faults);
        check_text("address", &self.address, 256, false, faults);
        check_text("text", &self.text, 4096, true, faults);
    }
}

/// Where it was said.
#[derive(Serialize, ToSchema)]
struct Heard {
    /// The customer's id.
    customer: String,
    /// The conversation's id. Not there: the customer was erased at the same moment.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    conversation: Option<String>,
}

/// Hear a customer
///
/// Says something in a customer's name. It opens a conversation if none is open, and makes the customer if there is none
/// at this address. With an Idempotency-Key, the same again changes nothing.
#[utoipa::path(post, path = "/apps/{app}/conversations", tag = "conversations",
    security(("key" = ["admin"])), params(Once), request_body = CustomerSaid,
    responses((status = 201, description = "It is in the log, durable.", body = Heard)))]
async fn hear_customer(
    State(api): State<Api>,
    scope: Scope<Admin>,
    once: Once,
    Body(CustomerSaid { channel, address, text }): Body<CustomerSaid>,
) -> Result<(StatusCode, Json<Heard>), Problem> {
    let (engine, app) = (&api.engine, &scope.app);
    let channel = IntegrationName::from(channel.as_str());
    if engine.app(app).is_none_or(|known| !known.channels.contains_key(&channel)) {
        return Err(Problem::at("channel", "there is no such channel"));
    }
    let customer = engine.customer(app, &channel, &address).await.map_err(|_| Problem::unavailable())?;
    let external_id = once.key(&scope.holder, "hear").map(|key| format!("api/{key}"));
    let said = Said { external_id, what: What::Text(Text::plain(text)) };
    engine.hear(app, &customer, said).await.map_err(|_| Problem::unavailable())?;
    let theirs = Filter { customer: Some(customer.id.as_str()), ..Filter::default() };
    let newest = engine.conversations(app, &theirs, None, 1).await?;
    let conversation = newest.into_iter().next().map(|found| found.state.id.to_string());
    Ok((StatusCode::CREATED, Json(Heard { customer: customer.id.to_string(), conversation })))
}
