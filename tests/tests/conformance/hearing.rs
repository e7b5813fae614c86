//! What the vendor tells us goes wrong.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use interline_connector::simulator::{Fault, Rule};
use serde_json::json;

use crate::world::World;
use interline_tests::document as app;
use interline_tests::office::Kind;

/// Strikes what tells that an agent said something, once.
fn strike(world: &World, fault: Fault) -> Result<()> {
    let said = world.stand_in().points().said.context("the name of what is said")?;
    world.desk().faults().add(said, 1, fault);
    Ok(())
}

fn is_struck(world: &World) -> Result<()> {
    ensure!(world.desk().faults().all().is_empty(), "nothing was struck: {:?}", world.desk().faults().all());
    Ok(())
}

pub async fn inbound_duplicate(kind: Kind) -> Result<()> {
    let mut world = World::open(kind).await?;
    let (mut customer, chat) = world.talking().await?;
    strike(&world, Fault::Twice)?;
    world.desk().says(&chat, "said twice").await?;
    world.desk().says(&chat, "said behind it").await?;
    customer.sees("said behind it").await?;
    customer.say("heard you").await?;
    world.desk().sees(&chat, "heard you").await?;
    is_struck(&world)?;
    customer.sees_once("said twice")?;
    customer.sees_once("said behind it")?;
    let said = |entry: &serde_json::Value| entry["text"] == "said twice";
    let times = world.timeline(&customer).await?.iter().filter(|entry| said(entry)).count();
    ensure!(times == 1, "{times} times in the log");
    world.close().await
}

pub async fn inbound_late(kind: Kind) -> Result<()> {
    let mut world = World::open(kind).await?;
    let (customer, chat) = world.talking().await?;
    strike(&world, Fault::Late { ms: 700 })?;
    let desk = world.desk();
    let (late, in_time) = tokio::join!(desk.says(&chat, "said first"), async {
        desk.until("the first line", &chat, |chat| {
            chat.lines.iter().any(|line| line.text == "said first").then_some(())
        })
        .await?;
        desk.says(&chat, "said second").await
    });
    late.and(in_time)?;
    customer.sees("said first").await?;
    customer.sees("said second").await?;
    world.desk().says(&chat, "said third").await?;
    customer.sees("said third").await?;
    is_struck(&world)?;
    for words in ["said first", "said second", "said third"] {
        customer.sees_once(words)?;
    }
    world.close().await
}

async fn not_a_word(kind: Kind, fault: Fault) -> Result<()> {
    let mut world = World::open(kind).await?;
    let (mut customer, chat) = world.talking().await?;
    strike(&world, fault)?;
    // Whether an agent learns that it was not taken is the vendor's affair.
    let _ = world.desk().tries(&chat, "say", &json!({ "text": "words of somebody else" })).await?;
    world.desk().until("it was told", &chat, |_| is_struck(&world).ok()).await?;
    world.desk().says(&chat, "words of the agent").await?;
    customer.sees("words of the agent").await?;
    customer.say("heard you").await?;
    world.desk().sees(&chat, "heard you").await?;
    ensure!(customer.count("words of somebody else") == 0, "{:?}", customer.lines());
    let forged = |entry: &serde_json::Value| entry.to_string().contains("words of somebody else");
    ensure!(!world.timeline(&customer).await?.iter().any(forged), "it is in the log");
    world.close().await
}

pub async fn inbound_forged(kind: Kind) -> Result<()> {
    not_a_word(kind, Fault::Forged).await
}

pub async fn inbound_unsigned(kind: Kind) -> Result<()> {
    not_a_word(kind, Fault::Unsigned).await
}

pub async fn end_overtakes_words(kind: Kind) -> Result<()> {
    let mut world = World::open(kind).await?;
    let (mut customer, chat) = world.talking().await?;
    world.desk().says(&chat, "words in time").await?;
    customer.sees("words in time").await?;
    strike(&world, Fault::Late { ms: 300 })?;
    let desk = world.desk();
    let (said, ended) = tokio::join!(desk.says(&chat, "the last words"), async {
        let there = |chat: &interline_connector::simulator::Chat| {
            chat.lines.iter().any(|line| line.text == "the last words").then_some(())
        };
        desk.until("the last words", &chat, there).await?;
        desk.ends(&chat).await
    });
    said.and(ended)?;
    customer.sees("the last words").await?;
    customer.sees(app::BACK).await?;
    customer.sees_once("the last words")?;
    world.until_bot(&customer).await?;
    customer.say("are you there").await?;
    customer.sees("The bot heard: are you there").await?;
    let lines = customer.lines();
    let place = |words: &str| lines.iter().position(|line| line.contains(words));
    ensure!(place("the last words") < place(app::BACK), "the end came first: {lines:?}");
    world.close().await
}

pub async fn stream_killed(kind: Kind) -> Result<()> {
    let mut world = World::open(kind).await?;
    let (mut customer, chat) = world.talking().await?;
    ensure!(
        world.stand_in().points().stream.is_some(),
        "there is a stream, or a deviation says that there is none"
    );
    for round in 1..=3 {
        // Whatever is told next finds it closed.
        let rule = Rule { on: None, times: Some(1), fault: Fault::Kill };
        world.desk().faults().set(vec![rule]);
        let words = format!("told into round {round}");
        world.desk().says(&chat, &words).await?;
        customer
            .until_within(Duration::from_secs(60), &words, |this| (this.count(&words) > 0).then_some(()))
            .await?;
        is_struck(&world)?;
        customer.say(&format!("heard round {round}")).await?;
        world.desk().sees(&chat, &format!("heard round {round}")).await?;
    }
    let seen = customer.said_by_agent("told into round");
    let wanted: Vec<String> = (1..=3).map(|n| format!("told into round {n}")).collect();
    ensure!(seen == wanted, "{seen:?}");
    let heard = world.desk().heard(&chat, "heard round")?;
    ensure!(heard.len() == 3, "{heard:?}");
    world.close().await
}
