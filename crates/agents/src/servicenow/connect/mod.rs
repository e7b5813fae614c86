//! ServiceNow, Tokyo and lower: Connect Support.
//!
//! ```text
//!   session.rs   one chat: its lines go out by outbound.rs, its state is asked for now and then
//!   inbound.rs   the business rule's calls: agents' words, durable before the answer; and that it is time to look
//!   chats.rs     which chat a call is about
//! ```
//!
//! The instance tells of new lines alone. That an agent took the chat, its place in the queue and its end are asked for, so
//! each chat has a session of its own; it is resumed from its document after a restart.

mod chats;
mod inbound;
mod outbound;
mod session;
mod settings;
mod wire;

use std::sync::Arc;

use async_trait::async_trait;
use interline_connector::agent::{Connector, Env};
use interline_connector::http::{Reply, Request, of_status};
use interline_connector::manifest::{Acknowledged, Dedupe, Delivery, Manifest, Signals, Takes};
use interline_connector::webhook::Unverified;
use interline_connector::{AgentSystem, Cause, Done, Failure, Item, Link, Received, Rejected, RunEnd};
use interline_core::app;
use interline_core::flow::work::Availability;
use interline_core::transfer::Reason;
use serde_json::Value;
use url::Url;

use super::account::{Account, has_result, told};
use super::matchers::Matcher;
use chats::Chats;
use wire::{Answer, Queue};

pub use settings::Settings;

/// What it can do.
static MANIFEST: Manifest = Manifest {
    id: "servicenow_tokyo",
    title: "ServiceNow (Tokyo and lower)",
    delivery: Delivery::Pinned,
    signals: Signals { accepts: true, joined: true, queued: true },
    takes: Takes { typing: false, receipts: false, files: None },
    dedupe: Dedupe::None,
    acknowledged: Acknowledged::Answer,
    // A call may still be under way when the end is seen.
    drain_ms: 1_000,
    opening_ms: None,
    resumes: true,
};

/// The connector.
#[derive(Debug, Clone, Copy)]
pub struct ServiceNowTokyo;

impl Connector for ServiceNowTokyo {
    fn manifest(&self) -> &'static Manifest {
        &MANIFEST
    }

    fn settings_schema(&self) -> Value {
        schemars::schema_for!(Settings).to_value()
    }

    fn build(&self, settings: Value, env: Env) -> Result<Arc<dyn AgentSystem>, String> {
        let (settings, outside_hours) = Settings::read(settings)?;
        let account = Account::new(settings.instance_url.clone(), settings.login.clone(), env.http);
        Ok(Arc::new(Integration { settings, outside_hours, account, chats: Chats::default() }))
    }

    #[cfg(feature = "simulators")]
    fn stand_in(
        &self,
        _: &interline_connector::simulator::Tenant,
    ) -> Option<Arc<dyn interline_connector::simulator::StandIn>> {
        Some(Arc::new(super::simulator::Connect::default()))
    }
}

/// A configured instance.
struct Integration {
    settings: Settings,
    outside_hours: Matcher,
    account: Account,
    chats: Chats,
}

impl Integration {
    fn queue_at(&self, queue: &str) -> Result<Url, Failure> {
        self.account.at_part("/api/now/connect/support/queues", queue, "")
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
            opening_ms: MANIFEST.opening_ms,
            intercepts: None,
            retired: false,
        }
    }

    async fn deliver(&self, _: &Item, _: Option<Value>) -> Result<Done, Failure> {
        Err(Failure::Bug(Cause::new(Reason::VendorError, "its entries go by its session")))
    }

    fn receive(&self, request: &Unverified) -> Result<Received, Rejected> {
        self.understand(request)
    }

    async fn run(&self, link: &mut dyn Link) -> RunEnd {
        self.session(link).await
    }

    /// A queue that is closed, or has nobody, says why (`not_available`).
    async fn availability(&self, asked: &Availability) -> Result<Option<bool>, Failure> {
        let url = self.queue_at(asked.queue.as_deref().unwrap_or(&self.settings.queue_id))?;
        let reply = self.account.ask(|| Request::get(url.clone())).await?;
        let Reply::Answered { status, headers, body } = reply else { return Ok(None) };
        if !status.is_success() {
            return Err(of_status(status, &headers));
        }
        let unreadable = |_| Failure::Bug(Cause::new(Reason::VendorError, "unreadable answer"));
        let Answer { result } = serde_json::from_slice::<Answer<Queue>>(&body).map_err(unreadable)?;
        Ok(Some(result.not_available.is_none()))
    }

    /// The queue is looked at, and nobody put into it.
    async fn probe(&self) -> Result<(), String> {
        let ending = self.account.probe().await;
        let url = self.queue_at(&self.settings.queue_id).map_err(|failure| told(&failure))?;
        let reply = self.account.ask(|| Request::get(url.clone())).await;
        let Reply::Answered { status, body, .. } = reply.map_err(|failure| told(&failure))? else {
            return Err("no answer".into());
        };
        match status.as_u16() {
            200..=299 if has_result(&body) => ending,
            401 | 403 => Err(ending.err().unwrap_or_else(|| {
                format!(
                    "login: the user may not use Connect Support (HTTP {}): give it the role agent_admin and put it into the queue's group",
                    status.as_u16()
                )
            })),
            404 => Err(ending.err().unwrap_or_else(|| {
                "queue_id: there is no such queue at this instance, or it has no Connect Support (from Utah on use `servicenow`)".into()
            })),
            429 => Err("the instance limits our requests right now (HTTP 429): try again later".into()),
            other => Err(ending.err().unwrap_or_else(|| format!("Connect Support answers HTTP {other}"))),
        }
    }
}
