//! What nobody sends who is in their right mind: requests out of place, too long, twice, and agents who are two or say nothing.

use anyhow::{Context as _, Result};
use interline_tests::sipp::Sipp;
use serde_json::Value;

use super::by_hand::{Caller, field};
use super::{Gateway, failures, kinds, sdp};

/// The first answer that is no 100.
async fn answer(caller: &Caller, request: &str) -> Result<String> {
    caller.udp.send_to(request.as_bytes(), ("127.0.0.1", caller.server)).await?;
    loop {
        let (answer, _) = caller.datagram().await.context(request.to_owned())?;
        if !answer.starts_with("SIP/2.0 100 ") {
            return Ok(answer);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_out_of_place_are_refused() {
    let gateway = Gateway::start("voice-odd-requests", &[]).await.unwrap();
    let nobody = "To: <sip:answer@127.0.0.1>;tag=unknown";
    for (method, to, lines, code) in [
        ("BYE", nobody, "", "481"),
        ("UPDATE", nobody, "", "481"),
        ("INFO", nobody, "", "481"),
        ("NOTIFY", nobody, "Event: refer\r\nSubscription-State: active\r\n", "481"),
        ("REFER", nobody, "Refer-To: <sip:a@b>\r\n", "481"),
        ("PRACK", nobody, "RAck: 1 1 INVITE\r\n", "481"),
        ("CANCEL", "To: <sip:answer@127.0.0.1>", "", "481"),
        ("MESSAGE", "To: <sip:answer@127.0.0.1>", "", "405"),
        ("REGISTER", "To: <sip:answer@127.0.0.1>", "", "405"),
        ("OPTIONS", "To: <sip:answer@127.0.0.1>", "", "200"),
    ] {
        let caller = Caller::new(gateway.sip, false).await.unwrap();
        let head = caller.head(method, "answer", to);
        let request = format!(
            "{head}CSeq: 1 {method}\r\nContact: <sip:ann@{}>\r\n{lines}Content-Length: 0\r\n\r\n",
            caller.own
        );
        let answer = answer(&caller, &request).await.unwrap();
        assert!(answer.starts_with(&format!("SIP/2.0 {code} ")), "{method}: {answer}");
    }
    gateway.is_empty().await.unwrap();
}

/// A datagram of 13 kB, and the same request by two ways (RFC 3261 §8.2.2.2).
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_huge_invite_and_one_that_comes_twice_are_refused() {
    let mut gateway = Gateway::start("voice-twice", &[]).await.unwrap();
    let caller = Caller::new(gateway.sip, false).await.unwrap();
    let (to, body) = ("To: <sip:answer@127.0.0.1>", sdp("m=audio 4000 RTP/AVP 0"));
    let invite = |more: &str| {
        let head = caller.head("INVITE", "answer", to);
        let kind = "Content-Type: application/sdp";
        format!(
            "{head}CSeq: 1 INVITE\r\nContact: <sip:ann@{}>\r\n{more}{kind}\r\nContent-Length: {}\r\n\r\n{body}",
            caller.own,
            body.len()
        )
    };
    let huge = answer(&caller, &invite(&format!("X-Long: {}\r\n", "v".repeat(13_000)))).await.unwrap();
    assert!(huge.starts_with("SIP/2.0 513 "), "{huge}");
    let first = answer(&caller, &invite("")).await.unwrap();
    assert!(first.starts_with("SIP/2.0 200 "), "{first}");
    let second = loop {
        // Not acknowledged yet, the first answer comes again.
        let next = answer(&caller, &invite("")).await.unwrap();
        if !next.starts_with("SIP/2.0 200 ") {
            break next;
        }
    };
    assert!(second.starts_with("SIP/2.0 482 "), "{second}");
    let to = field(&first, "To").unwrap();
    let ack = caller.head("ACK", "answer", &to) + "CSeq: 1 ACK\r\nContent-Length: 0\r\n\r\n";
    caller.udp.send_to(ack.as_bytes(), ("127.0.0.1", gateway.sip)).await.unwrap();
    let bye = caller.head("BYE", "answer", &to) + "CSeq: 2 BYE\r\nContent-Length: 0\r\n\r\n";
    loop {
        let next = answer(&caller, &bye).await.unwrap();
        if field(&next, "CSeq").unwrap().contains("BYE") {
            assert!(next.starts_with("SIP/2.0 200 "), "{next}");
            break;
        }
    }
    gateway.log().await.unwrap();
    gateway.is_empty().await.unwrap();
}

/// A call that was forwarded too often goes no further.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_goes_round_no_loop() {
    let mut gateway = Gateway::start("voice-loop", &[]).await.unwrap();
    let caller = gateway.caller("caller_stays", "agent").unwrap();
    caller.changed("Max-Forwards: 70", "Max-Forwards: 1").run().await.unwrap();
    assert_eq!(failures(&gateway.log().await.unwrap()), ["agent: bad_request (483 by target)"]);
    gateway.is_empty().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_who_answer_one_is_hung_up_on() {
    let mut gateway = Gateway::start("voice-forked", &[]).await.unwrap();
    let checks = "<ereg regexp=\".*\" search_in=\"hdr\" header=\"Via:\" check_it=\"true\" assign_to=\"7\"/>\n\
                  <ereg regexp=\"[0-9]+ INVITE\" search_in=\"hdr\" header=\"CSeq:\" check_it=\"true\" assign_to=\"8\"/>";
    let agent = Sipp::agent("agent_forks", gateway.agent).with("checks", checks).start().unwrap();
    gateway.caller("caller_stays", "agent").unwrap().run().await.unwrap();
    agent.end().await.unwrap();
    let log = gateway.log().await.unwrap();
    assert!(kinds(&log).contains(&"agent_joined".to_owned()) && failures(&log).is_empty(), "{log:?}");
    gateway.is_empty().await.unwrap();
}

/// Who answers and sends no sound, and no sign of life with it, is hung up on, and so is the other side.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_sends_no_sound_is_hung_up_on() {
    let settings = [("INTERLINE_VOICE_SILENCE_S", "5")];
    let mut gateway = Gateway::start_with("voice-silent", &[], &settings).await.unwrap();
    let agent = Sipp::agent("agent_stays", gateway.agent).start().unwrap();
    gateway.caller("caller_stays", "agent").unwrap().run().await.unwrap();
    agent.end().await.unwrap();
    let log = gateway.log().await.unwrap();
    let silent = |entry: &&Value| entry["kind"] == "called" && entry["result"] == "no sound any more";
    assert!(log.iter().any(|entry| silent(&entry)), "{log:?}");
    gateway.is_empty().await.unwrap();
}

/// Who insists on reliable provisional responses is answered without any (RFC 3262), and so is who can take them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_insists_on_reliable_responses_is_answered_at_once() {
    let mut gateway = Gateway::start("voice-100rel", &[]).await.unwrap();
    for fields in ["Require: 100rel", "Supported: 100rel, timer"] {
        for transport in ["u1", "t1"] {
            let caller = gateway.caller("caller_insists", "answer").unwrap();
            caller.with("fields", fields).flags(&["-t", transport]).run().await.unwrap();
            gateway.log().await.unwrap();
        }
        // And by the time it is transferred.
        let agent = Sipp::agent("agent_early_media", gateway.agent).start().unwrap();
        let caller = gateway.caller("caller_stays", "agent").unwrap();
        let caller = caller.changed("X-ExternalCallId: 42", fields);
        let caller = caller.changed("<recv response=\"180\" optional=\"true\"/>", "");
        caller.changed("<recv response=\"183\" optional=\"true\"/>", "").run().await.unwrap();
        agent.end().await.unwrap();
        gateway.log().await.unwrap();
    }
    gateway.is_empty().await.unwrap();
}
