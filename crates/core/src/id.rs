//! Ids and times. Each has its own type, so that one cannot be passed for another.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Wraps a text that is already known to be such an id.
            pub fn new(text: impl Into<Arc<str>>) -> Self {
                Self(text.into())
            }

            /// The id as text, as it stands in the database and on the wire.
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// The id as shared text.
            pub fn shared(&self) -> Arc<str> {
                self.0.clone()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self::new(text)
            }
        }
    };
}

macro_rules! number_id {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(
            Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
        )]
        #[serde(transparent)]
        pub struct $name(pub $inner);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl $name {
            /// The number after this one.
            pub fn next(self) -> Self {
                Self(self.0 + 1)
            }
        }
    };
}

text_id!(
    /// A tenant's bot: `st-` and a version 5 UUID. It is the bot id on every wire, and BotKit refuses other shapes.
    AppId
);
text_id!(
    /// One session of one customer: `cnv_` and a UUID. Only letters, digits and `_`.
    ConversationId
);
text_id!(
    /// A person at one address of one channel: `cus_` and a UUID.
    CustomerId
);
text_id!(
    /// The stable name that the operator gave to an integration in its app, for instance `desk`.
    IntegrationName
);
number_id!(
    /// The position of an entry in its conversation's log. The first entry is 1; 0 means "before all".
    Seq(u64)
);
number_id!(
    /// Raised each time the owner changes.
    Epoch(u64)
);
number_id!(
    /// A participant within its conversation.
    ParticipantNo(u32)
);
number_id!(
    /// A transfer within its conversation. The first is 1.
    TransferNo(u32)
);

/// A moment: milliseconds since 1970 UTC. Always passed in, never read from a clock here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Time(pub i64);

impl Time {
    /// This moment plus `ms` milliseconds.
    pub fn plus(self, ms: u64) -> Time {
        Time(self.0.saturating_add(i64::try_from(ms).unwrap_or(i64::MAX)))
    }
}
