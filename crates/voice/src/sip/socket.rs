//! The UDP sockets, with the gate in front.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use async_trait::async_trait;
use rsipstack::Result;
use rsipstack::platform::net::UdpSocket as Stack;
use rustix::net::sockopt::set_socket_recv_buffer_size;
use tokio::net::UdpSocket;
use tokio::sync::Mutex;

use crate::gate::{Door, Passed, pass};

/// What came in and was not read yet: a burst of a thousand calls. A datagram that is lost costs the caller half a second.
const BUFFER: usize = 4 << 20;

/// The largest datagram there is.
const DATAGRAM: usize = 65_535;

/// So many datagrams are read in one go: what is to be turned away at once must not wait in the socket until all that has come
/// in before was worked at. Then the others have their turn.
const GO: usize = 512;

/// One or two UDP sockets (IPv4, IPv6) that look like one to the stack. What comes in has passed the gate.
pub struct Gated {
    sockets: Vec<UdpSocket>,
    door: Arc<dyn Door>,
    /// Only the stack's one reader reads.
    reader: Mutex<Reader>,
}

struct Reader {
    buffer: Vec<u8>,
    /// How many were read in this go.
    read: usize,
}

impl Gated {
    /// Binds the addresses.
    ///
    /// # Errors
    /// One cannot be bound.
    pub async fn bind(addresses: &[SocketAddr], door: Arc<dyn Door>) -> io::Result<Self> {
        let mut sockets = Vec::new();
        for address in addresses {
            let socket = UdpSocket::bind(address).await?;
            // As much as the system allows; with less than that it works, too.
            let _ = set_socket_recv_buffer_size(&socket, BUFFER);
            sockets.push(socket);
        }
        if sockets.is_empty() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "no address to listen at"));
        }
        Ok(Self { sockets, door, reader: Mutex::new(Reader { buffer: vec![0; DATAGRAM], read: 0 }) })
    }

    /// Where it is bound.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.sockets.iter().filter_map(|socket| socket.local_addr().ok()).collect()
    }

    /// The socket of the same address family.
    fn socket_for(&self, to: SocketAddr) -> Option<&UdpSocket> {
        let fits =
            |socket: &&UdpSocket| socket.local_addr().is_ok_and(|local| local.is_ipv4() == to.is_ipv4());
        self.sockets.iter().find(fits)
    }

    async fn receive(&self, reader: &mut Reader) -> io::Result<(usize, SocketAddr)> {
        loop {
            if reader.read >= GO {
                reader.read = 0;
                tokio::task::yield_now().await;
            }
            // In turns, so that a flood at one does not silence the other. Asked directly: by way of the runtime, 128 are a go.
            let all = self.sockets.len();
            for no in reader.read..reader.read + all {
                match self.sockets[no % all].try_recv_from(&mut reader.buffer) {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    received => {
                        reader.read += 1;
                        return received;
                    }
                }
            }
            reader.read = 0;
            match &self.sockets[..] {
                [first, second, ..] => tokio::select! {
                    ready = first.readable() => ready?,
                    ready = second.readable() => ready?,
                },
                [only] => only.readable().await?,
                [] => std::future::pending().await,
            }
        }
    }
}

#[async_trait]
impl Stack for Gated {
    async fn recv_from(&self, into: &mut [u8]) -> Result<(usize, SocketAddr)> {
        let mut reader = self.reader.lock().await;
        loop {
            // An ICMP error of an earlier datagram shows here; the socket goes on.
            let Ok((length, from)) = self.receive(&mut reader).await else {
                tokio::task::yield_now().await;
                continue;
            };
            let bytes = &reader.buffer[..length];
            // Keep-alives (RFC 5626) are the stack's.
            if bytes.iter().all(u8::is_ascii_whitespace) {
                let length = length.min(into.len());
                into[..length].copy_from_slice(&bytes[..length]);
                return Ok((length, from));
            }
            match pass(bytes, from, self.door.as_ref()) {
                Passed::On(plain) if plain.len() <= into.len() => {
                    into[..plain.len()].copy_from_slice(&plain);
                    return Ok((plain.len(), from));
                }
                Passed::Answer(answer, to) => {
                    if let Some(socket) = self.socket_for(to) {
                        let _ = socket.send_to(&answer, to).await;
                    }
                }
                Passed::On(_) | Passed::Dropped => {}
            }
        }
    }

    async fn send_to(&self, bytes: &[u8], to: SocketAddr) -> Result<usize> {
        let unroutable =
            || io::Error::new(io::ErrorKind::AddrNotAvailable, "no socket of this address family");
        Ok(self.socket_for(to).ok_or_else(unroutable)?.send_to(bytes, to).await?)
    }

    fn local_addr(&self) -> Result<SocketAddr> {
        Ok(self.sockets[0].local_addr()?)
    }
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket as Peer;

    use futures_util::FutureExt as _;

    use super::*;
    use crate::gate::torture::Everybody;

    /// Keep-alives: whatever passes will do.
    const PING: &[u8] = b"\r\n\r\n";

    async fn gated(at: &[&str]) -> (Gated, Vec<Peer>) {
        let addresses: Vec<SocketAddr> = at.iter().map(|at| at.parse().expect("an address")).collect();
        let gated = Gated::bind(&addresses, Arc::new(Everybody)).await.expect("bound");
        let peers = addresses.iter().zip(gated.addresses()).map(|(own, to)| {
            let peer = Peer::bind(own).expect("bound");
            for _ in 0..10 {
                peer.send_to(PING, to).expect("sent");
            }
            peer
        });
        let peers = peers.collect();
        for socket in &gated.sockets {
            socket.readable().await.expect("something came");
        }
        (gated, peers)
    }

    #[tokio::test]
    async fn after_a_go_others_have_their_turn() {
        let (gated, _peers) = gated(&["127.0.0.1:0"]).await;
        gated.reader.lock().await.read = GO - 1;
        let mut room = [0; 64];
        assert!(gated.recv_from(&mut room).now_or_never().is_some(), "the last of a go");
        assert!(gated.recv_from(&mut room).now_or_never().is_none());
        assert!(gated.recv_from(&mut room).now_or_never().is_some(), "the first of the next");
    }

    #[tokio::test]
    async fn neither_family_waits_for_the_other() {
        let (gated, _peers) = gated(&["127.0.0.1:0", "[::1]:0"]).await;
        let (mut room, mut families) = ([0; 64], Vec::new());
        for _ in 0..10 {
            families.push(gated.recv_from(&mut room).await.expect("read").1.is_ipv4());
        }
        assert_eq!(families.iter().filter(|four| **four).count(), 5, "{families:?}");
    }
}
