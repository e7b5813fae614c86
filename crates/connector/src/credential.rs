//! A client id with its secret, and the two ways to use it: sign a token, check a token.

use jsonwebtoken::{DecodingKey, EncodingKey, Header, Validation};
use schemars::JsonSchema;
use secrecy::{ExposeSecret, SecretString};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// Signs web logins and BotKit calls. `Debug` shows no secret.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Credential {
    /// `cs-…`.
    pub client_id: String,
    /// Used as raw UTF-8, as the field does.
    pub client_secret: SecretString,
    /// The only algorithm accepted and used. It is never taken from a token.
    #[serde(default)]
    pub algorithm: Algorithm,
}

/// A MAC algorithm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub enum Algorithm {
    /// HMAC with SHA-256.
    #[default]
    HS256,
    /// HMAC with SHA-512.
    HS512,
}

/// Why a token was refused. The text is fit for the caller.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Not a token, or a wrong signature or algorithm.
    #[error("the token is malformed, or not signed with this client's secret and algorithm")]
    Invalid,
    /// Its time is over, or not come yet.
    #[error("the token is expired or not valid yet")]
    Expired,
}

/// Clocks differ: so many seconds are forgiven.
pub const LEEWAY_SECONDS: f64 = 30.0;

impl Credential {
    fn algorithm(&self) -> jsonwebtoken::Algorithm {
        match self.algorithm {
            Algorithm::HS256 => jsonwebtoken::Algorithm::HS256,
            Algorithm::HS512 => jsonwebtoken::Algorithm::HS512,
        }
    }

    /// A token with these claims.
    ///
    /// # Errors
    /// When the claims cannot be written as JSON.
    pub fn sign(&self, claims: &impl Serialize) -> Result<String, TokenError> {
        let key = EncodingKey::from_secret(self.client_secret.expose_secret().as_bytes());
        jsonwebtoken::encode(&Header::new(self.algorithm()), claims, &key).map_err(|_| TokenError::Invalid)
    }

    /// Checks the signature and reads the claims. Times are the caller's to check, with [`check_times`], because the
    /// field's tokens carry fractional `exp` values that the library's own check refuses.
    ///
    /// # Errors
    /// When the token is not ours.
    pub fn verify<T: DeserializeOwned + Clone>(&self, token: &str) -> Result<T, TokenError> {
        let mut validation = Validation::new(self.algorithm());
        validation.validate_exp = false;
        validation.validate_aud = false;
        validation.required_spec_claims.clear();
        let key = DecodingKey::from_secret(self.client_secret.expose_secret().as_bytes());
        jsonwebtoken::decode::<T>(token, &key, &validation)
            .map(|data| data.claims)
            .map_err(|_| TokenError::Invalid)
    }
}

/// Checks `exp` and `nbf`, in seconds, possibly fractional, against `now_ms`.
///
/// # Errors
/// When the token's time is over or not come, beyond [`LEEWAY_SECONDS`].
pub fn check_times(exp: Option<f64>, nbf: Option<f64>, now_ms: i64) -> Result<(), TokenError> {
    let now = now_ms as f64 / 1000.0;
    let over = exp.is_some_and(|exp| !exp.is_finite() || exp + LEEWAY_SECONDS < now);
    let early = nbf.is_some_and(|nbf| !nbf.is_finite() || nbf - LEEWAY_SECONDS > now);
    if over || early { Err(TokenError::Expired) } else { Ok(()) }
}
