//! One connector, and where its stand-in comes from.

use std::sync::Arc;

use anyhow::{Context, Result};
use interline_connector::agent::Connector;
use interline_connector::simulator::{Deviation, StandIn, Tenant};
use interline_connector::{Algorithm, Credential};
use interline_tests::App;

/// A connector that has a stand-in.
#[derive(Clone, Copy)]
pub struct Kind {
    /// As the app's file names it.
    pub id: &'static str,
    /// The connector itself: for its manifest and its stand-in.
    pub connector: &'static dyn Connector,
    /// The server's store is PostgreSQL.
    pub postgresql: bool,
}

impl Kind {
    /// Every one there is.
    pub fn all() -> Vec<Self> {
        let kind = |connector: &&'static dyn Connector| {
            let connector = *connector;
            Self { id: connector.manifest().id, connector, postgresql: false }
        };
        interline_agents::all().iter().map(kind).filter(|kind| kind.stand_in(&App::fresh()).is_ok()).collect()
    }

    /// The same, with the server's store in PostgreSQL.
    pub fn on_postgresql(self) -> Self {
        Self { postgresql: true, ..self }
    }

    /// A stand-in in which nothing happened yet.
    ///
    /// # Errors
    /// There is none.
    pub fn stand_in(self, app: &App) -> Result<Arc<dyn StandIn>> {
        let credential = Credential {
            client_id: app.client_id.clone(),
            client_secret: app.secret.clone().into(),
            algorithm: Algorithm::HS256,
        };
        let tenant = Tenant { app: app.bot.as_str().into(), credential };
        self.connector.stand_in(&tenant).with_context(|| format!("{} has no stand-in", self.id))
    }

    /// Where it does otherwise than the others.
    pub fn deviations(self) -> &'static [Deviation] {
        self.stand_in(&App::fresh()).map(|stand_in| stand_in.deviations()).unwrap_or_default()
    }
}
