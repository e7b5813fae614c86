//! `interline key`: keys of the API. They are made and withdrawn in the store itself, so that the first one needs none,
//! and a server may run meanwhile.

use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};
use interline_core::AppId;
use interline_engine::{KeyRole, KeyRow, create_key};
use interline_store::Store;
use jiff::{SignedDuration, Timestamp};

use crate::data;
use crate::outcome::Outcome;
use crate::settings::StoreFlags;

/// So many keys are read at a time.
const PAGE: i64 = 200;

/// What to do with keys.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Makes a key, and prints its token: the only time that it is shown.
    Create(Create),
    /// Lists the keys, without their tokens.
    List(List),
    /// Withdraws a key: it does not count from now on.
    Revoke(Revoke),
}

/// Flags of `key create`.
#[derive(Debug, Args)]
pub struct Create {
    /// What it may do: read, operate (also act on conversations), or admin (also change apps and keys, and see secrets).
    #[arg(long)]
    role: KeyRole,
    /// The one app that it is for [default: all apps].
    #[arg(long, value_name = "ST-…")]
    app: Option<String>,
    /// Who or what it is for; it stands in timelines.
    #[arg(long, default_value = "command line")]
    name: String,
    /// It counts for so many days [default: until it is revoked].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=36_500))]
    expires_days: Option<u32>,
    #[command(flatten)]
    store: StoreFlags,
}

/// Flags of `key list`.
#[derive(Debug, Args)]
pub struct List {
    /// The keys of this app [default: those for all apps].
    #[arg(long, value_name = "ST-…")]
    app: Option<String>,
    #[command(flatten)]
    store: StoreFlags,
}

/// Flags of `key revoke`.
#[derive(Debug, Args)]
pub struct Revoke {
    /// The key's id: the part after `ilk_`.
    id: String,
    #[command(flatten)]
    store: StoreFlags,
}

/// Does it.
///
/// # Errors
/// When the store cannot be opened, or there is no such app or key.
pub async fn run(command: Command) -> Result<Outcome> {
    match command {
        Command::Create(create) => self::create(create).await,
        Command::List(list) => self::list(list).await,
        Command::Revoke(revoke) => self::revoke(revoke).await,
    }
}

async fn create(flags: Create) -> Result<Outcome> {
    let name = flags.name.trim();
    let plain = !name.is_empty() && name.len() <= 100 && !name.contains(char::is_control);
    anyhow::ensure!(plain, "--name must have 1 to 100 bytes without control characters");
    let settings = flags.store.load()?;
    let opened = data::open_beside(&settings).await?;
    let made = made(&opened.store, &flags, name).await;
    opened.store.close().await;
    made
}

async fn made(store: &Store, flags: &Create, name: &str) -> Result<Outcome> {
    let app = flags.app.as_deref().map(AppId::from);
    if let Some(app) = &app
        && store.current_app(app.as_str()).await?.is_none()
    {
        let known: Vec<String> = store.apps().await?.into_iter().map(|(id, _)| id).collect();
        bail!(
            "there is no app {app}; there is {}",
            if known.is_empty() { "none".into() } else { known.join(", ") }
        );
    }
    let now = Timestamp::now();
    let expires = flags.expires_days.map(|days| now + SignedDuration::from_hours(24 * i64::from(days)));
    let expires_at = expires.map(Timestamp::as_millisecond);
    let new = create_key(store, app.as_ref(), flags.role, name, now.as_millisecond(), expires_at).await?;
    let whose = app.map_or("all apps".into(), |app| app.to_string());
    let until = expires.map_or("until it is revoked".into(), |at| format!("until {at:.0}"));
    Ok(Outcome {
        answer: format!("{}\n", new.token),
        note: format!(
            "key {} ({}) for {whose}, {until}. Keep the token: it is shown this one time. Commands take it from INTERLINE_KEY.\n",
            new.row.id, flags.role
        ),
        code: 0,
    })
}

async fn list(flags: List) -> Result<Outcome> {
    let opened = data::open_beside(&flags.store.load()?).await?;
    let listed = listed(&opened.store, flags.app.as_deref().unwrap_or_default()).await;
    opened.store.close().await;
    listed
}

async fn listed(store: &Store, app: &str) -> Result<Outcome> {
    let now = Timestamp::now().as_millisecond();
    let (mut lines, mut after) = (String::new(), None);
    loop {
        let page = store.keys(app, after.as_deref(), PAGE).await?;
        page.iter().for_each(|key| lines.push_str(&line(key, now)));
        let Some(last) = page.last() else { break };
        after = Some(last.id.clone());
    }
    let note = if lines.is_empty() { "there are none\n" } else { "" };
    Ok(Outcome { note: note.to_owned(), ..Outcome::answer(lines) })
}

fn line(key: &KeyRow, now: i64) -> String {
    let day =
        |ms: i64| Timestamp::from_millisecond(ms).map_or_else(|_| ms.to_string(), |at| format!("{at:.0}"));
    let state = match (key.revoked_at, key.expires_at) {
        (Some(at), _) => format!("revoked {}", day(at)),
        (None, Some(at)) if at <= now => format!("expired {}", day(at)),
        (None, Some(at)) => format!("until {}", day(at)),
        (None, None) => "counts".to_owned(),
    };
    format!("{}  {:<7}  made {}  {state}  {}\n", key.id, key.role, day(key.created_at), key.name)
}

async fn revoke(flags: Revoke) -> Result<Outcome> {
    let opened = data::open_beside(&flags.store.load()?).await?;
    let revoked = revoked(&opened.store, &flags.id).await;
    opened.store.close().await;
    revoked
}

async fn revoked(store: &Store, id: &str) -> Result<Outcome> {
    // Whoever pastes the whole token means its id. The secret part is not shown again.
    let id = id.strip_prefix("ilk_").unwrap_or(id);
    let id = id.split_once('_').map_or(id, |(id, _)| id);
    let key = store.key(id).await?.with_context(|| format!("there is no key {id}"))?;
    let now = Timestamp::now().as_millisecond();
    if !store.revoke_key(&key.app, id, now).await? {
        return Ok(Outcome::answer(format!("key {id} was revoked before\n")));
    }
    Ok(Outcome::answer(format!("key {id} ({}) is revoked\n", key.name)))
}
