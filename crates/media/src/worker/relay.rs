//! The way of a packet: from a socket through its leg to who listens, and to the leg that it is bridged to. Where both
//! legs speak the same, the payload is passed on as it is; only the header is ours.

use std::io;
use std::net::SocketAddr;
use std::time::Instant;

use mio::Token;

use super::leg::{Leg, ROOM, Scratch, is_media, narrowed};
use super::{TURN, Worker, leg_of};
use crate::audio::codec::{Codec, Decoder};
use crate::audio::resample::Resampler;
use crate::rtp::packet::{self, HEADER, LARGEST, Packet};
use crate::rtp::{event, srtp};
use crate::session::Event;

/// What a packet carries.
enum Carries {
    Sound(Codec),
    Key(event::Event),
}

impl Worker {
    /// Reads a socket. True: there may be more in it.
    pub(super) fn read(&mut self, token: Token, at: Option<Instant>) -> bool {
        let (id, rtp) = (leg_of(token), token.0.is_multiple_of(2));
        for _ in 0..TURN {
            let Some(leg) = self.legs.get_mut(&id) else { return false };
            let socket = if rtp { &leg.rtp } else { &leg.control };
            let received = socket.recv_from(&mut self.room[..LARGEST + srtp::CONTROL_ADDED]);
            let now = at.unwrap_or_else(Instant::now);
            match received {
                Ok((length, from)) => self.hear(id, rtp, length, from, now),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return false,
                // An ICMP message about a packet of ours: the next read is about the next datagram.
                Err(_) => {}
            }
        }
        true
    }

    fn hear(&mut self, id: u64, rtp: bool, length: usize, from: SocketAddr, now: Instant) {
        let Some(leg) = self.legs.get_mut(&id) else { return };
        let Some(datagram) = self.room.get_mut(..length) else { return };
        let mux = leg.terms.as_ref().is_some_and(|terms| terms.mux);
        if !rtp || (mux && packet::is_control(datagram)) {
            return leg.hear_control(datagram, from, now);
        }
        let Some((packet, carries)) = take(leg, datagram, from, now) else { return };
        let sink = leg.sink;
        let first = match carries {
            Carries::Key(event) => {
                let key = leg.keys.hear(packet.source, packet.timestamp, event, now);
                key.filter(|key| leg.press(*key, now))
            }
            Carries::Sound(_) => None,
        };
        let Some(sink) = sink else {
            if let Carries::Sound(codec) = carries
                && leg.ears.is_some()
            {
                listen(leg, None, &packet, codec, &self.room, &mut self.scratch, now);
            }
            return;
        };
        let [Some(leg), Some(to)] = self.legs.get_disjoint_mut([&id, &sink.to]) else {
            return;
        };
        match carries {
            Carries::Sound(codec) => {
                if leg.ears.is_some() || to.ears.is_some() {
                    listen(leg, Some(to), &packet, codec, &self.room, &mut self.scratch, now);
                }
                pass(leg, to, &packet, codec, &mut self.room, &mut self.scratch, now);
            }
            Carries::Key(_) => {
                let kind = to.terms.as_ref().and_then(|terms| terms.events).map(|(kind, _)| kind);
                match kind {
                    Some(kind) if leg.intake.is_of(packet.source) => {
                        pass_on(to, &packet, kind, &mut self.room, now);
                    }
                    Some(_) => {}
                    None => {
                        if let Some(key) = first {
                            self.play_key(sink, key, now);
                        }
                    }
                }
            }
        }
    }
}

/// Takes a datagram, if it is one that was agreed on, from who it should be.
fn take(leg: &mut Leg, datagram: &mut [u8], from: SocketAddr, now: Instant) -> Option<(Packet, Carries)> {
    #[cfg(test)]
    assert!(!leg.breaks, "the leg is broken");
    let taken = admit(leg, datagram, from);
    let Some((packet, carries)) = taken else {
        leg.counters.stranger();
        return None;
    };
    if leg.latch.hears(from) {
        leg.counters.at(leg.latch.peer());
    }
    let first = !leg.intake.any();
    // Keys are sound that somebody else may make: their numbers do not count as a new talker.
    let known = match carries {
        Carries::Sound(_) => leg.intake.take(&packet, now),
        Carries::Key(_) => !leg.intake.is_of(packet.source) || leg.intake.take(&packet, now),
    };
    leg.counters.received(packet.payload.len(), leg.intake.lost(), leg.intake.jitter());
    leg.lives(now);
    if first && leg.intake.any() {
        leg.tell(Event::FirstPacket);
    }
    let receives = leg.terms.as_ref().is_some_and(|terms| terms.direction.receives());
    (known && receives).then_some((packet, carries))
}

fn admit(leg: &mut Leg, datagram: &mut [u8], from: SocketAddr) -> Option<(Packet, Carries)> {
    let terms = leg.terms.as_ref()?;
    if !is_media(datagram) || !leg.latch.may_be(from) {
        return None;
    }
    let length = match (&mut leg.opens, &terms.keys) {
        (Some(opens), _) => opens.open(datagram)?,
        (None, Some(_)) => return None,
        (None, None) => datagram.len(),
    };
    let datagram = datagram.get(..length)?;
    let packet = packet::read(datagram)?;
    let sound = terms.receive.iter().find(|(kind, _)| *kind == packet.kind).map(|(_, codec)| *codec);
    let carries = match sound {
        Some(codec) => Carries::Sound(codec),
        None => {
            terms.events.filter(|(_, kind)| *kind == packet.kind)?;
            Carries::Key(event::read(datagram.get(packet.payload.clone())?)?)
        }
    };
    Some((packet, carries))
}

/// Lets those hear a packet who listen to its leg, and to the leg that it goes to.
fn listen(
    leg: &mut Leg,
    to: Option<&mut Leg>,
    packet: &Packet,
    codec: Codec,
    room: &[u8; ROOM],
    scratch: &mut Scratch,
    now: Instant,
) {
    let payload = room.get(packet.payload.clone()).unwrap_or_default();
    let samples = decoder(&mut leg.decoder, codec).decode(payload, &mut scratch.samples);
    let narrow = narrowed(samples, codec, &mut leg.down[0], &mut scratch.narrow);
    if let Some(ears) = &mut leg.ears {
        ears.heard(packet.source, packet.timestamp, narrow, now);
    }
    if let Some(to) = to.filter(|to| !to.player.plays() && to.may_send())
        && let Some(ears) = &mut to.ears
    {
        ears.sent(packet.source, packet.timestamp, narrow, now);
    }
}

fn decoder(at: &mut Option<Decoder>, codec: Codec) -> &mut Decoder {
    if at.as_ref().is_some_and(|decoder| decoder.codec() != codec) {
        *at = None;
    }
    at.get_or_insert_with(|| Decoder::new(codec))
}

/// Sends a packet of sound on to the other leg.
fn pass(
    leg: &mut Leg,
    to: &mut Leg,
    packet: &Packet,
    codec: Codec,
    room: &mut [u8; ROOM],
    scratch: &mut Scratch,
    now: Instant,
) {
    if let Some(kind) = to.kind_of(codec) {
        return pass_on(to, packet, kind, room, now);
    }
    if to.player.plays() || !to.may_send() {
        return;
    }
    // They speak differently. All codecs here have the same clock, so time stamps stay as they are.
    let payload = room.get(packet.payload.clone()).unwrap_or_default();
    let listened = leg.ears.is_some() || to.ears.is_some();
    if !listened {
        decode_into(leg, codec, payload, scratch);
    } else {
        // It is decoded already, and a decoder must not hear a packet twice.
        let length = payload.len() * codec.samples() as usize;
        scratch.other.clear();
        scratch
            .other
            .extend_from_slice(scratch.samples.get(..length.min(scratch.samples.len())).unwrap_or_default());
    }
    let Some(wide) = to.terms.as_ref().and_then(|terms| terms.send.first()).map(|(_, codec)| codec.rate())
    else {
        return;
    };
    resample(leg, to, codec.rate(), wide, listened, scratch);
    let Some(bytes) = scratch.datagram.get_mut(HEADER..LARGEST) else { return };
    let Some((kind, length)) = to.encode(&scratch.other, bytes) else { return };
    let length = HEADER + length;
    let Some(datagram) = scratch.datagram.get_mut(..length) else { return };
    to.stream.pass(datagram, packet, kind, now);
    to.send(&mut scratch.datagram, length);
}

fn decode_into(leg: &mut Leg, codec: Codec, payload: &[u8], scratch: &mut Scratch) {
    let samples = decoder(&mut leg.decoder, codec).decode(payload, &mut scratch.samples);
    scratch.other.clear();
    scratch.other.extend_from_slice(samples);
}

/// Brings `scratch.other` to the rate of the other leg.
fn resample(leg: &mut Leg, to: &mut Leg, from: u32, into: u32, listened: bool, scratch: &mut Scratch) {
    if from == into {
        return;
    }
    let by = if from > into { &mut leg.down[0] } else { &mut to.up };
    if from > into && listened {
        // Those who listen needed it as well.
        std::mem::swap(&mut scratch.other, &mut scratch.narrow);
        return;
    }
    scratch.narrow.clear();
    if by.is_none() {
        *by = Resampler::new(from, into).map(Box::new);
    }
    if let Some(by) = by {
        by.push(&scratch.other, &mut scratch.narrow);
    }
    std::mem::swap(&mut scratch.other, &mut scratch.narrow);
}

/// Sends a packet on with another header.
fn pass_on(to: &mut Leg, packet: &Packet, kind: u8, room: &mut [u8; ROOM], now: Instant) {
    if to.player.plays() || !to.may_send() {
        return;
    }
    let length = HEADER + packet.payload.len();
    // The header goes right before the payload, wherever that is.
    let Some(datagram) = packet.payload.start.checked_sub(HEADER).and_then(|start| room.get_mut(start..))
    else {
        return;
    };
    let Some(plain) = datagram.get_mut(..length) else { return };
    to.stream.pass(plain, packet, kind, now);
    to.send(datagram, length);
}
