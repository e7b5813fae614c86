//! What changes in an app's conversations, as it changes: server-sent events. They say "look there"; whoever missed some
//! is told so, and reads again.

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::State;
use axum::response::Sse;
use axum::response::sse::{Event, KeepAlive};
use futures_util::{Stream, stream};
use interline_connector::channel::Host as _;
use interline_engine::Change;
use serde::Serialize;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::{Interval, MissedTickBehavior, interval};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Api;
use super::auth::{Read, Scope};
use super::problem::Problem;
use super::state::TransferRef;
use super::words::Owner;

/// A sign of life is sent so often: proxies close what is silent.
const ALIVE: Duration = Duration::from_secs(15);
/// How often it is looked whether the key still counts.
const STILL_GOOD: Duration = Duration::from_secs(60);

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(watch_events))
}

/// The data of `event: conversation`: a conversation changed, and how it stands now.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(super) struct ConversationChanged {
    /// The conversation's id.
    conversation: String,
    /// The customer's id.
    customer: String,
    /// The channel's name.
    channel: String,
    /// Who owns it.
    owner: Owner,
    /// The live transfer.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    transfer: Option<TransferRef>,
    /// The last entry of its log.
    head: u64,
    /// A participant's last delivery failed.
    failing: bool,
}

impl From<Change> for ConversationChanged {
    fn from(change: Change) -> Self {
        Self {
            conversation: change.conversation.to_string(),
            customer: change.customer.to_string(),
            channel: change.channel.to_string(),
            owner: change.owner.into(),
            transfer: change.transfer.map(|(no, stage)| TransferRef { no: no.0, stage: stage.into() }),
            head: change.head.0,
            failing: change.failing,
        }
    }
}

/// Watch an app's conversations
///
/// Server-sent events, from now on. `event: conversation` has a `ConversationChanged` as its data. `event: lost` says that
/// some were missed: read the lists again. A comment comes every 15 seconds. The stream ends when the server stops or the key
/// does not count any more: connect again.
#[utoipa::path(get, path = "/apps/{app}/events", tag = "events", security(("key" = ["read"])),
    responses((status = 200, description = "The stream.", body = String, content_type = "text/event-stream")))]
async fn watch_events(
    State(api): State<Api>,
    scope: Scope<Read>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Problem> {
    let changes = api.engine.changes();
    let mut check = interval(STILL_GOOD);
    check.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // The first tick comes at once, and the key was looked at just now.
    check.reset();
    let watcher = Watcher { api, scope, changes, check };
    let events = stream::unfold(watcher, |mut watcher| async {
        let event = watcher.next().await?;
        Some((Ok(event), watcher))
    });
    Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(ALIVE).text("alive")))
}

struct Watcher {
    api: Api,
    scope: Scope<Read>,
    changes: Receiver<Change>,
    check: Interval,
}

impl Watcher {
    /// None: it is over.
    async fn next(&mut self) -> Option<Event> {
        loop {
            tokio::select! {
                change = self.changes.recv() => match change {
                    Ok(change) if change.app == self.scope.app => {
                        let data = serde_json::to_string(&ConversationChanged::from(change)).unwrap_or_default();
                        return Some(Event::default().event("conversation").data(data));
                    }
                    Ok(_) => {}
                    Err(RecvError::Lagged(_)) => return Some(Event::default().event("lost").data("{}")),
                    Err(RecvError::Closed) => return None,
                },
                _ = self.check.tick() => {
                    // While the store is out of reach nobody's key can be told to be bad.
                    if let Ok(false) = self.scope.token.still_opens(&self.api, &self.scope.app).await {
                        return None;
                    }
                }
                () = self.api.engine.stopping() => return None,
            }
        }
    }
}
