//! Settings are read so that what is wrong names its field.

use serde::de::DeserializeOwned;
use serde_json::Value;

/// # Errors
/// What is wrong, and where.
pub(super) fn read<T: DeserializeOwned>(settings: Value) -> Result<T, String> {
    serde_path_to_error::deserialize(settings).map_err(|error| {
        let at = error.path().to_string();
        let what = error.into_inner().to_string();
        if at == "." || what.contains(&format!("`{at}`")) { what } else { format!("{at}: {what}") }
    })
}
