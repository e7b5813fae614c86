//! What came after an answer: `GET …/poll/{pollId}`. The id describes itself, so nothing is remembered for it but that it
//! was answered.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{Path, State};
use http::HeaderMap;
use interline_connector::channel::{Host, Place};
use interline_core::conversation::state::Customer;
use interline_core::flow::Expects;
use interline_core::{ConversationId, Seq};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use super::answer;
use super::hook::Caller;
use super::refused::Refused;
use crate::turns::Taker;

/// What the ids are sealed for.
const PURPOSE: &str = "webhook poll";
/// An id is good for so long, and remembered as answered for so long.
const GOOD_MS: i64 = 24 * 3_600_000;

/// What a poll id says.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Poll {
    app: String,
    channel: String,
    address: String,
    /// What the customer was told so far.
    conversation: Option<ConversationId>,
    seq: Seq,
    once: Uuid,
}

impl Poll {
    /// For what comes after `from`.
    pub fn of(caller: &Caller, customer: &Customer, from: Place) -> Self {
        Self {
            app: caller.app.id.as_str().into(),
            channel: caller.channel.as_str().into(),
            address: customer.address.clone(),
            conversation: from.conversation,
            seq: from.seq,
            once: Uuid::new_v4(),
        }
    }

    fn place(&self) -> Place {
        Place { conversation: self.conversation.clone(), seq: self.seq }
    }

    pub fn sealed(&self, host: &dyn Host) -> String {
        host.seal(PURPOSE, &serde_json::to_string(self).unwrap_or_default())
    }

    fn key(&self) -> String {
        self.once.simple().to_string()
    }
}

/// `GET /chatbot/v2/webhook/{bot}/poll/{pollId}`
pub(super) async fn look(
    State(host): State<Arc<dyn Host>>,
    Path((bot, id)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Json<Value>, Refused> {
    let caller = Caller::admit(host.as_ref(), &bot, &headers)?;
    let poll = host.unseal(PURPOSE, &id).and_then(|plain| serde_json::from_str::<Poll>(&plain).ok());
    let poll = poll.ok_or_else(Refused::no_data)?;
    if poll.app != bot || poll.channel != caller.channel.as_str() {
        return Err(Refused::no_data());
    }
    caller.may_speak_for(&poll.address)?;
    let app = &caller.app.id;
    let customer = host.customer(app, &caller.channel, &poll.address).await?;
    let taker = Taker {
        host: host.as_ref(),
        app,
        customer: &customer,
        wait: Duration::ZERO,
        waits_for_agents: false,
    };
    if !taker.has_more(poll.place()).await? {
        return Ok(Json(json!({ "status": "Inprogress", "pollId": id, "_v": "v2" })));
    }
    if host.first_use(app, PURPOSE, &poll.key(), GOOD_MS).await?.is_some() {
        return Err(Refused::no_data());
    }
    let turn = taker.wait(Some(poll.place())).await?;
    let more = matches!(turn.expects, Some(Expects::Nothing) | None);
    let from = turn.end.clone().unwrap_or_else(|| poll.place());
    let next = more.then(|| Poll::of(&caller, &customer, from).sealed(host.as_ref()));
    Ok(Json(answer::turn(host.as_ref(), &turn, app, &customer.address, next.as_deref())))
}
