//! `POST rtm/start`: where the socket is. The address is good once, for 30 seconds.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use http::HeaderMap;
use serde_json::{Value, json};

use super::Web;
use super::pass::Client;
use super::refused::Refused;

pub(super) async fn start(
    State(web): State<Arc<Web>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<Value>, Refused> {
    let asked: Value = serde_json::from_slice(&body).unwrap_or_default();
    let guest = web.admit(&headers, asked["botInfo"]["taskBotId"].as_str()).await?;
    let client = Client::named(asked["client"].as_str());
    // Our own widget leaves no connection behind.
    if client == Client::Published && web.logins.is_left_over(&guest.pass, web.host.now_ms()) {
        return Err(Refused::token_expired());
    }
    let mut url = web.host.public_url().clone();
    let scheme = if url.scheme() == "https" { "wss" } else { "ws" };
    // Between two special schemes this cannot fail.
    url.set_scheme(scheme).map_err(|()| Refused::bad("the server's public address is not http or https"))?;
    url.set_path("/rtm/bot");
    // The client appends `&isReconnect=true` blindly, so there must be a `?`.
    url.query_pairs_mut().clear().append_pair("sid", &guest.pass.ticket(web.host.as_ref(), client));
    Ok(Json(json!({ "url": url.as_str() })))
}
