//! One request: what a customer said or did, and what the customer is told.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use http::HeaderMap;
use interline_connector::channel::{ChannelApp, HeardAs, Host, Said, What};
use interline_core::IntegrationName;
use interline_core::conversation::connection::Connection;
use interline_core::conversation::entry::Text;
use interline_core::conversation::state::Customer;
use interline_core::flow::Expects;
use serde_json::Value;

use super::answer;
use super::poll::Poll;
use super::refused::Refused;
use super::request::{Asked, Request, closes};
use super::{ID, Settings};
use crate::signed::{bearer, proven};
use crate::turns::Taker;

/// Somebody who was let in.
pub(super) struct Caller {
    pub app: Arc<ChannelApp>,
    pub channel: IntegrationName,
    pub settings: Settings,
    /// The one person that the token is for; none: it is for all.
    identity: Option<String>,
}

impl Caller {
    /// Lets in who signed for this bot.
    pub fn admit(host: &dyn Host, bot: &str, headers: &HeaderMap) -> Result<Self, Refused> {
        let app = host.app(&bot.into()).ok_or_else(Refused::no_bot)?;
        let token = bearer(headers).ok_or_else(Refused::token)?;
        let signed = proven(&app, ID, token, host.now_ms(), |settings: &Settings| &settings.credentials);
        let (channel, settings, claims) = signed.ok_or_else(Refused::token)?;
        Ok(Self { channel: channel.clone(), settings, identity: claims.identity, app })
    }

    /// A token that names a person is for that one alone.
    pub fn may_speak_for(&self, address: &str) -> Result<(), Refused> {
        match &self.identity {
            Some(identity) if identity != address => Err(Refused::token()),
            Some(_) | None => Ok(()),
        }
    }
}

/// `POST /chatbot/v2/webhook/{bot}`
pub(super) async fn say(
    State(host): State<Arc<dyn Host>>,
    Path(bot): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<Value>, Refused> {
    let caller = Caller::admit(host.as_ref(), &bot, &headers)?;
    let request = Request::read(&body)?;
    caller.may_speak_for(request.address())?;
    let known = host.customer(&caller.app.id, &caller.channel, request.address()).await?;
    let pushed = caller.settings.callback.is_some();
    let connection =
        Connection { channel_type: Some(ID.into()), takes_turns: !pushed, pushed, ..Connection::default() };
    let customer = Customer { profile: request.profile(), connection, ..known };
    let app = &caller.app.id;
    let ends = || Said { external_id: None, what: closes() };
    let what = match request.asked()? {
        Asked::Close => {
            let closed = host.hear(app, &customer, ends()).await? != HeardAs::Nothing;
            return Ok(Json(answer::closure(closed)));
        }
        Asked::Did(what) => what,
        Asked::Says { text, attachments } => {
            let files = attachments.of(host.as_ref(), app, &customer).await?;
            What::Text(Text { files, ..Text::plain(text) })
        }
    };
    if request.begins_anew() {
        let external_id = request.id().map(|id| format!("new/{id}"));
        host.hear(app, &customer, Said { external_id, ..ends() }).await?;
    }
    let external_id = request.id().map(str::to_owned);
    if pushed {
        host.hear(app, &customer, Said { external_id, what }).await?;
        return Ok(Json(answer::accepted()));
    }
    let wait = Duration::from_secs(caller.settings.wait_seconds.into());
    let taker = Taker { host: host.as_ref(), app, customer: &customer, wait, waits_for_agents: false };
    let turn = taker.take(Said { external_id, what }).await?;
    let more = matches!(turn.expects, Some(Expects::Nothing) | None);
    if turn.expects.is_none() && !caller.settings.poll {
        return Err(Refused::late());
    }
    let from = || turn.end.clone().unwrap_or_default();
    let poll =
        (more && caller.settings.poll).then(|| Poll::of(&caller, &customer, from()).sealed(host.as_ref()));
    Ok(Json(answer::turn(host.as_ref(), &turn, app, &customer.address, poll.as_deref())))
}

/// `POST /chatbot/v2/webhook/{bot}/hookInstance/{instance}`: the integration is found by its credential, so the instance
/// says nothing more.
pub(super) async fn say_to_instance(
    host: State<Arc<dyn Host>>,
    Path((bot, _)): Path<(String, String)>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<Value>, Refused> {
    say(host, Path(bot), headers, body).await
}
