//! The load of `relay.rs`: sends packets of many legs with `sendmmsg`, and sees when they come out at the other side.
//!
//! How long a packet was on its way is known by its time stamp: the gateway gives its streams time stamps of their own, but
//! the distance to those that came in stays the same. So it is known of packets that were transcoded or sealed, too.

use std::io::{self, BufRead as _, IoSlice, Write as _};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use interline_media::rtp::packet::{self, HEADER};
use interline_media::rtp::srtp::{Sealed, TAG};
use rustix::net::{MMsgHdr, SendAncillaryBuffer, SendFlags, SocketAddrAny, sendmmsg};

use super::relay::{How, SHARE, Seen};

/// Packets of a leg come so often.
const EVERY: Duration = Duration::from_millis(20);
/// So many packets of a leg may be on their way.
const KEPT: usize = 64;
const SAMPLES: u32 = 160;
const LENGTH: usize = HEADER + SAMPLES as usize;
/// What is still on its way at the end is waited for.
const AFTER: Duration = Duration::from_millis(500);

/// One leg, as the other side of the gateway sees it.
struct Leg {
    target: SocketAddrAny,
    seals: Option<Sealed>,
    /// When its packets were sent, by their number.
    sent: [u64; KEPT],
    /// What the gateway adds to the time stamps of what comes out here.
    offset: Option<u32>,
}

/// `bench relay-load CALLS SECONDS HOW`: tells its ports, is told the gateway's, says when it begins and what it saw.
pub fn generate(calls: usize, seconds: u64, how: How) -> Result<()> {
    let mut load = Load::open(calls * 2, how)?;
    let mut out = io::stdout().lock();
    let ports: Vec<String> = load
        .sockets
        .iter()
        .map(|socket| socket.local_addr().map(|at| at.port().to_string()))
        .collect::<Result<_, _>>()?;
    writeln!(out, "{}", ports.join(" "))?;
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line)?;
    load.is_told(&line, how)?;
    // A second to warm up: address book, first packets.
    load.run(Duration::from_secs(1))?;
    writeln!(out, "begin")?;
    let seen = load.run(Duration::from_secs(seconds))?;
    writeln!(out, "{}", serde_json::to_string(&seen)?)?;
    Ok(())
}

struct Load {
    sockets: Vec<UdpSocket>,
    legs: Vec<Leg>,
    /// Whose port of the gateway this is.
    owners: Vec<u32>,
    kinds: [u8; 2],
    /// The number of the next packet of each leg.
    round: u32,
    began: Instant,
    delays: Vec<u32>,
    received: u64,
}

impl Load {
    fn open(legs: usize, how: How) -> Result<Self> {
        let mut sockets = Vec::new();
        for _ in 0..legs.div_ceil(SHARE) {
            let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
            socket.set_nonblocking(true)?;
            rustix::net::sockopt::set_socket_recv_buffer_size(&socket, 1 << 20)?;
            sockets.push(socket);
        }
        Ok(Self {
            sockets,
            legs: Vec::with_capacity(legs),
            owners: vec![u32::MAX; 1 << 16],
            kinds: [how.codec(0).kind(), how.codec(1).kind()],
            round: 0,
            began: Instant::now(),
            delays: Vec::new(),
            received: 0,
        })
    }

    fn is_told(&mut self, ports: &str, how: How) -> Result<()> {
        for (leg, port) in ports.split_whitespace().enumerate() {
            let port: u16 = port.parse()?;
            let seals = how.key().and_then(|(suite, key)| Sealed::new(suite, &key));
            let target = SocketAddr::from((Ipv4Addr::LOCALHOST, port)).into();
            self.legs.push(Leg { target, seals, sent: [0; KEPT], offset: None });
            *self.owners.get_mut(usize::from(port)).context("a port")? = leg as u32;
        }
        Ok(())
    }

    /// Sends for so long, each leg every 20 ms, spread evenly; reads all the while.
    fn run(&mut self, lasts: Duration) -> Result<Seen> {
        let (start, legs) = (Instant::now(), self.legs.len());
        let all = (lasts.as_nanos() / EVERY.as_nanos()) as u64 * legs as u64;
        let between = EVERY.as_nanos() as u64 / legs.max(1) as u64;
        let (first, mut next, mut at) = (self.round, 0u64, 0usize);
        self.delays.clear();
        (self.received, self.round) = (0, first + (all / legs.max(1) as u64) as u32);
        while start.elapsed() < lasts + AFTER && self.received < all {
            let due = (start.elapsed().as_nanos() as u64 / between.max(1)).min(all);
            while next < due {
                // The legs of one socket are neighbours.
                let leg = (next % legs as u64) as usize;
                let many = ((due - next) as usize).min(SHARE - leg % SHARE).min(legs - leg);
                self.send(leg, many, first + (next / legs as u64) as u32)?;
                next += many as u64;
            }
            // Each socket in turn.
            self.read(at)?;
            at = (at + 1) % self.sockets.len();
        }
        self.delays.sort_unstable();
        let part = |part: f64| {
            let at = (self.delays.len() as f64 * part) as usize;
            self.delays.get(at.min(self.delays.len().saturating_sub(1))).copied().unwrap_or_default()
        };
        Ok(Seen { sent: next, received: self.received, p50: part(0.5), p99: part(0.99), most: part(1.0) })
    }

    /// Sends a packet of each of these legs, which share a socket.
    fn send(&mut self, from: usize, many: usize, round: u32) -> Result<()> {
        let (now, kinds) = (self.now(), self.kinds);
        let legs = self.legs.get_mut(from..from + many).context("legs")?;
        let mut packets = [[0xd5; LENGTH + TAG]; SHARE];
        let mut lengths = [LENGTH; SHARE];
        for (at, (leg, datagram)) in legs.iter_mut().zip(&mut packets).enumerate() {
            let (no, kind) = ((from + at) as u32, kinds[(from + at) % 2]);
            packet::write(datagram, false, kind, round as u16, round.wrapping_mul(SAMPLES), no + 1);
            if let Some(seals) = &mut leg.seals {
                lengths[at] = seals.seal(datagram, LENGTH).context("a sealed packet")?;
            }
            leg.sent[round as usize % KEPT] = now;
        }
        let parts: [[IoSlice<'_>; 1]; SHARE] =
            std::array::from_fn(|at| [IoSlice::new(&packets[at][..lengths[at]])]);
        let mut controls: [SendAncillaryBuffer<'_, '_, '_>; SHARE] =
            std::array::from_fn(|_| SendAncillaryBuffer::default());
        let mut messages: Vec<MMsgHdr<'_>> = legs
            .iter()
            .zip(&parts)
            .zip(&mut controls)
            .map(|((leg, part), control)| MMsgHdr::new_with_addr(&leg.target, part, control))
            .collect();
        let socket = self.sockets.get(from / SHARE).context("a socket")?;
        let mut done = 0;
        while done < many {
            match sendmmsg(socket, &mut messages[done..], SendFlags::empty()) {
                Ok(sent) => done += sent,
                Err(rustix::io::Errno::AGAIN) => std::hint::spin_loop(),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    fn read(&mut self, at: usize) -> Result<()> {
        let mut room = [0; 300];
        loop {
            let socket = self.sockets.get(at).context("a socket")?;
            let (length, from) = match socket.recv_from(&mut room) {
                Ok(received) => received,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                // What came back of a packet of ours.
                Err(_) => continue,
            };
            let owner = self.owners.get(usize::from(from.port())).copied().unwrap_or(u32::MAX) as usize;
            let Some(packet) = packet::read(&room[..length]).filter(|_| owner < self.legs.len()) else {
                continue;
            };
            self.received += 1;
            let now = self.now();
            // The first that comes out is the first that went in.
            let offset = *self.legs[owner].offset.get_or_insert(packet.timestamp);
            let round = packet.timestamp.wrapping_sub(offset) / SAMPLES;
            let sent = self.legs[owner ^ 1].sent[round as usize % KEPT];
            self.delays.push(u32::try_from(now.saturating_sub(sent) / 1000).unwrap_or(u32::MAX));
        }
    }

    /// Nanoseconds since the load was opened.
    fn now(&self) -> u64 {
        self.began.elapsed().as_nanos() as u64
    }
}
