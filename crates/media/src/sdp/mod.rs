//! SDP (RFC 8866) and what two sides agree on by it (RFC 3264), for one stream of audio.
//!
//! | file | concept |
//! |---|---|
//! | `read.rs` | a description from outside, with bounds on everything |
//! | `write.rs` | ours |
//! | `agree.rs` | what an offer and its answer have in common |
//! | `keys.rs` | keys in a description (RFC 4568) |

pub mod agree;
pub mod keys;
pub mod read;
pub mod write;

/// Which way sound goes, from the side that says it (RFC 3264, 5.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Direction {
    /// Both ways.
    #[default]
    Both,
    /// This side sends only.
    Send,
    /// This side receives only.
    Receive,
    /// Neither.
    None,
}

impl Direction {
    /// From whether it sends and receives.
    pub fn of(sends: bool, receives: bool) -> Self {
        match (sends, receives) {
            (true, true) => Self::Both,
            (true, false) => Self::Send,
            (false, true) => Self::Receive,
            (false, false) => Self::None,
        }
    }

    /// This side sends.
    pub fn sends(self) -> bool {
        matches!(self, Self::Both | Self::Send)
    }

    /// This side receives.
    pub fn receives(self) -> bool {
        matches!(self, Self::Both | Self::Receive)
    }

    /// The attribute.
    pub fn name(self) -> &'static str {
        match self {
            Self::Both => "sendrecv",
            Self::Send => "sendonly",
            Self::Receive => "recvonly",
            Self::None => "inactive",
        }
    }
}
