//! A webhook channel in asynchronous mode: what customers are told is posted to the program, in order, and survives what
//! happens to either side.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State as With;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{get, post};
use interline_connector::http::{Reply, Request};
use interline_connector::{Algorithm, Credential, Guard, Http};
use interline_core::conversation::state::Customer;
use serde_json::{Value, json};
use url::Url;

use crate::shop::Shop;
use crate::world::{Node, World, each_alone, until};

/// A program, and what was posted to it.
#[derive(Default)]
struct Program {
    /// Every post: whether it was taken, its headers, its body.
    posts: Mutex<Vec<(bool, HeaderMap, Value)>>,
    /// What it answers next; 200 when there is nothing left.
    answers: Mutex<Vec<u16>>,
}

impl Program {
    async fn serve() -> (Arc<Self>, Url) {
        let program = Arc::new(Self::default());
        let router = Router::new()
            .route("/told", post(told))
            .route("/photo.png", get(|| async { png() }))
            .with_state(program.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/told", listener.local_addr().unwrap()).parse().unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await });
        (program, url)
    }

    fn answers(&self, statuses: &[u16]) {
        *self.answers.lock().unwrap() = statuses.iter().rev().copied().collect();
    }

    /// What it took, in order.
    fn taken(&self) -> Vec<String> {
        let posts = self.posts.lock().unwrap();
        let words = |body: &Value| body["data"][0]["val"].as_str().unwrap().to_owned();
        posts.iter().filter(|(taken, ..)| *taken).map(|(_, _, body)| words(body)).collect()
    }

    async fn until_taken(&self, words: &str) {
        until(&format!("the program is told {words:?}"), async || {
            self.taken().iter().any(|taken| taken == words).then_some(())
        })
        .await;
    }
}

async fn told(With(program): With<Arc<Program>>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let status = program.answers.lock().unwrap().pop().unwrap_or(200);
    let body = serde_json::from_slice(&body).unwrap();
    program.posts.lock().unwrap().push((status == 200, headers, body));
    StatusCode::from_u16(status).unwrap()
}

/// The smallest picture there is.
fn png() -> Vec<u8> {
    const HEAD: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x06\0\0\0\x1f\x15\xc4\x89";
    const REST: &[u8] = b"\0\0\0\nIDATx\x9cc\0\x01\0\0\x05\0\x01\r\n-\xb4\0\0\0\0IEND\xaeB`\x82";
    [HEAD, REST].concat()
}

/// An app with such a channel, and where it is reached.
struct Office {
    shop: Shop,
    program: Arc<Program>,
    callback: Url,
    http: Http,
}

impl Office {
    async fn open(world: World) -> (Self, Node, SocketAddr) {
        let (program, callback) = Program::serve().await;
        let mut shop = Shop::open(world).await;
        shop.document["credentials"]["line"] = json!({ "client_id": "cs-line", "client_secret": "line-secret-0123456789", "scopes": ["webhook"] });
        shop.document["channels"]["program"] = json!({ "type": "webhook", "credentials": ["line"],
            "callback": { "url": callback, "token": "hunter2hunter2" } });
        let guard = Guard::default();
        let office = Self { shop, program, callback, http: Http::new(guard.clone()).unwrap() };
        let node = office.shop.start().await;
        office.shop.apply(&node).await.unwrap();
        let at = office.door(&node).await;
        guard.allow(&format!("http://{at}/").parse().unwrap());
        (office, node, at)
    }

    /// Serves the channel, as long as the node lives.
    async fn door(&self, node: &Node) -> SocketAddr {
        let engine = Arc::new(node.engine.clone());
        node.on(async move {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            let at = listener.local_addr().unwrap();
            let router = interline_channels::webhook::router(engine);
            tokio::spawn(async move { axum::serve(listener, router).await });
            at
        })
        .await
    }

    async fn post(&self, at: SocketAddr, node: &Node, message: Value) -> (u16, Value) {
        let credential = Credential {
            client_id: "cs-line".into(),
            client_secret: "line-secret-0123456789".to_owned().into(),
            algorithm: Algorithm::HS256,
        };
        let token = credential.sign(&json!({ "appId": "cs-line", "sub": "program" })).unwrap();
        let url = format!("http://{at}/chatbot/v2/webhook/{}", node.app).parse().unwrap();
        self.http.guard().allow(&url);
        let body = json!({ "message": message, "from": { "id": "ann" } });
        let request = Request::post(url).bearer(&token.into()).json(&body);
        let Reply::Answered { status, body, .. } = self.http.send(request).await.unwrap() else {
            panic!("no answer")
        };
        (status.as_u16(), serde_json::from_slice(&body).unwrap())
    }

    async fn say(&self, at: SocketAddr, node: &Node, text: &str) {
        let (status, answer) = self.post(at, node, json!({ "type": "text", "val": text })).await;
        assert_eq!((status, &answer["status"], &answer["_v"]), (200, &json!("ok"), &json!("v2")), "{answer}");
        assert!(answer["traceId"].is_string() && answer.get("data").is_none(), "{answer}");
    }

    async fn ann(&self, node: &Node) -> Customer {
        let (engine, app) = (node.engine.clone(), node.app.clone());
        node.on(async move {
            use interline_connector::channel::Host as _;
            engine.customer(&app, &"program".into(), "ann").await.unwrap()
        })
        .await
    }
}

#[test]
fn what_a_customer_is_told_is_posted_in_order() {
    each_alone("pushed", async |world| {
        let (office, node, at) = Office::open(world).await;
        let (status, answer) = office.post(at, &node, json!({ "type": "event", "val": "ON_CONNECT" })).await;
        assert_eq!((status, &answer["status"]), (200, &json!("ok")));
        office.program.until_taken("Hello").await;
        office.say(at, &node, "hi").await;
        office.program.until_taken("echo hi").await;
        // Agents are heard, too.
        office.say(at, &node, "human please").await;
        office.program.until_taken("One moment").await;
        let desk = &office.shop.desk;
        let chat = until("a chat", async || desk.desk().chats().first().map(|chat| chat.id.clone())).await;
        for line in 0..20 {
            desk.say(&chat, &format!("agent {line}")).await.unwrap();
        }
        office.program.until_taken("agent 19").await;
        let wanted: Vec<String> = ["Hello", "echo hi", "One moment", "An agent will be with you shortly"]
            .map(str::to_owned)
            .into_iter()
            .chain((0..20).map(|line| format!("agent {line}")))
            .collect();
        assert_eq!(office.program.taken(), wanted);
        let posts = office.program.posts.lock().unwrap().clone();
        let (_, headers, body) = &posts[0];
        assert_eq!(headers["authorization"], "Bearer hunter2hunter2");
        assert_eq!(
            (&body["to"], &body["from"], &body["_v"]),
            (&json!("ann"), &json!(node.app), &json!("v2"))
        );
        let line = &body["data"][0];
        assert!(
            line["type"] == "text" && line["createdOn"].is_string() && line["messageId"].is_string(),
            "{line}"
        );
        // Nothing of it is said twice.
        let ids: std::collections::BTreeSet<_> =
            posts.iter().map(|(_, _, body)| body["data"][0]["messageId"].to_string()).collect();
        assert_eq!(ids.len(), posts.len());
        node.engine.stop().await;
    });
}

#[test]
fn a_program_that_fails_is_told_again_with_the_same_id_and_nothing_overtakes() {
    each_alone("pushed_again", async |world| {
        let (office, node, at) = Office::open(world).await;
        office.program.answers(&[500, 503, 429]);
        office.say(at, &node, "one").await;
        office.say(at, &node, "two").await;
        office.program.until_taken("echo two").await;
        assert_eq!(office.program.taken(), ["echo one", "echo two"]);
        let posts = office.program.posts.lock().unwrap().clone();
        let firsts: Vec<_> = posts[..4]
            .iter()
            .map(|(_, headers, body)| (headers["idempotency-key"].clone(), body.clone()))
            .collect();
        assert!(firsts.iter().all(|first| *first == firsts[0]), "{firsts:?}");
        // One that it does not take at all is passed by.
        office.program.answers(&[400]);
        office.say(at, &node, "three").await;
        office.say(at, &node, "four").await;
        office.program.until_taken("echo four").await;
        assert!(!office.program.taken().contains(&"echo three".to_owned()));
        let ann = office.ann(&node).await;
        node.until_noted(&ann, "a line was refused", |note| {
            matches!(note, interline_core::conversation::entry::Note::Refused { .. })
        })
        .await;
        node.engine.stop().await;
    });
}

#[test]
fn a_restart_goes_on_where_the_program_was() {
    each_alone("pushed_restart", async |world| {
        let (office, node, at) = Office::open(world).await;
        office.say(at, &node, "one").await;
        office.program.until_taken("echo one").await;
        // Not told while the server still lives.
        office.program.answers(&[503; 3]);
        office.say(at, &node, "two").await;
        until("a try failed", async || {
            office.program.posts.lock().unwrap().iter().any(|(taken, ..)| !taken).then_some(())
        })
        .await;
        office.shop.kill(node).await;
        office.program.answers(&[]);
        let node = office.shop.start().await;
        office.program.until_taken("echo two").await;
        let at = office.door(&node).await;
        office.say(at, &node, "three").await;
        office.program.until_taken("echo three").await;
        assert_eq!(office.program.taken(), ["echo one", "echo two", "echo three"]);
        node.engine.stop().await;
    });
}

#[test]
fn the_address_of_a_program_must_not_be_private_unless_the_operator_says_so() {
    each_alone("pushed_guard", async |world| {
        let (_office, node, _) = Office::open(world).await;
        let elsewhere = json!({ "url": "http://127.0.0.1:9/told" });
        let refused = crate::shop::edit_by_api(&node, move |value| {
            value["channels"]["program"]["callback"] = elsewhere;
        });
        let refused = refused.await.unwrap_err();
        assert_eq!(crate::shop::paths(&refused), ["channels.program.callback.url"]);
        let masked = interline_engine::config::masked(&node.engine.apps().draft(&node.app).unwrap().document);
        assert!(!masked.to_string().contains("hunter2"), "the token is shown");
        node.engine.stop().await;
    });
}

#[test]
fn a_programs_files_are_fetched_and_named() {
    each_alone("pushed_files", async |world| {
        let guard = world.guard.clone();
        let (office, node, at) = Office::open(world).await;
        let photo = office.callback.join("/photo.png").unwrap();
        let with = |attachments: Value| json!({ "type": "text", "val": "look", "attachments": attachments });
        // A private address is not fetched from.
        let (status, answer) = office.post(at, &node, with(json!([{ "url": photo }]))).await;
        assert_eq!(status, 400, "{answer}");
        guard.allow(&photo);
        let (status, answer) = office.post(at, &node, with(json!([{ "url": photo }]))).await;
        assert_eq!(status, 200, "{answer}");
        office.program.until_taken("echo look").await;
        let ann = office.ann(&node).await;
        let log = node.log(&ann).await;
        let files: Vec<_> =
            log.iter().filter_map(|entry| entry.text()).flat_map(|text| &text.files).collect();
        assert!(files.iter().any(|file| file.name == "photo.png"), "{files:?}");
        for (attachments, told) in [
            (json!([{ "fileId": "fil_0" }]), 404),
            (json!([{}]), 400),
            (json!([{ "url": "file:///etc/passwd" }]), 400),
        ] {
            let (status, answer) = office.post(at, &node, with(attachments)).await;
            assert_eq!(status, told, "{answer}");
            assert_eq!(answer["errors"][0]["code"], told, "{answer}");
        }
        node.engine.stop().await;
    });
}
