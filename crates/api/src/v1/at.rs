//! Times as they stand in JSON: RFC 3339, UTC, milliseconds.

use std::fmt;

use interline_core::Time;
use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use utoipa::ToSchema;

/// A moment: `2026-11-22T21:47:03.120Z`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ToSchema)]
#[schema(value_type = String, format = DateTime, example = "2026-11-22T21:47:03.120Z")]
pub(crate) struct At(
    /// Milliseconds since 1970.
    pub i64,
);

impl From<Time> for At {
    fn from(time: Time) -> Self {
        Self(time.0)
    }
}

impl At {
    /// As a moment of the calendar; what lies beyond it is its last day.
    pub fn moment(self) -> Timestamp {
        Timestamp::from_millisecond(self.0).unwrap_or(Timestamp::MAX)
    }
}

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.moment().strftime("%Y-%m-%dT%H:%M:%S%.3fZ"))
    }
}

impl Serialize for At {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for At {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let moment: Timestamp = text
            .parse()
            .map_err(|_| D::Error::custom("is not an RFC 3339 time such as 2026-11-22T21:47:03.120Z"))?;
        Ok(Self(moment.as_millisecond()))
    }
}
