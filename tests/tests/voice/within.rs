//! What is asked and told within a call, and what is agreed before: liveness, keys by INFO, proofs, IPv6, onward transfers,
//! replaced dialogs.

use super::{Gateway, failures, kinds};
use interline_tests::server::free_port;
use interline_tests::sipp::Sipp;
use serde_json::Value;

fn has(log: &[Value], kind: &str) -> bool {
    kinds(log).iter().any(|known| known == kind)
}

/// RFC 4028, as it takes: nobody is asked more often than every 90 seconds. All at once, so that it takes one minute.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_does_not_refresh_is_gone_and_who_wants_it_is_refreshed() {
    let gateway = Gateway::start("voice-timers", &[]).await.unwrap();
    let call = |scenario: &str, refresher: &str, interval: &str| {
        let fields = format!("Supported: timer\n      Session-Expires: 90;refresher={refresher}");
        let caller = gateway.caller(scenario, "answer").unwrap().with("fields", &fields);
        caller.with("interval", interval).run()
    };
    let all = [
        ("caller_is_silent", "uac", "90"),
        ("caller_is_refreshed", "uas", "90"),
        ("caller_has_no_update", "uas", "90"),
        ("caller_wants_longer", "uas", "120"),
        ("caller_wants_longer_by_invite", "uas", "120"),
        ("caller_asks_too", "uas", "90"),
    ];
    let account = "our_username: ours\n    our_password: \"s3cret\"\n    listen: ${SIP_LISTEN}";
    let known = Gateway::start("voice-known", &[("listen: ${SIP_LISTEN}", account)]).await.unwrap();
    let calls = all.map(|(scenario, refresher, interval)| call(scenario, refresher, interval));
    let asked = [
        ("401 Unauthorized", "WWW-Authenticate"),
        ("407 Proxy Authentication Required", "Proxy-Authenticate"),
    ];
    let unknown = asked.map(|asked| challenges(&gateway, asked, "").run());
    let proven = asked.map(|asked| challenges(&known, asked, PROVEN).run());
    let all = futures_util::future::try_join_all(calls);
    let (unknown, proven) =
        (futures_util::future::try_join_all(unknown), futures_util::future::try_join_all(proven));
    tokio::try_join!(all, unknown, proven).unwrap();
    gateway.is_empty().await.unwrap();
    known.is_empty().await.unwrap();
}

const PROVEN: &str = "<recv request=\"INVITE\">\n<action>\n\
     <ereg regexp=\"Authorization: *Digest username=.ours., *realm=.carrier.\" search_in=\"msg\" check_it=\"true\" assign_to=\"1\"/>\n\
     </action>\n</recv>\n{{> reanswers}}";

/// A caller who wants a proof of who refreshes, and sees what comes `then`.
fn challenges(gateway: &Gateway, (status, field): (&str, &str), then: &str) -> Sipp {
    let refs = if then.is_empty() { "" } else { "<Reference variables=\"1\"/>" };
    let fields = "Supported: timer\n      Session-Expires: 90;refresher=uas";
    let caller = gateway.caller("caller_challenges", "answer").unwrap().with("then", then).with("refs", refs);
    caller.with("status", status).with("field", field).with("fields", fields).with("interval", "90")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_come_by_info() {
    let info = ("listen: ${SIP_LISTEN}", "digits: info\n    listen: ${SIP_LISTEN}");
    // Pressing 1 ends the call.
    let ends = ("words: [human, agent], go_to: handover", "words: [human, agent], go_to: over");
    let mut gateway = Gateway::start("voice-info", &[info, ends]).await.unwrap();
    for (kind, body) in
        [("application/dtmf-relay", "Signal=1\n      Duration=160"), ("application/dtmf", "1")]
    {
        let caller = gateway.caller("caller_presses_by_info", "menu").unwrap();
        caller.with("kind", kind).with("body", body).run().await.unwrap();
        let log = gateway.log().await.unwrap();
        assert_eq!(super::heard(&log).last().map(String::as_str), Some("Goodbye."), "{kind}: {log:?}");
    }
    gateway.is_empty().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn callers_prove_who_they_are() {
    let account = "username: carrier\n    password: \"s3cret\"\n    listen: ${SIP_LISTEN}";
    let strict = Gateway::start("voice-digest", &[("listen: ${SIP_LISTEN}", account)]).await.unwrap();
    // RFC 8760: the strongest comes first.
    let asked = super::refused(strict.sip, "answer", "", "").await.unwrap();
    let at = |algorithm: &str| asked.find(&format!("algorithm={algorithm}"));
    assert!(
        asked.starts_with("SIP/2.0 401 ") && at("SHA-256").is_some() && at("SHA-256") < at("MD5"),
        "{asked}"
    );
    // SIPp reads the first challenge alone, and knows MD5.
    let account = format!("md5_only: true\n    {account}");
    let mut gateway = Gateway::start("voice-md5", &[("listen: ${SIP_LISTEN}", &account)]).await.unwrap();
    let call = |password: &str, then: &str| {
        gateway.caller("caller_proves", "answer").unwrap().with("password", password).with("then", then)
    };
    call("wrong", "<recv response=\"401\"/>").run().await.unwrap();
    let answered = "<recv response=\"200\" rrs=\"true\"/>\n{{> ack}}\n{{> hangs_up}}";
    call("s3cret", answered).run().await.unwrap();
    let log = gateway.log().await.unwrap();
    assert!(has(&log, "closed") && !format!("{log:?}").contains("s3cret"), "{log:?}");
    gateway.is_empty().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_by_ipv6_reaches_an_agent_by_ipv6() {
    let port = free_port().unwrap();
    let six = format!("listen: \"[::1]:{port}\" #");
    let agent = free_port().unwrap();
    let settings = [("AGENT_URI", format!("sip:agent@[::1]:{agent}")), ("INTERLINE_VOICE_BIND", "::".into())];
    let settings: Vec<(&str, &str)> = settings.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let changes = [("listen: ${SIP_LISTEN}", six.as_str())];
    let mut gateway = Gateway::start_with("voice-six", &changes, &settings).await.unwrap();
    for transport in ["u1", "t1"] {
        let flags = ["-t", transport];
        let agent = Sipp::agent("agent_leaves", agent).by_ipv6().start().unwrap();
        let caller = Sipp::caller("caller_stays", "agent", port).unwrap();
        caller.by_ipv6().flags(&flags).run().await.unwrap();
        agent.end().await.unwrap();
        let log = gateway.log().await.unwrap();
        assert!(has(&log, "agent_joined") && failures(&log).is_empty(), "{transport}: {log:?}");
    }
    gateway.is_empty().await.unwrap();
}

const ONWARD: (&str, &str) = (
    "ring_timeout_s: 30\n    headers:",
    "ring_timeout_s: 30\n    onward: true\n    allow: [\"127.0.0.1:{desk}\"]\n    headers:",
);

/// A gateway whose agents may transfer onwards, and the port of the desk that they may transfer to.
async fn onward(name: &str) -> (Gateway, u16) {
    let desk = free_port().unwrap();
    let to = ONWARD.1.replace("{desk}", &desk.to_string());
    // The file allows the desk; that it is at a private address is for the operator to say.
    let nets = format!("[\"127.0.0.1:{desk}\"]");
    let settings = [("INTERLINE_ALLOW_NET", nets.as_str())];
    (Gateway::start_with(name, &[(ONWARD.0, &to)], &settings).await.unwrap(), desk)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_transfers_the_caller_onwards() {
    let (mut gateway, desk) = onward("voice-onward").await;
    let gone = "<recv request=\"BYE\"/>\n{{> ok}}";
    let to = format!("<sip:desk@127.0.0.1:{desk}>");
    let consulted = format!("<sip:desk@127.0.0.1:{desk}?Replaces=c1%40h%3Bto-tag%3Dt1%3Bfrom-tag%3Df1>");
    let replaces = "<ereg regexp=\"Replaces: *c1@h;to-tag=t1;from-tag=f1\" search_in=\"msg\" check_it=\"true\" assign_to=\"7\"/>\n\
                    <ereg regexp=\"Require: *replaces\" search_in=\"msg\" check_it=\"true\" assign_to=\"8\"/>";
    for (to, checks, refs) in [(&to, "", ""), (&consulted, replaces, ",7,8")] {
        let agent = Sipp::agent("agent_refers", gateway.agent).with("refer_to", to).with("came", "200");
        let agent = agent.with("end", gone).start().unwrap();
        let next = Sipp::agent("desk_leaves", desk).with("checks", checks).with("refs", refs);
        let next = next.start().unwrap();
        gateway.caller("caller_stays", "agent").unwrap().run().await.unwrap();
        agent.end().await.unwrap();
        next.end().await.unwrap();
        let log = gateway.log().await.unwrap();
        assert!(has(&log, "agent_joined") && failures(&log).is_empty(), "{to}: {log:?}");
    }
    // Whom the agent names is busy: the caller stays with the agent.
    let busy =
        Sipp::agent("agent_refuses", desk).with("status", "486 Busy Here").with("extra", "X-Why: test");
    let busy = busy.start().unwrap();
    let agent = Sipp::agent("agent_refers", gateway.agent).with("refer_to", &to).with("came", "486");
    let agent = agent.with("end", "{{> agent_hangs_up}}").start().unwrap();
    gateway.caller("caller_stays", "agent").unwrap().run().await.unwrap();
    agent.end().await.unwrap();
    busy.end().await.unwrap();
    gateway.log().await.unwrap();
    gateway.is_empty().await.unwrap();
}

/// Toll fraud by REFER: outside of what is allowed, nobody is called, and the caller stays with the agent.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_transfers_nobody_to_where_it_may_not() {
    let (mut gateway, _) = onward("voice-fraud-refer").await;
    let foreign = ["<sip:+19005550000@premium.example>", "<tel:+19005550000>", "<sip:desk@127.0.0.1:9>"];
    let cases = foreign
        .iter()
        .map(|to| (*to, "403"))
        .chain([("<https://desk.example>", "403"), ("<sip:a@b?Replaces=x>", "400")]);
    for (to, code) in cases {
        let agent = Sipp::agent("agent_may_not_refer", gateway.agent).with("refer_to", to).with("code", code);
        let agent = agent.start().unwrap();
        gateway.caller("caller_stays", "agent").unwrap().run().await.unwrap();
        agent.end().await.unwrap();
        gateway.log().await.unwrap();
    }
    gateway.is_empty().await.unwrap();
    // And where onward transfers are not allowed at all.
    let mut closed = Gateway::start("voice-no-onward", &[]).await.unwrap();
    let to = format!("<sip:agent@127.0.0.1:{}>", closed.agent);
    let agent = Sipp::agent("agent_may_not_refer", closed.agent).with("refer_to", &to).with("code", "403");
    let agent = agent.start().unwrap();
    closed.caller("caller_stays", "agent").unwrap().run().await.unwrap();
    agent.end().await.unwrap();
    closed.log().await.unwrap();
}

const TAG: &str = "<ereg regexp=\"tag=([^;[:space:]]*)\" search_in=\"hdr\" header=\"From:\" check_it=\"true\" assign_to=\"7,8\"/>";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_desk_takes_over_by_invite_with_replaces() {
    let mut gateway = Gateway::start("voice-replaces", &[]).await.unwrap();
    let agent = Sipp::agent("agent_is_replaced", gateway.agent).with("checks", TAG).with("early", "");
    let agent = agent.start().unwrap();
    gateway.caller("caller_stays", "agent").unwrap().run().await.unwrap();
    agent.end().await.unwrap();
    let log = gateway.log().await.unwrap();
    // One human part, from the agent's answer to the desk's BYE.
    assert!(has(&log, "agent_joined") && has(&log, "agent_left") && failures(&log).is_empty(), "{log:?}");
    let again = "\n      Replaces: again;to-tag=1;from-tag=2";
    for (early, code) in [(";early-only", "486"), ("x", "481"), (again, "400")] {
        let agent = Sipp::agent("agent_is_not_replaced", gateway.agent).with("checks", TAG);
        let agent = agent.with("early", early).with("code", code).start().unwrap();
        gateway.caller("caller_stays", "agent").unwrap().run().await.unwrap();
        agent.end().await.unwrap();
        let log = gateway.log().await.unwrap();
        assert!(has(&log, "agent_left") && failures(&log).is_empty(), "{code}: {log:?}");
    }
    gateway.is_empty().await.unwrap();
}

/// The agent is called first, accepts by a key, and the caller's side is asked to take our place there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_attended_transfer_is_a_refer_with_replaces_or_a_bridge() {
    let changes = [
        ("listen: ${SIP_LISTEN}", "digits: info\n    listen: ${SIP_LISTEN}"),
        ("refer_notify_timeout_s: 15", "warm: { accept: \"1\" }\n    refer_notify_timeout_s: 15"),
        ("uri: ${REFER_TO}", "uri: ${AGENT_URI}"),
    ];
    let mut gateway = Gateway::start("voice-attended", &changes).await.unwrap();
    let agent = Sipp::agent("agent_accepts", gateway.agent).start().unwrap();
    gateway.caller("refer_attended", "refer").unwrap().run().await.unwrap();
    agent.end().await.unwrap();
    let log = gateway.log().await.unwrap();
    let ended =
        log.iter().find(|entry| entry["kind"] == "transfer_ended").map(|entry| entry["outcome"].to_string());
    assert!(ended.is_some_and(|outcome| outcome.contains("handed_off")), "{log:?}");
    for status in ["420 Bad Extension", "501 Not Implemented"] {
        let agent = Sipp::agent("agent_accepts", gateway.agent).start().unwrap();
        gateway.caller("refer_refused_once", "refer").unwrap().with("status", status).run().await.unwrap();
        agent.end().await.unwrap();
        let log = gateway.log().await.unwrap();
        assert!(has(&log, "agent_joined") && failures(&log).is_empty(), "{status}: {log:?}");
    }
    gateway.is_empty().await.unwrap();
}

/// What an agent's side asks for before it answers: a proof, a longer interval, other terms, another address.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_gets_what_it_asks_for() {
    let second = free_port().unwrap();
    let more = format!(
        "uri: ${{AGENT_URI}}\n      more: [\"sip:second@127.0.0.1:{second}\"]\n    follow_redirects: true"
    );
    let account =
        "our_username: gw\n    our_password: \"s3cret\"\n    codecs: [pcmu]\n    listen: ${SIP_LISTEN}";
    let first = "  agent:\n    type: voice\n    sip_transfer:\n      method: invite\n      uri: ${AGENT_URI}";
    let changes = [("listen: ${SIP_LISTEN}", account), (first, &first.replace("uri: ${AGENT_URI}", &more))];
    let mut gateway = Gateway::start("voice-asked", &changes).await.unwrap();
    let wants = |status: &str, extra: &str, wants: &str| {
        let agent = Sipp::agent("agent_wants", gateway.agent).flags(&["-m", "2"]);
        agent.with("status", status).with("extra", extra).with("wants", wants)
    };
    let redirect = format!("Contact: <sip:second@127.0.0.1:{second}>");
    let refuses = |status: &str, extra: &str| {
        Sipp::agent("agent_refuses", gateway.agent).with("status", status).with("extra", extra)
    };
    let next = || Some(Sipp::agent("agent_leaves", second));
    for (what, agent, next) in [
        ("401", Sipp::agent("agent_challenges", gateway.agent), None),
        ("422", wants("422 Session Interval Too Small", "Min-SE: 3600", "Session-Expires: *3600"), None),
        ("488", wants("488 Not Acceptable Here", "Warning: 305 h \"codec\"", "RTP/AVP 8 0"), None),
        ("302", refuses("302 Moved Temporarily", &redirect), next()),
        ("503", refuses("503 Service Unavailable", "Retry-After: 1"), next()),
    ] {
        let agent = agent.start().unwrap();
        let next = next.map(|next| next.start().unwrap());
        let caller = gateway.caller("caller_stays", "agent").unwrap();
        caller.run().await.unwrap_or_else(|error| panic!("{what}: {error:?}"));
        agent.end().await.unwrap_or_else(|error| panic!("{what}: {error:?}"));
        if let Some(next) = next {
            next.end().await.unwrap_or_else(|error| panic!("{what}: {error:?}"));
        }
        let log = gateway.log().await.unwrap();
        assert!(has(&log, "agent_joined") && failures(&log).is_empty(), "{what}: {log:?}");
    }
    gateway.is_empty().await.unwrap();
}

/// Toll fraud by 3xx: where the trunk does not allow it, nobody is called.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redirection_leads_nowhere_else() {
    let follows =
        ("ring_timeout_s: 30\n    headers:", "ring_timeout_s: 30\n    follow_redirects: true\n    headers:");
    let mut gateway = Gateway::start("voice-fraud-3xx", &[follows]).await.unwrap();
    let contact = "Contact: <sip:+19005550000@premium.example>, <tel:+19005550000>, <sip:x@127.0.0.1:9>";
    let agent = Sipp::agent("agent_refuses", gateway.agent).with("status", "302 Moved Temporarily");
    let agent = agent.with("extra", contact).start().unwrap();
    gateway.caller("caller_stays", "agent").unwrap().run().await.unwrap();
    agent.end().await.unwrap();
    assert_eq!(failures(&gateway.log().await.unwrap()), ["agent: bad_request (302 by INVITE)"]);
    gateway.is_empty().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_of_yesterday_is_told_so() {
    let mut gateway = Gateway::start("voice-cseq", &[]).await.unwrap();
    gateway.caller("caller_goes_back_in_time", "answer").unwrap().run().await.unwrap();
    gateway.log().await.unwrap();
    gateway.is_empty().await.unwrap();
}

/// RFC 3261 §18.1.1: what does not fit into a datagram goes by TCP, and by UDP where nobody takes TCP.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_invite_goes_by_tcp() {
    let long = format!("headers: {{ X-Long: \"{}\",", "v".repeat(900));
    let mut gateway = Gateway::start("voice-long", &[("headers: {", &long)]).await.unwrap();
    for transport in ["t1", "u1"] {
        let agent = Sipp::agent("agent_leaves", gateway.agent).flags(&["-t", transport]).start().unwrap();
        gateway.caller("caller_stays", "agent").unwrap().run().await.unwrap();
        agent.end().await.unwrap();
        let log = gateway.log().await.unwrap();
        assert!(has(&log, "agent_joined") && failures(&log).is_empty(), "{transport}: {log:?}");
    }
    gateway.is_empty().await.unwrap();
}

/// Who does not answer OPTIONS is not called, until it does.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_agent_is_passed_over() {
    let ping = ("listen: ${SIP_LISTEN}", "options_ping_s: 1\n    listen: ${SIP_LISTEN}");
    let mut gateway = Gateway::start("voice-ping", &[ping, super::SHORT_RING[0]]).await.unwrap();
    // Nobody is there: it rings in vain, and from then on it is known.
    gateway.caller("caller_stays", "agent").unwrap().run().await.unwrap();
    assert_eq!(failures(&gateway.log().await.unwrap()), ["agent: no_answer (408 by timer)"]);
    gateway.holds("unreachable", 1.0).await.unwrap();
    gateway.caller("caller_stays", "agent").unwrap().run().await.unwrap();
    assert_eq!(failures(&gateway.log().await.unwrap()), ["agent: unreachable (408 by target)"]);
    let back = Sipp::agent("agent_is_asked", gateway.agent).start().unwrap();
    gateway.holds("unreachable", 0.0).await.unwrap();
    back.end().await.unwrap();
}

/// What each leg came to stands in the timeline: no value that may be a secret, no key that was pressed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_legs_came_to_stands_in_the_timeline() {
    let headers = ("headers: {", "user_to_user: \"00s3cret;encoding=hex\"\n    headers: { X-Token: s3cret,");
    let mut gateway = Gateway::start("voice-records", &[headers]).await.unwrap();
    let refuses = Sipp::agent("agent_refuses", gateway.agent).with("status", "486 Busy Here");
    let refuses = refuses.with("extra", "Reason: Q.850;cause=17;text=\"busy\"").start().unwrap();
    gateway.caller("caller_stays", "agent").unwrap().run().await.unwrap();
    refuses.end().await.unwrap();
    let log = gateway.log().await.unwrap();
    let records: Vec<&Value> = log.iter().filter(|entry| entry["kind"] == "called").collect();
    let [caller, agent] = records[..] else { panic!("{log:?}") };
    let sent =
        |name: &str| agent["sent"].as_array().unwrap().iter().find(|field| field["name"] == name).cloned();
    assert_eq!(
        (&agent["leg"], &agent["method"], &agent["code"]),
        (&"agent".into(), &"INVITE".into(), &486.into())
    );
    assert_eq!(agent["target"], format!("sip:agent@127.0.0.1:{}", gateway.agent));
    assert!(agent["reason"].as_str().unwrap().contains("cause=17") && agent["took_ms"].is_u64(), "{agent}");
    assert_eq!(sent("X-Token").unwrap(), serde_json::json!({ "name": "X-Token" }));
    assert!(sent("X-Conversation-Id").unwrap()["value"].is_string(), "{agent}");
    assert_eq!(
        (&caller["leg"], &caller["code"], &caller["result"]),
        (&"caller".into(), &200.into(), &"answered".into())
    );
    assert!(!format!("{records:?}").contains("s3cret"), "{records:?}");
    for (caller, user, kinds) in [
        ("refer_accepted", "refer", ["INVITE", "REFER", "BYE"]),
        ("caller_gets_it_back", "bye", ["INVITE", "BYE", "BYE"]),
    ] {
        gateway.caller(caller, user).unwrap().with("status", "202 Accepted").run().await.unwrap();
        let log = gateway.log().await.unwrap();
        let records = log.iter().filter(|entry| entry["kind"] == "called");
        let told: Vec<_> = records.map(|one| one["method"].as_str().unwrap()).collect();
        assert_eq!(told, kinds, "{log:?}");
    }
    gateway.is_empty().await.unwrap();
}

/// What scripts say in header fields begins no line of its own, and whom they name is called only where it is allowed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn scripts_forge_no_messages_and_call_nobody_else() {
    let scripts = "flows:\n  forges:\n    start: says\n    nodes:\n      says:\n        script: { source: 'voiceUtils.hangup(\"\", { \"X-Plain\": \"ok\", \"X-Note\": \"1\\r\\nX-Evil: 2\" })' }\n  \
                   strays:\n    start: calls\n    nodes:\n      calls:\n        script: { source: 'voiceUtils.invite(\"\", \"+15550001111\", \"sip:+19005550000@premium.example\")', next: waits }\n      \
                   waits: { ivr_menu: { message: One moment please., timeout: { seconds: 2, message: Goodbye., tries: 1, go_to: over }, choices: [{ key: \"1\", go_to: over }] } }\n      over: { end: {} }\n";
    let numbers = ("answer: answer", "answer: answer\n      forges: forges\n      strays: strays");
    let mut gateway = Gateway::start("voice-scripts", &[("flows:\n", scripts), numbers]).await.unwrap();
    gateway.caller("caller_sees_one_line", "forges").unwrap().run().await.unwrap();
    gateway.log().await.unwrap();
    gateway.caller("caller_stays", "strays").unwrap().run().await.unwrap();
    let log = gateway.log().await.unwrap();
    let strayed = log.iter().find(|entry| entry["kind"] == "called" && entry["leg"] == "agent");
    let told = strayed.map(|one| (one["code"].as_u64(), one["result"].as_str(), one["target"].as_str()));
    assert_eq!(
        told,
        Some((Some(403), Some("403 by target"), Some("sip:+19005550000@premium.example"))),
        "{log:?}"
    );
    gateway.is_empty().await.unwrap();
}
