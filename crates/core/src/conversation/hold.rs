//! Interception: lines between customer and bot that wait for an interceptor's word.
//!
//! A held line is an entry for the interceptor alone. What comes of it is a new entry that names the held one
//! (`release_of`): a release, possibly with other words, spoken under the epoch of the line it releases, also after
//! the bot let go; or a note.

use serde::{Deserialize, Serialize};

use crate::{Epoch, Seq, Time};

/// At most so many lines are held, and so many customer lines kept for the bot while Closing; one more and the oldest
/// goes on.
pub const MAX_HELD: usize = 20;

/// A line that waits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Held {
    /// The entry for the interceptor.
    pub seq: Seq,
    /// The epoch in which it was said.
    pub epoch: Epoch,
    /// Who it goes to when released.
    pub way: Way,
    /// The words.
    pub text: super::entry::Text,
    /// When the integration's policy decides.
    pub until: Time,
}

/// The direction of a held line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Way {
    /// From the customer to the bot.
    ToBot,
    /// From the bot to the customer.
    ToCustomer,
}
