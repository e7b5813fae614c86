//! Every metric there is. The table in `docs/operate/metrics.md` is printed from here.

/// What a metric is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    /// Only ever rises, from 0 at the start of the process.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Observations, counted by upper bound.
    Histogram(&'static [f64]),
}

impl Kind {
    /// As it stands in a `# TYPE` line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram(_) => "histogram",
        }
    }
}

/// A metric. Units are base units, and stand in the name.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Metric {
    /// Its name.
    pub name: &'static str,
    /// What it is.
    pub kind: Kind,
    /// Its labels.
    pub labels: &'static [&'static str],
    /// What it says.
    pub help: &'static str,
}

/// For what our own disk or a database decides, seconds.
const FAST: &[f64] = &[0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0];
/// For what another server decides, seconds.
const CALLS: &[f64] = &[0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];
/// For what people decide, seconds.
const PEOPLE: &[f64] = &[1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0];

const fn metric(
    name: &'static str,
    kind: Kind,
    labels: &'static [&'static str],
    help: &'static str,
) -> Metric {
    Metric { name, kind, labels, help }
}

pub(crate) const INPUTS: &str = "interline_inputs_total";
pub(crate) const DUPLICATES: &str = "interline_duplicates_total";
pub(crate) const COMMIT: &str = "interline_commit_seconds";
pub(crate) const CONFLICTS: &str = "interline_commit_conflicts_total";
pub(crate) const COMMIT_ERRORS: &str = "interline_commit_errors_total";
pub(crate) const DELIVERIES: &str = "interline_deliveries_total";
pub(crate) const DELIVERY: &str = "interline_delivery_seconds";
pub(crate) const STARTED: &str = "interline_transfers_started_total";
pub(crate) const ENDED: &str = "interline_transfers_ended_total";
pub(crate) const RUNGS_FAILED: &str = "interline_rungs_failed_total";
pub(crate) const TIME_TO_AGENT: &str = "interline_time_to_agent_seconds";
pub(crate) const WEBHOOKS: &str = "interline_webhook_calls_total";
pub(crate) const TRANSCRIPTS: &str = "interline_transcript_accesses_total";
pub(crate) const FILES_TAKEN: &str = "interline_files_total";
pub(crate) const FILE_BYTES: &str = "interline_file_bytes_total";
pub(crate) const FILE_DOWNLOADS: &str = "interline_file_downloads_total";
pub(crate) const HTTP: &str = "interline_http_requests_total";
pub(crate) const HTTP_SECONDS: &str = "interline_http_request_seconds";
pub(crate) const LAGGED: &str = "interline_hints_lagged_total";
pub(crate) const TRACES: &str = "interline_trace_exports_total";
pub(crate) const TRANSFERS: &str = "interline_transfers";
pub(crate) const FAILING: &str = "interline_participants_failing";
pub(crate) const STALLED: &str = "interline_participants_stalled";
pub(crate) const STORE_UP: &str = "interline_store_up";
pub(crate) const READERS: &str = "interline_channel_readers";
pub(crate) const IN_MEMORY: &str = "interline_conversations_in_memory";
pub(crate) const UNDER_WAY: &str = "interline_deliveries_under_way";
pub(crate) const HELD: &str = "interline_channel_holds";
pub(crate) const BUILD: &str = "interline_build_info";
pub(crate) const STARTED_AT: &str = "process_start_time_seconds";
pub(crate) const CPU: &str = "process_cpu_seconds_total";
pub(crate) const MEMORY: &str = "process_resident_memory_bytes";
pub(crate) const FILES: &str = "process_open_fds";

/// Every metric there is.
pub const METRICS: &[Metric] = &[
    metric(
        INPUTS,
        Kind::Counter,
        &["kind"],
        "What was taken in and is durable: customers' lines, agents' events, callbacks, results, deadlines.",
    ),
    metric(DUPLICATES, Kind::Counter, &[], "What came again with an id that was known, and changed nothing."),
    metric(COMMIT, Kind::Histogram(FAST), &[], "From handing a change to the store until it is durable."),
    metric(
        CONFLICTS,
        Kind::Counter,
        &[],
        "Changes that were computed again because the conversation had changed meanwhile.",
    ),
    metric(COMMIT_ERRORS, Kind::Counter, &[], "Changes that the store did not take: it was out of reach."),
    metric(
        DELIVERIES,
        Kind::Counter,
        &["connector", "integration", "result"],
        "Tries to deliver an entry, by result: delivered, retry, uncertain, refused, gone, unauthorized, bug.",
    ),
    metric(
        DELIVERY,
        Kind::Histogram(CALLS),
        &["connector"],
        "How long one try took, from the call of the connector to its answer.",
    ),
    metric(STARTED, Kind::Counter, &["channel"], "Transfers that were asked for, or that an agent began."),
    metric(
        ENDED,
        Kind::Counter,
        &["channel", "outcome", "reason"],
        "Transfers that ended. Reason is none unless the outcome is failed. One that failed before it began \
         (unconfigured, loop) is only here.",
    ),
    metric(
        RUNGS_FAILED,
        Kind::Counter,
        &["integration", "reason"],
        "Tries with one agent system that failed; the transfer may have gone on with the next one.",
    ),
    metric(
        TIME_TO_AGENT,
        Kind::Histogram(PEOPLE),
        &["integration"],
        "From the request of a transfer until an agent was there. Transfers that an agent began are not in it.",
    ),
    metric(WEBHOOKS, Kind::Counter, &["connector", "status"], "Calls of agent systems, by our answer."),
    metric(
        TRANSCRIPTS,
        Kind::Counter,
        &["result"],
        "Uses of transcript links: granted, unknown, used_up, expired, revoked, trouble.",
    ),
    metric(
        FILES_TAKEN,
        Kind::Counter,
        &["by", "result"],
        "Files of customers and agents: stored, or the code of the refusal.",
    ),
    metric(FILE_BYTES, Kind::Counter, &["by"], "Bytes of the files that were stored."),
    metric(
        FILE_DOWNLOADS,
        Kind::Counter,
        &["result"],
        "Uses of people's links to files: granted, unknown, used_up, expired, revoked, trouble.",
    ),
    metric(HTTP, Kind::Counter, &["method", "route", "status"], "HTTP requests, by the route's template."),
    metric(
        HTTP_SECONDS,
        Kind::Histogram(CALLS),
        &["method", "route"],
        "Until the head of the answer; of a web socket or a stream, only its opening.",
    ),
    metric(
        LAGGED,
        Kind::Counter,
        &[],
        "Hints that a busy node missed; the database was looked through instead.",
    ),
    metric(TRACES, Kind::Counter, &["result"], "Batches of spans that went to the collector: sent, failed."),
    metric(TRANSFERS, Kind::Gauge, &["stage"], "Live transfers of all nodes, as the database has them."),
    metric(
        FAILING,
        Kind::Gauge,
        &["connector"],
        "Participants of all nodes whose last delivery failed and is tried again.",
    ),
    metric(
        STALLED,
        Kind::Gauge,
        &["connector"],
        "Those of them that have been failing for a minute and were reported.",
    ),
    metric(
        STORE_UP,
        Kind::Gauge,
        &[],
        "1 when the database answered this scrape; else what is counted in it is missing.",
    ),
    metric(
        READERS,
        Kind::Gauge,
        &[],
        "Readers of channels that wait for lines on this node: open web sockets.",
    ),
    metric(IN_MEMORY, Kind::Gauge, &[], "Conversations in this node's memory."),
    metric(UNDER_WAY, Kind::Gauge, &[], "Deliveries that wait for an agent system's answer on this node."),
    metric(
        HELD,
        Kind::Gauge,
        &["channel", "what"],
        "What channels with sockets of their own hold on this node: of voice, calls, dialogs, sessions, ports, tasks.",
    ),
    metric(BUILD, Kind::Gauge, &["version"], "1, with this binary's version."),
    metric(STARTED_AT, Kind::Gauge, &[], "When this process began to serve, seconds since 1970 UTC."),
    metric(CPU, Kind::Counter, &[], "CPU time of this process."),
    metric(MEMORY, Kind::Gauge, &[], "Resident memory of this process."),
    metric(FILES, Kind::Gauge, &[], "Open files and sockets of this process."),
];

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;

    /// The table of the docs.
    fn table() -> String {
        let mut text = "| metric | kind | labels | what it says |\n|---|---|---|---|\n".to_owned();
        for Metric { name, kind, labels, help } in METRICS {
            let labels: Vec<String> = labels.iter().map(|label| format!("`{label}`")).collect();
            let row = format!("| `{name}` | {} | {} | {help} |\n", kind.as_str(), labels.join(", "));
            text.push_str(&row);
        }
        text
    }

    #[test]
    fn the_table_in_the_docs_is_this_one() {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/operate/metrics.md");
        let text = std::fs::read_to_string(&file).unwrap();
        let (begin, end) = ("<!-- metrics: printed from the code -->\n", "<!-- end -->");
        let (before, rest) = text.split_once(begin).expect("the docs have the first mark");
        let (printed, after) = rest.split_once(end).expect("the docs have the second mark");
        if printed != table() && std::env::var_os("INTERLINE_BLESS").is_some() {
            std::fs::write(&file, format!("{before}{begin}{}{end}{after}", table())).unwrap();
            return;
        }
        assert!(
            printed == table(),
            "stale; write it anew: INTERLINE_BLESS=1 cargo test -p interline-engine --lib observe"
        );
    }

    #[test]
    fn names_say_kind_and_unit() {
        let names: BTreeSet<&str> = METRICS.iter().map(|metric| metric.name).collect();
        assert_eq!(names.len(), METRICS.len(), "a name stands in the list twice");
        for Metric { name, kind, .. } in METRICS {
            assert!(name.starts_with("interline_") || name.starts_with("process_"), "{name}");
            assert_eq!(name.ends_with("_total"), *kind == Kind::Counter, "{name}");
            if let Kind::Histogram(bounds) = kind {
                assert!(name.ends_with("_seconds"), "{name}");
                assert!(bounds.is_sorted() && bounds.len() > 4, "{name}");
            }
        }
    }
}
