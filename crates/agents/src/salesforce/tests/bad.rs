//! Hostile and broken input: whatever comes, the session goes on or is given up, and nothing panics.

use ::http::{Method, StatusCode};
use axum::body::{Body as HttpBody, Bytes};
use axum::response::{IntoResponse as _, Redirect, Response};
use axum::routing::{get, post};
use futures_util::StreamExt as _;
use interline_connector::{Failure, RunEnd, Unverified};

use super::*;
use crate::hostile;

const TOKEN: &str = "/iamessage/api/v2/authorization/unauthenticated/access-token";
const STREAM: &str = "/eventrouter/v1/sse";

/// An envelope of a conversation, with something odd in its entry.
fn envelope(chat: &str, entry: Value) -> String {
    json!({ "conversationId": chat, "conversationEntry": entry }).to_string()
}

#[tokio::test]
async fn odd_events_mean_nothing_and_what_follows_is_heard() {
    let world = World::new().await;
    let chat = world.talking().await;
    let deep = format!("{}1{}", "[".repeat(2_000), "]".repeat(2_000));
    let message = |payload: Value| json!({ "entryType": "Message", "sender": { "role": "Agent" }, "entryPayload": payload });
    for data in [
        "not JSON".to_owned(),
        "null".into(),
        "[]".into(),
        "{}".into(),
        deep.clone(),
        r#"{"conversationId":99999999999999999999999999,"conversationEntry":{}}"#.into(),
        envelope(
            "somebody-else",
            message(json!(r#"{"abstractMessage":{"staticContent":{"text":"forged"}}}"#)),
        ),
        envelope(&chat, Value::Null),
        envelope(&chat, json!({ "entryType": "SomethingNew", "entryPayload": "{}" })),
        envelope(&chat, json!({ "entryType": 7, "identifier": {}, "sender": [], "relatedRecords": "x" })),
        envelope(&chat, json!({ "entryType": "ReadAcknowledgement", "relatedRecords": [] })),
        envelope(
            &chat,
            json!({ "entryType": "SessionStatusChanged", "entryPayload": "{\"sessionStatus\":[]}" }),
        ),
        envelope(
            &chat,
            json!({ "entryType": "ParticipantChanged", "entryPayload": "{\"entries\":{\"operation\":1}}" }),
        ),
        envelope(&chat, json!({ "entryType": "QueuePosition", "entryPayload": "{\"position\":-1}" })),
        envelope(&chat, message(json!("half {\"abs"))),
        envelope(&chat, message(json!({ "abstractMessage": 7 }))),
        envelope(&chat, message(json!({ "abstractMessage": { "staticContent": { "text": "" } } }))),
        envelope(
            &chat,
            message(
                json!({ "abstractMessage": { "staticContent": { "attachments": [{ "url": "::" }, 7] } } }),
            ),
        ),
        envelope(&chat, message(json!(deep))),
        envelope(
            &chat,
            json!({ "entryType": "RoutingResult", "entryPayload": "{\"routingType\":\"New\",\"failureType\":{}}" }),
        ),
    ] {
        world.sim.tell_raw(&chat, "CONVERSATION_MESSAGE", &data);
    }
    world.act(&chat, Act::say("still here")).await;
    world.until_spoken(&["still here"]).await;
    assert!(world.engine.runs().is_empty(), "{:?}", world.engine.runs());
    let after_joined =
        world.engine.heard().into_iter().skip_while(|event| !matches!(event, AgentEvent::Joined { .. }));
    assert_eq!(after_joined.skip(1).count(), 2, "the queue's odd place, and the words");
}

#[tokio::test]
async fn what_may_be_missing_may_be_missing() {
    let world = World::new().await;
    let chat = world.waiting().await;
    let joined = json!({ "entries": [{ "operation": "add", "participant": { "role": "Agent" } }] });
    let said = json!({ "abstractMessage": { "staticContent": { "text": "hi" } } });
    for (kind, payload) in [("ParticipantChanged", joined), ("Message", said)] {
        let entry =
            json!({ "entryType": kind, "sender": { "role": "Agent" }, "entryPayload": payload.to_string() });
        world.sim.tell_raw(&chat, "X", &envelope(&chat, entry));
    }
    world.until_heard(|event| *event == AgentEvent::Joined { name: None }).await;
    world.until_heard(|event| *event == AgentEvent::Said { text: Text::plain("hi"), name: None }).await;
}

#[tokio::test]
async fn what_is_much_too_long_or_cannot_be_kept_is_made_to_fit() {
    let world = World::new().await;
    let chat = world.talking().await;
    let long = "x".repeat(300_000);
    let said = json!({ "abstractMessage": { "staticContent": { "text": format!("a\0b{long}"), "attachments": null } } });
    let entry = json!({ "identifier": long, "entryType": "Message", "sender": { "role": "Agent" },
        "senderDisplayName": long, "entryPayload": said.to_string() });
    // Told twice, it is the same all the same.
    for _ in 0..2 {
        world.sim.tell_raw(&chat, "CONVERSATION_MESSAGE", &envelope(&chat, entry.clone()));
    }
    world.act(&chat, Act::say("behind it")).await;
    let spoken = eventually(|| Some(world.spoken()).filter(|spoken| spoken.len() == 2)).await;
    assert!(spoken[0].starts_with("abxx") && spoken[0].len() <= 32 * 1024);
    let name = world.until_heard(|event| matches!(event, AgentEvent::Said { .. })).await;
    assert!(matches!(name, AgentEvent::Said { name: Some(name), .. } if name.len() <= 200));
    assert!(world.engine.remote_id(&spoken[0]).is_some_and(|id| id.len() <= 200));
}

#[tokio::test]
async fn an_event_id_that_no_header_can_hold_does_not_keep_us_away() {
    let world = first_stream(|| {
        HttpBody::from(format!("id: {}\ndata: {{}}\n\nid: \u{1}\u{e9}\ndata: {{}}\n\n", "9".repeat(100_000)))
    })
    .await;
    let chat = world.talking().await;
    world.act(&chat, Act::say("heard")).await;
    world.until_spoken(&["heard"]).await;
}

#[tokio::test]
async fn a_moment_in_the_far_future_hides_nothing() {
    let world = World::new().await;
    let chat = world.talking().await;
    for at in [json!(i64::MAX), json!(1e300), json!("9223372036854775807"), json!({})] {
        let entry = json!({ "identifier": at.to_string(), "entryType": "Message", "sender": { "role": "Agent" },
            "transcriptedTimestamp": at, "entryPayload": "{\"abstractMessage\":{\"staticContent\":{\"text\":\"x\"}}}" });
        world.sim.tell_raw(&chat, "CONVERSATION_MESSAGE", &envelope(&chat, entry));
    }
    world.until_spoken(&["x"; 4]).await;
    world.fault(world.points().said, 1, Fault::Lose);
    world.act(&chat, Act::say("lost on the way")).await;
    world.sim.cut_streams();
    world.until_spoken(&["x", "x", "x", "x", "lost on the way"]).await;
}

// ── streams ──────────────────────────────────────────────────────────────────────────────────────────────────────────

/// The first stream is this one; those that follow are the org's.
async fn first_stream(first: fn() -> HttpBody) -> World {
    let tried = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let before = move |router: Router| {
        router.layer(axum::middleware::from_fn(
            move |request: axum::extract::Request, next: axum::middleware::Next| {
                let first_time =
                    request.uri().path() == STREAM && !tried.swap(true, std::sync::atomic::Ordering::Relaxed);
                async move {
                    if first_time {
                        return ([("content-type", "text/event-stream")], first()).into_response();
                    }
                    next.run(request).await
                }
            },
        ))
    };
    World::behind(Org::roomy(), json!({}), before).await
}

#[tokio::test]
async fn a_stream_that_is_none_is_left_for_another() {
    let endless = || {
        let line = Bytes::from(vec![b'x'; 64 * 1024]);
        HttpBody::from_stream(futures_util::stream::repeat(line).map(Ok::<_, std::io::Error>))
    };
    let not_text = || HttpBody::from(&b"id: 7\ndata: \xff\xfe\n\n"[..]);
    let expired = || HttpBody::from("Jwt is expired\n");
    let empty = HttpBody::empty;
    for first in [endless as fn() -> HttpBody, not_text, expired, empty] {
        let world = first_stream(first).await;
        let chat = world.talking().await;
        world.act(&chat, Act::say("heard")).await;
        world.until_spoken(&["heard"]).await;
        assert!(matches!(world.engine.runs()[..], [RunEnd::Lost(_)]), "{:?}", world.engine.runs());
    }
}

#[tokio::test]
async fn a_stream_without_a_ping_is_dead_after_90_seconds() {
    let world = first_stream(|| {
        HttpBody::from_stream(futures_util::stream::pending::<Result<Bytes, std::io::Error>>())
    })
    .await;
    let chat = world.waiting().await;
    eventually(|| (world.engine.results(Seq(1)).len() == 1).then_some(())).await;
    world.pass(Duration::from_secs(89)).await;
    world.say("not yet");
    world.until_words(&chat, &["not yet"]).await;
    assert!(world.engine.runs().is_empty());
    world.pass(Duration::from_secs(2)).await;
    world.until_heard(|event| matches!(event, AgentEvent::Queued { .. })).await;
    assert!(matches!(world.engine.runs()[..], [RunEnd::Lost(_)]));
}

#[tokio::test]
async fn a_stream_that_drips_a_line_without_an_end_is_dead_too() {
    let world = first_stream(|| {
        let drip = futures_util::stream::unfold((), async |()| {
            tokio::time::sleep(Duration::from_secs(1)).await;
            Some((Ok::<_, std::io::Error>(Bytes::from_static(b"x")), ()))
        });
        HttpBody::from_stream(drip)
    })
    .await;
    world.waiting().await;
    eventually(|| (world.engine.results(Seq(1)).len() == 1).then_some(())).await;
    hostile::pass(Duration::from_secs(91)).await;
    world.until_heard(|event| matches!(event, AgentEvent::Queued { .. })).await;
    assert!(matches!(world.engine.runs()[..], [RunEnd::Lost(_)]), "{:?}", world.engine.runs());
}

// ── answers ──────────────────────────────────────────────────────────────────────────────────────────────────────────

/// An org that answers the token's call with this.
async fn answering(answer: impl Fn() -> Response + Clone + Send + Sync + 'static) -> World {
    let before =
        |router: Router| Router::new().route(TOKEN, post(async move || answer())).fallback_service(router);
    World::behind(Org::roomy(), json!({}), before).await
}

#[tokio::test]
async fn answers_that_are_none_start_nothing() {
    let oversize = || HttpBody::from(vec![b' '; 3 * 1024 * 1024]).into_response();
    for answer in [
        (|| "<html>hello</html>".into_response()) as fn() -> Response,
        || StatusCode::NO_CONTENT.into_response(),
        || "{\"accessToken\":7}".into_response(),
        || "{\"accessToken\":\"line\\nbreak\"}".into_response(),
        || Redirect::temporary("http://127.0.0.1:1/").into_response(),
        || StatusCode::IM_A_TEAPOT.into_response(),
        || StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        oversize,
    ] {
        let world = answering(answer).await;
        let seq = world.give(world.opening());
        eventually(|| world.engine.results(seq).pop()).await.expect_err("nothing was started");
        assert!(world.desk().chats().is_empty());
    }
}

#[tokio::test]
async fn an_answer_that_drips_is_not_waited_for() {
    let drip = || {
        let bytes = futures_util::stream::once(async { Ok::<_, std::io::Error>(Bytes::from_static(b"{")) });
        HttpBody::from_stream(bytes.chain(futures_util::stream::pending())).into_response()
    };
    let asked = Arc::new(tokio::sync::Notify::new());
    let told = asked.clone();
    let world = answering(move || {
        told.notify_one();
        drip()
    })
    .await;
    let seq = world.give(world.opening());
    asked.notified().await;
    // The head may still be on its way when the time passes; its deadline is none the less the same.
    world.pass(Duration::from_secs(16)).await;
    eventually(|| world.engine.results(seq).pop()).await.expect_err("nothing was started");
}

#[tokio::test]
async fn a_token_that_says_less_is_a_token() {
    let world = World::behind(Org::roomy(), json!({}), |router: Router| {
        // All but the token is left out, or is of another type than known.
        let thin = async |request: axum::extract::Request, next: axum::middleware::Next| {
            let is_token = request.uri().path() == TOKEN;
            let answer = next.run(request).await;
            if !is_token {
                return answer;
            }
            let body = axum::body::to_bytes(answer.into_body(), 1_000_000).await.expect("a body");
            let full: Value = serde_json::from_slice(&body).expect("JSON");
            let config = json!({ "forms": {}, "attachments": 7, "embeddedServiceMessagingChannel": null });
            let context = json!({ "configuration": { "embeddedServiceConfig": config } });
            axum::Json(json!({ "accessToken": full["accessToken"], "lastEventId": 0, "context": context }))
                .into_response()
        };
        router.layer(axum::middleware::from_fn(thin))
    })
    .await;
    let chat = world.talking().await;
    world.act(&chat, Act::say("hi")).await;
    world.until_spoken(&["hi"]).await;
    assert!(world.engine.agent.probe().await.is_err_and(|told| told.contains("summary_field")));
}

#[tokio::test]
async fn nobody_calls_us() {
    let world = World::new().await;
    let request = Unverified {
        method: Method::POST,
        path: "anything".into(),
        query: String::new(),
        headers: Default::default(),
        body: Bytes::from_static(b"{}"),
        now_ms: 0,
        secret_part: true,
    };
    let rejected = world.engine.agent.receive(&request).expect_err("turned away");
    assert_eq!(rejected.0.status, 404);
}

#[tokio::test]
async fn an_address_that_the_operator_did_not_name_is_not_called() {
    let called = Arc::new(Mutex::new(0));
    let count = called.clone();
    let router = Router::new().fallback(get(async move || *count.lock().expect("lock") += 1));
    let served = Served::start(router).await.expect("a port");
    let settings = json!({ "organization_id": "00DSim000000001", "url": served.url, "developer_name": "X" });
    let agent =
        Salesforce.build(settings, env(&"http://127.0.0.1:1".parse().expect("a URL"))).expect("settings");
    assert!(agent.probe().await.is_err_and(|told| told.contains("private")));
    let engine = engine::Engine::run(agent);
    engine.give(Next::Item(Box::new(item(1, Speaker::System, Body::Open))));
    let failure = engine.settled(Seq(1)).await.expect_err("not called");
    assert!(matches!(failure, Failure::Refused(cause) if cause.reason == Reason::Unconfigured));
    assert_eq!(*called.lock().expect("lock"), 0);
}
