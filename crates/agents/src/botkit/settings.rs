//! What an operator fills in, and what can be wrong with it.

use interline_connector::agent::Env;
use interline_connector::credential::Credential;
use interline_core::app::HoldPolicy;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use url::Url;

/// The settings of a Custom (BotKit) integration.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The Callback URL: where your BotKit answers, for instance `https://botkit.example.com`. If BotKit's `apiPrefix` is
    /// set, it is part of this URL; better leave the prefix empty, because with one BotKit checks no credentials.
    #[schemars(with = "String", extend("format" = "uri"))]
    pub url: Url,
    /// The name of the app's credential that signs both ways: its client id, secret and algorithm must stand in BotKit's
    /// config. Default: the app's only one.
    #[serde(default)]
    pub credential: Option<String>,
    /// What BotKit is called for. `transfers` is mandatory. With `messages` every line between customer and bot passes
    /// BotKit first.
    #[serde(default = "transfers_only")]
    pub subscribe: Vec<Subscription>,
    /// How long BotKit may take to accept a transfer, in milliseconds.
    #[serde(default = "fifteen_seconds")]
    #[schemars(range(min = 1000, max = 600_000))]
    pub opening_ms: u64,
    /// What becomes of a line that BotKit holds and says nothing about in time.
    #[serde(default)]
    #[schemars(with = "Policy")]
    pub hold_policy: HoldPolicy,
    /// How long the answer to an event is waited for, in milliseconds.
    #[serde(default = "fifteen_seconds")]
    #[schemars(range(min = 1000, max = 600_000))]
    pub answer_timeout_ms: u64,
    /// What the agent is told, as a line of the customer, when the human part was ended by somebody else. Empty: nothing.
    /// With the subscription `events` BotKit gets `on_event` with `conversation_terminated` instead.
    #[serde(default = "end_notice")]
    pub end_notice: String,
    /// Also send the client secret in the header `apikey`. Only for BotKits of before 2018, which accept nothing else.
    #[serde(default)]
    pub send_apikey: bool,
    /// Also accept calls whose token never expires. Only for BotKits of before 2018, which send such tokens.
    #[serde(default)]
    pub accept_tokens_without_exp: bool,
}

/// What BotKit is called for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Subscription {
    /// Every line between customer and bot (`onMessage`).
    Messages,
    /// Hand-overs (`onAgentTransfer`).
    Transfers,
    /// What happens to a hand-over (`onEvent`).
    Events,
}

/// As the schema shows [`HoldPolicy`].
#[derive(JsonSchema)]
#[serde(rename_all = "snake_case")]
#[allow(dead_code, reason = "only its schema is used")]
enum Policy {
    /// It goes on unchanged.
    Pass,
    /// It is dropped and the user is told.
    Drop,
}

fn transfers_only() -> Vec<Subscription> {
    vec![Subscription::Transfers]
}

fn fifteen_seconds() -> u64 {
    15_000
}

fn end_notice() -> String {
    "The customer has ended the chat.".into()
}

impl Settings {
    /// Reads and checks them.
    ///
    /// # Errors
    /// What is wrong, naming the field and the remedy.
    pub(super) fn read(value: Value) -> Result<Self, String> {
        let settings: Self =
            serde_json::from_value(value.clone()).map_err(|error| match culprit(&value) {
                Some(field) => format!("{field}: {error}"),
                None => error.to_string(),
            })?;
        settings.check().map(|()| settings)
    }

    fn check(&self) -> Result<(), String> {
        let url = &self.url;
        if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
            return Err("url: give an http or https URL, for instance https://botkit.example.com".into());
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(
                "url: leave user name and password out; BotKit is proven by the app's credential".into()
            );
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err("url: leave out what follows `?` or `#`; event paths are appended to this URL".into());
        }
        if url.path().contains("/sdk/bots") {
            return Err("url: end it before /sdk/bots; that part is appended for each event".into());
        }
        if !self.subscribe.contains(&Subscription::Transfers) {
            return Err(
                "subscribe: add `transfers`; without it nothing can be handed over to this BotKit".into()
            );
        }
        for (name, ms) in [("opening_ms", self.opening_ms), ("answer_timeout_ms", self.answer_timeout_ms)] {
            if !(1000..=600_000).contains(&ms) {
                return Err(format!("{name}: give milliseconds between 1000 and 600000"));
            }
        }
        Ok(())
    }

    pub(super) fn subscribes(&self, to: Subscription) -> bool {
        self.subscribe.contains(&to)
    }

    /// The credential by name, or the only one.
    ///
    /// # Errors
    /// There is none, or it is not clear which.
    pub(super) fn find_credential(&self, env: &Env) -> Result<Credential, String> {
        let names = || env.credentials.keys().cloned().collect::<Vec<_>>().join(", ");
        match &self.credential {
            Some(name) => {
                env.credentials.get(name).cloned().ok_or_else(|| {
                    format!("credential: the app has none named `{name}`; it has: {}", names())
                })
            }
            None => {
                let mut all = env.credentials.values();
                match (all.next(), all.next()) {
                    (Some(only), None) => Ok(only.clone()),
                    (None, _) => {
                        Err("credential: the app has none; add one with a client id and secret".into())
                    }
                    (Some(_), Some(_)) => Err(format!("credential: name one of: {}", names())),
                }
            }
        }
    }
}

/// The field whose value has the wrong type: the one without which reading fails otherwise, or not at all.
fn culprit(value: &Value) -> Option<&str> {
    let error =
        |value: &Value| serde_json::from_value::<Settings>(value.clone()).err().map(|e| e.to_string());
    let whole = error(value)?;
    let fields = value.as_object()?;
    let names_itself = |name: &str| whole.contains(&format!("`{name}`"));
    fields.keys().map(String::as_str).find(|name| {
        let mut others = fields.clone();
        others.remove(*name);
        !names_itself(name) && error(&Value::Object(others)).as_ref() != Some(&whole)
    })
}
