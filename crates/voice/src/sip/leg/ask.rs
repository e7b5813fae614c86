//! What we ask of the other side within the dialog.

use std::sync::atomic::Ordering;
use std::time::Duration;

use rsipstack::sip::{Header, Method, Response};
use rsipstack::transaction::key::TransactionRole;

use super::{Leg, sdp};
use crate::sip::digest;
use crate::sip::edge::settled;
use crate::sip::inspect::CHALLENGED;
use crate::sip::timer::{Asked, Timer, least};

/// A refresh is tried so often, each time as the other side wants it.
const MOST_TRIES: usize = 5;

impl Leg {
    /// Sends a request within the dialog, and answers one challenge. None: there was no response, or no dialog.
    pub async fn request(
        &self,
        method: Method,
        headers: Vec<Header>,
        body: Option<Vec<u8>>,
    ) -> Option<Response> {
        settled(|| self.dialog().state()).await;
        let first = self.dialog().request(method, Some(headers.clone()), body.clone()).await.ok()??;
        let Some((real, _)) = CHALLENGED.iter().find(|(_, ours)| *ours == first.status_code.code()) else {
            return Some(first);
        };
        let mut response = first;
        if let Some(proof) = self.proof(&response, method, *real) {
            let mut proven = headers;
            proven.push(proof);
            response = self.dialog().request(method, Some(proven), body).await.ok()??;
        }
        if CHALLENGED.iter().any(|(_, ours)| *ours == response.status_code.code()) {
            response.status_code = (*real).into();
        }
        Some(response)
    }

    fn proof(&self, challenge: &Response, method: Method, code: u16) -> Option<Header> {
        let account = self.0.account.as_ref()?;
        let uri = self.dialog().snapshot().remote_uri.to_string();
        let challenges = challenge.headers.iter().filter_map(|header| match header {
            Header::WwwAuthenticate(value) => Some(value.value()),
            Header::ProxyAuthenticate(value) => Some(value.value()),
            _ => None,
        });
        let client = uuid::Uuid::new_v4().simple().to_string();
        let value = digest::answer(challenges, account, &method.to_string(), &uri, &client)?;
        Some(if code == 407 {
            Header::ProxyAuthorization(value.into())
        } else {
            Header::Authorization(value.into())
        })
    }

    /// Sends the description in force once more. None: there was no response, or no dialog.
    async fn reinvite(&self, mut headers: Vec<Header>) -> Option<Response> {
        settled(|| self.dialog().state()).await;
        // RFC 4028 §7.4: unchanged, so that nothing has to be agreed anew.
        let body = self.0.session.current().unwrap_or_else(|| self.0.session.offer());
        headers.push(sdp());
        self.0.asking.store(true, Ordering::Relaxed);
        let answer = self.dialog().reinvite(Some(headers), Some(body.into_bytes())).await;
        self.0.asking.store(false, Ordering::Relaxed);
        answer.ok().flatten()
    }

    /// Says that we are still there (RFC 4028 §10). False: the other side is not.
    pub(super) async fn refreshes(&self, mut timer: Timer) -> bool {
        let mut by = Method::Update;
        for _ in 0..MOST_TRIES {
            let answer = match by {
                Method::Update => self.request(by, timer.refresh(), None).await,
                _ => self.reinvite(timer.refresh()).await,
            };
            let Some(answer) = answer else { return false };
            match answer.status_code.code() {
                200..=299 => {
                    // It may want to refresh from now on, or at other times.
                    if let Some(agreed) = timer.agreed(Asked::of(answer.headers.iter())) {
                        self.keep_time(agreed);
                    }
                    return true;
                }
                // It has no UPDATE.
                405 | 501 if by == Method::Update => by = Method::Invite,
                422 if least(answer.headers.iter()).is_some_and(|least| timer.raise(least)) => {
                    self.keep_time(timer);
                }
                491 => tokio::time::sleep(after_glare(self.dialog().role() == TransactionRole::Client)).await,
                code => return !matches!(code, 408 | 481),
            }
        }
        true
    }
}

/// Both asked at the same time, and both try again, but not at the same time: the one who made the call waits longer
/// (RFC 3261 §14.1).
fn after_glare(we_called: bool) -> Duration {
    let chance = u64::from(uuid::Uuid::new_v4().as_bytes()[0]);
    let (shortest, longest) = if we_called { (2_100, 4_000) } else { (0, 2_000) };
    Duration::from_millis(shortest + (longest - shortest) * chance / 255)
}

#[cfg(test)]
mod tests {
    use super::after_glare;

    #[test]
    fn who_made_the_call_waits_longer() {
        for _ in 0..1_000 {
            assert!((2_100..=4_000).contains(&after_glare(true).as_millis()));
            assert!(after_glare(false).as_millis() <= 2_000);
        }
    }
}
