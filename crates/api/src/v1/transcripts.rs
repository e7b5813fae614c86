//! Transcript links of a conversation: who opened them, and withdrawing one.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use interline_core::{ConversationId, ParticipantNo};
use interline_engine::{AccessRow, ShareRow};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Api;
use super::at::At;
use super::auth::{Operate, Read, Scope};
use super::conversations::OneConversation;
use super::input::{In, Plain};
use super::page::Page;
use super::problem::Problem;

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(list_transcripts)).routes(routes!(revoke_transcript))
}

/// A link that was used or withdrawn. There is one per participant; one that nobody touched is not listed.
#[derive(Debug, Clone, Serialize, ToSchema)]
struct Transcript {
    /// The participant that it was given to.
    participant: i64,
    /// How often it was used.
    used: i64,
    /// Since when it is withdrawn.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    revoked_at: Option<At>,
    /// Every use, the first one first.
    accesses: Vec<Access>,
}

/// One use of a link.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = LinkAccess)]
pub(super) struct Access {
    /// Its number, from 1.
    no: i64,
    /// When.
    at: At,
    /// By which way.
    how: String,
    /// From which address.
    peer: String,
    /// With what program, in its own words.
    agent: String,
}

impl From<AccessRow> for Access {
    fn from(row: AccessRow) -> Self {
        let AccessRow { no, at, how, peer, agent } = row;
        Self { no, at: At(at), how, peer, agent }
    }
}

impl From<ShareRow> for Transcript {
    fn from(row: ShareRow) -> Self {
        Self {
            participant: row.participant,
            used: row.used,
            revoked_at: row.revoked_at.map(At),
            accesses: row.accesses.into_iter().map(Into::into).collect(),
        }
    }
}

/// Show who opened a conversation's transcript links
#[utoipa::path(get, path = "/apps/{app}/conversations/{conversation}/transcripts", tag = "conversations",
    security(("key" = ["read"])),
    responses((status = 200, description = "All links that were used or withdrawn.", body = Page<Transcript>)))]
async fn list_transcripts(
    State(api): State<Api>,
    scope: Scope<Read>,
    In(OneConversation { conversation }): In<OneConversation>,
) -> Result<Json<Page<Transcript>>, Problem> {
    let id = ConversationId::from(conversation.as_str());
    // It says whether there is such a conversation.
    api.engine.conversation(&scope.app, &id).await?;
    let rows = api.engine.transcript_accesses(&scope.app, &id).await?;
    Ok(Json(Page::all(rows.into_iter().map(Into::into).collect())))
}

/// `…/{conversation}/transcripts/{participant}`.
#[derive(Deserialize)]
struct OneTranscript {
    conversation: Plain,
    participant: u32,
}

/// Withdraw a transcript link
///
/// Nobody can open it from now on. Again, it changes nothing.
#[utoipa::path(delete, path = "/apps/{app}/conversations/{conversation}/transcripts/{participant}",
    tag = "conversations", security(("key" = ["operate"])),
    responses((status = 204, description = "It is withdrawn.")))]
async fn revoke_transcript(
    State(api): State<Api>,
    scope: Scope<Operate>,
    In(OneTranscript { conversation, participant }): In<OneTranscript>,
) -> Result<StatusCode, Problem> {
    let id = ConversationId::from(conversation.as_str());
    api.engine.revoke_transcript(&scope.app, &id, ParticipantNo(participant)).await?;
    Ok(StatusCode::NO_CONTENT)
}
