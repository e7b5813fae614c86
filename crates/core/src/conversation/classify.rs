//! What a BotKit's callback means.
//!
//! A BotKit answers with an id that we once gave it, at any later time and any number of times. One pure function
//! decides what such a call is; its table is printed into `docs/connectors/botkit-callbacks.md`.

use serde::{Deserialize, Serialize};

use super::entry::Text;
use super::hold::Way;
use super::request_id::{RequestId, RequestKind};
use super::state::{Owner, State};
use crate::transfer::Stage;
use crate::{IntegrationName, Seq};

/// What a BotKit asks for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Call {
    /// Say this to the user.
    SendUserMessage(Text),
    /// Give this to the bot.
    SendBotMessage(Text),
    /// Do not show the bot's message to the user.
    SkipUserMessage,
    /// Do not give the user's message to the bot.
    SkipBotMessage,
    /// Agent mode on.
    StartAgentSession,
    /// Agent mode off.
    ClearAgentSession,
    /// Close the conversation.
    CloseConversation,
}

/// What a callback is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Meaning {
    /// It releases the held line, with the call's words.
    Release(Seq),
    /// It drops the held line.
    Skip(Seq),
    /// An agent speaks.
    AgentLine,
    /// The bot speaks once more.
    BotLine,
    /// The agent's side starts, or has started, a human part.
    TookOver,
    /// The human part is over.
    Clear,
    /// The conversation is closed.
    Close,
    /// Nothing is done; the timeline shows it.
    Note,
}

/// Decides what `call` with `id` by `integration` means in `state`. The caller has checked that the id belongs to
/// this conversation and to a participant of `integration`.
pub fn classify(state: &State, integration: &IntegrationName, id: &RequestId, call: &Call) -> Meaning {
    let held = is_held(state, integration, id);
    let bots_turn = state.owner == Owner::Bot && id.epoch == state.epoch;
    // While Requested no rung is open yet, but it is known whose turn is next.
    let live = state.transfer.as_ref().and_then(|transfer| {
        let target = transfer.rung.as_ref().map(|rung| &rung.target).or(transfer.ladder.first())?;
        (target.integration == *integration).then_some(transfer.stage)
    });
    match call {
        Call::SendUserMessage(_) => match id.kind {
            RequestKind::BotLine if held => Meaning::Release(id.seq),
            // The customer has the line, or it was dropped: this is its release, too late.
            RequestKind::BotLine if state.unanswered.contains(&id.seq) => Meaning::Note,
            _ if live.is_some() => Meaning::AgentLine,
            RequestKind::BotLine | RequestKind::CustomerLine if bots_turn => Meaning::BotLine,
            RequestKind::BotLine
            | RequestKind::CustomerLine
            | RequestKind::Transfer
            | RequestKind::AgentMode => Meaning::Note,
        },
        Call::SendBotMessage(_) => match id.kind {
            RequestKind::CustomerLine if held => Meaning::Release(id.seq),
            RequestKind::CustomerLine
            | RequestKind::BotLine
            | RequestKind::Transfer
            | RequestKind::AgentMode => Meaning::Note,
        },
        Call::SkipUserMessage => match id.kind {
            RequestKind::BotLine if held => Meaning::Skip(id.seq),
            RequestKind::CustomerLine
            | RequestKind::BotLine
            | RequestKind::Transfer
            | RequestKind::AgentMode => Meaning::Note,
        },
        Call::SkipBotMessage => match id.kind {
            RequestKind::CustomerLine if held => Meaning::Skip(id.seq),
            RequestKind::CustomerLine
            | RequestKind::BotLine
            | RequestKind::Transfer
            | RequestKind::AgentMode => Meaning::Note,
        },
        Call::StartAgentSession => match (state.owner, live) {
            (Owner::Bot, _) => Meaning::TookOver,
            (Owner::Agent, Some(Stage::Opening | Stage::Waiting)) => Meaning::TookOver,
            (Owner::Agent, Some(Stage::Requested | Stage::Talking | Stage::Closing) | None) => Meaning::Note,
            (Owner::Closed, _) => Meaning::Note,
        },
        Call::ClearAgentSession => match live {
            Some(Stage::Opening | Stage::Waiting | Stage::Talking) => Meaning::Clear,
            Some(Stage::Requested | Stage::Closing) | None => Meaning::Note,
        },
        Call::CloseConversation => match (state.owner, live) {
            (Owner::Bot, _) | (Owner::Agent, Some(_)) => Meaning::Close,
            (Owner::Agent, None) | (Owner::Closed, _) => Meaning::Note,
        },
    }
}

/// Whether `id` was made for a line that is held still, and for the interceptor that holds it.
fn is_held(state: &State, integration: &IntegrationName, id: &RequestId) -> bool {
    let way = match id.kind {
        RequestKind::CustomerLine => Way::ToBot,
        RequestKind::BotLine => Way::ToCustomer,
        RequestKind::Transfer | RequestKind::AgentMode => return false,
    };
    let interceptor = state.participants.iter().any(|participant| {
        participant.no == id.participant
            && participant.is_interceptor()
            && participant.integration == *integration
    });
    interceptor
        && state.held.iter().any(|held| held.seq == id.seq && held.epoch == id.epoch && held.way == way)
}
