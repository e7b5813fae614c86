//! What the other side asks within the dialog, and what it tells.

use std::sync::atomic::Ordering;

use rsipstack::dialog::dialog::{DialogState, TransactionHandle};
use rsipstack::sip::{Header, Method, Request, StatusCode};
use tokio::sync::mpsc;

use super::{Leg, Referred, Stage, sdp};
use crate::gate::check::is_sdp;
use crate::sip::edge::abilities;
use crate::sip::frag::News;
use crate::sip::text::reason;
use crate::sip::timer::{Asked, Timer, too_short};

impl Leg {
    pub(super) async fn state(&self, state: DialogState) {
        match state {
            DialogState::Confirmed(..) => self.confirmed().await,
            DialogState::Updated(_, request, handle) => self.updated(&request, &handle).await,
            DialogState::Info(_, request, handle) => {
                self.info(&request);
                let _ = handle.reply(StatusCode::OK).await;
            }
            DialogState::Options(_, _, handle) => {
                let _ = handle.respond(StatusCode::OK, Some(abilities()), None).await;
            }
            DialogState::Notify(_, request, handle) => self.notified(&request, &handle).await,
            DialogState::Refer(_, request, handle) => {
                let referred = Referred { request, answer: handle };
                let open = self.listeners().refers.clone();
                let refused = match open {
                    Some(open) => open.try_send(referred).err().map(mpsc::error::TrySendError::into_inner),
                    None => Some(referred),
                };
                if let Some(referred) = refused {
                    let _ = referred.answer.reply(StatusCode::Forbidden).await;
                }
            }
            DialogState::Message(_, _, handle) | DialogState::Publish(_, _, handle) => {
                let _ = handle.reply(StatusCode::MethodNotAllowed).await;
            }
            DialogState::Calling(_)
            | DialogState::Trying(_)
            | DialogState::Early(..)
            | DialogState::WaitAck(..) => {}
            DialogState::Terminated(..) => {}
        }
    }

    /// The ACK came. The stack tells it again after each request within the dialog.
    async fn confirmed(&self) {
        self.0.answered.send_modify(|count| *count += 1);
        self.pass_news_on();
        if self.0.offered.swap(false, Ordering::Relaxed) {
            let body = self.dialog().last_remote_ack().map(|ack| ack.body).unwrap_or_default();
            if self.0.session.accept(&String::from_utf8_lossy(&body)).is_err() {
                self.0.stage.send_replace(Stage::Up);
                let leg = self.clone();
                tokio::spawn(async move { leg.bye(vec![reason("SIP", 488, "no usable answer")]).await });
                return;
            }
        }
        self.0.stage.send_if_modified(|stage| {
            let first = *stage == Stage::Early;
            if first {
                *stage = Stage::Up;
            }
            first
        });
    }

    /// A re-INVITE or an UPDATE.
    async fn updated(&self, request: &Request, handle: &TransactionHandle) {
        self.refreshed();
        if self.0.asking.load(Ordering::Relaxed) {
            let _ = handle.reply(StatusCode::RequestPending).await;
            return;
        }
        let asked = Asked::of(request.headers.iter());
        if asked.is_too_short() {
            let _ = handle.respond(StatusCode::SessionIntervalTooSmall, Some(vec![too_short()]), None).await;
            return;
        }
        let kind =
            request.headers.iter().find(|header| matches!(header, Header::ContentType(_))).map(Header::value);
        let answer = if request.body.is_empty() {
            // An INVITE without an offer asks for ours; an UPDATE only says that somebody is still there.
            Ok((request.method == Method::Invite).then(|| {
                self.0.offered.store(true, Ordering::Relaxed);
                self.0.session.offer()
            }))
        } else if kind.is_some_and(is_sdp) {
            self.0
                .session
                .answer(&String::from_utf8_lossy(&request.body))
                .map(Some)
                .map_err(|error| error.status())
        } else {
            Err(415)
        };
        let _ = match answer {
            Ok(body) => {
                let mut headers = abilities();
                let timer = asked.as_called();
                if let Some(timer) = timer {
                    self.keep_time(timer);
                }
                headers.extend(timer.map(Timer::answer).unwrap_or_default());
                headers.extend(body.is_some().then(sdp));
                handle.respond(StatusCode::OK, Some(headers), body.map(String::into_bytes)).await
            }
            Err(code) => handle.reply(code.into()).await,
        };
    }

    /// `application/dtmf-relay`, or `application/dtmf`.
    fn info(&self, request: &Request) {
        let kind =
            request.headers.iter().find(|header| matches!(header, Header::ContentType(_))).map(Header::value);
        let kind = kind.unwrap_or_default().to_ascii_lowercase();
        if !self.0.info_digits || !kind.starts_with("application/dtmf") {
            return;
        }
        let body = String::from_utf8_lossy(&request.body);
        let signal = if kind.starts_with("application/dtmf-relay") {
            body.lines().find_map(|line| {
                line.split_once('=').filter(|(name, _)| name.trim().eq_ignore_ascii_case("signal"))
            })
        } else {
            Some(("", &*body))
        };
        let digit =
            signal.and_then(|(_, value)| value.trim().chars().next()).map(|digit| digit.to_ascii_uppercase());
        if let Some(digit) = digit.filter(|digit| "0123456789*#ABCD".contains(*digit)) {
            self.0.session.heard_digit(digit);
        }
    }

    pub(super) fn digit(&self, digit: char) {
        if let Some(digits) = &self.listeners().digits {
            // A flood of digits is nobody's input.
            let _ = digits.try_send(digit);
        }
    }

    async fn notified(&self, request: &Request, handle: &TransactionHandle) {
        let (news, open) = (News::of(request), self.listeners().news.clone());
        let code = match (&news, &open) {
            (Some(_), Some(_)) => StatusCode::OK,
            (Some(_), None) => StatusCode::CallTransactionDoesNotExist,
            (None, _) => StatusCode::BadEvent,
        };
        if let (Some(news), Some(_)) = (news, open) {
            self.listeners().told.push(news);
        }
        let _ = handle.reply(code).await;
    }

    /// News are passed on when the NOTIFY is answered, which the stack shows by telling "confirmed" again: what is done about
    /// them must not overtake the answer.
    fn pass_news_on(&self) {
        let mut listeners = self.listeners();
        for news in std::mem::take(&mut listeners.told) {
            if let Some(open) = &listeners.news {
                let _ = open.try_send(news);
            }
        }
    }
}
