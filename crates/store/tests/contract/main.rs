//! The store's contract: the same bodies run on SQLite and on PostgreSQL.
//!
//! PostgreSQL needs `INTERLINE_TEST_POSTGRES`, the URL of a server on which the tests may create databases; without it
//! each PostgreSQL test says on stderr that it was skipped, and passes.
#![allow(clippy::unwrap_used)]

mod bed;
mod commit;
mod concurrent;
mod files;
mod forget;
mod keys;
mod list;
mod open;
mod probe;
mod rekey;
mod rest;
mod sealed;
mod share;
