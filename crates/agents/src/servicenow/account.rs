//! Who we are at an instance, and what its answers mean before anybody looks into them.
//!
//! Source: the vendor's REST API reference ("OAuth", "Rate limiting", "Table API").

use std::sync::Mutex;
use std::time::Duration;

use ::http::header::{ACCEPT, AUTHORIZATION};
use ::http::{HeaderMap, HeaderValue, StatusCode};
use interline_connector::http::{Reply, Request, of_status, retry_after};
use interline_connector::tokens::Issued;
use interline_connector::{Cause, Failure, Http, Secret, Tokens};
use interline_core::transfer::Reason;
use jiff::civil::Date;
use schemars::JsonSchema;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use tokio::time::Instant;
use url::Url;

/// A refresh token is good for so many days, and is not extended by being used.
const REFRESH_DAYS: i32 = 100;
/// So many days before its end the operator is told.
const WARN_DAYS: i32 = 14;

/// How Interline logs in at the instance.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Login {
    /// A user name and password: an integration user without multi-factor authentication.
    Basic {
        /// The user's name (User Administration › Users › User ID).
        user_name: String,
        /// The user's password.
        password: Secret,
    },
    /// OAuth with a refresh token.
    Oauth {
        /// System OAuth › Application Registry › your entry › Client ID.
        client_id: String,
        /// The same entry › Client Secret.
        client_secret: Secret,
        /// A refresh token for the integration user: one `POST {instance}/oauth_token.do` with `grant_type=password`.
        refresh_token: Secret,
        /// The day on which the refresh token was made, such as `2026-03-01`. It ends after 100 days and is not extended by
        /// being used: with this, "Test connection" and the log tell before.
        #[serde(default, deserialize_with = "day")]
        #[schemars(with = "Option<String>", extend("format" = "date"))]
        refresh_token_made: Option<Date>,
    },
}

fn day<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Date>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    let day = text.map(|text| text.parse().map_err(|_| text)).transpose();
    day.map_err(|text| {
        serde::de::Error::custom(format!("refresh_token_made: `{text}` is no day such as 2026-03-01"))
    })
}

/// Our account at one instance.
pub(super) struct Account {
    instance: Url,
    login: Login,
    pub(super) http: Http,
    tokens: Tokens,
    /// The instance asked everybody to wait until then.
    paused: Mutex<Option<Instant>>,
}

/// The address of an instance, checked.
///
/// # Errors
/// What is wrong, naming the field and the remedy.
pub(super) fn check_instance(url: &Url) -> Result<(), String> {
    let is_bare = matches!(url.path(), "" | "/") && url.query().is_none() && url.fragment().is_none();
    match url.scheme() {
        "http" | "https" if url.host_str().is_some() => {}
        _ => return Err(
            "instance_url: give the address of the instance, for instance https://example.service-now.com"
                .into(),
        ),
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("instance_url: leave user name and password out; they belong under `login`".into());
    }
    if is_bare { Ok(()) } else { Err("instance_url: end it after the host; paths are appended to it".into()) }
}

impl Login {
    /// # Errors
    /// What is wrong, naming the field and the remedy.
    pub(super) fn check(&self) -> Result<(), String> {
        let empty = |name: &str| Err(format!("login.{name}: it is empty"));
        match self {
            Self::Basic { user_name, .. } if user_name.is_empty() || user_name.contains(':') => {
                Err("login.user_name: give the integration user's User ID; it holds no colon".into())
            }
            Self::Basic { password, .. } if password.expose().is_empty() => empty("password"),
            Self::Oauth { client_id, .. } if client_id.is_empty() => empty("client_id"),
            Self::Oauth { client_secret, .. } if client_secret.expose().is_empty() => empty("client_secret"),
            Self::Oauth { refresh_token, .. } if refresh_token.expose().is_empty() => empty("refresh_token"),
            Self::Basic { .. } | Self::Oauth { .. } => Ok(()),
        }
    }

    /// For how many days the refresh token is still good, if that is known.
    fn days_left(&self, today: Date) -> Option<i32> {
        let Self::Oauth { refresh_token_made: Some(made), .. } = self else { return None };
        Some(REFRESH_DAYS - today.since(*made).ok()?.get_days())
    }

    /// What the operator should know of the refresh token's end.
    pub(super) fn ending(&self, today: Date) -> Option<String> {
        let days = self.days_left(today).filter(|days| *days <= WARN_DAYS)?;
        let remedy = "make a new one and enter it under login.refresh_token, with its day";
        Some(if days > 0 {
            format!("the refresh token ends in {days} days: {remedy}")
        } else {
            format!("the refresh token ended by its date: {remedy}")
        })
    }
}

impl Account {
    pub fn new(instance: Url, login: Login, http: Http) -> Self {
        Self { instance, login, http, tokens: Tokens::default(), paused: Mutex::default() }
    }

    /// An address at the instance: `path` begins with a slash and is made of parts that need no encoding.
    pub fn at(&self, path: &str) -> Result<Url, Failure> {
        self.instance.join(path).map_err(|_| bug("cannot make an address"))
    }

    /// An address at the instance with this part of its path filled in, whatever it holds.
    pub fn at_part(&self, before: &str, part: &str, after: &str) -> Result<Url, Failure> {
        let mut url = self.at(before)?;
        let mut path = url.path_segments_mut().map_err(|()| bug("cannot make an address"))?;
        path.pop_if_empty().push(part);
        path.extend(after.split('/').filter(|part| !part.is_empty()));
        drop(path);
        Ok(url)
    }

    /// Whether this address is the instance's own.
    pub fn is_own(&self, url: &Url) -> bool {
        url.origin() == self.instance.origin()
    }

    /// Asks, as us. A token that is refused is fetched anew, once.
    pub async fn ask(&self, request: impl Fn() -> Request + Send) -> Result<Reply, Failure> {
        self.wait_is_over()?;
        let (mut reply, token) = self.ask_once(request()).await?;
        if let (Reply::Answered { status: StatusCode::UNAUTHORIZED, .. }, Some(token)) = (&reply, token) {
            self.tokens.refused(&token).await;
            (reply, _) = self.ask_once(request()).await?;
        }
        Ok(reply)
    }

    /// Asks, as us, what cannot be asked twice.
    pub async fn ask_once(&self, request: Request) -> Result<(Reply, Option<SecretString>), Failure> {
        let request = request.header(ACCEPT, "application/json");
        let (request, token) = match &self.login {
            Login::Basic { user_name, password } => (request.basic(user_name, &password.to_secrecy()), None),
            Login::Oauth { .. } => {
                let token = self.token().await?;
                (request.bearer(&token), Some(token))
            }
        };
        let reply = self.http.send(request).await?;
        self.note_limit(&reply);
        Ok((reply, token))
    }

    async fn token(&self) -> Result<SecretString, Failure> {
        self.tokens.get(self.fetch_token()).await
    }

    /// The access token is fetched anew if it is about to expire, so that [`Account::headers`] has one.
    pub async fn stay_logged_in(&self) {
        if matches!(self.login, Login::Oauth { .. })
            && let Err(failure) = self.token().await
        {
            tracing::info!(code = failure.cause().code, "no access token for ServiceNow");
        }
    }

    /// What the instance asks of whoever fetches a file from it. Empty: no token is there that lasts.
    pub fn headers(&self) -> HeaderMap {
        let value = match &self.login {
            Login::Basic { user_name, password } => Some(basic(user_name, password.expose())),
            Login::Oauth { .. } => {
                self.tokens.known().map(|token| format!("Bearer {}", token.expose_secret()))
            }
        };
        let mut headers = HeaderMap::new();
        if let Some(mut value) = value.and_then(|value| HeaderValue::from_str(&value).ok()) {
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        headers
    }

    async fn fetch_token(&self) -> Result<Issued, Failure> {
        let Login::Oauth { client_id, client_secret, refresh_token, .. } = &self.login else {
            return Err(bug("no OAuth"));
        };
        if let Some(ending) = self.login.ending(today()) {
            tracing::warn!(instance = self.instance.host_str(), ending, "ServiceNow");
        }
        // JSON gives an error that says nothing: it must be a form.
        let request = Request::post(self.at("/oauth_token.do")?).header(ACCEPT, "application/json").form(&[
            ("grant_type", "refresh_token"),
            ("client_id", client_id),
            ("client_secret", client_secret.expose()),
            ("refresh_token", refresh_token.expose()),
        ]);
        #[derive(Deserialize)]
        struct Token {
            access_token: String,
            expires_in: u64,
        }
        let failed = |failure: Failure| match failure {
            // Of what was to be said nothing was.
            Failure::Uncertain(cause) => Failure::Retry { after_ms: None, cause },
            Failure::Refused(cause) if cause.reason == Reason::BadRequest => token_refused(&cause.code),
            Failure::Unauthorized(cause) => token_refused(&cause.code),
            other => other,
        };
        let token: Token = self.http.send(request).await.and_then(Reply::json).map_err(failed)?;
        Ok(Issued { token: token.access_token.into(), lasts: Duration::from_secs(token.expires_in) })
    }

    fn note_limit(&self, reply: &Reply) {
        if let Reply::Answered { status: StatusCode::TOO_MANY_REQUESTS, headers, .. } = reply
            && let Some(after) = retry_after(headers)
            && let Ok(mut paused) = self.paused.lock()
        {
            *paused = Some(Instant::now() + Duration::from_millis(after));
        }
    }

    /// The limit is the instance's, for all of us: nobody asks before it is time.
    pub fn wait_is_over(&self) -> Result<(), Failure> {
        let until = self.paused.lock().ok().and_then(|paused| *paused);
        match until.and_then(|until| until.checked_duration_since(Instant::now())) {
            Some(left) if !left.is_zero() => Err(Failure::Retry {
                after_ms: Some(u64::try_from(left.as_millis()).unwrap_or(u64::MAX)),
                cause: Cause::new(Reason::RateLimited, "the instance asked for a pause"),
            }),
            _ => Ok(()),
        }
    }
}

/// What an answer means that is not a success.
pub(super) fn judge(status: StatusCode, headers: &HeaderMap) -> Result<(), Failure> {
    let unconfigured = |what: &str| {
        let code = format!("HTTP {}: {what}", status.as_u16());
        Err(Failure::Refused(Cause::new(Reason::Unconfigured, code)))
    };
    match status.as_u16() {
        200..=299 => Ok(()),
        300..=399 => unconfigured("it points elsewhere; check instance_url"),
        401 if headers.contains_key("x-mfa_token") => Err(Failure::Unauthorized(Cause::new(
            Reason::Unauthorized,
            "HTTP 401: the user has multi-factor authentication",
        ))),
        405 => unconfigured("this API is switched off"),
        _ => Err(of_status(status, headers)),
    }
}

/// What opens a conversation must not wait for an operator: the next agent system is tried.
pub(super) fn for_open(failure: Failure) -> Failure {
    match failure {
        Failure::Unauthorized(cause) | Failure::Gone(cause) | Failure::Bug(cause) => Failure::Refused(cause),
        other => other,
    }
}

fn token_refused(code: &str) -> Failure {
    let code = format!("oauth_token.do: {code}: client id, client secret or refresh token is refused");
    Failure::Unauthorized(Cause::new(Reason::Unauthorized, code))
}

pub(super) fn bug(what: &str) -> Failure {
    Failure::Bug(Cause::new(Reason::VendorError, what))
}

pub(super) fn basic(user: &str, password: &str) -> String {
    use base64::Engine as _;
    format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}")))
}

pub(super) fn today() -> Date {
    jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).date()
}

impl Account {
    /// Whether the instance is there and takes us. The rest of "Test connection" is each product's own.
    ///
    /// # Errors
    /// What is wrong, in words for the operator.
    pub async fn probe(&self) -> Result<(), String> {
        let request = match &self.login {
            Login::Basic { user_name, .. } => {
                let mut url = self.at("/api/now/table/sys_user").map_err(|failure| told(&failure))?;
                url.query_pairs_mut()
                    .append_pair("sysparm_limit", "1")
                    .append_pair("sysparm_fields", "sys_id")
                    .append_pair("sysparm_query", &format!("user_name={user_name}"));
                Request::get(url)
            }
            Login::Oauth { .. } => {
                return match self.token().await {
                    Ok(_) => self.login.ending(today()).map_or(Ok(()), Err),
                    Err(failure) => Err(told(&failure)),
                };
            }
        };
        let (reply, _) = self.ask_once(request).await.map_err(|failure| told(&failure))?;
        let Reply::Answered { status, headers, body } = reply else { return Err("no answer".into()) };
        match status.as_u16() {
            // Logged in, but may not read users: it need not.
            403 => Ok(()),
            401 if headers.contains_key("x-mfa_token") => Err(
                "login.user_name: the user has multi-factor authentication; use OAuth, or a user without it"
                    .into(),
            ),
            401 => Err("login: the instance refuses this user name and password".into()),
            200..=299 if has_result(&body) => Ok(()),
            200..=299 => Err(NOT_AN_INSTANCE.into()),
            300..=399 => Err(format!(
                "instance_url: HTTP {}: it points elsewhere; give the instance's own address",
                status.as_u16()
            )),
            404 => Err(NOT_AN_INSTANCE.into()),
            429 => Err("the instance limits our requests right now (HTTP 429): try again later".into()),
            other => Err(format!("the instance answers HTTP {other}: check instance_url")),
        }
    }
}

/// Whether it is an answer as the platform gives them.
pub(super) fn has_result(body: &[u8]) -> bool {
    serde_json::from_slice::<serde_json::Value>(body).is_ok_and(|answer| !answer["result"].is_null())
}

const NOT_AN_INSTANCE: &str = "instance_url: something answers there, but not as a ServiceNow instance does (a sleeping developer instance does so too)";

/// A failure for the operator who tests the connection.
pub(super) fn told(failure: &Failure) -> String {
    let Cause { reason, code } = failure.cause();
    match reason {
        Reason::Unauthorized => format!("login: {code}"),
        Reason::Unreachable => format!("instance_url: {code}"),
        Reason::VendorError if matches!(failure, Failure::Bug(_)) => format!("{NOT_AN_INSTANCE} ({code})"),
        _ if code.contains("HTTP 404") || matches!(failure, Failure::Gone(_)) => NOT_AN_INSTANCE.into(),
        _ => code.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refresh_token_is_warned_of_in_time() {
        let made = |made: &str| Login::Oauth {
            client_id: "c".into(),
            client_secret: Secret::new("s"),
            refresh_token: Secret::new("r"),
            refresh_token_made: Some(made.parse().expect("a day")),
        };
        let today = "2026-06-30".parse().expect("a day");
        assert_eq!(made("2026-06-01").ending(today), None);
        assert!(made("2026-03-30").ending(today).is_some_and(|told| told.contains("in 8 days")));
        assert!(made("2026-01-01").ending(today).is_some_and(|told| told.contains("ended")));
    }

    #[test]
    fn the_address_of_an_instance_is_bare() {
        let check = |url: &str| check_instance(&url.parse().expect("a URL"));
        assert_eq!(check("https://example.service-now.com"), Ok(()));
        for bad in [
            "https://e.service-now.com/now",
            "https://u:p@e.service-now.com",
            "ftp://e.com",
            "https://e.com/?a",
        ] {
            assert!(check(bad).is_err_and(|why| why.starts_with("instance_url: ")), "{bad}");
        }
    }
}
