//! The contract of external bots: one turn of theirs is one question and one answer. Who is asked, when, and what comes of
//! it is the flow's business.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use interline_core::Entry;
use interline_core::flow::work::{Reply, Turn};
use serde_json::Value;

use crate::agent::Brief;
use crate::failure::Failure;
use crate::http::Http;

/// An integrated bot.
#[async_trait]
pub trait Bot: Send + Sync + 'static {
    /// Lets it have its turn. After a crash it may be asked again, with the same key.
    ///
    /// # Errors
    /// It did not answer, or not in its own way; the flow takes its error exit.
    async fn turn(&self, asked: &Asked) -> Result<Reply, Failure>;

    /// "Test connection": whether it would work, and if not, what to do.
    ///
    /// # Errors
    /// What is wrong, in words for the operator.
    async fn probe(&self) -> Result<(), String>;
}

/// What a bot is asked.
#[derive(Debug, Clone)]
pub struct Asked {
    /// In which conversation.
    pub conversation: Brief,
    /// What.
    pub turn: Turn,
    /// What was said before, oldest first, as the customer saw it. What the turn is about is the last of it.
    pub before: Vec<Entry>,
    /// The same for every repetition.
    pub key: String,
    /// It may take so long.
    pub deadline: Duration,
}

/// A kind of bot: the one word in the list of `bots/src/lib.rs`.
pub trait BotConnector: Send + Sync {
    /// Its type in an app's configuration, and the name of its folder.
    fn id(&self) -> &'static str;

    /// For people.
    fn title(&self) -> &'static str;

    /// The settings an operator fills in, as JSON Schema.
    fn settings_schema(&self) -> Value;

    /// Builds an integration.
    ///
    /// # Errors
    /// What is wrong with the settings, naming the field and the remedy.
    fn build(&self, settings: Value, http: Http) -> Result<Arc<dyn Bot>, String>;
}
