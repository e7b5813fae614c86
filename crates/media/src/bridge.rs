//! Two sessions that hear each other.

use std::sync::Arc;

use crate::media::{Counted, Media};
use crate::session::Session;
use crate::worker::command::Command;
use crate::worker::leg::Sink;

/// Sessions that are bridged, until this is dropped. It keeps neither of them.
pub struct Bridge {
    /// Whose sound goes where.
    ways: Vec<(u64, Sink)>,
    media: Arc<Media>,
    _counted: Counted,
}

impl std::fmt::Debug for Bridge {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Bridge({:?})", self.ways)
    }
}

/// Both hear each other, and each other's keys. Where both speak the same, payloads are passed on as they are; else sound
/// is decoded and encoded. What a session plays goes before the sound of the other. A session that was bridged to another
/// is so no more.
pub fn bridge(a: &Session, b: &Session) -> Bridge {
    connect(a, b, true)
}

/// `to` hears `from`, not the other way round: early media.
pub fn one_way(from: &Session, to: &Session) -> Bridge {
    connect(from, to, false)
}

fn connect(a: &Session, b: &Session, both: bool) -> Bridge {
    let media = a.media();
    let bridge = media.number();
    let mut ways = vec![(a.id(), Sink { to: b.id(), bridge })];
    if both {
        ways.push((b.id(), Sink { to: a.id(), bridge }));
    }
    for (from, sink) in &ways {
        media.line.send(Command::Bridge { from: *from, sink: *sink });
    }
    Bridge { ways, media: media.clone(), _counted: Counted::new(&media.bridges) }
}

impl Drop for Bridge {
    fn drop(&mut self) {
        for (from, sink) in self.ways.drain(..) {
            self.media.line.send(Command::Unbridge { from, sink });
        }
    }
}
