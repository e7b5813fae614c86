//! What the author of a connector needs, and all that a connector may see.
//!
//! A **connector** is the code for one kind of outside system; an **integration** is a configured one. A connector
//! translates: it says how an entry of the log becomes requests to its vendor, and what a vendor's call means. It never
//! spawns, logs a body or touches the store; [`Http`] is its only way out; it waits only where it owns its task (`run`,
//! `listen`). Order, retries, durability and
//! ownership are the engine's business.
//!
//! ```text
//!   log ─► engine ─► AgentSystem::deliver(item, session) ─► vendor
//!   vendor ─► engine ─► AgentSystem::receive(request) ─► Heard ─► step ─► log
//! ```
//!
//! | file | concept |
//! |---|---|
//! | `manifest.rs` | what a connector can do, as data |
//! | `agent.rs` | the contract of agent systems |
//! | `bot.rs` | the contract of external bots |
//! | `channel.rs` | what a channel is offered: hear the customer, read the log |
//! | `files.rs`, `formats.rs` | files: what may be sent, refusals; the formats as data |
//! | `failure.rs` | what went wrong, as a decision for the engine |
//! | `http/`, `guard.rs` | the way out: requests, streams of events, web sockets |
//! | `tokens.rs`, `pacer.rs` | access tokens, a vendor's rate limit |
//! | `digest.rs` | what was said before, in a few lines |
//! | `webhook.rs` | requests from outside, unproven and proven |
//! | `credential.rs` | client id, secret, algorithm |
//! | `secret.rs` | secrets in settings |
//! | `simulator/` | what the stand-ins of all vendors share (feature `simulators`) |

pub mod agent;
pub mod bot;
pub mod channel;
pub mod credential;
pub mod digest;
pub mod failure;
pub mod files;
pub mod formats;
pub mod guard;
pub mod http;
pub mod manifest;
pub mod pacer;
pub mod secret;
#[cfg(feature = "simulators")]
pub mod simulator;
pub mod tokens;
pub mod webhook;

pub use agent::{AgentSystem, Aside, Context, Done, Env, Item, Link, Next, RunEnd, UpTo};
pub use bot::{Bot, BotConnector};
pub use credential::{Algorithm, Credential};
pub use failure::{Cause, Failure};
pub use files::{Carried, FileRefused, FileStream, Files, Incoming};
pub use guard::Guard;
pub use http::Http;
pub use manifest::Manifest;
pub use pacer::Pacer;
pub use secret::Secret;
pub use tokens::Tokens;
pub use webhook::{Answer, Heard, Received, Rejected, Unverified};
