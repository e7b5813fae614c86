//! Calls, as SIPp makes and takes them: every flow, in both directions, its success and each of its failures. The server is
//! the built binary with `examples/voice/app.yaml`.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test: a wrong assumption ends it; figures are its output"
)]

mod by_hand;
mod long;
mod names;
mod odd;
mod phones;
mod scripts;
mod sound;
mod voicemail;
mod within;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use interline_tests::App;
use interline_tests::operator::Operator;
use interline_tests::scratch::Scratch;
use interline_tests::server::{Server, Setup, free_port, workspace};
use interline_tests::sipp::Sipp;
use serde_json::Value;

/// The app's id in the example.
const BOT: &str = "st-4ad1ae47-95ab-5b29-8d8b-ad1b6b1b7e60";
const SORRY: &str = "All our agents are currently busy. Please try again later.";

/// A server that takes calls, and where its agents are.
struct Gateway {
    server: Server,
    operator: Operator,
    sip: u16,
    agent: u16,
    /// The newest conversation that was looked at.
    seen: Vec<String>,
    _scratch: Scratch,
}

impl Gateway {
    async fn start(name: &str, changes: &[(&str, &str)]) -> Result<Self> {
        Self::start_with(name, changes, &[]).await
    }

    async fn start_with(name: &str, changes: &[(&str, &str)], settings: &[(&str, &str)]) -> Result<Self> {
        let scratch = Scratch::new(name)?;
        let mut text = std::fs::read_to_string(workspace().join("examples/voice/app.yaml"))?;
        for (from, to) in changes {
            ensure!(text.contains(from), "the example has no `{from}`");
            text = text.replace(from, to);
        }
        let app_file = scratch.path().join("app.yaml");
        std::fs::write(&app_file, text)?;
        let app = App { bot: BOT.into(), ..App::fresh() };
        let (sip, agent) = (free_port()?, free_port()?);
        let mut setup = Setup::new(&scratch.path().join("data"), &app, "http://127.0.0.1:9");
        setup.app_file = app_file;
        setup.variables = vec![
            ("SIP_LISTEN".into(), format!("127.0.0.1:{sip}")),
            ("AGENT_URI".into(), format!("sip:agent@127.0.0.1:{agent}")),
            ("PROBE_URI".into(), format!("sip:probe@127.0.0.1:{agent}")),
            ("REFER_TO".into(), format!("sip:desk@127.0.0.1:{agent}")),
        ];
        let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        setup.variables.extend(settings.iter().map(own));
        let server = setup.start().await?;
        let operator = Operator::new(&server).await?;
        Ok(Self { server, operator, sip, agent, seen: Vec::new(), _scratch: scratch })
    }

    fn caller(&self, scenario: &str, user: &str) -> Result<Sipp> {
        Sipp::caller(scenario, user, self.sip)
    }

    /// The log of the conversation that is over since the last look.
    async fn log(&mut self) -> Result<Vec<Value>> {
        let began = Instant::now();
        loop {
            // A connection that was idle for long may have been closed meanwhile.
            let all = match self.operator.list("/conversations?limit=100").await {
                Ok(all) => all,
                Err(error) if began.elapsed() > Duration::from_secs(20) => return Err(error),
                Err(_) => continue,
            };
            let new = all.iter().find(|one| !self.seen.iter().any(|seen| one["id"] == **seen));
            if let Some(one) = new.filter(|one| one["closed_at"].is_string()) {
                let id = one["id"].as_str().context("an id")?.to_owned();
                let log = self.operator.list(&format!("/conversations/{id}/timeline")).await?;
                self.seen.push(id);
                return Ok(log);
            }
            if began.elapsed() > Duration::from_secs(20) {
                bail!("no conversation is over: {all:?}");
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until so many of something are held.
    async fn holds(&self, what: &str, many: f64) -> Result<()> {
        let began = Instant::now();
        loop {
            let gauges = gauges(&self.server).await?;
            let found = gauges.iter().find(|(name, _)| name.contains(&format!("\"{what}\"")));
            if found.is_some_and(|(_, value)| *value == many) {
                return Ok(());
            }
            if began.elapsed() > Duration::from_secs(60) {
                bail!("{what}: {gauges:?}");
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Everything is given back: dialogs, ports, calls.
    async fn is_empty(&self) -> Result<()> {
        let began = Instant::now();
        loop {
            let gauges = gauges(&self.server).await?;
            if gauges.values().all(|value| *value == 0.0) {
                return Ok(());
            }
            if began.elapsed() > Duration::from_secs(60) {
                bail!("left behind: {gauges:?}");
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

async fn gauges(server: &Server) -> Result<BTreeMap<String, f64>> {
    let metrics = interline_tests::http::Http::new(server.address()).get("/metrics", &[]).await?.text();
    let voice =
        metrics.lines().filter(|line| line.starts_with("interline_channel_holds{")).filter_map(|line| {
            let (name, value) = line.rsplit_once(' ')?;
            Some((name.to_owned(), value.parse().ok()?))
        });
    let gauges: BTreeMap<_, _> = voice.collect();
    ensure!(!gauges.is_empty(), "no gauges of the voice gateway");
    Ok(gauges)
}

/// What a log says of the transfers: each failed rung as `integration: reason (code)`.
fn failures(log: &[Value]) -> Vec<String> {
    let failed = log.iter().filter(|entry| entry["kind"] == "rung_failed");
    failed
        .map(|entry| {
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            let failure = &entry["failure"];
            format!(
                "{}: {} ({})",
                text(&entry["target"]["integration"]),
                text(&failure["reason"]),
                text(&failure["code"])
            )
        })
        .collect()
}

/// What the bot said, in order.
fn heard(log: &[Value]) -> Vec<String> {
    let said = log
        .iter()
        .filter(|entry| entry["kind"] == "text" && entry["by"]["role"] == "bot" && entry["to"] == "customer");
    said.filter_map(|entry| entry["text"].as_str())
        .filter(|text| !text.is_empty())
        .map(str::to_owned)
        .collect()
}

fn kinds(log: &[Value]) -> Vec<String> {
    log.iter().filter_map(|entry| entry["kind"].as_str()).map(str::to_owned).collect()
}

/// For agents that never answer. One that answers has its half minute: a busy machine may need a second of it.
const SHORT_RING: &[(&str, &str)] = &[("ring_timeout_s: 30", "ring_timeout_s: 1")];
/// For callers that never say what became of a REFER.
const SHORT_NOTIFY: &[(&str, &str)] = &[("refer_notify_timeout_s: 15", "refer_notify_timeout_s: 1")];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_is_answered_by_udp_and_tcp() {
    let mut gateway = Gateway::start("voice-answer", &[]).await.unwrap();
    for transport in ["u1", "t1"] {
        let flags = ["-t", transport];
        gateway.caller("asks", "x").unwrap().flags(&flags).run().await.unwrap();
        for scenario in [
            "caller_leaves",
            "caller_holds",
            "caller_without_offer",
            "caller_leaves_before_ack",
            "caller_cancels_too_late",
        ] {
            gateway.caller(scenario, "answer").unwrap().flags(&flags).run().await.unwrap();
            let log = gateway.log().await.unwrap();
            assert!(kinds(&log).contains(&"closed".to_owned()), "{scenario}: {log:?}");
        }
    }
    gateway.is_empty().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_is_called_and_joined() {
    let mut gateway = Gateway::start("voice-invite", &[]).await.unwrap();
    for (caller, agent) in [
        ("caller_stays", "agent_leaves"),
        ("caller_leaves", "agent_stays"),
        ("caller_stays", "agent_early_media"),
        ("caller_stays", "agent_reliable"),
    ] {
        let agent_runs = Sipp::agent(agent, gateway.agent).start().unwrap();
        gateway.caller(caller, "agent").unwrap().run().await.unwrap();
        agent_runs.end().await.unwrap();
        let log = gateway.log().await.unwrap();
        assert!(kinds(&log).contains(&"agent_joined".to_owned()), "{agent}: {log:?}");
        assert_eq!((failures(&log), heard(&log)), (vec![], Vec::<String>::new()), "{agent}");
    }
    gateway.is_empty().await.unwrap();
}

/// Agents that hang up in the moment in which they are joined, and many of them at once, so that the gateway is busy: each
/// caller is told.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_who_hangs_up_at_once_is_not_missed() {
    let gateway = Gateway::start("voice-at-once", &[]).await.unwrap();
    let flags = ["-m", "200", "-r", "1000", "-l", "40", "-recv_timeout", "20000"];
    let agent = Sipp::agent("agent_leaves", gateway.agent).changed("<pause milliseconds=\"200\"/>", "");
    let agent = agent.flags(&flags).start().unwrap();
    gateway.caller("caller_stays", "agent").unwrap().flags(&flags).run().await.unwrap();
    agent.end().await.unwrap();
    gateway.is_empty().await.unwrap();
}

/// How an agent does not answer, and what it means.
fn refusals() -> Vec<(&'static str, &'static str, &'static str)> {
    vec![
        ("403 Forbidden", "403", "declined"),
        ("404 Not Found", "404", "no_agents"),
        ("408 Request Timeout", "408", "unreachable"),
        ("429 Too Many Requests", "429", "rate_limited"),
        ("480 Temporarily Unavailable", "480", "no_agents"),
        ("486 Busy Here", "486", "busy"),
        ("487 Request Terminated", "487", "no_answer"),
        ("500 Server Internal Error", "500", "vendor_error"),
        ("503 Service Unavailable", "503", "vendor_error"),
        ("600 Busy Everywhere", "600", "busy"),
        ("603 Decline", "603", "declined"),
        ("604 Does Not Exist Anywhere", "604", "no_agents"),
    ]
}

/// What is tried, how it fails, the reason, and what the caller hears.
type Row = (&'static str, String, &'static str, Vec<String>);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_fails_the_caller_hears_something_sensible() {
    // Beside each other, each with a gateway of its own: most of it is a wait for what is said to the caller.
    let (refused, unanswered, referred) =
        tokio::try_join!(refused_invites(), unanswered_invites(), refers()).unwrap();
    table(&[refused, unanswered, referred].concat());
}

/// The agent refuses.
async fn refused_invites() -> Result<Vec<Row>> {
    let mut gateway = Gateway::start("voice-refusals", &[]).await?;
    let mut rows = Vec::new();
    for (status, code, reason) in refusals() {
        let agent =
            Sipp::agent("agent_refuses", gateway.agent).with("status", status).with("extra", "X-Why: test");
        failed(&mut gateway, agent, &format!("{reason} ({code} by INVITE)"), status).await?;
        rows.push(("INVITE", status.to_owned(), reason, vec![SORRY.to_owned()]));
    }
    gateway.is_empty().await?;
    Ok(rows)
}

/// The agent does not answer, or not as it should.
async fn unanswered_invites() -> Result<Vec<Row>> {
    let mut gateway = Gateway::start("voice-no-answer", SHORT_RING).await?;
    let mut rows = Vec::new();
    for (agent, what, code, reason) in [
        ("agent_never_answers", "rings for too long", "408 by timer", "no_answer"),
        ("agent_crosses", "answers although cancelled", "408 by timer", "no_answer"),
        ("agent_says_nothing", "no response", "408 by timer", "no_answer"),
        ("agent_without_answer", "200 without SDP", "488 by INVITE", "bad_request"),
    ] {
        let agent = Sipp::agent(agent, gateway.agent);
        failed(&mut gateway, agent, &format!("{reason} ({code})"), what).await?;
        rows.push(("INVITE", what.to_owned(), reason, vec![SORRY.to_owned()]));
    }
    gateway.is_empty().await?;
    Ok(rows)
}

/// A caller is to get to this agent, who fails so; and hears that nobody is there.
async fn failed(gateway: &mut Gateway, agent: Sipp, failure: &str, what: &str) -> Result<()> {
    let agent = agent.start()?;
    gateway.caller("caller_stays", "agent")?.run().await.with_context(|| what.to_owned())?;
    agent.end().await.with_context(|| what.to_owned())?;
    let log = gateway.log().await?;
    ensure!(failures(&log) == [format!("agent: {failure}")], "{what}: {:?}", failures(&log));
    ensure!(heard(&log) == [SORRY], "{what}: {:?}", heard(&log));
    Ok(())
}

/// REFER fails, and the agent is called instead.
async fn refers() -> Result<Vec<Row>> {
    let mut gateway = Gateway::start("voice-fallback", SHORT_NOTIFY).await?;
    let mut rows = Vec::new();
    let reasons: BTreeMap<&str, &str> =
        refusals().into_iter().map(|(_, code, reason)| (code, reason)).collect();
    let reason = |code: &str| reasons.get(code).copied().unwrap_or("bad_request");
    let mut cases: Vec<(Sipp, String, String, &'static str)> = Vec::new();
    for status in [
        "403 Forbidden",
        "405 Method Not Allowed",
        "420 Bad Extension",
        "480 Temporarily Unavailable",
        "488 Not Acceptable Here",
        "501 Not Implemented",
        "503 Service Unavailable",
        "603 Decline",
    ] {
        let code = status.split(' ').next().unwrap_or_default();
        let caller =
            gateway.caller("refer_refused", "refer")?.with("status", status).with("challenge", "X-Why: test");
        cases.push((caller, format!("refused: {status}"), format!("{code} by REFER"), reason(code)));
    }
    for frag in ["486 Busy Here", "503 Service Unavailable", "603 Decline", "404 Not Found"] {
        let code = frag.split(' ').next().unwrap_or_default();
        let caller = gateway.caller("refer_fails", "refer")?.with("frag", &format!("SIP/2.0 {frag}"));
        let caller = caller.with("state", "terminated;reason=noresource");
        cases.push((caller, format!("NOTIFY: {frag}"), format!("{code} by NOTIFY"), reason(code)));
    }
    let undecided = gateway.caller("refer_fails", "refer")?.with("frag", "SIP/2.0 100 Trying");
    let undecided = undecided.with("state", "terminated;reason=giveup");
    cases.push((undecided, "NOTIFY: ended at 100".into(), "408 by timer".into(), "unreachable"));
    cases.push((
        gateway.caller("refer_silence", "refer")?,
        "no NOTIFY".into(),
        "408 by timer".into(),
        "unreachable",
    ));
    for (caller, what, code, reason) in cases {
        let agent = Sipp::agent("agent_leaves", gateway.agent).start()?;
        caller.run().await.with_context(|| what.clone())?;
        agent.end().await.with_context(|| what.clone())?;
        let log = gateway.log().await?;
        ensure!(failures(&log) == [format!("refer: {reason} ({code})")], "{what}: {:?}", failures(&log));
        ensure!(kinds(&log).contains(&"agent_joined".to_owned()), "{what}");
        rows.push(("REFER", what, reason, vec!["the agent, by INVITE".into()]));
    }
    gateway.is_empty().await?;
    Ok(rows)
}

/// The fallback matrix, as it was seen. `INTERLINE_BLESS=1` writes it anew.
fn table(rows: &[Row]) {
    let mut text = String::from(
        "# What comes of a transfer that fails\n\n<!-- Made from what `tests/tests/voice/` saw. To write it anew:\n     \
         INTERLINE_BLESS=1 cargo nextest run -p interline-tests --test voice -->\n\n\
         | method | what happens | reason | the caller hears |\n|---|---|---|---|\n",
    );
    for (method, what, reason, heard) in rows {
        let _ = writeln!(text, "| {method} | {what} | `{reason}` | {} |", heard.join(" "));
    }
    let path: PathBuf = workspace().join("docs/connectors/voice-fallback.md");
    if std::env::var_os("INTERLINE_BLESS").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    let known = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(known, text, "docs/connectors/voice-fallback.md is stale; INTERLINE_BLESS=1 writes it anew");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_who_leaves_while_it_rings_hears_nothing_more() {
    let mut gateway = Gateway::start("voice-left", &[]).await.unwrap();
    let agent = Sipp::agent("agent_never_answers", gateway.agent).start().unwrap();
    gateway.caller("caller_leaves", "agent").unwrap().run().await.unwrap();
    agent.end().await.unwrap();
    let log = gateway.log().await.unwrap();
    assert_eq!((failures(&log), heard(&log)), (vec![], Vec::<String>::new()), "{log:?}");
    gateway.is_empty().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_is_referred_or_handed_back() {
    let mut gateway = Gateway::start("voice-refer", &[]).await.unwrap();
    let refer = |scenario: &str| gateway.caller(scenario, "refer").unwrap();
    let cases = [
        refer("refer_accepted").with("status", "202 Accepted"),
        refer("refer_accepted").with("status", "200 OK"),
        refer("refer_notified_first"),
        refer("refer_leaves"),
        refer("refer_unsubscribed"),
        gateway.caller("caller_gets_it_back", "bye").unwrap(),
    ];
    for (no, caller) in cases.into_iter().enumerate() {
        caller.run().await.unwrap();
        let log = gateway.log().await.unwrap();
        let ended = log
            .iter()
            .find(|entry| entry["kind"] == "transfer_ended")
            .map(|entry| entry["outcome"].to_string());
        assert!(ended.is_some_and(|outcome| outcome.contains("handed_off")), "{no}: {log:?}");
        assert_eq!(failures(&log), Vec::<String>::new(), "{no}");
    }
    gateway.is_empty().await.unwrap();
}

/// An INVITE by hand, with one thing about it that matters. What comes back first that is no 100.
async fn refused(server: u16, user: &str, lines: &str, body: &str) -> Result<String> {
    let socket = tokio::net::UdpSocket::bind("127.0.0.1:0").await?;
    let own = socket.local_addr()?;
    let id = uuid::Uuid::new_v4().simple().to_string();
    let kind = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
    let request = format!(
        "INVITE sip:{user}@127.0.0.1:{server} SIP/2.0\r\nVia: SIP/2.0/UDP {own};branch=z9hG4bK{id};rport\r\n\
         Max-Forwards: 70\r\nFrom: <sip:a@{own}>;tag=1\r\nTo: <sip:{user}@127.0.0.1>\r\nCall-ID: {id}\r\n\
         CSeq: 1 INVITE\r\nContact: <sip:a@{own}>\r\n{lines}{kind}Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    socket.send_to(request.as_bytes(), ("127.0.0.1", server)).await?;
    let mut buffer = vec![0; 4096];
    loop {
        let received = tokio::time::timeout(Duration::from_secs(5), socket.recv_from(&mut buffer)).await;
        let (length, _) = received.context("no answer")??;
        let answer = String::from_utf8_lossy(&buffer[..length]).into_owned();
        if !answer.starts_with("SIP/2.0 100 ") {
            return Ok(answer);
        }
    }
}

fn sdp(media: &str) -> String {
    format!("v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n{media}\r\n")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_a_call_is_refused_as_the_standard_says() {
    let gateway = Gateway::start("voice-refused", &[]).await.unwrap();
    let good = sdp("m=audio 4000 RTP/AVP 0");
    let g729 = sdp("m=audio 4000 RTP/AVP 18\r\na=rtpmap:18 G729/8000");
    for (user, lines, body, code, field) in [
        ("nobody", "", good.as_str(), "404", ""),
        ("answer", "Require: path\r\n", &good, "420", "Unsupported: path"),
        ("answer", "", &g729, "488", ""),
        ("answer", "", "this is no session", "400", ""),
        ("answer", "", &sdp("m=audio 0 RTP/AVP 0"), "488", ""),
        ("answer", "", &sdp("m=video 4000 RTP/AVP 34"), "488", ""),
        ("answer", "", &sdp("m=audio 4000 RTP/AVP 0").replace("v=0", "v=1"), "400", ""),
        ("answer", "Replaces: c;to-tag=1;from-tag=2\r\n", &good, "481", ""),
        ("answer", "Replaces: c;to-tag=1\r\n", &good, "400", ""),
        ("answer", "Session-Expires: 30\r\n", &good, "422", "Min-SE: 90"),
        ("answer", "Accept: text/plain\r\n", &good, "406", ""),
        ("answer", "Content-Encoding: gzip\r\n", &good, "415", "Accept-Encoding: identity"),
    ] {
        let answer = refused(gateway.sip, user, lines, body).await.unwrap();
        assert!(
            answer.starts_with(&format!("SIP/2.0 {code} ")) && answer.contains(field),
            "{user} {lines}: {answer}"
        );
    }
    gateway.is_empty().await.unwrap();
}

/// Descriptions that are odd, and good enough: packets of a strange length, an address of the other family.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn odd_descriptions_are_answered() {
    let gateway = Gateway::start("voice-odd", &[]).await.unwrap();
    for media in
        ["m=audio 4000 RTP/AVP 0\r\na=ptime:37", "m=audio 4000 RTP/AVP 0\r\na=ptime:0\r\na=maxptime:-1"]
    {
        let answer = refused(gateway.sip, "answer", "", &sdp(media)).await.unwrap();
        assert!(answer.starts_with("SIP/2.0 200 ") && answer.contains("a=ptime:"), "{answer}");
    }
    let six = sdp("m=audio 4000 RTP/AVP 0").replace("IN IP4 127.0.0.1", "IN IP6 ::1");
    let answer = refused(gateway.sip, "answer", "", &six).await.unwrap();
    assert!(answer.starts_with("SIP/2.0 200 ") || answer.starts_with("SIP/2.0 488 "), "{answer}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strangers_and_callers_beyond_the_limit_are_turned_away_at_once() {
    let sources = ("sources: [127.0.0.0/8, \"::1\", ", "sources: [192.0.2.1, ");
    let closed = Gateway::start("voice-strangers", &[sources]).await.unwrap();
    let good = sdp("m=audio 4000 RTP/AVP 0");
    let answer = refused(closed.sip, "answer", "", &good).await.unwrap();
    assert!(answer.starts_with("SIP/2.0 403 "), "{answer}");
    drop(closed);
    let full = Gateway::start_with("voice-full", &[], &[("INTERLINE_VOICE_CALLS", "1")]).await.unwrap();
    // It is answered, nobody acknowledges it, and it lives for half a minute.
    let first = refused(full.sip, "answer", "", &good).await.unwrap();
    assert!(first.starts_with("SIP/2.0 200 "), "{first}");
    let second = refused(full.sip, "answer", "", &good).await.unwrap();
    assert!(second.starts_with("SIP/2.0 503 ") && second.contains("Retry-After: "), "{second}");
}

/// The stack forgets what is over after about a minute: from then on, memory that is still used is kept by somebody.
const FORGOTTEN: Duration = Duration::from_secs(75);
/// What the second half may leave behind that is nobody's: half-used pages of the allocator, and the database's caches, which
/// fill as it grows (5.8 MB of 20,000 calls were seen). A call that leaves two kilobytes shows beside this.
const LEFT: u64 = 12 << 20;
/// Fewer calls than this say nothing about memory.
const TELLING: usize = 10_000;

/// Many calls at once, in every way, and nothing is left of them. `VOICE_SOAK=20000` for as many as that, and then the
/// second half of them leaves no more memory than the first did (`--profile soak` of nextest gives it the time).
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_left_of_many_calls() {
    let calls: usize = std::env::var("VOICE_SOAK").ok().and_then(|calls| calls.parse().ok()).unwrap_or(200);
    let gateway = Gateway::start("voice-soak", &[]).await.unwrap();
    let before = gateway.server.memory();
    let mut after = Vec::new();
    for half in 0..2 {
        many(&gateway, calls / 4).await.unwrap();
        gateway.is_empty().await.unwrap();
        if half == 0 && calls >= TELLING {
            tokio::time::sleep(FORGOTTEN).await;
        }
        after.push(gateway.server.memory());
    }
    if calls >= TELLING {
        let (began, most) = (Instant::now(), after[0] + LEFT);
        while after[1] > most && began.elapsed() < 2 * FORGOTTEN {
            tokio::time::sleep(Duration::from_secs(1)).await;
            after[1] = gateway.server.memory();
        }
        assert!(after[1] <= most, "memory grows: {before} bytes before, {after:?} after each half");
    }
    let kb = |bytes: u64| bytes / 1024;
    println!(
        "{calls} calls: {} kB before, {} kB after half of them, {} kB after all",
        kb(before),
        kb(after[0]),
        kb(after[1])
    );
}

/// So many calls that are answered, and as many that are bridged, at the same time.
async fn many(gateway: &Gateway, each: usize) -> Result<()> {
    const RATE: usize = 50;
    let patience = Duration::from_secs((each / RATE) as u64 + 60);
    let (each, rate) = (each.to_string(), RATE.to_string());
    let flags = ["-m", each.as_str(), "-r", &rate, "-l", "400"];
    let agent = Sipp::agent("agent_leaves", gateway.agent).flags(&flags).within(patience).start()?;
    let caller = |scenario, user| anyhow::Ok(gateway.caller(scenario, user)?.flags(&flags).within(patience));
    let (answered, bridged) =
        tokio::join!(caller("caller_leaves", "answer")?.run(), caller("caller_stays", "agent")?.run());
    answered?;
    bridged?;
    agent.end().await
}
