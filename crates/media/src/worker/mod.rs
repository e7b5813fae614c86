//! The thread that moves all packets (docs/decisions/0055). It owns every leg, so nothing in the way of a packet is locked
//! or allocated; what others want of it comes as a [`Command`].
//!
//! ```text
//!   sockets ─► relay.rs ─► latch, intake ─► sink's stream ─► socket
//!                 └► ears.rs (recordings, keys, speech)
//!   commands, clock ─► leg.rs ─► play.rs ─► stream ─► socket
//! ```
//!
//! A panic in here would silence every call, so what is done for a leg is done under guard: a leg whose work panics is lost,
//! and its owner told that nothing is heard of it any more; the others go on (docs/decisions/0073).
//!
//! | file | concept |
//! |---|---|
//! | `leg.rs` | one leg |
//! | `latch.rs` | where the other side is |
//! | `intake.rs` | the stream that comes in |
//! | `relay.rs` | from a socket to a leg's ears and to its sink |
//! | `play.rs` | what a leg plays |
//! | `ears.rs` | who listens to a leg |
//! | `command.rs` | what others want |

pub mod command;
pub mod ears;
pub mod intake;
pub mod latch;
pub mod leg;
pub mod play;
mod relay;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::hash::{BuildHasherDefault, Hasher};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::time::{Duration, Instant};

use mio::{Events, Interest, Poll, Token, Waker};

use command::Command;
use leg::{Leg, ROOM, Scratch, Sink};
use play::{Group, Piece};

use crate::audio::sound::Sound;
use crate::audio::tones;
use crate::rtp::event;
use crate::session::Event;

/// The token of the waker; those of sockets are twice the leg's number, and one more for RTCP.
const WAKE: Token = Token(usize::MAX);

fn leg_of(token: Token) -> u64 {
    (token.0 / 2) as u64
}

/// One socket is read so often in a row, then the others have their turn.
const TURN: usize = 16;

/// While there are legs it sleeps no longer than this, so that what can wait for so long need not wake it: a call in which
/// nothing is heard yet would wake it nine times. One packet's time.
const NAP: Duration = Duration::from_millis(20);

/// The worker works, and sees what is wanted before it sleeps.
const AWAKE: u8 = 0;
/// It sleeps for [`NAP`] at most.
const NAPS: u8 = 1;
/// It sleeps until it is woken.
const SLEEPS: u8 = 2;

/// Legs by their numbers. Those are ours, so that their hash need not be safe from anybody; it is made for each packet.
type Legs = HashMap<u64, Box<Leg>, BuildHasherDefault<Plain>>;

#[derive(Default)]
struct Plain(u64);

impl Hasher for Plain {
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u64((self.0 << 8) | u64::from(*byte)));
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// The way to the worker.
pub struct Line {
    commands: Sender<Command>,
    waker: Waker,
    sleep: Arc<AtomicU8>,
    /// Legs that live.
    pub legs: Arc<AtomicUsize>,
}

impl Line {
    /// Starts the thread.
    ///
    /// # Errors
    /// The system has no thread or no poller to give.
    pub fn start() -> io::Result<Self> {
        let (line, worker) = Self::new()?;
        std::thread::Builder::new().name("media".to_owned()).spawn(move || worker.run())?;
        Ok(line)
    }

    fn new() -> io::Result<(Self, Worker)> {
        let poll = Poll::new()?;
        let waker = Waker::new(poll.registry(), WAKE)?;
        let (commands, wanted) = channel();
        let (sleep, legs) = (Arc::new(AtomicU8::new(AWAKE)), Arc::new(AtomicUsize::new(0)));
        let worker = Worker {
            poll,
            wanted,
            next: None,
            sleep: sleep.clone(),
            count: legs.clone(),
            legs: Legs::default(),
            due: BinaryHeap::new(),
            ready: Vec::new(),
            room: Box::new([0; ROOM]),
            scratch: Scratch::default(),
        };
        Ok((Self { commands, waker, sleep, legs }, worker))
    }

    /// Wants something done. It is done in the order in which it was wanted.
    pub fn send(&self, command: Command) {
        let patient = if command.can_wait() { NAPS } else { AWAKE };
        // The worker lives as long as anybody has a line to it.
        let _ = self.commands.send(command);
        if self.sleep.load(Ordering::SeqCst) > patient && self.sleep.swap(AWAKE, Ordering::SeqCst) != AWAKE {
            let _ = self.waker.wake();
        }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.send(Command::End);
    }
}

/// The thread's own.
struct Worker {
    poll: Poll,
    wanted: Receiver<Command>,
    /// What is wanted next, if it was looked at already.
    next: Option<Command>,
    sleep: Arc<AtomicU8>,
    count: Arc<AtomicUsize>,
    legs: Legs,
    /// When a leg wants to be looked at. What is no longer true is passed over.
    due: BinaryHeap<Reverse<(Instant, u64)>>,
    /// Sockets that may have more.
    ready: Vec<Token>,
    room: Box<[u8; ROOM]>,
    scratch: Scratch,
}

impl Worker {
    fn run(mut self) {
        let mut events = Events::with_capacity(1024);
        loop {
            match catch_unwind(AssertUnwindSafe(|| self.turn(&mut events, None))) {
                Ok(true) => {}
                Ok(false) => return,
                Err(_) => {
                    // In none of the legs: all go on. Not faster than somebody can read of it.
                    tracing::error!("media: a panic outside of all legs");
                    std::thread::sleep(Duration::from_millis(10));
                }
            }
        }
    }

    /// Does something for a leg. None: it panicked, and the leg is lost.
    fn guarded<T>(&mut self, id: u64, work: impl FnOnce(&mut Self) -> T) -> Option<T> {
        let done = catch_unwind(AssertUnwindSafe(|| work(self))).ok();
        if done.is_none() {
            tracing::error!(leg = id, "media: a panic; the leg is lost");
            if let Some(leg) = self.legs.remove(&id) {
                // As if nothing were heard of it for too long: whoever owns it hangs up.
                leg.tell(Event::TimedOut);
                // What it is made of may be as broken as it is.
                let _ = catch_unwind(AssertUnwindSafe(|| drop(leg)));
            }
            self.count.store(self.legs.len(), Ordering::Relaxed);
        }
        done
    }

    /// One turn: commands, packets, what is due; in this order, so that whoever listens hears all that has come, also
    /// when the machine stood still. Of what was wanted meanwhile, what begins something goes before the packets: they are
    /// for it. False: it is over. With `at`, it does not wait and takes that for now.
    fn turn(&mut self, events: &mut Events, at: Option<Instant>) -> bool {
        self.sleep.store(NAPS, Ordering::SeqCst);
        // Whoever sends a command that cannot wait, from now on, wakes the poller.
        if !self.obey(at.unwrap_or_else(Instant::now), |_| true) {
            return false;
        }
        if self.legs.is_empty() {
            self.sleep.store(SLEEPS, Ordering::SeqCst);
            if !self.obey(at.unwrap_or_else(Instant::now), |_| true) {
                return false;
            }
        }
        let wait = if at.is_some() || !self.ready.is_empty() { Some(Duration::ZERO) } else { self.rest() };
        if let Err(error) = self.poll.poll(events, wait)
            && error.kind() != io::ErrorKind::Interrupted
        {
            tracing::error!(%error, "media: the poller fails");
            std::thread::sleep(Duration::from_millis(10));
        }
        self.sleep.store(AWAKE, Ordering::SeqCst);
        self.obey(at.unwrap_or_else(Instant::now), Command::begins);
        self.ready.extend(events.iter().map(|event| event.token()).filter(|token| *token != WAKE));
        for token in std::mem::take(&mut self.ready) {
            if self.guarded(leg_of(token), |worker| worker.read(token, at)) == Some(true) {
                self.ready.push(token);
            }
        }
        self.fire(at.unwrap_or_else(Instant::now));
        true
    }

    /// How long it may sleep. None: until it is woken.
    fn rest(&self) -> Option<Duration> {
        let due = self.due.peek().map(|Reverse((at, _))| at.saturating_duration_since(Instant::now()));
        let nap = (!self.legs.is_empty()).then_some(NAP);
        due.into_iter().chain(nap).min()
    }

    /// Looks at legs whose time has come.
    fn fire(&mut self, now: Instant) {
        let mut heard = Vec::new();
        while let Some(Reverse((at, id))) = self.due.peek().copied()
            && at <= now
        {
            self.due.pop();
            heard.clear();
            self.guarded(id, |worker| worker.tick(id, now, &mut heard));
        }
    }

    fn tick(&mut self, id: u64, now: Instant, heard: &mut Vec<char>) {
        let Some(leg) = self.legs.get_mut(&id).filter(|leg| leg.next() <= now) else { return };
        leg.tick(now, &mut self.scratch, heard);
        self.due.push(Reverse((leg.next(), id)));
        for key in heard.drain(..) {
            leg.press(key, now);
        }
    }

    /// Does what is wanted, up to the first that is not to be done now. False: nobody is there any more.
    fn obey(&mut self, now: Instant, is_due: impl Fn(&Command) -> bool) -> bool {
        loop {
            match self.next.take().map_or_else(|| self.wanted.try_recv(), Ok) {
                Ok(command) if !is_due(&command) => {
                    self.next = Some(command);
                    return true;
                }
                Ok(Command::End) | Err(TryRecvError::Disconnected) => return false,
                Ok(command) => {
                    self.guarded(command.leg(), |worker| worker.do_one(command, now));
                }
                Err(TryRecvError::Empty) => return true,
            }
        }
    }

    fn do_one(&mut self, command: Command, now: Instant) {
        match command {
            Command::Open(id, parts) => self.open(id, *parts, now),
            Command::Close(id) => self.close(id, now),
            Command::Bridge { from, sink } => {
                self.cut(sink.to);
                self.with(from, now, |leg| leg.sink = Some(sink));
            }
            Command::Unbridge { from, sink } => {
                self.cut(sink.to);
                self.with(from, now, |leg| leg.sink = leg.sink.filter(|now| *now != sink));
            }
            Command::Key(id, key) => self.key(id, key, now),
            Command::End => {}
            #[cfg(test)]
            Command::Break(id) => self.with(id, now, |leg| leg.breaks = true),
            other => {
                let id = other.leg();
                self.with(id, now, |leg| other.apply(leg, now));
            }
        }
    }

    /// Does something to a leg, which may bring its time nearer.
    fn with(&mut self, id: u64, now: Instant, what: impl FnOnce(&mut Leg)) {
        let Some(leg) = self.legs.get_mut(&id) else { return };
        let before = leg.next();
        what(leg);
        leg.wake(now);
        if leg.next() != before {
            self.due.push(Reverse((leg.next(), id)));
        }
    }

    /// The next packet that is relayed to this leg begins anew.
    fn cut(&mut self, id: u64) {
        if let Some(leg) = self.legs.get_mut(&id) {
            leg.stream.cut();
        }
    }

    fn open(&mut self, id: u64, parts: leg::Parts, now: Instant) {
        let mut leg = Box::new(Leg::new(parts, now));
        let token = id as usize * 2;
        let registry = self.poll.registry();
        let registered = registry
            .register(&mut leg.rtp, Token(token), Interest::READABLE)
            .and_then(|()| registry.register(&mut leg.control, Token(token + 1), Interest::READABLE));
        if let Err(error) = registered {
            // The call stays silent, and ends by its time-out.
            tracing::error!(%error, "media: a socket cannot be watched");
        }
        self.due.push(Reverse((leg.next(), id)));
        self.legs.insert(id, leg);
        self.count.store(self.legs.len(), Ordering::Relaxed);
    }

    fn close(&mut self, id: u64, now: Instant) {
        if let Some(mut leg) = self.legs.remove(&id) {
            leg.bye(now);
            // Closed sockets leave the poller by themselves.
            drop(leg);
            self.count.store(self.legs.len(), Ordering::Relaxed);
        }
    }

    /// A key that came by other ways (SIP INFO).
    fn key(&mut self, id: u64, key: char, now: Instant) {
        let Some(leg) = self.legs.get_mut(&id) else { return };
        if leg.press(key, now)
            && let Some(sink) = leg.sink
        {
            self.play_key(sink, key, now);
        }
    }

    /// A key of a bridged leg, for one that does not get it by packets: as an event, or in the sound.
    fn play_key(&mut self, sink: Sink, key: char, now: Instant) {
        self.with(sink.to, now, |leg| {
            if leg.player.ends_soon() {
                let events = leg.terms.as_ref().is_some_and(|terms| terms.events.is_some());
                let (how, pieces) = (crate::prompt::Play::default(), Some(key_pieces(events, key, 160)));
                leg.player.push(Group { id: u64::MAX, how, pieces, done: None, maker: None });
            }
        });
    }
}

/// A key as events, or as two tones and a pause.
pub fn key_pieces(events: bool, key: char, ms: u32) -> Vec<Piece> {
    let ms = ms.clamp(40, 8000);
    match (events, event::code(key), tones::key(key)) {
        (true, Some(code), _) => vec![Piece::Key(code, ms)],
        (false, _, Some(hz)) => {
            let tone = Sound::tone(&hz, 8000, Duration::from_millis(ms.into()));
            let pause = Sound::silence(8000, Duration::from_millis(80));
            vec![Piece::Sound(Arc::new(tone)), Piece::Sound(Arc::new(pause))]
        }
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests;
