//! Hand-overs through the whole engine: the ladder, deadlines, interception, callbacks.

use std::sync::Arc;
use std::time::Duration;

use interline_connector::Manifest;
use interline_connector::channel::{HeardAs, What};
use interline_connector::manifest::Signals;
use interline_core::app::{AgentSystem, HoldPolicy};
use interline_core::conversation::classify::Call;
use interline_core::conversation::entry::{Note, Text};
use interline_core::conversation::input::{AgentEvent, Scope};
use interline_core::transfer::{Failure, Outcome, Reason};
use interline_core::{Body, Owner};
use serde_json::json;

use crate::fake::{Act, Fake, callback, cause, event, manifest, said};
use crate::world::{each, until};

fn joining() -> Arc<Fake> {
    let signals = Signals { accepts: true, joined: true, queued: true };
    let describe = AgentSystem { tells_joined: true, ..AgentSystem::default() };
    Fake::with(Manifest { signals, ..manifest("fake") }, describe)
}

fn intercepting(policy: HoldPolicy) -> Arc<Fake> {
    Fake::with(manifest("kit"), AgentSystem { intercepts: Some(policy), ..AgentSystem::default() })
}

#[test]
fn lines_that_waited_reach_the_second_system_in_order_and_once() {
    each("fallback", async |world| {
        let (desk, spare) = (joining(), joining());
        let world = world.agent("desk", desk.clone()).agent("spare", spare.clone());
        let node = world.start().await;
        let anna = node.customer("anna").await;
        node.hear(&anna, None, What::Connected).await;
        node.say(&anna, "before").await;
        node.say(&anna, "a human please").await;
        desk.until_got("open").await;
        let lines: Vec<String> = (0..10).map(|at| format!("waiting {at}")).collect();
        for line in &lines {
            node.say(&anna, line).await;
        }
        desk.until_got("waiting 9").await;
        // Nobody joins: the next system hears all of it.
        let conversation = node.conversation(&anna).await;
        let failed = AgentEvent::Failed(Failure::of(Reason::NoAgents));
        node.webhook("fake", event(&conversation, 1, Some("0"), &failed)).await;
        spare.until_got("waiting 9").await;
        assert_eq!(spare.got()[1..], lines[..]);
        let open = &spare.tries_at("open")[0];
        let context = [
            "opened",
            "bot: Hello",
            "customer: before",
            "bot: echo before",
            "customer: a human please",
            "bot: One moment",
        ];
        assert_eq!(open.before, context);
        assert_eq!(open.participant, 2);
        desk.until_got("close").await;
        let joined = AgentEvent::Joined { name: Some("Ann".into()) };
        assert_eq!(node.webhook("fake", event(&conversation, 2, Some("1"), &joined)).await.status, 200);
        node.until_seen(&anna, "joined").await;
        // The first one's agent comes too late.
        node.webhook("fake", event(&conversation, 1, Some("2"), &said("hello?"))).await;
        node.until_noted(&anna, "late", |note| matches!(note, Note::Late { .. })).await;
        assert!(!node.seen(&anna).await.contains(&"agent: hello?".to_owned()));
        node.engine.stop().await;
    });
}

#[test]
fn a_summary_travels_along_where_the_node_switches_it_on() {
    each("summary", async |world| {
        let desk = Fake::by_key();
        let node = world
            .agent("desk", desk.clone())
            .flow(json!({ "start": "hello", "words": [
                    { "any": ["short"], "go_to": "short" }, { "any": ["plain"], "go_to": "plain" }],
                "nodes": {
                    "hello": { "message": { "text": "Hello" } },
                    "short": { "agent_transfer": { "conversation_summary": true } },
                    "plain": { "agent_transfer": {} } } }))
            .start()
            .await;
        for (who, says, summary) in
            [("anna", "short please", "- short please"), ("berta", "plain please", "")]
        {
            let customer = node.customer(who).await;
            node.say(&customer, says).await;
            let tries = desk.until_tried("open", if who == "anna" { 1 } else { 2 }).await;
            let open = tries.last().unwrap();
            assert!(open.before.iter().any(|line| line.ends_with(says)), "{:?}", open.before);
            assert_eq!(open.context.summary, summary, "{who}");
        }
        node.engine.stop().await;
    });
}

#[test]
fn a_queue_takes_only_so_long() {
    each("queue", async |world| {
        let (desk, spare) = (joining(), Fake::by_key());
        let world = world.agent("desk", desk.clone()).agent("spare", spare.clone());
        let node = world.deadlines(|d| d.waiting_ms = 300).start().await;
        let anna = node.customer("anna").await;
        node.say(&anna, "a human please").await;
        spare.until_got("open").await;
        let notes = node.notes(&anna).await;
        assert!(notes.iter().any(|note| matches!(
            note, Note::RungFailed { failure, .. } if failure.reason == Reason::QueueTimeout)));
        node.engine.stop().await;
    });
}

#[test]
fn what_an_answer_tells_is_part_of_the_same_commit() {
    each("tells", async |world| {
        let desk = joining();
        desk.script([Act::Tell(vec![
            AgentEvent::Queued { position: Some(3) },
            AgentEvent::Joined { name: Some("Ann".into()) },
            said("Hi"),
        ])]);
        let node = world.agent("desk", desk.clone()).start().await;
        let anna = node.customer("anna").await;
        node.say(&anna, "a human please").await;
        node.until_seen(&anna, "agent: Hi").await;
        let seen = node.seen(&anna).await;
        assert_eq!(seen[seen.len() - 3..], ["queued 3", "joined", "agent: Hi"]);
        let row = node.row(&anna, 1).await;
        let remote = node
            .store
            .remote_to_seq(
                node.app.as_str(),
                &node.conversation(&anna).await,
                1,
                &format!("r-{}", row.cursor),
            )
            .await;
        assert_eq!(remote.unwrap(), Some((row.cursor, 0)));
        node.engine.stop().await;
    });
}

#[test]
fn the_opening_deadline_and_idle_are_kept() {
    each("deadlines", async |world| {
        let (desk, spare) = (joining(), Fake::by_key());
        desk.script([Act::TakeAndFail(interline_connector::Failure::Retry {
            after_ms: Some(60_000),
            cause: cause(),
        })]);
        let world = world.agent("desk", desk.clone()).agent("spare", spare.clone());
        let node = world.deadlines(|d| (d.opening_ms, d.idle_ms) = (1_500, 700)).start().await;
        let anna = node.customer("anna").await;
        node.say(&anna, "a human please").await;
        spare.until_got("open").await;
        assert!(node.notes(&anna).await.iter().any(|note| matches!(
            note, Note::RungFailed { failure, .. } if failure.reason == Reason::Unreachable)));
        // Nobody speaks.
        node.until_noted(&anna, "idle", |note| *note == Note::TransferEnded(Outcome::Idle)).await;
        spare.until_got("close").await;
        node.say(&anna, "still there").await;
        node.until_seen(&anna, "bot: echo still there").await;
        node.engine.stop().await;
    });
}

#[test]
fn a_hold_that_nobody_answers_is_decided_by_the_policy() {
    each("hold", async |world| {
        let kit = intercepting(HoldPolicy::Pass);
        let node = world.agent("kit", kit.clone()).deadlines(|d| d.hold_ms = 1_500).start().await;
        let anna = node.customer("anna").await;
        node.say(&anna, "hello").await;
        node.until_seen(&anna, "bot: echo hello").await;
        assert_eq!(kit.got(), ["hello", "echo hello"]);
        let passed = node.notes(&anna).await.iter().filter(|note| **note == Note::PassedOn).count();
        assert_eq!(passed, 2);
        node.engine.stop().await;
    });
}

#[test]
fn an_interceptor_releases_both_ways_while_our_call_is_still_open() {
    each("interception", async |world| {
        let kit = intercepting(HoldPolicy::Drop);
        let gates = [Arc::new(tokio::sync::Notify::new()), Arc::new(tokio::sync::Notify::new())];
        kit.script(gates.iter().map(|gate| Act::After(gate.clone())));
        let node = world.agent("kit", kit.clone()).start().await;
        let anna = node.customer("anna").await;
        node.say(&anna, "hello").await;
        // It calls back while it has not answered us.
        let tried = kit.until_tried("hello", 1).await;
        let call = Call::SendBotMessage(Text::plain("HELLO"));
        assert_eq!(node.webhook("kit", callback(&tried[0].request, &call)).await.status, 200);
        gates[0].notify_one();
        let tried = kit.until_tried("echo HELLO", 1).await;
        let call = Call::SendUserMessage(Text::plain("You said HELLO"));
        assert_eq!(node.webhook("kit", callback(&tried[0].request, &call)).await.status, 200);
        node.until_seen(&anna, "bot: You said HELLO").await;
        // The same id once more is one more line of the bot.
        node.webhook("kit", callback(&tried[0].request, &Call::SendUserMessage(Text::plain("And?")))).await;
        node.until_seen(&anna, "bot: And?").await;
        gates[1].notify_one();
        until("both calls are settled", async || {
            let row = node.row(&anna, 1).await;
            (row.cursor >= row.head && row.due_at.is_none()).then_some(())
        })
        .await;
        assert_eq!(kit.tries().len(), 2);
        node.engine.stop().await;
    });
}

#[test]
fn an_agent_may_begin_end_and_close() {
    each("callbacks", async |world| {
        let kit = Fake::with(manifest("kit"), AgentSystem::default());
        let node = world.agent("kit", kit.clone()).start().await;
        let anna = node.customer("anna").await;
        node.say(&anna, "a human please").await;
        node.until_seen(&anna, "joined").await;
        let id = kit.tries_at("open")[0].request.clone();
        for words in ["one", "two"] {
            let answer = node.webhook("kit", callback(&id, &Call::SendUserMessage(Text::plain(words)))).await;
            assert_eq!(answer.status, 200);
        }
        let seen = node.seen(&anna).await;
        assert_eq!(seen[seen.len() - 2..], ["agent: one", "agent: two"]);
        node.webhook("kit", callback(&id, &Call::ClearAgentSession)).await;
        node.until_seen(&anna, "left").await;
        assert_eq!(node.state(&anna).await.owner, Owner::Bot);
        // It begins by itself, with an id from before.
        node.webhook("kit", callback(&id, &Call::StartAgentSession)).await;
        assert_eq!(node.state(&anna).await.owner, Owner::Agent);
        node.say(&anna, "oh").await;
        kit.until_got("oh").await;
        node.webhook("kit", callback(&id, &Call::CloseConversation)).await;
        assert_eq!(node.loaded(&anna).await.owner, "closed");
        // Who opens the chat again after that gets a new conversation.
        assert_eq!(node.hear(&anna, None, What::Connected).await, HeardAs::New);
        assert_eq!(node.hear(&anna, None, What::Connected).await, HeardAs::Nothing);
        assert_eq!(node.seen(&anna).await, ["opened", "bot: Hello"]);
        node.engine.stop().await;
    });
}

#[test]
fn the_customer_ends_the_chat_or_everything() {
    each("ends", async |world| {
        let desk = Fake::by_key();
        let node = world.agent("desk", desk.clone()).start().await;
        let anna = node.customer("anna").await;
        node.say(&anna, "a human please").await;
        node.until_seen(&anna, "joined").await;
        node.hear(&anna, Some("end-1"), What::Ends(Scope::AgentChat)).await;
        desk.until_got("close").await;
        assert_eq!(node.state(&anna).await.owner, Owner::Bot);
        let package = node.log(&anna).await.into_iter().find_map(|entry| match entry.body {
            Body::ReturnPackage(package) => Some(package),
            _ => None,
        });
        assert_eq!(package.unwrap().outcome, Outcome::CustomerEnded);
        node.hear(&anna, None, What::Ends(Scope::Conversation)).await;
        let closed_at = node.loaded(&anna).await.closed_at;
        assert!(closed_at.is_some());
        // What comes after does not make it younger.
        tokio::time::sleep(Duration::from_millis(5)).await;
        let conversation = node.conversation(&anna).await;
        node.webhook("fake", event(&conversation, 1, None, &said("late"))).await;
        node.until_noted(&anna, "late", |note| matches!(note, Note::Late { .. })).await;
        assert_eq!(node.loaded(&anna).await.closed_at, closed_at);
        node.engine.stop().await;
    });
}

#[test]
fn failing_after_it_was_lost_climbs_on() {
    each("agent_failed", async |world| {
        let (desk, spare) = (Fake::by_key(), Fake::by_key());
        let node = world.agent("desk", desk.clone()).agent("spare", spare.clone()).start().await;
        let anna = node.customer("anna").await;
        node.say(&anna, "a human please").await;
        node.until_seen(&anna, "joined").await;
        let conversation = node.conversation(&anna).await;
        let failed = AgentEvent::Failed(Failure::of(Reason::AgentLost));
        // The same event twice is one.
        for _ in 0..2 {
            assert_eq!(node.webhook("fake", event(&conversation, 1, Some("x"), &failed)).await.status, 200);
        }
        spare.until_got("open").await;
        node.engine.stop().await;
    });
}
