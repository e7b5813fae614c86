//! Memory of conversations in which nothing happens.

use std::time::Duration;

use anyhow::Result;
use interline_tests::App;
use interline_tests::botkit::BotKit;
use interline_tests::scratch::Scratch;
use interline_tests::server::{Profile, Setup};
use interline_tests::web::Site;

use crate::crowd::customers;
use crate::phase::Meter;
use crate::relay::app_file;

const SOCKETS: usize = 1_000;
/// The server drops a conversation from memory after at most twice its sweep of 15 s.
const SWEPT: Duration = Duration::from_secs(35);

/// Resident memory: a thousand conversations without a socket, then a thousand idle sockets.
pub async fn measure() -> Result<String> {
    let (scratch, app, meter) = (Scratch::new("idle")?, App::fresh(), Meter::new());
    let (botkit, _) = BotKit::keeping(&app).await?;
    let setup = Setup {
        profile: Profile::Release,
        app_file: app_file(scratch.path())?,
        flags: vec!["--log".into(), "warn".into()],
        ..Setup::new(&scratch.path().join("data"), &app, &botkit.url)
    };
    let mut server = setup.start().await?;
    let site = Site { address: server.address(), app };
    // Warm: allocator, pools, caches.
    drop(customers(&site, &meter, SOCKETS, 0).await?);
    tokio::time::sleep(SWEPT).await;
    let warm = server.memory();
    let left = customers(&site, &meter, SOCKETS, SOCKETS).await?;
    let peak = server.memory();
    drop(left);
    tokio::time::sleep(SWEPT).await;
    let without = server.memory();
    let tabs = customers(&site, &meter, SOCKETS, SOCKETS).await?;
    let fresh = server.memory();
    tokio::time::sleep(SWEPT).await;
    let idle = server.memory();
    drop(tabs);
    server.terminate(Duration::from_secs(30)).await?;
    let each = |bytes: u64, from: u64| (bytes as f64 - from as f64) / SOCKETS as f64 / 1024.0;
    let mega = |bytes: u64| bytes as f64 / 1024.0 / 1024.0;
    Ok(format!(
        "Idle memory (RSS, release, SQLite; {SOCKETS} customers who were welcomed by the bot):\n\n\
         | state | server RSS | per customer |\n|---|--:|--:|\n\
         | warm, nobody there | {:.1} MB | |\n\
         | {SOCKETS} more conversations just opened, with sockets | {:.1} MB | {:.1} kB |\n\
         | sockets closed, {SWEPT:?} later | {:.1} MB | {:.1} kB |\n\
         | sockets open again | {:.1} MB | {:.1} kB |\n\
         | … idle for {SWEPT:?} | {:.1} MB | {:.1} kB |",
        mega(warm),
        mega(peak),
        each(peak, warm),
        mega(without),
        each(without, warm),
        mega(fresh),
        each(fresh, without),
        mega(idle),
        each(idle, without),
    ))
}
