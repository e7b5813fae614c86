//! A customer is erased.

use std::sync::Arc;

use interline_connector::channel::{HeardAs, Hint, Host as _, Said, What};
use interline_core::conversation::entry::Text;
use interline_core::{ConversationId, CustomerId, Seq};
use interline_engine::{Closed, Filter, NotDone, Trouble};
use tokio::sync::Notify;
use tokio::sync::broadcast::error::RecvError;

use crate::fake::{Act, Fake, event, said};
use crate::operate::{END, says, talks};
use crate::transcript::{open, token};
use crate::world::{each, until};

#[test]
fn who_is_erased_is_nowhere() {
    each("operate_erase", async |world| {
        let desk = Fake::by_key();
        let node = world.faster(10).agent("desk", desk.clone()).start().await;
        let engine = node.engine.clone();
        let anna = node.customer("anna").await;
        node.say(&anna, "hello").await;
        node.say(&anna, "bye").await;
        let line = |id: &str, words: &str| (id.to_owned(), What::Text(Text::plain(words)));
        let (key, words) = line("m1", "a human please");
        node.hear(&anna, Some(&key), words).await;
        node.until_seen(&anna, "joined").await;
        let (bob, conversation) = (talks(&node, "bob").await, node.conversation(&anna).await);
        assert_eq!(node.conversations(&anna).await.len(), 2);
        let token = token(&desk.tries_at("open")[0]);
        open(&node, &token).await.unwrap();
        let mut watcher = engine.watch(&node.app, &anna);
        let gate = Arc::new(Notify::new());
        desk.script([Act::After(gate.clone())]);
        node.say(&anna, "one").await;
        desk.until_tried("one", 1).await;
        let (theirs, app, who) = (engine.clone(), node.app.clone(), anna.id.clone());
        let erased = node.on(async move { theirs.erase_customer(&app, &who).await.unwrap() }).await;
        assert_eq!(
            (erased.customers, erased.conversations, erased.shares, erased.share_accesses),
            (1, 2, 1, 1)
        );
        assert!(erased.entries > 8 && erased.participants > 2 && erased.inputs > 3 && erased.remote_ids > 0);
        let told = async {
            loop {
                match watcher.recv().await {
                    Ok(Hint::Erased) => return,
                    Ok(_) | Err(RecvError::Lagged(_)) => {}
                    Err(RecvError::Closed) => panic!("nobody said why"),
                }
            }
        };
        tokio::time::timeout(std::time::Duration::from_secs(10), told).await.unwrap();
        // What was under way has nowhere to go, and what comes late neither.
        gate.notify_one();
        assert_eq!(node.webhook("fake", event(&conversation, 1, None, &said("Hi"))).await.status, 404);
        let id = ConversationId::new(conversation);
        assert!(matches!(engine.conversation(&node.app, &id).await, Err(Trouble::Unknown)));
        assert!(matches!(engine.timeline(&node.app, &id, Seq(0), 10).await, Err(Trouble::Unknown)));
        assert_eq!(open(&node, &token).await.err(), Some(Closed::Unknown));
        assert_eq!(engine.peek_transcript(&token).await, Err(Closed::Unknown));
        for act in [END, says("hello?")] {
            let (engine, app, id) = (engine.clone(), node.app.clone(), id.clone());
            let done = node.on(async move { engine.operate(&app, &id, "olga", act, None, None).await }).await;
            assert_eq!(done, Err(NotDone::Trouble(Trouble::Unknown)));
        }
        let (theirs, app, who) = (engine.clone(), node.app.clone(), anna.id.clone());
        let again = node.on(async move { theirs.erase_customer(&app, &who).await }).await;
        assert_eq!(again, Err(Trouble::Unknown));
        let all = engine.conversations(&node.app, &Filter::default(), None, 10).await.unwrap();
        let ids: Vec<&str> = all.iter().map(|found| found.state.id.as_str()).collect();
        assert_eq!(ids, [node.conversation(&bob).await]);
        assert!(engine.customers(&node.app, None, Some("anna"), None, 10).await.unwrap().is_empty());
        // Whoever is still logged in as them is not heard.
        let (theirs, app, ghost) = (engine.clone(), node.app.clone(), anna.clone());
        let said = Said { external_id: None, what: What::Text(Text::plain("boo")) };
        assert!(node.on(async move { theirs.hear(&app, &ghost, said).await }).await.is_err());
        // The same address is somebody new, to whom nothing old is known.
        let new = node.customer("anna").await;
        assert_ne!(new.id, CustomerId::new(anna.id.as_str().to_owned()));
        assert!(node.conversations(&new).await.is_empty());
        let (key, words) = line("m1", "hello");
        assert_eq!(node.hear(&new, Some(&key), words).await, HeardAs::New);
        node.until_seen(&new, "bot: echo hello").await;
        // Bob noticed nothing.
        node.say(&bob, "still here").await;
        desk.until_got("still here").await;
        assert_eq!(desk.tries_at("one").len(), 1);
        until("memory is empty: nothing goes on trying", async || {
            (node.engine.in_memory() == 0).then_some(())
        })
        .await;
        node.engine.stop().await;
    });
}
