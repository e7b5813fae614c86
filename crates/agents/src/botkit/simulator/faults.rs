//! What goes wrong on purpose. Scripted through [`Simulator::set_faults`](super::Simulator::set_faults) or, as JSON, through
//! `/_sim/botkit/faults`.

use serde::{Deserialize, Serialize};

/// One scripted misbehaviour.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// The event (`on_user_message`) or callback (`sendUserMessage`) it is for; none: all that the fault can be for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on: Option<String>,
    /// How many times; none: until the rules are changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<u32>,
    /// What.
    pub fault: Fault,
}

/// A misbehaviour.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Fault {
    /// An event is handled so many milliseconds later.
    Latency {
        /// Milliseconds.
        ms: u64,
    },
    /// An event takes effect, but is never answered: the 2017 generation in agent mode.
    NeverAnswer,
    /// An event is answered with this status and has no effect.
    ErrorBefore {
        /// The status.
        status: u16,
        /// `Retry-After`, in seconds.
        #[serde(default)]
        retry_after: Option<u64>,
    },
    /// An event takes effect and is answered with this status.
    ErrorAfter {
        /// The status.
        status: u16,
    },
    /// An event takes effect and is answered with 200 and bytes that mean nothing.
    Garbage,
    /// An event takes effect, then the connection is closed without an answer.
    DropAfter,
    /// An event is answered with success, but the bot file does nothing: the line is never released.
    Hold,
    /// A callback is made twice, one after the other.
    CallTwice,
    /// The agent session is closed twice.
    CloseTwice,
    /// `sendUserMessage` is made so many milliseconds later, so that others overtake it.
    OutOfOrder {
        /// Milliseconds.
        ms: u64,
    },
    /// A callback's token is signed with another secret.
    WrongToken,
    /// A callback's token expired ten minutes ago.
    ExpiredToken,
    /// A callback's token is well signed, but names another client.
    ForeignToken,
    /// A callback's token has no `exp`: the 2017 generation.
    NoExp,
}

impl Fault {
    fn is_for_callback(&self, name: &str) -> bool {
        match self {
            Self::CallTwice | Self::WrongToken | Self::ExpiredToken | Self::ForeignToken | Self::NoExp => {
                true
            }
            Self::CloseTwice => name == "clearAgentSession",
            Self::OutOfOrder { .. } => name == "sendUserMessage",
            Self::Latency { .. }
            | Self::NeverAnswer
            | Self::ErrorBefore { .. }
            | Self::ErrorAfter { .. }
            | Self::Garbage
            | Self::DropAfter
            | Self::Hold => false,
        }
    }

    fn is_for_event(&self) -> bool {
        match self {
            Self::Latency { .. }
            | Self::NeverAnswer
            | Self::ErrorBefore { .. }
            | Self::ErrorAfter { .. }
            | Self::Garbage
            | Self::DropAfter
            | Self::Hold => true,
            Self::CallTwice
            | Self::CloseTwice
            | Self::OutOfOrder { .. }
            | Self::WrongToken
            | Self::ExpiredToken
            | Self::ForeignToken
            | Self::NoExp => false,
        }
    }
}

/// The faults that strike this event; each is used up once.
pub(super) fn take_for_event(rules: &mut Vec<Rule>, name: &str) -> Vec<Fault> {
    take(rules, name, Fault::is_for_event)
}

/// The faults that strike this callback; each is used up once.
pub(super) fn take_for_callback(rules: &mut Vec<Rule>, name: &str) -> Vec<Fault> {
    take(rules, name, |fault| fault.is_for_callback(name))
}

fn take(rules: &mut Vec<Rule>, name: &str, fits: impl Fn(&Fault) -> bool) -> Vec<Fault> {
    let mut taken = Vec::new();
    for rule in rules.iter_mut() {
        if rule.times != Some(0) && rule.on.as_deref().is_none_or(|on| on == name) && fits(&rule.fault) {
            taken.push(rule.fault.clone());
            rule.times = rule.times.map(|times| times - 1);
        }
    }
    rules.retain(|rule| rule.times != Some(0));
    taken
}
