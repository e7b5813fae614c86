use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::routing::post;
use interline_connector::{Guard, Http};
use serde_json::Value;
use tokio::sync::mpsc;

use super::*;
use crate::audio::tones;

/// Whether espeak-ng is here; `tests/support/install.sh` brings it.
fn speaks() -> bool {
    let there = std::process::Command::new("espeak-ng").arg("--version").output().is_ok();
    if !there {
        eprintln!("skipped: espeak-ng is not installed");
    }
    there
}

fn text(text: &str) -> Prompt {
    Prompt::Text { text: text.to_owned(), voice: None }
}

fn directory(name: &str) -> PathBuf {
    let at = std::env::temp_dir().join(format!("interline-studio-{name}-{}", std::process::id()));
    // It may be there from a process that had the same number.
    let _ = std::fs::remove_dir_all(&at);
    at
}

#[tokio::test]
async fn text_is_spoken() {
    if !speaks() {
        return;
    }
    let studio = Studio::new(StudioConfig::default());
    let said = studio
        .render(&text("Hello. Please hold the line; $(reboot) `x` \"y\" --help"))
        .await
        .expect("spoken");
    assert_eq!(said.rate, 8000);
    assert!(said.length() > Duration::from_secs(2), "{said:?}");
    let markup =
        studio.render(&text("<speak>Hello <break time=\"2s\"/> world</speak>")).await.expect("spoken");
    assert!(markup.length() > Duration::from_millis(2500), "{markup:?}");
    let again =
        studio.render(&text("<speak>Hello <break time=\"2s\"/> world</speak>")).await.expect("spoken");
    assert!(Arc::ptr_eq(&markup, &again), "made once");
}

#[tokio::test]
async fn spoken_text_is_kept_on_disk_and_bounded() {
    if !speaks() {
        return;
    }
    let at = directory("kept");
    let config = || StudioConfig { cache: Some(at.clone()), cache_bytes: 200_000, ..StudioConfig::default() };
    let files = || std::fs::read_dir(&at).expect("a directory").count();
    let first = Studio::new(config()).render(&text("Kept.")).await.expect("spoken");
    assert_eq!(files(), 1);
    let mute = StudioConfig {
        voices: vec![Voice::Espeak(Espeak { program: "/nowhere".into(), ..Espeak::default() })],
        ..config()
    };
    let again = Studio::new(mute).render(&text("Kept.")).await.expect("from disk");
    assert_eq!(first, again);
    let studio = Studio::new(config());
    for at in 0..5 {
        studio
            .render(&text(&format!("Sentence number {at}, long enough to take some room.")))
            .await
            .expect("spoken");
    }
    assert!(files() < 5, "{}", files());
    std::fs::remove_dir_all(&at).expect("removed");
}

#[tokio::test]
async fn where_nobody_can_speak_a_signal_is_heard() {
    let nowhere = Espeak { program: "/nowhere".into(), ..Espeak::default() };
    let odd = Espeak { voice: "--help".to_owned(), ..Espeak::default() };
    let voices = vec![Voice::Espeak(nowhere), Voice::Espeak(odd)];
    let studio = Studio::new(StudioConfig { voices, ..StudioConfig::default() });
    let heard = studio.render(&text("Nobody says this.")).await.expect("a signal");
    assert_eq!(tones::detect(&heard.samples, 8000).len(), 2);
}

#[tokio::test]
async fn files_are_read_and_what_is_none_is_an_error() {
    let at = directory("files");
    std::fs::create_dir_all(&at).expect("a directory");
    let file = |name: &str| Prompt::File(at.join(name));
    Sound::tone(&[1000.0], 16_000, Duration::from_millis(500)).write_wav(&at.join("a.wav")).expect("written");
    std::fs::write(at.join("b.wav"), b"RIFFnonsense").expect("written");
    let studio = Studio::new(StudioConfig::default());
    let read = studio.render(&file("a.wav")).await.expect("read");
    assert_eq!((read.rate, read.samples.len()), (8000, 4000));
    Sound::tone(&[500.0], 8000, Duration::from_millis(100)).write_wav(&at.join("a.wav")).expect("written");
    assert_eq!(studio.render(&file("a.wav")).await.expect("read").samples.len(), 800, "it changed");
    assert!(studio.render(&file("b.wav")).await.is_err());
    assert!(studio.render(&file("c.wav")).await.is_err());
    assert!(studio.render(&Prompt::Url("http://127.0.0.1/a.wav".parse().expect("a URL"))).await.is_err());
    std::fs::remove_dir_all(&at).expect("removed");
}

#[tokio::test]
async fn built_in_sounds_are_there() {
    let studio = Studio::new(StudioConfig::default());
    let music = studio.at_rate(&Prompt::Music, 8000).await.expect("music");
    assert!(music.length() > Duration::from_secs(5));
    assert_eq!(
        studio.at_rate(&Prompt::Ringback, 16_000).await.expect("ringback").length(),
        Duration::from_secs(6)
    );
}

/// A service: says for each request a second of a tone, and tells what it was asked.
async fn service(answer: fn(&Value) -> Vec<u8>) -> (url::Url, mpsc::UnboundedReceiver<(HeaderMap, Value)>) {
    let (tell, asked) = mpsc::unbounded_channel();
    let speak = async move |State(tell): State<mpsc::UnboundedSender<(HeaderMap, Value)>>,
                            headers: HeaderMap,
                            Json(wanted): Json<Value>| {
        let answer = answer(&wanted);
        tell.send((headers, wanted)).expect("somebody listens");
        answer
    };
    let app = axum::Router::new().route("/v1/audio/speech", post(speak)).with_state(tell);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let base = format!("http://{}", listener.local_addr().expect("bound")).parse().expect("a URL");
    tokio::spawn(async move { axum::serve(listener, app).await });
    (base, asked)
}

fn asking(base: &url::Url, format: Format) -> Arc<Studio> {
    let guard = Guard::default();
    guard.allow(base);
    let key = Some("sk-test".to_owned().into());
    let service =
        OpenAi { base: base.clone(), key, model: "tts-1".to_owned(), voice: "alloy".to_owned(), format };
    let voices = vec![Voice::OpenAi(service)];
    Studio::new(StudioConfig {
        voices,
        http: Some(Http::new(guard).expect("TLS")),
        ..StudioConfig::default()
    })
}

fn wav(_: &Value) -> Vec<u8> {
    let samples = tones::tone(&[800.0], 24_000, 24_000);
    let mut file = crate::audio::wav::header(24_000, 1, samples.len() * 2).to_vec();
    file.extend(samples.iter().flat_map(|sample| sample.to_le_bytes()));
    file
}

#[tokio::test]
async fn a_service_speaks() {
    let (base, mut asked) = service(wav).await;
    let studio = asking(&base, Format::Wav);
    let prompt =
        Prompt::Text { text: "<speak>Good &amp; day</speak>".to_owned(), voice: Some("nova".to_owned()) };
    let said = studio.render(&prompt).await.expect("spoken");
    assert_eq!(said.length(), Duration::from_secs(1));
    let (headers, wanted) = asked.recv().await.expect("it was asked");
    assert_eq!(headers["authorization"], "Bearer sk-test");
    let expected = serde_json::json!({ "model": "tts-1", "input": "Good & day", "voice": "nova", "response_format": "wav" });
    assert_eq!(wanted, expected);
    let long = studio.render(&text(&"A sentence. ".repeat(500))).await.expect("spoken");
    assert_eq!(long.length(), Duration::from_secs(2), "in two pieces");
}

#[tokio::test]
async fn bare_samples_are_taken_and_nonsense_is_a_signal() {
    let (base, _asked) = service(|_| wav(&Value::Null).split_off(44)).await;
    let said = asking(&base, Format::Pcm).render(&text("Hello.")).await.expect("spoken");
    assert_eq!(said.length(), Duration::from_secs(1));
    let (base, _asked) = service(|_| b"<html>".to_vec()).await;
    let heard = asking(&base, Format::Wav).render(&text("Hello.")).await.expect("a signal");
    assert_eq!(tones::detect(&heard.samples, 8000).len(), 2);
}
