//! Voice, as an agent system: a living call is handed to a human by SIP.
//!
//! ```text
//!   Open ─► the call of this customer ─► INVITE │ REFER │ BYE
//!                                          │ rings ──► Queued       (Waiting)
//!                                          │ joined ─► Joined       (Talking)
//!                                          │ left ───► Ended
//!                                          │ away ───► HandedOff
//!                                          └ else ───► Failed(reason, code)
//!   Close ─► the leg is hung up
//! ```

mod plan;
mod settings;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use interline_connector::agent::{Connector, Env};
use interline_connector::manifest::{Acknowledged, Dedupe, Delivery, Manifest, Signals, Takes};
use interline_connector::webhook::Unverified;
use interline_connector::{
    AgentSystem, Answer, Cause, Done, Failure, Item, Link, Next, Received, Rejected, RunEnd,
};
use interline_core::app;
use interline_core::conversation::input::AgentEvent;
use interline_core::transfer::{Failure as Typed, Reason};
use interline_core::{Body, Seq};
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::call::Call;
use crate::live::Live;
use crate::transfer::{Ended, Failed, Progress};
pub use settings::Settings;

static MANIFEST: Manifest = Manifest {
    id: "voice",
    title: "Voice",
    delivery: Delivery::Pinned,
    // The Open is settled with the first that is known: that somebody was reached is told by ringing.
    signals: Signals { accepts: false, joined: true, queued: true },
    takes: Takes { typing: false, receipts: false, files: None },
    dedupe: Dedupe::None,
    acknowledged: Acknowledged::Answer,
    drain_ms: 0,
    opening_ms: None,
    resumes: false,
};

/// An agent of whom nothing is heard for so long: the Open is settled, so that what comes after it is heard.
const SETTLES: Duration = Duration::from_millis(200);

/// The connector.
#[derive(Debug, Clone, Copy)]
pub struct Voice;

impl Connector for Voice {
    fn manifest(&self) -> &'static Manifest {
        &MANIFEST
    }

    fn settings_schema(&self) -> Value {
        schemars::schema_for!(Settings).to_value()
    }

    fn build(&self, settings: Value, env: Env) -> Result<Arc<dyn AgentSystem>, String> {
        let settings = Settings::read(settings)?;
        Ok(Arc::new(Integration { settings, env }))
    }
}

struct Integration {
    settings: Settings,
    env: Env,
}

#[async_trait]
impl AgentSystem for Integration {
    fn manifest(&self) -> &Manifest {
        &MANIFEST
    }

    fn describe(&self) -> app::AgentSystem {
        app::AgentSystem {
            tells_joined: true,
            drain_ms: 0,
            // Our own timers end it before.
            opening_ms: Some(self.settings.opening_ms()),
            intercepts: None,
            retired: false,
        }
    }

    async fn deliver(&self, _: &Item, _: Option<Value>) -> Result<Done, Failure> {
        Err(Failure::Bug(Cause::new(Reason::VendorError, "calls are not delivered to")))
    }

    fn receive(&self, _: &Unverified) -> Result<Received, Rejected> {
        Err(Rejected(Answer::error(404, "calls have no webhook")))
    }

    async fn run(&self, link: &mut dyn Link) -> RunEnd {
        let item = loop {
            match link.next().await {
                Some(Next::Item(item)) => break item,
                Some(Next::Aside(_)) => {}
                None => return RunEnd::Over,
            }
        };
        if item.entry.body == Body::Open {
            self.transfer(&item, link).await;
        } else {
            link.done(item.entry.seq, Ok(Done::default())).await;
        }
        until_over(link).await
    }

    async fn probe(&self) -> Result<(), String> {
        self.settings.probe(&self.env).await
    }
}

impl Integration {
    async fn transfer(&self, item: &Item, link: &mut dyn Link) {
        let brief = &item.conversation;
        let mut told = Told { open: Some(item.entry.seq), link };
        let Some(call) = Live::here().call(&brief.app, &brief.customer.id) else {
            let failure =
                Typed { reason: Reason::BadRequest, code: Some("the customer is not on a call here".into()) };
            return told.tell(vec![AgentEvent::Failed(failure)]).await;
        };
        let plan = match self.plan(item) {
            Ok(plan) => plan,
            Err(failure) => return told.tell(vec![AgentEvent::Failed(failure)]).await,
        };
        // The channel waits for it, so that what a transfer did is told before that the caller is gone.
        let told_first = call.told_first().await;
        call.spoken().read_up_to(item.entry.seq.0).await;
        let (progress, mut steps) = mpsc::channel(8);
        let stop = CancellationToken::new();
        // In a task of its own: the agent who answers is not kept waiting while it is written that it rings.
        let (transferred, stopping) = (call.clone(), stop.clone());
        let mut transfer = AbortOnDropHandle::new(tokio::spawn(async move {
            transferred.transfer(&plan, progress, stopping).await
        }));
        let settles = sleep(SETTLES);
        tokio::pin!(settles);
        let mut over = false;
        let result = loop {
            tokio::select! {
                biased;
                Some(step) = steps.recv() => {
                    let _in_order = call.telling_news.lock().await;
                    let mut events = news(&call);
                    events.push(event(step));
                    events.extend(std::iter::from_fn(|| steps.try_recv().ok().map(event)));
                    told.tell(events).await;
                }
                result = &mut transfer => break result,
                () = &mut settles, if told.open.is_some() => told.tell(Vec::new()).await,
                next = told.link.next(), if !over && told.open.is_none() => match next {
                    Some(Next::Item(item)) => {
                        told.link.done(item.entry.seq, Ok(Done::default())).await;
                        if matches!(item.entry.body, Body::Close { .. }) {
                            stop.cancel();
                        }
                    }
                    Some(Next::Aside(_)) => {}
                    None => {
                        over = true;
                        stop.cancel();
                    }
                },
            }
        };
        let event = match result {
            Ok(result) => outcome(&result),
            Err(_) => Some(AgentEvent::Failed(Typed { reason: Reason::VendorError, code: None })),
        };
        let in_order = call.telling_news.lock().await;
        let mut events = news(&call);
        events.extend(event);
        told.tell(events).await;
        drop(in_order);
        drop(told_first);
    }
}

/// What is told of a transfer. The Open is settled together with the first of it, which is one commit instead of two, and
/// after the agent was called, who does not have to wait for either.
struct Told<'a> {
    open: Option<Seq>,
    link: &'a mut dyn Link,
}

impl Told<'_> {
    async fn tell(&mut self, events: Vec<AgentEvent>) {
        match self.open.take() {
            Some(seq) => self.link.done(seq, Ok(Done { events, ..Done::default() })).await,
            None => self.link.heard_all(events).await,
        }
    }
}

/// What the legs came to, for the timeline.
fn news(call: &Call) -> Vec<AgentEvent> {
    call.news().into_iter().map(AgentEvent::Called).collect()
}

fn event(step: Progress) -> AgentEvent {
    match step {
        Progress::Ringing => AgentEvent::Queued { position: None },
        Progress::Bridged => AgentEvent::Joined { name: None },
    }
}

/// What is told of how it ended. Of a caller who left the channel tells, and what we were told to end is known.
fn outcome(result: &Result<Ended, Failed>) -> Option<AgentEvent> {
    match result {
        Ok(Ended::AgentLeft) => Some(AgentEvent::Ended { tag: None }),
        Ok(Ended::HandedOff) => Some(AgentEvent::HandedOff),
        Ok(Ended::CallerLeft | Ended::Stopped) => None,
        Err(failed) if failed.reason == Reason::CallerLeft => None,
        Err(failed) => Some(AgentEvent::Failed(failed.typed())),
    }
}

/// What is still to be told is of no use to a call that is over.
async fn until_over(link: &mut dyn Link) -> RunEnd {
    while let Some(next) = link.next().await {
        if let Next::Item(item) = next {
            link.done(item.entry.seq, Ok(Done::default())).await;
        }
    }
    RunEnd::Over
}
