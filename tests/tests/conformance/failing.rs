//! What we tell the vendor goes wrong.

use anyhow::{Context, Result, ensure};
use interline_connector::manifest::Dedupe;
use interline_connector::simulator::{Fault, Rule};
use serde_json::Value;

use crate::customer::Customer;
use crate::world::World;
use interline_tests::document as app;
use interline_tests::office::Kind;

/// Whatever token we have is old after so long, milliseconds: longer than any vendor's.
const LONG: i64 = 26 * 3_600 * 1_000;

/// Strikes the call that brings the customer's lines, once.
fn strike(world: &World, fault: Fault) -> Result<()> {
    let say = world.stand_in().points().say.context("the call that says")?;
    world.desk().faults().add(say, 1, fault);
    Ok(())
}

pub async fn token_expires(kind: Kind) -> Result<()> {
    let mut world = World::open(kind).await?;
    let (mut customer, chat) = world.talking().await?;
    customer.say("before it expires").await?;
    world.desk().sees(&chat, "before it expires").await?;
    world.desk().clock().advance(LONG);
    customer.say("after it expired").await?;
    world.desk().sees(&chat, "after it expired").await?;
    world.desk().says(&chat, "an answer after it expired").await?;
    customer.sees("an answer after it expired").await?;
    world.desk().sees_once(&chat, "after it expired")?;
    customer.sees_once("an answer after it expired")?;
    let refused = |entry: &Value| entry["kind"] == "refused" || entry["kind"] == "unconfirmed";
    ensure!(!world.timeline(&customer).await?.iter().any(refused), "{}", world.story(&customer).await);
    world.close().await
}

pub async fn rate_limited(kind: Kind) -> Result<()> {
    let mut world = World::open(kind).await?;
    let (mut customer, chat) = world.talking().await?;
    strike(&world, Fault::ErrorBefore { status: 429, retry_after: Some(1) })?;
    customer.say("limited line 1").await?;
    customer.say("limited line 2").await?;
    world.desk().sees(&chat, "limited line 2").await?;
    strike(&world, Fault::ErrorBefore { status: 429, retry_after: None })?;
    customer.say("limited line 3").await?;
    customer.say("limited line 4").await?;
    world.desk().sees(&chat, "limited line 4").await?;
    let heard = world.desk().heard(&chat, "limited line")?;
    let wanted: Vec<String> = (1..=4).map(|n| format!("limited line {n}")).collect();
    ensure!(heard == wanted, "{heard:?}\n{}", world.story(&customer).await);
    ensure!(world.desk().faults().all().is_empty(), "no call was limited");
    world.close().await
}

/// One line under a fault, one behind it. How often the first arrived.
async fn struck(world: &mut World, fault: Fault) -> Result<(Customer, usize)> {
    let (mut customer, chat) = world.talking().await?;
    strike(world, fault)?;
    customer.say("the struck line").await?;
    customer.say("the line behind").await?;
    world.desk().sees(&chat, "the line behind").await?;
    world.desk().sees_once(&chat, "the line behind")?;
    ensure!(world.desk().faults().all().is_empty(), "nothing was struck");
    let heard = world.desk().heard(&chat, "the ")?;
    let last = heard.last().map(String::as_str);
    ensure!(last == Some("the line behind"), "out of order: {heard:?}\n{}", world.story(&customer).await);
    let times = world.desk().heard(&chat, "the struck line")?.len();
    world.desk().says(&chat, "the agent goes on").await?;
    customer.sees("the agent goes on").await?;
    Ok((customer, times))
}

/// Nothing came of it. A vendor that drops repeats is told again; with any other it may be left at that, and is noted.
pub async fn error_before_effect(kind: Kind) -> Result<()> {
    let mut world = World::open(kind).await?;
    let (customer, times) = struck(&mut world, Fault::ErrorBefore { status: 500, retry_after: None }).await?;
    let noted = |entry: &Value| entry["kind"] == "unconfirmed" || entry["kind"] == "refused";
    let noted = world.timeline(&customer).await?.iter().filter(|entry| noted(entry)).count();
    let told_again = times == 1 && noted == 0;
    let left = times == 0 && noted == 1 && kind.connector.manifest().dedupe == Dedupe::None;
    ensure!(told_again || left, "{times} times, {noted} notes\n{}", world.story(&customer).await);
    world.close().await
}

pub async fn error_after_effect(kind: Kind) -> Result<()> {
    let mut world = World::open(kind).await?;
    let (customer, times) = struck(&mut world, Fault::ErrorAfter { status: 500 }).await?;
    ensure!(times == 1, "{times} times\n{}", world.story(&customer).await);
    world.close().await
}

pub async fn dropped_after_effect(kind: Kind) -> Result<()> {
    let mut world = World::open(kind).await?;
    let (customer, times) = struck(&mut world, Fault::DropAfter).await?;
    ensure!(times == 1, "{times} times\n{}", world.story(&customer).await);
    world.close().await
}

pub async fn line_refused(kind: Kind) -> Result<()> {
    let mut world = World::open(kind).await?;
    let (customer, times) = struck(&mut world, Fault::ErrorBefore { status: 400, retry_after: None }).await?;
    ensure!(times == 0, "a refused line arrived {times} times");
    customer.sees(app::NOT_DELIVERED).await?;
    customer.sees_once(app::NOT_DELIVERED)?;
    world.until_entry("a note", &customer, |entry| entry["kind"] == "refused").await?;
    world.until_stage(&customer, "talking").await?;
    world.close().await
}

/// Lines each way, before, around and after each kill.
const LINES: usize = 30;
const KILLS: usize = 3;

pub async fn server_killed(kind: Kind) -> Result<()> {
    let mut world = World::open(kind).await?;
    let (mut customer, chat) = world.talking().await?;
    // Deliveries take a while, so that some are under way when it is killed.
    let say = world.stand_in().points().say.context("the call that says")?;
    let slow = Rule { on: Some(say.to_owned()), times: None, fault: Fault::Latency { ms: 20 } };
    world.desk().faults().set(vec![slow]);
    let mut taken = Vec::new();
    for kill in 0..=KILLS {
        for n in 0..LINES / (KILLS + 1) {
            let words = format!("customer {kill}-{n}.");
            customer.say(&words).await?;
            let words = format!("desk {kill}-{n}.");
            if world.desk().tries(&chat, "say", &serde_json::json!({ "text": words })).await?.ok() {
                taken.push(words);
            }
        }
        if kill < KILLS {
            world.kill().await?;
            customer.reconnect().await?;
        }
    }
    world.desk().faults().set(Vec::new());
    customer.say("customer is done.").await?;
    world.desk().says(&chat, "desk is done.").await?;
    world.desk().sees(&chat, "customer is done.").await?;
    customer.sees("desk is done.").await?;
    let heard = world.desk().heard(&chat, "customer ")?;
    let mut once = heard.clone();
    once.dedup();
    let said =
        (0..=KILLS).flat_map(|kill| (0..LINES / (KILLS + 1)).map(move |n| format!("customer {kill}-{n}.")));
    let said: Vec<String> = said.chain(["customer is done.".to_owned()]).collect();
    ensure!(once == said, "the desk heard {heard:?}\n{}", world.story(&customer).await);
    // A vendor that cannot tell a repeat may see one around each kill.
    let most = if kind.connector.manifest().dedupe == Dedupe::ByKey { 0 } else { KILLS };
    ensure!(heard.len() - once.len() <= most, "doubled: {heard:?}");
    let seen: Vec<String> =
        customer.said_by_agent("desk ").into_iter().filter(|text| text.ends_with('.')).collect();
    taken.push("desk is done.".to_owned());
    ensure!(seen == taken, "the customer saw {seen:?} of {taken:?}\n{}", world.story(&customer).await);
    world.close().await
}
