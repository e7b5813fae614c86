//! An IVR of somebody else: it calls us for every turn, and we answer with VoiceXML 2.1, or with JSON.
//!
//! ```text
//!   caller ─► IVR ── POST /ivr/hooks/{bot}: callId, message ──► hook.rs ─► turns.rs ─► Host
//!                 ◄── what to say, what to listen for ── vxml.rs, json.rs ◄── answer.rs ◄┘
//! ```
//!
//! When the flow hands over to an agent, the call is given back: the answer says so, with the transfer tags and the voice
//! properties of the Agent Transfer node, and the IVR does the rest. Wire facts and deviations are in README.md.
//!
//! | file | concept |
//! |---|---|
//! | `mod.rs` | settings and routes |
//! | `hook.rs` | one request |
//! | `request.rs` | what the IVR sends, in its two forms |
//! | `answer.rs` | what a turn of the conversation means on a call |
//! | `vxml.rs`, `grammar.rs`, `json.rs` | the answer in its two forms |

mod answer;
mod grammar;
mod hook;
mod json;
mod request;
mod vxml;

use std::sync::Arc;

use axum::extract::DefaultBodyLimit;
use axum::routing::post;
use interline_connector::channel::Host;
use schemars::{JsonSchema, Schema, schema_for};
use serde::Deserialize;
use serde_json::Value;

/// The type of this channel in an app's configuration.
pub const ID: &str = "ivr";

/// The largest request, in bytes.
const LARGEST: usize = 64 * 1024;

/// How one app's IVR channel is set up.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Names of the app's credentials that may sign requests here. Nobody else gets in.
    pub credentials: Vec<String>,
    /// `xml:lang` of what is said, where the flow names none: a BCP 47 tag.
    #[serde(default = "language")]
    pub language: String,
    /// The variable in which the dialog returns what the caller said or pressed.
    #[serde(default = "input_key")]
    pub input_key: String,
    /// The grammar for free speech: a `builtin:` name or a URL. It depends on the IVR's recogniser.
    #[serde(default = "free_speech")]
    pub grammar: String,
    /// What an IVR without an own way to transfer is asked to do when a call is given back.
    #[serde(default)]
    pub transfer: Transfer,
    /// The document type definition that documents name; none: they name none.
    #[serde(default)]
    pub doctype: Option<Doctype>,
    /// So many seconds a request waits for its turn to be over, 1 to 60; then the IVR is asked to call again.
    #[serde(default = "wait_seconds")]
    pub wait_seconds: u32,
}

/// A document type definition, for interpreters that ask for one.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Doctype {
    /// The public identifier: `-//W3C//DTD VOICEXML 2.1//EN`.
    #[serde(default)]
    pub public: Option<String>,
    /// The system identifier, an address: `http://www.w3.org/TR/voicexml21/vxml.dtd`.
    pub system: String,
}

impl Doctype {
    /// As it stands behind `<!DOCTYPE`.
    fn declaration(&self) -> String {
        match &self.public {
            Some(public) => format!("vxml PUBLIC \"{public}\" \"{}\"", self.system),
            None => format!("vxml SYSTEM \"{}\"", self.system),
        }
    }

    /// Public identifiers have an alphabet of their own (XML 1.0, PubidChar); of an address nothing may end the literal.
    fn check(&self) -> Result<(), String> {
        let is_public = |c: char| c.is_ascii_alphanumeric() || " -'()+,./:=?;!*#@$_%".contains(c);
        if self.public.as_ref().is_some_and(|public| !public.chars().all(is_public)) {
            return Err(
                "doctype.public: only the characters of a public identifier (XML 1.0, PubidChar)".into()
            );
        }
        let fits = |c: char| c.is_ascii_graphic() && !matches!(c, '"' | '<' | '>' | '&');
        if self.system.is_empty() || !self.system.chars().all(fits) {
            return Err("doctype.system: an address, without quotes".into());
        }
        Ok(())
    }
}

/// How a call is given back in VoiceXML.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Transfer {
    /// The dialog returns destination and tags, and the IVR's own application transfers.
    #[default]
    Return,
    /// The dialog has a `<transfer>` to the destination; without a destination it returns.
    Execute,
}

fn language() -> String {
    "en-US".into()
}

fn input_key() -> String {
    "userinput".into()
}

fn free_speech() -> String {
    "builtin:grammar/transcribe".into()
}

fn wait_seconds() -> u32 {
    20
}

/// The routes of this channel: `/ivr/hooks/{bot}`, for all apps of the host.
pub fn router(host: Arc<dyn Host>) -> axum::Router {
    axum::Router::new()
        .route("/ivr/hooks/{bot}", post(hook::turn))
        .layer(DefaultBodyLimit::max(LARGEST))
        .with_state(host)
}

/// The JSON Schema of the settings.
pub fn schema() -> Schema {
    schema_for!(Settings)
}

/// Checks settings.
///
/// # Errors
/// What is wrong, for the operator.
pub fn check(settings: &Value) -> Result<(), String> {
    let settings: Settings = serde_json::from_value(settings.clone()).map_err(|error| error.to_string())?;
    if settings.credentials.is_empty() {
        return Err("credentials: name at least one credential of the app; no IVR could call".into());
    }
    if !vxml::is_variable(&settings.input_key) {
        return Err(
            "input_key: a name of letters, digits and underscores that the dialog does not use itself".into(),
        );
    }
    let is_tag =
        |part: &str| !part.is_empty() && part.len() <= 8 && part.bytes().all(|b| b.is_ascii_alphanumeric());
    if !settings.language.split('-').all(is_tag) {
        return Err("language: a language tag such as en-US".into());
    }
    if !grammar::is_reference(&settings.grammar) {
        return Err("grammar: a builtin: name, or an http or https address".into());
    }
    settings.doctype.as_ref().map_or(Ok(()), Doctype::check)?;
    if !(1..=60).contains(&settings.wait_seconds) {
        return Err("wait_seconds: 1 to 60".into());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn wrong_settings_are_named() {
        assert_eq!(check(&json!({ "credentials": ["a"], "language": "de", "transfer": "execute" })), Ok(()));
        for (wrong, field) in [
            (json!({}), "credentials"),
            (json!({ "credentials": [] }), "credentials"),
            (json!({ "credentials": ["a"], "input_key": "a b" }), "input_key"),
            (json!({ "credentials": ["a"], "input_key": "endOfConversation" }), "input_key"),
            (json!({ "credentials": ["a"], "input_key": "" }), "input_key"),
            (json!({ "credentials": ["a"], "language": "en_US" }), "language"),
            (json!({ "credentials": ["a"], "grammar": "javascript:x" }), "grammar"),
            (json!({ "credentials": ["a"], "wait_seconds": 0 }), "wait_seconds"),
            (json!({ "credentials": ["a"], "secret": "x" }), "secret"),
            (json!({ "credentials": ["a"], "doctype": { "system": "" } }), "doctype.system"),
            (
                json!({ "credentials": ["a"], "doctype": { "system": "http://x.test/\" [" } }),
                "doctype.system",
            ),
            (
                json!({ "credentials": ["a"], "doctype": { "public": "<\"", "system": "x" } }),
                "doctype.public",
            ),
        ] {
            let error = check(&wrong).expect_err("refused");
            assert!(error.contains(field), "{wrong}: {error}");
        }
    }
}
