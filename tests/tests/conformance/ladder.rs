//! One agent system fails, the next takes over.

use anyhow::{Context, Result, ensure};
use interline_connector::simulator::Fault;
use serde_json::json;

use crate::world::World;
use interline_tests::office::Kind;

pub async fn fallback_with_lines_waiting(kind: Kind) -> Result<()> {
    falls_back(kind, kind).await
}

/// The first system fails while lines wait for it; the second gets all of them, once and in order.
pub async fn falls_back(first: Kind, second: Kind) -> Result<()> {
    let mut world = World::of(&[(first, "desk"), (second, "spare")], |_| {}).await?;
    let mut customer = world.customer("ann").await?;
    let queue = world.desk().can("decline");
    if !queue {
        let open = world.stand_in().points().open.context("the call that opens")?;
        world.desk().faults().add(open, 1, Fault::Latency { ms: 1_000 });
        world.desk().faults().add(open, 1, Fault::ErrorBefore { status: 400, retry_after: None });
    }
    customer.say("a human please").await?;
    let chat = if queue { Some(world.desk().next_chat().await?) } else { None };
    for n in 1..=3 {
        customer.say(&format!("waiting line {n}")).await?;
    }
    if let Some(chat) = &chat {
        world
            .desk()
            .sees(chat, "waiting line 3")
            .await
            .context("lines reach the first system while they wait")?;
        world.desk().acts(chat, "decline", json!({})).await?;
    }
    let spare = &world.desks[1];
    let at_spare = spare.next_chat().await?;
    spare.accepts(&at_spare).await?;
    world.until_stage(&customer, "talking").await?;
    customer.say("waiting line 4").await?;
    let spare = &world.desks[1];
    spare.sees(&at_spare, "waiting line 4").await?;
    let heard = spare.heard(&at_spare, "waiting line")?;
    let wanted: Vec<String> = (1..=4).map(|n| format!("waiting line {n}")).collect();
    ensure!(heard == wanted, "{heard:?}\n{}", world.story(&customer).await);
    let spare = &world.desks[1];
    spare.says(&at_spare, "the second system speaks").await?;
    customer.sees("the second system speaks").await?;
    customer.sees_once("the second system speaks")?;
    let conversation = world.conversation(&customer).await?;
    let rung = &conversation["transfer"]["rung"];
    ensure!(rung["integration"] == "spare" && conversation["transfers"] == 1, "{conversation}");
    ensure!(
        world
            .desk()
            .heard(chat.as_deref().unwrap_or_default(), "waiting line 4")
            .unwrap_or_default()
            .is_empty(),
        "the first still hears"
    );
    world.close().await
}
