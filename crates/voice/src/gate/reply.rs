//! Answers to requests that the stack never sees. They keep no state: a repeat of the request gets the same answer.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash as _, Hasher as _};
use std::net::{IpAddr, SocketAddr};

use super::check::{Refusal, split};
use super::raw::Raw;

/// The answer to a request that came from `from`, as bytes. None: an ACK, or one that cannot be answered.
pub fn reply(raw: &Raw<'_>, from: SocketAddr, refusal: &Refusal) -> Option<Vec<u8>> {
    if raw.method()? == "ACK" {
        return None;
    }
    let mut out = format!("SIP/2.0 {} {}\r\n", refusal.code, refusal.phrase);
    for (no, via) in raw.all("Via").enumerate() {
        let line = if no == 0 { received(via, from) } else { via.to_owned() };
        out.extend(["Via: ", &line, "\r\n"]);
    }
    if let Some(value) = raw.header("From") {
        out.extend(["From: ", value, "\r\n"]);
    }
    if let Some(value) = raw.header("To") {
        let tag = if value.to_ascii_lowercase().contains("tag=") {
            String::new()
        } else {
            format!(";tag={}", tag(raw))
        };
        out.extend(["To: ", value, &tag, "\r\n"]);
    }
    for name in ["Call-ID", "CSeq"] {
        if let Some(value) = raw.header(name) {
            out.extend([name, ": ", value, "\r\n"]);
        }
    }
    for (name, value) in &refusal.headers {
        out.extend([name, ": ", value.as_str(), "\r\n"]);
    }
    out.push_str("Content-Length: 0\r\n\r\n");
    Some(out.into_bytes())
}

/// Where the answer to a datagram goes: to where it came from; to the port that the Via names unless it asks for the
/// sender's (RFC 3261 §18.2.2, RFC 3581).
pub fn back_to(raw: &Raw<'_>, from: SocketAddr) -> SocketAddr {
    let Some(via) = raw.header("Via").and_then(|line| split(line, ',').into_iter().next()) else {
        return from;
    };
    let mut parts = via.split(';').map(str::trim);
    let host = parts.next().and_then(|head| head.split_whitespace().last()).unwrap_or_default();
    if parts.any(|part| part.split('=').next().is_some_and(|name| name.trim().eq_ignore_ascii_case("rport")))
    {
        return from;
    }
    let port = host.rsplit_once(':').filter(|(host, _)| !host.contains(':') || host.ends_with(']'));
    SocketAddr::new(from.ip(), port.and_then(|(_, port)| port.parse().ok()).unwrap_or(5060))
}

/// The topmost Via with where the request really came from.
fn received(line: &str, from: SocketAddr) -> String {
    let values = split(line, ',');
    let mut top = values.first().copied().unwrap_or_default().to_owned();
    let asks = top.split(';').position(|part| part.trim().eq_ignore_ascii_case("rport"));
    if let Some(at) = asks {
        let parts: Vec<String> = top
            .split(';')
            .enumerate()
            .map(|(no, part)| if no == at { format!("rport={}", from.port()) } else { part.to_owned() })
            .collect();
        top = parts.join(";");
    }
    let ip = match from.ip() {
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => format!("[{ip}]"),
    };
    let mut all = vec![format!("{top};received={ip}")];
    all.extend(values.iter().skip(1).map(|value| (*value).to_owned()));
    all.join(", ")
}

/// Of what a request, its repeats, and the ACK to its answer have in common.
fn tag(raw: &Raw<'_>) -> String {
    let mut hasher = DefaultHasher::new();
    for name in ["Call-ID", "From"] {
        raw.header(name).hash(&mut hasher);
    }
    raw.header("CSeq").and_then(|value| value.split_whitespace().next()).hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}

/// Whether this acknowledges an answer that was made here: nobody else knows of it.
pub fn acknowledges(raw: &Raw<'_>) -> bool {
    let mine = || format!(";tag={}", tag(raw));
    raw.method() == Some("ACK") && raw.header("To").is_some_and(|to| to.ends_with(&mine()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(method: &str, to: &str, call: &str) -> String {
        format!(
            "{method} sip:b@b SIP/2.0\r\nVia: SIP/2.0/UDP a;branch=z9hG4bK1\r\nFrom: <sip:a@a>;tag=1\r\nTo: {to}\r\n\
             Call-ID: {call}\r\nCSeq: 7 {method}\r\n\r\n"
        )
    }

    #[test]
    fn an_ack_is_known_by_the_answer() {
        let invite = request("INVITE", "<sip:b@b>", "x");
        let raw = Raw::parse(invite.as_bytes()).expect("a request");
        let from = SocketAddr::from(([127, 0, 0, 1], 5060));
        let answer = reply(&raw, from, &Refusal::of(503, "Service Unavailable")).expect("an answer");
        let answer = String::from_utf8(answer).expect("text");
        let to = answer.lines().find_map(|line| line.strip_prefix("To: ")).expect("a To");
        let known = |text: String| acknowledges(&Raw::parse(text.as_bytes()).expect("a request"));
        assert!(known(request("ACK", to, "x")));
        assert!(!known(request("ACK", to, "y")) && !known(request("ACK", "<sip:b@b>;tag=2", "x")));
        assert!(!known(request("BYE", to, "x")) && !known(request("ACK", "<sip:b@b>", "x")));
    }
}
