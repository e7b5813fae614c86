//! The link to what was said before a hand-over: who spends an access and who does not, and that ten are ten, whatever
//! happens to the server.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test: a wrong assumption ends it; the summary is its output"
)]

use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Json;
use axum::http::StatusCode;
use axum::routing::post;
use interline_tests::botkit::{BotKit, Session};
use interline_tests::dice::Dice;
use interline_tests::http::{Answer, Http};
use interline_tests::scratch::Scratch;
use interline_tests::server::{self, Profile, Server, Setup, example_with};
use interline_tests::web::{Kept, Site, Socket, keep};
use interline_tests::{App, postgres};
use serde_json::{Map, Value};
use tokio::task::JoinSet;

const SOON: Duration = Duration::from_secs(15);
/// What the app grants.
const ACCESSES: usize = 10;
const BROWSER: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
const EVIL: &str = "<img src=x onerror=alert(1)>";

struct World {
    server: Server,
    site: Site,
    botkit: BotKit,
    _scratch: Scratch,
}

impl World {
    async fn new(name: &str, changes: &[(&str, &str)], database: Option<String>) -> Self {
        let scratch = Scratch::new(name).unwrap();
        let app = App::fresh();
        let (botkit, _) = BotKit::keeping(&app).await.unwrap();
        let app_file = example_with(scratch.path(), changes).unwrap();
        let setup =
            Setup { app_file, database, ..Setup::new(&scratch.path().join("data"), &app, &botkit.url) };
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

    /// Says something that calls for an agent; the human part that comes of it.
    async fn hand_over(&self, socket: &mut Socket, id: u64, words: &str) -> Session {
        let before = self.botkit.sessions().len();
        socket.tell(id, words).await.unwrap();
        self.botkit.wait_for_sessions(before + 1, SOON).await.unwrap();
        self.botkit.sessions()[before].clone()
    }

    fn visitor(&self, session: &Session) -> Visitor {
        Visitor { to: self.site.address, path: link(&session.payload) }
    }

    /// A key of the API, and the path of this app in it.
    async fn operator(&self) -> (String, String) {
        let mut command = server::command(Profile::Debug);
        command.args(["key", "create", "--role", "admin", "--data"]).arg(&self.server.setup().data);
        let (status, said) = server::run(command).await.unwrap();
        let key = said.lines().find(|line| line.starts_with("ilk_"));
        assert!(status.success(), "{said}");
        (format!("Bearer {}", key.unwrap()), format!("/v1/apps/{}", self.site.app.bot))
    }

    fn unharmed(&self) {
        for never in ["panicked", "/t/", "tangerine"] {
            assert_eq!(self.server.logged(never), 0, "{never}: {}", self.server.log_end());
        }
        assert_eq!(self.botkit.faults(), Vec::<String>::new());
    }
}

/// The path of the link in a BotKit's data object.
fn link(payload: &Map<String, Value>) -> String {
    let url = payload["context"]["session"]["BotUserSession"]["transcriptUrl"].as_str().unwrap().to_owned();
    url[url.find("/t/").unwrap()..].to_owned()
}

/// Somebody with a link.
#[derive(Clone)]
struct Visitor {
    to: SocketAddr,
    path: String,
}

impl Visitor {
    async fn call(&self, method: &str, accept: &str) -> Answer {
        let answer = Http::new(self.to).call(method, &self.path, &[("accept", accept)], b"").await.unwrap();
        for header in [
            "cache-control: no-store",
            "referrer-policy: no-referrer",
            "x-robots-tag: noindex",
            "default-src 'none'",
        ] {
            assert!(answer.head.contains(header), "{method} {accept}: no {header} in {}", answer.head);
        }
        answer
    }

    async fn get(&self, accept: &str) -> Answer {
        self.call("GET", accept).await
    }

    /// Presses the button.
    async fn reveal(&self) -> Answer {
        self.call("POST", BROWSER).await
    }

    /// How often the link may still be used, as the shell says it.
    async fn left(&self) -> usize {
        let shell = self.get(BROWSER).await;
        let text = shell.text();
        match shell.status {
            200 if text.contains(">once more<") => 1,
            200 => {
                let (before, _) = text.split_once(" more times<").unwrap();
                before.rsplit('>').next().unwrap().parse().unwrap()
            }
            410 => 0,
            status => panic!("{status}: {text}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_accesses_and_no_more() {
    let world = World::new("transcript", &[], None).await;
    let (mut socket, mut frames) = world.socket("ann").await;
    socket.tell(1, EVIL).await.unwrap();
    frames.line(SOON, "You said").await.unwrap();
    let session = world.hand_over(&mut socket, 2, "an agent, please: the word is tangerine").await;
    let mut voice = world.botkit.voice(&session).unwrap();
    assert!(voice.say("the human is here").await.is_good());
    frames.line(SOON, "the human is here").await.unwrap();
    socket.tell(3, "hello human").await.unwrap();
    let visitor = world.visitor(&session);

    // Whoever only looks sees no words and pays nothing.
    for accept in
        ["*/*", BROWSER, "text/html", "image/png", "text/html, application/json", "application/json;q=0"]
    {
        for method in ["HEAD", "GET", "GET"] {
            let mut http = Http::new(visitor.to);
            if method == "HEAD" {
                // Its answer has a length and no body, which this client does not know: one connection each.
                let head = head(&visitor, accept).await;
                assert!(head.starts_with("http/1.1 200"), "{head}");
                continue;
            }
            let answer = http.call(method, &visitor.path, &[("accept", accept)], b"").await.unwrap();
            assert_eq!(answer.status, 200, "{method} {accept}");
            let shell = answer.text();
            assert!(shell.contains("10 more times") && !shell.contains("tangerine"), "{shell}");
        }
    }
    for accept in ["application/json", "text/plain"] {
        let head = head(&visitor, accept).await;
        assert!(head.starts_with("http/1.1 200"), "{head}");
    }
    let without = Http::new(visitor.to).get(&visitor.path, &[]).await.unwrap();
    assert_eq!((without.status, visitor.left().await), (200, ACCESSES));
    let put = visitor.call("PUT", BROWSER).await;
    assert_eq!((put.status, visitor.left().await), (405, ACCESSES));
    let large =
        Http::new(visitor.to).call("POST", &visitor.path, &[("accept", BROWSER)], &[b'x'; 1025]).await;
    assert_eq!((large.unwrap().status, visitor.left().await), (413, ACCESSES));

    // The three shapes, one access each.
    let page = visitor.reveal().await;
    let shown = page.text();
    assert_eq!(page.status, 200, "{shown}");
    assert!(page.head.contains("text/html"), "{}", page.head);
    assert!(shown.contains("tangerine") && shown.contains("Hello!") && shown.contains("Support"), "{shown}");
    assert!(!shown.contains("<img") && shown.contains("&lt;img src=x onerror=alert(1)&gt;"), "{shown}");
    for of_the_human_part in ["the human is here", "hello human"] {
        assert!(!shown.contains(of_the_human_part), "{shown}");
    }
    assert_eq!(visitor.left().await, 9);
    let json = visitor.get("application/json, text/plain, */*").await;
    assert!(json.head.contains("content-type: application/json"), "{}", json.head);
    let json = json.json();
    assert_eq!((&json["bot"], &json["left"], &json["cut"]), (&"Support".into(), &8.into(), &false.into()));
    let lines: Vec<(&str, &str)> = json["entries"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| (entry["by"].as_str().unwrap(), entry["text"].as_str().unwrap()))
        .collect();
    assert_eq!(lines[0].0, "bot");
    assert!(lines.contains(&("customer", EVIL)), "{lines:?}");
    assert!(lines.contains(&("customer", "an agent, please: the word is tangerine")), "{lines:?}");
    assert!(lines.iter().all(|(by, _)| matches!(*by, "bot" | "customer")), "{lines:?}");
    assert!(json["until"].as_str().unwrap() >= json["entries"][0]["at"].as_str().unwrap(), "{json}");
    let text = visitor.get("text/plain").await;
    assert!(text.head.contains("content-type: text/plain"), "{}", text.head);
    assert!(text.text().contains("] Customer: an agent, please: the word is tangerine\n"), "{}", text.text());

    // Thirty at once get exactly the rest.
    let mut tasks = JoinSet::new();
    for _ in 0..30 {
        let visitor = visitor.clone();
        tasks.spawn(async move { visitor.reveal().await });
    }
    let answers = tasks.join_all().await;
    let count = |status| answers.iter().filter(|answer| answer.status == status).count();
    assert_eq!((count(200), count(410)), (ACCESSES - 3, 23));
    for answer in &answers {
        assert_eq!(answer.status == 200, answer.text().contains("tangerine"));
    }
    let gone = visitor.get(BROWSER).await;
    assert_eq!(gone.status, 410);
    assert!(gone.text().contains("used up") && !gone.text().contains("tangerine"), "{}", gone.text());
    let problem = visitor.get("application/json").await;
    assert_eq!((problem.status, &problem.json()["code"]), (410, &"used_up".into()));
    assert!(problem.head.contains("application/problem+json"), "{}", problem.head);
    let plain = visitor.get("text/plain").await;
    assert!(plain.status == 410 && plain.text().starts_with("This link is used up"), "{}", plain.text());
    world.unharmed();
}

/// A HEAD on a connection of its own; everything that came.
async fn head(visitor: &Visitor, accept: &str) -> String {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut stream = tokio::net::TcpStream::connect(visitor.to).await.unwrap();
    let request =
        format!("HEAD {} HTTP/1.1\r\nhost: x\r\naccept: {accept}\r\nconnection: close\r\n\r\n", visitor.path);
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut all = Vec::new();
    stream.read_to_end(&mut all).await.unwrap();
    assert!(all.ends_with(b"\r\n\r\n"), "a HEAD has a body: {}", String::from_utf8_lossy(&all));
    String::from_utf8_lossy(&all).to_ascii_lowercase()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_link_that_is_not_right_leads_nowhere() {
    let world = World::new("links", &[], None).await;
    let (mut socket, _frames) = world.socket("ann").await;
    let session = world.hand_over(&mut socket, 1, "agent").await;
    let good = world.visitor(&session);
    let token = good.path.strip_prefix("/t/").unwrap();
    let mut wrong = vec![
        "nonsense".to_owned(),
        "%ff".to_owned(),
        "a".repeat(5_000),
        token[1..].to_owned(),
        format!("{token}A"),
    ];
    // Every letter counts.
    for at in 0..token.len() {
        let other = if token.as_bytes()[at] == b'x' { "y" } else { "x" };
        wrong.push(format!("{}{other}{}", &token[..at], &token[at + 1..]));
    }
    let shapes = [(BROWSER, "text/html"), ("application/json", "problem+json"), ("text/plain", "text/plain")];
    for (no, token) in wrong.iter().enumerate() {
        let visitor = Visitor { path: format!("/t/{token}"), ..good.clone() };
        let (accept, kind) = shapes[no % shapes.len()];
        let method = if no % 2 == 0 { "GET" } else { "POST" };
        let mut answer = visitor.call(method, accept).await;
        while answer.status == 429 {
            tokio::time::sleep(Duration::from_millis(50)).await;
            answer = visitor.call(method, accept).await;
        }
        assert_eq!(answer.status, 404, "{token}");
        assert!(answer.head.contains(kind), "{accept}: {}", answer.head);
    }
    assert_eq!(good.left().await, ACCESSES);
    world.unharmed();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_transfer_has_a_link_of_its_own() {
    let world = World::new("transfers", &[], None).await;
    let (mut socket, mut frames) = world.socket("ann").await;
    let first = world.hand_over(&mut socket, 1, "agent, the first time").await;
    let mut voice = world.botkit.voice(&first).unwrap();
    assert!(voice.say("from the first human").await.is_good());
    assert!(voice.clear().await.is_good());
    frames.line(SOON, "talking to the bot again").await.unwrap();
    let second = world.hand_over(&mut socket, 2, "agent, the second time").await;
    let (first, second) = (world.visitor(&first), world.visitor(&second));
    assert_ne!(first.path, second.path);
    for _ in 0..ACCESSES {
        assert_eq!(first.reveal().await.status, 200);
    }
    assert_eq!((first.reveal().await.status, second.left().await), (410, ACCESSES));
    // What lies before the second transfer is more: the first human part is in it, by name of its speaker's role.
    let json = second.get("application/json").await.json();
    let said =
        |text: &str| json["entries"].as_array().unwrap().iter().find(|entry| entry["text"] == text).cloned();
    assert_eq!(said("from the first human").unwrap()["by"], "agent");
    assert!(said("agent, the first time").is_some() && said("agent, the second time").is_some(), "{json}");
    world.unharmed();
}

/// An agent system that refuses transfers; what it was sent.
async fn refusing() -> (String, Arc<Mutex<Vec<Map<String, Value>>>>) {
    let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let seen: Arc<Mutex<Vec<Map<String, Value>>>> = Arc::default();
    let kept = seen.clone();
    let refuse = move |Json(body): Json<Map<String, Value>>| {
        kept.lock().unwrap().push(body);
        async { StatusCode::NOT_FOUND }
    };
    let routes = axum::Router::new().route("/sdk/bots/{bot}/on_agent_transfer", post(refuse));
    tokio::spawn(async move { axum::serve(listener, routes).await });
    (url, seen)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_rung_has_a_link_of_its_own() {
    let (url, seen) = refusing().await;
    let other = format!("agents:\n  away:\n    type: botkit\n    url: {url}\n    credential: main\n");
    let ladder =
        "agent_transfer:\n        target: { integration: away }\n        fallback: [{ integration: desk }]\n";
    let world = World::new("rungs", &[("agents:\n", &other), ("agent_transfer:\n", ladder)], None).await;
    let (mut socket, _frames) = world.socket("ann").await;
    let session = world.hand_over(&mut socket, 1, "agent").await;
    let second = world.visitor(&session);
    let first = Visitor { path: link(&seen.lock().unwrap()[0]), ..second.clone() };
    assert_ne!(first.path, second.path);
    // The first was given to somebody, too, and says the same; what one spends the other keeps.
    assert_eq!((first.reveal().await.status, first.left().await, second.left().await), (200, 9, ACCESSES));
    world.unharmed();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_app_may_give_fewer_or_none() {
    let fewer = ("flow:\n", "transcript: { accesses: 1 }\nflow:\n");
    let world = World::new("fewer", &[fewer], None).await;
    let (mut socket, _frames) = world.socket("ann").await;
    let visitor = world.visitor(&world.hand_over(&mut socket, 1, "agent").await);
    assert_eq!((visitor.left().await, visitor.reveal().await.status), (1, 200));
    assert_eq!((visitor.left().await, visitor.reveal().await.status), (0, 410));

    let none = ("flow:\n", "transcript: { link: false }\nflow:\n");
    let world = World::new("none", &[none], None).await;
    let (mut socket, _frames) = world.socket("ann").await;
    let session = world.hand_over(&mut socket, 1, "agent").await;
    assert!(!Value::Object(session.payload).to_string().contains("/t/"), "there is a link");
    world.unharmed();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sigkill_grants_no_eleventh_on_sqlite() {
    reveal_through_kills("SQLite", None).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sigkill_grants_no_eleventh_on_postgresql() {
    let Some(database) = postgres::database("transcript").await.unwrap() else { return };
    reveal_through_kills("PostgreSQL", Some(database.url.clone())).await;
    database.remove().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_sees_who_looked_and_withdraws() {
    let world = World::new("audit", &[], None).await;
    let (key, app) = world.operator().await;
    let auth = [("authorization", key.as_str())];
    let mut http = Http::new(world.site.address);
    let (mut ann, _frames) = world.socket("ann").await;
    let of_ann = world.visitor(&world.hand_over(&mut ann, 1, "agent: tangerine").await);
    let live = http.get(&format!("{app}/transfers"), &auth).await.unwrap().json();
    let live = &live["items"][0];
    let conversation = format!("{app}/conversations/{}", live["conversation"].as_str().unwrap());
    let (mut bob, _frames) = world.socket("bob").await;
    let of_bob = world.visitor(&world.hand_over(&mut bob, 1, "agent").await);

    let program = format!("browser/1 {}", "x".repeat(500));
    let proxied =
        [("accept", BROWSER), ("user-agent", &program), ("x-forwarded-for", "10.9.9.9, 198.51.100.7")];
    assert_eq!(http.call("POST", &of_ann.path, &proxied, b"").await.unwrap().status, 200);
    assert_eq!(of_ann.get("application/json").await.status, 200);
    assert_eq!(of_ann.get("text/plain").await.status, 200);
    let links = http.get(&format!("{conversation}/transcripts"), &auth).await.unwrap().json();
    let link = &links["items"][0];
    assert_eq!((&link["participant"], &link["used"]), (&live["transfer"]["rung"]["participant"], &3.into()));
    let seen: Vec<(&str, &str)> = link["accesses"]
        .as_array()
        .unwrap()
        .iter()
        .map(|access| (access["how"].as_str().unwrap(), access["peer"].as_str().unwrap()))
        .collect();
    assert_eq!(seen, [("page", "198.51.100.7"), ("json", "127.0.0.1"), ("text", "127.0.0.1")]);
    assert_eq!(link["accesses"][0]["agent"], program[..200]);

    let revoke = format!("{conversation}/transcripts/{}", link["participant"]);
    assert_eq!(http.call("DELETE", &revoke, &auth, b"").await.unwrap().status, 204);
    for (method, accept) in [("POST", BROWSER), ("GET", BROWSER), ("GET", "text/plain")] {
        let answer = of_ann.call(method, accept).await;
        assert!(answer.status == 410 && answer.text().contains("withdrawn"), "{method}: {}", answer.text());
    }
    assert_eq!(of_ann.get("application/json").await.json()["code"], "revoked");
    assert_eq!(of_bob.left().await, ACCESSES);

    let customer = format!("{app}/customers/{}", live["customer"]["id"].as_str().unwrap());
    assert_eq!(http.call("DELETE", &customer, &auth, b"").await.unwrap().status, 200);
    for (method, accept) in [("POST", BROWSER), ("GET", BROWSER), ("GET", "application/json")] {
        assert_eq!(of_ann.call(method, accept).await.status, 404, "{method} {accept}");
    }
    assert_eq!(of_bob.reveal().await.status, 200);
    world.unharmed();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_link_expires() {
    let at_once = ("flow:\n", "transcript: { expires_hours: 0 }\nflow:\n");
    let world = World::new("expired", &[at_once], None).await;
    let (mut socket, _frames) = world.socket("ann").await;
    let visitor = world.visitor(&world.hand_over(&mut socket, 1, "agent: tangerine").await);
    for (method, accept) in [("POST", BROWSER), ("GET", BROWSER), ("GET", "text/plain")] {
        let answer = visitor.call(method, accept).await;
        assert!(answer.status == 410 && answer.text().contains("expired"), "{method}: {}", answer.text());
        assert!(!answer.text().contains("tangerine"));
    }
    world.unharmed();
}

const LINKS: usize = 12;
const VISITORS: usize = 3;

/// A link after the other: several people press its button again and again, and the server is killed meanwhile.
async fn reveal_through_kills(name: &str, database: Option<String>) {
    let seed = Dice::seed();
    println!("{name}: seed {seed}");
    let mut dice = Dice::new(seed);
    let mut world = World::new("reveal", &[], database).await;
    let mut visitors = Vec::new();
    for no in 0..LINKS {
        let (mut socket, _frames) = world.socket(&format!("user-{no}")).await;
        visitors.push(world.visitor(&world.hand_over(&mut socket, 1, "agent: tangerine").await));
    }
    let (mut shown, mut lost) = (0, 0);
    for visitor in visitors {
        let mut tasks = JoinSet::new();
        for _ in 0..VISITORS {
            tasks.spawn(press_until_used_up(visitor.clone()));
        }
        for _ in 0..2 {
            tokio::time::sleep(Duration::from_millis(dice.between(0, 60))).await;
            world.server.kill().await.unwrap();
            world.server.spawn().unwrap();
            world.server.ready().await.unwrap();
        }
        let pressed = tasks.join_all().await;
        let granted: usize = pressed.iter().map(|pressed| pressed.shown).sum();
        let unanswered: usize = pressed.iter().map(|pressed| pressed.lost).sum();
        assert!(granted <= ACCESSES, "seed {seed}: {granted} were shown the words");
        // None is lost but those whose answer was.
        assert!(granted + unanswered >= ACCESSES, "seed {seed}: {granted} shown, {unanswered} unanswered");
        assert_eq!(visitor.reveal().await.status, 410);
        shown += granted;
        lost += unanswered;
    }
    println!("{name}: {LINKS} links, {} SIGKILLs: {shown} shown, {lost} without an answer", 2 * LINKS);
    world.unharmed();
}

#[derive(Default)]
struct Pressed {
    /// Answers with the words.
    shown: usize,
    /// It is not known whether they were counted.
    lost: usize,
}

async fn press_until_used_up(visitor: Visitor) -> Pressed {
    let (begin, mut pressed, mut http) = (Instant::now(), Pressed::default(), Http::new(visitor.to));
    loop {
        assert!(begin.elapsed() < Duration::from_secs(60), "the server does not come back");
        match http.call("POST", &visitor.path, &[("accept", BROWSER)], b"").await {
            Ok(answer) if answer.status == 200 => {
                assert!(answer.text().contains("tangerine"), "{}", answer.text());
                pressed.shown += 1;
            }
            Ok(answer) if answer.status == 410 => return pressed,
            Ok(answer) => {
                assert!(matches!(answer.status, 429 | 503), "{}: {}", answer.status, answer.text());
                pressed.lost += usize::from(answer.status == 503);
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            Err(error) => {
                // Nobody was there to count.
                pressed.lost += usize::from(error.kind() != ErrorKind::ConnectionRefused);
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
    }
}
