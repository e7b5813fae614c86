//! The notification channel: one socket that tells who takes part in the conversations of the queues that our chats were
//! seen in. Queues are few and do not grow with traffic; topics per conversation would (docs/decisions/0022).

use std::time::Duration;

use ::http::HeaderMap;
use interline_connector::RunEnd;
use interline_connector::http::{Request, Socket};
use interline_core::AppId;
use tokio::time::{Instant, timeout_at};

use super::Integration;
use super::seats::Queues;
use super::wire::{Conversation, Notification, NotificationChannel, Topic, Topics};

/// To connect.
const DEADLINE: Duration = Duration::from_secs(15);
/// A channel lasts 24 hours; it is renewed before.
const LASTS: Duration = Duration::from_secs(23 * 3_600);
/// The vendor sends heartbeats; a socket without any for so long is dead.
const SILENCE: Duration = Duration::from_secs(300);

impl Integration {
    /// Listens until it is lost. Chats look for themselves while nobody tells them.
    pub(super) async fn hear_notices(&self, app: &AppId) -> RunEnd {
        let mut queues = self.seats.queues.subscribe();
        // Nobody was seen in a queue yet: there is nothing to listen for.
        if queues.wait_for(|queues| !queues.wanted.is_empty()).await.is_err() {
            return RunEnd::Over;
        }
        let (channel, mut socket) = match self.connect().await {
            Ok(connected) => connected,
            Err(why) => return RunEnd::Lost(why),
        };
        tracing::debug!(%app, "listening to a notification channel");
        let until = Instant::now() + LASTS;
        let why = loop {
            let new = missing(&queues.borrow_and_update());
            if !new.is_empty() {
                if let Err(why) = self.subscribe(&channel, &new).await {
                    break why;
                }
                continue;
            }
            let silent = until.min(Instant::now() + SILENCE);
            tokio::select! {
                frame = timeout_at(silent, socket.next()) => match frame {
                    Ok(Ok(text)) => if let Some(why) = self.notice(&text) {
                        break why;
                    },
                    Ok(Err(end)) => break end.to_string(),
                    Err(_) => break "nothing was heard for too long".to_owned(),
                },
                _ = queues.changed() => {}
            }
        };
        self.seats.queues.send_modify(|queues| queues.told.clear());
        RunEnd::Lost(why)
    }

    async fn connect(&self) -> Result<(String, Socket), String> {
        let url =
            self.api.at("api/v2/notifications/channels").map_err(|failure| failure.cause().code.clone())?;
        let channel: NotificationChannel = self
            .api
            .json(|| Request::post(url.clone()))
            .await
            .map_err(|failure| failure.cause().code.clone())?;
        let address =
            channel.connect_uri.parse().map_err(|_| "the channel has no usable address".to_owned())?;
        let socket = self.api.http().socket(&address, HeaderMap::new(), DEADLINE).await;
        socket.map(|socket| (channel.id, socket)).map_err(|failure| failure.cause().code.clone())
    }

    /// Adds the topics of these queues. Those that we may not listen to are not asked for again.
    async fn subscribe(&self, channel: &str, queues: &[String]) -> Result<(), String> {
        let path = format!("api/v2/notifications/channels/{channel}/subscriptions?ignoreErrors=true");
        let url = self.api.at(&path).map_err(|failure| failure.cause().code.clone())?;
        let topics: Vec<Topic> =
            queues.iter().map(|queue| Topic { id: topic(queue), ..Topic::default() }).collect();
        let told: Topics = self
            .api
            .json(|| Request::post(url.clone()).json(&topics))
            .await
            .map_err(|failure| failure.cause().code.clone())?;
        let refused = |name: &str| {
            let found = told.entities.iter().find(|entity| entity.id == name);
            found.is_some_and(|entity| entity.state.as_deref() == Some("Rejected"))
        };
        self.seats.queues.send_modify(|known| {
            for queue in queues {
                if refused(&topic(queue)) {
                    known.wanted.remove(queue);
                    known.refused.insert(queue.clone());
                    tracing::warn!(queue, "Genesys does not let us listen to a queue; its chats are polled");
                } else {
                    known.told.insert(queue.clone());
                }
            }
        });
        Ok(())
    }

    /// A frame. Some: the channel is over, and why.
    fn notice(&self, text: &str) -> Option<String> {
        // What cannot be read tells nothing.
        let notification: Notification = serde_json::from_str(text).ok()?;
        if notification.topic_name == "v2.system.socket_closing" {
            return Some("Genesys closes the channel".to_owned());
        }
        if !notification.topic_name.starts_with("v2.routing.queues.") {
            return None;
        }
        // Most are not ours: only those are read whole.
        let id = notification.event_body["id"].as_str()?.to_owned();
        let read = |told: &mut super::seats::Told| {
            if let Ok(conversation) = serde_json::from_value::<Conversation>(notification.event_body) {
                told.conversation = Some(conversation);
            }
        };
        self.seats.tell_conversation(&id, read);
        None
    }
}

fn missing(queues: &Queues) -> Vec<String> {
    queues.wanted.difference(&queues.told).cloned().collect()
}

fn topic(queue: &str) -> String {
    format!("v2.routing.queues.{queue}.conversations.messages")
}
