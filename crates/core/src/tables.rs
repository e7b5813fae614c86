//! Tables of the documentation, printed from the code. A test compares them with what is checked in.

/// What is printed where, relative to the repository root.
pub fn all() -> Vec<(&'static str, String)> {
    Vec::new()
}
