//! Messages that were damaged by chance, through the gate, the parser and everything that reads a header field. Nothing breaks,
//! and nothing of them is kept.
//!
//! The same messages each time. `VOICE_MUTATIONS=100000` for as many as that, with the memory weighed.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use rsipstack::sip::{Header, SipMessage, Transport};

use super::torture::{Everybody, invite, options, request};
use super::{Passed, pass};
use crate::call::Began;
use crate::sip::digest::{Account, Challenger};
use crate::sip::frag::News;
use crate::sip::leg::Replaces;
use crate::sip::timer::{Asked, least};
use crate::target::read;

/// Chance with a seed (xorshift).
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % end.max(1) as u64).unwrap_or(0)
    }

    fn part(&mut self, length: usize) -> std::ops::Range<usize> {
        let from = self.below(length);
        from..(from + 1 + self.below(24)).min(length)
    }
}

/// What is put into a message where it does not belong.
const PIECES: [&[u8]; 24] = [
    b"\r\n",
    b"\r\n\r\n",
    b"\r\n ",
    b"\0",
    b"\xff\xfe",
    b"\"",
    b"\\",
    b"<",
    b">",
    b";",
    b",",
    b"=",
    b"%00",
    b"%",
    b"?Replaces=a%3Bto-tag%3D1",
    b";tag=",
    b"99999999999999999999",
    b"-1",
    b"SIP/2.0",
    b"Via: SIP/2.0/UDP x;branch=z9hG4bK",
    b"[::1",
    b"sips:",
    "\u{202e}é".as_bytes(),
    b"                                                                ",
];

fn damage(message: &mut Vec<u8>, dice: &mut Dice) {
    let length = message.len();
    match dice.below(8) {
        0 => message[dice.below(length)] ^= 1 << dice.below(8),
        1 => message.truncate(dice.below(length)),
        2 => drop(message.drain(dice.part(length))),
        3 => {
            let part = message[dice.part(length)].to_vec();
            let at = dice.below(length);
            message.splice(at..at, part);
        }
        4 => {
            let (a, b) = (dice.below(length), dice.below(length));
            message.swap(a, b);
        }
        5 => message[dice.below(length)] = u8::try_from(dice.below(256)).unwrap_or(0),
        6 => {
            let many = message[dice.part(length)].repeat(1 + dice.below(200));
            let at = dice.below(length);
            message.splice(at..at, many);
        }
        _ => {
            let (piece, at) = (PIECES[dice.below(PIECES.len())], dice.below(length));
            message.splice(at..at, piece.iter().copied());
        }
    }
    if message.is_empty() {
        message.push(b'S');
    }
}

/// Messages as they are in calls, and those of RFC 4475 where they are at hand.
fn messages() -> Vec<Vec<u8>> {
    let sdp = "v=0\r\no=- 1 1 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0 8 101\r\n\
               a=rtpmap:101 telephone-event/8000\r\na=sendrecv\r\n";
    let with_sdp = format!("Content-Type: application/sdp\r\nContent-Length: {}\r\n", sdp.len());
    let authorization = "Authorization: Digest username=\"a\", realm=\"r\", nonce=\"1-2\", uri=\"sip:b\", response=\"0\", \
                         algorithm=SHA-256, qop=auth, nc=00000001, cnonce=\"c\"\r\n";
    let response = "SIP/2.0 422 Too Small\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=1\r\n\
                    To: <sip:b@b>;tag=2\r\nCall-ID: 1\r\nCSeq: 1 INVITE\r\nMin-SE: 90\r\nContent-Length: 0\r\n\r\n";
    let notify = "Event: refer;id=2\r\nSubscription-State: active;expires=60\r\nContent-Type: message/sipfrag\r\nContent-Length: 14\r\n";
    let mut all: Vec<Vec<u8>> = [
        invite(&with_sdp) + sdp,
        invite(&format!("Session-Expires: 1800;refresher=uas\r\nReplaces: a@h;to-tag=1;from-tag=2\r\n{with_sdp}")) + sdp,
        invite(authorization),
        options("From: \"A, \\\" B\" <sip:a@b;x=y>;tag=1\r\nVia: SIP/2.0/UDP a;branch=z9hG4bK1, SIP/2.0/TCP b\r\n"),
        request("REFER sip:b@example.com SIP/2.0", "Refer-To: <sip:c@d?Replaces=a%3Bto-tag%3D1%3Bfrom-tag%3D2>\r\n"),
        request("NOTIFY sip:b@example.com SIP/2.0", notify) + "SIP/2.0 200 OK",
        response.into(),
    ]
    .map(String::into_bytes)
    .to_vec();
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/sip/rfc4475");
    let files = std::fs::read_dir(&folder).into_iter().flatten().filter_map(|file| Some(file.ok()?.path()));
    let mut files: Vec<PathBuf> =
        files.filter(|path| path.extension().is_some_and(|it| it == "dat")).collect();
    files.sort();
    all.extend(files.iter().filter_map(|path| std::fs::read(path).ok()));
    all
}

/// Everything that reads what the gate lets through.
fn read_all(plain: &[u8], from: SocketAddr, challenger: &Challenger, account: &Account) {
    let Ok(message) = SipMessage::try_from(plain) else { return };
    match &message {
        SipMessage::Request(request) => {
            let _ = (Began::of(request, from, Transport::Udp), News::of(request), Replaces::of(request));
            let _ = Asked::of(request.headers.iter()).as_called();
            for header in request.headers.iter() {
                if let Header::Authorization(value) = header {
                    let _ = challenger.check(value.value(), account, "r", "INVITE", 1);
                }
                let _ = read(header.value(), None);
            }
            let _ = crate::gateway::offer(request);
        }
        SipMessage::Response(response) => {
            let _ = (Asked::of(response.headers.iter()).as_caller(), least(response.headers.iter()));
        }
    }
    let _ = message.to_bytes();
}

/// Resident memory, bytes.
fn resident() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/statm").ok()?;
    Some(text.split(' ').nth(1)?.parse::<u64>().ok()? * 4_096)
}

#[test]
fn nothing_comes_of_damaged_messages() {
    let asked = std::env::var("VOICE_MUTATIONS").ok().and_then(|many| many.parse::<usize>().ok());
    let from = SocketAddr::from(([192, 0, 2, 9], 5060));
    let challenger = Challenger::new().expect("randomness");
    let account = Account { username: "a".into(), password: "b".to_owned().into() };
    let (messages, mut dice) = (messages(), Dice(0x5349_5020_4475));
    let mut came = [0_usize; 3];
    let mut run = |many: usize| {
        for no in 0..many {
            let mut message = messages[no % messages.len()].clone();
            for _ in 0..=dice.below(4) {
                damage(&mut message, &mut dice);
            }
            match pass(&message, from, &Everybody, Duration::ZERO) {
                Passed::On(plain) => {
                    came[0] += 1;
                    read_all(&plain, from, &challenger, &account);
                }
                Passed::Answer(answer, _) => {
                    came[1] += 1;
                    assert!(answer.starts_with(b"SIP/2.0 "), "an answer is a message");
                }
                Passed::Dropped => came[2] += 1,
            }
        }
    };
    run(3_000);
    let Some(many) = asked else {
        return assert!(came.iter().all(|count| *count > 100), "{came:?}");
    };
    let before = resident();
    run(many);
    if let (Some(before), Some(after)) = (before, resident()) {
        assert!(after.saturating_sub(before) < 1 << 20, "{before} bytes became {after}; {came:?}");
    }
}
