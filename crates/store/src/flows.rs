//! Flows: what is being worked on, what was published, and the sets that conversations keep. All of it is sealed: a flow may
//! well hold what nobody else is to read.

use std::fmt;
use std::sync::Arc;

use crate::Store;
use crate::error::Error;
use crate::group::Failure;
use crate::sql::{self, Connection, Row};
use crate::task;

/// What comes into force with a version of an app.
#[derive(Clone, Default)]
pub struct Published {
    /// The id of the set of all flows, and the set.
    pub set: Option<(String, String)>,
    /// Flows that are others than before: the new version of each.
    pub flows: Vec<(String, String)>,
    /// Who did it.
    pub by: String,
    /// When, milliseconds.
    pub at: i64,
}

impl fmt::Debug for Published {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let flows: Vec<&String> = self.flows.iter().map(|(name, _)| name).collect();
        f.debug_struct("Published").field("flows", &flows).field("by", &self.by).finish_non_exhaustive()
    }
}

/// A published version, or a draft.
#[derive(Clone, PartialEq, Eq)]
pub struct FlowRow {
    /// From 1.
    pub version: i64,
    /// When it was published, or changed, milliseconds.
    pub at: i64,
    /// By whom.
    pub by: String,
    /// The flow.
    pub doc: String,
}

impl fmt::Debug for FlowRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FlowRow({} at {} by {}, {} bytes)", self.version, self.at, self.by, self.doc.len())
    }
}

/// A version in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FlowVersion {
    /// From 1.
    pub version: i64,
    /// When it was published, milliseconds.
    pub at: i64,
    /// By whom.
    pub by: String,
}

/// Whether a draft was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PutDraft {
    /// It is; its version.
    Done(i64),
    /// Another version is there (`None`: there is no draft).
    Conflict(Option<i64>),
}

/// Sealed, on its way into the transaction.
#[derive(Default)]
pub(crate) struct Sealed {
    set: Option<(String, String)>,
    flows: Vec<(String, String)>,
    by: String,
    at: i64,
}

pub(crate) fn place(app: &str, flow: &str) -> String {
    format!("{app}|flow|{flow}")
}

pub(crate) fn set_place(app: &str) -> String {
    format!("{app}|flow_set|doc")
}

impl Store {
    pub(crate) fn seal_published(&self, app: &str, published: &Published) -> Result<Sealed, Error> {
        let set = match &published.set {
            Some((id, doc)) => Some((id.clone(), self.seal().seal(&set_place(app), doc.as_bytes())?)),
            None => None,
        };
        let mut flows = Vec::with_capacity(published.flows.len());
        for (flow, doc) in &published.flows {
            flows.push((flow.clone(), self.seal().seal(&place(app, flow), doc.as_bytes())?));
        }
        Ok(Sealed { set, flows, by: published.by.clone(), at: published.at })
    }

    /// A set of flows that conversations keep.
    pub async fn flow_set(&self, app: &str, id: &str) -> Result<Option<String>, Error> {
        let row = sql::query("SELECT doc FROM flow_set WHERE app = $1 AND id = $2")
            .bind(app)
            .bind(id)
            .fetch_optional(self.readers())
            .await?;
        let Some(row) = row else { return Ok(None) };
        let sealed: String = row.try_get("doc")?;
        Ok(Some(self.seal().open_text(&set_place(app), &sealed)?))
    }

    /// The ids of the sets of an app.
    pub async fn flow_sets(&self, app: &str) -> Result<Vec<String>, Error> {
        let rows = sql::query("SELECT id FROM flow_set WHERE app = $1 ORDER BY id")
            .bind(app)
            .fetch_all(self.readers())
            .await?;
        rows.iter().map(|row| Ok(row.try_get("id")?)).collect()
    }

    /// Deletes a set that no open conversation keeps. False: one does, or it was not there.
    pub async fn delete_flow_set(&self, app: &str, id: &str) -> Result<bool, Error> {
        // As the state document has it. Quotes in what people say are escaped there, so they do not look like it.
        let keeps = format!("%\"flows\":\"{id}\"%");
        let key = Arc::new((app.to_owned(), id.to_owned(), keeps));
        let call = task::call(move |connection| {
            let key = key.clone();
            Box::pin(async move {
                let deleted = sql::query(
                    "DELETE FROM flow_set WHERE app = $1 AND id = $2 AND NOT EXISTS (SELECT 1 FROM conversation \
                     WHERE conversation.app = $1 AND closed_at IS NULL AND conversation.doc LIKE $3)",
                )
                .bind(key.0.clone())
                .bind(key.1.clone())
                .bind(key.2.clone())
                .execute(connection)
                .await?;
                Ok(deleted.rows_affected() > 0)
            })
        });
        self.lanes().task(app, "flows", call).await
    }

    /// The versions of a flow, newest first, at most `limit` of those before `before`.
    pub async fn flow_versions(
        &self,
        app: &str,
        flow: &str,
        before: i64,
        limit: i64,
    ) -> Result<Vec<FlowVersion>, Error> {
        let rows = sql::query(
            "SELECT version, at, by_whom FROM flow_version WHERE app = $1 AND flow = $2 AND version < $3 \
             ORDER BY version DESC LIMIT $4",
        )
        .bind(app)
        .bind(flow)
        .bind(before)
        .bind(limit)
        .fetch_all(self.readers())
        .await?;
        let version = |row: &Row| {
            Ok(FlowVersion {
                version: row.try_get("version")?,
                at: row.try_get("at")?,
                by: row.try_get("by_whom")?,
            })
        };
        rows.iter().map(version).collect()
    }

    /// One version of a flow.
    pub async fn flow_version(&self, app: &str, flow: &str, version: i64) -> Result<Option<FlowRow>, Error> {
        let row = sql::query(
            "SELECT version, at, by_whom, doc FROM flow_version WHERE app = $1 AND flow = $2 AND version = $3",
        )
        .bind(app)
        .bind(flow)
        .bind(version)
        .fetch_optional(self.readers())
        .await?;
        row.map(|row| self.flow_row(app, flow, &row)).transpose()
    }

    /// What somebody is working on.
    pub async fn flow_draft(&self, app: &str, flow: &str) -> Result<Option<FlowRow>, Error> {
        let row = sql::query("SELECT version, at, by_whom, doc FROM flow_draft WHERE app = $1 AND flow = $2")
            .bind(app)
            .bind(flow)
            .fetch_optional(self.readers())
            .await?;
        row.map(|row| self.flow_row(app, flow, &row)).transpose()
    }

    /// All drafts of an app, by name.
    pub async fn flow_drafts(&self, app: &str) -> Result<Vec<(String, FlowRow)>, Error> {
        let rows =
            sql::query("SELECT flow, version, at, by_whom, doc FROM flow_draft WHERE app = $1 ORDER BY flow")
                .bind(app)
                .fetch_all(self.readers())
                .await?;
        let draft = |row: &Row| {
            let flow: String = row.try_get("flow")?;
            let found = self.flow_row(app, &flow, row)?;
            Ok((flow, found))
        };
        rows.iter().map(draft).collect()
    }

    fn flow_row(&self, app: &str, flow: &str, row: &Row) -> Result<FlowRow, Error> {
        let sealed: String = row.try_get("doc")?;
        Ok(FlowRow {
            version: row.try_get("version")?,
            at: row.try_get("at")?,
            by: row.try_get("by_whom")?,
            doc: self.seal().open_text(&place(app, flow), &sealed)?,
        })
    }

    /// Writes a draft. With `expected`, only over that version; 0: only if there is none.
    pub async fn put_flow_draft(
        &self,
        app: &str,
        flow: &str,
        doc: &str,
        (by, at): (&str, i64),
        expected: Option<i64>,
    ) -> Result<PutDraft, Error> {
        let sealed = self.seal().seal(&place(app, flow), doc.as_bytes())?;
        let row = Arc::new((app.to_owned(), flow.to_owned(), sealed, by.to_owned()));
        let call = task::call(move |connection| Box::pin(put_draft(connection, row.clone(), at, expected)));
        self.lanes().task(app, "flows", call).await
    }

    /// Deletes a draft. False: there was none.
    pub async fn delete_flow_draft(&self, app: &str, flow: &str) -> Result<bool, Error> {
        let key = Arc::new((app.to_owned(), flow.to_owned()));
        let call = task::call(move |connection| {
            let key = key.clone();
            Box::pin(async move {
                let deleted = sql::query("DELETE FROM flow_draft WHERE app = $1 AND flow = $2")
                    .bind(key.0.clone())
                    .bind(key.1.clone())
                    .execute(connection)
                    .await?;
                Ok(deleted.rows_affected() > 0)
            })
        });
        self.lanes().task(app, "flows", call).await
    }
}

async fn put_draft(
    connection: &mut Connection,
    row: Arc<(String, String, String, String)>,
    at: i64,
    expected: Option<i64>,
) -> Result<PutDraft, Failure> {
    let (app, flow, doc, by) = &*row;
    let found = sql::query("SELECT version FROM flow_draft WHERE app = $1 AND flow = $2")
        .bind(app.clone())
        .bind(flow.clone())
        .fetch_optional(&mut *connection)
        .await?;
    let version: Option<i64> = found.map(|found| found.try_get("version")).transpose()?;
    if expected.is_some_and(|expected| expected != version.unwrap_or(0)) {
        return Ok(PutDraft::Conflict(version));
    }
    let next = version.unwrap_or(0) + 1;
    sql::query(
        "INSERT INTO flow_draft (app, flow, version, at, by_whom, doc) VALUES ($1, $2, $3, $4, $5, $6) \
         ON CONFLICT (app, flow) DO UPDATE SET version = excluded.version, at = excluded.at, \
         by_whom = excluded.by_whom, doc = excluded.doc",
    )
    .bind(app.clone())
    .bind(flow.clone())
    .bind(next)
    .bind(at)
    .bind(by.clone())
    .bind(doc.clone())
    .execute(connection)
    .await?;
    Ok(PutDraft::Done(next))
}

/// Writes what comes into force, in the transaction that puts the app's version in force.
pub(crate) async fn publish(connection: &mut Connection, app: &str, new: &Sealed) -> Result<(), Failure> {
    if let Some((id, doc)) = &new.set {
        sql::query("INSERT INTO flow_set (app, id, doc) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING")
            .bind(app.to_owned())
            .bind(id.clone())
            .bind(doc.clone())
            .execute(&mut *connection)
            .await?;
    }
    for (flow, doc) in &new.flows {
        sql::query(
            "INSERT INTO flow_version (app, flow, version, at, by_whom, doc) \
             SELECT $1, $2, coalesce(max(version), 0) + 1, $3, $4, $5 FROM flow_version \
             WHERE app = $1 AND flow = $2",
        )
        .bind(app.to_owned())
        .bind(flow.clone())
        .bind(new.at)
        .bind(new.by.clone())
        .bind(doc.clone())
        .execute(&mut *connection)
        .await?;
    }
    Ok(())
}
