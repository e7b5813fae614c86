//! Traces: one per request, frame or deadline, through the step and the commit to every delivery that comes of it.
//!
//! A delivery runs in a task of its own, perhaps an hour later and in another process. So the context of the input that
//! wrote an entry is kept in the row of each participant that is to hear it ([`Waiting`]), in the same commit, until the
//! cursor passes; the delivery, and each repeat of it, is a child of that input. An entry whose input was not sampled has
//! no context, and its delivery no span.
//!
//! All spans have the target [`TARGET`], which the log leaves out: while no collector is set they are not made at all.

use std::collections::BTreeMap;

use interline_connector::Failure;
use interline_core::{AppId, Entry, IntegrationName, Seq};
use opentelemetry::Context;
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId, TraceState};
use serde::{Deserialize, Serialize};
use tracing::{Level, Span, field};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

use super::record::{kind_of, reason};
use crate::ingress::Change;
use crate::live::{Key, Row};

/// The target of every span that is for a trace. The log filter turns it off, the exporter takes nothing else.
pub const TARGET: &str = "interline_trace";

/// Of so many waiting entries of a participant the context is kept; of those behind them it is not.
const KEPT: usize = 64;

/// Whether anybody wants spans.
pub fn is_on() -> bool {
    tracing::span_enabled!(target: TARGET, Level::INFO)
}

/// Where a request belongs that came with a `traceparent`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Caller {
    /// It has shown a key of ours: our span is a child of its span, and it decides whether the trace is sampled.
    Trusted(String),
    /// Anybody: our span only names it.
    Other(String),
    /// It named no span.
    Silent,
}

/// The span of an HTTP request. `route` is the template, never the path.
pub fn request(method: &str, route: &str, caller: Caller) -> Span {
    let span = tracing::info_span!(
        target: TARGET, "http.request", otel.name = format!("{method} {route}"), otel.kind = "server",
        otel.status_code = field::Empty, http.request.method = method, http.route = route,
        http.response.status_code = field::Empty,
    );
    match caller {
        Caller::Trusted(text) => follow(&span, &text),
        Caller::Other(text) => {
            if let Some(other) = read(&text) {
                span.add_link(other);
            }
        }
        Caller::Silent => {}
    }
    span
}

/// An HTTP request was answered.
pub fn answered(span: &Span, status: u16) {
    span.record("http.response.status_code", status);
    if status >= 500 {
        span.record("otel.status_code", "ERROR");
    }
}

/// A channel hands over what a customer did.
pub(crate) fn heard(app: &AppId, channel: &IntegrationName) -> Span {
    tracing::info_span!(target: TARGET, "interline.hear", otel.kind = "server", %app, %channel)
}

/// Inputs are stepped and committed. Rows that change without an input make no span.
pub(crate) fn received(key: &Key, change: &Change<'_>) -> Span {
    let Some(first) = change.inputs.first() else { return Span::none() };
    tracing::info_span!(
        target: TARGET, "interline.receive",
        app = %key.app, conversation = %key.conversation, kind = kind_of(first), by = change.by,
    )
}

/// A unit is on its way to the disk.
pub(crate) fn commit(entries: usize) -> Span {
    tracing::info_span!(target: TARGET, "interline.commit", entries)
}

/// One try to deliver an entry.
pub(super) fn delivery(key: &Key, row: &Row, entry: &Entry, connector: &'static str) -> Span {
    let Some(input) = row.about.traces.of(entry.seq).filter(|_| is_on()) else { return Span::none() };
    let span = tracing::info_span!(
        target: TARGET, "interline.deliver", otel.kind = "client", otel.status_code = field::Empty,
        app = %key.app, conversation = %key.conversation, participant = %row.about.participant.no,
        seq = entry.seq.0, integration = %row.about.participant.integration, connector,
        attempt = row.row.attempts + 1, result = field::Empty, reason = field::Empty,
    );
    follow(&span, input);
    span
}

/// A try ended. What the vendor said stays in the log and the timeline.
pub(super) fn ended(span: &Span, result: &'static str, failure: Option<&Failure>) {
    span.record("result", result);
    if let Some(failure) = failure {
        span.record("reason", reason(failure.cause().reason));
        span.record("otel.status_code", "ERROR");
    }
}

/// The current span, as it is kept and told. None: there is none, or it is not sampled.
fn current() -> Option<String> {
    if !is_on() {
        return None;
    }
    let context = Span::current().context();
    let span = context.span();
    let span = span.span_context();
    (span.is_valid() && span.is_sampled()).then(|| format!("00-{}-{}-01", span.trace_id(), span.span_id()))
}

/// Makes `span`, which has not begun, a child of another process's or an earlier one.
fn follow(span: &Span, parent: &str) {
    if let Some(parent) = read(parent) {
        // Refused only while nobody wants spans.
        let _ = span.set_parent(Context::new().with_remote_span_context(parent));
    }
}

/// Reads a `traceparent`. Source: W3C Trace Context, section 3.2; of later versions, what this one knows.
fn read(text: &str) -> Option<SpanContext> {
    let mut parts = text.trim().split('-');
    let (version, trace, span, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let hex = |part: &str, digits: usize| {
        part.len() == digits && part.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    };
    let shaped = hex(version, 2) && hex(trace, 32) && hex(span, 16) && hex(flags, 2);
    if !shaped || version == "ff" || (version == "00" && parts.next().is_some()) {
        return None;
    }
    let flags = TraceFlags::new(u8::from_str_radix(flags, 16).ok()?) & TraceFlags::SAMPLED;
    let (trace, span) = (TraceId::from_hex(trace).ok()?, SpanId::from_hex(span).ok()?);
    Some(SpanContext::new(trace, span, flags, true, TraceState::NONE)).filter(SpanContext::is_valid)
}

/// The contexts of the inputs that wrote what a participant has still to hear, by entry.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Waiting(BTreeMap<u64, String>);

impl Waiting {
    /// Nothing is kept.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn of(&self, seq: Seq) -> Option<&str> {
        self.0.get(&seq.0).map(String::as_str)
    }

    /// The cursor has passed this entry.
    pub fn forget(&mut self, up_to: i64) {
        if !self.is_empty() {
            self.0 = self.0.split_off(&up_to.unsigned_abs().saturating_add(1));
        }
    }
}

/// The input that is being stepped.
pub(crate) struct Stepping(Option<String>);

impl Stepping {
    /// Now, in this task.
    pub fn now() -> Self {
        Self(current())
    }

    /// It wrote this entry for somebody.
    pub fn wrote(&self, waiting: &mut Waiting, seq: Seq) {
        if let Some(context) = &self.0
            && waiting.0.len() < KEPT
        {
            waiting.0.entry(seq.0).or_insert_with(|| context.clone());
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const SAMPLED: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn a_traceparent_is_read_or_left_alone() {
        let read_back = read(SAMPLED).unwrap();
        assert!(read_back.is_sampled() && read_back.is_remote());
        assert_eq!(read_back.trace_id().to_string(), "0af7651916cd43dd8448eb211c80319c");
        assert!(!read(&SAMPLED.replace("-01", "-00")).unwrap().is_sampled());
        assert!(read(&format!("{}-more", SAMPLED.replacen("00", "01", 1))).is_some());
        for wrong in [
            "",
            "00",
            "00-0-0-01",
            &SAMPLED.replacen("00", "ff", 1),
            &format!("{SAMPLED}-more"),
            &SAMPLED.to_uppercase(),
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
        ] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn contexts_are_bounded_and_forgotten() {
        let stepping = Stepping(Some(SAMPLED.to_owned()));
        let mut waiting = Waiting::default();
        for seq in 1..=1_000 {
            stepping.wrote(&mut waiting, Seq(seq));
        }
        assert_eq!((waiting.0.len(), waiting.of(Seq(64)), waiting.of(Seq(65))), (KEPT, Some(SAMPLED), None));
        waiting.forget(63);
        assert_eq!((waiting.of(Seq(63)), waiting.of(Seq(64))), (None, Some(SAMPLED)));
        assert_eq!(serde_json::to_string(&waiting).unwrap(), format!("{{\"64\":\"{SAMPLED}\"}}"));
        waiting.forget(i64::MAX);
        assert!(waiting.is_empty());
        // Nobody wants spans here: nothing is kept.
        Stepping::now().wrote(&mut waiting, Seq(1));
        assert!(waiting.is_empty());
    }
}
