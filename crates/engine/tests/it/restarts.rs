//! Kills, restarts, stops, lost hints, eviction, replay.

use std::sync::Arc;
use std::time::{Duration, Instant};

use interline_connector::Failure;
use interline_connector::channel::Host;
use interline_core::conversation::entry::Note;
use interline_core::transfer::Reason;
use interline_core::{Entry, Input, State, Time, step};
use interline_engine::{About, Hints};
use serde::Deserialize;
use tokio::sync::broadcast;

use crate::fake::{Act, Fake, cause, event, retry, said};
use crate::world::{each, until};

#[test]
fn an_open_cut_off_by_a_kill_is_not_repeated_and_a_sign_of_life_accepts_it() {
    each("attempt_alive", async |world| {
        let desk = Fake::no_dedupe();
        desk.script([Act::Hang]);
        let world = world.agent("desk", desk.clone());
        let node = world.start().await;
        let anna = node.customer("anna").await;
        node.say(&anna, "a human please").await;
        desk.until_tried("open", 1).await;
        node.say(&anna, "one").await;
        node.kill().await;
        let node = world.start().await;
        node.until_noted(&anna, "unconfirmed", |note| matches!(note, Note::Unconfirmed { .. })).await;
        let conversation = node.conversation(&anna).await;
        node.webhook("fake", event(&conversation, 1, None, &said("Hi"))).await;
        desk.until_got("one").await;
        assert_eq!(desk.tries_at("open").len(), 1);
        assert!(node.seen(&anna).await.contains(&"agent: Hi".to_owned()));
        node.engine.stop().await;
    });
}

#[test]
fn an_open_cut_off_by_a_kill_without_a_sign_of_life_climbs_the_ladder() {
    each("attempt_dead", async |world| {
        let (desk, spare) = (Fake::no_dedupe(), Fake::by_key());
        desk.script([Act::Hang]);
        let world = world.agent("desk", desk.clone()).agent("spare", spare.clone());
        let world = world.deadlines(|d| d.opening_ms = 2_500);
        let node = world.start().await;
        let anna = node.customer("anna").await;
        node.say(&anna, "a human please").await;
        desk.until_tried("open", 1).await;
        node.say(&anna, "one").await;
        node.kill().await;
        let node = world.start().await;
        spare.until_got("one").await;
        assert_eq!(spare.got(), ["open", "one"]);
        assert_eq!(desk.tries_at("open").len(), 1);
        assert!(node.notes(&anna).await.iter().any(|note| matches!(
            note, Note::RungFailed { failure, .. } if failure.reason == Reason::Unreachable)));
        node.engine.stop().await;
    });
}

#[test]
fn a_text_whose_cursor_did_not_move_goes_out_again_with_the_same_key() {
    each("same_key", async |world| {
        for desk in [Fake::by_key(), Fake::no_dedupe()] {
            let mut world = world.clone();
            world.app.id = format!("st-{}", uuid::Uuid::now_v7()).as_str().into();
            let world = world.agent("desk", desk.clone());
            let node = world.start().await;
            let anna = node.customer("anna").await;
            node.say(&anna, "a human please").await;
            node.until_seen(&anna, "joined").await;
            desk.script([Act::Hang]);
            node.say(&anna, "one").await;
            node.say(&anna, "two").await;
            desk.until_tried("one", 1).await;
            node.kill().await;
            // The second engine takes up what is left, session document and all.
            let node = world.start().await;
            desk.until_got("two").await;
            let tries = desk.tries_at("one");
            assert_eq!(tries.len(), 2);
            assert_eq!(tries[0].key, tries[1].key);
            assert_eq!(tries[0].session, tries[1].session);
            assert!(tries[1].session.is_some());
            assert_eq!(desk.tries_at("two").len(), 1);
            node.engine.stop().await;
        }
    });
}

#[test]
fn an_open_is_repeated_with_its_key_where_the_vendor_drops_repeats() {
    each("open_by_key", async |world| {
        let desk = Fake::by_key();
        desk.script([Act::Hang]);
        let world = world.agent("desk", desk.clone());
        let node = world.start().await;
        let anna = node.customer("anna").await;
        node.say(&anna, "a human please").await;
        desk.until_tried("open", 1).await;
        node.kill().await;
        let node = world.start().await;
        node.until_seen(&anna, "joined").await;
        let tries = desk.tries_at("open");
        assert_eq!((tries.len(), tries[0].key == tries[1].key), (2, true));
        node.engine.stop().await;
    });
}

#[test]
fn a_retry_and_its_deadlines_survive_a_restart() {
    each("retry_restart", async |world| {
        let (desk, spare) = (Fake::by_key(), Fake::by_key());
        let world = world.faster(60).agent("desk", desk.clone()).agent("spare", spare.clone());
        let node = world.start().await;
        let anna = node.customer("anna").await;
        node.say(&anna, "a human please").await;
        node.until_seen(&anna, "joined").await;
        desk.script([Act::Fail(Failure::Retry { after_ms: Some(3_600_000), cause: cause() })]);
        node.say(&anna, "one").await;
        until("it failed", async || (node.row(&anna, 1).await.attempts == 1).then_some(())).await;
        node.kill().await;
        let node = world.start().await;
        spare.until_got("one").await;
        assert_eq!(desk.tries_at("one").len(), 1);
        node.engine.stop().await;
    });
}

/// A bus that loses everything.
struct Deaf(broadcast::Sender<About>);

impl Hints for Deaf {
    fn tell(&self, _: About) {}

    fn listen(&self) -> broadcast::Receiver<About> {
        self.0.subscribe()
    }
}

#[test]
fn with_every_hint_lost_everything_still_arrives() {
    each("deaf", async |world| {
        let (desk, spare) = (Fake::by_key(), Fake::by_key());
        desk.script([Act::Fail(Failure::Refused(cause()))]);
        let world = world.faster(10).hints(Deaf(broadcast::channel(1).0));
        let node = world.agent("desk", desk.clone()).agent("spare", spare.clone()).start().await;
        let anna = node.customer("anna").await;
        node.say(&anna, "a human please").await;
        node.say(&anna, "one").await;
        spare.until_got("one").await;
        node.say(&anna, "two").await;
        spare.until_got("two").await;
        assert_eq!(spare.got(), ["open", "one", "two"]);
        node.engine.stop().await;
    });
}

#[test]
fn idle_conversations_leave_memory_and_work_again() {
    each("eviction", async |world| {
        let desk = Fake::by_key();
        let node = world.faster(60).agent("desk", desk.clone()).start().await;
        let mut customers = Vec::new();
        for at in 0..20 {
            let customer = node.customer(&format!("customer {at}")).await;
            node.say(&customer, "a human please").await;
            node.until_seen(&customer, "joined").await;
            customers.push(customer);
        }
        until("memory is empty", async || (node.engine.in_memory() == 0).then_some(())).await;
        for (at, customer) in customers.iter().enumerate() {
            node.say(customer, &format!("back {at}")).await;
            assert_eq!(node.conversations(customer).await.len(), 1);
        }
        for at in 0..20 {
            desk.until_got(&format!("back {at}")).await;
        }
        assert!(node.engine.in_memory() > 0);
        node.engine.stop().await;
    });
}

#[test]
fn a_stop_finishes_the_work_in_hand() {
    each("stop", async |world| {
        let desk = Fake::by_key();
        let gate = Arc::new(tokio::sync::Notify::new());
        let world = world.agent("desk", desk.clone());
        let node = world.start().await;
        let anna = node.customer("anna").await;
        node.say(&anna, "a human please").await;
        node.until_seen(&anna, "joined").await;
        desk.script([Act::After(gate.clone())]);
        node.say(&anna, "one").await;
        node.say(&anna, "two").await;
        desk.until_tried("one", 1).await;
        let engine = node.engine.clone();
        let watching = tokio::spawn(async move { engine.stopping().await });
        let engine = node.engine.clone();
        let stopping = tokio::spawn(async move { engine.stop().await });
        tokio::time::timeout(Duration::from_secs(5), watching).await.unwrap().unwrap();
        assert!(!stopping.is_finished());
        gate.notify_one();
        tokio::time::timeout(Duration::from_secs(5), stopping).await.unwrap().unwrap();
        assert_eq!(desk.tries().len(), 2, "nothing new is begun");
        assert!(node.engine.ready().await.is_err());
        let node = world.start().await;
        desk.until_got("two").await;
        assert_eq!(desk.tries_at("one").len(), 1, "its result was written");
        node.engine.stop().await;
    });
}

#[test]
fn a_stop_does_not_wait_for_ever() {
    each("stop_hang", async |world| {
        let desk = Fake::by_key();
        desk.script([Act::Hang]);
        let node = world.faster(20).agent("desk", desk.clone()).start().await;
        let anna = node.customer("anna").await;
        node.say(&anna, "a human please").await;
        desk.until_tried("open", 1).await;
        let began = Instant::now();
        node.engine.stop().await;
        assert!(began.elapsed() < Duration::from_secs(5));
        node.kill().await;
    });
}

#[test]
fn a_node_that_was_replaced_stops() {
    each("fenced", async |world| {
        let world = world.faster(20);
        let first = world.start().await;
        let second = world.start().await;
        let engine = first.engine.clone();
        first.on(async move { tokio::time::timeout(Duration::from_secs(20), engine.stopping()).await.unwrap() }).await;
        first.engine.stop().await;
        second.engine.stop().await;
    });
}

#[test]
fn who_was_erased_is_not_served_and_not_tried_for_ever() {
    each("erased", async |world| {
        let desk = Fake::by_key();
        let gate = Arc::new(tokio::sync::Notify::new());
        let node = world.faster(10).agent("desk", desk.clone()).start().await;
        let anna = node.customer("anna").await;
        node.say(&anna, "a human please").await;
        node.until_seen(&anna, "joined").await;
        let conversation = node.conversation(&anna).await;
        desk.script([Act::After(gate.clone())]);
        node.say(&anna, "one").await;
        desk.until_tried("one", 1).await;
        let (store, app, id) = (node.store.clone(), node.app.clone(), anna.id.clone());
        node.on(async move { store.erase_customer(app.as_str(), id.as_str()).await.unwrap() }).await;
        gate.notify_one();
        // The result has nowhere to go, a callback neither.
        assert_eq!(node.webhook("fake", event(&conversation, 1, None, &said("Hi"))).await.status, 404);
        let again = node.customer("anna").await;
        assert_ne!(again.id, anna.id);
        node.say(&again, "hello").await;
        node.until_seen(&again, "bot: echo hello").await;
        until("memory is empty: nothing goes on trying", async || {
            (node.engine.in_memory() == 0).then_some(())
        })
        .await;
        assert_eq!(desk.tries_at("one").len(), 1);
        node.engine.stop().await;
    });
}

#[derive(Deserialize)]
struct Recorded {
    app_version: i64,
    now: Time,
    seed: u64,
    inputs: Vec<Input>,
}

#[test]
fn the_inbox_replays_to_the_same_log() {
    each("replay", async |world| {
        let (desk, spare) = (Fake::by_key(), Fake::by_key());
        let world = world.faster(10).agent("desk", desk.clone()).agent("spare", spare.clone());
        let node = world.start().await;
        let anna = node.customer("anna").await;
        node.say(&anna, "hello").await;
        desk.script([
            Act::Tell(vec![said("Hi"), said("I am Ann")]),
            retry(),
            Act::Fail(Failure::Refused(cause())),
        ]);
        node.say(&anna, "a human please").await;
        node.until_seen(&anna, "agent: I am Ann").await;
        node.say(&anna, "one").await;
        desk.script([Act::Fail(Failure::Gone(cause()))]);
        node.say(&anna, "two").await;
        spare.until_got("open").await;
        let conversation = node.conversation(&anna).await;
        node.webhook("fake", event(&conversation, 2, Some("x"), &said("This is Bob"))).await;
        node.webhook("fake", event(&conversation, 2, Some("x"), &said("This is Bob"))).await;
        node.webhook(
            "fake",
            event(
                &conversation,
                2,
                None,
                &interline_core::conversation::input::AgentEvent::Ended { tag: None },
            ),
        )
        .await;
        node.say(&anna, "thanks").await;
        node.say(&anna, "bye").await;
        node.until_seen(&anna, "closed").await;
        let log = node.log(&anna).await;
        let inbox = node.store.replay(node.app.as_str(), &conversation).await.unwrap();
        let mut state = State::new(world.app.id.clone(), conversation.as_str().into(), anna.clone());
        let mut entries: Vec<Entry> = Vec::new();
        for row in inbox {
            let recorded: Recorded = serde_json::from_str(&row.doc).unwrap();
            assert_eq!(recorded.app_version, 1);
            for input in &recorded.inputs {
                let stepped = step(&world.app, &state, input, recorded.now, recorded.seed);
                state = stepped.state;
                entries.extend(stepped.entries);
            }
        }
        assert_eq!(entries, log);
        assert_eq!(state, node.state(&anna).await);
        node.engine.stop().await;
    });
}
