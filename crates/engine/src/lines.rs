//! Channels with sockets of their own: one task for each integration in force, as long as it is there and unchanged.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use interline_channels::Serve;
use interline_connector::channel::Host;
use interline_core::{AppId, IntegrationName};
use serde_json::Value;
use tokio_util::task::AbortOnDropHandle;

use crate::engine::Inner;

/// The pause before a channel that could not be served is tried again: its address may be in use for a moment.
const PAUSE: Duration = Duration::from_secs(5);

type Key = (AppId, IntegrationName);
type Wanted = BTreeMap<Key, (Serve, Value)>;

impl Inner {
    /// Serves every channel in force that has sockets, and begins anew for one that was changed.
    pub(crate) async fn serve_all(self: Arc<Self>, host: Arc<dyn Host>) {
        let mut changes = self.apps.changes();
        let mut running: BTreeMap<Key, (Value, AbortOnDropHandle<()>)> = BTreeMap::new();
        loop {
            changes.mark_unchanged();
            let wanted = self.lines();
            running.retain(|key, (settings, _)| wanted.get(key).is_some_and(|(_, now)| now == settings));
            for (key, (serve, settings)) in wanted {
                running.entry(key.clone()).or_insert_with(|| {
                    let task = self.clone().keep_serving(host.clone(), key, serve, settings.clone());
                    (settings, AbortOnDropHandle::new(tokio::spawn(task)))
                });
            }
            if changes.changed().await.is_err() {
                return;
            }
        }
    }

    fn lines(&self) -> Wanted {
        let mut wanted = Wanted::new();
        for app in self.apps.ids() {
            let Some(runtime) = self.apps.get(&app) else { continue };
            for (name, (kind, settings)) in &runtime.channel_app.channels {
                if let Some(serve) = interline_channels::find(kind).and_then(|channel| channel.serve) {
                    wanted.insert((app.clone(), name.clone()), (serve, settings.clone()));
                }
            }
        }
        wanted
    }

    async fn keep_serving(
        self: Arc<Self>,
        host: Arc<dyn Host>,
        (app, name): Key,
        serve: Serve,
        settings: Value,
    ) {
        loop {
            let why = serve(host.clone(), app.clone(), name.clone(), settings.clone()).await;
            tracing::error!(%app, channel = %name, why, "a channel takes no calls; it is tried again");
            self.clock.sleep(PAUSE).await;
        }
    }
}
