//! ServiceNow, Utah and higher: Agent Chat by the Virtual Agent Bot Integration API.
//!
//! ```text
//!   entry ─► outbound.rs ─► POST {instance}/api/sn_va_as_service/bot/integration ─► 200, which says little
//!   POST {our address} ─► inbound.rs ─► Heard, durable before the answer
//!   what no entry says (a second request, a choice, the end after the agent's) ─► steps.rs
//! ```
//!
//! An answer of 200 only means that somebody will look at it: what is wrong with token or body is thrown away in silence. So
//! a hand-over counts as accepted by the first call that comes, and [`settings::Settings::opening_ms`] is the watchdog.

mod controls;
mod handle;
mod inbound;
mod memory;
mod outbound;
mod settings;
mod steps;
mod wire;

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use interline_connector::agent::{Brief, Connector, Env};
use interline_connector::formats;
use interline_connector::http::{Reply, Request};
use interline_connector::manifest::{Acknowledged, Dedupe, Delivery, Manifest, Signals, Takes, TakesFiles};
use interline_connector::webhook::Unverified;
use interline_connector::{
    AgentSystem, Aside, Done, Failure, FileRefused, Incoming, Item, Received, Rejected, RunEnd,
};
use interline_core::app;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::account::{Account, told};
use memory::Memory;
use settings::Matchers;
use steps::{Step, Steps};

pub use settings::Settings;

/// What it can do.
static MANIFEST: Manifest = Manifest {
    id: "servicenow",
    title: "ServiceNow (Utah and higher)",
    delivery: Delivery::Push,
    signals: Signals { accepts: false, joined: true, queued: false },
    takes: Takes {
        typing: true,
        receipts: true,
        files: Some(TakesFiles { max_bytes: 25 * 1024 * 1024, formats: formats::SERVICENOW }),
    },
    dedupe: Dedupe::None,
    acknowledged: Acknowledged::Answer,
    // The order of its calls is kept only where the provider application says "Maintain message ordering".
    drain_ms: 3_000,
    opening_ms: Some(30_000),
    resumes: false,
};

/// The end of the request id of our own end. What comes back with it is about nothing any more.
const ENDS: &str = "/end";

/// What an operator should know of an instance that does not look at what it answered.
const THROWN_AWAY: &str = "the instance answered 200 to a line of a chat and shows no sign of it: compare message_token or \
     message_hash_secret with the provider channel identity, and look into the instance's log";

/// The connector.
#[derive(Debug, Clone, Copy)]
pub struct ServiceNow;

impl Connector for ServiceNow {
    fn manifest(&self) -> &'static Manifest {
        &MANIFEST
    }

    fn settings_schema(&self) -> Value {
        schemars::schema_for!(Settings).to_value()
    }

    fn build(&self, settings: Value, env: Env) -> Result<Arc<dyn AgentSystem>, String> {
        let (settings, matchers) = Settings::read(settings)?;
        let account = Account::new(settings.instance_url.clone(), settings.login.clone(), env.http.clone());
        let (memory, steps) = (Memory::default(), Steps::default());
        Ok(Arc::new(Integration {
            settings,
            matchers,
            account,
            env,
            memory,
            steps,
            asides: AtomicU64::new(0),
            thrown_away: Mutex::default(),
        }))
    }

    #[cfg(feature = "simulators")]
    fn stand_in(
        &self,
        _: &interline_connector::simulator::Tenant,
    ) -> Option<Arc<dyn interline_connector::simulator::StandIn>> {
        Some(Arc::new(super::simulator::AgentChat::default()))
    }
}

/// A configured instance.
struct Integration {
    settings: Settings,
    matchers: Matchers,
    account: Account,
    env: Env,
    memory: Memory,
    steps: Steps,
    /// So many things were told that no entry says: their request ids must differ too.
    asides: AtomicU64,
    /// When a line was answered that was thrown away, as long as none of later is seen to have arrived.
    thrown_away: Mutex<Option<Instant>>,
}

impl Integration {
    fn throws_away(&self) -> bool {
        self.thrown_away.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }
}

#[async_trait]
impl AgentSystem for Integration {
    fn manifest(&self) -> &Manifest {
        &MANIFEST
    }

    fn describe(&self) -> app::AgentSystem {
        app::AgentSystem {
            tells_joined: MANIFEST.signals.joined,
            drain_ms: MANIFEST.drain_ms,
            opening_ms: Some(self.settings.opening_ms),
            intercepts: None,
            retired: false,
        }
    }

    async fn deliver(&self, item: &Item, session: Option<Value>) -> Result<Done, Failure> {
        self.tell(item, session.as_ref()).await
    }

    fn receive(&self, request: &Unverified) -> Result<Received, Rejected> {
        self.understand(request)
    }

    async fn aside(&self, _: &Brief, session: Option<Value>, aside: &Aside) {
        if let Some(session) = handle::Session::read(session.as_ref()) {
            self.tell_aside(&session, aside).await;
        }
    }

    /// The answer to a call is seen by nobody there, so the agent is told where they look: in the chat.
    async fn refused(
        &self,
        _: &Brief,
        session: Option<Value>,
        files: &[Incoming],
        why: &FileRefused,
    ) -> bool {
        let Some(session) = handle::Session::read(session.as_ref()) else { return false };
        for file in files {
            self.steps.now(Step::Tell(session.clone(), why.for_agent(file.name.as_deref())));
        }
        true
    }

    /// Nobody is listened to: this is where what no entry says is said.
    async fn listen(&self) -> RunEnd {
        self.take_steps().await;
        RunEnd::Over
    }

    /// Without a conversation, which would be an interaction in the agents' lists.
    async fn probe(&self) -> Result<(), String> {
        let ending = self.account.probe().await;
        let url = self.account.at(outbound::PATH).map_err(|failure| told(&failure))?;
        let reply = self.account.ask(|| Request::post(url.clone()).json(&json!({}))).await;
        let Reply::Answered { status, .. } = reply.map_err(|failure| told(&failure))? else {
            return Err("no answer".into());
        };
        match status.as_u16() {
            200..=299 | 400 if self.throws_away() => Err(THROWN_AWAY.into()),
            200..=299 | 400 => ending,
            401 | 403 => Err(ending.err().unwrap_or_else(|| {
                format!("login: the user may not call the Virtual Agent API (HTTP {})", status.as_u16())
            })),
            404 => Err(ending.err().unwrap_or_else(|| {
                "the Store app Virtual Agent API is not installed at this instance (HTTP 404)".into()
            })),
            405 => Err("the Virtual Agent API is switched off at this instance (HTTP 405)".into()),
            429 => Err("the instance limits our requests right now (HTTP 429): try again later".into()),
            other => {
                Err(ending.err().unwrap_or_else(|| format!("the Virtual Agent API answers HTTP {other}")))
            }
        }
    }
}
