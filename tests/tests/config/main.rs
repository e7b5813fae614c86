//! Configuration as code, as an operator meets it: the built binary's commands against real servers.
#![allow(clippy::unwrap_used, reason = "a test: a wrong assumption ends it")]

mod apply;
mod check;
mod keys;
mod node;
mod round_trip;
