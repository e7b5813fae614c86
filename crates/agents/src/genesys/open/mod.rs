//! Genesys Cloud, Open Messaging: server to server. Lines go in by the API, come out by a signed webhook; who joined and that it
//! is over come by a notification channel, by asking, or by a trigger of the tenant's.
//!
//! | file | concept |
//! |---|---|
//! | `settings.rs` | what an operator fills in |
//! | `session.rs`, `deliver.rs` | one hand-over: what is told, what becomes of it |
//! | `outbound.rs`, `doubt.rs` | entry → requests; whether one arrived |
//! | `inbound.rs`, `address.rs` | webhook → what it means; whose it is |
//! | `standing.rs` | participants → queued, joined, over |
//! | `notices.rs`, `seats.rs` | one stream for all chats, and the way to each |
//! | `api.rs`, `wire.rs` | requests with token and pace; the vendor's JSON |
//! | `probe.rs` | "Test connection" |

mod address;
mod api;
mod deliver;
mod doubt;
mod inbound;
mod notices;
mod outbound;
mod probe;
mod seats;
mod session;
mod settings;
mod standing;
mod wire;

use std::sync::Arc;

use async_trait::async_trait;
use interline_connector::agent::{Brief, Connector, Env};
use interline_connector::formats;
use interline_connector::manifest::{Acknowledged, Dedupe, Delivery, Manifest, Signals, Takes, TakesFiles};
#[cfg(feature = "simulators")]
use interline_connector::simulator::{StandIn, Tenant};
use interline_connector::webhook::Unverified;
use interline_connector::{
    AgentSystem, Cause, Done, Failure, FileRefused, Incoming, Item, Link, Received, Rejected, RunEnd,
};
use interline_core::flow::work::Availability;
use interline_core::transfer::Reason;
use interline_core::{AppId, app};
use serde_json::Value;
use url::Url;

use api::Api;
use seats::Seats;
use session::Document;
pub use settings::Settings;

/// What it can do.
static MANIFEST: Manifest = Manifest {
    id: "genesys_open",
    title: "Genesys Cloud (Open Messaging)",
    delivery: Delivery::Pinned,
    signals: Signals { accepts: true, joined: true, queued: false },
    takes: Takes {
        typing: true,
        receipts: true,
        files: Some(TakesFiles { max_bytes: 25 * 1024 * 1024, formats: formats::GENESYS }),
    },
    // Not by the vendor: what is in doubt is looked up (`doubt.rs`).
    dedupe: Dedupe::ByKey,
    acknowledged: Acknowledged::Answer,
    // The end comes another way than the words, and a webhook call that failed is repeated after 5 s.
    drain_ms: 3_000,
    opening_ms: None,
    resumes: true,
};

/// Where it does otherwise than the others.
#[cfg(any(test, feature = "simulators"))]
pub(super) const DEVIATIONS: &[interline_connector::simulator::Deviation] = &[
    interline_connector::simulator::Deviation {
        scenario: "queue_position",
        reason: "Genesys tells no place in the queue to the customer's side",
    },
    interline_connector::simulator::Deviation {
        scenario: "receipts_read",
        reason: "Open Messaging takes \"delivered\" and no \"read\", and tells nothing of what agents have read",
    },
];

/// The connector.
#[derive(Debug, Clone, Copy)]
pub struct GenesysOpen;

impl Connector for GenesysOpen {
    fn manifest(&self) -> &'static Manifest {
        &MANIFEST
    }

    fn settings_schema(&self) -> Value {
        schemars::schema_for!(Settings).to_value()
    }

    fn build(&self, settings: Value, env: Env) -> Result<Arc<dyn AgentSystem>, String> {
        let settings = Settings::read(settings)?;
        let api = Api::new(&settings, settings.hosts()?, env.http);
        Ok(Arc::new(Integration { settings, api, seats: Seats::new(), app: env.app, webhook: env.webhook }))
    }

    #[cfg(feature = "simulators")]
    fn stand_in(&self, _: &Tenant) -> Option<Arc<dyn StandIn>> {
        // Faster than the vendor, so that a test of everything does not wait for its rate limit.
        let settings = super::simulator::open::Settings { per_minute: 60_000, ..Default::default() };
        Some(Arc::new(super::simulator::open::Open::new(settings)))
    }
}

/// A configured Open Messaging integration.
struct Integration {
    settings: Settings,
    api: Api,
    seats: Arc<Seats>,
    app: AppId,
    webhook: Url,
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

    fn receive(&self, request: &Unverified) -> Result<Received, Rejected> {
        self.understand(request)
    }

    async fn run(&self, link: &mut dyn Link) -> RunEnd {
        self.serve(link).await
    }

    /// The answer to a call is seen by nobody there, and another than success would bring the call again.
    async fn refused(
        &self,
        _: &Brief,
        session: Option<Value>,
        files: &[Incoming],
        why: &FileRefused,
    ) -> bool {
        let Some(chat) = session.and_then(|session| serde_json::from_value::<Document>(session).ok()) else {
            return false;
        };
        let words = files.iter().map(|file| why.for_agent(file.name.as_deref()));
        self.seats.tell(&chat.address, |told| told.words.extend(words))
    }

    async fn listen(&self) -> RunEnd {
        self.hear_notices(&self.app).await
    }

    async fn availability(&self, asked: &Availability) -> Result<Option<bool>, Failure> {
        self.has_members(asked).await
    }

    async fn probe(&self) -> Result<(), String> {
        self.test_connection().await
    }
}
