//! What is counted of conversations: the rows, and the sums of a period.
//!
//! A unit writes facts only when they changed, so a relayed line costs nothing here. The label is derived by the domain and
//! stored beside its facts; sums group by it, so that they always add up.

use crate::Store;
use crate::error::Error;
use crate::group::Failure;
use crate::rows::{Statement, Type::Number, Type::Text};
use crate::sql::{self, Connection, Row};
use crate::unit::Unit;

/// The facts of a conversation, whole: inserted, or put in the place of what is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FactsRow {
    /// The customer's id.
    pub customer: String,
    /// The channel integration's name.
    pub channel: String,
    /// When it opened, milliseconds.
    pub opened_at: i64,
    /// When it closed, milliseconds.
    pub closed_at: Option<i64>,
    /// `agent`, `dropOff`, `selfService`.
    pub label: &'static str,
    /// The customer said something.
    pub interactive: bool,
    /// So often a transfer node was reached.
    pub reached: i64,
    /// A task was done before the first of them.
    pub after_tasks: bool,
    /// So many transfers were accepted.
    pub accepted: i64,
    /// In so many an agent was there.
    pub joined: i64,
    /// So many left our hands.
    pub handed_off: i64,
    /// So many failed.
    pub failed: i64,
    /// Why the last of them did.
    pub failed_why: Option<String>,
    /// So often an agent's side began by itself.
    pub took_over: i64,
    /// Who closed it.
    pub closed_by: Option<String>,
    /// All facts.
    pub doc: String,
}

/// A task that came to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskRow {
    /// What it is called.
    pub task: String,
    /// Whether it was done.
    pub done: bool,
    /// When, milliseconds.
    pub at: i64,
}

/// A tag that was set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TagRow {
    /// `message`, `user`, `session`.
    pub level: String,
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: String,
    /// When, milliseconds.
    pub at: i64,
}

/// Which conversations: those that opened in the period.
#[derive(Debug, Clone, Copy)]
pub struct Period<'a> {
    /// From then on, milliseconds.
    pub from: i64,
    /// Before then.
    pub before: i64,
    /// Of this channel alone.
    pub channel: Option<&'a str>,
}

/// The sums of one label.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LabelSum {
    /// `agent`, `dropOff`, `selfService`.
    pub label: String,
    /// Conversations.
    pub conversations: i64,
    /// In which the customer said something.
    pub interactive: i64,
    /// That are closed.
    pub closed: i64,
    /// That reached a transfer node.
    pub reached: i64,
    /// After a task was done.
    pub after_tasks: i64,
    /// In which an agent system accepted.
    pub accepted: i64,
    /// In which an agent was there.
    pub joined: i64,
    /// That left our hands.
    pub handed_off: i64,
    /// In which a transfer failed.
    pub failed: i64,
    /// In which the agent's side began by itself.
    pub took_over: i64,
    /// Whose customer was there within 24 hours before.
    pub recontacts: i64,
    /// How long all that closed lasted, milliseconds.
    pub lasted_ms: i64,
}

/// So many conversations have this word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WordSum {
    /// The word.
    pub word: String,
    /// So many.
    pub conversations: i64,
}

/// The runs of one task with one result, in conversations of one label.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskSum {
    /// Which task.
    pub task: String,
    /// The day since 1970, UTC; 0 where days are not told apart.
    pub day: i64,
    /// Whether it was done.
    pub done: bool,
    /// The label of the conversations.
    pub label: String,
    /// Runs.
    pub runs: i64,
    /// Conversations.
    pub conversations: i64,
}

/// How often a tag was set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TagSum {
    /// `message`, `user`, `session`.
    pub level: String,
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: String,
    /// So often.
    pub times: i64,
    /// In so many conversations.
    pub conversations: i64,
}

static FACTS: Statement = Statement::insert(
    "INSERT INTO facts (app, conversation, customer, channel, opened_at, closed_at, label, interactive, reached, \
     after_tasks, accepted, joined, handed_off, failed, failed_why, took_over, closed_by, doc) VALUES ",
    &[
        Text, Text, Text, Text, Number, Number, Text, Number, Number, Number, Number, Number, Number, Number,
        Text, Number, Text, Text,
    ],
    " ON CONFLICT (app, conversation) DO UPDATE SET closed_at = excluded.closed_at, label = excluded.label, \
     interactive = excluded.interactive, reached = excluded.reached, after_tasks = excluded.after_tasks, \
     accepted = excluded.accepted, joined = excluded.joined, handed_off = excluded.handed_off, \
     failed = excluded.failed, failed_why = excluded.failed_why, took_over = excluded.took_over, \
     closed_by = excluded.closed_by, doc = excluded.doc",
);

static TASKS: Statement = Statement::insert(
    "INSERT INTO task_run (app, conversation, version, no, task, done, at) VALUES ",
    &[Text, Text, Number, Number, Text, Number, Number],
    " ON CONFLICT DO NOTHING",
);

static TAGS: Statement = Statement::insert(
    "INSERT INTO tag (app, conversation, version, no, level, name, value, at) VALUES ",
    &[Text, Text, Number, Number, Text, Text, Text, Number],
    " ON CONFLICT DO NOTHING",
);

/// Most units count nothing: those cost no statement.
pub(crate) async fn write(connection: &mut Connection, units: &[&Unit]) -> Result<(), Failure> {
    let facts: Vec<(&Unit, &FactsRow)> =
        units.iter().filter_map(|unit| Some((*unit, unit.facts.as_ref()?))).collect();
    FACTS
        .run(connection, &facts, |(unit, row), values| {
            values.text(&unit.app).text(&unit.conversation).text(&row.customer).text(&row.channel);
            values.number(row.opened_at).number_or_null(row.closed_at).text(row.label);
            values.number(i64::from(row.interactive)).number(row.reached);
            values.number(i64::from(row.after_tasks)).number(row.accepted).number(row.joined);
            values.number(row.handed_off).number(row.failed).text_or_null(row.failed_why.as_deref());
            values.number(row.took_over).text_or_null(row.closed_by.as_deref()).text(&row.doc);
        })
        .await?;
    let version = |unit: &Unit| unit.state.as_ref().map_or(0, |state| state.expected_version + 1);
    let numbered = |at: usize| i64::try_from(at).unwrap_or(i64::MAX);
    let tasks: Vec<(&Unit, usize, &TaskRow)> = units
        .iter()
        .flat_map(|unit| unit.tasks.iter().enumerate().map(move |(at, row)| (*unit, at, row)))
        .collect();
    TASKS
        .run(connection, &tasks, |(unit, at, row), values| {
            values.text(&unit.app).text(&unit.conversation).number(version(unit)).number(numbered(*at));
            values.text(&row.task).number(i64::from(row.done)).number(row.at);
        })
        .await?;
    let tags: Vec<(&Unit, usize, &TagRow)> = units
        .iter()
        .flat_map(|unit| unit.tags.iter().enumerate().map(move |(at, row)| (*unit, at, row)))
        .collect();
    TAGS.run(connection, &tags, |(unit, at, row), values| {
        values.text(&unit.app).text(&unit.conversation).number(version(unit)).number(numbered(*at));
        values.text(&row.level).text(&row.name).text(&row.value).number(row.at);
    })
    .await?;
    Ok(())
}

/// A day, in milliseconds.
const DAY: i64 = 86_400_000;

impl Store {
    /// The sums of a period, one for each label that there is.
    pub async fn label_sums(&self, app: &str, period: &Period<'_>) -> Result<Vec<LabelSum>, Error> {
        let rows = sql::query(
            "SELECT label, count(*) AS conversations, \
             CAST(sum(interactive) AS BIGINT) AS interactive, \
             CAST(sum(CASE WHEN closed_at IS NULL THEN 0 ELSE 1 END) AS BIGINT) AS closed, \
             CAST(sum(CASE WHEN reached > 0 THEN 1 ELSE 0 END) AS BIGINT) AS reached, \
             CAST(sum(after_tasks) AS BIGINT) AS after_tasks, \
             CAST(sum(CASE WHEN accepted > 0 THEN 1 ELSE 0 END) AS BIGINT) AS accepted, \
             CAST(sum(CASE WHEN joined > 0 THEN 1 ELSE 0 END) AS BIGINT) AS joined, \
             CAST(sum(CASE WHEN handed_off > 0 THEN 1 ELSE 0 END) AS BIGINT) AS handed_off, \
             CAST(sum(CASE WHEN failed > 0 THEN 1 ELSE 0 END) AS BIGINT) AS failed, \
             CAST(sum(CASE WHEN took_over > 0 THEN 1 ELSE 0 END) AS BIGINT) AS took_over, \
             CAST(sum(CASE WHEN EXISTS (SELECT 1 FROM facts AS earlier WHERE earlier.app = facts.app \
             AND earlier.customer = facts.customer AND earlier.closed_at IS NOT NULL \
             AND earlier.closed_at <= facts.opened_at AND earlier.closed_at > facts.opened_at - 86400000 \
             AND earlier.conversation <> facts.conversation) THEN 1 ELSE 0 END) AS BIGINT) AS recontacts, \
             CAST(sum(coalesce(closed_at - opened_at, 0)) AS BIGINT) AS lasted_ms \
             FROM facts WHERE app = $1 AND opened_at >= $2 AND opened_at < $3 AND length(conversation) > 0 \
             AND ($4 = '' OR channel = $4) GROUP BY label ORDER BY label",
        )
        .bind(app)
        .bind(period.from)
        .bind(period.before)
        .bind(period.channel.unwrap_or_default())
        .fetch_all(self.readers())
        .await?;
        rows.iter().map(label_sum).collect()
    }

    /// Of the conversations of a period: why their last failed transfer failed.
    pub async fn failure_sums(&self, app: &str, period: &Period<'_>) -> Result<Vec<WordSum>, Error> {
        self.word_sums(
            "SELECT failed_why AS word, count(*) AS conversations FROM facts WHERE app = $1 AND opened_at >= $2 \
             AND opened_at < $3 AND length(conversation) > 0 AND ($4 = '' OR channel = $4) \
             AND failed_why IS NOT NULL GROUP BY failed_why ORDER BY failed_why",
            app,
            period,
        )
        .await
    }

    /// Of the conversations of a period that are closed: who closed them.
    pub async fn closed_by_sums(&self, app: &str, period: &Period<'_>) -> Result<Vec<WordSum>, Error> {
        self.word_sums(
            "SELECT coalesce(closed_by, 'unknown') AS word, count(*) AS conversations FROM facts WHERE app = $1 \
             AND opened_at >= $2 AND opened_at < $3 AND length(conversation) > 0 AND ($4 = '' OR channel = $4) \
             AND closed_at IS NOT NULL GROUP BY coalesce(closed_by, 'unknown') ORDER BY 1",
            app,
            period,
        )
        .await
    }

    async fn word_sums(
        &self,
        sql: &'static str,
        app: &str,
        period: &Period<'_>,
    ) -> Result<Vec<WordSum>, Error> {
        let rows = sql::query(sql)
            .bind(app)
            .bind(period.from)
            .bind(period.before)
            .bind(period.channel.unwrap_or_default())
            .fetch_all(self.readers())
            .await?;
        let sum = |row: &Row| {
            Ok(WordSum { word: row.try_get("word")?, conversations: row.try_get("conversations")? })
        };
        rows.iter().map(sum).collect()
    }

    /// Runs of tasks that ended in a period; `daily`: day by day.
    pub async fn task_sums(
        &self,
        app: &str,
        period: &Period<'_>,
        daily: bool,
    ) -> Result<Vec<TaskSum>, Error> {
        let rows = sql::query(
            "SELECT task_run.task AS task, (task_run.at / $5) * $6 AS day, task_run.done AS done, \
             facts.label AS label, count(*) AS runs, \
             count(DISTINCT task_run.conversation) AS conversations \
             FROM task_run JOIN facts ON facts.app = task_run.app AND facts.conversation = task_run.conversation \
             WHERE task_run.app = $1 AND task_run.at >= $2 AND task_run.at < $3 AND length(task_run.task) > 0 \
             AND ($4 = '' OR facts.channel = $4) GROUP BY 1, 2, 3, 4 ORDER BY 2, 1, 3, 4",
        )
        .bind(app)
        .bind(period.from)
        .bind(period.before)
        .bind(period.channel.unwrap_or_default())
        .bind(DAY)
        .bind(i64::from(daily))
        .fetch_all(self.readers())
        .await?;
        let sum = |row: &Row| {
            Ok(TaskSum {
                task: row.try_get("task")?,
                day: row.try_get("day")?,
                done: row.try_get::<i64>("done")? != 0,
                label: row.try_get("label")?,
                runs: row.try_get("runs")?,
                conversations: row.try_get("conversations")?,
            })
        };
        rows.iter().map(sum).collect()
    }

    /// Tags that were set in a period, at most `limit`, the most frequent first.
    pub async fn tag_sums(&self, app: &str, period: &Period<'_>, limit: i64) -> Result<Vec<TagSum>, Error> {
        let rows = sql::query(
            "SELECT tag.level AS level, tag.name AS name, tag.value AS value, count(*) AS times, \
             count(DISTINCT tag.conversation) AS conversations \
             FROM tag JOIN facts ON facts.app = tag.app AND facts.conversation = tag.conversation \
             WHERE tag.app = $1 AND tag.at >= $2 AND tag.at < $3 AND length(tag.name) > 0 \
             AND ($4 = '' OR facts.channel = $4) GROUP BY 1, 2, 3 ORDER BY 4 DESC, 1, 2, 3 LIMIT $5",
        )
        .bind(app)
        .bind(period.from)
        .bind(period.before)
        .bind(period.channel.unwrap_or_default())
        .bind(limit)
        .fetch_all(self.readers())
        .await?;
        let sum = |row: &Row| {
            Ok(TagSum {
                level: row.try_get("level")?,
                name: row.try_get("name")?,
                value: row.try_get("value")?,
                times: row.try_get("times")?,
                conversations: row.try_get("conversations")?,
            })
        };
        rows.iter().map(sum).collect()
    }

    /// The facts of one conversation, as they were written.
    pub async fn facts_of(&self, app: &str, conversation: &str) -> Result<Option<String>, Error> {
        let row = sql::query("SELECT doc FROM facts WHERE app = $1 AND conversation = $2")
            .bind(app)
            .bind(conversation)
            .fetch_optional(self.readers())
            .await?;
        Ok(row.map(|row| row.try_get("doc")).transpose()?)
    }

    /// When the customer's last conversation closed, milliseconds.
    pub async fn last_closed(&self, app: &str, customer: &str) -> Result<Option<i64>, Error> {
        let row = sql::query(
            "SELECT max(closed_at) AS closed_at FROM facts WHERE app = $1 AND customer = $2 AND closed_at IS NOT NULL",
        )
        .bind(app)
        .bind(customer)
        .fetch_one(self.readers())
        .await?;
        Ok(row.try_get("closed_at")?)
    }
}

fn label_sum(row: &Row) -> Result<LabelSum, Error> {
    Ok(LabelSum {
        label: row.try_get("label")?,
        conversations: row.try_get("conversations")?,
        interactive: row.try_get("interactive")?,
        closed: row.try_get("closed")?,
        reached: row.try_get("reached")?,
        after_tasks: row.try_get("after_tasks")?,
        accepted: row.try_get("accepted")?,
        joined: row.try_get("joined")?,
        handed_off: row.try_get("handed_off")?,
        failed: row.try_get("failed")?,
        took_over: row.try_get("took_over")?,
        recontacts: row.try_get("recontacts")?,
        lasted_ms: row.try_get("lasted_ms")?,
    })
}
