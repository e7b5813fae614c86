//! The link to what was said before a transfer.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use interline_connector::Failure;
use interline_core::conversation::input::OperatorAct;
use interline_core::transfer::Reason;
use interline_core::{AppId, ConversationId, ParticipantNo};
use interline_engine::config::Transcript as Settings;
use interline_engine::{Access, Closed, Transcript};

use crate::fake::{Act, Fake, Try, cause, event, said};
use crate::world::{Node, World, each, each_alone, first_key, short, until};

/// What stands in the link that came with an Open.
pub fn token(open: &Try) -> String {
    let url = open.transcript.clone().unwrap();
    assert!(url.as_str().starts_with("https://interline.example/t/"), "{url}");
    url.path_segments().unwrap().next_back().unwrap().to_owned()
}

pub async fn open(node: &Node, token: &str) -> Result<Transcript, Closed> {
    let (engine, token) = (node.engine.clone(), token.to_owned());
    let by = Access { how: "page".into(), peer: "192.0.2.7".into(), agent: "Browser/1".into() };
    node.on(async move { engine.redeem_transcript(&token, by).await }).await
}

fn lines(transcript: &Transcript) -> Vec<String> {
    transcript.entries.iter().map(short).collect()
}

/// A customer who said something, asked for a human, and got one.
async fn handed_over(world: &World, desk: &Arc<Fake>) -> (Node, String) {
    let node = world.start().await;
    let anna = node.customer("anna").await;
    node.say(&anna, "hello").await;
    node.say(&anna, "a human please").await;
    node.until_seen(&anna, "joined").await;
    (node, token(&desk.tries_at("open")[0]))
}

const BEFORE: [&str; 5] =
    ["customer: hello", "bot: echo hello", "customer: a human please", "bot: One moment", "opened"];

#[test]
fn the_agent_reads_what_was_said_before_so_often_and_no_more() {
    each("transcript_counts", async |world| {
        let desk = Fake::by_key();
        let (node, token) = handed_over(&world.agent("desk", desk.clone()), &desk).await;
        for _ in 0..3 {
            assert_eq!(node.engine.peek_transcript(&token).await, Ok(10), "looking costs nothing");
        }
        let anna = node.customer("anna").await;
        let conversation = node.conversation(&anna).await;
        node.say(&anna, "a secret for the agent").await;
        node.webhook("fake", event(&conversation, 1, None, &said("Hi"))).await;
        for used in 1..=10 {
            let shown = open(&node, &token).await.unwrap();
            assert_eq!((shown.bot.as_str(), shown.left, shown.cut), ("Test", 10 - used, false));
            let lines = lines(&shown);
            assert!(lines.iter().all(|line| BEFORE.contains(&line.as_str())), "{lines:?}");
            assert!(lines.len() >= 4 && lines.last().unwrap() == "bot: One moment", "{lines:?}");
            let open = node
                .log(&anna)
                .await
                .into_iter()
                .find(|entry| matches!(entry.body, interline_core::Body::Open));
            assert_eq!(shown.until, open.unwrap().at);
        }
        for _ in 0..2 {
            assert_eq!(open(&node, &token).await.err(), Some(Closed::UsedUp));
            assert_eq!(node.engine.peek_transcript(&token).await, Err(Closed::UsedUp));
        }
        let shares =
            node.engine.transcript_accesses(&node.app, &ConversationId::new(conversation)).await.unwrap();
        assert_eq!((shares.len(), shares[0].participant, shares[0].used), (1, 1, 10));
        let numbers: Vec<i64> = shares[0].accesses.iter().map(|access| access.no).collect();
        assert_eq!(numbers, (1..=10).collect::<Vec<_>>());
        let first = &shares[0].accesses[0];
        assert_eq!(
            (first.how.as_str(), first.peer.as_str(), first.agent.as_str()),
            ("page", "192.0.2.7", "Browser/1")
        );
        node.engine.stop().await;
    });
}

#[test]
fn forty_at_once_get_ten() {
    each("transcript_at_once", async |world| {
        let desk = Fake::by_key();
        let (node, token) = handed_over(&world.agent("desk", desk.clone()), &desk).await;
        let all: Vec<_> = (0..40)
            .map(|_| {
                let (engine, token) = (node.engine.clone(), token.clone());
                let by = Access { how: "page".into(), peer: String::new(), agent: String::new() };
                node.handle().spawn(async move { engine.redeem_transcript(&token, by).await })
            })
            .collect();
        let mut left = Vec::new();
        for one in all {
            match one.await.unwrap() {
                Ok(shown) => left.push(shown.left),
                Err(closed) => assert_eq!(closed, Closed::UsedUp),
            }
        }
        left.sort_unstable();
        assert_eq!(left, (0..10).collect::<Vec<_>>(), "each is another one");
        node.engine.stop().await;
    });
}

#[test]
fn a_link_is_withdrawn() {
    each("transcript_revoked", async |world| {
        let desk = Fake::by_key();
        let (node, token) = handed_over(&world.agent("desk", desk.clone()), &desk).await;
        let anna = node.customer("anna").await;
        let conversation = ConversationId::new(node.conversation(&anna).await);
        let revoke = |no: u32| {
            let (engine, app, id) = (node.engine.clone(), node.app.clone(), conversation.clone());
            node.on(async move { engine.revoke_transcript(&app, &id, ParticipantNo(no)).await })
        };
        open(&node, &token).await.unwrap();
        assert_eq!(revoke(1).await, Ok(true));
        assert_eq!(revoke(1).await, Ok(false), "it was before");
        assert!(revoke(2).await.is_err() && revoke(0).await.is_err(), "there is no such link");
        assert_eq!(open(&node, &token).await.err(), Some(Closed::Revoked));
        assert_eq!(node.engine.peek_transcript(&token).await, Err(Closed::Revoked));
        let shares = node.engine.transcript_accesses(&node.app, &conversation).await.unwrap();
        assert!(shares[0].used == 1 && shares[0].revoked_at.is_some());
        node.engine.stop().await;
    });
}

#[test]
fn a_link_expires() {
    each("transcript_expired", async |mut world| {
        let desk = Fake::by_key();
        world.transcript = Settings { expires_hours: 1, ..Settings::default() };
        // An hour passes in a few seconds.
        let world = world.faster(1_200).agent("desk", desk.clone());
        let (node, token) = handed_over(&world, &desk).await;
        open(&node, &token).await.unwrap();
        until("an hour", async || {
            (node.engine.peek_transcript(&token).await == Err(Closed::Expired)).then_some(())
        })
        .await;
        assert_eq!(open(&node, &token).await.err(), Some(Closed::Expired));
        let anna = node.customer("anna").await;
        let conversation = ConversationId::new(node.conversation(&anna).await);
        let shares = node.engine.transcript_accesses(&node.app, &conversation).await.unwrap();
        assert_eq!(shares[0].used, 1, "only the first was counted");
        node.kill().await;
    });
}

#[test]
fn what_is_not_ours_opens_nothing() {
    each("transcript_forged", async |mut world| {
        let other = AppId::new(format!("st-{}", uuid::Uuid::now_v7()));
        world.twins.push(other.clone());
        let desk = Fake::by_key();
        let (node, token) = handed_over(&world.agent("desk", desk.clone()), &desk).await;
        let bytes = URL_SAFE_NO_PAD.decode(&token).unwrap();
        let with = |change: &dyn Fn(&mut Vec<u8>)| {
            let mut bytes = bytes.clone();
            change(&mut bytes);
            URL_SAFE_NO_PAD.encode(bytes)
        };
        let mut forged: Vec<String> = (0..bytes.len()).map(|at| with(&|bytes| bytes[at] ^= 1)).collect();
        forged.extend((0..bytes.len()).map(|length| with(&|bytes| bytes.truncate(length))));
        forged.push(with(&|bytes| bytes.push(0)));
        let twin = uuid::Uuid::try_parse(other.as_str().strip_prefix("st-").unwrap()).unwrap();
        forged.push(with(&|bytes| bytes[1..17].copy_from_slice(twin.as_bytes())));
        forged.push(with(&|bytes| bytes[33..37].copy_from_slice(&2_u32.to_be_bytes())));
        forged.push(format!("{token}="));
        forged.push(format!(" {token}"));
        forged.push(token[..token.len() - 1].to_owned());
        forged.extend(["", ".", "/", "💥", "null"].map(str::to_owned));
        // The last character holds two bits that mean nothing: they must be what they were.
        let last = token.as_bytes()[token.len() - 1];
        let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        let others = alphabet.iter().filter(|other| **other != last);
        forged.extend(others.map(|other| format!("{}{}", &token[..token.len() - 1], char::from(*other))));
        for forged in forged {
            assert_eq!(node.engine.peek_transcript(&forged).await, Err(Closed::Unknown), "{forged}");
            assert_eq!(open(&node, &forged).await.err(), Some(Closed::Unknown), "{forged}");
        }
        assert_eq!(node.engine.peek_transcript(&token).await, Ok(10));
        node.engine.stop().await;
    });
}

#[test]
fn the_next_system_has_a_link_of_its_own() {
    each("transcript_rungs", async |world| {
        let (desk, spare) = (Fake::by_key(), Fake::by_key());
        desk.script([Act::Fail(Failure::Refused(interline_connector::Cause::new(Reason::NoAgents, "no")))]);
        let world = world.agent("desk", desk.clone()).agent("spare", spare.clone());
        let node = world.start().await;
        let anna = node.customer("anna").await;
        node.say(&anna, "hello").await;
        node.say(&anna, "a human please").await;
        node.until_seen(&anna, "joined").await;
        let (first, second) = (token(&desk.tries_at("open")[0]), token(&spare.tries_at("open")[0]));
        assert_ne!(first, second);
        open(&node, &first).await.unwrap();
        assert_eq!(node.engine.peek_transcript(&first).await, Ok(9));
        assert_eq!(node.engine.peek_transcript(&second).await, Ok(10));
        assert_eq!(lines(&open(&node, &second).await.unwrap()), lines(&open(&node, &first).await.unwrap()));
        // A try that is repeated has the link it had.
        let (engine, app) = (node.engine.clone(), node.app.clone());
        let conversation = ConversationId::new(node.conversation(&anna).await);
        node.on(async move {
            engine
                .operate(
                    &app,
                    &conversation,
                    "olga",
                    OperatorAct::Ends(interline_core::conversation::input::Scope::AgentChat),
                    None,
                    None,
                )
                .await
                .unwrap();
        })
        .await;
        desk.script([Act::TakeAndFail(Failure::Uncertain(cause()))]);
        node.say(&anna, "a human please").await;
        let tries = desk.until_tried("open", 3).await;
        assert_eq!(token(&tries[1]), token(&tries[2]));
        // The second transfer's shows the first one's words too: the customer saw them.
        let shown = lines(&open(&node, &token(&tries[2])).await.unwrap());
        assert!(shown.contains(&"left".to_owned()) && shown.len() > 6, "{shown:?}");
        node.engine.stop().await;
    });
}

#[test]
fn links_outlive_the_key_that_made_them_as_long_as_it_is_in_the_ring() {
    each_alone("transcript_rekey", async |mut world| {
        let desk = Fake::by_key();
        world = world.agent("desk", desk.clone());
        let (node, old) = handed_over(&world, &desk).await;
        node.kill().await;
        let second_key = format!("k2:{}=", "B".repeat(42) + "A");
        world.keys = format!("{second_key},{}", first_key());
        let node = world.start().await;
        assert_eq!(open(&node, &old).await.unwrap().left, 9);
        let store = node.store.clone();
        let rekeyed = node.on(async move { store.rekey(10).await.unwrap() }).await;
        assert!(rekeyed.sessions >= 1);
        assert_eq!(open(&node, &old).await.unwrap().left, 8);
        let bob = node.customer("bob").await;
        node.say(&bob, "a human please").await;
        node.until_seen(&bob, "joined").await;
        let new = token(desk.tries_at("open").last().unwrap());
        node.kill().await;
        // The first key is thrown away: its links open nothing, those of the second do.
        world.keys = second_key;
        let node = world.start().await;
        assert_eq!(open(&node, &old).await.err(), Some(Closed::Unknown));
        assert_eq!(open(&node, &new).await.unwrap().left, 9);
        node.engine.stop().await;
    });
}

#[test]
fn an_app_may_give_none() {
    each("transcript_none", async |mut world| {
        for settings in
            [Settings { link: false, ..Settings::default() }, Settings { accesses: 0, ..Settings::default() }]
        {
            let desk = Fake::by_key();
            world.app.id = format!("st-{}", uuid::Uuid::now_v7()).as_str().into();
            world.transcript = settings;
            let node = world.clone().agent("desk", desk.clone()).start().await;
            let anna = node.customer("anna").await;
            node.say(&anna, "a human please").await;
            node.until_seen(&anna, "joined").await;
            assert_eq!(desk.tries_at("open")[0].transcript, None);
            node.engine.stop().await;
        }
    });
}

#[test]
fn a_link_goes_with_the_open_alone() {
    each("transcript_open_alone", async |world| {
        let desk = Fake::by_key();
        let (node, token) = handed_over(&world.agent("desk", desk.clone()), &desk).await;
        let anna = node.customer("anna").await;
        node.say(&anna, "one").await;
        desk.until_got("one").await;
        assert_eq!(desk.tries_at("one")[0].transcript, None);
        // And nothing that is written down holds it.
        let log = serde_json::to_string(&node.log(&anna).await).unwrap();
        let inbox = node.store.replay(node.app.as_str(), &node.conversation(&anna).await).await.unwrap();
        assert!(!log.contains(&token) && inbox.iter().all(|row| !row.doc.contains(&token)));
        node.engine.stop().await;
    });
}
