//! Moments, as the field writes them.

/// ISO 8601, UTC, milliseconds.
pub(crate) fn iso(ms: i64) -> String {
    interline_core::Time(ms).iso()
}
