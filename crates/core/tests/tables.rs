//! The tables in the documentation say what the code does.
#![allow(clippy::unwrap_used)]

use std::path::Path;

#[test]
fn tables_in_the_docs_are_those_of_the_code() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let bless = std::env::var_os("INTERLINE_BLESS").is_some();
    let mut stale = Vec::new();
    for (path, printed) in interline_core::tables::all() {
        let file = root.join(path);
        if bless {
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(&file, &printed).unwrap();
        }
        if std::fs::read_to_string(&file).unwrap_or_default() != printed {
            stale.push(path);
        }
    }
    assert!(
        stale.is_empty(),
        "stale: {stale:?}. Look at what changed, then write them anew: \
         INTERLINE_BLESS=1 cargo test -p interline-core --test tables"
    );
}
