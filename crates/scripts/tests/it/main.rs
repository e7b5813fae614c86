//! What scripts can and cannot do.
#![allow(clippy::unwrap_used)]

mod context;
mod functions;
mod limits;
mod results;
mod same_again;
mod shut_in;
mod support;
