//! A conversation: its log, its owner, and what each input does to it.

mod bot;
pub mod call;
pub mod classify;
pub mod connection;
mod delivery;
pub mod entry;
pub mod facts;
pub mod file;
mod handover;
pub mod hears;
pub mod hold;
pub mod input;
mod operator;
pub mod participant;
pub mod profile;
pub mod request_id;
pub mod state;
pub mod step;
mod talk;
pub mod voicemail;
