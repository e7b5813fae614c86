//! Where a rung of the ladder goes.

use serde::{Deserialize, Serialize};

use crate::IntegrationName;

/// One try: an agent system and, where it has them, a queue. Each is tried at most once in a transfer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// The integration's name.
    pub integration: IntegrationName,
    /// A queue or skill, in the words of that system.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue: Option<String>,
}
