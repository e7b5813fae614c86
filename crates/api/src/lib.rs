//! What the outside reaches over HTTP: health, the REST API, vendors' calls, and the channels' own routes, each behind
//! limits.
//!
//! | file | concept |
//! |---|---|
//! | `metrics.rs` | `/metrics`, and what is counted of every request |
//! | `health.rs` | `/healthz`, `/readyz` |
//! | `v1/` | the REST API under `/v1`, described at `/openapi.json` |
//! | `pages/` | pages for people: the transcript behind a hand-over's link, files behind theirs, and `/status` |
//! | `vendors.rs` | calls of agent systems, on the paths that their protocols fix |
//! | `limits.rs` | body, time and rate, with a clear answer when one is hit |

mod health;
mod limits;
mod metrics;
mod pages;
mod v1;
mod vendors;

use std::sync::Arc;

use axum::Router;
use interline_connector::channel::Host;
use interline_engine::Engine;

/// The description of the REST API: OpenAPI 3.1, as `/openapi.json` gives it.
pub fn openapi() -> serde_json::Value {
    v1::describe()
}

/// All routes of a serving node.
pub fn router(engine: &Engine) -> Router {
    let host: Arc<dyn Host> = Arc::new(engine.clone());
    // A channel sets its own limits: a socket lives long, and its client has its own idea of an error.
    let vendors = limits::on(vendors::routes(engine.clone()));
    Router::new()
        .merge(health::routes(engine.clone()))
        .merge(metrics::routes(engine.clone()))
        .merge(v1::routes(engine))
        .merge(vendors)
        .merge(pages::routes(engine.clone()))
        .merge(interline_channels::router(&host))
        .layer(tower_http::catch_panic::CatchPanicLayer::custom(limits::panicked))
        .layer(axum::middleware::from_fn_with_state(engine.clone(), metrics::observe))
}
