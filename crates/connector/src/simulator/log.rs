//! What went over the wire, the newest of it.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use ::http::HeaderMap;
use bytes::Bytes;
use serde::Serialize;
use serde_json::Value;

/// At most so many requests are remembered, and so many bytes of their bodies.
const MOST: usize = 5_000;
const MOST_BYTES: usize = 32 * 1024 * 1024;

/// One request that went over the wire.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Logged {
    /// When it was answered, milliseconds since 1970.
    pub at_ms: i64,
    /// Which way.
    pub direction: Direction,
    /// The method.
    pub method: String,
    /// Path and query of a call that came; the URL of one that was made.
    pub path: String,
    /// The answer's status; 0: there was none.
    pub status: u16,
    /// The headers, secrets replaced by what kind they are.
    pub headers: Vec<(String, String)>,
    /// The body, where it is JSON; a text where it is one; else nothing.
    pub body: Value,
}

/// Which way a request went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// To the stand-in.
    In,
    /// From the stand-in.
    Out,
}

/// A bounded log.
#[derive(Default)]
pub struct Log(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    records: VecDeque<Record>,
    bytes: usize,
}

/// A request in the log; its body is read only when somebody looks.
pub(super) struct Record {
    pub at_ms: i64,
    pub direction: Direction,
    pub method: String,
    pub path: String,
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Log {
    pub(super) fn push(&self, record: Record) {
        let mut inner = self.inner();
        inner.bytes += record.body.len();
        inner.records.push_back(record);
        while inner.records.len() > MOST || inner.bytes > MOST_BYTES {
            let Some(oldest) = inner.records.pop_front() else { break };
            inner.bytes -= oldest.body.len();
        }
    }

    /// The newest requests, oldest first.
    pub fn all(&self) -> Vec<Logged> {
        self.inner().records.iter().map(Record::read).collect()
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Record {
    fn read(&self) -> Logged {
        let text = || std::str::from_utf8(&self.body).map(Value::from).unwrap_or_default();
        Logged {
            at_ms: self.at_ms,
            direction: self.direction,
            method: self.method.clone(),
            path: self.path.clone(),
            status: self.status,
            headers: self
                .headers
                .iter()
                .map(|(name, value)| shown(name.as_str(), value.to_str().ok()))
                .collect(),
            body: serde_json::from_slice(&self.body).unwrap_or_else(|_| text()),
        }
    }
}

/// `authorization: Bearer …`: that it was there, not what it was.
fn shown(name: &str, value: Option<&str>) -> (String, String) {
    let secret =
        ["authorization", "token", "apikey", "auth", "cookie", "x-b2b-signature", "x-hub-signature-256"];
    let value = match value {
        Some(value) if secret.contains(&name) => match value.split_once(' ') {
            Some((scheme, _)) => format!("{scheme} …"),
            None => "…".to_owned(),
        },
        Some(value) => value.to_owned(),
        None => "(not a text)".to_owned(),
    };
    (name.to_owned(), value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_bounded_and_shows_no_secret() {
        let log = Log::default();
        let mut headers = HeaderMap::new();
        headers.insert("authorization", "Bearer verysecret".parse().expect("a header"));
        for n in 0..(MOST + 10) {
            log.push(Record {
                at_ms: 0,
                direction: Direction::In,
                method: "POST".into(),
                path: format!("/{n}"),
                status: 200,
                headers: headers.clone(),
                body: Bytes::from_static(b"{\"a\":1}"),
            });
        }
        let all = log.all();
        assert_eq!((all.len(), all[0].path.as_str()), (MOST, "/10"));
        assert_eq!(all[0].body, serde_json::json!({ "a": 1 }));
        assert_eq!(all[0].headers, [("authorization".to_owned(), "Bearer …".to_owned())]);
    }
}
