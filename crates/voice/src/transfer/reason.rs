//! What a SIP code means to a flow.

use interline_core::transfer::{Failure, Reason};

/// Where in a transfer it failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Before anything was sent.
    Target,
    /// The final response to an INVITE.
    Invite,
    /// The response to a REFER.
    Refer,
    /// What a NOTIFY told of the one who was referred.
    Notify,
    /// A time-out of ours.
    Timer,
}

impl Phase {
    fn name(self) -> &'static str {
        match self {
            Self::Target => "target",
            Self::Invite => "INVITE",
            Self::Refer => "REFER",
            Self::Notify => "NOTIFY",
            Self::Timer => "timer",
        }
    }
}

/// A transfer that came to nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failed {
    /// Where.
    pub phase: Phase,
    /// The SIP code, of the other side or the one that stands for what we saw.
    pub code: u16,
    /// What it means.
    pub reason: Reason,
}

impl Failed {
    /// One by a code.
    pub fn by(phase: Phase, code: u16) -> Self {
        Self { phase, code, reason: reason(code) }
    }

    /// The caller is gone: nobody is left to be helped.
    pub fn caller_left() -> Self {
        Self { phase: Phase::Timer, code: 487, reason: Reason::CallerLeft }
    }

    /// Nobody answered in time.
    pub fn no_answer() -> Self {
        Self { phase: Phase::Timer, code: 408, reason: Reason::NoAnswer }
    }

    /// Nothing was heard of a REFER that was accepted.
    pub fn silence() -> Self {
        Self { phase: Phase::Timer, code: 408, reason: Reason::Unreachable }
    }

    /// For the log of the conversation: `486 by INVITE`.
    pub fn typed(&self) -> Failure {
        Failure { reason: self.reason, code: Some(format!("{} by {}", self.code, self.phase.name())) }
    }
}

/// What a code means. The table is printed into `docs/connectors/voice.md`.
pub fn reason(code: u16) -> Reason {
    match code {
        401 | 407 => Reason::Unauthorized,
        403 | 603 | 607 | 608 => Reason::Declined,
        404 | 410 | 480 | 604 => Reason::NoAgents,
        408 | 502 | 504 => Reason::Unreachable,
        429 => Reason::RateLimited,
        486 | 600 => Reason::Busy,
        487 => Reason::NoAnswer,
        501 | 505 | 513 => Reason::BadRequest,
        500..=599 => Reason::VendorError,
        _ => Reason::BadRequest,
    }
}
