//! Transfers of a living call.
//!
//! | method | how | success is | can fall back |
//! |---|---|---|---|
//! | INVITE | we call the agent and join the two legs | the agent's 200 | yes |
//! | REFER | the caller's side is asked to call | the final NOTIFY, or its BYE after a 2xx | while our leg is up |
//! | REFER, attended | the agent is called first, then the caller's side is asked to take our place there | as REFER; else we join the two legs | yes |
//! | BYE | we hang up, with header fields for who called us | it was sent | no |

pub mod attended;
pub mod bye;
pub mod dial;
pub mod invite;
pub mod onward;
pub mod reason;
pub mod refer;

use std::time::{Duration, Instant};

use interline_connector::guard::Guard;
use interline_media::Prompt;
use rsipstack::sip::{HostWithPort, Uri};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::call::{Call, Record};
use crate::sip::leg::Replaces;
use crate::sip::text::{Fields, Uui, UuiPlace};
use crate::target::{Allowed, Refused, read};
use crate::trunk::Patience;
pub use reason::{Failed, Phase};

/// By which method.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// We call the agent.
    #[default]
    Invite,
    /// The caller's side calls the agent.
    Refer,
    /// The call goes back to where it came from.
    Bye,
}

impl Method {
    /// As in SIP.
    pub fn name(self) -> &'static str {
        match self {
            Self::Invite => "INVITE",
            Self::Refer => "REFER",
            Self::Bye => "BYE",
        }
    }
}

/// A REFER was accepted, and nothing more was heard of it.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum NoNews {
    /// It failed.
    #[default]
    Failed,
    /// It went well, and we hang up.
    Done,
}

/// What is to be done.
#[derive(Debug, Clone)]
pub struct Plan {
    /// How.
    pub method: Method,
    /// Whom to call: a number, or a SIP URI. The next one is tried when one is overloaded. Empty for BYE.
    pub targets: Vec<String>,
    /// Who seems to call. None: the caller.
    pub caller_id: Option<String>,
    /// Who refers. None: the dialled number.
    pub referred_by: Option<String>,
    /// Header fields that are sent along.
    pub fields: Fields,
    /// User-to-user information, as it stands in the field.
    pub uui: Option<String>,
    /// How long to wait for what.
    pub patience: Patience,
    /// What silence after an accepted REFER means.
    pub no_news: NoNews,
    /// A 3xx is followed, within what the trunk allows.
    pub follows: bool,
    /// What the caller hears while it rings. None: what the agent's side lets it hear, or nothing.
    pub music: Option<Prompt>,
    /// What the agent hears before the call is joined; it accepts by a digit. None: joined at once.
    pub whisper: Option<Whisper>,
    /// The agent may transfer the call onwards.
    pub onward: bool,
    /// The call takes the place of one that the target has (RFC 3891).
    pub replaces: Option<Replaces>,
    /// Whom it may call, beside whom the trunk may.
    pub allowed: Permits,
    /// Which private addresses the operator named.
    pub guard: Guard,
}

/// Whom a transfer may call: its own settings' destinations, and what they allow.
#[derive(Debug, Clone, Default)]
pub struct Permits {
    /// Hosts and numbers, as patterns.
    pub patterns: Vec<String>,
    /// Destinations that the operator wrote down.
    pub named: Vec<String>,
}

impl Permits {
    /// For a trunk whose numbers go to `home`.
    pub fn at(&self, home: Option<&HostWithPort>) -> Allowed {
        let named = self.named.iter().filter_map(|target| read(target, home).ok());
        Allowed::new(self.patterns.clone(), named.collect())
    }
}

/// A briefing for the agent, before the caller is joined.
#[derive(Debug, Clone)]
pub struct Whisper {
    /// What is said.
    pub prompts: Vec<Prompt>,
    /// The digit that accepts. Any other declines.
    pub accept: char,
    /// How long the agent may take to decide, after it was said.
    pub patience: Duration,
}

impl Plan {
    /// A target of this plan, read and allowed.
    ///
    /// # Errors
    /// Neither the trunk nor the plan allows it.
    pub(crate) fn target(&self, call: &Call, text: &str) -> Result<Uri, Refused> {
        let peer = call.home();
        let home = call.trunk.home.as_ref().unwrap_or(&peer);
        let uri = read(text, Some(home))?;
        let allowed = call.trunk.allowed.allows(&uri, Some(home))
            || self.allowed.at(Some(home)).allows(&uri, Some(home));
        if allowed { Ok(uri) } else { Err(Refused::NotAllowed) }
    }

    /// The user-to-user information for this trunk, and where it goes.
    pub(crate) fn uui(&self, place: UuiPlace) -> Option<Uui> {
        let value = crate::sip::text::clean(self.uui.as_deref()?);
        (place != UuiPlace::Off && !value.is_empty()).then_some(Uui { value, place })
    }
}

/// What is told while a transfer goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// Somebody was reached: it rings, or the REFER was accepted.
    Ringing,
    /// The agent talks to the caller.
    Bridged,
}

/// How a transfer that went well ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// The agent hung up; the caller is still there.
    AgentLeft,
    /// The caller hung up.
    CallerLeft,
    /// We ended it, because we were told to.
    Stopped,
    /// The call left our hands.
    HandedOff,
}

impl Call {
    /// Transfers the call. Returns when the transfer is over: when the agent left, the call left our hands, or it failed.
    /// `stop` ends it at any time.
    ///
    /// # Errors
    /// Nobody was reached, and the caller is still there, unless the reason says otherwise.
    pub async fn transfer(
        &self,
        plan: &Plan,
        progress: mpsc::Sender<Progress>,
        stop: CancellationToken,
    ) -> Result<Ended, Failed> {
        let one_at_a_time = self.in_transfer.lock().await;
        let began = Instant::now();
        let way = Way { call: self, plan, progress, stop };
        let result = match plan.method {
            Method::Invite => invite::run(&way).await,
            Method::Refer if plan.whisper.is_some() => attended::run(&way).await,
            Method::Refer => refer::run(&way).await,
            Method::Bye => bye::run(&way).await,
        };
        drop(one_at_a_time);
        self.record(Record {
            method: plan.method.name(),
            target: plan.targets.join(", "),
            fields: plan.fields.iter().map(|(name, _)| name.to_owned()).collect(),
            result: match &result {
                Ok(Ended::HandedOff) => "handed off".into(),
                Ok(Ended::AgentLeft) => "the agent left".into(),
                Ok(Ended::CallerLeft) => "the caller left".into(),
                Ok(Ended::Stopped) => "ended".into(),
                Err(failed) => failed.typed().code.unwrap_or_default(),
            },
            took_ms: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
        });
        result
    }
}

/// A transfer under way.
pub(crate) struct Way<'a> {
    pub call: &'a Call,
    pub plan: &'a Plan,
    progress: mpsc::Sender<Progress>,
    pub stop: CancellationToken,
}

impl Way<'_> {
    pub async fn tell(&self, progress: Progress) {
        let _ = self.progress.send(progress).await;
    }
}
