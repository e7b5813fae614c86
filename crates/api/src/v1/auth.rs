//! Whose key a request came with, and what of which app it opens.
//!
//! A handler gets its app from here and from nowhere else: [`Scope`] is the proof that the key was known, may see the app
//! and has the role. The order is fixed, so that nobody learns what exists: key (401), rate (429), app (404), role (403).

use std::marker::PhantomData;
use std::num::NonZeroU32;
use std::sync::Arc;

use axum::extract::{FromRequestParts, RawPathParams};
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use interline_core::AppId;
use interline_engine::config::{Document, Draft};
use interline_engine::{Holder, KeyRole, Runtime};

use super::Api;
use super::problem::Problem;

/// Requests a second with one key, in the long run.
const PER_SECOND: NonZeroU32 = NonZeroU32::new(100).unwrap();
/// Requests with one key at once.
const BURST: NonZeroU32 = NonZeroU32::new(200).unwrap();

/// How often each key was used. It holds known keys only, so it cannot be made to grow.
pub(crate) type Rates = DefaultKeyedRateLimiter<String>;

pub(crate) fn rates() -> Rates {
    RateLimiter::keyed(Quota::per_second(PER_SECOND).allow_burst(BURST))
}

/// A role that a route needs, as a type.
pub(crate) trait Needs: Send + Sync {
    /// The role.
    const ROLE: KeyRole;
}

/// [`KeyRole::Read`].
pub(crate) struct Read;
/// [`KeyRole::Operate`].
pub(crate) struct Operate;
/// [`KeyRole::Admin`].
pub(crate) struct Admin;

impl Needs for Read {
    const ROLE: KeyRole = KeyRole::Read;
}
impl Needs for Operate {
    const ROLE: KeyRole = KeyRole::Operate;
}
impl Needs for Admin {
    const ROLE: KeyRole = KeyRole::Admin;
}

/// A key as it was sent. There is no `Debug`: it is a secret.
#[derive(Clone)]
pub(crate) struct Token(String);

impl Token {
    /// Whether it still opens `app`.
    pub async fn still_opens(&self, api: &Api, app: &AppId) -> Result<bool, Problem> {
        let holder = api.engine.key_holder(&self.0).await?;
        Ok(holder.is_some_and(|holder| sees(&holder, app)))
    }
}

/// A known key with the role `R`; which apps it may see is still to be asked. For routes that are of no app.
pub(crate) struct Keyed<R> {
    /// Whose.
    pub holder: Holder,
    role: PhantomData<R>,
}

/// An app that the key may see, with the role `R`.
pub(crate) struct Scope<R> {
    /// The app.
    pub app: AppId,
    /// The app as it is in force.
    pub runtime: Arc<Runtime>,
    /// Whose key.
    pub holder: Holder,
    /// The key.
    pub token: Token,
    role: PhantomData<R>,
}

impl<R> Keyed<R> {
    /// Whether the key may see this app.
    pub fn sees(&self, app: &AppId) -> bool {
        sees(&self.holder, app)
    }
}

impl<R> Scope<R> {
    /// What the app was made from.
    pub fn draft(&self) -> Result<&Draft, Problem> {
        self.runtime.configured.as_deref().ok_or_else(Problem::not_found)
    }

    /// The document in force.
    pub fn document(&self) -> Result<&Document, Problem> {
        self.draft().map(|draft| &draft.document)
    }

    /// For a part of a route that needs more than the route.
    pub fn need(&self, role: KeyRole) -> Result<(), Problem> {
        need(&self.holder, role)
    }
}

fn sees(holder: &Holder, app: &AppId) -> bool {
    holder.app.as_ref().is_none_or(|own| own == app)
}

fn need(holder: &Holder, role: KeyRole) -> Result<(), Problem> {
    if holder.role < role { Err(Problem::weak(role, holder.role)) } else { Ok(()) }
}

/// The holder of the key, who has not used it too often.
async fn holder(parts: &Parts, api: &Api) -> Result<(Holder, Token), Problem> {
    let sent = parts.headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let (scheme, token) = sent.and_then(|value| value.split_once(' ')).ok_or_else(Problem::no_key)?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(Problem::no_key());
    }
    let token = token.trim();
    let holder = api.engine.key_holder(token).await?.ok_or_else(Problem::no_key)?;
    if let Err(not_yet) = api.rates.check_key(&holder.id) {
        let wait = not_yet.wait_time_from(DefaultClock::default().now());
        return Err(Problem::rate(wait.as_secs() + 1));
    }
    Ok((holder, Token(token.to_owned())))
}

impl<R: Needs> FromRequestParts<Api> for Keyed<R> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Problem> {
        let (holder, _) = holder(parts, api).await?;
        need(&holder, R::ROLE)?;
        Ok(Self { holder, role: PhantomData })
    }
}

impl<R: Needs> FromRequestParts<Api> for Scope<R> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Problem> {
        let (holder, token) = holder(parts, api).await?;
        let segments =
            RawPathParams::from_request_parts(parts, api).await.map_err(|_| Problem::not_found())?;
        let (_, app) = segments.iter().find(|(name, _)| *name == "app").ok_or_else(Problem::not_found)?;
        let app = AppId::from(app);
        let served = if sees(&holder, &app) { api.engine.apps().get(&app) } else { None };
        let runtime = served.ok_or_else(Problem::not_found)?;
        need(&holder, R::ROLE)?;
        Ok(Self { app, runtime, holder, token, role: PhantomData })
    }
}
