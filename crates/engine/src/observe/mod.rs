//! What an operator's monitoring sees: numbers for Prometheus, and traces that follow a line through the dispatcher.
//!
//! ```text
//!   request ─► interline.hear ─► interline.receive ─► interline.commit
//!                                       │ traceparent, kept with the entry in the participant's row
//!                                       ▼
//!                                interline.deliver ─► (the result) interline.receive ─► …
//! ```
//!
//! | file | concept |
//! |---|---|
//! | `list.rs` | every metric there is: name, kind, labels, meaning |
//! | `record.rs` | counting while it happens |
//! | `scrape.rs` | what is counted when somebody asks: live transfers, failing participants, the process |
//! | `trace.rs` | spans, and how their context outlives a task and a restart |
//!
//! No label and no attribute holds what a person said, an address or a token. Labels are few: connectors, integrations,
//! channels and typed words; the app is not one, because nobody bounds their number.

mod list;
mod record;
mod scrape;
pub mod trace;

pub use list::{Kind, METRICS, Metric};
pub use record::{http_answered, traces_sent};

pub(crate) use record::{
    Delivery, begin, commit_conflicted, committed, duplicate, file_asked, file_taken, hints_lagged, stepped,
    taken, transcript_asked, webhook_answered,
};
pub(crate) use scrape::Cache;
