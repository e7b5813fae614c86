//! The server with the connector under test, its stand-in and an operator.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use interline_connector::simulator::StandIn;
use interline_tests::App;
use interline_tests::document;
use interline_tests::office::{Kind, Office};
use interline_tests::operator::Operator;
use interline_tests::postgres::{self, Database};
use interline_tests::scratch::Scratch;
use interline_tests::server::{Server, Setup};
use interline_tests::web::Site;
use serde_json::{Value, json};

use crate::customer::Customer;
use crate::desk::Desk;

/// What is to happen happens within this time, on a busy machine too.
pub const SOON: Duration = Duration::from_secs(30);

/// The world of one test.
pub struct World {
    /// The server.
    pub server: Server,
    /// The agent systems in the order of the ladder.
    pub desks: Vec<Desk>,
    /// Reads and does what operators can.
    pub operator: Operator,
    app: App,
    database: Option<Database>,
    _scratch: Scratch,
}

impl World {
    /// With one agent system, and the app's file as it is.
    pub async fn open(kind: Kind) -> Result<Self> {
        Self::with(kind, |_| {}).await
    }

    /// With the app's file changed.
    pub async fn with(kind: Kind, change: impl FnOnce(&mut Value)) -> Result<Self> {
        Self::of(&[(kind, "desk")], change).await
    }

    /// With several agent systems: their kinds and names, the default first, the others its ladder.
    pub async fn of(kinds: &[(Kind, &str)], change: impl FnOnce(&mut Value)) -> Result<Self> {
        let (scratch, app) = (Scratch::new("conformance")?, App::fresh());
        let mut desks = Vec::new();
        for (kind, name) in kinds {
            desks.push(Desk::of(Office::open(*kind, &app, name).await?));
        }
        let agents: Vec<_> = desks.iter().map(|desk| desk.office.settings()).collect();
        let mut document = document::document(&app, &agents);
        change(&mut document);
        let app_file = scratch.path().join("app.yaml");
        std::fs::write(&app_file, document.to_string())?;
        let database = match crate::is_on_postgresql() {
            true => match postgres::database("conformance").await? {
                Some(database) => Some(database),
                None => bail!(Skipped),
            },
            false => None,
        };
        let url = database.as_ref().map(|database| database.url.clone());
        let setup = Setup { app_file, database: url, ..Setup::new(&scratch.path().join("data"), &app, "") };
        let server = setup.start().await?;
        let mut operator = Operator::new(&server).await?;
        for desk in &desks {
            desk.office.enter_webhook(&mut operator).await?;
        }
        Ok(Self { server, desks, operator, app, database, _scratch: scratch })
    }

    /// The agents of the first agent system.
    pub fn desk(&self) -> &Desk {
        &self.desks[0]
    }

    /// The first agent system.
    pub fn stand_in(&self) -> &dyn StandIn {
        &*self.desk().office.stand_in
    }

    /// Where customers come.
    pub fn site(&self) -> Site {
        Site { address: self.server.address(), app: self.app.clone() }
    }

    /// Somebody opens the chat.
    pub async fn customer(&self, name: &str) -> Result<Customer> {
        Customer::open(self.site(), name).await
    }

    /// Somebody asks for a human, who waits for them now, or talks already where agents need not accept.
    pub async fn asks(&self, customer: &mut Customer) -> Result<String> {
        customer.say("a human please").await?;
        self.desk().next_chat().await
    }

    /// A customer who talks to an agent; gives the chat's id at the desk.
    pub async fn talking(&mut self) -> Result<(Customer, String)> {
        let mut customer = self.customer("ann").await?;
        let chat = self.hand_over(&mut customer).await?;
        Ok((customer, chat))
    }

    /// Somebody is handed over, and an agent takes it.
    pub async fn hand_over(&mut self, customer: &mut Customer) -> Result<String> {
        let chat = self.asks(customer).await?;
        self.desk().accepts(&chat).await?;
        self.until_stage(customer, "talking").await?;
        Ok(chat)
    }

    /// The server is gone, and there again.
    pub async fn kill(&mut self) -> Result<()> {
        self.server.kill().await?;
        self.server.spawn()?;
        self.server.ready().await
    }

    // ── what the operator sees ───────────────────────────────────────────────────────────────────────────────────

    /// Somebody's conversation.
    pub async fn conversation(&mut self, customer: &Customer) -> Result<Value> {
        let path = format!("/conversations?address={}&limit=1", customer.name);
        let listed = self.operator.call("GET", &path).await?.json();
        let id = listed["items"][0]["id"].as_str().context("no conversation")?;
        Ok(self.operator.call("GET", &format!("/conversations/{id}")).await?.json())
    }

    /// The log of somebody's conversation.
    pub async fn timeline(&mut self, customer: &Customer) -> Result<Vec<Value>> {
        let conversation = self.conversation(customer).await?;
        let id = conversation["id"].as_str().context("no id")?;
        self.operator.list(&format!("/conversations/{id}/timeline?limit=200")).await
    }

    /// Waits until a conversation stands so.
    pub async fn until<T>(
        &mut self,
        what: &str,
        customer: &Customer,
        so: impl Fn(&Value) -> Option<T>,
    ) -> Result<T> {
        let begin = Instant::now();
        loop {
            let conversation = self.conversation(customer).await?;
            if let Some(found) = so(&conversation) {
                return Ok(found);
            }
            if begin.elapsed() > SOON {
                bail!("{what}: it did not happen; {conversation}\n{}", self.story(customer).await);
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
    }

    /// Waits until the human part stands there.
    pub async fn until_stage(&mut self, customer: &Customer, stage: &str) -> Result<()> {
        let so = |conversation: &Value| (conversation["transfer"]["stage"] == stage).then_some(());
        self.until(stage, customer, so).await
    }

    /// Waits until the bot has the conversation.
    pub async fn until_bot(&mut self, customer: &Customer) -> Result<()> {
        let so = |conversation: &Value| (conversation["owner"] == "bot").then_some(());
        self.until("the bot is back", customer, so).await
    }

    /// Waits for an entry of the log.
    pub async fn until_entry(
        &mut self,
        what: &str,
        customer: &Customer,
        so: impl Fn(&Value) -> bool,
    ) -> Result<Value> {
        let begin = Instant::now();
        loop {
            if let Some(entry) = self.timeline(customer).await?.into_iter().find(&so) {
                return Ok(entry);
            }
            if begin.elapsed() > SOON {
                bail!("{what}: no such entry\n{}", self.story(customer).await);
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
    }

    /// Why the newest try that failed did.
    pub async fn reason(&mut self, customer: &Customer) -> Result<String> {
        let failed = |entry: &Value| entry["kind"] == "rung_failed";
        let entry = self.until_entry("a try failed", customer, failed).await?;
        Ok(entry["failure"]["reason"].as_str().unwrap_or_default().to_owned())
    }

    /// How the newest human part ended.
    pub async fn outcome(&mut self, customer: &Customer) -> Result<String> {
        let ended = |entry: &Value| entry["kind"] == "transfer_ended";
        self.until_entry("the human part ended", customer, ended).await?;
        let last = self.timeline(customer).await?.into_iter().rev().find(ended);
        Ok(last.context("an end")?["outcome"]["end"].as_str().unwrap_or_default().to_owned())
    }

    /// What an operator does to a live human part.
    pub async fn operate(&mut self, customer: &Customer, act: &str) -> Result<()> {
        let conversation = self.conversation(customer).await?;
        let (id, no) = (&conversation["id"], &conversation["transfer"]["no"]);
        let id = id.as_str().context("no id")?;
        let answer = self.operator.call("POST", &format!("/conversations/{id}/transfers/{no}/{act}")).await?;
        ensure!(answer.ok(), "{act}: {} {}", answer.status, answer.text());
        Ok(())
    }

    /// Everything about a failure that a person wants to see.
    pub async fn story(&mut self, customer: &Customer) -> String {
        let entry = |entry: Value| {
            let mut short = entry.clone();
            for field in ["at", "epoch", "client_id", "release_of"] {
                short.as_object_mut().map(|short| short.remove(field));
            }
            short.to_string()
        };
        let timeline: Vec<String> =
            self.timeline(customer).await.unwrap_or_default().into_iter().map(entry).collect();
        let mut story = format!("the log:\n  {}\n", timeline.join("\n  "));
        story += &format!("the customer saw: {:#?}\n", customer.lines());
        for desk in &self.desks {
            story += &format!("{} saw:\n{}", desk.office.name, desk.story());
        }
        story + &format!("the server says:\n{}", self.server.log_end())
    }

    /// The end of a good test: nothing panicked, nothing secret in the log.
    pub async fn close(mut self) -> Result<()> {
        ensure!(self.server.logged("panicked") == 0, "the server panicked:\n{}", self.server.log_end());
        ensure!(self.server.logged(&self.app.secret) == 0, "a secret is in the log");
        self.server.terminate(SOON).await?;
        if let Some(database) = self.database.take() {
            database.remove().await?;
        }
        Ok(())
    }
}

/// A value of the app's file at a JSON pointer.
pub fn set(document: &mut Value, pointer: &str, value: Value) {
    let (parent, name) = pointer.rsplit_once('/').unwrap_or(("", pointer));
    match document.pointer_mut(parent) {
        Some(parent) => parent[name] = value,
        None => set(document, parent, json!({ name: value })),
    }
}

/// There is no PostgreSQL here.
#[derive(Debug)]
pub struct Skipped;

impl std::fmt::Display for Skipped {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("skipped")
    }
}

impl std::error::Error for Skipped {}
