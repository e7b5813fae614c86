//! Apps as documents: read, checked, changed, put in force.
//!
//! ```text
//!   file, REST ─► Document ─► build: every fault with its path ─► Runtime
//!                     │                                              │
//!                     └──► store: one sealed row per version ──► served from the next input on
//! ```
//!
//! An app is one document, and a change of it is one commit: nothing is ever half-configured, also after a crash. Old
//! versions stay, because inputs name the version that they were stepped under.
//!
//! | file | concept |
//! |---|---|
//! | `document.rs` | an app as people write it |
//! | `build.rs` | a document becomes something that runs |
//! | `apps.rs` | what is in force, and how it changes |
//! | `at_run_time.rs` | what a script sets of an agent system for one hand-over |
//! | `merge.rs` | applying a document: what stays, which secrets are kept, what differs |
//! | `flows.rs` | flows: checked, drafted, published, restored |
//! | `mask.rs` | where the secrets are |
//! | `delete.rs` | an integration is deleted |
//! | `retire.rs` | agent systems that were deleted while somebody still talked through them |

mod apps;
mod at_run_time;
mod build;
mod delete;
mod document;
mod flows;
mod mask;
mod merge;
pub(crate) mod retire;

pub use apps::{Apps, Changed, Draft, Origin, Refused};
pub use delete::{Deleted, LiveTransfers, Replacement};
pub use document::{
    Document, FileRules, Identity, Integration, Scan, ScannerDown, Scope, ScopedCredential, Transcript,
    WhenFound,
};
pub use flows::{FlowRefused, FlowSummary, Validated};
pub use mask::{KEPT, masked};
pub use merge::{Difference, Kind, differences, merge};
pub use retire::Retired;

use serde::Serialize;

/// A fault in a document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, thiserror::Error)]
#[error("{}{message}", if path.is_empty() { String::new() } else { format!("{path}: ") })]
pub struct Invalid {
    /// Where: `agents.desk.url`. Empty: the document as a whole.
    pub path: String,
    /// What is wrong, and what to do.
    pub message: String,
}

impl Invalid {
    /// A fault at a place.
    pub fn at(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self { path: path.into(), message: message.into() }
    }
}
