//! Settings that a script gave for one hand-over. They are sealed before the answer of the script is stored, so that log,
//! state, inbox and whatever is made of them hold no secret in clear; and opened where a connector is called.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use interline_connector::AgentSystem;
use interline_core::flow::Private;
use interline_core::flow::script::Answer;
use interline_core::{AppId, ConversationId, IntegrationName, Participant, Role, State};
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use crate::apps::Runtime;
use crate::engine::Inner;
use crate::ingress::{Trouble, json};

/// So many agent systems with a script's settings are kept in memory. Each is made again when it is needed: what is lost
/// is its access token.
const MOST: usize = 64;

/// The app, the integration, and the settings' hash.
type Key = (AppId, IntegrationName, [u8; 32]);

/// An agent system with a script's settings.
struct Made {
    /// What it was made from. Another one is in force: it is made anew.
    base: Arc<dyn AgentSystem>,
    agent: Arc<dyn AgentSystem>,
}

/// Those that were made.
#[derive(Default)]
pub(crate) struct Setups(Mutex<HashMap<Key, Made>>);

fn place(app: &AppId, conversation: &ConversationId) -> String {
    format!("{app}|setup|{conversation}")
}

impl Inner {
    /// Seals what may be secret of a script's answer, for this conversation alone.
    pub(crate) fn seal_private(&self, state: &State, answer: &mut Answer) -> Result<(), Trouble> {
        for private in answer.private() {
            if let Private::Clear(fields) = private {
                let clear = json(fields)?;
                let sealed = self.store.seal().seal(&place(&state.app, &state.id), clear.as_bytes());
                let sealed = sealed.map_err(|error| Trouble::Broken(error.to_string()))?;
                *private = Private::Sealed(sealed.into());
            }
        }
        Ok(())
    }

    /// The agent system of a participant: the integration, or as a script wants it.
    ///
    /// # Errors
    /// Why there is none, in words for the operator.
    pub(crate) fn agent_of(
        &self,
        runtime: &Runtime,
        state: &State,
        participant: &Participant,
    ) -> Result<Arc<dyn AgentSystem>, String> {
        let name = &participant.integration;
        if participant.role == Role::Customer {
            return runtime.told.get(name).cloned().ok_or_else(|| "the channel tells nobody any more".into());
        }
        let base = runtime.agents.get(name).ok_or("the integration no longer exists")?;
        let Some(setup) = state.setups.get(&participant.no) else { return Ok(base.clone()) };
        let fields = self.open_private(&state.app, &state.id, setup)?;
        let hash = Sha256::digest(serde_json::to_vec(&fields).map_err(|error| error.to_string())?);
        let key = (runtime.app.id.clone(), name.clone(), hash.into());
        let made = |made: &Made| Arc::ptr_eq(&made.base, base).then(|| made.agent.clone());
        if let Some(agent) = self.setups.map().get(&key).and_then(made) {
            return Ok(agent);
        }
        let agent = self.apps.agent_at_run_time(runtime, name, &fields)?;
        let mut map = self.setups.map();
        if map.len() >= MOST {
            map.clear();
        }
        map.insert(key, Made { base: base.clone(), agent: agent.clone() });
        Ok(agent)
    }

    /// What was sealed for this conversation.
    ///
    /// # Errors
    /// Why it cannot be opened, for the operator.
    pub(crate) fn open_private(
        &self,
        app: &AppId,
        conversation: &ConversationId,
        private: &Private,
    ) -> Result<Map<String, Value>, String> {
        let sealed = match private {
            Private::Nothing => return Ok(Map::new()),
            Private::Clear(_) => return Err("the script's settings were not sealed".into()),
            Private::Sealed(sealed) => sealed,
        };
        let opened = self.store.seal().open(&place(app, conversation), sealed);
        let opened = opened.map_err(|error| format!("the script's settings: {error}"))?;
        serde_json::from_slice(&opened).map_err(|_| "the script's settings are not readable".into())
    }
}

impl Setups {
    fn map(&self) -> std::sync::MutexGuard<'_, HashMap<Key, Made>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
