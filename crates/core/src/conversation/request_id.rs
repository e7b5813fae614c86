//! The request ids that we give to a BotKit. A BotKit keeps one for as long as it likes and calls back with it any
//! number of times, so the id describes itself and never expires: no table remembers it.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{ConversationId, Epoch, ParticipantNo, Seq};

/// `cnv_…-<participant>-<epoch>-<seq>-<kind>`. Only letters, digits, `_` and `-`: it stands in URL paths.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RequestId {
    /// The conversation it belongs to.
    pub conversation: ConversationId,
    /// Which of its participants was called.
    pub participant: ParticipantNo,
    /// The ownership under which the entry was written.
    pub epoch: Epoch,
    /// The entry that was delivered.
    pub seq: Seq,
    /// What that entry is.
    pub kind: RequestKind,
}

/// What kind of entry a request id was made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RequestKind {
    /// A customer's line on its way to the bot.
    CustomerLine,
    /// A bot's line on its way to the customer.
    BotLine,
    /// A transfer's Open.
    Transfer,
    /// A customer's line to the agent.
    AgentMode,
}

impl RequestKind {
    /// Every kind.
    pub const ALL: [RequestKind; 4] = [Self::CustomerLine, Self::BotLine, Self::Transfer, Self::AgentMode];

    fn letter(self) -> char {
        match self {
            Self::CustomerLine => 'c',
            Self::BotLine => 'b',
            Self::Transfer => 't',
            Self::AgentMode => 'a',
        }
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { conversation, participant, epoch, seq, kind } = self;
        write!(f, "{conversation}-{participant}-{epoch}-{seq}-{}", kind.letter())
    }
}

/// The text is not a request id of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this is not a request id that Interline gave out")]
pub struct Unreadable;

impl FromStr for RequestId {
    type Err = Unreadable;

    fn from_str(text: &str) -> Result<Self, Unreadable> {
        let mut parts = text.split('-');
        let mut part = || parts.next().ok_or(Unreadable);
        let conversation = part()?;
        let (participant, epoch, seq, kind) = (part()?, part()?, part()?, part()?);
        let plain = conversation.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if parts.next().is_some() || conversation.len() > 64 || !conversation.starts_with("cnv_") || !plain {
            return Err(Unreadable);
        }
        let id = Self {
            conversation: conversation.into(),
            participant: ParticipantNo(participant.parse().map_err(|_| Unreadable)?),
            epoch: Epoch(epoch.parse().map_err(|_| Unreadable)?),
            seq: Seq(seq.parse().map_err(|_| Unreadable)?),
            kind: RequestKind::ALL
                .into_iter()
                .find(|known| kind.len() == 1 && kind.starts_with(known.letter()))
                .ok_or(Unreadable)?,
        };
        // One id, one spelling: `+1` or `007` would be read as numbers too.
        if id.to_string() == text { Ok(id) } else { Err(Unreadable) }
    }
}

impl TryFrom<String> for RequestId {
    type Error = Unreadable;

    fn try_from(text: String) -> Result<Self, Unreadable> {
        text.parse()
    }
}

impl From<RequestId> for String {
    fn from(id: RequestId) -> String {
        id.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_writes_and_nothing_else() {
        let id = RequestId {
            conversation: "cnv_0192af".into(),
            participant: ParticipantNo(2),
            epoch: Epoch(3),
            seq: Seq(17),
            kind: RequestKind::BotLine,
        };
        assert_eq!(id.to_string(), "cnv_0192af-2-3-17-b");
        assert_eq!("cnv_0192af-2-3-17-b".parse(), Ok(id));
        for bad in [
            "",
            "cnv_a",
            "cnv_a-1-1-1-x",
            "cnv_a-1-1-+1-b",
            "cnv_a-1-1-01-b",
            "cnv_a-1-1-1-b-",
            "a-1-1-1-b",
            "cnv_ä-1-1-1-b",
        ] {
            assert_eq!(bad.parse::<RequestId>(), Err(Unreadable), "{bad}");
        }
    }
}
