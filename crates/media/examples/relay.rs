//! How many calls one core relays, and what that adds to a packet's way.
//!
//! ```text
//!   cargo run --release -p interline-media --example relay -- [calls] [seconds] [pcma|transcode|srtp]
//! ```
//!
//! The generator is a process of its own, pinned to one core, the gateway to another (by `taskset`, where it is there). Each
//! call is two legs; each leg gets 50 packets a second. A packet carries when it was sent.

#![allow(clippy::print_stdout, reason = "it is a tool that prints its results")]

use std::error::Error;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use interline_media::rtp::packet::{self, HEADER};
use interline_media::{Bridge, Codec, Config, Media, Options, Session, Studio, StudioConfig, bridge};
use mio::{Events, Interest, Poll, Token};

type Outcome<T> = Result<T, Box<dyn Error>>;

/// Packets of a leg come so often.
const EVERY: Duration = Duration::from_millis(20);
/// So many legs share a socket of the generator.
const SHARE: usize = 16;

fn main() -> Outcome<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize, usual: u64| words.get(at).and_then(|word| word.parse().ok()).unwrap_or(usual);
    if words.first().is_some_and(|word| word == "generate") {
        return generate(number(1, 100) as usize, number(2, 10), words.get(3).map_or("pcma", String::as_str));
    }
    let (calls, seconds) = (number(0, 1000) as usize, number(1, 10));
    gateway(calls, seconds, words.get(2).map_or("pcma", String::as_str))
}

/// A process of this program on its own core.
fn start(calls: usize, seconds: u64, how: &str) -> Outcome<Child> {
    let program = std::env::current_exe()?;
    let pinned = Command::new("taskset").arg("--version").stdout(Stdio::null()).status().is_ok();
    let mut command = if pinned { Command::new("taskset") } else { Command::new(&program) };
    if pinned {
        command.args(["-c", "1"]).arg(&program);
        let own = std::process::id().to_string();
        Command::new("taskset").args(["-a", "-cp", "0", &own]).stdout(Stdio::null()).status()?;
    }
    command.args(["generate", &calls.to_string(), &seconds.to_string(), how]);
    Ok(command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?)
}

fn gateway(calls: usize, seconds: u64, how: &str) -> Outcome<()> {
    let before_any = resident();
    let config = Config {
        bind: Ipv4Addr::LOCALHOST.into(),
        ports: 10_000..=60_000,
        timeout: Duration::from_secs(3600),
        ..Config::default()
    };
    let media = Media::new(config, Studio::new(StudioConfig::default()))?;
    let mut generator = start(calls, seconds, how)?;
    let mut told = BufReader::new(generator.stdout.take().ok_or("no output")?);
    let mut line = String::new();
    told.read_line(&mut line)?;
    let theirs: Vec<u16> = line.split_whitespace().map(str::parse).collect::<Result<_, _>>()?;
    let mut made = Vec::new();
    let mut ours = String::new();
    for call in 0..calls {
        let mut legs =
            [0, 1].into_iter().map(|side| leg(&media, how, side, theirs[(call * 2 + side) / SHARE]));
        let (a, b) = (legs.next().ok_or("a leg")??, legs.next().ok_or("a leg")??);
        ours.push_str(&format!("{} {} ", a.1, b.1));
        made.push((bridge(&a.0, &b.0), a.0, b.0));
    }
    let memory = resident().saturating_sub(before_any);
    println!("{calls} calls, {how}: {} KiB a call", memory / calls.max(1) as u64);
    let mut to = generator.stdin.take().ok_or("no input")?;
    writeln!(to, "{ours}")?;
    let mut line = String::new();
    told.read_line(&mut line)?;
    let (before, began, warm) = (processor(), Instant::now(), passed(&made));
    line.clear();
    told.read_line(&mut line)?;
    let (used, lasted) = (processor() - before, began.elapsed().as_secs_f64());
    println!("{}", line.trim_end());
    let packets = passed(&made) - warm;
    println!(
        "gateway: {used:.2} s of processor in {lasted:.1} s, {:.2} µs a packet ({packets} packets)",
        used * 1e6 / packets.max(1) as f64
    );
    generator.wait()?;
    Ok(())
}

fn passed(made: &[(Bridge, Session, Session)]) -> u64 {
    made.iter().map(|(_, a, b)| a.stats().packets_sent + b.stats().packets_sent).sum()
}

/// A leg whose other side is the generator at this port. Gives it with its own port.
fn leg(media: &Arc<Media>, how: &str, side: usize, port: u16) -> Outcome<(Session, u16)> {
    let (name, codec) = coded(how, side);
    let options = Options { codecs: vec![codec], ..Options::default() };
    let session = media.session(options)?;
    let kind = codec.kind();
    let offer = format!(
        "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio {port} RTP/AVP {kind}\r\n\
         a=rtpmap:{kind} {name}/8000\r\n"
    );
    let answer = session.answer(&offer)?;
    let own = answer.lines().find_map(|line| line.strip_prefix("m=audio ")).ok_or("no audio")?;
    let own = own.split(' ').next().ok_or("no port")?.parse()?;
    Ok((session, own))
}

fn coded(how: &str, side: usize) -> (&'static str, Codec) {
    match (how, side) {
        ("transcode", 1) => ("PCMU", Codec::Pcmu),
        ("g722", 1) => ("G722", Codec::G722),
        _ => ("PCMA", Codec::Pcma),
    }
}

/// Seconds of processor time of this process until now.
fn processor() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after = stat.rsplit(") ").next().unwrap_or_default();
    let ticks: u64 = after.split(' ').skip(11).take(2).filter_map(|word| word.parse::<u64>().ok()).sum();
    ticks as f64 / 100.0
}

/// Resident memory, in KiB.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    line.split_whitespace().next().and_then(|word| word.parse().ok()).unwrap_or_default()
}

// --- the generator ------------------------------------------------------------------------------------------

/// All that it counts.
#[derive(Default)]
struct Seen {
    sent: u64,
    received: u64,
    delays: Vec<u32>,
}

fn generate(calls: usize, seconds: u64, how: &str) -> Outcome<()> {
    let legs = calls * 2;
    let (mut poll, mut sockets) = (Poll::new()?, Vec::new());
    for at in 0..legs.div_ceil(SHARE) {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        socket.set_nonblocking(true)?;
        let mut socket = mio::net::UdpSocket::from_std(socket);
        poll.registry().register(&mut socket, Token(at), Interest::READABLE)?;
        sockets.push(socket);
    }
    let ports: Vec<String> = sockets
        .iter()
        .map(|socket| socket.local_addr().map(|at| at.port().to_string()))
        .collect::<Result<_, _>>()?;
    println!("{}", ports.join(" "));
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line)?;
    let targets: Vec<SocketAddr> = line
        .split_whitespace()
        .map(|port| Ok::<_, std::num::ParseIntError>(SocketAddr::from((Ipv4Addr::LOCALHOST, port.parse()?))))
        .collect::<Result<_, _>>()?;
    // A second to warm up: address book, first packets.
    run(&mut poll, &mut sockets, &targets, how, Duration::from_secs(1), 0)?;
    println!("begin");
    let seen = run(&mut poll, &mut sockets, &targets, how, Duration::from_secs(seconds), 50)?;
    report(seen);
    Ok(())
}

fn report(mut seen: Seen) {
    seen.delays.sort_unstable();
    let at =
        |part: f64| seen.delays.get((seen.delays.len() as f64 * part) as usize).copied().unwrap_or_default();
    let lost = seen.sent.saturating_sub(seen.received);
    println!(
        "sent {} received {} lost {lost}; delay p50 {} µs, p99 {} µs, p99.9 {} µs, most {} µs",
        seen.sent,
        seen.received,
        at(0.5),
        at(0.99),
        at(0.999),
        seen.delays.last().copied().unwrap_or_default(),
    );
}

/// Sends for so long, each leg every 20 ms, spread evenly; reads all the while.
fn run(
    poll: &mut Poll,
    sockets: &mut [mio::net::UdpSocket],
    targets: &[SocketAddr],
    how: &str,
    lasts: Duration,
    first: u16,
) -> Outcome<Seen> {
    let (mut seen, mut events, began) = (Seen::default(), Events::with_capacity(256), Instant::now());
    let all = (lasts.as_nanos() / EVERY.as_nanos()) as u64 * targets.len() as u64;
    let between = EVERY / targets.len().max(1) as u32;
    let mut datagram = [0xd5; HEADER + 160];
    let mut next = 0u64;
    let end = lasts + Duration::from_millis(500);
    while began.elapsed() < end && seen.received < all {
        let due = (began.elapsed().as_nanos() / between.as_nanos().max(1)) as u64;
        let from = next;
        for at in from..due.min(all).min(from + 8) {
            let leg = at as usize % targets.len();
            let round = first.wrapping_add((at / targets.len() as u64) as u16);
            let kind = coded(how, leg % 2).1.kind();
            packet::write(&mut datagram, false, kind, round, u32::from(round) * 160, leg as u32 + 1);
            let now = began.elapsed().as_nanos() as u64;
            datagram[HEADER..HEADER + 8].copy_from_slice(&now.to_be_bytes());
            if sockets[leg / SHARE].send_to(&datagram, targets[leg]).is_ok() {
                seen.sent += 1;
            }
            next = at + 1;
        }
        poll.poll(&mut events, Some(Duration::ZERO))?;
        for event in &events {
            drain(&sockets[event.token().0], began, &mut seen);
        }
    }
    Ok(seen)
}

fn drain(socket: &mio::net::UdpSocket, began: Instant, seen: &mut Seen) {
    let mut room = [0; 300];
    while let Ok((length, _)) = socket.recv_from(&mut room) {
        seen.received += 1;
        let now = began.elapsed().as_nanos() as u64;
        if let Some(stamp) = room.get(HEADER..length).and_then(|payload| payload.first_chunk::<8>()) {
            // Where it is transcoded, the payload says nothing.
            let delay = now.saturating_sub(u64::from_be_bytes(*stamp)) / 1000;
            seen.delays.push(u32::try_from(delay).unwrap_or(u32::MAX));
        }
    }
}
