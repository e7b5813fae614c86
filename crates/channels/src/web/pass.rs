//! What the two sealed tokens say, and who is let in with one.
//!
//! Both describe themselves, so no table remembers them. They name the credential that the login was signed with:
//! taking it out of the settings ends every session that it opened.

use std::sync::Arc;

use http::HeaderMap;
use http::header::AUTHORIZATION;
use interline_connector::Credential;
use interline_connector::channel::{ChannelApp, Host};
use interline_core::conversation::state::Customer;
use interline_core::{IntegrationName, Profile};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::refused::Refused;
use super::{Settings, Web, cors, door};

const ACCESS: &str = "web access";
const SOCKET: &str = "web socket";
/// How long a login is good.
pub(super) const ACCESS_MS: i64 = 24 * 60 * 60 * 1000;
const SOCKET_MS: i64 = 30 * 1000;

/// Who logged in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Pass {
    /// The app.
    pub app: String,
    /// The channel integration.
    pub channel: IntegrationName,
    /// The customer's address on this channel.
    pub address: String,
    /// The client id of the credential. None: an anonymous login.
    pub client_id: Option<String>,
    /// Names this login, hence one tab.
    pub session: String,
    /// In milliseconds since 1970.
    pub until: i64,
    /// What the login told of the person.
    #[serde(default, skip_serializing_if = "Profile::is_empty")]
    pub profile: Profile,
}

/// Which client a socket is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Client {
    /// The vendor's, or anybody else's.
    #[default]
    Published,
    /// Our own widget: it is told more, and in structure (README.md, "The widget").
    Interline,
}

impl Client {
    /// What a client calls itself when it asks for a socket.
    pub fn named(name: Option<&str>) -> Self {
        if name == Some("interline") { Self::Interline } else { Self::Published }
    }
}

/// A ticket for one socket.
#[derive(Debug, Serialize, Deserialize)]
struct Ticket {
    pass: Pass,
    #[serde(default)]
    client: Client,
    once: Uuid,
    until: i64,
}

/// Somebody who was let in.
pub(super) struct Guest {
    /// Who.
    pub pass: Pass,
    /// The app.
    pub app: Arc<ChannelApp>,
    /// The settings of the channel integration.
    pub settings: Settings,
}

impl Pass {
    /// How long an access token is good from `now_ms` on.
    pub fn until(now_ms: i64) -> i64 {
        now_ms.saturating_add(ACCESS_MS)
    }

    /// When it was made, in milliseconds since 1970.
    pub fn since(&self) -> i64 {
        self.until.saturating_sub(ACCESS_MS)
    }

    /// The access token.
    pub fn token(&self, host: &dyn Host) -> String {
        host.seal(ACCESS, &text(self))
    }

    /// The ticket for one socket.
    pub fn ticket(&self, host: &dyn Host, client: Client) -> String {
        let until = host.now_ms().saturating_add(SOCKET_MS);
        host.seal(SOCKET, &text(&Ticket { pass: self.clone(), client, once: Uuid::new_v4(), until }))
    }
}

fn text(sealed: &impl Serialize) -> String {
    serde_json::to_string(sealed).unwrap_or_default()
}

impl Web {
    /// Lets in who shows an access token, to the app that it is for.
    pub async fn admit(&self, headers: &HeaderMap, app: Option<&str>) -> Result<Guest, Refused> {
        let pass = bearer(headers)
            .and_then(|token| self.host.unseal(ACCESS, token))
            .and_then(|plain| serde_json::from_str::<Pass>(&plain).ok())
            .ok_or_else(|| Refused::unauthorized("the access token is missing or not valid"))?;
        if app.is_some_and(|app| app != pass.app) {
            return Err(Refused::unauthorized("the access token is for another bot"));
        }
        if pass.until <= self.host.now_ms() {
            return Err(Refused::token_expired());
        }
        self.guest(pass, headers)
    }

    /// The customer that a guest is.
    pub async fn customer(&self, guest: &Guest) -> Result<Customer, Refused> {
        let Pass { channel, address, profile, .. } = &guest.pass;
        let known = self.host.customer(&guest.app.id, channel, address).await?;
        Ok(Customer { profile: profile.clone(), ..known })
    }

    /// Lets in who shows a ticket, once; and says for which client it was made.
    pub async fn redeem(&self, ticket: &str, headers: &HeaderMap) -> Result<(Guest, Client), Refused> {
        let ticket = self
            .host
            .unseal(SOCKET, ticket)
            .and_then(|plain| serde_json::from_str::<Ticket>(&plain).ok())
            .filter(|ticket| ticket.until > self.host.now_ms())
            .ok_or_else(|| Refused::unauthorized("the socket address is not valid any more"))?;
        let client = ticket.client;
        let guest = self.guest(ticket.pass, headers)?;
        let once = ticket.once.simple().to_string();
        match self.host.first_use(&guest.app.id, SOCKET, &once, 2 * SOCKET_MS).await? {
            None => Ok((guest, client)),
            Some(_) => Err(Refused::unauthorized("the socket address was used already")),
        }
    }

    fn guest(&self, pass: Pass, headers: &HeaderMap) -> Result<Guest, Refused> {
        let gone = || Refused::unauthorized("this login is not accepted any more");
        let app = self.host.app(&pass.app.as_str().into()).ok_or_else(gone)?;
        let settings = door(&app, &pass.channel).ok_or_else(gone)?;
        let still = match &pass.client_id {
            Some(id) => credentials(&app, &settings).any(|credential| credential.client_id == *id),
            None => settings.anonymous,
        };
        if !still {
            return Err(gone());
        }
        cors::check(&settings, self.host.public_url(), headers)?;
        Ok(Guest { pass, app, settings })
    }
}

/// The credentials that may sign logins for a channel integration.
pub(super) fn credentials<'a>(
    app: &'a ChannelApp,
    settings: &Settings,
) -> impl Iterator<Item = &'a Credential> {
    settings.credentials.iter().filter_map(move |name| app.credentials.get(name))
}

/// The client writes `bearer` in lower case.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
}
