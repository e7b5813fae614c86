//! What this process remembers of a hand-over: never more than saves work or makes a guess better. After a restart it is
//! empty, and all goes on without.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use interline_core::Seq;
use tokio::time::{Duration, Instant};

use super::handle::{Handle, Session};

/// So many hand-overs are remembered; of more, those that were silent for longest are forgotten.
const MOST: usize = 20_000;
/// What was silent for so long is forgotten when room is needed.
const SILENT: Duration = Duration::from_secs(2 * 3600);

/// What is remembered of one hand-over.
#[derive(Debug, Clone, Default)]
pub(super) struct Known {
    /// As whom it speaks. None: it was not opened or spoken for since the start of this process.
    pub session: Option<Session>,
    /// It was opened in this process, so what is not remembered did not happen.
    pub whole: bool,
    /// The instance showed that it is on its way to an agent.
    pub alive: bool,
    /// An agent was there.
    pub joined: bool,
    /// The agent's name as it was told last.
    pub agent: Option<String>,
    /// An offered choice was taken.
    pub chosen: bool,
    /// The newest line that was answered with 200, and when.
    pub newest: Option<(Seq, Instant)>,
    /// So many parts of this entry have arrived.
    pub parts: Option<(Seq, usize)>,
}

#[derive(Default)]
pub(super) struct Memory(Mutex<HashMap<Handle, (Known, Instant)>>);

impl Memory {
    /// What is remembered; nothing, if that is so.
    pub fn get(&self, handle: &Handle) -> Known {
        self.all().get(handle).map(|(known, _)| known.clone()).unwrap_or_default()
    }

    /// Remembers.
    pub fn note(&self, handle: &Handle, change: impl FnOnce(&mut Known)) {
        let mut all = self.all();
        if all.len() >= MOST && !all.contains_key(handle) {
            forget_silent(&mut all);
        }
        let (known, at) = all.entry(handle.clone()).or_insert_with(|| (Known::default(), Instant::now()));
        change(known);
        *at = Instant::now();
    }

    /// Its part is over.
    pub fn forget(&self, handle: &Handle) {
        self.all().remove(handle);
    }

    /// Whether anything is going on.
    pub fn is_empty(&self) -> bool {
        self.all().is_empty()
    }

    fn all(&self) -> MutexGuard<'_, HashMap<Handle, (Known, Instant)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn forget_silent(all: &mut HashMap<Handle, (Known, Instant)>) {
    all.retain(|_, (_, at)| at.elapsed() < SILENT);
    if all.len() >= MOST {
        let mut times: Vec<Instant> = all.values().map(|(_, at)| *at).collect();
        times.sort_unstable();
        let middle = times[times.len() / 2];
        all.retain(|_, (_, at)| *at > middle);
    }
}

#[cfg(test)]
mod tests {
    use interline_core::ParticipantNo;

    use super::*;

    #[test]
    fn it_is_bounded() {
        let memory = Memory::default();
        for n in 0..=(2 * MOST) {
            let handle =
                Handle { conversation: format!("cnv_{n}").as_str().into(), participant: ParticipantNo(1) };
            memory.note(&handle, |known| known.alive = true);
        }
        let left = memory.all().len();
        assert!((1..=MOST).contains(&left), "{left}");
    }
}
