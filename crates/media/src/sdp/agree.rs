//! What two sides agree on by an offer and its answer (RFC 3264). One stream of audio; all others are refused, in order.
//!
//! ```text
//!   offer() ─► accept(answer)     we ask: a call of ours, a re-INVITE, an INVITE without a description
//!   answer(offer)                 the other side asks, first or again (hold)
//! ```

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::Direction;
use super::keys::{Crypto, Key, Suite};
use super::read::{self, Description, Stream};
use super::write::{self, Audio, Line};
use crate::audio::codec::Codec;

/// Packets of ours carry this much, unless the other side asks for more or less.
const PTIME: Duration = Duration::from_millis(20);

/// The payload type of events in our offers.
const EVENTS: u8 = 101;

/// Whether packets are sealed (SRTP).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Srtp {
    /// Never.
    #[default]
    Off,
    /// As the other side offers. Our own offers ask for it; where that is refused (488), ask again with `Off`.
    Optional,
    /// Nothing else is taken.
    Required,
}

/// What this side brings.
#[derive(Debug, Clone)]
pub struct Local {
    /// The address that is told.
    pub address: IpAddr,
    /// The port of RTP.
    pub port: u16,
    /// Codecs, the best first.
    pub codecs: Vec<Codec>,
    /// Whether keys come and go as events.
    pub events: bool,
    /// Whether packets are sealed.
    pub srtp: Srtp,
    /// The packet time we want.
    pub ptime: Option<Duration>,
}

/// What is agreed.
#[derive(Debug, Clone, PartialEq)]
pub struct Terms {
    /// What the other side takes, with its payload types; the first is what we send by ourselves. Never empty.
    pub send: Vec<(u8, Codec)>,
    /// What we take, with its payload types.
    pub receive: Vec<(u8, Codec)>,
    /// Payload types of events, sent and received.
    pub events: Option<(u8, u8)>,
    /// Where the other side receives. None: nowhere it tells.
    pub remote: Option<SocketAddr>,
    /// Where it receives RTCP.
    pub control: Option<SocketAddr>,
    /// RTP and RTCP share a port.
    pub mux: bool,
    /// Which way sound goes, from here.
    pub direction: Direction,
    /// The other side holds the call.
    pub held: bool,
    /// How much sound a packet of ours carries.
    pub frame: Duration,
    /// Keys, ours and theirs.
    pub keys: Option<Keys>,
}

/// Both sides' keys.
#[derive(Debug, Clone, PartialEq)]
pub struct Keys {
    /// How packets are sealed.
    pub suite: Suite,
    /// What we send with.
    pub send: Key,
    /// What they send with.
    pub receive: Key,
}

/// Nothing was agreed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SdpError {
    /// It cannot be read. SIP says 400.
    #[error("{0}")]
    Unreadable(#[from] read::Unreadable),
    /// There is no audio that both can do. SIP says 488.
    #[error("no audio codec in common")]
    NoCommonCodec,
    /// Sealed packets are asked for, and not offered. SIP says 488.
    #[error("the media is not encrypted, and it has to be")]
    SrtpRequired,
    /// An answer without an offer of ours. SIP says 400.
    #[error("an answer to no offer")]
    NoOffer,
}

impl SdpError {
    /// The SIP status that says so.
    pub fn status(&self) -> u16 {
        match self {
            Self::Unreadable(_) | Self::NoOffer => 400,
            Self::NoCommonCodec | Self::SrtpRequired => 488,
        }
    }
}

/// The talks of one session.
#[derive(Debug)]
pub struct Talks {
    local: Local,
    id: u64,
    version: u64,
    /// What was written last, without its number.
    written: String,
    /// The lines that both sides count.
    lines: Vec<Line>,
    /// Our payload types, as they were last agreed.
    numbers: Vec<(u8, Codec)>,
    events: u8,
    keys: Vec<Crypto>,
    /// An offer of ours: what it said, and its text.
    offered: Option<Audio>,
    /// What is in force: the terms, and our text.
    force: Option<(Terms, String)>,
    /// We hold the call.
    pub hold: bool,
}

impl Talks {
    /// No talks yet. `id` names the session in its descriptions.
    pub fn new(local: Local, id: u64) -> Self {
        let numbers = local.codecs.iter().map(|codec| (codec.kind(), *codec)).collect();
        let (lines, keys) = (vec![Line::Audio], Vec::new());
        let (written, offered, force) = (String::new(), None, None);
        Self {
            local,
            id,
            version: 0,
            written,
            lines,
            numbers,
            events: EVENTS,
            keys,
            offered,
            force,
            hold: false,
        }
    }

    /// A new offer.
    pub fn offer(&mut self) -> String {
        let sealed = self.local.srtp != Srtp::Off;
        if sealed && self.keys.is_empty() {
            let all = Suite::ALL.into_iter().zip(1..);
            self.keys = all
                .filter_map(|(suite, tag)| Some(Crypto { tag, suite, key: Key::random(suite)? }))
                .collect();
        }
        let was = self.force.as_ref().map(|(terms, _)| terms);
        let codecs = match was {
            // What is in force goes first: whoever just takes the first changes nothing.
            Some(terms) => {
                let mut codecs = terms.receive.clone();
                codecs.extend(self.numbers.iter().filter(|(kind, codec)| {
                    !terms.receive.iter().any(|(other, known)| known == codec || other == kind)
                }));
                codecs
            }
            None => self.numbers.clone(),
        };
        // A number that no codec has.
        let free = |kind: &u8| !codecs.iter().any(|(taken, _)| taken == kind);
        let events = std::iter::once(self.events).chain(96..128).find(free);
        let audio = Audio {
            protocol: if sealed { "RTP/SAVP" } else { "RTP/AVP" }.to_owned(),
            port: self.local.port,
            codecs,
            events: events.filter(|_| self.local.events),
            direction: Direction::of(true, !self.hold),
            ptime: self.local.ptime.unwrap_or(PTIME),
            cryptos: if sealed { self.keys.clone() } else { Vec::new() },
            mux: was.is_some_and(|terms| terms.mux),
        };
        let text = self.write(&audio);
        self.offered = Some(audio);
        text
    }

    /// Answers an offer, first or again. Gives our description; the terms are in force.
    ///
    /// # Errors
    /// Nothing can be agreed. What was in force stays.
    pub fn answer(&mut self, offer: &str) -> Result<String, SdpError> {
        let offer = read::read(offer)?;
        let (at, stream) = self.choose(&offer)?;
        let common = self.common(stream);
        let events = self.events_of(stream).filter(|_| self.local.events);
        let keys = self.seal(stream)?;
        let hold = held(stream);
        let direction = Direction::of(
            stream.direction.receives() && stream.address.is_some(),
            stream.direction.sends() && !self.hold,
        );
        let audio = Audio {
            protocol: stream.protocol.clone(),
            port: self.local.port,
            codecs: common.clone(),
            events,
            direction,
            ptime: self.local.ptime.unwrap_or_else(|| frame(stream)),
            cryptos: keys.iter().map(|(crypto, _)| crypto.clone()).collect(),
            mux: stream.mux,
        };
        self.lines = lines(&offer, at);
        self.numbers = renumbered(&self.numbers, &common);
        self.events = events.unwrap_or(self.events);
        let text = self.write(&audio);
        let keys = keys.map(|(ours, theirs)| Keys { suite: ours.suite, send: ours.key, receive: theirs });
        let terms = Terms {
            send: common.clone(),
            receive: common,
            events: events.map(|kind| (kind, kind)),
            remote: remote(stream),
            control: control(stream),
            mux: stream.mux,
            direction,
            held: hold,
            frame: frame(stream),
            keys,
        };
        self.offered = None;
        self.force = Some((terms, text.clone()));
        Ok(text)
    }

    /// Takes the answer to our last offer. It may come again, the same or another (183, then 200).
    ///
    /// # Errors
    /// It agrees to nothing that we offered. What was in force stays.
    pub fn accept(&mut self, answer: &str) -> Result<(), SdpError> {
        let answer = read::read(answer)?;
        let offered = self.offered.as_ref().ok_or(SdpError::NoOffer)?;
        let at = self.lines.iter().position(|line| *line == Line::Audio).unwrap_or_default();
        let stream = answer.streams.get(at).filter(|stream| stream.medium == "audio" && stream.port != 0);
        let stream = stream.ok_or(SdpError::NoCommonCodec)?;
        let send: Vec<(u8, Codec)> = self.common(stream);
        let receive: Vec<_> = offered
            .codecs
            .iter()
            .filter(|(_, codec)| send.iter().any(|(_, sent)| sent == codec))
            .copied()
            .collect();
        if receive.is_empty() {
            return Err(SdpError::NoCommonCodec);
        }
        let keys = opened(offered, stream)?;
        let events = self.events_of(stream).zip(offered.events);
        let direction = Direction::of(
            offered.direction.sends() && stream.direction.receives() && stream.address.is_some(),
            offered.direction.receives() && stream.direction.sends(),
        );
        let terms = Terms {
            send,
            receive,
            events,
            remote: remote(stream),
            control: control(stream),
            mux: offered.mux && stream.mux,
            direction,
            held: held(stream) && offered.direction == Direction::Both,
            frame: frame(stream),
            keys,
        };
        let text = write::whole(self.id, self.version, self.local.address, &self.written);
        self.force = Some((terms, text));
        Ok(())
    }

    /// Our last offer was refused: what was in force stays.
    pub fn reject(&mut self) {
        self.offered = None;
    }

    /// Our description in force.
    pub fn current(&self) -> Option<&str> {
        self.force.as_ref().map(|(_, text)| text.as_str())
    }

    /// The terms in force.
    pub fn terms(&self) -> Option<&Terms> {
        self.force.as_ref().map(|(terms, _)| terms)
    }

    fn write(&mut self, audio: &Audio) -> String {
        let body = write::body(self.local.address, &self.lines, audio);
        if body != self.written {
            self.version += 1;
            self.written = body;
        }
        write::whole(self.id, self.version, self.local.address, &self.written)
    }

    /// The stream that is taken: the first audio that both can do.
    fn choose<'a>(&self, offer: &'a Description) -> Result<(usize, &'a Stream), SdpError> {
        let mut refused = SdpError::NoCommonCodec;
        for (at, stream) in offer.streams.iter().enumerate() {
            if stream.medium != "audio" || stream.port == 0 || self.common(stream).is_empty() {
                continue;
            }
            match (sealed(&stream.protocol), self.local.srtp) {
                (Some(true), Srtp::Optional | Srtp::Required) if !stream.cryptos.is_empty() => {
                    return Ok((at, stream));
                }
                (Some(false), Srtp::Off | Srtp::Optional) => return Ok((at, stream)),
                (Some(false), Srtp::Required) => refused = SdpError::SrtpRequired,
                (Some(true), _) | (None, _) => {}
            }
        }
        Err(refused)
    }

    /// Codecs that both can do, in the other side's order, with its payload types.
    fn common(&self, stream: &Stream) -> Vec<(u8, Codec)> {
        let mut common: Vec<(u8, Codec)> = Vec::new();
        for kind in stream.kinds() {
            let Some((name, 8000)) = stream.meaning(kind) else { continue };
            let codec = self.local.codecs.iter().find(|codec| codec.name() == name);
            if let Some(codec) = codec
                && !common.iter().any(|(other, known)| known == codec || *other == kind)
            {
                common.push((kind, *codec));
            }
        }
        common
    }

    fn events_of(&self, stream: &Stream) -> Option<u8> {
        stream.kinds().find(|kind| stream.meaning(*kind) == Some(("TELEPHONE-EVENT", 8000)))
    }

    /// Our key in answer to theirs: the first of theirs that is understood. The same key as before if there is one.
    fn seal(&mut self, stream: &Stream) -> Result<Option<(Crypto, Key)>, SdpError> {
        if sealed(&stream.protocol) != Some(true) {
            return Ok(None);
        }
        let theirs = stream.cryptos.first().ok_or(SdpError::SrtpRequired)?;
        let known = self.keys.iter().find(|known| known.suite == theirs.suite).map(|known| known.key.clone());
        let key = known.or_else(|| Key::random(theirs.suite)).ok_or(SdpError::SrtpRequired)?;
        let ours = Crypto { tag: theirs.tag, suite: theirs.suite, key };
        if !self.keys.iter().any(|known| known.suite == ours.suite) {
            self.keys.push(ours.clone());
        }
        Ok(Some((ours, theirs.key.clone())))
    }
}

/// The keys that an answer chose.
fn opened(offered: &Audio, stream: &Stream) -> Result<Option<Keys>, SdpError> {
    if offered.cryptos.is_empty() {
        return Ok(None);
    }
    let chosen = stream.cryptos.iter().find_map(|theirs| {
        let ours =
            offered.cryptos.iter().find(|ours| ours.tag == theirs.tag && ours.suite == theirs.suite)?;
        Some(Keys { suite: ours.suite, send: ours.key.clone(), receive: theirs.key.clone() })
    });
    chosen.map(Some).ok_or(SdpError::SrtpRequired)
}

/// Whether a protocol seals its packets. None: it is no RTP that is done here.
fn sealed(protocol: &str) -> Option<bool> {
    match protocol.to_ascii_uppercase().as_str() {
        "RTP/AVP" | "RTP/AVPF" => Some(false),
        "RTP/SAVP" | "RTP/SAVPF" => Some(true),
        _ => None,
    }
}

fn held(stream: &Stream) -> bool {
    !stream.direction.receives() || stream.address.is_none()
}

fn remote(stream: &Stream) -> Option<SocketAddr> {
    stream.address.map(|address| SocketAddr::new(address, stream.port))
}

fn control(stream: &Stream) -> Option<SocketAddr> {
    let address = stream.address?;
    match stream.control {
        _ if stream.mux => Some(SocketAddr::new(address, stream.port)),
        Some(at) if at.ip().is_unspecified() => Some(SocketAddr::new(address, at.port())),
        Some(at) => Some(at),
        None => Some(SocketAddr::new(address, stream.port.checked_add(1)?)),
    }
}

/// How much sound our packets carry: what the other side wants, in steps that all codecs here can do.
fn frame(stream: &Stream) -> Duration {
    let wanted = stream.ptime.unwrap_or(PTIME).min(stream.maxptime.unwrap_or(Duration::MAX)).as_millis();
    match u64::try_from(wanted).unwrap_or(20) / 10 {
        0 => Duration::from_millis(10),
        steps @ 1..=6 => Duration::from_millis(10 * steps),
        _ => PTIME,
    }
}

fn lines(offer: &Description, chosen: usize) -> Vec<Line> {
    let line = |(at, stream): (usize, &Stream)| {
        if at == chosen {
            return Line::Audio;
        }
        Line::Refused {
            medium: stream.medium.clone(),
            protocol: stream.protocol.clone(),
            format: stream.formats.first().cloned().unwrap_or_default(),
        }
    };
    offer.streams.iter().enumerate().map(line).collect()
}

/// Our codecs under the payload types that were just agreed.
fn renumbered(ours: &[(u8, Codec)], agreed: &[(u8, Codec)]) -> Vec<(u8, Codec)> {
    let number = |codec: &Codec| agreed.iter().find(|(_, known)| known == codec).map(|(kind, _)| *kind);
    ours.iter().map(|(kind, codec)| (number(codec).unwrap_or(*kind), *codec)).collect()
}

#[cfg(test)]
#[path = "agree_tests.rs"]
mod tests;
