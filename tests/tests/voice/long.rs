//! Requests within a call that do not fit into a datagram (RFC 3261 §18.1.1).

use anyhow::{Result, bail, ensure};

use super::Gateway;
use super::by_hand::{Asked, By, Caller, field};

const PCMU: &str = "m=audio 4000 RTP/AVP 0";

/// Waits for a request of this kind, by TCP or by UDP as it should be.
async fn long(caller: &Caller, method: &str, by_tcp: bool) -> Result<Asked> {
    let asked = caller.asked().await?;
    ensure!(asked.text.starts_with(&format!("{method} sip:ann@{}", caller.own)), "{}", asked.text);
    ensure!(asked.text.len() > 1_300, "it is not long: {}", asked.text);
    let via = field(&asked.text, "Via")?;
    match (&asked.by, by_tcp) {
        (By::Tcp(_), true) => ensure!(via.contains("SIP/2.0/TCP "), "{via}"),
        (By::Udp(_), false) => ensure!(via.contains("SIP/2.0/UDP "), "{via}"),
        (By::Tcp(_), false) | (By::Udp(_), true) => bail!("it came by the other: {}", asked.text),
    }
    Ok(asked)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_long_within_a_call_goes_by_tcp() {
    let long_fields =
        format!("headers: {{ X-Long: \"{}\" }}\n    listen: ${{SIP_LISTEN}}", "v".repeat(1_000));
    let mut gateway =
        Gateway::start("voice-long-within", &[("listen: ${SIP_LISTEN}", &long_fields)]).await.unwrap();
    for takes_tcp in [true, false] {
        let caller = Caller::new(gateway.sip, takes_tcp).await.unwrap();
        caller.calls("bye", PCMU).await.unwrap();
        let bye = long(&caller, "BYE", takes_tcp).await.unwrap();
        caller.answers(bye, "200 OK").await.unwrap();
        gateway.log().await.unwrap();
    }
    // What is short goes by UDP after it, with the next number.
    let caller = Caller::new(gateway.sip, true).await.unwrap();
    let to = caller.calls("refer", PCMU).await.unwrap();
    let refer = long(&caller, "REFER", true).await.unwrap();
    assert_eq!(field(&refer.text, "CSeq").unwrap(), "CSeq: 2 REFER");
    caller.answers(refer, "202 Accepted").await.unwrap();
    let head = caller.head("NOTIFY", "interline", &to);
    let told = "Event: refer\r\nSubscription-State: terminated;reason=noresource\r\nContent-Type: message/sipfrag\r\n";
    let notify = format!("{head}CSeq: 2 NOTIFY\r\n{told}Content-Length: 16\r\n\r\nSIP/2.0 200 OK\r\n");
    caller.udp.send_to(notify.as_bytes(), ("127.0.0.1", gateway.sip)).await.unwrap();
    let bye = caller.asked().await.unwrap();
    assert!(bye.text.starts_with("BYE ") && matches!(bye.by, By::Udp(_)), "{}", bye.text);
    assert_eq!(field(&bye.text, "CSeq").unwrap(), "CSeq: 3 BYE");
    caller.answers(bye, "200 OK").await.unwrap();
    gateway.log().await.unwrap();
    gateway.is_empty().await.unwrap();
}
