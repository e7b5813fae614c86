//! What an operator's monitoring sees: the page of metrics, and the traces that a collector gets.
#![allow(clippy::unwrap_used, reason = "a test: a wrong assumption ends it")]

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use interline_tests::botkit::{Answers, BotKit, Manners};
use interline_tests::http::{Answer, Http};
use interline_tests::scratch::Scratch;
use interline_tests::server::{self, Profile, Server, Setup};
use interline_tests::web::{Site, Socket, keep};
use interline_tests::{App, web};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value};
use prost::Message as _;

const SOON: Duration = Duration::from_secs(20);
const HOST: (&str, &str) = ("host", "127.0.0.1");

// ── a collector ──────────────────────────────────────────────────────────────────────────────────────────────────

#[derive(Debug, Clone, PartialEq)]
struct Span {
    name: String,
    trace: String,
    id: String,
    parent: String,
    /// Traces that it only names.
    links: Vec<String>,
    facts: BTreeMap<String, String>,
    failed: bool,
}

impl Span {
    fn fact(&self, name: &str) -> &str {
        self.facts.get(name).map_or("", String::as_str)
    }
}

#[derive(Clone, Default)]
struct Collector {
    spans: Arc<Mutex<Vec<Span>>>,
    /// What came beside the spans: headers, and facts about the sender.
    beside: Arc<Mutex<BTreeSet<String>>>,
}

impl Collector {
    async fn start() -> (Self, String) {
        let collector = Self::default();
        let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let routes = Router::new().route("/v1/traces", post(take)).with_state(collector.clone());
        tokio::spawn(async move { axum::serve(listener, routes).await });
        (collector, url)
    }

    fn spans(&self) -> Vec<Span> {
        self.spans.lock().unwrap().clone()
    }

    /// The first span that fits; waits for it.
    async fn wait(&self, what: &str, wanted: impl Fn(&Span) -> bool) -> Span {
        let begin = Instant::now();
        loop {
            if let Some(span) = self.spans().into_iter().find(|span| wanted(span)) {
                return span;
            }
            let spans = self.spans();
            assert!(begin.elapsed() < SOON, "no span of {what} comes; there came {spans:#?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

async fn take(State(collector): State<Collector>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let Ok(request) = ExportTraceServiceRequest::decode(body) else { return StatusCode::BAD_REQUEST };
    let mut beside = collector.beside.lock().unwrap();
    beside.extend(headers.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())));
    for resource in request.resource_spans {
        let about = resource.resource.map(|resource| facts(resource.attributes)).unwrap_or_default();
        beside.extend(about.into_iter().map(|(name, value)| format!("{name}: {value}")));
        for span in resource.scope_spans.into_iter().flat_map(|scope| scope.spans) {
            assert!(span.events.is_empty(), "events hold log lines: {:?}", span.events);
            collector.spans.lock().unwrap().push(Span {
                trace: hex(&span.trace_id),
                id: hex(&span.span_id),
                parent: hex(&span.parent_span_id),
                links: span.links.iter().map(|link| hex(&link.trace_id)).collect(),
                facts: facts(span.attributes),
                failed: span.status.is_some_and(|status| status.code == 2),
                name: span.name,
            });
        }
    }
    StatusCode::OK
}

fn facts(attributes: Vec<KeyValue>) -> BTreeMap<String, String> {
    let text = |value| match value {
        any_value::Value::StringValue(text) => text,
        any_value::Value::IntValue(number) => number.to_string(),
        other => format!("{other:?}"),
    };
    let pair =
        |fact: KeyValue| (fact.key, fact.value.and_then(|value| value.value).map(text).unwrap_or_default());
    attributes.into_iter().map(pair).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

// ── a hand-over ──────────────────────────────────────────────────────────────────────────────────────────────────

struct World {
    _scratch: Scratch,
    app: App,
    botkit: BotKit,
    server: Server,
}

impl World {
    async fn with(name: &str, flags: Vec<String>, variables: Vec<(String, String)>) -> Self {
        let scratch = Scratch::new(name).unwrap();
        let app = App::fresh();
        let (botkit, _) = BotKit::keeping(&app).await.unwrap();
        let setup = Setup::new(&scratch.path().join("data"), &app, &botkit.url);
        let server = Setup { flags, variables, ..setup }.start().await.unwrap();
        Self { _scratch: scratch, app, botkit, server }
    }

    fn site(&self) -> Site {
        Site { address: self.server.address(), app: self.app.clone() }
    }

    /// `identity` talks to an agent.
    async fn handed_over(&self, identity: &str) -> (Socket, web::Kept, String) {
        let token = self.site().log_in(identity).await.unwrap();
        let (hook, mut frames) = keep();
        let mut socket = self.site().open(&token, false, hook).await.unwrap();
        frames.line(SOON, "Hello").await.unwrap();
        socket.tell(1, "an agent, please").await.unwrap();
        self.botkit.wait_for_sessions(1, SOON).await.unwrap();
        let mut voice = self.botkit.voice(&self.botkit.sessions()[0]).unwrap();
        assert!(voice.say("this is the agent").await.is_good());
        frames.line(SOON, "this is the agent").await.unwrap();
        (socket, frames, token)
    }

    /// SIGKILL, and a new start; the BotKit behaves like this from then on.
    async fn restart(&mut self, manners: Manners) {
        self.server.kill().await.unwrap();
        self.botkit.behave(manners);
        self.server.spawn().unwrap();
        self.server.ready().await.unwrap();
    }

    /// The traces so far. Spans come in the order of their ends, so they are all there when a newer one is.
    async fn traces(&self, collector: &Collector) -> BTreeSet<String> {
        let marks = |collector: &Collector| {
            collector.spans().iter().filter(|span| span.name == "GET /healthz").count()
        };
        let before = marks(collector);
        self.get("/healthz", &[]).await;
        collector.wait("the mark", |_| marks(collector) > before).await;
        collector.spans().into_iter().map(|span| span.trace).collect()
    }

    async fn key(&self, more: &[&str]) -> String {
        let mut command = server::command(Profile::Debug);
        command.arg("key").arg("create").arg("--role").arg("read").args(more);
        command.arg("--data").arg(&self.server.setup().data);
        let (status, said) = server::run(command).await.unwrap();
        assert!(status.success(), "{said}");
        said.split_whitespace().find(|word| word.starts_with("ilk_")).unwrap().to_owned()
    }

    async fn get(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        Http::new(self.server.address()).get(path, headers).await.unwrap()
    }

    async fn page(&self) -> Page {
        let answer = self.get("/metrics", &[]).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert!(answer.head.contains("content-type: text/plain; version=0.0.4"), "{}", answer.head);
        Page::read(&answer.text())
    }

    /// The page, once it says so.
    async fn page_with(&self, name: &str, labels: &[(&str, &str)], at_least: f64) -> Page {
        let begin = Instant::now();
        loop {
            let page = self.page().await;
            if page.value(name, labels) >= at_least {
                return page;
            }
            let now = page.value(name, labels);
            assert!(begin.elapsed() < SOON, "{name} {labels:?} is {now}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

// ── the text format ──────────────────────────────────────────────────────────────────────────────────────────────

type Labels = BTreeMap<String, String>;

/// A page in Prometheus' text format 0.0.4, and that it is one.
struct Page {
    kinds: BTreeMap<String, String>,
    series: BTreeMap<(String, Labels), f64>,
}

impl Page {
    fn read(text: &str) -> Self {
        let (mut kinds, mut helped, mut series) = (BTreeMap::new(), BTreeSet::new(), BTreeMap::new());
        let (mut current, mut closed) = (String::new(), BTreeSet::new());
        assert!(text.ends_with('\n'), "the last line has no end");
        for line in text.lines().filter(|line| !line.is_empty()) {
            if let Some(rest) = line.strip_prefix("# HELP ") {
                let (name, help) = rest.split_once(' ').unwrap();
                assert!(!help.trim().is_empty() && helped.insert(name.to_owned()), "{line}");
            } else if let Some(rest) = line.strip_prefix("# TYPE ") {
                let (name, kind) = rest.split_once(' ').unwrap();
                assert!(matches!(kind, "counter" | "gauge" | "histogram"), "{line}");
                assert!(kinds.insert(name.to_owned(), kind.to_owned()).is_none(), "twice: {line}");
            } else {
                let (name, labels, value) = sample(line);
                let family = ["_bucket", "_sum", "_count"]
                    .iter()
                    .filter_map(|suffix| name.strip_suffix(suffix))
                    .find(|family| kinds.get(*family).is_some_and(|kind| kind == "histogram"));
                let family = family.unwrap_or(&name).to_owned();
                assert!(kinds.contains_key(&family), "no TYPE before it: {line}");
                assert!(helped.contains(&family), "no HELP before it: {line}");
                if family != current {
                    assert!(closed.insert(family.clone()), "not in one piece: {line}");
                    current = family;
                }
                assert!(series.insert((name, labels), value).is_none(), "a duplicate series: {line}");
            }
        }
        let page = Self { kinds, series };
        page.check_histograms();
        page
    }

    fn check_histograms(&self) {
        let mut buckets: BTreeMap<(String, Labels), Vec<(f64, f64)>> = BTreeMap::new();
        for ((name, labels), value) in &self.series {
            let Some(family) = name.strip_suffix("_bucket") else { continue };
            let mut labels = labels.clone();
            let bound = labels.remove("le").unwrap().replace("+Inf", "inf").parse().unwrap();
            buckets.entry((family.to_owned(), labels)).or_default().push((bound, *value));
        }
        for ((family, labels), mut bounds) in buckets {
            bounds.sort_by(|a, b| a.0.total_cmp(&b.0));
            assert!(bounds.is_sorted_by(|a, b| a.1 <= b.1), "{family} {labels:?}: {bounds:?}");
            let (last, count) = *bounds.last().unwrap();
            assert!(last.is_infinite(), "{family}: no +Inf");
            assert_eq!(self.series[&(format!("{family}_count"), labels.clone())], count);
            assert!(self.series.contains_key(&(format!("{family}_sum"), labels)));
        }
    }

    /// The sum of the series with these labels.
    fn value(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let fits = |has: &Labels| {
            labels.iter().all(|(label, value)| has.get(*label).is_some_and(|has| has == value))
        };
        let all = self.series.iter().filter(|((series, has), _)| series == name && fits(has));
        all.map(|(_, value)| value).sum()
    }
}

fn sample(line: &str) -> (String, Labels, f64) {
    let (series, value) = line.rsplit_once(' ').unwrap();
    let (name, mut rest) = series.split_once('{').unwrap_or((series, "}"));
    let mut labels = Labels::new();
    while rest != "}" {
        let (label, after) = rest.split_once("=\"").unwrap();
        let end = (0..after.len()).find(|at| after[*at..].starts_with('"') && !after[..*at].ends_with('\\'));
        let (value, after) = after.split_at(end.unwrap());
        assert!(labels.insert(label.to_owned(), value.to_owned()).is_none(), "{line}");
        rest = after[1..].strip_prefix(',').unwrap_or(&after[1..]);
    }
    let word = |text: &str| text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    assert!(word(name) && labels.keys().all(|label| word(label)), "{line}");
    (name.to_owned(), labels, value.parse().unwrap())
}

/// The names in the table of the docs, and what they are.
fn documented() -> BTreeMap<String, String> {
    let docs = std::fs::read_to_string(server::workspace().join("docs/operate/metrics.md")).unwrap();
    let rows = docs.lines().filter_map(|line| {
        let mut cells = line.split(" | ");
        let name = cells.next()?.strip_prefix("| `")?.strip_suffix('`')?;
        Some((name.to_owned(), cells.next()?.to_owned()))
    });
    rows.filter(|(_, kind)| matches!(kind.as_str(), "counter" | "gauge" | "histogram")).collect()
}

// ── the tests ────────────────────────────────────────────────────────────────────────────────────────────────────

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn metrics_tell_what_happened() {
    let mut world = World::with("metrics", Vec::new(), Vec::new()).await;
    let documented = documented();
    assert!(documented.len() > 20);
    let (mut socket, _frames, _) = world.handed_over("ann").await;
    let came = [("integration", "desk")];
    let page = world.page_with("interline_time_to_agent_seconds_count", &came, 1.0).await;
    for (name, kind) in &page.kinds {
        assert_eq!(documented.get(name), Some(kind), "{name} is not in the docs");
    }
    for (name, labels, wanted) in [
        ("interline_transfers_started_total", &[("channel", "web")][..], 1.0),
        ("interline_transfers_ended_total", &[], 0.0),
        ("interline_transfers", &[("stage", "talking")], 1.0),
        ("interline_transfers", &[], 1.0),
        ("interline_inputs_total", &[("kind", "connected")], 1.0),
        ("interline_inputs_total", &[("kind", "customer_said")], 1.0),
        ("interline_channel_readers", &[], 1.0),
        ("interline_conversations_in_memory", &[], 1.0),
        ("interline_participants_failing", &[("connector", "botkit")], 0.0),
        ("interline_hints_lagged_total", &[], 0.0),
        ("interline_store_up", &[], 1.0),
        ("interline_build_info", &[], 1.0),
    ] {
        assert_eq!(page.value(name, labels), wanted, "{name} {labels:?}");
    }
    let delivered = [("connector", "botkit"), ("integration", "desk"), ("result", "delivered")];
    for (name, labels, at_least) in [
        ("interline_inputs_total", &[("kind", "callback")][..], 3.0),
        // The welcome and the line that asked, for the interceptor, and the Open.
        ("interline_deliveries_total", &delivered, 3.0),
        ("interline_delivery_seconds_count", &[("connector", "botkit")], 3.0),
        ("interline_webhook_calls_total", &[("connector", "botkit"), ("status", "200")], 3.0),
        ("interline_commit_seconds_count", &[], 5.0),
        ("interline_http_requests_total", &[("route", "/api/botsdk/stream/{app}/{*rest}")], 3.0),
        ("process_resident_memory_bytes", &[], 1e6),
        ("process_start_time_seconds", &[], 1.7e9),
        ("process_open_fds", &[], 5.0),
    ] {
        assert!(page.value(name, labels) >= at_least, "{name} {labels:?}: {}", page.value(name, labels));
    }

    // What it counts by itself is 0 after a restart; what stands in the database is not.
    let busy = Manners { messages: Answers::Status(429), ..Manners::default() };
    world.botkit.behave(busy);
    socket.tell(2, "is anybody there?").await.unwrap();
    world.page_with("interline_deliveries_total", &[("result", "retry")], 1.0).await;
    world.restart(busy).await;
    let page = world.page_with("interline_participants_failing", &[("connector", "botkit")], 1.0).await;
    assert_eq!(page.value("interline_transfers", &[("stage", "talking")]), 1.0);
    assert_eq!(page.value("interline_transfers_started_total", &[]), 0.0);
    assert_eq!(page.value("interline_participants_stalled", &[]), 0.0);

    world.botkit.behave(Manners::default());
    let mut voice = world.botkit.voice(&world.botkit.sessions()[0]).unwrap();
    let agent_ended = [("channel", "web"), ("outcome", "agent_ended"), ("reason", "none")];
    assert!(voice.clear().await.is_good());
    let page = world.page_with("interline_transfers_ended_total", &agent_ended, 1.0).await;
    assert_eq!(page.value("interline_transfers_ended_total", &[]), 1.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn metrics_answer_on_this_machine_or_with_a_key_of_the_server() {
    let world = World::with("metrics-access", Vec::new(), Vec::new()).await;
    let (server, one_app) = (world.key(&[]).await, world.key(&["--app", &world.app.bot]).await);
    assert_eq!(world.get("/metrics", &[]).await.status, 200);
    let passed_on =
        [("x-forwarded-for", "192.0.2.7"), ("forwarded", "for=192.0.2.7"), ("x-real-ip", "192.0.2.7")];
    for header in passed_on {
        let refused = world.get("/metrics", &[header]).await;
        assert_eq!(refused.status, 401, "{header:?}");
        assert!(refused.head.contains("www-authenticate: bearer"), "{}", refused.head);
        assert!(!refused.text().contains("interline_"), "{}", refused.text());
        for (token, status) in [(&*server, 200), (&*one_app, 401), ("ilk_none_such", 401), ("", 401)] {
            let bearer = format!("Bearer {token}");
            let answer = world.get("/metrics", &[header, ("authorization", &bearer)]).await;
            assert_eq!(answer.status, status, "{header:?} {token}");
        }
    }
    // A token in a path is in no label.
    let _ = world.get("/t/a-secret-of-somebody", &[HOST]).await;
    let _ = Http::new(world.server.address()).call("BREW", "/a-secret-of-somebody", &[], b"").await.unwrap();
    let page = world.get("/metrics", &[]).await.text();
    assert!(!page.contains("a-secret") && !page.contains("BREW"), "{page}");
    assert!(Page::read(&page).value("interline_http_requests_total", &[("method", "other")]) >= 1.0);
}

async fn traced(name: &str, ratio: &str) -> (World, Collector) {
    let (collector, url) = Collector::start().await;
    let flags = ["--otlp", &url, "--trace-ratio", ratio].map(str::to_owned).to_vec();
    let variable = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    // The second is the SDK's own.
    let variables = vec![
        variable("INTERLINE_OTLP_HEADERS", "x-api-key=hush-hush"),
        variable("OTEL_BSP_SCHEDULE_DELAY", "50"),
    ];
    (World::with(name, flags, variables).await, collector)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_line_is_one_trace_also_when_it_arrives_after_a_kill() {
    let (mut world, collector) = traced("traces", "1").await;
    let (mut socket, _frames, token) = world.handed_over("ann-of-the-green-gables").await;
    let said = |span: &Span| span.name == "interline.receive" && span.fact("kind") == "customer_said";
    let known = world.traces(&collector).await;
    socket.tell(2, "my-first-words").await.unwrap();
    let received = collector.wait("the line", |span| said(span) && !known.contains(&span.trace)).await;
    let of = |name: &'static str, trace: &str| {
        let trace = trace.to_owned();
        move |span: &Span| span.name == name && span.trace == trace
    };
    let deliver = collector.wait("its delivery", of("interline.deliver", &received.trace)).await;
    let hear = collector.wait("its frame", of("interline.hear", &received.trace)).await;
    let commit = collector
        .wait("its commit", |span| span.name == "interline.commit" && span.parent == received.id)
        .await;
    assert_eq!((&*hear.parent, &received.parent), ("", &hear.id));
    assert_eq!((&commit.trace, &deliver.parent), (&received.trace, &received.id));
    for (fact, wanted) in
        [("connector", "botkit"), ("integration", "desk"), ("attempt", "1"), ("result", "delivered")]
    {
        assert_eq!(deliver.fact(fact), wanted, "{deliver:?}");
    }
    assert_eq!(deliver.fact("conversation"), received.fact("conversation"));
    assert!(!deliver.failed && received.fact("app") == world.app.bot);

    // The next one is not taken, and the server is killed meanwhile.
    let known = world.traces(&collector).await;
    world.botkit.behave(Manners { messages: Answers::Status(429), ..Manners::default() });
    socket.tell(3, "my-second-words").await.unwrap();
    let received = collector.wait("the line", |span| said(span) && !known.contains(&span.trace)).await;
    let refused = collector.wait("a try", of("interline.deliver", &received.trace)).await;
    assert_eq!((refused.fact("result"), refused.fact("reason")), ("retry", "rate_limited"));
    assert!(refused.failed);
    world.restart(Manners::default()).await;
    let arrived = collector
        .wait("a try after the kill", |span| {
            span.trace == received.trace && span.fact("result") == "delivered"
        })
        .await;
    assert_eq!(arrived.parent, received.id);
    assert!(arrived.fact("attempt").parse::<u32>().unwrap() >= 2, "{arrived:?}");

    // What comes last is sent before the server stops.
    let (hook, _kept) = keep();
    let mut socket = world.site().open(&token, true, hook).await.unwrap();
    let known = world.traces(&collector).await;
    socket.tell(4, "my-last-words").await.unwrap();
    world.server.terminate(SOON).await.unwrap();
    assert!(collector.spans().iter().any(|span| said(span) && !known.contains(&span.trace)));

    let beside = collector.beside.lock().unwrap().clone();
    for wanted in ["x-api-key: hush-hush", "service.name: interline", "service.instance.id: node-1"] {
        assert!(beside.contains(wanted), "`{wanted}` is missing: {beside:?}");
    }
    let everything = format!("{:?}", collector.spans());
    let bearer = &token[token.len().saturating_sub(20)..];
    let session = world.botkit.sessions()[0].from.clone();
    for secret in [
        "words",
        "an agent",
        "Hello",
        "this is the agent",
        "gables",
        "hush",
        bearer,
        &world.app.secret,
        &session,
    ] {
        assert!(!everything.contains(secret), "`{secret}` stands in a span");
    }
    let log = std::fs::read_to_string(world.server.setup().log()).unwrap();
    assert!(
        !log.contains("interline_trace") && !log.contains("interline.receive"),
        "spans in the log:\n{log}"
    );
    assert!(!log.contains("hush"), "a secret in the log:\n{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_callers_trace_counts_only_with_a_key() {
    // Nothing that begins here is sampled: what arrives, a caller asked for.
    let (world, collector) = traced("callers", "0").await;
    let key = world.key(&[]).await;
    let (bearer, stranger) = (format!("Bearer {key}"), format!("Bearer {key}x"));
    let parent = |trace: &str| format!("00-{trace}-00f067aa0ba902b7-01");
    let [theirs, forged, vendors] = ["a", "b", "c"].map(|digit| digit.repeat(32));
    for (trace, token) in [(&theirs, Some(&bearer)), (&forged, Some(&stranger)), (&vendors, None)] {
        let parent = parent(trace);
        let mut headers = vec![("traceparent", &*parent)];
        headers.extend(token.map(|token| ("authorization", &**token)));
        world.get("/healthz", &headers).await;
    }
    let span = collector.wait("the caller", |span| span.name == "GET /healthz").await;
    assert_eq!((&span.trace, &*span.parent), (&theirs, "00f067aa0ba902b7"));
    assert_eq!(span.fact("http.response.status_code"), "200");
    let mut server = world.server;
    server.terminate(SOON).await.unwrap();
    assert!(collector.spans().iter().all(|span| span.trace == theirs), "{:?}", collector.spans());

    // With sampling, a stranger's trace is named and not joined.
    let (world, collector) = traced("strangers", "1").await;
    world.get("/healthz", &[("traceparent", &parent(&vendors))]).await;
    let span = collector.wait("the stranger", |span| span.links == [vendors.clone()]).await;
    assert!(span.trace != vendors && span.parent.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_that_is_away_costs_nothing_but_spans() {
    let nobody = SocketAddr::from((Ipv4Addr::LOCALHOST, server::free_port().unwrap()));
    let flags = vec!["--otlp".to_owned(), format!("http://{nobody}")];
    let variables = vec![("OTEL_BSP_SCHEDULE_DELAY".to_owned(), "20".to_owned())];
    let mut world = World::with("away", flags, variables).await;
    let (_socket, _frames, _) = world.handed_over("ann").await;
    world.page_with("interline_trace_exports_total", &[("result", "failed")], 2.0).await;
    assert!(world.server.terminate(SOON).await.unwrap().success(), "{}", world.server.log_end());
    assert_eq!(world.server.logged("spans do not reach the collector"), 1, "{}", world.server.log_end());
    assert_eq!(world.server.logged("panicked"), 0, "{}", world.server.log_end());
}
