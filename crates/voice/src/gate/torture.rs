//! RFC 4475, row by row. Each row here is written from what the RFC says of its message, not copied from it; the RFC's own
//! messages are tried as well where they are at hand (`../shared/sip/rfc4475`).

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use rsipstack::sip::SipMessage;

use super::{Door, Passed, Refusal, pass};
use crate::gate::raw::Raw;

pub(crate) struct Everybody;

impl Door for Everybody {
    fn admit(&self, _: &Raw<'_>, _: SocketAddr, _: Duration) -> Result<(), Refusal> {
        Ok(())
    }
}

fn peer() -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 9], 5060))
}

/// What comes of it: `on`, `dropped`, or the code of the answer.
fn came(bytes: &[u8]) -> String {
    match pass(bytes, peer(), &Everybody, Duration::ZERO) {
        Passed::On(plain) => {
            SipMessage::try_from(&plain[..]).expect("the stack reads what the gate lets through");
            "on".into()
        }
        Passed::Dropped => "dropped".into(),
        Passed::Answer(answer, _) => {
            let text = String::from_utf8(answer).expect("text");
            SipMessage::try_from(text.as_str()).expect("an answer is a message");
            text.split(' ').nth(1).expect("a code").to_owned()
        }
    }
}

const VIA: &str = "Via: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bKkdj\r\n";

/// A request of which one line is other than it should be.
pub(super) fn request(first: &str, lines: &str) -> String {
    let method = first.split(' ').next().unwrap_or_default();
    let mut text = format!("{first}\r\n");
    let defaults = [
        ("Via:", VIA.to_owned()),
        ("Max-Forwards:", "Max-Forwards: 70\r\n".into()),
        ("From:", "From: <sip:a@example.net>;tag=1\r\n".into()),
        ("To:", "To: <sip:b@example.com>\r\n".into()),
        ("Call-ID:", "Call-ID: c1@192.0.2.9\r\n".into()),
        ("CSeq:", format!("CSeq: 8 {method}\r\n")),
        ("Contact:", "Contact: <sip:a@192.0.2.9>\r\n".into()),
        ("Content-Length:", "Content-Length: 0\r\n".into()),
    ];
    for (name, line) in defaults {
        // A field that is given stands in for its default; `-Name:` leaves it out.
        if !lines.split("\r\n").any(|given| given.starts_with(name) || given == format!("-{name}")) {
            text.push_str(&line);
        }
    }
    lines.split_inclusive("\r\n").filter(|line| !line.starts_with('-')).for_each(|line| text.push_str(line));
    text + "\r\n"
}

pub(super) fn options(lines: &str) -> String {
    request("OPTIONS sip:b@example.com SIP/2.0", lines)
}

pub(super) fn invite(lines: &str) -> String {
    request("INVITE sip:b@example.com SIP/2.0", lines)
}

#[test]
fn valid_messages_go_on() {
    let long = format!("X-Long: {}\r\n", "v".repeat(4_000));
    for (what, message) in [
        ("an odd but valid INVITE", invite("From   : \"J \\\\\\\"\"  <sip:a@b>\r\n  ;\r\n  tag = 98\r\nMax-Forwards: 0068\r\nCSeq: 0009\r\n  INVITE\r\nVia  : SIP  /   2.0\r\n /UDP\r\n    192.0.2.2;branch=390skdjuw\r\n-Via:\r\n-From:\r\ns :\r\n")),
        ("escapes", request("INVITE sip:sips%3Auser%40example.com@example.net SIP/2.0", "To: sip:%75se%72@example.com\r\nContact:\r\n  <sip:cal%6Cer@192.0.2.9;%6C%72;n%61me=v%61lue%25%34%31>\r\n-Contact:\r\n")),
        ("no space before an address", options("From: caller<sip:caller@example.com>;tag=3\r\n")),
        ("a long message", options(&long)),
        ("a semicolon in the user part", request("OPTIONS sip:user;par=u%40example.net@example.com SIP/2.0", "To: sip:j_user@example.com\r\n")),
        ("every kind of transport", options("Via: SIP/2.0/UDP a;branch=z9hG4bK1\r\nVia: SIP/2.0/SCTP b;branch=z9hG4bK2\r\nVia: SIP/2.0/UNKNOWN c;branch=z9hG4bK3\r\nVia: SIP/2.0/TLS d;branch=z9hG4bK4\r\n")),
        ("a branch that is the cookie alone", options("Via: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK\r\n")),
        ("the last hop", options("Max-Forwards: 0\r\n")),
        ("compact names", options("f: <sip:a@example.net>;tag=1\r\n-From:\r\nt: <sip:b@example.com>\r\n-To:\r\ni: c2\r\n-Call-ID:\r\nv: SIP/2.0/UDP h;branch=z9hG4bK7\r\n-Via:\r\nl: 0\r\n-Content-Length:\r\n")),
        ("something behind the message", options("") + "INVITE sip:joe@example.com SIP/2.0\r\n"),
        ("no phrase", "SIP/2.0 100 \r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:b@b>;tag=2\r\nCall-ID: 1\r\nCSeq: 1 INVITE\r\nContent-Length: 0\r\n\r\n".into()),
        ("an unusual phrase", "SIP/2.0 200 = 2**3 * 5**2 \u{43d}\u{43e}\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:b@b>;tag=2\r\nCall-ID: 1\r\nCSeq: 1 INVITE\r\nContent-Length: 0\r\n\r\n".into()),
        ("one of RFC 2543", invite("Via: SIP/2.0/UDP iftgw.example.com\r\nFrom: <sip:+13035551111@ift.example.net;user=phone>\r\nTo: sip:+16505552222@ss1.example.net;user=phone\r\n-Contact:\r\n-Max-Forwards:\r\n-Content-Length:\r\n")),
        ("an IPv6 Contact and a tel: From", invite("From: <tel:+15551234>;tag=1\r\nContact: <sip:a@[2001:db8::9]:5070>\r\n")),
    ] {
        assert_eq!(came(message.as_bytes()), "on", "{what}: {message}");
    }
}

#[test]
fn what_must_be_refused_is_refused() {
    for (code, message) in [
        (
            "405",
            request(
                "!interesting-Method0123456789_*+`.%indeed'~ sip:1_unusual.URI~(to-be!sure)@example.com SIP/2.0",
                "",
            ),
        ),
        ("405", request("RE%47IST%45R sip:b@example.com SIP/2.0", "")),
        ("405", request("REGISTER sip:null-%00-null@example.com SIP/2.0", "")),
        ("405", request("MESSAGE sip:b@example.com SIP/2.0", "")),
        ("400", invite("Via: SIP/2.0/UDP 192.0.2.9;;,;,,\r\n")),
        ("400", invite("Contact: \"Joe\" <sip:joe@example.org>;;;;\r\n")),
        ("400", invite("Content-Length: 9999\r\n")),
        ("400", invite("Content-Length: -999\r\n")),
        ("400", options("CSeq: 36893488147419103232 OPTIONS\r\n")),
        ("400", options("Max-Forwards: 300\r\n")),
        ("400", options("To: \"Mr. J. User <sip:b@example.com>\r\n")),
        ("400", request("INVITE <sip:user@example.com> SIP/2.0", "")),
        ("400", request("INVITE sip:user@example.com; lr SIP/2.0", "")),
        ("400", request("INVITE  sip:user@example.com  SIP/2.0", "CSeq: 8 INVITE\r\n")),
        ("400", request("OPTIONS sip:remote-target@example.com SIP/2.0  ", "")),
        ("400", request("INVITE sip:user@example.com?Route=%3Csip:example.com%3E SIP/2.0", "")),
        ("400", invite("Date: Fri, 01 Jan 2010 16:00:00 EST\r\n")),
        ("400", invite("Contact: sip:user@example.com?Route=%3Csip:sip.example.com%3E\r\n")),
        ("400", options("To: \"Watson, Thomas\" < sip:t.watson@example.org >\r\n")),
        ("400", options("From: Bell, Alexander <sip:a.g.bell@example.com>;tag=43\r\n")),
        ("505", request("OPTIONS sip:b@example.com SIP/7.0", "")),
        ("400", options("CSeq: 8 INVITE\r\n")),
        ("400", request("NEWMETHOD sip:b@example.com SIP/2.0", "CSeq: 8 INVITE\r\n")),
        ("400", invite("-From:\r\n-To:\r\n-Call-ID:\r\n")),
        ("416", request("OPTIONS nobodyKnowsThisScheme:totallyopaquecontent SIP/2.0", "")),
        ("416", request("OPTIONS soap.beep://192.0.2.103:3002 SIP/2.0", "")),
        ("420", options("Require: nothingSupportsThis, timer\r\n")),
        ("400", invite("CSeq: 8 INVITE\r\nCSeq: 59 INVITE\r\n")),
        ("400", options("Content-Length: 0\r\nContent-Length: 3\r\n")),
        ("406", invite("Accept: text/nobodyKnowsThis\r\n")),
        ("415", invite("Content-Type: application/unknownformat\r\nContent-Length: 2\r\n") + "hi"),
        (
            "415",
            invite("Content-Type: application/sdp\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n") + "hi",
        ),
        ("400", invite("-Contact:\r\n")),
        ("400", invite("this line is no field\r\n")),
        ("513", options(&format!("X-Long: {}\r\n", "v".repeat(12_000)))),
    ] {
        assert_eq!(came(message.as_bytes()), code, "{message}");
    }
}

#[test]
fn what_cannot_be_answered_is_dropped() {
    let response = |first: &str, cseq: &str| {
        format!(
            "{first}\r\n{VIA}From: <sip:a@b>;tag=1\r\nTo: <sip:b@b>;tag=2\r\nCall-ID: 1\r\nCSeq: {cseq}\r\nContent-Length: 0\r\n\r\n"
        )
    };
    for message in [
        response("SIP/2.0 4294967301 better not break the receiver", "1 INVITE"),
        response("SIP/2.0 503 x", "9292394834772304023312 OPTIONS"),
        response("SIP/2.0 200 OK", "1 INVITE")
            .replace(VIA, &format!("{VIA}Via: SIP/2.0/UDP 255.255.255.255;branch=z9hG4bK1\r\n")),
        request("ACK sip:b@example.com SIP/2.0", "CSeq: 8 INVITE\r\n"),
        request("ACK sip:b@example.com SIP/7.0", ""),
        "\r\n\r\n\r\n\r\n".into(),
        options("").replace("\r\n", "\n"),
    ] {
        assert_eq!(came(message.as_bytes()), "dropped", "{message}");
    }
}

/// What RFC 4475 says is to come of each of its messages at a user agent that takes calls and registers nobody.
const ROWS: [(&str, &[&str]); 49] = [
    ("wsinv", &["on"]),
    ("intmeth", &["405", "501"]),
    ("esc01", &["on"]),
    ("escnull", &["405"]),
    ("esc02", &["405", "501"]),
    ("lwsdisp", &["on"]),
    ("longreq", &["on"]),
    ("dblreq", &["405"]),
    ("semiuri", &["on"]),
    ("transports", &["on"]),
    ("mpart01", &["405"]),
    ("unreason", &["on"]),
    ("noreason", &["on"]),
    ("badinv01", &["400"]),
    ("clerr", &["400"]),
    ("ncl", &["400"]),
    ("scalar02", &["400"]),
    ("scalarlg", &["dropped"]),
    ("quotbal", &["400"]),
    ("ltgtruri", &["400"]),
    ("lwsruri", &["400"]),
    ("lwsstart", &["400"]),
    ("trws", &["400"]),
    ("escruri", &["400"]),
    ("baddate", &["400"]),
    ("regbadct", &["400"]),
    ("badaspec", &["400"]),
    ("baddn", &["400"]),
    ("badvers", &["505"]),
    ("mismatch01", &["400"]),
    ("mismatch02", &["400", "501"]),
    ("bigcode", &["dropped"]),
    ("badbranch", &["on"]),
    ("insuf", &["400"]),
    ("unkscm", &["416"]),
    ("novelsc", &["416"]),
    ("unksm2", &["405"]),
    ("bext01", &["420"]),
    ("invut", &["415"]),
    ("regaut01", &["405"]),
    ("multi01", &["400"]),
    ("mcl01", &["400"]),
    ("bcast", &["dropped"]),
    ("zeromf", &["on"]),
    ("cparam01", &["405"]),
    ("cparam02", &["405"]),
    ("regescrt", &["405"]),
    ("sdp01", &["406"]),
    ("inv2543", &["on"]),
];

#[test]
fn the_standard_s_own_messages() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/sip/rfc4475");
    if !folder.is_dir() {
        eprintln!("skipped: the_standard_s_own_messages: {} is not here", folder.display());
        return;
    }
    let mut wrong = Vec::new();
    for (name, allowed) in ROWS {
        let bytes = std::fs::read(folder.join(name).with_extension("dat")).expect(name);
        let came = came(&bytes);
        if !allowed.contains(&came.as_str()) {
            wrong.push(format!("{name}: {came}, not {allowed:?}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(2_000))]

    /// Whatever comes, nothing breaks, and what goes on can be read.
    #[test]
    fn nothing_breaks_it(message in 0_usize..4, at in 0_usize..600, byte: u8, cut in 0_usize..600) {
        let mut bytes = match message {
            0 => invite("Content-Type: application/sdp\r\nContent-Length: 3\r\n") + "v=0",
            1 => options("From: \"A, \\\" B\" <sip:a@b;x=y>;tag=1\r\nVia: SIP/2.0/UDP a;branch=z9hG4bK1, SIP/2.0/TCP b\r\n"),
            2 => "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:b@b>;tag=2\r\nCall-ID: 1\r\nCSeq: 1 INVITE\r\n\r\n".into(),
            _ => request("REFER sip:b@example.com SIP/2.0", "Refer-To: <sip:c@d?Replaces=a%3Bb>\r\n"),
        }.into_bytes();
        let length = bytes.len();
        bytes[at % length] = byte;
        bytes.truncate(length - cut % length);
        let _ = pass(&bytes, peer(), &Everybody, Duration::ZERO);
    }
}
