//! Bad input at every edge: a clear answer, and the server lives.
#![allow(clippy::unwrap_used, reason = "a test: a wrong assumption ends it")]

use std::time::{Duration, Instant};

use interline_tests::botkit::{BotKit, Session};
use interline_tests::http::{Answer, Http};
use interline_tests::scratch::Scratch;
use interline_tests::server::{Server, Setup, example_with};
use interline_tests::web::{Frame, Kept, Site, Socket, keep};
use interline_tests::{App, now_ms};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;

const SOON: Duration = Duration::from_secs(15);

struct World {
    server: Server,
    site: Site,
    botkit: BotKit,
    _scratch: Scratch,
}

impl World {
    async fn new(name: &str) -> Self {
        Self::with(name, &[]).await
    }

    /// With words of the example changed.
    async fn with(name: &str, changes: &[(&str, &str)]) -> Self {
        let scratch = Scratch::new(name).unwrap();
        let app = App::fresh();
        let (botkit, _) = BotKit::keeping(&app).await.unwrap();
        let app_file = example_with(scratch.path(), changes).unwrap();
        let setup = Setup { app_file, ..Setup::new(&scratch.path().join("data"), &app, &botkit.url) };
        let server = setup.start().await.unwrap();
        let site = Site { address: server.address(), app };
        Self { server, site, botkit, _scratch: scratch }
    }

    async fn socket(&self, identity: &str) -> (Socket, Kept) {
        let token = self.site.log_in(identity).await.unwrap();
        let (hook, mut frames) = keep();
        let socket = self.site.open(&token, false, hook).await.unwrap();
        frames.line(SOON, "Hello").await.unwrap();
        (socket, frames)
    }

    async fn handed_over(&self, identity: &str) -> (Socket, Kept, Session) {
        let (mut socket, frames) = self.socket(identity).await;
        let before = self.botkit.sessions().len();
        socket.tell(1, "agent").await.unwrap();
        self.botkit.wait_for_sessions(before + 1, SOON).await.unwrap();
        (socket, frames, self.botkit.sessions()[before].clone())
    }

    /// A customer can still talk to the bot, and nothing has panicked.
    async fn lives(&self) {
        let (mut socket, mut frames) = self.socket(&format!("somebody-{}", now_ms())).await;
        socket.tell(1, "still there?").await.unwrap();
        frames.line(SOON, "You said: still there?").await.unwrap();
        assert_eq!(self.server.logged("panicked"), 0, "{}", self.server.log_end());
        assert_eq!(self.botkit.faults(), Vec::<String>::new());
    }
}

/// `{"errors":[{"msg","code"}]}` with a message that a person can read.
fn says_why(answer: &Answer) -> String {
    let body = answer.json();
    let why = body["errors"][0]["msg"].as_str().unwrap_or_default().to_owned();
    assert!(!why.is_empty() && !body["errors"][0]["code"].is_null(), "{} {}", answer.status, answer.text());
    why
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn logins_that_are_not_right() {
    let world = World::new("logins").await;
    let app = &world.site.app;
    let now = now_ms() / 1000;
    let claims = json!({ "iss": app.client_id, "sub": "ann", "iat": now, "exp": now + 3600 });
    let with = |name: &str, value: Value| {
        let mut claims = claims.clone();
        claims[name] = value;
        app.sign(&claims)
    };
    let signed_by = |algorithm, secret: &str| {
        let key = jsonwebtoken::EncodingKey::from_secret(secret.as_bytes());
        jsonwebtoken::encode(&jsonwebtoken::Header::new(algorithm), &claims, &key).unwrap()
    };
    let good = app.sign(&claims);
    let (_, rest) = good.split_once('.').unwrap();
    let (payload, signature) = rest.split_once('.').unwrap();
    // {"alg":"none","typ":"JWT"}, with and without the signature of another header.
    let none = "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0";
    let mut changed = signature.to_owned();
    changed.replace_range(..2, if signature.starts_with("AA") { "BB" } else { "AA" });
    let cases = [
        ("alg none", format!("{none}.{payload}.")),
        ("alg none, signed", format!("{none}.{payload}.{signature}")),
        ("another algorithm", signed_by(jsonwebtoken::Algorithm::HS512, &app.secret)),
        ("another secret", signed_by(jsonwebtoken::Algorithm::HS256, "guessed")),
        ("a changed signature", good.replace(signature, &changed)),
        ("expired", with("exp", json!(now - 3600))),
        ("expired, with a fraction", with("exp", json!(now as f64 - 3600.5))),
        ("without exp", with("exp", Value::Null)),
        ("exp as a text", with("exp", json!("soon"))),
        ("not valid yet", with("nbf", json!(now + 3600))),
        ("another client", with("iss", json!("cs-00000000-0000-4000-8000-000000000000"))),
        ("nobody", with("sub", json!(""))),
        ("a user with NUL", with("sub", json!("ann\0"))),
        ("a user without end", with("sub", json!("a".repeat(10_000)))),
        ("not a token", "nonsense".to_owned()),
        ("nothing", String::new()),
    ];
    for (name, jwt) in cases {
        let answer = world.site.grant(&jwt).await.unwrap();
        assert_eq!(answer.status, 401, "{name}: {}", answer.text());
        says_why(&answer);
    }
    let other = Site { app: App { bot: App::fresh().bot, ..app.clone() }, ..world.site.clone() };
    let answer = other.grant(&good).await.unwrap();
    assert!(matches!(answer.status, 401 | 404), "a foreign bot: {} {}", answer.status, answer.text());
    says_why(&answer);

    // The same token twice at once is one login.
    let once = with("jti", json!(format!("jti-{now}")));
    let (one, two) = tokio::join!(world.site.grant(&once), world.site.grant(&once));
    assert_eq!((one.unwrap().status, two.unwrap().status), (200, 200));
    let long = app.sign(&json!({ "iss": app.client_id, "sub": "ann", "exp": now + 90_000, "jti": "long" }));
    assert_eq!(world.site.grant(&long).await.unwrap().status, 401, "a jti that lasts a day");
    world.lives().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bodies_and_headers_that_are_not_right() {
    let world = World::new("bodies").await;
    let mut http = Http::new(world.site.address);
    let deep = format!("{}{}", "[".repeat(20_000), "]".repeat(20_000));
    let huge = format!(r#"{{"assertion":"{}"}}"#, "x".repeat(2 * 1024 * 1024));
    let bodies: [&[u8]; 7] = [b"", b"{", b"null", b"[]", b"{\"assertion\":1}", b"\xff\xfe", deep.as_bytes()];
    for path in
        ["/api/oAuth/token/jwtgrant", "/api/1.1/oAuth/token/jwtgrant", "/api/oAuth/token/jwtgrant/anonymous"]
    {
        for body in bodies {
            let answer = http.call("POST", path, &[], body).await.unwrap();
            assert!((400..500).contains(&answer.status), "{path} {body:?}: {}", answer.status);
            says_why(&answer);
        }
        let mut alone = Http::new(world.site.address);
        // It may close before it has read all of it; what it says first counts.
        if let Ok(answer) = alone.call("POST", path, &[], huge.as_bytes()).await {
            assert_eq!(answer.status, 413, "{path}: 2 MiB");
        }
    }
    for token in ["", "bearer", "bearer x", "Basic x", "bearer v1.a.b.c"] {
        let answer = http.post("/api/rtm/start", &[("authorization", token)], &json!({})).await.unwrap();
        assert_eq!(answer.status, 401, "`{token}`");
        says_why(&answer);
        let path = format!("/api/botmessages/rtm?botId={}", world.site.app.bot);
        let answer = http.get(&path, &[("authorization", token)]).await.unwrap();
        assert_eq!(answer.status, 401, "`{token}`");
    }
    // Another bot's id with a good token.
    let token = world.site.log_in("ann").await.unwrap();
    let bearer = format!("bearer {token}");
    let foreign = App::fresh().bot;
    let body = json!({ "botInfo": { "chatBot": "Bot", "taskBotId": foreign } });
    let answer = http.post("/api/rtm/start", &[("authorization", &bearer)], &body).await.unwrap();
    assert!(matches!(answer.status, 401 | 404), "{}", answer.status);
    let answer = http
        .get(&format!("/api/botmessages/rtm?botId={foreign}"), &[("authorization", &bearer)])
        .await
        .unwrap();
    assert!(matches!(answer.status, 401 | 404), "{}", answer.status);
    for query in [
        "limit=x",
        "limit=-1",
        "limit=99999999999999999999",
        "offset=-1",
        "msgId=nonsense",
        "msgId=ms-cnv_x-1",
    ] {
        let path = format!("/api/botmessages/rtm?botId={}&{query}", world.site.app.bot);
        let answer = http.get(&path, &[("authorization", &bearer)]).await.unwrap();
        assert!(answer.status < 500, "{query}: {}", answer.status);
    }
    for path in ["/", "/nowhere", "/api", "/rtm/bot", "/_sim", "/api/botsdk/stream/x", "/%00", "/api/%ff"] {
        let answer = http.get(path, &[]).await.unwrap();
        assert!((400..500).contains(&answer.status), "{path}: {}", answer.status);
    }
    world.lives().await;
}

/// The published client sends its token twice at once; after 30 s it is a replay.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_jti_is_good_once() {
    let world = World::new("jti").await;
    let app = &world.site.app;
    let now = now_ms() / 1000;
    let jwt = app.sign(&json!({ "iss": app.client_id, "sub": "ann", "exp": now + 600, "jti": "one" }));
    assert_eq!(world.site.grant(&jwt).await.unwrap().status, 200);
    assert_eq!(world.site.grant(&jwt).await.unwrap().status, 200);
    tokio::time::sleep(Duration::from_secs(31)).await;
    let answer = world.site.grant(&jwt).await.unwrap();
    assert_eq!(answer.status, 401, "{}", answer.text());
    assert!(says_why(&answer).contains("replay"));
}

/// Sends bytes; what comes back before the server closes or `wait` is over.
async fn raw(world: &World, bytes: &[u8], wait: Duration) -> String {
    let mut stream = TcpStream::connect(world.site.address).await.unwrap();
    let _ = stream.write_all(bytes).await;
    let mut answer = Vec::new();
    let _ = tokio::time::timeout(wait, stream.read_to_end(&mut answer)).await;
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_hardly_http() {
    let world = World::new("http").await;
    let second = Duration::from_secs(1);
    let header = format!("GET /readyz HTTP/1.1\r\nhost: x\r\nx: {}\r\n\r\n", "y".repeat(2 * 1024 * 1024));
    let answer = raw(&world, header.as_bytes(), second).await;
    assert!(answer.starts_with("HTTP/1.1 431") || answer.is_empty(), "2 MiB of header: {answer}");
    let many = format!("GET /readyz HTTP/1.1\r\nhost: x\r\n{}\r\n", "x: y\r\n".repeat(1_000));
    let answer = raw(&world, many.as_bytes(), second).await;
    assert!(answer.starts_with("HTTP/1.1 431") || answer.is_empty(), "1,000 headers: {answer}");
    for nonsense in [&b"\0\0\0\0\r\n\r\n"[..], b"HELO x\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", &[0xff; 4096]] {
        let answer = raw(&world, nonsense, second).await;
        assert!(
            answer.is_empty() || answer.starts_with("HTTP/1.1 4") || answer.starts_with("HTTP/1.1 5"),
            "{answer}"
        );
    }
    let two = "POST /api/rtm/start HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\ncontent-length: 5\r\n\r\nnull";
    assert!(!raw(&world, two.as_bytes(), second).await.starts_with("HTTP/1.1 2"));
    world.lives().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn socket_addresses_that_are_not_right() {
    let world = World::new("tickets").await;
    let token = world.site.log_in("ann").await.unwrap();
    let url = world.site.start(&token).await.unwrap().json()["url"].as_str().unwrap().to_owned();
    let open = async |url: String| {
        let stream = TcpStream::connect(world.site.address).await.unwrap();
        tokio_tungstenite::client_async(url, stream).await.map(drop)
    };
    let base = url.split('?').next().unwrap();
    for wrong in
        [format!("{base}?"), format!("{base}?sid=x"), format!("{url}x"), format!("{base}?sid={token}")]
    {
        assert!(open(wrong.clone()).await.is_err(), "{wrong}");
    }
    assert!(open(url.clone()).await.is_ok());
    assert!(open(url).await.is_err(), "an address is good once");
    world.lives().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn frames_that_are_not_right() {
    let world = World::new("frames").await;
    let (mut socket, mut frames) = world.socket("ann").await;
    let deep = format!("{}{}", "[".repeat(5_000), "]".repeat(5_000));
    for garbage in ["", "{", "null", "[]", "\"x\"", deep.as_str(), r#"{"message":{"body":{"a":1}},"id":7}"#] {
        socket.send(Message::text(garbage)).await.unwrap();
    }
    // A keep-alive and an event are no lines.
    socket.send(Message::text(r#"{"type":"ping","resourceid":"/bot.message","id":1}"#)).await.unwrap();
    let event =
        r#"{"event":"typing","message":{"body":"smuggled","type":""},"resourceid":"/bot.message","id":2}"#;
    socket.send(Message::text(event)).await.unwrap();
    socket.tell(10, "nul\0 in\0side").await.unwrap();
    frames.line(SOON, "You said: nul inside").await.unwrap();
    // The same id again is the same line: acked, and said once.
    socket.tell(11, "once").await.unwrap();
    socket.tell(11, "once").await.unwrap();
    frames.line(SOON, "You said: once").await.unwrap();
    // A line that is too long is not acked, and the user is told.
    socket.say(12, &"long ".repeat(2_000)).await.unwrap();
    frames.line(SOON, "too long").await.unwrap();
    socket.tell(13, "the end").await.unwrap();
    let last = frames.wait(SOON, |frame| {
        let Frame::Line { text, .. } = frame else { return false };
        assert!(!text.contains("smuggled") && !text.contains("You said: once"), "{text}");
        text.contains("You said: the end")
    });
    last.await.unwrap();
    world.lives().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sockets_are_closed_with_a_reason() {
    let limits = "type: web\n    limits: { messages_per_second: 5, messages_burst: 20 }";
    let world = World::with("closed", &[("type: web", limits)]).await;
    let closed = async |mut socket: Socket, name: &str| {
        let closed = tokio::time::timeout(SOON, socket.closed()).await;
        closed.unwrap_or_else(|_| panic!("{name}: not closed")).code
    };
    let (mut socket, _frames) = world.socket("large").await;
    socket.say(1, &"x".repeat(100_000)).await.unwrap();
    assert_eq!(closed(socket, "large").await, Some(1009));
    let (mut socket, _frames) = world.socket("larger").await;
    let _ = socket.say(1, &"x".repeat(4 * 1024 * 1024)).await;
    let code = closed(socket, "larger").await;
    assert!(matches!(code, Some(1009) | None), "{code:?}");
    let (mut socket, _frames) = world.socket("binary").await;
    socket.send(Message::binary(vec![1, 2, 3])).await.unwrap();
    assert!(closed(socket, "binary").await.is_some());
    let (mut socket, _frames) = world.socket("garbage").await;
    for _ in 0..200 {
        if socket.send(Message::text("{")).await.is_err() {
            break;
        }
    }
    assert_eq!(closed(socket, "garbage").await, Some(1002));
    let (mut socket, _frames) = world.socket("fast").await;
    for id in 0..200 {
        if socket.say(id + 1, "x").await.is_err() {
            break;
        }
    }
    assert_eq!(closed(socket, "fast").await, Some(1008));
    world.lives().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn half_open_sockets_do_not_hold_others_up() {
    let world = World::new("half-open").await;
    // Bytes that never become a request, a body that never comes, an upgrade that never ends, readers that never read.
    let mut held = Vec::new();
    for begin in ["", "GET /rea", "POST /api/rtm/start HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\r\n{"]
    {
        for _ in 0..50 {
            let mut stream = TcpStream::connect(world.site.address).await.unwrap();
            stream.write_all(begin.as_bytes()).await.unwrap();
            held.push(stream);
        }
    }
    for _ in 0..5 {
        let token = world.site.log_in("deaf").await.unwrap();
        let url = world.site.start(&token).await.unwrap().json()["url"].as_str().unwrap().to_owned();
        let path = &url[url.find("/rtm").unwrap()..];
        let mut stream = TcpStream::connect(world.site.address).await.unwrap();
        let upgrade = format!(
            "GET {path} HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
             sec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
        );
        stream.write_all(upgrade.as_bytes()).await.unwrap();
        held.push(stream);
    }
    let begin = Instant::now();
    world.lives().await;
    assert!(begin.elapsed() < Duration::from_secs(5), "others wait: {:?}", begin.elapsed());
    drop(held);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn callbacks_that_are_not_right() {
    let world = World::new("callbacks").await;
    let (mut socket, mut frames, session) = world.handed_over("ann").await;
    let app = &world.site.app;
    let mut http = Http::new(world.site.address);
    let url = session.payload["sendUserMessageUrl"].as_str().unwrap();
    let path = &url[url.find("/api/").unwrap()..];
    let now = now_ms() as f64 / 1000.0;
    let good = app.sign(&json!({ "appId": app.client_id, "exp": now + 60.25 }));
    let wrong = |claims: Value| app.sign(&claims);
    let stranger = App::fresh();
    let body = json!({ "message": "forged" });
    for (name, token) in [
        ("expired", wrong(json!({ "appId": app.client_id, "exp": now - 3600.5 }))),
        ("without exp", wrong(json!({ "appId": app.client_id }))),
        ("another client", wrong(json!({ "appId": stranger.client_id, "exp": now + 60.5 }))),
        ("another secret", stranger.sign(&json!({ "appId": app.client_id, "exp": now + 60.5 }))),
        ("alg none", "eyJhbGciOiJub25lIn0.eyJhcHBJZCI6IngifQ.".to_owned()),
        ("nonsense", "nonsense".to_owned()),
        ("nothing", String::new()),
    ] {
        let answer = http.post(path, &[("auth", &token)], &body).await.unwrap();
        assert_eq!(answer.status, 401, "{name}");
        says_why(&answer);
    }
    assert_eq!(http.post(path, &[], &body).await.unwrap().status, 401);
    let auth = [("auth", good.as_str())];
    let (base, id) = path.rsplit_once('/').unwrap();
    let other_bot = path.replace(&app.bot, &stranger.bot);
    let other_conversation = id.replacen("cnv_", "cnv_0", 1);
    for unknown in [
        other_bot,
        format!("{base}/nonsense"),
        format!("{base}/{other_conversation}"),
        format!("{base}/{id}x"),
        format!("{base}/"),
        path.replace("sendUserMessage", "sendSomething"),
    ] {
        let answer = http.post(&unknown, &auth, &body).await.unwrap();
        assert_eq!(answer.status, 404, "{unknown}: {}", answer.text());
        says_why(&answer);
    }
    let huge = format!(r#"{{"message":"{}"}}"#, "x".repeat(3 * 1024 * 1024));
    let texts: [&[u8]; 5] = [b"", b"{", b"[]", b"{\"message\":{}}", b"\xff"];
    for text in texts {
        let answer = http.call("POST", path, &auth, text).await.unwrap();
        assert!((400..500).contains(&answer.status), "{text:?}: {}", answer.status);
        says_why(&answer);
    }
    if let Ok(answer) = Http::new(world.site.address).call("POST", path, &auth, huge.as_bytes()).await {
        assert_eq!(answer.status, 413);
    }
    // A real BotKit's GET carries the four bytes `null`.
    let from = &session.from;
    let history = base.replace("sendUserMessage", &format!("getMessages?skip=0&limit=20&userId={from}"));
    let answer = http.call("GET", &history, &auth, b"null").await.unwrap();
    assert_eq!((answer.status, answer.json()["messages"].is_array()), (200, true), "{}", answer.text());
    let strange = history.replace(from, "ann+b@example.com");
    let answer = http.call("GET", &strange, &auth, b"null").await.unwrap();
    assert_eq!((answer.status, &answer.json()["total"]), (200, &json!(0)));

    // One URL, many times; NUL goes; two ends are one.
    let mut voice = world.botkit.voice(&session).unwrap();
    for line in 0..100 {
        assert!(voice.say(&format!("line {line}\0")).await.is_good());
    }
    frames.line(SOON, "line 99").await.unwrap();
    assert!(voice.clear().await.is_good());
    assert!(voice.clear().await.is_good(), "a second end");
    frames.line(SOON, "talking to the bot again").await.unwrap();
    assert!(voice.say("too late").await.is_good(), "what comes late is noted, and 200");
    socket.tell(2, "hello bot").await.unwrap();
    let last = frames.wait(SOON, |frame| {
        let Frame::Line { text, .. } = frame else { return false };
        assert!(!text.contains("forged") && !text.contains("too late"), "{text}");
        text.contains("You said: hello bot")
    });
    last.await.unwrap();
    world.lives().await;
}

/// What the agent says must not cost the customer the socket, however much it is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_with_much_to_say_is_heard() {
    const LINES: usize = 1_000;
    let world = World::new("much").await;
    let (mut socket, mut frames, session) = world.handed_over("ann").await;
    let mut voice = world.botkit.voice(&session).unwrap();
    for line in 0..LINES {
        assert!(voice.say(&format!("line {line}.")).await.is_good());
    }
    let last = frames.line(SOON, &format!("line {}.", LINES - 1)).await;
    assert!(!socket.is_closed(), "the socket was closed with {:?}", socket.closed().await);
    last.unwrap();
}
