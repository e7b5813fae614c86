//! Files in flight while the server gets SIGKILL at 20 random moments: customers upload them in pieces (tus) and send
//! messages that name them, agents send files back, and everybody goes on where they were when the server is there again.
//!
//! Afterwards every side is compared with every other: `src/checker.rs` judges the lines, `src/file_checker.rs` the files.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test: a wrong assumption ends it; the summary is its output"
)]

mod customer;
mod desk;
mod evidence;

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use interline_tests::botkit::BotKit;
use interline_tests::checker::{Outcome, Spoken, judge};
use interline_tests::dice::Dice;
use interline_tests::operator::Operator;
use interline_tests::scratch::Scratch;
use interline_tests::server::{Server, Setup};
use interline_tests::web::Site;
use interline_tests::{App, file_checker, files, postgres};
use tokio::sync::watch;
use tokio::task::JoinSet;

use customer::Customer;
use desk::{Agent, Desk};
use evidence::{file_stories, logs, stories};

const CUSTOMERS: usize = 20;
const KILLS: usize = 20;
/// A speaker rests so long between two lines, milliseconds.
const PAUSE: (u64, u64) = (50, 400);
/// What was accepted must have arrived so long after the last kill.
const QUIET: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_file_is_lost_to_sigkill_on_sqlite() {
    send_through_kills("SQLite", None).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_file_is_lost_to_sigkill_on_postgresql() {
    let Some(database) = postgres::database("kill_files").await.unwrap() else { return };
    send_through_kills("PostgreSQL", Some(database.url.clone())).await.unwrap();
    database.remove().await.unwrap();
}

async fn send_through_kills(name: &str, database: Option<String>) -> Result<()> {
    let (seed, begin) = (Dice::seed(), Instant::now());
    println!("{name}: seed {seed}");
    let mut dice = Dice::new(seed);
    let scratch = Scratch::new("kill-files")?;
    let app = App::fresh();
    let (desk, botkit) = Desk::start(&app).await?;
    let setup = Setup { database, ..Setup::new(&scratch.path().join("data"), &app, &botkit.url) };
    let mut server = setup.start().await?;
    let mut operator = Operator::new(&server).await?;
    let site = Site { address: server.address(), app };
    let (stop, stopped) = watch::channel(false);

    let botkit = Arc::new(botkit);
    let customers = hand_over(&site, &botkit, &stopped, &mut dice).await?;
    let (mut tasks, mut agents) = (JoinSet::new(), JoinSet::new());
    for customer in customers {
        let agent = Agent::new(customer.no, &botkit, dice.split())?;
        tasks.spawn(customer.talk());
        agents.spawn(agent.talk(stopped.clone()));
    }
    let kills = kill_and_restart(&mut server, &mut dice, begin).await?;
    // Everybody finds the server again and says a last word.
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    stop.send(true)?;
    let agents = tokio::time::timeout(QUIET, agents.join_all()).await.context("the agents do not stop")?;
    let agents: BTreeMap<usize, Agent> = agents.into_iter().map(|agent| (agent.no, agent)).collect();
    let customers =
        tokio::time::timeout(QUIET, tasks.join_all()).await.context("the customers do not stop")?;
    let customers = customers.into_iter().collect::<Result<Vec<Customer>>>().context(server.log_end())?;
    until_quiet(&customers, &agents, &desk).await;
    let fetched = desk.fetched().await?;

    let verdict = judge(&stories(&customers, &agents, &desk, begin).await?, &kills);
    let logs = logs(&mut operator, scratch.path().join("data/files")).await?;
    let file_stories = file_stories(&customers, &agents, &desk, &fetched, logs).await?;
    let files = file_checker::judge(&file_stories);
    let count = |what: fn(&Customer) -> usize| customers.iter().map(what).sum::<usize>();
    let rows = [
        ("SIGKILLs", kills.len()),
        ("customers", CUSTOMERS),
        ("customers' lines acked", verdict.user_acked),
        ("agents' lines answered 2xx", verdict.agent_taken),
        ("lines without an answer that arrived", verdict.unknown_but_there),
        ("uploads acknowledged", files.stored),
        ("… gone on with after a cut", count(|customer| customer.resumed)),
        ("… whose last answer was lost, and given again", count(|customer| customer.told_again)),
        ("uploads given up", count(|customer| customer.given_up)),
        ("files that entries name", files.logged),
        ("files whose bytes were compared", files.compared),
        ("… MB", usize::try_from(files.bytes / 1024 / 1024)?),
        ("FAULTS", verdict.faults.len() + files.faults.len()),
    ];
    println!("| {name}, seed {seed} | |\n|---|--:|");
    rows.iter().for_each(|(what, count)| println!("| {what} | {count} |"));
    println!("| in all | {:.1?} |", begin.elapsed());
    ensure!(botkit.faults().is_empty(), "the protocol was broken: {:#?}", botkit.faults());
    ensure!(server.logged("panicked") == 0, "the server panicked:\n{}", server.log_end());
    let faults = [verdict.faults, files.faults].concat();
    ensure!(
        faults.is_empty(),
        "seed {seed}: {} faults: {:#?}",
        faults.len(),
        &faults[..faults.len().min(50)]
    );
    // A run in which nothing happened proves nothing.
    let (stored, resumed) = (files.stored, count(|customer| customer.resumed));
    ensure!(stored > 5 * CUSTOMERS && resumed > KILLS / 2, "too little was sent: {stored}, {resumed}");
    server.terminate(Duration::from_secs(20)).await?;
    Ok(())
}

async fn hand_over(
    site: &Site,
    botkit: &BotKit,
    stop: &watch::Receiver<bool>,
    dice: &mut Dice,
) -> Result<Vec<Customer>> {
    let mut customers = Vec::new();
    for no in 0..CUSTOMERS {
        let mut customer = Customer::new(no, site, stop, dice.split());
        customer.token = site.log_in(&format!("sender-{no}")).await?;
        customer.open(false).await?;
        let id = customer.fresh_id();
        let socket = customer.socket.as_mut().context("no socket")?;
        socket.tell(id, &format!("an agent for customer {no}")).await?;
        customers.push(customer);
    }
    let arrived = botkit.wait_for_sessions(CUSTOMERS, QUIET).await;
    arrived.with_context(|| format!("BotKit complains: {:?}", botkit.faults()))?;
    Ok(customers)
}

/// Mostly some time after it is ready again; every fourth time while it starts.
async fn kill_and_restart(server: &mut Server, dice: &mut Dice, begin: Instant) -> Result<Vec<(u64, u64)>> {
    let mut kills = Vec::new();
    for kill in 0..KILLS {
        if kill % 4 == 3 {
            tokio::time::sleep(Duration::from_millis(dice.between(0, 400))).await;
        } else {
            server.ready().await?;
            tokio::time::sleep(Duration::from_millis(dice.between(100, 1_500))).await;
        }
        let at = ms(begin.elapsed());
        server.kill().await?;
        kills.push((at, ms(begin.elapsed())));
        server.spawn()?;
    }
    server.ready().await?;
    Ok(kills)
}

/// Waits until all that was taken has arrived, or until it will not; and a little, for what should not arrive.
async fn until_quiet(customers: &[Customer], agents: &BTreeMap<usize, Agent>, desk: &Desk) {
    let begin = Instant::now();
    let taken = |line: &&Spoken| line.outcome == Outcome::Taken;
    while begin.elapsed() < QUIET {
        let seen: HashSet<String> = desk.seen.lock().unwrap().iter().map(|seen| words(&seen.text)).collect();
        let missing = customers.iter().any(|customer| {
            let drawn = customer.drawn.lock().unwrap();
            let drawn: HashSet<&str> = drawn.iter().map(|(drawn, _)| drawn.text.as_str()).collect();
            let last = agents[&customer.no].lines.iter().rfind(taken);
            customer.lines.iter().filter(taken).any(|line| !seen.contains(&line.text))
                || last.is_some_and(|line| !drawn.contains(line.text.as_str()))
        });
        if !missing {
            break;
        }
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
}

/// The words of a line, without the lines that stand for its files.
pub fn words(text: &str) -> String {
    text.lines().next().unwrap_or_default().to_owned()
}

/// Whose line it is: `u7-…`, `a7-…`.
pub fn number(words: &str) -> Option<usize> {
    words.get(1..)?.split('-').next()?.parse().ok()
}

/// Milliseconds.
pub fn ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// Mostly small; below two to the power of `most`.
pub fn some_text(dice: &mut Dice, most: u64) -> (Vec<u8>, usize) {
    let power = dice.between(8, most);
    let size = 1 + usize::try_from(dice.between(0, 1 << power)).unwrap();
    (files::text(dice, size), size)
}
