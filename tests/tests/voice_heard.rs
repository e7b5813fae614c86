//! What is heard on a call: the sound of both ends is recorded and listened to.
#![allow(clippy::unwrap_used, reason = "a test: a wrong assumption ends it")]

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use interline_media::{Config, Media, Prompt, Studio, StudioConfig};
use interline_tests::App;
use interline_tests::ears;
use interline_tests::scratch::Scratch;
use interline_tests::server::{Server, Setup, free_port, workspace};
use interline_voice::actors::{Agent, Does, caller};

/// A server, and people who call each other by it.
struct Bed {
    sip: u16,
    media: Arc<Media>,
    caller: PathBuf,
    agent: PathBuf,
    _server: Server,
    _agent: Agent,
    _scratch: Scratch,
}

impl Bed {
    async fn start(agent_does: Vec<Does>) -> Self {
        let scratch = Scratch::new("voice-heard").unwrap();
        let (sip, agent) = (free_port().unwrap(), free_port().unwrap());
        let app = App { bot: "st-4ad1ae47-95ab-5b29-8d8b-ad1b6b1b7e60".into(), ..App::fresh() };
        let mut setup = Setup::new(&scratch.path().join("data"), &app, "http://127.0.0.1:9");
        setup.app_file = workspace().join("examples/voice/app.yaml");
        let uri = |user: &str| format!("sip:{user}@127.0.0.1:{agent}");
        setup.variables = vec![
            ("SIP_LISTEN".into(), format!("127.0.0.1:{sip}")),
            ("AGENT_URI".into(), uri("agent")),
            ("PROBE_URI".into(), uri("probe")),
            ("REFER_TO".into(), uri("desk")),
        ];
        let server = setup.start().await.unwrap();
        let config = Config { bind: Ipv4Addr::LOCALHOST.into(), ports: 40_000..=41_999, ..Config::default() };
        let media = Media::new(config, Studio::new(StudioConfig::default())).unwrap();
        let (left, right) = (scratch.path().join("caller.wav"), scratch.path().join("agent.wav"));
        let at = SocketAddr::from((Ipv4Addr::LOCALHOST, agent));
        let taking = Agent::start(at, media.clone(), agent_does, Some(right.clone())).await.unwrap();
        Self { sip, media, caller: left, agent: right, _server: server, _agent: taking, _scratch: scratch }
    }

    /// Somebody calls; the drawing of the messages.
    async fn call(&self, user: &str, does: &[Does]) -> String {
        let target = format!("sip:{user}@127.0.0.1:{}", self.sip);
        caller(&target, &self.media, does, Some(self.caller.clone())).await.unwrap()
    }
}

/// When a tone began that was heard for half a second at least.
fn tone_from(path: &Path, hz: f32) -> Option<u32> {
    ears::tones(&ears::heard(path).unwrap(), hz).first().map(|tone| tone.from_ms)
}

fn hears(path: &Path, hz: f32) -> bool {
    tone_from(path, hz).is_some()
}

/// How loud the first milliseconds are.
fn loudness(path: &Path, first_ms: usize) -> f64 {
    let sound = ears::heard(path).unwrap();
    let samples = &sound.samples[..(sound.rate as usize * first_ms / 1000).min(sound.samples.len())];
    let sum: f64 = samples.iter().map(|sample| f64::from(*sample).powi(2)).sum();
    (sum / samples.len().max(1) as f64).sqrt()
}

fn tone(hz: f32, ms: u32) -> Does {
    Does::Says(vec![Prompt::Tone { hz: vec![hz], ms }])
}

fn waits(ms: u64) -> Does {
    Does::Waits(Duration::from_millis(ms))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_prompt_a_key_and_the_agent_are_heard() {
    // The agent hears the caller for a while, then is heard, then leaves.
    let bed = Bed::start(vec![waits(1_500), tone(1_000.0, 800), waits(500)]).await;
    let does = [Does::Listens(50), Does::Presses("1".into()), tone(700.0, 4_000), waits(20_000)];
    let drawn = bed.call("menu", &does).await;
    let agent_from = tone_from(&bed.caller, 1_000.0);
    assert!(agent_from.is_some(), "the caller does not hear the agent\n{drawn}");
    assert!(loudness(&bed.caller, agent_from.unwrap_or(0) as usize) > 50.0, "the menu is not heard\n{drawn}");
    assert!(hears(&bed.agent, 700.0), "the agent does not hear the caller\n{drawn}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_warm_transfer_is_accepted_by_a_key_or_declined() {
    for (key, accepted) in [("1", true), ("2", false)] {
        let does =
            vec![Does::Listens(40), Does::Presses(key.into()), waits(300), tone(1_000.0, 800), waits(500)];
        let bed = Bed::start(does).await;
        let drawn = bed.call("warm", &[waits(20_000)]).await;
        assert!(loudness(&bed.agent, 60_000) > 20.0, "the briefing is not heard\n{drawn}");
        assert_eq!(hears(&bed.caller, 1_000.0), accepted, "{key}\n{drawn}");
        // Who was not put through hears why.
        assert!(loudness(&bed.caller, 60_000) > 20.0, "{key}: silence\n{drawn}");
    }
}
