//! What goes wrong at the vendor or on the way: nothing is lost, nothing is said twice.

use std::time::Duration;

use interline_connector::simulator::{Act, Acts, Fault, StandIn};
use interline_connector::{Failure, FileRefused, Incoming};
use interline_core::conversation::input::AgentEvent;
use interline_core::transfer::{Outcome, Reason};
use serde_json::json;

use super::open_relay::{fast, talking, usual, world};
use super::support::*;
use crate::genesys::simulator::open::Settings;

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
        Fault::ErrorBefore { status: 503, retry_after: Some(1) },
    ];
    for (n, fault) in (2..).zip(faults) {
        world.desk.faults().add(say, 1, fault.clone());
        chat.tell(line_item(n, &format!("line {n}")));
        let ids = chat.notes.settled(n).await.expect("delivered");
        assert_eq!(ids.len(), 1, "{fault:?}");
    }
    let words = world.customer_words(&id, 5).await;
    assert_eq!(words, ["line 2", "line 3", "line 4", "line 5", "line 6"]);
}

#[tokio::test]
async fn a_long_line_that_broke_in_the_middle_goes_on_where_it_was() {
    let (world, sim) = usual().await;
    let (chat, id) = talking(&world, &sim).await;
    let long = "word ".repeat(1_000);
    // The first piece passes, the second one's answer is lost.
    world.desk.faults().add("/inbound/open/message", 1, Fault::Latency { ms: 1 });
    world.desk.faults().add("/inbound/open/message", 1, Fault::DropAfter);
    chat.tell(line_item(2, &long));
    let ids = chat.notes.settled(2).await.expect("delivered");
    let words = world.customer_words(&id, ids.len()).await;
    assert_eq!(words.join(" "), long.trim());
}

#[tokio::test]
async fn a_restart_in_the_middle_of_a_line_says_it_once() {
    let (world, sim) = usual().await;
    let (chat, id) = talking(&world, &sim).await;
    chat.tell(line_item(2, "before"));
    chat.notes.settled(2).await.expect("delivered");
    // It arrives, and we go down before the answer.
    world.desk.faults().add("/inbound/open/message", 1, Fault::NeverAnswer);
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
    // Who is known to talk does not join again, and the end is heard.
    sim.act(&id, Act::End).await.expect("ended");
    assert_eq!(chat.notes.ended().await, AgentEvent::Ended { tag: None });
    assert!(!chat.notes.lock().heard.iter().any(|event| matches!(event, AgentEvent::Joined { .. })));
}

#[tokio::test]
async fn an_open_without_an_answer_is_still_one_conversation() {
    let (world, _sim) = usual().await;
    world.desk.faults().add("/inbound/open/message", 1, Fault::DropAfter);
    let (_chat, _) = world.opened().await;
    assert_eq!(world.desk.chats().len(), 1);
}

#[tokio::test]
async fn an_open_that_waiting_does_not_mend_is_refused_at_once() {
    for (settings, more, reason) in [
        (fast(), json!({ "client_secret": "wrong" }), Reason::Unauthorized),
        (fast(), json!({ "integration_id": "0b5e6d2f-0000-4000-8000-000000000000" }), Reason::Unconfigured),
        (
            Settings { forbidden: Some(("/inbound/open/message", "messaging:message:create")), ..fast() },
            json!({}),
            Reason::Unauthorized,
        ),
    ] {
        let (world, _sim) = world(settings, more).await;
        let chat = world.resume(None);
        chat.tell(open_item(1));
        let Err(Failure::Refused(cause)) = chat.notes.settled(1).await else { panic!("{reason:?}") };
        assert_eq!(cause.reason, reason, "{}", cause.code);
    }
}

#[tokio::test]
async fn what_was_never_asked_for_is_not_closed() {
    let (world, _sim) = usual().await;
    world.desk.faults().add(
        "/inbound/open/message",
        1,
        Fault::ErrorBefore { status: 403, retry_after: None },
    );
    let chat = world.resume(None);
    chat.tell(open_item(1));
    assert!(matches!(chat.notes.settled(1).await, Err(Failure::Refused(_))));
    chat.tell(close_item(2, Outcome::CustomerEnded));
    chat.notes.settled(2).await.expect("nothing to do");
    assert_eq!(world.desk.chats().len(), 0);
}

#[tokio::test]
async fn access_that_runs_out_is_renewed() {
    let (world, sim) = usual().await;
    let (chat, id) = talking(&world, &sim).await;
    sim.revoke_tokens();
    chat.tell(line_item(2, "one"));
    world.desk.clock().advance(25 * 3_600_000);
    chat.tell(line_item(3, "two"));
    chat.notes.settled(3).await.expect("delivered");
    assert_eq!(world.customer_words(&id, 2).await, ["one", "two"]);
}

#[tokio::test]
async fn one_refused_line_does_not_end_the_chat() {
    let (world, sim) = usual().await;
    let (chat, id) = talking(&world, &sim).await;
    world.desk.faults().add(
        "/inbound/open/message",
        1,
        Fault::ErrorBefore { status: 400, retry_after: None },
    );
    chat.tell(line_item(2, "refused"));
    assert!(matches!(chat.notes.settled(2).await, Err(Failure::Refused(_))));
    chat.tell(line_item(3, "taken"));
    chat.notes.settled(3).await.expect("delivered");
    assert_eq!(world.customer_words(&id, 1).await, ["taken"]);
}

#[tokio::test]
async fn a_line_that_the_vendor_could_not_handle_is_refused_after_all() {
    let (world, sim) = usual().await;
    let (chat, id) = talking(&world, &sim).await;
    let fault = Fault::Special { name: "receipt_failed".into() };
    world.desk.faults().add("receipt_failed", 1, fault);
    chat.tell(line_item(2, "lost in there"));
    let ids = chat.notes.settled(2).await.expect("taken");
    let refused = chat.notes.until("a refusal", |known| known.refused.first().cloned()).await;
    assert_eq!(refused, (ids[0].clone(), "ServerError".to_owned()));
    assert_eq!(chat.notes.lock().receipts, [], "a refusal is no receipt");
    chat.tell(line_item(3, "taken"));
    chat.notes.settled(3).await.expect("delivered");
    assert_eq!(world.customer_words(&id, 2).await[1], "taken");
}

#[tokio::test]
async fn the_agent_reads_in_the_chat_that_a_file_is_refused() {
    let (world, sim) = usual().await;
    let (chat, id) = talking(&world, &sim).await;
    let file = Incoming {
        name: Some("tool.exe".into()),
        url: "https://example.com/1".parse().expect("a URL"),
        headers: Default::default(),
    };
    let brief = line_item(2, "").conversation;
    let why = FileRefused::TooLarge { max: 1_024 };
    assert!(world.agent.refused(&brief, chat.document(), std::slice::from_ref(&file), &why).await);
    assert_eq!(world.customer_words(&id, 1).await, [why.for_agent(Some("tool.exe"))]);
    // Nobody knows that chat: the call is answered with the refusal.
    assert!(!world.agent.refused(&brief, None, &[file], &why).await);
    sim.act(&id, Act::say("I see")).await.expect("said");
    chat.notes.said("I see").await;
}

#[tokio::test]
async fn what_is_told_twice_late_or_by_somebody_else() {
    for hex in [false, true] {
        let (world, sim) = world(Settings { hex, ..fast() }, json!({ "poll_ms": 200 })).await;
        let (chat, id) = talking(&world, &sim).await;
        let faults = world.desk.faults();
        faults.add("message", 1, Fault::Twice);
        sim.act(&id, Act::say("twice")).await.expect("said");
        faults.add("message", 1, Fault::Forged);
        sim.act(&id, Act::say("forged")).await.expect_err("turned away");
        faults.add("message", 1, Fault::Unsigned);
        sim.act(&id, Act::say("unsigned")).await.expect_err("turned away");
        faults.add("message", 1, Fault::Late { ms: 50 });
        sim.act(&id, Act::say("late")).await.expect("sent");
        sim.act(&id, Act::say("in time")).await.expect("said");
        chat.notes.said("late").await;
        let said = chat.notes.all_said();
        assert_eq!(said, ["twice", "in time", "late"]);
    }
}

#[tokio::test]
async fn a_channel_that_is_cut_or_silent_misses_nothing() {
    let (world, sim) = usual().await;
    let (chat, id) = world.opened().await;
    world.on_wire("a subscription", |log| log.iter().any(|call| call.path.contains("/subscriptions"))).await;
    // Cut before it says who joined: the next channel's first look finds it.
    world.desk.faults().add("channel", 1, Fault::Kill);
    sim.act(&id, Act::Accept { agent: Some("Kim".into()) }).await.expect("taken");
    chat.notes.joined("Kim").await;
    assert!(sim.channels() <= 1, "old channels are not kept");
    // Nobody listens at all: asking does.
    world.stop_listening();
    sim.act(&id, Act::End).await.expect("ended");
    world.listen();
    assert_eq!(chat.notes.ended().await, AgentEvent::Ended { tag: None });
}

#[tokio::test]
async fn where_listening_is_not_allowed_asking_does() {
    let (world, sim) = usual().await;
    world.desk.faults().set(vec![interline_connector::simulator::Rule {
        on: None,
        times: None,
        fault: Fault::Special { name: "topic_rejected".into() },
    }]);
    let (chat, id) = talking(&world, &sim).await;
    sim.act(&id, Act::End).await.expect("ended");
    chat.notes.ended().await;
}

#[tokio::test]
async fn a_trigger_makes_us_look() {
    let secret = "a-secret-of-the-trigger";
    // Asking and listening are out of the picture.
    let (world, sim) = world(fast(), json!({ "poll_ms": 60_000, "trigger_secret": secret })).await;
    world.stop_listening();
    let (chat, id) = world.opened().await;
    world
        .on_wire("the first look", |log| {
            log.iter().any(|call| call.method == "GET" && call.path.ends_with(&id))
        })
        .await;
    sim.act(&id, Act::Accept { agent: Some("Kim".into()) }).await.expect("taken");
    let call = |secret: &str, body: serde_json::Value| {
        let url = world.hook.at("/in/st-1/desk/secret/trigger");
        world.desk.client().post(url).header("x-interline-secret", secret).json(&body).send()
    };
    let status = |answer: reqwest::Response| answer.status().as_u16();
    assert_eq!(status(call("wrong", json!({ "conversationId": id })).await.expect("an answer")), 401);
    assert_eq!(status(call(secret, json!({})).await.expect("an answer")), 400);
    assert_eq!(
        status(call(secret, json!({ "conversationId": "somebody else's" })).await.expect("an answer")),
        200
    );
    assert_eq!(chat.notes.lock().heard.len(), 0);
    assert_eq!(status(call(secret, json!({ "conversationId": id })).await.expect("an answer")), 200);
    chat.notes.joined("Kim").await;
}

#[tokio::test]
async fn a_close_that_fails_is_tried_again_and_says_so_once() {
    let (world, sim) = usual().await;
    let (chat, id) = talking(&world, &sim).await;
    world.desk.faults().add("PATCH", 2, Fault::ErrorBefore { status: 500, retry_after: None });
    chat.tell(close_item(2, Outcome::OperatorEnded));
    chat.notes.settled(2).await.expect("closed");
    assert_eq!(world.customer_words(&id, 1).await, ["The customer has ended the chat."]);
}

#[tokio::test]
async fn a_webhook_that_failed_is_taken_when_it_comes_again() {
    let (world, sim) = usual().await;
    let (chat, id) = talking(&world, &sim).await;
    // Sent before the other side's answer: it is told twice, and counts once.
    world.desk.faults().add("message", 1, Fault::Twice);
    sim.act(&id, Act::say("once")).await.expect("said");
    chat.notes.said("once").await;
    assert_eq!((world.webhooks(), chat.notes.lock().heard.len()), (2, 2));
    tokio::time::timeout(Duration::from_secs(5), sim.act(&id, Act::say("again")))
        .await
        .expect("in time")
        .expect("said");
}
