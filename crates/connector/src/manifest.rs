//! What a connector can do, as data. The capability matrix of the docs is printed from these.

use serde::Serialize;

/// A connector's own description.
#[derive(Debug, Clone, Serialize)]
pub struct Manifest {
    /// The word that stands for it in configuration: `type: botkit`.
    pub id: &'static str,
    /// Its name as people know it.
    pub title: &'static str,
    /// How entries reach it.
    pub delivery: Delivery,
    /// What it tells about a transfer's progress.
    pub signals: Signals,
    /// What it can be told beside what is said.
    pub takes: Takes,
    /// Whether a repeated delivery does harm.
    pub dedupe: Dedupe,
    /// When a text counts as delivered.
    pub acknowledged: Acknowledged,
    /// How long its "ended" can overtake its last words, milliseconds.
    pub drain_ms: u64,
    /// How long it may take to accept a transfer, milliseconds, where that differs from the app's deadline.
    pub opening_ms: Option<u64>,
    /// For pinned sessions: whether a lost one can be resumed from its session document.
    pub resumes: bool,
}

/// How entries reach an integration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Delivery {
    /// The engine calls `deliver` for each.
    Push,
    /// One task owns the session and takes entries from a link: duplex sockets, calls.
    Pinned,
}

/// What an agent system tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Signals {
    /// That it accepted, by its answer to the Open. Without it the first thing it tells is the sign: an answer of success may
    /// mean no more than that somebody will read it.
    pub accepts: bool,
    /// That an agent joined. Without it a transfer is Talking as soon as it was accepted.
    pub joined: bool,
    /// A place in the queue.
    pub queued: bool,
}

/// What an agent system can be told beside what is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Takes {
    /// That the customer is typing.
    pub typing: bool,
    /// Up to where the customer has, and has read, what the agent said.
    pub receipts: bool,
    /// Files, and which. None: a link in words stands for each.
    pub files: Option<TakesFiles>,
}

/// Which files an agent system takes as files. For any other a link in words stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct TakesFiles {
    /// The largest, in bytes.
    pub max_bytes: u64,
    /// By extension, lower case, without the dot: one of the lists of [`crate::formats`].
    pub formats: &'static [&'static str],
}

impl TakesFiles {
    /// Whether this file is one of them.
    pub fn takes(&self, file: &interline_core::File) -> bool {
        let extension = crate::formats::extension(&file.name);
        file.size <= self.max_bytes && extension.is_some_and(|it| self.formats.contains(&it.as_str()))
    }
}

/// What a repeated delivery does at the vendor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Dedupe {
    /// The vendor drops a repeat with the same key.
    ByKey,
    /// It doubles: after an uncertain delivery it is not repeated.
    None,
}

/// When a text counts as delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Acknowledged {
    /// When the vendor answered.
    Answer,
    /// When the vendor answered, or 2 s after the last byte was sent: for vendors that answer late or never.
    Sent,
}
