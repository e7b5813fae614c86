//! What operators see: lists, details, timelines.

use interline_core::conversation::state::Customer;
use interline_core::{ConversationId, Entry, Seq};
use interline_engine::{Filter, Overview};

use crate::fake::Fake;
use crate::operate::{later, until_failing};
use crate::world::each;

fn ids(found: &[Overview]) -> Vec<String> {
    found.iter().map(|found| found.state.id.as_str().to_owned()).collect()
}

#[test]
fn lists_agree_with_what_is_going_on() {
    each("operate_lists", async |world| {
        let desk = Fake::by_key();
        let node = world.agent("desk", desk.clone()).start().await;
        let engine = node.engine.clone();
        let mut with_bot = Vec::new();
        let mut with_agent = Vec::new();
        let mut closed = Vec::new();
        for at in 0..9 {
            let customer = node.customer(&format!("customer {at}")).await;
            node.say(&customer, "hello").await;
            match at % 3 {
                0 => with_bot.push(customer),
                1 => {
                    node.say(&customer, "a human please").await;
                    node.until_seen(&customer, "joined").await;
                    with_agent.push(customer);
                }
                _ => {
                    node.say(&customer, "bye").await;
                    closed.push(customer);
                }
            }
        }
        let of = async |customers: &[Customer]| {
            let mut all = Vec::new();
            for customer in customers {
                all.push(node.conversation(customer).await);
            }
            all.sort();
            all
        };
        let list = async |filter: &Filter<'_>| {
            let mut all = Vec::new();
            let mut after: Option<(i64, String)> = None;
            loop {
                let place = after.as_ref().map(|(at, id)| (*at, id.as_str()));
                let page = engine.conversations(&node.app, filter, place, 2).await.unwrap();
                all.extend(ids(&page));
                let Some(last) = page.last() else { break };
                after = Some((last.opened_at, last.state.id.as_str().to_owned()));
            }
            let mut sorted = all.clone();
            sorted.sort();
            sorted.dedup();
            assert_eq!(sorted.len(), all.len(), "one stands on two pages");
            sorted
        };
        assert_eq!(list(&Filter::default()).await.len(), 9);
        let owned = |owner| Filter { owner: Some(owner), ..Filter::default() };
        assert_eq!(list(&owned("bot")).await, of(&with_bot).await);
        assert_eq!(list(&owned("agent")).await, of(&with_agent).await);
        assert_eq!(list(&owned("closed")).await, of(&closed).await);
        let open = |open| Filter { open: Some(open), ..Filter::default() };
        assert_eq!((list(&open(true)).await.len(), list(&open(false)).await), (6, of(&closed).await));
        let one = &with_agent[0];
        let theirs = Filter { customer: Some(one.id.as_str()), ..Filter::default() };
        assert_eq!(list(&theirs).await, [node.conversation(one).await]);
        let there = Filter { address: Some("customer 4"), channel: Some("web"), ..Filter::default() };
        assert_eq!(list(&there).await, of(&with_agent[1..2]).await);
        assert!(list(&Filter { channel: Some("phone"), ..Filter::default() }).await.is_empty());
        let mut live = ids(&engine.live_transfers(&node.app, None, 10).await.unwrap());
        live.sort();
        assert_eq!(live, of(&with_agent).await);
        // Two of them fail; the one that has been failing longer comes first.
        desk.script([later(), later()]);
        for customer in &with_agent[..2] {
            node.say(customer, "are you there").await;
            until_failing(&node, customer, 1).await;
        }
        let held = engine.held(&node.app, None, 10).await.unwrap();
        let named: Vec<&str> = held.iter().map(|(id, _)| id.as_str()).collect();
        assert_eq!(named, [node.conversation(one).await, node.conversation(&with_agent[1]).await]);
        let (since, first) = (held[0].1.failing_since.unwrap(), &held[0]);
        let behind = engine.held(&node.app, Some((since, first.0.as_str(), 1)), 10).await.unwrap();
        assert_eq!(behind.len(), 1);
        let counts = engine.counts(&node.app).await.unwrap();
        assert_eq!((counts.customers, counts.conversations, counts.open, counts.failing), (9, 9, 6, 2));
        // One in detail.
        let conversation = ConversationId::new(node.conversation(one).await);
        let detail = engine.conversation(&node.app, &conversation).await.unwrap();
        assert_eq!(detail.overview.state, node.state(one).await);
        assert_eq!(detail.seats.len(), 1);
        let log = node.log(one).await;
        let mut pages = Vec::new();
        while let Some(page) = Some(
            engine
                .timeline(&node.app, &conversation, pages.last().map_or(Seq(0), |entry: &Entry| entry.seq), 3)
                .await
                .unwrap(),
        )
        .filter(|page| !page.is_empty())
        {
            pages.extend(page);
        }
        assert_eq!(pages, log, "notes included");
        let found = engine.customers(&node.app, Some("web"), Some("customer 1"), None, 10).await.unwrap();
        assert_eq!(found.iter().map(|found| found.id.as_str()).collect::<Vec<_>>(), [one.id.as_str()]);
        assert_eq!(engine.customers(&node.app, None, None, None, 100).await.unwrap().len(), 9);
        let page = engine.customers(&node.app, None, None, None, 4).await.unwrap();
        let rest = engine.customers(&node.app, None, None, Some(&page[3].id), 100).await.unwrap();
        assert_eq!(rest.len(), 5);
        node.engine.stop().await;
    });
}
