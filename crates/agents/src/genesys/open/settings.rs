//! What an operator fills in.

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use interline_connector::{Pacer, Secret};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use url::Url;

use crate::genesys::region::Hosts;
use crate::genesys::travel::Routing;

/// Open Messaging of Genesys Cloud.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The region of the organisation: what follows `login.` in the address of its login page, for instance
    /// `mypurecloud.de`. The whole address does too.
    pub region: String,
    /// The id of the OAuth client. Admin → Integrations → OAuth → Add client, grant type Client Credentials.
    pub client_id: String,
    /// The secret of the OAuth client, from the same page.
    pub client_secret: Secret,
    /// The id of the Open Messaging integration: the last part of the address of Admin → Message → Platforms → the integration.
    pub integration_id: String,
    /// The integration's "outbound notification webhook signature secret token", longer than 15 characters. Enter the same
    /// here and there.
    pub signature_secret: Secret,
    /// The queue where the flow's node names none. It is an attribute: the Architect flow must look for it (README.md).
    #[serde(default)]
    pub queue: Option<String>,
    /// What the attribute is called that names the queue.
    #[serde(default = "queue_name")]
    pub queue_attribute: String,
    /// Attributes for the Architect flow that every hand-over has, by name: skills, a language, a priority. What a hand-over
    /// brings itself overrides them.
    #[serde(default)]
    pub attributes: BTreeMap<String, String>,
    /// What the agent reads when the chat was ended by somebody else. Empty: nothing.
    #[serde(default = "end_notice")]
    pub end_notice: String,
    /// How many requests a minute Genesys takes from the OAuth client. 300, unless its support raised it.
    #[serde(default = "three_hundred")]
    #[schemars(range(min = 60, max = 1_000_000))]
    pub requests_per_minute: u32,
    /// How soon Genesys is asked where a chat stands while no notification can tell, in milliseconds. It asks ever less often,
    /// down to a sixth of that.
    #[serde(default = "five_seconds")]
    #[schemars(range(min = 200, max = 60_000))]
    pub poll_ms: u64,
    /// The secret of a data action that a trigger in Genesys calls (README.md, "Trigger"). It comes in the header
    /// `x-interline-secret`. None: there is no trigger.
    #[serde(default)]
    pub trigger_secret: Option<Secret>,
    /// In place of all hosts of Genesys Cloud: a stand-in for tests. Leave it out.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub base_url: Option<Url>,
}

fn queue_name() -> String {
    "QueueName".into()
}

fn end_notice() -> String {
    "The customer has ended the chat.".into()
}

fn three_hundred() -> u32 {
    300
}

fn five_seconds() -> u64 {
    5_000
}

impl Settings {
    /// Reads and checks them.
    ///
    /// # Errors
    /// What is wrong, naming the field and the remedy.
    pub(super) fn read(value: Value) -> Result<Self, String> {
        let settings: Self = serde_json::from_value(value).map_err(|error| error.to_string())?;
        settings.check().map(|()| settings)
    }

    fn check(&self) -> Result<(), String> {
        self.hosts()?;
        for (name, id) in [("client_id", &self.client_id), ("integration_id", &self.integration_id)] {
            let plain = !id.is_empty() && id.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
            if !plain {
                return Err(format!(
                    "{name}: give the id as Genesys shows it, letters, digits and hyphens alone"
                ));
            }
        }
        if self.client_secret.expose().is_empty() {
            return Err("client_secret: it is empty; Admin → Integrations → OAuth shows it".into());
        }
        if self.signature_secret.expose().chars().count() <= 15 {
            return Err(
                "signature_secret: Genesys takes only secrets longer than 15 characters; choose a longer one"
                    .into(),
            );
        }
        if self.queue_attribute.is_empty() {
            return Err("queue_attribute: give the name of the attribute that your flow reads, for instance QueueName".into());
        }
        if self.trigger_secret.as_ref().is_some_and(|secret| secret.expose().len() < 16) {
            return Err("trigger_secret: give at least 16 characters".into());
        }
        for (name, value, range) in [
            ("requests_per_minute", u64::from(self.requests_per_minute), 60..=1_000_000),
            ("poll_ms", self.poll_ms, 200..=60_000),
        ] {
            if !range.contains(&value) {
                return Err(format!("{name}: give a number between {} and {}", range.start(), range.end()));
            }
        }
        Ok(())
    }

    pub(super) fn routing(&self) -> Routing<'_> {
        let Self { queue_attribute, queue, attributes, .. } = self;
        Routing { queue_attribute, queue: queue.as_deref(), fixed: attributes }
    }

    pub(super) fn hosts(&self) -> Result<Hosts, String> {
        Hosts::read(&self.region, self.base_url.as_ref())
    }

    /// Any minute has at most as many requests as a full bucket and what runs in during a minute: four fifths and a sixth of
    /// what Genesys takes.
    pub(in crate::genesys) fn pacer(&self) -> Pacer {
        let number = |n: u32| NonZeroU32::new(n).unwrap_or(NonZeroU32::MIN);
        Pacer::new(number(self.requests_per_minute / 5 * 4), number(self.requests_per_minute / 6))
    }
}

#[cfg(test)]
impl Settings {
    pub(in crate::genesys) fn read_for_tests(value: Value) -> Result<Self, String> {
        Self::read(value)
    }
}
