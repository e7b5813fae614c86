//! What a thousand idle customers cost. Printed, not asserted: `make bench` measures it on the release build.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test: a wrong assumption ends it; figures are its output"
)]

use std::sync::Arc;
use std::time::Duration;

use interline_tests::App;
use interline_tests::botkit::BotKit;
use interline_tests::scratch::Scratch;
use interline_tests::server::Setup;
use interline_tests::web::{Hook, Site};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

const SOCKETS: usize = 1_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_idle_conversations() {
    let scratch = Scratch::new("idle").unwrap();
    let app = App::fresh();
    let (botkit, _) = BotKit::keeping(&app).await.unwrap();
    let mut server = Setup::new(&scratch.path().join("data"), &app, &botkit.url).start().await.unwrap();
    let site = Site { address: server.address(), app };
    let before = server.memory();
    let gate = Arc::new(Semaphore::new(32));
    let mut tasks = JoinSet::new();
    for no in 0..SOCKETS {
        let (site, gate) = (site.clone(), gate.clone());
        tasks.spawn(async move {
            let _turn = gate.acquire().await.unwrap();
            let token = site.log_in(&format!("customer-{no}")).await.unwrap();
            let nothing: Hook = Arc::new(|_| {});
            site.open(&token, false, nothing).await.unwrap()
        });
    }
    let sockets = tasks.join_all().await;
    let open = server.memory();
    // The server drops idle conversations from memory in between.
    tokio::time::sleep(Duration::from_secs(35)).await;
    let idle = server.memory();
    assert!(sockets.iter().all(|socket| !socket.is_closed()), "a socket was closed");
    let each = |bytes: u64| (bytes as f64 - before as f64) / SOCKETS as f64 / 1024.0;
    println!(
        "{SOCKETS} sockets, debug build: {:.1} kB each when opened, {:.1} kB each when idle",
        each(open),
        each(idle)
    );
    drop(sockets);
    assert!(server.terminate(Duration::from_secs(30)).await.unwrap().success());
}
