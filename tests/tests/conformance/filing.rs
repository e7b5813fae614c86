//! Files, both ways.

use anyhow::{Context, Result, bail, ensure};
use interline_connector::formats;
use interline_connector::simulator::Chat;
use interline_tests::dice::Dice;
use interline_tests::files::{Attached, Tus, download, sha256, text};
use serde_json::{Value, json};

use crate::world::{World, set};
use interline_tests::office::Kind;

/// A picture of one dot.
const PNG: &[u8] = &[
    0x89, b'P', b'N', b'G', 0x0d, 0x0a, 0x1a, 0x0a, 0, 0, 0, 13, b'I', b'H', b'D', b'R', 0, 0, 0, 1, 0, 0, 0,
    1, 8, 6, 0, 0, 0, 0x1f, 0x15, 0xc4, 0x89, 0, 0, 0, 13, b'I', b'D', b'A', b'T', 0x78, 0x9c, 0x63, 0xf8,
    0xcf, 0xc0, 0xf0, 0x1f, 0, 5, 0, 1, 0xff, 0x56, 0xc7, 0x2f, 0x0d, 0, 0, 0, 0, b'I', b'E', b'N', b'D',
    0xae, 0x42, 0x60, 0x82,
];

/// A file that this vendor takes.
fn taken(kind: Kind) -> Result<(&'static str, Vec<u8>)> {
    let takes = kind.connector.manifest().takes.files.context("it takes no files")?;
    let known = [("notes.txt", text(&mut Dice::new(7), 5_000)), ("dot.png", PNG.to_vec())];
    let fits = |name: &str| formats::extension(name).is_some_and(|it| takes.formats.contains(&it.as_str()));
    known.into_iter().find(|(name, _)| fits(name)).context("none of the files of this test")
}

pub async fn files_to_agent(kind: Kind) -> Result<()> {
    let mut world = World::open(kind).await?;
    let (name, bytes) = taken(kind)?;
    let (mut customer, chat) = world.talking().await?;
    let file = Tus::new(world.server.address(), &customer.token).send(name, &bytes).await?;
    customer.send_files("here it is", &[file]).await?;
    let hash = sha256(&bytes);
    let arrived = |chat: &Chat| {
        let files: Vec<_> = chat.lines.iter().flat_map(|line| &line.files).collect();
        files.iter().any(|file| file.sha256.as_deref() == Some(&hash)).then_some(files.len())
    };
    let count = world.desk().until("the file, byte for byte", &chat, arrived).await?;
    ensure!(count == 1, "{count} files arrived");
    world.desk().sees(&chat, "here it is").await?;
    customer.say("did it arrive?").await?;
    world.desk().sees(&chat, "did it arrive?").await?;
    world.close().await
}

pub async fn files_to_customer(kind: Kind) -> Result<()> {
    let mut world = World::open(kind).await?;
    let (name, bytes) = taken(kind)?;
    let (customer, chat) = world.talking().await?;
    let id = world.desk().office.shelve(name, &bytes).await?;
    world.desk().acts(&chat, "say", json!({ "text": "your papers", "files": [id] })).await?;
    let attached = |raw: &Value| Attached::all(&raw["attachments"]).ok()?.into_iter().next();
    let file =
        customer.until("a file", |this| this.came().iter().find_map(|came| attached(&came.raw))).await?;
    ensure!(file.bytes == bytes.len() as u64, "{file:?}");
    let answer = download(world.server.address(), &file.url).await?;
    ensure!(answer.status == 200 && sha256(&answer.body) == sha256(&bytes), "other bytes: {}", answer.status);
    customer.sees("your papers").await?;
    world.desk().says(&chat, "did it arrive?").await?;
    customer.sees("did it arrive?").await?;
    world.close().await
}

/// A file that the app takes and this vendor does not: of a format of its own, or too large.
fn not_taken(kind: Kind) -> Result<(&'static str, Vec<u8>)> {
    let Some(takes) = kind.connector.manifest().takes.files else {
        return Ok(("notes.txt", text(&mut Dice::new(7), 5_000)));
    };
    let known = [
        ("notes.txt", text(&mut Dice::new(7), 5_000)),
        ("dot.png", PNG.to_vec()),
        ("page.html", b"<!doctype html><title>x</title><p>hello</p>".to_vec()),
        ("data.xml", b"<?xml version=\"1.0\"?><a>1</a>".to_vec()),
    ];
    let fits = |name: &str| formats::extension(name).is_some_and(|it| takes.formats.contains(&it.as_str()));
    if let Some((name, bytes)) = known.into_iter().find(|(name, _)| !fits(name)) {
        return Ok((name, bytes));
    }
    let size = usize::try_from(takes.max_bytes)? + 1;
    if size > 64 * 1024 * 1024 {
        bail!("this vendor takes everything");
    }
    Ok(("notes.txt", text(&mut Dice::new(7), size)))
}

pub async fn files_refused(kind: Kind) -> Result<()> {
    let (name, bytes) = not_taken(kind)?;
    let more = bytes.len() + 1;
    let mut world =
        World::with(kind, |app| set(app, "/files", json!({ "max_bytes": more.max(26_214_400) }))).await?;
    let (mut customer, chat) = world.talking().await?;
    let file = Tus::new(world.server.address(), &customer.token).send(name, &bytes).await?;
    customer.send_files("here it is", &[file]).await?;
    let link = |chat: &Chat| {
        let line = chat.lines.iter().find(|line| line.text.contains(name) && line.text.contains("/f/"))?;
        let from = line.text.find("http")?;
        Some(line.text[from..].split_whitespace().next()?.to_owned())
    };
    let link = world.desk().until("a link in words", &chat, link).await?;
    let files: usize = world.desk().chat(&chat)?.lines.iter().map(|line| line.files.len()).sum();
    ensure!(files == 0, "it went as a file too");
    let answer = download(world.server.address(), link.trim_end_matches(['.', ',', ')'])).await?;
    ensure!(answer.status == 200 && sha256(&answer.body) == sha256(&bytes), "{link}: {}", answer.status);
    customer.say("did it arrive?").await?;
    world.desk().sees(&chat, "did it arrive?").await?;
    world.close().await
}
