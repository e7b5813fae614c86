//! A human part ends, by whomever and in whichever state; or it never comes to one.

use anyhow::{Context, Result, ensure};
use interline_connector::simulator::{ChatState, Fault, OUTSIDE_HOURS, Rule};
use serde_json::json;

use crate::customer::Customer;
use crate::world::{World, set};
use interline_tests::document as app;
use interline_tests::office::Kind;

/// It is over: the bot has the customer, and nothing that they say goes to the desk any more.
async fn is_over(world: &mut World, customer: &mut Customer, chat: &str) -> Result<()> {
    world.until_bot(customer).await?;
    let before = customer.count("The bot heard: are you there");
    customer.say("are you there").await?;
    customer.sees_times("The bot heard: are you there", before + 1).await?;
    ensure!(world.desk().heard(chat, "are you there")?.is_empty(), "the desk hears what is for the bot");
    // What the former agent says late is noted at most, never shown.
    let _ = world.desk().tries(chat, "say", &json!({ "text": "too late" })).await?;
    customer.say("are you still there").await?;
    customer.sees("The bot heard: are you still there").await?;
    ensure!(customer.count("too late") == 0, "the former agent is heard: {:?}", customer.lines());
    Ok(())
}

/// Somebody who waits for an agent, where this vendor has that, and talks to one otherwise; and how many lines the desk has.
async fn begun(world: &mut World, customer: &mut Customer, talks: bool) -> Result<(String, usize)> {
    let chat = if talks {
        world.hand_over(customer).await?
    } else {
        let chat = world.asks(customer).await?;
        world.until_stage(customer, "waiting").await?;
        chat
    };
    if talks {
        customer.say("one line of a chat").await?;
        world.desk().sees(&chat, "one line of a chat").await?;
    }
    let lines = world.desk().chat(&chat)?.lines.len();
    Ok((chat, lines))
}

/// Both states, or the one that there is.
fn states(world: &World) -> &'static [bool] {
    if world.desk().can("accept") { &[false, true] } else { &[true] }
}

pub async fn customer_ends(kind: Kind) -> Result<()> {
    let mut world = World::open(kind).await?;
    for (name, talks) in ["ann", "bob"].into_iter().zip(states(&world)) {
        let mut customer = world.customer(name).await?;
        let (chat, lines) = begun(&mut world, &mut customer, *talks).await?;
        customer.event("close_agent_chat", None).await?;
        world.desk().until_over(&chat, lines).await?;
        ensure!(world.outcome(&customer).await? == "customer_ended", "{}", world.story(&customer).await);
        is_over(&mut world, &mut customer, &chat).await?;
    }
    world.close().await
}

pub async fn agent_ends(kind: Kind) -> Result<()> {
    let mut world = World::open(kind).await?;
    for (name, talks) in ["ann", "bob"].into_iter().zip(states(&world)) {
        let mut customer = world.customer(name).await?;
        let (chat, _) = begun(&mut world, &mut customer, *talks).await?;
        let act = if *talks { "end" } else { "decline" };
        if !world.desk().can(act) {
            continue;
        }
        world.desk().acts(&chat, act, json!({})).await?;
        if *talks {
            customer.sees_event("events/agent_disconnected").await?;
            customer.sees(app::BACK).await?;
            ensure!(world.outcome(&customer).await? == "agent_ended", "{}", world.story(&customer).await);
        }
        is_over(&mut world, &mut customer, &chat).await?;
        ensure!(world.desk().chat(&chat)?.state == ChatState::Over, "the desk has it open");
    }
    world.close().await
}

pub async fn operator_ends(kind: Kind) -> Result<()> {
    let mut world = World::open(kind).await?;
    for (name, talks) in ["ann", "bob"].into_iter().zip(states(&world)) {
        let mut customer = world.customer(name).await?;
        let (chat, lines) = begun(&mut world, &mut customer, *talks).await?;
        world.operate(&customer, "return").await?;
        world.desk().until_over(&chat, lines).await?;
        ensure!(world.outcome(&customer).await? == "operator_ended", "{}", world.story(&customer).await);
        is_over(&mut world, &mut customer, &chat).await?;
    }
    world.close().await
}

pub async fn no_agents(kind: Kind) -> Result<()> {
    let mut world = World::open(kind).await?;
    let mut customer = world.customer("ann").await?;
    let chat = world.asks(&mut customer).await?;
    world.desk().acts(&chat, "decline", json!({})).await?;
    let reason = world.reason(&customer).await?;
    let fits = ["no_agents", "declined", "busy", "no_answer", "queue_full"].contains(&reason.as_str());
    ensure!(fits, "the reason is {reason}\n{}", world.story(&customer).await);
    customer.sees(if reason == "declined" { app::FAILED } else { app::NOBODY }).await?;
    is_over(&mut world, &mut customer, &chat).await?;
    world.close().await
}

pub async fn outside_hours(kind: Kind) -> Result<()> {
    let mut world = World::open(kind).await?;
    let mut customer = world.customer("ann").await?;
    let fault = Fault::Special { name: OUTSIDE_HOURS.to_owned() };
    world.desk().faults().set(vec![Rule { on: None, times: Some(1), fault }]);
    customer.say("a human please").await?;
    let reason = world.reason(&customer).await?;
    ensure!(reason == "outside_hours", "the reason is {reason}\n{}", world.story(&customer).await);
    customer.sees(app::CLOSED).await?;
    world.until_bot(&customer).await?;
    // The next day there is somebody.
    let known = world.desk().count();
    if known > 0 {
        world.desk().next_chat().await?;
    }
    world.hand_over(&mut customer).await?;
    world.close().await
}

pub async fn queue_timeout(kind: Kind) -> Result<()> {
    let mut world = World::with(kind, |app| set(app, "/deadlines/waiting_ms", json!(1_500))).await?;
    let mut customer = world.customer("ann").await?;
    let chat = world.asks(&mut customer).await?;
    let lines = world.desk().chat(&chat)?.lines.len();
    let reason = world.reason(&customer).await?;
    ensure!(reason == "queue_timeout", "the reason is {reason}\n{}", world.story(&customer).await);
    customer.sees(app::NOBODY).await?;
    world.desk().until_over(&chat, lines).await?;
    is_over(&mut world, &mut customer, &chat).await?;
    world.close().await
}

pub async fn customer_silent(kind: Kind) -> Result<()> {
    let mut world = World::with(kind, |app| set(app, "/deadlines/idle_ms", json!(2_000))).await?;
    let mut customer = world.customer("ann").await?;
    let chat = world.asks(&mut customer).await?;
    world.desk().accepts(&chat).await?;
    world.desk().says(&chat, "are you with me?").await.context("the agent is too slow for this test")?;
    let lines = world.desk().chat(&chat)?.lines.len();
    ensure!(world.outcome(&customer).await? == "idle", "{}", world.story(&customer).await);
    customer.sees(app::BACK).await?;
    world.desk().until_over(&chat, lines).await?;
    is_over(&mut world, &mut customer, &chat).await?;
    world.close().await
}
