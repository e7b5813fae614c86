//! The worker with real sockets and a clock of its own: nothing here waits.

use std::net::{SocketAddr, UdpSocket};
use std::ops::RangeInclusive;

use mio::net::UdpSocket as Watched;
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use tokio::sync::{mpsc, oneshot};

use super::leg::Parts;
use super::*;
use crate::audio::codec::Codec;
use crate::audio::g711;
use crate::ports::Ports;
use crate::prompt::{Play, Played};
use crate::rtp::packet::{self, HEADER, Packet};
use crate::sdp::Direction;
use crate::sdp::agree::Terms;
use crate::session::Event;
use crate::stats::Counters;

const JITTER: RangeInclusive<Duration> = Duration::from_millis(40)..=Duration::from_millis(200);

/// A worker whose clock is ours.
struct Bench {
    line: Line,
    worker: Worker,
    events: Events,
    ports: Arc<Ports>,
    now: Instant,
    legs: u64,
}

/// The other side of a leg, and the leg.
struct Side {
    id: u64,
    socket: UdpSocket,
    control: UdpSocket,
    to: SocketAddr,
    heard: mpsc::Receiver<Event>,
    counters: Arc<Counters>,
    sequence: u16,
}

fn local() -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    socket.set_nonblocking(true).expect("a mode");
    socket
}

fn terms(codecs: &[(u8, Codec)], remote: SocketAddr) -> Terms {
    Terms {
        send: codecs.to_vec(),
        receive: codecs.to_vec(),
        events: Some((101, 101)),
        remote: Some(remote),
        control: None,
        mux: false,
        direction: Direction::Both,
        held: false,
        frame: Duration::from_millis(20),
        keys: None,
    }
}

impl Bench {
    fn new() -> Self {
        let (line, worker) = Line::new().expect("a worker");
        // Each test its own ports; nextest runs each in a process of its own, all at the same time.
        let first = 20_000 + (std::process::id() % 500) as u16 * 20;
        let ports = Ports::new("127.0.0.1".parse().expect("an address"), &(first..=first + 400));
        Self { line, worker, events: Events::with_capacity(64), ports, now: Instant::now(), legs: 0 }
    }

    fn side(&mut self, codecs: &[(u8, Codec)]) -> Side {
        self.side_with(codecs, false, |_| {})
    }

    fn side_with(&mut self, codecs: &[(u8, Codec)], inband: bool, change: impl FnOnce(&mut Terms)) -> Side {
        self.legs += 1;
        let (id, opened, socket) = (self.legs, self.ports.open(None).expect("ports"), local());
        let (events, heard) = mpsc::channel(64);
        let counters = Arc::new(Counters::default());
        let to = opened.rtp.local_addr().expect("bound");
        let parts = Parts {
            rtp: Watched::from_std(opened.rtp),
            control: Watched::from_std(opened.control),
            lease: opened.lease,
            events,
            counters: counters.clone(),
            timeout: Duration::from_secs(5),
            jitter: JITTER,
            inband,
            six: false,
            random: (1000 + id as u32, 100, 5000),
        };
        self.line.send(Command::Open(id, Box::new(parts)));
        let mut terms = terms(codecs, socket.local_addr().expect("bound"));
        change(&mut terms);
        self.line.send(Command::Agree(id, Box::new(terms)));
        self.turn();
        Side { id, socket, control: local(), to, heard, counters, sequence: 0 }
    }

    fn turn(&mut self) {
        assert!(self.worker.turn(&mut self.events, Some(self.now)));
        // The first poll may come before the packets of this turn: one more.
        assert!(self.worker.turn(&mut self.events, Some(self.now)));
    }

    fn pass(&mut self, ms: u64) {
        self.now += Duration::from_millis(ms);
        self.turn();
    }

    fn bridge(&mut self, a: &Side, b: &Side) {
        for (from, to) in [(a.id, b.id), (b.id, a.id)] {
            self.line.send(Command::Bridge { from, sink: Sink { to, bridge: 1 } });
        }
        self.turn();
    }

    fn play(&mut self, side: &Side, how: Play, pieces: Vec<Piece>) -> oneshot::Receiver<Played> {
        let (done, played) = oneshot::channel();
        let group = Group { id: 77, how, pieces: Some(pieces), done: Some(done), maker: None };
        self.line.send(Command::Play(side.id, group));
        self.turn();
        played
    }
}

impl Side {
    fn send(&mut self, kind: u8, payload: &[u8]) {
        self.sequence += 1;
        let stamp = u32::from(self.sequence) * 160;
        self.send_as(kind, self.sequence, stamp, 9, payload);
    }

    fn send_as(&self, kind: u8, sequence: u16, timestamp: u32, source: u32, payload: &[u8]) {
        let mut datagram = vec![0; HEADER];
        packet::write(&mut datagram, false, kind, sequence, timestamp, source);
        datagram.extend(payload);
        self.socket.send_to(&datagram, self.to).expect("sent");
    }

    fn received(&self) -> Vec<(Packet, Vec<u8>)> {
        let (mut all, mut room) = (Vec::new(), [0; 2000]);
        while let Ok((length, _)) = self.socket.recv_from(&mut room) {
            let packet = packet::read(&room[..length]).expect("RTP");
            let payload = room[packet.payload.clone()].to_vec();
            all.push((packet, payload));
        }
        all
    }

    fn told(&mut self) -> Vec<Event> {
        std::iter::from_fn(|| self.heard.try_recv().ok()).collect()
    }
}

fn sound(value: i16, ms: usize) -> Piece {
    Piece::Sound(Arc::new(Sound { rate: 8000, samples: vec![value; ms * 8] }))
}

const U: &[(u8, Codec)] = &[(0, Codec::Pcmu)];
const A: &[(u8, Codec)] = &[(8, Codec::Pcma)];
const WIDE: &[(u8, Codec)] = &[(9, Codec::G722)];

#[test]
fn what_is_played_is_paced_without_drift() {
    let mut bench = Bench::new();
    let side = bench.side(U);
    let mut played = bench.play(&side, Play::default(), vec![sound(1000, 200)]);
    assert_eq!(side.received().len(), 1, "the first at once");
    // The clock is looked at unevenly, and 3 ms late each time: the pace stays.
    let mut counts = Vec::new();
    for _ in 0..4 {
        bench.pass(43);
        counts.push(side.received().len());
    }
    assert_eq!(counts, [2, 2, 2, 2], "after 172 ms nine in all");
    bench.pass(20);
    let last = side.received();
    assert_eq!(last.len(), 1);
    assert_eq!((last[0].0.kind, last[0].1.len(), last[0].1[0]), (0, 160, g711::to_ulaw(1000)));
    assert!(played.try_recv().is_err(), "the last frame is still heard");
    bench.pass(20);
    assert_eq!(played.try_recv(), Ok(Played::Whole));
    bench.pass(1000);
    assert!(side.received().is_empty(), "and then silence");
}

#[test]
fn a_machine_that_stood_still_does_not_hurry() {
    let mut bench = Bench::new();
    let side = bench.side(U);
    let _played = bench.play(&side, Play::default(), vec![sound(1000, 60_000)]);
    side.received();
    bench.pass(10_000);
    assert!(side.received().len() <= 2, "no burst of 500");
}

#[test]
fn a_bridge_passes_packets_on_as_one_stream() {
    let mut bench = Bench::new();
    let (mut a, b) = (bench.side(U), bench.side(&[(8, Codec::Pcma), (0, Codec::Pcmu)]));
    let _greeting = bench.play(&b, Play::default(), vec![sound(500, 20)]);
    bench.bridge(&a, &b);
    bench.pass(60);
    for value in 0..3u8 {
        a.send(0, &[value; 160]);
        bench.pass(20);
    }
    let heard = b.received();
    let payloads: Vec<u8> = heard[1..].iter().map(|(_, payload)| payload[0]).collect();
    assert_eq!(payloads, [0, 1, 2], "as they are");
    assert!(heard.iter().all(|(packet, _)| packet.source == 1002));
    assert_eq!(heard[0].0.kind, 8, "its own are in what the other prefers");
    assert!(heard[1..].iter().all(|(packet, _)| packet.kind == 0));
    let sequences: Vec<u16> = heard.iter().map(|(packet, _)| packet.sequence).collect();
    assert_eq!(sequences, [101, 102, 103, 104]);
    assert_eq!(heard[2].0.timestamp - heard[1].0.timestamp, 160);
    assert_eq!(a.told(), [Event::FirstPacket]);
}

#[test]
fn what_is_played_goes_before_the_other_side() {
    let mut bench = Bench::new();
    let (mut a, b) = (bench.side(U), bench.side(U));
    bench.bridge(&a, &b);
    let _whisper = bench.play(&b, Play::default(), vec![sound(500, 40)]);
    a.send(0, &[1; 160]);
    bench.pass(20);
    a.send(0, &[2; 160]);
    bench.pass(20);
    a.send(0, &[3; 160]);
    bench.pass(20);
    let firsts: Vec<u8> = b.received().iter().map(|(_, payload)| payload[0]).collect();
    assert_eq!(firsts, [g711::to_ulaw(500), g711::to_ulaw(500), 3]);
}

#[test]
fn sides_that_speak_differently_understand_each_other() {
    let tone = tones::tone(&[1000.0], 8000, 8000);
    for (from, to) in [(U, A), (A, WIDE), (WIDE, U)] {
        let mut bench = Bench::new();
        let (mut a, b) = (bench.side(from), bench.side(to));
        bench.bridge(&a, &b);
        let (codec, other) = (from[0].1, to[0].1);
        let mut encoder = crate::audio::codec::Encoder::new(codec);
        let mut decoder = crate::audio::codec::Decoder::new(other);
        let source = crate::audio::resample::whole(&tone, 8000, codec.rate());
        let (mut heard, mut room) = (Vec::new(), [0; 400]);
        for frame in source.chunks_exact(160 * codec.samples() as usize) {
            let mut payload = [0; 160];
            encoder.encode(frame, &mut payload);
            a.send(from[0].0, &payload);
            bench.pass(20);
            for (packet, payload) in b.received() {
                assert_eq!((packet.kind, payload.len() / 2), (to[0].0, 80));
                heard.extend_from_slice(decoder.decode(&payload, &mut room));
            }
        }
        let found = tones::detect(&heard, other.rate());
        let whole = |one: &tones::Heard| (one.hz - 1000.0).abs() < 20.0 && one.to_ms - one.from_ms > 900;
        assert!(matches!(found.as_slice(), [one] if whole(one)), "{codec:?} to {other:?}: {found:?}");
    }
}

#[test]
fn keys_are_told_once_and_passed_on() {
    let mut bench = Bench::new();
    let (mut a, mut b) = (bench.side(U), bench.side_with(U, false, |terms| terms.events = Some((96, 96))));
    bench.bridge(&a, &b);
    a.send(0, &[1; 160]);
    bench.pass(20);
    for (at, end) in [(2u16, false), (3, false), (4, true), (5, true), (6, true)] {
        a.send_as(101, at, 320, 9, &event::write(event::Event { code: 7, end, duration: 160 * at }));
    }
    bench.pass(20);
    assert_eq!(a.told(), [Event::FirstPacket, Event::Digit('7')]);
    assert_eq!(b.told(), []);
    let heard = b.received();
    assert_eq!(heard.len(), 6);
    assert!(
        heard[1..].iter().all(|(packet, _)| packet.kind == 96 && packet.timestamp == heard[1].0.timestamp)
    );
}

#[test]
fn a_side_without_events_hears_keys_as_tones() {
    let mut bench = Bench::new();
    let (mut a, b) = (bench.side(U), bench.side_with(U, false, |terms| terms.events = None));
    bench.bridge(&a, &b);
    a.send(101, &event::write(event::Event { code: 3, end: true, duration: 800 }));
    bench.turn();
    let mut heard = Vec::new();
    for _ in 0..20 {
        heard.extend(b.received().into_iter().flat_map(|(_, payload)| payload).map(g711::from_ulaw));
        bench.pass(20);
    }
    assert_eq!(tones::digits(&heard, 8000), "3");
}

#[test]
fn keys_in_the_sound_are_heard_where_they_are_looked_for() {
    for inband in [true, false] {
        let mut bench = Bench::new();
        let mut side = bench.side_with(U, inband, |_| {});
        let mut sound = tones::tone(&tones::key('9').expect("a key"), 8000, 1600);
        sound.extend([0; 1600]);
        for frame in sound.chunks(160) {
            let payload: Vec<u8> = frame.iter().map(|sample| g711::to_ulaw(*sample)).collect();
            side.send(0, &payload);
            bench.pass(20);
        }
        assert_eq!(side.told().contains(&Event::Digit('9')), inband);
    }
}

#[test]
fn a_key_ends_a_prompt_that_gives_way() {
    let mut bench = Bench::new();
    let mut side = bench.side(U);
    let mut played = bench.play(&side, Play { barge_in: true, ..Play::default() }, vec![sound(1, 10_000)]);
    side.send(101, &event::write(event::Event { code: 1, end: false, duration: 160 }));
    bench.turn();
    assert_eq!(played.try_recv(), Ok(Played::Aborted));
    assert!(side.told().contains(&Event::Digit('1')));
    bench.line.send(Command::Key(side.id, '2'));
    bench.turn();
    assert_eq!(side.told(), [Event::Digit('2')], "by SIP INFO");
}

#[test]
fn a_flood_of_keys_is_bounded() {
    let mut bench = Bench::new();
    let mut side = bench.side(U);
    for at in 0..2000u32 {
        side.send_as(
            101,
            at as u16,
            at * 400,
            9,
            &event::write(event::Event { code: 5, end: true, duration: 400 }),
        );
        if at % 100 == 0 {
            bench.turn();
        }
    }
    bench.turn();
    assert!(side.told().len() <= 40);
}

#[test]
fn strangers_are_not_heard() {
    let mut bench = Bench::new();
    let (mut a, b) = (bench.side(U), bench.side(U));
    bench.bridge(&a, &b);
    a.send(0, &[1; 160]);
    bench.turn();
    let stranger = Side {
        socket: local(),
        control: local(),
        heard: mpsc::channel(1).1,
        counters: a.counters.clone(),
        ..a
    };
    for at in 0..50 {
        stranger.send_as(0, at, 0, 9, &[66; 160]);
    }
    stranger.socket.send_to(b"", stranger.to).expect("sent");
    bench.turn();
    bench.turn();
    bench.turn();
    assert_eq!(b.received().len(), 1);
    assert!(stranger.counters.read(None, false).strangers >= 50);
}

#[test]
fn sound_goes_to_where_it_comes_from() {
    let mut bench = Bench::new();
    let behind = local();
    let elsewhere = behind.local_addr().expect("bound");
    let mut side = bench.side_with(U, false, |terms| terms.remote = Some(elsewhere));
    let _music = bench.play(&side, Play { loops: true, ..Play::default() }, vec![sound(1, 100)]);
    assert!(behind.recv_from(&mut [0; 300]).is_ok(), "first to where it says");
    side.send(0, &[1; 160]);
    bench.pass(20);
    assert_eq!(side.received().len(), 1);
    assert_eq!(side.counters.read(None, false).remote, side.socket.local_addr().ok());
}

#[test]
fn silence_is_told_once_unless_it_is_agreed() {
    let mut bench = Bench::new();
    let mut side = bench.side(U);
    let mut held = bench.side_with(U, false, |terms| {
        (terms.held, terms.direction) = (true, Direction::Receive);
    });
    for _ in 0..20 {
        bench.pass(1000);
    }
    assert_eq!(side.told(), [Event::TimedOut]);
    assert_eq!(held.told(), []);
    side.send(0, &[1; 160]);
    bench.pass(4000);
    assert_eq!(side.told(), [Event::FirstPacket]);
    for _ in 0..7 {
        bench.pass(1000);
    }
    assert_eq!(side.told(), [Event::TimedOut], "and again");
}

#[test]
fn reports_come_every_five_seconds_and_are_a_sign_of_life() {
    let mut bench = Bench::new();
    let control = local();
    let told = control.local_addr().expect("bound");
    let mut side = bench.side_with(U, false, |terms| terms.control = Some(told));
    for _ in 0..600 {
        side.send(0, &[1; 160]);
        bench.pass(20);
    }
    let mut room = [0; 300];
    let reports = std::iter::from_fn(|| control.recv_from(&mut room).ok()).count();
    assert!((2..=4).contains(&reports), "{reports} in 12 s");
    for _ in 0..20 {
        let length = crate::rtp::control::write(&mut room, 9, None, None, false);
        let to = SocketAddr::new(side.to.ip(), side.to.port() + 1);
        side.control.send_to(&room[..length], to).expect("sent");
        bench.pass(1000);
    }
    assert_eq!(side.told(), [Event::FirstPacket], "no time-out");
    bench.line.send(Command::Close(side.id));
    bench.turn();
    let mut bye = false;
    while let Ok((length, _)) = control.recv_from(&mut room) {
        bye |= crate::rtp::control::read(&room[..length], 0).is_some_and(|heard| heard.bye);
    }
    assert!(bye || side.control.recv_from(&mut room).is_ok(), "a goodbye");
    assert_eq!((bench.ports.taken(), bench.line.legs.load(Ordering::Relaxed)), (0, 0));
}

#[test]
fn what_can_wait_wakes_nobody_who_looks_up_soon() {
    let mut bench = Bench::new();
    let (a, b) = (bench.side(U), bench.side(U));
    let quiet = || {
        let sink = Sink { to: b.id, bridge: 9 };
        [Command::Bridge { from: a.id, sink }, Command::Abort(a.id), Command::Unbridge { from: a.id, sink }]
    };
    let woken_from = |sleep: u8, command: Command| {
        bench.line.sleep.store(sleep, Ordering::SeqCst);
        bench.line.send(command);
        bench.line.sleep.load(Ordering::SeqCst) == AWAKE
    };
    for command in quiet() {
        assert!(!woken_from(NAPS, command));
    }
    for command in quiet() {
        assert!(woken_from(SLEEPS, command), "it would not look up by itself");
    }
    assert!(woken_from(NAPS, Command::Key(a.id, '1')));
}

#[test]
fn what_begins_goes_before_what_came_meanwhile_and_what_ends_after_it() {
    let mut bench = Bench::new();
    let (mut a, b) = (bench.side(U), bench.side(U));
    a.send(0, &[7; 160]);
    let sink = Sink { to: b.id, bridge: 1 };
    bench.line.send(Command::Bridge { from: a.id, sink });
    bench.line.send(Command::Unbridge { from: a.id, sink });
    bench.line.send(Command::Close(b.id));
    // As in a turn, once the poller has seen the packet.
    assert!(bench.worker.obey(bench.now, Command::begins));
    assert!(matches!(bench.worker.next, Some(Command::Unbridge { .. })));
    bench.worker.read(Token(a.id as usize * 2), Some(bench.now));
    assert_eq!(b.received().first().map(|(_, payload)| payload[0]), Some(7), "it was for the bridge");
    bench.turn();
    assert!(bench.worker.next.is_none());
    assert_eq!(bench.line.legs.load(Ordering::Relaxed), 1);
}

#[test]
fn nothing_is_sent_where_it_is_not_wanted() {
    let mut bench = Bench::new();
    let (mut a, b) = (bench.side(U), bench.side_with(U, false, |terms| terms.direction = Direction::Receive));
    bench.bridge(&a, &b);
    let mut played = bench.play(&b, Play::default(), vec![sound(1, 40)]);
    a.send(0, &[1; 160]);
    for _ in 0..4 {
        bench.pass(20);
    }
    assert!(b.received().is_empty());
    assert_eq!(played.try_recv(), Ok(Played::Whole), "its time passes nevertheless");
}

#[test]
fn closing_ends_what_plays_and_the_other_side_goes_on() {
    let mut bench = Bench::new();
    let (mut a, b) = (bench.side(U), bench.side(U));
    bench.bridge(&a, &b);
    let mut played = bench.play(&b, Play { loops: true, ..Play::default() }, vec![sound(1, 40)]);
    bench.line.send(Command::Close(b.id));
    bench.turn();
    assert_eq!(played.try_recv(), Ok(Played::Aborted));
    a.send(0, &[1; 160]);
    bench.pass(20);
    assert_eq!(a.told(), [Event::FirstPacket]);
}

#[test]
fn a_leg_that_panics_is_lost_and_the_others_go_on() {
    for by_clock in [false, true] {
        let mut bench = Bench::new();
        let (mut a, mut b, mut c, d) = (bench.side(U), bench.side(A), bench.side(U), bench.side(U));
        bench.bridge(&a, &b);
        bench.bridge(&c, &d);
        b.send(8, &[1; 160]);
        bench.pass(20);
        b.told();
        bench.line.send(Command::Break(a.id));
        bench.turn();
        // What is behind it in the same turn is not lost with it.
        if !by_clock {
            a.send(0, &[1; 160]);
        }
        c.send(0, &[5; 160]);
        bench.pass(1000);
        assert_eq!(a.told(), [Event::TimedOut], "its owner hangs up");
        assert_eq!(bench.line.legs.load(Ordering::Relaxed), 3);
        assert_eq!(d.received().first().map(|(_, payload)| payload[0]), Some(5));
        // Whom it was bridged to speaks into nothing, and is heard again by whoever comes next.
        b.send(8, &[1; 160]);
        bench.pass(20);
        let e = bench.side(U);
        bench.bridge(&b, &e);
        b.send(8, &[1; 160]);
        bench.pass(20);
        assert_eq!(e.received().len(), 1);
        assert_eq!(b.told(), []);
        bench.line.send(Command::Close(a.id));
        bench.turn();
        assert_eq!(bench.line.legs.load(Ordering::Relaxed), 4, "it is closed once");
        drop(bench);
    }
}

/// Nothing that comes by the network stops the worker, or costs it anything that stays.
#[test]
fn hostile_packets_change_nothing() {
    let mut bench = Bench::new();
    let (mut a, mut b) = (bench.side(U), bench.side_with(WIDE, true, |_| {}));
    bench.bridge(&a, &b);
    a.send(0, &[1; 160]);
    bench.turn();
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let hostile = (proptest::collection::vec(any::<u8>(), 0..300), 0u8..6, any::<bool>());
    for _ in 0..3000 {
        let (mut datagram, shape, rtp) = hostile.new_tree(&mut runner).expect("a datagram").current();
        if let Some(first) = datagram.first_mut().filter(|_| shape < 4) {
            *first = 0x80 | (*first & if shape < 2 { 0 } else { 0x3f });
        }
        if let Some(kind) = datagram.get_mut(1).filter(|_| shape < 3) {
            *kind = [0, 101, 200][usize::from(shape)] | (*kind & 0x80);
        }
        let to = SocketAddr::new(a.to.ip(), a.to.port() + u16::from(!rtp));
        a.socket.send_to(&datagram, to).expect("sent");
        bench.pass(1);
        b.received();
        a.told();
        b.told();
    }
    a.sequence = 40_000;
    a.send(0, &[1; 160]);
    a.send(0, &[1; 160]);
    bench.pass(20);
    assert!(!b.received().is_empty(), "the call goes on");
}
