//! Participants that something is held for, and the three ways out: retry, skip, end.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use interline_core::conversation::input::OperatorAct;
use interline_core::{AppId, ConversationId, ParticipantNo, Seq};
use interline_engine::config::Invalid;
use interline_engine::{Detail, Seat};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Api;
use super::auth::{Operate, Read, Scope};
use super::conversations::Act;
use super::input::{Body, Check, In, Once, Params, Plain};
use super::page::{self, Limit, Page};
use super::problem::Problem;
use super::state::Participant;

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(list_participants))
        .routes(routes!(retry_participant))
        .routes(routes!(skip_entry))
        .routes(routes!(end_participant))
}

/// A participant whose last delivery failed.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = HeldParticipant)]
struct Held {
    /// The conversation's id.
    conversation: String,
    /// The participant.
    participant: Participant,
}

/// Which participants.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ListParticipants {
    /// Always `true`: those whose last delivery failed. The others stand with their conversations.
    held: bool,
    /// How many at most.
    #[serde(default)]
    #[param(inline, required = false)]
    limit: Limit,
    /// `next` of the page before.
    #[param(nullable = false)]
    cursor: Option<String>,
}

/// List participants that something is held for
///
/// Their last delivery failed and will be tried again; the longest failing first.
#[utoipa::path(get, path = "/apps/{app}/participants", tag = "participants", security(("key" = ["read"])),
    params(ListParticipants),
    responses((status = 200, description = "A page of participants, the longest failing first.",
        body = Page<Held>)))]
async fn list_participants(
    State(api): State<Api>,
    scope: Scope<Read>,
    Params(query): Params<ListParticipants>,
) -> Result<Json<Page<Held>>, Problem> {
    if !query.held {
        return Err(Problem::at(
            "held",
            "only held=true is listed; the others stand with their conversations",
        ));
    }
    let after: Option<(i64, String, i64)> = page::read("participants", query.cursor.as_deref())?;
    let after = after.as_ref().map(|(since, conversation, no)| (*since, conversation.as_str(), *no));
    let found = api.engine.held(&scope.app, after, query.limit.and_one()).await?;
    let place = |(conversation, seat): &(ConversationId, Seat)| {
        (seat.failing_since.unwrap_or(0), conversation.to_string(), i64::from(seat.participant.no.0))
    };
    let show = |(conversation, seat): (ConversationId, Seat)| Held {
        conversation: conversation.to_string(),
        participant: seat.into(),
    };
    Ok(Json(Page::of("participants", query.limit, found, place, show)))
}

/// `…/{conversation}/participants/{participant}`.
#[derive(Deserialize)]
struct OneParticipant {
    conversation: Plain,
    participant: u32,
}

/// Try a held entry again now
#[utoipa::path(post, path = "/apps/{app}/conversations/{conversation}/participants/{participant}/retry",
    tag = "participants", security(("key" = ["operate"])),
    responses((status = 204, description = "It is being tried."),
        (status = 409, description = "`nothing_held`: nothing waits for this participant.")))]
async fn retry_participant(
    State(api): State<Api>,
    scope: Scope<Operate>,
    In(OneParticipant { conversation, participant }): In<OneParticipant>,
) -> Result<StatusCode, Problem> {
    let id = ConversationId::from(conversation.as_str());
    api.engine.retry_participant(&scope.app, &id, ParticipantNo(participant)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Which entry is skipped.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Skip {
    /// The entry that the participant is stuck at, as you saw it. Default: whichever it is.
    #[schema(minimum = 1)]
    seq: Option<u64>,
}

impl Check for Skip {
    fn check(&self, faults: &mut Vec<Invalid>) {
        if self.seq == Some(0) {
            faults.push(Invalid::at("seq", "the first entry is 1"));
        }
    }
}

/// Pass a held entry by
///
/// It is not delivered, as if it had been refused; what is behind it goes on.
#[utoipa::path(post, path = "/apps/{app}/conversations/{conversation}/participants/{participant}/skip",
    tag = "participants", security(("key" = ["operate"])), params(Once), request_body = Skip,
    responses((status = 204, description = "It is passed by."),
        (status = 409, description = "`nothing_held`: nothing waits for this participant. `other_entry`: it is stuck \
            at another entry.")))]
async fn skip_entry(
    State(api): State<Api>,
    scope: Scope<Operate>,
    In(OneParticipant { conversation, participant }): In<OneParticipant>,
    once: Once,
    Body(skip): Body<Skip>,
) -> Result<StatusCode, Problem> {
    let id = ConversationId::from(conversation.as_str());
    let no = ParticipantNo(participant);
    let detail = api.engine.conversation(&scope.app, &id).await?;
    let seat = detail.seats.iter().find(|seat| seat.participant.no == no).ok_or_else(Problem::not_found)?;
    // Where there is none, the engine says so, or that the same was done before.
    let next = next_entry(&api, &scope.app, &detail, seat).await?;
    let seq = skip.seq.map(Seq).or(next).unwrap_or(seat.head);
    if next.is_some_and(|next| seq > next) {
        let detail = "the participant is stuck at another entry; look again";
        return Err(Problem::conflict("other_entry", detail));
    }
    let act = OperatorAct::Skips { participant: no, seq };
    Act { name: "skip", act, transfer: None }.on(&api, &scope, &conversation, once).await
}

/// Give a participant up
///
/// It hears nothing more. After an agent's, the next agent system is tried.
#[utoipa::path(post, path = "/apps/{app}/conversations/{conversation}/participants/{participant}/end",
    tag = "participants", security(("key" = ["operate"])), params(Once),
    responses((status = 204, description = "It is given up."),
        (status = 409, description = "`nothing_held`: nothing waits for this participant.")))]
async fn end_participant(
    State(api): State<Api>,
    scope: Scope<Operate>,
    In(OneParticipant { conversation, participant }): In<OneParticipant>,
    once: Once,
) -> Result<StatusCode, Problem> {
    let act = OperatorAct::Drops { participant: ParticipantNo(participant) };
    Act { name: "drop", act, transfer: None }.on(&api, &scope, &conversation, once).await
}

/// So many entries are looked at at once.
const BATCH: i64 = 200;

/// The entry that a participant is to hear next.
pub(super) async fn next_entry(
    api: &Api,
    app: &AppId,
    detail: &Detail,
    seat: &Seat,
) -> Result<Option<Seq>, Problem> {
    let state = &detail.overview.state;
    let mut after = seat.cursor;
    while after < seat.head && !seat.done {
        let entries = api.engine.timeline(app, &state.id, after, BATCH).await?;
        let heard = entries.iter().find(|entry| seat.participant.hears(entry) && state.still_wanted(entry));
        if let Some(entry) = heard {
            return Ok(Some(entry.seq));
        }
        let Some(last) = entries.last() else { break };
        after = last.seq;
    }
    Ok(None)
}
