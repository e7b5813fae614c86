use proptest::prelude::*;

use super::*;

fn talks(srtp: Srtp, codecs: &[Codec]) -> Talks {
    let local = Local {
        address: "192.0.2.9".parse().expect("an address"),
        port: 20_000,
        codecs: codecs.to_vec(),
        events: true,
        srtp,
        ptime: None,
    };
    Talks::new(local, 42)
}

fn plain() -> Talks {
    talks(Srtp::Off, &[Codec::Pcma, Codec::Pcmu, Codec::G722])
}

fn offer(media: &str) -> String {
    format!("v=0\r\no=- 1 1 IN IP4 10.0.0.1\r\ns=-\r\nc=IN IP4 10.0.0.1\r\nt=0 0\r\n{media}")
}

const AUDIO: &str = "m=audio 30000 RTP/AVP 0 8 18 96\r\na=rtpmap:96 telephone-event/8000\r\n";

fn at(text: &str) -> Option<SocketAddr> {
    Some(text.parse().expect("an address"))
}

#[test]
fn an_answer_keeps_the_offers_order_and_numbers() {
    let mut talks = plain();
    let answer = talks.answer(&offer(AUDIO)).expect("agreed");
    assert_eq!(
        answer,
        "v=0\r\no=- 42 1 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\n\
         m=audio 20000 RTP/AVP 0 8 96\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\n\
         a=rtpmap:96 telephone-event/8000\r\na=fmtp:96 0-15\r\na=ptime:20\r\na=sendrecv\r\n"
    );
    let terms = talks.terms().expect("terms");
    assert_eq!(terms.send, [(0, Codec::Pcmu), (8, Codec::Pcma)]);
    assert_eq!((terms.events, terms.remote), (Some((96, 96)), at("10.0.0.1:30000")));
    assert_eq!((terms.control, terms.held), (at("10.0.0.1:30001"), false));
}

#[test]
fn other_streams_are_refused_in_their_order() {
    let media = format!(
        "m=video 5000 RTP/AVP 97\r\na=rtpmap:97 H264/90000\r\n{AUDIO}m=audio 6000 RTP/AVP 0\r\nm=image 7000 udptl t38\r\n"
    );
    let mut talks = plain();
    let answer = talks.answer(&offer(&media)).expect("agreed");
    let lines: Vec<_> = answer.lines().filter(|line| line.starts_with("m=")).collect();
    assert_eq!(
        lines,
        [
            "m=video 0 RTP/AVP 97",
            "m=audio 20000 RTP/AVP 0 8 96",
            "m=audio 0 RTP/AVP 0",
            "m=image 0 udptl t38"
        ]
    );
    let again = talks.offer();
    assert_eq!(again.lines().filter(|line| line.starts_with("m=")).count(), 4, "a new offer has as many");
}

#[test]
fn the_number_rises_only_with_a_change() {
    let mut talks = plain();
    let first = talks.answer(&offer(AUDIO)).expect("agreed");
    assert_eq!(talks.answer(&offer(AUDIO)).expect("agreed"), first);
    let held = talks.answer(&offer(&format!("{AUDIO}a=sendonly\r\n"))).expect("agreed");
    assert!(held.contains("o=- 42 2 ") && held.contains("a=recvonly"), "{held}");
    let back = talks.answer(&offer(AUDIO)).expect("agreed");
    assert!(back.contains("o=- 42 3 ") && back.contains("a=sendrecv"), "{back}");
    assert_eq!(talks.current(), Some(back.as_str()));
}

#[test]
fn hold_in_all_its_forms() {
    for (media, ours, held) in [
        (format!("{AUDIO}a=sendonly\r\n"), Direction::Receive, true),
        (format!("{AUDIO}a=inactive\r\n"), Direction::None, true),
        (format!("{AUDIO}a=recvonly\r\n"), Direction::Send, false),
        (format!("{AUDIO}c=IN IP4 0.0.0.0\r\n"), Direction::Receive, true),
        (format!("{AUDIO}c=IN IP4 0.0.0.0\r\na=inactive\r\n"), Direction::None, true),
    ] {
        let mut talks = plain();
        talks.answer(&offer(&media)).expect("agreed");
        let terms = talks.terms().expect("terms");
        assert_eq!((terms.direction, terms.held), (ours, held), "{media}");
    }
}

#[test]
fn our_own_hold_and_its_end() {
    let mut talks = plain();
    talks.answer(&offer(AUDIO)).expect("agreed");
    talks.hold = true;
    let ours = talks.offer();
    assert!(ours.contains("a=sendonly"), "{ours}");
    talks.accept(&offer(&format!("{AUDIO}a=recvonly\r\n"))).expect("agreed");
    assert_eq!(talks.terms().map(|terms| (terms.direction, terms.held)), Some((Direction::Send, false)));
    talks.hold = false;
    assert!(talks.offer().contains("a=sendrecv"));
    talks.reject();
    assert_eq!(talks.terms().map(|terms| terms.direction), Some(Direction::Send), "what was in force stays");
}

#[test]
fn an_offer_and_its_answers() {
    let mut talks = plain();
    assert_eq!(talks.accept(&offer(AUDIO)), Err(SdpError::NoOffer));
    let ours = talks.offer();
    assert!(ours.contains("m=audio 20000 RTP/AVP 8 0 9 101\r\n"), "{ours}");
    talks.accept(&offer(AUDIO)).expect("agreed");
    let terms = talks.terms().cloned().expect("terms");
    assert_eq!(terms.send, [(0, Codec::Pcmu), (8, Codec::Pcma)], "the answer's order");
    assert_eq!(terms.events, Some((96, 101)), "each side's own number");
    assert_eq!(talks.current(), Some(ours.as_str()));
    let moved = offer(&AUDIO.replace("30000", "31000"));
    talks.accept(&moved).expect("agreed again: 183, then 200");
    assert_eq!(talks.terms().and_then(|terms| terms.remote), at("10.0.0.1:31000"));
    let refused = offer("m=audio 0 RTP/AVP 0\r\n");
    assert_eq!(talks.accept(&refused), Err(SdpError::NoCommonCodec));
}

#[test]
fn nothing_in_common_is_488_and_nonsense_400() {
    let status = |talks: &mut Talks, text: &str| talks.answer(text).expect_err("refused").status();
    assert_eq!(status(&mut plain(), &offer("m=audio 30000 RTP/AVP 18\r\n")), 488);
    assert_eq!(status(&mut plain(), &offer("m=audio 0 RTP/AVP 0\r\n")), 488);
    assert_eq!(status(&mut plain(), &offer("")), 488);
    assert_eq!(status(&mut plain(), &offer("m=audio 1 UDP/TLS/RTP/SAVP 0\r\n")), 488);
    assert_eq!(status(&mut plain(), "hello"), 400);
    assert_eq!(status(&mut talks(Srtp::Required, &[Codec::Pcmu]), &offer(AUDIO)), 488);
    assert_eq!(status(&mut plain(), &offer("m=audio 1 RTP/AVP 96\r\na=rtpmap:96 PCMU/16000\r\n")), 488);
    assert_eq!(
        status(&mut plain(), &offer("m=audio 1 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000/2\r\n")),
        488,
        "stereo"
    );
}

#[test]
fn packet_times() {
    for (line, frame) in [
        ("", 20),
        ("a=ptime:30\r\n", 30),
        ("a=ptime:60\r\na=maxptime:40\r\n", 40),
        ("a=ptime:5\r\n", 10),
        ("a=ptime:200\r\n", 20),
        ("a=ptime:25\r\n", 20),
    ] {
        let mut talks = plain();
        talks.answer(&offer(&format!("{AUDIO}{line}"))).expect("agreed");
        assert_eq!(talks.terms().map(|terms| terms.frame.as_millis()), Some(frame), "{line}");
    }
}

#[test]
fn keys_are_exchanged() {
    let codecs = [Codec::Pcmu];
    for policy in [Srtp::Optional, Srtp::Required] {
        let (mut caller, mut called) = (talks(policy, &codecs), talks(policy, &codecs));
        let offer = caller.offer();
        assert!(
            offer.contains("RTP/SAVP") && offer.contains("a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:"),
            "{offer}"
        );
        let answer = called.answer(&offer).expect("agreed");
        caller.accept(&answer).expect("agreed");
        let keys = |talks: &Talks| talks.terms().and_then(|terms| terms.keys.clone()).expect("keys");
        let (one, other) = (keys(&caller), keys(&called));
        assert_eq!((&one.send, &one.receive), (&other.receive, &other.send));
        assert_ne!(one.send, one.receive);
        assert_eq!(called.answer(&offer).expect("agreed"), answer, "the same key, asked again");
        assert_eq!(caller.accept(&answer.replace("a=crypto:1", "a=crypto:7")), Err(SdpError::SrtpRequired));
    }
    let sealed = talks(Srtp::Required, &codecs).offer();
    assert_eq!(plain().answer(&sealed), Err(SdpError::NoCommonCodec), "off is off");
    let mut both = talks(Srtp::Optional, &codecs);
    assert!(both.answer(&offer(AUDIO)).expect("agreed").contains("RTP/AVP"));
}

#[test]
fn six_is_written_as_six() {
    let mut talks = plain();
    talks.local.address = "2001:db8::1".parse().expect("an address");
    let text = offer(AUDIO).replace("c=IN IP4 10.0.0.1", "c=IN IP6 2001:db8::2");
    let answer = talks.answer(&text).expect("agreed");
    assert!(
        answer.contains("c=IN IP6 2001:db8::1\r\n") && answer.contains("o=- 42 1 IN IP6 2001:db8::1"),
        "{answer}"
    );
    assert_eq!(talks.terms().and_then(|terms| terms.remote), at("[2001:db8::2]:30000"));
}

proptest! {
    #[test]
    fn whatever_is_offered_the_answer_is_readable(cut in 0usize..120, with in "\\PC{0,12}", more in proptest::collection::vec("[mac]=\\PC{0,30}", 0..8)) {
        let mut text = offer(AUDIO);
        let place = (0..=cut.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or_default();
        text.insert_str(place, &with);
        text.push_str(&more.join("\r\n"));
        for srtp in [Srtp::Off, Srtp::Optional] {
            let mut talks = talks(srtp, &[Codec::Pcmu]);
            if let Ok(answer) = talks.answer(&text) {
                let (ours, theirs) = (read::read(&answer).expect("ours is readable"), read::read(&text).expect("theirs"));
                prop_assert_eq!(ours.streams.len(), theirs.streams.len());
                let taken: Vec<_> = ours.streams.iter().filter(|stream| stream.port != 0).collect();
                prop_assert_eq!(taken.len(), 1);
            }
            let _ = talks.offer();
            let _ = talks.accept(&text);
        }
    }
}

/// Descriptions as they are met, for damage.
fn met() -> Vec<String> {
    let sealed = "m=audio 4000 RTP/SAVP 9 0\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 \
        inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz|2^20\r\na=rtcp-mux\r\na=rtcp:53020 IN IP4 10.9.8.7\r\n";
    let many = format!("{AUDIO}a=ptime:30\r\nm=video 5000 RTP/AVP 97\r\na=rtpmap:97 H264/90000\r\n{sealed}");
    let six = offer(AUDIO).replace("IP4 10.0.0.1", "IP6 2001:db8::2");
    vec![offer(AUDIO), offer(sealed), offer(&many), six]
}

/// What damage puts in: things that mean something somewhere.
const DAMAGE: [&str; 16] = [
    "\r\n",
    "\n",
    "=",
    "m=audio 1 RTP/AVP 0\r\n",
    "a=crypto:",
    "/0",
    "4294967296",
    "-1",
    " ",
    "\u{fffd}",
    "a=rtpmap:0 ",
    "c=IN IP4 0.0.0.0\r\n",
    "|1:4",
    "65536",
    "a=ptime:NaN\r\n",
    "\0",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8000))]

    #[test]
    fn damage_is_answered_or_refused(which in 0usize..4, damage in proptest::collection::vec((any::<u16>(), 0usize..16, 0usize..24), 1..7)) {
        let mut text = met().swap_remove(which);
        for (at, what, cut) in damage {
            let place = |at: usize| (0..=at.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or_default();
            let from = place(usize::from(at) % (text.len() + 1));
            let to = place(from + cut).max(from);
            text.replace_range(from..to, DAMAGE[what]);
        }
        for srtp in [Srtp::Off, Srtp::Optional, Srtp::Required] {
            let mut talks = talks(srtp, &[Codec::Pcmu, Codec::G722]);
            talks.offer();
            let _ = talks.accept(&text);
            if let Ok(answer) = talks.answer(&text) {
                let read = read::read(&answer).expect("ours is readable");
                prop_assert!(read.streams.iter().filter(|stream| stream.port != 0).count() == 1);
                let terms = talks.terms().expect("terms");
                prop_assert!(!terms.send.is_empty() && (10..=60).contains(&terms.frame.as_millis()));
                prop_assert!(terms.keys.is_some() || srtp != Srtp::Required);
                prop_assert!(!terms.remote.is_some_and(|at| at.ip().is_multicast() || at.ip().is_unspecified()));
            }
        }
    }
}
