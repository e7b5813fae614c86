//! What a script gave that may hold secrets: in clear only on its way from the script to the engine, which seals it before
//! anything is stored.

use std::fmt;
use std::sync::Arc;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

/// The most of it, in bytes of JSON.
pub const MOST_PRIVATE: usize = 8 * 1024;

/// What stands where one in clear was to be stored, which is a bug: it is lost rather than shown.
const HIDDEN: &str = "(secret)";

/// Fields that may hold secrets.
#[derive(Clone, PartialEq, Default)]
pub enum Private {
    /// There are none.
    #[default]
    Nothing,
    /// As the script gave them. They do not survive being stored.
    Clear(Map<String, Value>),
    /// Sealed by the engine, for one conversation.
    Sealed(Arc<str>),
}

impl Private {
    /// Fields in clear.
    pub fn clear(fields: Map<String, Value>) -> Self {
        if fields.is_empty() { Self::Nothing } else { Self::Clear(fields) }
    }

    /// Whether there are none.
    pub fn is_nothing(&self) -> bool {
        *self == Self::Nothing
    }
}

impl fmt::Debug for Private {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_nothing() { "nothing" } else { "…" })
    }
}

impl Serialize for Private {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Nothing => serializer.serialize_unit(),
            Self::Clear(_) => serializer.serialize_str(HIDDEN),
            Self::Sealed(sealed) => serializer.serialize_str(sealed),
        }
    }
}

impl<'de> Deserialize<'de> for Private {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer)? {
            Value::Null => Ok(Self::Nothing),
            Value::Object(fields) => Ok(Self::clear(fields)),
            Value::String(sealed) => Ok(Self::Sealed(sealed.into())),
            Value::Bool(_) | Value::Number(_) | Value::Array(_) => Err(D::Error::custom("not fields")),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_in_clear_is_neither_stored_nor_shown() {
        let given: Private = serde_json::from_value(json!({ "key": "hunter2" })).expect("fields");
        assert!(matches!(&given, Private::Clear(fields) if fields["key"] == "hunter2"));
        let stored = serde_json::to_string(&given).expect("JSON");
        assert!(!stored.contains("hunter2") && !format!("{given:?}").contains("hunter2"), "{stored}");
    }

    #[test]
    fn what_is_sealed_comes_back() {
        for kept in [Private::Nothing, Private::Sealed("v1.k.n.c".into())] {
            let stored = serde_json::to_value(&kept).expect("JSON");
            assert_eq!(serde_json::from_value::<Private>(stored).expect("read back"), kept);
        }
        assert_eq!(Private::clear(Map::new()), Private::Nothing);
        assert!(serde_json::from_value::<Private>(json!(7)).is_err());
    }
}
