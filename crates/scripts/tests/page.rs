//! The table of functions in the documentation says what the code does.
#![allow(clippy::unwrap_used)]

use std::path::Path;

#[test]
fn the_table_in_the_docs_is_that_of_the_code() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/flows/scripts.md");
    let printed = interline_scripts::functions::page();
    if std::env::var_os("INTERLINE_BLESS").is_some() {
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, &printed).unwrap();
    }
    assert!(
        std::fs::read_to_string(&file).unwrap_or_default() == printed,
        "docs/flows/scripts.md is stale. Look at what changed, then print it anew: \
         INTERLINE_BLESS=1 cargo test -p interline-scripts --test page"
    );
}
