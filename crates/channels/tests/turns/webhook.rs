//! The webhook channel, v2: answers, polls, closing, and what it refuses.

use std::sync::Arc;

use interline_core::Owner;
use interline_core::conversation::entry::Text;
use interline_core::conversation::input::AgentEvent;
use serde_json::{Value, json};

use crate::host::{APP, Agents, FlowHost, credential, serve};
use crate::ivr::flow;

struct World {
    host: Arc<FlowHost>,
    base: String,
    http: reqwest::Client,
}

impl World {
    async fn new(extra: Value) -> Self {
        let host = Arc::new(FlowHost::new("webhook", extra, flow(), Agents::Accept));
        let base = serve(&host, "webhook").await;
        Self { host, base, http: reqwest::Client::new() }
    }

    fn token(claims: Value) -> String {
        let mut all = json!({ "appId": "cs-caller", "sub": "program" });
        all.as_object_mut().unwrap().extend(claims.as_object().cloned().unwrap());
        credential("caller").sign(&all).unwrap()
    }

    async fn post_as(&self, token: &str, body: &str) -> (u16, Value) {
        let url = format!("{}/chatbot/v2/webhook/{APP}", self.base);
        let request = self.http.post(url).header("authorization", format!("bearer {token}"));
        let answer = request.body(body.to_owned()).send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap_or_default())
    }

    async fn post(&self, body: Value) -> Value {
        let (status, answer) = self.post_as(&Self::token(json!({})), &body.to_string()).await;
        assert_eq!(status, 200, "{answer}");
        assert_eq!(answer["_v"], "v2");
        answer
    }

    async fn say(&self, text: &str) -> Value {
        self.post(json!({ "message": { "type": "text", "val": text }, "from": { "id": "ann" } })).await
    }

    async fn poll(&self, id: &str) -> (u16, Value) {
        let url = format!("{}/chatbot/v2/webhook/{APP}/poll/{id}", self.base);
        let request =
            self.http.get(url).header("authorization", format!("Bearer {}", Self::token(json!({}))));
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap())
    }
}

fn connects() -> Value {
    json!({
        "session": { "new": true },
        "message": { "type": "event", "val": "ON_CONNECT" },
        "from": { "id": "ann", "userInfo": { "firstName": "Ann", "email": "ann@example.com" } },
        "to": { "id": "bot" }, "customData": { "plan": "gold", "n": 7, "deep": {} }, "interactiveLanguage": "fr",
        "metaTags": {}, "mergeIdentity": true, "preferredChannelForResponse": "rtm"
    })
}

fn words(answer: &Value) -> Vec<&str> {
    answer["data"].as_array().unwrap().iter().map(|line| line["val"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_turn_is_answered_with_what_the_customer_is_told() {
    let world = World::new(json!({})).await;
    let menu = world.post(connects()).await;
    assert!(words(&menu)[0].starts_with("For <billing>"), "{menu}");
    assert_eq!((&menu["to"], &menu["from"], &menu["endOfTask"]), (&json!("ann"), &json!(APP), &json!(false)));
    let line = &menu["data"][0];
    assert_eq!((&line["type"], &line["createdOn"]), (&json!("text"), &json!("2026-11-29T18:34:56.789Z")));
    assert_eq!(words(&world.say("3").await), ["Tell me."]);
    let profile = &world.host.state("ann").customer.profile;
    assert_eq!((profile.first_name.as_deref(), profile.language.as_deref()), (Some("Ann"), Some("fr")));
    assert_eq!(profile.data.keys().collect::<Vec<_>>(), ["n", "plan"]);
}

#[tokio::test]
async fn a_flow_at_its_end_says_so() {
    let world = World::new(json!({})).await;
    world.post(connects()).await;
    let over = world.say("9").await;
    assert_eq!(
        (words(&over), &over["endOfTask"], &over["endReason"]),
        (vec!["Good-bye."], &json!(true), &json!("Fulfilled"))
    );
    assert_eq!(world.host.state("ann").owner, Owner::Closed);
}

#[tokio::test]
async fn without_polls_an_agent_is_not_heard() {
    let world = World::new(json!({})).await;
    world.post(connects()).await;
    let transfer = world.say("2").await;
    assert_eq!(transfer["pollId"], Value::Null);
    assert_eq!(transfer["endOfTask"], false);
}

#[tokio::test]
async fn what_an_agent_says_is_polled_for_and_a_poll_is_answered_once() {
    let world = World::new(json!({ "poll": true })).await;
    world.post(connects()).await;
    let transfer = world.say("2").await;
    let first = transfer["pollId"].as_str().expect("a poll id");
    let (status, nothing) = world.poll(first).await;
    assert_eq!((status, &nothing["status"], &nothing["pollId"]), (200, &json!("Inprogress"), &json!(first)));
    world.host.agent("ann", AgentEvent::Said { text: Text::plain("Hello, Ann"), name: None });
    let (status, said) = world.poll(first).await;
    assert_eq!((status, words(&said)), (200, vec!["Hello, Ann"]));
    let (status, again) = world.poll(first).await;
    assert_eq!(
        (status, &again["errors"][0]["msg"], &again["_v"]),
        (400, &json!("No data found"), &json!("v2"))
    );
    let second = said["pollId"].as_str().expect("another poll id").to_owned();
    assert_ne!(first, second);
    world.host.agent("ann", AgentEvent::Ended { tag: None });
    let (status, over) = world.poll(&second).await;
    assert_eq!(status, 200);
    assert_eq!(over["pollId"], Value::Null, "the bot is back: {over}");
    for id in ["nonsense", "sealed-999"] {
        assert_eq!(world.poll(id).await.0, 400);
    }
}

#[tokio::test]
async fn the_same_request_again_gets_the_same_answer() {
    let world = World::new(json!({})).await;
    world.post(connects()).await;
    let said =
        json!({ "message": { "type": "text", "val": "3" }, "from": { "id": "ann" }, "requestId": "r-1" });
    let first = world.post(said.clone()).await;
    assert_eq!(world.post(said).await, first);
    assert_eq!(world.host.said("ann"), ["3"]);
}

#[tokio::test]
async fn a_session_is_closed_once() {
    let world = World::new(json!({})).await;
    let close = json!({ "message": { "type": "event", "val": "SESSION_CLOSURE" }, "from": { "id": "ann" } });
    assert_eq!(world.post(close.clone()).await["data"][0]["eventType"], "SESSION_CLOSURE_IGNORED");
    world.post(connects()).await;
    assert_eq!(world.post(close.clone()).await["data"][0]["eventType"], "SESSION_CLOSURE_SUCCESS");
    assert_eq!(world.post(close).await["data"][0]["eventType"], "SESSION_CLOSURE_IGNORED");
    world.post(connects()).await;
    let first = world.host.state("ann").id;
    world.post(connects()).await;
    assert_ne!(world.host.state("ann").id, first, "a new session is a new conversation");
}

#[tokio::test]
async fn a_token_that_names_a_person_is_for_that_one_alone() {
    let world = World::new(json!({})).await;
    let body = connects().to_string();
    let ann = World::token(json!({ "userIdentity": "ann" }));
    let ben = World::token(json!({ "userIdentity": "ben" }));
    assert_eq!(world.post_as(&ann, &body).await.0, 200);
    let bad = [
        ben,
        String::new(),
        "nonsense".into(),
        World::token(json!({ "exp": 1 })),
        World::token(json!({ "appId": "cs-stranger" })),
        credential("stranger").sign(&json!({ "appId": "cs-stranger" })).unwrap(),
    ];
    for token in bad {
        let (status, answer) = world.post_as(&token, &body).await;
        assert_eq!((status, &answer["errors"][0]["msg"]), (401, &json!("Invalid Access token")));
    }
}

#[tokio::test]
async fn what_is_wrong_in_a_request_is_named() {
    let world = World::new(json!({})).await;
    let token = World::token(json!({}));
    let from = json!({ "id": "ann" });
    let cases = [
        (json!({ "message": { "type": "text", "val": "hi" } }), "from {id}"),
        (json!({ "message": { "type": "text", "val": "hi" }, "from": { "id": "" } }), "from.id"),
        (json!({ "message": { "type": "text", "val": "" }, "from": from }), "message.type"),
        (json!({ "message": { "type": "text", "val": 7 }, "from": from }), "message.type"),
        (json!({ "message": { "type": "dance", "val": "x" }, "from": from }), "message.type"),
        (json!({ "message": { "type": "event", "val": "BOO" }, "from": from }), "ON_CONNECT"),
        (json!({ "message": { "type": "text", "val": "x".repeat(5_000) }, "from": from }), "4 kB"),
        (
            json!({ "message": { "type": "text", "val": "x", "attachments": [{ "fileName": "x" }] }, "from": from }),
            "attachments",
        ),
        (json!({ "message": { "type": "text", "val": "x" }, "from": from, "requestId": "" }), "requestId"),
        (json!([1]), "JSON"),
    ];
    for (body, named) in cases {
        let (status, answer) = world.post_as(&token, &body.to_string()).await;
        let message = answer["errors"][0]["msg"].as_str().unwrap_or_default();
        assert!(
            status == 400 && message.starts_with("Invalid Request Payload") && message.contains(named),
            "{body}: {answer}"
        );
    }
    assert_eq!(world.post_as(&token, "{").await.0, 400);
    assert_eq!(world.post_as(&token, &"x".repeat(1_000_000)).await.0, 413);
    let template = json!({ "message": { "type": "formData", "val": { "a": [1] } }, "from": from });
    world.post(template).await;
    assert_eq!(world.host.said("ann"), [r#"{"a":[1]}"#]);
}
