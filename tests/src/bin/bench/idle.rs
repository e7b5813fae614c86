//! Memory of conversations in which nothing happens.

use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use interline_tests::App;
use interline_tests::botkit::BotKit;
use interline_tests::postgres;
use interline_tests::scratch::Scratch;
use interline_tests::server::{Profile, Server, Setup};
use interline_tests::web::Site;

use crate::crowd::customers;
use crate::phase::Meter;
use crate::relay::app_file;

const CUSTOMERS: usize = 1_000;
/// The server drops a conversation from memory after at most twice its sweep of 15 s.
const SWEPT: Duration = Duration::from_secs(32);

/// Resident memory, customers of every step being new ones. On PostgreSQL if there is one: the embedded database keeps
/// pages of the file in memory, which would count as conversations.
pub async fn measure() -> Result<String> {
    let (scratch, app, meter) = (Scratch::new("idle")?, App::fresh(), Meter::new());
    let (botkit, _) = BotKit::keeping(&app).await?;
    let database = postgres::database("idle").await?;
    let mut server =
        start(scratch.path(), database.as_ref().map(|own| own.url.clone()), &app, &botkit).await?;
    let site = Site { address: server.address(), app };
    // Allocator, pools, caches.
    drop(customers(&site, &meter, CUSTOMERS, 0).await?);
    tokio::time::sleep(SWEPT).await;
    let mut steps = vec![("warm: 1,000 customers came and went", server.memory(), None)];
    drop(customers(&site, &meter, CUSTOMERS, CUSTOMERS).await?);
    tokio::time::sleep(SWEPT).await;
    steps.push(("1,000 more open conversations, no sockets", server.memory(), Some(0)));
    let one = customers(&site, &meter, CUSTOMERS, 2 * CUSTOMERS).await?;
    let two = customers(&site, &meter, CUSTOMERS, 3 * CUSTOMERS).await?;
    steps.push(("2,000 more, with sockets, just opened", server.memory(), None));
    tokio::time::sleep(SWEPT).await;
    steps.push(("… idle", server.memory(), None));
    let three = customers(&site, &meter, CUSTOMERS, 4 * CUSTOMERS).await?;
    tokio::time::sleep(SWEPT).await;
    steps.push(("1,000 more, with sockets, idle", server.memory(), Some(3)));
    drop((one, two, three));
    server.terminate(Duration::from_secs(30)).await?;
    let name = if database.is_some() { "PostgreSQL" } else { "SQLite" };
    if let Some(database) = database {
        database.remove().await?;
    }
    let mut text = format!(
        "Idle memory (release, {name}; each customer was welcomed by the bot)\n\n| step | server RSS | per customer of this step |\n|---|--:|--:|\n"
    );
    for (what, bytes, from) in &steps {
        let each = from.map_or(String::new(), |from: usize| {
            format!("{:.1} kB", (*bytes as f64 - steps[from].1 as f64) / CUSTOMERS as f64 / 1024.0)
        });
        text += &format!("| {what} | {:.1} MB | {each} |\n", *bytes as f64 / 1024.0 / 1024.0);
    }
    Ok(text)
}

async fn start(scratch: &Path, database: Option<String>, app: &App, botkit: &BotKit) -> Result<Server> {
    let setup = Setup {
        profile: Profile::Release,
        database,
        app_file: app_file(scratch)?,
        flags: vec!["--log".into(), "warn".into()],
        ..Setup::new(&scratch.join("data"), app, &botkit.url)
    };
    setup.start().await
}
