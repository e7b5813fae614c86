//! The clients against the stand-ins, over real sockets; the stand-ins' own strictness; and hostile input.
//!
//! [`support`] plays the engine: a link that hands out entries, settles them and keeps what it heard, and an address where
//! webhooks arrive.

mod guest_faults;
mod guest_relay;
mod guest_spec;
pub(super) mod items;
mod open_bad;
mod open_faults;
mod open_limits;
mod open_relay;
mod open_setup;
mod open_spec;
mod spec;
pub(super) mod support;
