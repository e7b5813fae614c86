//! Every request of the connector, and every answer, webhook call and event of the stand-in, against the vendor's description.

use axum::body::to_bytes;
use interline_connector::simulator::{Act, Acts, Direction, Logged, StandIn};
use interline_connector::{Aside, channel::Mark};
use interline_core::Seq;
use interline_core::transfer::Outcome;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use super::open_relay::{fast, world};
use super::spec::{Schemas, folder, read};
use super::support::*;
use crate::genesys::simulator::open::Settings;

/// What the description does not name, and why it is sent all the same.
fn allowed() -> Vec<(&'static str, &'static str, Value)> {
    vec![
        // Two independent public middlewares send it; the sheet, 4.1.
        (
            "ConversationChannelMetadata",
            "customAttributes",
            json!({ "type": "object", "additionalProperties": { "type": "string" } }),
        ),
        // The vendor's page on inbound receipts has it; the sheet, 5.1.
        ("OpenInboundNormalizedReceipt", "direction", json!({ "enum": ["Outbound"] })),
    ]
}

/// Where the description stands for a call: its path with what is named in braces.
fn operation<'a>(document: &'a Value, method: &str, path: &str) -> Option<&'a Value> {
    let path = path.split('?').next().unwrap_or_default();
    let parts: Vec<&str> = path.split('/').collect();
    let fits = |known: &str| {
        let known: Vec<&str> = known.split('/').collect();
        known.len() == parts.len()
            && known.iter().zip(&parts).all(|(known, part)| known.starts_with('{') || known == part)
    };
    let literal = |known: &str| known.matches('{').count();
    let all = document["paths"].as_object()?.iter().filter(|(known, _)| fits(known));
    all.min_by_key(|(known, _)| literal(known)).map(|(_, operations)| &operations[method.to_lowercase()])
}

fn schema_of(place: &Value) -> Option<&Value> {
    place
        .pointer("/content/application~1json/schema")
        .filter(|schema| schema.as_object().is_some_and(|it| !it.is_empty()))
}

#[tokio::test]
async fn what_is_said_on_the_wire_is_what_the_vendor_describes() {
    let Some(folder) = folder("what_is_said_on_the_wire_is_what_the_vendor_describes") else { return };
    let document = read(&folder, "genesys-cloud-platform-subset.openapi.json");
    let schemas = Schemas::new(&document, "components/schemas", &allowed());
    // So that attributes are added by a call of their own too.
    let (world, sim) =
        world(Settings { takes_attributes: false, ..fast() }, json!({ "poll_ms": 200, "queue": "Billing" }))
            .await;
    let (chat, id) = world.opened().await;
    sim.act(&id, Act::Accept { agent: Some("Kim".into()) }).await.expect("taken");
    chat.notes.joined("Kim").await;
    chat.tell(line_item(2, "hello"));
    let source = interline_connector::files::Source::default();
    chat.tell(file_item(3, "", "a.pdf", world.sim.at("/nothing").as_str(), true, source));
    chat.aside(Aside::Typing(true));
    sim.act(&id, Act::say("hi")).await.expect("said");
    sim.act(&id, Act::Type { on: true }).await.expect("told");
    let line = world.desk.chat(&id).expect("a chat").lines.iter().rev().find_map(|line| line.id.clone());
    chat.aside(Aside::Receipt { mark: Mark::Delivered, seq: Seq(9), remote_id: line });
    chat.notes.settled(3).await.expect("delivered");
    world.agent.probe().await.expect("all is well");
    chat.tell(close_item(4, Outcome::CustomerEnded));
    chat.notes.settled(4).await.expect("closed");
    let log = world.desk.log().all();
    let asked = log.iter().filter(|call| call.direction == Direction::In && call.path.starts_with("/api/"));
    let mut seen = std::collections::BTreeSet::new();
    for call in asked {
        let described = operation(&document, &call.method, &call.path)
            .unwrap_or_else(|| panic!("{} is not described", call.path));
        check(&schemas, call, schema_of(&described["requestBody"]));
        // The answer, by asking the same again: a call that changes nothing says the same.
        if call.method == "GET" {
            let status =
                described["responses"].as_object().and_then(|all| all.values().next()).expect("an answer");
            let answer = again(&sim, call).await;
            let wrong =
                schema_of(status).map(|schema| schemas.errors_of(schema, &answer)).unwrap_or_default();
            assert_eq!(wrong, Vec::<String>::new(), "the answer to {}: {answer}", call.path);
        }
        seen.insert(
            call.path.split('?').next().unwrap_or_default().rsplit('/').next().unwrap_or_default().to_owned(),
        );
    }
    for wanted in [
        "message",
        "event",
        "receipt",
        "attributes",
        "subscriptions",
        "channels",
        "me",
        "recipients",
        "queues",
    ] {
        assert!(seen.contains(wanted), "{wanted} was never asked: {seen:?}");
    }
    for call in log.iter().filter(|call| call.direction == Direction::Out) {
        let kind = call.body["type"].as_str().unwrap_or_default();
        let name = match kind {
            "Text" => "OpenMessageNormalizedMessage",
            _ => "OpenEventNormalizedMessage",
        };
        let mut body = call.body.clone();
        // The vendor's page on outbound messages has it; these schemas are of the answers, which lack it.
        body.as_object_mut().expect("an object").remove("direction");
        assert_eq!(schemas.errors(name, &body), Vec::<String>::new(), "{body}");
    }
    let told = log.iter().filter(|call| call.direction == Direction::Out).count();
    assert!(told >= 2, "a line and typing were told");
}

fn check(schemas: &Schemas, call: &Logged, schema: Option<&Value>) {
    let Some(schema) = schema else {
        assert!(call.body.is_null() || call.body == "", "{} brings what nobody asked for", call.path);
        return;
    };
    assert_eq!(schemas.errors_of(schema, &call.body), Vec::<String>::new(), "{} {}", call.path, call.body);
}

async fn again(sim: &crate::genesys::simulator::open::Open, call: &Logged) -> Value {
    let token = sim.token_for_tests();
    let request = axum::http::Request::get(&call.path).header("authorization", format!("Bearer {token}"));
    let request = request.body(axum::body::Body::empty()).expect("a request");
    let answer = sim.router().oneshot(request).await.expect("an answer");
    let bytes = to_bytes(answer.into_body(), 1_000_000).await.expect("a body");
    serde_json::from_slice(&bytes).expect("JSON")
}

#[tokio::test]
async fn the_answers_to_posts_are_as_described() {
    let Some(folder) = folder("the_answers_to_posts_are_as_described") else { return };
    let document = read(&folder, "genesys-cloud-platform-subset.openapi.json");
    let schemas = Schemas::new(&document, "components/schemas", &allowed());
    let (world, sim) = super::open_relay::usual().await;
    let token = sim.token_for_tests();
    let integration = Settings::default().integration_id;
    let from = json!({ "id": "someone", "idType": "Opaque" });
    let time = "2026-11-22T06:30:00.000Z";
    let message = json!({ "channel": { "from": from, "time": time, "messageId": "1" }, "text": "x", "metadata": { "k": "v" } });
    let event = json!({ "channel": { "from": from, "time": time }, "events": [{ "eventType": "Typing" }] });
    let base = format!("api/v2/conversations/messages/{integration}/inbound/open");
    let calls = [
        (format!("{base}/message?prefetchConversationId=true"), message, "OpenMessageNormalizedMessage"),
        (format!("{base}/event"), event, "OpenEventNormalizedMessage"),
        ("api/v2/notifications/channels".to_owned(), Value::Null, "Channel"),
    ];
    for (path, body, schema) in calls {
        let call =
            world.desk.client().post(world.sim.at(&format!("/{path}"))).bearer_auth(&token).json(&body);
        let answer: Value = call.send().await.expect("an answer").json().await.expect("JSON");
        assert_eq!(schemas.errors(schema, &answer), Vec::<String>::new(), "{path}: {answer}");
    }
    let refused = world
        .desk
        .client()
        .post(world.sim.at(&format!("/{base}/event")))
        .bearer_auth(&token)
        .json(&json!({}));
    let answer: Value = refused.send().await.expect("an answer").json().await.expect("JSON");
    assert_eq!(schemas.errors("ErrorBody", &answer), Vec::<String>::new(), "{answer}");
}
