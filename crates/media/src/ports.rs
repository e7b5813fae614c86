//! Ports for RTP: an even one, and the odd one above for RTCP (RFC 3550, 11). They go round, so that a port rests as long
//! as it can before another call has it: what still comes for the last call is then nobody's.

use std::collections::HashSet;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, PoisonError};

/// All ports are taken, or the system gives none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no port for media is free")]
pub struct NoPort;

/// The ports of one process.
#[derive(Debug)]
pub struct Ports {
    bind: IpAddr,
    first: u16,
    pairs: u16,
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    pairs: HashSet<u16>,
    next: u16,
}

/// A pair that is taken, until it is dropped.
#[derive(Debug)]
pub struct Lease {
    ports: Arc<Ports>,
    pair: u16,
}

/// Two bound sockets, which do not block.
#[derive(Debug)]
pub struct Opened {
    /// For RTP.
    pub rtp: UdpSocket,
    /// For RTCP.
    pub control: UdpSocket,
    /// The ports. To be dropped after the sockets.
    pub lease: Lease,
}

impl Ports {
    /// The pairs within `range` at the address `bind`; all zeros: at any.
    pub fn new(bind: IpAddr, range: &RangeInclusive<u16>) -> Arc<Self> {
        let first = range.start().saturating_add(range.start() % 2);
        let pairs = (u32::from(*range.end()) + 1).saturating_sub(u32::from(first)) / 2;
        let pairs = u16::try_from(pairs).unwrap_or(u16::MAX);
        Arc::new(Self { bind, first, pairs, taken: Mutex::default() })
    }

    /// The address that sockets are bound to.
    pub fn address(&self) -> IpAddr {
        self.bind
    }

    /// How many are taken.
    pub fn taken(&self) -> usize {
        self.lock().pairs.len()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens the next pair. One that somebody else has is passed over. Where any address will do it is `told`, the one
    /// that the other side is told: nothing is listened for where nobody sends.
    ///
    /// # Errors
    /// There is none.
    pub fn open(self: &Arc<Self>, told: Option<IpAddr>) -> Result<Opened, NoPort> {
        let at = self.at(told);
        for _ in 0..self.pairs {
            let lease = self.lease()?;
            if let Ok((rtp, control)) = bind(at, self.first + 2 * lease.pair) {
                return Ok(Opened { rtp, control, lease });
            }
        }
        Err(NoPort)
    }

    fn at(&self, told: Option<IpAddr>) -> IpAddr {
        match told {
            Some(told) if self.bind.is_unspecified() => {
                // One that is not this machine's stands on a router before it: packets come to another of ours.
                let ours = UdpSocket::bind(SocketAddr::new(told, 0)).is_ok();
                match told {
                    _ if ours => told,
                    IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
                    IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
                }
            }
            _ => self.bind,
        }
    }

    fn lease(self: &Arc<Self>) -> Result<Lease, NoPort> {
        let mut taken = self.lock();
        for _ in 0..self.pairs {
            let pair = taken.next;
            taken.next = (pair + 1) % self.pairs.max(1);
            if taken.pairs.insert(pair) {
                return Ok(Lease { ports: self.clone(), pair });
            }
        }
        Err(NoPort)
    }
}

fn bind(at: IpAddr, port: u16) -> io::Result<(UdpSocket, UdpSocket)> {
    let open = |port| {
        let socket = UdpSocket::bind(SocketAddr::new(at, port))?;
        socket.set_nonblocking(true)?;
        Ok::<_, io::Error>(socket)
    };
    Ok((open(port)?, open(port.checked_add(1).ok_or(io::ErrorKind::AddrNotAvailable)?)?))
}

impl Lease {
    /// The port of RTP.
    pub fn port(&self) -> u16 {
        self.ports.first + 2 * self.pair
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.ports.lock().pairs.remove(&self.pair);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_even_and_odd_go_round_and_come_back() {
        // Below what the system gives to others; tests run side by side, each in its own process.
        let first = 12_001 + (std::process::id() % 1000) as u16 * 8;
        let ports = Ports::new("127.0.0.1".parse().expect("an address"), &(first..=first + 6));
        let first = ports.open(None).expect("a port");
        assert_eq!(first.lease.port() % 2, 0);
        assert_eq!(first.rtp.local_addr().map(|at| at.port()).ok(), Some(first.lease.port()));
        assert_eq!(first.control.local_addr().map(|at| at.port()).ok(), Some(first.lease.port() + 1));
        let again = first.lease.port();
        drop(first);
        assert_ne!(ports.open(None).expect("a port").lease.port(), again, "it rests");
        let (one, two) = (ports.open(None).expect("a port"), ports.open(None).expect("a port"));
        assert_eq!(ports.taken(), 2);
        let third = ports.open(None).expect("a port");
        assert_eq!(ports.open(None).err(), Some(NoPort));
        drop((one, two, third));
        assert_eq!(ports.taken(), 0);
    }

    #[test]
    fn where_any_address_will_do_it_is_the_one_that_is_told() {
        let first = 20_001 + (std::process::id() % 1000) as u16 * 8;
        let ports = Ports::new(Ipv4Addr::UNSPECIFIED.into(), &(first..=first + 6));
        let at = |told: &str| {
            let opened = ports.open(told.parse().ok()).expect("a port");
            opened.rtp.local_addr().map(|at| at.ip().to_string()).expect("an address")
        };
        assert_eq!(at("127.0.0.1"), "127.0.0.1");
        assert_eq!(at("::1"), "::1");
        // Another's (RFC 5737): that of a router in front of us.
        assert_eq!(at("192.0.2.1"), "0.0.0.0");
        let ports = Ports::new(Ipv4Addr::LOCALHOST.into(), &(first..=first + 6));
        let opened = ports.open("192.0.2.1".parse().ok()).expect("a port");
        assert_eq!(opened.rtp.local_addr().map(|at| at.ip()).ok(), Some(Ipv4Addr::LOCALHOST.into()));
    }

    #[test]
    fn an_empty_range_has_none() {
        #[expect(clippy::reversed_empty_ranges)]
        let ports = Ports::new("127.0.0.1".parse().expect("an address"), &(40_000..=30_000));
        assert_eq!(ports.open(None).err(), Some(NoPort));
        assert_eq!(
            Ports::new("127.0.0.1".parse().expect("an address"), &(65_535..=65_535)).open(None).err(),
            Some(NoPort)
        );
    }
}
