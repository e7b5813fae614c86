//! Asynchronous mode: what customers are told is posted to the program's own address, one line at a time. The engine does
//! it like any other delivery: in order, from a cursor that survives a crash, again with the same id where it is in doubt.

use std::sync::Arc;

use async_trait::async_trait;
use http::HeaderName;
use interline_connector::agent::Env;
use interline_connector::http::{Reply, Request, of_status};
use interline_connector::manifest::{Acknowledged, Dedupe, Delivery, Manifest, Signals, Takes};
use interline_connector::{
    AgentSystem, Answer, Carried, Done, Failure, Http, Item, Received, Rejected, Secret, Unverified,
};
use interline_core::{AppId, Body, Entry, Speaker, app};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;

use super::{ID, Settings, answer};

/// The program drops what comes with a `messageId` that it knows.
static MANIFEST: Manifest = Manifest {
    id: ID,
    title: "Webhook",
    delivery: Delivery::Push,
    signals: Signals { accepts: false, joined: false, queued: false },
    takes: Takes { typing: false, receipts: false, files: None },
    dedupe: Dedupe::ByKey,
    acknowledged: Acknowledged::Answer,
    drain_ms: 0,
    opening_ms: None,
    resumes: false,
};

/// Where a program wants to be told.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Callback {
    /// Its address.
    #[schemars(with = "String", extend("format" = "uri"))]
    pub url: Url,
    /// Sent along as `Authorization: Bearer`, so that the program knows who calls.
    #[serde(default)]
    pub token: Option<Secret>,
}

impl Callback {
    /// What is wrong with it.
    pub(super) fn check(&self) -> Result<(), String> {
        if !matches!(self.url.scheme(), "http" | "https") || self.url.host_str().is_none() {
            return Err("callback.url: give an http or https URL".into());
        }
        if self.token.as_ref().is_some_and(|token| token.expose().is_empty()) {
            return Err("callback.token: it is empty; leave it out, or give one".into());
        }
        Ok(())
    }
}

/// Tells one integration's program. None: it does not want to be told.
pub(super) fn of(settings: Value, env: Env) -> Result<Option<Arc<dyn AgentSystem>>, String> {
    let settings: Settings = serde_json::from_value(settings).map_err(|error| error.to_string())?;
    let push = |callback| Arc::new(Push { callback, app: env.app, http: env.http }) as Arc<dyn AgentSystem>;
    Ok(settings.callback.map(push))
}

struct Push {
    callback: Callback,
    app: AppId,
    http: Http,
}

#[async_trait]
impl AgentSystem for Push {
    fn manifest(&self) -> &Manifest {
        &MANIFEST
    }

    fn describe(&self) -> app::AgentSystem {
        app::AgentSystem::default()
    }

    async fn deliver(&self, item: &Item, _: Option<Value>) -> Result<Done, Failure> {
        let Some(line) = line(item) else { return Ok(Done::default()) };
        let to = &item.conversation.customer.address;
        let body = json!({ "to": to, "from": self.app, "data": [line], "_v": "v2" });
        let mut request = Request::post(self.callback.url.clone())
            .header(HeaderName::from_static("idempotency-key"), &item.key())
            .json(&body);
        if let Some(token) = &self.callback.token {
            request = request.bearer(&token.to_secrecy());
        }
        match self.http.send(request).await? {
            Reply::Answered { status, headers, .. } if !status.is_success() => {
                Err(match of_status(status, &headers) {
                    // The address is the operator's to mend, and the customer is not gone.
                    Failure::Gone(cause) => Failure::Unauthorized(cause),
                    other => other,
                })
            }
            Reply::Answered { .. } | Reply::Sent => Ok(Done::default()),
        }
    }

    fn receive(&self, _: &Unverified) -> Result<Received, Rejected> {
        Err(Rejected(Answer::error(404, "there is no such integration")))
    }

    async fn probe(&self) -> Result<(), String> {
        Ok(())
    }
}

/// A line as the program gets it. None: it is not something that is said.
fn line(item: &Item) -> Option<Value> {
    let Entry { body: Body::Text(text), by, .. } = &item.entry else { return None };
    if *by == Speaker::Customer {
        return None;
    }
    let files: Vec<String> = item.files.iter().map(Carried::in_words).collect();
    Some(answer::line(&item.entry, &item.conversation.id, text, &files))
}
