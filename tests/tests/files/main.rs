//! Files from outside: both ways, cut off, too large, too many, on a full disk, downloaded too often, erased, and named or
//! filled so as to hurt somebody.
//!
//! | file | shows |
//! |---|---|
//! | `sending.rs` | uploads and agents' files, and what stands in their way |
//! | `giving.rs` | downloads, and what an erasure leaves |
//! | `bad.rs` | files that want to harm |
//! | `elsewhere.rs` | a real scanner, a real bucket |
//! | `world.rs` | the server, customers, agents |
#![allow(clippy::unwrap_used, reason = "a test: a wrong assumption ends it")]

mod bad;
mod elsewhere;
mod giving;
mod sending;
mod world;
