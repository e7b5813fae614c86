//! The media of a process: its ports, its worker, its studio.

use std::io;
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use crate::audio::codec::Codec;
use crate::ports::{NoPort, Ports};
use crate::record::Recorder;
use crate::sdp::agree::Srtp;
use crate::session::Session;
use crate::speech::Hearing;
use crate::studio::Studio;
use crate::worker::Line;

/// How calls of a process get their media.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where sockets are bound. All zeros: at the address that the other side is told, if it is this machine's.
    pub bind: IpAddr,
    /// The address that is told to others. None: `bind`, or what a session says.
    pub advertise: Option<IpAddr>,
    /// The ports. The even ones are for RTP, the odd ones above them for RTCP.
    pub ports: RangeInclusive<u16>,
    /// So long without a packet, and a session has timed out.
    pub timeout: Duration,
    /// So long late packets are waited for, at least and at most, by those who listen.
    pub jitter: RangeInclusive<Duration>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            bind: IpAddr::from([0, 0, 0, 0]),
            advertise: None,
            ports: 16_384..=32_767,
            timeout: Duration::from_secs(60),
            jitter: Duration::from_millis(40)..=Duration::from_millis(200),
        }
    }
}

/// How keys come and go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Digits {
    /// As events (RFC 4733), if the other side can; keys that are sent go as tones where it cannot.
    #[default]
    Rfc4733,
    /// As tones in the sound, both ways.
    Inband,
    /// By SIP INFO: whoever speaks SIP hears them and tells by [`Session::heard_digit`]. Keys that are sent are tones.
    Info,
}

/// How one leg gets its media: what its trunk says.
#[derive(Debug, Clone)]
pub struct Options {
    /// The address that is told to this side.
    pub local: Option<IpAddr>,
    /// What is offered, the best first.
    pub codecs: Vec<Codec>,
    /// How keys come and go.
    pub digits: Digits,
    /// Whether packets are sealed.
    pub srtp: Srtp,
    /// The packet time that is asked for. None: 20 ms.
    pub ptime: Option<Duration>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            local: None,
            codecs: vec![Codec::Pcma, Codec::Pcmu, Codec::G722],
            digits: Digits::Rfc4733,
            srtp: Srtp::Off,
            ptime: None,
        }
    }
}

/// What lives. All are 0 when no call does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Gauges {
    /// Legs that the worker has.
    pub sessions: usize,
    /// Pairs of ports that are taken.
    pub ports: usize,
    /// Tasks that make prompts, or understand speech.
    pub tasks: usize,
    /// Bridges.
    pub bridges: usize,
}

/// The media of a process.
pub struct Media {
    pub(crate) config: Config,
    pub(crate) ports: Arc<Ports>,
    pub(crate) line: Line,
    pub(crate) studio: Arc<Studio>,
    pub(crate) recorder: Recorder,
    pub(crate) hearing: Option<Arc<dyn Hearing>>,
    pub(crate) tasks: Arc<AtomicUsize>,
    pub(crate) bridges: Arc<AtomicUsize>,
    next: AtomicU64,
}

impl Media {
    /// Starts the worker. No port is opened before a session needs one.
    ///
    /// # Errors
    /// The system has no thread or no poller to give.
    pub fn new(config: Config, studio: Arc<Studio>) -> io::Result<Arc<Self>> {
        Self::with_hearing(config, studio, None)
    }

    /// The same, with somebody who understands speech.
    ///
    /// # Errors
    /// As [`Media::new`].
    pub fn with_hearing(
        config: Config,
        studio: Arc<Studio>,
        hearing: Option<Arc<dyn Hearing>>,
    ) -> io::Result<Arc<Self>> {
        Ok(Arc::new(Self {
            ports: Ports::new(config.bind, &config.ports),
            config,
            line: Line::start()?,
            studio,
            recorder: Recorder::default(),
            hearing,
            tasks: Arc::default(),
            bridges: Arc::default(),
            next: AtomicU64::new(1),
        }))
    }

    /// The media of one leg; opens its ports.
    ///
    /// # Errors
    /// All ports are taken.
    pub fn session(self: &Arc<Self>, options: Options) -> Result<Session, NoPort> {
        Session::open(self.clone(), options)
    }

    /// Who understands speech here, if anybody does.
    pub fn hearing(&self) -> Option<Arc<dyn Hearing>> {
        self.hearing.clone()
    }

    /// What lives.
    pub fn gauges(&self) -> Gauges {
        Gauges {
            sessions: self.line.legs.load(Ordering::Relaxed),
            ports: self.ports.taken(),
            tasks: self.tasks.load(Ordering::Relaxed),
            bridges: self.bridges.load(Ordering::Relaxed),
        }
    }

    /// A number that nothing else has: of legs, groups of prompts, recordings, bridges.
    pub(crate) fn number(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }
}

/// Counts one more for as long as it lives.
pub(crate) struct Counted(Arc<AtomicUsize>);

impl Counted {
    pub(crate) fn new(in_all: &Arc<AtomicUsize>) -> Self {
        in_all.fetch_add(1, Ordering::Relaxed);
        Self(in_all.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
