//! Calls of agent systems. The bytes go to the connector as they came: proofs cover the exact bytes.

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Json, Response};
use axum::routing::any;
use interline_connector::channel::Host;
use interline_connector::{Answer, Unverified};
use interline_core::{AppId, IntegrationName};
use interline_engine::Engine;

use crate::limits::BODY_BYTES;

pub(crate) fn routes(engine: Engine) -> Router {
    Router::new()
        // A BotKit takes path segment 6 as the bot id, so the shape is fixed.
        .route("/api/botsdk/stream/{app}/{*rest}", any(botkit))
        .route("/in/{app}/{integration}/{*rest}", any(own_address))
        .with_state(engine)
}

async fn botkit(
    State(engine): State<Engine>,
    Path((app, _)): Path<(String, String)>,
    request: Request<Body>,
) -> Response {
    let prefix = format!("/api/botsdk/stream/{app}/");
    match unverified(&engine, &prefix, request).await {
        Ok(request) => respond(engine.receive(&AppId::from(app.as_str()), "botkit", &request).await),
        Err(answer) => respond(answer),
    }
}

/// An integration's own address: `/in/{app}/{integration}/{secret part}`, and what its connector makes of the rest.
async fn own_address(
    State(engine): State<Engine>,
    Path((app, integration, _)): Path<(String, String, String)>,
    request: Request<Body>,
) -> Response {
    let prefix = format!("/in/{app}/{integration}/");
    match unverified(&engine, &prefix, request).await {
        Ok(request) => {
            let (app, integration) = (AppId::from(app.as_str()), IntegrationName::from(integration.as_str()));
            respond(engine.receive_at(&app, &integration, request).await)
        }
        Err(answer) => respond(answer),
    }
}

/// The path as it came: ids in it may hold percent signs, and only the connector knows what it means.
async fn unverified(engine: &Engine, prefix: &str, request: Request<Body>) -> Result<Unverified, Answer> {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, BODY_BYTES).await;
    let body = body.map_err(|_| Answer::error(413, "the body is larger than 1 MiB or was cut off"))?;
    Ok(Unverified {
        method: parts.method,
        path: parts.uri.path().strip_prefix(prefix).unwrap_or_default().to_owned(),
        query: parts.uri.query().unwrap_or_default().to_owned(),
        headers: parts.headers,
        body,
        now_ms: engine.now_ms(),
        secret_part: false,
    })
}

pub(crate) fn respond(answer: Answer) -> Response {
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    match answer.body {
        Some(body) => (status, Json(body)).into_response(),
        None => status.into_response(),
    }
}
