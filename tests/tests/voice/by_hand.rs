//! A caller by hand, for what SIPp cannot do: one who takes UDP and TCP at one port, and who sees each message as it is.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UdpSocket};

use super::sdp;

/// A caller by UDP, who takes TCP too, or does not.
pub struct Caller {
    pub udp: UdpSocket,
    tcp: Option<TcpListener>,
    pub own: SocketAddr,
    pub server: u16,
    id: String,
}

/// A request that came, and by what.
pub struct Asked {
    pub text: String,
    pub by: By,
}

pub enum By {
    Udp(SocketAddr),
    Tcp(TcpStream),
}

impl Caller {
    pub async fn new(server: u16, takes_tcp: bool) -> Result<Self> {
        loop {
            let udp = UdpSocket::bind("127.0.0.1:0").await?;
            let own = udp.local_addr()?;
            let tcp = TcpListener::bind(own).await;
            if takes_tcp && tcp.is_err() {
                // Somebody else has the port there.
                continue;
            }
            let id = uuid::Uuid::new_v4().simple().to_string();
            return Ok(Self { udp, tcp: tcp.ok().filter(|_| takes_tcp), own, server, id });
        }
    }

    pub fn head(&self, method: &str, user: &str, to: &str) -> String {
        let Self { own, server, id, .. } = self;
        let no = uuid::Uuid::new_v4().simple();
        format!(
            "{method} sip:{user}@127.0.0.1:{server} SIP/2.0\r\nVia: SIP/2.0/UDP {own};branch=z9hG4bK{no};rport\r\n\
             Max-Forwards: 70\r\nFrom: <sip:ann@{own}>;tag=1\r\n{to}\r\nCall-ID: {id}\r\n"
        )
    }

    /// Calls, is answered, and acknowledges it. The `To` of the dialog.
    pub async fn calls(&self, user: &str, media: &str) -> Result<String> {
        Ok(self.calls_and_reads(user, media).await?.0)
    }

    /// The same, with the answer.
    pub async fn calls_and_reads(&self, user: &str, media: &str) -> Result<(String, String)> {
        let to = format!("To: <sip:{user}@127.0.0.1>");
        let (head, body) = (self.head("INVITE", user, &to), sdp(media));
        let request = format!(
            "{head}CSeq: 1 INVITE\r\nContact: <sip:ann@{}>\r\nContent-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{body}",
            self.own,
            body.len()
        );
        self.udp.send_to(request.as_bytes(), ("127.0.0.1", self.server)).await?;
        loop {
            let (answer, _) = self.datagram().await?;
            if answer.starts_with("SIP/2.0 200 ") {
                let to = field(&answer, "To")?;
                let ack = self.head("ACK", user, &to) + "CSeq: 1 ACK\r\nContent-Length: 0\r\n\r\n";
                self.udp.send_to(ack.as_bytes(), ("127.0.0.1", self.server)).await?;
                return Ok((to, answer));
            }
            ensure!(answer.starts_with("SIP/2.0 100 "), "{answer}");
        }
    }

    pub async fn datagram(&self) -> Result<(String, SocketAddr)> {
        let mut buffer = vec![0; 65_535];
        let (length, from) =
            tokio::time::timeout(Duration::from_secs(20), self.udp.recv_from(&mut buffer)).await??;
        Ok((String::from_utf8(buffer[..length].to_vec())?, from))
    }

    /// The next request. An answer that is sent once more is none.
    pub async fn asked(&self) -> Result<Asked> {
        loop {
            tokio::select! {
                message = self.datagram() => {
                    let (text, from) = message?;
                    if !text.starts_with("SIP/2.0 ") {
                        return Ok(Asked { text, by: By::Udp(from) });
                    }
                }
                stream = accepted(&self.tcp) => {
                    // Whoever only looks whether somebody is there says nothing.
                    let mut stream = stream?;
                    let text = message(&mut stream).await?;
                    if !text.is_empty() {
                        return Ok(Asked { text, by: By::Tcp(stream) });
                    }
                }
            }
        }
    }

    pub async fn answers(&self, asked: Asked, status: &str) -> Result<()> {
        let mut answer = format!("SIP/2.0 {status}\r\n");
        for name in ["Via", "From", "To", "Call-ID", "CSeq"] {
            answer += &(field(&asked.text, name)? + "\r\n");
        }
        answer += &format!("Contact: <sip:ann@{}>\r\nContent-Length: 0\r\n\r\n", self.own);
        match asked.by {
            By::Udp(to) => _ = self.udp.send_to(answer.as_bytes(), to).await?,
            By::Tcp(mut stream) => {
                stream.write_all(answer.as_bytes()).await?;
                // Until the server has read it and closes, or is done.
                let _ = tokio::time::timeout(Duration::from_secs(1), message(&mut stream)).await;
            }
        }
        Ok(())
    }
}

async fn accepted(tcp: &Option<TcpListener>) -> Result<TcpStream> {
    match tcp {
        Some(tcp) => Ok(tcp.accept().await?.0),
        None => std::future::pending().await,
    }
}

/// One message without a body. Empty: there came none.
async fn message(stream: &mut TcpStream) -> Result<String> {
    let mut text = Vec::new();
    while !text.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        if stream.read(&mut byte).await? == 0 {
            break;
        }
        text.push(byte[0]);
    }
    Ok(String::from_utf8(text)?)
}

/// A line of a message.
pub fn field(message: &str, name: &str) -> Result<String> {
    let line = message.lines().find(|line| line.starts_with(&format!("{name}:")));
    line.map(str::to_owned).with_context(|| format!("no {name}: {message}"))
}
