//! Stored files: whose they are, which conversation names them, and who downloaded them. Their bytes are elsewhere.
//!
//! ```text
//!   put_file ─► waiting ─► (a unit's entry names it) ─► shared ─► (erased) ─► gone ─► forget_file
//!                  └──────────── (a day) ───────────────────────────────────►┘
//! ```
//!
//! A unit takes its files in its own transaction (`group.rs`), and the sweep takes those that nobody took: each states its
//! condition in its write, so one of the two wins. Whoever counts a use holds the file's row: a withdrawal or an erasure
//! comes before it or behind it, never in between.

use std::fmt;
use std::sync::Arc;

use crate::Store;
use crate::customer;
use crate::error::Error;
use crate::group::Failure;
use crate::rows::{Statement, Type::Number, Type::Text, Values};
use crate::share::{Access, AccessRow, Redeemed};
use crate::sql::{self, Connection, Row};
use crate::task;

/// A stored file.
#[derive(Clone, PartialEq, Eq)]
pub struct FileRow {
    /// Its id.
    pub id: String,
    /// The customer for whose conversation it is, whoever sent it.
    pub customer: String,
    /// The conversation that names it; none: it waits.
    pub conversation: Option<String>,
    /// Who sent it: `customer` or `agent`.
    pub by: String,
    /// What it is, as JSON that the store does not look into.
    pub doc: String,
    /// Bytes.
    pub size: i64,
    /// When it was stored, milliseconds.
    pub created_at: i64,
    /// When an entry first named it, milliseconds.
    pub shared_at: Option<i64>,
    /// When it was withdrawn, milliseconds.
    pub revoked_at: Option<i64>,
}

impl fmt::Debug for FileRow {
    /// Without the document: it holds what a person called it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FileRow({} by {}, {} bytes)", self.id, self.by, self.size)
    }
}

/// How often one audience's link to a file was used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileShare {
    /// Whose link: a participant's number.
    pub audience: String,
    /// Uses so far.
    pub used: i64,
    /// The uses, the first one first.
    pub accesses: Vec<AccessRow>,
}

/// Those of a list that are there.
static FILES: Statement = Statement::update(
    "WITH v (tenant, name) AS (VALUES ",
    &[Text, Text],
    ") SELECT id, customer, conversation, by_role, doc, size, created_at, shared_at, revoked_at \
     FROM v JOIN file ON file.app = v.tenant AND file.id = v.name WHERE gone_at IS NULL",
);

/// Those of a list that still wait. Said so that no partial index answers it: each row is found by its key.
static SWEEP: Statement = Statement::update(
    "WITH v (app, id, gone_at) AS (VALUES ",
    &[Text, Text, Number],
    ") UPDATE file SET gone_at = v.gone_at, customer = NULL, doc = '' FROM v \
     WHERE file.app = v.app AND file.id = v.id AND coalesce(file.conversation, '') = '' AND file.gone_at IS NULL",
);

/// One audience's link to a file.
struct Link {
    app: String,
    file: String,
    audience: String,
}

impl Store {
    /// Notes a stored file. The same id again changes nothing.
    ///
    /// # Errors
    ///
    /// [`Error::Gone`]: the customer (or the conversation, if the row names one) was erased. Delete the bytes.
    pub async fn put_file(&self, app: &str, row: FileRow) -> Result<(), Error> {
        let (name, key) = (row.id.clone(), Arc::new((app.to_owned(), row)));
        let call = task::call(move |connection| {
            let key = key.clone();
            Box::pin(async move { insert(connection, &key.0, &key.1).await })
        });
        self.lanes().task(app, &name, call).await
    }

    /// The file, unless it is gone.
    pub async fn file(&self, app: &str, id: &str) -> Result<Option<FileRow>, Error> {
        Ok(self.files(app, &[id.to_owned()]).await?.pop())
    }

    /// Those files that are there, in any order.
    pub async fn files(&self, app: &str, ids: &[String]) -> Result<Vec<FileRow>, Error> {
        let rows = FILES.read(self.readers(), ids, |id, values| {
            values.text(app).text(id);
        });
        rows.await?.iter().map(read).collect()
    }

    /// The files that a conversation names, oldest first, each with who downloaded it, from one snapshot.
    pub async fn files_of(
        &self,
        app: &str,
        conversation: &str,
    ) -> Result<Vec<(FileRow, Vec<FileShare>)>, Error> {
        let rows = sql::query(
            "SELECT f.id, f.customer, f.conversation, f.by_role, f.doc, f.size, f.created_at, f.shared_at, \
             f.revoked_at, s.audience, s.used, a.no, a.at, a.how, a.peer, a.agent FROM file f \
             LEFT JOIN file_share s ON s.app = f.app AND s.file = f.id \
             LEFT JOIN file_access a ON a.app = s.app AND a.file = s.file AND a.audience = s.audience \
             WHERE f.app = $1 AND f.conversation = $2 ORDER BY f.created_at, f.id, s.audience, a.no",
        )
        .bind(app)
        .bind(conversation)
        .fetch_all(self.readers())
        .await?;
        let mut files: Vec<(FileRow, Vec<FileShare>)> = Vec::new();
        for row in &rows {
            let id: String = row.try_get("id")?;
            if files.last().is_none_or(|(last, _)| last.id != id) {
                files.push((read(row)?, Vec::new()));
            }
            if let Some((_, shares)) = files.last_mut() {
                add_use(shares, row)?;
            }
        }
        Ok(files)
    }

    /// How many files of a customer wait for an entry that names them.
    pub async fn unshared_count(&self, app: &str, customer: &str) -> Result<i64, Error> {
        let row = sql::query(
            "SELECT count(*) AS waiting FROM file WHERE app = $1 AND customer = $2 AND conversation IS NULL \
             AND gone_at IS NULL",
        )
        .bind(app)
        .bind(customer)
        .fetch_one(self.readers())
        .await?;
        Ok(row.try_get("waiting")?)
    }

    /// How often the link of an audience was used.
    pub async fn file_uses(&self, app: &str, file: &str, audience: &str) -> Result<i64, Error> {
        let row = sql::query("SELECT used FROM file_share WHERE app = $1 AND file = $2 AND audience = $3")
            .bind(app)
            .bind(file)
            .bind(audience)
            .fetch_optional(self.readers())
            .await?;
        Ok(row.map(|row| row.try_get("used")).transpose()?.unwrap_or(0))
    }

    /// Counts one use of an audience's link, of `most` (at least 1), and notes who it was; `now` in milliseconds.
    ///
    /// The use is durable before it is granted. After [`Error::Retry`] it may have been counted, and a repeat counts
    /// again.
    pub async fn redeem_file(
        &self,
        app: &str,
        file: &str,
        audience: &str,
        most: i64,
        now: i64,
        by: Access,
    ) -> Result<Redeemed, Error> {
        let link =
            Arc::new(Link { app: app.to_owned(), file: file.to_owned(), audience: audience.to_owned() });
        let by = Arc::new(by);
        let call = task::call(move |connection| {
            let (link, by) = (link.clone(), by.clone());
            Box::pin(async move { count(connection, &link, most, now, &by).await })
        });
        self.lanes().task(app, file, call).await
    }

    /// Withdraws a file from `now` on, milliseconds. False: there is none, or it was withdrawn already.
    pub async fn revoke_file(&self, app: &str, file: &str, now: i64) -> Result<bool, Error> {
        let key: Arc<(String, String)> = Arc::new((app.to_owned(), file.to_owned()));
        let call = task::call(move |connection| {
            let key = key.clone();
            Box::pin(async move {
                let changed = sql::query(
                    "UPDATE file SET revoked_at = $3 WHERE app = $1 AND id = $2 \
                     AND revoked_at IS NULL AND gone_at IS NULL",
                )
                .bind(key.0.clone())
                .bind(key.1.clone())
                .bind(now)
                .execute(connection)
                .await?;
                Ok(changed.rows_affected() == 1)
            })
        });
        self.lanes().task(app, file, call).await
    }

    /// Up to `limit` files stored before `before` that no entry names are gone from now on. Gives up to `limit` files that
    /// are gone, those of erased conversations too, and whose bytes are still to be deleted: (app, id). Times are
    /// milliseconds.
    pub async fn sweep_files(
        &self,
        before: i64,
        now: i64,
        limit: i64,
    ) -> Result<Vec<(String, String)>, Error> {
        let waiting = sql::query(
            "SELECT app, id FROM file WHERE created_at < $1 AND conversation IS NULL AND gone_at IS NULL \
             ORDER BY created_at LIMIT $2",
        );
        let mut waiting = places(&waiting.bind(before).bind(limit).fetch_all(self.readers()).await?)?;
        if !waiting.is_empty() {
            // In the order in which units take them: nobody waits for each other.
            waiting.sort_unstable();
            let waiting = Arc::new(waiting);
            let call = task::call(move |connection| {
                let waiting = waiting.clone();
                Box::pin(async move {
                    let bind = |(app, id): &(String, String), values: &mut Values| {
                        values.text(app).text(id).number(now);
                    };
                    Ok(SWEEP.run(connection, &waiting, bind).await?)
                })
            });
            self.lanes().task("", "sweep files", call).await?;
        }
        let gone = sql::query("SELECT app, id FROM file WHERE gone_at IS NOT NULL ORDER BY gone_at LIMIT $1");
        places(&gone.bind(limit).fetch_all(self.readers()).await?)
    }

    /// A customer gives up a file of theirs: it is gone, unless an entry names it. Says whether it went.
    pub async fn drop_file(&self, app: &str, customer: &str, id: &str, now: i64) -> Result<bool, Error> {
        let key: Arc<[String; 3]> = Arc::new([app, customer, id].map(str::to_owned));
        let call = task::call(move |connection| {
            let key = key.clone();
            Box::pin(async move {
                let sql = "UPDATE file SET gone_at = $4 WHERE app = $1 AND customer = $2 AND id = $3 \
                           AND conversation IS NULL AND coalesce(gone_at, -1) = -1";
                let [app, customer, id] = (*key).clone();
                let query = sql::query(sql).bind(app).bind(customer).bind(id).bind(now);
                Ok(query.execute(connection).await?.rows_affected() == 1)
            })
        });
        self.lanes().task(app, id, call).await
    }

    /// The bytes of a gone file are deleted: its row goes.
    pub async fn forget_file(&self, app: &str, id: &str) -> Result<(), Error> {
        let key: Arc<(String, String)> = Arc::new((app.to_owned(), id.to_owned()));
        let call = task::call(move |connection| {
            let key = key.clone();
            Box::pin(async move {
                sql::query("DELETE FROM file WHERE app = $1 AND id = $2 AND coalesce(gone_at, -1) <> -1")
                    .bind(key.0.clone())
                    .bind(key.1.clone())
                    .execute(connection)
                    .await?;
                Ok(())
            })
        });
        self.lanes().task(app, id, call).await
    }
}

/// The files of what is erased are gone: those of one `conversation`, or all of one `customer` (the column to look in).
/// Their bytes are deleted later. Says how many they were.
pub(crate) async fn give_up(
    connection: &mut Connection,
    column: &'static str,
    app: &str,
    key: &str,
) -> Result<u64, Failure> {
    // Any moment will do: that it is set is what counts. From here on nobody else writes about these files.
    let mark = format!("UPDATE file SET gone_at = created_at, doc = '' WHERE app = $1 AND {column} = $2");
    let marked = sql::query(mark).bind(app).bind(key).execute(&mut *connection).await?;
    if marked.rows_affected() == 0 {
        return Ok(0);
    }
    let which = format!("app = $1 AND file IN (SELECT id FROM file WHERE app = $1 AND {column} = $2)");
    for sql in [
        format!("DELETE FROM file_access WHERE {which}"),
        format!("DELETE FROM file_share WHERE {which}"),
        // Last: until here they are found by what this takes away.
        format!("UPDATE file SET customer = NULL, conversation = NULL WHERE app = $1 AND {column} = $2"),
    ] {
        sql::query(sql).bind(app).bind(key).execute(&mut *connection).await?;
    }
    Ok(marked.rows_affected())
}

async fn insert(connection: &mut Connection, app: &str, row: &FileRow) -> Result<(), Failure> {
    // Not the foreign key alone: uploads that come one after another would keep an erasure from ever getting through.
    if !customer::hold(connection, app, &row.customer).await? {
        return Err(Failure::Other(Error::Gone));
    }
    sql::query(
        "INSERT INTO file (app, id, customer, conversation, by_role, doc, size, created_at, shared_at, revoked_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT DO NOTHING",
    )
    .bind(app.to_owned())
    .bind(row.id.clone())
    .bind(row.customer.clone())
    .bind(row.conversation.clone())
    .bind(row.by.clone())
    .bind(row.doc.clone())
    .bind(row.size)
    .bind(row.created_at)
    .bind(row.shared_at)
    .bind(row.revoked_at)
    .execute(connection)
    .await?;
    Ok(())
}

async fn count(
    connection: &mut Connection,
    link: &Link,
    most: i64,
    now: i64,
    by: &Access,
) -> Result<Redeemed, Failure> {
    // Changes nothing: it holds the row.
    let held = sql::query(
        "UPDATE file SET size = size WHERE app = $1 AND id = $2 AND shared_at IS NOT NULL \
         AND gone_at IS NULL RETURNING revoked_at",
    )
    .bind(link.app.clone())
    .bind(link.file.clone())
    .fetch_optional(&mut *connection)
    .await?;
    let Some(file) = held else { return Ok(Redeemed::Unknown) };
    if file.try_get::<Option<i64>>("revoked_at")?.is_some() {
        return Ok(Redeemed::Revoked);
    }
    // The condition stands in the write itself: two nodes may get here at once.
    let counted = sql::query(
        "INSERT INTO file_share (app, file, audience, used) VALUES ($1, $2, $3, 1) \
         ON CONFLICT (app, file, audience) DO UPDATE SET used = file_share.used + 1 \
         WHERE file_share.used < $4 RETURNING used",
    )
    .bind(link.app.clone())
    .bind(link.file.clone())
    .bind(link.audience.clone())
    .bind(most)
    .fetch_optional(&mut *connection)
    .await?;
    let Some(counted) = counted else { return Ok(Redeemed::UsedUp) };
    let used: i64 = counted.try_get("used")?;
    sql::query(
        "INSERT INTO file_access (app, file, audience, no, at, how, peer, agent) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
    )
    .bind(link.app.clone())
    .bind(link.file.clone())
    .bind(link.audience.clone())
    .bind(used)
    .bind(now)
    .bind(by.how.clone())
    .bind(by.peer.clone())
    .bind(by.agent.clone())
    .execute(connection)
    .await?;
    Ok(Redeemed::Granted { used })
}

fn places(rows: &[Row]) -> Result<Vec<(String, String)>, Error> {
    rows.iter().map(|row| Ok((row.try_get("app")?, row.try_get("id")?))).collect()
}

fn read(row: &Row) -> Result<FileRow, Error> {
    Ok(FileRow {
        id: row.try_get("id")?,
        customer: row.try_get("customer")?,
        conversation: row.try_get("conversation")?,
        by: row.try_get("by_role")?,
        doc: row.try_get("doc")?,
        size: row.try_get("size")?,
        created_at: row.try_get("created_at")?,
        shared_at: row.try_get("shared_at")?,
        revoked_at: row.try_get("revoked_at")?,
    })
}

/// A file that nobody has downloaded has one row without an audience.
fn add_use(shares: &mut Vec<FileShare>, row: &Row) -> Result<(), Error> {
    let Some(audience) = row.try_get::<Option<String>>("audience")? else { return Ok(()) };
    if shares.last().is_none_or(|last| last.audience != audience) {
        shares.push(FileShare { audience, used: row.try_get("used")?, accesses: Vec::new() });
    }
    let (Some(no), Some(share)) = (row.try_get::<Option<i64>>("no")?, shares.last_mut()) else {
        return Ok(());
    };
    share.accesses.push(AccessRow {
        no,
        at: row.try_get("at")?,
        how: row.try_get("how")?,
        peer: row.try_get("peer")?,
        agent: row.try_get("agent")?,
    });
    Ok(())
}
