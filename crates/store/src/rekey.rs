//! Sealing again with the newest key, so that an older one can leave the ring.
//!
//! It walks through all sealed values and writes those that an older key sealed. Each write is guarded by the old
//! ciphertext: what a running store writes meanwhile is sealed with the newest key anyway, and stays. Stopped half-way it
//! can be started again; what is done is skipped.

use std::sync::Arc;

use tokio::task::JoinSet;
use zeroize::Zeroizing;

use crate::Store;
use crate::app;
use crate::error::Error;
use crate::flows;
use crate::sql;
use crate::task;
use crate::unit::session_place;

/// How many values were sealed again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Rekeyed {
    /// Participants' sessions.
    pub sessions: u64,
    /// Versions of apps' settings.
    pub apps: u64,
    /// Flows: drafts, versions, and the sets that conversations keep.
    pub flows: u64,
}

/// A table of sealed flows: how it is walked through, how a row is written anew, and what a value is sealed for. Its rows are
/// named by app, name and version; 0 where there are no versions.
type Flows = (&'static str, &'static str, fn(&str, &str) -> String);

const FLOWS: [Flows; 3] = [
    (
        "SELECT app, id AS name, CAST(0 AS BIGINT) AS version, doc FROM flow_set \
         WHERE (app, id, CAST(0 AS BIGINT)) > ($1, $2, $3) ORDER BY app, id LIMIT $4",
        "UPDATE flow_set SET doc = $4 WHERE app = $1 AND id = $2 AND CAST($3 AS BIGINT) = 0 AND doc = $5",
        |app, _| flows::set_place(app),
    ),
    (
        "SELECT app, flow AS name, version, doc FROM flow_version \
         WHERE (app, flow, version) > ($1, $2, $3) ORDER BY app, flow, version LIMIT $4",
        "UPDATE flow_version SET doc = $4 WHERE app = $1 AND flow = $2 AND version = $3 AND doc = $5",
        flows::place,
    ),
    (
        "SELECT app, flow AS name, CAST(0 AS BIGINT) AS version, doc FROM flow_draft \
         WHERE (app, flow, CAST(0 AS BIGINT)) > ($1, $2, $3) ORDER BY app, flow LIMIT $4",
        "UPDATE flow_draft SET doc = $4 WHERE app = $1 AND flow = $2 AND CAST($3 AS BIGINT) = 0 AND doc = $5",
        flows::place,
    ),
];

struct Session {
    app: String,
    conversation: String,
    no: i64,
    old: String,
}

struct Version {
    app: String,
    version: i64,
    print: String,
    old: String,
}

impl Store {
    /// Seals every value with the newest key, `batch` at a time (at least 1). On several nodes: all of them must have
    /// the new ring first, or they go on sealing with the old key. Repeating it is harmless, also after an error.
    ///
    /// # Errors
    ///
    /// [`Error::Sealed`] when a value does not open; all the others were sealed again before it is said.
    pub async fn rekey(&self, batch: i64) -> Result<Rekeyed, Error> {
        let batch = batch.max(1);
        let mut unopened = None;
        let apps = self.rekey_apps(batch, &mut unopened).await?;
        let sessions = self.rekey_sessions(batch, &mut unopened).await?;
        let mut flows = 0;
        for table in FLOWS {
            flows += self.rekey_flows(table, batch, &mut unopened).await?;
        }
        match unopened {
            Some(error) => Err(error),
            None => Ok(Rekeyed { sessions, apps, flows }),
        }
    }

    async fn rekey_flows(
        &self,
        (select, update, place): Flows,
        batch: i64,
        unopened: &mut Option<Error>,
    ) -> Result<u64, Error> {
        let mut done = 0;
        let mut after = (String::new(), String::new(), -1_i64);
        loop {
            let query = sql::query(select).bind(&after.0).bind(&after.1).bind(after.2).bind(batch);
            let rows = query.fetch_all(self.readers()).await?;
            let mut running = JoinSet::new();
            for row in &rows {
                after = (row.try_get("app")?, row.try_get("name")?, row.try_get("version")?);
                let old: String = row.try_get("doc")?;
                if self.seal().is_newest(&old) {
                    continue;
                }
                let (store, key) = (self.clone(), after.clone());
                let place = place(&key.0, &key.1);
                running.spawn(async move { store.rekey_flow(update, &place, key, old).await });
            }
            done += gather(running, unopened).await?;
            if rows.len() < usize::try_from(batch).unwrap_or(usize::MAX) {
                return Ok(done);
            }
        }
    }

    async fn rekey_flow(
        &self,
        update: &'static str,
        place: &str,
        key: (String, String, i64),
        old: String,
    ) -> Result<u64, Error> {
        let clear = Zeroizing::new(self.seal().open(place, &old)?);
        let new = self.seal().seal(place, &clear)?;
        let app = key.0.clone();
        let all = Arc::new((key, new, old));
        let call = task::call(move |connection| {
            let all = all.clone();
            Box::pin(async move {
                let ((app, name, version), new, old) = &*all;
                let changed = sql::query(update)
                    .bind(app.clone())
                    .bind(name.clone())
                    .bind(*version)
                    .bind(new.clone())
                    .bind(old.clone())
                    .execute(connection)
                    .await?;
                Ok(changed.rows_affected())
            })
        });
        self.lanes().task(&app, "flows", call).await
    }

    async fn rekey_sessions(&self, batch: i64, unopened: &mut Option<Error>) -> Result<u64, Error> {
        let mut done = 0;
        let mut after = (String::new(), String::new(), 0_i64);
        loop {
            let rows = sql::query(
                "SELECT app, conversation, no, session FROM participant \
                 WHERE session IS NOT NULL AND (app, conversation, no) > ($1, $2, $3) \
                 ORDER BY app, conversation, no LIMIT $4",
            )
            .bind(&after.0)
            .bind(&after.1)
            .bind(after.2)
            .bind(batch)
            .fetch_all(self.readers())
            .await?;
            let mut running = JoinSet::new();
            for row in &rows {
                after = (row.try_get("app")?, row.try_get("conversation")?, row.try_get("no")?);
                let old: String = row.try_get("session")?;
                if self.seal().is_newest(&old) {
                    continue;
                }
                let (app, conversation, no) = after.clone();
                let (store, session) = (self.clone(), Session { app, conversation, no, old });
                // Each in the lane of its conversation: nobody else locks its row.
                running.spawn(async move { store.rekey_session(session).await });
            }
            done += gather(running, unopened).await?;
            if rows.len() < usize::try_from(batch).unwrap_or(usize::MAX) {
                return Ok(done);
            }
        }
    }

    async fn rekey_session(&self, session: Session) -> Result<u64, Error> {
        let place = session_place(&session.app, &session.conversation, session.no);
        let clear = Zeroizing::new(self.seal().open(&place, &session.old)?);
        let new = self.seal().seal(&place, &clear)?;
        let key = (session.app.as_str().into(), session.conversation.as_str().into());
        let both = Arc::new((session, new));
        let call = task::call(move |connection| {
            let both = both.clone();
            Box::pin(async move {
                let (session, new) = &*both;
                let changed = sql::query(
                    "UPDATE participant SET session = $4 WHERE app = $1 AND conversation = $2 AND no = $3 \
                     AND session = $5",
                )
                .bind(session.app.clone())
                .bind(session.conversation.clone())
                .bind(session.no)
                .bind(new.clone())
                .bind(session.old.clone())
                .execute(connection)
                .await?;
                Ok(changed.rows_affected())
            })
        });
        self.lanes().conversation_task(key, call).await
    }

    async fn rekey_apps(&self, batch: i64, unopened: &mut Option<Error>) -> Result<u64, Error> {
        let mut done = 0;
        let mut after = (String::new(), 0_i64);
        loop {
            let rows = sql::query(
                "SELECT app, version, fingerprint, doc FROM app_version WHERE (app, version) > ($1, $2) \
                 ORDER BY app, version LIMIT $3",
            )
            .bind(&after.0)
            .bind(after.1)
            .bind(batch)
            .fetch_all(self.readers())
            .await?;
            let mut running = JoinSet::new();
            for row in &rows {
                after = (row.try_get("app")?, row.try_get("version")?);
                let (print, old): (String, String) = (row.try_get("fingerprint")?, row.try_get("doc")?);
                if self.seal().is_newest(&old) && self.seal().is_newest_print(&print) {
                    continue;
                }
                let (app, version) = after.clone();
                let store = self.clone();
                running.spawn(async move { store.rekey_app(Version { app, version, print, old }).await });
            }
            done += gather(running, unopened).await?;
            if rows.len() < usize::try_from(batch).unwrap_or(usize::MAX) {
                return Ok(done);
            }
        }
    }

    async fn rekey_app(&self, version: Version) -> Result<u64, Error> {
        let place = app::place(&version.app);
        let clear = Zeroizing::new(self.seal().open_text(&place, &version.old)?);
        // The fingerprint too: without its key the same content would get a new version.
        let print = self.seal().fingerprints(&place, &clear)?.into_iter().next().unwrap_or_default();
        let new = self.seal().seal(&place, clear.as_bytes())?;
        let app = version.app.clone();
        let all = Arc::new((version, new, print));
        let call = task::call(move |connection| {
            let all = all.clone();
            Box::pin(async move {
                let (version, new, print) = &*all;
                let changed = sql::query(
                    "UPDATE app_version SET doc = $3, fingerprint = $4 WHERE app = $1 AND version = $2 \
                     AND doc = $5 AND fingerprint = $6",
                )
                .bind(version.app.clone())
                .bind(version.version)
                .bind(new.clone())
                .bind(print.clone())
                .bind(version.old.clone())
                .bind(version.print.clone())
                .execute(connection)
                .await?;
                Ok(changed.rows_affected())
            })
        });
        self.lanes().task(&app, "app", call).await
    }
}

/// Waits for all; a value that does not open is noted, anything else ends the walk.
async fn gather(
    mut running: JoinSet<Result<u64, Error>>,
    unopened: &mut Option<Error>,
) -> Result<u64, Error> {
    let mut done = 0;
    while let Some(answer) = running.join_next().await {
        match answer.map_err(|error| Error::Broken(error.to_string()))? {
            Ok(changed) => done += changed,
            Err(error @ Error::Sealed(_)) => *unopened = Some(error),
            Err(error) => return Err(error),
        }
    }
    Ok(done)
}
