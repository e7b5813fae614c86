//! What is heard: music while an agent rings, and two sides that have no codec in common.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use interline_media::audio::codec::{Decoder, Encoder};
use interline_media::tones::tone;
use interline_media::{Codec, Config, Media, Prompt, Sound, Studio, StudioConfig};
use interline_tests::ears;
use interline_tests::scratch::Scratch;
use interline_voice::actors::{Agent, Does, caller};
use tokio::net::UdpSocket;

use super::by_hand::Caller;
use super::{Gateway, failures, phones};

/// The sound of those who follow a script.
pub fn media() -> Arc<Media> {
    let config = Config { bind: Ipv4Addr::LOCALHOST.into(), ports: 42_000..=43_999, ..Config::default() };
    Media::new(config, Studio::new(StudioConfig::default())).unwrap()
}

pub fn says(hz: f32, ms: u32) -> Does {
    Does::Says(vec![Prompt::Tone { hz: vec![hz], ms }])
}

pub fn waits(ms: u64) -> Does {
    Does::Waits(Duration::from_millis(ms))
}

async fn agent(gateway: &Gateway, media: &Arc<Media>, does: Vec<Does>, record: Option<PathBuf>) -> Agent {
    let at = SocketAddr::from((Ipv4Addr::LOCALHOST, gateway.agent));
    Agent::start(at, media.clone(), does, record).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn music_is_heard_while_the_agent_rings_and_not_after() {
    let folder = Scratch::new("music").unwrap();
    let music = phones::tone(folder.path(), 600.0).unwrap();
    let settings = [("INTERLINE_VOICE_MUSIC", music.to_str().unwrap())];
    let change = ("ring_timeout_s: 30\n    headers:", "ring_timeout_s: 30\n    music: true\n    headers:");
    let mut gateway = Gateway::start_with("voice-music", &[change], &settings).await.unwrap();
    let media = media();
    // The caller is heard too: nobody plays into what the agent hears.
    let rings = Does::Rings(Duration::from_millis(1_500));
    let (left, right) = (folder.path().join("caller.wav"), folder.path().join("agent.wav"));
    let _agent =
        agent(&gateway, &media, vec![rings, says(1_000.0, 1_500), waits(500)], Some(right.clone())).await;
    let target = format!("sip:agent@127.0.0.1:{}", gateway.sip);
    let drawn = caller(&target, &media, &[waits(20_000)], Some(left.clone())).await.unwrap();
    let (caller, agent) = (ears::heard(&left).unwrap(), ears::heard(&right).unwrap());
    let (music, words) = (ears::tones(&caller, 600.0), ears::tones(&caller, 1_000.0));
    assert!(!music.is_empty() && !words.is_empty(), "{music:?} {words:?}\n{drawn}");
    assert!(music.iter().all(|music| music.to_ms <= words[0].from_ms), "{music:?} {words:?}\n{drawn}");
    assert!(ears::tones(&agent, 600.0).is_empty(), "the agent hears the music");
    assert_eq!(failures(&gateway.log().await.unwrap()), Vec::<String>::new());
    gateway.is_empty().await.unwrap();
}

/// A caller with G.722 alone and an agent with G.711 alone: each hears the other.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_by_g722_and_an_agent_by_g711_hear_each_other() {
    let folder = Scratch::new("g722").unwrap();
    let mut gateway = Gateway::start("voice-g722", &[]).await.unwrap();
    let right = folder.path().join("agent.wav");
    let does = vec![says(1_000.0, 2_000), waits(500)];
    let media = media();
    let _agent = agent(&gateway, &media, does, Some(right.clone())).await;
    let sound = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let caller = Caller::new(gateway.sip, false).await.unwrap();
    let port = sound.local_addr().unwrap().port();
    let (_, answer) = caller.calls_and_reads("agent", &format!("m=audio {port} RTP/AVP 9")).await.unwrap();
    let media_line = answer.lines().find(|line| line.starts_with("m=audio ")).unwrap();
    let words: Vec<&str> = media_line.split_whitespace().collect();
    assert_eq!(words[3..], ["9"], "{answer}");
    let to = SocketAddr::from((Ipv4Addr::LOCALHOST, words[1].parse::<u16>().unwrap()));
    let (mut encoder, mut decoder) = (Encoder::new(Codec::G722), Decoder::new(Codec::G722));
    let says = tone(&[700.0], 16_000, 16_000 * 60);
    let (mut frames, mut pace) =
        (says.chunks_exact(320).zip(0_u16..), tokio::time::interval(Duration::from_millis(20)));
    let (mut heard_here, mut buffer) = (Vec::new(), [0; 2_000]);
    let bye = loop {
        tokio::select! {
            _ = pace.tick() => if let Some((frame, no)) = frames.next() {
                let mut packet = vec![0x80, 9];
                packet.extend(no.to_be_bytes());
                // Its clock is that of 8 kHz (RFC 3551 §4.5.2).
                packet.extend((u32::from(no) * 160).to_be_bytes());
                packet.extend([0, 0, 0, 7]);
                let mut bytes = [0; 160];
                let length = encoder.encode(frame, &mut bytes);
                packet.extend(&bytes[..length]);
                sound.send_to(&packet, to).await.unwrap();
            },
            length = sound.recv(&mut buffer) => {
                let packet = &buffer[..length.unwrap()];
                assert_eq!(packet[1] & 0x7f, 9, "what was agreed");
                let mut samples = [0; 1_920];
                heard_here.extend_from_slice(decoder.decode(&packet[12..], &mut samples));
            }
            asked = caller.asked() => break asked.unwrap(),
        }
    };
    assert!(bye.text.starts_with("BYE "), "{}", bye.text);
    caller.answers(bye, "200 OK").await.unwrap();
    let here = Sound { rate: 16_000, samples: heard_here };
    assert!(!ears::tones(&here, 1_000.0).is_empty(), "the caller does not hear the agent");
    assert!(ears::tones(&here, 700.0).is_empty(), "the caller hears themselves");
    gateway.log().await.unwrap();
    let there = ears::heard(&right).unwrap();
    assert!(!ears::tones(&there, 700.0).is_empty(), "the agent does not hear the caller");
    gateway.is_empty().await.unwrap();
}
