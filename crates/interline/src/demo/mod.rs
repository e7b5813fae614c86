//! `interline demo`: a sample app, stand-ins for the agent systems, and a page to try it, on loopback ports.
//!
//! ```text
//!   /                   both sides beside each other
//!   /demo/              a shop with the chat; its visitor chooses the agent system
//!   /_sim/botkit/       the agent's page of the BotKit stand-in, the one to begin with
//!   the next ports      the other vendors' stand-ins, each with the paths of its real host
//! ```

mod desks;
mod examples;
mod voice;

use std::io::IsTerminal;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::Result;
use axum::extract::State;
use axum::http::{HeaderName, header};
use axum::response::{Html, IntoResponse};
use axum::routing::{get, post};
use axum::{Form, Json, Router};
use clap::Args;
use interline_agents::botkit::simulator::{Behaviour, Settings as BotKitSettings, Simulator};
use interline_connector::simulator::Tenant;
use interline_connector::{Algorithm, Credential};
use interline_engine::config::Document;
use interline_engine::{KeyRole, create_key};
use interline_store::Store;
use serde::Deserialize;
use serde_json::json;
use url::Url;
use uuid::Uuid;

use crate::app_file::AppFile;
use crate::logs;
use crate::node::Node;
use crate::remote::write_private;
use crate::settings::Settings;

const APP: &str = include_str!("app.yaml");
const PAGE: &str = include_str!("index.html");
const CLIENT_ID: &str = "cs-00000000-0000-5000-8000-00000000de30";

/// Where a demo is found that was told nothing else.
const PORT: u16 = 8080;

/// Flags of `demo`.
#[derive(Debug, Args)]
pub struct Flags {
    /// The port on 127.0.0.1; 0 takes a free one.
    #[arg(long, default_value_t = PORT)]
    port: u16,
    /// Without telephones.
    #[arg(long)]
    no_voice: bool,
    /// Where the demo keeps its data.
    #[arg(long, value_name = "DIR", default_value = ".demo")]
    data: PathBuf,
    /// `postgres://…` instead of the embedded database.
    #[arg(long, value_name = "URL")]
    database: Option<String>,
    /// What to log.
    #[arg(long, value_name = "FILTER", default_value = "warn")]
    log: String,
}

/// Runs the demo until it is stopped.
///
/// # Errors
/// When it cannot start.
pub async fn run(flags: Flags) -> Result<()> {
    logs::start(&flags.log, None)?;
    let settings = Settings {
        listen: SocketAddr::from(([127, 0, 0, 1], flags.port)),
        data: flags.data.clone(),
        database: flags.database,
        ..Settings::default()
    };
    let node = Node::open(&settings).await?;
    let secret = secret(&flags.data)?;
    let key = key(&node.store, &flags.data).await?;
    let base = node.public_url.as_str().trim_end_matches('/').to_owned();
    let bot_id = format!("st-{}", Uuid::new_v5(&Uuid::NAMESPACE_URL, b"interline demo"));
    let file = AppFile::parse("the demo's app", APP, |name| match name {
        "BOT_ID" => Some(bot_id.clone()),
        "CLIENT_ID" => Some(CLIENT_ID.to_owned()),
        "CLIENT_SECRET" => Some(secret.clone()),
        "BOTKIT_URL" => Some(base.clone()),
        _ => None,
    })?;
    let mut document = file.document;
    examples::add(&mut document, &base)?;
    let credential = Credential {
        client_id: CLIENT_ID.to_owned(),
        client_secret: secret.clone().into(),
        algorithm: Algorithm::HS256,
    };
    let tenant = Tenant { app: bot_id.as_str().into(), credential: credential.clone() };
    let desks = desks::open(&node, &tenant, flags.port).await?;
    node.apply(with_agents(document, &desks)?).await?;
    let phones = if flags.no_voice {
        None
    } else {
        let phones = voice::Phones::new(&flags.data, sip_port(flags.port))?;
        node.apply(phones.app()?.document).await?;
        Some(phones)
    };
    let botkit = botkit(&bot_id, &secret);
    let more = |routes: Router| {
        let pages = pages(Login { credential, bot_id: bot_id.clone() });
        routes
            .merge(pages)
            .merge(desks.routes(tenant.app.clone()))
            .merge(botkit.router())
            .merge(interline_channels::web::demo_page())
            .merge(examples::router())
    };
    let told = desks.clone();
    node.run(more, |engine| {
        told.enter_webhooks(engine, &tenant.app);
        announce(&base, &key, &told);
        if let Some(phones) = phones {
            announce_calls(phones);
        }
        announce_facts(&base, &bot_id, &secret, &key, &told);
    })
    .await
}

/// The well-known port of SIP for the usual demo. One on a port of its own may not be the only one here.
fn sip_port(http: u16) -> u16 {
    if http == PORT { 5060 } else { 0 }
}

/// BotKit's stand-in, on our own port: its paths are none of ours.
fn botkit(bot_id: &str, secret: &str) -> Simulator {
    let botkit = Simulator::new(BotKitSettings {
        app_id: bot_id.to_owned(),
        client_id: CLIENT_ID.to_owned(),
        client_secret: secret.to_owned(),
        algorithm: Algorithm::HS256,
        prefix: String::new(),
    });
    // It lives in this process: after a restart the conversations go on, and it meets them as strangers.
    botkit.set_behaviour(Behaviour { adopt_strangers: true, ..Behaviour::default() });
    botkit
}

/// The demo's app with an agent system for each stand-in.
fn with_agents(document: Document, desks: &desks::Desks) -> Result<Document> {
    let mut app = document.to_json();
    for (name, settings) in desks.settings() {
        app["agents"][name] = settings;
    }
    Document::from_json(app).map_err(|invalid| anyhow::anyhow!("{invalid}"))
}

#[allow(clippy::print_stdout, reason = "the demo tells a person what to open")]
fn announce(base: &str, key: &str, desks: &desks::Desks) {
    println!("Interline is running. Open these, ask for a human, and play the agent:\n");
    println!("  both sides: {base}/");
    println!("  web chat:   {base}/demo/");
    println!("  agent page: {base}/_sim/botkit/");
    println!("  status:     {base}/status\n");
    println!("The shop has a choice of agent systems. Their agent pages:\n");
    let widest = desks.list().iter().map(|desk| desk.title.len()).max().unwrap_or_default();
    for desk in desks.list() {
        println!("  {:<widest$}  {}", desk.title, desk.page);
    }
    println!("\nIn the chat, these words lead into example flows: {}\n", examples::words());
    println!("The key of the API and of the status page (admin): {key}\n");
}

/// Somebody calls by itself, once; a person with a softphone may call as well.
#[allow(clippy::print_stdout, reason = "the demo tells a person what to call")]
fn announce_calls(phones: voice::Phones) {
    println!("Call {} with any softphone (1: a human, 2: opening hours).", phones.uri());
    println!(
        "A caller and an agent of ours do so now; in half a minute, listen to what both heard and said:\n"
    );
    println!("  {0}/caller.wav\n  {0}/agent.wav\n", phones.folder().display());
    tokio::spawn(async move {
        if let Err(error) = phones.try_out().await {
            tracing::warn!(%error, "the demo's call did not come about");
        }
    });
}

/// The same for a program that started the demo: one line of JSON. A person at a terminal has no use for it.
#[allow(clippy::print_stdout, reason = "a program reads it")]
fn announce_facts(base: &str, bot_id: &str, secret: &str, key: &str, desks: &desks::Desks) {
    if std::io::stdout().is_terminal() {
        return;
    }
    let facts = json!({
        "base": base,
        "app": bot_id,
        "client_id": CLIENT_ID,
        "client_secret": secret,
        "agent_page": format!("{base}/_sim/botkit/"),
        "desks": desks.list(),
        "status_page": format!("{base}/status"),
        "key": key,
    });
    println!("demo {facts}");
}

/// The demo's client secret: made once per data directory, so that a restart finds its clients again.
fn secret(data: &Path) -> Result<String> {
    let path = data.join("demo-secret");
    if let Ok(secret) = std::fs::read_to_string(&path) {
        return Ok(secret.trim().to_owned());
    }
    let secret = format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple());
    write_private(&path, &secret)?;
    Ok(secret)
}

/// The demo's key of the API: made once per data directory. One that the store does not know any more is made anew.
async fn key(store: &Store, data: &Path) -> Result<String> {
    let path = data.join("demo-key");
    if let Ok(token) = std::fs::read_to_string(&path) {
        let token = token.trim();
        let id = token.strip_prefix("ilk_").and_then(|rest| rest.split_once('_')).map_or("", |(id, _)| id);
        if store.key(id).await?.is_some_and(|key| key.revoked_at.is_none()) {
            return Ok(token.to_owned());
        }
    }
    let now = jiff::Timestamp::now().as_millisecond();
    let new = create_key(store, None, KeyRole::Admin, "demo", now, None).await?;
    write_private(&path, &new.token)?;
    Ok(new.token)
}

#[derive(Clone)]
struct Login {
    credential: Credential,
    bot_id: String,
}

fn pages(login: Login) -> Router {
    // The agent pages of the other stand-ins are on ports of their own.
    let policy =
        "default-src 'none'; style-src 'unsafe-inline'; frame-src 'self' http://127.0.0.1:*; base-uri 'none'";
    let headers: [(HeaderName, &str); 2] =
        [(header::CONTENT_SECURITY_POLICY, policy), (header::X_CONTENT_TYPE_OPTIONS, "nosniff")];
    Router::new()
        .route("/", get(move || async move { (headers, Html(PAGE)) }))
        .route("/demo/jwt", post(jwt))
        .with_state(login)
}

#[derive(Deserialize)]
struct Who {
    identity: String,
}

/// Plays the customer's own login service: whoever says a name gets a token for it. That is what makes it a demo.
async fn jwt(State(login): State<Login>, Form(who): Form<Who>) -> impl IntoResponse {
    let now = jiff::Timestamp::now().as_second();
    let claims = json!({
        "iss": login.credential.client_id,
        "sub": who.identity,
        "aud": Url::parse("https://idproxy.kore.ai/authorize").map(String::from).unwrap_or_default(),
        "iat": now,
        "exp": now + 3600,
    });
    match login.credential.sign(&claims) {
        Ok(jwt) => Json(json!({ "jwt": jwt, "botInfo": { "name": "Interline demo", "_id": login.bot_id } })),
        Err(error) => Json(json!({ "errors": [{ "msg": error.to_string(), "code": 500 }] })),
    }
}
