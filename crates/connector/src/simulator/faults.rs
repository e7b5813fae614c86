//! What goes wrong on purpose: scripted by tests, or as JSON through `/_sim/{vendor}/faults`.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ::http::{StatusCode, header};
use axum::body::Body;
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// One scripted misbehaviour.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// What it is for: a part of `METHOD /path` for a call that comes, or of the name of what the stand-in does itself; its end,
    /// if a `$` follows. None: all that the fault can be for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on: Option<String>,
    /// How many times; none: until the rules are changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<u32>,
    /// What.
    pub fault: Fault,
}

/// A misbehaviour.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Fault {
    /// A call is handled so many milliseconds later.
    Latency {
        /// Milliseconds.
        ms: u64,
    },
    /// A call takes effect and is never answered.
    NeverAnswer,
    /// A call is answered with this status and has no effect.
    ErrorBefore {
        /// The status.
        status: u16,
        /// `Retry-After`, in seconds.
        #[serde(default)]
        retry_after: Option<u64>,
    },
    /// A call takes effect and is answered with this status.
    ErrorAfter {
        /// The status.
        status: u16,
    },
    /// A call takes effect and is answered with 200 and bytes that mean nothing.
    Garbage,
    /// A call takes effect, then the connection is closed without an answer.
    DropAfter,
    /// What the stand-in tells is told twice.
    Twice,
    /// What the stand-in tells is told so many milliseconds later, so that others overtake it.
    Late {
        /// Milliseconds.
        ms: u64,
    },
    /// What the stand-in tells is signed with another secret.
    Forged,
    /// What the stand-in tells is not signed.
    Unsigned,
    /// What the stand-in tells is lost.
    Lose,
    /// A stream or socket is closed before what is told.
    Kill,
    /// What only this vendor gets wrong, by its name.
    Special {
        /// Its name, in the vendor's simulator.
        name: String,
    },
}

impl Fault {
    fn is_for_call(&self) -> bool {
        match self {
            Self::Latency { .. }
            | Self::NeverAnswer
            | Self::ErrorBefore { .. }
            | Self::ErrorAfter { .. }
            | Self::Garbage
            | Self::DropAfter => true,
            Self::Twice
            | Self::Late { .. }
            | Self::Forged
            | Self::Unsigned
            | Self::Lose
            | Self::Kill
            | Self::Special { .. } => false,
        }
    }
}

/// The rules in force.
#[derive(Default)]
pub struct Faults(Mutex<Vec<Rule>>);

impl Faults {
    /// Replaces the rules.
    pub fn set(&self, rules: Vec<Rule>) {
        *self.rules() = rules;
    }

    /// One more rule, behind the others.
    pub fn add(&self, on: &str, times: u32, fault: Fault) {
        self.rules().push(Rule { on: Some(on.to_owned()), times: Some(times), fault });
    }

    /// The rules that are still to come.
    pub fn all(&self) -> Vec<Rule> {
        self.rules().clone()
    }

    /// The faults of what the stand-in tells that strike now; each is used up once. Those of the vendor's own are not among
    /// them ([`Faults::special`]): they wait for what they are for.
    pub fn told(&self, what: &str) -> Vec<Fault> {
        self.take(what, |fault| !fault.is_for_call() && !matches!(fault, Fault::Special { .. }))
    }

    /// The faults of a call that comes as a frame of a socket, by its name: the stand-in does what they say itself. Each is
    /// used up once.
    pub fn called(&self, what: &str) -> Vec<Fault> {
        self.take(what, Fault::is_for_call)
    }

    /// Whether a fault of the vendor's own strikes now; it is used up once.
    pub fn special(&self, name: &str) -> bool {
        !self.take(name, |fault| matches!(fault, Fault::Special { name: known } if known == name)).is_empty()
    }

    fn take(&self, what: &str, fits: impl Fn(&Fault) -> bool) -> Vec<Fault> {
        let mut rules = self.rules();
        let mut taken = Vec::new();
        for rule in rules.iter_mut() {
            // The names of special ones are what they are for.
            let named = matches!(rule.fault, Fault::Special { .. });
            let meant = named || rule.on.as_deref().is_none_or(|on| names(on, what));
            if rule.times != Some(0) && meant && fits(&rule.fault) {
                taken.push(rule.fault.clone());
                rule.times = rule.times.map(|times| times - 1);
            }
        }
        rules.retain(|rule| rule.times != Some(0));
        taken
    }

    /// Handles a call under the faults that strike it. None: it is never answered. `error`: how a status is worded.
    pub(super) async fn strike(
        &self,
        call: &str,
        error: fn(StatusCode) -> Response,
        handle: impl Future<Output = Response>,
    ) -> Option<Response> {
        let scripted = |status: u16, retry_after: Option<u64>| scripted(error, status, retry_after);
        let faults = self.take(call, Fault::is_for_call);
        for fault in &faults {
            match fault {
                Fault::Latency { ms } => tokio::time::sleep(Duration::from_millis(*ms)).await,
                Fault::ErrorBefore { status, retry_after } => return Some(scripted(*status, *retry_after)),
                _ => {}
            }
        }
        let response = handle.await;
        for fault in &faults {
            match fault {
                Fault::NeverAnswer => return None,
                Fault::ErrorAfter { status } => return Some(scripted(*status, None)),
                Fault::Garbage => {
                    let junk = Bytes::from_static(b"<html>\xff\xfe{\"not\":");
                    return Some(([(header::CONTENT_TYPE, "text/html")], junk).into_response());
                }
                Fault::DropAfter => return Some(Body::from_stream(broken()).into_response()),
                _ => {}
            }
        }
        Some(response)
    }

    fn rules(&self) -> MutexGuard<'_, Vec<Rule>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a vendor that words its errors in no way of its own answers.
pub(super) fn plain(status: StatusCode) -> Response {
    (status, "a scripted fault").into_response()
}

/// A path of which others are the beginning needs the `$`.
fn names(on: &str, what: &str) -> bool {
    on.strip_suffix('$').map_or_else(|| what.contains(on), |end| what.ends_with(end))
}

fn scripted(error: fn(StatusCode) -> Response, status: u16, retry_after: Option<u64>) -> Response {
    let mut response = error(StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR));
    if let Some(seconds) = retry_after {
        response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
    }
    response
}

/// A body that breaks before its first byte: the server closes the connection without an answer.
fn broken() -> impl futures_util::Stream<Item = Result<Bytes, std::io::Error>> {
    futures_util::stream::once(async { Err(std::io::Error::other("a scripted fault")) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_strikes_as_often_as_it_says() {
        let faults = Faults::default();
        faults.add("POST /a", 2, Fault::NeverAnswer);
        faults.add("message", 1, Fault::Twice);
        faults.set([faults.all(), vec![Rule { on: None, times: None, fault: Fault::Lose }]].concat());
        let struck = |what: &str| faults.take(what, Fault::is_for_call).len();
        assert_eq!(
            [struck("POST /b"), struck("POST /a/1"), struck("POST /a"), struck("POST /a")],
            [0, 1, 1, 0]
        );
        assert_eq!(faults.told("a message"), [Fault::Twice, Fault::Lose]);
        assert_eq!(faults.told("a message"), [Fault::Lose]);
        assert_eq!(faults.all().len(), 1);
    }

    #[test]
    fn a_rule_can_be_for_an_end() {
        let faults = Faults::default();
        faults.add("POST /chats$", 1, Fault::NeverAnswer);
        let struck = |what: &str| faults.take(what, Fault::is_for_call).len();
        assert_eq!([struck("POST /chats/1/lines"), struck("POST /v2 POST /chats")], [0, 1]);
    }

    #[test]
    fn a_special_fault_strikes_by_its_name() {
        let faults = Faults::default();
        faults.add("evict", 1, Fault::Special { name: "evict".into() });
        // Whatever is told meanwhile does not use it up.
        assert!(!faults.special("other") && faults.told("a message").is_empty());
        assert!(faults.special("evict") && !faults.special("evict"));
    }
}
