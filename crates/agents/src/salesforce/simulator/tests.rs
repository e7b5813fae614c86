//! The stand-in is as strict as the fact sheet says. Nothing here uses the client.

use futures_util::{Stream, StreamExt as _};
use interline_connector::simulator::{Act, Acts as _, Fault, Served};
use reqwest::{RequestBuilder, StatusCode};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{BOT_FIRST, Field, SUPERVISOR, Settings, Simulator};

/// A client that does what it is told.
struct Client {
    sim: Simulator,
    served: Served,
    http: reqwest::Client,
    token: String,
}

impl Client {
    async fn new(settings: Settings) -> Self {
        let sim = Simulator::new(settings);
        let served = Served::start(sim.router()).await.expect("a port");
        let mut client = Self { sim, served, http: reqwest::Client::new(), token: String::new() };
        client.token = client.fresh_token().await;
        client
    }

    async fn fresh_token(&self) -> String {
        let answer = self.ask_token(self.token_body()).await.json::<Value>().await.expect("JSON");
        answer["accessToken"].as_str().expect("a token").to_owned()
    }

    fn token_body(&self) -> Value {
        let settings = self.sim.settings();
        json!({ "orgId": settings.organization, "esDeveloperName": settings.developer_name,
            "capabilitiesVersion": "1", "platform": "Web" })
    }

    async fn ask_token(&self, body: Value) -> reqwest::Response {
        let url = self.served.at("/iamessage/api/v2/authorization/unauthenticated/access-token");
        self.http.post(url).json(&body).send().await.expect("an answer")
    }

    fn at(&self, path: &str) -> url::Url {
        self.served.at(&format!("/iamessage/api/v2{path}"))
    }

    async fn send(&self, request: RequestBuilder) -> (StatusCode, Value) {
        let answer = request.bearer_auth(&self.token).send().await.expect("an answer");
        (answer.status(), answer.json().await.unwrap_or_default())
    }

    async fn get(&self, path: &str) -> (StatusCode, Value) {
        self.send(self.http.get(self.at(path))).await
    }

    async fn post(&self, path: &str, body: Value) -> StatusCode {
        self.send(self.http.post(self.at(path)).json(&body)).await.0
    }

    fn creation(&self) -> Value {
        json!({ "conversationId": Uuid::new_v4(), "esDeveloperName": self.sim.settings().developer_name,
            "routingAttributes": { "_firstName": "Ada" }, "language": "en_US" })
    }

    async fn conversation(&self) -> String {
        let body = self.creation();
        assert_eq!(self.post("/conversation", body.clone()).await, 201);
        body["conversationId"].as_str().expect("an id").to_owned()
    }

    fn words(&self, text: &str) -> Value {
        json!({ "esDeveloperName": self.sim.settings().developer_name, "isNewMessagingSession": false,
            "message": { "id": Uuid::new_v4(), "messageType": "StaticContentMessage",
                "staticContent": { "formatType": "Text", "text": text } } })
    }

    async fn say(&self, conversation: &str, text: &str) -> StatusCode {
        self.post(&format!("/conversation/{conversation}/message"), self.words(text)).await
    }

    async fn file(&self, conversation: &str, name: &str, bytes: usize) -> StatusCode {
        let entry = json!({ "esDeveloperName": self.sim.settings().developer_name,
            "message": { "id": Uuid::new_v4(), "fileId": Uuid::new_v4(), "text": "" } });
        let part = |bytes: Vec<u8>, kind: &str| {
            reqwest::multipart::Part::bytes(bytes).mime_str(kind).expect("a media type")
        };
        let form = reqwest::multipart::Form::new()
            .part("messageEntry", part(entry.to_string().into_bytes(), "application/json"))
            .part("fileData", part(vec![7; bytes], "application/octet-stream").file_name(name.to_owned()));
        self.send(self.http.post(self.at(&format!("/conversation/{conversation}/file"))).multipart(form))
            .await
            .0
    }

    async fn act(&self, conversation: &str, act: Act) {
        self.sim.act(conversation, act).await.expect("acted");
    }

    async fn stream(&self, after: &str) -> reqwest::Response {
        let request = self.http.get(self.served.at("/eventrouter/v1/sse")).bearer_auth(&self.token);
        let request = request.header("accept", "text/event-stream").header("last-event-id", after);
        request.header("x-org-id", "00DSim000000001").send().await.expect("an answer")
    }

    /// The names and ids of what a new stream tells first, and how each payload came.
    async fn told(&self, after: &str, count: usize) -> Vec<(String, String, Value)> {
        let mut stream = Box::pin(self.stream(after).await.bytes_stream());
        let mut events = Vec::new();
        let mut text = String::new();
        while events.len() < count {
            text.push_str(&next(&mut stream).await.expect("more"));
            events = frames(&text);
        }
        events
    }
}

async fn next(
    stream: &mut (impl Stream<Item = reqwest::Result<axum::body::Bytes>> + Unpin),
) -> Option<String> {
    let chunk = stream.next().await?.ok()?;
    Some(String::from_utf8(chunk.to_vec()).expect("text"))
}

fn frames(text: &str) -> Vec<(String, String, Value)> {
    let complete = text.rsplit_once("\n\n").map_or("", |(complete, _)| complete);
    let field = |frame: &str, name: &str| {
        frame.lines().find_map(|line| line.strip_prefix(name).map(str::to_owned)).unwrap_or_default()
    };
    let events = complete.split("\n\n").filter(|frame| frame.contains("data: "));
    let read = |frame: &str| {
        let data = serde_json::from_str(&field(frame, "data: ")).expect("one line of JSON");
        (field(frame, "id: "), field(frame, "event: "), data)
    };
    events.map(read).collect()
}

fn names(events: &[(String, String, Value)]) -> Vec<&str> {
    events.iter().map(|(_, name, _)| name.trim_start_matches("CONVERSATION_")).collect()
}

#[tokio::test]
async fn a_token_needs_org_deployment_version_and_platform() {
    let client = Client::new(Settings::default()).await;
    for (field, value, status) in [
        ("platform", json!("Web"), 200),
        ("orgId", json!("00DSim000000001"), 200),
        ("orgId", json!("00DSim000000002"), 401),
        ("esDeveloperName", json!("Other"), 404),
        ("capabilitiesVersion", json!("2"), 400),
        ("platform", json!("Server"), 400),
        ("orgId", Value::Null, 401),
    ] {
        let mut body = client.token_body();
        body[field] = value.clone();
        assert_eq!(client.ask_token(body).await.status(), status, "{field}: {value}");
    }
}

#[tokio::test]
async fn no_more_tokens_than_200_a_minute_and_no_more_starts_than_3_in_30_seconds() {
    let client = Client::new(Settings::default()).await;
    for _ in 1..200 {
        assert_eq!(client.ask_token(client.token_body()).await.status(), 200);
    }
    assert_eq!(client.ask_token(client.token_body()).await.status(), 429);
    client.sim.desk().clock().advance(60_000);
    assert_eq!(client.ask_token(client.token_body()).await.status(), 200);
    for status in [201, 201, 201, 429] {
        assert_eq!(client.post("/conversation", client.creation()).await, status);
    }
    client.sim.desk().clock().advance(30_000);
    assert_eq!(client.post("/conversation", client.creation()).await, 201);
}

#[tokio::test]
async fn tokens_end_and_a_continuation_does_not_last_longer() {
    let mut client = Client::new(Settings { token_seconds: 100, ..Settings::default() }).await;
    let conversation = client.conversation().await;
    client.sim.desk().clock().advance(60_000);
    let (status, answer) = client.get("/authorization/continuation-access-token").await;
    assert_eq!(status, 200);
    let continued = answer["accessToken"].as_str().expect("a token").to_owned();
    assert_ne!(continued, client.token);
    client.token = continued;
    assert_eq!(client.say(&conversation, "the same customer").await, 202);
    client.sim.desk().clock().advance(41_000);
    assert_eq!(client.say(&conversation, "too late").await, 401);
    assert_eq!(client.get("/authorization/continuation-access-token").await.0, 401);
    // Another token is another customer.
    client.token = client.fresh_token().await;
    assert_eq!(client.say(&conversation, "somebody else").await, 403);
    assert_eq!(client.get(&format!("/conversation/{conversation}")).await.0, 403);
    client.token = "rubbish".into();
    assert_eq!(client.say(&conversation, "nobody").await, 401);
}

#[tokio::test]
async fn a_conversation_needs_a_lower_case_v4_id_and_what_its_form_requires() {
    let field = |name, required| Field { name, required, longest: 5 };
    let fields = vec![field("_firstName", true), field("tier", false)];
    let settings = Settings { fields, starts_per_30_s: 100, ..Settings::default() };
    let client = Client::new(settings).await;
    for (field, value, status) in [
        ("conversationId", json!(Uuid::new_v4().to_string().to_uppercase()), 400),
        ("conversationId", json!(Uuid::new_v5(&Uuid::NAMESPACE_OID, b"x")), 400),
        ("conversationId", json!("42"), 400),
        ("esDeveloperName", json!("Other"), 400),
        ("routingAttributes", json!({}), 400),
        ("routingAttributes", json!({ "_firstName": 1 }), 400),
        ("routingAttributes", json!({ "_firstName": "Adalbert" }), 400),
        ("routingAttributes", json!(["Ada"]), 400),
        ("routingAttributes", json!({ "_firstName": "Ada", "tier": "gold", "other": "lost" }), 201),
    ] {
        let mut body = client.creation();
        body[field] = value.clone();
        assert_eq!(client.post("/conversation", body).await, status, "{field}: {value}");
    }
    // What has no field does not reach the agent.
    let chat = client.sim.desk().chats().pop().expect("a chat");
    assert_eq!((chat.title.as_str(), chat.told("tier"), chat.told("other")), ("Ada", Some("gold"), None));
    assert_eq!(chat.told("language"), Some("en_US"));
    let again = json!({ "conversationId": chat.id, "esDeveloperName": client.sim.settings().developer_name,
        "routingAttributes": { "_firstName": "Ada" } });
    assert_eq!(client.post("/conversation", again).await, 409);
}

#[tokio::test]
async fn messages_are_checked_and_no_more_than_22_a_minute() {
    let client = Client::new(Settings::default()).await;
    let conversation = client.conversation().await;
    let path = format!("/conversation/{conversation}/message");
    for (field, value, status) in [
        ("/message/id", json!("1"), 400),
        ("/message/id", json!(Uuid::new_v4().to_string().to_uppercase()), 400),
        ("/message/messageType", json!("Text"), 400),
        ("/message/staticContent/formatType", json!("Html"), 400),
        ("/message/staticContent/text", json!(""), 400),
        ("/message/staticContent/text", json!("x".repeat(8_000)), 413),
        ("/esDeveloperName", json!("Other"), 400),
    ] {
        let mut body = client.words("hello");
        *body.pointer_mut(field).expect("a field") = value.clone();
        assert_eq!(client.post(&path, body).await, status, "{field}");
    }
    for _ in 0..22 {
        assert_eq!(client.say(&conversation, "hello").await, 202);
    }
    assert_eq!(client.say(&conversation, "hello").await, 429);
    client.sim.desk().clock().advance(60_000);
    assert_eq!(client.say(&conversation, "hello").await, 202);
    assert_eq!(client.say(&Uuid::new_v4().to_string(), "hello").await, 404);
}

#[tokio::test]
async fn files_up_to_5_mb_of_some_kinds() {
    let client = Client::new(Settings::default()).await;
    let conversation = client.conversation().await;
    let most = 5 * 1024 * 1024;
    for (name, bytes, status) in
        [("a.pdf", most, 202), ("a.pdf", most + 1, 413), ("a.exe", 1, 415), ("pdf", 1, 415)]
    {
        assert_eq!(client.file(&conversation, name, bytes).await, status, "{name} {bytes}");
    }
    let closed = Client::new(Settings { files: false, ..Settings::default() }).await;
    let conversation = closed.conversation().await;
    assert_eq!(closed.file(&conversation, "a.pdf", 1).await, 403);
    // Not a form at all.
    assert_eq!(closed.post(&format!("/conversation/{conversation}/file"), json!({})).await, 400);
}

#[tokio::test]
async fn typing_and_receipts_are_checked_and_seen() {
    let client = Client::new(Settings::default()).await;
    let conversation = client.conversation().await;
    client.act(&conversation, Act::Accept { agent: None }).await;
    client.act(&conversation, Act::say("hi")).await;
    let line = client.sim.desk().chat(&conversation).expect("a chat").lines.remove(0);
    let entry = line.id.expect("an id");
    let (typing, acks) = (
        format!("/conversation/{conversation}/entry"),
        format!("/conversation/{conversation}/acknowledge-entries"),
    );
    let ack = |kind: &str, id: &str| json!({ "acks": [{ "id": id, "entryType": kind, "conversationEntryId": entry }] });
    let id = Uuid::new_v4().to_string();
    for (path, body, status) in [
        (&typing, json!({ "entryType": "TypingStartedIndicator", "id": id }), 202),
        (&typing, json!({ "entryType": "Typing", "id": id }), 400),
        (&typing, json!({ "entryType": "TypingStartedIndicator" }), 400),
        (&acks, ack("Read", &id), 202),
        (&acks, ack("Seen", &id), 400),
        (&acks, ack("Read", "1"), 400),
        (&acks, json!({ "acks": [] }), 400),
    ] {
        assert_eq!(client.post(path, body.clone()).await, status, "{body}");
    }
    let chat = client.sim.desk().chat(&conversation).expect("a chat");
    assert!(chat.typing && chat.lines[0].read && chat.lines[0].delivered);
}

#[tokio::test]
async fn a_stream_begins_behind_the_last_event_and_its_payloads_are_texts() {
    let client = Client::new(Settings::default()).await;
    let conversation = client.conversation().await;
    assert_eq!(client.say(&conversation, "hello").await, 202);
    client.act(&conversation, Act::Accept { agent: Some("Ann".into()) }).await;
    client.act(&conversation, Act::say("hi")).await;
    let events = client.told("0", 6).await;
    let expected =
        ["ROUTING_RESULT", "QUEUE_POSITION", "SOMETHING_NEW", "MESSAGE", "PARTICIPANT_CHANGED", "MESSAGE"];
    assert_eq!(names(&events), expected);
    let (_, _, echo) = &events[3];
    assert_eq!(echo["conversationEntry"]["sender"]["role"], "EndUser");
    let payload = echo["conversationEntry"]["entryPayload"].as_str().expect("a text");
    let payload: Value = serde_json::from_str(payload).expect("JSON in it");
    assert_eq!(payload["abstractMessage"]["staticContent"]["text"], "hello");

    let rest = client.told(&events[3].0, 2).await;
    assert_eq!(names(&rest), ["PARTICIPANT_CHANGED", "MESSAGE"]);

    // In the list they are objects; what fleets is not in it.
    client.act(&conversation, Act::Type { on: true }).await;
    let (_, list) = client.get(&format!("/conversation/{conversation}/entries?direction=FromStart")).await;
    let kinds: Vec<_> = list["conversationEntries"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|one| one["entryType"].clone())
        .collect();
    assert_eq!(kinds, ["RoutingResult", "QueuePosition", "Message", "ParticipantChanged", "Message"]);
    assert!(list["conversationEntries"][2]["entryPayload"].is_object());
}

#[tokio::test]
async fn a_stream_asks_for_the_short_org_id_and_ends_with_its_token() {
    let client = Client::new(Settings { token_seconds: 100, ..Settings::default() }).await;
    let ask = |org: &'static str, accept: &'static str| {
        let request = client.http.get(client.served.at("/eventrouter/v1/sse")).bearer_auth(&client.token);
        request.header("x-org-id", org).header("accept", accept).send()
    };
    for (org, accept, status) in
        [("00DSim000000001AAA", "text/event-stream", 400), ("00DSim000000001", "application/json", 406)]
    {
        assert_eq!(ask(org, accept).await.expect("an answer").status(), status);
    }
    let conversation = client.conversation().await;
    let mut stream = Box::pin(client.stream("0").await.bytes_stream());
    while !next(&mut stream).await.expect("more").contains("SOMETHING_NEW") {}
    client.sim.desk().clock().advance(100_000);
    client.act(&conversation, Act::End).await;
    assert_eq!(next(&mut stream).await.as_deref(), Some("Jwt is expired\n"));
    assert_eq!(next(&mut stream).await, None);
    assert_eq!(client.stream("0").await.status(), 401);
}

#[tokio::test]
async fn when_the_agent_ends_the_conversation_stays() {
    let client = Client::new(Settings::default()).await;
    let conversation = client.conversation().await;
    let path = format!("/conversation/{conversation}");
    assert_eq!(client.get(&path).await.1["routingStatus"], "INITIAL");
    client.act(&conversation, Act::Accept { agent: None }).await;
    assert_eq!(client.get(&path).await.1["routingStatus"], "ROUTED");
    client.act(&conversation, Act::End).await;
    assert_eq!(client.get(&path).await.1["routingStatus"], "NEEDS_ROUTING");
    let ends: Vec<_> = client.told("0", 6).await;
    assert_eq!(names(&ends)[4..], ["PARTICIPANT_CHANGED", "SESSION_STATUS_CHANGED"]);
    // What is said now begins another session: the trap.
    assert_eq!(client.say(&conversation, "are you there?").await, 202);
    let chat = client.sim.desk().chat(&conversation).expect("a chat");
    assert_eq!(chat.state, interline_connector::simulator::ChatState::Waiting);
    let url = || client.at(&format!("{path}?esDeveloperName={}", client.sim.settings().developer_name));
    assert_eq!(client.send(client.http.delete(client.at(&path))).await.0, 400);
    assert_eq!(client.send(client.http.delete(url())).await.0, 204);
    assert_eq!(client.send(client.http.delete(url())).await.0, 400);
    assert_eq!(client.say(&conversation, "still?").await, 400);
    let (_, list) = client.get("/conversation/list?inclClosedConvs=false&limit=20").await;
    assert_eq!((&list["openConversationsFound"], &list["closedConversationsFound"]), (&json!(0), &json!(1)));
}

#[tokio::test]
async fn what_is_told_can_go_wrong() {
    let client = Client::new(Settings::default()).await;
    let conversation = client.conversation().await;
    client.act(&conversation, Act::Accept { agent: None }).await;
    let said = "CONVERSATION_MESSAGE Agent";
    let faults = client.sim.desk().faults();
    faults.add(said, 1, Fault::Twice);
    client.act(&conversation, Act::say("one")).await;
    faults.add(said, 1, Fault::Lose);
    client.act(&conversation, Act::say("two")).await;
    assert_eq!(client.say(&conversation, "not an agent's").await, 202);
    let events = client.told("0", 7).await;
    assert_eq!(names(&events)[4..], ["MESSAGE", "MESSAGE", "MESSAGE"]);
    let identifier = |at: usize| &events[at].2["conversationEntry"]["identifier"];
    assert_eq!(identifier(4), identifier(5));
    assert_eq!(events[6].2["conversationEntry"]["sender"]["role"], "EndUser");

    let mut stream = Box::pin(client.stream(&events[6].0).await.bytes_stream());
    assert!(next(&mut stream).await.expect("the head").starts_with(": "));
    faults.add("/eventrouter/v1/sse", 1, Fault::Kill);
    client.act(&conversation, Act::say("three")).await;
    assert_eq!(next(&mut stream).await, None, "closed before it was told");
    let after = client.told(&events[6].0, 1).await;
    assert_eq!(names(&after), ["MESSAGE"]);
}

#[tokio::test]
async fn a_bot_comes_first_and_a_supervisor_looks_in() {
    let client = Client::new(Settings::default()).await;
    let faults = client.sim.desk().faults();
    faults.add(BOT_FIRST, 1, Fault::Special { name: BOT_FIRST.into() });
    faults.add(SUPERVISOR, 1, Fault::Special { name: SUPERVISOR.into() });
    let conversation = client.conversation().await;
    client.act(&conversation, Act::Accept { agent: None }).await;
    let events = client.told("0", 7).await;
    let roles: Vec<_> = events
        .iter()
        .filter(|(_, name, _)| name.ends_with("PARTICIPANT_CHANGED"))
        .map(|(_, _, data)| data["conversationEntry"]["sender"]["role"].clone())
        .collect();
    assert_eq!(roles, ["Chatbot", "Supervisor", "Agent"]);
}
