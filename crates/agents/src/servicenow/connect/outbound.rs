//! Entry → request.
//!
//! | entry | request |
//! |---|---|
//! | Open | `POST support/queues/{queue}/sessions`, with all that travels along in words |
//! | a line, its files as links in words | `POST conversations/{group}/messages` |
//! | Close, not by the agent | `POST support/sessions/{group}/leave` |

use ::http::StatusCode;
use interline_connector::http::{Reply, Request};
use interline_connector::{Cause, Failure, Item};
use interline_core::conversation::entry::Text;
use interline_core::transfer::Reason;
use serde_json::{Value, json};

use super::super::account::{bug, for_open, judge};
use super::super::introduction::introduction;
use super::Integration;
use super::wire::{Answer, QueueEntry, Words};

/// What a chat begins with about which nothing is known.
const NOTHING_KNOWN: &str = "A customer would like to chat.";

impl Integration {
    pub(super) async fn queue(&self, item: &Item) -> Result<QueueEntry, Failure> {
        let introduction = introduction(item);
        let message = if introduction.is_empty() { NOTHING_KNOWN } else { &introduction };
        let queue = item.participant.queue.as_deref().unwrap_or(&self.settings.queue_id);
        let url = self.account.at_part("/api/now/connect/support/queues", queue, "sessions")?;
        let body = Words { message, group: None };
        let reply = self.account.ask(|| Request::post(url.clone()).json(&body)).await.map_err(for_open)?;
        if let Reply::Answered { status, headers, body } = &reply {
            let refused = matches!(*status, StatusCode::FORBIDDEN | StatusCode::SERVICE_UNAVAILABLE);
            if let Some(text) = text(body).filter(|_| refused) {
                return Err(Failure::Refused(self.why_closed(&text, *status)));
            }
            if *status == StatusCode::NOT_FOUND {
                let code = "HTTP 404: there is no such queue, or no Connect Support";
                return Err(Failure::Refused(Cause::new(Reason::Unconfigured, code)));
            }
            judge(*status, headers).map_err(for_open)?;
        }
        // Whatever it says, it may have put somebody into the queue.
        let unread =
            |_| Failure::Uncertain(Cause::new(Reason::VendorError, "an answer that is not a queue entry"));
        reply.json::<Answer<QueueEntry>>().map(|answer| answer.result).map_err(unread)
    }

    /// A closed queue says why in words for people.
    fn why_closed(&self, text: &str, status: StatusCode) -> Cause {
        let closed = self.outside_hours.fits(text);
        let reason = if closed { Reason::OutsideHours } else { Reason::NoAgents };
        Cause::new(reason, format!("HTTP {}", status.as_u16()))
    }

    /// Gives the instance's id of the line, if it tells one.
    pub(super) async fn say(&self, item: &Item, text: &Text, group: &str) -> Result<Option<String>, Failure> {
        let links = item.files.iter().map(|file| file.in_words());
        let told: Vec<String> =
            std::iter::once(text.text.clone()).chain(links).filter(|it| !it.is_empty()).collect();
        if told.is_empty() {
            return Ok(None);
        }
        let message = told.join("\n");
        let url = self.account.at_part("/api/now/connect/conversations", group, "messages")?;
        let body = Words { message: &message, group: Some(group) };
        let reply = self.account.ask(|| Request::post(url.clone()).json(&body)).await?;
        let Reply::Answered { status, headers, body } = reply else { return Ok(None) };
        judge(status, &headers)?;
        let answer: Value = serde_json::from_slice(&body).map_err(|_| {
            Failure::Uncertain(Cause::new(
                Reason::VendorError,
                "it answers 200 with something that is not JSON",
            ))
        })?;
        Ok(answer["result"]["sys_id"].as_str().map(str::to_owned))
    }

    pub(super) async fn leave(&self, group: &str) -> Result<(), Failure> {
        let url = self.account.at_part("/api/now/connect/support/sessions", group, "leave")?;
        let reply = self.account.ask(|| Request::post(url.clone()).json(&json!({}))).await?;
        let Reply::Answered { status, headers, .. } = reply else { return Err(bug("no answer")) };
        match judge(status, &headers) {
            // It is over already.
            Err(Failure::Gone(_)) => Ok(()),
            other => other,
        }
    }
}

/// `{"result": "a text to show"}`: what a queue says that takes nobody. A refusal of our rights looks otherwise.
fn text(body: &[u8]) -> Option<String> {
    let answer: Value = serde_json::from_slice(body).ok()?;
    answer["result"].as_str().map(str::to_owned)
}
