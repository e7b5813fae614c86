//! A human part begins.

use anyhow::{Context, Result, ensure};
use interline_connector::simulator::{Chat, ChatState, Fault};
use serde_json::{Value, json};

use crate::customer::Customer;
use crate::world::{World, set};
use interline_tests::App;
use interline_tests::document as app;
use interline_tests::office::Kind;

/// All that the agent can read of a chat, whatever the vendor calls it.
fn readable(chat: &Chat) -> String {
    let mut all = vec![chat.title.clone(), chat.visitor.clone()];
    all.extend(chat.context.iter().map(|(name, value)| format!("{name}: {value}")));
    all.extend(chat.transcript.clone());
    all.extend(chat.lines.iter().map(|line| line.text.clone()));
    all.join("\n")
}

pub async fn open_with_context(kind: Kind) -> Result<()> {
    // In the vendor's own words: an id, where it has those.
    let queue = kind.stand_in(&App::fresh())?.queue();
    let target = "/flow/nodes/to_queue/agent_transfer/target/queue";
    let world = World::with(kind, |app| set(app, target, queue.into())).await?;
    let known = json!({
        "given_name": "Ann", "family_name": "Example", "email": "ann@example.com", "locale": "de-AT",
        "secureCustomData": { "tier": "gold-4711" },
    });
    let mut customer = Customer::known(world.site(), "ann", known).await?;
    customer.say("my suitcase is lost").await?;
    customer.sees("The bot heard: my suitcase is lost").await?;
    customer.say("billing").await?;
    let chat = world.desk().next_chat().await?;
    world.desk().accepts(&chat).await?;
    let wanted = [
        "Ann",
        "Example",
        "ann@example.com",
        "de",
        "gold-4711",
        app::ORDER,
        queue,
        app::SKILL,
        "my suitcase is lost",
        "/t/",
    ];
    let so = |chat: &Chat| {
        let all = readable(chat);
        wanted.iter().all(|wanted| all.contains(wanted)).then_some(())
    };
    let seen = world.desk().until("all of the context", &chat, so).await;
    seen.with_context(|| {
        let all = world.desk().chat(&chat).map(|chat| readable(&chat)).unwrap_or_default();
        let missing: Vec<&str> = wanted.into_iter().filter(|wanted| !all.contains(wanted)).collect();
        format!("the agent does not see {missing:?} in\n{all}")
    })?;
    // Nothing of it is shown to the customer.
    ensure!(customer.count(app::ORDER) == 0 && customer.count("/t/") == 0, "{:?}", customer.lines());
    world.close().await
}

pub async fn stranger(kind: Kind) -> Result<()> {
    let mut world = World::open(kind).await?;
    let odd = json!({ "secureCustomData": {
        "tier": { "levels": ["gold", { "since": 9_007_199_254_740_993_u64 }, null] },
        "account": 18_446_744_073_709_551_615_u64, "": "no name", "with \"quotes\" & <tags>": "a\nline break",
        "long": "x".repeat(4_000), "empty": "", "list": [],
    } });
    let mut customer = Customer::known(world.site(), "stranger", odd).await?;
    let chat = world.hand_over(&mut customer).await?;
    let so = |chat: &Chat| readable(chat).contains("gold").then_some(());
    world.desk().until("what is nested, as a text", &chat, so).await?;
    customer.say("it is me").await?;
    world.desk().sees(&chat, "it is me").await?;
    world.desk().says(&chat, "hello, whoever you are").await?;
    customer.sees("hello, whoever you are").await?;
    world.close().await
}

pub async fn queue_position(kind: Kind) -> Result<()> {
    let mut world = World::open(kind).await?;
    let mut first = world.customer("ann").await?;
    let mut second = world.customer("bob").await?;
    let chat = world.asks(&mut first).await?;
    world.asks(&mut second).await?;
    let position = |conversation: &Value| conversation["transfer"]["position"].as_u64();
    let at = world.until("a place in the queue", &second, position).await?;
    ensure!(at >= 1, "the queue begins at 1");
    second.sees("You are number").await?;
    world.desk().accepts(&chat).await?;
    world.until_stage(&first, "talking").await?;
    world.close().await
}

pub async fn agent_joins(kind: Kind) -> Result<()> {
    let mut world = World::open(kind).await?;
    let mut customer = world.customer("ann").await?;
    let chat = world.asks(&mut customer).await?;
    world.until_stage(&customer, "waiting").await?;
    ensure!(
        !customer.came().iter().any(|came| came.raw["message"]["type"] == "agent_connected"),
        "too early"
    );
    world.desk().acts(&chat, "accept", json!({ "agent": "Robin Reed" })).await?;
    let joined = customer.sees_event("events/agent_connected").await?;
    let author = &joined["message"]["author"];
    ensure!(author["firstName"].as_str().is_some_and(|name| name.starts_with("Robin")), "{joined}");
    world.until_stage(&customer, "talking").await?;
    let known = world.conversation(&customer).await?["transfer"]["agent"].clone();
    ensure!(known.as_str().is_some_and(|name| name.starts_with("Robin")), "{known}");
    world.close().await
}

pub async fn lines_while_queued(kind: Kind) -> Result<()> {
    let mut world = World::open(kind).await?;
    let mut customer = world.customer("ann").await?;
    let waits = world.desk().can("accept");
    if !waits {
        // Nobody waits here, but the hand-over itself may take a while.
        let open = world.stand_in().points().open.context("the call that opens")?;
        world.desk().faults().add(open, 1, Fault::Latency { ms: 1_000 });
        customer.say("a human please").await?;
    }
    let chat = if waits { Some(world.asks(&mut customer).await?) } else { None };
    for n in 1..=3 {
        customer.say(&format!("waiting line {n}")).await?;
    }
    let chat = match chat {
        Some(chat) => chat,
        None => world.desk().next_chat().await?,
    };
    world.desk().accepts(&chat).await?;
    world.until_stage(&customer, "talking").await?;
    customer.say("waiting line 4").await?;
    world.desk().sees(&chat, "waiting line 4").await?;
    let heard = world.desk().heard(&chat, "waiting line")?;
    let wanted: Vec<String> = (1..=4).map(|n| format!("waiting line {n}")).collect();
    ensure!(heard == wanted, "{heard:?}\n{}", world.story(&customer).await);
    world.close().await
}

pub async fn second_handover(kind: Kind) -> Result<()> {
    let mut world = World::open(kind).await?;
    let (mut customer, first) = world.talking().await?;
    customer.say("words of the first part").await?;
    world.desk().sees(&first, "words of the first part").await?;
    world.desk().ends(&first).await?;
    customer.sees(app::BACK).await?;
    let second = world.hand_over(&mut customer).await?;
    ensure!(second != first, "one chat for two hand-overs");
    customer.say("words of the second part").await?;
    world.desk().sees(&second, "words of the second part").await?;
    world.desk().says(&second, "an answer in the second part").await?;
    customer.sees("an answer in the second part").await?;
    ensure!(
        world.desk().heard(&second, "words of the first part")?.is_empty(),
        "said again to the second agent"
    );
    ensure!(
        world.desk().heard(&first, "words of the second part")?.is_empty(),
        "said to the first agent too"
    );
    world.desk().ends(&second).await?;
    customer.sees_times(app::BACK, 2).await?;
    ensure!(world.desk().chat(&first)?.state == ChatState::Over, "the first part is open again");
    customer.sees_once("an answer in the second part")?;
    world.close().await
}
