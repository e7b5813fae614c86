//! An app that this process serves.

use std::collections::BTreeMap;
use std::sync::Arc;

use interline_connector::channel::ChannelApp;
use interline_connector::{AgentSystem, Bot, Http};
use interline_core::{App, IntegrationName};

use crate::config::{Draft, FileRules, Transcript};

/// An app, ready to run.
#[derive(Clone)]
pub struct Runtime {
    /// What `step` knows of it.
    pub app: Arc<App>,
    /// Its agent systems.
    pub agents: BTreeMap<IntegrationName, Arc<dyn AgentSystem>>,
    /// Channels that tell customers by themselves: who their entries are delivered to.
    pub told: BTreeMap<IntegrationName, Arc<dyn AgentSystem>>,
    /// Its external bots.
    pub bots: BTreeMap<IntegrationName, Arc<dyn Bot>>,
    /// The way out for requests of flows; none: a test's app that makes none.
    pub http: Option<Http>,
    /// What its channels know of it.
    pub channel_app: Arc<ChannelApp>,
    /// How long closed conversations are kept, in milliseconds; none: until somebody erases them.
    pub retention_ms: Option<i64>,
    /// The link to what was said before a transfer.
    pub transcript: Transcript,
    /// Which files are taken, and how long they are given out.
    pub files: FileRules,
    /// The document that it was made from; none: a test's.
    pub configured: Option<Arc<Draft>>,
    /// The version of `app` in the store: inputs are stored with it, so that a replay meets the same app.
    pub version: i64,
}
