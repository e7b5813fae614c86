//! `GET /eventrouter/v1/sse`: one stream per token, resumed behind `Last-Event-ID`, kept alive by `ping`.

use std::time::Duration;

use ::http::{HeaderMap, StatusCode, header};
use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use serde_json::json;
use tokio::sync::watch;

use super::Simulator;
use super::refused::{Refused, bad};
use super::tokens::Claims;

const PING: Duration = Duration::from_secs(20);

/// Whoever listens.
struct Listener {
    sim: Simulator,
    claims: Claims,
    signal: watch::Receiver<u64>,
    cuts: u64,
    /// The newest event that was told.
    told: u64,
    state: Stage,
}

/// Where a stream stands.
#[derive(Clone, Copy, PartialEq)]
enum Stage {
    /// Nothing was told: the head goes out at once.
    New,
    Open,
    Over,
}

pub(super) async fn stream(State(sim): State<Simulator>, headers: HeaderMap) -> Response {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let claims = match sim.claims(&headers) {
        Ok(claims) => claims,
        Err(Refused(StatusCode::UNAUTHORIZED, _)) => {
            let body = json!({ "status": 401, "error": "Unauthorized", "path": "/eventrouter/v1/sse" });
            return (StatusCode::UNAUTHORIZED, Json(body)).into_response();
        }
        Err(refused) => return refused.into_response(),
    };
    let short: String = sim.settings().organization.chars().take(15).collect();
    if text("x-org-id") != short {
        return bad("X-Org-Id must be the 15-character organization id").into_response();
    }
    if !text("accept").contains("text/event-stream") {
        return Refused(StatusCode::NOT_ACCEPTABLE, "Accept must be text/event-stream").into_response();
    }
    let told = text("last-event-id").parse().unwrap_or(0);
    let Some(signal) = sim.org.inner().subjects.get(&claims.sub).map(super::org::Subject::signal) else {
        return bad("nobody has this token").into_response();
    };
    let cuts = *signal.borrow();
    let listener = Listener { sim, claims, signal, cuts, told, state: Stage::New };
    let frames = futures_util::stream::unfold(listener, Listener::next);
    ([(header::CONTENT_TYPE, "text/event-stream")], Body::from_stream(frames)).into_response()
}

impl Listener {
    async fn next(mut self) -> Option<(Result<Bytes, std::io::Error>, Self)> {
        match self.state {
            Stage::New => {
                self.state = Stage::Open;
                return Some((Ok(Bytes::from_static(b": connected\n\n")), self));
            }
            Stage::Open => {}
            Stage::Over => return None,
        }
        loop {
            if *self.signal.borrow_and_update() != self.cuts {
                return None;
            }
            if self.claims.expired(self.sim.desk()) {
                self.state = Stage::Over;
                return Some((Ok(Bytes::from_static(b"Jwt is expired\n")), self));
            }
            let new =
                self.sim.org.inner().subjects.get(&self.claims.sub).map(|subject| subject.after(self.told));
            if let Some((frames, last)) = new.filter(|(frames, _)| !frames.is_empty()) {
                self.told = last;
                return Some((Ok(frames.into()), self));
            }
            match tokio::time::timeout(PING, self.signal.changed()).await {
                Ok(changed) => changed.ok()?,
                Err(_) => return Some((Ok(Bytes::from_static(b"event: ping\ndata: {}\n\n")), self)),
            }
        }
    }
}
