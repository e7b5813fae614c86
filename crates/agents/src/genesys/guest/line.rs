//! The socket of one session: frames out, and the answers to them. Whatever else comes meanwhile is put by in order.

use std::collections::VecDeque;
use std::time::Duration;

use ::http::{HeaderMap, HeaderValue, header};
use interline_connector::http::Socket;
use interline_connector::{Cause, Failure};
use interline_core::transfer::Reason;
use tokio::time::{Instant, timeout_at};
use uuid::Uuid;

use super::Integration;
use super::wire::{Frame, Outgoing, Refusal, Request, Session};
use crate::genesys::region::Host;

/// To connect, and for each answer.
const DEADLINE: Duration = Duration::from_secs(15);
/// So many frames wait while an answer is waited for.
const WAITING: usize = 256;

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum Trouble {
    /// The socket is over: nobody knows what became of it.
    Lost(String),
    /// The vendor said no.
    Failed(Failure),
}

/// A configured socket.
pub(super) struct Line {
    socket: Socket,
    token: String,
    waiting: VecDeque<Frame>,
}

impl Integration {
    /// Opens the socket and configures the session of `token`.
    ///
    /// # Errors
    /// It cannot be had; `Gone` where the vendor knows nothing of it any more.
    pub(super) async fn connect(&self, token: &str, start_new: bool) -> Result<(Line, Session), Trouble> {
        let id = &self.settings.deployment_id;
        let url = self.hosts.at(Host::Guest, &format!("v1?deploymentId={id}&application=interline"));
        let url = url.map_err(Trouble::Failed)?;
        let socket = self.http.socket(&url, self.origin()?, DEADLINE).await.map_err(Trouble::Failed)?;
        let mut line = Line { socket, token: token.to_owned(), waiting: VecDeque::new() };
        let request = Request::ConfigureSession { deployment_id: id, start_new };
        let answer = line.ask(&request, |frame| frame.class == "SessionResponse").await?;
        let session = serde_json::from_value(answer.body).unwrap_or_default();
        Ok((line, session))
    }

    /// The headers that say from where we come.
    pub(super) fn origin(&self) -> Result<HeaderMap, Trouble> {
        let bug =
            |_| Trouble::Failed(Failure::Bug(Cause::new(Reason::VendorError, "cannot make the header")));
        let value = HeaderValue::from_str(&self.origin).map_err(bug)?;
        Ok(HeaderMap::from_iter([(header::ORIGIN, value)]))
    }
}

impl Line {
    /// The next frame that nobody waited for. Safe to drop and call again.
    ///
    /// # Errors
    /// The socket is over.
    pub async fn next(&mut self) -> Result<Frame, String> {
        match self.waiting.pop_front() {
            Some(frame) => Ok(frame),
            None => self.read().await,
        }
    }

    /// Sends a frame, by whose id its answer is known.
    ///
    /// # Errors
    /// The socket is over.
    pub async fn send(&mut self, request: &Request<'_>) -> Result<String, Trouble> {
        let tracing_id = Uuid::new_v4().to_string();
        let frame = Outgoing { request, token: &self.token, tracing_id: &tracing_id };
        let bug = |_| Trouble::Failed(Failure::Bug(Cause::new(Reason::VendorError, "cannot make the frame")));
        let text = serde_json::to_string(&frame).map_err(bug)?;
        match timeout_at(Instant::now() + DEADLINE, self.socket.send(text)).await {
            Ok(Ok(())) => Ok(tracing_id),
            Ok(Err(end)) => Err(Trouble::Lost(end.to_string())),
            Err(_) => Err(Trouble::Lost("nothing can be sent".into())),
        }
    }

    /// Sends a frame and waits for its answer.
    ///
    /// # Errors
    /// There is none, or the vendor said no.
    pub async fn ask(
        &mut self,
        request: &Request<'_>,
        is_answer: impl Fn(&Frame) -> bool,
    ) -> Result<Frame, Trouble> {
        let tracing_id = self.send(request).await?;
        self.until(
            |frame| frame.tracing_id.as_ref() == Some(&tracing_id) && is_answer(frame),
            Some(&tracing_id),
        )
        .await
    }

    /// Waits for a frame. A refusal that names another frame of ours is put by as everything else.
    ///
    /// # Errors
    /// It does not come, or the vendor says no.
    pub async fn until(
        &mut self,
        wanted: impl Fn(&Frame) -> bool,
        tracing_id: Option<&str>,
    ) -> Result<Frame, Trouble> {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let late = || Trouble::Lost("no answer in time".into());
            let frame =
                timeout_at(deadline, self.read()).await.map_err(|_| late())?.map_err(Trouble::Lost)?;
            if wanted(&frame) {
                return Ok(frame);
            }
            let meant = frame.tracing_id.is_none() || frame.tracing_id.as_deref() == tracing_id;
            if let Some(failure) = refusal(&frame).filter(|_| meant) {
                return Err(Trouble::Failed(failure));
            }
            if self.waiting.len() >= WAITING {
                return Err(Trouble::Lost("too much came at once".into()));
            }
            self.waiting.push_back(frame);
        }
    }

    pub async fn close(self) {
        let _ = timeout_at(Instant::now() + Duration::from_secs(1), self.socket.close()).await;
    }

    /// The next frame that can be read: what cannot tells nothing.
    async fn read(&mut self) -> Result<Frame, String> {
        loop {
            let text = self.socket.next().await.map_err(|end| end.to_string())?;
            if let Ok(frame) = serde_json::from_str::<Frame>(&text) {
                return Ok(frame);
            }
        }
    }
}

/// What a frame that says no means.
fn refusal(frame: &Frame) -> Option<Failure> {
    let told: Refusal = match frame.class.as_str() {
        "string" if frame.code != 200 => Refusal { error_code: frame.code, retry_after: None },
        "TooManyRequestsErrorMessage" | "Error" | "GenerateUrlError" | "UploadFailureEvent" => {
            serde_json::from_value(frame.body.clone()).unwrap_or_default()
        }
        "SessionExpiredEvent" => Refusal { error_code: 4006, retry_after: None },
        _ => return None,
    };
    let cause = |reason| Cause::new(reason, format!("code {}", told.error_code));
    Some(match (frame.class.as_str(), told.error_code) {
        ("TooManyRequestsErrorMessage", _) | (_, 429 | 4029) => {
            let after_ms = told.retry_after.map(|seconds| seconds.min(3_600) * 1_000);
            Failure::Retry { after_ms, cause: cause(Reason::RateLimited) }
        }
        (_, 4006 | 4007) => Failure::Gone(cause(Reason::AgentLost)),
        (_, 401 | 4000) => Failure::Unauthorized(cause(Reason::Unauthorized)),
        (_, 500..=599 | 5000) => Failure::Uncertain(cause(Reason::VendorError)),
        _ => Failure::Refused(cause(Reason::BadRequest)),
    })
}
