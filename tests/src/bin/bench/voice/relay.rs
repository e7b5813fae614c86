//! Sound through the gateway's media: how many calls one core relays, what a packet costs, and how long it is on its way.
//!
//! `bench relay CALLS SECONDS HOW` is the gateway's media alone, with legs that are agreed on by SDP and bridged; it starts
//! `bench relay-load` (`relay_load.rs`) on the other core. Each call is two legs; each leg gets 50 packets a second.

use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::Ipv4Addr;
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use interline_media::sdp::keys::{Crypto, Key, Suite};
use interline_media::{Bridge, Codec, Config, Media, Options, Session, Srtp, Studio, StudioConfig, bridge};
use interline_tests::server::{cpu_of, memory_of, pinned};
use serde::{Deserialize, Serialize};

use super::{GATEWAY, GENERATOR, rtpengine};
use crate::table::met;

/// So many legs share a socket of the generator.
pub const SHARE: usize = 16;
/// As many calls as rtpengine is said to relay.
const MANY: usize = 1_000;
/// CPU of rtpengine for a packet, by issue 7, µs: where it is not installed.
const RTPENGINE: f64 = 4.0;
/// How much more ours may be.
const MORE: f64 = 1.1;
/// The 99th percentile of a packet's way, µs.
const LONGEST: u32 = 1_000;
/// All sealed packets of the generator have this key: it is no secret.
const SUITE: Suite = Suite::Aes128Sha80;

/// What the two sides of a call speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// Both G.711 A-law.
    Same,
    /// A-law and µ-law.
    Laws,
    /// G.711 and G.722.
    Wide,
    /// Both A-law, both sealed.
    Sealed,
}

impl How {
    const ALL: [Self; 4] = [Self::Same, Self::Laws, Self::Wide, Self::Sealed];

    fn name(self) -> &'static str {
        match self {
            Self::Same => "relay",
            Self::Laws => "A-law ↔ µ-law",
            Self::Wide => "G.711 ↔ G.722",
            Self::Sealed => "srtp",
        }
    }

    /// # Errors
    /// There is no such way.
    pub fn read(name: &str) -> Result<Self> {
        let found = Self::ALL.into_iter().find(|how| how.word() == name);
        found.with_context(|| format!("relay: no way {name}"))
    }

    fn word(self) -> &'static str {
        match self {
            Self::Same => "same",
            Self::Laws => "laws",
            Self::Wide => "wide",
            Self::Sealed => "srtp",
        }
    }

    /// What a side speaks.
    pub fn codec(self, side: usize) -> Codec {
        match (self, side % 2) {
            (Self::Laws, 1) => Codec::Pcmu,
            (Self::Wide, 1) => Codec::G722,
            _ => Codec::Pcma,
        }
    }

    pub fn key(self) -> Option<(Suite, Key)> {
        let key = Key::new(SUITE, &[7; 30])?;
        (self == Self::Sealed).then_some((SUITE, key))
    }
}

/// What the generator saw.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub struct Seen {
    pub sent: u64,
    pub received: u64,
    /// The way of a packet, µs.
    pub p50: u32,
    pub p99: u32,
    pub most: u32,
}

/// What came of a run.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Ran {
    pub seen: Seen,
    /// CPU of a packet, µs.
    pub cpu_us: f64,
    /// The part of its core that was used.
    pub busy: f64,
    /// Memory of a call, KiB.
    pub kib: f64,
}

pub async fn measure() -> Result<String> {
    let mut text = format!(
        "Sound (media alone on core {GATEWAY}, the load on core {GENERATOR}; 20 ms packets, both ways)\n\n\
         | what | calls | packets/s | CPU of a packet | aim | core used | p50 | p99 | most | lost | aim | KiB a call |\n\
         |---|--:|--:|--:|---|--:|--:|--:|--:|--:|---|--:|\n"
    );
    let seconds = 6;
    let theirs = tokio::task::spawn_blocking(move || rtpengine::run(MANY, seconds)).await?;
    let beside = match &theirs {
        Ok(ran) => {
            row(&mut text, "rtpengine (Debian), userspace", MANY, seconds, ran, ("–".into(), "–".into()))?;
            ran.cpu_us
        }
        Err(error) => {
            writeln!(
                text,
                "| rtpengine: not measured ({error:#}); by issue 7 {RTPENGINE} µs | | | | | | | | | | | |"
            )?;
            RTPENGINE
        }
    };
    for (how, calls) in
        [(How::Same, 100), (How::Same, MANY), (How::Laws, 500), (How::Wide, 300), (How::Sealed, 300)]
    {
        let ran = tokio::task::spawn_blocking(move || run(calls, seconds, how)).await??;
        let lost = ran.seen.sent.saturating_sub(ran.seen.received);
        let (cpu, whole) = match (how, calls) {
            (How::Same, MANY) => (
                format!("≤ {} × {beside:.1}: {}", MORE, met(ran.cpu_us <= beside * MORE)),
                format!("none lost, p99 < 1 ms: {}", met(lost == 0 && ran.seen.p99 < LONGEST)),
            ),
            (How::Same, _) => ("–".to_owned(), format!("gate: none lost: {}", met(lost == 0))),
            _ => ("–".to_owned(), "–".to_owned()),
        };
        row(&mut text, how.name(), calls, seconds, &ran, (cpu, whole))?;
    }
    Ok(text)
}

fn row(
    text: &mut String,
    name: &str,
    calls: usize,
    seconds: u64,
    ran: &Ran,
    (cpu, whole): (String, String),
) -> std::fmt::Result {
    let Ran { seen, cpu_us, busy, kib } = ran;
    writeln!(
        text,
        "| {name} | {calls} | {:.0} | {cpu_us:.2} µs | {cpu} | {busy:.2} | {} µs | {} µs | {} µs | {} | {whole} | {kib:.0} |",
        seen.sent as f64 / seconds as f64,
        seen.p50,
        seen.p99,
        seen.most,
        seen.sent.saturating_sub(seen.received),
    )
}

/// The media of a gateway in a process of its own.
fn run(calls: usize, seconds: u64, how: How) -> Result<Ran> {
    let mut command = pinned(GATEWAY, std::env::current_exe()?).into_std();
    command.args(["relay", &calls.to_string(), &seconds.to_string(), how.word()]);
    let output = command.stderr(Stdio::inherit()).output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let last = text.lines().next_back().with_context(|| format!("{calls} calls, {}: nothing", how.name()))?;
    Ok(serde_json::from_str(last)?)
}

/// `bench relay CALLS SECONDS HOW`: prints what was seen as JSON.
pub fn gateway(calls: usize, seconds: u64, how: How) -> Result<()> {
    let pid = std::process::id();
    let before_any = memory_of(pid);
    let config = Config {
        bind: Ipv4Addr::LOCALHOST.into(),
        ports: 10_000..=60_000,
        timeout: Duration::from_secs(3600),
        ..Config::default()
    };
    let media = Media::new(config, Studio::new(StudioConfig::default()))?;
    let mut made: Vec<(Bridge, Session, Session)> = Vec::new();
    let load = Loaded::start(calls, seconds, how)?;
    let ran = load.run(pid, before_any, |_, theirs| {
        let (a, b) = (leg(&media, how, 0, theirs[0])?, leg(&media, how, 1, theirs[1])?);
        made.push((bridge(&a.0, &b.0), a.0, b.0));
        Ok([a.1, b.1])
    })?;
    println!("{}", serde_json::to_string(&ran)?);
    Ok(())
}

/// The load, in a process of its own on its core.
pub struct Loaded {
    child: std::process::Child,
    told: BufReader<std::process::ChildStdout>,
    calls: usize,
}

impl Loaded {
    /// # Errors
    /// It does not start.
    pub fn start(calls: usize, seconds: u64, how: How) -> Result<Self> {
        let mut command = pinned(GENERATOR, std::env::current_exe()?).into_std();
        command.args(["relay-load", &calls.to_string(), &seconds.to_string(), how.word()]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let told = BufReader::new(child.stdout.take().context("no output")?);
        Ok(Self { child, told, calls })
    }

    /// Runs it against who has this process id. `call` makes a call between two ports of the load, and gives the two ports
    /// that it has for them.
    pub fn run(
        mut self,
        pid: u32,
        before_any: u64,
        mut call: impl FnMut(usize, [u16; 2]) -> Result<[u16; 2]>,
    ) -> Result<Ran> {
        let line = self.line()?;
        let theirs: Vec<u16> = line.split_whitespace().map(str::parse).collect::<Result<_, _>>()?;
        let port = |leg: usize| theirs.get(leg / SHARE).copied().context("a port");
        let mut ours = String::new();
        for no in 0..self.calls {
            let [a, b] = call(no, [port(no * 2)?, port(no * 2 + 1)?])?;
            write!(ours, "{a} {b} ")?;
        }
        let kib = memory_of(pid).saturating_sub(before_any) as f64 / 1024.0 / self.calls.max(1) as f64;
        writeln!(self.child.stdin.take().context("no input")?, "{ours}")?;
        self.line()?;
        let (before, began) = (cpu_of(pid), Instant::now());
        let seen: Seen = serde_json::from_str(&self.line()?)?;
        let used = cpu_of(pid).saturating_sub(before).as_secs_f64();
        let busy = used / began.elapsed().as_secs_f64();
        ensure!(self.child.wait()?.success(), "the load failed");
        Ok(Ran { seen, cpu_us: used * 1e6 / seen.received.max(1) as f64, busy, kib })
    }

    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        self.told.read_line(&mut line)?;
        Ok(line)
    }
}

/// A leg whose other side is the generator at this port. Gives it with its own port.
fn leg(media: &Arc<Media>, how: How, side: usize, port: u16) -> Result<(Session, u16)> {
    let codec = how.codec(side);
    let srtp = if how == How::Sealed { Srtp::Required } else { Srtp::Off };
    let session = media.session(Options { codecs: vec![codec], srtp, ..Options::default() })?;
    let (kind, name) = (codec.kind(), codec.name());
    let (profile, crypto) = match how.key() {
        Some((suite, key)) => ("RTP/SAVP", format!("a=crypto:{}\r\n", Crypto { tag: 1, suite, key }.write())),
        None => ("RTP/AVP", String::new()),
    };
    let offer = format!(
        "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio {port} {profile} {kind}\r\n\
         a=rtpmap:{kind} {name}/8000\r\n{crypto}"
    );
    let answer = session.answer(&offer)?;
    let own = answer.lines().find_map(|line| line.strip_prefix("m=audio ")).context("no audio")?;
    Ok((session, own.split(' ').next().context("no port")?.parse()?))
}
