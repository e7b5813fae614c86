//! Files: out to BotKit and the agent's desk, and in from there.

use interline_connector::Carried;
use interline_connector::files::Source;
use interline_connector::simulator::ShownFile;
use interline_core::File;

use super::*;

/// `printf hello | sha256sum`.
const HELLO: &str = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";

fn carried(n: usize, name: &str, bytes: u64, fetch: &str) -> Carried {
    let file = File {
        id: format!("fil_{n}").as_str().into(),
        name: name.into(),
        mime: "application/pdf".into(),
        size: bytes,
        sha256: HELLO.into(),
        warning: None,
    };
    let page = format!("https://chat.example.com/f/page-{n}").parse().expect("a URL");
    Carried { file, page, fetch: fetch.parse().expect("a URL"), fits: true, source: Source::default() }
}

fn with_files(mut item: Item, files: Vec<Carried>) -> Item {
    if let Body::Text(text) = &mut item.entry.body {
        text.files = files.iter().map(|carried| carried.file.clone()).collect();
    }
    item.files = files;
    item
}

/// A line whose files are nowhere.
fn line(to: Role, words: &str, files: Vec<Carried>) -> Item {
    with_files(item(9, Speaker::Customer, to, Body::Text(Text::plain(words))), files)
}

fn somewhere(n: usize, name: &str) -> Carried {
    carried(n, name, 1_572_864, &format!("https://chat.example.com/f/v/fetch-{n}"))
}

/// What a BotKit is sent for an item.
async fn sent(item: &Item) -> Value {
    let (agent, got) = trimming::capturing().await;
    agent.deliver(item, None).await.expect("delivered");
    let body = got.lock().expect("lock").clone();
    assert!(body.len() <= 100_000, "{}", body.len());
    serde_json::from_slice(&body).expect("JSON")
}

// ── out ──────────────────────────────────────────────────────────────────────────────────────────────────────────────

#[tokio::test]
async fn an_agent_gets_the_list_and_a_link_to_each() {
    let marked = {
        let mut marked = somewhere(2, "b.PNG");
        marked.file.warning = Some("Eicar".into());
        marked
    };
    let body = sent(&line(Role::Agent, "my papers", vec![somewhere(1, "a.pdf"), marked])).await;
    let expected = "my papers\n\
                    a.pdf (1.5 MB): https://chat.example.com/f/page-1\n\
                    b.PNG (1.5 MB) [a scanner found Eicar]: https://chat.example.com/f/page-2";
    assert_eq!(body["message"], expected);
    let list = &body["channel"]["channelInfos"]["attachments"];
    let first = json!({
        "fileId": "fil_1", "fileName": "a.pdf", "fileType": "attachment", "size": 1.5, "bytes": 1_572_864,
        "mime": "application/pdf", "fileUrl": "https://chat.example.com/f/page-1",
        "downloadUrl": "https://chat.example.com/f/v/fetch-1",
    });
    assert_eq!(list[0], first);
    assert_eq!((&list[1]["fileType"], &list[1]["warning"]), (&json!("image"), &json!("Eicar")));
    assert!(body.get("attachments").is_none(), "one place only: the one that the SDK keeps");
}

#[tokio::test]
async fn an_interceptor_gets_the_words_alone_and_the_list() {
    for words in ["my papers", ""] {
        let body = sent(&line(Role::Interceptor, words, vec![somewhere(1, "a.pdf")])).await;
        assert_eq!(body["message"], words);
        assert_eq!(body["channel"]["channelInfos"]["attachments"][0]["fileId"], "fil_1");
    }
}

#[tokio::test]
async fn files_without_words_are_links_without_an_empty_line() {
    let body = sent(&line(Role::Agent, "", vec![somewhere(1, "a.pdf")])).await;
    assert_eq!(body["message"], "a.pdf (1.5 MB): https://chat.example.com/f/page-1");
    let none = sent(&line(Role::Agent, "hi", Vec::new())).await;
    assert_eq!(none["message"], "hi");
    assert!(none["channel"]["channelInfos"].get("attachments").is_none());
}

#[tokio::test]
async fn what_is_not_taken_as_a_file_is_a_link_alone() {
    let mut large = somewhere(1, "a.pdf");
    large.fits = false;
    let body = sent(&line(Role::Agent, "", vec![large])).await;
    assert!(body["message"].as_str().is_some_and(|words| words.ends_with("/f/page-1")));
    assert!(body["channel"]["channelInfos"].get("attachments").is_none());
}

#[tokio::test]
async fn the_words_are_cut_before_the_links() {
    let files = || (1..=10).map(|n| somewhere(n, &format!("{n}{}.pdf", "\u{1f9f3}".repeat(60)))).collect();
    let words = "\u{1}".repeat(20_000);
    let body = sent(&line(Role::Agent, &words, files())).await;
    let message = body["message"].as_str().expect("text");
    let (kept, links) = message.split_once("…\n").expect("cut words");
    assert!(kept.len() > 10_000 && words.starts_with(kept), "{}", kept.len());
    assert_eq!(links.lines().count(), 10);
    assert!(message.ends_with("/f/page-10"));
    assert_eq!(body["channel"]["channelInfos"]["attachments"].as_array().map(Vec::len), Some(10));
}

#[tokio::test]
async fn the_list_goes_last_and_the_links_stand_for_it() {
    // Far more than an app may take with one message.
    let files = (1..=200).map(|n| somewhere(n, &format!("{n}{}.pdf", "x".repeat(200)))).collect();
    let body = sent(&line(Role::Agent, "words", files)).await;
    let message = body["message"].as_str().expect("text");
    assert!(message.starts_with("…\n1x") && message.ends_with("/f/page-200"));
    assert!(body["channel"]["channelInfos"].get("attachments").is_none());
}

#[tokio::test]
async fn histories_name_files() {
    let with = |seq, words: &str, names: &[&str]| {
        let mut text = Text::plain(words);
        text.files = names.iter().map(|name| somewhere(1, name).file).collect();
        entry(seq, Speaker::Customer, Role::Bot, Body::Text(text))
    };
    let before = vec![with(1, "here", &["a.pdf", "b.pdf"]), with(2, "", &["c.pdf"])];
    let mut open = item(3, Speaker::System, Role::Agent, Body::Open);
    open.before = before.clone();
    let body = sent(&open).await;
    let history = &body["context"]["history"];
    assert_eq!(history[0]["message"], "here [file: a.pdf] [file: b.pdf]");
    assert_eq!(history[1]["message"], "[file: c.pdf]");
    assert_eq!(body["message"], "[file: c.pdf]", "the customer's last line");

    let (agent, _) = trimming::capturing().await;
    let lines = before.into_iter().map(|entry| (CONVERSATION.into(), entry)).collect();
    let told = agent.history(&History { lines, total: 2, more: false }).body.expect("a body");
    let words = |n: usize| told["messages"][n]["components"][0]["data"]["text"].clone();
    assert_eq!((words(0), words(1)), (json!("[file: c.pdf]"), history[0]["message"].clone()));
}

// ── in ───────────────────────────────────────────────────────────────────────────────────────────────────────────────

fn received(call: &str, body: &Value) -> Result<(Call, Vec<Incoming>), Answer> {
    match calls::post(call, body).map_err(|rejected| rejected.0)?.heard.remove(0) {
        Heard::Callback { call, files, .. } => Ok((call, files)),
        other => panic!("{other:?}"),
    }
}

fn in_channel(list: Value) -> Value {
    json!({ "message": "", "channel": { "from": "u-1", "channelInfos": { "from": "u-1", "attachments": list } } })
}

fn names(body: &Value) -> Vec<(Option<String>, String)> {
    let (_, files) = received("sendUserMessage", body).expect("taken");
    files.into_iter().map(|file| (file.name, file.url.into())).collect()
}

#[test]
fn a_callback_brings_files_in_either_place() {
    let list = json!([
        { "fileName": "a.pdf", "fileUrl": "https://desk.example.com/1?sig=2", "fileId": "desk-1" },
        { "fileUrl": "http://desk.example.com/b%20c.pdf", "fileName": null },
    ]);
    let expected = [
        (Some("a.pdf".to_owned()), "https://desk.example.com/1?sig=2".to_owned()),
        (None, "http://desk.example.com/b%20c.pdf".to_owned()),
    ];
    assert_eq!(names(&in_channel(list.clone())), expected);
    assert_eq!(names(&json!({ "message": "hi", "attachments": list })), expected);
    // Without words: what it means is core's to say, with the files added.
    let (call, _) = received("sendUserMessage", &in_channel(list)).expect("taken");
    assert_eq!(call, Call::SendUserMessage(Text::default()));
    for none in [in_channel(json!([])), in_channel(Value::Null), json!({ "channel": "rtm" })] {
        assert_eq!(names(&none), []);
    }
}

#[test]
fn ours_that_come_back_are_passed_over() {
    let ours =
        json!({ "fileId": "fil_1", "fileName": "a.pdf", "fileUrl": "https://chat.example.com/f/page-1" });
    let theirs = json!({ "fileName": "b.pdf", "fileUrl": "https://desk.example.com/b" });
    let many = |n| vec![ours.clone(); n];
    assert_eq!(names(&in_channel(json!(many(11)))), []);
    let mixed = [many(11), vec![theirs]].concat();
    assert_eq!(names(&in_channel(json!(mixed))).len(), 1);
}

#[test]
fn bad_lists_are_turned_away() {
    let good = json!({ "fileName": "a.pdf", "fileUrl": "https://desk.example.com/a" });
    let ten = vec![good.clone(); 10];
    assert_eq!(names(&in_channel(json!(ten))).len(), 10);
    for (list, why) in [
        (json!(vec![good.clone(); 11]), "at most 10"),
        (json!({ "0": good }), "not a list"),
        (json!("https://desk.example.com/a"), "not a list"),
        (json!([1]), "fileUrl"),
        (json!([null]), "fileUrl"),
        (json!([{ "fileName": "a.pdf" }]), "fileUrl"),
        (json!([{ "fileUrl": 1 }]), "fileUrl"),
        (json!([{ "fileUrl": "/relative" }]), "fileUrl"),
        (json!([{ "fileUrl": "file:///etc/passwd" }]), "fileUrl"),
        (json!([{ "fileUrl": "data:text/plain,hello" }]), "fileUrl"),
        (json!([{ "fileUrl": "https://desk.example.com/a", "fileName": 7 }]), "fileName"),
        (json!([{ "fileUrl": "/relative", "fileId": "FIL_1" }]), "fileUrl"),
    ] {
        for body in [in_channel(list.clone()), json!({ "message": "hi", "attachments": list })] {
            let refused = received("sendUserMessage", &body).expect_err(&body.to_string());
            let said = refused.body.as_ref().expect("a body")["errors"][0]["msg"].clone();
            assert_eq!(refused.status, 400);
            assert!(said.as_str().is_some_and(|said| said.contains(why)), "{list}: {said}");
        }
    }
}

#[test]
fn words_for_the_bot_bring_no_files_of_their_own() {
    let body = in_channel(json!([{ "fileName": "b.pdf", "fileUrl": "https://desk.example.com/b" }]));
    let (call, files) = received("sendBotMessage", &body).expect("taken");
    assert_eq!((call, files.len()), (Call::SendBotMessage(Text::default()), 0));
}

// ── the stand-in ─────────────────────────────────────────────────────────────────────────────────────────────────────

/// A server of files: `/hello` is there.
async fn file_server() -> String {
    let router = Router::new().route("/hello", axum::routing::get(async || "hello"));
    format!("http://{}", serve(router).await)
}

/// The files of the newest line of a chat, once each was fetched, or could not be.
async fn settled(world: &World, chat: &str) -> Vec<ShownFile> {
    eventually(|| {
        let files = lines(&world.sim, chat).pop()?.files;
        let all = files.iter().all(|file| file.sha256.is_some() || file.failed.is_some());
        (all && !files.is_empty()).then_some(files)
    })
    .await
}

#[tokio::test]
async fn the_desk_fetches_what_a_customer_sends() {
    let (world, server) = (World::new().await, file_server().await);
    let (session, chat) = world.transfer().await;
    let at = |path: &str| format!("{server}/{path}");
    let files = vec![
        carried(1, "a.pdf", 5, &at("hello")),
        carried(2, "b.pdf", 5, &at("gone")),
        carried(3, "c.pdf", 6, &at("hello")),
    ];
    let line = with_files(world.line(Speaker::Customer, Role::Agent, "my papers"), files);
    world.agent.deliver(&line, Some(session)).await.expect("relayed");
    let shown = settled(&world, &chat).await;
    let what: Vec<_> = shown.iter().map(|f| (f.name.as_str(), f.bytes, f.sha256.as_deref())).collect();
    assert_eq!(what, [("a.pdf", Some(5), Some(HELLO)), ("b.pdf", Some(5), None), ("c.pdf", Some(6), None)]);
    assert_eq!(shown[0].url, "https://chat.example.com/f/page-1");
    assert_eq!(shown[1].failed.as_deref(), Some("HTTP 404"));
    assert_eq!(shown[2].failed.as_deref(), Some("5 bytes came, 6 were announced"));
    // Its words have the links as well, as any bot file relays them.
    let words = lines(&world.sim, &chat).pop().expect("a line").text;
    assert!(words.starts_with("my papers\na.pdf (5 bytes): https://"), "{words}");

    let lines = reqwest::get(format!("{}/_sim/botkit/api/conversations/{chat}/lines", world.url)).await;
    let lines: Value = lines.expect("an answer").json().await.expect("JSON");
    let line = lines.as_array().and_then(|lines| lines.last()).expect("a line");
    assert_eq!(line["files"][0]["sha256"], HELLO);
}

#[tokio::test]
async fn files_that_pass_a_botkit_come_back_as_none() {
    let world = World::new().await;
    for (by, words) in [(Speaker::Customer, "my papers"), (Speaker::Customer, ""), (Speaker::Bot, "yours")] {
        let line = with_files(world.line(by, Role::Interceptor, words), vec![somewhere(1, "a.pdf")]);
        world.agent.deliver(&line, None).await.expect("delivered");
    }
    let expected = [
        Call::SendBotMessage(Text::plain("my papers")),
        Call::SendBotMessage(Text::default()),
        Call::SendUserMessage(Text::plain("yours")),
    ];
    assert_eq!((world.platform.calls().as_slice(), world.platform.attached().len()), (&expected[..], 0));
    let echoed = world.platform.seen().pop().expect("a call").body;
    assert!(String::from_utf8_lossy(&echoed).contains("\"fil_1\""), "the whole payload came back");
}

#[tokio::test]
async fn an_agent_sends_files_from_the_desk() {
    let world = World::new().await;
    let (_, chat) = world.transfer().await;
    let http = reqwest::Client::new();
    let url = |path: &str| format!("{}/_sim/botkit/api/{path}", world.url);
    let put = http.put(url("files?name=r%C3%A9sum%C3%A9%2F1.txt")).body("hello").send().await;
    let put: Value = put.expect("an answer").json().await.expect("JSON");
    let say = |files: Value| {
        let call = http.post(url(&format!("conversations/{chat}/say")));
        let call = call.json(&json!({ "text": "", "files": files })).send();
        async {
            let answer = call.await.expect("an answer");
            (answer.status().as_u16(), answer.text().await.expect("text"))
        }
    };
    assert_eq!(say(json!([put["id"]])).await.0, 200);
    assert_eq!(world.platform.calls().pop(), Some(Call::SendUserMessage(Text::default())));
    let Incoming { name, url: from, .. } =
        world.platform.attached().pop().expect("a call with files").remove(0);
    assert_eq!(name.as_deref(), Some("résumé/1.txt"));
    assert!(from.as_str().starts_with(&world.url), "the address by which the platform reaches it: {from}");
    let fetched = http.get(from).send().await.expect("an answer");
    assert_eq!(fetched.headers()["content-disposition"], "attachment");
    assert_eq!(fetched.text().await.expect("text"), "hello");
    let listed: Value =
        http.get(url("conversations")).send().await.expect("an answer").json().await.expect("JSON");
    assert_eq!(listed[0]["last"], "résumé/1.txt");
    let gone = http.get(format!("{}/_sim/botkit/files/0/a.txt", world.url)).send().await;
    assert_eq!(gone.expect("an answer").status(), 404);

    assert_eq!(say(json!(["nothing"])).await.0, 404);
    *world.platform.refuse_with.lock().expect("lock") = Some(415);
    let (status, why) = say(json!([put["id"]])).await;
    assert!(status == 502 && why.contains("415: scripted"), "{status} {why}");
    let failed = lines(&world.sim, &chat).pop().and_then(|line| line.failed);
    assert!(failed.is_some_and(|why| why.contains("scripted")), "the page shows what the platform said");
}

#[tokio::test]
async fn an_incomplete_attachment_is_refused_by_the_stand_in() {
    let desk = stand_in::Desk::new("").await;
    let good = json!({
        "fileId": "fil_1", "fileName": "a.pdf", "fileType": "attachment", "size": 1.5, "bytes": 1_572_864,
        "mime": "application/pdf", "fileUrl": "https://x/f/1", "downloadUrl": "https://x/f/v/1",
    });
    let send = async |list: Value| {
        let mut event = desk.event();
        event["channel"]["channelInfos"]["attachments"] = list;
        desk.send("on_user_message", &event).await.status().as_u16()
    };
    assert_eq!(send(json!([good])).await, 200);
    assert_eq!(send(json!([])).await, 500, "none is no list");
    for field in good.as_object().expect("fields").keys() {
        let mut bad = good.clone();
        bad[field] = Value::Null;
        assert_eq!(send(json!([good, bad])).await, 500, "{field}");
    }
}
