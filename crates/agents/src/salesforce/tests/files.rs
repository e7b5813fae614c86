//! Files both ways, and links where a file does not go.

use async_trait::async_trait;
use bytes::Bytes;
use interline_connector::files::{FileRefused, FileStream, Interrupted, Source, Stored};
use interline_connector::simulator::{AgentFile, By};
use interline_connector::{Carried, Failure};
use interline_core::{AppId, File};

use super::*;

/// `printf hello | sha256sum`.
const HELLO: &str = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";

/// A store in which every file says hello.
struct Hello;

#[async_trait]
impl Stored for Hello {
    async fn read(&self, _: &AppId, _: &File) -> Result<FileStream, Interrupted> {
        let pieces = ["he", "llo"].map(|piece| Ok(Bytes::from_static(piece.as_bytes())));
        Ok(Box::pin(futures_util::stream::iter(pieces)))
    }
}

fn carried(name: &str, fits: bool) -> Carried {
    let file = File {
        id: "fil_1".into(),
        name: name.into(),
        mime: "application/pdf".into(),
        size: 5,
        sha256: HELLO.into(),
        warning: None,
    };
    let page = "https://chat.example.com/f/page".parse().expect("a URL");
    let fetch = "https://chat.example.com/f/v/fetch".parse().expect("a URL");
    Carried { file, page, fetch, fits, source: Source(Arc::new(Hello)) }
}

fn with_files(world: &World, words: &str, files: Vec<Carried>) -> Seq {
    let mut text = Text::plain(words);
    text.files = files.iter().map(|carried| carried.file.clone()).collect();
    let mut item = world.item(Speaker::Customer, Body::Text(text));
    item.files = files;
    world.give(item)
}

/// One file, with nothing said.
pub(super) fn send_one(world: &World, name: &str) {
    with_files(world, "", vec![carried(name, true)]);
}

fn link(name: &str) -> String {
    format!("{name} (5 bytes): https://chat.example.com/f/page")
}

#[tokio::test]
async fn the_agent_gets_files_byte_for_byte() {
    let world = World::new().await;
    let chat = world.talking().await;
    let seq =
        with_files(&world, "my papers", vec![carried("Rechnung ä\".pdf", true), carried("b.png", true)]);
    let done = world.engine.settled(seq).await.expect("said");
    assert_eq!(done.remote_ids.len(), 3);
    world.until_words(&chat, &["my papers", "", ""]).await;
    let lines = world.chat(&chat).lines;
    let files: Vec<_> = lines.iter().flat_map(|line| &line.files).collect();
    assert_eq!((files[0].bytes, files[0].sha256.as_deref()), (Some(5), Some(HELLO)));
    assert_eq!(files[1].name, "b.png");
    assert!(files[0].name.starts_with("Rechnung"), "{}", files[0].name);
}

#[tokio::test]
async fn what_is_too_large_or_of_another_kind_goes_as_a_link() {
    let world = World::new().await;
    let chat = world.talking().await;
    // Known beforehand, and learned from the org's answer.
    with_files(&world, "", vec![carried("huge.pdf", false), carried("a.zip", true)]);
    world.until_words(&chat, &[&link("huge.pdf"), &link("a.zip")]).await;
    let statuses: Vec<_> = world.calls("/file").iter().map(|call| call.status).collect();
    assert_eq!(statuses, [415]);
}

#[tokio::test]
async fn an_org_that_takes_no_files_is_sent_none() {
    let world = World::with(Org { files: false, ..Org::roomy() }, json!({})).await;
    let chat = world.talking().await;
    with_files(&world, "", vec![carried("a.pdf", true)]);
    world.until_words(&chat, &[&link("a.pdf")]).await;
    assert!(world.calls("/file").is_empty());
}

#[tokio::test]
async fn an_upload_whose_answer_is_lost_is_looked_up() {
    let world = World::new().await;
    let chat = world.talking().await;
    world.fault(Some("/file"), 1, Fault::DropAfter);
    let seq = with_files(&world, "look", vec![carried("a.pdf", true)]);
    world.engine.settled(seq).await.expect("said");
    assert!(matches!(world.engine.results(seq)[0], Err(Failure::Retry { .. })));
    assert_eq!(world.chat(&chat).customer_words(), ["look", ""]);
}

#[tokio::test]
async fn the_customer_gets_the_agents_files() {
    let world = World::new().await;
    let chat = world.talking().await;
    let at = |name: &str| AgentFile {
        name: name.into(),
        url: format!("https://files.example.com/{name}").parse().expect("a URL"),
        bytes: 5,
    };
    let files = vec![at("a.pdf"), at("b.pdf")];
    world.act(&chat, Act::Say { text: "here".into(), files: files.clone() }).await;
    world.until_spoken(&["", "here"]).await;
    let kept = world.engine.kept();
    let urls: Vec<_> = kept.iter().map(|file| (file.name.as_deref(), &file.url)).collect();
    assert_eq!(urls, [(Some("a.pdf"), &files[0].url), (Some("b.pdf"), &files[1].url)]);
    let said = world
        .until_heard(|event| matches!(event, AgentEvent::Said { text, .. } if text.text.is_empty()))
        .await;
    assert!(matches!(said, AgentEvent::Said { text, .. } if text.files.len() == 2));
}

#[tokio::test]
async fn an_agent_is_told_of_a_file_that_is_not_taken() {
    let world = World::new().await;
    let chat = world.talking().await;
    world.engine.refuse_files(FileRefused::TooLarge { max: 25 * 1024 * 1024 });
    let url = "https://files.example.com/a.pdf".parse().expect("a URL");
    let file = AgentFile { name: "a.pdf".into(), url, bytes: 1 };
    world.act(&chat, Act::Say { text: String::new(), files: vec![file] }).await;
    let told = "a.pdf was not sent to the customer. The file is too large. Files of up to 25 MB can be sent.";
    world.until_words(&chat, &[told]).await;
    assert!(world.spoken().is_empty() && world.chat(&chat).lines.iter().any(|line| line.by == By::Agent));
}
