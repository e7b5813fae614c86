//! What whoever plays the agent does, a person on the agent page or a test.

use async_trait::async_trait;
use url::Url;

/// What the agent does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Act {
    /// Takes a chat that waits.
    Accept {
        /// Under this name; none: the stand-in's usual agent.
        agent: Option<String>,
    },
    /// Sends a chat that waits away: nobody is there, or the vendor's own kind of refusal.
    Decline,
    /// Says something.
    Say {
        /// The words.
        text: String,
        /// Files from the shelf.
        files: Vec<AgentFile>,
    },
    /// Asks something and offers answers, in the vendor's own form for that: buttons, a list.
    Offer {
        /// The question.
        text: String,
        /// The answers.
        choices: Vec<String>,
    },
    /// Types, or stopped.
    Type {
        /// Typing or not.
        on: bool,
    },
    /// Reads what the customer said.
    Read,
    /// Hands the chat to another agent, at the vendor.
    Transfer {
        /// The other agent's name.
        to: String,
    },
    /// Ends the chat.
    End,
}

impl Act {
    /// Words alone.
    pub fn say(text: impl Into<String>) -> Self {
        Self::Say { text: text.into(), files: Vec::new() }
    }

    /// Its name, as [`Acts::can`] lists it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Accept { .. } => "accept",
            Self::Decline => "decline",
            Self::Say { files, .. } if !files.is_empty() => "file",
            Self::Say { .. } => "say",
            Self::Offer { .. } => "offer",
            Self::Type { .. } => "type",
            Self::Read => "read",
            Self::Transfer { .. } => "transfer",
            Self::End => "end",
        }
    }
}

/// A file that the agent sends, from the shelf.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentFile {
    /// What it is called.
    pub name: String,
    /// Where it lies: whoever is told this address may fetch it.
    pub url: Url,
    /// How large it is.
    pub bytes: u64,
}

/// Why an act did not work.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ActError {
    /// There is no such chat, or it does not stand where this could be done.
    #[error("there is no such open conversation")]
    NotOpen,
    /// This vendor's agents cannot do that.
    #[error("agents of this system cannot do that")]
    Unable,
    /// The other side did not take it.
    #[error("it was not taken: {0}")]
    Failed(String),
}

/// A vendor's agents.
#[async_trait]
pub trait Acts: Send + Sync + 'static {
    /// What they can do, of `accept`, `decline`, `say`, `file`, `offer`, `type`, `read`, `transfer`, `end`.
    fn can(&self) -> &'static [&'static str];

    /// Does it. Returns when the other side has taken it, where the vendor's wire waits for that.
    ///
    /// # Errors
    /// It did not work.
    async fn act(&self, chat: &str, act: Act) -> Result<(), ActError>;
}
