//! What is to be told goes out, each message once.

use std::collections::BTreeMap;

use interline_connector::{Cause, Done, Failure, Item, Link};
use interline_core::conversation::entry::{Body, Role};
use interline_core::conversation::input::AgentEvent;
use interline_core::transfer::{Outcome, Reason};
use serde_json::json;
use tokio::time::Instant;
use uuid::Uuid;

use super::address;
use super::outbound::{self, Opening, Part};
use super::session::Chat;
use super::wire::Accepted;
use crate::genesys::travel;

impl Chat<'_> {
    pub(super) async fn deliver(&mut self, link: &mut dyn Link, item: &Item) -> Result<Done, Failure> {
        match (&item.entry.body, item.entry.to) {
            (Body::Open, Role::Agent) => self.open(link, item).await.map_err(refused),
            (Body::Text(text), Role::Agent) => {
                let words = travel::line(text, item.files.iter().filter(|carried| !carried.fits));
                self.send(link, item, &outbound::parts(&words, &item.files), None).await
            }
            (Body::Close { outcome, .. }, _) => self.close(link, item, outcome).await,
            _ => Ok(Done::default()),
        }
    }

    async fn open(&mut self, link: &mut dyn Link, item: &Item) -> Result<Done, Failure> {
        self.document.address = address::of(&item.conversation.id, item.participant.no);
        // What comes back may be quicker than the answer.
        self.take_seat();
        let attributes = travel::attributes(item, &self.integration.settings.routing());
        let (words, name) = (travel::first_words(item), travel::name(item));
        let opening = Opening { attributes: &attributes, item, name: &name };
        let done = self.send(link, item, &outbound::parts(&words, &[]), Some(&opening)).await?;
        self.attributes = Some(attributes).filter(|attributes| !attributes.is_empty());
        self.look_at = Instant::now();
        Ok(done)
    }

    /// The messages of one entry, but for those that arrived already.
    async fn send(
        &mut self,
        link: &mut dyn Link,
        item: &Item,
        parts: &[Part<'_>],
        opening: Option<&Opening<'_>>,
    ) -> Result<Done, Failure> {
        if self.over {
            return Err(over());
        }
        let seq = item.entry.seq;
        let mut ids =
            self.sent.take().filter(|(known, _)| *known == seq).map(|(_, ids)| ids).unwrap_or_default();
        let arrived = match &self.document.conversation {
            Some(conversation) if self.doubtful => {
                self.integration.arrived(conversation, self.document.last.as_deref()).await?
            }
            _ => BTreeMap::new(),
        };
        for (no, part) in parts.iter().enumerate().skip(ids.len()) {
            let id = format!("{}-{seq}-{no}", self.document.address);
            if let Some(known) = arrived.get(&id) {
                ids.push(known.clone());
                continue;
            }
            let opening = opening.filter(|_| no == 0);
            match self.integration.send(&self.document.address, &id, part, opening).await {
                Ok(accepted) => {
                    ids.push(accepted.id.clone().unwrap_or_default());
                    self.belongs(link, accepted).await?;
                }
                Err(failure) => {
                    self.doubtful = matches!(failure, Failure::Uncertain(_));
                    self.asked |= self.doubtful;
                    self.sent = Some((seq, ids));
                    return Err(failure);
                }
            }
        }
        self.doubtful = false;
        ids.retain(|id| !id.is_empty());
        self.document.last = ids.last().cloned().or(self.document.last.take());
        Ok(Done { session: Some(json!(self.document)), remote_ids: ids, ..Done::default() })
    }

    /// The agent learns of something where they look: in the chat.
    pub(super) async fn tell_agent(&mut self, link: &mut dyn Link, words: &str) {
        if self.over || self.document.conversation.is_none() {
            return;
        }
        let id = format!("{}-{}", self.document.address, Uuid::new_v4());
        let told = self.integration.send(&self.document.address, &id, &Part::Words(words), None).await;
        let told = match told {
            Ok(accepted) => self.belongs(link, accepted).await,
            Err(failure) => Err(failure),
        };
        if let Err(failure) = told {
            tracing::info!(code = failure.cause().code, "an agent was not told of a refused file");
        }
    }

    /// A message joins the customer's open conversation. Where that was over, and nobody had told us yet, it opened another:
    /// nobody is to take that one.
    async fn belongs(&mut self, link: &mut dyn Link, accepted: Accepted) -> Result<(), Failure> {
        let Some(conversation) = accepted.conversation_id else { return Ok(()) };
        match &self.document.conversation {
            Some(known) if *known != conversation => {
                self.integration.disconnect(&conversation).await?;
                self.is_over(link, AgentEvent::Ended { tag: None }).await;
                Err(over())
            }
            Some(_) => Ok(()),
            None => {
                self.document.conversation = Some(conversation);
                self.take_seat();
                Ok(())
            }
        }
    }

    /// The agent reads that it is over, and it is.
    async fn close(&mut self, link: &mut dyn Link, item: &Item, outcome: &Outcome) -> Result<Done, Failure> {
        // Nothing was ever asked of the vendor, or it knows.
        let asked = self.document.conversation.is_some() || self.asked;
        if !asked || self.over || *outcome == Outcome::AgentEnded {
            return Ok(Done::default());
        }
        let notice = &self.integration.settings.end_notice;
        if !notice.is_empty() {
            match self.send(link, item, &[Part::Words(notice)], None).await {
                // Without the notice it is over too.
                Ok(_) | Err(Failure::Refused(_) | Failure::Gone(_) | Failure::Uncertain(_)) => {}
                Err(other) => return Err(other),
            }
        }
        if let Some(conversation) = self.document.conversation.clone().filter(|_| !self.over) {
            if let Err(failure) = self.integration.disconnect(&conversation).await {
                // The notice was sent: it is not sent again.
                self.sent = Some((item.entry.seq, vec![String::new()]));
                return Err(failure);
            }
            self.over = true;
        }
        Ok(Done { session: Some(json!(self.document)), ..Done::default() })
    }
}

fn over() -> Failure {
    Failure::Refused(Cause::new(Reason::AgentLost, "the conversation is over"))
}

/// Of an Open: what waiting does not mend makes room for the next agent system at once.
fn refused(failure: Failure) -> Failure {
    match failure {
        Failure::Gone(cause) => Failure::Refused(Cause { reason: Reason::Unconfigured, ..cause }),
        Failure::Unauthorized(cause) | Failure::Bug(cause) => Failure::Refused(cause),
        other => other,
    }
}
