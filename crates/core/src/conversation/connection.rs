//! How the customer reached us, as far as the channel tells when a conversation begins.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::flow::FlowName;

/// How the customer reached us.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Connection {
    /// The channel's type on the field's wires: `rtm`, `korevg`, `ivr`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channel_type: Option<String>,
    /// The flow that what was called (a number, a path) is mapped to; none: the channel's, else `main`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flow: Option<FlowName>,
    /// Who called: a telephone number or SIP URI.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub caller: Option<String>,
    /// What was called.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub called: Option<String>,
    /// The id of the call at the other side.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub call_id: Option<String>,
    /// SIP headers of the call, in order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<Header>,
    /// What else scripts find under `context.BotUserSession.channels[0].handle`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub handle: Option<Value>,
    /// The channel answers requests, or listens only when it is told to: it needs `TurnDone` entries.
    #[serde(skip_serializing_if = "is_not")]
    pub takes_turns: bool,
    /// The channel measures how long an input is waited for (it says `NoInput`). Else the flow does.
    #[serde(skip_serializing_if = "is_not")]
    pub times_input: bool,
    /// What the customer is told is brought to the channel, entry by entry. Else its readers fetch it.
    #[serde(skip_serializing_if = "is_not")]
    pub pushed: bool,
    /// It is a call: one end of silence is an end for both.
    #[serde(skip_serializing_if = "is_not")]
    pub is_call: bool,
    /// The customer was here within the last 24 hours.
    #[serde(skip_serializing_if = "is_not")]
    pub returns: bool,
}

/// A SIP header.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// In the case it came in.
    pub name: String,
    /// As it came.
    pub value: String,
}

impl Connection {
    /// Whether nothing is told.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

fn is_not(switch: &bool) -> bool {
    !switch
}
