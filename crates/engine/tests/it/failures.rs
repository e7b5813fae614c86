//! Each row of the failure table on the real path: what happens to the cursor, and who learns it.

use std::sync::Arc;
use std::time::Duration;

use interline_connector::Failure;
use interline_connector::agent::AgentSystem;
use interline_core::conversation::entry::Note;
use interline_core::conversation::state::Customer;
use interline_core::transfer::Reason;
use serde_json::json;
use tokio::sync::Notify;

use crate::fake::{Act, Fake, cause, retry};
use crate::world::{Node, World, each, until};

const NOT_DELIVERED: &str = "system: Your last message could not be delivered.";
const FAILED: &str = "bot: All our agents are currently busy. Please try again later.";

/// A customer who talks to an agent of `desk`; `spare` is next on the ladder.
async fn talking(world: World, desk: &Arc<Fake>, spare: &Arc<Fake>) -> (World, Node, Customer) {
    let world = world.agent("desk", desk.clone()).agent("spare", spare.clone());
    let node = world.start().await;
    let anna = node.customer("anna").await;
    node.say(&anna, "a human please").await;
    node.until_seen(&anna, "joined").await;
    (world, node, anna)
}

async fn settled(node: &Node, anna: &Customer, no: i64) {
    until("the participant has nothing left", async || {
        let row = node.row(anna, no).await;
        (row.cursor >= row.head && row.due_at.is_none() && row.failing_since.is_none()).then_some(())
    })
    .await;
}

#[test]
fn retry_stays_and_is_repeated_with_the_same_key() {
    each("retry", async |world| {
        let (desk, spare) = (Fake::by_key(), Fake::by_key());
        let (_world, node, anna) = talking(world.faster(5), &desk, &spare).await;
        desk.script([retry(), retry(), retry()]);
        node.say(&anna, "one").await;
        node.say(&anna, "two").await;
        desk.until_got("two").await;
        let tries = desk.tries_at("one");
        assert_eq!(tries.len(), 4);
        assert!(tries.iter().all(|tried| tried.key == tries[0].key));
        // Order holds: the second waited for the first.
        assert_eq!(desk.got(), ["open", "one", "two"]);
        settled(&node, &anna, 1).await;
        assert!(!node.seen(&anna).await.contains(&NOT_DELIVERED.to_owned()), "the speaker need not know");
        let row = node.row(&anna, 1).await;
        assert_eq!((row.attempts, row.last_error, row.attempt_key), (0, None, None));
        assert!(row.session.unwrap().contains("chat"));
        node.engine.stop().await;
    });
}

#[test]
fn the_vendors_pause_is_honoured_and_ours_grows() {
    each("pause", async |world| {
        let (desk, spare) = (Fake::by_key(), Fake::by_key());
        let (_world, node, anna) = talking(world, &desk, &spare).await;
        let told = Failure::Retry { after_ms: Some(700), cause: cause() };
        desk.script([Act::Fail(told)]);
        node.say(&anna, "one").await;
        let tries = desk.until_tried("one", 2).await;
        let pause = tries[1].at - tries[0].at;
        assert!(pause >= Duration::from_millis(700), "{pause:?}");
        // A customer's further lines do not shorten the pause.
        let told = Failure::Retry { after_ms: Some(700), cause: cause() };
        desk.script([Act::Fail(told)]);
        node.say(&anna, "two").await;
        desk.until_tried("two", 1).await;
        node.say(&anna, "three").await;
        let tries = desk.until_tried("two", 2).await;
        assert!(tries[1].at - tries[0].at >= Duration::from_millis(700));
        desk.until_got("three").await;
        node.engine.stop().await;
    });
}

#[test]
fn uncertain_is_repeated_where_the_vendor_drops_repeats() {
    each("uncertain_by_key", async |world| {
        let (desk, spare) = (Fake::by_key(), Fake::by_key());
        let (_world, node, anna) = talking(world, &desk, &spare).await;
        desk.script([Act::TakeAndFail(Failure::Uncertain(cause()))]);
        node.say(&anna, "one").await;
        desk.until_tried("one", 2).await;
        settled(&node, &anna, 1).await;
        assert_eq!(desk.got(), ["open", "one"]);
        node.engine.stop().await;
    });
}

#[test]
fn uncertain_passes_where_a_repeat_does_harm() {
    each("uncertain_none", async |world| {
        let (desk, spare) = (Fake::no_dedupe(), Fake::by_key());
        let (_world, node, anna) = talking(world, &desk, &spare).await;
        desk.script([Act::TakeAndFail(Failure::Uncertain(cause()))]);
        node.say(&anna, "one").await;
        node.say(&anna, "two").await;
        desk.until_got("two").await;
        settled(&node, &anna, 1).await;
        assert_eq!(desk.tries_at("one").len(), 1);
        node.until_noted(&anna, "unconfirmed", |note| matches!(note, Note::Unconfirmed { .. })).await;
        assert!(!node.seen(&anna).await.contains(&NOT_DELIVERED.to_owned()), "not the speaker");
        node.engine.stop().await;
    });
}

#[test]
fn a_refused_line_passes_and_its_speaker_learns_it() {
    each("refused", async |world| {
        let (desk, spare) = (Fake::by_key(), Fake::by_key());
        let (_world, node, anna) = talking(world, &desk, &spare).await;
        desk.script([Act::Fail(Failure::Refused(cause()))]);
        node.say(&anna, "one").await;
        node.say(&anna, "two").await;
        desk.until_got("two").await;
        node.until_seen(&anna, NOT_DELIVERED).await;
        assert_eq!(desk.got(), ["open", "two"]);
        assert!(node.notes(&anna).await.iter().any(|note| matches!(note, Note::Refused { .. })));
        node.engine.stop().await;
    });
}

#[test]
fn a_line_that_is_refused_later_is_told_once_and_the_chat_goes_on() {
    each("refused_later", async |world| {
        let (desk, spare) = (Fake::by_key(), Fake::by_key());
        let (_world, node, anna) = talking(world, &desk, &spare).await;
        node.say(&anna, "one").await;
        desk.until_got("one").await;
        settled(&node, &anna, 1).await;
        let log = node.log(&anna).await;
        let one = log.iter().find(|entry| entry.text().is_some_and(|text| text.text == "one")).unwrap().seq;
        let conversation = node.conversation(&anna).await;
        let refused = |id: &str, participant: u32| {
            let refused = json!({ "conversation": conversation, "participant": participant, "id": id });
            json!({ "secret": "open sesame", "refused": refused })
        };
        let told = async || node.seen(&anna).await.iter().filter(|line| *line == NOT_DELIVERED).count();
        let one = format!("r-{one}");
        assert_eq!(node.webhook("fake", refused("r-999", 1)).await.status, 200);
        assert_eq!(node.webhook("fake", refused(&one, 7)).await.status, 404);
        assert_eq!(told().await, 0);
        for _ in 0..2 {
            assert_eq!(node.webhook("fake", refused(&one, 1)).await.status, 200);
        }
        node.until_seen(&anna, NOT_DELIVERED).await;
        node.say(&anna, "two").await;
        desk.until_got("two").await;
        assert_eq!((told().await, desk.got()), (1, ["open", "one", "two"].map(str::to_owned).to_vec()));
        let notes = node.notes(&anna).await;
        assert_eq!(notes.iter().filter(|note| matches!(note, Note::Refused { .. })).count(), 1);
        settled(&node, &anna, 1).await;
        // A line under way has no name yet: this may be about it.
        let gate = Arc::new(Notify::new());
        desk.script([Act::After(gate.clone())]);
        node.say(&anna, "three").await;
        desk.until_tried("three", 1).await;
        assert_eq!(node.webhook("fake", refused("r-999", 1)).await.status, 503);
        gate.notify_one();
        settled(&node, &anna, 1).await;
        node.engine.stop().await;
    });
}

#[test]
fn a_refused_open_fails_the_rung() {
    each("refused_open", async |world| {
        let (desk, spare) = (Fake::by_key(), Fake::by_key());
        desk.script([Act::Fail(Failure::Refused(cause()))]);
        let (_world, node, anna) = talking(world, &desk, &spare).await;
        node.say(&anna, "one").await;
        spare.until_got("one").await;
        assert_eq!(spare.got(), ["open", "one"]);
        assert!(node.notes(&anna).await.iter().any(|note| matches!(
            note, Note::RungFailed { failure, .. } if failure.reason == Reason::VendorError)));
        node.engine.stop().await;
    });
}

#[test]
fn unauthorized_and_bugs_stay_until_the_ladder_takes_over_after_a_minute() {
    each("stalled", async |world| {
        for failure in [Failure::Unauthorized(cause()), Failure::Bug(cause()), Failure::Uncertain(cause())] {
            let (desk, spare) = (Fake::by_key(), Fake::by_key());
            // A fresh database row set: another customer would do, another app is simpler.
            let mut world = world.clone().faster(60);
            world.app.id = format!("st-{}", uuid::Uuid::now_v7()).as_str().into();
            let (_world, node, anna) = talking(world, &desk, &spare).await;
            desk.script((0..50).map(|_| Act::Fail(failure.clone())));
            node.say(&anna, "one").await;
            node.say(&anna, "two").await;
            node.until_noted(&anna, "stalled", |note| matches!(note, Note::Stalled { .. })).await;
            // Every line of the transfer, in order, once.
            spare.until_got("two").await;
            assert_eq!(spare.got(), ["open", "one", "two"]);
            let stalled = node.notes(&anna).await;
            let stalled = stalled.iter().filter(|note| matches!(note, Note::Stalled { .. })).count();
            assert_eq!(stalled, 1, "told once");
            let tries = desk.tries_at("one");
            let lasted = (tries.last().unwrap().at - tries[0].at) * 60;
            assert!(lasted < Duration::from_secs(240), "{lasted:?}");
            assert!((4..40).contains(&tries.len()), "{}", tries.len());
            node.engine.stop().await;
        }
    });
}

#[test]
fn a_long_pause_of_the_vendor_does_not_hide_the_stall() {
    each("long_pause", async |world| {
        let (desk, spare) = (Fake::by_key(), Fake::by_key());
        let (_world, node, anna) = talking(world.faster(60), &desk, &spare).await;
        desk.script([Act::Fail(Failure::Retry { after_ms: Some(3_600_000), cause: cause() })]);
        node.say(&anna, "one").await;
        spare.until_got("one").await;
        assert_eq!(desk.tries_at("one").len(), 1, "the vendor asked for an hour");
        assert!(node.notes(&anna).await.iter().any(|note| matches!(note, Note::Stalled { .. })));
        node.engine.stop().await;
    });
}

#[test]
fn gone_closes_the_participant_and_climbs_the_ladder() {
    each("gone", async |world| {
        let (desk, spare) = (Fake::by_key(), Fake::by_key());
        let (_world, node, anna) = talking(world, &desk, &spare).await;
        node.say(&anna, "one").await;
        desk.until_got("one").await;
        desk.script([Act::Fail(Failure::Gone(cause()))]);
        node.say(&anna, "two").await;
        spare.until_got("two").await;
        assert_eq!(spare.got(), ["open", "one", "two"]);
        assert!(node.notes(&anna).await.iter().any(|note| matches!(
            note, Note::RungFailed { failure, .. } if failure.reason == Reason::AgentLost)));
        let row = node.row(&anna, 1).await;
        assert!(row.done && row.due_at.is_none());
        assert_eq!(desk.got(), ["open", "one"], "nothing goes there any more, not even the close");
        node.engine.stop().await;
    });
}

#[test]
fn a_panic_is_the_connectors_fault_and_not_our_end() {
    each("panic", async |world| {
        let (desk, spare) = (Fake::no_dedupe(), Fake::by_key());
        let (_world, node, anna) = talking(world, &desk, &spare).await;
        desk.script([Act::Panic]);
        node.say(&anna, "one").await;
        desk.until_got("one").await;
        assert_eq!(desk.tries_at("one").len(), 2);
        node.engine.stop().await;
    });
}

#[test]
fn a_panic_while_opening_is_not_repeated_where_that_does_harm() {
    each("panic_open", async |world| {
        let (desk, spare) = (Fake::no_dedupe(), Fake::by_key());
        desk.script([Act::Panic]);
        let (_world, node, anna) = talking(world.deadlines(|d| d.opening_ms = 1_500), &desk, &spare).await;
        spare.until_got("open").await;
        assert_eq!(desk.tries_at("open").len(), 1);
        node.until_noted(&anna, "unconfirmed", |note| matches!(note, Note::Unconfirmed { .. })).await;
        node.engine.stop().await;
    });
}

#[test]
fn a_vendor_that_never_answers_is_left_at_the_opening_deadline() {
    each("hang", async |world| {
        let (desk, spare) = (Fake::by_key(), Fake::by_key());
        desk.script([Act::Hang]);
        let world = world.faster(40).deadlines(|d| d.opening_ms = 80_000);
        let (_world, node, anna) = talking(world, &desk, &spare).await;
        node.say(&anna, "one").await;
        spare.until_got("one").await;
        assert_eq!(spare.got(), ["open", "one"]);
        // The call that hangs is given up in the end, and what is left for that system is delivered.
        desk.until_got("close").await;
        node.engine.stop().await;
    });
}

#[test]
fn one_after_the_other_fails_and_the_bot_has_the_customer_back() {
    each("all_fail", async |world| {
        let (desk, spare) = (Fake::by_key(), Fake::by_key());
        desk.script([Act::Fail(Failure::Refused(cause()))]);
        spare.script([Act::Fail(Failure::Refused(cause()))]);
        let world = world.agent("desk", desk.clone()).agent("spare", spare.clone());
        let node = world.start().await;
        let anna = node.customer("anna").await;
        node.say(&anna, "a human please").await;
        node.until_seen(&anna, FAILED).await;
        node.say(&anna, "so").await;
        node.until_seen(&anna, "bot: echo so").await;
        node.engine.stop().await;
    });
}

#[test]
fn an_integration_that_was_removed_is_gone() {
    each("removed", async |world| {
        let (desk, spare) = (Fake::by_key(), Fake::by_key());
        let (world, node, anna) = talking(world, &desk, &spare).await;
        assert_eq!(desk.describe(), interline_core::app::AgentSystem::default());
        node.engine.stop().await;
        let node = world.without_agent("desk").start().await;
        node.say(&anna, "one").await;
        spare.until_got("one").await;
        assert_eq!(spare.got(), ["open", "one"]);
        node.engine.stop().await;
    });
}
