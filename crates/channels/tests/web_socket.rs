//! The socket of the web channel: lines, events, receipts, two tabs, reconnects, and clients that misbehave.

mod support;

use std::sync::atomic::Ordering;
use std::time::Duration;

use interline_channels::web::Timing;
use interline_connector::channel::{Hint, Mark, Phase};
use interline_core::conversation::input::Scope;
use interline_core::{Body, Seq, Speaker};
use serde_json::{Value, json};
use support::{World, until};
use tokio_tungstenite::tungstenite::Message;

fn event(event: &str) -> Value {
    json!({ "event": event, "message": { "body": "", "type": "" }, "resourceid": "/bot.message", "id": 3 })
}

#[tokio::test]
async fn a_line_is_acked_when_it_is_in_the_log() {
    let world = World::start().await;
    let token = world.login("ann").await;
    let mut client = world.connect(&token).await;
    for kind in ["session_start", "Session_Start", "bot_active", "Bot_Active", "bot_response"] {
        assert_eq!(client.frame().await["type"], kind);
    }
    client.say(1001, "hello").await;
    let ack = client.frame().await;
    assert_eq!(ack, json!({ "ok": true, "replyto": 1001, "message": "delivered", "type": "ack" }));
    assert_eq!(world.host.said("ann"), ["hello"]);
    // Again, as the client's retry does it: acked, and nothing changes.
    client.send(json!({ "clientMessageId": "1001", "message": { "body": "hello" }, "id": "1001" })).await;
    assert_eq!(client.frame().await["replyto"], "1001");
    assert_eq!(world.host.said("ann"), ["hello"]);
    assert_eq!(client.lines().await, [""; 0], "the sender gets neither back");
}

#[tokio::test]
async fn only_lines_are_lines() {
    let world = World::start().await;
    let (_, mut client) = world.welcomed("ann").await;
    client.send(json!({ "type": "ping", "resourceid": "/bot.message", "id": 1 })).await;
    for kind in ["typing", "stop_typing", "message_read", "novelty"] {
        client.send(event(kind)).await;
    }
    client.send(json!({ "message": { "body": "  " }, "id": 5 })).await;
    assert_eq!(client.frame_of("ack").await["replyto"], 5);
    client.send(json!({ "message": { "body": "a\0b" }, "id": 6 })).await;
    assert_eq!(client.frame_of("ack").await["replyto"], 6);
    assert_eq!(world.host.said("ann"), ["ab"]);
    assert_eq!(world.host.inner().typing, [true, false]);
}

#[tokio::test]
async fn lines_without_a_client_id_are_all_different() {
    let world = World::start().await;
    let (token, mut client) = world.welcomed("ann").await;
    let mut other = world.connect(&token).await;
    for _ in 0..2 {
        client.send(json!({ "message": { "body": "same" }, "id": 1 })).await;
        client.frame_of("ack").await;
    }
    assert_eq!(world.host.said("ann"), ["same", "same"]);
    assert_eq!(client.lines().await, [""; 0]);
    assert_eq!(other.lines().await, ["> same", "> same"]);
}

#[tokio::test]
async fn too_long_a_line_is_refused_with_words() {
    let world = World::start().await;
    let (_, mut client) = world.welcomed("ann").await;
    client.say(1001, &"x".repeat(5000)).await;
    assert!(client.line().await.contains("too long"));
    client.say(1002, "short").await;
    client.frame_of("ack").await;
    assert_eq!(world.host.said("ann"), ["short"]);
}

#[tokio::test]
async fn what_is_not_accepted_is_not_acked() {
    let world = World::start().await;
    let (_, mut client) = world.welcomed("ann").await;
    world.host.down.store(true, Ordering::Relaxed);
    client.say(1001, "hello").await;
    let frame = client.frame().await;
    assert_eq!(frame["type"], "bot_response");
    assert!(frame["message"][0]["cInfo"]["body"].as_str().is_some_and(|body| body.contains("out of reach")));
    world.host.down.store(false, Ordering::Relaxed);
    client.say(1001, "hello").await;
    client.frame_of("ack").await;
    assert_eq!(world.host.said("ann"), ["hello"]);
}

#[tokio::test]
async fn an_agent_comes_talks_types_and_goes() {
    let world = World::start().await;
    let (_, mut client) = world.welcomed("ann").await;
    world.host.push("ann", Speaker::System, Body::Queued { position: 2 });
    assert_eq!(client.line().await, "< You are number 2 in the queue.");
    world.host.push("ann", Speaker::System, Body::AgentJoined { name: Some("Ann B".into()) });
    for kind in ["agent_connected", "agent_session_active", "agent_session_start"] {
        client.frame_of(kind).await;
    }
    world.host.hint("ann", Hint::AgentTyping(true));
    client.frame_of("typing").await;
    world.host.agent("ann", "good day");
    let line = client.frame_of("bot_response").await;
    assert_eq!((&line["author"]["type"], &line["author"]["firstName"]), (&json!("AGENT"), &json!("Ann")));
    world.host.hint("ann", Hint::AgentTyping(false));
    client.frame_of("stoptyping").await;
    world.host.push("ann", Speaker::System, Body::AgentLeft);
    for kind in ["agent_disconnected", "agent_session_inactive", "agent_session_end", "bot_active"] {
        client.frame_of(kind).await;
    }
    world.host.bot("ann", "back again");
    assert_eq!(client.line().await, "< back again");
}

#[tokio::test]
async fn a_page_opened_in_the_middle_of_a_human_part_learns_of_the_agent() {
    let world = World::start().await;
    let (_, mut first) = world.welcomed("ann").await;
    world.host.inner().phase = Some(Phase::Agent { name: None });
    let mut second = world.connect(&world.login("ann").await).await;
    for kind in ["agent_connected", "agent_session_active"] {
        second.frame_of(kind).await;
    }
    world.host.agent("ann", "good day");
    assert_eq!(first.line().await, "< good day");
    assert_eq!(second.line().await, "< good day");
}

#[tokio::test]
async fn receipts_both_ways() {
    let world = World::start().await;
    let (_, mut client) = world.welcomed("ann").await;
    // Nobody sends a receipt: the pong is the proof.
    until("the welcome is delivered", || world.host.delivered("ann") == 2).await;
    world.host.agent("ann", "one");
    let id = client.frame_of("bot_response").await["messageId"].clone();
    let told = |place: u64, mark: Mark| world.host.inner().marks.contains(&("cnv_1".into(), place, mark));
    until("delivered", || told(3, Mark::Delivered)).await;
    world.host.inner().marks.clear();

    let mut receipt = event("message_delivered");
    receipt["messageId"] = id.clone();
    client.send(receipt).await;
    until("the plug-in's receipt", || told(3, Mark::Delivered)).await;
    world.host.inner().marks.clear();
    client.send(json!({ "type": "ack", "replyto": 1, "status": "delivered", "key": id, "id": 1 })).await;
    until("the ack", || told(3, Mark::Delivered)).await;
    client.send(json!({ "resourceid": "/bot.clientEvent", "preDefinedEvent": { "type": "MESSAGE_READ", "id": id }, "id": 8 })).await;
    assert_eq!(client.frame_of("ack").await["replyto"], 8);
    until("read by the API", || told(3, Mark::Read)).await;
    world.host.inner().marks.clear();
    // The tab became visible again: everything.
    client.send(event("message_read")).await;
    until("read without an id", || told(3, Mark::Read)).await;

    client.say(1001, "two").await;
    client.frame_of("ack").await;
    let stored = world
        .host
        .log("ann")
        .last()
        .and_then(|line| line.entry.text()?.client_id.clone())
        .expect("a client id");
    for (mark, kind) in [(Mark::Delivered, "message_delivered"), (Mark::Read, "message_read")] {
        let (conversation, client_ids) = ("cnv_1".into(), vec![stored.clone()]);
        world.host.hint("ann", Hint::Reached { conversation, seq: Seq(4), mark, client_ids });
        // A number, as the client compares strictly.
        assert_eq!(client.frame_of(kind).await["message"]["clientMessageId"], json!(1001));
    }
}

#[tokio::test]
async fn a_receipt_for_a_foreign_or_unreadable_line_changes_nothing() {
    let world = World::start().await;
    let (_, mut client) = world.welcomed("ann").await;
    until("the welcome is delivered", || world.host.delivered("ann") == 2).await;
    for id in ["1795329732228", "ms-", "ms-local-1-x"] {
        let mut receipt = event("message_read");
        receipt["messageId"] = id.into();
        client.send(receipt).await;
    }
    client.say(1, "x").await;
    client.frame_of("ack").await;
    assert!(world.host.inner().marks.iter().all(|(_, _, mark)| *mark == Mark::Delivered));
}

#[tokio::test]
async fn both_ends_reach_the_host() {
    let world = World::start().await;
    let (_, mut client) = world.welcomed("ann").await;
    let mut close = event("close_agent_chat");
    close["clientMessageId"] = json!(1001);
    client.send(close).await;
    client.frame_of("agent_disconnected").await;
    client
        .send(json!({ "clientMessageId": 1002, "id": 1002, "resourceid": "/bot.closeConversationSession" }))
        .await;
    client.frame_of("session_end").await;
    assert_eq!(world.host.inner().ends, [Scope::AgentChat, Scope::Conversation]);
    // The next line opens the next conversation, on the same socket.
    client.say(1003, "again").await;
    client.frame_of("session_start").await;
    world.host.bot("ann", "here");
    assert_eq!(client.line().await, "< here");
}

#[tokio::test]
async fn a_page_reload_greets_nobody_twice() {
    let world = World::start().await;
    let (token, client) = world.welcomed("ann").await;
    client.cut();
    let mut again = world.connect(&token).await;
    assert_eq!(again.lines().await, [""; 0]);
    // And a reconnect opens nothing where nothing is open.
    let fresh = world.login("bob").await;
    let mut reconnected = world.reconnect(&fresh).await;
    assert_eq!(reconnected.lines().await, [""; 0]);
    assert!(world.host.log("bob").is_empty());
}

#[tokio::test]
async fn two_tabs_see_the_same() {
    let world = World::start().await;
    let (_, mut first) = world.welcomed("ann").await;
    let mut second = world.connect(&world.login("ann").await).await;
    second.say(1001, "from the second").await;
    assert_eq!(first.line().await, "> from the second");
    world.host.bot("ann", "to both");
    assert_eq!(first.line().await, "< to both");
    assert_eq!(second.line().await, "< to both");
    first.say(1002, "from the first").await;
    assert_eq!(second.line().await, "> from the first");
    assert_eq!(first.lines().await, [""; 0]);
    // Nobody else hears any of it.
    let (_, mut other) = world.welcomed("bob").await;
    world.host.bot("ann", "private");
    assert_eq!(other.lines().await, [""; 0]);
}

#[tokio::test]
async fn a_reconnect_loses_nothing_and_doubles_nothing() {
    let world = World::start().await;
    let (token, mut client) = world.welcomed("ann").await;
    client.say(1001, "mine").await;
    client.frame_of("ack").await;
    world.host.bot("ann", "seen");
    assert_eq!(client.line().await, "< seen");
    until("delivered", || world.host.delivered("ann") == 4).await;
    client.cut();
    until("the cut is noticed", || world.host.watchers("ann") == 0).await;
    let missed: Vec<String> = (0..120).map(|number| format!("missed {number}")).collect();
    for text in &missed {
        world.host.bot("ann", text);
    }
    let mut other = world.connect(&world.login("ann").await).await;
    other.say(1002, "from another tab").await;
    other.frame_of("ack").await;
    let mut client = world.reconnect(&token).await;
    for text in &missed {
        assert_eq!(client.line().await, format!("< {text}"));
    }
    assert_eq!(client.line().await, "> from another tab");
    assert_eq!(client.lines().await, [""; 0]);
}

#[tokio::test]
async fn own_lines_do_not_come_back_after_a_reconnect() {
    let world = World::start().await;
    // A client that answers no ping: nothing is proven to have arrived.
    let token = world.login("ann").await;
    let mut deaf = support::client::dial(&world.socket_url(&token).await, None).await.expect("a socket");
    let line = json!({ "clientMessageId": 1001, "message": { "body": "mine" }, "id": 1001 }).to_string();
    futures_util::SinkExt::send(&mut deaf, Message::text(line)).await.expect("sent");
    until("it is heard", || world.host.said("ann") == ["mine"]).await;
    drop(deaf);
    assert_eq!(world.host.delivered("ann"), 0);
    let mut client = world.reconnect(&token).await;
    assert_eq!(client.lines().await, ["< welcome"]);
    // Another tab of the same user did not write it.
    let mut other = world.reconnect(&world.login("ann").await).await;
    world.host.bot("ann", "next");
    assert_eq!(other.lines().await.last().map(String::as_str), Some("< next"));
    assert_eq!(client.lines().await, ["< next"]);
}

#[tokio::test]
async fn garbage_is_counted_and_then_closed() {
    let world = World::start().await;
    let (_, mut client) = world.welcomed("ann").await;
    client.raw(Message::text("{not json")).await;
    client.raw(Message::text("[]")).await;
    client.say(1, "still here").await;
    client.frame_of("ack").await;
    for _ in 0..20 {
        client.raw(Message::text("garbage")).await;
    }
    assert_eq!(client.closed().await, 1002);
    assert_eq!(world.host.said("ann"), ["still here"]);
}

#[tokio::test]
async fn close_codes() {
    let world = World::with(
        json!({ "limits": { "messages_per_second": 1.0, "messages_burst": 3 } }),
        Timing::default(),
    )
    .await;
    let open = async || world.connect(&world.login("ann").await).await;
    let mut binary = open().await;
    binary.raw(Message::binary(vec![1, 2, 3])).await;
    assert_eq!(binary.closed().await, 1003);
    let mut large = open().await;
    large.say(1, &"x".repeat(70_000)).await;
    assert_eq!(large.closed().await, 1009);
    let mut huge = open().await;
    huge.say(1, &"x".repeat(300_000)).await;
    assert_eq!(huge.closed().await, 1009);
    let mut fast = open().await;
    for id in 0..4 {
        fast.say(id, "spam").await;
    }
    assert_eq!(fast.closed().await, 1008);
    assert_eq!(world.host.said("ann").len(), 3);
    let mut stopped = open().await;
    stopped.say(100, "x").await;
    stopped.frame_of("ack").await;
    world.host.stop.notify_waiters();
    assert_eq!(stopped.closed().await, 1012);
    until("all sockets are gone", || world.host.watchers("ann") == 0).await;
}

#[tokio::test]
async fn wrong_utf8_is_1007() {
    use tokio_tungstenite::tungstenite::protocol::frame::Frame;
    use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
    let world = World::start().await;
    let (_, mut client) = world.welcomed("ann").await;
    client.raw(Message::Frame(Frame::message(vec![0xff, 0xfe, 0x41], OpCode::Data(Data::Text), true))).await;
    assert_eq!(client.closed().await, 1007);
}

#[tokio::test]
async fn a_half_open_socket_is_closed_and_a_quiet_one_is_not() {
    let timing = Timing {
        ping_every: Duration::from_millis(100),
        dead_after: Duration::from_millis(350),
        ..Timing::default()
    };
    let world = World::with(json!({}), timing).await;
    // It takes frames but never answers a ping.
    let dead = support::client::dial(&world.socket_url(&world.login("dead").await).await, None)
        .await
        .expect("a socket");
    let (_, mut quiet) = world.welcomed("quiet").await;
    until("the half-open one is gone", || world.host.watchers("dead") == 0).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(world.host.watchers("quiet"), 1);
    world.host.bot("quiet", "still there");
    assert_eq!(quiet.line().await, "< still there");
    drop(dead);
}

#[tokio::test]
async fn a_socket_that_takes_nothing_is_closed_and_loses_nothing() {
    let timing = Timing { stuck_after: Duration::from_millis(300), ..Timing::default() };
    let world = World::with(json!({}), timing).await;
    let token = world.login("ann").await;
    let stuck = support::client::dial(&world.socket_url(&token).await, None).await.expect("a socket");
    until("it is open", || world.host.watchers("ann") == 1).await;
    let text = "x".repeat(100_000);
    for _ in 0..300 {
        world.host.bot("ann", &text);
    }
    until("the stuck one is gone", || world.host.watchers("ann") == 0).await;
    drop(stuck);
    world.host.bot("ann", "the last");
    let mut client = world.reconnect(&token).await;
    assert_eq!(client.line().await, "< welcome");
    for _ in 0..300 {
        assert_eq!(client.line().await.len(), text.len() + 2);
    }
    assert_eq!(client.line().await, "< the last");
}

#[tokio::test]
async fn a_store_that_is_away_for_a_moment_delays_lines() {
    let world = World::start().await;
    let (_, mut client) = world.welcomed("ann").await;
    world.host.down.store(true, Ordering::Relaxed);
    world.host.bot("ann", "late");
    assert_eq!(client.lines().await, [""; 0]);
    world.host.down.store(false, Ordering::Relaxed);
    assert_eq!(client.line().await, "< late");
}

#[tokio::test]
async fn text_is_data() {
    let world = World::start().await;
    let (token, mut client) = world.welcomed("ann").await;
    world.host.agent("ann", "<img src=x onerror=alert(1)> & 1 < 2");
    assert_eq!(client.line().await, "< &lt;img src=x onerror=alert(1)> & 1 < 2");
    client.say(1, "{\"text\":\"mine\"}").await;
    client.frame_of("ack").await;
    let (_, answer) = world.get(&format!("/api/botmessages/rtm?botId={}", support::APP_A), &token).await;
    let text = answer["messages"][2]["components"][0]["data"]["text"].as_str().expect("a text");
    let parsed: Value = serde_json::from_str(text).expect("JSON");
    assert_eq!(parsed["text"], "{\"text\":\"mine\"}");
}
