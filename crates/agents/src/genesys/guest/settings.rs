//! What an operator fills in.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use url::Url;

use crate::genesys::region::Hosts;
use crate::genesys::travel::Routing;
use crate::refusals::Refusals;

/// Web Messaging of Genesys Cloud, as a guest.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The region of the organisation: what follows `login.` in the address of its login page, for instance
    /// `mypurecloud.de`. The whole address does too.
    pub region: String,
    /// The deployment's id, a GUID: Admin → Message → Messenger Deployments → the deployment, "Deployment ID" or
    /// "deployment key".
    pub deployment_id: String,
    /// A domain that the deployment allows, with its scheme: `https://www.example.com`. The same page, "Restrict domain
    /// access". Default: the address of this server.
    #[serde(default)]
    pub origin: Option<String>,
    /// The queue where the flow's node names none. It is an attribute: the Architect flow must look for it (README.md).
    #[serde(default)]
    pub queue: Option<String>,
    /// What the attribute is called that names the queue. Architect reads it as `context.` and this.
    #[serde(default = "queue_name")]
    pub queue_attribute: String,
    /// Attributes for the Architect flow that every hand-over has, by name: skills, a language, a priority. What a hand-over
    /// brings itself overrides them.
    #[serde(default)]
    pub attributes: BTreeMap<String, String>,
    /// Words by which your flow says that it is outside working hours before it disconnects. Genesys itself does not tell a guest
    /// why a chat is over.
    #[serde(default)]
    pub outside_hours_words: Vec<String>,
    /// The same for "nobody is there", which is also what is assumed where the flow says neither.
    #[serde(default)]
    pub no_agents_words: Vec<String>,
    /// What the agent reads when the chat was ended by somebody else. Empty: nothing.
    #[serde(default = "end_notice")]
    pub end_notice: String,
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

impl Settings {
    /// Reads and checks them.
    ///
    /// # Errors
    /// What is wrong, naming the field and the remedy.
    pub(in crate::genesys) fn read(value: Value) -> Result<Self, String> {
        let settings: Self = serde_json::from_value(value).map_err(|error| error.to_string())?;
        settings.check().map(|()| settings)
    }

    fn check(&self) -> Result<(), String> {
        self.hosts()?;
        self.refusals().check()?;
        let id = &self.deployment_id;
        if id.is_empty() || !id.chars().all(|c| c.is_ascii_alphanumeric() || c == '-') {
            return Err("deployment_id: give the GUID that Genesys shows for the Messenger deployment".into());
        }
        if let Some(origin) = &self.origin {
            let url = Url::parse(origin).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
            let plain = url.is_some_and(|url| url.origin().ascii_serialization() == *origin);
            if !plain {
                return Err("origin: give scheme and host alone, without a slash at the end, for instance \
                            https://www.example.com"
                    .into());
            }
        }
        if self.queue_attribute.is_empty() {
            return Err("queue_attribute: give the name of the attribute that your flow reads, for instance QueueName".into());
        }
        Ok(())
    }

    /// Words of the flow by which nobody takes it.
    pub(super) fn refusals(&self) -> Refusals<'_> {
        Refusals { outside_hours: &self.outside_hours_words, no_agents: &self.no_agents_words }
    }

    pub(super) fn routing(&self) -> Routing<'_> {
        let Self { queue_attribute, queue, attributes, .. } = self;
        Routing { queue_attribute, queue: queue.as_deref(), fixed: attributes }
    }

    pub(super) fn hosts(&self) -> Result<Hosts, String> {
        Hosts::read(&self.region, self.base_url.as_ref())
    }
}
