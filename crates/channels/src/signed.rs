//! Requests of other systems, signed with a credential of the app.

use interline_connector::Credential;
use interline_connector::channel::ChannelApp;
use interline_connector::credential::check_times;
use interline_core::IntegrationName;
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// What a token says, as far as it concerns us.
#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct Claims {
    /// The client id; the field's tokens have it in one of the two.
    #[serde(rename = "appId")]
    app: Option<String>,
    iss: Option<String>,
    exp: Option<f64>,
    nbf: Option<f64>,
    /// The person that the token is for; else it is for everybody.
    #[serde(rename = "userIdentity")]
    pub identity: Option<String>,
}

/// The integration of type `kind` that a token is signed for, with its settings. Nothing of the token is believed before
/// that is proven; the algorithm is the credential's, and the token must name the client that signed it.
pub(crate) fn proven<'a, S: DeserializeOwned>(
    app: &'a ChannelApp,
    kind: &str,
    token: &str,
    now_ms: i64,
    credentials: impl Fn(&S) -> &[String],
) -> Option<(&'a IntegrationName, S, Claims)> {
    app.channels.iter().filter(|(_, (known, _))| known == kind).find_map(|(name, (_, settings))| {
        let settings: S = serde_json::from_value(settings.clone())
            .inspect_err(
                |error| tracing::error!(app = %app.id, channel = %name, %error, "unreadable settings"),
            )
            .ok()?;
        let mut signers = credentials(&settings).iter().filter_map(|name| app.credentials.get(name));
        let claims = signers.find_map(|signer| signed_by(signer, token, now_ms))?;
        Some((name, settings, claims))
    })
}

fn signed_by(signer: &Credential, token: &str, now_ms: i64) -> Option<Claims> {
    let claims: Claims = signer.verify(token).ok()?;
    let client = claims.app.as_deref().or(claims.iss.as_deref());
    (client == Some(signer.client_id.as_str()) && check_times(claims.exp, claims.nbf, now_ms).is_ok())
        .then_some(claims)
}

/// The token of an `Authorization: bearer …`.
pub(crate) fn bearer(headers: &http::HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(http::header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
}
