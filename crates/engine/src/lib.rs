//! The only place where the domain, the store and the connectors meet.
//!
//! ```text
//!   channel, webhook, duplex link ─► ingress ─► step() ─► one commit ─► hints
//!                                       ▲                                │
//!                  results of deliveries│                                ▼
//!                                   dispatch ◄── participants with head > cursor ── readers (sockets)
//! ```
//!
//! | file | concept |
//! |---|---|
//! | `ingress.rs` | an input is stepped and committed, then told |
//! | `unit.rs` | the rows of one commit |
//! | `live.rs` | conversations in memory: one mutex each, dropped when idle |
//! | `dispatch/` | entries go out, one at a time per participant; `settle.rs` writes what came of it, `outcome.rs` is the failure table |
//! | `perform/`, `scripts.rs` | what flows have others do |
//! | `kept.rs` | the flows that a conversation began with |
//! | `pinned.rs` | duplex sessions: one task owns each |
//! | `timers.rs` | deadlines and retries; the database is looked through for what memory does not hold |
//! | `hints.rs` | "look there": losing one costs latency, never correctness |
//! | `host.rs` | what channels see of the engine |
//! | `webhooks.rs` | vendors' calls |
//! | `asides.rs` | typing and receipts, both ways |
//! | `operate.rs` | what operators see and do |
//! | `transcript.rs` | the link to what was said before a transfer |
//! | `containment.rs` | what is counted |
//! | `voicemail.rs` | a voicemail comes in |
//! | `watch.rs` | what changes, for live views |
//! | `keys.rs` | keys of the API |
//! | `config/` | apps as documents: checked, changed, put in force |
//! | `observe/` | metrics and traces |
//! | `clock.rs` | every wait and every "now" |
//! | `stop.rs` | finishing work in hand |

mod address;
mod apps;
mod asides;
mod clock;
pub mod config;
mod containment;
mod customers;
mod dispatch;
mod engine;
pub mod files;
mod hints;
mod host;
mod ingress;
mod kept;
mod keys;
mod lines;
mod listeners;
mod live;
mod marks;
pub mod observe;
mod operate;
mod perform;
mod pinned;
mod scripts;
mod setups;
mod stop;
mod timers;
mod token;
mod transcript;
mod unit;
mod voicemail;
mod watch;
mod webhooks;

pub use apps::Runtime;
pub use clock::Clock;
pub use config::Apps;
pub use containment::Sums;
pub use dispatch::outcome::{Cursor, Verdict, verdict};
pub use engine::{Engine, Settings};
pub use hints::{About, Hints, InProcess};
pub use ingress::Trouble;
pub use interline_store::{
    Access, AccessRow, CustomerFound, Erased, FileShare, Filter, FlowRow, FlowVersion, KeyRow, LabelSum,
    Period, ShareRow, TagSum, TaskSum, WordSum,
};
pub use keys::{Holder, KeyRole, NewKey, create_key};
pub use operate::{After, Detail, NotDone, Overview, Seat};
pub use scripts::{NoScripts, Scripts};
pub use transcript::{Closed, Transcript};
pub use watch::Change;
