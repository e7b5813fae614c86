//! Agent Chat: files both ways, and the link in words where a file does not go.

use interline_connector::files::{FileStream, Interrupted, Source, Stored};
use interline_connector::simulator::{Chat, Fault, ShownFile};
use interline_connector::{Carried, FileRefused, formats};
use interline_core::{AppId, File};

use super::*;

const BYTES: &[u8] = b"a.pdf";
const SHA: &str = "1c9ff7b1f9ac34f1e8b9a2ab40a2b0e1d5b3a4a1f0b6c4ab1b9a2f7d4d1d2c3b";

struct Shelf;

#[async_trait::async_trait]
impl Stored for Shelf {
    async fn read(&self, _: &AppId, _: &File) -> Result<FileStream, Interrupted> {
        Ok(Box::pin(futures_util::stream::once(async { Ok(Bytes::from_static(BYTES)) })))
    }
}

fn carried(world: &Chatting, name: &str, fits: bool) -> Carried {
    Carried {
        file: File {
            id: "fil_1".into(),
            name: name.into(),
            mime: "application/pdf".into(),
            size: BYTES.len() as u64,
            sha256: SHA.into(),
            warning: None,
        },
        page: "https://chat.example.com/f/page".parse().expect("a URL"),
        fetch: world.public.at(&format!("/f/{name}")),
        fits,
        source: Source(Arc::new(Shelf)),
    }
}

fn with_files(seq: u64, words: &str, files: Vec<Carried>) -> Item {
    Item { files, ..line(seq, words) }
}

/// The files of the chat, once each was fetched, or could not be.
async fn fetched(world: &Chatting, chat: &str, count: usize) -> Vec<ShownFile> {
    let done = |desk: &Desk| {
        let files: Vec<ShownFile> = desk.chat(chat)?.lines.into_iter().flat_map(|line| line.files).collect();
        let all = files.iter().all(|file| file.sha256.is_some() || file.failed.is_some());
        (all && files.len() == count).then_some(files)
    };
    world.desk().until(SOON, done).await.expect("the files")
}

fn texts(chat: Chat) -> Vec<String> {
    chat.lines.into_iter().filter(|line| !line.before).map(|line| line.text).collect()
}

#[tokio::test]
async fn the_instance_fetches_a_file_and_the_link_stands_beside() {
    let world = Chatting::new(json!({})).await;
    let (session, chat) = world.talking().await;
    let files = vec![carried(&world, "a.pdf", true), carried(&world, "b.bin", false)];
    world.tell(&with_files(5, "my papers", files), Some(session.clone())).await;
    let shown = fetched(&world, &chat, 1).await;
    let told = texts(world.desk().chat(&chat).expect("the chat"));
    assert_eq!((shown[0].name.as_str(), shown[0].bytes), ("a.pdf", Some(5)));
    assert_eq!(
        told,
        [
            "my papers\nb.bin (5 bytes): https://chat.example.com/f/page",
            "a.pdf (5 bytes): https://chat.example.com/f/page"
        ]
    );
    // A file without words.
    world.tell(&with_files(6, "", vec![carried(&world, "c.pdf", true)]), Some(session)).await;
    fetched(&world, &chat, 2).await;
    assert_eq!(world.sim.complaints(), Vec::<String>::new());
}

#[tokio::test]
async fn a_host_that_is_not_trusted_fails_in_silence_and_the_link_is_there() {
    let world = Chatting::new(json!({})).await;
    let (session, chat) = world.talking().await;
    world.sim.set(|admin| admin.trusted = vec!["files.example.com".into()]);
    world.tell(&with_files(5, "", vec![carried(&world, "a.pdf", true)]), Some(session)).await;
    world.shows(&chat, &["a.pdf (5 bytes): https://chat.example.com/f/page"]).await;
    assert!(world.desk().chat(&chat).expect("the chat").lines.iter().all(|line| line.files.is_empty()));
}

#[tokio::test]
async fn files_are_uploaded_where_the_instance_cannot_reach_us() {
    let world = Chatting::new(json!({ "files": "upload" })).await;
    let (session, chat) = world.talking().await;
    world.tell(&with_files(5, "here", vec![carried(&world, "a.pdf", true)]), Some(session.clone())).await;
    let shown = fetched(&world, &chat, 1).await;
    assert_eq!(
        (shown[0].bytes, texts(world.desk().chat(&chat).expect("the chat"))),
        (Some(5), vec!["here".into(), "a.pdf".to_owned()])
    );
    // An upload that is refused is a link.
    for status in [400, 403, 404] {
        world.desk().faults().add("media/upload", 1, Fault::ErrorBefore { status, retry_after: None });
        world
            .tell(
                &with_files(u64::from(status), "", vec![carried(&world, "a.pdf", true)]),
                Some(session.clone()),
            )
            .await;
    }
    let link = "a.pdf (5 bytes): https://chat.example.com/f/page";
    world.shows(&chat, &["here", "a.pdf", link, link, link]).await;
}

#[tokio::test]
async fn links_alone_where_that_is_wanted() {
    let world = Chatting::new(json!({ "files": "link" })).await;
    let (session, chat) = world.talking().await;
    world.tell(&with_files(5, "", vec![carried(&world, "a.pdf", true)]), Some(session)).await;
    world.shows(&chat, &["a.pdf (5 bytes): https://chat.example.com/f/page"]).await;
}

#[tokio::test]
async fn what_arrived_of_a_line_is_not_said_again() {
    let world = Chatting::new(json!({ "files": "upload" })).await;
    let (session, chat) = world.talking().await;
    let item = with_files(5, "words", vec![carried(&world, "a.pdf", true)]);
    world.desk().faults().add("media/upload", 1, Fault::ErrorBefore { status: 429, retry_after: None });
    world.agent.deliver(&item, Some(session.clone())).await.expect_err("not yet");
    world.tell(&item, Some(session)).await;
    fetched(&world, &chat, 1).await;
    world.shows(&chat, &["words", "a.pdf"]).await;
}

#[tokio::test]
async fn an_agents_files_come_with_what_is_needed_to_fetch_them() {
    let world = Chatting::new(json!({})).await;
    let (_, chat) = world.talking().await;
    let put = |name: &str| {
        world
            .desk()
            .on_shelf(&world.desk().shelve(name, Bytes::from_static(BYTES)).expect("room"))
            .expect("there")
    };
    for name in ["photo.png", "terms.pdf"] {
        world.act(&chat, Act::Say { text: String::new(), files: vec![put(name)] }).await;
    }
    let files = |all: &[Was]| {
        let files: Vec<Incoming> = all
            .iter()
            .filter_map(|was| match was {
                Was::Event(_, AgentEvent::Said { .. }, files) => files.first().cloned(),
                _ => None,
            })
            .collect();
        (files.len() == 2).then_some(files)
    };
    let http = Http::new({
        let guard = Guard::default();
        guard.allow(&world.served.url);
        guard
    })
    .expect("a client");
    for (file, name) in world.platform.until(files).await.into_iter().zip(["photo.png", "terms.pdf"]) {
        assert_eq!(file.name.as_deref(), Some(name));
        assert!(file.url.path().starts_with("/api/now/v1/cs/media/"));
        let refused = http.fetch(file.url.clone(), HeaderMap::new(), SOON).await;
        assert_eq!(refused.err().as_deref(), Some("HTTP 401"));
        let mut stream = http.fetch(file.url, file.headers, SOON).await.expect("the file");
        let first = futures_util::StreamExt::next(&mut stream).await.expect("bytes").expect("bytes");
        assert_eq!(first, BYTES);
    }
}

#[tokio::test]
async fn an_agent_learns_in_the_chat_of_a_file_that_the_app_refuses() {
    let world = Chatting::new(json!({})).await;
    let (session, chat) = world.talking().await;
    let file = world.desk().shelve("tool.zip", Bytes::from_static(BYTES)).expect("room");
    let files = vec![world.desk().on_shelf(&file).expect("there")];
    world.act(&chat, Act::Say { text: String::new(), files }).await;
    let incoming = world
        .platform
        .until(|all| {
            all.iter().find_map(|was| match was {
                Was::Event(_, _, files) => files.first().cloned(),
                Was::Typing(_) => None,
            })
        })
        .await;
    let brief = open().conversation;
    let format = FileRefused::Format { accepted: vec!["pdf".into()] };
    let infected = FileRefused::Infected { found: "Eicar".into() };
    for why in [&format, &infected] {
        let told = world.agent.refused(&brief, Some(session.clone()), std::slice::from_ref(&incoming), why);
        assert!(told.await);
    }
    let words = |why: &FileRefused| format!("tool.zip was not sent to the customer. {why}");
    world.shows(&chat, &[&words(&format), &words(&infected)]).await;
    assert_eq!(world.sim.complaints(), Vec::<String>::new());
    // Nobody knows the chat: the call's answer is all there is.
    assert!(!world.agent.refused(&brief, None, &[incoming], &format).await);
}

#[tokio::test]
async fn our_credentials_go_to_the_instance_alone() {
    let world = Chatting::new(json!({})).await;
    let (_, chat) = world.talking().await;
    let agent = json!({ "sentFromAgent": true, "agentName": "Agent One" });
    let picture = |url: &str, name: Value| json!({ "uiType": "OutputImage", "value": url, "altText": name, "agentInfo": agent });
    let link = json!({ "uiType": "OutputLink", "label": "Guide", "value": { "action": "https://docs.example.com/a.pdf" }, "agentInfo": agent });
    let body = json!([
        picture("https://evil.example.com/photo.png", json!("photo.png")),
        picture("https://img.example.com/api/x.gif", Value::Null),
        // Nothing says what it is: the address is all there is.
        picture("https://img.example.com/api/x", json!("a picture")),
        picture("file:///etc/passwd.png", json!("passwd.png")),
        link,
    ]);
    world.sim.tells(&chat, body, json!({ "agentChat": true })).await.expect("taken");
    let files: Vec<Incoming> = world
        .platform
        .heard
        .borrow()
        .iter()
        .flat_map(|was| match was {
            Was::Event(_, _, files) => files.clone(),
            Was::Typing(_) => Vec::new(),
        })
        .collect();
    let names: Vec<_> = files.iter().map(|file| file.name.as_deref().expect("a name")).collect();
    assert_eq!(names, ["photo.png", "x.gif"]);
    assert!(files.iter().all(|file| file.headers.is_empty()));
    assert_eq!(
        world.platform.said(),
        [
            "",
            "",
            "https://img.example.com/api/x",
            "file:///etc/passwd.png",
            "Guide: https://docs.example.com/a.pdf"
        ]
    );
}

#[test]
fn the_formats_are_the_vendors() {
    let takes = ServiceNow.manifest().takes.files.expect("files");
    assert_eq!((takes.max_bytes, takes.formats), (25 * 1024 * 1024, formats::SERVICENOW));
    assert!(ServiceNowTokyo.manifest().takes.files.is_none());
}
