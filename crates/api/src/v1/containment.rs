//! What is counted of conversations: labels and what lies behind them, tasks, tags.

use axum::Json;
use axum::extract::State;
use interline_core::conversation::facts::Label;
use interline_engine::{LabelSum, Period, Sums};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Api;
use super::at::At;
use super::auth::{Read, Scope};
use super::input::{Params, Plain};
use super::problem::Problem;

/// The longest period, days; day by day it is shorter.
const LONGEST: i64 = 366;
const LONGEST_DAILY: i64 = 31;
const DAY: i64 = 86_400_000;

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(get_containment))
        .routes(routes!(get_task_report))
        .routes(routes!(get_tag_report))
}

/// A period.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Of {
    /// Then or later. Not there: 30 days before `before`.
    #[param(value_type = Option<String>, format = DateTime, nullable = false)]
    from: Option<At>,
    /// Before then; at most 366 days later. Not there: now.
    #[param(value_type = Option<String>, format = DateTime, nullable = false)]
    before: Option<At>,
    /// Of this channel alone.
    #[param(value_type = Option<String>, pattern = "^[A-Za-z0-9._-]+$", max_length = 128, nullable = false)]
    channel: Option<Plain>,
}

/// A period, and how it is cut.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct OfTasks {
    /// Then or later. Not there: 30 days before `before`.
    #[param(value_type = Option<String>, format = DateTime, nullable = false)]
    from: Option<At>,
    /// Before then; at most 366 days later, and 31 with `daily`. Not there: now.
    #[param(value_type = Option<String>, format = DateTime, nullable = false)]
    before: Option<At>,
    /// Of this channel alone.
    #[param(value_type = Option<String>, pattern = "^[A-Za-z0-9._-]+$", max_length = 128, nullable = false)]
    channel: Option<Plain>,
    /// Day by day, in UTC.
    #[serde(default)]
    #[param(required = false)]
    daily: bool,
}

/// Conversations of a period: those that opened in it. `agent`, `drop_off` and `self_service` add up to `conversations`, and
/// each of their numbers to that of all.
#[derive(Debug, Clone, Serialize, ToSchema)]
struct Containment {
    /// All of them.
    all: Count,
    /// A human was asked for.
    agent: Count,
    /// The customer left without getting anything done.
    drop_off: Count,
    /// The bot was enough. One that runs counts here.
    self_service: Count,
    /// Why failed transfers failed: of each conversation the last one.
    failures: Vec<Word>,
    /// Who closed those that are closed.
    closed_by: Vec<Word>,
}

/// How many conversations.
#[derive(Debug, Clone, Default, Serialize, ToSchema)]
#[schema(as = ContainmentCount)]
struct Count {
    /// In all.
    conversations: i64,
    /// The share of all of the period, percent.
    share: f64,
    /// In which the customer said something.
    interactive: i64,
    /// That are closed.
    closed: i64,
    /// That reached an Agent Transfer node.
    reached: i64,
    /// Of these, after a task was done.
    after_tasks: i64,
    /// In which an agent system accepted.
    accepted: i64,
    /// In which an agent was there.
    joined: i64,
    /// That left our hands for good.
    handed_off: i64,
    /// In which a transfer failed, whatever the label.
    failed: i64,
    /// In which the agent's side began by itself.
    took_over: i64,
    /// Whose customer was there within 24 hours before.
    recontacts: i64,
    /// How long one that closed lasted on average, seconds.
    average_s: f64,
    #[serde(skip)]
    lasted_ms: i64,
}

/// So many conversations have this word.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = ContainmentWord)]
struct Word {
    /// The word.
    word: String,
    /// So many.
    conversations: i64,
}

impl Count {
    fn add(&mut self, sum: &LabelSum) {
        self.conversations += sum.conversations;
        self.interactive += sum.interactive;
        self.closed += sum.closed;
        self.reached += sum.reached;
        self.after_tasks += sum.after_tasks;
        self.accepted += sum.accepted;
        self.joined += sum.joined;
        self.handed_off += sum.handed_off;
        self.failed += sum.failed;
        self.took_over += sum.took_over;
        self.recontacts += sum.recontacts;
        self.lasted_ms += sum.lasted_ms;
    }

    fn finish(&mut self, all: i64) {
        #[allow(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
        let ratio = |part: i64, whole: i64| if whole == 0 { 0.0 } else { part as f64 / whole as f64 };
        self.share = (ratio(self.conversations, all) * 10_000.0).round() / 100.0;
        self.average_s = (ratio(self.lasted_ms, self.closed) / 100.0).round() / 10.0;
    }
}

impl From<Sums> for Containment {
    fn from(sums: Sums) -> Self {
        let (mut all, mut agent, mut drop_off, mut self_service) = Default::default();
        for sum in &sums.labels {
            let part: &mut Count = match sum.label.as_str() {
                label if label == Label::Agent.as_str() => &mut agent,
                label if label == Label::DropOff.as_str() => &mut drop_off,
                _ => &mut self_service,
            };
            part.add(sum);
            Count::add(&mut all, sum);
        }
        let whole = all.conversations;
        for count in [&mut all, &mut agent, &mut drop_off, &mut self_service] {
            count.finish(whole);
        }
        let words = |sums: Vec<interline_engine::WordSum>| {
            let word =
                |sum: interline_engine::WordSum| Word { word: sum.word, conversations: sum.conversations };
            sums.into_iter().map(word).collect()
        };
        let (failures, closed_by) = (words(sums.failures), words(sums.closed_by));
        Self { all, agent, drop_off, self_service, failures, closed_by }
    }
}

fn period(
    from: Option<At>,
    before: Option<At>,
    channel: Option<&Plain>,
    longest: i64,
) -> Result<Period<'_>, Problem> {
    let before = before.unwrap_or_else(|| At(jiff::Timestamp::now().as_millisecond() + 1));
    let from = from.unwrap_or(At(before.0 - 30 * DAY));
    if before.0 <= from.0 {
        return Err(Problem::at("before", "is later than `from`"));
    }
    if before.0 - from.0 > longest * DAY {
        return Err(Problem::at("before", format!("is at most {longest} days after `from`")));
    }
    Ok(Period { from: from.0, before: before.0, channel: channel.map(Plain::as_str) })
}

/// Get containment
///
/// How many conversations the bot was enough for, how many asked for a human, how many were given up.
#[utoipa::path(get, path = "/apps/{app}/containment", tag = "containment", security(("key" = ["read"])), params(Of),
    responses((status = 200, description = "The sums of the period.", body = Containment)))]
async fn get_containment(
    State(api): State<Api>,
    scope: Scope<Read>,
    Params(query): Params<Of>,
) -> Result<Json<Containment>, Problem> {
    let period = period(query.from, query.before, query.channel.as_ref(), LONGEST)?;
    Ok(Json(api.engine.containment(&scope.app, &period).await?.into()))
}

/// Runs of tasks.
#[derive(Debug, Clone, Serialize, ToSchema)]
struct TaskReport {
    /// One row for each task, result and day.
    tasks: Vec<TaskCount>,
}

/// How often a task ended so. Its three kinds of conversations add up to `conversations`; one in which it ended both ways
/// stands in both rows.
#[derive(Debug, Clone, Serialize, ToSchema)]
struct TaskCount {
    /// A flow, an automation (`flow.node`), or the node that the flow's words led to.
    task: String,
    /// With `daily`: the beginning of the day.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    day: Option<At>,
    /// Whether it was done.
    done: bool,
    /// Runs.
    runs: i64,
    /// Conversations.
    conversations: i64,
    /// Of these, in which a human was asked for.
    agent: i64,
    /// That were given up.
    drop_off: i64,
    /// For which the bot was enough.
    self_service: i64,
}

/// Get the report of tasks
///
/// What was done, and what was not, in the period in which it ended.
#[utoipa::path(get, path = "/apps/{app}/containment/tasks", tag = "containment", security(("key" = ["read"])),
    params(OfTasks),
    responses((status = 200, description = "By day, task and result.", body = TaskReport)))]
async fn get_task_report(
    State(api): State<Api>,
    scope: Scope<Read>,
    Params(query): Params<OfTasks>,
) -> Result<Json<TaskReport>, Problem> {
    let longest = if query.daily { LONGEST_DAILY } else { LONGEST };
    let period = period(query.from, query.before, query.channel.as_ref(), longest)?;
    let mut tasks: Vec<TaskCount> = Vec::new();
    for sum in api.engine.task_report(&scope.app, &period, query.daily).await? {
        let day = query.daily.then_some(At(sum.day * DAY));
        let same = |last: &TaskCount| last.task == sum.task && last.day == day && last.done == sum.done;
        if !tasks.last().is_some_and(same) {
            let (task, done) = (sum.task.clone(), sum.done);
            tasks.push(TaskCount {
                task,
                day,
                done,
                runs: 0,
                conversations: 0,
                agent: 0,
                drop_off: 0,
                self_service: 0,
            });
        }
        let Some(count) = tasks.last_mut() else { continue };
        count.runs += sum.runs;
        count.conversations += sum.conversations;
        match sum.label.as_str() {
            label if label == Label::Agent.as_str() => count.agent += sum.conversations,
            label if label == Label::DropOff.as_str() => count.drop_off += sum.conversations,
            _ => count.self_service += sum.conversations,
        }
    }
    Ok(Json(TaskReport { tasks }))
}

/// How often tags were set.
#[derive(Debug, Clone, Serialize, ToSchema)]
struct TagReport {
    /// The most frequent first, at most 1,000.
    tags: Vec<TagCount>,
}

/// How often a tag was set.
#[derive(Debug, Clone, Serialize, ToSchema)]
struct TagCount {
    /// `message`, `user` or `session`.
    level: String,
    /// Its name.
    name: String,
    /// Its value.
    value: String,
    /// So often.
    times: i64,
    /// In so many conversations.
    conversations: i64,
}

/// Get the report of tags
///
/// Tags that flows set in the period: for an IVR for instance `didUserAskForAgent`.
#[utoipa::path(get, path = "/apps/{app}/containment/tags", tag = "containment", security(("key" = ["read"])), params(Of),
    responses((status = 200, description = "By level, name and value.", body = TagReport)))]
async fn get_tag_report(
    State(api): State<Api>,
    scope: Scope<Read>,
    Params(query): Params<Of>,
) -> Result<Json<TagReport>, Problem> {
    let period = period(query.from, query.before, query.channel.as_ref(), LONGEST)?;
    let count = |sum: interline_engine::TagSum| TagCount {
        level: sum.level,
        name: sum.name,
        value: sum.value,
        times: sum.times,
        conversations: sum.conversations,
    };
    let tags = api.engine.tag_report(&scope.app, &period).await?.into_iter().map(count).collect();
    Ok(Json(TagReport { tags }))
}
