//! What a session counts. The worker writes, anybody reads.

use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

use crate::audio::codec::Codec;

/// Counters of one session.
#[derive(Debug, Default)]
pub struct Counters {
    packets_sent: AtomicU64,
    octets_sent: AtomicU64,
    packets_received: AtomicU64,
    octets_received: AtomicU64,
    dropped: AtomicU64,
    strangers: AtomicU64,
    lost: AtomicU32,
    jitter: AtomicU32,
    lost_there: AtomicU32,
    jitter_there: AtomicU32,
    peer: Mutex<Option<SocketAddr>>,
}

/// What was counted until now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stats {
    /// Packets sent.
    pub packets_sent: u64,
    /// Bytes of payload sent.
    pub octets_sent: u64,
    /// Packets received.
    pub packets_received: u64,
    /// Bytes of payload received.
    pub octets_received: u64,
    /// Packets that the system did not take.
    pub dropped: u64,
    /// Datagrams from strangers, or of no use.
    pub strangers: u64,
    /// Packets that did not come.
    pub lost: u32,
    /// Uneven arrival, in milliseconds.
    pub jitter_ms: u32,
    /// Packets that did not arrive at the other side, as it says.
    pub lost_there: u32,
    /// Uneven arrival at the other side, in milliseconds.
    pub jitter_there_ms: u32,
    /// What is spoken. None: nothing is agreed.
    pub codec: Option<Codec>,
    /// Packets are sealed.
    pub sealed: bool,
    /// Where the other side is. None: it has not been heard.
    pub remote: Option<SocketAddr>,
}

impl Counters {
    pub(crate) fn sent(&self, packets: u64, octets: u64) {
        self.packets_sent.store(packets, Relaxed);
        self.octets_sent.store(octets, Relaxed);
    }

    pub(crate) fn dropped(&self) {
        self.dropped.fetch_add(1, Relaxed);
    }

    pub(crate) fn stranger(&self) {
        self.strangers.fetch_add(1, Relaxed);
    }

    pub(crate) fn received(&self, octets: usize, lost: u32, jitter: u32) {
        self.packets_received.fetch_add(1, Relaxed);
        self.octets_received.fetch_add(octets as u64, Relaxed);
        self.lost.store(lost, Relaxed);
        self.jitter.store(jitter, Relaxed);
    }

    pub(crate) fn told(&self, lost: u32, jitter: u32) {
        self.lost_there.store(lost, Relaxed);
        self.jitter_there.store(jitter, Relaxed);
    }

    pub(crate) fn at(&self, peer: Option<SocketAddr>) {
        if let Ok(mut at) = self.peer.lock() {
            *at = peer;
        }
    }

    pub(crate) fn read(&self, codec: Option<Codec>, sealed: bool) -> Stats {
        Stats {
            packets_sent: self.packets_sent.load(Relaxed),
            octets_sent: self.octets_sent.load(Relaxed),
            packets_received: self.packets_received.load(Relaxed),
            octets_received: self.octets_received.load(Relaxed),
            dropped: self.dropped.load(Relaxed),
            strangers: self.strangers.load(Relaxed),
            lost: self.lost.load(Relaxed),
            jitter_ms: self.jitter.load(Relaxed) / 8,
            lost_there: self.lost_there.load(Relaxed),
            jitter_there_ms: self.jitter_there.load(Relaxed) / 8,
            codec,
            sealed,
            remote: self.peer.lock().map(|at| *at).unwrap_or_default(),
        }
    }
}
