//! Words as they stand in JSON. The domain does not know the API: each of its words is mirrored here, and one that is new
//! there does not compile here until it has a name.

use interline_core::{conversation, transfer};
use interline_engine::config;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// An enum of the API with the same variants as one elsewhere.
macro_rules! mirror {
    ($(#[$doc:meta])* $name:ident of $theirs:ty { $($(#[$variant_doc:meta])* $variant:ident),* $(,)? }) => {
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
        $(#[$doc])*
        pub(crate) enum $name {
            $($(#[$variant_doc])* $variant,)*
        }

        impl From<$theirs> for $name {
            fn from(theirs: $theirs) -> Self {
                match theirs {
                    $(<$theirs>::$variant => Self::$variant,)*
                }
            }
        }

        impl From<$name> for $theirs {
            fn from(ours: $name) -> Self {
                match ours {
                    $($name::$variant => Self::$variant,)*
                }
            }
        }
    };
}

mirror! {
    /// Who the customer talks to: exactly one at any moment. `closed`: nobody, the conversation is over.
    #[serde(rename_all = "snake_case")]
    Owner of conversation::state::Owner { Bot, Agent, Closed }
}

mirror! {
    /// Where a live transfer stands: `requested` (asked for), `opening` (the agent system has not answered yet), `waiting`
    /// (in a queue), `talking` (an agent is there), `closing` (the agent left; last words may be on the way).
    #[serde(rename_all = "snake_case")]
    Stage of transfer::Stage { Requested, Opening, Waiting, Talking, Closing }
}

mirror! {
    /// A role. An entry is for a role, and `nobody` hears a note.
    #[serde(rename_all = "snake_case")]
    Role of conversation::entry::Role { Customer, Bot, Agent, Interceptor, Nobody }
}

mirror! {
    /// Why a transfer, or one try of it, failed.
    #[serde(rename_all = "snake_case")]
    Reason of transfer::Reason {
        NoAgents, OutsideHours, QueueFull, QueueTimeout, Busy, NoAnswer, Declined, Unreachable, Unauthorized,
        RateLimited, BadRequest, VendorError, CallerLeft, AgentLost, Unconfigured, Loop,
    }
}

mirror! {
    /// What a key may do; each includes the ones before it. `read`: look at everything but secrets. `operate`: also act
    /// on conversations and test connections. `admin`: also change the app, its credentials and keys, erase customers,
    /// see secrets.
    #[serde(rename_all = "snake_case")]
    KeyRole of interline_engine::KeyRole { Read, Operate, Admin }
}

mirror! {
    /// What a credential opens: logins of web chat customers, calls of and to a BotKit, requests of IVRs, or requests of
    /// programs to a webhook channel.
    #[serde(rename_all = "snake_case")]
    #[schema(as = CredentialScope)]
    Scope of config::Scope { Web, Botkit, Ivr, Webhook }
}

mirror! {
    /// A MAC algorithm.
    Algorithm of interline_connector::Algorithm { HS256, HS512 }
}

mirror! {
    /// What becomes of transfers that are live on an agent system that is taken away: `end` ends them and the bot takes
    /// over, `stay` lets them go on until they end by themselves.
    #[serde(rename_all = "snake_case")]
    LiveTransfers of config::LiveTransfers { End, Stay }
}

mirror! {
    /// What happens at a place of the document.
    #[serde(rename_all = "snake_case")]
    DifferenceKind of config::Kind { Added, Changed, Removed }
}

/// What an integration is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum IntegrationKind {
    /// Customers come by it.
    Channel,
    /// Conversations are handed over to it.
    AgentSystem,
}

/// How a transfer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = TransferEnd)]
pub(crate) enum End {
    /// The agent closed it.
    AgentEnded,
    /// The customer closed it.
    CustomerEnded,
    /// An operator closed it.
    OperatorEnded,
    /// Nobody said anything for too long.
    Idle,
    /// The conversation left our hands for good.
    HandedOff,
    /// No agent was found, or the last one was lost: `failure` says why.
    Failed,
}

/// Why something failed.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct Failure {
    /// What it means to us.
    pub reason: Reason,
    /// What the other side said: a code or a short text.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub code: Option<String>,
}

impl From<transfer::Failure> for Failure {
    fn from(failure: transfer::Failure) -> Self {
        Self { reason: failure.reason.into(), code: failure.code }
    }
}

/// How a transfer ended, and if it failed, why.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct Outcome {
    /// How.
    pub end: End,
    /// With `failed`: why.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub failure: Option<Failure>,
}

impl From<transfer::Outcome> for Outcome {
    fn from(outcome: transfer::Outcome) -> Self {
        let (end, failure) = match outcome {
            transfer::Outcome::AgentEnded => (End::AgentEnded, None),
            transfer::Outcome::CustomerEnded => (End::CustomerEnded, None),
            transfer::Outcome::OperatorEnded => (End::OperatorEnded, None),
            transfer::Outcome::Idle => (End::Idle, None),
            transfer::Outcome::HandedOff => (End::HandedOff, None),
            transfer::Outcome::Failed(failure) => (End::Failed, Some(failure.into())),
        };
        Self { end, failure }
    }
}

/// Where a try goes.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct Target {
    /// The agent system's name.
    pub integration: String,
    /// A queue or skill, in the words of that system.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub queue: Option<String>,
}

impl From<transfer::Target> for Target {
    fn from(target: transfer::Target) -> Self {
        Self { integration: target.integration.to_string(), queue: target.queue }
    }
}
