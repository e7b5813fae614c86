//! What operators do, over the whole engine.

use std::sync::Arc;

use interline_connector::manifest::Signals;
use interline_connector::{Failure, Manifest};
use interline_core::app::AgentSystem;
use interline_core::conversation::entry::Note;
use interline_core::conversation::input::{AgentEvent, OperatorAct, Scope};
use interline_core::conversation::state::Customer;
use interline_core::transfer::{Outcome, Stage};
use interline_core::{AppId, ConversationId, Owner, ParticipantNo, Seq, TransferNo};
use interline_engine::{Filter, NotDone, Seat, Trouble};
use tokio::sync::Notify;

use crate::fake::{Act, Fake, cause, event, manifest, retry};
use crate::world::{Node, each, until};

pub const END: OperatorAct = OperatorAct::Ends(Scope::AgentChat);

fn joining() -> Arc<Fake> {
    let signals = Signals { accepts: true, joined: true, queued: true };
    let describe = AgentSystem { tells_joined: true, ..AgentSystem::default() };
    Fake::with(Manifest { signals, ..manifest("fake") }, describe)
}

pub fn later() -> Act {
    Act::Fail(Failure::Retry { after_ms: Some(3_600_000), cause: cause() })
}

pub fn says(text: &str) -> OperatorAct {
    OperatorAct::Says { name: Some("Olga".into()), text: text.into() }
}

fn skips(participant: u32, seq: Seq) -> OperatorAct {
    OperatorAct::Skips { participant: ParticipantNo(participant), seq }
}

fn drops(participant: u32) -> OperatorAct {
    OperatorAct::Drops { participant: ParticipantNo(participant) }
}

async fn id(node: &Node, customer: &Customer) -> ConversationId {
    ConversationId::new(node.conversation(customer).await)
}

async fn act(node: &Node, customer: &Customer, act: OperatorAct) -> Result<(), NotDone> {
    act_with(node, customer, act, None, None).await
}

async fn act_with(
    node: &Node,
    customer: &Customer,
    act: OperatorAct,
    transfer: Option<u32>,
    key: Option<&str>,
) -> Result<(), NotDone> {
    let (engine, app, id) = (node.engine.clone(), node.app.clone(), id(node, customer).await);
    let (transfer, key) = (transfer.map(TransferNo), key.map(str::to_owned));
    node.on(async move { engine.operate(&app, &id, "olga", act, transfer, key).await }).await
}

async fn try_again(node: &Node, customer: &Customer, no: u32) -> Result<(), NotDone> {
    let (engine, app, id) = (node.engine.clone(), node.app.clone(), id(node, customer).await);
    node.on(async move { engine.retry_participant(&app, &id, ParticipantNo(no)).await }).await
}

fn code(result: Result<(), NotDone>) -> &'static str {
    match result {
        Err(NotDone::NotNow { code, .. }) => code,
        other => panic!("it was not refused: {other:?}"),
    }
}

pub async fn talks(node: &Node, address: &str) -> Customer {
    let customer = node.customer(address).await;
    node.say(&customer, "a human please").await;
    node.until_seen(&customer, "joined").await;
    customer
}

async fn seat(node: &Node, customer: &Customer, no: u32) -> Seat {
    let detail = node.engine.conversation(&node.app, &id(node, customer).await).await.unwrap();
    detail.seats.into_iter().find(|seat| seat.participant.no == ParticipantNo(no)).unwrap()
}

pub async fn until_failing(node: &Node, customer: &Customer, no: u32) -> Seat {
    until("it fails", async || {
        Some(seat(node, customer, no).await).filter(|seat| seat.failing_since.is_some())
    })
    .await
}

async fn count(node: &Node, customer: &Customer, is: impl Fn(&Note) -> bool) -> usize {
    node.notes(customer).await.iter().filter(|note| is(note)).count()
}

// ── acts ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

#[test]
fn an_operator_ends_the_transfer_or_everything() {
    each("operate_end", async |world| {
        let desk = Fake::by_key();
        let node = world.agent("desk", desk.clone()).start().await;
        let anna = talks(&node, "anna").await;
        assert_eq!(code(act_with(&node, &anna, END, Some(2), None).await), "other_transfer");
        act_with(&node, &anna, END, Some(1), None).await.unwrap();
        desk.until_got("close").await;
        node.say(&anna, "hello").await;
        node.until_seen(&anna, "bot: echo hello").await;
        let ended = Note::TransferEnded(Outcome::OperatorEnded);
        assert_eq!(count(&node, &anna, |note| *note == ended).await, 1);
        assert_eq!(code(act(&node, &anna, END).await), "no_transfer");
        assert_eq!(code(act_with(&node, &anna, END, Some(1), None).await), "other_transfer");
        assert_eq!(code(act(&node, &anna, OperatorAct::Retries).await), "no_transfer");
        // What the operator saw is over, and another one is live.
        node.say(&anna, "a human please").await;
        until("she talks again", async || node.state(&anna).await.transfer.map(|_| ())).await;
        assert_eq!(code(act_with(&node, &anna, END, Some(1), None).await), "other_transfer");
        let everything = OperatorAct::Ends(Scope::Conversation);
        assert_eq!(code(act_with(&node, &anna, everything.clone(), Some(1), None).await), "other_transfer");
        assert_eq!(node.state(&anna).await.owner, Owner::Agent);
        act_with(&node, &anna, everything.clone(), Some(2), None).await.unwrap();
        node.until_seen(&anna, "closed").await;
        assert!(node.loaded(&anna).await.closed_at.is_some());
        for late in [everything, says("hello?")] {
            assert_eq!(code(act(&node, &anna, late).await), "closed");
        }
        assert_eq!(code(act(&node, &anna, END).await), "no_transfer");
        assert_eq!(desk.got(), ["open", "close", "open", "close"]);
        node.engine.stop().await;
    });
}

#[test]
fn an_open_that_is_stuck_is_tried_anew() {
    each("operate_retry", async |world| {
        let desk = joining();
        desk.script([Act::Hang]);
        let node = world
            .deadlines(|deadlines| deadlines.opening_ms = 600_000)
            .agent("desk", desk.clone())
            .start()
            .await;
        let anna = node.customer("anna").await;
        node.say(&anna, "a human please").await;
        desk.until_tried("open", 1).await;
        node.say(&anna, "are you there").await;
        act_with(&node, &anna, OperatorAct::Retries, Some(1), None).await.unwrap();
        desk.until_got("are you there").await;
        let opens = desk.tries_at("open");
        assert_eq!((opens.len(), opens[1].participant), (2, 2));
        // And once more from the queue.
        act(&node, &anna, OperatorAct::Retries).await.unwrap();
        desk.until_tried("open", 3).await;
        let state = until("the third waits", async || {
            Some(node.state(&anna).await)
                .filter(|state| state.transfer.as_ref().unwrap().stage == Stage::Waiting)
        })
        .await;
        let transfer = state.transfer.unwrap();
        assert_eq!(
            (transfer.no, transfer.tried, transfer.rung.unwrap().participant.0),
            (TransferNo(1), 1, 3)
        );
        let joined = AgentEvent::Joined { name: None };
        let conversation = node.conversation(&anna).await;
        node.webhook("fake", event(&conversation, 3, None, &joined)).await;
        node.until_seen(&anna, "joined").await;
        assert_eq!(code(act(&node, &anna, OperatorAct::Retries).await), "agent_is_there");
        assert_eq!(desk.tries_at("are you there").last().unwrap().participant, 3);
        node.kill().await;
    });
}

#[test]
fn an_operator_speaks_to_the_customer_alone() {
    each("operate_say", async |world| {
        let desk = Fake::by_key();
        let node = world.agent("desk", desk.clone()).start().await;
        let anna = talks(&node, "anna").await;
        act(&node, &anna, says("Please hold the line.")).await.unwrap();
        assert!(node.seen(&anna).await.contains(&"operator: Please hold the line.".to_owned()));
        let noted = |note: &Note| matches!(note, Note::Operator { by, act: OperatorAct::Says { .. } } if by == "olga");
        assert_eq!(count(&node, &anna, noted).await, 1);
        node.say(&anna, "thanks").await;
        desk.until_got("thanks").await;
        assert_eq!(desk.got(), ["open", "thanks"]);
        node.engine.stop().await;
    });
}

#[test]
fn the_same_key_is_the_same_act() {
    each("operate_key", async |world| {
        let desk = Fake::by_key();
        let node = world.agent("desk", desk.clone()).start().await;
        let anna = talks(&node, "anna").await;
        for _ in 0..3 {
            act_with(&node, &anna, says("Hello"), None, Some("k1")).await.unwrap();
        }
        act_with(&node, &anna, says("Hello"), None, Some("k2")).await.unwrap();
        let seen = node.seen(&anna).await;
        assert_eq!(seen.iter().filter(|line| *line == "operator: Hello").count(), 2);
        // Whoever did not hear the answer asks again, and is told the same, though nothing is left to be ended.
        for _ in 0..2 {
            act_with(&node, &anna, END, Some(1), Some("k3")).await.unwrap();
        }
        assert_eq!(code(act_with(&node, &anna, END, None, Some("k4")).await), "no_transfer");
        let acts = |note: &Note| matches!(note, Note::Operator { act: OperatorAct::Ends(_), .. });
        assert_eq!(count(&node, &anna, acts).await, 1);
        // Another conversation's keys are its own.
        let bob = talks(&node, "bob").await;
        act_with(&node, &bob, says("Hello"), None, Some("k1")).await.unwrap();
        assert!(node.seen(&bob).await.contains(&"operator: Hello".to_owned()));
        // Many at once are one.
        let all: Vec<_> = (0..8)
            .map(|_| {
                let (engine, app) = (node.engine.clone(), node.app.clone());
                let conversation = id(&node, &bob);
                let handle = node.handle();
                async move {
                    let id = conversation.await;
                    handle
                        .spawn(async move {
                            engine.operate(&app, &id, "olga", END, None, Some("k5".into())).await
                        })
                        .await
                        .unwrap()
                }
            })
            .collect();
        for done in all {
            done.await.unwrap();
        }
        assert_eq!(count(&node, &bob, acts).await, 1);
        node.engine.stop().await;
    });
}

#[test]
fn a_stuck_line_is_skipped_and_no_other() {
    each("operate_skip", async |world| {
        let desk = Fake::by_key();
        let node = world.agent("desk", desk.clone()).start().await;
        let anna = talks(&node, "anna").await;
        desk.script([later()]);
        for line in ["one", "two", "three"] {
            node.say(&anna, line).await;
        }
        until_failing(&node, &anna, 1).await;
        let log = node.log(&anna).await;
        let seq = |words: &str| {
            log.iter().find(|entry| entry.text().is_some_and(|text| text.text == words)).unwrap().seq
        };
        // It is stuck at the first: what is behind it, before it or not there yet is not skipped.
        for other in [seq("two"), seq("three"), Seq(seq("three").0 + 1), Seq(u64::MAX), Seq(1), Seq(0)] {
            assert_eq!(code(act(&node, &anna, skips(1, other)).await), "other_entry", "{other}");
        }
        act(&node, &anna, skips(1, seq("one"))).await.unwrap();
        desk.until_got("three").await;
        assert_eq!(desk.got(), ["open", "two", "three"]);
        let seen = node.seen(&anna).await;
        let apologies =
            seen.iter().filter(|line| *line == "system: Your last message could not be delivered.");
        assert_eq!(apologies.count(), 1);
        assert_eq!(code(act(&node, &anna, skips(1, seq("one"))).await), "nothing_held");
        let unknown = act(&node, &anna, skips(9, seq("one"))).await;
        assert_eq!(unknown, Err(NotDone::Trouble(Trouble::Unknown)));
        assert!(node.engine.held(&node.app, None, 10).await.unwrap().is_empty());
        node.engine.stop().await;
    });
}

#[test]
fn a_session_is_given_up_and_the_next_system_is_asked() {
    each("operate_drop", async |world| {
        let (desk, spare) = (Fake::by_key(), Fake::by_key());
        let node = world.agent("desk", desk.clone()).agent("spare", spare.clone()).start().await;
        let anna = talks(&node, "anna").await;
        assert_eq!(code(act(&node, &anna, drops(1)).await), "nothing_held");
        desk.script([later()]);
        node.say(&anna, "one").await;
        until_failing(&node, &anna, 1).await;
        act(&node, &anna, drops(1)).await.unwrap();
        spare.until_got("one").await;
        node.say(&anna, "two").await;
        spare.until_got("two").await;
        assert_eq!(spare.got(), ["open", "one", "two"]);
        assert_eq!(desk.tries().len(), 2, "it hears nothing more, not even a Close");
        assert!(seat(&node, &anna, 1).await.done);
        assert_eq!(code(act(&node, &anna, drops(1)).await), "nothing_held");
        node.engine.stop().await;
    });
}

#[test]
fn a_system_that_is_back_is_tried_at_once() {
    each("operate_retry_participant", async |world| {
        let desk = Fake::by_key();
        let node = world.agent("desk", desk.clone()).start().await;
        let anna = talks(&node, "anna").await;
        assert_eq!(code(try_again(&node, &anna, 1).await), "nothing_held");
        assert_eq!(try_again(&node, &anna, 7).await, Err(NotDone::Trouble(Trouble::Unknown)));
        desk.script([later(), later()]);
        node.say(&anna, "one").await;
        node.say(&anna, "two").await;
        let failing = until_failing(&node, &anna, 1).await;
        assert_eq!(failing.last_error.as_deref(), Some("503"));
        // Still not.
        try_again(&node, &anna, 1).await.unwrap();
        desk.until_tried("one", 2).await;
        until_failing(&node, &anna, 1).await;
        try_again(&node, &anna, 1).await.unwrap();
        desk.until_got("two").await;
        assert_eq!(desk.got(), ["open", "one", "two"]);
        let seat = until("nothing is left", async || {
            Some(seat(&node, &anna, 1).await).filter(|seat| seat.head == seat.cursor)
        })
        .await;
        assert_eq!((seat.failing_since, seat.attempts, seat.last_error), (None, 0, None));
        assert_eq!(code(try_again(&node, &anna, 1).await), "nothing_held");
        node.engine.stop().await;
    });
}

/// A try that fails a minute after the first one tells that it is stuck. Tried again by hand, the same may come again,
/// with as many failures before it: that is another stall, not the same one.
#[test]
fn a_second_stall_is_not_taken_for_the_first() {
    each("operate_second_stall", async |world| {
        let desk = Fake::by_key();
        let node = world.faster(60).agent("desk", desk.clone()).start().await;
        let anna = talks(&node, "anna").await;
        let gates = [Arc::new(Notify::new()), Arc::new(Notify::new())];
        let [first, second] = gates.clone();
        desk.script([retry(), Act::FailAfter(first), later(), retry(), Act::FailAfter(second), later()]);
        act(&node, &anna, END).await.unwrap();
        let stalled_again = async |tries: usize, gate: &Notify, stalls: usize| {
            let tries = desk.until_tried("close", tries).await;
            let since = tries[tries.len() - 2].at;
            until("a minute", async || (since.elapsed().as_millis() > 1_050).then_some(())).await;
            gate.notify_one();
            let is = |note: &Note| matches!(note, Note::Stalled { .. });
            until("it is stuck", async || (count(&node, &anna, is).await == stalls).then_some(())).await;
        };
        stalled_again(2, &gates[0], 1).await;
        desk.until_tried("close", 3).await;
        until_failing(&node, &anna, 1).await;
        try_again(&node, &anna, 1).await.unwrap();
        stalled_again(5, &gates[1], 2).await;
        desk.until_tried("close", 6).await;
        assert_eq!(desk.tries_at("close").len(), 6, "it is not tried without a pause");
        node.kill().await;
    });
}

#[test]
fn an_act_that_is_cut_off_by_a_kill_is_done_or_not() {
    each("operate_kill", async |world| {
        let desk = Fake::by_key();
        let world = world.agent("desk", desk.clone());
        let node = world.start().await;
        let anna = talks(&node, "anna").await;
        let (engine, app, conversation) = (node.engine.clone(), node.app.clone(), id(&node, &anna).await);
        let acting = node.handle().spawn(async move {
            engine.operate(&app, &conversation, "olga", END, None, Some("once".into())).await
        });
        node.kill().await;
        let _ = acting.await;
        let node = world.start().await;
        act_with(&node, &anna, END, None, Some("once")).await.unwrap();
        desk.until_got("close").await;
        let acts = |note: &Note| matches!(note, Note::Operator { act: OperatorAct::Ends(_), .. });
        assert_eq!(count(&node, &anna, acts).await, 1);
        assert_eq!(desk.got(), ["open", "close"]);
        node.engine.stop().await;
    });
}

// ── whose it is ──────────────────────────────────────────────────────────────────────────────────────────────────────

#[test]
fn what_is_another_apps_is_unknown() {
    each("operate_foreign", async |mut world| {
        let other = AppId::new(format!("st-{}", uuid::Uuid::now_v7()));
        let nobodys = AppId::new(format!("st-{}", uuid::Uuid::now_v7()));
        world.twins.push(other.clone());
        let desk = Fake::by_key();
        let node = world.agent("desk", desk.clone()).start().await;
        let anna = talks(&node, "anna").await;
        let conversation = id(&node, &anna).await;
        let unknown = || Err(NotDone::Trouble(Trouble::Unknown));
        for app in [other.clone(), nobodys] {
            let engine = &node.engine;
            assert!(matches!(engine.conversation(&app, &conversation).await, Err(Trouble::Unknown)));
            assert!(matches!(engine.timeline(&app, &conversation, Seq(0), 10).await, Err(Trouble::Unknown)));
            for act in [END, says("x"), OperatorAct::Retries, drops(1), skips(1, Seq(1))] {
                let (engine, app, id) = (engine.clone(), app.clone(), conversation.clone());
                let done =
                    node.on(async move { engine.operate(&app, &id, "olga", act, None, None).await }).await;
                assert_eq!(done, unknown());
            }
            let (one, two) = (engine.clone(), engine.clone());
            let (app_one, app_two, id, customer) =
                (app.clone(), app.clone(), conversation.clone(), anna.id.clone());
            assert_eq!(
                node.on(async move { one.retry_participant(&app_one, &id, ParticipantNo(1)).await }).await,
                unknown()
            );
            let erased = node.on(async move { two.erase_customer(&app_two, &customer).await }).await;
            assert_eq!(erased, Err(Trouble::Unknown));
            assert!(engine.revoke_transcript(&app, &conversation, ParticipantNo(1)).await.is_err());
            assert!(engine.transcript_accesses(&app, &conversation).await.unwrap().is_empty());
            assert!(engine.conversations(&app, &Filter::default(), None, 10).await.unwrap().is_empty());
            assert!(engine.live_transfers(&app, None, 10).await.unwrap().is_empty());
            assert!(engine.held(&app, None, 10).await.unwrap().is_empty());
            assert!(engine.customers(&app, None, None, None, 10).await.unwrap().is_empty());
            assert_eq!(engine.probe(&app, "nobody").await, None);
        }
        // Nor is there a conversation that nobody opened.
        let nothing = ConversationId::new(format!("cnv_{}", uuid::Uuid::now_v7().simple()));
        let (engine, app) = (node.engine.clone(), node.app.clone());
        let done =
            node.on(async move { engine.operate(&app, &nothing, "olga", END, None, None).await }).await;
        assert_eq!(done, unknown());
        assert_eq!(desk.got(), ["open"]);
        assert_eq!(node.state(&anna).await.owner, Owner::Agent);
        node.engine.stop().await;
    });
}
