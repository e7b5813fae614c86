//! A human part goes on.

use anyhow::{Result, ensure};
use interline_connector::simulator::Chat;
use interline_tests::web::Frame;
use serde_json::json;

use crate::customer::{Came, Customer};
use crate::world::World;
use interline_tests::office::Kind;

/// Lines each way.
const LINES: usize = 100;

pub async fn both_ways_in_order(kind: Kind) -> Result<()> {
    let mut world = World::open(kind).await?;
    let (mut customer, chat) = world.talking().await?;
    let desk = world.desk();
    let (one, other) = tokio::join!(
        async {
            for n in 0..LINES {
                customer.say(&format!("from the customer {n}.")).await?;
            }
            anyhow::Ok(())
        },
        async {
            for n in 0..LINES {
                desk.says(&chat, &format!("from the desk {n}.")).await?;
            }
            anyhow::Ok(())
        }
    );
    one.and(other)?;
    let last = LINES - 1;
    desk.sees(&chat, &format!("from the customer {last}.")).await?;
    customer.sees(&format!("from the desk {last}.")).await?;
    let numbered = |words: &str| -> Vec<String> { (0..LINES).map(|n| format!("{words} {n}.")).collect() };
    let heard = desk.heard(&chat, "from the customer")?;
    ensure!(heard == numbered("from the customer"), "the desk heard {heard:?}");
    let seen = customer.said_by_agent("from the desk");
    ensure!(seen == numbered("from the desk"), "the customer saw {seen:?}");
    let timeline = world.timeline(&customer).await?;
    for words in ["from the customer", "from the desk"] {
        let said: Vec<&str> = timeline.iter().filter_map(|entry| entry["text"].as_str()).collect();
        let said: Vec<&str> = said.into_iter().filter(|text| text.contains(words)).collect();
        ensure!(said == numbered(words), "the log has {said:?}");
    }
    world.close().await
}

pub async fn typing(kind: Kind) -> Result<()> {
    let mut world = World::open(kind).await?;
    let (mut customer, chat) = world.talking().await?;
    customer.event("typing", None).await?;
    world.desk().until("the customer types", &chat, |chat: &Chat| chat.typing.then_some(())).await?;
    // Some vendors are told that it is over, some see it by the line that comes.
    customer.event("stop_typing", None).await?;
    customer.say("typed before").await?;
    world.desk().until("the customer stops", &chat, |chat: &Chat| (!chat.typing).then_some(())).await?;
    world.desk().acts(&chat, "type", json!({ "on": true })).await?;
    customer.sees_event("events/typing").await?;
    customer.say("typed it").await?;
    world.desk().sees(&chat, "typed it").await?;
    world.desk().says(&chat, "read it").await?;
    customer.sees("read it").await?;
    let typed =
        |entry: &serde_json::Value| entry["kind"].as_str().is_some_and(|kind| kind.contains("typing"));
    ensure!(!world.timeline(&customer).await?.iter().any(typed), "typing is in the log");
    world.close().await
}

/// The customer reports of an agent's line that it has it, or read it; whether the agent sees so.
async fn told_of(world: &World, customer: &mut Customer, chat: &str, event: &str) -> Result<()> {
    world.desk().says(chat, "please read this").await?;
    let line = |came: &Came| match &came.frame {
        Frame::Line { id, text, .. } if text.contains("please read this") => Some(id.clone()),
        _ => None,
    };
    let id = customer.until("the line", |this| this.came().iter().find_map(line)).await?;
    customer.event(event, Some(&id)).await?;
    let read = event == "message_read";
    let marked = |chat: &Chat| {
        let line = chat.lines.iter().find(|line| line.text.contains("please read this"))?;
        (if read { line.read } else { line.delivered || line.read }).then_some(())
    };
    world.desk().until(event, chat, marked).await
}

pub async fn receipts_delivered(kind: Kind) -> Result<()> {
    let mut world = World::open(kind).await?;
    let (mut customer, chat) = world.talking().await?;
    told_of(&world, &mut customer, &chat, "message_delivered").await?;
    world.close().await
}

pub async fn receipts_read(kind: Kind) -> Result<()> {
    let mut world = World::open(kind).await?;
    let (mut customer, chat) = world.talking().await?;
    told_of(&world, &mut customer, &chat, "message_read").await?;
    customer.say("and you this").await?;
    world.desk().sees(&chat, "and you this").await?;
    world.desk().acts(&chat, "read", json!({})).await?;
    customer.sees_event("events/message_read").await?;
    world.close().await
}

pub async fn agent_transfer(kind: Kind) -> Result<()> {
    let mut world = World::open(kind).await?;
    let (mut customer, chat) = world.talking().await?;
    world.desk().says(&chat, "I hand you to a colleague").await?;
    customer.sees("I hand you to a colleague").await?;
    world.desk().acts(&chat, "transfer", json!({ "to": "Robin" })).await?;
    customer.say("are you the colleague?").await?;
    world.desk().sees(&chat, "are you the colleague?").await?;
    world.desk().says(&chat, "yes, it is me now").await?;
    customer.sees("yes, it is me now").await?;
    world.until_stage(&customer, "talking").await?;
    let conversation = world.conversation(&customer).await?;
    ensure!(conversation["transfers"] == 1, "it is one human part: {conversation}");
    customer.sees_once("yes, it is me now")?;
    world.desk().sees_once(&chat, "are you the colleague?")?;
    world.close().await
}

/// Words of many scripts, among them some that are several code points each.
fn long(words: usize) -> String {
    let scripts = ["Grüße", "日本語", "😀👩‍👩‍👧", "שלום", "naïve", "Ελλάδα", "a\"b\\c", "100%"];
    (0..words).map(|n| format!("{}{n}", scripts[n % scripts.len()])).collect::<Vec<_>>().join(" ")
}

/// What is left when white space is taken out: vendors with a limit get a long line in parts.
fn pressed(lines: &[String]) -> String {
    lines.concat().split_whitespace().collect()
}

pub async fn long_text(kind: Kind) -> Result<()> {
    let mut world = World::open(kind).await?;
    let (mut customer, chat) = world.talking().await?;
    let before = world.desk().heard(&chat, "")?.len();
    let (up, down) = (long(1_200), long(600));
    customer.say(&up).await?;
    customer.say("that was all of it").await?;
    world.desk().sees(&chat, "that was all of it").await?;
    let mut parts = world.desk().heard(&chat, "")?.split_off(before);
    parts.pop();
    ensure!(pressed(&parts) == pressed(&[up]), "the desk got {} parts: {parts:?}", parts.len());
    let before = customer.said_by_agent("").len();
    world.desk().says(&chat, &down).await?;
    world.desk().says(&chat, "that was all of mine").await?;
    customer.sees("that was all of mine").await?;
    let mut parts = customer.said_by_agent("").split_off(before);
    parts.pop();
    ensure!(pressed(&parts) == pressed(&[down]), "the customer got {} parts: {parts:?}", parts.len());
    world.close().await
}

pub async fn rich_degraded(kind: Kind) -> Result<()> {
    let mut world = World::open(kind).await?;
    let (mut customer, chat) = world.talking().await?;
    // As the web client sends a button that was pressed: its title is what was said, the rest is for programs.
    let words = "<b>Rebook</b> & *pay* [now](https://example.com)";
    customer.say(words).await?;
    world.desk().sees(&chat, words).await?;
    world.desk().says(&chat, "It costs 5 < 6 & is <i>fine</i>").await?;
    // The client takes a text for HTML: what looks like a tag reaches it escaped, and is shown as it was written.
    customer.sees("It costs 5 < 6 & is &lt;i>fine&lt;/i>").await?;
    let said = |entry: &serde_json::Value| entry["text"] == "It costs 5 < 6 & is <i>fine</i>";
    ensure!(world.timeline(&customer).await?.iter().any(said), "the log has other words");
    // In the vendor's own form for that: each choice has a line in the words that stand for it, and nothing of the form is left.
    let offer = json!({ "text": "Which seat would you like?", "choices": ["12A window", "14C aisle"] });
    world.desk().acts(&chat, "offer", offer).await?;
    let asked = |entry: &serde_json::Value| {
        entry["text"].as_str().is_some_and(|text| text.contains("Which seat would you like?"))
    };
    let told = world.until_entry("the question", &customer, asked).await?;
    let words: Vec<&str> = told["text"].as_str().unwrap_or_default().lines().collect();
    let choices: Vec<&str> = words.iter().map(|line| line.trim_start_matches(['-', ' '])).collect();
    ensure!(choices == ["Which seat would you like?", "12A window", "14C aisle"], "{words:?}");
    customer.sees("Which seat would you like?").await?;
    let shown = customer.said_by_agent("Which seat").concat();
    ensure!(shown.contains("12A window") && shown.contains("14C aisle"), "the customer saw {shown}");
    customer.say("14C aisle").await?;
    world.desk().sees(&chat, "14C aisle").await?;
    world.close().await
}
