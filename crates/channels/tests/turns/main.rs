//! The channels that answer requests, over real sockets, in front of the real domain.
#![allow(clippy::unwrap_used)]

mod host;
mod ivr;
mod ivr_bad;
mod vxml;
mod vxml_rules;
mod webhook;
