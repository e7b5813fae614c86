//! What changes, for live views.

use interline_connector::Manifest;
use interline_connector::channel::HeardAs;
use interline_connector::manifest::Signals;
use interline_core::app::AgentSystem;
use interline_core::conversation::input::AgentEvent;
use interline_core::transfer::Stage;
use interline_core::{Owner, TransferNo};
use interline_engine::Change;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use crate::fake::{Fake, event, manifest, retry};
use crate::world::each;

async fn until(changes: &mut Receiver<Change>, what: &str, is: impl Fn(&Change) -> bool) -> Change {
    let wait = async {
        loop {
            match changes.recv().await {
                Ok(change) if is(&change) => return change,
                Ok(_) | Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => panic!("closed: {what}"),
            }
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(30), wait)
        .await
        .unwrap_or_else(|_| panic!("in vain: {what}"))
}

#[test]
fn each_stage_is_told() {
    each("watch_stages", async |world| {
        let signals = Signals { accepts: true, joined: true, queued: true };
        let desk = Fake::with(
            Manifest { signals, ..manifest("fake") },
            AgentSystem { tells_joined: true, ..AgentSystem::default() },
        );
        let node = world.agent("desk", desk.clone()).start().await;
        let mut changes = node.engine.changes();
        let anna = node.customer("anna").await;
        node.say(&anna, "hello").await;
        let first = until(&mut changes, "the first line", |_| true).await;
        assert_eq!((&first.app, &first.customer, first.channel.as_str()), (&node.app, &anna.id, "web"));
        assert_eq!((first.owner, first.transfer, first.failing), (Owner::Bot, None, false));
        assert_eq!(first.conversation.as_str(), node.conversation(&anna).await);
        assert_eq!(first.head.0, node.log(&anna).await.len() as u64);
        node.say(&anna, "a human please").await;
        let at = |stage| move |change: &Change| change.transfer == Some((TransferNo(1), stage));
        until(&mut changes, "opening", at(Stage::Opening)).await;
        until(&mut changes, "waiting", at(Stage::Waiting)).await;
        let conversation = node.conversation(&anna).await;
        let joined = AgentEvent::Joined { name: None };
        node.webhook("fake", event(&conversation, 1, None, &joined)).await;
        let talking = until(&mut changes, "talking", at(Stage::Talking)).await;
        assert_eq!(talking.owner, Owner::Agent);
        desk.script([retry()]);
        node.say(&anna, "one").await;
        until(&mut changes, "it fails", |change| change.failing).await;
        until(&mut changes, "it is over that", |change| !change.failing).await;
        node.webhook("fake", event(&conversation, 1, None, &AgentEvent::Ended { tag: None })).await;
        until(&mut changes, "back", |change| change.owner == Owner::Bot && change.transfer.is_none()).await;
        node.say(&anna, "bye").await;
        until(&mut changes, "closed", |change| change.owner == Owner::Closed).await;
        node.engine.stop().await;
    });
}

#[test]
fn who_is_slow_misses_some_and_holds_nobody_up() {
    each("watch_slow", async |world| {
        let node = world.start().await;
        let mut slow = node.engine.changes();
        let anna = node.customer("anna").await;
        for at in 0..1_100 {
            assert_eq!(node.say(&anna, &format!("line {at}")).await, HeardAs::New);
        }
        assert!(matches!(slow.recv().await, Err(RecvError::Lagged(missed)) if missed > 0));
        // It goes on with what is still there, and hears what comes.
        let head = node.log(&anna).await.last().unwrap().seq;
        until(&mut slow, "the newest", |change| change.head == head).await;
        node.say(&anna, "one more").await;
        until(&mut slow, "one more", |change| change.head > head).await;
        drop(slow);
        assert_eq!(node.say(&anna, "and another").await, HeardAs::New);
        node.engine.stop().await;
    });
}
