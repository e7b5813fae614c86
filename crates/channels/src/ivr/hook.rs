//! One request of an IVR.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderMap, StatusCode};
use interline_connector::channel::{Host, Said, Unavailable, What};
use interline_core::ConversationId;
use interline_core::conversation::connection::Connection;
use interline_core::conversation::entry::{Heard, Text};
use interline_core::conversation::input::Scope;
use interline_core::conversation::state::Customer;
use interline_core::flow::Expects;
use serde::Deserialize;
use serde_json::json;

use super::answer::{Answer, Then};
use super::request::Request;
use super::{ID, Settings, json as as_json, vxml};
use crate::signed::{bearer, proven};
use crate::turns::Taker;

/// What stands for an utterance that the grammar did not take and the IVR does not tell: no choice of any menu.
const UNCLEAR: &str = "?";

#[derive(Deserialize)]
pub(super) struct Signed {
    token: Option<String>,
}

/// A request turned away. The words are for whoever set the IVR up.
pub(super) struct Refused(StatusCode, String);

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let Self(status, message) = self;
        (status, Json(json!({ "errors": [{ "msg": message, "code": status.as_u16() }] }))).into_response()
    }
}

impl From<Unavailable> for Refused {
    fn from(reason: Unavailable) -> Self {
        Self(StatusCode::SERVICE_UNAVAILABLE, reason.0)
    }
}

/// `POST /ivr/hooks/{bot}`
pub(super) async fn turn(
    State(host): State<Arc<dyn Host>>,
    Path(bot): Path<String>,
    Query(query): Query<Signed>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Refused> {
    let app = host
        .app(&bot.as_str().into())
        .ok_or_else(|| Refused(StatusCode::NOT_FOUND, "there is no such bot".into()))?;
    let unproven = Request::read(&headers, &body);
    let in_body = unproven.as_ref().ok().and_then(|request| request.token.as_deref());
    let token = query.token.as_deref().or_else(|| bearer(&headers)).or(in_body).unwrap_or_default();
    let (channel, settings, _) =
        proven(&app, ID, token, host.now_ms(), |settings: &Settings| &settings.credentials)
            .ok_or_else(|| Refused(StatusCode::UNAUTHORIZED, "the token is missing or not valid".into()))?;
    let request = unproven.map_err(|why| Refused(StatusCode::BAD_REQUEST, why.into()))?;
    let known = host.customer(&app.id, channel, &request.call).await?;
    let customer = caller(known, &request);
    let taker = Taker {
        host: host.as_ref(),
        app: &app.id,
        customer: &customer,
        wait: Duration::from_secs(settings.wait_seconds.into()),
        waits_for_agents: true,
    };
    let turn = match said(&request) {
        Some(said) => taker.take(said).await?,
        None => taker.wait(None).await?,
    };
    let expects = turn.expects.clone();
    let mut answer = Answer::of(turn);
    if let (Then::GiveBack(given), Some(Expects::HandedOff(ask))) = (&mut answer.then, &expects) {
        let conversation = ConversationId::from(answer.session.as_str());
        given.told = host.handed_off(&app.id, &conversation, ask.summary).await?;
    }
    if request.event == HANGUP {
        answer.then = Then::End(Default::default());
    }
    if answer.ends_by_command(expects.as_ref()) && request.event != HANGUP {
        let ends = Said { external_id: None, what: What::Ends(Scope::Conversation) };
        host.hear(&app.id, &customer, ends).await?;
    }
    Ok(if wants_json(&headers) {
        Json(as_json::document(&answer, &settings)).into_response()
    } else {
        let document = vxml::document(&answer, &settings, request.app_root.as_deref());
        ([(CONTENT_TYPE, "application/voicexml+xml; charset=utf-8")], document).into_response()
    })
}

const HANGUP: &str = "hangup";

/// How the caller reached us.
fn caller(known: Customer, request: &Request) -> Customer {
    let mut customer = known;
    customer.profile.phone.clone_from(&request.from);
    customer.connection = Connection {
        channel_type: Some(ID.into()),
        caller: request.from.clone(),
        call_id: Some(request.call.clone()),
        takes_turns: true,
        times_input: true,
        is_call: true,
        ..Connection::default()
    };
    customer
}

/// What the caller did. None: nothing; the IVR asks what came meanwhile.
fn said(request: &Request) -> Option<Said> {
    let words = |text: &str| {
        // Keys come with spaces between them from some IVRs.
        let text = if request.by_keys() { text.split_whitespace().collect() } else { text.trim().to_owned() };
        let heard = Heard { keys: request.by_keys(), asr: request.heard() };
        let heard = (heard != Heard::default()).then_some(heard);
        What::Text(Text { text, heard, ..Text::default() })
    };
    let what = match request.event.as_str() {
        "continue" => return None,
        HANGUP => What::Ends(Scope::Conversation),
        "noinput" => What::NoInput,
        "nomatch" if request.message.trim().is_empty() => words(UNCLEAR),
        _ if request.message.trim().is_empty() => What::Connected,
        _ => words(&request.message),
    };
    let external_id = match what {
        // Once in a call is enough, with or without a key.
        What::Connected => None,
        _ => request.key(),
    };
    Some(Said { external_id, what })
}

/// VoiceXML is for those who do not say that they want JSON.
fn wants_json(headers: &HeaderMap) -> bool {
    let accept = headers.get(ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    let json = accept.find("application/json");
    let xml = accept.find("xml");
    json.is_some_and(|json| xml.is_none_or(|xml| json < xml))
}
