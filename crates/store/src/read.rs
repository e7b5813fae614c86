//! Reading: everything the engine, the API and the dispatcher look up.
//!
//! Reads use their own pool and never wait for writers. They see what is durable, nothing else.

use std::sync::Arc;

use crate::Store;
use crate::error::Error;
use crate::sql::{self, Row};
use crate::unit::{EntryRow, Inbox, ParticipantRow, session_place};

/// A conversation with its participants, as of one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loaded {
    /// Guards the next write.
    pub version: i64,
    /// The state document.
    pub doc: String,
    /// `bot`, `agent` or `closed`.
    pub owner: String,
    /// The customer's id.
    pub customer: String,
    /// The channel integration's name.
    pub channel: String,
    /// The last entry's seq.
    pub head: i64,
    /// When it opened, milliseconds.
    pub opened_at: i64,
    /// When it closed, milliseconds.
    pub closed_at: Option<i64>,
    /// By number, sessions opened.
    pub participants: Vec<ParticipantRow>,
}

/// A participant that has something to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    /// The tenant.
    pub app: Arc<str>,
    /// The conversation.
    pub conversation: Arc<str>,
    /// The participant's number.
    pub no: i64,
    /// Since when, milliseconds.
    pub due_at: i64,
}

/// Numbers for a status line. Counts rows, so not for a path that runs often.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Customers known.
    pub customers: i64,
    /// Conversations kept, open or closed.
    pub conversations: i64,
    /// Conversations that are open.
    pub open: i64,
    /// Participants with entries before them.
    pub behind: i64,
    /// Participants whose last try failed.
    pub failing: i64,
}

impl Store {
    /// The conversation and its participants from one snapshot; `None`: there is none, or not in this app.
    pub async fn load(&self, app: &str, conversation: &str) -> Result<Option<Loaded>, Error> {
        // One statement, so that both tables are seen at the same moment on either database.
        let rows = sql::query(
            "SELECT c.version, c.doc AS state, c.owner, c.customer, c.channel, c.head AS last, c.opened_at, \
             c.closed_at, p.no, p.integration, p.role, p.doc, p.cursor, p.head, p.due_at, p.attempts, \
             p.failing_since, p.attempt_key, p.last_error, p.delivered, p.read, p.done, p.session \
             FROM conversation c LEFT JOIN participant p ON p.app = c.app AND p.conversation = c.id \
             WHERE c.app = $1 AND c.id = $2 ORDER BY p.no",
        )
        .bind(app)
        .bind(conversation)
        .fetch_all(self.readers())
        .await?;
        let Some(first) = rows.first() else { return Ok(None) };
        let mut loaded = Loaded {
            version: first.try_get("version")?,
            doc: first.try_get("state")?,
            owner: first.try_get("owner")?,
            customer: first.try_get("customer")?,
            channel: first.try_get("channel")?,
            head: first.try_get("last")?,
            opened_at: first.try_get("opened_at")?,
            closed_at: first.try_get("closed_at")?,
            participants: Vec::with_capacity(rows.len()),
        };
        for row in &rows {
            if let Some(no) = row.try_get::<Option<i64>>("no")? {
                let sealed: Option<String> = row.try_get("session")?;
                let open =
                    |sealed: String| self.seal().open_text(&session_place(app, conversation, no), &sealed);
                loaded.participants.push(participant(row, no, sealed.map(open).transpose()?)?);
            }
        }
        Ok(Some(loaded))
    }

    /// Whether this app has this conversation.
    pub async fn conversation_exists(&self, app: &str, conversation: &str) -> Result<bool, Error> {
        let found = sql::query("SELECT version FROM conversation WHERE app = $1 AND id = $2")
            .bind(app)
            .bind(conversation)
            .fetch_optional(self.readers())
            .await?;
        Ok(found.is_some())
    }

    /// The customer's one open conversation.
    pub async fn open_conversation(&self, app: &str, customer: &str) -> Result<Option<String>, Error> {
        sql::query("SELECT id FROM conversation WHERE app = $1 AND customer = $2 AND closed_at IS NULL")
            .bind(app)
            .bind(customer)
            .fetch_optional(self.readers())
            .await?
            .map(|row| Ok(row.try_get("id")?))
            .transpose()
    }

    /// The customer's conversations, newest first.
    pub async fn conversations_of(
        &self,
        app: &str,
        customer: &str,
        limit: i64,
    ) -> Result<Vec<String>, Error> {
        let rows = sql::query(
            "SELECT id FROM conversation WHERE app = $1 AND customer = $2 \
             ORDER BY opened_at DESC, id DESC LIMIT $3",
        )
        .bind(app)
        .bind(customer)
        .bind(limit)
        .fetch_all(self.readers())
        .await?;
        rows.iter().map(|row| Ok(row.try_get("id")?)).collect()
    }

    /// The first `limit` entries behind `after_seq`, ascending.
    pub async fn entries_after(
        &self,
        app: &str,
        conversation: &str,
        after_seq: i64,
        limit: i64,
    ) -> Result<Vec<EntryRow>, Error> {
        let rows = sql::query(
            "SELECT seq, at, doc FROM entry WHERE app = $1 AND conversation = $2 AND seq > $3 \
             ORDER BY seq LIMIT $4",
        )
        .bind(app)
        .bind(conversation)
        .bind(after_seq)
        .bind(limit)
        .fetch_all(self.readers())
        .await?;
        rows.iter().map(entry).collect()
    }

    /// The last `limit` entries before `before_seq`, ascending.
    pub async fn entries_before(
        &self,
        app: &str,
        conversation: &str,
        before_seq: i64,
        limit: i64,
    ) -> Result<Vec<EntryRow>, Error> {
        let rows = sql::query(
            "SELECT seq, at, doc FROM entry WHERE app = $1 AND conversation = $2 AND seq < $3 \
             ORDER BY seq DESC LIMIT $4",
        )
        .bind(app)
        .bind(conversation)
        .bind(before_seq)
        .bind(limit)
        .fetch_all(self.readers())
        .await?;
        rows.iter().rev().map(entry).collect()
    }

    /// Participants of all apps that are due at `now`, the longest waiting first.
    pub async fn due_participants(&self, now: i64, limit: i64) -> Result<Vec<Due>, Error> {
        let rows = sql::query(
            "SELECT app, conversation, no, due_at FROM participant WHERE due_at <= $1 \
             ORDER BY due_at LIMIT $2",
        )
        .bind(now)
        .bind(limit)
        .fetch_all(self.readers())
        .await?;
        rows.iter()
            .map(|row| {
                Ok(Due {
                    app: shared(row, "app")?,
                    conversation: shared(row, "conversation")?,
                    no: row.try_get("no")?,
                    due_at: row.try_get("due_at")?,
                })
            })
            .collect()
    }

    /// Conversations of all apps whose deadline has come at `now` (app, conversation, deadline), the oldest first.
    pub async fn due_conversations(
        &self,
        now: i64,
        limit: i64,
    ) -> Result<Vec<(Arc<str>, Arc<str>, i64)>, Error> {
        let rows = sql::query(
            "SELECT app, id, wake_at FROM conversation WHERE wake_at <= $1 ORDER BY wake_at LIMIT $2",
        )
        .bind(now)
        .bind(limit)
        .fetch_all(self.readers())
        .await?;
        rows.iter()
            .map(|row| Ok((shared(row, "app")?, shared(row, "id")?, row.try_get("wake_at")?)))
            .collect()
    }

    /// When the next participant or conversation is due, milliseconds; it may be in the past.
    pub async fn next_due(&self) -> Result<Option<i64>, Error> {
        let row = sql::query(
            "SELECT (SELECT min(due_at) FROM participant WHERE due_at IS NOT NULL) AS participant, \
             (SELECT min(wake_at) FROM conversation WHERE wake_at IS NOT NULL) AS conversation",
        )
        .fetch_one(self.readers())
        .await?;
        let participant: Option<i64> = row.try_get("participant")?;
        let conversation: Option<i64> = row.try_get("conversation")?;
        Ok(participant.into_iter().chain(conversation).min())
    }

    /// Every input of the conversation, in the order in which they were committed.
    pub async fn replay(&self, app: &str, conversation: &str) -> Result<Vec<Inbox>, Error> {
        let rows = sql::query(
            "SELECT integration, scope, external_id, at, doc FROM inbox \
             WHERE app = $1 AND conversation = $2 ORDER BY version, at, external_id",
        )
        .bind(app)
        .bind(conversation)
        .fetch_all(self.readers())
        .await?;
        rows.iter()
            .map(|row| {
                Ok(Inbox {
                    integration: row.try_get("integration")?,
                    scope: row.try_get("scope")?,
                    external_id: row.try_get("external_id")?,
                    at: row.try_get("at")?,
                    doc: row.try_get("doc")?,
                })
            })
            .collect()
    }

    /// Which (seq, part) the participant's outside means by `remote_id`.
    pub async fn remote_to_seq(
        &self,
        app: &str,
        conversation: &str,
        participant: i64,
        remote_id: &str,
    ) -> Result<Option<(i64, i64)>, Error> {
        sql::query(
            "SELECT seq, part FROM remote_id \
             WHERE app = $1 AND conversation = $2 AND participant = $3 AND remote_id = $4",
        )
        .bind(app)
        .bind(conversation)
        .bind(participant)
        .bind(remote_id)
        .fetch_optional(self.readers())
        .await?
        .map(|row| Ok((row.try_get("seq")?, row.try_get("part")?)))
        .transpose()
    }

    /// What the participant's outside calls the entry: (part, remote id), by part.
    pub async fn seq_to_remote(
        &self,
        app: &str,
        conversation: &str,
        participant: i64,
        seq: i64,
    ) -> Result<Vec<(i64, String)>, Error> {
        let rows = sql::query(
            "SELECT part, remote_id FROM remote_id \
             WHERE app = $1 AND conversation = $2 AND participant = $3 AND seq = $4 ORDER BY part, remote_id",
        )
        .bind(app)
        .bind(conversation)
        .bind(participant)
        .bind(seq)
        .fetch_all(self.readers())
        .await?;
        rows.iter().map(|row| Ok((row.try_get("part")?, row.try_get("remote_id")?))).collect()
    }

    /// Numbers for a status line of this app.
    pub async fn counts(&self, app: &str) -> Result<Counts, Error> {
        let row = sql::query(
            "SELECT (SELECT count(*) FROM customer WHERE app = $1) AS customers, \
             (SELECT count(*) FROM conversation WHERE app = $1) AS conversations, \
             (SELECT count(*) FROM conversation WHERE app = $1 AND closed_at IS NULL) AS open, \
             (SELECT count(*) FROM participant WHERE app = $1 AND done = 0 AND head > cursor) AS behind, \
             (SELECT count(*) FROM participant WHERE app = $1 AND done = 0 AND failing_since IS NOT NULL) \
             AS failing",
        )
        .bind(app)
        .fetch_one(self.readers())
        .await?;
        Ok(Counts {
            customers: row.try_get("customers")?,
            conversations: row.try_get("conversations")?,
            open: row.try_get("open")?,
            behind: row.try_get("behind")?,
            failing: row.try_get("failing")?,
        })
    }
}

fn shared(row: &Row, column: &'static str) -> Result<Arc<str>, Error> {
    Ok(row.try_get::<String>(column)?.into())
}

fn entry(row: &Row) -> Result<EntryRow, Error> {
    Ok(EntryRow { seq: row.try_get("seq")?, at: row.try_get("at")?, doc: row.try_get("doc")? })
}

/// A participant from its columns; its session was opened by the caller, or left alone.
pub(crate) fn participant(row: &Row, no: i64, session: Option<String>) -> Result<ParticipantRow, Error> {
    Ok(ParticipantRow {
        no,
        integration: row.try_get("integration")?,
        role: row.try_get("role")?,
        doc: row.try_get("doc")?,
        cursor: row.try_get("cursor")?,
        head: row.try_get("head")?,
        due_at: row.try_get("due_at")?,
        attempts: row.try_get("attempts")?,
        failing_since: row.try_get("failing_since")?,
        attempt_key: row.try_get("attempt_key")?,
        last_error: row.try_get("last_error")?,
        delivered: row.try_get("delivered")?,
        read: row.try_get("read")?,
        session,
        done: row.try_get::<i64>("done")? != 0,
    })
}
