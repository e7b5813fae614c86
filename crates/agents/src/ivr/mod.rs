//! Giving a call back: an agent system that is none. Where the customer came by an IVR of somebody else (the channel `ivr`),
//! a transfer means that the call leaves our hands, with its transfer tags, and that IVR connects it.
//!
//! ```text
//!   Open ─► is it such a call? ─► handed off ─► the channel's last answer carries what was asked of the transfer
//! ```

#[cfg(test)]
mod tests;

use std::sync::Arc;

use async_trait::async_trait;
use interline_connector::agent::{Connector, Env};
use interline_connector::failure::Cause;
use interline_connector::manifest::{Acknowledged, Dedupe, Delivery, Manifest, Signals, Takes};
use interline_connector::webhook::Unverified;
use interline_connector::{AgentSystem, Answer, Done, Failure, Item, Received, Rejected};
use interline_core::conversation::input::AgentEvent;
use interline_core::transfer::Reason;
use interline_core::{Body, app};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

/// What it can do.
static MANIFEST: Manifest = Manifest {
    id: "ivr",
    title: "IVR (call given back)",
    delivery: Delivery::Push,
    signals: Signals { accepts: true, joined: false, queued: false },
    takes: Takes { typing: false, receipts: false, files: None },
    // Nothing goes out, so a repeat does nothing.
    dedupe: Dedupe::ByKey,
    acknowledged: Acknowledged::Answer,
    drain_ms: 0,
    opening_ms: None,
    resumes: false,
};

/// There is nothing to set: destination, method and tags are the Agent Transfer node's.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Settings {}

/// The connector.
#[derive(Debug, Clone, Copy)]
pub struct Ivr;

impl Connector for Ivr {
    fn manifest(&self) -> &'static Manifest {
        &MANIFEST
    }

    fn settings_schema(&self) -> Value {
        schemars::schema_for!(Settings).to_value()
    }

    fn build(&self, settings: Value, _: Env) -> Result<Arc<dyn AgentSystem>, String> {
        let Settings {} = serde_json::from_value(settings).map_err(|error| error.to_string())?;
        Ok(Arc::new(Integration))
    }
}

/// A configured one.
struct Integration;

#[async_trait]
impl AgentSystem for Integration {
    fn manifest(&self) -> &Manifest {
        &MANIFEST
    }

    fn describe(&self) -> app::AgentSystem {
        app::AgentSystem { tells_joined: MANIFEST.signals.joined, ..app::AgentSystem::default() }
    }

    async fn deliver(&self, item: &Item, _: Option<Value>) -> Result<Done, Failure> {
        if item.entry.body != Body::Open {
            return Ok(Done::default());
        }
        let connection = &item.conversation.customer.connection;
        if connection.channel_type.as_deref() != Some(MANIFEST.id) {
            // The next rung may be an agent system for chats.
            return Err(Failure::Refused(Cause::new(
                Reason::BadRequest,
                "the customer did not come by an IVR",
            )));
        }
        Ok(Done { events: vec![AgentEvent::HandedOff], ..Done::default() })
    }

    fn receive(&self, _: &Unverified) -> Result<Received, Rejected> {
        Err(Rejected(Answer::error(404, "nobody calls back here")))
    }

    async fn probe(&self) -> Result<(), String> {
        Ok(())
    }
}
