//! "Test connection": the deployment's configuration, then a session that nobody is asked to take.

use interline_connector::Failure;
use interline_connector::http::{Reply, Request};
use uuid::Uuid;

use super::Integration;
use super::line::Trouble;
use super::wire::{self, Config};
use crate::genesys::region::Host;

impl Integration {
    pub(super) async fn test_connection(&self) -> Result<(), String> {
        let config = self.config().await?;
        if config.status != "Active" {
            return Err("deployment_id: the deployment is not active; switch it on in Admin → Message → Messenger Deployments".into());
        }
        if !config.messenger.enabled {
            return Err(
                "deployment_id: the Messenger is switched off in the deployment's Messenger Configuration"
                    .into(),
            );
        }
        if config.auth.enabled {
            return Err("deployment_id: this deployment wants customers to log in at Genesys; use one without authentication".into());
        }
        if !config.messenger.apps.conversations.conversation_disconnect.enabled {
            return Err("Genesys would never tell that an agent ended a chat: in the Messenger Configuration, Apps, set \
                        Conversation Disconnect to \"Display conversation status and disconnect session\""
                .into());
        }
        self.connects().await
    }

    async fn config(&self) -> Result<Config, String> {
        let path = format!("webdeployments/v1/deployments/{}/config.json", self.settings.deployment_id);
        let url = self.hosts.at(Host::Config, &path).map_err(|failure| failure.cause().code.clone())?;
        let reply = self.http.send(Request::get(url)).await;
        let reply = reply
            .map_err(|failure| format!("region: Genesys cannot be reached: {}", failure.cause().code))?;
        match reply {
            Reply::Answered { status, body, .. } if status.is_success() => serde_json::from_slice(&body)
                .map_err(|_| "region: what answers is not Genesys Cloud; check the region".to_owned()),
            Reply::Answered { status, .. } if matches!(status.as_u16(), 403 | 404) => {
                Err("deployment_id: there is no such deployment in this region; check both".into())
            }
            Reply::Answered { status, .. } => {
                Err(format!("region: Genesys answers HTTP {}", status.as_u16()))
            }
            Reply::Sent => Err("region: Genesys does not answer".into()),
        }
    }

    /// Nothing is routed before a message, so a session without one asks nobody for anything.
    async fn connects(&self) -> Result<(), String> {
        let connected = self.connect(&Uuid::new_v4().to_string(), true).await;
        let (mut line, _) = connected.map_err(|trouble| match trouble {
            Trouble::Failed(Failure::Unauthorized(_)) => format!(
                "origin: Genesys does not let {} use the deployment; allow this domain in the deployment, or name one that is allowed",
                self.origin
            ),
            Trouble::Failed(other) => format!("the socket cannot be opened: {}", other.cause().code),
            Trouble::Lost(why) => format!("the socket cannot be opened: {why}"),
        })?;
        let _ = line.send(&wire::Request::CloseSession { close_all_connections: true }).await;
        line.close().await;
        Ok(())
    }
}
