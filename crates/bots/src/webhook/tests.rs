#![allow(clippy::unwrap_used)]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::http::HeaderMap;
use axum::routing::post;
use axum::{Json, Router};
use interline_connector::agent::Brief;
use interline_connector::bot::Asked;
use interline_connector::{BotConnector as _, Guard, Http};
use interline_core::conversation::entry::Text;
use interline_core::conversation::state::Customer;
use interline_core::flow::work::{Reply, Then, Turn};
use interline_core::{Body, Entry, Epoch, Owner, Role, Seq, Speaker, Time};
use serde_json::{Value, json};

use super::Webhook;

/// A bot that answers `answer`, and remembers what it was asked.
pub(crate) async fn answers(path: &str, answer: Value) -> (String, Arc<Mutex<Vec<(HeaderMap, Value)>>>) {
    let asked: Arc<Mutex<Vec<(HeaderMap, Value)>>> = Arc::default();
    let seen = asked.clone();
    let route = post(move |headers: HeaderMap, Json(body): Json<Value>| {
        seen.lock().unwrap().push((headers, body));
        let answer = answer.clone();
        async move { Json(answer) }
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let router = Router::new().route(path, route);
    tokio::spawn(async move { axum::serve(listener, router).await });
    (url, asked)
}

pub(crate) fn http(url: &str) -> Http {
    let guard = Guard::default();
    guard.allow(&url.parse().unwrap());
    Http::new(guard).unwrap()
}

pub(crate) fn entry(seq: u64, by: Speaker, text: &str) -> Entry {
    Entry {
        seq: Seq(seq),
        at: Time(0),
        by,
        to: Role::Customer,
        epoch: Epoch(1),
        transfer: None,
        release_of: None,
        body: Body::Text(Text::plain(text)),
    }
}

pub(crate) fn asked(turn: Value) -> Asked {
    let customer = Customer {
        id: "cus_01a204dd17f574aeb94bcf55b9bf7754".into(),
        channel: "web".into(),
        address: "ann".into(),
        profile: Default::default(),
        connection: Default::default(),
    };
    let turn: Turn = serde_json::from_value(turn).unwrap();
    Asked {
        conversation: Brief { app: "st-1".into(), id: "cnv_1".into(), customer, owner: Owner::Bot },
        turn,
        before: vec![
            entry(1, Speaker::Bot, "Hello"),
            entry(2, Speaker::Agent { name: None }, "I am Kim"),
            entry(3, Speaker::Customer, "where is it?"),
        ],
        key: "cnv_1/7".into(),
        deadline: Duration::from_secs(5),
    }
}

#[tokio::test]
async fn a_turn_is_asked_and_answered() {
    let answer = json!({ "messages": ["On its way"], "context": { "order": 7 }, "action": "transfer", "reason": "lost" });
    let (url, seen) = answers("/bot", answer).await;
    let settings = json!({ "url": format!("{url}/bot"), "secret": "s3cret" });
    let bot = Webhook.build(settings, http(&url)).unwrap();
    let turn = json!({ "bot": "b", "text": "where is it?", "context": { "tier": "gold" } });
    let reply = bot.turn(&asked(turn)).await.unwrap();
    let context = json!({ "order": 7 }).as_object().unwrap().clone();
    let then = Then::Transfer { reason: Some("lost".into()) };
    assert_eq!(reply, Reply { says: vec!["On its way".into()], context, then });
    let (headers, body) = seen.lock().unwrap()[0].clone();
    assert_eq!(
        (headers["authorization"].as_bytes(), headers["idempotency-key"].as_bytes()),
        (&b"Bearer s3cret"[..], &b"cnv_1/7"[..])
    );
    assert_eq!(
        body,
        json!({
            "conversation": "cnv_1",
            "customer": { "id": "u-01a204dd-17f5-74ae-b94b-cf55b9bf7754", "channel": "web" },
            "text": "where is it?",
            "context": { "tier": "gold" },
            "history": [
                { "by": "bot", "text": "Hello" },
                { "by": "agent", "text": "I am Kim" },
                { "by": "customer", "text": "where is it?" },
            ],
        })
    );
}

#[tokio::test]
async fn every_action_is_read() {
    for (action, then) in [("listen", Then::Listens), ("done", Then::Done), ("give_up", Then::GivesUp)] {
        let (url, _) = answers("/", json!({ "action": action })).await;
        let bot = Webhook.build(json!({ "url": url }), http(&url)).unwrap();
        assert_eq!(bot.turn(&asked(json!({ "bot": "b" }))).await.unwrap().then, then);
    }
}

#[tokio::test]
async fn what_is_no_answer_is_a_failure() {
    for answer in [
        json!({ "action": "dance" }),
        json!([]),
        json!({ "messages": vec!["x"; 21] }),
        json!({ "messages": ["x".repeat(9_000)] }),
    ] {
        let (url, _) = answers("/", answer.clone()).await;
        let bot = Webhook.build(json!({ "url": url }), http(&url)).unwrap();
        assert!(bot.turn(&asked(json!({ "bot": "b" }))).await.is_err(), "{answer}");
    }
    let bot =
        Webhook.build(json!({ "url": "http://127.0.0.1:9/" }), Http::new(Guard::default()).unwrap()).unwrap();
    assert!(bot.turn(&asked(json!({ "bot": "b" }))).await.is_err(), "a private address is refused");
}
