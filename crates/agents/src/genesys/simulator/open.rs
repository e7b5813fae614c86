//! The organisation with an Open Messaging integration: its settings, its flow, and what its agents do.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use interline_connector::simulator::{
    Act, ActError, Acts, AgentFile, By, ChatState, Desk, Deviation, Line, Points, ShownFile, StandIn,
};
use serde_json::{Value, json};
use url::Url;

use super::channels::Channels;
use super::conversation::{Conversation, Party};
use super::gate::Gate;
use super::{new_id, queue_id, rest};

/// What the vendor's administrator has set up.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The OAuth client's id.
    pub client_id: String,
    /// Its secret.
    pub client_secret: String,
    /// The Open Messaging integration's id.
    pub integration_id: String,
    /// What its webhook is signed with.
    pub signature_secret: String,
    /// How the signature is written: in hexadecimal, else in base64.
    pub hex: bool,
    /// How long an access token is good, in seconds.
    pub token_seconds: i64,
    /// So many calls a minute.
    pub per_minute: usize,
    /// The pause before a webhook call is tried again.
    pub retry: Duration,
    /// What the supported content profile lets agents send: `*/*`, `image/*`, `image/png`.
    pub outbound: Vec<String>,
    /// Whether attributes of the first message become those of the customer.
    pub takes_attributes: bool,
    /// The integration's recipient is bound to an inbound message flow.
    pub bound: bool,
    /// What the OAuth client's role lacks: a part of `METHOD /path`, and the permission as the vendor names it.
    pub forbidden: Option<(&'static str, &'static str)>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            client_id: "0a4f5c1e-0000-4000-8000-00000000c11e".into(),
            client_secret: "a-secret-of-the-oauth-client".into(),
            integration_id: "0b5e6d2f-0000-4000-8000-00000000a9e1".into(),
            signature_secret: "a-signature-secret-token".into(),
            hex: false,
            token_seconds: 86_400,
            per_minute: 300,
            retry: Duration::from_secs(5),
            outbound: vec!["*/*".into()],
            takes_attributes: true,
            bound: true,
            forbidden: None,
        }
    }
}

/// The organisation. Clones are the same one.
#[derive(Clone)]
pub struct Open(pub(super) Arc<Org>);

pub(super) struct Org {
    pub desk: Desk,
    pub settings: Settings,
    pub webhook: Mutex<Option<Url>>,
    pub gate: Mutex<Gate>,
    pub conversations: Mutex<Vec<Conversation>>,
    pub channels: Channels,
}

impl Open {
    /// One in which nothing happened yet.
    pub fn new(settings: Settings) -> Self {
        Self(Arc::new(Org {
            desk: Desk::new("genesys_open", "Genesys Cloud (Open Messaging)"),
            settings,
            webhook: Mutex::default(),
            gate: Mutex::default(),
            conversations: Mutex::default(),
            channels: Channels::default(),
        }))
    }

    /// All access tokens are good for nothing from now on.
    pub fn revoke_tokens(&self) {
        lock(&self.0.gate).revoke();
    }

    /// A good access token, for tests that ask the stand-in themselves.
    #[cfg(test)]
    pub(in crate::genesys) fn token_for_tests(&self) -> String {
        lock(&self.0.gate).grant(i64::MAX)
    }

    /// How many notification channels are open.
    pub fn channels(&self) -> usize {
        self.0.channels.count()
    }
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Org {
    pub fn now(&self) -> i64 {
        self.desk.clock().now_ms()
    }

    /// Changes an open conversation, and tells the queues' topics.
    pub async fn change<T>(
        &self,
        id: &str,
        change: impl FnOnce(&mut Conversation) -> T,
    ) -> Result<T, ActError> {
        let changed = {
            let mut all = lock(&self.conversations);
            let conversation =
                all.iter_mut().find(|known| known.id == id && known.is_open()).ok_or(ActError::NotOpen)?;
            change(conversation)
        };
        self.tell_channels(id).await;
        Ok(changed)
    }

    /// The flow or a supervisor ends a chat.
    pub async fn hang_up(&self, id: &str, how: &'static str) -> Result<(), ActError> {
        let now = self.now();
        self.desk.state(id, ChatState::Over);
        self.change(id, |conversation| conversation.over(now, how)).await
    }

    async fn say(
        &self,
        chat: &str,
        text: String,
        files: Vec<ShownFile>,
        content: Vec<Value>,
    ) -> Result<(), ActError> {
        let id = new_id();
        let line = Line { files, ..Line::new(By::Agent, text.clone()).with_id(&id) };
        let now = self.now();
        self.change(chat, |conversation| {
            conversation.agent().ok_or(ActError::NotOpen)?;
            conversation.add_message(&line, "", false, now);
            Ok(())
        })
        .await??;
        let place = self.desk.line(chat, line).ok_or(ActError::NotOpen)?;
        let told = self.tell_message(chat, &id, &text, content).await;
        if let Err(why) = &told {
            self.desk.failed(chat, place, why);
        }
        told.map_err(ActError::Failed)
    }

    /// Whether the supported content profile allows a file of this name to go out.
    fn may_send(&self, name: &str) -> bool {
        let mime = mime_of(name);
        self.settings.outbound.iter().any(|allowed| {
            allowed == "*/*"
                || allowed == mime
                || allowed.strip_suffix("/*").is_some_and(|kind| mime.starts_with(kind))
        })
    }
}

pub(super) fn mime_of(name: &str) -> &'static str {
    let extension = interline_connector::formats::extension(name).unwrap_or_default();
    interline_connector::formats::find(&extension).map_or("application/octet-stream", |format| format.mime)
}

fn attachment(file: &AgentFile) -> Value {
    let mime = mime_of(&file.name);
    let kind = if mime.starts_with("image/") { "Image" } else { "File" };
    json!({ "contentType": "Attachment", "attachment": {
        "id": new_id(), "mediaType": kind, "url": file.url.as_str(), "mime": mime, "filename": file.name,
        "contentSizeBytes": file.bytes,
    } })
}

/// A choice that is offered.
pub(super) fn quick_reply(choice: &str) -> Value {
    json!({ "contentType": "QuickReply", "quickReply": { "text": choice, "payload": choice } })
}

#[async_trait]
impl Acts for Open {
    fn can(&self) -> &'static [&'static str] {
        &["accept", "decline", "say", "file", "offer", "type", "transfer", "end"]
    }

    async fn act(&self, chat: &str, act: Act) -> Result<(), ActError> {
        let org = &self.0;
        let now = org.now();
        match act {
            Act::Accept { agent } => {
                let name = agent.unwrap_or_else(|| "Kim".into());
                let party = Party::new("agent", &name, now);
                org.change(chat, |conversation| {
                    if conversation.agent().is_some() {
                        return Err(ActError::NotOpen);
                    }
                    conversation.end(&["workflow", "acd"], now, "transfer");
                    conversation.participants.push(party);
                    Ok(())
                })
                .await??;
                org.desk.change(chat, |chat| (chat.state, chat.agent) = (ChatState::Talking, Some(name)));
                Ok(())
            }
            // An agent who does not take it leaves it in the queue; this is the supervisor, or the in-queue flow.
            Act::Decline => org.hang_up(chat, "system").await,
            Act::Say { text, files } => {
                if let Some(file) = files.iter().find(|file| !org.may_send(&file.name)) {
                    return Err(ActError::Failed(format!(
                        "the supported content profile does not let agents send {}",
                        file.name
                    )));
                }
                let shown = files.iter().map(|file| ShownFile::at(&file.name, file.url.as_str())).collect();
                org.say(chat, text, shown, files.iter().map(attachment).collect()).await
            }
            Act::Offer { text, choices } => {
                org.say(chat, text, Vec::new(), choices.iter().map(|choice| quick_reply(choice)).collect())
                    .await
            }
            Act::Type { on: true } => org.tell_typing(chat).await.map_err(ActError::Failed),
            // There is no such event: an indicator runs out.
            Act::Type { on: false } => Ok(()),
            Act::Read => Err(ActError::Unable),
            Act::Transfer { to } => {
                let (mut acd, next) = (Party::new("acd", "Support", now), Party::new("agent", &to, now));
                acd.queue = Some(queue_id("Support"));
                // Three changes, three events, as a real transfer has.
                org.change(chat, |conversation| {
                    conversation.agent().ok_or(ActError::NotOpen)?.end(now, "transfer");
                    conversation.participants.push(acd);
                    Ok::<_, ActError>(())
                })
                .await??;
                org.change(chat, |conversation| {
                    conversation.end(&["acd"], now, "transfer");
                    conversation.participants.push(next);
                })
                .await?;
                org.desk.change(chat, |chat| chat.agent = Some(to));
                Ok(())
            }
            Act::End => org.hang_up(chat, "peer").await,
        }
    }
}

impl StandIn for Open {
    fn desk(&self) -> &Desk {
        &self.0.desk
    }

    fn router(&self) -> Router {
        self.0.desk.watch(rest::routes(self.0.clone()), Arc::new(self.clone()))
    }

    fn settings(&self, base: &Url) -> Value {
        let Settings { client_id, client_secret, integration_id, signature_secret, per_minute, .. } =
            &self.0.settings;
        json!({
            "region": "mypurecloud.com", "base_url": base, "client_id": client_id, "client_secret": client_secret,
            "integration_id": integration_id, "signature_secret": signature_secret, "requests_per_minute": per_minute,
            "poll_ms": 1_000,
        })
    }

    fn calls(&self, webhook: Url) {
        *lock(&self.0.webhook) = Some(webhook);
    }

    fn points(&self) -> Points {
        Points {
            open: Some("/inbound/open/message"),
            say: Some("/inbound/open/message"),
            close: Some("PATCH /api/v2/conversations/messages/"),
            token: Some("POST /oauth/token"),
            stream: Some("channel"),
            said: Some("message"),
            ended: Some("conversation"),
        }
    }

    fn deviations(&self) -> &'static [Deviation] {
        crate::genesys::open::DEVIATIONS
    }
}
