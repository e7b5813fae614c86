//! All published flows of an app, as they were at one moment. A conversation keeps the set that it began with: its
//! [`id`](Flows::id), which is derived from the content, stands in the state, and the engine steps it with that set.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::document::{Flow, FlowName, MAIN, NodeId};
use crate::IntegrationName;

/// The published flows of an app.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Flows {
    /// Of this content. Empty: nobody keeps it (a test's).
    #[serde(skip_serializing_if = "str::is_empty")]
    pub id: Arc<str>,
    /// The flows.
    pub all: BTreeMap<FlowName, Flow>,
    /// Channel → its entry flow; for others it is `main`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub entries: BTreeMap<IntegrationName, FlowName>,
}

/// A node in its flow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// The flow.
    pub flow: FlowName,
    /// The node.
    pub node: NodeId,
}

impl Flows {
    /// The one flow of an app.
    pub fn of(flow: Flow) -> Arc<Self> {
        Arc::new(Self { all: BTreeMap::from([(MAIN.into(), flow)]), ..Self::default() })
    }

    /// The flow of this name.
    pub fn get(&self, name: &FlowName) -> Option<&Flow> {
        self.all.get(name)
    }

    /// The flow that a conversation on `channel` begins with. `asked` is what the connection was mapped to.
    pub fn entry(&self, channel: &IntegrationName, asked: Option<&FlowName>) -> Option<&FlowName> {
        let known = |name: &FlowName| self.all.get_key_value(name).map(|(name, _)| name);
        asked
            .and_then(known)
            .or_else(|| self.entries.get(channel).and_then(known))
            .or_else(|| known(&MAIN.into()))
            .or_else(|| self.all.keys().next())
    }
}
