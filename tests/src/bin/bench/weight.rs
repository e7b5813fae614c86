//! Server memory of a live transfer: the slope between two crowds on one server. What is there once, or grows to a size and
//! stays there (allocator, pools, caches, tables of the async runtime), is in both and counts in neither.

use std::fmt::Write as _;
use std::time::Duration;

use anyhow::{Context, Result};
use futures_util::future::try_join_all;
use interline_tests::office::Kind;
use interline_tests::postgres;
use interline_tests::scratch::Scratch;

use crate::agents::Scene;
use crate::table::met;

/// The aim of issue 5, in kB.
const AIM: f64 = 40.0;
/// The first crowd is this part of all.
const FIRST: usize = 5;
/// So many ask for a human, or say something, at a time: people come one after another, and what a rush leaves behind is no
/// transfer's.
const AT_ONCE: usize = 32;
/// Connections that nobody uses for 4 s are closed within 8 s.
const SETTLED: Duration = Duration::from_secs(10);

/// The table.
///
/// # Errors
/// Something did not work; with whose stand-in.
pub async fn measure(live: usize) -> Result<String> {
    let first = (live / FIRST).max(1);
    let mut text = format!(
        "Server memory of a live transfer (release, without TLS): RSS with {live} live, less that with {first}, for each of the \
         {} between; all customers are connected beforehand, and each said a line to the agent\n\n\
         | agent system | database | with {first} live | with {live} live | each | aim ≤ {AIM:.0} kB |\n\
         |---|---|--:|--:|--:|---|\n",
        live - first
    );
    for kind in Kind::all() {
        let (database, few, many) = crowds(kind, first, live).await.with_context(|| kind.id)?;
        let kb = (many as f64 - few as f64) / (live - first) as f64 / 1024.0;
        let mb = |bytes: u64| bytes as f64 / 1024.0 / 1024.0;
        writeln!(
            text,
            "| {} | {database} | {:.1} MB | {:.1} MB | {kb:.1} kB | {} |",
            kind.id,
            mb(few),
            mb(many),
            met(kb <= AIM)
        )?;
    }
    Ok(text)
}

/// The server's memory with each crowd. On PostgreSQL if there is one: the embedded database keeps pages of its file in
/// memory, up to 128 MB, which would count as transfers.
async fn crowds(kind: Kind, first: usize, live: usize) -> Result<(&'static str, u64, u64)> {
    let scratch = Scratch::new("weight")?;
    let database = postgres::database("weight").await?;
    let url = database.as_ref().map(|own| own.url.clone());
    let mut scene = Scene::open(kind, scratch.path(), url, live).await?;
    let mut weights = [0; 2];
    for (weight, whom) in weights.iter_mut().zip([0..first, first..live]) {
        let all = whom.end;
        scene.hand_over(whom, AT_ONCE).await?;
        // Of all that are live: a conversation that nobody uses is not kept in memory.
        for some in scene.tabs[..all].chunks_mut(AT_ONCE) {
            try_join_all(some.iter_mut().map(|tab| tab.ask("a line of an ordinary length"))).await?;
        }
        tokio::time::sleep(SETTLED).await;
        *weight = scene.server.memory();
    }
    scene.close().await?;
    let name = if database.is_some() { "PostgreSQL" } else { "SQLite" };
    if let Some(database) = database {
        database.remove().await?;
    }
    let [few, many] = weights;
    Ok((name, few, many))
}
