//! What an operator fills in: one of *Custom Phone Number*, *SIP Transfer* and *IVR*, and what holds for all of them.

use std::collections::BTreeMap;

use interline_connector::agent::Env;
use rsipstack::sip::HostWithPort;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::gate::check::is_token;
use crate::live::running;
use crate::target::{find, is_trusted, read};
use crate::transfer::{Method, NoNews};

/// How calls are handed over. Exactly one of `phone_number`, `sip_transfer` and `ivr`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Custom Phone Number: somebody is called by telephone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phone_number: Option<PhoneNumber>,
    /// SIP Transfer: a SIP endpoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sip_transfer: Option<SipTransfer>,
    /// IVR: the call goes back to where it came from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ivr: Option<Ivr>,
    /// SIP headers that are sent along, each name exactly as it is to be sent. `{conversation}`, `{caller}`, `{called}`,
    /// `{transcript}` and `{summary}` stand for what they say.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// User-to-user information (RFC 7433): `0035…;encoding=hex`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_to_user: Option<String>,
    /// Who may be called beside the destination here, when a flow or a script names somebody else, or a 3xx leads elsewhere:
    /// hosts (`sip.example.com`, `*.example.com`, `10.0.0.1:5070`) and numbers of the trunk (`+1555*`).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allow: Vec<String>,
    /// How long it may ring, seconds.
    #[serde(default = "ring")]
    pub ring_timeout_s: u32,
    /// After a REFER was accepted: how long until the first NOTIFY, seconds.
    #[serde(default = "first_notify")]
    pub refer_notify_timeout_s: u32,
    /// And until the last.
    #[serde(default = "last_notify")]
    pub refer_final_timeout_s: u32,
    /// What it means when none comes.
    #[serde(default)]
    pub refer_no_notify: NoNews,
    /// A redirection (3xx) is followed, within `allow`.
    #[serde(default)]
    pub follow_redirects: bool,
    /// The caller hears music while it rings, and not what the agent's side plays.
    #[serde(default)]
    pub music: bool,
    /// The agent is rung first, hears a briefing, and accepts by a key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warm: Option<Warm>,
    /// The agent may transfer the call onwards by REFER, within `allow`.
    #[serde(default)]
    pub onward: bool,
}

/// Somebody is called by telephone.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PhoneNumber {
    /// The number, E.164.
    pub number: String,
    /// Who seems to call; none: the caller.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caller_id: Option<String>,
}

/// A SIP endpoint.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SipTransfer {
    /// `invite`, `refer` or `bye`.
    pub method: Method,
    /// A SIP URI or a number; none for `bye`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uri: Option<String>,
    /// Others that are tried when one is overloaded (503).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub more: Vec<String>,
    /// Who seems to call; none: the caller.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caller_id: Option<String>,
    /// Who refers; none: what was called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub referred_by: Option<String>,
}

/// The call goes back to where it came from, by a BYE.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Ivr {
    /// Transfer tags: each becomes a header `X-Transfer-…`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
}

/// A briefing for the agent.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Warm {
    /// What the agent hears. `{summary}`, `{caller}` and `{name}` stand for what they say.
    #[serde(default = "briefing")]
    pub say: String,
    /// The key that accepts; any other declines.
    #[serde(default = "accept")]
    pub accept: char,
    /// How long the agent may take, after it was said, seconds.
    #[serde(default = "decide")]
    pub timeout_s: u32,
}

fn ring() -> u32 {
    60
}

fn first_notify() -> u32 {
    15
}

fn last_notify() -> u32 {
    120
}

fn decide() -> u32 {
    15
}

fn accept() -> char {
    '1'
}

fn briefing() -> String {
    "A caller is waiting. {summary} Press 1 to accept.".into()
}

impl Settings {
    /// Reads and checks them.
    ///
    /// # Errors
    /// What is wrong, naming the field and the remedy.
    pub fn read(settings: Value) -> Result<Self, String> {
        let settings: Self = serde_json::from_value(settings).map_err(|error| error.to_string())?;
        let chosen =
            [settings.phone_number.is_some(), settings.sip_transfer.is_some(), settings.ivr.is_some()];
        if chosen.into_iter().filter(|chosen| *chosen).count() != 1 {
            return Err("exactly one of `phone_number`, `sip_transfer` and `ivr` is to be given".into());
        }
        if let Some(sip) = &settings.sip_transfer {
            match (sip.method, &sip.uri) {
                (Method::Bye, None) => {}
                (Method::Bye, Some(_)) => {
                    return Err("sip_transfer.uri: a BYE goes nowhere else; leave it out".into());
                }
                (Method::Invite | Method::Refer, None) => {
                    return Err("sip_transfer.uri: is missing: whom to call".into());
                }
                (Method::Invite | Method::Refer, Some(_)) => {}
            }
        }
        for target in settings.targets() {
            read(target, Some(&HostWithPort::default())).map_err(|error| format!("`{target}`: {error}"))?;
        }
        for name in settings.headers.keys() {
            if !is_token(name) {
                return Err(format!("headers: `{name}` is no name of a header; it may not hold spaces"));
            }
        }
        if let Some(warm) = settings.warm.as_ref().filter(|warm| !"0123456789*#".contains(warm.accept)) {
            return Err(format!("warm.accept: `{}` is no key of a telephone", warm.accept));
        }
        Ok(settings)
    }

    /// Whom they name.
    pub fn targets(&self) -> Vec<&str> {
        let number = self.phone_number.iter().map(|phone| phone.number.as_str());
        let sip =
            self.sip_transfer.iter().flat_map(|sip| sip.uri.iter().chain(&sip.more)).map(String::as_str);
        number.chain(sip).collect()
    }

    /// How long until a sign of life is due at the latest, milliseconds.
    pub fn opening_ms(&self) -> u64 {
        // A REFER is answered within 32 s (RFC 3261, Timer F), and so is an INVITE by a provisional response.
        u64::from(self.ring_timeout_s.max(32)) * 1_000 + 5_000
    }

    /// Whether the destinations can be found, and answer an OPTIONS where calls are taken.
    ///
    /// # Errors
    /// Which cannot, or do not.
    pub async fn probe(&self, env: &Env) -> Result<(), String> {
        for target in self.targets() {
            // A number goes where the trunk says.
            let Ok(uri) = read(target, None) else { continue };
            let trusted = is_trusted(&uri, env.http.guard());
            let found = find(&uri, None, trusted).await.map_err(|error| format!("{target}: {error}"))?;
            let edge = running().and_then(|gateway| gateway.edges().into_iter().next());
            if let (Some(edge), Some(found)) = (edge, found.first())
                && !edge.ask(&uri, found).await
            {
                return Err(format!("{target}: no answer to OPTIONS"));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn one_kind_and_only_one() {
        for (settings, says) in [
            (json!({}), "exactly one"),
            (json!({ "ivr": {}, "phone_number": { "number": "+15551234567" } }), "exactly one"),
            (json!({ "sip_transfer": { "method": "invite" } }), "sip_transfer.uri"),
            (json!({ "sip_transfer": { "method": "bye", "uri": "sip:a@b" } }), "sip_transfer.uri"),
            (json!({ "sip_transfer": { "method": "invite", "uri": "agent" } }), "neither a telephone number"),
            (json!({ "ivr": {}, "headers": { "X Y": "1" } }), "no name of a header"),
            (json!({ "ivr": {}, "hedders": {} }), "unknown field"),
            (json!({ "phone_number": { "number": "+15551234567" }, "warm": { "accept": "x" } }), "no key"),
        ] {
            let error = Settings::read(settings.clone()).expect_err(says);
            assert!(error.contains(says), "{settings}: {error}");
        }
        let good = Settings::read(json!({ "sip_transfer": { "method": "refer", "uri": "sip:a@b" } }))
            .expect("settings");
        assert_eq!(good.targets(), ["sip:a@b"]);
        assert_eq!(good.opening_ms(), 65_000);
    }
}
