//! What is said and done both ways, as it should go.

use interline_connector::channel::Mark;
use interline_connector::files::Source;
use interline_connector::simulator::{Act, Acts, ChatState, Desk, Fault, OUTSIDE_HOURS};
use interline_connector::{Aside, Failure};
use interline_core::Seq;
use interline_core::conversation::input::AgentEvent;
use interline_core::transfer::{Outcome, Reason};
use serde_json::json;

use super::support::*;
use crate::genesys::GenesysOpen;
use crate::genesys::simulator::open::{Open, Settings};

pub(super) async fn world(settings: Settings, more: serde_json::Value) -> (World, Open) {
    let sim = Open::new(settings);
    let world = World::of(&GenesysOpen, &sim, more).await;
    (world, sim)
}

pub(super) fn fast() -> Settings {
    Settings { per_minute: 60_000, retry: std::time::Duration::from_millis(30), ..Settings::default() }
}

pub(super) async fn usual() -> (World, Open) {
    world(fast(), json!({ "poll_ms": 200 })).await
}

/// An agent takes it and the other side knows.
pub(super) async fn talking(world: &World, sim: &Open) -> (Running, String) {
    let (chat, id) = world.opened().await;
    sim.act(&id, Act::Accept { agent: Some("Kim".into()) }).await.expect("taken");
    chat.notes.joined("Kim").await;
    (chat, id)
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
        ("email", "ann@example.com"),
    ] {
        assert_eq!(chat.told(name), Some(value), "{name}");
    }
    assert_eq!(
        (chat.title.as_str(), chat.transcript.as_deref()),
        ("Ann Müller", Some("https://chat.example.com/t/secret"))
    );
    let words = &chat.lines[0].text;
    assert!(words.contains("https://chat.example.com/t/secret") && words.contains("money back"), "{words}");
}

#[tokio::test]
async fn attributes_that_a_message_could_not_bring_are_added() {
    let (world, _sim) =
        world(Settings { takes_attributes: false, ..fast() }, json!({ "poll_ms": 200 })).await;
    let (_chat, id) = world.opened().await;
    let so = |desk: &Desk| desk.chat(&id).filter(|chat| chat.told("QueueName") == Some("Billing")).map(drop);
    world.at_desk("the attributes", so).await;
}

#[tokio::test]
async fn lines_go_both_ways_in_order_also_while_queued() {
    let (world, sim) = usual().await;
    let (chat, id) = world.opened().await;
    chat.tell(line_item(2, "is anybody there?"));
    chat.notes.settled(2).await.expect("delivered");
    sim.act(&id, Act::Accept { agent: Some("Kim".into()) }).await.expect("taken");
    chat.notes.joined("Kim").await;
    for n in 0..20 {
        chat.tell(line_item(3 + n, &format!("customer {n} 你好 🎉")));
        sim.act(&id, Act::say(format!("agent {n}"))).await.expect("said");
    }
    let words = world.customer_words(&id, 21).await;
    let expected: Vec<String> = std::iter::once("is anybody there?".to_owned())
        .chain((0..20).map(|n| format!("customer {n} 你好 🎉")))
        .collect();
    assert_eq!(words, expected);
    // The webhook knows no agent's name; who joined does.
    assert_eq!(chat.notes.said("agent 19").await.as_deref(), Some("Kim"));
    let said = chat.notes.all_said();
    assert_eq!(said, (0..20).map(|n| format!("agent {n}")).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_long_line_arrives_in_pieces_and_a_rich_one_in_words() {
    let (world, sim) = usual().await;
    let (chat, id) = talking(&world, &sim).await;
    let long = "Größe und Länge ".repeat(400);
    chat.tell(line_item(2, &long));
    let ids = chat.notes.settled(2).await.expect("delivered");
    let words = world.customer_words(&id, ids.len()).await;
    assert!(ids.len() == 4 && words.join(" ") == long.trim(), "{}", ids.len());
}

#[tokio::test]
async fn typing_goes_both_ways_and_runs_out() {
    let (world, sim) = usual().await;
    let (chat, id) = talking(&world, &sim).await;
    chat.aside(Aside::Typing(true));
    // The second one within five seconds is not told.
    chat.aside(Aside::Typing(true));
    world.at_desk("typing", |desk| desk.chat(&id).filter(|chat| chat.typing).map(drop)).await;
    sim.act(&id, Act::Type { on: true }).await.expect("told");
    chat.notes
        .until("the agent types and stops", |known| (known.typing == [true, false]).then_some(()))
        .await;
    let typed =
        world.desk.log().all().iter().filter(|call| call.path.ends_with("/inbound/open/event")).count();
    assert_eq!(typed, 1);
}

#[tokio::test]
async fn the_agent_learns_that_the_customer_has_it() {
    let (world, sim) = usual().await;
    let (chat, id) = talking(&world, &sim).await;
    sim.act(&id, Act::say("hello")).await.expect("said");
    let line = world.desk.chat(&id).expect("a chat").lines.last().expect("a line").clone();
    chat.aside(Aside::Receipt { mark: Mark::Read, seq: Seq(9), remote_id: line.id });
    let so = |desk: &Desk| desk.chat(&id)?.lines.last().filter(|line| line.delivered).map(drop);
    world.at_desk("a receipt", so).await;
}

#[tokio::test]
async fn files_go_both_ways_and_those_that_do_not_fit_go_as_a_link() {
    let (world, sim) = usual().await;
    let (chat, id) = talking(&world, &sim).await;
    let files = interline_connector::simulator::Served::start(
        axum::Router::new().route("/f", axum::routing::get(async || "the content")),
    )
    .await
    .expect("a port");
    chat.tell(file_item(2, "my bill", "bill.pdf", files.at("/f").as_str(), true, Source::default()));
    chat.notes.settled(2).await.expect("delivered");
    let so = |desk: &Desk| {
        let shown = desk.chat(&id)?.lines.iter().flat_map(|line| line.files.clone()).next()?;
        shown.sha256.clone().map(|_| shown)
    };
    let shown = world.at_desk("the file", so).await;
    assert_eq!((shown.name.as_str(), shown.bytes), ("bill.pdf", Some(11)));
    chat.tell(file_item(3, "", "song.mp3", "https://chat.example.com/f/v/x", false, Source::default()));
    chat.notes.settled(3).await.expect("delivered");
    let words = world.customer_words(&id, 3).await;
    assert!(
        words[2].contains("song.mp3") && words[2].contains("https://chat.example.com/f/secret"),
        "{words:?}"
    );
    // The agent's.
    let shelved = world.desk.shelve("photo.png", "pixels".into()).expect("room");
    let file = world.desk.on_shelf(&shelved).expect("on the shelf");
    sim.act(&id, Act::Say { text: "look".into(), files: vec![file.clone()] }).await.expect("said");
    chat.notes.said("look").await;
    let incoming = world.files();
    assert_eq!((incoming[0].name.as_deref(), &incoming[0].url), (Some("photo.png"), &file.url));
}

#[tokio::test]
async fn the_default_content_profile_lets_agents_send_pictures_alone() {
    let outbound = ["image/jpeg", "image/png", "image/gif"].map(str::to_owned).into();
    let (world, sim) = world(Settings { outbound, ..fast() }, json!({ "poll_ms": 200 })).await;
    let (_chat, id) = talking(&world, &sim).await;
    let shelved = world.desk.shelve("a.pdf", "x".into()).expect("room");
    let file = world.desk.on_shelf(&shelved).expect("on the shelf");
    sim.act(&id, Act::Say { text: String::new(), files: vec![file] }).await.expect_err("not allowed");
}

#[tokio::test]
async fn the_agent_ends_it() {
    let (world, sim) = usual().await;
    let (chat, id) = talking(&world, &sim).await;
    sim.act(&id, Act::say("bye")).await.expect("said");
    sim.act(&id, Act::End).await.expect("ended");
    assert_eq!(chat.notes.ended().await, AgentEvent::Ended { tag: None });
    chat.tell(close_item(2, Outcome::AgentEnded));
    chat.notes.settled(2).await.expect("nothing is left to do");
    assert_eq!(
        world.desk.chat(&id).expect("a chat").customer_words().len(),
        0,
        "no notice after the agent's own end"
    );
}

#[tokio::test]
async fn the_customer_ends_it_waiting_and_talking() {
    for takes in [false, true] {
        let (world, sim) = usual().await;
        let (chat, id) = if takes { talking(&world, &sim).await } else { world.opened().await };
        chat.tell(close_item(2, Outcome::CustomerEnded));
        chat.notes.settled(2).await.expect("closed");
        let seen = world.desk.chat(&id).expect("a chat");
        assert_eq!(
            (seen.state, seen.customer_words()),
            (ChatState::Over, vec!["The customer has ended the chat."])
        );
        assert!(
            !chat.notes.lock().heard.iter().any(|event| matches!(event, AgentEvent::Ended { .. })),
            "our own end is no news"
        );
    }
}

#[tokio::test]
async fn another_agent_takes_over_and_it_goes_on() {
    let (world, sim) = usual().await;
    let (chat, id) = talking(&world, &sim).await;
    sim.act(&id, Act::Transfer { to: "Robin".into() }).await.expect("handed on");
    chat.notes.joined("Robin").await;
    sim.act(&id, Act::say("I am Robin")).await.expect("said");
    assert_eq!(chat.notes.said("I am Robin").await.as_deref(), Some("Robin"));
    assert!(!chat.notes.lock().heard.iter().any(|event| matches!(event, AgentEvent::Ended { .. })));
}

#[tokio::test]
async fn nobody_there_and_closed_have_their_reasons() {
    let (world, sim) = usual().await;
    let (chat, id) = world.opened().await;
    sim.act(&id, Act::Decline).await.expect("sent away");
    assert!(
        matches!(chat.notes.ended().await, AgentEvent::Failed(failure) if failure.reason == Reason::NoAgents)
    );
    world.desk.faults().add("x", 1, Fault::Special { name: OUTSIDE_HOURS.into() });
    let (chat, _) = world.opened().await;
    assert!(
        matches!(chat.notes.ended().await, AgentEvent::Failed(failure) if failure.reason == Reason::OutsideHours)
    );
    chat.notes.said("We are closed.").await;
}

#[tokio::test]
async fn each_hand_over_is_a_conversation_of_its_own() {
    let (world, sim) = usual().await;
    let (first, id) = talking(&world, &sim).await;
    sim.act(&id, Act::End).await.expect("ended");
    first.notes.ended().await;
    // What the customer says now is not for this agent, and opens nothing that somebody would have to take.
    first.tell(line_item(2, "one more thing"));
    assert!(matches!(first.notes.settled(2).await, Err(Failure::Refused(_))));
    assert_eq!(world.desk.chats().len(), 1);
}
