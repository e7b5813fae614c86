//! What an operator fills in for Connect Support, and what can be wrong with it.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use url::Url;

use super::super::account::{Login, check_instance};
use super::super::address::Caller;
use super::super::matchers::{Matcher, texts};
use super::super::reading::read;

/// The settings of a ServiceNow (Tokyo and lower) integration.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The address of the instance, for instance `https://example.service-now.com`.
    #[schemars(with = "String", extend("format" = "uri"))]
    pub instance_url: Url,
    /// How Interline logs in there. This user is the requester of all chats: give Interline one of its own.
    pub login: Login,
    /// The User ID of that user. What it writes comes back to us and is passed over. Default: the `user_name` of a Basic login.
    #[serde(default)]
    pub integration_user: Option<String>,
    /// The sys_id of the queue (Connect › Support Administration › Queues › your queue › Copy sys_id). A flow's node may name
    /// another.
    pub queue_id: String,
    /// What the instance sends with each call, beside knowing our address. Strongly advised: it signs nothing.
    #[serde(default)]
    pub caller: Option<Caller>,
    /// How often a chat's state is asked for, in milliseconds: its end and its place in the queue are told in no other way.
    #[serde(default = "twelve_seconds")]
    #[schemars(range(min = 500, max = 60_000))]
    pub poll_ms: u64,
    /// Users whose lines are notices of the system and not an agent's words.
    #[serde(default = "system_users")]
    pub system_users: Vec<String>,
    /// Texts that a closed queue answers with and that mean "outside working hours": regular expressions, in the languages of
    /// the instance. Case makes no difference. Any other refusal means that nobody is there.
    #[serde(default = "outside_hours")]
    pub outside_hours_texts: Vec<String>,
}

fn twelve_seconds() -> u64 {
    12_000
}

fn system_users() -> Vec<String> {
    texts(&["system"])
}

fn outside_hours() -> Vec<String> {
    texts(&["hours", "closed", "schedule"])
}

impl Settings {
    /// Reads and checks them.
    ///
    /// # Errors
    /// What is wrong, naming the field and the remedy.
    pub(super) fn read(value: Value) -> Result<(Self, Matcher), String> {
        let settings: Self = read(value)?;
        check_instance(&settings.instance_url)?;
        settings.login.check()?;
        settings.caller.as_ref().map_or(Ok(()), Caller::check)?;
        if settings.queue_id.trim().is_empty() {
            return Err(
                "queue_id: give the sys_id of a queue (Connect › Support Administration › Queues)".into()
            );
        }
        if !(500..=60_000).contains(&settings.poll_ms) {
            return Err("poll_ms: give milliseconds between 500 and 60000".into());
        }
        if settings.user().is_none_or(str::is_empty) {
            return Err("integration_user: give the User ID of the user behind the refresh token; its lines come back to us".into());
        }
        let matcher = Matcher::new("outside_hours_texts", &settings.outside_hours_texts)?;
        Ok((settings, matcher))
    }

    /// Whose lines are ours.
    pub(super) fn user(&self) -> Option<&str> {
        match (&self.integration_user, &self.login) {
            (Some(user), _) => Some(user),
            (None, Login::Basic { user_name, .. }) => Some(user_name),
            (None, Login::Oauth { .. }) => None,
        }
    }

    /// Whether these words are an agent's: not ours, and not a notice.
    pub(super) fn is_agent(&self, user: &str) -> bool {
        let is = |other: &str| other.eq_ignore_ascii_case(user);
        !user.is_empty() && !self.user().is_some_and(is) && !self.system_users.iter().any(|it| is(it))
    }
}
