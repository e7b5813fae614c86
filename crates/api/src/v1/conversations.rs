//! Conversations: lists, one with its log, and what an operator does to one.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use interline_core::conversation::input::{OperatorAct, Scope as What};
use interline_core::{ConversationId, CustomerId, ParticipantNo, Seq, TransferNo};
use interline_engine::config::Invalid;
use interline_engine::{Detail, Filter, NotDone, Overview, Trouble};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Api;
use super::at::At;
use super::auth::{Operate, Read, Scope};
use super::input::{Body, Check, In, Once, Params, Plain, Sought, check_text};
use super::page::{self, Limit, Page};
use super::participants::next_entry;
use super::problem::Problem;
use super::state::{Conversation, ConversationSummary};
use super::timeline::Entry;
use super::words::Owner;

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(list_conversations))
        .routes(routes!(get_conversation))
        .routes(routes!(get_timeline))
        .routes(routes!(draw_call))
        .routes(routes!(say))
        .routes(routes!(end_conversation))
}

/// `…/conversations/{conversation}`.
#[derive(Deserialize)]
pub(super) struct OneConversation {
    pub conversation: Plain,
}

/// Which conversations: all conditions hold.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ListConversations {
    /// Who owns it.
    #[param(inline, nullable = false)]
    owner: Option<Owner>,
    /// Whether it is open.
    #[param(nullable = false)]
    open: Option<bool>,
    /// The customer's id.
    #[param(value_type = Option<String>, pattern = "^[A-Za-z0-9._-]+$", max_length = 128, nullable = false)]
    customer: Option<Plain>,
    /// The channel's name.
    #[param(value_type = Option<String>, pattern = "^[A-Za-z0-9._-]+$", max_length = 128, nullable = false)]
    channel: Option<Plain>,
    /// The customer's address, exactly.
    #[param(value_type = Option<String>, min_length = 1, max_length = 512, nullable = false)]
    address: Option<Sought>,
    /// Opened then or later.
    #[param(value_type = Option<String>, format = DateTime, nullable = false)]
    opened_from: Option<At>,
    /// Opened before then.
    #[param(value_type = Option<String>, format = DateTime, nullable = false)]
    opened_before: Option<At>,
    /// What a person has at hand: a conversation's id (found whatever the other conditions say), a customer's id, or an
    /// exact address. It takes the place of `customer` and `address`.
    #[param(value_type = Option<String>, min_length = 1, max_length = 512, nullable = false)]
    q: Option<Sought>,
    /// How many at most.
    #[serde(default)]
    #[param(inline, required = false)]
    limit: Limit,
    /// `next` of the page before.
    #[param(nullable = false)]
    cursor: Option<String>,
}

/// List conversations
///
/// Newest first.
#[utoipa::path(get, path = "/apps/{app}/conversations", tag = "conversations", security(("key" = ["read"])),
    params(ListConversations),
    responses((status = 200, description = "A page of conversations, newest first.",
        body = Page<ConversationSummary>)))]
async fn list_conversations(
    State(api): State<Api>,
    scope: Scope<Read>,
    Params(query): Params<ListConversations>,
) -> Result<Json<Page<ConversationSummary>>, Problem> {
    let q = query.q.as_ref().map(Sought::as_str);
    if q.is_some() && (query.customer.is_some() || query.address.is_some()) {
        return Err(Problem::at("q", "takes the place of `customer` and `address`; send one of them"));
    }
    let after: Option<(i64, String)> = page::read("conversations", query.cursor.as_deref())?;
    if let Some(id) = q.filter(|q| q.starts_with("cnv_")) {
        let found = api.engine.conversation(&scope.app, &ConversationId::from(id)).await;
        return match found {
            Ok(detail) => Ok(Json(Page::all(vec![detail.overview.into()]))),
            Err(Trouble::Unknown) => Ok(Json(Page::all(Vec::new()))),
            Err(trouble @ (Trouble::Store(_) | Trouble::Broken(_) | Trouble::FileGone)) => {
                Err(trouble.into())
            }
        };
    }
    let named = query.customer.as_ref().map(Plain::as_str).or(q);
    let customer = named.and_then(CustomerId::from_user_id);
    if query.customer.is_some() && customer.is_none() {
        return Err(Problem::at("customer", "is not a customer's id: `cus_…`"));
    }
    let filter = Filter {
        owner: query.owner.map(|owner| interline_core::Owner::from(owner).as_str()),
        open: query.open,
        channel: query.channel.as_ref().map(Plain::as_str),
        address: query.address.as_ref().map(Sought::as_str).or(q.filter(|_| customer.is_none())),
        customer: customer.as_ref().map(CustomerId::as_str),
        opened_from: query.opened_from.map(|at| at.0),
        opened_before: query.opened_before.map(|at| at.0),
    };
    let after = after.as_ref().map(|(opened_at, id)| (*opened_at, id.as_str()));
    let rows = api.engine.conversations(&scope.app, &filter, after, query.limit.and_one()).await?;
    Ok(Json(Page::of("conversations", query.limit, rows, place, Into::into)))
}

/// Where a conversation stands in a list.
pub(super) fn place(overview: &Overview) -> (i64, String) {
    (overview.opened_at, overview.state.id.to_string())
}

/// Show a conversation
///
/// Who owns it, its live transfer, and who takes part, with how far each heard the log.
#[utoipa::path(get, path = "/apps/{app}/conversations/{conversation}", tag = "conversations",
    security(("key" = ["read"])),
    responses((status = 200, description = "The conversation.", body = Conversation)))]
async fn get_conversation(
    State(api): State<Api>,
    scope: Scope<Read>,
    In(OneConversation { conversation }): In<OneConversation>,
) -> Result<Json<Conversation>, Problem> {
    let id = ConversationId::from(conversation.as_str());
    let detail = api.engine.conversation(&scope.app, &id).await?;
    let next = stuck(&api, &scope, &detail).await?;
    let next = |no| next.iter().find(|(stuck, _)| stuck.0 == no).map(|(_, seq)| seq.0);
    Ok(Json(Conversation::of(detail, next)))
}

/// The entries that failing participants are stuck at.
async fn stuck<R>(
    api: &Api,
    scope: &Scope<R>,
    detail: &Detail,
) -> Result<Vec<(ParticipantNo, Seq)>, Problem> {
    let mut stuck = Vec::new();
    for seat in detail.seats.iter().filter(|seat| !seat.done && seat.failing_since.is_some()) {
        if let Some(seq) = next_entry(api, &scope.app, detail, seat).await? {
            stuck.push((seat.participant.no, seq));
        }
    }
    Ok(stuck)
}

/// Which entries.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ShowTimeline {
    /// Only entries behind this one.
    #[param(minimum = 0, nullable = false)]
    after: Option<u64>,
    /// How many at most.
    #[serde(default)]
    #[param(inline, required = false)]
    limit: Limit,
    /// `next` of the page before. It takes the place of `after`.
    #[param(nullable = false)]
    cursor: Option<String>,
}

/// Show a conversation's log
///
/// Everything that happened, oldest first, with notes for operators.
#[utoipa::path(get, path = "/apps/{app}/conversations/{conversation}/timeline", tag = "conversations",
    security(("key" = ["read"])), params(ShowTimeline),
    responses((status = 200, description = "A page of entries, oldest first.", body = Page<Entry>)))]
async fn get_timeline(
    State(api): State<Api>,
    scope: Scope<Read>,
    In(OneConversation { conversation }): In<OneConversation>,
    Params(query): Params<ShowTimeline>,
) -> Result<Json<Page<Entry>>, Problem> {
    let cursor: Option<u64> = page::read("timeline", query.cursor.as_deref())?;
    let after = Seq(cursor.or(query.after).unwrap_or(0));
    let id = ConversationId::from(conversation.as_str());
    let entries = api.engine.timeline(&scope.app, &id, after, query.limit.and_one()).await?;
    Ok(Json(Page::of("timeline", query.limit, entries, |entry| entry.seq.0, Into::into)))
}

/// Draw the messages of a call
///
/// Who sent which SIP message to whom, and when, and what was tried on behalf of the caller; while the process remembers it. No
/// bodies, no addresses of people beside whom was called.
#[utoipa::path(get, path = "/apps/{app}/conversations/{conversation}/sip", tag = "conversations",
    security(("key" = ["read"])),
    responses((status = 200, description = "The drawing.", body = String, content_type = "text/plain")))]
async fn draw_call(
    State(api): State<Api>,
    scope: Scope<Read>,
    In(OneConversation { conversation }): In<OneConversation>,
) -> Result<String, Problem> {
    let id = ConversationId::from(conversation.as_str());
    // Somebody else's is unknown, like one that never was.
    api.engine.conversation(&scope.app, &id).await?;
    interline_channels::voice::trace(&scope.app, &id).ok_or_else(|| Trouble::Unknown.into())
}

/// What an operator says.
#[derive(Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Message {
    /// The words. The customer sees them, and nobody else does.
    #[schema(min_length = 1, max_length = 4096)]
    text: String,
    /// Under this name. Default: none.
    #[schema(min_length = 1, max_length = 100)]
    name: Option<String>,
}

impl Check for Message {
    fn check(&self, faults: &mut Vec<Invalid>) {
        check_text("text", &self.text, 4096, true, faults);
        if let Some(name) = &self.name {
            check_text("name", name, 100, false, faults);
        }
    }
}

/// Say something to the customer
///
/// Whoever owns the conversation goes on owning it.
#[utoipa::path(post, path = "/apps/{app}/conversations/{conversation}/messages", tag = "conversations",
    security(("key" = ["operate"])), params(Once), request_body = Message,
    responses((status = 204, description = "It is in the log, durable."),
        (status = 409, description = "`closed`: the conversation is over.")))]
async fn say(
    State(api): State<Api>,
    scope: Scope<Operate>,
    In(OneConversation { conversation }): In<OneConversation>,
    once: Once,
    Body(message): Body<Message>,
) -> Result<StatusCode, Problem> {
    let act = OperatorAct::Says { name: message.name, text: message.text };
    Act { name: "say", act, transfer: None }.on(&api, &scope, &conversation, once).await
}

/// End a conversation
///
/// With everything in it, the human part among it. The customer's next line begins a new one.
#[utoipa::path(post, path = "/apps/{app}/conversations/{conversation}/end", tag = "conversations",
    security(("key" = ["operate"])), params(Once),
    responses((status = 204, description = "It is over."),
        (status = 409, description = "`closed`: it was over before.")))]
async fn end_conversation(
    State(api): State<Api>,
    scope: Scope<Operate>,
    In(OneConversation { conversation }): In<OneConversation>,
    once: Once,
) -> Result<StatusCode, Problem> {
    let act = OperatorAct::Ends(What::Conversation);
    Act { name: "end", act, transfer: None }.on(&api, &scope, &conversation, once).await
}

/// Something that an operator does to a conversation.
pub(super) struct Act {
    /// Its word: the same idempotency key for another act is another one.
    pub name: &'static str,
    /// What.
    pub act: OperatorAct,
    /// Only if this is the live transfer.
    pub transfer: Option<TransferNo>,
}

impl Act {
    /// Does it, in the name of the key.
    pub async fn on(
        self,
        api: &Api,
        scope: &Scope<Operate>,
        conversation: &Plain,
        once: Once,
    ) -> Result<StatusCode, Problem> {
        let id = ConversationId::from(conversation.as_str());
        let (by, key) = (&scope.holder.name, once.key(&scope.holder, self.name));
        let done = api.engine.operate(&scope.app, &id, by, self.act, self.transfer, key).await;
        done.map(|()| StatusCode::NO_CONTENT).map_err(|not_done: NotDone| not_done.into())
    }
}
