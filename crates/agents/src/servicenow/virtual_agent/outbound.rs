//! Entry → requests.
//!
//! | entry | request |
//! |---|---|
//! | Open | as `start` says, with history, context variables and an introduction |
//! | a line's words, with links for what does not go as a file | a message |
//! | each of its files | a message with an attachment; refused: its link in words |
//! | Close, not by the agent | `END_CONVERSATION` |
//! | typing | `TYPING`, `VIEWING` |
//! | the customer has a line | `UPDATE_MESSAGES` (from Virtual Agent API 4 on) |

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use ::http::{HeaderName, StatusCode};
use bytes::Bytes;
use hmac::{Hmac, KeyInit as _, Mac as _};
use interline_connector::channel::Mark;
use interline_connector::http::{Part, Payload, Reply, Request as Call};
use interline_connector::{Aside, Carried, Cause, Done, Failure, Item};
use interline_core::Seq;
use interline_core::conversation::entry::{Body, Entry, Speaker, Text};
use interline_core::transfer::{Outcome, Reason};
use serde_json::Value;
use sha1::Sha1;
use tokio::time::Instant;

use super::super::account::{bug, for_open, judge};
use super::super::introduction::introduction;
use super::handle::{Handle, Session};
use super::settings::{Files, Start, Version};
use super::steps::Step;
use super::wire::{Action, Answer, Attachment, Marked, Message, Ours, Request, Said, Told, Uploaded, Words};
use super::{ENDS, Integration};

/// Where all of it goes.
pub(super) const PATH: &str = "/api/sn_va_as_service/bot/integration";
const UPLOAD: &str = "/api/now/v1/cccif/media/upload";

/// So many lines of before travel along, the newest, and so many bytes of them.
const MOST_HISTORY: usize = 100;
const MOST_HISTORY_BYTES: usize = 64 * 1024;

/// What a second request of `two_step` says.
const NEUTRAL: &str = "Please connect me to an agent.";

impl Integration {
    pub(super) async fn tell(&self, item: &Item, session: Option<&Value>) -> Result<Done, Failure> {
        match &item.entry.body {
            Body::Open => self.open(item).await,
            Body::Text(text) => {
                let session =
                    Session::read(session).unwrap_or_else(|| Session::assumed(item, &self.settings));
                self.line(item, text, &session).await
            }
            Body::Close { outcome, .. } => self.close(item, outcome, session).await,
            _ => Ok(Done::default()),
        }
    }

    // ── the beginning ────────────────────────────────────────────────────────────────────────────────────────────

    async fn open(&self, item: &Item) -> Result<Done, Failure> {
        let (handle, session) = (Handle::of(item), Session::begin(item, &self.settings));
        self.memory.note(&handle, |known| {
            (known.whole, known.session) = (true, Some(session.clone()));
        });
        let introduction = introduction(item);
        let first = if self.settings.introduce_in_text { introduction.clone() } else { String::new() };
        let (action, text) = match self.settings.start {
            Start::LiveAgentOnly => (Some(Action::StartConversation), first),
            Start::AgentAction | Start::TwoStep => {
                (Some(Action::Agent), if first.is_empty() { NEUTRAL.to_owned() } else { first })
            }
            Start::Utterance => (None, self.settings.utterance.clone()),
        };
        let request = Request {
            action,
            message: Some(words(text, &item.key())),
            context_variables: self.context_variables(item),
            history: history(item, &introduction),
            ..self.request(&session, item.key(), item.entry.at.0)
        };
        let events = self.send(&session, &request).await.map_err(for_open)?;
        if self.settings.start == Start::TwoStep {
            self.steps.later(Step::AskAgain(handle), self.settings.second_step_ms);
        }
        let session = serde_json::to_value(session).map_err(|_| bug("cannot make the session document"))?;
        Ok(Done { session: Some(session), events, ..Done::default() })
    }

    /// The second request of `two_step`.
    pub(super) fn asks_again(&self, session: &Session) -> Request {
        let id = format!("{}/again", session.handle);
        Request {
            action: Some(Action::Agent),
            message: Some(words(NEUTRAL.to_owned(), &id)),
            ..self.request(session, id, now_ms())
        }
    }

    /// An offered choice is taken.
    pub(super) fn chooses(&self, session: &Session, value: String) -> Request {
        let id = format!("{}/chosen", session.handle);
        let message =
            Words { text: value, typed: false, client_message_id: Some(id.clone()), attachment: None };
        Request { message: Some(Message::Said(message)), ..self.request(session, id, now_ms()) }
    }

    /// Words of our own, for the agent alone.
    pub(super) fn tells(&self, session: &Session, text: String) -> Request {
        let (id, now) = self.beside(session);
        Request { message: Some(words(text, &id)), ..self.request(session, id, now) }
    }

    fn context_variables(&self, item: &Item) -> BTreeMap<String, String> {
        let mut variables: BTreeMap<String, String> = item.context.data.clone();
        variables.remove(super::super::introduction::METADATA);
        variables.extend(self.settings.context_variables.clone());
        let mut set = |name: &str, value: Option<String>| {
            if let Some(value) = value.filter(|value| !value.is_empty()) {
                variables.insert(name.to_owned(), value);
            }
        };
        // The field always sends the bot's id by this name.
        set("streamId", Some(item.conversation.app.to_string()));
        set("LiveAgent_queue", item.participant.queue.clone());
        set("LiveAgent_mandatory_skills", Some(item.context.skills.join(",")));
        set("language", item.conversation.customer.profile.language.clone());
        if self.settings.start == Start::LiveAgentOnly {
            set("live_agent_only", Some("true".into()));
        }
        variables
    }

    // ── lines ────────────────────────────────────────────────────────────────────────────────────────────────────

    async fn line(&self, item: &Item, text: &Text, session: &Session) -> Result<Done, Failure> {
        let handle = Handle::of(item);
        let (files, in_words): (Vec<&Carried>, Vec<&Carried>) =
            item.files.iter().partition(|file| file.fits && self.settings.files != Files::Link);
        let links = in_words.iter().map(|file| file.in_words());
        let told: Vec<String> =
            std::iter::once(text.text.clone()).chain(links).filter(|it| !it.is_empty()).collect();
        let told = told.join("\n");
        let known = self.memory.get(&handle);
        // Of a line that was tried before, what arrived is not said again.
        let arrived = known.parts.filter(|(seq, _)| *seq == item.entry.seq).map_or(0, |(_, parts)| parts);
        let mut done = Done::default();
        let mut part = 0;
        if !told.is_empty() {
            if arrived == 0 {
                done.events.extend(self.say(item, session, told, part).await?);
            }
            part += 1;
            self.arrived(&handle, item, session, part, !files.is_empty());
        }
        for file in files {
            if part >= arrived {
                done.events.extend(self.send_file(item, session, file, part).await?);
            }
            part += 1;
            self.arrived(&handle, item, session, part, true);
        }
        self.memory.note(&handle, |known| {
            known.newest = (part > 0).then(|| (item.entry.seq, Instant::now())).or(known.newest);
        });
        Ok(done)
    }

    fn arrived(&self, handle: &Handle, item: &Item, session: &Session, parts: usize, more: bool) {
        let known = self.memory.get(handle);
        if more || known.session.is_none() {
            self.memory.note(handle, |known| {
                known.session.get_or_insert_with(|| session.clone());
                known.parts = Some((item.entry.seq, parts));
            });
        }
    }

    async fn say(
        &self,
        item: &Item,
        session: &Session,
        text: String,
        part: usize,
    ) -> Result<Vec<interline_core::conversation::input::AgentEvent>, Failure> {
        let id = part_id(item, part);
        let request =
            Request { message: Some(words(text, &id)), ..self.request(session, id, item.entry.at.0) };
        self.send(session, &request).await
    }

    /// A file as a file. What the instance does not take is told in words.
    async fn send_file(
        &self,
        item: &Item,
        session: &Session,
        file: &Carried,
        part: usize,
    ) -> Result<Vec<interline_core::conversation::input::AgentEvent>, Failure> {
        let (url, text) = match self.settings.files {
            // The instance does not say when it does not fetch: the link stands beside.
            Files::Url | Files::Link => (file.fetch.to_string(), file.in_words()),
            Files::Upload => match self.upload(item, session, file).await {
                Ok(url) => (url, file.file.name.clone()),
                Err(Failure::Refused(_)) => return self.say(item, session, file.in_words(), part).await,
                Err(other) => return Err(other),
            },
        };
        let id = part_id(item, part);
        let attachment = Attachment {
            client_attachment_id: file.file.id.to_string(),
            content_type: file.file.mime.clone(),
            file_name: file.file.name.clone(),
            url,
        };
        let said =
            Words { text, typed: true, client_message_id: Some(id.clone()), attachment: Some(attachment) };
        let request =
            Request { message: Some(Message::Said(said)), ..self.request(session, id, item.entry.at.0) };
        match self.send(session, &request).await {
            Err(Failure::Refused(_)) => self.say(item, session, file.in_words(), part).await,
            sent => sent,
        }
    }

    async fn upload(&self, item: &Item, session: &Session, file: &Carried) -> Result<String, Failure> {
        let unread = |_| Failure::Retry {
            after_ms: None,
            cause: Cause::new(Reason::VendorError, "our file cannot be read"),
        };
        self.account.wait_is_over()?;
        // A token that has just expired is found out with nothing sent.
        self.account.stay_logged_in().await;
        let bytes = file.source.0.read(&item.conversation.app, &file.file).await.map_err(unread)?;
        let part = Part {
            name: "file",
            file: Some(file.file.name.clone()),
            kind: file.file.mime.clone(),
            size: file.file.size,
            bytes,
        };
        // The instance reads in this order.
        let user = Part::bytes("user_id", "text/plain", Bytes::from(session.user.clone()));
        let call = Call::post(self.account.at(UPLOAD)?)
            .body(Payload::Multipart(vec![user, part]))
            .deadline(std::time::Duration::from_secs(60));
        let (reply, _) = self.account.ask_once(call).await?;
        if let Reply::Answered { status, headers, .. } = &reply {
            judge(*status, headers).map_err(|failure| match failure {
                // No such API, or no right to it: not a reason to keep the words waiting.
                Failure::Gone(cause) | Failure::Unauthorized(cause)
                    if *status != StatusCode::UNAUTHORIZED =>
                {
                    Failure::Refused(cause)
                }
                // Nothing was said yet: an upload that came twice is seen by nobody.
                Failure::Uncertain(cause) => Failure::Retry { after_ms: None, cause },
                other => other,
            })?;
        }
        let uploaded: Uploaded = reply.json()?;
        Ok(uploaded.result.media_url)
    }

    // ── the end, and what is told beside ─────────────────────────────────────────────────────────────────────────

    async fn close(&self, item: &Item, outcome: &Outcome, session: Option<&Value>) -> Result<Done, Failure> {
        let handle = Handle::of(item);
        self.memory.forget(&handle);
        if *outcome == Outcome::AgentEnded {
            return Ok(Done::default());
        }
        match Session::read(session) {
            Some(session) => {
                self.send(&session, &self.ends(&session, item.entry.at.0)).await?;
            }
            // Nobody knows whether the Open arrived. If it did, this ends it; if not, it does no harm.
            None => {
                let session = Session::assumed(item, &self.settings);
                let _ = self.send(&session, &self.ends(&session, item.entry.at.0)).await;
            }
        }
        Ok(Done::default())
    }

    /// The end, from our side.
    pub(super) fn ends(&self, session: &Session, at_ms: i64) -> Request {
        let message = Words { text: String::new(), typed: true, client_message_id: None, attachment: None };
        Request {
            action: Some(Action::EndConversation),
            message: Some(Message::Said(message)),
            ..self.request(session, format!("{}{ENDS}", session.handle), at_ms)
        }
    }

    /// What is told beside the log. What is lost is lost.
    pub(super) async fn tell_aside(&self, session: &Session, aside: &Aside) {
        let (action, message) = match aside {
            Aside::Typing(_) if !self.settings.typing => return,
            Aside::Typing(true) => (Action::Typing, None),
            Aside::Typing(false) => (Action::Viewing, None),
            Aside::Receipt { remote_id: Some(id), .. }
                if self.settings.virtual_agent_api == Version::Four =>
            {
                let marked = Marked { id: id.clone(), status: "sent_to_user" };
                (Action::UpdateMessages, Some(Message::Marks(vec![marked])))
            }
            Aside::Receipt { mark: Mark::Delivered | Mark::Read, .. } => return,
        };
        let (id, now) = self.beside(session);
        let request = Request { action: Some(action), message, ..self.request(session, id, now) };
        if let Err(failure) = self.post(session, &request).await {
            tracing::debug!(code = failure.cause().code, "ServiceNow was not told of typing or a receipt");
        }
    }

    /// An id for what no entry says, and the time.
    fn beside(&self, session: &Session) -> (String, i64) {
        let (now, no) = (now_ms(), self.asides.fetch_add(1, Ordering::Relaxed));
        (format!("{}/beside/{now}.{no}", session.handle), now)
    }

    // ── the wire ─────────────────────────────────────────────────────────────────────────────────────────────────

    fn request(&self, session: &Session, request_id: String, at_ms: i64) -> Request {
        Request {
            request_id,
            client_session_id: session.handle.clone(),
            user_id: session.user.clone(),
            email_id: session.email.clone(),
            action: None,
            message: None,
            bot_to_bot: true,
            context_variables: BTreeMap::new(),
            client_variables: Ours { tenant: self.env.app.to_string(), handoff: session.handle.clone() },
            history: Vec::new(),
            timestamp: at_ms,
            app_inbound_id: self.settings.app_inbound_id.clone(),
        }
    }

    /// Sends it, and gives what the answer told beside: a synchronous channel answers with what it would call us for.
    pub(super) async fn send(
        &self,
        session: &Session,
        request: &Request,
    ) -> Result<Vec<interline_core::conversation::input::AgentEvent>, Failure> {
        let body = self.post(session, request).await?;
        let answer: Answer = serde_json::from_slice(&body).map_err(|_| {
            Failure::Uncertain(Cause::new(
                Reason::VendorError,
                "it answers 200 with something that is not JSON",
            ))
        })?;
        if answer.status.as_deref() == Some("failure") {
            let code = code(&answer.error).unwrap_or_else(|| "status failure".to_owned());
            return Err(Failure::Refused(Cause::new(Reason::BadRequest, code)));
        }
        let told: Told = serde_json::from_slice(&body).unwrap_or_default();
        Ok(if told.body.is_empty() { Vec::new() } else { self.events_of(&told) })
    }

    async fn post(&self, session: &Session, request: &Request) -> Result<Bytes, Failure> {
        let body = Bytes::from(serde_json::to_vec(request).map_err(|_| bug("cannot make the request"))?);
        let url = self.account.at(PATH)?;
        let (token, signature) = (self.message_token(session), self.signature(&body)?);
        let reply = self
            .account
            .ask(|| {
                let mut call = Call::post(url.clone()).json_bytes(body.clone());
                if let Some(token) = &token {
                    call = call.secret(HeaderName::from_static("token"), token);
                }
                if let Some(signature) = &signature {
                    call = call.header(HeaderName::from_static("x-b2b-signature"), signature);
                }
                call
            })
            .await?;
        let Reply::Answered { status, headers, body } = reply else { return Ok(Bytes::new()) };
        if status == StatusCode::NOT_FOUND {
            let code = "HTTP 404: the app Virtual Agent API is not installed";
            return Err(Failure::Refused(Cause::new(Reason::Unconfigured, code)));
        }
        judge(status, &headers).map(|()| body)
    }

    fn message_token(&self, session: &Session) -> Option<secrecy::SecretString> {
        let token = session.token.as_ref().or(self.settings.message_token.as_ref())?;
        Some(token.to_secrecy())
    }

    /// Over the exact bytes that are sent.
    fn signature(&self, body: &[u8]) -> Result<Option<String>, Failure> {
        let Some(secret) = &self.settings.message_hash_secret else { return Ok(None) };
        let mut mac =
            Hmac::<Sha1>::new_from_slice(secret.expose().as_bytes()).map_err(|_| bug("cannot sign"))?;
        mac.update(body);
        Ok(Some(mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect()))
    }
}

fn words(text: String, id: &str) -> Message {
    Message::Said(Words { text, typed: true, client_message_id: Some(id.to_owned()), attachment: None })
}

fn part_id(item: &Item, part: usize) -> String {
    if part == 0 { item.key() } else { format!("{}/{part}", item.key()) }
}

/// The line of ours that an id names that comes back. None: it is of none.
pub(super) fn line_of(request_id: &str) -> Option<Seq> {
    let (_, line) = request_id.split_once('#')?;
    line.split('/').next()?.parse().ok().map(Seq)
}

/// The vendor's words for what is wrong, if they are short and harmless: they may quote what a customer said.
pub(super) fn code(error: &Value) -> Option<String> {
    let text = error["message"].as_str()?;
    let harmless = text.len() <= 80 && text.chars().all(|c| c.is_ascii_alphanumeric() || " ._-".contains(c));
    (harmless && !text.is_empty()).then(|| text.to_owned())
}

/// What was said, oldest first, then who it is and where to read on.
fn history(item: &Item, introduction: &str) -> Vec<Said> {
    let mut bytes = introduction.len();
    let newest = item.before.iter().rev().filter_map(|entry| said(item, entry)).take(MOST_HISTORY);
    let mut all: Vec<Said> = newest
        .take_while(|said| {
            bytes += said.value.len();
            bytes <= MOST_HISTORY_BYTES
        })
        .collect();
    all.reverse();
    if !introduction.is_empty() {
        all.push(line(true, "Interline", introduction.to_owned(), item.entry.at.0));
    }
    all
}

fn said(item: &Item, entry: &Entry) -> Option<Said> {
    let text = entry.text()?;
    let names = text.files.iter().map(|file| format!("[file: {}]", file.name));
    let told: Vec<String> =
        std::iter::once(text.text.clone()).chain(names).filter(|it| !it.is_empty()).collect();
    let profile = &item.conversation.customer.profile;
    let name = match &entry.by {
        Speaker::Customer => profile.full_name().unwrap_or_else(|| "User".into()),
        Speaker::Agent { name } | Speaker::Operator { name } => {
            name.clone().unwrap_or_else(|| "Agent".into())
        }
        Speaker::Bot | Speaker::System => "Bot".into(),
    };
    let is_bot = entry.by != Speaker::Customer;
    (!told.is_empty()).then(|| line(is_bot, &name, told.join(" "), entry.at.0))
}

fn line(is_bot_message: bool, name: &str, value: String, at_ms: i64) -> Said {
    Said {
        is_bot_message,
        value,
        display_name: name.to_owned(),
        kind: "text",
        timestamp: format!("{at_ms:013}"),
    }
}

fn now_ms() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}
