//! The engine from outside: through its public API, with agent systems that do what a test says, on SQLite in a
//! temporary directory and, when `INTERLINE_TEST_POSTGRES` is set (`tests/support/postgres.sh CMD`), on PostgreSQL too.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on may stop")]

mod asides;
mod config;
mod customers;
mod duplex;
mod erase;
mod examples;
mod failures;
mod fake;
mod files;
mod flows;
mod handback;
mod handover;
mod keys;
mod lists;
mod operate;
mod order;
mod outage;
mod pinned;
mod pushed;
mod restarts;
mod retire;
mod secrets;
mod setups;
mod shop;
mod transcript;
mod watch;
mod world;
