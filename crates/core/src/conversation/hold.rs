//! Interception: lines between customer and bot that wait for an interceptor's word.
//!
//! A held line is an entry for the interceptor alone. What comes of it is a new entry that names the held one
//! (`release_of`): a release, possibly with other words, spoken under the epoch of the line it releases, also after
//! the bot let go; or a note.

use serde::{Deserialize, Serialize};

use crate::app::HoldPolicy;
use crate::{Epoch, Seq, Time};

/// At most so many lines are held, and so many customer lines kept for the bot while Closing; one more and the oldest
/// goes on.
pub const MAX_HELD: usize = 20;

/// All held words together stay below this many bytes of the state document, which has 256 kB: so much for the
/// interceptor's lines, so much again for the bot's while Closing. 20 lines of 4 kB fit.
pub(super) const MAX_HELD_BYTES: usize = 96 * 1024;

/// So many bot lines that were decided without the interceptor's word are remembered: its first word about one comes too
/// late, and is not one more line.
pub const MAX_UNANSWERED: usize = 64;

/// How many bytes words take in the state document. Escapes count: a control character is one byte in memory and six
/// in JSON.
pub(super) fn weight<T: Serialize>(words: &T) -> usize {
    serde_json::to_vec(words).map_or(usize::MAX, |json| json.len())
}

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
    /// How it decides: as it was when the line was held. The integration may be retired since.
    #[serde(default)]
    pub policy: HoldPolicy,
    /// The interceptor said something to the customer in answer to this line. It may still release it; but if it does
    /// not, it has answered in the bot's place, and the bot must not answer once more.
    #[serde(default)]
    pub answered: bool,
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
