//! One hand-over: its socket, what is told and heard over it. A lost socket is taken up with the same token, and what was
//! missed is read from the history.

use std::collections::BTreeSet;
use std::time::Duration;

use ::http::HeaderMap;
use interline_connector::{Aside, Failure, Incoming, Item, Link, Next, RunEnd};
use interline_core::Seq;
use interline_core::conversation::entry::{Body, Text};
use interline_core::conversation::input::AgentEvent;
use interline_core::transfer::{Failure as Typed, Reason};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep_until};
use url::Url;
use uuid::Uuid;

use super::Integration;
use super::line::{Line, Trouble};
use super::wire::{Event, Frame, Kind, Message, On, Request, Session, Structured};
use crate::genesys::{travel, words};

/// The vendor's own client tells typing so often at most.
const TYPING: Duration = Duration::from_secs(5);
/// A socket that says nothing for so long is asked whether it lives; one that does not answer within as long is dead. The
/// vendor takes one question every 30 s.
const SILENCE: Duration = Duration::from_secs(60);
/// The longest that an indicator is believed.
const LONG_TYPING: u64 = 30_000;
/// So many messages with files are remembered.
const FILED: usize = 50;

/// What is kept of a hand-over. All of it is sealed: who knows the token is the customer.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Document {
    /// The session's key, of our making.
    pub token: String,
    /// The vendor was told something: a chat may exist.
    pub begun: bool,
    /// The vendor took the hand-over.
    pub opened: bool,
    /// Who is known to talk; empty: somebody without a name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// Messages whose files were taken: a history tells them again, and they are not fetched twice.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub filed: Vec<String>,
    /// It is over at the vendor.
    pub over: bool,
}

pub(super) struct Chat<'a> {
    pub integration: &'a Integration,
    pub document: Document,
    pub line: Option<Line>,
    pub session: Session,
    /// The parts of the current entry that arrived.
    pub sent: Option<(Seq, usize)>,
    /// Ids of ours that are known to have arrived, of what an earlier run may have sent.
    pub arrived: BTreeSet<String>,
    /// The next message may have arrived already: it is looked for first.
    pub doubtful: bool,
    /// Why nobody takes it, as far as the flow said.
    refusal: Option<Reason>,
    typing_until: Option<Instant>,
    typed_at: Option<Instant>,
    /// The frame that told typing; a refusal of it means that nobody wants to know.
    typing_frame: Option<String>,
    typing_off: bool,
    heard_at: Instant,
    asked: bool,
}

impl Integration {
    pub(super) async fn serve(&self, link: &mut dyn Link) -> RunEnd {
        let document: Option<Document> =
            link.session().and_then(|session| serde_json::from_value(session).ok());
        let mut chat = Chat {
            integration: self,
            document: document.unwrap_or_default(),
            line: None,
            session: Session::default(),
            sent: None,
            arrived: BTreeSet::new(),
            doubtful: false,
            refusal: None,
            typing_until: None,
            typed_at: None,
            typing_frame: None,
            typing_off: false,
            heard_at: Instant::now(),
            asked: false,
        };
        match chat.run(link).await {
            Ok(()) => {
                if let Some(line) = chat.line.take() {
                    Box::pin(line.close()).await;
                }
                RunEnd::Over
            }
            Err(why) => RunEnd::Lost(why),
        }
    }
}

impl Chat<'_> {
    async fn run(&mut self, link: &mut dyn Link) -> Result<(), String> {
        if self.document.begun && !self.document.over {
            Box::pin(self.resume(link)).await?;
        }
        loop {
            let typing_until = self.typing_until;
            let silent_at = self.heard_at + SILENCE;
            tokio::select! {
                next = link.next() => match next {
                    None => return Ok(()),
                    Some(Next::Aside(aside)) => Box::pin(self.aside(aside)).await?,
                    Some(Next::Item(item)) => Box::pin(self.item(link, &item)).await?,
                },
                frame = heard(&mut self.line) => {
                    (self.heard_at, self.asked) = (Instant::now(), false);
                    match frame {
                        Ok(frame) => Box::pin(self.frame(link, frame)).await?,
                        Err(_) if self.document.over => self.line = None,
                        Err(why) => return Err(why),
                    }
                }
                () = sleep_until(silent_at), if self.line.is_some() => Box::pin(self.ask_for_life()).await?,
                () = sleep_until(typing_until.unwrap_or(silent_at)), if typing_until.is_some() => {
                    self.typing_until = None;
                    link.typing(false);
                }
            }
        }
    }

    /// Takes the session up where it was.
    async fn resume(&mut self, link: &mut dyn Link) -> Result<(), String> {
        let (line, session) = match self.integration.connect(&self.document.token, false).await {
            Ok(connected) => connected,
            Err(Trouble::Failed(Failure::Gone(cause))) => return self.lost(link, cause.code).await,
            Err(Trouble::Failed(failure)) => return Err(failure.cause().code.clone()),
            Err(Trouble::Lost(why)) => return Err(why),
        };
        (self.line, self.session, self.heard_at) = (Some(line), session, Instant::now());
        if self.session.new_session {
            // It knows nothing of the token: what is told now is told to a new chat.
            if self.document.opened {
                self.lost(link, "the session is forgotten".to_owned()).await?;
            }
            return Ok(());
        }
        self.catch_up(link).await?;
        if self.session.read_only {
            self.ended(link).await;
        }
        Ok(())
    }

    /// What was told meanwhile, and what of ours arrived.
    pub async fn catch_up(&mut self, link: &mut dyn Link) -> Result<(), String> {
        let Some(line) = self.line.as_mut() else { return Ok(()) };
        let history = match self.integration.history(line).await {
            Ok(history) => history,
            Err(Trouble::Lost(why)) => return Err(why),
            Err(Trouble::Failed(failure)) => return Err(failure.cause().code.clone()),
        };
        for message in history {
            let Ok(message) = serde_json::from_value::<Structured>(message) else { continue };
            self.message(link, message).await?;
        }
        self.doubtful = false;
        Ok(())
    }

    async fn item(&mut self, link: &mut dyn Link, item: &Item) -> Result<(), String> {
        if matches!(item.entry.body, Body::Open) && self.document.token.is_empty() {
            // Before it is used: who loses it loses the chat.
            self.document.token = Uuid::new_v4().to_string();
            link.save(json!(self.document)).await;
        }
        match self.deliver(link, item).await {
            Ok(done) => link.done(item.entry.seq, Ok(done)).await,
            Err(Trouble::Failed(failure)) => {
                self.doubtful |= matches!(failure, Failure::Uncertain(_));
                link.done(item.entry.seq, Err(failure)).await;
            }
            // Not settled: the next run looks whether it arrived.
            Err(Trouble::Lost(why)) => return Err(why),
        }
        Ok(())
    }

    async fn aside(&mut self, aside: Aside) -> Result<(), String> {
        let ready =
            !self.typing_off && !self.document.over && self.typed_at.is_none_or(|at| at.elapsed() >= TYPING);
        let Some(line) = self.line.as_mut().filter(|_| ready && aside == Aside::Typing(true)) else {
            return Ok(());
        };
        self.typed_at = Some(Instant::now());
        let events = vec![Event::Typing { typing: On::On }];
        let message = Message { kind: Kind::Event, events, ..Message::default() };
        let request = Request::OnMessage { time: travel::now(), message };
        match line.send(&request).await {
            Ok(tracing_id) => self.typing_frame = Some(tracing_id),
            Err(Trouble::Lost(why)) => return Err(why),
            Err(Trouble::Failed(_)) => {}
        }
        Ok(())
    }

    async fn ask_for_life(&mut self) -> Result<(), String> {
        if self.asked {
            return Err("nothing was heard for too long".to_owned());
        }
        (self.asked, self.heard_at) = (true, Instant::now());
        let Some(line) = self.line.as_mut() else { return Ok(()) };
        let message = Message { text: Some("ping"), ..Message::default() };
        match line.send(&Request::Echo { message }).await {
            Ok(_) | Err(Trouble::Failed(_)) => Ok(()),
            Err(Trouble::Lost(why)) => Err(why),
        }
    }

    // ── what is heard ────────────────────────────────────────────────────────────────────────────────────────────

    async fn frame(&mut self, link: &mut dyn Link, frame: Frame) -> Result<(), String> {
        match frame.class.as_str() {
            "StructuredMessage" => {
                let Ok(message) = serde_json::from_value::<Structured>(frame.body) else { return Ok(()) };
                self.message(link, message).await
            }
            "SessionExpiredEvent" => self.lost(link, "the session expired".to_owned()).await,
            "SessionClearedEvent" | "LogoutEvent" => {
                self.ended(link).await;
                Ok(())
            }
            "ConnectionClosedEvent" if !self.document.over => {
                Err("the vendor closes the connection".to_owned())
            }
            "string"
                if frame.code == 403
                    && frame.tracing_id.is_some()
                    && frame.tracing_id == self.typing_frame =>
            {
                self.typing_off = true;
                Ok(())
            }
            "string" if matches!(frame.code, 4006 | 4007) => {
                self.lost(link, format!("code {}", frame.code)).await
            }
            // Unknown, or an answer that nobody waits for: neither success nor failure.
            _ => Ok(()),
        }
    }

    async fn message(&mut self, link: &mut dyn Link, message: Structured) -> Result<(), String> {
        if message.direction == "Inbound" {
            self.arrived
                .extend(message.metadata.get("customMessageId").and_then(Value::as_str).map(str::to_owned));
            return Ok(());
        }
        if message.direction != "Outbound" {
            return Ok(());
        }
        if message.originating_entity.as_deref() == Some("Human") {
            self.joined(link, name(&message)).await;
        }
        for event in &message.events {
            match (event["eventType"].as_str(), event["presence"]["type"].as_str()) {
                (Some("Typing"), _) => {
                    let ms = event["typing"]["duration"].as_u64().unwrap_or(5_000).min(LONG_TYPING);
                    self.typing_until = Some(Instant::now() + Duration::from_millis(ms));
                    link.typing(true);
                }
                (Some("Presence"), Some("Disconnect")) => self.ended(link).await,
                (Some("Presence"), Some("SessionExpired")) => {
                    return self.lost(link, "the session expired".to_owned()).await;
                }
                _ => {}
            }
        }
        if matches!(message.kind.as_str(), "Text" | "Structured" | "Message") {
            self.said(link, message).await?;
        }
        Ok(())
    }

    async fn said(&mut self, link: &mut dyn Link, message: Structured) -> Result<(), String> {
        let with_files = message.content.iter().any(|one| one["contentType"] == "Attachment");
        let filed = message.id.clone().filter(|_| with_files);
        if filed.as_ref().is_some_and(|id| self.document.filed.contains(id)) {
            return Ok(());
        }
        let mut text = Text::plain(words::of_message(message.text.as_deref(), &message.content));
        let mut refused = Vec::new();
        for attachment in message.content.iter().filter(|one| one["contentType"] == "Attachment") {
            let attachment = &attachment["attachment"];
            let name = attachment["filename"].as_str().filter(|name| !name.is_empty()).map(str::to_owned);
            let url = attachment["url"].as_str().and_then(|url| Url::parse(url).ok());
            let Some(url) = url.filter(|url| matches!(url.scheme(), "http" | "https")) else { continue };
            match link.keep(Incoming { name: name.clone(), url, headers: HeaderMap::new() }).await {
                Ok(file) => text.files.push(file),
                Err(why) => refused.push(why.for_agent(name.as_deref())),
            }
        }
        let is_human = message.originating_entity.as_deref() == Some("Human");
        if !is_human && self.document.agent.is_none() {
            let refusal = self.integration.settings.refusals().reason(&text.text);
            self.refusal = refusal.or(self.refusal);
        }
        if !text.is_empty() {
            let name = name(&message).filter(|_| is_human);
            link.heard(message.id, AgentEvent::Said { text, name }).await;
        }
        if let Some(id) = filed {
            self.document.filed.push(id);
            let most = self.document.filed.len().saturating_sub(FILED);
            self.document.filed.drain(..most);
            link.save(json!(self.document)).await;
        }
        // The agent learns of it where they look: in the chat.
        for words in refused {
            let id = Uuid::new_v4().to_string();
            match self.tell(&id, Some(&words), None, None).await {
                Ok(()) | Err(Trouble::Failed(_)) => {}
                Err(Trouble::Lost(why)) => return Err(why),
            }
        }
        Ok(())
    }

    /// The first words of a human are the only sign that one is there; another name, that another is.
    async fn joined(&mut self, link: &mut dyn Link, name: Option<String>) {
        let known = name.clone().unwrap_or_default();
        if self.document.agent.as_ref() == Some(&known) || self.document.over {
            return;
        }
        let id = format!("joined/{}/{known}", self.document.agent.as_deref().unwrap_or_default());
        self.document.agent = Some(known);
        link.heard(Some(id), AgentEvent::Joined { name }).await;
        link.save(json!(self.document)).await;
    }

    /// It is over at the vendor.
    pub async fn ended(&mut self, link: &mut dyn Link) {
        if self.document.over {
            return;
        }
        let event = match self.document.agent {
            Some(_) => AgentEvent::Ended { tag: None },
            None => {
                let reason = self.refusal.unwrap_or(Reason::NoAgents);
                AgentEvent::Failed(Typed { reason, code: Some("disconnected".to_owned()) })
            }
        };
        self.over(link, event).await;
    }

    /// The vendor knows nothing of it any more.
    async fn lost(&mut self, link: &mut dyn Link, code: String) -> Result<(), String> {
        if !self.document.over {
            self.over(link, AgentEvent::Failed(Typed { reason: Reason::AgentLost, code: Some(code) })).await;
        }
        self.line = None;
        Ok(())
    }

    async fn over(&mut self, link: &mut dyn Link, event: AgentEvent) {
        self.document.over = true;
        link.heard(Some("over".to_owned()), event).await;
        link.save(json!(self.document)).await;
    }
}

fn name(message: &Structured) -> Option<String> {
    let from = &message.channel.from;
    let parts: Vec<&str> =
        [&from.first_name, &from.last_name].into_iter().flatten().map(String::as_str).collect();
    let whole = from.nickname.clone().or_else(|| (!parts.is_empty()).then(|| parts.join(" ")));
    whole.filter(|name| !name.trim().is_empty())
}

async fn heard(line: &mut Option<Line>) -> Result<Frame, String> {
    match line {
        Some(line) => line.next().await,
        None => std::future::pending().await,
    }
}
