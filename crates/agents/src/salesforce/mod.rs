//! Salesforce: Enhanced Chat, formerly Messaging for In-App and Web (API v2).
//!
//! One task owns each hand-over: it holds a stream of events and sends what the customer says.
//!
//! ```text
//!   Open ─► opening.rs: token ─► stream ─► conversation ─► first message
//!   entry ─► speaking.rs ─► rest.rs: message, file, typing, receipt, close
//!   stream of events ─► listening.rs ─► inbound.rs: what it means ─► link
//!                        session.rs: the one task that does both
//! ```
//!
//! Facts about the product, its limits and how to set it up: `README.md` in this folder.

mod inbound;
mod listening;
mod opening;
mod pace;
mod probe;
mod rest;
mod session;
mod settings;
mod speaking;
mod wire;

#[cfg(any(test, feature = "simulators"))]
pub mod simulator;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use interline_connector::agent::{AtRunTime, Connector, Env};
use interline_connector::formats;
use interline_connector::manifest::{Acknowledged, Dedupe, Delivery, Manifest, Signals, Takes, TakesFiles};
#[cfg(any(test, feature = "simulators"))]
use interline_connector::simulator::{StandIn, Tenant};
use interline_connector::{
    AgentSystem, Answer, Cause, Done, Failure, Item, Link, Received, Rejected, RunEnd, Unverified,
};
use interline_core::app;
use interline_core::transfer::Reason;
use serde_json::Value;

use pace::Window;
pub use settings::Settings;

/// Conversations are started so many within this time.
const STARTS: Duration = Duration::from_secs(30);

/// What it can do.
static MANIFEST: Manifest = Manifest {
    id: "salesforce",
    title: "Salesforce",
    delivery: Delivery::Pinned,
    // The routing result, or the agent, is the sign: that the conversation was made says little.
    signals: Signals { accepts: false, joined: true, queued: true },
    takes: Takes {
        typing: true,
        receipts: true,
        // Which formats it takes it does not publish: what it refuses goes as a link.
        files: Some(TakesFiles { max_bytes: 5 * 1024 * 1024, formats: formats::ALL }),
    },
    // Not the vendor, but the connector: what may have arrived is looked up, by ids of ours, before it is repeated.
    dedupe: Dedupe::ByKey,
    acknowledged: Acknowledged::Answer,
    // The stream is in order; what is resumed after a cut may not be.
    drain_ms: 1_000,
    opening_ms: Some(120_000),
    resumes: true,
};

/// The connector.
#[derive(Debug, Clone, Copy)]
pub struct Salesforce;

impl Connector for Salesforce {
    fn manifest(&self) -> &'static Manifest {
        &MANIFEST
    }

    fn settings_schema(&self) -> Value {
        schemars::schema_for!(Settings).to_value()
    }

    fn at_run_time(&self) -> &'static [AtRunTime] {
        const AT: &[AtRunTime] = &[
            AtRunTime { name: "organization_id", leads_elsewhere: false },
            AtRunTime { name: "url", leads_elsewhere: true },
            AtRunTime { name: "developer_name", leads_elsewhere: false },
        ];
        AT
    }

    fn build(&self, settings: Value, env: Env) -> Result<Arc<dyn AgentSystem>, String> {
        let settings = Settings::read(settings)?;
        let starts = Mutex::new(Window::new(settings.starts_per_30_s, STARTS));
        Ok(Arc::new(Integration { settings, env, starts }))
    }

    #[cfg(any(test, feature = "simulators"))]
    fn stand_in(&self, _: &Tenant) -> Option<Arc<dyn StandIn>> {
        Some(Arc::new(simulator::Simulator::new(simulator::Settings::roomy())))
    }
}

/// A configured org.
struct Integration {
    settings: Settings,
    env: Env,
    /// When conversations were started.
    starts: Mutex<Window>,
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

    async fn deliver(&self, _: &Item, _: Option<Value>) -> Result<Done, Failure> {
        Err(Failure::Bug(Cause::new(Reason::VendorError, "a session of Salesforce is run, not delivered to")))
    }

    fn receive(&self, _: &Unverified) -> Result<Received, Rejected> {
        Err(Rejected(Answer::error(404, "Salesforce does not call us")))
    }

    async fn run(&self, link: &mut dyn Link) -> RunEnd {
        self.hold(link).await
    }

    async fn probe(&self) -> Result<(), String> {
        self.check().await
    }
}
