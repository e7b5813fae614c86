//! Genesys Cloud, Web Messaging: each hand-over is a guest of a Messenger deployment, with a web socket of its own. No OAuth
//! client is needed; in return the vendor tells a guest less than it tells a server.
//!
//! | file | concept |
//! |---|---|
//! | `settings.rs` | what an operator fills in |
//! | `session.rs`, `deliver.rs` | one hand-over: what is heard, what is told |
//! | `line.rs` | the socket: frames and their answers |
//! | `history.rs`, `upload.rs` | what goes by HTTP beside it |
//! | `wire.rs` | the vendor's frames |
//! | `probe.rs` | "Test connection" |

mod deliver;
mod history;
mod line;
mod probe;
mod session;
mod settings;
mod upload;
mod wire;

use std::sync::Arc;

use async_trait::async_trait;
use interline_connector::agent::{AtRunTime, Connector, Env};
use interline_connector::formats;
use interline_connector::manifest::{Acknowledged, Dedupe, Delivery, Manifest, Signals, Takes, TakesFiles};
#[cfg(feature = "simulators")]
use interline_connector::simulator::{StandIn, Tenant};
use interline_connector::webhook::Unverified;
use interline_connector::{
    AgentSystem, Answer, Cause, Done, Failure, Http, Item, Link, Received, Rejected, RunEnd,
};
use interline_core::app;
use interline_core::transfer::Reason;
use serde_json::Value;

use super::region::Hosts;
pub use settings::Settings;

/// What it can do.
static MANIFEST: Manifest = Manifest {
    id: "genesys_guest",
    title: "Genesys Cloud (Web Messaging)",
    delivery: Delivery::Pinned,
    // The first words of a human are the sign that one is there.
    signals: Signals { accepts: true, joined: true, queued: false },
    takes: Takes {
        typing: true,
        receipts: false,
        files: Some(TakesFiles { max_bytes: 25 * 1024 * 1024, formats: formats::GENESYS }),
    },
    // Not by the vendor: what is in doubt is looked up in the history.
    dedupe: Dedupe::ByKey,
    acknowledged: Acknowledged::Answer,
    // Frames are not promised to come in order.
    drain_ms: 2_000,
    opening_ms: None,
    resumes: true,
};

/// Where it does otherwise than the others.
#[cfg(any(test, feature = "simulators"))]
pub(super) const DEVIATIONS: &[interline_connector::simulator::Deviation] = {
    use interline_connector::simulator::Deviation;
    &[
        Deviation { scenario: "queue_position", reason: "Genesys tells a guest no place in the queue" },
        Deviation {
            scenario: "receipts_delivered",
            reason: "Genesys takes no receipts from a guest and gives none",
        },
        Deviation {
            scenario: "receipts_read",
            reason: "Genesys takes no receipts from a guest and gives none",
        },
        Deviation {
            scenario: "inbound_forged",
            reason: "Genesys calls nobody: what is heard comes over a socket that we opened",
        },
        Deviation {
            scenario: "inbound_unsigned",
            reason: "Genesys calls nobody: what is heard comes over a socket that we opened",
        },
    ]
};

/// The connector.
#[derive(Debug, Clone, Copy)]
pub struct GenesysGuest;

impl Connector for GenesysGuest {
    fn manifest(&self) -> &'static Manifest {
        &MANIFEST
    }

    fn settings_schema(&self) -> Value {
        schemars::schema_for!(Settings).to_value()
    }

    fn at_run_time(&self) -> &'static [AtRunTime] {
        const AT: &[AtRunTime] = &[
            AtRunTime { name: "region", leads_elsewhere: true },
            AtRunTime { name: "deployment_id", leads_elsewhere: false },
            AtRunTime { name: "origin", leads_elsewhere: false },
            AtRunTime { name: "queue", leads_elsewhere: false },
        ];
        AT
    }

    fn build(&self, settings: Value, env: Env) -> Result<Arc<dyn AgentSystem>, String> {
        let settings = Settings::read(settings)?;
        let origin = settings.origin.clone().unwrap_or_else(|| env.public_url.origin().ascii_serialization());
        Ok(Arc::new(Integration { hosts: settings.hosts()?, settings, origin, http: env.http }))
    }

    #[cfg(feature = "simulators")]
    fn stand_in(&self, _: &Tenant) -> Option<Arc<dyn StandIn>> {
        Some(Arc::new(super::simulator::guest::Guest::new(Default::default())))
    }
}

/// A configured Messenger deployment.
struct Integration {
    settings: Settings,
    hosts: Hosts,
    /// From where we say that we come.
    origin: String,
    http: Http,
}

#[async_trait]
impl AgentSystem for Integration {
    fn manifest(&self) -> &Manifest {
        &MANIFEST
    }

    fn describe(&self) -> app::AgentSystem {
        app::AgentSystem { tells_joined: true, drain_ms: MANIFEST.drain_ms, ..app::AgentSystem::default() }
    }

    async fn deliver(&self, _: &Item, _: Option<Value>) -> Result<Done, Failure> {
        Err(Failure::Bug(Cause::new(Reason::VendorError, "a pinned session takes its entries by its link")))
    }

    fn receive(&self, _: &Unverified) -> Result<Received, Rejected> {
        Err(Rejected(Answer::error(404, "Genesys calls nobody here")))
    }

    async fn run(&self, link: &mut dyn Link) -> RunEnd {
        self.serve(link).await
    }

    async fn probe(&self) -> Result<(), String> {
        self.test_connection().await
    }
}
