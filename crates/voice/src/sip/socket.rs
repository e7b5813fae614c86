//! The UDP sockets, with the gate in front.
//!
//! ```text
//!   socket ─► thread "sip": gate ─┬─ passed ──► inbox ─► the stack
//!                                 └─ answered ► socket
//! ```
//!
//! The thread does nothing else, so the system runs it soon after something came, whatever else there is to do: who is turned
//! away hears of it at once, and repeats nothing (docs/decisions/0074).

use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::net::{SocketAddr, UdpSocket};
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use rsipstack::Result;
use rsipstack::platform::net::UdpSocket as Stack;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::net::sockopt::set_socket_recv_buffer_size;
use tokio::sync::{Mutex, mpsc};

use crate::gate::{Door, Passed, pass};

/// What came in and was not read yet. A datagram that is lost costs the caller half a second.
const BUFFER: usize = 4 << 20;
/// The largest datagram there is.
const DATAGRAM: usize = 65_535;
/// So many that have passed wait for the stack; what comes then is lost, as in the socket.
const INBOX: usize = 8_192;
/// The stack gets so many in a row, then what came of them has its turn: what waits is to wait in the inbox, where it is seen.
const GO: usize = 32;
/// The pause after what should not happen, so that it does not happen without one.
const PAUSE: Duration = Duration::from_millis(10);
/// The pause before a datagram is sent again for which the system had no room.
const NO_ROOM: Duration = Duration::from_millis(1);

/// A datagram, and who sent it.
type Came = (Vec<u8>, SocketAddr);

/// One or two UDP sockets (IPv4, IPv6) that look like one to the stack. What comes in has passed the gate.
pub struct Gated {
    sockets: Arc<Sockets>,
    /// Only the stack's one reader takes of it. How many it took in this go.
    inbox: Mutex<(mpsc::Receiver<Came>, usize)>,
    /// Dropped, it tells the thread that it is over.
    open: Option<UnixStream>,
    thread: Option<JoinHandle<()>>,
}

impl Gated {
    /// Binds the addresses, and begins to read.
    ///
    /// # Errors
    /// One cannot be bound, or the system has no thread.
    pub fn bind(addresses: &[SocketAddr], door: Arc<dyn Door>) -> io::Result<Self> {
        if addresses.is_empty() {
            return Err(io::Error::new(ErrorKind::InvalidInput, "no address to listen at"));
        }
        let sockets = addresses.iter().map(|address| {
            let socket = UdpSocket::bind(address)?;
            socket.set_nonblocking(true)?;
            // As much as the system allows; with less than that it works, too.
            let _ = set_socket_recv_buffer_size(&socket, BUFFER);
            Ok((socket.local_addr()?, socket))
        });
        let sockets = Arc::new(Sockets(sockets.collect::<io::Result<_>>()?));
        let (passed, inbox) = mpsc::channel(INBOX);
        let (open, closed) = UnixStream::pair()?;
        let reader = Reader { sockets: sockets.clone(), door, passed, since: VecDeque::new() };
        let thread = thread::Builder::new().name("sip".to_owned()).spawn(move || reader.run(&closed))?;
        Ok(Self { sockets, inbox: Mutex::new((inbox, 0)), open: Some(open), thread: Some(thread) })
    }

    /// Where it is bound.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.sockets.0.iter().map(|(at, _)| *at).collect()
    }
}

impl Drop for Gated {
    fn drop(&mut self) {
        self.open = None;
        // The addresses are free when this returns. The thread may be the one that had it last.
        if let Some(thread) = self.thread.take().filter(|of| of.thread().id() != thread::current().id()) {
            let _ = thread.join();
        }
    }
}

#[async_trait]
impl Stack for Gated {
    async fn recv_from(&self, into: &mut [u8]) -> Result<(usize, SocketAddr)> {
        let mut inbox = self.inbox.lock().await;
        let (inbox, taken) = &mut *inbox;
        if *taken >= GO {
            *taken = 0;
            tokio::task::yield_now().await;
        }
        while let Some((bytes, from)) = inbox.recv().await {
            *taken += 1;
            if let Some(into) = into.get_mut(..bytes.len()) {
                into.copy_from_slice(&bytes);
                return Ok((bytes.len(), from));
            }
        }
        // The thread lives as long as this does.
        std::future::pending().await
    }

    async fn send_to(&self, bytes: &[u8], to: SocketAddr) -> Result<usize> {
        loop {
            match self.sockets.send(bytes, to) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => tokio::time::sleep(NO_ROOM).await,
                sent => return Ok(sent?),
            }
        }
    }

    fn local_addr(&self) -> Result<SocketAddr> {
        Ok(self.sockets.0[0].0)
    }
}

/// One of each address family at most, and where it is bound.
struct Sockets(Vec<(SocketAddr, UdpSocket)>);

impl Sockets {
    fn send(&self, bytes: &[u8], to: SocketAddr) -> io::Result<usize> {
        let fits = self.0.iter().find(|(at, _)| at.is_ipv4() == to.is_ipv4());
        let none = || io::Error::new(ErrorKind::AddrNotAvailable, "no socket of this address family");
        fits.ok_or_else(none)?.1.send_to(bytes, to)
    }
}

/// The thread's own.
struct Reader {
    sockets: Arc<Sockets>,
    door: Arc<dyn Door>,
    passed: mpsc::Sender<Came>,
    /// When those passed that still wait, and perhaps some before.
    since: VecDeque<Instant>,
}

impl Reader {
    /// Reads until the other end of `closed` is.
    fn run(mut self, closed: &UnixStream) {
        let mut room = vec![0; DATAGRAM];
        let mut waits = vec![PollFd::new(closed, PollFlags::IN)];
        let sockets = self.sockets.clone();
        waits.extend(sockets.0.iter().map(|(_, socket)| PollFd::new(socket, PollFlags::IN)));
        loop {
            match poll(&mut waits, None) {
                Ok(_) if !waits[0].revents().is_empty() => return,
                Ok(_) => {}
                Err(Errno::INTR) => continue,
                Err(error) => {
                    tracing::error!(%error, "sip: the sockets cannot be watched");
                    thread::sleep(PAUSE);
                }
            }
            // One datagram of each in turn, so that a flood at one does not silence the other.
            for ((_, socket), wait) in sockets.0.iter().zip(&waits[1..]) {
                if !wait.revents().is_empty() {
                    self.read(socket, &mut room);
                }
            }
        }
    }

    fn read(&mut self, socket: &UdpSocket, room: &mut [u8]) {
        let (length, from) = match socket.recv_from(room) {
            Ok(came) => came,
            // The poller spoke of a datagram that the system then found to be broken.
            Err(error) if error.kind() == ErrorKind::WouldBlock => return,
            // An ICMP error of an earlier datagram may show here; the socket goes on.
            Err(_) => return thread::sleep(PAUSE),
        };
        // A fault of ours that a message finds costs that message.
        if catch_unwind(AssertUnwindSafe(|| self.takes(&room[..length], from))).is_err() {
            tracing::error!(%from, "sip: a panic at the gate; the message is lost");
        }
    }

    fn takes(&mut self, bytes: &[u8], from: SocketAddr) {
        let waited = self.waited();
        // Keep-alives (RFC 5626) are the stack's.
        let passed = if bytes.iter().all(u8::is_ascii_whitespace) {
            Passed::On(bytes.into())
        } else {
            pass(bytes, from, self.door.as_ref(), waited)
        };
        match passed {
            Passed::On(plain) => {
                // Where there is no room it is lost.
                if self.passed.try_send((plain.into_owned(), from)).is_ok() {
                    self.since.push_back(Instant::now());
                }
            }
            Passed::Answer(answer, to) => drop(self.sockets.send(&answer, to)),
            Passed::Dropped => {}
        }
    }

    /// How long the oldest of those that have passed waits for the stack.
    fn waited(&mut self) -> Duration {
        let waiting = self.passed.max_capacity() - self.passed.capacity();
        self.since.drain(..self.since.len().saturating_sub(waiting));
        self.since.front().map_or(Duration::ZERO, Instant::elapsed)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use futures_util::FutureExt as _;

    use super::*;
    use crate::gate::torture::Everybody;
    use crate::gate::{Raw, Refusal};

    /// Keep-alives: whatever passes will do.
    const PING: &[u8] = b"\r\n\r\n";

    fn options(call: u8) -> String {
        format!(
            "OPTIONS sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP a;rport;branch=z9hG4bK{call}\r\nMax-Forwards: 70\r\n\
             From: <sip:a@a>;tag=1\r\nTo: <sip:b@b>\r\nCall-ID: {call}\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
        )
    }

    #[tokio::test]
    async fn what_passes_both_families_comes_and_an_answer_goes_back() {
        let at: Vec<SocketAddr> =
            ["127.0.0.1:0", "[::1]:0"].iter().map(|at| at.parse().expect("an address")).collect();
        let gated = Gated::bind(&at, Arc::new(Everybody)).expect("bound");
        for (own, to) in at.iter().zip(gated.addresses()) {
            let peer = UdpSocket::bind(own).expect("bound");
            peer.set_read_timeout(Some(Duration::from_secs(10))).expect("a time");
            peer.send_to(b"OPTIONS sip:a@b SIP/3.0\r\nVia: SIP/2.0/UDP a;rport;branch=z9hG4bK1\r\n\r\n", to)
                .expect("sent");
            let mut room = [0; 2_048];
            let length = peer.recv(&mut room).expect("an answer");
            assert!(
                room[..length].starts_with(b"SIP/2.0 "),
                "{:?}",
                String::from_utf8_lossy(&room[..length])
            );
            peer.send_to(PING, to).expect("sent");
            let (length, from) = gated.recv_from(&mut room).await.expect("read");
            assert_eq!((&room[..length], from), (PING, peer.local_addr().expect("bound")));
            gated.send_to(PING, from).await.expect("sent");
            assert_eq!(peer.recv(&mut room).expect("it comes"), PING.len());
        }
    }

    /// Remembers how long the stack was waited for.
    struct Notes(std::sync::mpsc::Sender<Duration>);

    impl Door for Notes {
        fn admit(&self, _: &Raw<'_>, _: SocketAddr, waited: Duration) -> std::result::Result<(), Refusal> {
            self.0.send(waited).expect("noted");
            Ok(())
        }
    }

    #[tokio::test]
    async fn the_door_knows_how_long_the_stack_is_waited_for() {
        let (sender, notes) = std::sync::mpsc::channel();
        let at = "127.0.0.1:0".parse().expect("an address");
        let gated = Gated::bind(&[at], Arc::new(Notes(sender))).expect("bound");
        let peer = UdpSocket::bind(at).expect("bound");
        let next = |call: u8| {
            peer.send_to(options(call).as_bytes(), gated.addresses()[0]).expect("sent");
            notes.recv_timeout(Duration::from_secs(10)).expect("at the door")
        };
        assert_eq!(next(1), Duration::ZERO, "nobody waits");
        let pause = Duration::from_millis(20);
        thread::sleep(pause);
        assert!(next(2) >= pause);
        let mut room = [0; 1_024];
        for _ in 0..2 {
            gated.recv_from(&mut room).await.expect("read");
        }
        assert_eq!(next(3), Duration::ZERO, "nobody waits any more");
    }

    #[tokio::test]
    async fn after_a_go_others_have_their_turn() {
        let at = "127.0.0.1:0".parse().expect("an address");
        let gated = Gated::bind(&[at], Arc::new(Everybody)).expect("bound");
        let peer = UdpSocket::bind(at).expect("bound");
        for _ in 0..GO + 1 {
            peer.send_to(PING, gated.addresses()[0]).expect("sent");
        }
        let passed = || async { gated.inbox.lock().await.0.len() };
        while passed().await <= GO {
            tokio::task::yield_now().await;
        }
        let mut room = [0; 64];
        for _ in 0..GO {
            assert!(gated.recv_from(&mut room).now_or_never().is_some(), "one of this go");
        }
        assert!(gated.recv_from(&mut room).now_or_never().is_none(), "the others have their turn");
        assert!(gated.recv_from(&mut room).now_or_never().is_some(), "the first of the next");
    }

    /// Falls over the first who comes.
    struct Stumbles(AtomicBool);

    impl Door for Stumbles {
        fn admit(&self, _: &Raw<'_>, _: SocketAddr, _: Duration) -> std::result::Result<(), Refusal> {
            assert!(self.0.swap(true, Ordering::Relaxed), "a fault");
            Ok(())
        }
    }

    #[tokio::test]
    async fn a_fault_costs_one_message() {
        let at = "127.0.0.1:0".parse().expect("an address");
        let gated = Gated::bind(&[at], Arc::new(Stumbles(AtomicBool::default()))).expect("bound");
        let peer = UdpSocket::bind(at).expect("bound");
        for call in 1..=2 {
            peer.send_to(options(call).as_bytes(), gated.addresses()[0]).expect("sent");
        }
        let mut room = [0; 1_024];
        let (length, _) = gated.recv_from(&mut room).await.expect("read");
        assert_eq!(&room[..length], options(2).as_bytes());
    }

    #[test]
    fn dropped_it_leaves_its_address_free() {
        let door: Arc<dyn Door> = Arc::new(Everybody);
        let gated = Gated::bind(&["127.0.0.1:0".parse().expect("an address")], door.clone()).expect("bound");
        let at = gated.addresses();
        drop(gated);
        UdpSocket::bind(at[0]).expect("the address is free");
        assert_eq!(Arc::strong_count(&door), 1, "the thread is over");
    }
}
