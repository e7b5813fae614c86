//! Forgetting: erasure of a customer, and the retention sweep.
//!
//! Each conversation is erased by its own lane, behind the units that were sent before, in one transaction. Foreign keys
//! keep a late unit from bringing rows back. On SQLite the deleted bytes are overwritten (`secure_delete`), in the file
//! and, after the next checkpoints have reused it, in its log; on PostgreSQL they go with the next vacuum. Backups are the operator's.

use std::sync::Arc;

use crate::Store;
use crate::customer;
use crate::error::Error;
use crate::file;
use crate::group::Failure;
use crate::sql::{self, Connection};
use crate::task;

/// How many rows were deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Erased {
    /// Customers: 1, or 0 if there was none.
    pub customers: u64,
    /// Conversations.
    pub conversations: u64,
    /// Entries.
    pub entries: u64,
    /// Inputs.
    pub inputs: u64,
    /// Participants.
    pub participants: u64,
    /// Remote ids.
    pub remote_ids: u64,
    /// Shared transcripts that were used or withdrawn.
    pub shares: u64,
    /// Their uses.
    pub share_accesses: u64,
    /// Files: their rows say no more than that there are bytes to be deleted ([`Store::sweep_files`]).
    pub files: u64,
    /// Expired `once` rows.
    pub once: u64,
}

impl Erased {
    fn add(&mut self, other: Self) {
        self.customers += other.customers;
        self.conversations += other.conversations;
        self.entries += other.entries;
        self.inputs += other.inputs;
        self.participants += other.participants;
        self.remote_ids += other.remote_ids;
        self.shares += other.shares;
        self.share_accesses += other.share_accesses;
        self.files += other.files;
        self.once += other.once;
    }
}

/// Tries at a customer who keeps opening conversations while being erased.
const ROUNDS: usize = 10;
/// Conversations that are looked up at a time.
const BATCH: i64 = 100;

impl Store {
    /// Deletes the customer and everything that was ever written about their conversations: entries, inputs, sessions,
    /// remote ids, who saw the transcript, files. Afterwards an input that the outside repeats is new again. The bytes of
    /// the files are the caller's to delete: [`Store::sweep_files`] names them.
    ///
    /// [`Error::Retry`] leaves it half done; call again.
    pub async fn erase_customer(&self, app: &str, customer: &str) -> Result<Erased, Error> {
        let mut erased = Erased::default();
        for _ in 0..ROUNDS {
            loop {
                let conversations = self.conversations_of(app, customer, BATCH).await?;
                if conversations.is_empty() {
                    break;
                }
                for conversation in conversations {
                    erased.add(self.erase_conversation(app, &conversation, None).await?);
                }
            }
            match self.delete_customer(app, customer).await {
                Ok((customers, waiting)) => {
                    erased.customers = customers;
                    erased.files += waiting;
                    return Ok(erased);
                }
                // A conversation was opened in between: the customer's row is still referred to.
                Err(Error::Gone) => {}
                Err(error) => return Err(error),
            }
        }
        Err(Error::Retry("the customer keeps opening conversations".to_owned()))
    }

    /// Deletes up to `limit` closed conversations whose time is up at `now` (milliseconds), and up to `limit` expired
    /// `once` rows. Call again while it finds `limit`, and [`Store::sweep_files`] for the bytes of their files.
    pub async fn sweep(&self, now: i64, limit: i64) -> Result<Erased, Error> {
        let rows = sql::query(
            "SELECT app, id FROM conversation WHERE retain_until <= $1 AND closed_at IS NOT NULL \
             ORDER BY retain_until LIMIT $2",
        )
        .bind(now)
        .bind(limit)
        .fetch_all(self.readers())
        .await?;
        let mut erased = Erased::default();
        for row in rows {
            let app: String = row.try_get("app")?;
            let conversation: String = row.try_get("id")?;
            erased.add(self.erase_conversation(&app, &conversation, Some(now)).await?);
        }
        let call = task::call(move |connection| {
            Box::pin(async move {
                let deleted = sql::query(
                    "DELETE FROM once WHERE (app, kind, hash) IN \
                     (SELECT app, kind, hash FROM once WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2)",
                )
                .bind(now)
                .bind(limit)
                .execute(connection)
                .await?;
                Ok(deleted.rows_affected())
            })
        });
        erased.once = self.lanes().task("", "sweep", call).await?;
        Ok(erased)
    }

    /// `due`: only if it is closed and its retention ended by then.
    async fn erase_conversation(
        &self,
        app: &str,
        conversation: &str,
        due: Option<i64>,
    ) -> Result<Erased, Error> {
        let key: (Arc<str>, Arc<str>) = (app.into(), conversation.into());
        let which = key.clone();
        let call = task::call(move |connection| {
            let which = which.clone();
            Box::pin(async move { delete_conversation(connection, &which.0, &which.1, due).await })
        });
        match self.lanes().conversation_task(key, call).await {
            // Another node wrote a row that refers to one of these, between the deletions.
            Err(Error::Gone) => Err(Error::Retry("the conversation is being written to".to_owned())),
            other => other,
        }
    }

    /// The customer, and the files that no entry named yet: how many of each.
    async fn delete_customer(&self, app: &str, customer: &str) -> Result<(u64, u64), Error> {
        let key: Arc<(String, String)> = Arc::new((app.to_owned(), customer.to_owned()));
        let call = task::call(move |connection| {
            let key = key.clone();
            Box::pin(async move {
                if !customer::hold(connection, &key.0, &key.1).await? {
                    return Ok((0, 0));
                }
                let files = file::give_up(connection, "customer", &key.0, &key.1).await?;
                let deleted = sql::query("DELETE FROM customer WHERE app = $1 AND id = $2")
                    .bind(key.0.clone())
                    .bind(key.1.clone())
                    .execute(connection)
                    .await?;
                Ok((deleted.rows_affected(), files))
            })
        });
        self.lanes().task(app, customer, call).await
    }
}

async fn delete_conversation(
    connection: &mut Connection,
    app: &str,
    conversation: &str,
    due: Option<i64>,
) -> Result<Erased, Failure> {
    if !hold(connection, app, conversation, due).await? {
        return Ok(Erased::default());
    }
    let files = file::give_up(connection, "conversation", app, conversation).await?;
    let mut gone = async |sql: &'static str| delete(connection, sql, app, conversation).await;
    // What refers to other rows goes before them.
    gone("DELETE FROM task_run WHERE app = $1 AND conversation = $2").await?;
    gone("DELETE FROM tag WHERE app = $1 AND conversation = $2").await?;
    gone("DELETE FROM facts WHERE app = $1 AND conversation = $2").await?;
    Ok(Erased {
        inputs: gone("DELETE FROM inbox WHERE app = $1 AND conversation = $2").await?,
        entries: gone("DELETE FROM entry WHERE app = $1 AND conversation = $2").await?,
        remote_ids: gone("DELETE FROM remote_id WHERE app = $1 AND conversation = $2").await?,
        share_accesses: gone("DELETE FROM share_access WHERE app = $1 AND conversation = $2").await?,
        shares: gone("DELETE FROM share WHERE app = $1 AND conversation = $2").await?,
        participants: gone("DELETE FROM participant WHERE app = $1 AND conversation = $2").await?,
        conversations: gone("DELETE FROM conversation WHERE app = $1 AND id = $2").await?,
        customers: 0,
        files,
        once: 0,
    })
}

/// Holds the conversation's row, so that another node's unit is either written before all that follows, and found by it,
/// or fails its guard. False: there is none, or its time is not up at `due`.
async fn hold(
    connection: &mut Connection,
    app: &str,
    conversation: &str,
    due: Option<i64>,
) -> Result<bool, Failure> {
    let held = sql::query(
        "UPDATE conversation SET version = version WHERE app = $1 AND id = $2 RETURNING retain_until, closed_at",
    )
    .bind(app)
    .bind(conversation)
    .fetch_optional(connection)
    .await?;
    let Some(row) = held else { return Ok(false) };
    let Some(now) = due else { return Ok(true) };
    let closed = row.try_get::<Option<i64>>("closed_at")?.is_some();
    Ok(closed && row.try_get::<Option<i64>>("retain_until")?.is_some_and(|until| until <= now))
}

async fn delete(
    connection: &mut Connection,
    sql: &'static str,
    app: &str,
    conversation: &str,
) -> Result<u64, Failure> {
    let deleted = sql::query(sql).bind(app).bind(conversation).execute(connection).await?;
    Ok(deleted.rows_affected())
}
