//! External bots: what an Automation node lets talk. One folder per kind, one word per kind in [`all`].
//!
//! | folder | bot |
//! |---|---|
//! | `webhook/` | your own bot, by a small JSON protocol |
//! | `openai/` | an LLM behind an OpenAI-compatible endpoint, with a tool to hand over |

pub mod openai;
pub mod webhook;

use interline_connector::BotConnector;

/// All kinds of bots.
pub fn all() -> &'static [&'static dyn BotConnector] {
    &[&webhook::Webhook, &openai::OpenAi]
}

/// The kind with this id.
pub fn find(id: &str) -> Option<&'static dyn BotConnector> {
    all().iter().find(|bot| bot.id() == id).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_folder_is_a_bot_and_every_bot_has_a_folder() {
        let src = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let mut folders: Vec<String> = std::fs::read_dir(src)
            .expect("src")
            .filter_map(Result::ok)
            .filter(|entry| entry.path().is_dir())
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .collect();
        folders.sort();
        let mut listed: Vec<&str> = all().iter().map(|bot| bot.id()).collect();
        listed.sort_unstable();
        assert_eq!(folders, listed);
    }

    #[test]
    fn a_settings_schema_is_an_object() {
        for bot in all() {
            assert_eq!(bot.settings_schema()["type"], "object", "{}", bot.id());
        }
    }
}
