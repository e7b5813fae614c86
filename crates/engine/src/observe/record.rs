//! Counting while it happens. What is on the path of every line is kept at hand: looking a metric up hashes its labels.

use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use interline_connector::{AgentSystem, Done, Failure, FileRefused};
use interline_core::conversation::entry::Note;
use interline_core::transfer::{Outcome, Reason};
use interline_core::{Body, Entry, File, Input, IntegrationName, State};
use metrics::{Counter, Histogram, counter, histogram};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tracing::Span;

use super::list::{self, Kind, METRICS, Metric};
use super::trace;
use crate::engine::Inner;
use crate::ingress::to_i64;
use crate::live::{Key, Row};

/// What holds the numbers of this process. Installed with the first of them, and then for good.
static RECORDER: LazyLock<PrometheusHandle> = LazyLock::new(|| {
    let bounds = |builder: PrometheusBuilder, metric: &Metric| match metric.kind {
        Kind::Histogram(bounds) => {
            builder.set_buckets_for_metric(Matcher::Full(metric.name.to_owned()), bounds)
        }
        Kind::Counter | Kind::Gauge => Ok(builder),
    };
    // Refused only where a list of bounds is empty; a test looks at them.
    let builder = METRICS.iter().try_fold(PrometheusBuilder::new(), bounds).unwrap_or_default();
    let recorder = builder.build_recorder();
    let handle = recorder.handle();
    // Refused when another program that we are part of counts by itself: then our own page has the rest alone.
    if metrics::set_global_recorder(recorder).is_err() {
        tracing::warn!("this process counts elsewhere already");
    }
    for metric in METRICS {
        match metric.kind {
            Kind::Counter => metrics::describe_counter!(metric.name, metric.help),
            Kind::Gauge => metrics::describe_gauge!(metric.name, metric.help),
            Kind::Histogram(_) => metrics::describe_histogram!(metric.name, metric.help),
        }
    }
    handle
});

pub(super) fn recorder() -> &'static PrometheusHandle {
    &RECORDER
}

const KINDS: [&str; 12] = [
    "connected",
    "customer_said",
    "customer_ends",
    "agent",
    "callback",
    "delivery",
    "operator",
    "tick",
    "no_input",
    "worked",
    "called",
    "voicemail",
];

/// What stands on the path of every line.
struct AtHand {
    inputs: [Counter; KINDS.len()],
    duplicates: Counter,
    commit: Histogram,
    conflicts: Counter,
    errors: Counter,
    lagged: Counter,
}

static AT_HAND: LazyLock<AtHand> = LazyLock::new(|| {
    LazyLock::force(&RECORDER);
    AtHand {
        inputs: KINDS.map(|kind| counter!(list::INPUTS, "kind" => kind)),
        duplicates: counter!(list::DUPLICATES),
        commit: histogram!(list::COMMIT),
        conflicts: counter!(list::CONFLICTS),
        errors: counter!(list::COMMIT_ERRORS),
        lagged: counter!(list::LAGGED),
    }
});

/// Begins to count: before it nothing is kept, and what has not happened yet stands there as 0.
pub(crate) fn begin() {
    LazyLock::force(&AT_HAND);
}

pub(super) fn kind_of(input: &Input) -> &'static str {
    KINDS[index_of(input)]
}

fn index_of(input: &Input) -> usize {
    match input {
        Input::Connected => 0,
        Input::CustomerSaid(_) => 1,
        Input::CustomerEnds(_) => 2,
        Input::Agent { .. } => 3,
        Input::Callback { .. } => 4,
        Input::Delivery { .. } => 5,
        Input::Operator { .. } => 6,
        Input::Tick => 7,
        Input::NoInput => 8,
        Input::Worked { .. } => 9,
        Input::Called(_) => 10,
        Input::Voicemail(_) => 11,
    }
}

/// These are durable.
pub(crate) fn taken(inputs: &[Input]) {
    for input in inputs {
        AT_HAND.inputs[index_of(input)].increment(1);
    }
}

/// It was there already.
pub(crate) fn duplicate() {
    AT_HAND.duplicates.increment(1);
}

/// The store answered after this long. `taken`: what it was given is durable or was there already.
pub(crate) fn committed(after: Duration, taken: bool) {
    if taken {
        AT_HAND.commit.record(after);
    } else {
        AT_HAND.errors.increment(1);
    }
}

/// Somebody else was faster.
pub(crate) fn commit_conflicted() {
    AT_HAND.conflicts.increment(1);
}

/// So many hints were missed.
pub(crate) fn hints_lagged(missed: u64) {
    AT_HAND.lagged.increment(missed);
}

/// What the log says of transfers.
pub(crate) fn stepped(channel: &IntegrationName, entries: &[Entry]) {
    for entry in entries {
        match &entry.body {
            Body::Open => counter!(list::STARTED, "channel" => channel.to_string()).increment(1),
            Body::Note(Note::TransferEnded(outcome)) => {
                let (outcome, reason) = words(outcome);
                let channel = channel.to_string();
                counter!(list::ENDED, "channel" => channel, "outcome" => outcome, "reason" => reason)
                    .increment(1);
            }
            Body::Note(Note::RungFailed { target, failure }) => {
                let integration = target.integration.to_string();
                let reason = reason(failure.reason);
                counter!(list::RUNGS_FAILED, "integration" => integration, "reason" => reason).increment(1);
            }
            _ => {}
        }
    }
}

impl Inner {
    /// An agent is there for the first time in a transfer. When it was asked for stands in the log: read beside the path.
    pub(crate) fn measure_wait(self: &Arc<Self>, key: &Key, state: &State) {
        let Some(transfer) = &state.transfer else { return };
        let Some(rung) = &transfer.rung else { return };
        let (inner, key, integration) = (self.clone(), key.clone(), rung.target.integration.to_string());
        let (before, came) = (to_i64(transfer.first.0) - 1, transfer.since.0);
        self.tasks.spawn(async move {
            let (app, conversation) = (key.app.as_str(), key.conversation.as_str());
            // A number that is missing is no reason to do anything else.
            let found = inner.store.entries_after(app, conversation, before, 1).await.unwrap_or_default();
            if let Some(open) = found.first() {
                let waited = Duration::from_millis((came - open.at).max(0).unsigned_abs());
                histogram!(list::TIME_TO_AGENT, "integration" => integration).record(waited);
            }
        });
    }
}

/// A call of an agent system was answered. `connector` is the caller's word: one that we do not have is not repeated.
pub(crate) fn webhook_answered(connector: &str, status: u16) {
    let known = interline_agents::all().iter().map(|known| known.manifest().id).find(|id| *id == connector);
    let (connector, status) = (known.unwrap_or("unknown"), status.to_string());
    counter!(list::WEBHOOKS, "connector" => connector, "status" => status).increment(1);
}

/// Somebody used a transcript link.
pub(crate) fn transcript_asked(result: &'static str) {
    counter!(list::TRANSCRIPTS, "result" => result).increment(1);
}

/// A file of a customer or an agent was stored, or not.
pub(crate) fn file_taken(by: &'static str, taken: &Result<File, FileRefused>) {
    let (result, size) = match taken {
        Ok(file) => ("stored", file.size),
        Err(refused) => (refused.code(), 0),
    };
    counter!(list::FILES_TAKEN, "by" => by, "result" => result).increment(1);
    counter!(list::FILE_BYTES, "by" => by).increment(size);
}

/// Somebody used a link to a file.
pub(crate) fn file_asked(result: &'static str) {
    counter!(list::FILE_DOWNLOADS, "result" => result).increment(1);
}

/// An HTTP request was answered. `route` is the template, never the path: a path may hold a token.
pub fn http_answered(method: &'static str, route: &str, status: u16, after: Duration) {
    LazyLock::force(&RECORDER);
    let (route, status) = (route.to_owned(), status.to_string());
    histogram!(list::HTTP_SECONDS, "method" => method, "route" => route.clone()).record(after);
    counter!(list::HTTP, "method" => method, "route" => route, "status" => status).increment(1);
}

/// A batch of spans went to the collector, or did not.
pub fn traces_sent(arrived: bool) {
    LazyLock::force(&RECORDER);
    counter!(list::TRACES, "result" => if arrived { "sent" } else { "failed" }).increment(1);
}

/// One try to deliver an entry.
pub(crate) struct Delivery {
    span: Span,
    connector: &'static str,
    integration: IntegrationName,
    began: Instant,
}

impl Delivery {
    /// It begins. Its trace is that of the input that wrote the entry.
    pub fn begin(key: &Key, row: &Row, entry: &Entry, agent: Option<&Arc<dyn AgentSystem>>) -> Self {
        let connector = agent.map_or("none", |agent| agent.manifest().id);
        Self {
            span: trace::delivery(key, row, entry, connector),
            connector,
            integration: row.about.participant.integration.clone(),
            began: Instant::now(),
        }
    }

    /// What is done for it.
    pub fn span(&self) -> Span {
        self.span.clone()
    }

    /// The connector answered.
    pub fn ended(&self, result: &Result<Done, Failure>) {
        let word = result_word(result);
        trace::ended(&self.span, word, result.as_ref().err());
        let (connector, integration) = (self.connector, self.integration.to_string());
        histogram!(list::DELIVERY, "connector" => connector).record(self.began.elapsed());
        counter!(list::DELIVERIES, "connector" => connector, "integration" => integration, "result" => word)
            .increment(1);
    }
}

fn result_word(result: &Result<Done, Failure>) -> &'static str {
    match result {
        Ok(_) => "delivered",
        Err(Failure::Retry { .. }) => "retry",
        Err(Failure::Uncertain(_)) => "uncertain",
        Err(Failure::Refused(_)) => "refused",
        Err(Failure::Gone(_)) => "gone",
        Err(Failure::Unauthorized(_)) => "unauthorized",
        Err(Failure::Bug(_)) => "bug",
    }
}

/// An outcome and its reason.
fn words(outcome: &Outcome) -> (&'static str, &'static str) {
    match outcome {
        Outcome::AgentEnded => ("agent_ended", "none"),
        Outcome::CustomerEnded => ("customer_ended", "none"),
        Outcome::OperatorEnded => ("operator_ended", "none"),
        Outcome::Idle => ("idle", "none"),
        Outcome::HandedOff => ("handed_off", "none"),
        Outcome::Failed(failure) => ("failed", reason(failure.reason)),
    }
}

/// A reason as it stands in JSON.
pub(super) fn reason(reason: Reason) -> &'static str {
    match reason {
        Reason::NoAgents => "no_agents",
        Reason::OutsideHours => "outside_hours",
        Reason::QueueFull => "queue_full",
        Reason::QueueTimeout => "queue_timeout",
        Reason::Busy => "busy",
        Reason::NoAnswer => "no_answer",
        Reason::Declined => "declined",
        Reason::Unreachable => "unreachable",
        Reason::Unauthorized => "unauthorized",
        Reason::RateLimited => "rate_limited",
        Reason::BadRequest => "bad_request",
        Reason::VendorError => "vendor_error",
        Reason::CallerLeft => "caller_left",
        Reason::AgentLost => "agent_lost",
        Reason::Unconfigured => "unconfigured",
        Reason::Loop => "loop",
    }
}
