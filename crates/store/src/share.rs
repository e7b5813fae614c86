//! Shared transcripts: each participant's link may be used a limited number of times, and everybody who used it is
//! noted.
//!
//! A use is counted before it is granted, durably. When the answer is lost the use stays counted: one too many is
//! counted at worst, and none too many is granted.

use std::fmt;
use std::sync::Arc;

use crate::Store;
use crate::error::Error;
use crate::group::Failure;
use crate::sql::{self, Connection};
use crate::task;

/// Who wants to see a transcript.
#[derive(Clone, PartialEq, Eq)]
pub struct Access {
    /// By which way.
    pub how: String,
    /// From where.
    pub peer: String,
    /// With what program.
    pub agent: String,
}

impl fmt::Debug for Access {
    /// Without what tells who it was.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Access").field("how", &self.how).finish_non_exhaustive()
    }
}

/// Whether a transcript may be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Redeemed {
    /// Yes, and it is counted and noted.
    Granted {
        /// Which use this was, from 1.
        used: i64,
    },
    /// It was shown as often as it may be.
    UsedUp,
    /// It was withdrawn.
    Revoked,
    /// This app has no such participant (any more).
    Unknown,
}

/// How often a participant's link was used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShareRow {
    /// The participant's number.
    pub participant: i64,
    /// Uses so far.
    pub used: i64,
    /// When it was withdrawn, milliseconds.
    pub revoked_at: Option<i64>,
    /// The uses, the first one first.
    pub accesses: Vec<AccessRow>,
}

/// One use of a link.
#[derive(Clone, PartialEq, Eq)]
pub struct AccessRow {
    /// Its number, from 1.
    pub no: i64,
    /// When, milliseconds.
    pub at: i64,
    /// By which way.
    pub how: String,
    /// From where.
    pub peer: String,
    /// With what program.
    pub agent: String,
}

impl fmt::Debug for AccessRow {
    /// Without what tells who it was.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AccessRow(#{} at {}, {})", self.no, self.at, self.how)
    }
}

/// One participant's link.
struct Place {
    app: String,
    conversation: String,
    participant: i64,
}

impl Store {
    /// Counts one use of the participant's link, of `most` (at least 1), and notes who it was; `now` in milliseconds.
    ///
    /// The use is durable before it is granted. After [`Error::Retry`] it may have been counted, and a repeat counts
    /// again.
    pub async fn redeem(
        &self,
        app: &str,
        conversation: &str,
        participant: i64,
        most: i64,
        now: i64,
        by: Access,
    ) -> Result<Redeemed, Error> {
        let place = place(app, conversation, participant);
        let by = Arc::new(by);
        let call = task::call(move |connection| {
            let (place, by) = (place.clone(), by.clone());
            Box::pin(async move { count(connection, &place, most, now, &by).await })
        });
        self.lanes().conversation_task((app.into(), conversation.into()), call).await
    }

    /// Withdraws the participant's link from `now` on, milliseconds, used or not. False: there is no such participant,
    /// or it was withdrawn already.
    pub async fn revoke_share(
        &self,
        app: &str,
        conversation: &str,
        participant: i64,
        now: i64,
    ) -> Result<bool, Error> {
        let place = place(app, conversation, participant);
        let call = task::call(move |connection| {
            let place = place.clone();
            Box::pin(async move {
                make(connection, &place).await?;
                let changed = sql::query(
                    "UPDATE share SET revoked_at = $4 WHERE app = $1 AND conversation = $2 \
                     AND participant = $3 AND revoked_at IS NULL",
                )
                .bind(place.app.clone())
                .bind(place.conversation.clone())
                .bind(place.participant)
                .bind(now)
                .execute(connection)
                .await?;
                Ok(changed.rows_affected() == 1)
            })
        });
        self.lanes().conversation_task((app.into(), conversation.into()), call).await
    }

    /// The conversation's links that were used or withdrawn, by participant, from one snapshot.
    pub async fn shares_of(&self, app: &str, conversation: &str) -> Result<Vec<ShareRow>, Error> {
        let rows = sql::query(
            "SELECT s.participant, s.used, s.revoked_at, a.no, a.at, a.how, a.peer, a.agent \
             FROM share s LEFT JOIN share_access a ON a.app = s.app AND a.conversation = s.conversation \
             AND a.participant = s.participant \
             WHERE s.app = $1 AND s.conversation = $2 ORDER BY s.participant, a.no",
        )
        .bind(app)
        .bind(conversation)
        .fetch_all(self.readers())
        .await?;
        let mut shares: Vec<ShareRow> = Vec::new();
        for row in &rows {
            let participant: i64 = row.try_get("participant")?;
            if shares.last().is_none_or(|last| last.participant != participant) {
                let (used, revoked_at) = (row.try_get("used")?, row.try_get("revoked_at")?);
                shares.push(ShareRow { participant, used, revoked_at, accesses: Vec::new() });
            }
            let Some(no) = row.try_get::<Option<i64>>("no")? else { continue };
            if let Some(share) = shares.last_mut() {
                share.accesses.push(AccessRow {
                    no,
                    at: row.try_get("at")?,
                    how: row.try_get("how")?,
                    peer: row.try_get("peer")?,
                    agent: row.try_get("agent")?,
                });
            }
        }
        Ok(shares)
    }
}

fn place(app: &str, conversation: &str, participant: i64) -> Arc<Place> {
    Arc::new(Place { app: app.to_owned(), conversation: conversation.to_owned(), participant })
}

/// Makes the row if there is a participant and no row yet.
async fn make(connection: &mut Connection, place: &Place) -> Result<(), Failure> {
    sql::query(
        "INSERT INTO share (app, conversation, participant, used) \
         SELECT app, conversation, no, 0 FROM participant WHERE app = $1 AND conversation = $2 AND no = $3 \
         ON CONFLICT DO NOTHING",
    )
    .bind(place.app.clone())
    .bind(place.conversation.clone())
    .bind(place.participant)
    .execute(connection)
    .await?;
    Ok(())
}

async fn count(
    connection: &mut Connection,
    place: &Place,
    most: i64,
    now: i64,
    by: &Access,
) -> Result<Redeemed, Failure> {
    make(connection, place).await?;
    // The condition stands in the write itself: two nodes may get here at once.
    let counted = sql::query(
        "UPDATE share SET used = used + 1 WHERE app = $1 AND conversation = $2 AND participant = $3 \
         AND revoked_at IS NULL AND used < $4 RETURNING used",
    )
    .bind(place.app.clone())
    .bind(place.conversation.clone())
    .bind(place.participant)
    .bind(most)
    .fetch_optional(&mut *connection)
    .await?;
    let Some(row) = counted else { return refusal(connection, place).await };
    let used: i64 = row.try_get("used")?;
    sql::query(
        "INSERT INTO share_access (app, conversation, participant, no, at, how, peer, agent) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
    )
    .bind(place.app.clone())
    .bind(place.conversation.clone())
    .bind(place.participant)
    .bind(used)
    .bind(now)
    .bind(by.how.clone())
    .bind(by.peer.clone())
    .bind(by.agent.clone())
    .execute(connection)
    .await?;
    Ok(Redeemed::Granted { used })
}

/// Why nothing was counted.
async fn refusal(connection: &mut Connection, place: &Place) -> Result<Redeemed, Failure> {
    let row =
        sql::query("SELECT revoked_at FROM share WHERE app = $1 AND conversation = $2 AND participant = $3")
            .bind(place.app.clone())
            .bind(place.conversation.clone())
            .bind(place.participant)
            .fetch_optional(connection)
            .await?;
    let Some(row) = row else { return Ok(Redeemed::Unknown) };
    Ok(match row.try_get::<Option<i64>>("revoked_at")? {
        Some(_) => Redeemed::Revoked,
        None => Redeemed::UsedUp,
    })
}
