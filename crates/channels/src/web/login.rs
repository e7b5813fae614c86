//! A login signed by the customer's own service becomes an access token.
//!
//! The JWT ("SDK Security" page of the vendor): `iss` or `kore_iss` is the client id, `sub` or `kore_sub` the user,
//! `exp` is required and may be fractional; the algorithm is the credential's, never the token's. With a `jti` (or
//! `kore_jti`) it lasts an hour at most and is good once; but the client with the agent plug-in sends it twice in
//! parallel, so for 30 s from its first use it is that same login. `aud` is not checked: the vendor's page gives two.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use http::HeaderMap;
use interline_connector::channel::ChannelApp;
use interline_connector::credential::{Credential, LEEWAY_SECONDS, check_times};
use interline_core::{IntegrationName, Profile};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use uuid::Uuid;

use super::pass::{Pass, credentials};
use super::profile::Person;
use super::refused::Refused;
use super::{Settings, Web, cors, doors, ids};
pub(super) use crate::times::iso;

/// A signed login with a `jti` lasts so long at most.
const LONGEST_SECONDS: f64 = 3600.0;
/// For so long the same JWT is the same login.
const SAME_LOGIN_MS: i64 = 30_000;
/// The vendor's words.
const REPLAY: &str = "error verifying the jwt: possibly a replay";
/// Addresses that nobody signed for. A signed login cannot have one.
const ANONYMOUS: &str = "anonymous:";
/// The subject of an anonymous login is all that protects it.
const SHORTEST_SUBJECT: usize = 16;
const LONGEST_ADDRESS: usize = 256;

#[derive(Deserialize)]
struct Grant<A> {
    assertion: A,
    #[serde(rename = "botInfo")]
    bot: Bot,
}

#[derive(Deserialize)]
struct Bot {
    #[serde(rename = "taskBotId")]
    app: String,
    /// Clients from 11.x on send it.
    #[serde(rename = "customData")]
    data: Option<Value>,
}

#[derive(Deserialize)]
struct Unsigned {
    issuer: String,
    subject: String,
}

/// What the JWT says, as far as it concerns us.
#[derive(Debug, Clone, Deserialize)]
struct Claims {
    iss: Option<String>,
    kore_iss: Option<String>,
    sub: Option<String>,
    kore_sub: Option<String>,
    exp: Option<f64>,
    nbf: Option<f64>,
    jti: Option<Value>,
    kore_jti: Option<Value>,
    #[serde(flatten)]
    person: Person,
}

/// `POST oAuth/token/jwtgrant`
pub(super) async fn signed(
    State(web): State<Arc<Web>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<Value>, Refused> {
    let grant: Grant<String> = read(&body)?;
    let app = web.app(&grant.bot.app)?;
    let (channel, settings, credential, claims) = proven(&app, &grant.assertion)?;
    cors::check(&settings, web.host.public_url(), &headers)?;
    let address = claims.address()?;
    let once = claims.good_at(web.host.now_ms())?;
    if let Some((jti, ttl_ms)) = once {
        let key = format!("{}:{jti}", credential.client_id);
        if let Some(first) = web.host.first_use(&app.id, "web jti", &key, ttl_ms).await?
            && web.host.now_ms() - first > SAME_LOGIN_MS
        {
            return Err(Refused::unauthorized(REPLAY));
        }
    }
    let profile = claims.person.profile(grant.bot.data.as_ref());
    let signer = Some(credential.client_id.clone());
    Ok(Json(granted(&web, &app, channel, address, signer, profile).await?))
}

/// `POST oAuth/token/jwtgrant/anonymous`, of the 7.x client. Only where the settings allow it.
pub(super) async fn anonymous(
    State(web): State<Arc<Web>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<Value>, Refused> {
    let grant: Grant<Unsigned> = read(&body)?;
    let app = web.app(&grant.bot.app)?;
    let known = |settings: &Settings| {
        credentials(&app, settings).any(|known| known.client_id == grant.assertion.issuer)
    };
    let (channel, settings) = doors(&app)
        .find(|(_, settings)| settings.anonymous && known(settings))
        .ok_or_else(|| Refused::unauthorized("this bot lets nobody in without a signed login"))?;
    cors::check(&settings, web.host.public_url(), &headers)?;
    let subject = grant.assertion.subject;
    if subject.len() < SHORTEST_SUBJECT || !is_address(&subject) {
        return Err(Refused::unauthorized("the subject of an anonymous login must be a random id"));
    }
    let profile = Person::default().profile(grant.bot.data.as_ref());
    Ok(Json(granted(&web, &app, channel, format!("{ANONYMOUS}{subject}"), None, profile).await?))
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Refused> {
    serde_json::from_slice(body)
        .map_err(|_| Refused::bad("the login must be JSON with `assertion` and `botInfo.taskBotId`"))
}

/// The channel integration and credential that a JWT is signed for. Nothing of it is read before that is proven.
fn proven<'a>(
    app: &'a ChannelApp,
    jwt: &str,
) -> Result<(&'a IntegrationName, Settings, &'a Credential, Claims), Refused> {
    for (channel, settings) in doors(app) {
        let signer = credentials(app, &settings).find_map(|credential| {
            let claims = credential.verify::<Claims>(jwt).ok()?;
            (claims.client_id() == Some(credential.client_id.as_str())).then_some((credential, claims))
        });
        if let Some((credential, claims)) = signer {
            return Ok((channel, settings, credential, claims));
        }
    }
    Err(Refused::unauthorized("error verifying the jwt: not signed with a client of this bot"))
}

impl Claims {
    fn client_id(&self) -> Option<&str> {
        self.kore_iss.as_deref().or(self.iss.as_deref())
    }

    fn address(&self) -> Result<String, Refused> {
        self.kore_sub
            .clone()
            .or_else(|| self.sub.clone())
            .filter(|address| is_address(address) && !address.starts_with(ANONYMOUS))
            .ok_or_else(|| Refused::unauthorized("error verifying the jwt: it names no user in `sub`"))
    }

    /// Checks the times. With a `jti`: it, and how long it must be remembered, in milliseconds.
    fn good_at(&self, now_ms: i64) -> Result<Option<(String, i64)>, Refused> {
        let refused = |why: &str| Refused::unauthorized(format!("error verifying the jwt: {why}"));
        let exp = self.exp.ok_or_else(|| refused("it has no `exp`"))?;
        check_times(Some(exp), self.nbf, now_ms).map_err(|error| refused(&error.to_string()))?;
        let jti = match self.kore_jti.as_ref().or(self.jti.as_ref()) {
            None | Some(Value::Null) => return Ok(None),
            Some(Value::String(jti)) => jti.clone(),
            Some(Value::Number(jti)) => jti.to_string(),
            Some(_) => return Err(refused("its `jti` is no text")),
        };
        if jti.is_empty() || jti.len() > LONGEST_ADDRESS {
            return Err(refused("its `jti` is empty or too long"));
        }
        let left = exp - now_ms as f64 / 1000.0;
        if left > LONGEST_SECONDS + LEEWAY_SECONDS {
            return Err(refused("with a `jti`, `exp` may be one hour ahead at most"));
        }
        let ttl_ms = ((left.max(0.0) + 2.0 * LEEWAY_SECONDS) * 1000.0) as i64;
        Ok(Some((jti, ttl_ms)))
    }
}

fn is_address(text: &str) -> bool {
    !text.trim().is_empty() && text.len() <= LONGEST_ADDRESS && !text.chars().any(char::is_control)
}

async fn granted(
    web: &Web,
    app: &ChannelApp,
    channel: &IntegrationName,
    address: String,
    client_id: Option<String>,
    profile: Profile,
) -> Result<Value, Refused> {
    let now = web.host.now_ms();
    let customer = web.host.customer(&app.id, channel, &address).await?;
    let id = |what: &str| Uuid::new_v5(&Uuid::NAMESPACE_URL, format!("{}/{what}", app.id).as_bytes());
    let issuer = client_id.clone().unwrap_or_else(|| "anonymous".into());
    let identity = format!("{issuer}/{address}");
    let until = Pass::until(now);
    let pass = Pass {
        app: app.id.as_str().to_owned(),
        channel: channel.clone(),
        address,
        client_id,
        session: ids::session(),
        until,
        profile,
    };
    Ok(json!({
        "authorization": {
            "accessToken": pass.token(web.host.as_ref()),
            "token_type": "bearer",
            "expiresDate": iso(until),
            "issuedDate": iso(now),
        },
        "userInfo": {
            "userId": customer.id.user_id(),
            "accountId": id("account").simple().to_string(),
            "orgId": format!("o-{}", id("org")),
            "managedBy": format!("o-{}", id("org")),
            "identity": identity,
            "enrollType": "free",
            "fName": "",
            "lName": "",
        },
    }))
}
