//! Caller and agent in one: how long a call is on its way through whoever is called.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use tokio::net::UdpSocket;

const PATIENCE: Duration = Duration::from_secs(5);
/// Between two calls.
const PAUSE: Duration = Duration::from_millis(5);

/// What was measured, in microseconds.
#[derive(Debug, Clone, Default)]
pub struct Delays {
    /// From the caller's INVITE to the agent's.
    pub through: Vec<u32>,
    /// From the agent's 200 to its ACK.
    pub joined: Vec<u32>,
}

impl Delays {
    /// The delay of this part of the calls, in milliseconds.
    pub fn at(values: &[u32], part: f64) -> f64 {
        let mut sorted = values.to_vec();
        sorted.sort_unstable();
        let at = (sorted.len() as f64 * part) as usize;
        f64::from(sorted.get(at.min(sorted.len().saturating_sub(1))).copied().unwrap_or_default()) / 1e3
    }
}

/// Calls `user` at `sip` so often, one call after the other; the call comes out at `agent`.
pub async fn probe(user: &str, sip: u16, agent: u16, calls: usize) -> Result<Delays> {
    let mut sides = Sides {
        caller: UdpSocket::bind(("127.0.0.1", 0)).await?,
        agent: UdpSocket::bind(("127.0.0.1", agent)).await?,
        server: SocketAddr::from(([127, 0, 0, 1], sip)),
        user: user.to_owned(),
    };
    let mut delays = Delays::default();
    for no in 0..calls + 10 {
        let (through, joined) = sides.call(no).await.with_context(|| format!("probe {no}"))?;
        // The first ones warm it up.
        if no >= 10 {
            delays.through.push(through);
            delays.joined.push(joined);
        }
        tokio::time::sleep(PAUSE).await;
    }
    Ok(delays)
}

/// How long a datagram is on its way between the two sockets: what all the above has in it.
pub async fn nothing(times: usize) -> Result<Vec<u32>> {
    let (from, to) = (UdpSocket::bind(("127.0.0.1", 0)).await?, UdpSocket::bind(("127.0.0.1", 0)).await?);
    let (at, mut room, mut all) = (to.local_addr()?, [0; 2048], Vec::new());
    for _ in 0..times {
        let began = Instant::now();
        from.send_to(&[7; 900], at).await?;
        to.recv_from(&mut room).await?;
        all.push(us(began));
        tokio::time::sleep(PAUSE).await;
    }
    Ok(all)
}

struct Sides {
    caller: UdpSocket,
    agent: UdpSocket,
    server: SocketAddr,
    user: String,
}

impl Sides {
    async fn call(&mut self, no: usize) -> Result<(u32, u32)> {
        let id = uuid::Uuid::new_v4().simple().to_string();
        let own = self.caller.local_addr()?;
        let request = |method: &str, uri: &str, to: &str, cseq: u32, body: &str| {
            let kind = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
            format!(
                "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {own};branch=z9hG4bK{id}{cseq}{method};rport\r\n\
                 Max-Forwards: 70\r\nFrom: <sip:+1999{no}@{own}>;tag=1\r\nTo: {to}\r\nCall-ID: {id}\r\n\
                 CSeq: {cseq} {method}\r\nContact: <sip:+1999{no}@{own}>\r\n{kind}Content-Length: {}\r\n\r\n{body}",
                body.len()
            )
        };
        let (uri, to) =
            (format!("sip:{}@{}", self.user, self.server), format!("<sip:{}@127.0.0.1>", self.user));
        let began = Instant::now();
        self.caller.send_to(request("INVITE", &uri, &to, 1, &sdp(own)).as_bytes(), self.server).await?;
        let mut got = None;
        let mut up = None;
        // The gateway answers first and calls then; a plain relay may do it the other way round.
        while got.is_none() || up.is_none() {
            tokio::select! {
                message = receive(&self.caller) => {
                    let (message, _) = message?;
                    if message.starts_with("SIP/2.0 200 ") && up.is_none() {
                        let (to, contact) = (line(&message, "To")?, address(line(&message, "Contact")?));
                        let ack = request("ACK", &contact, to, 1, "");
                        self.caller.send_to(ack.as_bytes(), self.server).await?;
                        up = Some((to.to_owned(), contact));
                    }
                }
                message = receive(&self.agent) => {
                    let (message, from) = message?;
                    if message.starts_with("INVITE ") && got.is_none() {
                        got = Some((us(began), message, from));
                    }
                }
            }
        }
        let ((through, invite, from), (to, contact)) = (got.context("no INVITE")?, up.context("no answer")?);
        let joined = Instant::now();
        let at = self.agent.local_addr()?;
        self.agent.send_to(answer(&invite, Some(at))?.as_bytes(), from).await?;
        self.expect_at_agent("ACK ").await?;
        let joined = us(joined);
        let bye = request("BYE", &contact, &to, 2, "");
        self.caller.send_to(bye.as_bytes(), self.server).await?;
        let (bye, from) = self.expect_at_agent("BYE ").await?;
        self.agent.send_to(answer(&bye, None)?.as_bytes(), from).await?;
        loop {
            let (message, _) = receive(&self.caller).await?;
            if message.contains("2 BYE") {
                return Ok((through, joined));
            }
        }
    }

    async fn expect_at_agent(&self, method: &str) -> Result<(String, SocketAddr)> {
        loop {
            let (message, from) = receive(&self.agent).await?;
            if message.starts_with(method) {
                return Ok((message, from));
            }
        }
    }
}

async fn receive(socket: &UdpSocket) -> Result<(String, SocketAddr)> {
    let mut room = [0; 8192];
    let (length, from) = tokio::time::timeout(PATIENCE, socket.recv_from(&mut room)).await??;
    Ok((String::from_utf8_lossy(&room[..length]).into_owned(), from))
}

fn line<'a>(message: &'a str, name: &str) -> Result<&'a str> {
    let found = message.lines().find_map(|line| {
        let (known, value) = line.split_once(':')?;
        known.eq_ignore_ascii_case(name).then(|| value.trim())
    });
    found.with_context(|| format!("no {name} in {message}"))
}

fn address(contact: &str) -> String {
    contact
        .split_once('<')
        .and_then(|(_, rest)| rest.split_once('>'))
        .map_or(contact, |(uri, _)| uri)
        .to_owned()
}

/// A 200 to a request; of an INVITE, with a session.
fn answer(request: &str, at: Option<SocketAddr>) -> Result<String> {
    let mut text = "SIP/2.0 200 OK\r\n".to_owned();
    for via in request.lines().filter(|line| line.to_ascii_lowercase().starts_with("via:")) {
        text += &format!("{via}\r\n");
    }
    let to = line(request, "To")?;
    let tag = if to.contains("tag=") { "" } else { ";tag=2" };
    text += &format!(
        "From: {}\r\nTo: {to}{tag}\r\nCall-ID: {}\r\nCSeq: {}\r\n",
        line(request, "From")?,
        line(request, "Call-ID")?,
        line(request, "CSeq")?
    );
    match at {
        Some(at) => {
            let body = sdp(at);
            text += &format!(
                "Contact: <sip:agent@{at}>\r\nContent-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            );
        }
        None => text += "Content-Length: 0\r\n\r\n",
    }
    ensure!(text.contains("\r\nVia:") || text.contains("\r\nvia:"), "no Via in {request}");
    Ok(text)
}

fn sdp(at: SocketAddr) -> String {
    format!(
        "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio {} RTP/AVP 0\r\n\
         a=rtpmap:0 PCMU/8000\r\n",
        at.port() & !1
    )
}

fn us(since: Instant) -> u32 {
    u32::try_from(since.elapsed().as_micros()).unwrap_or(u32::MAX)
}
