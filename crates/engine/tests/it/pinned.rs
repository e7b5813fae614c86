//! Duplex sessions: one task owns each, both ways, cut, resumed, lost.

use std::time::Duration;

use interline_connector::Failure;
use interline_connector::channel::{Hint, Host};
use interline_connector::manifest::Dedupe;
use interline_core::conversation::entry::Note;
use interline_core::transfer::Reason;
use serde_json::json;

use crate::duplex::{Duplex, Scripted, Vendor};
use crate::fake::{Fake, cause};
use crate::world::{each, until};

async fn until_chat_got(vendor: &Vendor, chat: &str, words: &[&str]) {
    until(&format!("{chat} gets {words:?}"), async || (vendor.got(chat) == words).then_some(())).await;
}

#[test]
fn both_ways_cut_in_the_middle_killed_and_resumed() {
    each("duplex", async |world| {
        let vendor = Vendor::start().await;
        let world = world.faster(5).agent("desk", Duplex::new(&vendor, true, Dedupe::ByKey));
        let node = world.start().await;
        let anna = node.customer("anna").await;
        node.say(&anna, "a human please").await;
        node.until_seen(&anna, "joined").await;
        node.say(&anna, "one").await;
        until_chat_got(&vendor, "chat-1", &["one"]).await;
        vendor.tell("chat-1", json!({"said": "Hi"}));
        node.until_seen(&anna, "agent: Hi").await;
        // Cut: resumed, nothing lost on either side.
        vendor.cut();
        node.say(&anna, "two").await;
        vendor.tell("chat-1", json!({"said": "Hello?"}));
        until_chat_got(&vendor, "chat-1", &["one", "two"]).await;
        node.until_seen(&anna, "agent: Hello?").await;
        // Cut after the vendor took a line and before it said so: same key, once.
        vendor.cut_before_ack(2);
        node.say(&anna, "three").await;
        node.say(&anna, "four").await;
        until_chat_got(&vendor, "chat-1", &["one", "two", "three", "four"]).await;
        // Killed: another engine goes on from the session document.
        node.kill().await;
        vendor.tell("chat-1", json!({"said": "Still there?"}));
        let node = world.start().await;
        node.until_seen(&anna, "agent: Still there?").await;
        node.say(&anna, "five").await;
        until_chat_got(&vendor, "chat-1", &["one", "two", "three", "four", "five"]).await;
        // Stopped and started, too.
        node.engine.stop().await;
        let node = world.start().await;
        node.say(&anna, "six").await;
        until_chat_got(&vendor, "chat-1", &["one", "two", "three", "four", "five", "six"]).await;
        vendor.tell("chat-1", json!({"ended": "solved"}));
        node.until_seen(&anna, "left").await;
        let agent: Vec<String> =
            node.seen(&anna).await.into_iter().filter(|seen| seen.starts_with("agent")).collect();
        assert_eq!(agent, ["agent: Hi", "agent: Hello?", "agent: Still there?"]);
        assert_eq!(vendor.opened(), 1);
        until("nothing stays due", async || {
            let row = node.row(&anna, 1).await;
            (row.done && row.due_at.is_none()).then_some(())
        })
        .await;
        node.engine.stop().await;
    });
}

#[test]
fn a_customer_who_ends_closes_the_session() {
    each("duplex_close", async |world| {
        let vendor = Vendor::start().await;
        let node = world.agent("desk", Duplex::new(&vendor, true, Dedupe::None)).start().await;
        let anna = node.customer("anna").await;
        node.say(&anna, "a human please").await;
        node.until_seen(&anna, "joined").await;
        node.say(&anna, "one").await;
        let all = interline_core::conversation::input::Scope::Conversation;
        node.hear(&anna, None, interline_connector::channel::What::Ends(all)).await;
        until("the chat is closed", async || vendor.closed("chat-1").then_some(())).await;
        assert_eq!(vendor.got("chat-1"), ["one"]);
        until("it is done", async || node.row(&anna, 1).await.done.then_some(())).await;
        assert_eq!(vendor.connections(), 1);
        node.engine.stop().await;
    });
}

#[test]
fn one_that_cannot_be_resumed_is_lost_with_its_connection_or_its_node() {
    each("duplex_lost", async |world| {
        for killed in [false, true] {
            let vendor = Vendor::start().await;
            let spare = Fake::by_key();
            let mut world = world.clone();
            world.app.id = format!("st-{}", uuid::Uuid::now_v7()).as_str().into();
            let desk = Duplex::new(&vendor, false, Dedupe::ByKey);
            let world = world.agent("desk", desk).agent("spare", spare.clone());
            let mut node = world.start().await;
            let anna = node.customer("anna").await;
            node.say(&anna, "a human please").await;
            node.until_seen(&anna, "joined").await;
            node.say(&anna, "one").await;
            until_chat_got(&vendor, "chat-1", &["one"]).await;
            if killed {
                node.kill().await;
                node = world.start().await;
            } else {
                vendor.cut();
            }
            spare.until_got("one").await;
            assert_eq!(spare.got(), ["open", "one"]);
            assert!(node.notes(&anna).await.iter().any(|note| matches!(
                note, Note::RungFailed { failure, .. } if failure.reason == Reason::AgentLost)));
            assert_eq!(vendor.connections(), 1);
            node.engine.stop().await;
        }
    });
}

#[test]
fn one_that_cannot_be_reached_again_is_given_up_after_a_minute() {
    each("duplex_given_up", async |world| {
        let vendor = Vendor::start().await;
        let spare = Fake::by_key();
        let world = world.faster(60).agent("desk", Duplex::new(&vendor, true, Dedupe::ByKey));
        let node = world.agent("spare", spare.clone()).start().await;
        let anna = node.customer("anna").await;
        node.say(&anna, "a human please").await;
        node.until_seen(&anna, "joined").await;
        vendor.away(true);
        vendor.forget();
        vendor.cut();
        node.say(&anna, "one").await;
        spare.until_got("one").await;
        let tries = vendor.connections() - 1;
        assert!((4..40).contains(&tries), "{tries}");
        node.engine.stop().await;
    });
}

#[test]
fn an_open_cut_off_is_not_repeated_where_that_does_harm() {
    each("duplex_attempt", async |world| {
        let vendor = Vendor::start().await;
        let spare = Fake::by_key();
        let world =
            world.agent("desk", Duplex::new(&vendor, true, Dedupe::None)).agent("spare", spare.clone());
        let node = world.deadlines(|d| d.opening_ms = 2_000).start().await;
        let anna = node.customer("anna").await;
        vendor.cut_before_ack(1);
        node.say(&anna, "a human please").await;
        node.say(&anna, "one").await;
        spare.until_got("one").await;
        assert_eq!(vendor.opened(), 1);
        assert!(node.notes(&anna).await.iter().any(|note| matches!(note, Note::Unconfirmed { .. })));
        node.engine.stop().await;
    });
}

#[test]
fn typing_passes_and_the_same_event_twice_is_one() {
    each("duplex_heard", async |world| {
        let vendor = Vendor::start().await;
        let node = world.clone().agent("desk", Duplex::new(&vendor, true, Dedupe::ByKey)).start().await;
        let anna = node.customer("anna").await;
        let mut hints = node.engine.watch(&node.app, &anna);
        node.say(&anna, "a human please").await;
        node.until_seen(&anna, "joined").await;
        vendor.tell("chat-1", json!({"typing": true}));
        let typing = async {
            loop {
                if let Hint::AgentTyping(on) = hints.recv().await.unwrap() {
                    return on;
                }
            }
        };
        assert!(tokio::time::timeout(Duration::from_secs(10), typing).await.unwrap());
        node.engine.stop().await;

        let mut world = world;
        world.app.id = format!("st-{}", uuid::Uuid::now_v7()).as_str().into();
        let desk = Scripted::new(false);
        *desk.twice.lock().unwrap() = true;
        let node = world.agent("desk", desk.clone()).start().await;
        let anna = node.customer("anna").await;
        node.say(&anna, "a human please").await;
        until("all of it was heard", async || {
            let seen = node.seen(&anna).await;
            (seen.iter().filter(|seen| *seen == "agent: fresh").count() == 2).then_some(())
        })
        .await;
        let once = node.seen(&anna).await.into_iter().filter(|seen| seen == "agent: once").count();
        assert_eq!(once, 1);
        node.engine.stop().await;
    });
}

#[test]
fn failures_of_a_session_follow_the_same_table() {
    each("duplex_failures", async |world| {
        let (desk, spare) = (Scripted::new(true), Fake::by_key());
        let world = world.agent("desk", desk.clone()).agent("spare", spare.clone());
        let node = world.start().await;
        let anna = node.customer("anna").await;
        node.say(&anna, "a human please").await;
        node.until_seen(&anna, "joined").await;
        *desk.results.lock().unwrap() = vec![Failure::Retry { after_ms: Some(500), cause: cause() }];
        node.say(&anna, "one").await;
        until("tried again", async || (desk.tries("one").len() == 2).then_some(())).await;
        let tries = desk.tries("one");
        assert!(tries[1] - tries[0] >= Duration::from_millis(500), "not at once");
        *desk.results.lock().unwrap() = vec![Failure::Refused(cause())];
        node.say(&anna, "two").await;
        node.until_seen(&anna, "system: Your last message could not be delivered.").await;
        *desk.panics.lock().unwrap() = 1;
        node.say(&anna, "three").await;
        until("tried again after a panic", async || (desk.tries("three").len() == 2).then_some(())).await;
        *desk.results.lock().unwrap() = vec![Failure::Gone(cause())];
        node.say(&anna, "four").await;
        spare.until_got("four").await;
        assert_eq!(spare.got(), ["open", "one", "two", "three", "four"]);
        node.engine.stop().await;
    });
}

#[test]
fn a_session_that_stalls_is_left_after_a_minute() {
    each("duplex_stalled", async |world| {
        let (desk, spare) = (Scripted::new(true), Fake::by_key());
        let world = world.faster(60).agent("desk", desk.clone()).agent("spare", spare.clone());
        let node = world.start().await;
        let anna = node.customer("anna").await;
        node.say(&anna, "a human please").await;
        node.until_seen(&anna, "joined").await;
        *desk.results.lock().unwrap() = vec![Failure::Retry { after_ms: Some(3_600_000), cause: cause() }];
        node.say(&anna, "one").await;
        spare.until_got("one").await;
        assert!(node.notes(&anna).await.iter().any(|note| matches!(note, Note::Stalled { .. })));
        assert_eq!(desk.tries("one").len(), 1);
        node.engine.stop().await;
    });
}
