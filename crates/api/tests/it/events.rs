//! Live views: what changes is told to whoever watches that app.

use std::time::Duration;

use axum::body::Body;
use futures_util::StreamExt as _;
use interline_engine::KeyRole;
use serde_json::Value;

use crate::schema::DESCRIPTION;
use crate::world::{A, B, World};

struct Events {
    body: axum::body::BodyDataStream,
    text: String,
}

impl Events {
    async fn open(client: &crate::client::Client, app: &str) -> Self {
        let response = client.open(&format!("/v1/apps/{app}/events")).await;
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        assert_eq!(response.headers()["cache-control"], "no-store");
        Self { body: Body::into_data_stream(response.into_body()), text: String::new() }
    }

    /// The next event: its name and data. None: the stream is over.
    async fn next(&mut self) -> Option<(String, Value)> {
        loop {
            if let Some((event, rest)) = self.text.split_once("\n\n") {
                let field = |name: &str| {
                    event
                        .lines()
                        .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
                        .map(str::to_owned)
                };
                let found = field("event").zip(field("data"));
                self.text = rest.to_owned();
                let Some((name, data)) = found else { continue };
                let data: Value = serde_json::from_str(&data).unwrap();
                if name == "conversation" {
                    DESCRIPTION.judge("/components/schemas/ConversationChanged", &data).unwrap();
                }
                return Some((name, data));
            }
            let wait = Duration::from_secs(30);
            let more =
                tokio::time::timeout(wait, self.body.next()).await.expect("an event within 30 seconds");
            self.text.push_str(std::str::from_utf8(&more?.unwrap()).unwrap());
        }
    }
}

#[tokio::test]
async fn changes_of_the_app_are_told_and_of_no_other() {
    let world = World::start("events").await;
    let reader = world.key(Some(A), KeyRole::Read).await;
    let mut events = Events::open(&reader, A).await;
    let bert = world.customer_of(B, "web-b", "bert").await;
    world.say_in(B, &bert, "hi").await;
    let anna = world.customer("anna").await;
    world.say(&anna, "human").await;
    loop {
        let (name, data) = events.next().await.unwrap();
        assert_eq!(name, "conversation");
        assert_eq!(data["customer"], anna.id.as_str());
        if data["transfer"]["stage"] == "talking" {
            assert_eq!(data["owner"], "agent");
            break;
        }
    }
}

#[tokio::test]
async fn whoever_is_too_slow_is_told_that_some_are_lost() {
    let world = World::start("lost").await;
    let reader = world.key(Some(A), KeyRole::Read).await;
    let mut events = Events::open(&reader, A).await;
    let anna = world.customer("anna").await;
    // More than what is kept for a watcher that does not read.
    for line in 0..1100 {
        world.say(&anna, &format!("line {line}")).await;
    }
    let (name, _) = events.next().await.unwrap();
    assert_eq!(name, "lost");
    let (name, _) = events.next().await.unwrap();
    assert_eq!(name, "conversation");
}

#[tokio::test]
async fn the_stream_ends_with_the_server() {
    let world = World::start("events-end").await;
    let reader = world.key(Some(A), KeyRole::Read).await;
    let mut events = Events::open(&reader, A).await;
    world.engine.stop_taking();
    assert!(events.next().await.is_none());
}
