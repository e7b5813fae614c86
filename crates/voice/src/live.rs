//! The calls that live in this process, by whose they are: the agent system finds here what it is to transfer.
//!
//! It is one for the process because a call is: its sockets are here, and nowhere else.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, OnceLock, PoisonError};

use interline_core::{AppId, CustomerId};
use interline_media::{Config as Sound, Media, Studio, StudioConfig};
use tokio_util::sync::CancellationToken;

use crate::call::Call;
use crate::gateway::Gateway;

/// How the gateway of a process is set up.
#[derive(Clone)]
pub struct Config {
    /// So many calls at once; who calls beyond is told to come back.
    pub calls: usize,
    /// Ports, time-outs.
    pub sound: Sound,
    /// Who speaks, and where it is kept.
    pub studio: StudioConfig,
}

impl Default for Config {
    fn default() -> Self {
        Self { calls: 2_000, sound: Sound::default(), studio: StudioConfig::default() }
    }
}

static GATEWAY: OnceLock<Arc<Gateway>> = OnceLock::new();
static LIVE: LazyLock<Live> = LazyLock::new(Live::default);

/// Sets the gateway up. Only the first word counts: what takes calls cannot be changed under them.
///
/// # Errors
/// The system has no thread, no poller or no randomness to give.
pub fn set_up(config: Config) -> Result<Arc<Gateway>, String> {
    if let Some(known) = GATEWAY.get() {
        return Ok(known.clone());
    }
    let studio = Studio::new(config.studio);
    let media = Media::new(config.sound, studio).map_err(|error| format!("no media: {error}"))?;
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

type Calls = HashMap<(AppId, CustomerId), Arc<Call>>;

/// Calls by customer.
#[derive(Default)]
pub struct Live(Mutex<Calls>);

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
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
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
