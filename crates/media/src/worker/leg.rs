//! One leg of a call: where its packets go and come from, its stream out, what it plays, who listens.

use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mio::net::UdpSocket;
use tokio::sync::mpsc;

use super::ears::Ears;
use super::intake::Intake;
use super::latch::Latch;
use super::play::{Frame, Player};
use crate::audio::codec::{Codec, Decoder, Encoder};
use crate::audio::resample::Resampler;
use crate::ports::Lease;
use crate::rtp::packet::{self, HEADER, LARGEST};
use crate::rtp::srtp::{CONTROL_ADDED, Sealed, TAG};
use crate::rtp::stream::Stream;
use crate::rtp::{control, event};
use crate::sdp::agree::Terms;
use crate::session::Event;
use crate::stats::Counters;

/// Room for one datagram, sealed.
pub const ROOM: usize = LARGEST + TAG + CONTROL_ADDED;

/// What has to be seen to besides packets, is seen to so often.
const CHORES: Duration = Duration::from_secs(1);

/// Further behind than this, the clock of what is played is set anew: the machine stood still.
const BEHIND: Duration = Duration::from_millis(200);

/// So much room is kept in the queue of events for what matters more than keys.
const KEPT: usize = 16;

/// What a leg is made of.
pub struct Parts {
    /// For RTP.
    pub rtp: UdpSocket,
    /// For RTCP.
    pub control: UdpSocket,
    /// Its ports.
    pub lease: Lease,
    /// Whom it tells.
    pub events: mpsc::Sender<Event>,
    /// What it counts.
    pub counters: Arc<Counters>,
    /// Silence that is too long.
    pub timeout: Duration,
    /// How long late packets are waited for.
    pub jitter: RangeInclusive<Duration>,
    /// Keys are in the sound.
    pub inband: bool,
    /// Its sockets are of IPv6.
    pub six: bool,
    /// Beginnings of the stream out: who, number, time stamp.
    pub random: (u32, u16, u32),
}

/// Where the sound of a leg goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sink {
    /// The leg that hears it.
    pub to: u64,
    /// The bridge that says so.
    pub bridge: u64,
}

/// One leg.
pub struct Leg {
    /// For RTP.
    pub rtp: UdpSocket,
    /// For RTCP.
    pub control: UdpSocket,
    /// Where the other side is.
    pub latch: Latch,
    /// The stream that comes in.
    pub intake: Intake,
    /// Opens what comes in, if it is sealed.
    pub opens: Option<Sealed>,
    seals: Option<Sealed>,
    /// What is agreed.
    pub terms: Option<Terms>,
    /// The stream that goes out.
    pub stream: Stream,
    /// For those that need samples.
    pub decoder: Option<Decoder>,
    encoder: Option<Encoder>,
    /// From 16 to 8 kHz: what comes in, what goes out.
    pub down: [Option<Box<Resampler>>; 2],
    /// From 8 to 16 kHz, for a bridge.
    pub up: Option<Box<Resampler>>,
    /// What it plays.
    pub player: Player,
    /// Who listens.
    pub ears: Option<Box<Ears>>,
    /// Where its sound goes.
    pub sink: Option<Sink>,
    /// Keys as events that come in.
    pub keys: event::Keys,
    /// Keys of all kinds come no faster than this.
    pace: event::Pace,
    events: mpsc::Sender<Event>,
    /// What it counts.
    pub counters: Arc<Counters>,
    timeout: Duration,
    jitter: RangeInclusive<Duration>,
    inband: bool,
    six: bool,
    /// The last sign of life.
    alive: Instant,
    timed_out: bool,
    frame_at: Option<Instant>,
    chores_at: Instant,
    report_at: Option<Instant>,
    key_began: u32,
    /// It panics: what happens then is tested.
    #[cfg(test)]
    pub breaks: bool,
    _lease: Lease,
}

impl Leg {
    /// A leg on which nothing is agreed yet.
    pub fn new(parts: Parts, now: Instant) -> Self {
        let (source, sequence, timestamp) = parts.random;
        let mut leg = Self {
            rtp: parts.rtp,
            control: parts.control,
            latch: Latch::default(),
            intake: Intake::default(),
            opens: None,
            seals: None,
            terms: None,
            stream: Stream::new(source, sequence, timestamp),
            decoder: None,
            encoder: None,
            down: [None, None],
            up: None,
            player: Player::default(),
            ears: None,
            sink: None,
            keys: event::Keys::default(),
            pace: event::Pace::default(),
            events: parts.events,
            counters: parts.counters,
            timeout: parts.timeout,
            jitter: parts.jitter,
            inband: parts.inband,
            six: parts.six,
            alive: now,
            timed_out: false,
            frame_at: None,
            chores_at: now + CHORES,
            report_at: None,
            key_began: 0,
            #[cfg(test)]
            breaks: false,
            _lease: parts.lease,
        };
        if leg.inband {
            leg.ears().keys();
        }
        leg
    }

    /// Its ears, made if there are none.
    pub fn ears(&mut self) -> &mut Ears {
        self.ears.get_or_insert_with(|| Box::new(Ears::new(&self.jitter)))
    }

    /// New terms are in force.
    pub fn agree(&mut self, terms: Terms, now: Instant) {
        let was = self.terms.as_ref();
        if was.map(|was| was.remote) != Some(terms.remote) {
            self.latch.expect(terms.remote);
            self.intake.renew();
        }
        if was.map(|was| &was.keys) != Some(&terms.keys) {
            let old = was.and_then(|was| was.keys.as_ref());
            let keys = terms.keys.as_ref();
            if old.map(|keys| &keys.receive) != keys.map(|keys| &keys.receive) {
                self.opens = keys.and_then(|keys| Sealed::new(keys.suite, &keys.receive));
                self.intake.renew();
            }
            if old.map(|keys| &keys.send) != keys.map(|keys| &keys.send) {
                self.seals = keys.and_then(|keys| Sealed::new(keys.suite, &keys.send));
            }
        }
        // What was silent by agreement was not silent by fault.
        self.alive = now;
        self.timed_out = false;
        self.terms = Some(terms);
        self.wake(now);
    }

    /// When it wants to be looked at.
    pub fn next(&self) -> Instant {
        self.frame_at.map_or(self.chores_at, |at| at.min(self.chores_at))
    }

    /// What it plays or who listens has changed: its clock begins, if it does not run.
    pub fn wake(&mut self, now: Instant) {
        if self.frame_at.is_none() && self.terms.is_some() && (self.player.plays() || self.ears.is_some()) {
            self.frame_at = Some(now);
        }
    }

    /// Time has come. Keys that were heard in the sound are given.
    pub fn tick(&mut self, now: Instant, scratch: &mut Scratch, heard: &mut Vec<char>) {
        #[cfg(test)]
        assert!(!self.breaks, "the leg is broken");
        if self.chores_at <= now {
            self.chores(now);
            self.chores_at = now + CHORES;
        }
        while let Some(at) = self.frame_at
            && at <= now
        {
            let frame = self.terms.as_ref().map_or(Duration::from_millis(20), |terms| terms.frame);
            // As if it were on time: what is played does not drift, and time stamps are even.
            let at = if now > at + BEHIND { now } else { at };
            let goes_on = self.frame(frame, at, scratch, heard);
            self.frame_at = goes_on.then_some(at + frame);
        }
    }

    /// The time of one frame. False: nothing is to be done any more.
    fn frame(
        &mut self,
        length: Duration,
        now: Instant,
        scratch: &mut Scratch,
        heard: &mut Vec<char>,
    ) -> bool {
        let played = self.play(length, now, scratch);
        if let Some(ears) = &mut self.ears {
            let samples = usize::try_from(length.as_millis() * 8).unwrap_or(160);
            ears.turn(samples, |key| heard.push(key));
        }
        played || self.ears.is_some()
    }

    fn play(&mut self, length: Duration, now: Instant, scratch: &mut Scratch) -> bool {
        let Some(codec) = self.codec() else { return self.player.plays() };
        let samples = usize::try_from(length.as_millis()).unwrap_or(20) * codec.rate() as usize / 1000;
        let Some(room) = scratch.samples.get_mut(..samples) else { return false };
        match self.player.next(room, codec.rate()) {
            Frame::Sound => self.sound(codec, samples, now, scratch),
            Frame::Key { first, event } => self.key(first, event, now),
            Frame::Nothing => {}
            Frame::Idle => return false,
        }
        true
    }

    /// What it sends by itself.
    fn codec(&self) -> Option<Codec> {
        self.terms.as_ref().and_then(|terms| terms.send.first()).map(|(_, codec)| *codec)
    }

    /// Sends a frame of its own.
    fn sound(&mut self, codec: Codec, samples: usize, now: Instant, scratch: &mut Scratch) {
        let Some(kind) = self.kind_of(codec) else { return };
        let timestamp = self.stream.now(now);
        let sound = scratch.samples.get(..samples).unwrap_or_default();
        if let Some(ears) = &mut self.ears {
            let (source, narrow) =
                (self.stream.source, narrowed(sound, codec, &mut self.down[1], &mut scratch.narrow));
            ears.sent(source, timestamp, narrow, now);
        }
        let encoder = encoder(&mut self.encoder, codec);
        let length = encoder.encode(sound, scratch.datagram.get_mut(HEADER..LARGEST).unwrap_or_default());
        let Some(datagram) = scratch.datagram.get_mut(..HEADER + length) else { return };
        self.stream.own(datagram, kind, timestamp, false, now);
        self.send(&mut scratch.datagram, HEADER + length);
    }

    /// Sends one packet of a key, or the three that end it.
    fn key(&mut self, first: bool, event: event::Event, now: Instant) {
        let Some((kind, _)) = self.terms.as_ref().and_then(|terms| terms.events) else { return };
        if first {
            self.key_began = self.stream.now(now);
        }
        for copy in 0..if event.end { 3 } else { 1 } {
            let mut datagram = [0; HEADER + event::LENGTH + TAG];
            let length = HEADER + event::LENGTH;
            datagram[HEADER..length].copy_from_slice(&event::write(event));
            self.stream.own(&mut datagram[..length], kind, self.key_began, first && copy == 0, now);
            self.send(&mut datagram, length);
        }
    }

    /// The payload type under which the other side takes a codec.
    pub fn kind_of(&self, codec: Codec) -> Option<u8> {
        let terms = self.terms.as_ref()?;
        terms.send.iter().find(|(_, taken)| *taken == codec).map(|(kind, _)| *kind)
    }

    /// Whether sound may go out at all.
    pub fn may_send(&self) -> bool {
        self.terms.as_ref().is_some_and(|terms| terms.direction.sends())
    }

    /// Makes bytes of a bridge's samples, in what this leg sends. Gives the payload type and how many bytes.
    pub fn encode(&mut self, samples: &[i16], into: &mut [u8]) -> Option<(u8, usize)> {
        let codec = self.codec()?;
        let kind = self.kind_of(codec)?;
        Some((kind, encoder(&mut self.encoder, codec).encode(samples, into)))
    }

    /// Sends the first `length` bytes of `datagram`, sealed if that is agreed; there is room behind them for that.
    pub fn send(&mut self, datagram: &mut [u8], length: usize) {
        if !self.may_send() {
            return;
        }
        let Some(to) = self.latch.to() else { return };
        let length = match &mut self.seals {
            Some(seals) => seals.seal(datagram, length),
            None if self.terms.as_ref().is_some_and(|terms| terms.keys.is_some()) => None,
            None => Some(length),
        };
        let Some(datagram) = length.and_then(|length| datagram.get(..length)) else { return };
        match self.rtp.send_to(datagram, self.family(to)) {
            Ok(_) => self.counters.sent(self.stream.packets, self.stream.octets),
            // The system's queue is full, or the other side's port is closed: RTP is made for losing packets.
            Err(_) => self.counters.dropped(),
        }
        self.report_at.get_or_insert_with(|| self.chores_at + control::EVERY - CHORES);
    }

    /// A sign of life.
    pub fn lives(&mut self, now: Instant) {
        self.alive = now;
        self.timed_out = false;
    }

    /// A key was pressed, however it came: what gives way to keys ends, and it is told. False: too many come.
    pub fn press(&mut self, key: char, now: Instant) -> bool {
        if !self.pace.allows(now) {
            return false;
        }
        self.player.barge_in();
        if self.events.capacity() > KEPT {
            self.tell(Event::Digit(key));
        }
        true
    }

    /// Tells the owner of the session, if there is room.
    pub fn tell(&self, event: Event) {
        // A full queue: nobody listens to this session.
        let _ = self.events.try_send(event);
    }

    fn chores(&mut self, now: Instant) {
        let waits = self.terms.as_ref().is_some_and(|terms| terms.direction.receives() && !terms.held);
        if !waits {
            self.alive = now;
        } else if !self.timed_out && now.saturating_duration_since(self.alive) >= self.timeout {
            self.timed_out = true;
            self.tell(Event::TimedOut);
        }
        if self.ears.as_ref().is_some_and(|ears| ears.are_idle()) {
            self.ears = None;
        }
        if self.report_at.is_some_and(|at| at <= now) || (self.report_at.is_none() && self.intake.any()) {
            self.report(now, false);
            self.report_at = Some(now + control::EVERY);
        }
    }

    /// Sends a report.
    fn report(&mut self, now: Instant, last: bool) {
        let Some(terms) = &self.terms else { return };
        let Some(to) = (if terms.mux { self.latch.to() } else { self.latch.control(terms.control) }) else {
            return;
        };
        let sent = (self.stream.packets > 0).then(|| control::Sent {
            ntp: ntp(),
            timestamp: self.stream.now(now),
            packets: self.stream.packets as u32,
            octets: self.stream.octets as u32,
        });
        let mut datagram = [0; 128 + CONTROL_ADDED];
        let length =
            control::write(&mut datagram[..128], self.stream.source, sent, self.intake.block(), last);
        let length = match &mut self.seals {
            Some(seals) => seals.seal_control(&mut datagram, length),
            None if terms.keys.is_some() => None,
            None => Some(length),
        };
        let Some(datagram) = length.and_then(|length| datagram.get(..length)).filter(|all| !all.is_empty())
        else {
            return;
        };
        let socket = if terms.mux { &self.rtp } else { &self.control };
        // As with RTP.
        let _ = socket.send_to(datagram, self.family(to));
    }

    /// An address as the socket needs it: one of IPv6 takes IPv4 only in disguise.
    fn family(&self, to: SocketAddr) -> SocketAddr {
        match to.ip() {
            IpAddr::V4(four) if self.six => SocketAddr::new(four.to_ipv6_mapped().into(), to.port()),
            _ => to,
        }
    }

    /// RTCP came in.
    pub fn hear_control(&mut self, datagram: &mut [u8], from: SocketAddr, now: Instant) {
        if !self.latch.is_control_of(from) {
            return self.counters.stranger();
        }
        let length = match &mut self.opens {
            Some(opens) => opens.open_control(datagram),
            None => Some(datagram.len()),
        };
        let heard = length.and_then(|length| control::read(datagram.get(..length)?, self.stream.source));
        let Some(heard) = heard else { return self.counters.stranger() };
        self.latch.hears_control(from);
        self.lives(now);
        if let Some(block) = heard.about_us {
            self.counters.told(block.lost, block.jitter);
        }
    }

    /// The last of it: a goodbye.
    pub fn bye(&mut self, now: Instant) {
        if self.stream.packets > 0 || self.intake.any() {
            self.report(now, true);
        }
    }
}

/// Room that all legs of a worker share.
pub struct Scratch {
    /// Samples.
    pub samples: Vec<i16>,
    /// Samples at 8 kHz of a wide codec.
    pub narrow: Vec<i16>,
    /// Samples for another codec.
    pub other: Vec<i16>,
    /// A datagram.
    pub datagram: [u8; ROOM],
}

impl Default for Scratch {
    fn default() -> Self {
        let samples = vec![0; crate::audio::codec::MOST];
        Self { samples, narrow: Vec::new(), other: Vec::new(), datagram: [0; ROOM] }
    }
}

/// Samples at 8 kHz.
pub fn narrowed<'a>(
    samples: &'a [i16],
    codec: Codec,
    by: &mut Option<Box<Resampler>>,
    room: &'a mut Vec<i16>,
) -> &'a [i16] {
    if codec.rate() == 8000 {
        return samples;
    }
    room.clear();
    if by.is_none() {
        *by = Resampler::new(codec.rate(), 8000).map(Box::new);
    }
    if let Some(by) = by {
        by.push(samples, room);
    }
    room
}

fn encoder(at: &mut Option<Encoder>, codec: Codec) -> &mut Encoder {
    if at.as_ref().is_some_and(|encoder| encoder.codec() != codec) {
        *at = None;
    }
    at.get_or_insert_with(|| Encoder::new(codec))
}

/// The wall clock as NTP counts it.
fn ntp() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let seconds = since.as_secs().wrapping_add(2_208_988_800);
    (seconds << 32) | ((u64::from(since.subsec_nanos()) << 32) / 1_000_000_000)
}

/// Whether a datagram looks like RTP: what is not needs no more looking at.
pub fn is_media(datagram: &[u8]) -> bool {
    datagram.len() >= packet::HEADER && datagram[0] >> 6 == 2
}
