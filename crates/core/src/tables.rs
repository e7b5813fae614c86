//! Tables of the documentation, printed from the code by calling it. A test compares them with what is checked in, so
//! that they cannot say anything else than the code does.
//!
//! [`scene`] brings a sample conversation to each place that a table speaks of; each of the others prints one page.

mod callbacks;
mod machine;
mod scene;
mod who_hears;

/// What is printed where, relative to the repository root.
pub fn all() -> Vec<(&'static str, String)> {
    vec![
        ("docs/who-hears-what.md", who_hears::page()),
        ("docs/transfer-machine.md", machine::page()),
        ("docs/connectors/botkit-callbacks.md", callbacks::page()),
        ("docs/flows/flow.schema.json", flow_schema()),
    ]
}

fn flow_schema() -> String {
    // Printing a schema does not fail.
    serde_json::to_string_pretty(&crate::flow::schema()).unwrap_or_default() + "\n"
}

const GENERATED: &str =
    "<!-- Printed from the code (crates/core/src/tables), not written by hand. To print it anew:
     INTERLINE_BLESS=1 cargo test -p interline-core --test tables -->
";

/// A Markdown table.
fn table(head: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    let head: Vec<String> = head.iter().map(|cell| (*cell).to_owned()).collect();
    let rule = vec!["---".to_owned(); head.len()];
    let rows: String = rows.into_iter().map(|row| line(&row)).collect();
    format!("{}{}{rows}", line(&head), line(&rule))
}
