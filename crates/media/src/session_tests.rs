//! Sessions that call each other on the loopback interface.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU16, Ordering};

use async_trait::async_trait;

use super::*;
use crate::audio::codec::Codec;
use crate::audio::tones;
use crate::bridge::{bridge, one_way};
use crate::media::{Config, Gauges};
use crate::sdp::agree::Srtp;
use crate::speech::{Hearing, Utterance};
use crate::studio::{Studio, StudioConfig};

/// No prompt here takes longer.
const SOON: Duration = Duration::from_secs(20);

fn config() -> Config {
    // Tests of one process share it, and processes run side by side.
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first =
        22_000 + (std::process::id() % 250) as u16 * 40 + NEXT.fetch_add(1, Ordering::Relaxed) % 2 * 20;
    // A machine that runs many tests stands still for a while now and then.
    let jitter = Duration::from_millis(300)..=Duration::from_millis(500);
    Config { bind: IpAddr::from([127, 0, 0, 1]), ports: first..=first + 300, jitter, ..Config::default() }
}

fn media() -> Arc<Media> {
    Media::new(config(), Studio::new(StudioConfig::default())).expect("media")
}

fn with(codec: Codec) -> Options {
    Options { codecs: vec![codec], ..Options::default() }
}

/// Two sessions that have agreed: who called, who was called.
fn call(media: &Arc<Media>, caller: Options, called: Options) -> (Session, Session) {
    let (a, b) = (media.session(caller).expect("ports"), media.session(called).expect("ports"));
    let answer = b.answer(&a.offer()).expect("agreed");
    a.accept(&answer).expect("agreed");
    (a, b)
}

fn tone(hz: f32, ms: u32) -> Prompt {
    Prompt::Tone { hz: vec![hz], ms }
}

fn file(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("interline-{name}-{}.wav", std::process::id()))
}

/// Both channels of a recording.
fn channels(at: &Path) -> [Vec<i16>; 2] {
    let bytes = std::fs::read(at).expect("a recording");
    std::fs::remove_file(at).expect("removed");
    let length = u32::from_le_bytes(*bytes[40..].first_chunk().expect("a header")) as usize;
    assert_eq!(length, bytes.len() - 44, "the header is right");
    let both = crate::audio::wav::channels(&bytes).expect("a WAV file");
    let [heard, sent] = both.try_into().expect("two channels");
    [heard.samples, sent.samples]
}

async fn next(events: &mut mpsc::Receiver<Event>) -> Event {
    tokio::time::timeout(SOON, events.recv()).await.expect("an event comes").expect("it is not over")
}

async fn gone(media: &Media) {
    let gone = async {
        while media.gauges() != Gauges::default() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(SOON, gone).await.unwrap_or_else(|_| panic!("left: {:?}", media.gauges()));
}

#[tokio::test]
async fn the_recording_of_a_call_that_ended_is_whole_when_it_is_finished() {
    // Often: what is looked for is a file that is read before its end was written.
    for round in 0..20 {
        let media = media();
        let (a, b) = call(&media, with(Codec::Pcmu), with(Codec::Pcmu));
        let at = file(&format!("ended-{round}"));
        let recording = b.record(&at).expect("a file");
        let played = b.play(vec![tone(700.0, 60)], Play::default()).done().await;
        assert_eq!(played, Played::Whole);
        drop((a, b));
        recording.finish().await.expect("written");
        assert!(!channels(&at)[1].is_empty(), "round {round}");
    }
}

#[tokio::test]
async fn both_sides_are_recorded() {
    for codec in [Codec::Pcmu, Codec::Pcma, Codec::G722] {
        let media = media();
        let (a, b) = call(&media, with(codec), with(codec));
        let at = file(codec.name());
        let recording = b.record(&at).expect("a file");
        let from_a = a.play(vec![tone(500.0, 400)], Play::default());
        let from_b = b.play(vec![tone(1200.0, 600)], Play::default());
        assert_eq!((from_a.done().await, from_b.done().await), (Played::Whole, Played::Whole));
        // What is heard is late by the time that late packets are waited for.
        assert_eq!(
            b.play(vec![Prompt::Silence(Duration::from_millis(900))], Play::default()).done().await,
            Played::Whole
        );
        recording.finish().await.expect("written");
        for (channel, hz, ms) in
            channels(&at).iter().zip([500.0, 1200.0]).zip([400, 600]).map(|((c, h), m)| (c, h, m))
        {
            let found = tones::detect(channel, 8000);
            let all: u32 = found.iter().map(|one| one.to_ms - one.from_ms).sum();
            assert!(found.iter().all(|one| (one.hz - hz).abs() < 20.0), "{codec:?} {found:?}");
            assert!(all + 120 > ms && all < ms + 120, "{codec:?} {found:?}");
        }
        let stats = b.stats();
        assert_eq!((stats.codec, stats.lost, stats.sealed), (Some(codec), 0, false));
        assert!(stats.packets_received >= 20 && stats.packets_sent >= 45, "{stats:?}");
        drop((a, b));
        gone(&media).await;
    }
}

#[tokio::test]
async fn sealed_calls_are_heard() {
    let media = media();
    let sealed = || Options { srtp: Srtp::Required, ..with(Codec::Pcmu) };
    let (a, b) = call(&media, sealed(), sealed());
    let mut heard = b.events().expect("the first time");
    assert!(b.events().is_none());
    a.send_digits("12#", Duration::from_millis(60)).done().await;
    for key in ['1', '2', '#'] {
        assert_eq!(next(&mut heard).await, Event::Digit(key));
    }
    a.play(vec![tone(500.0, 40)], Play::default()).done().await;
    assert_eq!(next(&mut heard).await, Event::FirstPacket);
    assert!(b.stats().sealed && b.stats().strangers == 0, "{:?}", b.stats());
}

#[tokio::test]
async fn keys_come_as_they_were_agreed() {
    let media = media();
    for digits in [Digits::Rfc4733, Digits::Inband] {
        let how = || Options { digits, ..with(Codec::Pcma) };
        let (a, b) = call(&media, how(), how());
        let mut heard = b.events().expect("the first time");
        assert_eq!(a.send_digits("0*D", Duration::from_millis(80)).done().await, Played::Whole);
        let mut keys = String::new();
        while keys.len() < 3 {
            if let Event::Digit(key) = next(&mut heard).await {
                keys.push(key);
            }
        }
        assert_eq!(keys, "0*D", "{digits:?}");
    }
}

#[tokio::test]
async fn a_bridge_joins_two_calls_and_ends() {
    let media = media();
    let (caller, ours) = call(&media, with(Codec::Pcmu), with(Codec::Pcmu));
    let (theirs, agent) = call(&media, with(Codec::G722), with(Codec::G722));
    let bridged = bridge(&ours, &theirs);
    assert_eq!(media.gauges().bridges, 1);
    let (at, other) = (file("bridge-a"), file("bridge-b"));
    let (at_agent, at_caller) = (agent.record(&at).expect("a file"), caller.record(&other).expect("a file"));
    let said = caller.play(vec![tone(600.0, 400)], Play::default());
    let answered = agent.play(vec![tone(1400.0, 400)], Play::default());
    assert_eq!((said.done().await, answered.done().await), (Played::Whole, Played::Whole));
    drop(bridged);
    caller
        .play(vec![tone(2000.0, 200), Prompt::Silence(Duration::from_millis(900))], Play::default())
        .done()
        .await;
    at_agent.finish().await.expect("written");
    at_caller.finish().await.expect("written");
    for (at, hz) in [(at, 600.0), (other, 1400.0)] {
        let [heard, _] = channels(&at);
        let found = tones::detect(&heard, 8000);
        assert!(!found.is_empty() && found.iter().all(|one| (one.hz - hz).abs() < 20.0), "{found:?}");
    }
    drop((caller, ours, theirs, agent));
    gone(&media).await;
}

#[tokio::test]
async fn early_media_is_heard_one_way() {
    let media = media();
    let (caller, ours) = call(&media, with(Codec::Pcmu), with(Codec::Pcmu));
    let (theirs, agent) = call(&media, with(Codec::Pcmu), with(Codec::Pcmu));
    let (mut at_caller, mut at_agent) = (caller.events().expect("events"), agent.events().expect("events"));
    let _early = one_way(&theirs, &ours);
    caller.play(vec![tone(600.0, 100)], Play::default()).done().await;
    agent.play(vec![tone(600.0, 100)], Play::default()).done().await;
    assert_eq!(next(&mut at_caller).await, Event::FirstPacket);
    assert!(at_agent.try_recv().is_err());
}

#[tokio::test]
async fn prompts_wait_their_turn_and_can_be_ended() {
    let media = media();
    let (a, _b) = call(&media, with(Codec::Pcmu), with(Codec::Pcmu));
    let music = a.play(vec![Prompt::Music], Play { loops: true, ..Play::default() });
    let never = a.play(vec![tone(500.0, 20)], Play::default());
    music.abort();
    assert_eq!(music.done().await, Played::Aborted);
    assert_eq!(never.done().await, Played::Whole, "then it is its turn");
    let missing = a.play(vec![Prompt::File("/nowhere.wav".into())], Play::default());
    assert!(matches!(missing.done().await, Played::Failed(_)));
    let forever = a.play(vec![Prompt::Silence(Duration::from_secs(600))], Play::default());
    a.abort();
    assert_eq!(forever.done().await, Played::Aborted);
    let kept = a.play(vec![Prompt::Ringback], Play { loops: true, ..Play::default() });
    drop((a, _b));
    assert_eq!(kept.done().await, Played::Aborted, "its session is gone");
    gone(&media).await;
}

#[tokio::test]
async fn hold_is_told_and_taken_back() {
    let media = media();
    let (a, b) = call(&media, with(Codec::Pcmu), with(Codec::Pcmu));
    let mut told = b.events().expect("events");
    for on in [true, false] {
        a.hold(on);
        let answer = b.answer(&a.offer()).expect("agreed");
        assert!(answer.contains(if on { "a=recvonly" } else { "a=sendrecv" }), "{answer}");
        a.accept(&answer).expect("agreed");
        assert_eq!(next(&mut told).await, Event::Held(on));
    }
    assert_eq!(b.current(), b.answer(&a.offer()).ok(), "nothing changed");
}

#[tokio::test]
async fn ports_run_out_and_come_back() {
    let first = 30_000 + (std::process::id() % 500) as u16 * 4;
    let config = Config { ports: first..=first + 3, ..config() };
    let media = Media::new(config, Studio::new(StudioConfig::default())).expect("media");
    let (one, two) = (media.session(Options::default()), media.session(Options::default()));
    if let (Ok(one), Ok(two)) = (one, two) {
        assert_eq!(media.session(Options::default()).err(), Some(NoPort));
        two.close();
        drop(two);
        drop(one);
    }
    gone(&media).await;
}

struct Counts;

#[async_trait]
impl Hearing for Counts {
    async fn understand(&self, said: &Utterance) -> Result<String, String> {
        let found = tones::detect(&said.samples, 8000);
        found.first().map(|one| format!("{:.0}", one.hz / 100.0)).ok_or_else(|| "nothing".to_owned())
    }
}

#[tokio::test]
async fn speech_is_cut_and_understood() {
    let studio = Studio::new(StudioConfig::default());
    let media = Media::with_hearing(config(), studio, Some(Arc::new(Counts))).expect("media");
    let (a, b) = call(&media, with(Codec::Pcma), with(Codec::Pcma));
    let mut told = b.events().expect("events");
    assert!(b.listen(Duration::from_millis(300)));
    let pause = || Prompt::Silence(Duration::from_millis(800));
    a.play(vec![pause(), tone(700.0, 300), pause(), tone(900.0, 300), pause()], Play::default());
    assert_eq!(next(&mut told).await, Event::FirstPacket);
    assert_eq!(next(&mut told).await, Event::Said("7".to_owned()));
    assert_eq!(next(&mut told).await, Event::Said("9".to_owned()));
    b.stop_listening();
    drop((a, b, told));
    gone(&media).await;
}

#[tokio::test]
async fn a_process_gives_everything_back() {
    let media = media();
    for round in 0..3 {
        let calls: Vec<_> = (0..20)
            .map(|_| {
                let (a, b) = call(&media, with(Codec::Pcmu), with(Codec::Pcma).also(Codec::Pcmu));
                let (c, d) = call(&media, with(Codec::Pcma), with(Codec::Pcma));
                let bridged = bridge(&b, &c);
                (a.play(vec![tone(500.0, 60)], Play::default()), bridged, a, b, c, d)
            })
            .collect();
        assert_eq!(media.gauges().bridges, 20, "round {round}");
        for (playing, ..) in calls {
            assert_eq!(playing.done().await, Played::Whole);
        }
        gone(&media).await;
    }
}

impl Options {
    fn also(mut self, codec: Codec) -> Self {
        self.codecs.push(codec);
        self
    }
}
