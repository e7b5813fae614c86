//! Web sockets, through the same guard as everything else.

use std::net::SocketAddr;
use std::time::Duration;

use ::http::{HeaderMap, Request as Handshake, Uri};
use futures_util::{SinkExt as _, StreamExt as _};
use interline_core::transfer::reason::Reason;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::error::Error;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Message, protocol::frame::coding::CloseCode};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, client_async_tls_with_config};
use url::Url;

use super::{Http, of_status};
use crate::failure::{Cause, Failure};
use crate::guard::is_public;

/// The longest message that is taken, in bytes.
const LONGEST: usize = 1024 * 1024;

/// A web socket. Pings are answered while somebody waits for the next message.
pub struct Socket {
    /// Boxed: with what TLS may need it is large, and whoever holds a socket moves it about.
    stream: Box<WebSocketStream<MaybeTlsStream<TcpStream>>>,
}

/// A socket is over.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the socket is closed: {0}")]
pub struct SocketEnd(pub String);

impl Http {
    /// Opens a web socket at a `ws` or `wss` address. All of it may take `deadline`.
    ///
    /// # Errors
    /// As [`Http::open`].
    pub async fn socket(&self, url: &Url, headers: HeaderMap, deadline: Duration) -> Result<Socket, Failure> {
        let late = || Failure::Retry { after_ms: None, cause: unreachable("no answer in time") };
        tokio::time::timeout(deadline, self.handshake(url, headers)).await.map_err(|_| late())?
    }

    async fn handshake(&self, url: &Url, headers: HeaderMap) -> Result<Socket, Failure> {
        let address = self.dial(url).await?;
        let connected = TcpStream::connect(address.as_slice()).await;
        let retry = |code: &str| Failure::Retry { after_ms: None, cause: unreachable(code) };
        let tcp = connected.map_err(|_| retry("cannot connect"))?;
        let _ = tcp.set_nodelay(true);
        let bug = || Failure::Bug(Cause::new(Reason::VendorError, "cannot make the handshake"));
        let uri: Uri = url.as_str().parse().map_err(|_| bug())?;
        let mut request: Handshake<()> = uri.into_client_request().map_err(|_| bug())?;
        request.headers_mut().extend(headers);
        let config = WebSocketConfig::default()
            .max_message_size(Some(LONGEST))
            .max_frame_size(Some(LONGEST))
            // A thousand sockets are mostly silent.
            .read_buffer_size(4 * 1024)
            .write_buffer_size(4 * 1024);
        match client_async_tls_with_config(request, tcp, Some(config), None).await {
            Ok((stream, _)) => Ok(Socket { stream: Box::new(stream) }),
            Err(Error::Http(answer)) => Err(of_status(answer.status(), answer.headers())),
            Err(Error::Tls(_)) => Err(retry("the certificate was not accepted")),
            Err(_) => Err(retry("the handshake failed")),
        }
    }

    /// The addresses to connect to, checked.
    async fn dial(&self, url: &Url) -> Result<Vec<SocketAddr>, Failure> {
        let forbidden = |why: String| Failure::Refused(Cause::new(Reason::Unconfigured, why));
        let (host, port) = match (url.scheme(), url.host_str(), url.port_or_known_default()) {
            ("ws" | "wss", Some(host), Some(port)) => (host, port),
            _ => return Err(forbidden("only ws and wss URLs with a host can be called".into())),
        };
        let trusted = self.guard.is_allowed(url);
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let found = tokio::net::lookup_host((host, port)).await;
        let found =
            found.map_err(|_| Failure::Retry { after_ms: None, cause: unreachable("no such host") })?;
        let addresses: Vec<SocketAddr> = found.filter(|it| trusted || is_public(it.ip())).collect();
        if addresses.is_empty() {
            return Err(forbidden(format!(
                "the address of {host} is private; name host:port in the --app file or with --allow-net to allow it"
            )));
        }
        Ok(addresses)
    }
}

impl Socket {
    /// The next text. Safe to drop and call again.
    ///
    /// # Errors
    /// The socket is over, and why.
    pub async fn next(&mut self) -> Result<String, SocketEnd> {
        loop {
            match self.stream.next().await {
                Some(Ok(Message::Text(text))) => return Ok(text.as_str().to_owned()),
                Some(Ok(Message::Close(frame))) => {
                    let why = frame.map(|frame| format!("{} {}", u16::from(frame.code), frame.reason));
                    return Err(SocketEnd(why.unwrap_or_else(|| "by the other side".into())));
                }
                // Pings are answered by the library; bytes mean nothing to any of our vendors.
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(SocketEnd(kind(&error))),
                None => return Err(SocketEnd("by the other side".into())),
            }
        }
    }

    /// Sends a text.
    ///
    /// # Errors
    /// The socket is over.
    pub async fn send(&mut self, text: String) -> Result<(), SocketEnd> {
        self.stream.send(Message::text(text)).await.map_err(|error| SocketEnd(kind(&error)))
    }

    /// Says good-bye.
    pub async fn close(mut self) {
        let frame = tokio_tungstenite::tungstenite::protocol::CloseFrame {
            code: CloseCode::Normal,
            reason: "".into(),
        };
        let _ = (*self.stream).close(Some(frame)).await;
    }
}

/// Without what was in the message.
fn kind(error: &Error) -> String {
    match error {
        Error::Capacity(_) => "a message is too long",
        Error::Protocol(_) | Error::Utf8(_) => "not the web socket protocol",
        Error::ConnectionClosed | Error::AlreadyClosed => "closed",
        _ => "connection lost",
    }
    .to_owned()
}

fn unreachable(code: &str) -> Cause {
    Cause::new(Reason::Unreachable, code)
}
