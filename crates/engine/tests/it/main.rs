//! The engine from outside: through its public API, with agent systems that do what a test says, on SQLite in a
//! temporary directory and, when `INTERLINE_TEST_POSTGRES` is set (`tests/support/postgres.sh CMD`), on PostgreSQL too.

mod customers;
mod duplex;
mod failures;
mod fake;
mod handover;
mod order;
mod pinned;
mod restarts;
mod world;
