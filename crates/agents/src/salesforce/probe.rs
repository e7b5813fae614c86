//! "Test connection": a token, and a look at what the deployment says of itself. Nothing is made at the org.

use interline_connector::{Cause, Failure};
use interline_core::transfer::Reason;

use super::Integration;
use super::wire::TokenAnswer;

/// Where the values stand.
const SNIPPET: &str =
    "the Code Snippet of your Custom Client deployment (Setup, Embedded Service Deployments)";

impl Integration {
    /// Whether it would work.
    ///
    /// # Errors
    /// What is wrong and what to do, naming the setting.
    pub(super) async fn check(&self) -> Result<(), String> {
        let answer = self.token().await.map_err(|failure| self.explain(&failure))?;
        let deployment = &answer.context.configuration.embedded_service_config;
        let mode = deployment.embedded_service_messaging_channel.auth_mode.as_deref().unwrap_or_default();
        if mode.to_lowercase().starts_with("auth") {
            return Err(format!(
                "developer_name: this deployment lets verified users in only (authMode {mode}); choose one whose messaging \
                 channel has no user verification"
            ));
        }
        self.check_fields(&answer)
    }

    fn check_fields(&self, answer: &TokenAnswer) -> Result<(), String> {
        let settings = &self.settings;
        let named =
            [("summary_field", &settings.summary_field), ("transcript_field", &settings.transcript_field)];
        for (setting, name) in named {
            if let Some(name) =
                name.as_ref().filter(|name| !answer.fields().any(|field| &field.name == *name))
            {
                return Err(format!(
                    "{setting}: the deployment has no pre-chat field {name}; add it as a hidden one and publish the \
                     deployment again, or leave the setting out"
                ));
            }
        }
        Ok(())
    }

    /// What an operator should do about a token that was not given. The vendor does not say which status stands for which
    /// wrong value; what it says in words is passed on.
    fn explain(&self, failure: &Failure) -> String {
        let host = self.settings.url.host_str().unwrap_or_default();
        let Cause { reason, code } = failure.cause();
        match (failure, reason) {
            (Failure::Refused(_), Reason::Unauthorized)
                if code.starts_with("HTTP 404") && !code.contains(':') =>
            {
                format!(
                    "url: {host} is no Salesforce messaging host ({code}); take Url, which ends in salesforce-scrt.com, from \
                 {SNIPPET}"
                )
            }
            (Failure::Refused(_), Reason::Unauthorized) => {
                let about = code.to_lowercase();
                let culprit = if about.contains("org") {
                    "organization_id"
                } else if about.contains("deployment") || about.contains("developer") {
                    "developer_name"
                } else {
                    "organization_id or developer_name"
                };
                format!(
                    "{culprit}: {host} does not accept it ({code}); take it from {SNIPPET}. A deployment works some minutes \
                     after it was published"
                )
            }
            (Failure::Bug(_), _) => format!(
                "url: {host} answers, but not as Salesforce messaging does ({code}); take Url, which ends in \
                 salesforce-scrt.com, from {SNIPPET}"
            ),
            (Failure::Retry { .. }, Reason::RateLimited) => {
                format!("{host} gives no more access tokens at the moment ({code}); try again in a minute")
            }
            (_, Reason::VendorError) => format!("{host} has trouble of its own ({code}); try again later"),
            _ => format!("url: {host} cannot be reached: {code}"),
        }
    }
}
