//! Files on the web channel: the published client's uploads byte by byte, tus, and files in frames and history.
#![allow(missing_docs)]

mod support;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use interline_core::conversation::entry::Text;
use interline_core::{Body, Speaker};
use serde_json::{Value, json};
use support::files::{MAX, MemoryFiles};
use support::{Client, World};

const BOUNDARY: &str = "--------MultipartData0.8364";

/// One field of a body: words, or a file in base64.
enum Field<'a> {
    Words(&'a str, String),
    File(&'a str, &'a str, Vec<u8>),
}

/// As `MultipartDatatoString` of the published client writes it.
fn body(fields: &[Field<'_>]) -> String {
    let mut body = String::new();
    for field in fields {
        body += &format!("--{BOUNDARY}\r\n");
        match field {
            Field::Words(name, words) => {
                body += &format!("Content-Disposition: form-data; name=\"{name}\";\r\n\r\n{words}\r\n");
            }
            // What is empty is falsy there, and an object as text.
            Field::File(name, _, bytes) if bytes.is_empty() => {
                body +=
                    &format!("Content-Disposition: form-data; name=\"{name}\";\r\n\r\n[object Object]\r\n");
            }
            Field::File(name, file, bytes) => {
                body += &format!("Content-Disposition: form-data; name=\"{name}\"; filename=\"{file}\"\r\n");
                body +=
                    "Content-Type: UTF-8; charset=ISO-8859-1\r\nContent-Transfer-Encoding: base64\r\n\r\n";
                body += &format!("{}\r\n", STANDARD.encode(bytes));
            }
        }
    }
    body + &format!("--{BOUNDARY}--")
}

async fn send(world: &World, method: &str, path: &str, token: &str, body: String) -> (u16, Value) {
    let method = method.parse().expect("a method");
    let request = world.http.request(method, format!("{}/api/1.1/{path}", world.base));
    let kind = format!("multipart/form-data; boundary={BOUNDARY}");
    let request = request.header("authorization", format!("bearer {token}")).header("content-type", kind);
    let answer = request.body(body).send().await.expect("an answer");
    (answer.status().as_u16(), answer.json().await.unwrap_or_default())
}

fn fields<'a>(name: &str) -> Vec<Field<'a>> {
    let extension = name.rsplit('.').next().unwrap_or_default().to_owned();
    vec![
        Field::Words("fileExtension", extension),
        Field::Words("fileContext", "workflows".into()),
        Field::Words("thumbnailUpload", "false".into()),
        Field::Words("filename", name.to_owned()),
    ]
}

async fn small(world: &World, token: &str, name: &str, bytes: &[u8]) -> (u16, Value) {
    let mut all = fields(name);
    all.push(Field::File("file", name, bytes.to_vec()));
    all.push(Field::File("thumbnail", "x_thumb", bytes.to_vec()));
    send(world, "POST", "attachment/file", token, body(&all)).await
}

#[tokio::test]
async fn the_published_clients_small_upload() {
    let world = World::start().await;
    let token = world.login("ann").await;
    let (status, answer) = world.post("/api/1.1/attachment/file/token", Some(&token), &json!({})).await;
    assert!(status == 200 && answer["fileToken"].is_string(), "{answer}");
    let (status, answer) = small(&world, &token, "a;\"b.pdf", b"%PDF-1.4 hello").await;
    assert_eq!(status, 200, "{answer}");
    let id = answer["fileId"].as_str().expect("an id");
    assert_eq!(world.host.files.bytes(id).as_deref(), Some(b"%PDF-1.4 hello".as_slice()));
    for path in [
        format!("/api/1.1/attachment/file/{id}/url"),
        format!("/api/attachment/v2/stream/st-x/file/{id}/url"),
    ] {
        let (status, answer) = world.get(&path, &token).await;
        assert_eq!(
            (status, answer["fileUrl"].as_str()),
            (200, Some(format!("https://files.example/f/{id}").as_str()))
        );
    }
    let other = world.login("bob").await;
    let (status, answer) = world.get(&format!("/api/1.1/attachment/file/{id}/url"), &other).await;
    assert_eq!((status, &answer["errors"][0]["code"]), (404, &json!("file_unknown")), "{answer}");
    let (status, _) = small(&world, "forged", "a.pdf", b"x").await;
    assert_eq!(status, 401);
}

#[tokio::test]
async fn refusals_are_in_the_clients_shape() {
    let world = World::start().await;
    let token = world.login("ann").await;
    let (status, answer) = small(&world, &token, "tool.exe", b"MZ").await;
    let error = &answer["errors"][0];
    assert_eq!((status, &error["code"], &error["httpStatus"]), (415, &json!("file_format"), &json!("415")));
    assert!(error["msg"].as_str().is_some_and(|told| told.contains(".pdf, .txt, .png")), "{error}");
    let large = vec![b'x'; MAX as usize + 1];
    let (status, answer) = small(&world, &token, "a.txt", &large).await;
    assert!(
        status == 413 && answer["errors"][0]["msg"].as_str().is_some_and(|told| told.contains("3 MB")),
        "{answer}"
    );
    let cut = body(&[Field::File("file", "a.txt", b"words".to_vec())]);
    let (status, _) = send(&world, "POST", "attachment/file", &token, cut[..cut.len() - 40].to_owned()).await;
    assert_eq!(status, 400, "an upload that stops half-way is not a file");
    let (status, _) = send(&world, "POST", "attachment/file", &token, body(&fields("a.txt"))).await;
    assert_eq!(status, 400, "no file at all");
}

/// As `startChunksUpload` does it. `repeat`: every chunk is sent twice.
async fn chunked(world: &World, token: &str, bytes: &[u8], repeat: bool) -> (u16, Value) {
    let (_, first) = world.post("/api/1.1/attachment/file/token", Some(token), &json!({})).await;
    let (_, second) = world.post("/api/1.1/attachment/file/token", Some(token), &json!({})).await;
    let (first, second) =
        (first["fileToken"].as_str().expect("a token"), second["fileToken"].as_str().expect("a token"));
    let size = 1024 * 1024;
    let total = bytes.len() / size + 1;
    for no in 0..total {
        let chunk = bytes[no * size..bytes.len().min((no + 1) * size)].to_vec();
        let fields = [
            Field::Words("chunkNo", no.to_string()),
            Field::Words("messageToken", second.to_owned()),
            Field::File("chunk", "big.txt", chunk),
        ];
        for _ in 0..=usize::from(repeat) {
            let (status, answer) =
                send(world, "POST", &format!("attachment/file/{first}/chunk"), token, body(&fields)).await;
            assert_eq!(status, 200, "{answer}");
        }
    }
    let mut all =
        vec![Field::Words("totalChunks", total.to_string()), Field::Words("messageToken", second.to_owned())];
    all.extend(fields("big.txt"));
    send(world, "PUT", &format!("attachment/file/{first}"), token, body(&all)).await
}

#[tokio::test]
async fn the_published_clients_chunks() {
    let world = World::start().await;
    let token = world.login("ann").await;
    for (size, repeat) in [(1024 * 1024 + 7, false), (2 * 1024 * 1024, false), (2_500_000, true)] {
        let bytes: Vec<u8> = (0..size).map(|at| (at % 251) as u8).collect();
        let (status, answer) = chunked(&world, &token, &bytes, repeat).await;
        assert_eq!(status, 200, "{answer}");
        assert_eq!(world.host.files.bytes(answer["fileId"].as_str().expect("an id")), Some(bytes));
    }
    let skipped = [Field::Words("chunkNo", "5".into()), Field::File("chunk", "a.txt", b"x".to_vec())];
    let (_, answer) = world.post("/api/1.1/attachment/file/token", Some(&token), &json!({})).await;
    let path = format!("attachment/file/{}/chunk", answer["fileToken"].as_str().expect("a token"));
    assert_eq!(send(&world, "POST", &path, &token, body(&skipped)).await.0, 409);
}

struct Tus<'a> {
    world: &'a World,
    token: String,
}

impl Tus<'_> {
    async fn call(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> reqwest::Response {
        let request =
            self.world.http.request(method.parse().expect("a method"), format!("{}{path}", self.world.base));
        let mut request = request
            .header("authorization", format!("bearer {}", self.token))
            .header("tus-resumable", "1.0.0");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(body.to_vec()).send().await.expect("an answer")
    }

    async fn create(&self, name: &str, size: usize) -> reqwest::Response {
        let metadata = format!("filename {}", STANDARD.encode(name));
        self.call(
            "POST",
            "/api/files",
            &[("upload-length", &size.to_string()), ("upload-metadata", &metadata)],
            b"",
        )
        .await
    }

    async fn patch(&self, at: &str, offset: usize, bytes: &[u8]) -> reqwest::Response {
        let kind = ("content-type", "application/offset+octet-stream");
        self.call("PATCH", at, &[kind, ("upload-offset", &offset.to_string())], bytes).await
    }
}

fn header(answer: &reqwest::Response, name: &str) -> String {
    answer.headers().get(name).map(|value| value.to_str().expect("text").to_owned()).unwrap_or_default()
}

#[tokio::test]
async fn an_upload_by_tus_goes_on_where_it_stands() {
    let world = World::start().await;
    let tus = Tus { world: &world, token: world.login("ann").await };
    let created = tus.create("über.pdf", 10).await;
    assert_eq!(created.status(), 201);
    let at = header(&created, "location");
    assert!(at.starts_with("/api/files/"), "{at}");
    let half = tus.patch(&at, 0, b"01234").await;
    assert_eq!((half.status().as_u16(), header(&half, "upload-offset")), (204, "5".into()));
    let head = tus.call("HEAD", &at, &[], b"").await;
    assert_eq!(
        (head.status().as_u16(), header(&head, "upload-offset"), header(&head, "upload-length")),
        (200, "5".into(), "10".into())
    );
    assert_eq!(tus.patch(&at, 3, b"x").await.status(), 409);
    let done = tus.patch(&at, 5, b"56789").await;
    assert_eq!((done.status().as_u16(), header(&done, "upload-offset")), (200, "10".into()));
    let file: Value = done.json().await.expect("JSON");
    assert_eq!(
        (&file["fileName"], &file["bytes"], &file["fileType"]),
        (&json!("über.pdf"), &json!(10), &json!("attachment"))
    );
    let again = tus.patch(&at, 10, b"").await;
    assert_eq!(again.json::<Value>().await.expect("JSON"), file, "a lost answer is given again");
    assert_eq!(
        world.host.files.bytes(file["fileId"].as_str().expect("an id")).as_deref(),
        Some(b"0123456789".as_slice())
    );

    let other = Tus { world: &world, token: world.login("bob").await };
    assert_eq!(other.call("HEAD", &at, &[], b"").await.status(), 404);
    assert_eq!(other.patch(&at, 0, b"x").await.status(), 404);
    let gone = header(&tus.create("a.txt", 5).await, "location");
    assert_eq!(tus.call("DELETE", &gone, &[], b"").await.status(), 204);
    assert_eq!(tus.call("HEAD", &gone, &[], b"").await.status(), 404);
}

#[tokio::test]
async fn tus_is_held_to_its_word() {
    let world = World::start().await;
    let tus = Tus { world: &world, token: world.login("ann").await };
    assert_eq!(tus.create("a.txt", MAX as usize + 1).await.status(), 413);
    let at = header(&tus.create("a.txt", 4).await, "location");
    assert_eq!(tus.patch(&at, 0, b"12345").await.status(), 413);
    assert_eq!(tus.call("PATCH", &at, &[("upload-offset", "0")], b"x").await.status(), 415);
    let old = [("tus-resumable", "0.2.2"), ("upload-length", "4")];
    let request = world
        .http
        .post(format!("{}/api/files", world.base))
        .bearer_auth(&tus.token)
        .header(old[0].0, old[0].1);
    assert_eq!(request.send().await.expect("an answer").status(), 412);
    let nobody = Tus { world: &world, token: "x".into() };
    assert_eq!(nobody.create("a.txt", 4).await.status(), 401);
    let rules: Value = tus.call("GET", "/api/files", &[], b"").await.json().await.expect("JSON");
    assert_eq!(rules, json!({ "maxBytes": MAX, "formats": ["pdf", "txt", "png"], "perMessage": 3 }));
    let asked = tus.call("OPTIONS", "/api/files", &[("origin", "https://shop.example")], b"").await;
    assert!(header(&asked, "access-control-allow-headers").contains("upload-offset"));
    assert!(header(&asked, "access-control-expose-headers").contains("Upload-Offset"));
    let picture = tus.call("GET", "/api/files/fil_1/thumbnail", &[], b"").await;
    assert_eq!((picture.status().as_u16(), header(&picture, "content-type")), (200, "image/jpeg".into()));
}

#[tokio::test]
async fn files_come_and_go_with_lines() {
    let world = World::start().await;
    let (token, mut client) = world.welcomed("ann").await;
    let (_, file) = small(&world, &token, "a.pdf", b"%PDF-1.4").await;
    let frame = |id: u64, files: Value| json!({ "clientMessageId": id, "id": id, "resourceid": "/bot.message", "message": { "body": "", "attachments": files } });
    client.send(frame(1, json!([file.clone()]))).await;
    support::until("the line is in the log", || world.host.said("ann") == [""]).await;
    let log = world.host.log("ann");
    let sent =
        log.iter().filter_map(|line| line.entry.text()).find(|text| !text.files.is_empty()).expect("files");
    assert_eq!((sent.text.as_str(), sent.files[0].name.as_str()), ("", "a.pdf"));

    client.send(frame(2, json!(vec![file.clone(); 200]))).await;
    assert!(client.line().await.contains("At most 3 files"), "a limit is named");
    client.send(frame(3, json!([{ "fileId": "fil_someone_elses" }]))).await;
    assert!(client.line().await.contains("no longer there"));
    assert_eq!(world.host.said("ann").len(), 1);

    let form = MemoryFiles::file("form [1].pdf");
    let text = Text { files: vec![form.clone()], ..Text::plain("please sign") };
    world.host.push("ann", Speaker::Agent { name: Some("Kim".into()) }, Body::Text(text));
    let told = client.line().await;
    assert!(
        told.contains(&format!("please sign\n[form _1_.pdf](https://files.example/f/{}) (1.5 MB)", form.id)),
        "{told}"
    );

    let mut widget = Client::open(&world.widget_url(&token).await).await;
    let (_, page) = world
        .get(&format!("/api/botmessages/rtm?botId={}&limit=9&client=interline", support::APP_A), &token)
        .await;
    let last = page["messages"].as_array().and_then(|all| all.last()).expect("a line").clone();
    assert_eq!(last["components"][0]["data"]["text"], "please sign");
    assert_eq!(last["attachments"][0]["bytes"], 1_572_864);
    assert_eq!(last["attachments"][0]["size"], 1.5);
    let (_, page) =
        world.get(&format!("/api/botmessages/rtm?botId={}&limit=9", support::APP_A), &token).await;
    let last = page["messages"].as_array().and_then(|all| all.last()).expect("a line").clone();
    assert!(
        last["components"][0]["data"]["text"]
            .as_str()
            .is_some_and(|text| text.contains("](https://files.example/f/"))
    );
    let text = Text { files: vec![form.clone()], ..Text::plain("once more") };
    world.host.push("ann", Speaker::Agent { name: None }, Body::Text(text));
    let frame = widget.frame_of("bot_response").await;
    assert_eq!(
        (&frame["message"][0]["cInfo"]["body"], &frame["attachments"][0]["fileId"]),
        (&json!("once more"), &json!(form.id))
    );
}
