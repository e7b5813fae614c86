//! What scripts do on a call: `voiceUtils` and `agentUtils`, as it is seen on the wire. And which number leads where, and what
//! is sent along.

use std::fmt::Write as _;
use std::time::Duration;

use interline_tests::server::free_port;
use interline_tests::sipp::Sipp;
use tokio::net::UdpSocket;

use super::by_hand::Caller;
use super::{Gateway, failures, heard};

/// `(what is called, the script, the agent system that it hands over to afterwards)`.
pub(super) type Script<'a> = (&'a str, &'a str, Option<&'a str>);

/// A menu that nobody answers ends after five seconds.
const WAITS: &str = "ivr_menu: { message: One moment please., timeout: { seconds: 5, message: Goodbye., tries: 1, go_to: over }, \
                     choices: [{ key: \"1\", go_to: over }] }";

/// The example with flows of one script each. Its trunk may call `127.0.0.1`, numbers at the first of `ports`.
async fn scripted(name: &str, ports: [u16; 2], scripts: &[Script<'_>]) -> Gateway {
    scripted_with(name, ports, scripts, &[]).await
}

/// The same, with more settings.
pub(super) async fn scripted_with(
    name: &str,
    ports: [u16; 2],
    scripts: &[Script<'_>],
    more: &[(&str, &str)],
) -> Gateway {
    let (mut flows, mut numbers) = (String::from("flows:\n"), String::from("answer: answer"));
    for (called, source, then) in scripts {
        let then = then.map_or_else(|| WAITS.to_owned(), |agent| {
            format!("agent_transfer: {{ target: {{ integration: {agent} }}, on_failure: {{ message: Sorry., go_to: over }}, returned: over }}")
        });
        let _ = write!(
            flows,
            "  {called}:\n    start: says\n    nodes:\n      says:\n        script: {{ source: '{source}', next: then }}\n      \
             then: {{ {then} }}\n      over: {{ end: {{}} }}\n"
        );
        let _ = write!(numbers, "\n      {called}: {called}");
    }
    let allow = "allow: [\"127.0.0.1:*\"]\n    termination: ${NUMBERS}\n    listen: ${SIP_LISTEN}";
    let changes =
        [("flows:\n", flows.as_str()), ("answer: answer", &numbers), ("listen: ${SIP_LISTEN}", allow)];
    let [first, second] = ports.map(|port| format!("127.0.0.1:{port}"));
    let nets = format!("[\"{first}\", \"{second}\"]");
    let mut settings = vec![("NUMBERS", first.as_str()), ("INTERLINE_ALLOW_NET", nets.as_str())];
    settings.extend(more);
    Gateway::start_with(name, &changes, &settings).await.unwrap()
}

/// An agent who sees this in the INVITE, and this number as the one who calls.
fn agent_sees(port: u16, what: &str, from: &str) -> Sipp {
    let agent = Sipp::agent("agent_leaves", port).changed("X-Conversation-Id: *[^ ]+", what);
    let any = "<ereg regexp=\".*\" search_in=\"hdr\" header=\"From:\"";
    agent.changed(any, &any.replace(".*", &format!(".*{from}@.*")))
}

fn check(what: &str, no: usize) -> String {
    format!("<ereg regexp=\"{what}\" search_in=\"msg\" check_it=\"true\" assign_to=\"{no}\"/>\n")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn scripts_call_refer_and_say_whom_a_transfer_calls() {
    let [numbers, other] = [free_port().unwrap(), free_port().unwrap()];
    let invites = format!(
        "voiceUtils.invite(\"\", \"+15557770000\", \"sip:other@127.0.0.1:{other}\", {{ \"X-cAse\": \"kept\" }})"
    );
    let moves = format!("agentUtils.setTransferSipURI(\"sip:third@127.0.0.1:{other}\")");
    let refers =
        "voiceUtils.refer(\"\", \"sip:desk@127.0.0.1:9\", { \"X-cAse\": \"kept\" }, true, \"+15559990000\")";
    let scripts = [
        ("invites", invites.as_str(), None),
        ("moves", &moves, Some("agent")),
        ("dials", "agentUtils.setTransferPhoneNumber(\"+15551112222\")", Some("agent")),
        ("refers", refers, None),
        ("names", "agentUtils.setReferredBy(\"+15559990000\")", Some("refer")),
    ];
    let mut gateway = scripted("voice-script-calls", [numbers, other], &scripts).await;
    for (called, port, what, from) in [
        ("invites", other, "X-cAse: kept", "15557770000"),
        ("moves", other, "INVITE sip:third@127", "15550001111"),
        ("dials", numbers, "INVITE sip:.15551112222@127", "15550001111"),
    ] {
        let agent = agent_sees(port, what, from).start().unwrap();
        gateway.caller("caller_stays", called).unwrap().run().await.unwrap();
        agent.end().await.unwrap();
        let log = gateway.log().await.unwrap();
        assert_eq!(failures(&log), Vec::<String>::new(), "{called}: {log:?}");
    }
    for (called, field) in [("refers", "X-cAse: kept"), ("names", "X-Conversation-Id: ")] {
        let by = check("Referred-By: *&lt;sip:.15559990000@", 2);
        let checks = check("Refer-To: *&lt;sip:desk@127", 1) + &by + &check(field, 3);
        gateway.caller("refer_is_seen", called).unwrap().with("checks", &checks).run().await.unwrap();
        gateway.log().await.unwrap();
    }
    gateway.is_empty().await.unwrap();
}

/// Keys come as telephone events, each once with its own number; sound comes before and after.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn scripts_press_keys() {
    let presses = "voiceUtils.pauseAndPlay(1, \"Hello.\"); voiceUtils.sendDTMF(\"7#\", 100)";
    let ports = [free_port().unwrap(), free_port().unwrap()];
    let mut gateway = scripted("voice-script-keys", ports, &[("presses", presses, None)]).await;
    let sound = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let port = sound.local_addr().unwrap().port();
    let caller = Caller::new(gateway.sip, false).await.unwrap();
    let media = format!("m=audio {port} RTP/AVP 0 101\r\na=rtpmap:101 telephone-event/8000");
    let to = caller.calls("presses", &media).await.unwrap();
    let (mut keys, mut packets, mut buffer) = (Vec::new(), 0, [0; 2_000]);
    while keys.len() < 2 {
        let packet = tokio::time::timeout(Duration::from_secs(20), sound.recv(&mut buffer)).await;
        let length = packet.expect("there is sound").unwrap();
        match (buffer[1] & 0x7f, &buffer[12..length]) {
            // Its end is sent three times.
            (101, [key, flags, ..]) if flags & 0x80 != 0 => {
                if keys.last() != Some(key) {
                    keys.push(*key);
                }
            }
            (101, _) => {}
            _ => packets += 1,
        }
    }
    assert_eq!(keys, [7, 11], "7 and #");
    assert!(packets > 0, "and what was said");
    let bye = caller.head("BYE", "presses", &to) + "CSeq: 2 BYE\r\nContent-Length: 0\r\n\r\n";
    caller.udp.send_to(bye.as_bytes(), ("127.0.0.1", gateway.sip)).await.unwrap();
    gateway.log().await.unwrap();
    gateway.is_empty().await.unwrap();
}

/// What a script takes back is not said: the call ends after a few packets of sound, and not after all that was to be said.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn scripts_take_back_what_they_said() {
    let long = "One moment please. ".repeat(6);
    let plays = format!("voiceUtils.play(\"{long}\");");
    let says = format!("{plays} voiceUtils.hangup(\"\", {{}}, true)");
    let hangs = format!("{plays} voiceUtils.hangup(\"\", {{}}, false)");
    let aborts = format!("{plays} voiceUtils.abortPrompt(\"\"); voiceUtils.hangup(\"\", {{}}, true)");
    let scripts = [("says", says.as_str(), None), ("hangs", &hangs, None), ("aborts", &aborts, None)];
    let ports = [free_port().unwrap(), free_port().unwrap()];
    let mut gateway = scripted("voice-script-aborts", ports, &scripts).await;
    for (called, few) in [("says", false), ("hangs", true), ("aborts", true)] {
        let sound = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let caller = Caller::new(gateway.sip, false).await.unwrap();
        let media = format!("m=audio {} RTP/AVP 0", sound.local_addr().unwrap().port());
        caller.calls(called, &media).await.unwrap();
        let (mut packets, mut buffer) = (0, [0; 2_000]);
        let bye = loop {
            tokio::select! {
                packet = sound.recv(&mut buffer) => packets += usize::from(packet.is_ok()),
                asked = caller.asked() => break asked.unwrap(),
            }
        };
        assert!(bye.text.starts_with("BYE "), "{called}: {}", bye.text);
        caller.answers(bye, "200 OK").await.unwrap();
        // Fifty are a second.
        assert_eq!(packets < 100, few, "{called}: {packets} packets of sound");
        gateway.log().await.unwrap();
    }
    gateway.is_empty().await.unwrap();
}

/// Who says nothing in a menu is asked again, as often as it says.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_presses_nothing_is_asked_again_and_then_told_goodbye() {
    let quick = ("timeout: { seconds: 10, message: Please", "timeout: { seconds: 1, message: Please");
    let mut gateway = Gateway::start("voice-no-input", &[quick]).await.unwrap();
    gateway.caller("caller_stays", "menu").unwrap().run().await.unwrap();
    let log = gateway.log().await.unwrap();
    let (menu, again) = ("For a human, press 1. For our opening hours, press 2.", "Please press 1 or 2.");
    assert_eq!(heard(&log), [menu, again, again, "Goodbye."], "three tries");
    gateway.is_empty().await.unwrap();
}

/// DIDs: the longest pattern wins, `+` goes in front where the trunk wants it. What is sent along keeps its case, and
/// user-to-user information stands where the trunk says.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn numbers_lead_where_they_should_and_fields_are_sent_as_they_are_written() {
    let numbers = "\"+7896*\": answer\n      \"+789654*\": agent\n      answer: answer";
    let fields = "user_to_user: 00AB;encoding=hex\n    headers: { x-kore-SESSION-id: \"1\",";
    let refers = "user_to_user: 00AB;encoding=hex\n    refer_notify_timeout_s: 15";
    let changes = [
        ("answer: answer", numbers),
        ("listen: ${SIP_LISTEN}", "e164: true\n    user_to_user: refer_to\n    listen: ${SIP_LISTEN}"),
        ("headers: {", fields),
        ("refer_notify_timeout_s: 15", refers),
    ];
    let mut gateway = Gateway::start("voice-numbers", &changes).await.unwrap();
    gateway.caller("caller_leaves", "78961234").unwrap().run().await.unwrap();
    gateway.log().await.unwrap();
    // An INVITE has no Refer-To: there it is a field.
    let checks = check("x-kore-SESSION-id: 1", 7) + &check("User-to-User: 00AB;encoding=hex", 8);
    let agent = Sipp::agent("desk_leaves", gateway.agent).with("checks", &checks).with("refs", ",7,8");
    let agent = agent.start().unwrap();
    gateway.caller("caller_stays", "7896541234").unwrap().run().await.unwrap();
    agent.end().await.unwrap();
    assert_eq!(failures(&gateway.log().await.unwrap()), Vec::<String>::new());
    let refer = check("Refer-To: *&lt;sip:desk@[^&gt;]*[?]User-to-User=00AB%3Bencoding%3Dhex&gt;", 1);
    let checks = refer + &check("Referred-By", 2) + &check("X-Conversation-Id", 3);
    gateway.caller("refer_is_seen", "refer").unwrap().with("checks", &checks).run().await.unwrap();
    gateway.log().await.unwrap();
    gateway.is_empty().await.unwrap();
}
