//! Voicemail: a caller leaves a word, and whoever is to be told gets it, with the recording.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use interline_media::{Media, Sound, tones};
use interline_tests::ears;
use interline_tests::http::Http;
use interline_tests::scratch::Scratch;
use interline_tests::server::free_port;
use interline_voice::actors::{Does, caller};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::{Mutex, mpsc};
use tokio::time::timeout;

use super::Gateway;
use super::scripts::scripted_with;
use super::sound::{media, says, waits};

/// What somebody was told, and with which headers.
type Told = (HeaderMap, Value);

/// Whoever is told. The first time it is not there.
struct Receiver {
    port: u16,
    told: mpsc::UnboundedReceiver<Told>,
}

#[derive(Clone)]
struct Desk {
    told: mpsc::UnboundedSender<Told>,
    refused: Arc<Mutex<Vec<String>>>,
}

async fn takes(State(desk): State<Desk>, headers: HeaderMap, body: String) -> StatusCode {
    let key = headers["idempotency-key"].to_str().unwrap().to_owned();
    let mut refused = desk.refused.lock().await;
    if refused.is_empty() {
        refused.push(key);
        return StatusCode::INTERNAL_SERVER_ERROR;
    }
    desk.told.send((headers, serde_json::from_str(&body).unwrap())).unwrap();
    StatusCode::NO_CONTENT
}

impl Receiver {
    async fn start() -> Result<(Self, Arc<Mutex<Vec<String>>>)> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        let (sender, told) = mpsc::unbounded_channel();
        let refused = Arc::new(Mutex::new(Vec::new()));
        let desk = Desk { told: sender, refused: refused.clone() };
        let understands = || async { axum::Json(json!({ "text": "Please call me back." })) };
        let routes = Router::new()
            .route("/told", post(takes))
            .route("/v1/audio/transcriptions", post(understands))
            .with_state(desk);
        tokio::spawn(async move { axum::serve(listener, routes).await });
        Ok((Self { port, told }, refused))
    }

    async fn next(&mut self) -> Result<Told> {
        timeout(Duration::from_secs(30), self.told.recv()).await?.context("nobody tells anything")
    }
}

/// The entry of this kind that says this.
fn came<'a>(log: &'a [Value], kind: &str, what: &str) -> &'a Value {
    log.iter().find(|entry| entry["kind"] == kind && !entry[what].is_null()).unwrap()
}

/// What the flow says then is heard after the word was left, and nothing before.
fn script(port: u16, transcription: bool) -> String {
    format!(
        "voiceUtils.voicemail(\"Leave a word.\", true, {transcription}, {{ url: \"http://127.0.0.1:{port}/told\", \
         headers: {{ Authorization: \"Bearer hunter2\" }} }}, {{ ticket: 7 }}, {{ userNoInputTimeoutMS: 2000 }}); \
         voiceUtils.hangup(\"Thank you.\", {{}}, true)"
    )
}

/// Whoever calls, and whom they reach.
struct Bed {
    gateway: Gateway,
    media: Arc<Media>,
    ear: PathBuf,
    _folder: Scratch,
}

impl Bed {
    async fn start(port: u16) -> Self {
        let (told, understood, forbidden) = (script(port, false), script(port, true), script(9, false));
        let scripts = [
            ("told", told.as_str(), None),
            ("understood", &understood, None),
            ("forbidden", &forbidden, None),
        ];
        let hearing = format!("http://127.0.0.1:{port}/");
        let settings = [("INTERLINE_HEARING_URL", hearing.as_str())];
        let ports = [port, free_port().unwrap()];
        let gateway = scripted_with("voice-voicemail", ports, &scripts, &settings).await;
        let folder = Scratch::new("voicemail").unwrap();
        Self { gateway, media: media(), ear: folder.path().join("caller.wav"), _folder: folder }
    }

    /// Somebody calls, until they hang up or are hung up on.
    async fn call(&mut self, user: &str, does: &[Does]) {
        let target = format!("sip:{user}@127.0.0.1:{}", self.gateway.sip);
        caller(&target, &self.media, does, Some(self.ear.clone())).await.unwrap();
        self.gateway.log().await.unwrap();
    }

    /// The timeline of the last call, once it is said what came of the telling.
    async fn timeline(&mut self) -> Vec<Value> {
        let path = format!("/conversations/{}/timeline", self.gateway.seen.last().unwrap());
        for _ in 0..600 {
            let log = self.gateway.operator.list(&path).await.unwrap();
            if log.iter().any(|entry| entry["kind"] == "worked") {
                return log;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("it is not said what came of it");
    }

    /// The recording, by the link that was told.
    async fn recording(&self, told: &Value) -> Sound {
        let link: url::Url = told["recording"]["url"].as_str().unwrap().parse().unwrap();
        let answer = Http::new(self.gateway.server.address()).get(link.path(), &[]).await.unwrap();
        assert_eq!(answer.status, 200, "{}", answer.text());
        ears::left(&answer.body).unwrap()
    }
}

/// Whether the beep is in it.
fn beeps(sound: &Sound) -> bool {
    tones::detect(&sound.samples, sound.rate).iter().any(|tone| (tone.hz - 1_400.0).abs() < 20.0)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_word_is_left_and_told() {
    let (mut receiver, refused) = Receiver::start().await.unwrap();
    let mut bed = Bed::start(receiver.port).await;
    // A key ends it. The first time nobody takes it.
    bed.call("understood", &[says(700.0, 6_000), Does::Presses("5#".into()), waits(30_000)]).await;
    let (headers, told) = receiver.next().await.unwrap();
    let key = refused.lock().await.join(" ");
    assert_eq!((&headers["idempotency-key"], &told["id"]), (&key.parse().unwrap(), &json!(key)), "again");
    assert_eq!(headers["authorization"], "Bearer hunter2");
    assert_eq!((&told["ended_by"], &told["meta"]["ticket"]), (&json!("key"), &json!(7)), "{told}");
    assert_eq!(
        (&told["transcription"], &told["called"]),
        (&json!("Please call me back."), &json!("understood"))
    );
    let sound = bed.recording(&told).await;
    assert!(!ears::tones(&sound, 700.0).is_empty(), "the caller is not in it");
    assert!(beeps(&ears::heard(&bed.ear).unwrap()) && !beeps(&sound), "the beep is heard, and not recorded");
    let log = bed.timeline().await;
    let said = log.iter().find(|entry| entry["kind"] == "text" && entry["by"]["role"] == "customer").unwrap();
    assert_eq!(
        (&said["files"][0]["name"], &said["text"]),
        (&json!("voicemail.wav"), &json!("Please call me back."))
    );
    assert!(log.iter().any(|entry| entry["result"] == "recorded, ended by a key"), "{log:?}");
    assert_eq!(came(&log, "worked", "came")["came"], "HTTP 204");
    assert!(!format!("{log:?}").contains("hunter2") && !format!("{log:?}").contains("/f/"), "{log:?}");

    // Who hangs up has left a word, too.
    bed.call("told", &[says(700.0, 6_000)]).await;
    let (_, told) = receiver.next().await.unwrap();
    assert_eq!((&told["ended_by"], &told["transcription"]), (&json!("hang_up"), &Value::Null), "{told}");
    assert_eq!(told["no_transcription"], "it was not asked for");
    assert!(!ears::tones(&bed.recording(&told).await, 700.0).is_empty(), "the caller is not in it");
    bed.gateway.is_empty().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_says_nothing_leaves_nothing_and_what_is_forbidden_is_not_told() {
    let (mut receiver, _) = Receiver::start().await.unwrap();
    let mut bed = Bed::start(receiver.port).await;
    bed.call("told", &[waits(30_000)]).await;
    let (_, told) = receiver.next().await.unwrap();
    assert_eq!((&told["ended_by"], &told["recording"]), (&json!("silence"), &Value::Null), "{told}");
    assert_eq!(told["no_recording"], "nothing was said");
    let log = bed.timeline().await;
    assert!(log.iter().any(|entry| entry["result"] == "nothing was said"), "{log:?}");
    assert!(!log.iter().any(|entry| entry["files"].as_array().is_some_and(|files| !files.is_empty())));
    // An address that is nobody's business.
    bed.call("forbidden", &[waits(30_000)]).await;
    let log = bed.timeline().await;
    let worked = came(&log, "worked", "came")["came"].as_str().unwrap();
    assert!(worked.starts_with("refused: the address 127.0.0.1 is private"), "{worked}");
    bed.gateway.is_empty().await.unwrap();
}
