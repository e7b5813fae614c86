//! What goes wrong with a guest's socket, and what a hostile one sends.

use std::time::Duration;

use axum::Router;
use axum::extract::ws::{Message, WebSocketUpgrade};
use axum::routing::any;
use interline_connector::simulator::{Act, Acts, Fault, Served, StandIn};
use interline_connector::{Failure, RunEnd};
use interline_core::conversation::input::AgentEvent;
use interline_core::transfer::Reason;
use serde_json::json;

use super::guest_relay::{talking, usual, world};
use super::support::*;
use crate::genesys::GenesysGuest;
use crate::genesys::guest::Settings as Ours;
use crate::genesys::simulator::guest::{Guest, Settings};
use crate::hostile::{self, HALF_A_HEAD};

#[tokio::test]
async fn what_arrived_without_an_answer_is_found_and_not_said_again() {
    let (world, sim) = usual().await;
    let (chat, id) = talking(&world, &sim).await;
    let say = sim.points().say.expect("a name");
    let faults = [
        Fault::DropAfter,
        Fault::ErrorAfter { status: 500 },
        Fault::ErrorBefore { status: 500, retry_after: None },
        Fault::ErrorBefore { status: 429, retry_after: Some(1) },
        Fault::ErrorBefore { status: 429, retry_after: None },
    ];
    for (n, fault) in (2..).zip(faults) {
        world.desk.faults().add(say, 1, fault);
        chat.tell(line_item(n, &format!("line {n}")));
        chat.notes.settled(n).await.expect("delivered");
    }
    assert_eq!(world.customer_words(&id, 5).await, ["line 2", "line 3", "line 4", "line 5", "line 6"]);
    world.desk.faults().add(say, 1, Fault::ErrorBefore { status: 400, retry_after: None });
    chat.tell(line_item(7, "refused"));
    assert!(matches!(chat.notes.settled(7).await, Err(Failure::Refused(_))));
    chat.tell(line_item(8, "taken"));
    chat.notes.settled(8).await.expect("delivered");
    assert_eq!(world.customer_words(&id, 6).await[5], "taken");
}

#[tokio::test]
async fn a_socket_that_is_cut_is_taken_up_and_misses_nothing() {
    let (world, sim) = usual().await;
    let (chat, id) = talking(&world, &sim).await;
    world.desk.faults().add("socket", 1, Fault::Kill);
    sim.act(&id, Act::say("said while nobody listened")).await.expect("said");
    chat.notes.said("said while nobody listened").await;
    world.desk.faults().add("message", 1, Fault::Twice);
    sim.act(&id, Act::say("twice")).await.expect("said");
    world.desk.faults().add("message", 1, Fault::Late { ms: 30 });
    sim.act(&id, Act::say("last words")).await.expect("said");
    sim.act(&id, Act::End).await.expect("ended");
    assert_eq!(chat.notes.ended().await, AgentEvent::Ended { tag: None });
    // The end may overtake the last words.
    chat.notes.said("last words").await;
    let said =
        chat.notes.lock().heard.iter().filter(|event| matches!(event, AgentEvent::Said { .. })).count();
    assert_eq!(said, 4, "each once");
}

#[tokio::test]
async fn an_end_that_nobody_heard_is_in_the_history() {
    let (world, sim) = usual().await;
    let (chat, id) = talking(&world, &sim).await;
    world.desk.faults().add("socket", 1, Fault::Kill);
    sim.act(&id, Act::End).await.expect("ended");
    assert_eq!(chat.notes.ended().await, AgentEvent::Ended { tag: None });
}

#[tokio::test]
async fn a_restart_in_the_middle_of_a_line_says_it_once() {
    let (world, sim) = usual().await;
    let (chat, id) = talking(&world, &sim).await;
    chat.tell(line_item(2, "before"));
    chat.notes.settled(2).await.expect("delivered");
    world.desk.faults().add("onMessage line", 1, Fault::NeverAnswer);
    chat.tell(line_item(3, "between"));
    world.customer_words(&id, 2).await;
    let document = chat.document();
    drop(chat);
    let chat = world.resume(document);
    chat.tell(line_item(3, "between"));
    chat.notes.settled(3).await.expect("found");
    chat.tell(line_item(4, "after"));
    chat.notes.settled(4).await.expect("delivered");
    assert_eq!(world.customer_words(&id, 3).await, ["before", "between", "after"]);
    sim.act(&id, Act::say("still here")).await.expect("said");
    chat.notes.said("still here").await;
}

#[tokio::test]
async fn an_open_without_an_answer_is_still_one_chat() {
    let (world, _sim) = usual().await;
    world.desk.faults().add("onMessage open", 1, Fault::DropAfter);
    let (_chat, id) = world.opened().await;
    let chats = world.desk.chats();
    assert_eq!((chats.len(), chats[0].lines.len()), (1, 1), "{id}");
}

#[tokio::test]
async fn a_session_that_the_vendor_forgot_loses_the_agent() {
    for tell in [true, false] {
        let (world, sim) = usual().await;
        let (chat, id) = talking(&world, &sim).await;
        sim.expire(&id, tell);
        assert!(
            matches!(chat.notes.ended().await, AgentEvent::Failed(failure) if failure.reason == Reason::AgentLost),
            "{tell}"
        );
    }
}

#[tokio::test]
async fn frames_that_mean_nothing_change_nothing() {
    let (world, sim) = usual().await;
    let (chat, id) = talking(&world, &sim).await;
    let before = chat.notes.lock().heard.len();
    let huge = "9".repeat(400);
    for frame in [
        "not JSON".to_owned(),
        "[]".into(),
        "{}".into(),
        "[".repeat(10_000),
        json!({ "class": "Hologram", "code": 200, "body": {} }).to_string(),
        json!({ "class": "StructuredMessage", "code": "many", "body": {} }).to_string(),
        json!({ "class": "StructuredMessage", "body": { "direction": "Sideways", "type": "Text", "text": "x" } }).to_string(),
        json!({ "class": "StructuredMessage", "body": { "direction": "Outbound", "type": "Hologram", "text": "x" } }).to_string(),
        json!({ "class": "StructuredMessage", "body": { "direction": "Outbound", "type": "Event", "events": [{ "eventType": "Dance" }, 7] } }).to_string(),
        format!("{{\"class\":\"string\",\"code\":{huge},\"body\":\"x\"}}"),
        json!({ "class": "PresignedUrlResponse", "body": { "url": "http://169.254.169.254/" } }).to_string(),
    ] {
        sim.tell_raw(&id, frame);
    }
    // Optional fields are optional: nobody's name, no id.
    sim.tell_raw(&id, json!({ "class": "StructuredMessage", "body": { "direction": "Outbound", "type": "Text", "text": "plain" } }).to_string());
    assert_eq!(chat.notes.said("plain").await, None);
    assert_eq!(chat.notes.lock().heard.len(), before + 1);
    chat.tell(line_item(2, "still there"));
    chat.notes.settled(2).await.expect("delivered");
}

#[tokio::test]
async fn a_frame_that_is_too_long_costs_the_socket_and_no_more() {
    let (world, sim) = usual().await;
    let (chat, id) = talking(&world, &sim).await;
    sim.tell_raw(&id, "x".repeat(2 * 1024 * 1024));
    chat.notes.until("the socket is lost", |known| known.end.clone()).await;
    sim.act(&id, Act::say("again")).await.expect("said");
    chat.notes.said("again").await;
}

#[tokio::test]
async fn the_probe_says_which_value_is_wrong() {
    let (good, sim) = usual().await;
    good.agent.probe().await.expect("all is well");
    assert!(sim.desk().chats().is_empty(), "nobody was asked for anything");
    let other = "0c6f7e30-0000-4000-8000-000000000000";
    for (settings, more, told) in [
        (
            Settings::default(),
            json!({ "deployment_id": other }),
            "deployment_id: there is no such deployment",
        ),
        (
            Settings { active: false, ..Settings::default() },
            json!({}),
            "deployment_id: the deployment is not active",
        ),
        (Settings { disconnect: None, ..Settings::default() }, json!({}), "Conversation Disconnect"),
        (Settings::default(), json!({ "origin": "https://evil.example.com" }), "origin: "),
        (Settings::default(), json!({ "base_url": "http://127.0.0.1:9/" }), "region: "),
    ] {
        let sim = Guest::new(settings);
        let world = World::of(&GenesysGuest, &sim, more).await;
        let wrong = world.agent.probe().await.expect_err(told);
        assert!(wrong.contains(told), "{wrong}");
    }
    // Something else answers there.
    for router in [
        Router::new().fallback(any(async || "<html>")),
        Router::new().fallback(any(async || axum::response::Redirect::temporary("https://example.com/"))),
    ] {
        let host = Served::start(router).await.expect("a port");
        let world = World::at(&GenesysGuest, &Guest::new(Settings::default()), &host.url).await;
        let wrong = world.agent.probe().await.expect_err("it is not Genesys");
        assert!(wrong.starts_with("region: "), "{wrong}");
    }
}

#[tokio::test]
async fn an_address_that_the_operator_did_not_name_is_not_called() {
    let opened = World::elsewhere(&GenesysGuest, &Guest::new(Settings::default())).await;
    assert!(opened.contains("private"), "{opened}");
}

/// A handshake that does not end; and a socket on which much is told, but not the answer.
#[tokio::test]
async fn a_socket_that_drips_is_not_waited_for() {
    let sim = Guest::new(Settings::default());
    let opened = World::dripping(&GenesysGuest, &sim, HALF_A_HEAD).await;
    assert!(matches!(opened, Err(Failure::Retry { .. })), "{opened:?}");
    let (asked, mut was_asked) = tokio::sync::mpsc::unbounded_channel();
    let chatty = async move |upgrade: WebSocketUpgrade| {
        upgrade.on_upgrade(async move |mut socket| {
            let _ = asked.send(());
            while socket.send(Message::Text("{\"class\":\"Hologram\"}".into())).await.is_ok() {
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        })
    };
    let host = Served::start(Router::new().fallback(any(chatty))).await.expect("a port");
    let world = World::at(&GenesysGuest, &sim, &host.url).await;
    let chat = world.resume(None);
    chat.tell(open_item(1));
    was_asked.recv().await.expect("a socket");
    hostile::pass(Duration::from_secs(16)).await;
    let end = chat.notes.until("it is given up", |known| known.end.clone()).await;
    assert!(matches!(end, RunEnd::Lost(_)), "{end:?}");
}

#[tokio::test]
async fn an_open_that_waiting_does_not_mend_is_refused_at_once() {
    let (world, _sim) = world(Settings { active: false, ..Settings::default() }).await;
    let chat = world.resume(None);
    chat.tell(open_item(1));
    assert!(matches!(chat.notes.settled(1).await, Err(Failure::Refused(_))));
    // Nothing was opened: there is nothing to close.
    chat.tell(close_item(2, interline_core::transfer::Outcome::CustomerEnded));
    chat.notes.settled(2).await.expect("nothing to do");
}

#[test]
fn settings_that_are_wrong_name_the_field_and_the_remedy() {
    let good = Guest::new(Settings::default()).settings(&"http://127.0.0.1:4000/".parse().expect("a URL"));
    Ours::read(good.clone()).expect("good settings");
    for (field, value, told) in [
        ("region", json!("nowhere"), "region: "),
        ("deployment_id", json!("a&b=c"), "deployment_id: "),
        ("origin", json!("www.example.com"), "origin: "),
        ("origin", json!("https://www.example.com/path"), "origin: "),
        ("queue_attribute", json!(""), "queue_attribute: "),
        ("colour", json!("red"), "colour"),
    ] {
        let mut bad = good.clone();
        bad[field] = value;
        let wrong = Ours::read(bad).expect_err(field);
        assert!(wrong.contains(told), "{field}: {wrong}");
    }
}
