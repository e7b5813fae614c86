//! The flows that a conversation began with. Most conversations began with those in force; for the others the set is read
//! from the store once, and shared.

use std::collections::HashMap;
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
pub(crate) struct Kept(Mutex<HashMap<Key, Arc<App>>>);

impl Kept {
    fn map(&self) -> std::sync::MutexGuard<'_, HashMap<Key, Arc<App>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
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
