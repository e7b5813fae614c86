//! The calls, each one request.

use std::time::Duration;

use ::http::{HeaderName, Method, StatusCode, header};
use interline_connector::http::{Part, Payload, Reply, Request};
use interline_connector::{Cause, Failure, FileStream};
use interline_core::File;
use interline_core::transfer::Reason;
use secrecy::SecretString;
use serde_json::{Value, json};
use url::Url;
use uuid::Uuid;

use super::Integration;
use super::opening::uuid4;
use super::wire::{
    Client, Conversation, Create, Entries, Entry, FileMessage, Message, Refusal, Say, SendFile, StaticText,
    TokenAnswer, TokenRequest,
};

/// How long a file may take on its way.
const FILE: Duration = Duration::from_secs(60);
/// How long the answer may take to what is not worth waiting for.
const SHORT: Duration = Duration::from_secs(5);
/// How many entries are asked for at a time: more are not given.
const PAGE: usize = 50;
/// How many pages are looked through after a cut.
const PAGES: usize = 20;

/// A hand-over's own way in: its token, and the conversation that it is for.
#[derive(Clone)]
pub(super) struct Key {
    pub token: SecretString,
    pub conversation: String,
}

impl Integration {
    fn url(&self, path: &str) -> Result<Url, Failure> {
        let url = self.settings.url.join(path);
        url.map_err(|_| Failure::Bug(Cause::new(Reason::VendorError, "cannot make a URL")))
    }

    /// An address of a conversation.
    fn of(&self, key: &Key, rest: &str) -> Result<Url, Failure> {
        self.url(&format!("/iamessage/api/v2/conversation/{}{rest}", key.conversation))
    }

    /// Asks. A token that is refused takes its conversation with it: nobody else is let near.
    async fn ask(&self, request: Request) -> Result<Reply, Failure> {
        match self.env.http.send(request).await? {
            Reply::Answered { status: StatusCode::UNAUTHORIZED, .. } => {
                Err(Failure::Gone(Cause::new(Reason::AgentLost, "HTTP 401: the token is no good any more")))
            }
            reply => Ok(reply),
        }
    }

    /// An end-user's token: one for each hand-over, since one sees all conversations of its subject.
    pub(super) async fn token(&self) -> Result<TokenAnswer, Failure> {
        let body = TokenRequest {
            org_id: &self.settings.organization_id,
            es_developer_name: &self.settings.developer_name,
            capabilities_version: "1",
            platform: "Web",
            context: Client { app_name: "interline", client_version: env!("CARGO_PKG_VERSION") },
        };
        let url = self.url("/iamessage/api/v2/authorization/unauthenticated/access-token")?;
        match self.env.http.send(Request::post(url).json(&body)).await? {
            // Wrong settings stay wrong: the next rung, not another try.
            Reply::Answered { status, body, .. } if is_refused(status) => {
                let code = format!("HTTP {}{}", status.as_u16(), words_of(&body));
                Err(Failure::Refused(Cause::new(Reason::Unauthorized, code)))
            }
            reply => reply.json(),
        }
    }

    /// Another token for the same customer. It does not last longer.
    pub(super) async fn continuation(&self, key: &Key) -> Result<TokenAnswer, Failure> {
        let url = self.url("/iamessage/api/v2/authorization/continuation-access-token")?;
        self.ask(Request::get(url).bearer(&key.token)).await?.json()
    }

    /// What the org tells from now on.
    pub(super) async fn stream(&self, key: &Key, last_event_id: &str) -> Result<FileStream, Failure> {
        let short: String = self.settings.organization_id.chars().take(15).collect();
        let request = Request::get(self.url("/eventrouter/v1/sse")?)
            .bearer(&key.token)
            .header(header::ACCEPT, "text/event-stream")
            .header(header::CACHE_CONTROL, "no-cache")
            .header(HeaderName::from_static("x-org-id"), &short)
            .header(HeaderName::from_static("last-event-id"), last_event_id);
        self.env.http.open(request).await
    }

    /// Makes the conversation. One with our id that is there already is ours.
    pub(super) async fn create(&self, key: &Key, create: &Create<'_>) -> Result<(), Failure> {
        let url = self.url("/iamessage/api/v2/conversation")?;
        match self.ask(Request::post(url).bearer(&key.token).json(create)).await? {
            Reply::Answered { status: StatusCode::CONFLICT, .. } => Ok(()),
            reply => reply.success().map(drop),
        }
    }

    pub(super) async fn say(&self, key: &Key, id: &str, text: &str) -> Result<(), Failure> {
        let body = Say {
            message: Message {
                id,
                message_type: "StaticContentMessage",
                static_content: StaticText { format_type: "Text", text },
            },
            es_developer_name: &self.settings.developer_name,
            is_new_messaging_session: false,
        };
        let request = Request::post(self.of(key, "/message")?).bearer(&key.token).json(&body);
        self.ask(request).await?.success().map(drop)
    }

    pub(super) async fn file(
        &self,
        key: &Key,
        id: &str,
        file: &File,
        bytes: FileStream,
    ) -> Result<(), Failure> {
        let file_id = uuid4(&format!("{id}/file")).to_string();
        let entry = SendFile {
            message: FileMessage { id, file_id: &file_id, text: "" },
            es_developer_name: &self.settings.developer_name,
            is_new_messaging_session: false,
        };
        let entry = serde_json::to_vec(&entry)
            .map_err(|_| Failure::Bug(Cause::new(Reason::VendorError, "cannot make a request")))?;
        let data = Part {
            name: "fileData",
            file: Some(file.name.clone()),
            kind: file.mime.clone(),
            size: file.size,
            bytes,
        };
        let parts = vec![Part::bytes("messageEntry", "application/json", entry.into()), data];
        let request = Request::post(self.of(key, "/file")?).bearer(&key.token).deadline(FILE);
        self.ask(request.body(Payload::Multipart(parts))).await?.success().map(drop)
    }

    /// Best effort: what is lost is lost.
    pub(super) async fn typing(&self, key: &Key, on: bool) {
        let kind = if on { "TypingStartedIndicator" } else { "TypingStoppedIndicator" };
        self.tell(key, "/entry", json!({ "entryType": kind, "id": Uuid::new_v4() })).await;
    }

    /// Best effort: a newer one makes up for it.
    pub(super) async fn acknowledge(&self, key: &Key, entry: &str, read: bool) {
        let kind = if read { "Read" } else { "Delivery" };
        let ack = json!({ "id": Uuid::new_v4(), "entryType": kind, "conversationEntryId": entry });
        self.tell(key, "/acknowledge-entries", json!({ "acks": [ack] })).await;
    }

    async fn tell(&self, key: &Key, rest: &str, body: Value) {
        let Ok(url) = self.of(key, rest) else { return };
        let request = Request::post(url).bearer(&key.token).json(&body).deadline(SHORT);
        if let Err(failure) = self.env.http.send(request).await.and_then(Reply::success) {
            tracing::debug!(code = failure.cause().code, "Salesforce was not told");
        }
    }

    /// How a conversation stands. None: there is no such conversation.
    pub(super) async fn conversation(&self, key: &Key) -> Result<Option<Conversation>, Failure> {
        found(self.ask(Request::get(self.of(key, "")?).bearer(&key.token)).await?)
    }

    /// All entries since a moment, of these kinds alone if any are named, in their order. None: there is no such conversation.
    pub(super) async fn entries(
        &self,
        key: &Key,
        since: i64,
        kinds: Option<&str>,
    ) -> Result<Option<Vec<Entry>>, Failure> {
        let kinds = kinds.map_or_else(String::new, |kinds| format!("&entryTypeFilter={kinds}"));
        let mut all: Vec<Entry> = Vec::new();
        let mut from = since;
        for _ in 0..PAGES {
            let query = format!("/entries?limit={PAGE}&direction=FromStart&startTimestamp={from}{kinds}");
            let request = Request::get(self.of(key, &query)?).bearer(&key.token);
            let Some(page) = found::<Entries>(self.ask(request).await?)? else { return Ok(None) };
            let full = page.conversation_entries.len() >= PAGE;
            let before = all.len();
            for entry in page.conversation_entries {
                // A page begins with the moment at which the last one ended.
                if !all.iter().any(|known| known.identifier == entry.identifier) {
                    from = from.max(entry.at());
                    all.push(entry);
                }
            }
            if !full || all.len() == before {
                break;
            }
        }
        all.sort_by_key(Entry::at);
        Ok(Some(all))
    }

    /// The end. Of a conversation that is closed, or that nobody lets us near, nothing is left to close.
    pub(super) async fn close(&self, key: &Key) -> Result<(), Failure> {
        let url = self.of(key, &format!("?esDeveloperName={}", self.settings.developer_name))?;
        let request = Request::new(Method::DELETE, url).bearer(&key.token).deadline(SHORT);
        match self.env.http.send(request).await? {
            Reply::Answered { status, .. } if is_refused(status) => Ok(()),
            reply => reply.success().map(drop),
        }
    }
}

/// A no that stays a no.
fn is_refused(status: StatusCode) -> bool {
    status.is_client_error() && status != StatusCode::TOO_MANY_REQUESTS
}

/// What is asked for, or None if it is not there.
fn found<T: serde::de::DeserializeOwned>(reply: Reply) -> Result<Option<T>, Failure> {
    match reply {
        Reply::Answered { status: StatusCode::NOT_FOUND, .. } => Ok(None),
        reply => reply.json().map(Some),
    }
}

/// The vendor's words for a refusal, short: no customer has said anything yet.
fn words_of(body: &[u8]) -> String {
    let refusal: Refusal = serde_json::from_slice(body).unwrap_or_default();
    let words: String =
        refusal.message.unwrap_or_default().chars().filter(|c| !c.is_control()).take(120).collect();
    if words.is_empty() { words } else { format!(": {words}") }
}
