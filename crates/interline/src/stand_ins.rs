//! The stand-ins that there are: one for each connector that has one. For `simulate` and `demo`.

use std::sync::Arc;

use anyhow::{Context, Result};
use interline_connector::agent::Connector;
use interline_connector::simulator::{StandIn, Tenant};
use interline_connector::{Algorithm, Credential};
use serde_json::Value;
use url::Url;

use crate::yaml;

/// A vendor's stand-in in which nothing happened yet.
pub struct Vendor {
    /// The connector: `salesforce`.
    pub id: &'static str,
    /// As people name it.
    pub title: &'static str,
    /// The stand-in.
    pub stand_in: Arc<dyn StandIn>,
}

/// All of them, each serving that tenant.
pub fn all(tenant: &Tenant) -> Vec<Vendor> {
    let vendor = |connector: &&'static dyn Connector| {
        let manifest = connector.manifest();
        Some(Vendor { id: manifest.id, title: manifest.title, stand_in: connector.stand_in(tenant)? })
    };
    interline_agents::all().iter().filter_map(vendor).collect()
}

/// The names of all of them.
pub fn ids() -> Vec<&'static str> {
    let nobody = Credential {
        client_id: String::new(),
        client_secret: String::new().into(),
        algorithm: Algorithm::HS256,
    };
    all(&Tenant { app: "".into(), credential: nobody }).into_iter().map(|vendor| vendor.id).collect()
}

impl Vendor {
    /// Its agent page, where it is served at `base`.
    pub fn page(&self, base: &Url) -> String {
        format!("{base}_sim/{}/", self.stand_in.desk().vendor())
    }

    /// What stands under `agents:` for it, where it is served at `base`.
    pub fn settings(&self, base: &Url) -> Value {
        let mut settings = self.stand_in.settings(base);
        settings["type"] = self.id.into();
        settings
    }

    /// The same, to paste into an app's file.
    ///
    /// # Errors
    /// It cannot be written as YAML.
    pub fn to_paste(&self, base: &Url) -> Result<String> {
        let fields = serde_json::from_value(self.settings(base)).context("the settings are not a map")?;
        let named = |name: &str, inner| yaml::Ordered::Map(vec![(name.to_owned(), inner)]);
        Ok(yaml::write(&named("agents", named(self.id, fields))))
    }
}
