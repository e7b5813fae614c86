//! Our description.

use std::fmt::Write as _;
use std::net::IpAddr;
use std::time::Duration;

use super::Direction;
use super::keys::Crypto;
use crate::audio::codec::Codec;

/// What a stream of ours says.
#[derive(Debug, Clone, PartialEq)]
pub struct Audio {
    /// `RTP/AVP`, or as the offer had it.
    pub protocol: String,
    /// Where RTP is received; RTCP one above.
    pub port: u16,
    /// Codecs with their payload types, in order.
    pub codecs: Vec<(u8, Codec)>,
    /// The payload type of events.
    pub events: Option<u8>,
    /// Which way sound goes.
    pub direction: Direction,
    /// The packet time we want.
    pub ptime: Duration,
    /// Our keys.
    pub cryptos: Vec<Crypto>,
    /// RTCP comes on the same port.
    pub mux: bool,
}

/// A line of a description.
#[derive(Debug, Clone, PartialEq)]
pub enum Line {
    /// The call's sound.
    Audio,
    /// A stream that is refused.
    Refused {
        /// As it was offered.
        medium: String,
        /// As it was offered.
        protocol: String,
        /// As it was offered.
        format: String,
    },
}

/// What is in a description, but for its number.
pub fn body(address: IpAddr, lines: &[Line], audio: &Audio) -> String {
    let mut text = format!("s=-\r\nc={}\r\nt=0 0\r\n", connection(address));
    for line in lines {
        match line {
            Line::Audio => stream(&mut text, audio),
            Line::Refused { medium, protocol, format } => {
                put(&mut text, format_args!("m={medium} 0 {protocol} {format}"))
            }
        }
    }
    text
}

/// The whole: a body under its number (RFC 3264, 8: the number rises by one with each change).
pub fn whole(id: u64, version: u64, address: IpAddr, body: &str) -> String {
    format!("v=0\r\no=- {id} {version} {}\r\n{body}", connection(address))
}

fn connection(address: IpAddr) -> String {
    let family = if address.is_ipv4() { "IP4" } else { "IP6" };
    format!("IN {family} {address}")
}

fn stream(text: &mut String, audio: &Audio) {
    let kinds: Vec<String> =
        audio.codecs.iter().map(|(kind, _)| *kind).chain(audio.events).map(|kind| kind.to_string()).collect();
    put(text, format_args!("m=audio {} {} {}", audio.port, audio.protocol, kinds.join(" ")));
    for (kind, codec) in &audio.codecs {
        put(text, format_args!("a=rtpmap:{kind} {}/8000", codec.name()));
    }
    if let Some(kind) = audio.events {
        put(text, format_args!("a=rtpmap:{kind} telephone-event/8000\r\na=fmtp:{kind} 0-15"));
    }
    for crypto in &audio.cryptos {
        put(text, format_args!("a=crypto:{}", crypto.write()));
    }
    put(text, format_args!("a=ptime:{}", audio.ptime.as_millis()));
    if audio.mux {
        put(text, format_args!("a=rtcp-mux"));
    }
    put(text, format_args!("a={}", audio.direction.name()));
}

fn put(text: &mut String, line: std::fmt::Arguments<'_>) {
    // Writing into a string does not fail.
    let _ = text.write_fmt(line);
    text.push_str("\r\n");
}
