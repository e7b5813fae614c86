//! What is to be told goes out, each message once: a message counts as taken when the vendor tells it back.

use std::collections::BTreeMap;

use interline_connector::{Carried, Cause, Done, Failure, Item, Link};
use interline_core::AppId;
use interline_core::conversation::entry::{Body, Role, Text};
use interline_core::transfer::{Outcome, Reason};
use serde_json::json;

use super::line::Trouble;
use super::session::Chat;
use super::upload;
use super::wire::{
    Attachment, Channel, ChannelMetadata, Content, Event, Kind, Message, Metadata, Presence, Request,
};
use crate::genesys::{travel, words};

/// One message of an entry.
enum Part<'a> {
    Words(&'a str),
    File(&'a Carried),
}

type Attributes = BTreeMap<String, String>;

impl Chat<'_> {
    pub(super) async fn deliver(&mut self, link: &mut dyn Link, item: &Item) -> Result<Done, Trouble> {
        match (&item.entry.body, item.entry.to) {
            (Body::Open, Role::Agent) => self.open(link, item).await,
            (Body::Text(text), Role::Agent) => self.say(link, item, text).await,
            (Body::Close { outcome, .. }, _) => self.close(link, item, outcome).await,
            _ => Ok(Done::default()),
        }
    }

    async fn open(&mut self, link: &mut dyn Link, item: &Item) -> Result<Done, Trouble> {
        if self.line.is_none() {
            let connected = self.integration.connect(&self.document.token, !self.document.begun).await;
            let (line, session) = connected.map_err(refused)?;
            (self.line, self.session) = (Some(line), session);
        }
        self.document.begun = true;
        link.save(json!(self.document)).await;
        let mut attributes = travel::attributes(item, &self.integration.settings.routing());
        fit(&mut attributes, self.session.max_custom_data_bytes);
        let words = travel::first_words(item);
        let parts: Vec<Part<'_>> = words::pieces(&words).into_iter().map(Part::Words).collect();
        self.send(link, item, &parts, Some(&attributes)).await.map_err(refused)?;
        self.document.opened = true;
        Ok(Done { session: Some(json!(self.document)), ..Done::default() })
    }

    async fn say(&mut self, link: &mut dyn Link, item: &Item, text: &Text) -> Result<Done, Trouble> {
        let (files, links): (Vec<&Carried>, Vec<&Carried>) =
            item.files.iter().partition(|carried| upload::takes(&self.session, carried));
        let words = travel::line(text, links.into_iter());
        let pieces = words::pieces(&words).into_iter().map(Part::Words);
        let parts: Vec<Part<'_>> = pieces.chain(files.into_iter().map(Part::File)).collect();
        self.send(link, item, &parts, None).await
    }

    /// The messages of one entry, but for those that arrived already.
    async fn send(
        &mut self,
        link: &mut dyn Link,
        item: &Item,
        parts: &[Part<'_>],
        attributes: Option<&Attributes>,
    ) -> Result<Done, Trouble> {
        if self.document.over {
            return Err(Trouble::Failed(Failure::Refused(Cause::new(Reason::AgentLost, "the chat is over"))));
        }
        if self.doubtful {
            self.catch_up(link).await.map_err(Trouble::Lost)?;
        }
        let seq = item.entry.seq;
        let from = self.sent.take().filter(|(known, _)| *known == seq).map_or(0, |(_, count)| count);
        for (no, part) in parts.iter().enumerate().skip(from) {
            let id = format!("{}-{seq}-{no}", item.participant.no);
            if self.arrived.remove(&id) {
                continue;
            }
            let attributes = attributes.filter(|attributes| no == 0 && !attributes.is_empty());
            let told = match part {
                Part::Words(text) => self.tell(&id, Some(text), None, attributes).await,
                Part::File(carried) => self.tell_file(&item.conversation.app, &id, carried).await,
            };
            if let Err(trouble) = told {
                self.sent = Some((seq, no));
                return Err(trouble);
            }
        }
        self.arrived.clear();
        Ok(Done { session: Some(json!(self.document)), ..Done::default() })
    }

    /// A file; where the vendor does not take it after all, the link to it.
    async fn tell_file(&mut self, app: &AppId, id: &str, carried: &Carried) -> Result<(), Trouble> {
        let Some(line) = self.line.as_mut() else { return Err(Trouble::Lost("there is no socket".into())) };
        match self.integration.upload(app, line, carried).await {
            Ok(upload) => self.tell(id, None, Some(&upload), None).await,
            Err(Trouble::Failed(Failure::Refused(_))) => {
                self.tell(id, Some(&carried.in_words()), None, None).await
            }
            Err(other) => Err(other),
        }
    }

    /// One message, until the vendor tells it back.
    pub(super) async fn tell(
        &mut self,
        id: &str,
        text: Option<&str>,
        upload: Option<&str>,
        attributes: Option<&Attributes>,
    ) -> Result<(), Trouble> {
        let Some(line) = self.line.as_mut() else { return Err(Trouble::Lost("there is no socket".into())) };
        let attachment =
            |id| Content { content_type: "Attachment", attachment: Attachment { id, media_type: "File" } };
        let channel =
            attributes.map(|custom_attributes| Channel { metadata: ChannelMetadata { custom_attributes } });
        let message = Message {
            kind: Kind::Text,
            text,
            metadata: Some(Metadata { custom_message_id: id }),
            content: upload.map(attachment).into_iter().collect(),
            events: Vec::new(),
            channel,
        };
        let request = Request::OnMessage { time: travel::now(), message };
        line.ask(&request, |frame| frame.class == "StructuredMessage").await.map(drop)
    }

    /// The agent reads that it is over, and it is, where the deployment lets a guest clear a chat.
    async fn close(&mut self, link: &mut dyn Link, item: &Item, outcome: &Outcome) -> Result<Done, Trouble> {
        if !self.document.begun || self.document.over || *outcome == Outcome::AgentEnded {
            return Ok(Done::default());
        }
        let notice = &self.integration.settings.end_notice;
        if !notice.is_empty() {
            match self.send(link, item, &[Part::Words(notice)], None).await {
                // Without the notice it is over too.
                Ok(_) | Err(Trouble::Failed(Failure::Refused(_) | Failure::Gone(_))) => {}
                // Said already when the rest is tried again.
                Err(other) => return Err(other),
            }
            self.sent = Some((item.entry.seq, 1));
        }
        if let Some(line) = self.line.as_mut() {
            let events = vec![Event::Presence { presence: Presence::Clear }];
            let message = Message { kind: Kind::Event, events, ..Message::default() };
            let request = Request::OnMessage { time: travel::now(), message };
            let tracing_id = line.send(&request).await?;
            let cleared = line.until(|frame| frame.class == "SessionClearedEvent", Some(&tracing_id)).await;
            match cleared {
                Ok(_) | Err(Trouble::Failed(Failure::Gone(_))) => {}
                // Not allowed here: the agent has read that it is over, and the sockets close.
                Err(Trouble::Failed(Failure::Refused(_) | Failure::Unauthorized(_))) => {
                    line.send(&Request::CloseSession { close_all_connections: true }).await?;
                }
                Err(other) => return Err(other),
            }
        }
        self.document.over = true;
        Ok(Done { session: Some(json!(self.document)), ..Done::default() })
    }
}

/// What is over the session's own limit goes, custom data before what routes.
fn fit(attributes: &mut Attributes, most: Option<usize>) {
    let most = most.unwrap_or(usize::MAX);
    let weigh = |all: &Attributes| all.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>();
    let kept = |name: &str| [travel::LANGUAGE, travel::SKILLS, travel::TRANSCRIPT].contains(&name);
    while weigh(attributes) > most {
        let largest = attributes.iter().max_by_key(|(name, value)| (!kept(name), value.len()));
        let Some(name) = largest.map(|(name, _)| name.clone()) else { return };
        attributes.remove(&name);
    }
}

/// Of an Open: what waiting does not mend makes room for the next agent system at once.
fn refused(trouble: Trouble) -> Trouble {
    match trouble {
        Trouble::Failed(Failure::Unauthorized(cause) | Failure::Bug(cause)) => {
            Trouble::Failed(Failure::Refused(cause))
        }
        Trouble::Failed(Failure::Gone(cause)) => {
            Trouble::Failed(Failure::Refused(Cause { reason: Reason::Unconfigured, ..cause }))
        }
        other => other,
    }
}
