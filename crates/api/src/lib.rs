//! What the outside reaches over HTTP: health, vendors' calls, and the channels' own routes, each behind limits.
//!
//! | file | concept |
//! |---|---|
//! | `health.rs` | `/healthz`, `/readyz` |
//! | `vendors.rs` | calls of agent systems, on the paths that their protocols fix |
//! | `limits.rs` | body, time and rate, with a clear answer when one is hit |

mod health;
mod limits;
mod vendors;

use std::sync::Arc;

use axum::Router;
use interline_connector::channel::Host;
use interline_engine::Engine;

/// All routes of a serving node.
pub fn router(engine: &Engine) -> Router {
    let host: Arc<dyn Host> = Arc::new(engine.clone());
    // A channel sets its own limits: a socket lives long, and its client has its own idea of an error.
    let vendors = limits::on(vendors::routes(engine.clone()));
    Router::new()
        .merge(health::routes(engine.clone()))
        .merge(vendors)
        .merge(interline_channels::router(&host))
        .layer(tower_http::catch_panic::CatchPanicLayer::custom(limits::panicked))
}
