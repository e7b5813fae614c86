//! Vendors that tell about all sessions of an integration in one stream: one task for each integration, as long as it is
//! there. What such a task hears stays in its connector, which hands it to the sessions that it concerns.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use interline_connector::{AgentSystem, RunEnd};
use interline_core::{AppId, IntegrationName};
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

use crate::dispatch::call::caught;
use crate::engine::Inner;

/// The pause before a lost stream is taken up again; twice as long each time, up to the last.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LAST_PAUSE: Duration = Duration::from_secs(30);
/// A stream that lasted so long was a good one.
const GOOD: Duration = Duration::from_secs(60);

type Key = (AppId, IntegrationName);
type Running = BTreeMap<Key, (Arc<dyn AgentSystem>, AbortOnDropHandle<()>)>;

impl Inner {
    /// Listens for every integration in force, and begins anew for one that was changed.
    pub(crate) async fn listen_for_all(self: Arc<Self>) {
        let mut changes = self.apps.changes();
        let mut running = Running::new();
        loop {
            changes.mark_unchanged();
            let wanted = self.in_force();
            running.retain(|key, (agent, _)| wanted.get(key).is_some_and(|now| Arc::ptr_eq(now, agent)));
            for (key, agent) in wanted {
                let name = key.1.clone();
                running.entry(key).or_insert_with(|| {
                    let task = tokio::spawn(self.clone().keep_listening(name, agent.clone()));
                    (agent, AbortOnDropHandle::new(task))
                });
            }
            if changes.changed().await.is_err() {
                return;
            }
        }
    }

    fn in_force(&self) -> BTreeMap<Key, Arc<dyn AgentSystem>> {
        let runtimes = self.apps.ids().into_iter().filter_map(|app| Some((self.apps.get(&app)?, app)));
        runtimes
            .flat_map(|(runtime, app)| {
                let named = |(name, agent): (&IntegrationName, &Arc<dyn AgentSystem>)| {
                    ((app.clone(), name.clone()), agent.clone())
                };
                runtime.agents.iter().map(named).collect::<Vec<_>>()
            })
            .collect()
    }

    async fn keep_listening(self: Arc<Self>, name: IntegrationName, agent: Arc<dyn AgentSystem>) {
        let mut pause = FIRST_PAUSE;
        loop {
            let began = Instant::now();
            let why = match caught(agent.listen()).await {
                Some(RunEnd::Over) => return,
                Some(RunEnd::Lost(why)) => why,
                None => "the connector panicked".to_owned(),
            };
            if began.elapsed() >= GOOD {
                pause = FIRST_PAUSE;
            }
            tracing::info!(integration = %name, why, "an integration's stream is taken up again");
            self.clock.sleep(pause).await;
            pause = (pause * 2).min(LAST_PAUSE);
        }
    }
}
