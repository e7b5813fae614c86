//! An agent system that does what a test says and remembers what it was told.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use async_trait::async_trait;
use interline_connector::agent::Brief;
use interline_connector::channel::Mark;
use interline_connector::manifest::{Acknowledged, Dedupe, Delivery, Signals, Takes};
use interline_connector::webhook::{History, HistoryQuery, Proof};
use interline_connector::{
    AgentSystem, Answer, Aside, Carried, Cause, Context, Done, Failure, FileRefused, Heard, Incoming, Item,
    Manifest, Received, Rejected, Unverified, UpTo,
};
use interline_core::conversation::classify::Call;
use interline_core::conversation::input::AgentEvent;
use interline_core::conversation::request_id::{RequestId, RequestKind};
use interline_core::transfer::Reason;
use interline_core::{Body, Seq, app};
use serde_json::{Value, json};

use crate::world::until;

/// What the vendor does with a delivery.
pub enum Act {
    /// Takes it.
    Take,
    /// Takes it and tells something in its answer.
    Tell(Vec<AgentEvent>),
    /// Fails; nothing arrived.
    Fail(Failure),
    /// Takes it, but the answer is lost.
    TakeAndFail(Failure),
    /// Takes it and never answers.
    Hang,
    /// The connector panics.
    Panic,
    /// Waits for the other side before it takes it.
    After(Arc<tokio::sync::Notify>),
    /// Waits, and then fails; nothing arrived.
    FailAfter(Arc<tokio::sync::Notify>),
}

/// One try at one entry.
#[derive(Debug, Clone)]
pub struct Try {
    pub key: String,
    /// The words, or what it is.
    pub what: String,
    pub arrived: bool,
    pub at: Instant,
    pub session: Option<Value>,
    pub participant: u32,
    pub before: Vec<String>,
    pub request: RequestId,
    /// What travelled along, with an Open.
    pub context: Context,
    /// The link to what was said before, with an Open.
    pub transcript: Option<url::Url>,
    /// The files, and how they may reach the vendor.
    pub files: Vec<Carried>,
}

pub struct Fake {
    manifest: Manifest,
    describe: app::AgentSystem,
    script: Mutex<VecDeque<Act>>,
    tries: Mutex<Vec<Try>>,
    asides: Mutex<Vec<Aside>>,
    /// What was told of files that are not taken. None: it tells nothing, so the call's answer does.
    refusals: Mutex<Option<Vec<String>>>,
}

pub fn manifest(id: &'static str) -> Manifest {
    Manifest {
        id,
        title: "Fake",
        delivery: Delivery::Push,
        signals: Signals { accepts: true, joined: false, queued: false },
        takes: Takes { typing: true, receipts: true, files: None },
        dedupe: Dedupe::ByKey,
        acknowledged: Acknowledged::Answer,
        drain_ms: 0,
        opening_ms: None,
        resumes: false,
    }
}

pub fn cause() -> Cause {
    Cause::new(Reason::VendorError, "503")
}

pub fn retry() -> Act {
    Act::Fail(Failure::Retry { after_ms: None, cause: cause() })
}

impl Fake {
    /// One that drops repeats with the same key, and tells nothing of agents who join.
    pub fn by_key() -> Arc<Self> {
        Self::with(manifest("fake"), app::AgentSystem::default())
    }

    /// One at which a repeat does harm.
    pub fn no_dedupe() -> Arc<Self> {
        Self::with(Manifest { dedupe: Dedupe::None, ..manifest("fake") }, app::AgentSystem::default())
    }

    pub fn with(manifest: Manifest, describe: app::AgentSystem) -> Arc<Self> {
        let (script, tries, asides, refusals) = Default::default();
        Arc::new(Self { manifest, describe, script, tries, asides, refusals })
    }

    /// From now on it tells its agents of files that are not taken.
    pub fn tells_of_refusals(&self) {
        *self.refusals.lock().unwrap() = Some(Vec::new());
    }

    pub fn refusals(&self) -> Vec<String> {
        self.refusals.lock().unwrap().clone().unwrap_or_default()
    }

    pub fn script(&self, acts: impl IntoIterator<Item = Act>) {
        self.script.lock().unwrap().extend(acts);
    }

    /// Every try, in order.
    pub fn tries(&self) -> Vec<Try> {
        self.tries.lock().unwrap().clone()
    }

    /// Tries at this text (or "open", "close").
    pub fn tries_at(&self, what: &str) -> Vec<Try> {
        self.tries().into_iter().filter(|tried| tried.what == what).collect()
    }

    /// What arrived, repeats with the same key dropped if the vendor does that.
    pub fn got(&self) -> Vec<String> {
        let mut keys = std::collections::HashSet::new();
        let dedupes = self.manifest.dedupe == Dedupe::ByKey;
        let arrived = self.tries().into_iter().filter(|tried| tried.arrived);
        arrived.filter(|tried| keys.insert(tried.key.clone()) || !dedupes).map(|tried| tried.what).collect()
    }

    pub async fn until_got(&self, what: &str) {
        until(&format!("the agent system gets {what:?}"), async || {
            self.got().iter().any(|got| got == what).then_some(())
        })
        .await;
    }

    pub async fn until_tried(&self, what: &str, times: usize) -> Vec<Try> {
        until(&format!("{what:?} is tried {times} times"), async || {
            let tries = self.tries_at(what);
            (tries.len() >= times).then_some(tries)
        })
        .await
    }

    /// What was told beside the log.
    pub fn asides(&self) -> Vec<Aside> {
        self.asides.lock().unwrap().clone()
    }
}

pub fn what(body: &Body) -> String {
    match body {
        Body::Text(text) => text.text.clone(),
        Body::Open => "open".into(),
        Body::Close { .. } => "close".into(),
        other => format!("{other:?}"),
    }
}

fn request(item: &Item) -> RequestId {
    let kind = match (&item.entry.body, &item.entry.by, item.participant.is_interceptor()) {
        (Body::Open, ..) => RequestKind::Transfer,
        (_, interline_core::Speaker::Bot, _) => RequestKind::BotLine,
        (_, _, true) => RequestKind::CustomerLine,
        (_, _, false) => RequestKind::AgentMode,
    };
    RequestId {
        conversation: item.conversation.id.clone(),
        participant: item.participant.no,
        epoch: item.entry.epoch,
        seq: item.entry.seq,
        kind,
    }
}

#[async_trait]
impl AgentSystem for Fake {
    fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    fn describe(&self) -> app::AgentSystem {
        self.describe.clone()
    }

    async fn deliver(&self, item: &Item, session: Option<Value>) -> Result<Done, Failure> {
        let act = self.script.lock().unwrap().pop_front().unwrap_or(Act::Take);
        let arrived = !matches!(act, Act::Fail(_) | Act::FailAfter(_) | Act::Panic);
        let before = item.before.iter().map(crate::world::short).collect();
        self.tries.lock().unwrap().push(Try {
            key: item.key(),
            what: what(&item.entry.body),
            arrived,
            at: Instant::now(),
            session,
            participant: item.participant.no.0,
            before,
            request: request(item),
            context: item.context.clone(),
            transcript: item.transcript.clone(),
            files: item.files.clone(),
        });
        let events = match act {
            Act::Take => Vec::new(),
            Act::Tell(events) => events,
            Act::Fail(failure) | Act::TakeAndFail(failure) => return Err(failure),
            Act::Hang => std::future::pending().await,
            Act::Panic => panic!("as the test wants"),
            Act::After(gate) => {
                gate.notified().await;
                Vec::new()
            }
            Act::FailAfter(gate) => {
                gate.notified().await;
                return Err(Failure::Retry { after_ms: None, cause: cause() });
            }
        };
        let session = matches!(item.entry.body, Body::Open).then(|| json!({ "chat": item.key() }));
        Ok(Done { session, remote_ids: vec![format!("r-{}", item.entry.seq)], events })
    }

    /// `{"secret", "callback": {"id", "call"}}`, `{"secret", "event": {…}}` or `{"secret", "history": customer}`.
    fn receive(&self, request: &Unverified) -> Result<Received, Rejected> {
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        if body["secret"] != "open sesame" {
            return Err(Rejected(Answer::error(401, "no")));
        }
        let heard = if let Some(id) = body["callback"]["id"].as_str() {
            let id = id.parse().map_err(|_| Rejected(Answer::error(404, "unreadable")))?;
            let call: Call = serde_json::from_value(body["callback"]["call"].clone()).unwrap();
            vec![Heard::Callback { id, call, files: incoming(&body) }]
        } else if let Some(id) = body["named"].as_str() {
            vec![Heard::Named(id.parse().map_err(|_| Rejected(Answer::error(404, "unreadable")))?)]
        } else if let Some(customer) = body["history"].as_str() {
            vec![Heard::History(HistoryQuery { customer: customer.into(), skip: 0, limit: 3 })]
        } else if body.get("receipt").is_some() {
            let receipt = &body["receipt"];
            let up_to = match receipt["seq"].as_u64() {
                Some(seq) => UpTo::Entry(Seq(seq)),
                None => UpTo::Remote(receipt["id"].as_str().unwrap().to_owned()),
            };
            vec![Heard::Receipt {
                conversation: receipt["conversation"].as_str().unwrap().into(),
                participant: serde_json::from_value(receipt["participant"].clone()).unwrap(),
                mark: if receipt["read"] == true { Mark::Read } else { Mark::Delivered },
                up_to,
            }]
        } else if body.get("refused").is_some() {
            let refused = &body["refused"];
            vec![Heard::Refused {
                conversation: refused["conversation"].as_str().unwrap().into(),
                participant: serde_json::from_value(refused["participant"].clone()).unwrap(),
                remote_id: refused["id"].as_str().unwrap().to_owned(),
                code: "NotReadable".into(),
            }]
        } else if body.get("typing").is_some() {
            let typing = &body["typing"];
            vec![Heard::Typing {
                conversation: typing["conversation"].as_str().unwrap().into(),
                participant: serde_json::from_value(typing["participant"].clone()).unwrap(),
                on: typing["on"].as_bool().unwrap(),
            }]
        } else {
            let event = &body["event"];
            vec![Heard::Event {
                conversation: event["conversation"].as_str().unwrap().into(),
                participant: serde_json::from_value(event["participant"].clone()).unwrap(),
                external_id: event["id"].as_str().map(str::to_owned),
                event: serde_json::from_value(event["event"].clone()).unwrap(),
                files: incoming(&body),
            }]
        };
        Ok(Received { proof: Proof::SharedSecret, heard, answer: Answer::ok(json!({"ok": true})) })
    }

    fn history(&self, history: &History) -> Answer {
        let lines: Vec<String> = history.lines.iter().map(|(_, entry)| crate::world::short(entry)).collect();
        Answer::ok(json!({ "lines": lines, "total": history.total, "more": history.more }))
    }

    async fn aside(&self, _: &Brief, session: Option<Value>, aside: &Aside) {
        assert!(session.is_some(), "an aside without a session");
        self.asides.lock().unwrap().push(aside.clone());
    }

    async fn refused(
        &self,
        _: &Brief,
        session: Option<Value>,
        files: &[Incoming],
        why: &FileRefused,
    ) -> bool {
        let mut refusals = self.refusals.lock().unwrap();
        let Some(refusals) = refusals.as_mut() else { return false };
        assert!(session.is_some(), "a refusal without a session");
        let names: Vec<&str> = files.iter().filter_map(|file| file.name.as_deref()).collect();
        refusals.push(format!("{}: {}", names.join(" "), why.code()));
        true
    }

    async fn probe(&self) -> Result<(), String> {
        Ok(())
    }
}

/// `"files": [{"name", "url"}]` beside the rest.
fn incoming(body: &Value) -> Vec<Incoming> {
    let files = body["files"].as_array().into_iter().flatten();
    let incoming = files.map(|file| Incoming {
        name: file["name"].as_str().map(str::to_owned),
        url: file["url"].as_str().unwrap().parse().unwrap(),
        headers: http::HeaderMap::new(),
    });
    incoming.collect()
}

/// The body of a callback.
pub fn callback(id: &RequestId, call: &Call) -> Value {
    json!({ "secret": "open sesame", "callback": { "id": id.to_string(), "call": call } })
}

/// The body of an event.
pub fn event(conversation: &str, participant: u32, id: Option<&str>, event: &AgentEvent) -> Value {
    let event = json!({ "conversation": conversation, "participant": participant, "id": id, "event": event });
    json!({ "secret": "open sesame", "event": event })
}

/// Keeps test code short.
pub fn said(words: &str) -> AgentEvent {
    AgentEvent::Said {
        text: interline_core::conversation::entry::Text::plain(words),
        name: Some("Ann".into()),
    }
}
