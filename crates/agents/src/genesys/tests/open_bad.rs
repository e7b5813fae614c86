//! Hostile and broken input: to the webhook, on the notification channel, in the API's answers.

use axum::Router;
use axum::routing::any;
use interline_connector::simulator::{Act, Acts, Fault, Served};
use serde_json::{Value, json};

use super::open_relay::{talking, usual};
use super::support::*;
use crate::genesys::simulator::open::Settings;
use crate::genesys::simulator::signature;
use crate::hostile::{BEGUN, HALF_A_HEAD};

async fn post(world: &World, body: impl Into<Vec<u8>>) -> u16 {
    let body = body.into();
    let signature = format!("sha256={}", signature(&Settings::default().signature_secret, &body, false));
    let call = world.desk.client().post(world.hook.at("/in/st-1/desk/secret")).body(body);
    call.header("x-hub-signature-256", signature).send().await.expect("an answer").status().as_u16()
}

fn said(id: Value, more: Value) -> String {
    let mut body = json!({
        "id": id, "type": "Text", "text": "hello",
        "channel": { "to": { "id": format!("{CONVERSATION}-2") }, "id": Settings::default().integration_id },
    });
    for (name, value) in more.as_object().expect("fields") {
        body[name] = value.clone();
    }
    body.to_string()
}

#[tokio::test]
async fn calls_that_mean_nothing_change_nothing() {
    let (world, sim) = usual().await;
    let (chat, _) = talking(&world, &sim).await;
    let before = chat.notes.lock().heard.len();
    let huge = "9".repeat(400);
    for (body, status) in [
        (b"\xff\xfe\0".to_vec(), 400),
        (b"{}".to_vec(), 400),
        (b"[[[[[[".to_vec(), 400),
        (vec![b'['; 100_000], 400),
        (vec![b'x'; 600_000], 413),
        (said(json!(17), json!({})).into(), 400),
        (said(json!("1"), json!({ "channel": { "to": { "id": "cnv_x-2-3" } } })).into(), 404),
        (said(json!("1"), json!({ "channel": { "to": { "id": format!("cnv_{huge}-1") } } })).into(), 404),
        (said(json!("1"), json!({ "channel": { "to": { "id": format!("cnv_1-{huge}") } } })).into(), 404),
        (said(json!("1"), json!({ "channel": {} })).into(), 404),
        (said(json!("1"), json!({ "channel": { "id": "another", "to": { "id": format!("{CONVERSATION}-2") } } })).into(), 400),
        (said(json!("1"), json!({ "content": [{ "contentType": "Attachment", "attachment": { "url": "file:///etc/passwd" } }] })).into(), 400),
        (said(json!("1"), json!({ "content": [{ "contentType": "Attachment" }] })).into(), 400),
        // Known to be ours, and of no meaning: neither success nor failure.
        (said(json!("1"), json!({ "type": "Hologram" })).into(), 200),
        (said(json!("1"), json!({ "type": "Event", "events": [{ "eventType": "Dance" }, 7, null] })).into(), 200),
        (said(json!("1"), json!({ "type": "Receipt", "status": "Blessed" })).into(), 200),
        (said(json!("1"), json!({ "type": "Receipt", "status": "Failed", "reasons": [3] })).into(), 200),
        (said(json!("1"), json!({ "text": "  ", "content": [] })).into(), 200),
    ] {
        let shown = String::from_utf8_lossy(&body[..body.len().min(200)]).into_owned();
        assert_eq!(post(&world, body).await, status, "{shown}");
    }
    assert_eq!(chat.notes.lock().heard.len(), before);
    // Optional fields are optional.
    assert_eq!(post(&world, json!({ "id": "7", "type": "Text", "text": "plain", "channel": { "to": { "id": format!("{CONVERSATION}-2") } } }).to_string()).await, 200);
    chat.notes.said("plain").await;
}

#[tokio::test]
async fn only_the_exact_signature_over_the_exact_bytes_is_a_proof() {
    let (world, _sim) = usual().await;
    let body = said(json!("1"), json!({}));
    let secret = Settings::default().signature_secret;
    let good = signature(&secret, body.as_bytes(), false);
    let respaced =
        serde_json::to_vec_pretty(&serde_json::from_str::<Value>(&body).expect("JSON")).expect("JSON");
    for header in [
        None,
        Some(String::new()),
        Some("sha256=".into()),
        Some(good.clone()),
        Some(format!("sha1={good}")),
        Some(format!("sha256={}", &good[..good.len() - 4])),
        Some(format!("sha256={}", signature("another secret, longer", body.as_bytes(), true))),
        Some(format!("sha256={}", signature(&secret, &respaced, false))),
        Some(format!("sha256={}", "zz".repeat(32))),
    ] {
        let mut call = world.desk.client().post(world.hook.at("/in/st-1/desk/secret")).body(body.clone());
        if let Some(header) = &header {
            call = call.header("x-hub-signature-256", header);
        }
        assert_eq!(call.send().await.expect("an answer").status().as_u16(), 401, "{header:?}");
    }
    for (path, status) in [
        ("/in/st-1/desk/secret/other", 404),
        ("/in/st-1/desk/wrong", 404),
        ("/in/st-1/desk/secret/trigger", 404),
    ] {
        let call = world.desk.client().post(world.hook.at(path)).body(body.clone());
        assert_eq!(call.send().await.expect("an answer").status().as_u16(), status, "{path}");
    }
    let get = world.desk.client().get(world.hook.at("/in/st-1/desk/secret"));
    assert_eq!(get.send().await.expect("an answer").status().as_u16(), 405);
}

#[tokio::test]
async fn answers_of_garbage_are_survived() {
    let (world, sim) = usual().await;
    let (chat, id) = talking(&world, &sim).await;
    // It was taken, whatever the answer says.
    world.desk.faults().add("/inbound/open/message", 1, Fault::Garbage);
    chat.tell(line_item(2, "one"));
    assert_eq!(chat.notes.settled(2).await.expect("delivered"), Vec::<String>::new());
    world.desk.faults().add("POST /oauth/token", 1, Fault::Garbage);
    world.desk.faults().add("GET /api/v2/conversations/messages", 3, Fault::Garbage);
    sim.revoke_tokens();
    chat.tell(line_item(3, "two"));
    chat.notes.settled(3).await.expect("delivered");
    assert_eq!(world.customer_words(&id, 2).await, ["one", "two"]);
    sim.act(&id, Act::End).await.expect("ended");
    chat.notes.ended().await;
}

#[tokio::test]
async fn a_host_that_sends_us_elsewhere_or_never_ends_gets_nothing() {
    // Redirects are not followed: a token would go along.
    let elsewhere = Served::start(Router::new().fallback(any(async || "not here"))).await.expect("a port");
    let to = elsewhere.at("/stolen").to_string();
    let moved = move || {
        let to = to.clone();
        async move { axum::response::Redirect::temporary(&to) }
    };
    let host = Served::start(Router::new().fallback(any(moved))).await.expect("a port");
    let wrong = probe(&host).await;
    assert!(wrong.contains("HTTP 307"), "{wrong}");
    // A body without an end is cut off.
    let endless = || async {
        let drop = futures_util::stream::repeat_with(|| {
            Ok::<_, std::io::Error>(axum::body::Bytes::from_static(&[b' '; 65_536]))
        });
        axum::body::Body::from_stream(drop)
    };
    let host = Served::start(Router::new().fallback(any(endless))).await.expect("a port");
    let wrong = probe(&host).await;
    assert!(wrong.starts_with("region: "), "{wrong}");
}

#[tokio::test]
async fn an_answer_that_drips_is_not_waited_for() {
    let sim = crate::genesys::simulator::open::Open::new(Settings::default());
    for begun in [BEGUN, HALF_A_HEAD] {
        let opened = World::dripping(&crate::genesys::GenesysOpen, &sim, begun).await;
        assert!(opened.is_err(), "{opened:?}");
    }
}

#[tokio::test]
async fn an_address_that_the_operator_did_not_name_is_not_called() {
    let sim = crate::genesys::simulator::open::Open::new(Settings::default());
    let opened = World::elsewhere(&crate::genesys::GenesysOpen, &sim).await;
    assert!(opened.contains("private"), "{opened}");
}

async fn probe(host: &Served) -> String {
    let sim = crate::genesys::simulator::open::Open::new(Settings::default());
    let world = World::at(&crate::genesys::GenesysOpen, &sim, &host.url).await;
    world.agent.probe().await.expect_err("it is not Genesys")
}
