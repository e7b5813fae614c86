//! What the instance must prove when it calls our address. It signs nothing: the address itself is the secret, and a fixed
//! header or a user name and password may come on top.

use ::http::HeaderName;
use ::http::header::AUTHORIZATION;
use interline_connector::webhook::{Proof, Unverified};
use interline_connector::{Answer, Rejected, Secret};
use schemars::JsonSchema;
use serde::Deserialize;

use super::account::basic;

/// What comes with every call of the instance, beside the secret in the address.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Caller {
    /// A fixed header.
    Header {
        /// Its name, for instance `X-Interline-Key`.
        name: String,
        /// Its value: make one up, long and random, and enter it at both sides.
        value: Secret,
    },
    /// Basic authentication.
    Basic {
        /// A user name of your choice.
        user_name: String,
        /// A password of your choice.
        password: Secret,
    },
}

impl Caller {
    /// # Errors
    /// What is wrong, naming the field and the remedy.
    pub(super) fn check(&self) -> Result<(), String> {
        match self {
            Self::Header { name, .. } if HeaderName::try_from(name).is_err() => {
                Err("caller.name: give the name of a header, such as X-Interline-Key".into())
            }
            Self::Header { value, .. } if value.expose().len() < 8 => {
                Err("caller.value: make it longer; it is a secret".into())
            }
            Self::Basic { password, .. } if password.expose().len() < 8 => {
                Err("caller.password: make it longer; it is a secret".into())
            }
            Self::Header { .. } | Self::Basic { .. } => Ok(()),
        }
    }

    fn came_with(&self, request: &Unverified) -> bool {
        let (header, value) = match self {
            Self::Header { name, value } => (HeaderName::try_from(name), value.expose().to_owned()),
            Self::Basic { user_name, password } => (Ok(AUTHORIZATION), basic(user_name, password.expose())),
        };
        let given = header.ok().and_then(|header| request.headers.get(header));
        given.is_some_and(|given| same(given.as_bytes(), value.as_bytes()))
    }
}

/// Proves that a request is the instance's, and a POST.
pub(super) fn prove(caller: Option<&Caller>, request: &Unverified) -> Result<Proof, Rejected> {
    if !request.secret_part {
        return Err(refuse(404, "there is no such integration"));
    }
    if caller.is_some_and(|caller| !caller.came_with(request)) {
        return Err(refuse(401, "the header that was agreed upon is missing or wrong"));
    }
    if request.method != ::http::Method::POST {
        return Err(refuse(405, "this address takes POST"));
    }
    Ok(Proof::SharedSecret)
}

pub(super) fn refuse(status: u16, why: &str) -> Rejected {
    Rejected(Answer::error(status, why))
}

/// Equal, in a time that does not tell where they differ.
fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |differ, (a, b)| differ | (a ^ b)) == 0
}
