//! The vendor's limits, held with the real numbers.

use std::time::Duration;

use interline_connector::Aside;
use interline_connector::simulator::Act;
use interline_connector::simulator::{Acts as _, StandIn as _};
use serde_json::json;

use super::open_relay::{talking, world};
use super::support::*;
use crate::genesys::simulator::open::Settings;

/// 300 requests a minute, by the real clock: what is over the limit is refused by the stand-in, so one refusal fails this.
#[tokio::test]
async fn all_chats_together_stay_under_the_limit_and_typing_gives_way() {
    let (world, sim) = world(Settings::default(), json!({ "poll_ms": 60_000 })).await;
    let (chat, id) = talking(&world, &sim).await;
    for n in 0..60 {
        chat.tell(line_item(2 + n, &format!("line {n}")));
        chat.aside(Aside::Typing(true));
    }
    let words = world.customer_words(&id, 60).await;
    assert_eq!(words.len(), 60);
    let log = world.desk.log().all();
    assert!(log.iter().all(|call| call.status != 429), "the vendor had to refuse");
    let typed = log.iter().filter(|call| call.path.ends_with("/event")).count();
    assert!(typed <= 3, "typing gave way to words: {typed}");
}

#[tokio::test]
async fn a_full_bucket_and_a_minute_stay_under_three_hundred() {
    // What the pacer lets pass at once, and what runs in during a minute: the stand-in counts the calls of a minute.
    let sim = crate::genesys::simulator::open::Open::new(Settings::default());
    let settings = sim.settings(&"http://127.0.0.1:4000/".parse().expect("a URL"));
    let settings = crate::genesys::open::Settings::read_for_tests(settings).expect("settings");
    let pacer = settings.pacer();
    let mut burst = 0_u32;
    while tokio::time::timeout(Duration::from_millis(20), pacer.turn()).await.is_ok() {
        burst += 1;
    }
    assert!(burst <= 60 && burst + 240 <= 300, "{burst}");
}

#[tokio::test]
async fn a_pause_that_the_vendor_asks_for_is_for_all_chats() {
    let (world, sim) = world(
        Settings { per_minute: 12, ..Settings::default() },
        json!({ "requests_per_minute": 60_000, "poll_ms": 60_000 }),
    )
    .await;
    let (chat, id) = world.opened().await;
    // We think that we may, the vendor thinks otherwise: it says so, and time passes.
    for n in 0..12 {
        chat.tell(line_item(2 + n, &format!("line {n}")));
    }
    let refused = |world: &World| world.desk.log().all().iter().filter(|call| call.status == 429).count();
    world.on_wire("a refusal", |log| log.iter().any(|call| call.status == 429)).await;
    let before = refused(&world);
    // Everybody waits for as long as it said: nobody asks meanwhile.
    chat.aside(Aside::Typing(true));
    tokio::task::yield_now().await;
    assert_eq!(refused(&world), before);
    let _ = sim.act(&id, Act::Decline).await;
}
