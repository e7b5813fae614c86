//! What the legs of a call came to, for the timeline: who was called, what came of it, what was sent along. No digits that
//! somebody pressed, and no value of a header field that may be somebody's secret.

use serde::{Deserialize, Serialize};

/// Whose side of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CallLeg {
    /// Who called.
    Caller,
    /// Whom we called.
    Agent,
}

/// One thing that was done on a leg, and what came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallRecord {
    /// Whose side.
    pub leg: CallLeg,
    /// `INVITE`, `REFER`, `BYE`, `VOICEMAIL`.
    pub method: String,
    /// Whom it concerned: a SIP URI, or what was dialled.
    pub target: String,
    /// The header fields that were sent along.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sent: Vec<SentField>,
    /// The SIP code that decided it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<u16>,
    /// The `Reason` that the other side gave (RFC 3326).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// In words: `answered`, `refused`, `the caller left`, …
    pub result: String,
    /// How long it took, milliseconds.
    pub took_ms: u64,
}

/// A header field that was sent along.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SentField {
    /// Its name, as it was sent.
    pub name: String,
    /// Its value, where that is nobody's secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
}
