//! The apps that this process serves.

use std::collections::BTreeMap;
use std::sync::Arc;

use interline_connector::AgentSystem;
use interline_connector::channel::ChannelApp;
use interline_core::{App, IntegrationName};

/// An app, ready to run.
#[derive(Clone)]
pub struct Runtime {
    /// What `step` knows of it.
    pub app: Arc<App>,
    /// Its agent systems.
    pub agents: BTreeMap<IntegrationName, Arc<dyn AgentSystem>>,
    /// What its channels know of it.
    pub channel_app: Arc<ChannelApp>,
    /// How long closed conversations are kept, in milliseconds; none: until somebody erases them.
    pub retention_ms: Option<i64>,
    /// The version of `app` in the store: inputs are stored with it, so that a replay meets the same app.
    pub version: i64,
}
