//! The voice gateway: calls by SIP, and their transfer to people.
//!
//! ```text
//!   caller ──SIP──► gate ─► sip ─► gateway ─► channel ──► the conversation
//!     ▲                             │  call                    │
//!     └────────── media ────────────┤                          ▼
//!   agent ◄──SIP── transfer ◄───────┴───────────────── agent system
//! ```
//!
//! | module | concept |
//! |---|---|
//! | `gate` | what a message must be before anything is done with it |
//! | `sip` | listeners, dialogs, challenges, the drawing of a call's messages |
//! | `trunk`, `target`, `names` | who may call us, whom we may call, and where they are |
//! | `call` | a living call |
//! | `transfer` | INVITE, REFER, BYE, and what their failures mean |
//! | `gateway`, `live` | all of it, once per process |
//! | `queue` | callers that wait for their answer, and whether they wait too long |
//! | `channel` | callers, as customers of an app |
//! | `agent` | transfers, as an agent system |
//! | `trial`, `actors` | calls of our own: to try a trunk, for the demo and for tests |
//!
//! RTP, codecs, prompts and SDP are `interline-media`'s.

pub mod actors;
pub mod agent;
pub mod call;
pub mod channel;
pub mod gate;
pub mod gateway;
pub mod live;
pub mod names;
mod queue;
pub mod sip;
pub mod target;
pub mod transfer;
pub mod trial;
pub mod trunk;
