//! What is told beside the log, both ways: typing and receipts. None of it is an entry.

use std::time::Duration;

use interline_connector::channel::{Hint, Host as _, Mark, What};
use interline_connector::manifest::{Dedupe, Takes};
use interline_connector::{Aside, Manifest};
use interline_core::Seq;
use interline_core::conversation::entry::Text;
use interline_core::conversation::state::Customer;
use serde_json::{Value, json};
use tokio::sync::broadcast::Receiver;

use crate::duplex::{Duplex, Vendor};
use crate::fake::{Fake, event, manifest, said};
use crate::world::{Node, each, until};

async fn type_as(node: &Node, customer: &Customer, on: bool) {
    let (engine, app, customer) = (node.engine.clone(), node.app.clone(), customer.clone());
    node.on(async move { engine.typing(&app, &customer, on) }).await;
}

async fn next_reached(hints: &mut Receiver<Hint>) -> (Mark, Vec<String>) {
    loop {
        let hint = tokio::time::timeout(Duration::from_secs(10), hints.recv()).await.unwrap().unwrap();
        if let Hint::Reached { mark, client_ids, .. } = hint
            && !client_ids.is_empty()
        {
            return (mark, client_ids);
        }
    }
}

async fn say_as(node: &Node, customer: &Customer, id: &str, words: &str) {
    let text = Text { client_id: Some(id.into()), ..Text::plain(words) };
    node.hear(customer, Some(id), What::Text(text)).await;
}

fn with_secret(body: Value) -> Value {
    let mut body = body;
    body["secret"] = json!("open sesame");
    body
}

#[test]
fn typing_goes_both_ways() {
    each("typing", async |world| {
        let desk = Fake::by_key();
        let node = world.agent("desk", desk.clone()).start().await;
        let anna = node.customer("anna").await;
        let mut hints = node.engine.watch(&node.app, &anna);
        node.say(&anna, "a human please").await;
        node.until_seen(&anna, "joined").await;
        let before = node.loaded(&anna).await.version;
        for on in [true, false] {
            type_as(&node, &anna, on).await;
            until("typed", async || (desk.asides().last() == Some(&Aside::Typing(on))).then_some(())).await;
        }
        let typing = json!({ "conversation": node.conversation(&anna).await, "participant": 1, "on": true });
        let foreign = json!({ "conversation": node.conversation(&anna).await, "participant": 7, "on": true });
        assert_eq!(node.webhook("fake", with_secret(json!({ "typing": foreign }))).await.status, 404);
        assert_eq!(node.webhook("fake", with_secret(json!({ "typing": typing }))).await.status, 200);
        let told = async {
            loop {
                if let Hint::AgentTyping(on) = hints.recv().await.unwrap() {
                    return on;
                }
            }
        };
        assert!(tokio::time::timeout(Duration::from_secs(10), told).await.unwrap());
        assert_eq!(node.loaded(&anna).await.version, before);
        node.engine.stop().await;
    });
}

#[test]
fn the_customer_learns_what_the_agent_has_and_has_read() {
    each("receipts_from_agents", async |world| {
        let desk = Fake::by_key();
        let node = world.agent("desk", desk.clone()).start().await;
        let anna = node.customer("anna").await;
        let mut hints = node.engine.watch(&node.app, &anna);
        node.say(&anna, "a human please").await;
        node.until_seen(&anna, "joined").await;
        say_as(&node, &anna, "c-1", "one").await;
        assert_eq!(next_reached(&mut hints).await, (Mark::Delivered, vec!["c-1".to_owned()]));
        say_as(&node, &anna, "c-2", "two").await;
        assert_eq!(next_reached(&mut hints).await, (Mark::Delivered, vec!["c-2".to_owned()]));
        let conversation = node.conversation(&anna).await;
        let log = node.log(&anna).await;
        let two = log.iter().find(|entry| entry.text().is_some_and(|text| text.text == "two")).unwrap().seq;
        let receipt = |more: Value| {
            let mut receipt = json!({ "conversation": conversation, "participant": 1, "read": true });
            receipt.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            with_secret(json!({ "receipt": receipt }))
        };
        // By the vendor's own name of the line; one nobody knows changes nothing.
        let unknown = receipt(json!({ "id": "r-999" }));
        assert_eq!(node.webhook("fake", unknown).await.status, 200);
        let named = receipt(json!({ "id": format!("r-{two}") }));
        assert_eq!(node.webhook("fake", named.clone()).await.status, 200);
        let both = vec!["c-1".to_owned(), "c-2".to_owned()];
        assert_eq!(next_reached(&mut hints).await, (Mark::Read, both));
        assert_eq!(node.row(&anna, 1).await.read, i64::try_from(two.0).unwrap());
        // The same again, and one beyond the log: the marks neither fall nor run ahead.
        assert_eq!(node.webhook("fake", named).await.status, 200);
        assert_eq!(node.webhook("fake", receipt(json!({ "seq": 1 }))).await.status, 200);
        assert_eq!(node.webhook("fake", receipt(json!({ "seq": 1_000_000 }))).await.status, 200);
        let row = node.row(&anna, 1).await;
        assert!(row.read <= row.cursor && row.read >= i64::try_from(two.0).unwrap(), "{row:?}");
        let foreign =
            with_secret(json!({ "receipt": { "conversation": "cnv_x", "participant": 1, "seq": 1 } }));
        assert_eq!(node.webhook("fake", foreign).await.status, 404);
        node.engine.stop().await;
    });
}

#[test]
fn the_agent_learns_what_the_customer_has_and_has_read() {
    each("receipts_to_agents", async |world| {
        let desk = Fake::by_key();
        let node = world.agent("desk", desk.clone()).start().await;
        let anna = node.customer("anna").await;
        node.say(&anna, "a human please").await;
        node.until_seen(&anna, "joined").await;
        let conversation = node.conversation(&anna).await;
        for (id, words) in [("v-1", "hello"), ("v-2", "still there?")] {
            assert_eq!(
                node.webhook("fake", event(&conversation, 1, Some(id), &said(words))).await.status,
                200
            );
        }
        let log = node.log(&anna).await;
        let seq = |words: &str| {
            log.iter().find(|entry| entry.text().is_some_and(|text| text.text == words)).unwrap().seq
        };
        let receipts = async |times: usize| {
            until("receipts", async || {
                let told: Vec<(Mark, Seq, Option<String>)> = desk
                    .asides()
                    .into_iter()
                    .filter_map(|aside| match aside {
                        Aside::Receipt { mark, seq, remote_id } => Some((mark, seq, remote_id)),
                        Aside::Typing(_) => None,
                    })
                    .collect();
                (told.len() >= times).then_some(told)
            })
            .await
        };
        let id = conversation.as_str().into();
        node.engine.mark(&node.app, &anna, &id, seq("hello"), Mark::Delivered);
        assert_eq!(receipts(1).await, [(Mark::Delivered, seq("hello"), Some("v-1".to_owned()))]);
        // Read covers delivered: the newest line is told once, by the stronger mark.
        node.engine.mark(&node.app, &anna, &id, seq("still there?"), Mark::Read);
        let told = receipts(2).await;
        assert_eq!(told[1..], [(Mark::Read, seq("still there?"), Some("v-2".to_owned()))]);
        // A mark that does not rise, and one that covers no line of the agent, tell nothing.
        node.engine.mark(&node.app, &anna, &id, seq("hello"), Mark::Read);
        say_as(&node, &anna, "c-1", "yes").await;
        desk.until_got("yes").await;
        let newest = node.log(&anna).await.last().unwrap().seq;
        node.engine.mark(&node.app, &anna, &id, newest, Mark::Read);
        until("the mark is written", async || {
            (node.row(&anna, 0).await.read == i64::try_from(newest.0).unwrap()).then_some(())
        })
        .await;
        assert_eq!(receipts(2).await.len(), 2);
        node.engine.stop().await;
    });
}

#[test]
fn a_system_that_takes_neither_is_told_neither() {
    each("no_asides", async |world| {
        let takes = Takes { typing: false, ..Takes::default() };
        let desk =
            Fake::with(Manifest { takes, ..manifest("fake") }, interline_core::app::AgentSystem::default());
        let node = world.agent("desk", desk.clone()).start().await;
        let anna = node.customer("anna").await;
        node.say(&anna, "a human please").await;
        node.until_seen(&anna, "joined").await;
        let conversation = node.conversation(&anna).await;
        node.webhook("fake", event(&conversation, 1, Some("v-1"), &said("hello"))).await;
        let newest = node.log(&anna).await.last().unwrap().seq;
        type_as(&node, &anna, true).await;
        node.engine.mark(&node.app, &anna, &conversation.as_str().into(), newest, Mark::Read);
        until("the mark is written", async || {
            (node.row(&anna, 0).await.read == i64::try_from(newest.0).unwrap()).then_some(())
        })
        .await;
        assert_eq!(desk.asides(), []);
        node.engine.stop().await;
    });
}

#[test]
fn a_duplex_session_gets_and_gives_them_too() {
    each("duplex_asides", async |world| {
        let vendor = Vendor::start().await;
        let node = world.agent("desk", Duplex::new(&vendor, true, Dedupe::ByKey)).start().await;
        let anna = node.customer("anna").await;
        let mut hints = node.engine.watch(&node.app, &anna);
        node.say(&anna, "a human please").await;
        node.until_seen(&anna, "joined").await;
        say_as(&node, &anna, "c-1", "hi").await;
        assert_eq!(next_reached(&mut hints).await, (Mark::Delivered, vec!["c-1".to_owned()]));
        vendor.tell("chat-1", json!({ "said": "hello" }));
        node.until_seen(&anna, "agent: hello").await;
        type_as(&node, &anna, true).await;
        let hello = node.log(&anna).await.last().unwrap().seq;
        node.engine.mark(
            &node.app,
            &anna,
            &node.conversation(&anna).await.as_str().into(),
            hello,
            Mark::Read,
        );
        until("both are told", async || (vendor.asides("chat-1").len() == 2).then_some(())).await;
        assert_eq!(vendor.asides("chat-1"), ["typing true".to_owned(), format!("Read {hello} 1")]);
        vendor.tell("chat-1", json!({ "read": "all" }));
        assert_eq!(next_reached(&mut hints).await, (Mark::Read, vec!["c-1".to_owned()]));
        node.engine.stop().await;
    });
}
