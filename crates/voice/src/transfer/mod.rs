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
use interline_core::conversation::call::{CallLeg, CallRecord, SentField};
use interline_media::Prompt;
use rsipstack::sip::{HostWithPort, Uri};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::call::Call;
use crate::sip::ladder::Party;
use crate::sip::leg::{Replaces, Stage};
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
        let way = Way { call: self, plan, progress, stop };
        let result = match plan.method {
            Method::Invite => invite::run(&way).await,
            Method::Refer if plan.whisper.is_some() => attended::run(&way).await,
            Method::Refer => refer::run(&way).await,
            Method::Bye => bye::run(&way).await,
        };
        drop(one_at_a_time);
        if let Err(failed) = &result
            && failed.phase == Phase::Target
        {
            // Nothing was sent, so nothing else tells of it.
            let doing =
                Doing::new(self, CallLeg::Agent, plan.method, &plan.targets.join(", "), &Fields::default());
            doing.came(Some(failed.code), &failed.typed().code.unwrap_or_default());
        }
        if let Stage::Gone(gone) = self.leg.stage() {
            self.over(gone);
        }
        result
    }
}

/// What is known of something that was done on a leg, while it goes on. Dropped, it was given up.
pub(crate) struct Doing<'a> {
    call: &'a Call,
    record: Option<CallRecord>,
    began: Instant,
}

impl<'a> Doing<'a> {
    /// Begins. `fields`: what is sent along.
    pub fn new(call: &'a Call, leg: CallLeg, method: Method, target: &str, fields: &Fields) -> Self {
        let sent = fields.iter().map(|(name, value)| SentField {
            name: name.to_owned(),
            // Flows and scripts may say anything in theirs, and the link to the transcript is a key.
            value: name.eq_ignore_ascii_case("X-Conversation-Id").then(|| value.to_owned()),
        });
        let record = CallRecord {
            leg,
            method: method.name().to_owned(),
            target: without_secrets(target),
            sent: sent.collect(),
            code: None,
            reason: None,
            result: String::new(),
            took_ms: 0,
        };
        Self { call, record: Some(record), began: Instant::now() }
    }

    /// It came to this.
    pub fn came(mut self, code: Option<u16>, result: &str) {
        self.note(code, result);
    }

    fn note(&mut self, code: Option<u16>, result: &str) {
        let Some(record) = self.record.take() else { return };
        let party = match record.leg {
            CallLeg::Caller => Party::Caller,
            CallLeg::Agent => Party::Agent,
        };
        self.call.record(CallRecord {
            code,
            reason: self.call.ladder.reason(party),
            result: result.to_owned(),
            took_ms: u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX),
            ..record
        });
    }
}

impl Drop for Doing<'_> {
    fn drop(&mut self) {
        self.note(None, "given up");
    }
}

/// A URI without its header part, where user-to-user information may stand, and without a password.
fn without_secrets(target: &str) -> String {
    let uri = target.trim_matches(['<', '>']).split('?').next().unwrap_or_default();
    match uri.split_once('@') {
        Some((user, host)) => {
            let scheme = if user.starts_with("sip") { 2 } else { 1 };
            format!("{}@{host}", user.split(':').take(scheme).collect::<Vec<_>>().join(":"))
        }
        None => uri.to_owned(),
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

#[cfg(test)]
mod tests {
    use super::without_secrets;

    #[test]
    fn a_record_tells_no_secret() {
        for (target, told) in [
            ("<sip:agent@desk.example?User-to-User=00AB>", "sip:agent@desk.example"),
            ("sip:agent:s3cret@desk.example;transport=tls", "sip:agent@desk.example;transport=tls"),
            ("+15551234567", "+15551234567"),
        ] {
            assert_eq!(without_secrets(target), told);
        }
    }
}
