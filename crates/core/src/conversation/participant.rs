//! One integration's session that plays a role in a conversation: a range of the log, and how far it was heard.

use serde::{Deserialize, Serialize};

use crate::{IntegrationName, ParticipantNo, Role, Seq, TransferNo};

/// Who hears which part of the log. Where its cursor stands belongs to the store, not here: `step` decides what is to
/// be heard, the dispatcher how far it got.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Participant {
    /// Its number in the conversation.
    pub no: ParticipantNo,
    /// Which integration.
    pub integration: IntegrationName,
    /// The role it plays: Agent, Interceptor, Bot (what does the work of flows), or Customer (a channel that is told).
    pub role: Role,
    /// For an agent: in which transfer.
    pub transfer: Option<TransferNo>,
    /// For an agent: the queue or skill to ask for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue: Option<String>,
    /// The first entry it may hear.
    pub from: Seq,
    /// The last entry it may hear; none while it takes part.
    pub to: Option<Seq>,
    /// It began by itself (took over): the Open at `from` needs no delivery.
    #[serde(default)]
    pub took_over: bool,
    /// Its rung failed or its session is gone: of what it has not heard yet, it hears the Close alone.
    #[serde(default)]
    pub only_close: bool,
    /// Its session at the vendor no longer exists: it hears nothing more.
    #[serde(default)]
    pub gone: bool,
}

impl Participant {
    /// Whether it is the one that sees every line between customer and bot first.
    pub fn is_interceptor(&self) -> bool {
        self.role == Role::Interceptor
    }
}
