//! Agent systems that were deleted while somebody still talked through them. Nothing new goes there. Their live transfers
//! stay until they end by themselves, or are ended now, as whoever deleted it chose; then the last trace of it is
//! removed. All of it stands in the document, so that a crash in between leaves nothing half-deleted.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use interline_core::conversation::input::{OperatorAct, Scope};
use interline_core::{AppId, ConversationId, Input, IntegrationName};
use serde::{Deserialize, Serialize};

use super::apps::Refused;
use super::document::Integration;
use crate::engine::Inner;
use crate::ingress::{Change, Trouble};
use crate::live::Key;

/// How often it is looked whether somebody is left.
const ROUND: Duration = Duration::from_secs(2);

/// An agent system that was deleted while it was in use.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Retired {
    /// As it was.
    pub integration: Integration,
    /// The names of the credentials that there were: one that is added later must not make it unclear which is meant.
    pub credentials: BTreeSet<String>,
    /// Its live transfers are ended now; else they may go on.
    pub end: bool,
}

impl Inner {
    /// Ends what is to be ended, and removes what nobody uses any more.
    pub(crate) async fn retire(self: Arc<Self>) {
        loop {
            for app in self.apps.ids() {
                let Some(runtime) = self.apps.get(&app) else { continue };
                let retired = runtime.configured.as_ref().map(|draft| draft.retired.clone());
                for (name, retired) in retired.unwrap_or_default() {
                    if let Err(error) = self.retire_one(&app, &name, retired.end).await {
                        tracing::warn!(%app, integration = %name, %error, "a deleted agent system is still there");
                    }
                }
            }
            self.clock.sleep(ROUND).await;
        }
    }

    async fn retire_one(
        self: &Arc<Self>,
        app: &AppId,
        name: &IntegrationName,
        end: bool,
    ) -> Result<(), Refused> {
        // All of them: some may have ended and wait for a vendor that does not take their Close.
        let most = if end { i64::MAX } else { 1 };
        let engaged = self.store.engaged(app.as_str(), name.as_str(), most).await.map_err(Trouble::from)?;
        if engaged.is_empty() {
            return self.apps.forget_retired(app, name).await;
        }
        if !end {
            return Ok(());
        }
        let mut unreadable = None;
        for (conversation, _) in engaged {
            let key = Key { app: app.clone(), conversation: ConversationId::new(conversation) };
            match self.end_transfer_on(&key, name).await {
                Ok(()) | Err(Trouble::Unknown) => {}
                Err(error @ Trouble::Store(_)) => return Err(error.into()),
                // The others are ended all the same.
                Err(error @ (Trouble::Broken(_) | Trouble::FileGone)) => unreadable = Some(error),
            }
        }
        unreadable.map_or(Ok(()), |error| Err(error.into()))
    }

    /// Ends the conversation's live transfer, if it is on `name`.
    async fn end_transfer_on(self: &Arc<Self>, key: &Key, name: &IntegrationName) -> Result<(), Trouble> {
        let Some(runtime) = self.apps.get(&key.app) else { return Ok(()) };
        let slot = self.slots.get(key);
        let mut guard = slot.live.lock().await;
        self.load(&slot, &mut guard).await?;
        let transfer = guard.as_ref().and_then(|live| live.state.transfer.as_ref());
        let on_it = transfer
            .and_then(|transfer| transfer.rung.as_ref())
            .is_some_and(|rung| rung.target.integration == *name);
        if !on_it {
            return Ok(());
        }
        let by = format!("deletion of {name}");
        let input = Input::Operator { by, act: OperatorAct::Ends(Scope::AgentChat) };
        self.change(&runtime, &slot, &mut guard, Change::inputs("operator", vec![input], None)).await?;
        Ok(())
    }
}
