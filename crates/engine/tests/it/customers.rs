//! What channels are promised: once, one conversation at a time, places, marks and history; and nothing for strangers.

use std::time::Duration;

use interline_connector::channel::{HeardAs, Host, Mark, Page, Place, What};
use interline_core::conversation::classify::Call;
use interline_core::conversation::entry::Text;
use interline_core::{Seq, Speaker};
use serde_json::json;

use crate::fake::{Fake, callback, event, manifest, said};
use crate::world::{Node, World, each, short, until};

fn text(words: &str) -> What {
    What::Text(Text::plain(words))
}

#[test]
fn the_same_client_id_again_changes_nothing() {
    each("duplicates", async |world| {
        let desk = Fake::by_key();
        let world = world.agent("desk", desk.clone());
        let node = world.start().await;
        let anna = node.customer("anna").await;
        assert_eq!(node.hear(&anna, Some("1"), text("a human please")).await, HeardAs::New);
        node.until_seen(&anna, "joined").await;
        assert_eq!(node.hear(&anna, Some("2"), text("hi")).await, HeardAs::New);
        let (log, version) = (node.log(&anna).await, node.loaded(&anna).await.version);
        for _ in 0..3 {
            assert_eq!(node.hear(&anna, Some("2"), text("hi")).await, HeardAs::Again);
        }
        desk.until_got("hi").await;
        // Both at once, and after a restart too.
        let both =
            tokio::join!(node.hear(&anna, Some("3"), text("yo")), node.hear(&anna, Some("3"), text("yo")));
        assert!(matches!(both, (HeardAs::New, HeardAs::Again) | (HeardAs::Again, HeardAs::New)), "{both:?}");
        assert_eq!(node.log(&anna).await.len(), log.len() + 1);
        assert!(node.loaded(&anna).await.version > version);
        node.engine.stop().await;
        let node = world.start().await;
        assert_eq!(node.hear(&anna, Some("1"), text("a human please")).await, HeardAs::Again);
        // Another customer's ids are their own.
        let bert = node.customer("bert").await;
        assert_eq!(node.hear(&bert, Some("2"), text("hi")).await, HeardAs::New);
        // A late repeat does not open a conversation.
        node.say(&anna, "bye").await;
        node.hear(&anna, None, What::Ends(interline_core::conversation::input::Scope::Conversation)).await;
        assert_eq!(node.hear(&anna, Some("2"), text("hi")).await, HeardAs::Again);
        assert_eq!(node.conversations(&anna).await.len(), 1);
        assert_eq!(node.hear(&anna, Some("4"), text("hi")).await, HeardAs::New);
        assert_eq!(node.conversations(&anna).await.len(), 2);
        node.engine.stop().await;
    });
}

#[test]
fn two_tabs_open_one_conversation() {
    each("parallel", async |world| {
        let node = world.start().await;
        let anna = node.customer("anna").await;
        let opened = tokio::join!(
            node.hear(&anna, None, What::Connected),
            node.hear(&anna, None, What::Connected),
            node.hear(&anna, None, What::Connected)
        );
        let opened = [opened.0, opened.1, opened.2];
        assert_eq!(opened.iter().filter(|heard| **heard == HeardAs::New).count(), 1);
        assert_eq!(node.conversations(&anna).await.len(), 1);
        assert_eq!(node.seen(&anna).await, ["opened", "bot: Hello"]);
        // Two engines do not open two either.
        node.engine.stop().await;
        let other = format!("{}-b", world.app.id);
        let (one, two) = (world.start().await, world.clone().named(&other).start().await);
        for at in 0..10 {
            let bert = one.customer(&format!("bert {at}")).await;
            tokio::join!(one.hear(&bert, None, What::Connected), two.say(&bert, "hi"));
            assert_eq!(one.conversations(&bert).await.len(), 1);
        }
        one.engine.stop().await;
        two.engine.stop().await;
    });
}

#[test]
fn a_line_after_the_end_opens_the_next_and_a_reader_follows() {
    each("follows", async |world| {
        let node = world.start().await;
        let anna = node.customer("anna").await;
        let mut place = node.place(&anna, false).await;
        assert_eq!(place, Place::default());
        node.hear(&anna, None, What::Connected).await;
        node.say(&anna, "bye").await;
        node.say(&anna, "again").await;
        node.say(&anna, "bye").await;
        node.say(&anna, "third").await;
        assert_eq!(node.conversations(&anna).await.len(), 3);
        let mut seen = Vec::new();
        loop {
            let lines = node.read(&anna, &mut place, 2).await;
            assert!(lines.len() <= 2);
            if lines.is_empty() {
                break;
            }
            seen.extend(lines.iter().map(|line| short(&line.entry)));
        }
        let expected = [
            "opened",
            "bot: Hello",
            "customer: bye",
            "closed",
            "opened",
            "customer: again",
            "bot: echo again",
            "customer: bye",
            "closed",
            "opened",
            "customer: third",
            "bot: echo third",
        ];
        assert_eq!(seen, expected);
        // A reader at the head sees only what comes.
        let mut head = node.place(&anna, false).await;
        assert!(node.read(&anna, &mut head, 10).await.is_empty());
        node.say(&anna, "more").await;
        let more: Vec<String> =
            node.read(&anna, &mut head, 10).await.iter().map(|line| short(&line.entry)).collect();
        assert_eq!(more, ["customer: more", "bot: echo more"]);
        node.engine.stop().await;
    });
}

async fn mark(
    node: &Node,
    customer: &interline_core::conversation::state::Customer,
    conversation: &str,
    seq: u64,
    mark: Mark,
) {
    let (engine, app, customer) = (node.engine.clone(), node.app.clone(), customer.clone());
    let conversation = conversation.into();
    node.on(async move { engine.mark(&app, &customer, &conversation, Seq(seq), mark) }).await;
}

#[test]
fn marks_rise_only_and_a_reconnect_begins_there() {
    each("marks", async |world| {
        let world = world.faster(5);
        let node = world.start().await;
        let (anna, mallory) = (node.customer("anna").await, node.customer("mallory").await);
        for at in 0..80 {
            node.say(&anna, &at.to_string()).await;
        }
        let conversation = node.conversation(&anna).await;
        let head = node.state(&anna).await.head.0;
        // Nothing delivered yet: at most 100 back.
        assert_eq!(node.place(&anna, true).await.seq, Seq(head - 100));
        mark(&node, &anna, &conversation, 120, Mark::Read).await;
        assert_eq!(node.place(&anna, true).await.seq, Seq(120), "at once");
        mark(&node, &anna, &conversation, 110, Mark::Delivered).await;
        // Not hers, not there yet, not anywhere.
        mark(&node, &mallory, &conversation, head, Mark::Read).await;
        mark(&node, &mallory, "cnv_nowhere", 3, Mark::Read).await;
        until("the marks are durable", async || {
            let row = node.row(&anna, 0).await;
            (row.delivered == 120 && row.read == 120).then_some(())
        })
        .await;
        assert_eq!(node.place(&anna, true).await.seq, Seq(120));
        node.engine.stop().await;
        let node = world.start().await;
        assert_eq!(node.place(&anna, true).await.seq, Seq(120), "after a restart");
        mark(&node, &anna, &conversation, 1_000_000, Mark::Delivered).await;
        until("delivered up to the head, not beyond", async || {
            let row = node.row(&anna, 0).await;
            (row.delivered == i64::try_from(head).unwrap() && row.read == 120).then_some(())
        })
        .await;
        node.engine.stop().await;
    });
}

#[test]
fn history_is_paged_over_conversations() {
    each("history", async |world| {
        let node = world.agent("desk", Fake::by_key()).start().await;
        let anna = node.customer("anna").await;
        node.hear(&anna, None, What::Connected).await;
        for words in ["one", "bye", "two", "three"] {
            node.say(&anna, words).await;
        }
        let all = [
            "bot: Hello",
            "customer: one",
            "bot: echo one",
            "customer: bye",
            "customer: two",
            "bot: echo two",
            "customer: three",
            "bot: echo three",
        ];
        let page = async |page: Page| {
            let (engine, app, anna) = (node.engine.clone(), node.app.clone(), anna.clone());
            let page = node.on(async move { engine.history(&app, &anna, page).await.unwrap() }).await;
            let lines: Vec<String> = page.lines.iter().map(|line| short(&line.entry)).collect();
            (lines, page.more, page.lines.first().map(|line| (line.conversation.clone(), line.entry.seq)))
        };
        let (newest, more, first) = page(Page { limit: 3, ..Page::default() }).await;
        assert_eq!((strs(&newest).as_slice(), more), (&all[5..], true));
        let (before, more, first) = page(Page { before: first, limit: 3, ..Page::default() }).await;
        assert_eq!((strs(&before).as_slice(), more), (&all[2..5], true));
        let (before, more, _) = page(Page { before: first, limit: 3, ..Page::default() }).await;
        assert_eq!((strs(&before).as_slice(), more), (&all[..2], false));
        let (skipped, more, _) = page(Page { skip: 6, limit: 3, ..Page::default() }).await;
        assert_eq!((strs(&skipped).as_slice(), more), (&all[..2], false));
        // An agent system asks for the same; of an unknown customer there is none.
        let answer =
            node.webhook("fake", json!({ "secret": "open sesame", "history": anna.id.as_str() })).await;
        let body = answer.body.unwrap();
        assert_eq!((body["lines"].clone(), body["total"].clone()), (json!(all[5..]), json!(8)));
        let answer = node.webhook("fake", json!({ "secret": "open sesame", "history": "cus_nobody" })).await;
        assert_eq!(answer.body.unwrap()["total"], json!(0));
        node.engine.stop().await;
    });
}

/// The same database, another tenant.
fn another_tenant(world: &World) -> World {
    let mut other = world.clone();
    other.app.id = format!("st-{}", uuid::Uuid::now_v7()).as_str().into();
    other.named(&format!("node-{}", uuid::Uuid::now_v7()))
}

#[test]
fn strangers_learn_nothing_and_change_nothing() {
    each("strangers", async |world| {
        let (kit, theirs) = (
            Fake::with(manifest("kit"), Default::default()),
            Fake::with(manifest("kit"), Default::default()),
        );
        let other = another_tenant(&world).agent("kit", theirs.clone()).start().await;
        let node = world.agent("kit", kit.clone()).agent("desk", Fake::by_key()).start().await;
        let (anna, bert) = (node.customer("anna").await, other.customer("bert").await);
        for (node, customer) in [(&node, &anna), (&other, &bert)] {
            node.say(customer, "a human please").await;
            node.until_seen(customer, "joined").await;
        }
        let id = kit.tries_at("open")[0].request.clone();
        let foreign = theirs.tries_at("open")[0].request.clone();
        let version = (node.loaded(&anna).await.version, other.loaded(&bert).await.version);
        let call = Call::SendUserMessage(Text::plain("gotcha"));
        let status = async |connector: &str, body| node.webhook(connector, body).await.status;
        assert_eq!(status("kit", callback(&foreign, &call)).await, 404, "another tenant's id");
        let mut beyond = id.clone();
        beyond.seq = Seq(10_000);
        assert_eq!(status("kit", callback(&beyond, &call)).await, 404, "an entry that was never there");
        let mut nobody = id.clone();
        nobody.participant = interline_core::ParticipantNo(9);
        assert_eq!(status("kit", callback(&nobody, &call)).await, 404, "no such participant");
        assert_eq!(status("fake", callback(&id, &call)).await, 404, "another integration's participant");
        assert_eq!(status("none", callback(&id, &call)).await, 404, "no such integration");
        for (named, expected) in [(&foreign, 404), (&beyond, 404), (&nobody, 404), (&id, 200)] {
            let body = json!({ "secret": "open sesame", "named": named.to_string() });
            assert_eq!(status("kit", body).await, expected, "{named}");
        }
        let mut unreadable = callback(&id, &call);
        unreadable["callback"]["id"] = json!("1234");
        assert_eq!(status("kit", unreadable).await, 404);
        let mut forged = callback(&id, &call);
        forged["secret"] = json!("guess");
        assert_eq!(status("kit", forged).await, 401);
        let conversation = foreign.conversation.as_str();
        assert_eq!(status("kit", event(conversation, 1, None, &said("gotcha"))).await, 404);
        assert_eq!(status("kit", event("cnv_nowhere", 1, None, &said("gotcha"))).await, 404);
        let nowhere = node.webhook_of(&"st-none".into(), "kit", callback(&id, &call)).await;
        assert_eq!(nowhere.status, 404);
        assert_eq!((node.loaded(&anna).await.version, other.loaded(&bert).await.version), version);
        let answer =
            node.webhook("kit", json!({ "secret": "open sesame", "history": bert.id.as_str() })).await;
        assert_eq!(answer.body.unwrap()["total"], json!(0), "another tenant's customer");
        assert_eq!(status("kit", callback(&id, &call)).await, 200);
        node.engine.stop().await;
        other.engine.stop().await;
    });
}

#[test]
fn sealed_texts_open_for_their_purpose_and_first_uses_are_first() {
    each("seal", async |world| {
        let world = world;
        let node = world.start().await;
        let token = node.engine.seal("login", "anna");
        assert_eq!(node.engine.unseal("login", &token).as_deref(), Some("anna"));
        assert_eq!(node.engine.unseal("logout", &token), None);
        let first = async |node: &Node| {
            let (engine, app) = (node.engine.clone(), node.app.clone());
            node.on(async move { engine.first_use(&app, "jti", "x", 60_000).await.unwrap() }).await
        };
        assert_eq!(first(&node).await, None);
        assert!(first(&node).await.is_some());
        node.engine.stop().await;
        let node = world.start().await;
        assert!(first(&node).await.is_some());
        node.engine.stop().await;
    });
}

#[test]
fn a_caller_who_hangs_up_leaves_nothing_half_done() {
    each("hangs_up", async |world| {
        let desk = Fake::by_key();
        let node = world.agent("desk", desk.clone()).start().await;
        let anna = node.customer("anna").await;
        node.say(&anna, "a human please").await;
        node.until_seen(&anna, "joined").await;
        for at in 0..40_u64 {
            let (engine, app, anna) = (node.engine.clone(), node.app.clone(), anna.clone());
            let hearing = node.on(async move {
                let said = interline_connector::channel::Said {
                    external_id: None,
                    what: text(&format!("line {at}")),
                };
                let hearing = tokio::spawn(async move { engine.hear(&app, &anna, said).await });
                tokio::time::sleep(Duration::from_micros(at * 50)).await;
                hearing.abort();
            });
            hearing.await;
        }
        node.say(&anna, "last").await;
        desk.until_got("last").await;
        let log = node.log(&anna).await;
        let said: Vec<String> = log
            .iter()
            .filter(|entry| entry.by == Speaker::Customer)
            .filter_map(|entry| entry.text().map(|text| text.text.clone()))
            .skip(1)
            .collect();
        until("all of it arrives", async || (desk.got()[1..] == said[..]).then_some(())).await;
        let mut place =
            Place { conversation: Some(node.conversation(&anna).await.as_str().into()), seq: Seq(0) };
        let read = node.read(&anna, &mut place, 1_000).await;
        assert_eq!(read.len(), log.iter().filter(|entry| entry.customer_sees()).count());
        node.engine.stop().await;
    });
}

fn strs(lines: &[String]) -> Vec<&str> {
    lines.iter().map(String::as_str).collect()
}
