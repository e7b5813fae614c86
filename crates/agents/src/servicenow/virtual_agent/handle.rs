//! A hand-over's name on the wire, and what a session must know of itself.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use interline_connector::{Item, Secret};
use interline_core::{ConversationId, ParticipantNo};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::super::introduction::METADATA;
use super::settings::Settings;

/// `{conversation}.{participant}`: the client session, and the user where people are not linked to accounts. The instance
/// keeps one conversation for each user, so each hand-over is a user of its own.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Handle {
    pub conversation: ConversationId,
    pub participant: ParticipantNo,
}

impl Handle {
    pub fn of(item: &Item) -> Self {
        Self { conversation: item.conversation.id.clone(), participant: item.participant.no }
    }
}

impl fmt::Display for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.conversation, self.participant)
    }
}

impl FromStr for Handle {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (conversation, participant) = text.rsplit_once('.').ok_or(())?;
        let participant = ParticipantNo(participant.parse().map_err(|_| ())?);
        // What is longer was not made here.
        let made_here = conversation.starts_with("cnv_") && conversation.len() <= 64;
        made_here.then(|| Self { conversation: conversation.into(), participant }).ok_or(())
    }
}

/// The session document.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Session {
    pub handle: String,
    /// Who it is to the instance.
    pub user: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// A message token of this session's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<Secret>,
}

/// `ServiceNowMetaData` of a session, as the field has it.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Metadata {
    payload_fields: PayloadFields,
    header_fields: HeaderFields,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct PayloadFields {
    user_id: Option<String>,
    email_id: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct HeaderFields {
    token: Option<Secret>,
}

impl Session {
    /// As an Open begins it.
    pub fn begin(item: &Item, settings: &Settings) -> Self {
        let told = if settings.session_metadata { metadata(&item.context.data) } else { Metadata::default() };
        let email = item.conversation.customer.profile.email.clone();
        Self {
            user: told.payload_fields.user_id.unwrap_or_else(|| user(item, settings)),
            email: told.payload_fields.email_id.or(email),
            token: told.header_fields.token,
            handle: Handle::of(item).to_string(),
        }
    }

    /// As far as it can be told when the Open left no document behind.
    pub fn assumed(item: &Item, settings: &Settings) -> Self {
        let email = item.conversation.customer.profile.email.clone();
        Self { handle: Handle::of(item).to_string(), user: user(item, settings), email, token: None }
    }

    pub fn read(document: Option<&Value>) -> Option<Self> {
        serde_json::from_value(document?.clone()).ok()
    }
}

fn user(item: &Item, settings: &Settings) -> String {
    if settings.account_linking {
        item.conversation.customer.id.user_id()
    } else {
        Handle::of(item).to_string()
    }
}

fn metadata(data: &BTreeMap<String, String>) -> Metadata {
    data.get(METADATA).and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handle_comes_back() {
        let handle = Handle { conversation: "cnv_0192".into(), participant: ParticipantNo(2) };
        assert_eq!(handle.to_string().parse(), Ok(handle));
        for foreign in ["", ".", "cnv_0192", "cnv_0192.", "cnv_0192.x", "u-9.2", "cnv_1.99999999999999999999"]
        {
            assert_eq!(foreign.parse::<Handle>(), Err(()), "{foreign}");
        }
        assert!(format!("cnv_{}.1", "1".repeat(100_000)).parse::<Handle>().is_err());
    }
}
