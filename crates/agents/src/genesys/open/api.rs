//! Requests to the API: with a token, at the vendor's pace, and what an answer means.
//!
//! | answer | meaning |
//! |---|---|
//! | 401 | once more with a new token, then unauthorized |
//! | 403 | unauthorized; the vendor names the permission |
//! | 404, 410 | gone |
//! | 429 | everybody waits as long as the vendor says |
//! | 503 with `Retry-After` | again later |
//! | other 4xx | refused |
//! | 408, other 5xx, no answer | uncertain: looked up before it is repeated (`doubt.rs`) |

use std::time::Duration;

use ::http::StatusCode;
use bytes::Bytes;
use interline_connector::http::{Reply, Request, of_status, retry_after};
use interline_connector::tokens::Issued;
use interline_connector::{Cause, Failure, Http, Pacer, Secret, Tokens};
use interline_core::transfer::Reason;
use secrecy::SecretString;
use serde::de::DeserializeOwned;
use tokio::sync::Mutex;
use tokio::time::sleep;
use url::Url;

use super::settings::Settings;
use super::wire;
use crate::genesys::region::{Host, Hosts};

/// A pause between two looks whether there is room for a poll.
const ROOM: Duration = Duration::from_millis(500);
/// Where the vendor asks for a pause and does not say how long.
const PAUSE: Duration = Duration::from_secs(3);

/// The API of one organisation, as one OAuth client. All chats of an integration share it.
pub(super) struct Api {
    http: Http,
    hosts: Hosts,
    client_id: String,
    client_secret: Secret,
    tokens: Tokens,
    pacer: Pacer,
    /// One poll at a time looks for room, so that words find it first.
    polls: Mutex<()>,
}

impl Api {
    pub fn new(settings: &Settings, hosts: Hosts, http: Http) -> Self {
        Self {
            http,
            hosts,
            client_id: settings.client_id.clone(),
            client_secret: settings.client_secret.clone(),
            tokens: Tokens::default(),
            pacer: settings.pacer(),
            polls: Mutex::new(()),
        }
    }

    /// An address of the API, of a path without a leading slash.
    ///
    /// # Errors
    /// A bug of ours.
    pub fn at(&self, path: &str) -> Result<Url, Failure> {
        self.hosts.at(Host::Api, path)
    }

    pub fn http(&self) -> &Http {
        &self.http
    }

    /// Asks, when it is its turn.
    ///
    /// # Errors
    /// The table above.
    pub async fn ask(&self, make: impl Fn() -> Request) -> Result<Bytes, Failure> {
        self.pacer.turn().await;
        self.now(make).await
    }

    /// The same, read as JSON.
    ///
    /// # Errors
    /// The table above; `Bug` where the vendor says something else than we know.
    pub async fn json<T: DeserializeOwned>(&self, make: impl Fn() -> Request) -> Result<T, Failure> {
        read(&self.ask(make).await?)
    }

    /// Asks if there is room, for what may be lost.
    pub async fn maybe(&self, make: impl Fn() -> Request) {
        if self.pacer.has_room() {
            let _ = self.now(make).await;
        }
    }

    /// GETs what can wait: it leaves room for words.
    ///
    /// # Errors
    /// As [`Api::json`].
    pub async fn poll<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        {
            let _one = self.polls.lock().await;
            while !self.pacer.has_room() {
                sleep(ROOM).await;
            }
        }
        let url = self.at(path)?;
        read(&self.now(|| Request::get(url.clone())).await?)
    }

    async fn now(&self, make: impl Fn() -> Request) -> Result<Bytes, Failure> {
        let mut renewed = false;
        loop {
            let token = self.tokens.get(self.token()).await?;
            match self.http.send(make().bearer(&token)).await? {
                Reply::Answered { status: StatusCode::UNAUTHORIZED, .. } if !renewed => {
                    self.tokens.refused(&token).await;
                    renewed = true;
                }
                reply => return self.judge(reply),
            }
        }
    }

    fn judge(&self, reply: Reply) -> Result<Bytes, Failure> {
        let Reply::Answered { status, headers, body } = reply else { return Ok(Bytes::new()) };
        if status.is_success() {
            return Ok(body);
        }
        if status == StatusCode::TOO_MANY_REQUESTS {
            self.pacer.pause(retry_after(&headers).map_or(PAUSE, Duration::from_millis));
        }
        let code = code(status, &body);
        Err(match of_status(status, &headers) {
            Failure::Retry { after_ms, cause } => Failure::Retry { after_ms, cause: Cause { code, ..cause } },
            Failure::Refused(cause) if status == StatusCode::REQUEST_TIMEOUT => {
                Failure::Uncertain(Cause { code, ..cause })
            }
            Failure::Refused(cause) => Failure::Refused(Cause { code, ..cause }),
            Failure::Uncertain(cause) => Failure::Uncertain(Cause { code, ..cause }),
            Failure::Gone(cause) => Failure::Gone(Cause { code, ..cause }),
            Failure::Unauthorized(cause) => Failure::Unauthorized(Cause { code, ..cause }),
            Failure::Bug(cause) => Failure::Bug(Cause { code, ..cause }),
        })
    }

    /// A new access token.
    ///
    /// # Errors
    /// `Unauthorized` where the client or its secret is refused.
    pub async fn token(&self) -> Result<Issued, Failure> {
        let url = self.hosts.at(Host::Login, "oauth/token")?;
        let request = Request::post(url)
            .basic(&self.client_id, &self.client_secret.to_secrecy())
            .form(&[("grant_type", "client_credentials")]);
        // That a token was issued and did not arrive harms nobody.
        let again = |cause| Failure::Retry { after_ms: None, cause };
        let reply = self.http.send(request).await.map_err(|failure| match failure {
            Failure::Uncertain(cause) => again(cause),
            other => other,
        })?;
        let Reply::Answered { status, headers, body } = reply else { return Err(unreadable("token")) };
        if matches!(status.as_u16(), 400 | 401 | 403) {
            return Err(Failure::Unauthorized(Cause::new(
                Reason::Unauthorized,
                format!("HTTP {} for a token", status.as_u16()),
            )));
        }
        if !status.is_success() {
            let cause = Cause::new(Reason::VendorError, format!("HTTP {} for a token", status.as_u16()));
            return Err(Failure::Retry { after_ms: retry_after(&headers), cause });
        }
        let token: wire::Token = read(&body)?;
        let lasts = Duration::from_secs(token.expires_in.min(48 * 3_600));
        Ok(Issued { token: SecretString::from(token.access_token), lasts })
    }
}

pub(super) fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Failure> {
    serde_json::from_slice(body).map_err(|_| unreadable("answer"))
}

fn unreadable(what: &str) -> Failure {
    Failure::Bug(Cause::new(Reason::VendorError, format!("unreadable {what}")))
}

/// The vendor's own code, and of its message the permission it misses: the rest may hold a customer's words.
fn code(status: StatusCode, body: &[u8]) -> String {
    let error: wire::Error = serde_json::from_slice(body).unwrap_or_default();
    let status = status.as_u16();
    let harmless = |text: &str| {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | ':' | '_' | '-' | ',' | ' ');
        text.len() <= 200 && !text.is_empty() && text.chars().all(plain)
    };
    let permission = error
        .message
        .as_deref()
        .filter(|_| status == 403)
        .and_then(|message| message.split_once("permission(s): "));
    if let Some((_, permission)) = permission.filter(|(_, names)| harmless(names)) {
        return format!("HTTP 403 missing permission {permission}");
    }
    match error.code.as_deref().filter(|code| code.len() <= 60 && harmless(code)) {
        Some(code) => format!("HTTP {status} {code}"),
        None => format!("HTTP {status}"),
    }
}
