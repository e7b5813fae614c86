//! How JSON is read here: settings so that what is wrong names its field, the vendor's so that it need not be right.

use serde::de::DeserializeOwned;
use serde::{Deserialize as _, Deserializer};
use serde_json::Value;

/// Settings.
///
/// # Errors
/// What is wrong, and where.
pub(super) fn read<T: DeserializeOwned>(settings: Value) -> Result<T, String> {
    serde_path_to_error::deserialize(settings).map_err(|error| {
        let at = error.path().to_string();
        let what = error.into_inner().to_string();
        if at == "." || what.contains(&format!("`{at}`")) { what } else { format!("{at}: {what}") }
    })
}

/// For a vendor's field: one of another type than we know counts as missing.
pub(super) fn lenient<'de, D: Deserializer<'de>, T: DeserializeOwned>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    Ok(serde_json::from_value(Value::deserialize(deserializer)?).ok())
}
