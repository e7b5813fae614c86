//! The simulator kit: what the stand-ins of all vendors share, so that each vendor's holds nothing but its wire.
//!
//! ```text
//!   vendor's routes ─► Desk::watch (log, faults) ─► wire side ─► Desk: chats, lines, marks ─► agent page, tests
//!   a person or a test plays the agent ─► Act ─► Acts (the vendor's) ─► what its wire does then
//! ```
//!
//! | file | concept |
//! |---|---|
//! | `desk.rs` | the agents' side: chats and what is seen of them |
//! | `chat.rs` | a chat, its lines and files |
//! | `acts.rs` | what whoever plays the agent does |
//! | `shelf.rs` | files: those to be sent lie there, those that came are fetched and measured |
//! | `faults.rs` | what goes wrong on purpose |
//! | `log.rs` | what went over the wire |
//! | `clock.rs` | a clock that can be moved |
//! | `page.rs` | the agent page and its JSON, under `/_sim/{vendor}` |
//! | `serve.rs` | a stand-in on a port of its own, for tests |
//! | `stand_in.rs` | what every stand-in offers to `simulate`, the demo and the conformance suite |

mod acts;
mod chat;
mod clock;
mod desk;
mod faults;
mod log;
mod page;
mod serve;
mod shelf;
mod stand_in;

pub use acts::{Act, ActError, Acts, AgentFile};
pub use chat::{By, Chat, ChatState, Line, ShownFile};
pub use clock::Clock;
pub use desk::Desk;
pub use faults::{Fault, Faults, Rule};
pub use log::{Direction, Log, Logged};
pub use serve::Served;
pub use stand_in::{Deviation, OUTSIDE_HOURS, Points, SCENARIOS, StandIn, Tenant};
