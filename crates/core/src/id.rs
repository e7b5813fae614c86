//! Ids and times. Each has its own type, so that one cannot be passed for another.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(
            Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema,
        )]
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

impl Default for AppId {
    /// No app.
    fn default() -> Self {
        Self::from("")
    }
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
    /// A stored file: `fil_` and a UUID.
    FileId
);
text_id!(
    /// The stable name that the operator gave to an integration in its app, for instance `desk`.
    IntegrationName
);
impl CustomerId {
    /// The id in the shape that the field's wires know: `u-` and a UUID. The web client is told it at login, and a BotKit
    /// finds the same in `channel.from`.
    pub fn user_id(&self) -> String {
        let plain = self.0.strip_prefix("cus_").unwrap_or(&self.0);
        let cuts = [(0, 8), (8, 12), (12, 16), (16, 20), (20, 32)];
        let parts: Option<Vec<&str>> = cuts.into_iter().map(|(from, to)| plain.get(from..to)).collect();
        match parts.filter(|_| plain.len() == 32) {
            Some(parts) => format!("u-{}", parts.join("-")),
            None => format!("u-{plain}"),
        }
    }

    /// The customer that [`CustomerId::user_id`] stands for, or that is named by its own id.
    pub fn from_user_id(text: &str) -> Option<Self> {
        match text.strip_prefix("u-") {
            Some(user) => Some(Self::new(format!("cus_{}", user.replace('-', "")))),
            None => text.starts_with("cus_").then(|| Self::from(text)),
        }
    }
}

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

    /// ISO 8601, UTC, milliseconds, as the field writes moments.
    pub fn iso(self) -> String {
        let moment = jiff::Timestamp::from_millisecond(self.0).unwrap_or_default();
        moment.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_id_leads_back_to_its_customer() {
        let id = CustomerId::from("cus_01a204dd17f574aeb94bcf55b9bf7754");
        assert_eq!(id.user_id(), "u-01a204dd-17f5-74ae-b94b-cf55b9bf7754");
        assert_eq!(CustomerId::from_user_id(&id.user_id()), Some(id.clone()));
        assert_eq!(CustomerId::from_user_id(id.as_str()), Some(id));
        assert_eq!(CustomerId::from_user_id("ann@example.com"), None);
    }
}
