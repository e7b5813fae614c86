//! The API's routes, and what it tells.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Path, Query, Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, patch, post};
use axum::{Json, Router};
use serde_json::{Value, json};

use super::gate::{bad, error, not_found};
use super::open::{Org, lock};
use super::{channels, inbound, queue_id, time};

const INTEGRATIONS: &str = "/api/v2/conversations/messaging/integrations/open/{id}";
const MESSAGES: &str = "/api/v2/conversations/messages/";

pub(super) fn routes(org: Arc<Org>) -> Router {
    let at = |path: &str| format!("{MESSAGES}{path}");
    let api = Router::new()
        .route(&at("{integration}/inbound/open/message"), post(inbound::message))
        .route(&at("{integration}/inbound/open/event"), post(inbound::event))
        .route(&at("{integration}/inbound/open/receipt"), post(inbound::receipt))
        .route(&at("{id}"), get(conversation).patch(disconnect))
        .route(&at("{id}/details"), get(details))
        .route("/api/v2/conversations/{id}/participants/{party}/attributes", patch(attributes))
        .route(INTEGRATIONS, get(integration))
        .route("/api/v2/routing/message/recipients", get(recipients))
        .route("/api/v2/routing/queues", get(queues))
        .route("/api/v2/tokens/me", get(me))
        .route("/api/v2/organizations/me", get(organization))
        .route("/api/v2/notifications/channels", post(channels::create))
        .route(
            "/api/v2/notifications/channels/{id}/subscriptions",
            post(channels::add).put(channels::replace),
        )
        .layer(from_fn_with_state(org.clone(), guarded));
    let open =
        Router::new().route("/oauth/token", post(token)).route("/channels/{id}", get(channels::connect));
    api.merge(open).with_state(org)
}

async fn token(State(org): State<Arc<Org>>, headers: HeaderMap, body: Bytes) -> Response {
    lock(&org.gate).issue(&org.settings, &headers, &body, org.now())
}

/// Whoever calls has a good token, is not too fast, and may do it.
async fn guarded(State(org): State<Arc<Org>>, request: Request, next: Next) -> Response {
    let refused = lock(&org.gate).refuses(&org.settings, request.headers(), org.now());
    if let Some(refused) = refused {
        return refused;
    }
    if let Some((what, permission)) = org.settings.forbidden {
        let call = format!("{} {}", request.method(), request.uri().path());
        if call.contains(what) {
            let message = format!(
                "Unable to perform the requested action. You are missing the following permission(s): {permission}"
            );
            return error(StatusCode::FORBIDDEN, "missing.permissions", &message);
        }
    }
    next.run(request).await
}

async fn conversation(State(org): State<Arc<Org>>, Path(id): Path<String>) -> Response {
    match lock(&org.conversations).iter().find(|known| known.id == id) {
        Some(known) => Json(known.told()).into_response(),
        None => not_found("the conversation"),
    }
}

/// The customer's side ends it.
async fn disconnect(
    State(org): State<Arc<Org>>,
    Path(id): Path<String>,
    Json(body): Json<Value>,
) -> Response {
    if body["state"] != "disconnected" {
        return bad("only the state can be changed, and only to disconnected");
    }
    let (known, open) = {
        let all = lock(&org.conversations);
        let found = all.iter().find(|known| known.id == id);
        (found.is_some(), found.is_some_and(super::conversation::Conversation::is_open))
    };
    if !known {
        return not_found("the conversation");
    }
    if open {
        let _ = org.hang_up(&id, "client").await;
    }
    Json(json!({ "id": id, "state": "disconnected" })).into_response()
}

/// One message, by its id.
async fn details(State(org): State<Arc<Org>>, Path(id): Path<String>) -> Response {
    let all = lock(&org.conversations);
    let found =
        all.iter().find_map(|known| Some((known, known.messages.iter().find(|message| message.id == id)?)));
    match found {
        Some((known, message)) => Json(json!({
            "id": message.id, "providerMessageId": message.provider_id, "timestamp": time(message.at),
            "direction": if message.inbound { "inbound" } else { "outbound" }, "messengerType": "open",
            "conversationId": known.id, "status": "received",
        }))
        .into_response(),
        None => not_found("the message"),
    }
}

async fn attributes(
    State(org): State<Arc<Org>>,
    Path((id, party)): Path<(String, String)>,
    Json(body): Json<Value>,
) -> Response {
    let Ok(given) = serde_json::from_value::<BTreeMap<String, String>>(body["attributes"].clone()) else {
        return bad("attributes are texts by name");
    };
    let changed = {
        let mut all = lock(&org.conversations);
        let conversation = all.iter_mut().find(|known| known.id == id);
        let party =
            conversation.and_then(|known| known.participants.iter_mut().find(|known| known.id == party));
        party.map(|party| party.attributes.extend(given.clone())).is_some()
    };
    if !changed {
        return not_found("the participant");
    }
    org.desk.change(&id, |chat| {
        chat.transcript = chat.transcript.take().or_else(|| given.get("transcriptUrl").cloned());
        chat.context.extend(given);
    });
    StatusCode::ACCEPTED.into_response()
}

async fn integration(State(org): State<Arc<Org>>, Path(id): Path<String>) -> Response {
    if id != org.settings.integration_id {
        return not_found("the integration");
    }
    let webhook = lock(&org.webhook).clone();
    Json(json!({
        "id": id, "name": "Interline", "status": "Active", "createStatus": "Completed",
        "outboundNotificationWebhookUrl": webhook.map(String::from).unwrap_or_default(),
        "recipient": { "id": queue_id(&id) },
    }))
    .into_response()
}

async fn recipients(State(org): State<Arc<Org>>, Query(asked): Query<BTreeMap<String, String>>) -> Response {
    let id = queue_id(&org.settings.integration_id);
    let mut one = json!({ "id": id, "name": "Interline", "messengerType": "open" });
    if org.settings.bound {
        one["flow"] = json!({ "id": queue_id("flow"), "name": "Interline inbound" });
    }
    let open = asked.get("messengerType").is_none_or(|kind| kind == "open");
    let entities: Vec<Value> = if open { vec![one] } else { Vec::new() };
    Json(json!({ "total": entities.len(), "pageSize": 25, "pageNumber": 1, "pageCount": 1, "entities": entities })).into_response()
}

/// Every name but those that begin with "no " is a queue's; nobody belongs to those that begin with "empty ".
async fn queues(Query(asked): Query<BTreeMap<String, String>>) -> Response {
    let name = asked.get("name").filter(|name| !name.starts_with("no "));
    let entities: Vec<Value> = name
        .map(|name| json!({ "id": queue_id(name), "name": name, "memberCount": members(name) }))
        .into_iter()
        .collect();
    Json(json!({ "total": entities.len(), "pageSize": 25, "pageNumber": 1, "pageCount": 1, "entities": entities })).into_response()
}

fn members(queue: &str) -> u32 {
    if queue.starts_with("empty ") { 0 } else { 3 }
}

async fn me(State(org): State<Arc<Org>>) -> Json<Value> {
    let organization = json!({ "id": queue_id("organization"), "name": "Stand-in" });
    Json(json!({
        "organization": organization, "homeOrganization": organization, "authorizedScope": [],
        "OAuthClient": { "id": org.settings.client_id, "name": "Interline", "state": "active" },
    }))
}

async fn organization() -> Json<Value> {
    Json(json!({ "id": queue_id("organization"), "name": "Stand-in", "state": "active" }))
}
