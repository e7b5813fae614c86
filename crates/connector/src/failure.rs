//! What went wrong with a delivery. The variant is the engine's decision; what each does to the cursor is one table in
//! the engine (`engine/src/dispatch/outcome.rs`).

use interline_core::transfer::reason::{Failure as Typed, Reason};

/// What went wrong, as a decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// Nothing was done at the vendor: not connected, nothing written, 429, 503. Try again.
    Retry {
        /// Not before so many milliseconds, if the vendor said so.
        after_ms: Option<u64>,
        /// Why.
        cause: Cause,
    },
    /// It may have arrived: written, then time-out, reset or 5xx.
    Uncertain(Cause),
    /// This entry was refused and always will be.
    Refused(Cause),
    /// The vendor's session no longer exists.
    Gone(Cause),
    /// Our credentials were refused.
    Unauthorized(Cause),
    /// We do not understand ourselves or the vendor.
    Bug(Cause),
}

/// Why, typed and in the vendor's words. Never holds a secret or a customer's text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cause {
    /// What it means to a transfer.
    pub reason: Reason,
    /// For the operator: a status, a vendor's code.
    pub code: String,
}

impl Cause {
    /// A cause.
    pub fn new(reason: Reason, code: impl Into<String>) -> Self {
        Self { reason, code: code.into() }
    }

    /// The same in the domain's words.
    pub fn typed(&self) -> Typed {
        Typed { reason: self.reason, code: Some(self.code.clone()) }
    }
}

impl Failure {
    /// Why.
    pub fn cause(&self) -> &Cause {
        match self {
            Self::Retry { cause, .. }
            | Self::Uncertain(cause)
            | Self::Refused(cause)
            | Self::Gone(cause)
            | Self::Unauthorized(cause)
            | Self::Bug(cause) => cause,
        }
    }
}
