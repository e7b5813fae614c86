//! Speech that comes in: cut into utterances here, understood elsewhere.
//!
//! | file | concept |
//! |---|---|
//! | `cut.rs` | where somebody begins and ends to speak |
//! | `openai.rs` | understanding by an OpenAI-compatible service |

mod cut;
mod openai;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::mpsc;

use crate::media::Counted;
use crate::session::Event;

pub use cut::{Cut, Utterance};
pub use openai::OpenAi;

/// Utterances are at most so long.
pub(crate) const LONGEST: Duration = Duration::from_secs(60);

/// Somebody who understands speech.
#[async_trait]
pub trait Hearing: Send + Sync {
    /// What was said. Empty: nothing.
    ///
    /// # Errors
    /// Why it cannot be told, for the operator; never what was said.
    async fn understand(&self, said: &Utterance) -> Result<String, String>;
}

/// Has utterances understood, one after another, until no more come.
pub(crate) async fn understand(
    hearing: Arc<dyn Hearing>,
    mut said: mpsc::Receiver<Utterance>,
    to: mpsc::Sender<Event>,
    _counted: Counted,
) {
    while let Some(utterance) = said.recv().await {
        let event = tokio::select! {
            text = hearing.understand(&utterance) => match text {
                Ok(text) if text.trim().is_empty() => continue,
                Ok(text) => Event::Said(text.trim().to_owned()),
                Err(why) => {
                    tracing::warn!(%why, "speech could not be understood");
                    Event::Misheard
                }
            },
            () = to.closed() => return,
        };
        // A full queue: nobody listens.
        let _ = to.try_send(event);
    }
}
