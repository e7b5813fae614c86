//! A BotKit that never answers, answers 500 or nonsense, or is not there: the customer is told, and the bot is back.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test: a wrong assumption ends it; figures are its output"
)]

use std::time::{Duration, Instant};

use interline_tests::App;
use interline_tests::botkit::{Answers, BotKit, Manners};
use interline_tests::scratch::Scratch;
use interline_tests::server::{Server, Setup, example_with};
use interline_tests::web::{Kept, Site, Socket, keep};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Longer than any deadline below.
const SOON: Duration = Duration::from_secs(25);
const BUSY: &str = "All our agents are currently busy";
const STILL: &str = "I am still here";

/// The example with deadlines that a test can wait for.
async fn server(scratch: &Scratch, app: &App, botkit: &str) -> (Server, Site) {
    let patience = "    opening_ms: 1500\n    answer_timeout_ms: 1500\n";
    let subscribe = "    subscribe: [messages, transfers]";
    let agents = format!("{patience}{subscribe}");
    let deadlines = "deadlines: { hold_ms: 500, requested_ms: 1500 }\ndefault_agent: desk";
    let changes = [(subscribe, agents.as_str()), ("default_agent: desk", deadlines)];
    let app_file = example_with(scratch.path(), &changes).unwrap();
    let setup = Setup { app_file, ..Setup::new(&scratch.path().join("data"), app, botkit) };
    let server = setup.start().await.unwrap();
    let site = Site { address: server.address(), app: app.clone() };
    (server, site)
}

async fn connect(site: &Site) -> (Socket, Kept) {
    let token = site.log_in("ann").await.unwrap();
    let (hook, frames) = keep();
    (site.open(&token, false, hook).await.unwrap(), frames)
}

/// Asks for an agent, is told that there is none, and talks to the bot again.
async fn told_and_back(site: &Site, name: &str) {
    let begin = Instant::now();
    let (mut socket, mut frames) = connect(site).await;
    frames.line(SOON, "Hello").await.unwrap();
    socket.tell(1, "agent").await.unwrap();
    frames.line(SOON, "Connecting").await.unwrap();
    frames.line(SOON, BUSY).await.unwrap();
    frames.line(SOON, STILL).await.unwrap();
    socket.tell(2, "so it is you").await.unwrap();
    frames.line(SOON, "You said: so it is you").await.unwrap();
    println!("{name}: told and back after {:.1?}", begin.elapsed());
}

async fn with_manners(name: &str, manners: Manners) {
    let scratch = Scratch::new(name).unwrap();
    let app = App::fresh();
    let (botkit, seen) = BotKit::keeping(&app).await.unwrap();
    botkit.behave(manners);
    let (server, site) = server(&scratch, &app, &botkit.url).await;
    told_and_back(&site, name).await;
    assert_eq!(botkit.faults(), Vec::<String>::new());
    assert_eq!(server.logged("panicked"), 0, "{}", server.log_end());
    let seen = seen.lock().unwrap();
    let mut ids: Vec<&str> = seen.iter().map(|seen| seen.request_id.as_str()).collect();
    let all = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), all, "an event was sent again after it was answered, or taken: {seen:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn never_answers_transfers() {
    with_manners("transfers-never", Manners { transfers: Answers::Never, ..Manners::default() }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_transfers_with_500() {
    with_manners("transfers-500", Manners { transfers: Answers::Status(500), ..Manners::default() }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_transfers_with_404() {
    with_manners("transfers-404", Manners { transfers: Answers::Status(404), ..Manners::default() }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_everything_with_500() {
    let all = Answers::Status(500);
    with_manners("all-500", Manners { transfers: all, messages: all, releases: false }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn never_answers_anything() {
    let all = Answers::Never;
    with_manners("all-never", Manners { transfers: all, messages: all, releases: false }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn holds_lines_for_ever() {
    let manners = Manners { transfers: Answers::Status(500), releases: false, ..Manners::default() };
    with_manners("holds", manners).await;
}

/// Any 2xx is a yes, whatever the body: so says the protocol.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_2xx_with_nonsense_in_it_is_a_yes() {
    let scratch = Scratch::new("nonsense").unwrap();
    let app = App::fresh();
    let (botkit, seen) = BotKit::keeping(&app).await.unwrap();
    botkit.behave(Manners { transfers: Answers::Garbage, ..Manners::default() });
    let (_server, site) = server(&scratch, &app, &botkit.url).await;
    let (mut socket, mut frames) = connect(&site).await;
    frames.line(SOON, "Hello").await.unwrap();
    socket.tell(1, "agent").await.unwrap();
    frames.line(SOON, "Connecting").await.unwrap();
    let begin = Instant::now();
    socket.tell(2, "hello agent").await.unwrap();
    while !seen.lock().unwrap().iter().any(|seen| seen.agent_mode && seen.text == "hello agent") {
        assert!(begin.elapsed() < SOON, "the line does not come to the agent");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// What answers at the URL does not speak HTTP.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn does_not_speak_http() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let answering = tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut request = [0; 65_536];
                let _ = stream.read(&mut request).await;
                let _ = stream.write_all(b"\0\x01\x02 220 mail.example.com ESMTP\r\n\xff\xff\r\n\r\n").await;
            });
        }
    });
    let (scratch, app) = (Scratch::new("no-http").unwrap(), App::fresh());
    let (server, site) = server(&scratch, &app, &url).await;
    told_and_back(&site, "no HTTP").await;
    assert_eq!(server.logged("panicked"), 0, "{}", server.log_end());
    answering.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn is_not_there() {
    let (scratch, app) = (Scratch::new("not-there").unwrap(), App::fresh());
    let (server, site) = server(&scratch, &app, "http://127.0.0.1:9").await;
    told_and_back(&site, "not there").await;
    assert_eq!(server.logged("panicked"), 0, "{}", server.log_end());
}

/// As BotKits of 2017 do in agent mode.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_who_never_answers_still_gets_every_line() {
    let (scratch, app) = (Scratch::new("mute").unwrap(), App::fresh());
    let (botkit, seen) = BotKit::keeping(&app).await.unwrap();
    let (_server, site) = server(&scratch, &app, &botkit.url).await;
    let (mut socket, mut frames) = connect(&site).await;
    frames.line(SOON, "Hello").await.unwrap();
    socket.tell(1, "agent").await.unwrap();
    botkit.wait_for_sessions(1, SOON).await.unwrap();
    // The 2017 generation: no answer to any event in agent mode.
    botkit.behave(Manners { messages: Answers::Never, ..Manners::default() });
    for line in 0..5 {
        socket.tell(10 + line, &format!("line {line}")).await.unwrap();
    }
    let begin = Instant::now();
    let arrived = || -> Vec<String> {
        let seen = seen.lock().unwrap();
        seen.iter().filter(|seen| seen.agent_mode).map(|seen| seen.text.clone()).collect()
    };
    while arrived().len() < 5 {
        assert!(begin.elapsed() < SOON, "only {:?}", arrived());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    println!("five lines to a mute BotKit took {:.1?}", begin.elapsed());
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(arrived(), ["line 0", "line 1", "line 2", "line 3", "line 4"]);
    let mut voice = botkit.voice(&botkit.sessions()[0]).unwrap();
    assert!(voice.say("I read them all").await.is_good());
    frames.line(SOON, "I read them all").await.unwrap();
}
