//! Agent systems are deleted, while nobody or somebody talks through them.

use interline_connector::simulator::{Fault, Rule};
use interline_core::conversation::entry::Note;
use interline_core::conversation::input::{OperatorAct, Scope};
use interline_core::transfer::Outcome;
use interline_core::{Body, ConversationId, Owner};
use interline_engine::NotDone;
use interline_engine::config::{LiveTransfers, Origin, Refused, Replacement};
use interline_store::{Inbox, Opening, ParticipantRow, StateWrite, Unit};
use serde_json::json;

use crate::shop::{
    Shop, asks_for_a_human, chats_of, delete, edit, edit_by_api, in_force, in_use, paths, retired, talking,
    they_understand_each_other, told, until_forgotten, until_told, with,
};
use crate::world::{Node, World, each_alone, until};

const NOTICE: &str = "The customer has ended the chat.";

fn notices(shop: &Shop, chat: &str) -> usize {
    told(&shop.desk, chat).iter().filter(|line| *line == NOTICE).count()
}

#[test]
fn the_default_is_replaced_or_given_up_by_choice() {
    each_alone("retire_default", async |world| {
        let (shop, node) = Shop::running(world).await;
        edit_by_api(&node, |value| value["channel_agents"] = json!({ "web": "desk" })).await.unwrap();
        let before = in_force(&node);
        assert_eq!(in_use(&delete(&node, "desk", None, None).await.unwrap_err()), "replacement_needed");
        assert_eq!(
            in_use(&delete(&node, "desk", None, Some(LiveTransfers::End)).await.unwrap_err()),
            "replacement_needed"
        );
        for nobody in ["desk", "nobody", "web"] {
            let refused = delete(&node, "desk", with(nobody), None).await.unwrap_err();
            assert!(matches!(refused, Refused::Unknown(_)), "{refused:?}");
        }
        assert!(matches!(delete(&node, "nobody", None, None).await, Err(Refused::Unknown(_))));
        assert_eq!(in_force(&node), before, "nothing was changed");
        let deleted = delete(&node, "desk", with("spare"), None).await.unwrap();
        assert_eq!(
            (deleted.named_in, deleted.live),
            (vec!["default_agent".into(), "channel_agents.web".into()], 0)
        );
        let after = in_force(&node);
        assert_eq!(
            (&after["default_agent"], &after["channel_agents"]["web"]),
            (&json!("spare"), &json!("spare"))
        );
        assert!(after["agents"]["desk"].is_null());
        talking(&node, &shop.spare, "anna").await;
        // Mapped to a channel alone is reason enough to ask.
        shop.apply(&node).await.unwrap();
        edit_by_api(&node, |value| value["channel_agents"] = json!({ "web": "spare" })).await.unwrap();
        let live = Some(LiveTransfers::Stay);
        assert_eq!(in_use(&delete(&node, "spare", None, live).await.unwrap_err()), "replacement_needed");
        delete(&node, "spare", Some(Replacement::Nothing), live).await.unwrap();
        assert!(in_force(&node)["channel_agents"].is_null(), "the default's again");
        // None at all, by choice: who asks for a human is told that there is none.
        delete(&node, "desk", Some(Replacement::Nothing), None).await.unwrap();
        assert!(in_force(&node)["default_agent"].is_null());
        let carl = node.customer("carl").await;
        node.say(&carl, "a human please").await;
        node.until_seen(&carl, "bot: All our agents are currently busy. Please try again later.").await;
        node.engine.stop().await;
    });
}

#[test]
fn a_channel_is_deleted_too() {
    each_alone("retire_channel", async |world| {
        let (_shop, node) = Shop::running(world).await;
        edit_by_api(&node, |value| {
            value["channels"]["shop"] = value["channels"]["web"].clone();
            value["channel_agents"] = json!({ "shop": "spare" });
        })
        .await
        .unwrap();
        let deleted = delete(&node, "shop", None, None).await.unwrap();
        assert_eq!(deleted.named_in, ["channel_agents.shop"]);
        assert!(in_force(&node)["channels"]["shop"].is_null() && in_force(&node)["channel_agents"].is_null());
        node.engine.stop().await;
    });
}

#[test]
fn live_transfers_stay_until_they_end_by_themselves() {
    each_alone("retire_stay", async |world| {
        let (shop, node) = Shop::running(world).await;
        // Carl was there before, and Dora shows that the desk may start by itself.
        let (carl, earlier) = talking(&node, &shop.desk, "carl").await;
        shop.desk.end(&earlier).await.unwrap();
        node.until_seen(&carl, "left").await;
        assert_eq!(shop.call(&node, "startAgentSession", &earlier).await.status, 200);
        until("it took over", async || (node.state(&carl).await.owner == Owner::Agent).then_some(())).await;
        assert_eq!(shop.call(&node, "clearAgentSession", &earlier).await.status, 200);
        until("and let go", async || (node.state(&carl).await.owner == Owner::Bot).then_some(())).await;
        let (anna, chat) = talking(&node, &shop.desk, "anna").await;
        assert_eq!(in_use(&delete(&node, "desk", with("spare"), None).await.unwrap_err()), "live_transfers");
        let deleted = delete(&node, "desk", with("spare"), Some(LiveTransfers::Stay)).await.unwrap();
        assert_eq!(deleted.live, 1);
        assert_eq!(retired(&node), ["desk"]);
        they_understand_each_other(&node, &shop.desk, &anna, &chat, "one").await;
        shop.kill(node).await;
        let node = shop.start().await;
        assert_eq!(retired(&node), ["desk"]);
        they_understand_each_other(&node, &shop.desk, &anna, &chat, "two").await;
        // Nothing new goes there, from neither side.
        let (_, instead) = talking(&node, &shop.spare, "bob").await;
        assert_eq!(shop.call(&node, "startAgentSession", &earlier).await.status, 200);
        node.until_noted(
            &carl,
            "it came too late",
            |note| matches!(note, Note::Late { what, .. } if what == "startAgentSession"),
        )
        .await;
        assert_eq!(node.state(&carl).await.owner, Owner::Bot);
        assert_eq!(shop.desk.desk().chats().len(), 2);
        assert_eq!(retired(&node), ["desk"], "while anna is there");
        shop.desk.end(&chat).await.unwrap();
        node.until_seen(&anna, "left").await;
        until_forgotten(&node).await;
        assert_eq!(node.engine.apps().sessions(&node.app, &"desk".into()).await, Ok(0));
        assert_eq!(shop.call(&node, "sendUserMessage", &chat).await.status, 404, "nobody of ours any more");
        // A restart finds it gone.
        let version = node.engine.apps().get(&node.app).unwrap().version;
        shop.kill(node).await;
        let node = shop.start().await;
        assert!(retired(&node).is_empty());
        assert_eq!(node.engine.apps().get(&node.app).unwrap().version, version);
        shop.spare.say(&instead, "Hi").await.unwrap();
        node.engine.stop().await;
    });
}

#[test]
fn live_transfers_are_ended_by_choice() {
    each_alone("retire_end", async |world| {
        let (shop, node) = Shop::running(world).await;
        let mut all = Vec::new();
        for name in ["anna", "bob", "carl"] {
            all.push(talking(&node, &shop.desk, name).await);
        }
        let deleted = delete(&node, "desk", with("spare"), Some(LiveTransfers::End)).await.unwrap();
        assert_eq!(deleted.live, 3);
        until_forgotten(&node).await;
        for (customer, chat) in &all {
            let ended = Note::TransferEnded(Outcome::OperatorEnded);
            let notes = node.notes(customer).await;
            assert_eq!(notes.iter().filter(|note| **note == ended).count(), 1);
            let by = notes.iter().find_map(|note| match note {
                Note::Operator { by, act: OperatorAct::Ends(Scope::AgentChat) } => Some(by.clone()),
                _ => None,
            });
            assert_eq!(by.as_deref(), Some("deletion of desk"));
            assert_eq!(notices(&shop, chat), 1, "the BotKit is told");
            node.say(customer, "hello").await;
            node.until_seen(customer, "bot: echo hello").await;
            assert!(node.seen(customer).await.contains(&"left".to_owned()));
        }
        asks_for_a_human(&node, &shop.spare, &all[0].0).await;
        node.engine.stop().await;
    });
}

#[test]
fn a_crash_leaves_nothing_half_deleted() {
    each_alone("retire_crash", async |world| {
        let (shop, node) = Shop::running(world).await;
        let mut all = Vec::new();
        for at in 0..8 {
            all.push(talking(&node, &shop.desk, &format!("customer {at}")).await);
        }
        delete(&node, "desk", with("spare"), Some(LiveTransfers::End)).await.unwrap();
        shop.kill(node).await;
        let node = shop.start().await;
        assert!(in_force(&node)["agents"]["desk"].is_null() && in_force(&node)["default_agent"] == "spare");
        // And once more among the endings.
        until("some have ended", async || {
            let left = node.engine.apps().sessions(&node.app, &"desk".into()).await.unwrap();
            (left < 8).then_some(())
        })
        .await;
        shop.kill(node).await;
        let node = shop.start().await;
        until_forgotten(&node).await;
        for (customer, chat) in &all {
            let ended =
                node.notes(customer).await.into_iter().filter(|note| matches!(note, Note::TransferEnded(_)));
            assert_eq!(ended.collect::<Vec<_>>(), [Note::TransferEnded(Outcome::OperatorEnded)], "once");
            // The call may have been cut off: it is not known to have arrived, and not repeated.
            assert!(notices(&shop, chat) <= 1);
            assert_eq!(node.state(customer).await.owner, Owner::Bot);
            node.say(customer, "hello").await;
            node.until_seen(customer, "bot: echo hello").await;
        }
        assert_eq!(node.engine.apps().sessions(&node.app, &"desk".into()).await, Ok(0));
        node.engine.stop().await;
    });
}

#[test]
fn configured_again_it_goes_on_with_the_new_settings() {
    each_alone("retire_again", async |world| {
        let (shop, node) = Shop::running(world).await;
        let (anna, chat) = talking(&node, &shop.desk, "anna").await;
        delete(&node, "desk", with("spare"), Some(LiveTransfers::Stay)).await.unwrap();
        let settings = shop.document["agents"]["desk"].clone();
        // Of another type it would not know what to do with the sessions.
        let other = edit_by_api(&node, |value| value["agents"]["desk"] = json!({ "type": "pigeons" })).await;
        assert_eq!(in_use(&other.unwrap_err()), "type_in_use");
        assert_eq!(retired(&node), ["desk"]);
        let mut again = settings.clone();
        again["end_notice"] = json!("They are gone.");
        edit(&node, Origin::Operator, None, false, move |value| {
            value["agents"]["desk"] = again;
            value["default_agent"] = json!("desk");
        })
        .await
        .unwrap();
        assert!(retired(&node).is_empty());
        they_understand_each_other(&node, &shop.desk, &anna, &chat, "still here").await;
        talking(&node, &shop.desk, "bob").await;
        // The type of one that is in use does not change either.
        let other = edit_by_api(&node, |value| value["agents"]["desk"] = json!({ "type": "pigeons" })).await;
        assert_eq!(in_use(&other.unwrap_err()), "type_in_use");
        node.hear(&anna, None, interline_connector::channel::What::Ends(Scope::AgentChat)).await;
        until_told(&shop.desk, &chat, "They are gone.").await;
        // When nobody is there any more, any type will do that there is.
        delete(&node, "desk", with("spare"), Some(LiveTransfers::End)).await.unwrap();
        until_forgotten(&node).await;
        let other = edit_by_api(&node, |value| value["agents"]["desk"] = json!({ "type": "pigeons" })).await;
        assert_eq!(paths(&other.unwrap_err()), ["agents.desk.type"], "there are no such");
        edit(&node, Origin::Operator, None, false, move |value| {
            value["agents"]["desk"] = settings;
            value["default_agent"] = json!("desk");
        })
        .await
        .unwrap();
        asks_for_a_human(&node, &shop.desk, &anna).await;
        node.engine.stop().await;
    });
}

#[test]
fn an_edit_that_leaves_it_out_deletes_it() {
    each_alone("retire_edit", async |world| {
        let (shop, node) = Shop::running(world).await;
        let (anna, chat) = talking(&node, &shop.desk, "anna").await;
        let without = |end: bool| {
            edit(&node, Origin::Api, None, end, |value| {
                value["agents"].as_object_mut().unwrap().remove("desk");
                value["default_agent"] = json!("spare");
            })
        };
        without(false).await.unwrap();
        assert_eq!(retired(&node), ["desk"]);
        they_understand_each_other(&node, &shop.desk, &anna, &chat, "one").await;
        // Back, and gone again, now with everybody.
        shop.apply(&node).await.unwrap();
        assert!(retired(&node).is_empty());
        they_understand_each_other(&node, &shop.desk, &anna, &chat, "two").await;
        without(true).await.unwrap();
        until_forgotten(&node).await;
        assert_eq!(node.state(&anna).await.owner, Owner::Bot);
        assert_eq!(notices(&shop, &chat), 1);
        // While it is named, it cannot be left out.
        shop.apply(&node).await.unwrap();
        let named = edit_by_api(&node, |value| {
            value["agents"].as_object_mut().unwrap().remove("desk");
        });
        assert_eq!(paths(&named.await.unwrap_err()), ["default_agent"]);
        node.engine.stop().await;
    });
}

/// The desk is asked, and while it thinks about it the spare one, the next in the ladder, is deleted. Then the desk does
/// not take the conversation: it refuses, or says nothing in time.
async fn the_next_is_deleted_meanwhile(world: World, faults: Vec<Fault>) {
    let (shop, node) = Shop::running(world).await;
    edit_by_api(&node, |value| {
        value["agents"]["desk"]["opening_ms"] = json!(3_000);
        value["flow"]["nodes"]["human"]["agent_transfer"]["fallback"] = json!([{ "integration": "spare" }]);
    })
    .await
    .unwrap();
    let rule = |fault| Rule { on: Some("on_agent_transfer".into()), times: Some(1), fault };
    shop.desk.desk().faults().set(faults.into_iter().map(rule).collect());
    let anna = node.customer("anna").await;
    node.say(&anna, "a human please").await;
    until("the desk is asked", async || node.state(&anna).await.transfer?.rung).await;
    let deleted = delete(&node, "spare", None, None).await.unwrap();
    assert_eq!(deleted.named_in, ["flow.nodes.human"]);
    node.until_noted(&anna, "the desk failed", |note| matches!(note, Note::RungFailed { .. })).await;
    let notes = node.notes(&anna).await;
    let opened = notes.iter().filter(|note| matches!(note, Note::RungOpens(_))).count();
    assert_eq!((node.state(&anna).await.owner, opened), (Owner::Bot, 1));
    assert!(shop.spare.desk().chats().is_empty());
    node.engine.stop().await;
}

#[test]
fn the_ladder_leaves_it_out_when_time_is_over() {
    each_alone("retire_ladder", async |world| {
        the_next_is_deleted_meanwhile(world, vec![Fault::Latency { ms: 6_000 }]).await;
    });
}

#[test]
fn the_ladder_leaves_it_out_when_the_one_before_refuses() {
    each_alone("retire_ladder_refused", async |world| {
        let refuses = Fault::ErrorBefore { status: 400, retry_after: None };
        the_next_is_deleted_meanwhile(world, vec![Fault::Latency { ms: 1_500 }, refuses]).await;
    });
}

#[test]
fn who_is_being_asked_is_not_asked_anew() {
    each_alone("retire_opening", async |world| {
        let (shop, node) = Shop::running(world).await;
        let slow = Rule { on: None, times: Some(1), fault: Fault::Latency { ms: 4_000 } };
        shop.desk.desk().faults().set(vec![slow]);
        let anna = node.customer("anna").await;
        node.say(&anna, "a human please").await;
        until("the desk is asked", async || node.state(&anna).await.transfer?.rung).await;
        delete(&node, "desk", with("spare"), Some(LiveTransfers::Stay)).await.unwrap();
        let (engine, app) = (node.engine.clone(), node.app.clone());
        let id = ConversationId::new(node.conversation(&anna).await);
        let retried = node
            .on(async move { engine.operate(&app, &id, "olga", OperatorAct::Retries, None, None).await })
            .await;
        assert!(matches!(retried, Err(NotDone::NotNow { code: "deleted", .. })), "{retried:?}");
        // It answers after all, and that is where the customer is.
        node.until_seen(&anna, "joined").await;
        let chat = until("a chat", async || chats_of(&shop.desk, &anna).pop()).await;
        they_understand_each_other(&node, &shop.desk, &anna, &chat, "one").await;
        assert!(shop.spare.desk().chats().is_empty());
        node.engine.stop().await;
    });
}

#[test]
fn what_stays_is_not_disturbed_by_other_changes() {
    each_alone("retire_credentials", async |world| {
        let (shop, node) = Shop::running(world).await;
        let (anna, chat) = talking(&node, &shop.desk, "anna").await;
        delete(&node, "desk", with("spare"), Some(LiveTransfers::Stay)).await.unwrap();
        // The desk's settings name no credential: there was only one.
        edit_by_api(&node, |value| {
            value["credentials"]["more"] =
                json!({ "client_id": "cs-more", "client_secret": "another secret", "scopes": ["botkit"] });
            value["agents"]["spare"]["credential"] = json!("main");
        })
        .await
        .unwrap();
        they_understand_each_other(&node, &shop.desk, &anna, &chat, "one").await;
        shop.kill(node).await;
        let node = shop.start().await;
        they_understand_each_other(&node, &shop.desk, &anna, &chat, "two").await;
        node.engine.stop().await;
    });
}

#[test]
fn a_conversation_that_cannot_be_read_keeps_no_other_from_ending() {
    each_alone("retire_unreadable", async |world| {
        let (shop, node) = Shop::running(world).await;
        // More of them than are ended at a time, and before all others.
        for at in 0..201 {
            unreadable(&node, &format!("cnv_{at:032}")).await;
        }
        let (anna, chat) = talking(&node, &shop.desk, "anna").await;
        delete(&node, "desk", with("spare"), Some(LiveTransfers::End)).await.unwrap();
        until("anna is with the bot", async || (node.state(&anna).await.owner == Owner::Bot).then_some(()))
            .await;
        until_told(&shop.desk, &chat, NOTICE).await;
        assert_eq!(retired(&node), ["desk"], "the others are still in its way");
        node.engine.stop().await;
    });
}

/// A conversation with an agent of the desk's, in words that no version of ours wrote.
async fn unreadable(node: &Node, conversation: &str) {
    let customer = node.customer(&format!("customer of {conversation}")).await;
    let row = ParticipantRow {
        no: 1,
        integration: "desk".into(),
        role: "agent".into(),
        doc: "{}".into(),
        cursor: 0,
        head: 0,
        due_at: None,
        attempts: 0,
        failing_since: None,
        attempt_key: None,
        last_error: None,
        delivered: 0,
        read: 0,
        session: None,
        done: false,
    };
    let unit = Unit {
        app: node.app.as_str().into(),
        conversation: conversation.into(),
        inbox: Some(Inbox {
            integration: "test".into(),
            scope: "test".into(),
            external_id: conversation.into(),
            at: 1,
            doc: "{}".into(),
        }),
        state: Some(StateWrite {
            expected_version: 0,
            doc: "{}".into(),
            owner: "agent",
            epoch: 2,
            head: 0,
            wake_at: None,
            closed_at: None,
            retain_until: None,
            opening: Some(Opening {
                customer: customer.id.as_str().into(),
                channel: "web".into(),
                opened_at: 1,
            }),
        }),
        entries: Vec::new(),
        participants: vec![row],
        files: Vec::new(),
        facts: None,
        tasks: Vec::new(),
        tags: Vec::new(),
        remote_ids: Vec::new(),
    };
    node.store.commit(unit).await.unwrap();
}

#[test]
fn it_stays_retired_until_it_took_its_close() {
    each_alone("retire_stuck", async |world| {
        let (shop, node) = Shop::running(world).await;
        let (anna, chat) = talking(&node, &shop.desk, "anna").await;
        // The desk cannot be told now.
        let away = Fault::ErrorBefore { status: 503, retry_after: Some(3_600) };
        shop.desk.desk().faults().set(vec![Rule {
            on: Some("on_user_message".into()),
            times: None,
            fault: away,
        }]);
        delete(&node, "desk", with("spare"), Some(LiveTransfers::End)).await.unwrap();
        until("anna is with the bot", async || (node.state(&anna).await.owner == Owner::Bot).then_some(()))
            .await;
        let held = until("the close is held", async || {
            node.engine.held(&node.app, None, 10).await.unwrap().into_iter().next()
        })
        .await;
        assert_eq!(held.1.participant.integration.as_str(), "desk");
        assert_eq!(retired(&node), ["desk"]);
        // It is back, or an operator gives the session up: both end it.
        let (engine, app, id, no) = (node.engine.clone(), node.app.clone(), held.0, held.1.participant.no);
        shop.desk.desk().faults().set(Vec::new());
        node.on(async move { engine.retry_participant(&app, &id, no).await.unwrap() }).await;
        until_told(&shop.desk, &chat, NOTICE).await;
        until_forgotten(&node).await;
        assert!(chats_of(&shop.spare, &anna).is_empty());
        let closes =
            node.log(&anna).await.into_iter().filter(|entry| matches!(entry.body, Body::Close { .. }));
        assert_eq!(closes.count(), 1);
        node.engine.stop().await;
    });
}
