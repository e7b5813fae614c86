//! One transaction for many units.
//!
//! ```text
//!   BEGIN
//!     inbox          insert or skip ──► what came back is new; the rest are duplicates and drop out
//!     conversation   update where version = expected        ─┐ fewer rows than units? the whole group is given up,
//!     conversation   insert new ones or skip                ─┘ and the caller runs its units one by one
//!     entry · participant · remote id · what is counted
//!     file           update where it is free ──► fewer rows than names? likewise
//!     marks (merged), tasks (one after another)
//!   COMMIT
//! ```
//!
//! Each line is one statement for all units. A group holds at most one unit of each conversation; the lane sees to it.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use crate::error::Error;
use crate::facts;
use crate::rows::{Statement, Type::Number, Type::Text, Values};
use crate::sql::{self, Connection};
use crate::task::Task;
use crate::unit::{Committed, EntryRow, Inbox, Opening, ParticipantRow, RemoteId, StateWrite, Unit};

/// Two receipts of one participant, to be raised to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) app: String,
    pub(crate) conversation: String,
    pub(crate) participant: i64,
    pub(crate) delivered: i64,
    pub(crate) read: i64,
}

/// Why a group was given up. Nothing of it was written.
pub(crate) enum Failure {
    /// A guard of some unit failed.
    Guard,
    /// The database said no, or is gone.
    Sql(sql::Error),
    /// A unit makes no sense, or a task failed by itself.
    Other(Error),
}

impl From<sql::Error> for Failure {
    fn from(error: sql::Error) -> Self {
        Self::Sql(error)
    }
}

/// Writes everything in one transaction; the answers stand in the order of the units.
pub(crate) async fn write(
    connection: &mut Connection,
    units: &[&Unit],
    marks: &[&Mark],
    tasks: &mut [&mut Box<dyn Task>],
) -> Result<Vec<Committed>, Failure> {
    connection.begin().await?;
    let written = match write_all(connection, units, marks, tasks).await {
        Ok(answers) => connection.commit().await.map(|()| answers).map_err(Failure::from),
        Err(failure) => Err(failure),
    };
    if written.is_err() && connection.rollback().await.is_err() {
        // Who knows what it is in now: the lane gets another one.
        return Err(sql::Error::NoAnswer.into());
    }
    written
}

async fn write_all(
    connection: &mut Connection,
    units: &[&Unit],
    marks: &[&Mark],
    tasks: &mut [&mut Box<dyn Task>],
) -> Result<Vec<Committed>, Failure> {
    let mut answers = Vec::with_capacity(units.len());
    for unit in units {
        answers.push(Committed::Done { version: version_after(connection, unit).await? });
    }
    take_in(connection, units, &mut answers).await?;
    let live: Vec<&Unit> = units
        .iter()
        .zip(&answers)
        .filter(|(_, answer)| matches!(answer, Committed::Done { .. }))
        .map(|(unit, _)| *unit)
        .collect();
    write_states(connection, &live).await?;
    write_rows(connection, &live).await?;
    facts::write(connection, &live).await?;
    take_files(connection, &live).await?;
    if !marks.is_empty() {
        raise_marks(connection, marks).await?;
    }
    for task in tasks {
        task.run(connection).await?;
    }
    Ok(answers)
}

/// The version that the conversation has after this unit. Units without a state are rare except for bare cursor
/// moves, which need no version.
async fn version_after(connection: &mut Connection, unit: &Unit) -> Result<i64, Failure> {
    match &unit.state {
        Some(state) if state.expected_version == 0 && state.opening.is_none() => Err(Failure::Other(
            Error::Broken("a unit that creates a conversation needs an opening".to_owned()),
        )),
        Some(state) => Ok(state.expected_version + 1),
        None if !unit.entries.is_empty() => {
            Err(Failure::Other(Error::Broken("a unit with entries needs a state".to_owned())))
        }
        // The row of the participant can only exist if the conversation does: its foreign key is the guard.
        None if unit.inbox.is_none() && !unit.participants.is_empty() => Ok(0),
        None => sql::query("SELECT version FROM conversation WHERE app = $1 AND id = $2")
            .bind(unit.app.to_string())
            .bind(unit.conversation.to_string())
            .fetch_optional(connection)
            .await?
            .ok_or(Failure::Other(Error::Gone))?
            .try_get("version")
            .map_err(Failure::Sql),
    }
}

static INBOX: Statement = Statement::insert(
    "INSERT INTO inbox (app, integration, scope, external_id, conversation, version, at, doc) VALUES ",
    &[Text, Text, Text, Text, Text, Number, Number, Text],
    " ON CONFLICT DO NOTHING RETURNING app, conversation",
);

/// Inserts the inbox rows and turns the answers of those that were there already into duplicates.
async fn take_in(
    connection: &mut Connection,
    units: &[&Unit],
    answers: &mut [Committed],
) -> Result<(), Failure> {
    let rows: Vec<(&Unit, &Inbox, i64)> = units
        .iter()
        .zip(&*answers)
        .filter_map(|(unit, answer)| match answer {
            Committed::Done { version } => Some((*unit, unit.inbox.as_ref()?, *version)),
            Committed::Duplicate { .. } | Committed::Conflict => None,
        })
        .collect();
    let inserted = INBOX
        .fetch(connection, &rows, |(unit, inbox, version), values| {
            values.text(&unit.app).text(&inbox.integration).text(&inbox.scope).text(&inbox.external_id);
            values.text(&unit.conversation).number(*version).number(inbox.at).text(&inbox.doc);
        })
        .await?;
    if inserted.len() == rows.len() {
        return Ok(());
    }
    // A group holds one unit for each conversation, so the conversation names the unit.
    let mut new = HashSet::with_capacity(inserted.len());
    for row in &inserted {
        new.insert((row.try_get::<String>("app")?, row.try_get::<String>("conversation")?));
    }
    for (unit, answer) in units.iter().zip(answers) {
        let Some(inbox) = &unit.inbox else { continue };
        if !new.contains(&(unit.app.to_string(), unit.conversation.to_string())) {
            *answer = first_one(connection, &unit.app, inbox).await?;
        }
    }
    Ok(())
}

/// Where the first input with this key went.
async fn first_one(connection: &mut Connection, app: &str, inbox: &Inbox) -> Result<Committed, Failure> {
    let row = sql::query(
        "SELECT conversation, version FROM inbox \
         WHERE app = $1 AND integration = $2 AND scope = $3 AND external_id = $4",
    )
    .bind(app)
    .bind(inbox.integration.clone())
    .bind(inbox.scope.clone())
    .bind(inbox.external_id.clone())
    .fetch_optional(connection)
    .await?;
    // It was there a moment ago and is not now: its conversation was erased. The caller computes again.
    let row = row.ok_or(Failure::Guard)?;
    let conversation: String = row.try_get("conversation")?;
    Ok(Committed::Duplicate { conversation: conversation.into(), version: row.try_get("version")? })
}

/// Stays open. `closed_at` is not set: SQLite writes an index anew when a column of it is set, even to what it was, and two
/// indexes hold the conversations without it. And it is not compared with NULL: without statistics PostgreSQL would read one
/// of those two indexes, which find all open conversations of an app, instead of the key.
static STATE: Statement = Statement::update(
    "WITH v (app, id, expected, doc, owner, epoch, head, wake_at, retain_until) AS (VALUES ",
    &[Text, Text, Number, Text, Text, Number, Number, Number, Number],
    ") UPDATE conversation SET version = v.expected + 1, doc = v.doc, owner = v.owner, epoch = v.epoch, \
     head = v.head, wake_at = v.wake_at, retain_until = v.retain_until FROM v \
     WHERE conversation.app = v.app AND conversation.id = v.id AND conversation.version = v.expected \
     AND coalesce(conversation.closed_at, -1) < 0",
);

/// Closes, or was closed before.
static CLOSED: Statement = Statement::update(
    "WITH v (app, id, expected, doc, owner, epoch, head, wake_at, retain_until, closed_at) AS (VALUES ",
    &[Text, Text, Number, Text, Text, Number, Number, Number, Number, Number],
    ") UPDATE conversation SET version = v.expected + 1, doc = v.doc, owner = v.owner, epoch = v.epoch, \
     head = v.head, wake_at = v.wake_at, retain_until = v.retain_until, closed_at = v.closed_at FROM v \
     WHERE conversation.app = v.app AND conversation.id = v.id AND conversation.version = v.expected",
);

static OPENING: Statement = Statement::insert(
    "INSERT INTO conversation (app, id, customer, channel, version, owner, epoch, head, opened_at, closed_at, \
     wake_at, retain_until, doc) VALUES ",
    &[Text, Text, Text, Text, Number, Text, Number, Number, Number, Number, Number, Number, Text],
    // Without a target: it skips an id that is there and a customer who has an open conversation.
    " ON CONFLICT DO NOTHING",
);

/// Updates before openings: one group may close a customer's conversation and open the next.
async fn write_states(connection: &mut Connection, units: &[&Unit]) -> Result<(), Failure> {
    let mut updates: Vec<(&Unit, &StateWrite)> = Vec::new();
    let mut closed: Vec<(&Unit, &StateWrite)> = Vec::new();
    let mut openings: Vec<(&Unit, &StateWrite, &Opening)> = Vec::new();
    for unit in units {
        match &unit.state {
            Some(state) if state.expected_version > 0 => match state.closed_at {
                Some(_) => closed.push((unit, state)),
                None => updates.push((unit, state)),
            },
            Some(state) => openings.extend(state.opening.iter().map(|opening| (*unit, state, opening))),
            None => {}
        }
    }
    let bind = |(unit, state): &(&Unit, &StateWrite), values: &mut Values| {
        values.text(&unit.app).text(&unit.conversation).number(state.expected_version).text(&state.doc);
        values.text(state.owner).number(state.epoch).number(state.head).number_or_null(state.wake_at);
        values.number_or_null(state.retain_until);
    };
    let updated = STATE.run(connection, &updates, bind).await?;
    let ended = CLOSED
        .run(connection, &closed, |row, values| {
            bind(row, values);
            values.number_or_null(row.1.closed_at);
        })
        .await?;
    let opened = OPENING
        .run(connection, &openings, |(unit, state, opening), values| {
            values.text(&unit.app).text(&unit.conversation).text(&opening.customer).text(&opening.channel);
            values.number(1).text(state.owner).number(state.epoch).number(state.head);
            values.number(opening.opened_at).number_or_null(state.closed_at).number_or_null(state.wake_at);
            values.number_or_null(state.retain_until).text(&state.doc);
        })
        .await?;
    let wanted = (updates.len() + closed.len() + openings.len()) as u64;
    if updated + ended + opened == wanted { Ok(()) } else { Err(Failure::Guard) }
}

static ENTRY: Statement = Statement::insert(
    "INSERT INTO entry (app, conversation, seq, at, doc) VALUES ",
    &[Text, Text, Number, Number, Text],
    "",
);

static PARTICIPANT: Statement = Statement::insert(
    "INSERT INTO participant (app, conversation, no, integration, role, cursor, head, due_at, attempts, \
     failing_since, attempt_key, last_error, delivered, read, done, session, doc) VALUES ",
    &[
        Text, Text, Number, Text, Text, Number, Number, Number, Number, Number, Text, Text, Number, Number,
        Number, Text, Text,
    ],
    " ON CONFLICT (app, conversation, no) DO UPDATE SET integration = excluded.integration, \
     role = excluded.role, cursor = excluded.cursor, head = excluded.head, due_at = excluded.due_at, \
     attempts = excluded.attempts, failing_since = excluded.failing_since, attempt_key = excluded.attempt_key, \
     last_error = excluded.last_error, \
     delivered = CASE WHEN excluded.delivered > participant.delivered THEN excluded.delivered \
     ELSE participant.delivered END, \
     read = CASE WHEN excluded.read > participant.read THEN excluded.read ELSE participant.read END, \
     done = excluded.done, session = excluded.session, doc = excluded.doc",
);

static REMOTE_ID: Statement = Statement::insert(
    "INSERT INTO remote_id (app, conversation, participant, remote_id, seq, part) VALUES ",
    &[Text, Text, Number, Text, Number, Number],
    " ON CONFLICT DO NOTHING",
);

async fn write_rows(connection: &mut Connection, units: &[&Unit]) -> Result<(), Failure> {
    let entries: Vec<(&Unit, &EntryRow)> =
        units.iter().flat_map(|unit| unit.entries.iter().map(move |row| (*unit, row))).collect();
    ENTRY
        .run(connection, &entries, |(unit, row), values| {
            values.text(&unit.app).text(&unit.conversation).number(row.seq).number(row.at).text(&row.doc);
        })
        .await?;
    let participants: Vec<(&Unit, &ParticipantRow)> =
        units.iter().flat_map(|unit| unit.participants.iter().map(move |row| (*unit, row))).collect();
    PARTICIPANT
        .run(connection, &participants, |(unit, row), values| {
            values.text(&unit.app).text(&unit.conversation).number(row.no).text(&row.integration);
            values.text(&row.role).number(row.cursor).number(row.head).number_or_null(row.due_at);
            values.number(row.attempts).number_or_null(row.failing_since);
            values.text_or_null(row.attempt_key.as_deref()).text_or_null(row.last_error.as_deref());
            values.number(row.delivered).number(row.read).number(i64::from(row.done));
            values.text_or_null(row.session.as_deref()).text(&row.doc);
        })
        .await?;
    let remote_ids: Vec<(&Unit, &RemoteId)> =
        units.iter().flat_map(|unit| unit.remote_ids.iter().map(move |row| (*unit, row))).collect();
    REMOTE_ID
        .run(connection, &remote_ids, |(unit, row), values| {
            values.text(&unit.app).text(&unit.conversation).number(row.participant).text(&row.remote_id);
            values.number(row.seq).number(row.part);
        })
        .await?;
    Ok(())
}

/// A file belongs to the conversation whose entry names it first, and to no other. The sweep's condition stands in its
/// write, as this one does: of the two, one wins.
static FILES: Statement = Statement::update(
    "WITH v (app, id, conversation, at) AS (VALUES ",
    &[Text, Text, Text, Number],
    ") UPDATE file SET conversation = v.conversation, shared_at = coalesce(file.shared_at, v.at) FROM v \
     WHERE file.app = v.app AND file.id = v.id AND file.gone_at IS NULL \
     AND (file.conversation IS NULL OR file.conversation = v.conversation)",
);

/// Most units name no file: those cost no statement.
async fn take_files(connection: &mut Connection, units: &[&Unit]) -> Result<(), Failure> {
    // A name that stands twice counts once.
    let mut named: BTreeMap<(&str, &str, &str), i64> = BTreeMap::new();
    for unit in units.iter().filter(|unit| !unit.files.is_empty()) {
        let Some(entry) = unit.entries.last() else {
            return Err(Failure::Other(Error::Broken("a unit with files needs entries".to_owned())));
        };
        named.extend(unit.files.iter().map(|id| ((&*unit.app, &**id, &*unit.conversation), entry.at)));
    }
    let rows: Vec<_> = named.into_iter().collect();
    let taken = FILES
        .run(connection, &rows, |((app, id, conversation), at), values| {
            values.text(app).text(id).text(conversation).number(*at);
        })
        .await?;
    if taken == rows.len() as u64 { Ok(()) } else { Err(Failure::Other(Error::FileGone)) }
}

static MARKS: Statement = Statement::update(
    "WITH v (app, conversation, no, delivered, seen) AS (VALUES ",
    &[Text, Text, Number, Number, Number],
    ") UPDATE participant SET \
     delivered = CASE WHEN v.delivered > participant.delivered THEN v.delivered ELSE participant.delivered END, \
     read = CASE WHEN v.seen > participant.read THEN v.seen ELSE participant.read END FROM v \
     WHERE participant.app = v.app AND participant.conversation = v.conversation AND participant.no = v.no \
     AND (v.delivered > participant.delivered OR v.seen > participant.read)",
);

/// One row must not stand twice in an `UPDATE … FROM` (only one of the two would count), so marks are merged first.
async fn raise_marks(connection: &mut Connection, marks: &[&Mark]) -> Result<(), Failure> {
    let mut merged: BTreeMap<(&str, &str, i64), (i64, i64)> = BTreeMap::new();
    for mark in marks {
        let both = merged.entry((&mark.app, &mark.conversation, mark.participant)).or_insert((0, 0));
        *both = (both.0.max(mark.delivered), both.1.max(mark.read));
    }
    let rows: Vec<_> = merged.into_iter().collect();
    MARKS
        .run(connection, &rows, |((app, conversation, no), (delivered, read)), values| {
            values.text(app).text(conversation).number(*no).number(*delivered).number(*read);
        })
        .await?;
    Ok(())
}

/// Names a conversation across apps.
pub(crate) type Key = (Arc<str>, Arc<str>);
