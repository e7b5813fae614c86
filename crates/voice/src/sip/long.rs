//! What does not fit into a datagram goes by TCP, and by UDP nevertheless where nobody takes TCP (RFC 3261 §18.1.1).

use std::net::SocketAddr;
use std::time::Duration;

use rsipstack::dialog::dialog::DialogSnapshot;
use rsipstack::sip::prelude::{HeadersExt as _, ToTypedHeader as _};
use rsipstack::sip::{Header, Host, Param, Request, Scheme, Transport, Uri};
use tokio::net::TcpStream;

use crate::names;

/// A longer request should not go by UDP.
const LONGEST_DATAGRAM: usize = 1_300;
/// So long somebody who may take TCP is waited for.
const CONNECT: Duration = Duration::from_secs(2);
/// What the stack adds: first line, Via, From, To, Call-ID, CSeq, Contact and lengths, beside the two addresses.
const FRAME: usize = 420;

/// Whether a request is longer, about. `addresses`: how long those of both sides are.
pub fn is_long(addresses: usize, headers: &[Header], body: usize) -> bool {
    let headers: usize = headers.iter().map(|header| header.to_string().len() + 2).sum();
    FRAME + addresses + headers + body > LONGEST_DATAGRAM
}

/// Whether somebody takes TCP there.
pub async fn takes_tcp(at: SocketAddr) -> bool {
    matches!(tokio::time::timeout(CONNECT, TcpStream::connect(at)).await, Ok(Ok(_)))
}

/// Where a long request within a dialog goes: its target, by TCP. None: as all others, because the dialog goes by TCP or TLS,
/// a proxy decides, the target says how, or nobody takes TCP there.
pub async fn by_tcp(dialog: &DialogSnapshot, initial: &Request) -> Option<Uri> {
    let target = &dialog.remote_uri;
    let by_udp = initial.via_header().ok()?.typed().ok()?.transport == Transport::Udp;
    let says_how = target.scheme == Some(Scheme::Sips)
        || target.params.iter().any(|param| matches!(param, Param::Transport(_)));
    if !by_udp || says_how || !dialog.route_set.is_empty() {
        return None;
    }
    let port = target.host_with_port.port.map_or(5060, |port| port.value());
    let at = match &target.host_with_port.host {
        Host::IpAddr(ip) => SocketAddr::new(*ip, port),
        Host::Domain(name) => {
            let addresses = names::here().addresses(&name.to_string()).await;
            SocketAddr::new(addresses.into_iter().next()?, port)
        }
    };
    if !takes_tcp(at).await {
        return None;
    }
    let mut target = target.clone();
    target.params.push(Param::Transport(Transport::Tcp));
    Some(target)
}
