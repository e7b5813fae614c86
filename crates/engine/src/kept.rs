//! The flows that a conversation began with. Most conversations began with those in force; for the others the set is read
//! from the store once, and shared.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use interline_core::flow::Flows;
use interline_core::{App, AppId, State};

use crate::apps::Runtime;
use crate::engine::Inner;
use crate::ingress::Trouble;

/// So many apps with older flows are kept in memory.
const MOST: usize = 64;

type Key = (AppId, i64, Arc<str>);

/// Apps as some conversations know them: what is in force, with the flows from before.
#[derive(Default)]
pub(crate) struct Kept {
    known: Mutex<HashMap<Key, Arc<App>>>,
    replaced: tokio::sync::Mutex<Replaced>,
}

impl Kept {
    fn map(&self) -> std::sync::MutexGuard<'_, HashMap<Key, Arc<App>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Sets that were not in force at the last look.
pub(crate) type Replaced = HashSet<(AppId, String)>;

impl Inner {
    /// Deletes sets that nobody keeps any more. One that was in force at the last look is left alone: a conversation that
    /// began with it may not be written yet.
    pub(crate) async fn sweep_flow_sets(&self) {
        let mut replaced = Replaced::new();
        for app in self.apps.ids() {
            if let Err(error) = self.sweep_sets_of(&app, &mut replaced).await {
                tracing::warn!(%app, %error, "flows that nobody keeps were not deleted");
            }
        }
        *self.kept.replaced.lock().await = replaced;
    }

    async fn sweep_sets_of(&self, app: &AppId, replaced: &mut Replaced) -> Result<(), Trouble> {
        let before = self.kept.replaced.lock().await.clone();
        // Nothing is published meanwhile: what was published before may come into force again.
        let _unchanged = self.apps.hold_changes().await;
        let Some(runtime) = self.apps.get(app) else { return Ok(()) };
        for id in self.store.flow_sets(app.as_str()).await? {
            if *id == *runtime.app.flows.id {
                continue;
            }
            let key = (app.clone(), id);
            let is_old = before.contains(&key);
            if !is_old || !self.store.delete_flow_set(app.as_str(), &key.1).await? {
                replaced.insert(key);
            }
        }
        Ok(())
    }

    /// The app as this conversation is stepped with it.
    pub(crate) async fn app_of(&self, runtime: &Runtime, state: &State) -> Result<Arc<App>, Trouble> {
        let app = &runtime.app;
        let Some(id) = state.flows.as_ref().filter(|id| **id != app.flows.id) else { return Ok(app.clone()) };
        let key = (app.id.clone(), runtime.version, id.clone());
        if let Some(known) = self.kept.map().get(&key).cloned() {
            return Ok(known);
        }
        let Some(doc) = self.store.flow_set(app.id.as_str(), id).await? else {
            // It was never kept, or is another server's: what is in force will do.
            tracing::warn!(app = %app.id, conversation = %state.id, "the flows that it began with are not there any more");
            return Ok(app.clone());
        };
        let mut flows: Flows =
            serde_json::from_str(&doc).map_err(|error| Trouble::Broken(format!("flows: {error}")))?;
        flows.id = id.clone();
        let kept = Arc::new(App { flows: Arc::new(flows), ..App::clone(app) });
        let mut map = self.kept.map();
        if map.len() >= MOST {
            map.clear();
        }
        map.insert(key, kept.clone());
        Ok(kept)
    }
}
