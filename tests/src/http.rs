//! An HTTP/1.1 client on one connection that never repeats a call by itself: a call was answered, or it was not.

use std::io::{Error, ErrorKind, Result};
use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

/// Nobody in a test waits longer for an answer.
const PATIENCE: Duration = Duration::from_secs(30);
/// A body up to here goes out in one piece with its head.
const SMALL: usize = 64 * 1024;

/// A connection, made when it is needed.
#[derive(Debug)]
pub struct Http {
    to: SocketAddr,
    stream: Option<BufReader<TcpStream>>,
    pace: Option<(usize, Duration)>,
    patience: Duration,
}

/// An answer.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// Status line and headers as they came, in lower case.
    pub head: String,
    /// The body.
    pub body: Vec<u8>,
    headers: Vec<(String, String)>,
}

impl Answer {
    /// A header's value as it came; `name` in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The body as JSON; null if it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Whether the status is a success.
    pub fn ok(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

impl Http {
    /// To this address.
    pub fn new(to: SocketAddr) -> Self {
        Self { to, stream: None, pace: None, patience: PATIENCE }
    }

    /// To this address, with bodies that go out in pieces of so many bytes and rest in between: what is cut off, is cut
    /// in the middle.
    pub fn paced(to: SocketAddr, piece: usize, rest: Duration) -> Self {
        Self { pace: Some((piece.max(1), rest)), ..Self::new(to) }
    }

    /// Waits so long for an answer.
    #[must_use]
    pub fn patient(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// POSTs JSON.
    ///
    /// # Errors
    /// No answer.
    pub async fn post(&mut self, path: &str, headers: &[(&str, &str)], body: &Value) -> Result<Answer> {
        self.call("POST", path, headers, body.to_string().as_bytes()).await
    }

    /// GETs.
    ///
    /// # Errors
    /// No answer.
    pub async fn get(&mut self, path: &str, headers: &[(&str, &str)]) -> Result<Answer> {
        self.call("GET", path, headers, b"").await
    }

    /// Any call. After an error the next one uses a new connection.
    ///
    /// # Errors
    /// No answer, and it is not known whether the call arrived.
    pub async fn call(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Result<Answer> {
        let answer = tokio::time::timeout(self.patience, self.exchange(method, path, headers, body)).await;
        let answer = answer.unwrap_or_else(|_| Err(Error::from(ErrorKind::TimedOut)));
        if answer.as_ref().map_or(true, |answer| answer.head.contains("connection: close")) {
            self.stream = None;
        }
        answer
    }

    async fn exchange(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Result<Answer> {
        if self.stream.is_none() {
            let stream = TcpStream::connect(self.to).await?;
            stream.set_nodelay(true)?;
            self.stream = Some(BufReader::new(stream));
        }
        let to = self.to;
        let stream = self.stream.as_mut().ok_or(ErrorKind::NotConnected)?;
        let mut request = format!("{method} {path} HTTP/1.1\r\nhost: {to}\r\n").into_bytes();
        if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type")) {
            request.extend_from_slice(b"content-type: application/json\r\n");
        }
        for (name, value) in headers {
            request.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
        }
        request.extend_from_slice(format!("content-length: {}\r\n\r\n", body.len()).as_bytes());
        // A server may refuse and close before it has read everything: its answer counts, not our failed write.
        let written = write(stream.get_mut(), request, body, self.pace).await;
        match read(stream, method == "HEAD").await {
            Ok(answer) => Ok(answer),
            Err(error) => Err(written.err().unwrap_or(error)),
        }
    }
}

async fn write(
    stream: &mut TcpStream,
    mut head: Vec<u8>,
    body: &[u8],
    pace: Option<(usize, Duration)>,
) -> Result<()> {
    match pace {
        Some((piece, rest)) => {
            stream.write_all(&head).await?;
            for piece in body.chunks(piece) {
                stream.write_all(piece).await?;
                tokio::time::sleep(rest).await;
            }
            Ok(())
        }
        None if body.len() <= SMALL => {
            head.extend_from_slice(body);
            stream.write_all(&head).await
        }
        None => {
            stream.write_all(&head).await?;
            stream.write_all(body).await
        }
    }
}

async fn read(stream: &mut BufReader<TcpStream>, head_alone: bool) -> Result<Answer> {
    let mut head = String::new();
    loop {
        let begin = head.len();
        if stream.read_line(&mut head).await? == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        if head.len() - begin <= 2 {
            break;
        }
    }
    let headers: Vec<(String, String)> = head
        .lines()
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    head.make_ascii_lowercase();
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok());
    let status = status.ok_or_else(|| Error::new(ErrorKind::InvalidData, head.clone()))?;
    let header = |name: &str| headers.iter().find(|(known, _)| known == name).map(|(_, value)| value);
    let body = if head_alone {
        Vec::new()
    } else if header("transfer-encoding").is_some_and(|how| how == "chunked") {
        chunks(stream).await?
    } else {
        let length = header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
        let mut body = vec![0; length];
        stream.read_exact(&mut body).await?;
        body
    };
    Ok(Answer { status, head, body, headers })
}

async fn chunks(stream: &mut BufReader<TcpStream>) -> Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await?;
        let length = usize::from_str_radix(line.trim(), 16).map_err(|_| ErrorKind::InvalidData)?;
        let begin = body.len();
        body.resize(begin + length + 2, 0);
        stream.read_exact(&mut body[begin..]).await?;
        body.truncate(begin + length);
        if length == 0 {
            return Ok(body);
        }
    }
}
