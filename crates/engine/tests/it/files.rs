//! Files: stored before they are named, carried both ways, given out so often and no more, forgotten with what named them.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures_util::StreamExt as _;
use interline_connector::channel::{Host as _, Said, What};
use interline_connector::files::{Declared, Files as _, Interrupted, Upload};
use interline_connector::manifest::{Manifest, Takes, TakesFiles};
use interline_connector::{FileRefused, FileStream, formats};
use interline_core::conversation::entry::Text;
use interline_core::conversation::state::Customer;
use interline_core::{ConversationId, File, FileId, Speaker, app};
use interline_engine::{Access, Clock, Closed};
use serde_json::json;

use crate::fake::{Fake, event, manifest, said};
use crate::world::{Node, each, until};

const PDF: &[u8] = b"%PDF-1.4\n1 0 obj\n<<>>\nendobj\ntrailer\n<<>>\n%%EOF\n";

fn stream(pieces: Vec<Result<&'static [u8], Interrupted>>) -> FileStream {
    Box::pin(futures_util::stream::iter(pieces).map(|piece| piece.map(bytes::Bytes::from_static)))
}

async fn begin(node: &Node, customer: &Customer, name: &str, size: usize) -> Result<Upload, FileRefused> {
    let (engine, app, customer) = (node.engine.clone(), node.app.clone(), customer.clone());
    let declared = Declared { name: Some(name.into()), size: Some(size as u64) };
    node.on(async move { engine.begin(&app, &customer, declared).await }).await
}

async fn upload(
    node: &Node,
    customer: &Customer,
    name: &str,
    content: &'static [u8],
) -> Result<File, FileRefused> {
    let upload = begin(node, customer, name, content.len()).await?;
    let (engine, app, customer) = (node.engine.clone(), node.app.clone(), customer.clone());
    node.on(async move {
        let progress = engine.append(&app, &customer, &upload, 0, stream(vec![Ok(content)])).await?;
        let again = engine.finish(&app, &customer, &upload, None).await?;
        assert_eq!(progress.file, Some(again.clone()), "finishing again gives the same");
        Ok(again)
    })
    .await
}

async fn send(node: &Node, customer: &Customer, words: &str, files: Vec<File>) -> Result<(), String> {
    let (engine, app, customer) = (node.engine.clone(), node.app.clone(), customer.clone());
    let text = Text { files, ..Text::plain(words) };
    let said = Said { external_id: None, what: What::Text(text) };
    node.on(async move { engine.hear(&app, &customer, said).await })
        .await
        .map(|_| ())
        .map_err(|error| error.0)
}

fn token(url: &url::Url) -> String {
    url.path_segments().unwrap().next_back().unwrap().to_owned()
}

async fn download(node: &Node, token: &str) -> Result<(Vec<u8>, Option<u32>), Closed> {
    let (engine, token) = (node.engine.clone(), token.to_owned());
    let by = Access { how: "download".into(), peer: "192.0.2.7".into(), agent: "Browser/1".into() };
    node.on(async move {
        let download = engine.download_file(&token, by).await?;
        Ok((read(download.bytes).await, download.left))
    })
    .await
}

async fn read(mut bytes: FileStream) -> Vec<u8> {
    let mut all = Vec::new();
    while let Some(piece) = bytes.next().await {
        all.extend_from_slice(&piece.unwrap());
    }
    all
}

/// The files below a directory.
fn below(dir: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(dir) else { return Vec::new() };
    let paths = entries.map(|entry| entry.unwrap().path());
    paths.flat_map(|path| if path.is_dir() { below(&path) } else { vec![path] }).collect()
}

/// A file of an agent's, on a server of a test's.
async fn serve(content: &'static [u8]) -> (url::Url, interline_connector::Guard) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url: url::Url = format!("http://{}/form.pdf", listener.local_addr().unwrap()).parse().unwrap();
    let routes = axum::Router::new().fallback(move || async move { content });
    tokio::spawn(async move { axum::serve(listener, routes).await });
    let guard = interline_connector::Guard::default();
    guard.allow(&url);
    (url, guard)
}

#[test]
fn a_customers_file_reaches_the_agent_with_two_links() {
    each("files_out", async |world| {
        let desk = Fake::by_key();
        let node = world.agent("desk", desk.clone()).start().await;
        let anna = node.customer("anna").await;
        node.say(&anna, "a human please").await;
        node.until_seen(&anna, "joined").await;
        let file = upload(&node, &anna, "../../bill.pdf", PDF).await.unwrap();
        assert_eq!(
            (file.name.as_str(), file.mime.as_str(), file.size),
            ("bill.pdf", "application/pdf", PDF.len() as u64)
        );
        send(&node, &anna, "here it is", vec![file.clone()]).await.unwrap();
        desk.until_got("here it is").await;
        let tried = desk.tries_at("here it is").remove(0);
        let carried = &tried.files[0];
        assert!(!carried.fits, "this one takes no files");
        assert!(carried.in_words().starts_with("bill.pdf (") && carried.in_words().contains("/f/"));

        let page = token(&carried.page);
        let shared = node.engine.peek_file(&page).await.unwrap();
        assert_eq!((shared.left, shared.file.clone()), (5, file.clone()));
        for used in 1..=5 {
            let (bytes, left) = download(&node, &page).await.unwrap();
            assert_eq!((bytes.as_slice(), left), (PDF, Some(5 - used)));
        }
        assert_eq!(download(&node, &page).await.err(), Some(Closed::UsedUp));
        assert_eq!(node.engine.peek_file(&page).await.err(), Some(Closed::UsedUp));
        let own = token(&node.engine.files().link(&node.app, &file.id));
        assert_eq!(
            download(&node, &own).await.unwrap().1,
            Some(4),
            "the customer's own link has its own count"
        );
        let fetch = token(&carried.fetch);
        for _ in 0..7 {
            assert_eq!(read(node.engine.fetch_file(&fetch).await.unwrap().bytes).await, PDF);
        }
        assert_eq!(node.engine.fetch_file(&page).await.err(), Some(Closed::Unknown), "one is not the other");

        let told = node
            .engine
            .files_of(&node.app, &ConversationId::new(node.conversation(&anna).await))
            .await
            .unwrap();
        assert_eq!((told.len(), told[0].by.as_str(), told[0].shares.len()), (1, "customer", 2));
        assert!(node.engine.revoke_file(&node.app, &file.id).await.unwrap());
        assert_eq!(download(&node, &own).await.err(), Some(Closed::Revoked));
        assert_eq!(node.engine.fetch_file(&fetch).await.err(), Some(Closed::Revoked));
    });
}

#[test]
fn the_fifth_download_is_granted_once() {
    each("files_fifth", async |world| {
        let node = Arc::new(world.start().await);
        let anna = node.customer("anna").await;
        let file = upload(&node, &anna, "a.pdf", PDF).await.unwrap();
        send(&node, &anna, "", vec![file.clone()]).await.unwrap();
        let page = token(&node.engine.files().link(&node.app, &file.id));
        let downloads = (0..12).map(|_| {
            let (engine, page) = (node.engine.clone(), page.clone());
            let by = Access { how: "download".into(), peer: String::new(), agent: String::new() };
            node.on(async move { engine.download_file(&page, by).await.map(|_| ()) })
        });
        let all = futures_util::future::join_all(downloads).await;
        assert_eq!(all.iter().filter(|granted| granted.is_ok()).count(), 5);
        assert!(all.iter().filter(|granted| granted.is_err()).all(|it| *it == Err(Closed::UsedUp)));
    });
}

#[test]
fn what_fits_a_vendor_is_told() {
    each("files_fit", async |world| {
        let files = Some(TakesFiles { max_bytes: 60, formats: formats::GENESYS });
        let manifest = Manifest { takes: Takes { files, ..Takes::default() }, ..manifest("fake") };
        let desk = Fake::with(manifest, app::AgentSystem::default());
        let node = world.agent("desk", desk.clone()).start().await;
        let anna = node.customer("anna").await;
        node.say(&anna, "a human please").await;
        node.until_seen(&anna, "joined").await;
        let mut sent = Vec::new();
        for (name, content) in
            [("a.pdf", PDF), ("b.xml", b"<a/>".as_slice()), ("c.txt", [b'x'; 61].as_slice())]
        {
            let content: &'static [u8] = content.to_vec().leak();
            sent.push(upload(&node, &anna, name, content).await.unwrap());
        }
        send(&node, &anna, "three", sent).await.unwrap();
        desk.until_got("three").await;
        let fits: Vec<bool> = desk.tries_at("three")[0].files.iter().map(|carried| carried.fits).collect();
        assert_eq!(fits, [true, false, false]);
    });
}

#[test]
fn an_agents_file_is_fetched_before_its_line() {
    each("files_in", async |mut world| {
        let (url, guard) = serve(PDF).await;
        world.guard = guard;
        let desk = Fake::by_key();
        let node = world.agent("desk", desk.clone()).start().await;
        let anna = node.customer("anna").await;
        node.say(&anna, "a human please").await;
        node.until_seen(&anna, "joined").await;
        let conversation = node.conversation(&anna).await;
        let mut body = event(&conversation, 1, Some("e1"), &said("the form"));
        body["files"] = json!([{ "url": url }]);
        assert_eq!(node.webhook("fake", body.clone()).await.status, 200);
        assert_eq!(node.webhook("fake", body).await.status, 200, "again");
        let log = node.log(&anna).await;
        let lines: Vec<_> = log.iter().filter(|entry| matches!(entry.by, Speaker::Agent { .. })).collect();
        let files: Vec<&File> =
            lines.iter().filter_map(|entry| entry.text()).flat_map(|text| &text.files).collect();
        assert_eq!((files.len(), files[0].name.as_str(), files[0].size), (1, "form.pdf", PDF.len() as u64));
        let page = token(&node.engine.files().link(&node.app, &files[0].id));
        assert_eq!(download(&node, &page).await.unwrap().0, PDF);

        for (file, status, words) in [
            (json!({ "url": url, "name": "tool.exe" }), 415, ".pdf"),
            (json!({ "url": url, "name": "a.gif" }), 415, ".gif"),
            (json!({ "url": "http://127.0.0.1:1/a.pdf" }), 400, "fetched"),
            (json!({ "url": "https://10.0.0.1/a.pdf" }), 400, "fetched"),
        ] {
            let mut body = event(&conversation, 1, None, &said("no"));
            body["files"] = json!([file]);
            let answer = node.webhook("fake", body).await;
            let told = answer.body.unwrap()["errors"][0]["msg"].as_str().unwrap().to_owned();
            assert!(answer.status == status && told.contains(words), "{status} {told}");
        }
        let seen = node.seen(&anna).await;
        assert!(!seen.iter().any(|line| line == "agent: no"), "nothing of a refused line is said");

        // A vendor whose agents see no answers: they are told in the chat, and the words go on.
        desk.tells_of_refusals();
        for words in ["words", ""] {
            let mut body = event(&conversation, 1, None, &said(words));
            body["files"] = json!([{ "url": url, "name": "tool.exe" }]);
            assert_eq!(node.webhook("fake", body).await.status, 200);
        }
        assert_eq!(desk.refusals(), ["tool.exe: file_format", "tool.exe: file_format"]);
        let agent_lines = async || {
            let log = node.log(&anna).await;
            log.into_iter().filter(|entry| matches!(entry.by, Speaker::Agent { .. })).count()
        };
        assert_eq!(agent_lines().await, 2, "the form, and the words");
    });
}

#[test]
fn refusals_say_what_would_be_taken() {
    each("files_refused", async |mut world| {
        world.files.max_bytes = 100;
        world.files.formats = vec!["pdf".into(), "txt".into()];
        world.files.per_message = 2;
        let node = world.start().await;
        let anna = node.customer("anna").await;
        let big: &'static [u8] = vec![b'x'; 101].leak();
        assert_eq!(upload(&node, &anna, "a.txt", big).await.err(), Some(FileRefused::TooLarge { max: 100 }));
        assert_eq!(upload(&node, &anna, "a.txt", b"").await.err(), Some(FileRefused::Empty));
        let accepted = vec!["pdf".to_owned(), "txt".to_owned()];
        assert_eq!(upload(&node, &anna, "a.png", b"x").await.err(), Some(FileRefused::Format { accepted }));
        assert_eq!(upload(&node, &anna, "\u{202e}.. /", b"x").await.err(), Some(FileRefused::Nameless));
        let html = upload(&node, &anna, "a.pdf", b"<html><script>%PDF-1.4").await.err();
        assert_eq!(html, Some(FileRefused::Mismatch { extension: "pdf".into() }));
        assert!(below(&world.files_dir).is_empty(), "nothing of it is left: {:?}", below(&world.files_dir));
        let mut files = Vec::new();
        for name in ["1.txt", "2.txt", "3.txt"] {
            files.push(upload(&node, &anna, name, b"words").await.unwrap());
        }
        let ids: Vec<FileId> = files.iter().map(|file| file.id.clone()).collect();
        let own = node.engine.own(&node.app, &anna, &ids).await;
        assert_eq!(own.err(), Some(FileRefused::TooMany { max: 2 }));
        assert_eq!(node.engine.own(&node.app, &anna, &ids[..2]).await.unwrap(), files[..2]);
        let bert = node.customer("bert").await;
        assert_eq!(node.engine.own(&node.app, &bert, &ids[..1]).await.err(), Some(FileRefused::Unknown));
    });
}

#[test]
fn a_customer_has_so_many_files_waiting_and_no_more() {
    each("files_waiting", async |world| {
        let node = world.start().await;
        let anna = node.customer("anna").await;
        let mut stored = Vec::new();
        let refused = loop {
            match upload(&node, &anna, "a.txt", b"words").await {
                Ok(file) => stored.push(file),
                Err(refused) => break refused,
            }
        };
        assert_eq!((stored.len(), refused), (30, FileRefused::TooManyWaiting { max: 30 }));
        send(&node, &anna, "ten of them", stored.drain(..10).collect()).await.unwrap();
        assert!(upload(&node, &anna, "a.txt", b"words").await.is_ok(), "there is room again");
    });
}

#[test]
fn an_upload_goes_on_after_a_break_and_a_kill() {
    each("files_resume", async |world| {
        let node = world.start().await;
        let anna = node.customer("anna").await;
        let upload = begin(&node, &anna, "a.txt", 9).await.unwrap();
        let (engine, app) = (node.engine.clone(), node.app.clone());
        let (customer, ticket) = (anna.clone(), upload.clone());
        let broken = node
            .on(async move {
                let pieces = vec![Ok(b"one ".as_slice()), Err(Interrupted("gone".into()))];
                engine.append(&app, &customer, &ticket, 0, stream(pieces)).await
            })
            .await;
        assert_eq!(broken.err(), Some(FileRefused::Interrupted));
        node.kill().await;
        let node = world.start().await;
        let (engine, app) = (node.engine.clone(), node.app.clone());
        assert_eq!(engine.progress(&app, &anna, &upload).await.unwrap().offset, 4);
        let bert = node.customer("bert").await;
        assert_eq!(engine.progress(&app, &bert, &upload).await.err(), Some(FileRefused::Unknown));
        let skipped = engine.append(&app, &anna, &upload, 5, stream(vec![Ok(b"two")])).await;
        assert_eq!(skipped.err(), Some(FileRefused::Misplaced { offset: 4 }));
        let (customer, ticket) = (anna.clone(), upload.clone());
        let file = node
            .on(async move { engine.append(&app, &customer, &ticket, 4, stream(vec![Ok(b"three")])).await })
            .await
            .unwrap()
            .file
            .unwrap();
        assert_eq!(file.size, 9);
        send(&node, &anna, "", vec![file.clone()]).await.unwrap();
        let page = token(&node.engine.files().link(&node.app, &file.id));
        assert_eq!(download(&node, &page).await.unwrap().0, b"one three");
        let after = node.engine.progress(&node.app, &anna, &upload).await.unwrap();
        assert_eq!((after.offset, after.file), (9, Some(file)), "whoever lost the answer asks again");
    });
}

#[test]
fn what_nobody_names_is_swept_and_cannot_be_named_then() {
    each("files_swept", async |world| {
        let node = world.start().await;
        let anna = node.customer("anna").await;
        let kept = upload(&node, &anna, "kept.txt", b"kept").await.unwrap();
        let lost = upload(&node, &anna, "lost.txt", b"lost").await.unwrap();
        send(&node, &anna, "", vec![kept.clone()]).await.unwrap();
        node.kill().await;
        // A day passes within a second.
        let mut later = world.clone();
        later.clock = Clock::faster(200_000);
        let node = later.start().await;
        until("the bytes go", async || (below(&world.files_dir).len() == 1).then_some(())).await;
        let refused = send(&node, &anna, "late", vec![lost.clone()]).await;
        assert_eq!(refused.err().as_deref(), Some("The file is no longer there. Please attach it again."));
        assert!(!node.seen(&anna).await.iter().any(|line| line == "customer: late"), "all or nothing");
        let bytes = node.engine.operator_file(&node.app, &kept.id).await.unwrap().bytes;
        assert_eq!(read(bytes).await, b"kept");
    });
}

#[test]
fn erasing_a_customer_erases_the_bytes() {
    each("files_erased", async |world| {
        let node = world.start().await;
        let (anna, bert) = (node.customer("anna").await, node.customer("bert").await);
        let sent = upload(&node, &anna, "sent.txt", b"sent").await.unwrap();
        upload(&node, &anna, "unsent.txt", b"unsent").await.unwrap();
        let theirs = upload(&node, &bert, "other.txt", b"other").await.unwrap();
        send(&node, &anna, "", vec![sent.clone()]).await.unwrap();
        let page = token(&node.engine.files().link(&node.app, &sent.id));
        assert_eq!(below(&world.files_dir).len(), 3);
        let (engine, app, id) = (node.engine.clone(), node.app.clone(), anna.id.clone());
        let erased = node.on(async move { engine.erase_customer(&app, &id).await }).await.unwrap();
        assert_eq!(erased.files, 2);
        let left = below(&world.files_dir);
        assert!(left.len() == 1 && left[0].ends_with(theirs.id.as_str()), "{left:?}");
        assert_eq!(node.engine.peek_file(&page).await.err(), Some(Closed::Unknown));
    });
}

#[test]
fn links_end_with_their_time() {
    each("files_expire", async |mut world| {
        world.files.hours = 1;
        let desk = Fake::by_key();
        let node = world.clone().agent("desk", desk.clone()).start().await;
        let anna = node.customer("anna").await;
        node.say(&anna, "a human please").await;
        node.until_seen(&anna, "joined").await;
        let file = upload(&node, &anna, "a.txt", b"words").await.unwrap();
        assert_eq!(
            node.engine.peek_file(&token(&node.engine.files().link(&node.app, &file.id))).await.err(),
            Some(Closed::Unknown),
            "nobody was sent it yet"
        );
        send(&node, &anna, "here", vec![file]).await.unwrap();
        desk.until_got("here").await;
        let carried = desk.tries_at("here")[0].files[0].clone();
        node.kill().await;
        let mut later = world.agent("desk", desk);
        later.clock = Clock::faster(3_600 * 4);
        let node = later.start().await;
        until("an hour is over", async || {
            let page = node.engine.peek_file(&token(&carried.page)).await.err() == Some(Closed::Expired);
            let fetch = node.engine.fetch_file(&token(&carried.fetch)).await.err() == Some(Closed::Expired);
            (page && fetch).then_some(())
        })
        .await;
    });
}
