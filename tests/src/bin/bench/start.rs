//! A data directory of 100,000 conversations: how long until the server is ready, and how long a page of the list takes
//! over REST. The conversations are copies of one that the server made itself, written by the store.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use interline_store::{EntryRow, KeyRing, Loaded, Opening, StateWrite, Store, Unit};
use interline_tests::App;
use interline_tests::http::Http;
use interline_tests::postgres::{self, Database};
use interline_tests::scratch::Scratch;
use interline_tests::server::{Profile, Server, Setup, command};
use serde_json::{Value, json};

use crate::relay::app_file;

const CONVERSATIONS: usize = 100_000;
/// So many customers have them; the newest of every tenth customer is open.
const CUSTOMERS: usize = 20_000;
const TASKS: usize = 128;
const STARTS: usize = 5;
const PAGE: usize = 50;
const LISTED: usize = 10_000;

/// Both databases.
pub async fn measure() -> Result<String> {
    let mut text = format!(
        "A data directory of {CONVERSATIONS} conversations (release)\n\n| | start to ready, ms (best / median of {STARTS}) | {LISTED} listed by REST, pages of {PAGE}: p50 / p99 ms | the same, `owner=closed&channel=web` |\n|---|--:|--:|--:|\n"
    );
    text += &on("SQLite", None).await?;
    match postgres::database("start").await? {
        Some(database) => text += &on("PostgreSQL", Some(database)).await?,
        None => text += "| PostgreSQL | not measured | | |\n",
    }
    Ok(text)
}

async fn on(name: &str, database: Option<Database>) -> Result<String> {
    println!("{name}: {CONVERSATIONS} conversations are made …");
    let (scratch, app) = (Scratch::new("start")?, App::fresh());
    let data = scratch.path().join("data");
    let setup = Setup {
        profile: Profile::Release,
        database: database.as_ref().map(|own| own.url.clone()),
        app_file: app_file(scratch.path())?,
        flags: vec!["--log".into(), "warn".into()],
        ..Setup::new(&data, &app, "http://127.0.0.1:9")
    };
    let mut server = setup.start().await?;
    let key = key(&data, database.as_ref()).await?;
    let template = template(&server, &app, &key).await?;
    server.terminate(Duration::from_secs(30)).await?;
    fill(&data, database.as_ref(), &app, &template).await?;

    let mut starts = Vec::new();
    for _ in 0..STARTS {
        let begin = Instant::now();
        server.spawn()?;
        ready(&server).await?;
        starts.push(begin.elapsed());
        server.terminate(Duration::from_secs(30)).await?;
    }
    server.spawn()?;
    server.ready().await?;
    let all = list(&server, &app, &key, "").await?;
    let some = list(&server, &app, &key, "&owner=closed&channel=web").await?;
    server.terminate(Duration::from_secs(30)).await?;
    if let Some(database) = database {
        database.remove().await?;
    }
    starts.sort();
    Ok(format!(
        "| {name} | {:.0} / {:.0} | {} | {} |\n",
        ms(starts[0]),
        ms(starts[STARTS / 2]),
        both(all),
        both(some)
    ))
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

fn both(mut times: Vec<Duration>) -> String {
    times.sort();
    let at = |share: f64| ms(times[((times.len() - 1) as f64 * share) as usize]);
    format!("{:.1} / {:.1}", at(0.5), at(0.99))
}

/// As [`Server::ready`], but looking every millisecond.
async fn ready(server: &Server) -> Result<()> {
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_secs(60) {
        if Http::new(server.address()).get("/readyz", &[]).await.is_ok_and(|answer| answer.status == 200) {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    anyhow::bail!("not ready:\n{}", server.log_end())
}

async fn key(data: &Path, database: Option<&Database>) -> Result<String> {
    let mut make = command(Profile::Release);
    make.args(["key", "create", "--role", "admin", "--data"]).arg(data);
    if let Some(database) = database {
        make.args(["--database", &database.url]);
    }
    let made = make.stdout(std::process::Stdio::piped()).output().await?;
    Ok(format!("Bearer {}", String::from_utf8(made.stdout)?.trim()))
}

/// A conversation that the server made: said something, answered, closed.
async fn template(server: &Server, app: &App, key: &str) -> Result<String> {
    let mut http = Http::new(server.address());
    let path = format!("/v1/apps/{}/conversations", app.bot);
    let said = json!({ "channel": "web", "address": "template", "text": "Where is my parcel, please?" });
    let mut conversation = String::new();
    for _ in 0..4 {
        let answer = http.post(&path, &[("authorization", key)], &said).await?;
        ensure!(answer.status == 201, "{}: {}\n{}", answer.status, answer.text(), server.log_end());
        conversation = answer.json()["conversation"].as_str().context("an id")?.to_owned();
    }
    let ended =
        http.post(&format!("{path}/{conversation}/end"), &[("authorization", key)], &json!({})).await?;
    ensure!(ended.ok(), "end: {}: {}\n{}", ended.status, ended.text(), server.log_end());
    Ok(conversation)
}

/// What is copied.
struct Template {
    app: String,
    loaded: Loaded,
    entries: Vec<EntryRow>,
}

async fn fill(data: &Path, database: Option<&Database>, app: &App, conversation: &str) -> Result<()> {
    let keys = KeyRing::load_or_create(&data.join("keys"))?;
    let url = match database {
        Some(database) => database.url.clone(),
        None => format!("sqlite://{}", data.join("interline.db").display()),
    };
    let store = Store::open(interline_store::Settings { url, lanes: 0, keys }).await?;
    let loaded = store.load(&app.bot, conversation).await?.context("the template")?;
    let entries = store.entries_after(&app.bot, conversation, 0, 1_000).await?;
    let template = std::sync::Arc::new(Template { app: app.bot.clone(), loaded, entries });
    let mut tasks = tokio::task::JoinSet::new();
    for task in 0..TASKS {
        let (store, template) = (store.clone(), template.clone());
        tasks.spawn(async move {
            // A customer's conversations are made one after the other: the last one may stay open.
            for customer in (task..CUSTOMERS).step_by(TASKS) {
                let address = format!("person-{customer}@example.com");
                let made = store.customer(&template.app, "web", &address, 0, "{}").await?;
                let each = CONVERSATIONS / CUSTOMERS;
                for n in 0..each {
                    let open = n + 1 == each && customer % 10 == 0;
                    let order = i64::try_from(n * CUSTOMERS + customer)?;
                    store.commit(template.copy(&made.id, &address, order, open)?).await?;
                }
            }
            anyhow::Ok(())
        });
    }
    while let Some(done) = tasks.join_next().await {
        done??;
    }
    store.close().await;
    Ok(())
}

impl Template {
    fn copy(&self, customer: &str, address: &str, order: i64, open: bool) -> Result<Unit> {
        let id = format!("cnv_{}", uuid::Uuid::now_v7().simple());
        let mut state: Value = serde_json::from_str(&self.loaded.doc)?;
        state["id"] = id.as_str().into();
        state["customer"] = json!({ "id": customer, "channel": "web", "address": address });
        let owner = if open { "bot" } else { "closed" };
        state["owner"] = owner.into();
        let opened_at = self.loaded.opened_at - 100_000_000 + order * 1_000;
        Ok(Unit {
            app: self.app.as_str().into(),
            conversation: id.as_str().into(),
            inbox: None,
            state: Some(StateWrite {
                expected_version: 0,
                doc: state.to_string(),
                owner,
                epoch: 2,
                head: self.loaded.head,
                wake_at: None,
                closed_at: (!open).then_some(opened_at + 60_000),
                retain_until: None,
                opening: Some(Opening { customer: customer.into(), channel: "web".into(), opened_at }),
            }),
            entries: self.entries.clone(),
            // The customer's own row: what a BotKit that is not there has still to hear is another story.
            participants: self.loaded.participants.iter().filter(|row| row.no == 0).cloned().collect(),
            remote_ids: Vec::new(),
            files: Vec::new(),
            facts: None,
            tasks: Vec::new(),
            tags: Vec::new(),
        })
    }
}

/// The time of each page of the newest conversations.
async fn list(server: &Server, app: &App, key: &str, filter: &str) -> Result<Vec<Duration>> {
    let mut http = Http::new(server.address());
    let (mut times, mut cursor, mut seen) = (Vec::new(), String::new(), 0);
    while seen < LISTED {
        let path = format!("/v1/apps/{}/conversations?limit={PAGE}{filter}{cursor}", app.bot);
        let begin = Instant::now();
        let answer = http.get(&path, &[("authorization", key)]).await?;
        times.push(begin.elapsed());
        // A key may ask a hundred times a second.
        if answer.status == 429 {
            times.pop();
            tokio::time::sleep(Duration::from_millis(200)).await;
            continue;
        }
        ensure!(answer.status == 200, "{path}: {}: {}\n{}", answer.status, answer.text(), server.log_end());
        let page = answer.json();
        seen += page["items"].as_array().map_or(0, Vec::len);
        let Some(next) = page["next"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    ensure!(seen >= LISTED, "only {seen} were listed");
    Ok(times)
}
