//! The guest's socket, as it should go.

use std::sync::Arc;

use async_trait::async_trait;
use interline_connector::files::{FileStream, Interrupted, Source, Stored};
use interline_connector::simulator::{Act, Acts, ChatState, Desk, Fault, OUTSIDE_HOURS};
use interline_connector::{Aside, Failure};
use interline_core::conversation::input::AgentEvent;
use interline_core::transfer::{Outcome, Reason};
use interline_core::{AppId, File};
use serde_json::json;

use super::support::*;
use crate::genesys::GenesysGuest;
use crate::genesys::simulator::guest::{Guest, Settings};

pub(super) async fn world(settings: Settings) -> (World, Guest) {
    let sim = Guest::new(settings);
    let world = World::of(&GenesysGuest, &sim, json!({})).await;
    (world, sim)
}

pub(super) async fn usual() -> (World, Guest) {
    world(Settings { greeting: false, ..Settings::default() }).await
}

/// An agent took it and said so.
pub(super) async fn talking(world: &World, sim: &Guest) -> (Running, String) {
    let (chat, id) = world.opened().await;
    sim.act(&id, Act::Accept { agent: Some("Kim".into()) }).await.expect("taken");
    sim.act(&id, Act::say("I am Kim")).await.expect("said");
    chat.notes.joined("Kim").await;
    (chat, id)
}

pub(super) struct Bytes(pub &'static [u8]);

#[async_trait]
impl Stored for Bytes {
    async fn read(&self, _: &AppId, _: &File) -> Result<FileStream, Interrupted> {
        let bytes = axum::body::Bytes::from_static(self.0);
        Ok(Box::pin(futures_util::stream::iter([Ok(bytes)])))
    }
}

#[tokio::test]
async fn the_agent_sees_who_it_is_and_why() {
    let (world, _sim) = usual().await;
    let (_chat, id) = world.opened().await;
    let chat = world.desk.chat(&id).expect("a chat");
    for (name, value) in [
        ("QueueName", "Billing"),
        ("language", "de"),
        ("skills", "refunds,german"),
        ("order", "A-17 „ß“"),
        ("conversationSummary", "- I want my money back"),
    ] {
        assert_eq!(chat.told(name), Some(value), "{name}");
    }
    assert_eq!(chat.transcript.as_deref(), Some("https://chat.example.com/t/secret"));
    assert!(chat.lines[0].text.contains("Ann Müller"), "{}", chat.lines[0].text);
}

#[tokio::test]
async fn lines_go_both_ways_in_order() {
    let (world, sim) = usual().await;
    let (chat, id) = world.opened().await;
    chat.tell(line_item(2, "is anybody there?"));
    chat.notes.settled(2).await.expect("delivered");
    sim.act(&id, Act::Accept { agent: Some("Kim".into()) }).await.expect("taken");
    for n in 0..20 {
        chat.tell(line_item(3 + n, &format!("customer {n} 你好 🎉")));
        sim.act(&id, Act::say(format!("agent {n}"))).await.expect("said");
    }
    assert_eq!(chat.notes.said("agent 19").await.as_deref(), Some("Kim"));
    let words = world.customer_words(&id, 21).await;
    assert_eq!((words[0].as_str(), words[20].as_str()), ("is anybody there?", "customer 19 你好 🎉"));
    let heard: Vec<String> = chat
        .notes
        .lock()
        .heard
        .iter()
        .map(|event| match event {
            AgentEvent::Said { text, .. } => text.text.clone(),
            AgentEvent::Joined { name } => format!("joined {}", name.clone().unwrap_or_default()),
            other => panic!("{other:?}"),
        })
        .collect();
    let expected: Vec<String> =
        std::iter::once("joined Kim".to_owned()).chain((0..20).map(|n| format!("agent {n}"))).collect();
    assert_eq!(heard, expected);
    let long = "Größe und Länge ".repeat(400);
    chat.tell(line_item(40, &long));
    chat.notes.settled(40).await.expect("delivered");
    let words = world.customer_words(&id, 25).await;
    assert_eq!(words[21..].join(" "), long.trim());
}

#[tokio::test]
async fn typing_goes_both_ways_and_runs_out() {
    let (world, sim) = usual().await;
    let (chat, id) = talking(&world, &sim).await;
    chat.aside(Aside::Typing(true));
    chat.aside(Aside::Typing(true));
    world.at_desk("typing", |desk| desk.chat(&id).filter(|chat| chat.typing).map(drop)).await;
    sim.act(&id, Act::Type { on: true }).await.expect("told");
    chat.notes
        .until("the agent types and stops", |known| (known.typing == [true, false]).then_some(()))
        .await;
    let typed = sim
        .frames()
        .iter()
        .filter(|(_, frame)| frame["message"]["events"][0]["eventType"] == "Typing")
        .count();
    assert_eq!(typed, 1);
}

#[tokio::test]
async fn typing_that_nobody_wants_to_see_does_no_harm() {
    let (world, sim) = world(Settings { typing: false, greeting: false, ..Settings::default() }).await;
    let (chat, id) = talking(&world, &sim).await;
    chat.aside(Aside::Typing(true));
    chat.tell(line_item(2, "hello"));
    chat.notes.settled(2).await.expect("delivered");
    assert_eq!(world.customer_words(&id, 1).await, ["hello"]);
}

#[tokio::test]
async fn files_go_both_ways_and_those_that_do_not_fit_go_as_a_link() {
    let (world, sim) = usual().await;
    let (chat, id) = talking(&world, &sim).await;
    let source = || Source(Arc::new(Bytes(b"the content")));
    chat.tell(file_item(2, "my bill", "bill.pdf", "https://chat.example.com/f/v/x", true, source()));
    chat.notes.settled(2).await.expect("delivered");
    let shown = world
        .desk
        .chat(&id)
        .expect("a chat")
        .lines
        .iter()
        .flat_map(|line| line.files.clone())
        .next()
        .expect("a file");
    assert_eq!((shown.name.as_str(), shown.bytes), ("bill.pdf", Some(11)));
    // Blocked by the session; refused at the upload; not a format that Genesys takes.
    chat.tell(file_item(3, "", "setup.exe", "https://chat.example.com/f/v/x", true, source()));
    world.desk.faults().add("x", 1, Fault::Special { name: "upload_fails".into() });
    chat.tell(file_item(4, "", "bad.pdf", "https://chat.example.com/f/v/x", true, source()));
    chat.tell(file_item(5, "", "song.mp3", "https://chat.example.com/f/v/x", false, source()));
    chat.notes.settled(5).await.expect("delivered");
    let words = world.customer_words(&id, 5).await;
    for (word, name) in words[2..].iter().zip(["setup.exe", "bad.pdf", "song.mp3"]) {
        assert!(word.contains(name) && word.contains("https://chat.example.com/f/secret"), "{words:?}");
    }
    // The agent's: one that is kept, one that is not, of which they are told.
    let shelf = |name: &str| {
        world.desk.on_shelf(&world.desk.shelve(name, "pixels".into()).expect("room")).expect("there")
    };
    let files = vec![shelf("photo.png"), shelf("virus.exe")];
    sim.act(&id, Act::Say { text: "look".into(), files }).await.expect("said");
    chat.notes.said("look").await;
    assert_eq!(chat.notes.lock().kept.len(), 1);
    let words = world.customer_words(&id, 6).await;
    assert!(words[5].contains("virus.exe"), "{words:?}");
}

#[tokio::test]
async fn the_agent_ends_it() {
    for kind in ["Send", "ReadOnly"] {
        let (world, sim) =
            world(Settings { disconnect: Some(kind), greeting: false, ..Settings::default() }).await;
        let (chat, id) = talking(&world, &sim).await;
        sim.act(&id, Act::say("bye")).await.expect("said");
        sim.act(&id, Act::End).await.expect("ended");
        assert_eq!(chat.notes.ended().await, AgentEvent::Ended { tag: None });
        chat.tell(line_item(2, "too late"));
        assert!(matches!(chat.notes.settled(2).await, Err(Failure::Refused(_))));
        chat.tell(close_item(3, Outcome::AgentEnded));
        chat.notes.settled(3).await.expect("nothing is left to do");
        assert_eq!(world.desk.chat(&id).expect("a chat").customer_words().len(), 0);
    }
}

#[tokio::test]
async fn the_customer_ends_it_also_where_clearing_is_not_allowed() {
    for clear in [true, false] {
        let (world, sim) = world(Settings { clear, greeting: false, ..Settings::default() }).await;
        let (chat, id) = talking(&world, &sim).await;
        chat.tell(close_item(2, Outcome::CustomerEnded));
        chat.notes.settled(2).await.expect("closed");
        let seen = world.desk.chat(&id).expect("a chat");
        assert_eq!(seen.customer_words(), ["The customer has ended the chat."]);
        assert_eq!(seen.state == ChatState::Over, clear);
        assert!(
            !chat
                .notes
                .lock()
                .heard
                .iter()
                .any(|event| matches!(event, AgentEvent::Ended { .. } | AgentEvent::Failed(_)))
        );
    }
}

#[tokio::test]
async fn files_that_a_history_tells_again_are_not_fetched_again() {
    let (world, sim) = usual().await;
    let (chat, id) = talking(&world, &sim).await;
    let file =
        world.desk.on_shelf(&world.desk.shelve("photo.png", "pixels".into()).expect("room")).expect("there");
    sim.act(&id, Act::Say { text: "look".into(), files: vec![file] }).await.expect("said");
    chat.notes.said("look").await;
    chat.notes
        .until("it is remembered", |known| known.document.as_ref()?["filed"][0].as_str().map(drop))
        .await;
    world.desk.faults().add("socket", 1, Fault::Kill);
    sim.act(&id, Act::say("missed")).await.expect("said");
    chat.notes.said("missed").await;
    assert_eq!(chat.notes.lock().kept.len(), 1);
}

#[tokio::test]
async fn an_agent_who_greets_is_there_at_once() {
    let (world, sim) = world(Settings::default()).await;
    let (chat, id) = world.opened().await;
    sim.act(&id, Act::Accept { agent: Some("Robin Reed".into()) }).await.expect("taken");
    chat.notes.joined("Robin Reed").await;
}

#[tokio::test]
async fn another_agent_is_known_by_their_words() {
    let (world, sim) = usual().await;
    let (chat, id) = talking(&world, &sim).await;
    sim.act(&id, Act::Transfer { to: "Robin".into() }).await.expect("handed on");
    sim.act(&id, Act::say("I am Robin")).await.expect("said");
    chat.notes.joined("Robin").await;
    assert_eq!(chat.notes.said("I am Robin").await.as_deref(), Some("Robin"));
}

#[tokio::test]
async fn nobody_there_and_closed() {
    let (world, sim) = usual().await;
    let (chat, id) = world.opened().await;
    sim.act(&id, Act::Decline).await.expect("sent away");
    assert!(
        matches!(chat.notes.ended().await, AgentEvent::Failed(failure) if failure.reason == Reason::NoAgents)
    );
    for (words, reason) in [("we are closed", Reason::OutsideHours), ("another", Reason::NoAgents)] {
        let sim = Guest::new(Settings::default());
        let world = World::of(&GenesysGuest, &sim, json!({ "outside_hours_words": [words] })).await;
        world.desk.faults().add("x", 1, Fault::Special { name: OUTSIDE_HOURS.into() });
        let (chat, _) = world.opened().await;
        let ended = chat.notes.ended().await;
        assert!(matches!(&ended, AgentEvent::Failed(failure) if failure.reason == reason), "{ended:?}");
    }
    world.desk.faults().add("x", 1, Fault::Special { name: OUTSIDE_HOURS.into() });
    let (chat, _) = world.opened().await;
    chat.notes.ended().await;
    // The flow's words are not a human's.
    assert_eq!(chat.notes.said("We are closed.").await, None);
    assert!(!chat.notes.lock().heard.iter().any(|event| matches!(event, AgentEvent::Joined { .. })));
}

#[tokio::test]
async fn a_second_hand_over_is_another_session() {
    let (world, sim) = usual().await;
    let (first, id) = talking(&world, &sim).await;
    sim.act(&id, Act::End).await.expect("ended");
    first.notes.ended().await;
    let (_second, other) = world.opened().await;
    assert_ne!(id, other);
    let so = |desk: &Desk| (desk.chats().len() == 2).then_some(());
    world.at_desk("two chats", so).await;
}
