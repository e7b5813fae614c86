//! The calls that live in this process, by whose they are: the agent system finds here what it is to transfer.
//!
//! It is one for the process because a call is: its sockets are here, and nowhere else.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, OnceLock, PoisonError};

use interline_connector::guard::Guard;
use interline_core::{AppId, ConversationId, CustomerId};
use interline_media::speech::Hearing;
use interline_media::{Config as Sound, Media, Studio, StudioConfig};
use tokio_util::sync::CancellationToken;

use crate::call::{Call, Trace};
use crate::gateway::Gateway;
use crate::names;

/// How the gateway of a process is set up.
#[derive(Clone)]
pub struct Config {
    /// So many calls at once; who calls beyond is told to come back.
    pub calls: usize,
    /// Ports, time-outs.
    pub sound: Sound,
    /// Who speaks, and where it is kept.
    pub studio: StudioConfig,
    /// Who understands speech. None: callers are heard by their keys alone.
    pub hearing: Option<Arc<dyn Hearing>>,
    /// The name servers that are asked for whom we call. Empty: the system's.
    pub name_servers: Vec<SocketAddr>,
    /// Which private addresses the operator named, for what scripts call.
    pub guard: Guard,
    /// Where voicemail is while it is recorded: in files without a name, of which nothing is left. None: where the system
    /// keeps what is temporary.
    pub recordings: Option<PathBuf>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            calls: 2_000,
            sound: Sound::default(),
            studio: StudioConfig::default(),
            hearing: None,
            name_servers: Vec::new(),
            guard: Guard::default(),
            recordings: None,
        }
    }
}

static GATEWAY: OnceLock<Arc<Gateway>> = OnceLock::new();
static GUARD: OnceLock<Guard> = OnceLock::new();
static RECORDINGS: OnceLock<PathBuf> = OnceLock::new();
static LIVE: LazyLock<Live> = LazyLock::new(Live::default);

/// Sets the gateway up. Only the first word counts: what takes calls cannot be changed under them.
///
/// # Errors
/// The system has no thread, no poller or no randomness to give.
pub fn set_up(config: Config) -> Result<Arc<Gateway>, String> {
    if let Some(known) = GATEWAY.get() {
        return Ok(known.clone());
    }
    names::ask(config.name_servers);
    let _ = GUARD.set(config.guard);
    if let Some(recordings) = config.recordings {
        let _ = RECORDINGS.set(recordings);
    }
    let studio = Studio::new(config.studio);
    let media = Media::with_hearing(config.sound, studio, config.hearing)
        .map_err(|error| format!("no media: {error}"))?;
    let gateway = Gateway::new(media, config.calls, CancellationToken::new())?;
    Ok(GATEWAY.get_or_init(|| gateway).clone())
}

/// The gateway, set up as usual if nobody did.
///
/// # Errors
/// As [`set_up`].
pub fn gateway() -> Result<Arc<Gateway>, String> {
    set_up(Config::default())
}

/// The gateway, if there is one already.
pub fn running() -> Option<&'static Arc<Gateway>> {
    GATEWAY.get()
}

/// Which private addresses the operator named.
pub fn guard() -> Guard {
    GUARD.get().cloned().unwrap_or_default()
}

/// Where voicemail is while it is recorded.
pub fn recordings() -> PathBuf {
    RECORDINGS.get().cloned().unwrap_or_else(std::env::temp_dir)
}

type Calls = HashMap<(AppId, CustomerId), Arc<Call>>;

/// So many calls that are over can be looked at.
const TRACES: usize = 1_000;

type Traces = VecDeque<(AppId, ConversationId, Trace)>;

/// Calls by customer.
#[derive(Default)]
pub struct Live {
    calls: Mutex<Calls>,
    traces: Mutex<Traces>,
}

impl Live {
    /// The calls of this process.
    pub fn here() -> &'static Self {
        &LIVE
    }

    /// The call of a customer.
    pub fn call(&self, app: &AppId, customer: &CustomerId) -> Option<Arc<Call>> {
        self.calls().get(&(app.clone(), customer.clone())).cloned()
    }

    /// Remembers a call until what this returns is dropped. None: the customer has one.
    pub fn keep(&'static self, app: &AppId, customer: &CustomerId, call: Arc<Call>) -> Option<Kept> {
        let key = (app.clone(), customer.clone());
        let mut calls = self.calls();
        if calls.contains_key(&key) {
            return None;
        }
        calls.insert(key.clone(), call);
        Some(Kept { live: self, key })
    }

    fn calls(&self) -> MutexGuard<'_, Calls> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is told of a call from now on, and for a while after.
    pub fn remember(&self, app: &AppId, conversation: &ConversationId, trace: Trace) {
        let mut traces = self.traces.lock().unwrap_or_else(PoisonError::into_inner);
        traces.push_back((app.clone(), conversation.clone(), trace));
        if traces.len() > TRACES {
            traces.pop_front();
        }
    }

    /// What can be told of the call of a conversation.
    pub fn trace(&self, app: &AppId, conversation: &ConversationId) -> Option<Trace> {
        let traces = self.traces.lock().unwrap_or_else(PoisonError::into_inner);
        let found = traces.iter().rev().find(|(of, known, _)| of == app && known == conversation);
        found.map(|(_, _, trace)| trace.clone())
    }
}

/// See [`Live::keep`].
pub struct Kept {
    live: &'static Live,
    key: (AppId, CustomerId),
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.live.calls().remove(&self.key);
    }
}
