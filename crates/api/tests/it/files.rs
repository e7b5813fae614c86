//! Files over HTTP: pages and bytes behind links, how often, how they are given out, and what operators see and do.

use axum::body::to_bytes;
use axum::http::HeaderMap;
use futures_util::future::join_all;
use interline_engine::KeyRole;
use serde_json::{Value, json};

use crate::client::Client;
use crate::world::{A, B, World, until};

const PDF: &[u8] = b"%PDF-1.4\n1 0 obj\n<<>>\nendobj\ntrailer\n<<>>\n%%EOF\n";

fn app(rest: &str) -> String {
    format!("/v1/apps/{A}{rest}")
}

/// An answer of a page, read.
struct Shown {
    status: u16,
    headers: HeaderMap,
    bytes: Vec<u8>,
}

impl Shown {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    fn text(&self) -> String {
        String::from_utf8(self.bytes.clone()).unwrap()
    }

    fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes).unwrap()
    }
}

async fn ask(client: &Client, method: &str, path: &str) -> Shown {
    let (parts, body) = client.open_as(method, path).await.into_parts();
    let bytes = to_bytes(body, usize::MAX).await.unwrap().to_vec();
    Shown { status: parts.status.as_u16(), headers: parts.headers, bytes }
}

async fn get(client: &Client, path: &str) -> Shown {
    ask(client, "GET", path).await
}

/// The files of a conversation, as an operator sees them.
async fn listed(client: &Client, conversation: &str) -> Value {
    client.get(&app(&format!("/conversations/{conversation}/files"))).await.is(200)["items"].clone()
}

/// The path of a link in what the BotKit was sent: `begins` and a token.
async fn sent_path(world: &World, client: &Client, conversation: &str, begins: &str) -> String {
    let token = |rest: &str| -> String {
        rest.chars().take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_')).collect()
    };
    let found = || {
        let log: String =
            world.botkit.desk().log().all().iter().map(|logged| logged.body.to_string()).collect();
        let mut tokens = log.match_indices(begins).map(|(at, _)| token(&log[at + begins.len()..]));
        // `/f/v/…` begins with `/f/`, too.
        tokens.find(|token| token.len() > 40)
    };
    until(client, &app(&format!("/conversations/{conversation}")), |_| found().is_some()).await;
    format!("{begins}{}", found().unwrap())
}

#[tokio::test]
async fn the_page_says_what_it_is_and_costs_nothing() {
    let world = World::start("file-page").await;
    let anna = world.customer("anna").await;
    let (file, link) = world.file(&anna, "bill.pdf", PDF).await;
    let anybody = world.without_key();
    for _ in 0..3 {
        let page = get(&anybody, &link).await;
        assert_eq!(page.status, 200);
        assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
        let text = page.text();
        for part in ["Anna&#39;s shop", "bill.pdf", "PDF, 48 bytes", "5 more times", " UTC</time>"] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert!(text.contains(&format!("href=\"{link}/download\"")), "{text}");
        assert!(!text.contains("<script"), "{text}");
        let policy = page.header("content-security-policy");
        assert!(policy.contains("default-src 'none'") && !policy.contains("script-src"), "{policy}");
        assert_eq!(page.header("cache-control"), "private, no-store");
        assert_eq!(page.header("referrer-policy"), "no-referrer");
        assert_eq!(page.header("x-robots-tag"), "noindex, nofollow");
        assert_eq!(page.header("x-content-type-options"), "nosniff");
    }
    let head = ask(&anybody, "HEAD", &link).await;
    assert_eq!((head.status, head.bytes.len()), (200, 0));
    let style = get(&anybody, "/f/page.css").await;
    assert_eq!((style.status, style.header("content-type")), (200, "text/css"));

    let told = get(&anybody.with("accept", "application/json"), &link).await.json();
    let until = told["until"].as_str().unwrap().to_owned();
    let expected = json!({
        "bot": "Anna's shop", "id": file.id.as_str(), "name": "bill.pdf", "mime": "application/pdf",
        "size": 48, "sha256": file.sha256, "left": 5, "until": until, "download": format!("{link}/download"),
    });
    assert_eq!(told, expected);
    let reader = world.key(Some(A), KeyRole::Read).await;
    let conversation = world.conversation(&reader, &anna).await;
    assert_eq!(listed(&reader, &conversation).await[0]["downloads"], json!([]), "nothing was counted");
}

#[tokio::test]
async fn the_sixth_download_is_refused_and_says_why() {
    let world = World::start("file-count").await;
    let anna = world.customer("anna").await;
    let (file, link) = world.file(&anna, "bill.pdf", PDF).await;
    let anybody = world.without_key().with("user-agent", "Browser/1");
    let path = format!("{link}/download");
    for left in (0..5).rev() {
        let head = ask(&anybody, "HEAD", &path).await;
        assert_eq!((head.status, head.header("content-length")), (200, "48"), "it is free to ask");
        let given = get(&anybody, &path).await;
        assert_eq!((given.status, given.bytes.as_slice()), (200, PDF));
        let page = get(&anybody.with("accept", "application/json"), &link).await;
        assert_eq!(page.status, if left == 0 { 410 } else { 200 });
        if left > 0 {
            assert_eq!(page.json()["left"], left);
        }
    }
    for (path, method) in [(&path, "GET"), (&link, "GET"), (&path, "HEAD"), (&link, "HEAD")] {
        let refused = ask(&anybody.with("accept", "text/html"), method, path).await;
        assert_eq!(refused.status, 410, "{method} {path}");
        assert!(refused.header("content-disposition").is_empty());
        assert_eq!(refused.header("cache-control"), "private, no-store");
        assert!(refused.header("content-security-policy").contains("default-src 'none'"));
        if method == "GET" {
            let text = refused.text();
            assert!(text.contains("used up") && text.contains("Ask in the conversation"), "{text}");
        }
    }
    let refused = get(&anybody.with("accept", "application/json"), &path).await;
    assert_eq!((refused.status, refused.header("content-type")), (410, "application/problem+json"));
    assert_eq!(refused.json()["code"], "used_up");

    let reader = world.key(Some(A), KeyRole::Read).await;
    let conversation = world.conversation(&reader, &anna).await;
    let told = listed(&reader, &conversation).await;
    assert_eq!((&told[0]["id"], &told[0]["by"]), (&json!(file.id.as_str()), &json!("customer")));
    assert!(told[0]["shared_at"].is_string() && told[0].get("revoked_at").is_none());
    let downloads = &told[0]["downloads"];
    assert_eq!((&downloads[0]["participant"], &downloads[0]["used"]), (&json!(0), &json!(5)));
    let accesses = downloads[0]["accesses"].as_array().unwrap();
    assert_eq!(accesses.len(), 5);
    let first = &accesses[0];
    assert_eq!(
        (&first["no"], &first["how"], &first["agent"]),
        (&json!(1), &json!("download"), &json!("Browser/1"))
    );
}

#[tokio::test]
async fn of_two_at_the_fifth_one_gets_it() {
    let world = World::start("file-fifth").await;
    let anna = world.customer("anna").await;
    let (_, link) = world.file(&anna, "bill.pdf", PDF).await;
    let (anybody, path) = (world.without_key(), format!("{link}/download"));
    for _ in 0..4 {
        assert_eq!(get(&anybody, &path).await.status, 200);
    }
    let answers = join_all([get(&anybody, &path), get(&anybody, &path)]).await;
    let mut statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 410]);

    // Nor do twenty at once get six.
    let (_, link) = world.file(&anna, "bill.pdf", PDF).await;
    let path = format!("{link}/download");
    let answers = join_all((0..20).map(|_| get(&anybody, &path))).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 5);
}

#[tokio::test]
async fn whoever_withdraws_a_file_ends_all_its_links() {
    let world = World::start("file-revoke").await;
    let operator = world.key(Some(A), KeyRole::Operate).await;
    let (anna, conversation) = world.talking(&operator, "anna").await;
    let (file, link) = world.file(&anna, "bill.pdf", PDF).await;
    let page = sent_path(&world, &operator, &conversation, "/f/").await;
    let fetch = sent_path(&world, &operator, &conversation, "/f/v/").await;
    assert_ne!(page, link, "the agent's link is another");
    let anybody = world.without_key();
    for path in [&link, &page, &fetch] {
        assert_eq!(get(&anybody, path).await.status, 200);
    }
    let path = app(&format!("/files/{}", file.id));
    world.key(Some(A), KeyRole::Read).await.delete(&path).await.refused(403, "role_too_weak");
    operator.delete(&path).await.is(204);
    let since = listed(&operator, &conversation).await[0]["revoked_at"].clone();
    assert!(since.is_string());
    operator.delete(&path).await.is(204);
    assert_eq!(listed(&operator, &conversation).await[0]["revoked_at"], since, "the first time counts");
    for path in [&link, &page, &format!("{link}/download"), &format!("{page}/download")] {
        let refused = get(&anybody, path).await;
        assert_eq!(refused.status, 410);
        assert!(refused.text().contains("This file was withdrawn"), "{}", refused.text());
    }
    let refused = get(&anybody, &fetch).await;
    assert_eq!((refused.status, &refused.json()["code"]), (410, &json!("revoked")));
    // Operators still see what it was about.
    assert_eq!(operator.get(&format!("{path}/content")).await.is(200), std::str::from_utf8(PDF).unwrap());
    operator.delete(&app("/files/fil_00000000000000000000000000000000")).await.refused(404, "not_found");
}

#[tokio::test]
async fn each_audience_counts_for_itself_and_machines_do_not_count() {
    let world = World::start("file-audiences").await;
    let operator = world.key(Some(A), KeyRole::Operate).await;
    let (anna, conversation) = world.talking(&operator, "anna").await;
    let (_, link) = world.file(&anna, "bill.pdf", PDF).await;
    let page = sent_path(&world, &operator, &conversation, "/f/").await;
    let fetch = sent_path(&world, &operator, &conversation, "/f/v/").await;
    let anybody = world.without_key();
    for _ in 0..5 {
        assert_eq!(get(&anybody, &format!("{link}/download")).await.status, 200);
    }
    assert_eq!(get(&anybody, &format!("{link}/download")).await.status, 410);
    assert_eq!(get(&anybody, &format!("{page}/download")).await.status, 200);
    for _ in 0..7 {
        let fetched = get(&anybody, &fetch).await;
        assert_eq!((fetched.status, fetched.bytes.as_slice()), (200, PDF));
        assert_eq!(fetched.header("content-disposition").split(';').next(), Some("attachment"));
        assert_eq!(fetched.header("content-security-policy"), "default-src 'none'; sandbox");
    }
    let head = ask(&anybody, "HEAD", &fetch).await;
    assert_eq!((head.status, head.bytes.len(), head.header("content-length")), (200, 0, "48"));
    // One kind of link is no link of the other kind.
    let (page_token, fetch_token) = (page.rsplit('/').next().unwrap(), fetch.rsplit('/').next().unwrap());
    assert_eq!(get(&anybody, &format!("/f/{fetch_token}")).await.status, 404);
    assert_eq!(get(&anybody, &format!("/f/{fetch_token}/download")).await.status, 404);
    let refused = get(&anybody, &format!("/f/v/{page_token}")).await;
    assert_eq!((refused.status, refused.header("content-type")), (404, "application/problem+json"));

    let used: Vec<(Value, Value)> = listed(&operator, &conversation).await[0]["downloads"]
        .as_array()
        .unwrap()
        .iter()
        .map(|share| (share["participant"].clone(), share["used"].clone()))
        .collect();
    assert_eq!(used, [(json!(0), json!(5)), (json!(1), json!(1))]);
}

#[tokio::test]
async fn links_end_with_their_time() {
    let mut world = World::start("file-time").await;
    let operator = world.key(Some(A), KeyRole::Operate).await;
    let (anna, conversation) = world.talking(&operator, "anna").await;
    let (_, link) = world.file(&anna, "bill.pdf", PDF).await;
    let fetch = sent_path(&world, &operator, &conversation, "/f/v/").await;
    assert_eq!(get(&world.without_key(), &fetch).await.status, 200);
    // Two hours a second: a link for machines is good for one hour, one for people for 48.
    world.restart(7200).await;
    let anybody = world.without_key();
    let began = std::time::Instant::now();
    let mut ended = Vec::new();
    while ended.len() < 2 {
        assert!(began.elapsed().as_secs() < 60, "waited in vain: {ended:?}");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        for (path, code) in [(&fetch, "expired"), (&link, "expired")] {
            let answer = get(&anybody.with("accept", "application/json"), path).await;
            if answer.status == 410 && !ended.contains(path) {
                assert_eq!(answer.json()["code"], code);
                ended.push(path.clone());
            }
        }
    }
    assert_eq!(ended, [fetch, link.clone()], "the machines' first");
    let page = get(&anybody, &format!("{link}/download")).await;
    assert!(page.status == 410 && page.text().contains("This link has expired"), "{}", page.text());
}

#[tokio::test]
async fn nothing_is_given_to_be_shown() {
    let world = World::start("file-headers").await;
    let anna = world.customer("anna").await;
    let html: &[u8] = b"<!doctype html><html><body><script>alert(1)</script></body></html>";
    let xml: &[u8] =
        b"<?xml version=\"1.0\"?><order xmlns:h=\"http://www.w3.org/1999/xhtml\"><h:script>1</h:script></order>";
    let odd = [
        ("a.pdf", PDF, "application/pdf"),
        ("a.txt", b"words".as_slice(), "text/plain"),
        ("a.html", html, "application/octet-stream"),
        ("a.htm", html, "application/octet-stream"),
        ("a.xml", xml, "application/octet-stream"),
    ];
    let operator = world.key(Some(A), KeyRole::Operate).await;
    for (name, content, kind) in odd {
        let (file, link) = world.file(&anna, name, content).await;
        let given = get(&world.without_key(), &format!("{link}/download")).await;
        assert_eq!((given.status, given.header("content-type")), (200, kind), "{name}");
        let by_key = get(&operator, &app(&format!("/files/{}/content", file.id))).await;
        assert_eq!((by_key.status, by_key.header("content-type")), (200, "application/octet-stream"));
        assert_eq!(by_key.header("cache-control"), "no-store");
        for given in [given, by_key] {
            assert_eq!(given.bytes, content);
            assert!(given.header("content-disposition").starts_with("attachment; "), "{name}");
            assert_eq!(given.header("content-length"), content.len().to_string());
            assert_eq!(given.header("x-content-type-options"), "nosniff");
            assert_eq!(given.header("content-security-policy"), "default-src 'none'; sandbox");
            assert_eq!(given.header("referrer-policy"), "no-referrer");
            assert_eq!(given.header("cross-origin-resource-policy"), "same-origin");
            assert_eq!(given.header("accept-ranges"), "none");
            assert!(given.headers.get_all("content-type").iter().count() == 1);
        }
        let page = get(&world.without_key(), &link).await;
        assert!(!page.text().contains("<svg") && !page.text().contains("alert(1)"), "{name}");
    }
    // A part of it is not to be had: it would be a download in parts.
    let (_, link) = world.file(&anna, "a.txt", b"words").await;
    let whole = get(&world.without_key().with("range", "bytes=1-2"), &format!("{link}/download")).await;
    assert_eq!((whole.status, whole.bytes.as_slice()), (200, b"words".as_slice()));
}

#[tokio::test]
async fn odd_names_break_no_header_and_no_page() {
    let world = World::start("file-names").await;
    let anna = world.customer("anna").await;
    let long = format!("{}.txt", "ü".repeat(3000));
    let longest = format!("{}.txt", "x".repeat(251));
    // What is sent, the name for everybody, the name as it is.
    let names: Vec<(&str, String, String)> = vec![
        ("a \"b\"; c.txt", "a _b_; c.txt".into(), "a%20_b_%3B%20c.txt".into()),
        ("a\r\nset-cookie: x=1.txt", "aset-cookie_ x=1.txt".into(), "aset-cookie_%20x%3D1.txt".into()),
        ("a\u{202e}fdp.txt", "afdp.txt".into(), "afdp.txt".into()),
        ("r\u{e9}sum\u{e9} \u{5e9}.txt", "r_sum_ _.txt".into(), "r%C3%A9sum%C3%A9%20%D7%A9.txt".into()),
        ("50%20'off'(1)*.txt", "50_20'off'(1)_.txt".into(), "50%2520%27off%27%281%29_.txt".into()),
        ("..\\..\\<b>x</b>.txt", "b_.txt".into(), "b_.txt".into()),
        (&longest, longest.clone(), longest.clone()),
        (&long, format!("{}.txt", "_".repeat(125)), format!("{}.txt", "%C3%BC".repeat(125))),
    ];
    for (sent, plain, encoded) in names {
        let (file, link) = world.file(&anna, sent, b"words").await;
        assert!(file.name.len() <= 255, "{}", file.name);
        let given = get(&world.without_key(), &format!("{link}/download")).await;
        let expected = format!("attachment; filename=\"{plain}\"; filename*=UTF-8''{encoded}");
        assert_eq!(given.header("content-disposition"), expected, "{sent:?}");
        assert!(given.headers.get("set-cookie").is_none());
        let page = get(&world.without_key(), &link).await;
        let text = page.text();
        assert!(page.status == 200 && !text.contains("<b>") && !text.contains('\u{202e}'), "{text}");
    }
}

#[tokio::test]
async fn what_is_no_link_is_404_in_every_shape() {
    let world = World::start("file-unknown").await;
    let anna = world.customer("anna").await;
    let (_, link) = world.file(&anna, "a.txt", b"words").await;
    let token = link.rsplit('/').next().unwrap().to_owned();
    let mut forged = token.clone().into_bytes();
    forged[20] = if forged[20] == b'A' { b'B' } else { b'A' };
    let forged = String::from_utf8(forged).unwrap();
    let anybody = world.without_key();
    for token in ["x", "%00", "%FF", "page.css%00", &forged, &token[1..], &"A".repeat(4000)] {
        for path in [format!("/f/{token}"), format!("/f/{token}/download")] {
            let page = get(&anybody, &path).await;
            assert_eq!(
                (page.status, page.header("content-type")),
                (404, "text/html; charset=utf-8"),
                "{path}"
            );
            assert!(page.text().contains("There is no such file"));
            let told = get(&anybody.with("accept", "application/json"), &path).await;
            assert_eq!((told.status, &told.json()["code"]), (404, &json!("not_found")));
            let told = get(&anybody.with("accept", "text/plain"), &path).await;
            assert!(
                told.status == 404 && told.text().starts_with("There is no such file."),
                "{}",
                told.text()
            );
        }
        let told = get(&anybody, &format!("/f/v/{token}")).await;
        assert_eq!((told.status, &told.json()["code"]), (404, &json!("not_found")), "{token}");
    }
    // What was erased is as if it had never been.
    let admin = world.admin().await;
    let erased = admin.delete(&app(&format!("/customers/{}", anna.id))).await.is(200);
    assert_eq!(erased["files"], 1);
    assert_eq!(get(&anybody, &link).await.status, 404);
    assert_eq!(get(&anybody, &format!("{link}/download")).await.status, 404);
}

#[tokio::test]
async fn too_many_at_once_are_told_to_wait_and_nothing_is_counted() {
    let world = World::start("file-rate").await;
    let anna = world.customer("anna").await;
    let (_, link) = world.file(&anna, "a.txt", b"words").await;
    let anybody = world.without_key();
    // What is no link costs next to nothing, so all of these come within the second.
    let loop_of = join_all((0..400).map(|_| get(&anybody, "/f/v/x"))).await;
    assert!(loop_of.iter().all(|answer| matches!(answer.status, 404 | 429)));
    let refused: Vec<&Shown> = loop_of.iter().filter(|answer| answer.status == 429).collect();
    let first = refused.first().expect("somebody was told to wait");
    assert_eq!((first.header("retry-after"), &first.json()["code"]), ("5", &json!("too_many_requests")));
    let reader = world.key(Some(A), KeyRole::Read).await;
    let path = format!("{link}/download");
    let answers = join_all((0..40).map(|_| get(&anybody, &path))).await;
    let given = answers.iter().filter(|answer| answer.status == 200).count();
    let conversation = world.conversation(&reader, &anna).await;
    let used = listed(&reader, &conversation).await[0]["downloads"][0]["used"].as_u64().unwrap_or(0);
    assert_eq!(used, given as u64, "whoever was told to wait was not counted");
}

#[tokio::test]
async fn the_ids_of_one_app_are_nothing_in_another() {
    let world = World::start("file-apps").await;
    let anna = world.customer("anna").await;
    let (file, link) = world.file(&anna, "a.txt", b"words").await;
    let (of_a, of_b) = (world.admin().await, world.key(Some(B), KeyRole::Admin).await);
    let conversation = world.conversation(&of_a, &anna).await;
    for (client, other) in [(&of_b, B), (&of_b, A), (&world.key(None, KeyRole::Admin).await, B)] {
        let base = format!("/v1/apps/{other}");
        for path in [
            format!("{base}/files/{}/content", file.id),
            format!("{base}/conversations/{conversation}/files"),
        ] {
            client.get(&path).await.refused(404, "not_found");
        }
        client.delete(&format!("{base}/files/{}", file.id)).await.refused(404, "not_found");
    }
    assert_eq!(get(&world.without_key(), &link).await.status, 200, "nothing was withdrawn");
    let reader = world.key(Some(A), KeyRole::Read).await;
    reader.get(&app(&format!("/files/{}/content", file.id))).await.refused(403, "role_too_weak");
}

#[tokio::test]
async fn the_timeline_and_the_transcript_show_files() {
    let world = World::start("file-words").await;
    let operator = world.key(Some(A), KeyRole::Operate).await;
    let anna = world.customer("anna").await;
    let (file, link) = world.file(&anna, "bill.pdf", PDF).await;
    let conversation = world.conversation(&operator, &anna).await;
    let timeline =
        operator.get(&app(&format!("/conversations/{conversation}/timeline?limit=200"))).await.is(200);
    let entries = timeline["items"].as_array().unwrap();
    let named: Vec<&Value> = entries.iter().filter(|entry| entry.get("files").is_some()).collect();
    let expected = json!([{
        "id": file.id.as_str(), "name": "bill.pdf", "mime": "application/pdf", "size": 48, "sha256": file.sha256,
    }]);
    assert_eq!((named.len(), &named[0]["files"], &named[0]["text"]), (1, &expected, &json!("a file")));

    world.talking(&operator, "anna").await;
    let transcript = sent_path(&world, &operator, &conversation, "/t/").await;
    let anybody = world.without_key();
    let told = get(&anybody.with("accept", "application/json"), &transcript).await.json();
    let lines = told["entries"].as_array().unwrap();
    let shown = lines.iter().find(|line| line.get("files").is_some()).unwrap();
    let shown = &shown["files"][0];
    assert_eq!((&shown["name"], &shown["size"]), (&json!("bill.pdf"), &json!(48)));
    let url: axum::http::Uri = shown["url"].as_str().unwrap().parse().unwrap();
    assert!(url.path().starts_with("/f/") && url.path() != link, "a link for the agent, not the customer's");
    let page = ask(&anybody, "POST", &transcript).await.text();
    assert!(page.contains(&format!("<a href=\"{url}\"><bdi>bill.pdf</bdi></a>")), "{page}");
    let text = get(&anybody.with("accept", "text/plain"), &transcript).await.text();
    assert!(text.contains(&format!("\n  file: bill.pdf (48 bytes) {url}\n")), "{text}");

    assert_eq!(get(&anybody, &format!("{}/download", url.path())).await.bytes, PDF);
    let downloads = listed(&operator, &conversation).await[0]["downloads"].clone();
    assert_eq!((downloads[0]["participant"].clone(), downloads[0]["used"].clone()), (json!(1), json!(1)));
}

#[tokio::test]
async fn what_files_an_app_takes_is_a_part_of_its_document() {
    let world = World::start("file-rules").await;
    let admin = world.admin().await;
    let mut document = admin.get(&app("/document")).await.is(200);
    assert!(document.get("files").is_none(), "defaults are left out");
    document["files"] = json!({ "max_bytes": 1000, "formats": ["pdf"], "downloads": 1, "hours": 2 });
    let applied = admin.put(&app("?dry_run=true"), document.clone()).await.is(200);
    assert_eq!(applied["differences"][0]["path"], "files");
    admin.put(&app(""), document.clone()).await.is(200);
    let shown = admin.get(&app("")).await.is(200)["document"]["files"].clone();
    assert_eq!((&shown["max_bytes"], &shown["formats"]), (&json!(1000), &json!(["pdf"])));
    assert_eq!((&shown["downloads"], &shown["per_message"]), (&json!(1), &json!(10)));

    // It is in force at once.
    let anna = world.customer("anna").await;
    let (_, link) = world.file(&anna, "bill.pdf", PDF).await;
    assert_eq!(get(&world.without_key(), &format!("{link}/download")).await.status, 200);
    assert_eq!(get(&world.without_key(), &format!("{link}/download")).await.status, 410);

    let cases = [
        (json!({ "max_bytes": 0 }), "files.max_bytes"),
        (json!({ "formats": ["exe"] }), "files.formats[0]"),
        (json!({ "formats": [] }), "files.formats"),
        (json!({ "per_message": 0 }), "files.per_message"),
        (json!({ "hours": 0 }), "files"),
        (json!({ "scan": { "found": "block", "down": "refuse" } }), "files.scan"),
    ];
    for (wrong, place) in cases {
        document["files"] = wrong;
        admin.put(&app(""), document.clone()).await.invalid_at(place);
    }
}
