//! Genesys Cloud, in two modes that share a folder because they share the vendor's regions, words and stand-in.
//!
//! ```text
//!   genesys_open    Open Messaging: REST in, signed webhook out, server to server          open/
//!   genesys_guest   Web Messaging: one web socket per hand-over, as the vendor's Messenger  guest/
//! ```
//!
//! | file | concept |
//! |---|---|
//! | `region.rs` | regions and their hosts |
//! | `travel.rs` | what travels along with a hand-over: attributes, first words |
//! | `words.rs` | long lines cut, rich messages in words |
//! | `simulator/` | stand-ins for both (feature `simulators`) |
//!
//! Web Chat v2 is gone at the vendor (README.md); nothing here speaks it.

pub mod guest;
pub mod open;
mod region;
mod travel;
mod words;

#[cfg(any(test, feature = "simulators"))]
pub mod simulator;
#[cfg(test)]
mod tests;

pub use guest::GenesysGuest;
pub use open::GenesysOpen;
