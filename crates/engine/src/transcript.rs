//! The link to what was said before a transfer: one per rung, sent with the hand-over, good for a few accesses.
//!
//! ```text
//!   token = base64url(version 1 ‖ app's UUID ‖ conversation's UUID ‖ participant ‖ first 16 bytes of the MAC)
//! ```
//!
//! The token names what it opens and proves that we made it: the log holds no token, and nothing is written until
//! somebody uses one. An access is counted, durably, before the words are given out.

use interline_core::{AppId, Body, ConversationId, Entry, ParticipantNo, Seq, Time};
use interline_store::{Access, Redeemed, ShareRow};
use url::Url;
use uuid::Uuid;

use crate::dispatch::read_entry;
use crate::engine::{Engine, Inner};
use crate::ingress::{Trouble, to_i64};
use crate::token;

const VERSION: u8 = 1;
const NAMES_BYTES: usize = 1 + 16 + 16 + 4;
const PURPOSE: &str = "interline transcript v1";
/// The words of one page. A conversation before a transfer is rarely longer; the newest are shown.
const LINES: i64 = 2_000;

/// What a link leads to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Link {
    app: AppId,
    conversation: ConversationId,
    participant: ParticipantNo,
}

/// A transcript that was given out.
#[derive(Debug, Clone)]
pub struct Transcript {
    /// Whose conversation it is.
    pub app: AppId,
    /// Whom the link was given to: links to files are theirs.
    pub participant: ParticipantNo,
    /// The bot's name.
    pub bot: String,
    /// What the customer saw before the transfer, oldest first.
    pub entries: Vec<Entry>,
    /// Older entries were left out.
    pub cut: bool,
    /// When the transfer was asked for.
    pub until: Time,
    /// How often the link may still be used.
    pub left: u32,
}

/// Why what a link leads to is not given out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Closed {
    /// Not a link of ours, or what it led to was erased.
    #[error("there is nothing behind this link")]
    Unknown,
    /// It was used as often as it may be.
    #[error("this link has been used as often as it may be")]
    UsedUp,
    /// Its time is over.
    #[error("this link has expired")]
    Expired,
    /// An operator withdrew it.
    #[error("this link has been withdrawn")]
    Revoked,
    /// The store is out of reach; nothing was counted.
    #[error(transparent)]
    Trouble(#[from] Trouble),
}

impl From<interline_store::Error> for Closed {
    fn from(error: interline_store::Error) -> Self {
        Self::Trouble(error.into())
    }
}

/// A link, found and not expired.
struct Found {
    link: Link,
    bot: String,
    accesses: u32,
    /// The transfer's Open.
    first: Seq,
    until: Time,
}

impl Engine {
    /// How often a link may still be used, without using it.
    ///
    /// # Errors
    /// It is not good any more.
    pub async fn peek_transcript(&self, token: &str) -> Result<u32, Closed> {
        let found = self.inner.find_transcript(token).await?;
        let Link { app, conversation, participant } = &found.link;
        let shares = self.inner.store.shares_of(app.as_str(), conversation.as_str()).await?;
        let share = shares.iter().find(|share| share.participant == i64::from(participant.0));
        if share.is_some_and(|share| share.revoked_at.is_some()) {
            return Err(Closed::Revoked);
        }
        let used = share.map_or(0, |share| u32::try_from(share.used).unwrap_or(u32::MAX));
        match found.accesses.saturating_sub(used) {
            0 => Err(Closed::UsedUp),
            left => Ok(left),
        }
    }

    /// Uses a link once. It is counted and noted before this returns.
    ///
    /// # Errors
    /// It is not good any more; or the store is out of reach, and an access may have been counted.
    pub async fn redeem_transcript(&self, token: &str, by: Access) -> Result<Transcript, Closed> {
        let redeemed = self.count_and_read(token, by).await;
        crate::observe::transcript_asked(match &redeemed {
            Ok(_) => "granted",
            Err(Closed::Unknown) => "unknown",
            Err(Closed::UsedUp) => "used_up",
            Err(Closed::Expired) => "expired",
            Err(Closed::Revoked) => "revoked",
            Err(Closed::Trouble(_)) => "trouble",
        });
        redeemed
    }

    async fn count_and_read(&self, token: &str, by: Access) -> Result<Transcript, Closed> {
        let found = self.inner.find_transcript(token).await?;
        let Link { app, conversation, participant } = &found.link;
        // Read first: what cannot be shown is not counted.
        let until = to_i64(found.first.0);
        let rows = self.inner.store.entries_before(app.as_str(), conversation.as_str(), until, LINES).await?;
        let entries: Vec<Entry> = rows.iter().map(|row| read_entry(&row.doc)).collect::<Result<_, _>>()?;
        let redeemed = self
            .inner
            .store
            .redeem(
                app.as_str(),
                conversation.as_str(),
                i64::from(participant.0),
                i64::from(found.accesses),
                self.inner.now().0,
                by,
            )
            .await?;
        let used = match redeemed {
            Redeemed::Granted { used } => u32::try_from(used).unwrap_or(u32::MAX),
            Redeemed::UsedUp => return Err(Closed::UsedUp),
            Redeemed::Revoked => return Err(Closed::Revoked),
            Redeemed::Unknown => return Err(Closed::Unknown),
        };
        Ok(Transcript {
            app: found.link.app,
            participant: found.link.participant,
            bot: found.bot,
            cut: entries.first().is_some_and(|first| first.seq > Seq(1)),
            entries: entries.into_iter().filter(Entry::customer_sees).collect(),
            until: found.until,
            left: found.accesses.saturating_sub(used),
        })
    }

    /// Withdraws a participant's link. False: it was withdrawn before.
    ///
    /// # Errors
    /// [`Trouble::Unknown`]: this app has no such participant.
    pub async fn revoke_transcript(
        &self,
        app: &AppId,
        conversation: &ConversationId,
        participant: ParticipantNo,
    ) -> Result<bool, Trouble> {
        let detail = self.conversation(app, conversation).await?;
        if !detail.seats.iter().any(|seat| seat.participant.no == participant) {
            return Err(Trouble::Unknown);
        }
        let no = i64::from(participant.0);
        let now = self.inner.now().0;
        Ok(self.inner.store.revoke_share(app.as_str(), conversation.as_str(), no, now).await?)
    }

    /// How the links of a conversation were used.
    ///
    /// # Errors
    /// The store is out of reach.
    pub async fn transcript_accesses(
        &self,
        app: &AppId,
        conversation: &ConversationId,
    ) -> Result<Vec<ShareRow>, Trouble> {
        Ok(self.inner.store.shares_of(app.as_str(), conversation.as_str()).await?)
    }
}

impl Inner {
    /// The link for a participant. None: the app gives none.
    pub(crate) fn transcript_url(
        &self,
        app: &AppId,
        conversation: &ConversationId,
        participant: ParticipantNo,
    ) -> Option<Url> {
        let runtime = self.apps.get(app).filter(|runtime| runtime.transcript.link)?;
        if runtime.transcript.accesses == 0 {
            return None;
        }
        let link = Link { app: app.clone(), conversation: conversation.clone(), participant };
        let token = token::sign(self.store.seal(), PURPOSE, link.names()?)?;
        self.public_url.join(&format!("/t/{token}")).ok()
    }

    async fn find_transcript(&self, token: &str) -> Result<Found, Closed> {
        let link = self.read_token(token).ok_or(Closed::Unknown)?;
        let runtime = self.apps.get(&link.app).ok_or(Closed::Unknown)?;
        let Link { app, conversation, participant } = &link;
        let loaded = self.store.load(app.as_str(), conversation.as_str()).await?.ok_or(Closed::Unknown)?;
        let row = loaded.participants.iter().find(|row| row.no == i64::from(participant.0));
        let about: crate::live::About = row
            .and_then(|row| serde_json::from_str(&row.doc).ok())
            .filter(|_| participant.0 > 0)
            .ok_or(Closed::Unknown)?;
        let first = about.participant.from;
        let open =
            self.store.entries_after(app.as_str(), conversation.as_str(), to_i64(first.0) - 1, 1).await?;
        let open = open.first().map(|row| read_entry(&row.doc)).transpose()?.ok_or(Closed::Unknown)?;
        if !matches!(open.body, Body::Open) {
            return Err(Closed::Unknown);
        }
        let transcript = &runtime.transcript;
        if open.at.plus(u64::from(transcript.expires_hours) * 3_600_000) <= self.now() {
            return Err(Closed::Expired);
        }
        Ok(Found {
            bot: runtime.channel_app.name.clone(),
            accesses: transcript.accesses,
            until: open.at,
            first,
            link,
        })
    }

    fn read_token(&self, token: &str) -> Option<Link> {
        let names = token::read(self.store.seal(), PURPOSE, token)?;
        if names.len() == NAMES_BYTES { Link::read(&names) } else { None }
    }
}

impl Link {
    /// None: an id is not the UUID that ours are.
    fn names(&self) -> Option<Vec<u8>> {
        let app = Uuid::try_parse(self.app.as_str().strip_prefix("st-")?).ok()?;
        let conversation = Uuid::try_parse(self.conversation.as_str().strip_prefix("cnv_")?).ok()?;
        let mut names = Vec::with_capacity(NAMES_BYTES);
        names.push(VERSION);
        names.extend_from_slice(app.as_bytes());
        names.extend_from_slice(conversation.as_bytes());
        names.extend_from_slice(&self.participant.0.to_be_bytes());
        Some(names)
    }

    fn read(names: &[u8]) -> Option<Self> {
        if names.first() != Some(&VERSION) {
            return None;
        }
        let app = Uuid::from_slice(names.get(1..17)?).ok()?;
        let conversation = Uuid::from_slice(names.get(17..33)?).ok()?;
        let participant = u32::from_be_bytes(names.get(33..37)?.try_into().ok()?);
        Some(Self {
            app: AppId::new(format!("st-{app}")),
            conversation: ConversationId::new(format!("cnv_{}", conversation.simple())),
            participant: ParticipantNo(participant),
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_link_says_what_it_leads_to() {
        let link = Link {
            app: AppId::from("st-01a204dd-17f5-54ae-b94b-cf55b9bf7754"),
            conversation: ConversationId::from("cnv_01a204dd17f574aeb94bcf55b9bf7754"),
            participant: ParticipantNo(7),
        };
        let names = link.names().unwrap();
        assert_eq!(names.len(), NAMES_BYTES);
        assert_eq!(Link::read(&names), Some(link));
        assert_eq!(Link::read(&names[..30]), None);
    }
}
