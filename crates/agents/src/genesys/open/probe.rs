//! "Test connection": step by step, so that it can say which one is wrong.

use interline_connector::Failure;
use interline_connector::http::Request;
use interline_core::flow::work::Availability;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::Integration;
use super::wire::{Integration as Platform, Queues, Recipients};

impl Integration {
    /// A queue to which nobody belongs has nobody. Who of its members is there, an estimate of the wait does not tell.
    pub(super) async fn has_members(&self, asked: &Availability) -> Result<Option<bool>, Failure> {
        let Some(queue) = asked.queue.as_ref().or(self.settings.queue.as_ref()) else { return Ok(None) };
        let url = self.api.at(&queues_named(queue))?;
        let found: Queues = self.api.json(|| Request::get(url.clone())).await?;
        let named = found.entities.iter().find(|known| known.name.eq_ignore_ascii_case(queue));
        Ok(named.filter(|known| known.member_count == Some(0)).map(|_| false))
    }

    pub(super) async fn test_connection(&self) -> Result<(), String> {
        self.api.token().await.map_err(|failure| match failure {
            Failure::Unauthorized(_) => {
                "client_id, client_secret: Genesys refuses the OAuth client; check both, that its grant \
                                         type is Client Credentials, and that `region` is the organisation's"
                    .to_owned()
            }
            other => format!("region: no access token can be had: {}", other.cause().code),
        })?;
        let _: Value = self.see("api/v2/tokens/me", "the OAuth client").await?;
        self.check_platform().await?;
        self.check_queue().await
    }

    /// The integration calls us, and somebody answers it.
    async fn check_platform(&self) -> Result<(), String> {
        let path =
            format!("api/v2/conversations/messaging/integrations/open/{}", self.settings.integration_id);
        let platform: Platform = self.see(&path, "integration_id").await?;
        if platform.create_status.as_deref().is_some_and(|status| status != "Completed") {
            return Err(
                "integration_id: Genesys has not finished creating this integration; look at it there".into(),
            );
        }
        if platform.outbound_notification_webhook_url.as_deref() != Some(self.webhook.as_str()) {
            return Err("the integration's outbound notification webhook URL in Genesys is another one; enter the address \
                        that Interline shows for this agent system"
                .into());
        }
        let path = "api/v2/routing/message/recipients?messengerType=open&pageSize=500";
        let recipients: Recipients = self.see(path, "the message routing").await?;
        let own = platform.recipient.and_then(|recipient| recipient.id);
        let bound =
            recipients.entities.iter().any(|one| one.id.is_some() && one.id == own && one.flow.is_some());
        if bound || own.is_none() {
            return Ok(());
        }
        Err("nobody answers the integration: assign an inbound message flow to it, Admin → Routing → Message Routing".into())
    }

    async fn check_queue(&self) -> Result<(), String> {
        let Some(queue) = &self.settings.queue else { return Ok(()) };
        let found: Queues = self.see(&queues_named(queue), "queue").await?;
        if found.entities.is_empty() {
            return Err(format!(
                "queue: the OAuth client sees no queue named `{queue}`; check the name and its division"
            ));
        }
        Ok(())
    }

    async fn see<T: DeserializeOwned>(&self, path: &str, what: &str) -> Result<T, String> {
        let url = self.api.at(path).map_err(|failure| failure.cause().code.clone())?;
        self.api.json(|| Request::get(url.clone())).await.map_err(|failure| {
            let code = &failure.cause().code;
            match &failure {
                Failure::Unauthorized(_) => {
                    format!("{what}: the OAuth client's role may not look at it ({code}); add the permission to the role, in the right division")
                }
                Failure::Gone(_) => format!("{what}: Genesys knows nothing of it ({code}); check the id"),
                _ => format!("{what}: {code}"),
            }
        })
    }
}

fn queues_named(name: &str) -> String {
    let query = url::form_urlencoded::Serializer::new(String::new()).append_pair("name", name).finish();
    format!("api/v2/routing/queues?{query}")
}
