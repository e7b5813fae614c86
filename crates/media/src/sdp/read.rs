//! A description from outside. Everything in it is bounded; attributes that are not used are left out.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use super::Direction;
use super::keys::Crypto;

/// Descriptions are at most so long, in bytes.
const LONGEST: usize = 64 * 1024;
/// At most so many streams are read.
const STREAMS: usize = 32;
/// At most so many payload types of a stream.
const KINDS: usize = 64;
/// At most so many keys of a stream.
const CRYPTOS: usize = 16;

/// A session as the other side describes it.
#[derive(Debug, Clone, PartialEq)]
pub struct Description {
    /// Its streams, in order.
    pub streams: Vec<Stream>,
}

/// One `m=` line and what belongs to it.
#[derive(Debug, Clone, PartialEq)]
pub struct Stream {
    /// `audio`, `video`, …: as it came, for the answer.
    pub medium: String,
    /// The port; 0: refused or given up.
    pub port: u16,
    /// `RTP/AVP`, `RTP/SAVP`, …: as it came, for the answer.
    pub protocol: String,
    /// The payload types, or what a stream of another kind has there: as it came, for the answer.
    pub formats: Vec<String>,
    /// Where it is received. None: a name, or no address; then sound goes where sound comes from.
    pub address: Option<IpAddr>,
    /// Where RTCP is received, if not one port above.
    pub control: Option<SocketAddr>,
    /// RTCP may come on the same port.
    pub mux: bool,
    /// What payload types mean, where it is said.
    pub maps: Vec<Map>,
    /// Which events, by payload type, as `fmtp` says.
    pub direction: Direction,
    /// The packet time it wants to receive.
    pub ptime: Option<Duration>,
    /// The longest packet time it takes.
    pub maxptime: Option<Duration>,
    /// Its keys, in its order.
    pub cryptos: Vec<Crypto>,
}

/// What a payload type means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Map {
    /// The payload type.
    pub kind: u8,
    /// The name, in upper case.
    pub name: String,
    /// The clock.
    pub rate: u32,
    /// Channels.
    pub channels: u8,
}

/// It is no description.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// Too long, or too many streams.
    #[error("the description is too long")]
    TooLong,
    /// A line that has to be there is not, or means nothing.
    #[error("the description has no usable {0} line")]
    Line(&'static str),
}

#[derive(Default)]
struct Level {
    address: Option<Option<IpAddr>>,
    direction: Option<Direction>,
}

/// Reads a description. Lines may end in CR LF or LF.
///
/// # Errors
/// It is none. Lines that are not known are skipped; lines that are known have to be right.
pub fn read(text: &str) -> Result<Description, Unreadable> {
    if text.len() > LONGEST {
        return Err(Unreadable::TooLong);
    }
    let mut lines = text.lines().map(|line| line.trim_end_matches('\r')).filter(|line| !line.is_empty());
    if lines.next() != Some("v=0") {
        return Err(Unreadable::Line("v"));
    }
    let (mut session, mut origin) = (Level::default(), false);
    let mut streams: Vec<Stream> = Vec::new();
    let mut own: Vec<Level> = Vec::new();
    for line in lines {
        let Some((kind, value)) = line.split_once('=') else { return Err(Unreadable::Line("type=value")) };
        match (kind, own.last_mut().zip(streams.last_mut())) {
            ("o", None) => origin = value.split_ascii_whitespace().count() >= 6,
            ("m", _) => {
                if streams.len() >= STREAMS {
                    return Err(Unreadable::TooLong);
                }
                streams.push(media(value).ok_or(Unreadable::Line("m"))?);
                own.push(Level::default());
            }
            ("c", Some((level, _))) => level.address = Some(connection(value).ok_or(Unreadable::Line("c"))?),
            ("c", None) => session.address = Some(connection(value).ok_or(Unreadable::Line("c"))?),
            ("a", Some((level, stream))) => attribute(value, level, Some(stream)),
            ("a", None) => attribute(value, &mut session, None),
            _ => {}
        }
    }
    if !origin {
        return Err(Unreadable::Line("o"));
    }
    for (stream, level) in streams.iter_mut().zip(own) {
        let said = level.address.or(session.address);
        if said.is_none() && stream.port != 0 && stream.medium == "audio" {
            return Err(Unreadable::Line("c"));
        }
        stream.address = said.flatten();
        stream.direction = level.direction.or(session.direction).unwrap_or_default();
    }
    Ok(Description { streams })
}

fn media(value: &str) -> Option<Stream> {
    let mut words = value.split_ascii_whitespace();
    let medium = token(words.next()?)?;
    let (port, count) = match words.next()?.split_once('/') {
        Some((port, count)) => (port.parse().ok()?, count.parse::<u16>().ok()?),
        None => (value.split_ascii_whitespace().nth(1)?.parse().ok()?, 1),
    };
    if count == 0 {
        return None;
    }
    let protocol = token(words.next()?)?;
    let formats: Vec<String> = words.take(KINDS).filter_map(token).collect();
    (!formats.is_empty()).then_some(Stream {
        medium,
        port,
        protocol,
        formats,
        address: None,
        control: None,
        mux: false,
        maps: Vec::new(),
        direction: Direction::Both,
        ptime: None,
        maxptime: None,
        cryptos: Vec::new(),
    })
}

/// What is repeated in an answer is printable and short.
fn token(word: &str) -> Option<String> {
    (word.len() <= 64 && word.bytes().all(|byte| byte.is_ascii_graphic())).then(|| word.to_owned())
}

/// Some(None): a name, or an address that means none (`0.0.0.0`, `::`).
fn connection(value: &str) -> Option<Option<IpAddr>> {
    let mut words = value.split_ascii_whitespace();
    let (net, family, address) = (words.next()?, words.next()?, words.next()?);
    if !net.eq_ignore_ascii_case("IN")
        || !(family.eq_ignore_ascii_case("IP4") || family.eq_ignore_ascii_case("IP6"))
    {
        return None;
    }
    let address = address.split('/').next()?;
    let address: Option<IpAddr> = address.trim_matches(['[', ']']).parse().ok();
    // Group and broadcast addresses would make of one call a flood.
    let usable =
        |at: &IpAddr| !at.is_unspecified() && !at.is_multicast() && *at != IpAddr::V4(Ipv4Addr::BROADCAST);
    Some(address.filter(usable))
}

fn attribute(value: &str, level: &mut Level, stream: Option<&mut Stream>) {
    let (name, value) = value.split_once(':').unwrap_or((value, ""));
    let value = value.trim();
    let direction = match name {
        "sendrecv" => Some(Direction::Both),
        "sendonly" => Some(Direction::Send),
        "recvonly" => Some(Direction::Receive),
        "inactive" => Some(Direction::None),
        _ => None,
    };
    level.direction = direction.or(level.direction);
    let Some(stream) = stream else { return };
    match name {
        "rtpmap" if stream.maps.len() < KINDS => stream.maps.extend(map(value)),
        "ptime" => stream.ptime = milliseconds(value),
        "maxptime" => stream.maxptime = milliseconds(value),
        "rtcp-mux" => stream.mux = true,
        "rtcp" => stream.control = control(value),
        "crypto" if stream.cryptos.len() < CRYPTOS => stream.cryptos.extend(Crypto::read(value)),
        _ => {}
    }
}

/// `96 opus/48000/2`
fn map(value: &str) -> Option<Map> {
    let (kind, meaning) = value.split_once(' ')?;
    let mut parts = meaning.trim().split('/');
    let kind = kind.parse().ok().filter(|kind| *kind < 128)?;
    let name = parts.next().filter(|name| name.len() <= 32)?.to_ascii_uppercase();
    let rate = parts.next()?.parse().ok()?;
    let channels = parts.next().map_or(Some(1), |channels| channels.parse().ok())?;
    Some(Map { kind, name, rate, channels })
}

/// Also `20.0`, which some send. None: it is no time that packets have.
fn milliseconds(value: &str) -> Option<Duration> {
    let time: f64 = value.parse().ok()?;
    (1.0..=1000.0).contains(&time).then(|| Duration::from_micros((time * 1000.0) as u64))
}

/// `53020` or `53020 IN IP4 126.16.64.4` (RFC 3605). The address is that of the stream where none is said.
fn control(value: &str) -> Option<SocketAddr> {
    let (port, rest) = value.split_once(' ').unwrap_or((value, ""));
    let port = port.parse().ok().filter(|port| *port != 0)?;
    let address = if rest.is_empty() { None } else { connection(rest).flatten() };
    Some(SocketAddr::new(address.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED)), port))
}

impl Stream {
    /// What payload type `kind` means: as it says, or as RFC 3551 does.
    pub fn meaning(&self, kind: u8) -> Option<(&str, u32)> {
        if let Some(map) = self.maps.iter().find(|map| map.kind == kind) {
            return (map.channels == 1).then_some((map.name.as_str(), map.rate));
        }
        match kind {
            0 => Some(("PCMU", 8000)),
            8 => Some(("PCMA", 8000)),
            9 => Some(("G722", 8000)),
            _ => None,
        }
    }

    /// The payload types, in its order.
    pub fn kinds(&self) -> impl Iterator<Item = u8> + '_ {
        self.formats.iter().filter_map(|format| format.parse().ok()).filter(|kind| *kind < 128)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const OFFER: &str = "v=0\r\no=- 100 1 IN IP4 10.0.0.1\r\ns=-\r\nc=IN IP4 10.0.0.1\r\nt=0 0\r\n\
        m=audio 30000 RTP/AVP 0 8 101\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\n\
        a=fmtp:101 0-15\r\na=ptime:20\r\na=sendonly\r\n";

    #[test]
    fn an_offer_is_read() {
        let read = read(OFFER).expect("readable");
        let audio = &read.streams[0];
        assert_eq!((audio.port, audio.address), (30_000, Some("10.0.0.1".parse().expect("an address"))));
        assert_eq!(audio.kinds().collect::<Vec<_>>(), [0, 8, 101]);
        assert_eq!(audio.meaning(8), Some(("PCMA", 8000)));
        assert_eq!(audio.meaning(101), Some(("TELEPHONE-EVENT", 8000)));
        assert_eq!((audio.direction, audio.ptime), (Direction::Send, Some(Duration::from_millis(20))));
    }

    #[test]
    fn line_ends_of_lf_and_unknown_lines_are_taken() {
        let text =
            OFFER.replace("\r\n", "\n").replace("t=0 0\n", "t=0 0\nx=odd\na=odd:1\nb=AS:64\nk=clear:x\n");
        assert_eq!(read(&text).expect("readable"), read(OFFER).expect("readable"));
    }

    #[test]
    fn addresses_of_all_kinds() {
        let with =
            |line: &str| read(&OFFER.replace("c=IN IP4 10.0.0.1", line)).map(|read| read.streams[0].address);
        assert_eq!(with("c=IN IP6 ::1"), Ok(Some("::1".parse().expect("an address"))));
        assert_eq!(with("c=IN IP4 0.0.0.0"), Ok(None));
        assert_eq!(with("c=IN IP4 224.2.1.1/127/3"), Ok(None), "a group");
        assert_eq!(with("c=IN IP4 255.255.255.255"), Ok(None));
        assert_eq!(with("c=IN IP4 host.example"), Ok(None));
        assert_eq!(with("c=ATM x y"), Err(Unreadable::Line("c")));
        assert_eq!(with("b=AS:1"), Err(Unreadable::Line("c")));
    }

    #[test]
    fn what_is_no_description_is_refused() {
        assert_eq!(read(""), Err(Unreadable::Line("v")));
        assert_eq!(read("v=1\r\n"), Err(Unreadable::Line("v")));
        assert_eq!(read("v=0\r\ns=-\r\n"), Err(Unreadable::Line("o")));
        assert_eq!(read(&OFFER.replace("m=audio 30000", "m=audio 99999")), Err(Unreadable::Line("m")));
        assert_eq!(
            read(&OFFER.replace("m=audio 30000 RTP/AVP 0 8 101", "m=audio 1")),
            Err(Unreadable::Line("m"))
        );
        assert_eq!(read(&format!("{OFFER}{}", "a=x\r\n".repeat(20_000))), Err(Unreadable::TooLong));
        assert_eq!(
            read(&format!("{OFFER}{}", "m=audio 1 RTP/AVP 0\r\n".repeat(40))),
            Err(Unreadable::TooLong)
        );
    }

    #[test]
    fn odd_packet_times_are_left_out() {
        for (line, time) in
            [("a=ptime:0", None), ("a=ptime:NaN", None), ("a=ptime:1e9", None), ("a=ptime:30.0", Some(30))]
        {
            let read = read(&OFFER.replace("a=ptime:20", line)).expect("readable");
            assert_eq!(read.streams[0].ptime, time.map(Duration::from_millis), "{line}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "\\PC{0,300}") {
            let _ = read(&text);
        }

        #[test]
        fn a_damaged_offer_is_read_or_refused(at in 0usize..OFFER.len(), with in "\\PC{0,8}", cut in 0usize..20) {
            let end = (at + cut).min(OFFER.len());
            let text = format!("{}{with}{}", &OFFER[..at], &OFFER[end..]);
            if let Ok(description) = read(&text) {
                prop_assert!(description.streams.len() <= STREAMS);
                prop_assert!(description.streams.iter().all(|stream| stream.formats.len() <= KINDS));
            }
        }
    }
}
