//! Notification channels: an address each, topics, and a web socket that tells what happens in them.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Json;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse as _, Response};
use interline_connector::simulator::Fault;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::gate::{bad, not_found};
use super::open::{Org, lock};
use super::{new_id, time};

/// One client may have so many; the next one takes the oldest one's place.
const MOST: usize = 20;
/// A channel lasts a day.
const LASTS_MS: i64 = 24 * 3_600_000;
/// So many topics.
const TOPICS: usize = 1_000;
const BEFORE: &str = "v2.routing.queues.";
const AFTER: &str = ".conversations.messages";

#[derive(Default)]
pub(super) struct Channels(Mutex<Vec<Channel>>);

struct Channel {
    id: String,
    until: i64,
    topics: Vec<String>,
    /// Whoever listens.
    socket: Option<mpsc::UnboundedSender<Frame>>,
}

enum Frame {
    Text(String),
    Close,
}

impl Channels {
    pub fn count(&self) -> usize {
        lock(&self.0)
            .iter()
            .filter(|channel| channel.socket.as_ref().is_some_and(|socket| !socket.is_closed()))
            .count()
    }

    /// To everybody who listens to one of these topics.
    fn send(&self, topics: &[String], body: &Value) {
        for channel in lock(&self.0).iter() {
            let Some(socket) = &channel.socket else { continue };
            for topic in channel.topics.iter().filter(|topic| topics.contains(topic)) {
                let frame = json!({ "topicName": topic, "version": "2", "eventBody": body, "metadata": { "CorrelationId": new_id() } });
                let _ = socket.send(Frame::Text(frame.to_string()));
            }
        }
    }

    fn close_all(&self) {
        for channel in lock(&self.0).iter() {
            channel.socket.iter().for_each(|socket| {
                let _ = socket.send(Frame::Close);
            });
        }
    }
}

impl Org {
    /// What became of a conversation, for the topics of its queues.
    pub async fn tell_channels(self: &Org, id: &str) {
        let Some((topics, body)) =
            lock(&self.conversations).iter().find(|known| known.id == id).map(|known| {
                let topics: Vec<String> =
                    known.queues().iter().map(|queue| format!("{BEFORE}{queue}{AFTER}")).collect();
                (topics, known.told())
            })
        else {
            return;
        };
        let faults = self.desk.faults().told("channel conversation");
        if faults.contains(&Fault::Kill) {
            self.channels.close_all();
        }
        if faults.contains(&Fault::Lose) || faults.contains(&Fault::Kill) {
            return;
        }
        for fault in &faults {
            if let Fault::Late { ms } = fault {
                tokio::time::sleep(Duration::from_millis(*ms)).await;
            }
        }
        self.channels.send(&topics, &body);
        if faults.contains(&Fault::Twice) {
            self.channels.send(&topics, &body);
        }
    }
}

/// `POST /api/v2/notifications/channels`.
pub(super) async fn create(State(org): State<Arc<Org>>, headers: HeaderMap) -> Response {
    let Some(host) = headers.get(header::HOST).and_then(|host| host.to_str().ok()) else {
        return bad("no host");
    };
    let (id, until) = (format!("streaming-{}", new_id()), org.now() + LASTS_MS);
    let mut all = lock(&org.channels.0);
    if all.len() >= MOST {
        let oldest = all.remove(0);
        oldest.socket.iter().for_each(|socket| {
            let _ = socket.send(Frame::Close);
        });
    }
    all.push(Channel { id: id.clone(), until, topics: Vec::new(), socket: None });
    Json(json!({ "id": id, "connectUri": format!("ws://{host}/channels/{id}"), "expires": time(until) }))
        .into_response()
}

/// `POST …/subscriptions` adds topics, `PUT` replaces them.
async fn subscribe(org: &Org, id: &str, topics: &Value, replace: bool) -> Response {
    let Some(topics) = topics.as_array() else { return bad("a list of topics is expected") };
    let mut all = lock(&org.channels.0);
    let Some(channel) = all.iter_mut().find(|channel| channel.id == id) else {
        return not_found("the channel");
    };
    if replace {
        channel.topics.clear();
    }
    let mut told = Vec::new();
    for topic in topics {
        let Some(name) = topic["id"].as_str() else { return bad("a topic has an id") };
        let known = name.strip_prefix(BEFORE).and_then(|rest| rest.strip_suffix(AFTER));
        let refused = match known {
            None => {
                Some(json!({ "id": name, "state": "Rejected", "rejectionReason": "there is no such topic" }))
            }
            Some(_) if org.desk.faults().special("topic_rejected") => Some(json!({
                "id": name, "state": "Rejected", "rejectionReason": "missing permission",
                "missingPermissions": ["routing:queue:view"],
            })),
            Some(_) if channel.topics.len() >= TOPICS => return bad("a channel has at most 1000 topics"),
            Some(_) => None,
        };
        told.push(refused.unwrap_or_else(|| {
            channel.topics.push(name.to_owned());
            json!({ "id": name, "state": "Permitted" })
        }));
    }
    Json(json!({ "entities": told })).into_response()
}

pub(super) async fn add(
    State(org): State<Arc<Org>>,
    Path(id): Path<String>,
    Json(topics): Json<Value>,
) -> Response {
    subscribe(&org, &id, &topics, false).await
}

pub(super) async fn replace(
    State(org): State<Arc<Org>>,
    Path(id): Path<String>,
    Json(topics): Json<Value>,
) -> Response {
    subscribe(&org, &id, &topics, true).await
}

/// The socket of a channel. Whoever knows its address may listen; a second listener takes the place of the first.
pub(super) async fn connect(
    State(org): State<Arc<Org>>,
    Path(id): Path<String>,
    upgrade: WebSocketUpgrade,
) -> Response {
    let (frames, told) = mpsc::unbounded_channel();
    {
        let mut all = lock(&org.channels.0);
        let now = org.now();
        let Some(channel) = all.iter_mut().find(|channel| channel.id == id && channel.until > now) else {
            return not_found("the channel");
        };
        channel.socket = Some(frames.clone());
    }
    let beat = json!({ "topicName": "channel.metadata", "eventBody": { "message": "WebSocket Heartbeat" } });
    let _ = frames.send(Frame::Text(beat.to_string()));
    upgrade.on_upgrade(move |socket| serve(socket, told))
}

async fn serve(mut socket: WebSocket, mut told: mpsc::UnboundedReceiver<Frame>) {
    loop {
        tokio::select! {
            frame = told.recv() => match frame {
                Some(Frame::Text(text)) => {
                    if socket.send(Message::Text(text.into())).await.is_err() {
                        return;
                    }
                }
                Some(Frame::Close) | None => return,
            },
            heard = socket.recv() => if !matches!(heard, Some(Ok(_))) {
                return;
            },
        }
    }
}
