//! What an operator fills in for Agent Chat, and what can be wrong with it.

use std::collections::BTreeMap;

use interline_connector::Secret;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use url::Url;

use super::super::account::{Login, check_instance};
use super::super::address::Caller;
use super::super::matchers::{Finder, Matcher, texts};
use super::super::reading::read;

/// The settings of a ServiceNow (Utah and higher) integration.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The address of the instance, for instance `https://example.service-now.com`.
    #[schemars(with = "String", extend("format" = "uri"))]
    pub instance_url: Url,
    /// How Interline logs in there.
    pub login: Login,
    /// Which version of the Store app *Virtual Agent API* is installed: System Applications › All Available Applications ›
    /// Virtual Agent API.
    #[serde(default)]
    pub virtual_agent_api: Version,
    /// How an agent is asked for. Instances differ; if nobody is ever found, try the next one.
    #[serde(default)]
    pub start: Start,
    /// For `start: utterance`: the word that asks for an agent (table `sys_cs_contextual_action`).
    #[serde(default = "agent")]
    pub utterance: String,
    /// The choice for an agent, where Virtual Agent offers topics instead: a regular expression over the labels.
    #[serde(default = "live_agent")]
    pub live_agent_option: String,
    /// For `start: two_step`: how long after the first request the second is made, in milliseconds.
    #[serde(default = "three_seconds")]
    #[schemars(range(min = 0, max = 20_000))]
    pub second_step_ms: u64,
    /// The id of a provider application of your own, if it is not "VA Bot to Bot Provider Application"
    /// (`sys_cs_provider_application`).
    #[serde(default)]
    pub app_inbound_id: Option<String>,
    /// The static token of the provider channel identity's message authentication (`message_auth`), if it is on.
    #[serde(default)]
    pub message_token: Option<Secret>,
    /// The secret of its hash, instead of a static token: requests are then signed (HMAC-SHA1).
    #[serde(default)]
    pub message_hash_secret: Option<Secret>,
    /// What the instance sends with each call, beside knowing our address. Strongly advised: it signs nothing.
    #[serde(default)]
    pub caller: Option<Caller>,
    /// How long it may take until the first call comes, in milliseconds. The instance answers 200 also to what it throws
    /// away later; this is how it is noticed.
    #[serde(default = "thirty_seconds")]
    #[schemars(range(min = 1000, max = 600_000))]
    pub opening_ms: u64,
    /// Texts that mean "no agents are available": regular expressions, in the languages of the instance (Agent Chat settings ›
    /// No Agents Available). Case makes no difference.
    #[serde(default = "no_agents")]
    pub no_agents_texts: Vec<String>,
    /// Texts that mean "outside working hours", likewise (the queue's schedule message).
    #[serde(default = "outside_hours")]
    pub outside_hours_texts: Vec<String>,
    /// Texts that mean "waited too long", likewise (the queue's max wait time message).
    #[serde(default = "waited_too_long")]
    pub queue_timeout_texts: Vec<String>,
    /// System texts that mean "the agent ended the chat", likewise.
    #[serde(default = "ended")]
    pub ended_texts: Vec<String>,
    /// System texts that mean "an agent entered", likewise; the group `name` is the agent's name.
    #[serde(default = "joined")]
    pub joined_texts: Vec<String>,
    /// Texts of Virtual Agent and of the system that customers shall see, likewise. Default: none.
    #[serde(default)]
    pub shown_texts: Vec<String>,
    /// Fixed context variables for routing (Conversational Interfaces › context variables), by name.
    #[serde(default)]
    pub context_variables: BTreeMap<String, String>,
    /// People are known to the instance (account linking): the user id is then the same for every hand-over of a person.
    /// It needs message authentication, and `emailId`.
    #[serde(default)]
    pub account_linking: bool,
    /// Take `ServiceNowMetaData` (`payloadFields.userId`, `payloadFields.emailId`, `headerFields.token`) from the custom data of
    /// a session. Only where no page outside can set custom data: whoever sets it can speak as somebody else.
    #[serde(default)]
    pub session_metadata: bool,
    /// How files reach the agent.
    #[serde(default)]
    pub files: Files,
    /// Tell that the customer is typing. Each time costs a request of the instance's hourly limit.
    #[serde(default = "yes")]
    pub typing: bool,
    /// Say who it is, what is known and where to read on also in the first message: older apps drop the history.
    #[serde(default = "yes")]
    pub introduce_in_text: bool,
}

/// The version of the Store app.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
pub enum Version {
    /// 3.x: Xanadu, Yokohama and older. Without delivery marks.
    #[serde(rename = "3")]
    Three,
    /// 4.x: Zurich and newer.
    #[default]
    #[serde(rename = "4")]
    Four,
}

/// How an agent is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Start {
    /// `START_CONVERSATION` with the context variable `live_agent_only`. Works with most instances.
    #[default]
    LiveAgentOnly,
    /// `AGENT`, once.
    AgentAction,
    /// `AGENT`, a pause, and `AGENT` again: for instances that answer the first with "I didn't understand".
    TwoStep,
    /// The word for an agent, as if the customer had said it; a choice that is offered is taken.
    Utterance,
}

/// How files reach the agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Files {
    /// The instance fetches them from us. Our host must stand in *Trusted media domains* of the provider application; where it
    /// does not, the instance says nothing, and the agent has the link that stands beside.
    #[default]
    Url,
    /// We upload them to the instance. The user needs the role of `glide.attachment.role`.
    Upload,
    /// A link in words, for people.
    Link,
}

fn agent() -> String {
    "agent".into()
}

fn live_agent() -> String {
    "live agent".into()
}

fn three_seconds() -> u64 {
    3_000
}

fn thirty_seconds() -> u64 {
    30_000
}

fn yes() -> bool {
    true
}

fn no_agents() -> Vec<String> {
    texts(&[
        "no (live )?agents? (is |are )?(currently )?available",
        "agents are (currently |all )*(unavailable|busy)",
    ])
}

fn outside_hours() -> Vec<String> {
    texts(&[
        "(outside|after) (of )?(our |the )?(business|working|support|office)? ?hours",
        "(chat|support) is (currently )?closed",
    ])
}

fn waited_too_long() -> Vec<String> {
    texts(&["(maximum|max) wait time", "waited too long"])
}

fn ended() -> Vec<String> {
    texts(&["has (closed|ended) the (support session|chat|conversation)"])
}

fn joined() -> Vec<String> {
    texts(&["^(?<name>.{1,100}?) has (entered|joined)"])
}

/// The patterns, compiled.
#[derive(Debug)]
pub(super) struct Matchers {
    pub no_agents: Matcher,
    pub outside_hours: Matcher,
    pub queue_timeout: Matcher,
    pub ended: Matcher,
    pub joined: Finder,
    pub shown: Matcher,
    pub live_agent: Matcher,
}

impl Settings {
    /// Reads and checks them.
    ///
    /// # Errors
    /// What is wrong, naming the field and the remedy.
    pub(super) fn read(value: Value) -> Result<(Self, Matchers), String> {
        let settings: Self = read(value)?;
        settings.check()?;
        let matchers = settings.matchers()?;
        Ok((settings, matchers))
    }

    fn check(&self) -> Result<(), String> {
        check_instance(&self.instance_url)?;
        self.login.check()?;
        self.caller.as_ref().map_or(Ok(()), Caller::check)?;
        let fits = |token: &Secret| {
            !token.expose().is_empty() && token.expose().bytes().all(|byte| byte.is_ascii_graphic())
        };
        if !self.message_token.as_ref().is_none_or(fits) {
            return Err("message_token: give the token of the provider channel identity; it goes into a header, so it is of ASCII letters and signs".into());
        }
        if self.message_token.is_some() && self.message_hash_secret.is_some() {
            return Err("message_hash_secret: give it or message_token, as the provider channel identity says; not both".into());
        }
        let authenticated = self.message_token.is_some() || self.message_hash_secret.is_some();
        if self.account_linking && !authenticated && !self.session_metadata {
            return Err("account_linking: give message_token or message_hash_secret too; without it the instance links nobody".into());
        }
        if self.start == Start::Utterance && self.utterance.trim().is_empty() {
            return Err("utterance: give the word that asks for an agent, for instance `agent`".into());
        }
        if !(1000..=600_000).contains(&self.opening_ms) {
            return Err("opening_ms: give milliseconds between 1000 and 600000".into());
        }
        if self.second_step_ms > 20_000 {
            return Err("second_step_ms: give at most 20000 milliseconds".into());
        }
        Ok(())
    }

    fn matchers(&self) -> Result<Matchers, String> {
        Ok(Matchers {
            no_agents: Matcher::new("no_agents_texts", &self.no_agents_texts)?,
            outside_hours: Matcher::new("outside_hours_texts", &self.outside_hours_texts)?,
            queue_timeout: Matcher::new("queue_timeout_texts", &self.queue_timeout_texts)?,
            ended: Matcher::new("ended_texts", &self.ended_texts)?,
            joined: Finder::new("joined_texts", &self.joined_texts)?,
            shown: Matcher::new("shown_texts", &self.shown_texts)?,
            live_agent: Matcher::new("live_agent_option", std::slice::from_ref(&self.live_agent_option))?,
        })
    }
}
