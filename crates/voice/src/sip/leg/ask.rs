//! What we ask of the other side within the dialog.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::atomic::Ordering;
use std::task::Poll;
use std::time::Duration;

use rsipstack::dialog::dialog::Dialog;
use rsipstack::dialog::invite_dialog::InviteDialog;
use rsipstack::sip::{Header, Method, Response, Uri};
use rsipstack::transaction::key::TransactionRole;

use super::{Leg, sdp};
use crate::sip::digest;
use crate::sip::edge::settled;
use crate::sip::inspect::CHALLENGED;
use crate::sip::long::{by_tcp, is_long};
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
        let dialog = self.dialog();
        let length = body.as_ref().map_or(0, Vec::len);
        let target = target(&dialog, &headers, length).await;
        let send =
            |headers| aimed(&dialog, target.clone(), dialog.request(method, Some(headers), body.clone()));
        let uri = target.clone().unwrap_or_else(|| dialog.snapshot().remote_uri);
        self.proven(method, &uri, headers, send).await
    }

    /// Sends by `send`, and once more with a proof of who we are, if that is asked for and we have one.
    async fn proven<F>(
        &self,
        method: Method,
        uri: &Uri,
        headers: Vec<Header>,
        send: impl Fn(Vec<Header>) -> F,
    ) -> Option<Response>
    where
        F: Future<Output = Result<Option<Response>, rsipstack::Error>>,
    {
        let mut response = send(headers.clone()).await.ok()??;
        let challenged = |response: &Response| {
            CHALLENGED.iter().find(|(_, ours)| *ours == response.status_code.code()).map(|(real, _)| *real)
        };
        if let Some(proof) = challenged(&response).and_then(|code| self.proof(&response, method, uri, code)) {
            let mut proven = headers;
            proven.push(proof);
            response = send(proven).await.ok()??;
        }
        if let Some(code) = challenged(&response) {
            response.status_code = code.into();
        }
        Some(response)
    }

    fn proof(&self, challenge: &Response, method: Method, uri: &Uri, code: u16) -> Option<Header> {
        let account = self.0.account.as_ref()?;
        let challenges = challenge.headers.iter().filter_map(|header| match header {
            Header::WwwAuthenticate(value) => Some(value.value()),
            Header::ProxyAuthenticate(value) => Some(value.value()),
            _ => None,
        });
        let client = uuid::Uuid::new_v4().simple().to_string();
        let value = digest::answer(challenges, account, &method.to_string(), &uri.to_string(), &client)?;
        Some(if code == 407 {
            Header::ProxyAuthorization(value.into())
        } else {
            Header::Authorization(value.into())
        })
    }

    /// Sends the description in force once more, and answers one challenge. None: there was no response, or no dialog.
    async fn reinvite(&self, mut headers: Vec<Header>) -> Option<Response> {
        settled(|| self.dialog().state()).await;
        // RFC 4028 §7.4: unchanged, so that nothing has to be agreed anew.
        let body = self.0.session.current().unwrap_or_else(|| self.0.session.offer());
        headers.push(sdp());
        let dialog = self.dialog();
        let target = target(&dialog, &headers, body.len()).await;
        let body = body.into_bytes();
        let send =
            |headers| aimed(&dialog, target.clone(), dialog.reinvite(Some(headers), Some(body.clone())));
        let uri = target.clone().unwrap_or_else(|| dialog.snapshot().remote_uri);
        self.0.asking.store(true, Ordering::Relaxed);
        let answer = self.proven(Method::Invite, &uri, headers, send).await;
        self.0.asking.store(false, Ordering::Relaxed);
        answer
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
                // A refusal, as of a proof that we do not have, is a sign of life, too.
                code => return !matches!(code, 408 | 481),
            }
        }
        true
    }
}

/// Where a request goes, if not where the others of its dialog do: by TCP, if it is long.
async fn target(dialog: &InviteDialog, headers: &[Header], body: usize) -> Option<Uri> {
    let snapshot = dialog.snapshot();
    let addresses = snapshot.remote_uri.to_string().len()
        + snapshot.from.to_string().len()
        + snapshot.to.to_string().len();
    if !is_long(addresses, headers, body) {
        return None;
    }
    by_tcp(&snapshot, &dialog.initial_request()).await
}

/// Sends a request to `target`, and not to that of its dialog. The stack makes a request when it is asked for it first, and
/// reads the target then: what is sent after that goes as before.
async fn aimed<T>(dialog: &InviteDialog, target: Option<Uri>, request: impl Future<Output = T>) -> T {
    let mut request = pin!(request);
    let Some(target) = target else { return request.await };
    let was = dialog.snapshot();
    let dialog = Dialog::Invite(dialog.clone());
    dialog.set_remote_target(target, was.remote_contact.clone());
    let first = poll_fn(|context| Poll::Ready(request.as_mut().poll(context))).await;
    dialog.set_remote_target(was.remote_uri, was.remote_contact);
    match first {
        Poll::Ready(answer) => answer,
        Poll::Pending => request.await,
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
