//! The REST API with a real engine on SQLite and a stand-in for BotKit. Every answer in these tests is checked against the
//! description that the server gives of itself (`client.rs`).

#![allow(clippy::unwrap_used, reason = "a test that cannot go on may stop")]

mod client;
mod config;
mod delete;
mod description;
mod documents;
mod events;
mod files;
mod flows;
mod held;
mod limits;
mod operate;
mod paging;
mod routes;
mod schema;
mod world;
