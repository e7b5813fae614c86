//! Custom (BotKit): an agent system that a customer reaches through the vendor's open-source BotKit server.
//!
//! One integration plays two roles, as two participants: **agent**, and, when subscribed to messages, **interceptor**.
//!
//! ```text
//!   entry ─► outbound.rs ─► POST {url}/sdk/bots/{app}/{event} ─► answer.rs: what its answer means
//!   POST|GET {public_url}/api/botsdk/stream/{app}/{call} ─► inbound.rs ─► Heard
//! ```
//!
//! Facts about the product, its limits and how to set it up: `README.md` in this folder.

mod answer;
mod attachments;
mod inbound;
mod outbound;
mod settings;
mod wire;

#[cfg(any(test, feature = "simulators"))]
pub mod simulator;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ::http::{HeaderMap, HeaderName, HeaderValue};
use async_trait::async_trait;
use bytes::Bytes;
use interline_connector::agent::{Connector, Env};
use interline_connector::failure::Cause;
use interline_connector::formats;
use interline_connector::http::{Reply, Request};
use interline_connector::manifest::{Acknowledged, Dedupe, Delivery, Manifest, Signals, Takes, TakesFiles};
#[cfg(any(test, feature = "simulators"))]
use interline_connector::simulator::{StandIn, Tenant};
use interline_connector::webhook::{History, Unverified};
use interline_connector::{AgentSystem, Answer, Credential, Done, Failure, Item, Received, Rejected};
use interline_core::app;
use interline_core::transfer::Reason;
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use url::Url;

pub use settings::{Settings, Subscription};

/// What it can do.
static MANIFEST: Manifest = Manifest {
    id: "botkit",
    title: "Custom (BotKit)",
    delivery: Delivery::Push,
    signals: Signals { accepts: true, joined: false, queued: false },
    takes: Takes {
        typing: false,
        receipts: false,
        files: Some(TakesFiles { max_bytes: 25 * 1024 * 1024, formats: formats::ALL }),
    },
    dedupe: Dedupe::None,
    acknowledged: Acknowledged::Sent,
    // Two calls that a bot file makes one after the other may arrive in either order, but at about the same time.
    drain_ms: 1_000,
    opening_ms: Some(15_000),
    resumes: false,
};

/// How long a token of ours is good for. BotKit forgives no difference between clocks, so not too short.
const TOKEN_SECONDS: f64 = 300.0;

/// The connector.
#[derive(Debug, Clone, Copy)]
pub struct BotKit;

impl Connector for BotKit {
    fn manifest(&self) -> &'static Manifest {
        &MANIFEST
    }

    fn settings_schema(&self) -> Value {
        schemars::schema_for!(Settings).to_value()
    }

    fn build(&self, settings: Value, env: Env) -> Result<Arc<dyn AgentSystem>, String> {
        let settings = Settings::read(settings)?;
        let credential = settings.find_credential(&env)?;
        if !is_bot_id(env.app.as_str()) {
            return Err(format!(
                "the app's id `{}` is not `st-` and a version 5 UUID; BotKit answers 500 to any other id",
                env.app
            ));
        }
        if env.public_url.path() != "/" {
            return Err(
                "public_url: must have no path; BotKit counts the parts of the URLs it is given".into()
            );
        }
        Ok(Arc::new(Integration { settings, credential, env }))
    }

    #[cfg(any(test, feature = "simulators"))]
    fn stand_in(&self, tenant: &Tenant) -> Option<Arc<dyn StandIn>> {
        let settings = simulator::Settings {
            app_id: tenant.app.as_str().to_owned(),
            client_id: tenant.credential.client_id.clone(),
            client_secret: tenant.credential.client_secret.expose_secret().to_owned(),
            algorithm: tenant.credential.algorithm,
            prefix: String::new(),
        };
        Some(Arc::new(simulator::Simulator::new(settings)))
    }
}

/// A configured BotKit.
struct Integration {
    settings: Settings,
    credential: Credential,
    env: Env,
}

#[async_trait]
impl AgentSystem for Integration {
    fn manifest(&self) -> &Manifest {
        &MANIFEST
    }

    fn describe(&self) -> app::AgentSystem {
        let intercepts =
            self.settings.subscribes(Subscription::Messages).then_some(self.settings.hold_policy);
        app::AgentSystem {
            tells_joined: MANIFEST.signals.joined,
            drain_ms: MANIFEST.drain_ms,
            opening_ms: Some(self.settings.opening_ms),
            intercepts,
            retired: false,
        }
    }

    async fn deliver(&self, item: &Item, session: Option<Value>) -> Result<Done, Failure> {
        let Some(outgoing) = self.outgoing(item, session.as_ref())? else { return Ok(Done::default()) };
        let acknowledged = outgoing.purpose.acknowledged();
        let lane = format!("{}/{}", item.conversation.id, item.participant.no);
        let reply = self.post(outgoing.event, outgoing.body, acknowledged, lane).await?;
        answer::judge(outgoing.purpose, &reply)?;
        Ok(Done { session: outgoing.session, ..Done::default() })
    }

    fn receive(&self, request: &Unverified) -> Result<Received, Rejected> {
        self.understand(request)
    }

    fn history(&self, history: &History) -> Answer {
        inbound::render_history(history)
    }

    /// Asks for an event that no BotKit knows: one that accepts our credentials says so by "Event not found".
    async fn probe(&self) -> Result<(), String> {
        let body = Bytes::from_static(b"{}");
        let reply = self.post("interline_probe", body, Acknowledged::Answer, "probe".into()).await;
        match reply {
            Ok(Reply::Answered { status, body, .. }) => answer::explain_probe(status, &body),
            Ok(Reply::Sent) => Err("no answer".into()),
            Err(failure) => Err(failure.cause().code.clone()),
        }
    }
}

impl Integration {
    async fn post(
        &self,
        event: &str,
        body: Bytes,
        acknowledged: Acknowledged,
        lane: String,
    ) -> Result<Reply, Failure> {
        let request = Request::post(self.event_url(event)?)
            .headers(self.headers()?)
            .json_bytes(body)
            .deadline(Duration::from_millis(self.settings.answer_timeout_ms))
            .acknowledged(acknowledged)
            .lane(lane);
        self.env.http.send(request).await
    }

    /// `{url}/sdk/bots/{app}/{event}`, without doubled slashes.
    fn event_url(&self, event: &str) -> Result<Url, Failure> {
        let base = self.settings.url.as_str().trim_end_matches('/');
        let url = format!("{base}/sdk/bots/{}/{event}", self.env.app);
        url.parse().map_err(|_| bug("event URL"))
    }

    fn headers(&self) -> Result<HeaderMap, Failure> {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let exp = Some((since.as_secs_f64() + TOKEN_SECONDS).floor());
        let claims = wire::Claims { app_id: self.credential.client_id.clone(), exp, nbf: None };
        let token = self.credential.sign(&claims).map_err(|_| bug("token"))?;
        let mut headers = HeaderMap::new();
        headers.insert(HeaderName::from_static("token"), secret_value(&token)?);
        if self.settings.send_apikey {
            let secret = self.credential.client_secret.expose_secret();
            headers.insert(HeaderName::from_static("apikey"), secret_value(secret)?);
        }
        Ok(headers)
    }

    /// The session document: BotKit takes part, so it must be told of the end.
    fn opened(request_id: &str) -> Value {
        json!({ "opened": true, "requestId": request_id })
    }
}

fn secret_value(text: &str) -> Result<HeaderValue, Failure> {
    let mut value = HeaderValue::from_str(text).map_err(|_| bug("header"))?;
    value.set_sensitive(true);
    Ok(value)
}

fn bug(what: &str) -> Failure {
    Failure::Bug(Cause::new(Reason::VendorError, format!("cannot make the {what}")))
}

/// `st-` and a version 5 UUID in its usual spelling. BotKit looks for exactly this in the URL.
fn is_bot_id(text: &str) -> bool {
    let Some(uuid) = text.strip_prefix("st-") else { return false };
    uuid.len() == 36
        && uuid.char_indices().all(|(at, c)| match at {
            8 | 13 | 18 | 23 => c == '-',
            14 => c == '5',
            19 => matches!(c, '8' | '9' | 'a' | 'b'),
            _ => matches!(c, '0'..='9' | 'a'..='f'),
        })
}
