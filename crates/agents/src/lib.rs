//! The agent systems that a conversation can be handed over to, one folder per vendor.
//!
//! A folder holds all that Interline knows of its vendor, and nothing outside it does:
//!
//! ```text
//!   botkit/   README.md   the product, its auth and limits, how to set it up, where we deviate
//!             mod.rs      manifest, settings, trait impl: reads as a summary
//!             wire.rs     the vendor's JSON types, nothing else
//!             outbound.rs entry ─► request          inbound.rs  request ─► what it means
//!             simulator/  a stand-in for the vendor (feature `simulators`)
//!             tests/      the client against the stand-in, over real sockets
//! ```
//!
//! To add one: a folder, `pub mod` below, and one word in [`all`].

pub mod botkit;
pub mod genesys;
#[cfg(test)]
mod hostile;
#[cfg(test)]
mod idle;
pub mod ivr;
mod refusals;
pub mod salesforce;
pub mod servicenow;
pub mod voice;

use interline_connector::agent::Connector;

/// Every agent system there is. The only list of them.
pub fn all() -> &'static [&'static dyn Connector] {
    &[
        &botkit::BotKit,
        &ivr::Ivr,
        &salesforce::Salesforce,
        &genesys::GenesysOpen,
        &genesys::GenesysGuest,
        &servicenow::ServiceNow,
        &servicenow::ServiceNowTokyo,
        &voice::Voice,
    ]
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    /// A folder may hold more than one connector: `genesys_open` and `genesys_guest` live in `genesys`.
    fn folder_of<'a>(id: &str, folders: &'a BTreeSet<String>) -> Option<&'a String> {
        folders
            .iter()
            .filter(|folder| id == folder.as_str() || id.starts_with(&format!("{folder}_")))
            .max_by_key(|folder| folder.len())
    }

    #[test]
    fn the_list_and_the_folders_agree() {
        let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let folders: BTreeSet<String> = std::fs::read_dir(src)
            .expect("src can be read")
            .map(|entry| entry.expect("an entry of src"))
            .filter(|entry| entry.path().is_dir())
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .collect();
        let ids: Vec<&str> = super::all().iter().map(|connector| connector.manifest().id).collect();
        let used: BTreeSet<String> = ids
            .iter()
            .map(|id| folder_of(id, &folders).unwrap_or_else(|| panic!("no folder for `{id}`")).clone())
            .collect();
        assert_eq!(used, folders, "a folder whose connector is not in `all()`");
        assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len(), "an id stands in the list twice");
        for folder in folders {
            let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(&folder).join("README.md");
            assert!(readme.is_file(), "{folder} has no README.md");
        }
    }
}
