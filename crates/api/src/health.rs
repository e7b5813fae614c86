//! Whether the process lives, and whether it can do its work.

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use interline_engine::Engine;
use serde_json::{Value, json};

pub(crate) fn routes(engine: Engine) -> Router {
    Router::new()
        .route("/healthz", get(|| async { Json(json!({ "status": "alive" })) }))
        .route("/readyz", get(ready))
        .with_state(engine)
}

async fn ready(State(engine): State<Engine>) -> (StatusCode, Json<Value>) {
    match engine.ready().await {
        Ok(()) => (StatusCode::OK, Json(json!({ "status": "ready" }))),
        Err(trouble) => {
            tracing::warn!(%trouble, "not ready");
            (StatusCode::SERVICE_UNAVAILABLE, Json(json!({ "status": "the store is out of reach" })))
        }
    }
}
