//! Lines on their way through the interception while the server gets SIGKILL: customers talk to the bot, a BotKit holds
//! and releases every line of both sides, and the server dies ten times in between.
//!
//! Each line that was acked is answered by the bot exactly once ("You said: …"); one whose ack was lost at most once.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test: a wrong assumption ends it; the summary is its output"
)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use interline_tests::botkit::BotKit;
use interline_tests::dice::Dice;
use interline_tests::scratch::Scratch;
use interline_tests::server::Setup;
use interline_tests::web::{Hook, Site, Socket};
use interline_tests::{App, now_ms, postgres};
use tokio::sync::watch;
use tokio::task::JoinSet;

const CUSTOMERS: usize = 60;
const KILLS: usize = 10;
const PATIENCE: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn held_lines_survive_sigkill_on_sqlite() {
    ask_through_kills("SQLite", None).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn held_lines_survive_sigkill_on_postgresql() {
    let Some(database) = postgres::database("held").await.unwrap() else { return };
    ask_through_kills("PostgreSQL", Some(database.url.clone())).await.unwrap();
    database.remove().await.unwrap();
}

async fn ask_through_kills(name: &str, database: Option<String>) -> Result<()> {
    let seed = Dice::seed();
    let mut dice = Dice::new(seed);
    let scratch = Scratch::new("held")?;
    let app = App::fresh();
    let (botkit, _) = BotKit::keeping(&app).await?;
    let setup = Setup { database, ..Setup::new(&scratch.path().join("data"), &app, &botkit.url) };
    let mut server = setup.start().await?;
    let site = Site { address: server.address(), app };
    let (stop, stopped) = watch::channel(false);
    let mut tasks = JoinSet::new();
    for no in 0..CUSTOMERS {
        tasks.spawn(Customer::new(no, &site, dice.split()).talk(stopped.clone()));
    }
    for _ in 0..KILLS {
        server.ready().await?;
        tokio::time::sleep(Duration::from_millis(dice.between(300, 1_500))).await;
        server.kill().await?;
        server.spawn()?;
    }
    server.ready().await?;
    tokio::time::sleep(Duration::from_secs(1)).await;
    stop.send(true)?;
    let customers =
        tokio::time::timeout(PATIENCE, tasks.join_all()).await.context("the customers do not stop")?;
    let customers = customers.into_iter().collect::<Result<Vec<Customer>>>()?;

    let (mut acked, mut faults) = (0, Vec::new());
    for customer in &customers {
        acked += customer.acked.len();
        faults.extend(customer.judge().await?);
    }
    println!(
        "{name}, seed {seed}: {acked} lines acked by {CUSTOMERS} customers, {KILLS} SIGKILLs, {} faults",
        faults.len()
    );
    ensure!(faults.is_empty(), "seed {seed}: {faults:#?}");
    ensure!(acked > 3 * CUSTOMERS, "too little was said: {acked}");
    ensure!(botkit.faults().is_empty(), "the protocol was broken: {:#?}", botkit.faults());
    ensure!(server.logged("panicked") == 0, "the server panicked:\n{}", server.log_end());
    server.terminate(Duration::from_secs(20)).await?;
    Ok(())
}

struct Customer {
    no: usize,
    site: Site,
    dice: Dice,
    token: String,
    socket: Option<Socket>,
    acked: Vec<String>,
    unknown: Vec<String>,
}

impl Customer {
    fn new(no: usize, site: &Site, dice: Dice) -> Self {
        let (token, acked, unknown) = (String::new(), Vec::new(), Vec::new());
        Self { no, site: site.clone(), dice, token, socket: None, acked, unknown }
    }

    async fn talk(mut self, stop: watch::Receiver<bool>) -> Result<Self> {
        let begin = Instant::now();
        while !*stop.borrow() {
            tokio::time::sleep(Duration::from_millis(self.dice.between(20, 200))).await;
            if self.connect().await.is_err() {
                ensure!(begin.elapsed() < 4 * PATIENCE, "customer {} does not get in", self.no);
                continue;
            }
            let text = format!("line {} of {}", self.acked.len() + self.unknown.len(), self.no);
            let Some(socket) = self.socket.as_mut() else { continue };
            // A line whose ack was lost is not sent again here: it may be there once, or not at all.
            match socket.tell(now_ms(), &text).await {
                Ok(()) => self.acked.push(text),
                Err(_) => {
                    self.socket = None;
                    self.unknown.push(text);
                }
            }
        }
        Ok(self)
    }

    async fn connect(&mut self) -> Result<()> {
        if self.socket.as_ref().is_some_and(|socket| !socket.is_closed()) {
            return Ok(());
        }
        let again = !self.token.is_empty();
        if !again {
            self.token = self.site.log_in(&format!("asker-{}", self.no)).await?;
        }
        let hook: Hook = Arc::new(|_| {});
        self.socket = Some(self.site.open(&self.token, again, hook).await?);
        Ok(())
    }

    /// Waits until every acked line is answered, then counts.
    async fn judge(&self) -> Result<Vec<String>> {
        let begin = Instant::now();
        loop {
            let history = self.site.history(&self.token).await?;
            let count = |text: &str| {
                let answer = format!("You said: {text}");
                history.iter().filter(|past| past.text == answer).count()
            };
            let unanswered = self.acked.iter().filter(|text| count(text) == 0).count();
            if unanswered > 0 && begin.elapsed() < PATIENCE {
                tokio::time::sleep(Duration::from_millis(500)).await;
                continue;
            }
            let wrong = self.acked.iter().filter(|text| count(text) != 1);
            let doubled = self.unknown.iter().filter(|text| count(text) > 1);
            return Ok(wrong
                .chain(doubled)
                .map(|text| format!("`{text}`: {} answers", count(text)))
                .collect());
        }
    }
}
