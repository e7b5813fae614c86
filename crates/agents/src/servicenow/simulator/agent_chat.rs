//! Agent Chat from outside: the bot integration API, and the agents.

use std::sync::{Arc, Mutex};

use ::http::{HeaderMap, StatusCode};
use async_trait::async_trait;
use axum::body::Bytes;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use axum::{Json, Router};
use interline_connector::simulator::{
    Act, ActError, Acts, AgentFile, By, ChatState, Desk, Deviation, Line, Points, ShownFile, StandIn,
};
use serde_json::{Value, json};
use url::Url;

use super::instance::{Instance, bytes, caller, failure, locked, login};
use super::media::Media;
use super::virtual_agent::{Stage, Talk, Talks, action, system, text};

/// The stand-in for Agent Chat. Clones are the same one.
#[derive(Clone)]
pub struct AgentChat(Arc<Inner>);

struct Inner {
    instance: Instance,
    media: Media,
    admin: Mutex<Admin>,
    talks: Mutex<Talks>,
}

/// What an administrator of the instance set.
#[derive(Debug, Clone)]
pub struct Admin {
    /// The version of the Store app: 3 or 4.
    pub version: u8,
    /// Message authentication of the provider channel identity.
    pub message_auth: MessageAuth,
    /// `AGENT` needs a conversation that goes on already.
    pub agent_needs_conversation: bool,
    /// `clientSessionId` does not come back.
    pub forgets_session: bool,
    /// The channel answers in the answer.
    pub synchronous: bool,
    /// Trusted media domains.
    pub trusted: Vec<String>,
    /// What is said when nobody is there.
    pub no_agents_text: String,
    /// What is said outside working hours.
    pub outside_hours_text: String,
}

/// Message authentication.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MessageAuth {
    /// None.
    Off,
    /// A static token.
    Token(String),
    /// HMAC-SHA1 with this secret.
    Hash(String),
}

/// The static token of the usual set-up.
const TOKEN: &str = "message-token-1";

impl Default for AgentChat {
    fn default() -> Self {
        let instance = Instance::new(Desk::new("servicenow", "ServiceNow Agent Chat"));
        let admin = Admin {
            version: 4,
            message_auth: MessageAuth::Token(TOKEN.to_owned()),
            agent_needs_conversation: true,
            forgets_session: false,
            synchronous: false,
            trusted: Vec::new(),
            no_agents_text: "There are no agents available. Please try again later.".to_owned(),
            outside_hours_text: "Our agents are not there: it is outside of our business hours.".to_owned(),
        };
        let (media, admin) = (Media::new(instance.clone()), Mutex::new(admin));
        Self(Arc::new(Inner { instance, media, admin, talks: Mutex::default() }))
    }
}

impl Admin {
    /// Whether files are fetched from there: these hosts and what is below them.
    pub(super) fn trusts(&self, url: &Url) -> bool {
        let Some(host) = url.host_str() else { return false };
        self.trusted.iter().any(|trusted| host == trusted || host.ends_with(&format!(".{trusted}")))
    }
}

impl AgentChat {
    pub(super) fn instance(&self) -> &Instance {
        &self.0.instance
    }

    pub(super) fn media(&self) -> &Media {
        &self.0.media
    }

    pub(super) fn talks(&self) -> &Mutex<Talks> {
        &self.0.talks
    }

    /// What is set.
    pub fn admin(&self) -> Admin {
        locked(&self.0.admin).clone()
    }

    /// Sets something.
    pub fn set(&self, change: impl FnOnce(&mut Admin)) {
        change(&mut locked(&self.0.admin));
    }

    /// What was wrong with requests and would go unnoticed at the vendor.
    pub fn complaints(&self) -> Vec<String> {
        self.instance().complaints()
    }

    /// Virtual Agent gives up: idle, or an error of its own.
    pub fn gives_up(&self, chat: &str) {
        if let Some((user, _)) = self.talk(chat) {
            self.tell(&user, "take_control", json!([]), json!({ "takeControl": true, "score": 0 }));
            self.over(&user, chat);
        }
    }

    /// Nobody came within the queue's time.
    pub fn waits_too_long(&self, chat: &str) {
        if let Some((user, _)) = self.talk(chat) {
            let words = text("You have reached the maximum wait time.");
            self.tell(&user, "max_wait", json!([words]), json!({ "completed": true }));
            self.over(&user, chat);
        }
    }

    /// Tells these controls, in one call, under these flags.
    pub async fn tells(&self, chat: &str, body: Value, flags: Value) -> Result<(), ActError> {
        let (user, _) = self.talk(chat).ok_or(ActError::NotOpen)?;
        self.tell_and_wait(&user, "controls", body, flags).await
    }

    fn over(&self, user: &str, chat: &str) {
        locked(self.talks()).by_user.remove(user);
        self.instance().desk().state(chat, ChatState::Over);
    }

    fn talk(&self, chat: &str) -> Option<(String, Talk)> {
        let talks = locked(self.talks());
        let found =
            talks.by_user.iter().find(|(_, talk)| talk.interaction == chat && talk.stage != Stage::Bot);
        found.map(|(user, talk)| (user.clone(), talk.clone()))
    }

    async fn tell_and_wait(
        &self,
        user: &str,
        name: &'static str,
        body: Value,
        flags: Value,
    ) -> Result<(), ActError> {
        let told = self.envelope(user, body, flags).ok_or(ActError::NotOpen)?;
        self.instance().tell_and_wait(name, user, bytes(&told)).await.map_err(ActError::Failed)
    }
}

// ── the API ──────────────────────────────────────────────────────────────────────────────────────────────────────────

async fn integration(State(sim): State<AgentChat>, headers: HeaderMap, body: Bytes) -> Response {
    if let Err(answer) = sim.instance().admit(&headers) {
        return *answer;
    }
    let is_json =
        headers.get("content-type").is_some_and(|kind| kind.as_bytes().starts_with(b"application/json"));
    let request =
        serde_json::from_slice::<Value>(&body).ok().filter(|request| request.is_object() && is_json);
    let Some(request) = request else {
        return failure(StatusCode::BAD_REQUEST, "Bad request", "the body is no JSON object");
    };
    // The probe's.
    if request == json!({}) {
        return Json(json!({ "status": "success" })).into_response();
    }
    sim.take(&headers, &body, &request);
    if request["action"] == "UPDATE_MESSAGES" && sim.admin().version >= 4 {
        return "Message Processed Successfully".into_response();
    }
    if sim.admin().synchronous {
        let user = request["userId"].as_str().unwrap_or_default();
        let words = json!([text("Hi, I'm your Virtual Agent."), text(&sim.admin().no_agents_text)]);
        return sim.envelope(user, words, json!({})).map_or_else(
            || Json(json!({ "status": "success" })).into_response(),
            |told| Json(told).into_response(),
        );
    }
    Json(json!({ "status": "success" })).into_response()
}

// ── the agents ───────────────────────────────────────────────────────────────────────────────────────────────────────

#[async_trait]
impl Acts for AgentChat {
    fn can(&self) -> &'static [&'static str] {
        &["accept", "decline", "say", "file", "offer", "type", "transfer", "end"]
    }

    async fn act(&self, chat: &str, act: Act) -> Result<(), ActError> {
        let (user, talk) = self.talk(chat).ok_or(ActError::NotOpen)?;
        let live = json!({ "agentChat": true });
        match act {
            Act::Accept { agent } => self.accept(chat, &user, &talk, agent).await,
            Act::Decline if talk.stage == Stage::Queued => {
                self.change(&user, |talk| talk.stage = Stage::Bot);
                self.instance().desk().state(chat, ChatState::Over);
                let words = json!([text(&self.admin().no_agents_text)]);
                self.tell_and_wait(&user, "no_agents", words, json!({})).await
            }
            Act::Say { text, files } if talk.stage == Stage::Live => {
                self.say(chat, &user, &talk, text, files).await
            }
            Act::Offer { text, choices } if talk.stage == Stage::Live => {
                let line = Line::new(By::Agent, &text);
                self.tell_control(chat, &user, &talk, picker(&text, &choices), line).await
            }
            Act::Type { on } if talk.stage == Stage::Live => {
                let kind = if on { "StartTypingIndicator" } else { "EndTypingIndicator" };
                self.tell_and_wait(&user, "typing", json!([action(kind)]), live).await
            }
            Act::Transfer { to } if talk.stage == Stage::Live => {
                let body = json!([
                    system(&format!("{} has left the conversation.", talk.agent)),
                    system(&format!("{to} has entered the conversation.")),
                ]);
                self.change(&user, |talk| talk.agent.clone_from(&to));
                self.instance().desk().change(chat, |chat| chat.agent = Some(to));
                self.tell_and_wait(&user, "transferred", body, live).await
            }
            Act::End => {
                let words = format!("{} has closed the support session.", talk.agent);
                self.change(&user, |talk| talk.stage = Stage::Bot);
                self.instance().desk().state(chat, ChatState::Over);
                let body = json!([system(&words), action("SwitchToVirtualAgent")]);
                self.tell_and_wait(&user, "ended", body, json!({})).await
            }
            Act::Read => Err(ActError::Unable),
            Act::Decline | Act::Say { .. } | Act::Offer { .. } | Act::Type { .. } | Act::Transfer { .. } => {
                Err(ActError::NotOpen)
            }
        }
    }
}

impl AgentChat {
    async fn accept(
        &self,
        chat: &str,
        user: &str,
        talk: &Talk,
        agent: Option<String>,
    ) -> Result<(), ActError> {
        if talk.stage != Stage::Queued {
            return Err(ActError::NotOpen);
        }
        let agent = agent.unwrap_or_else(|| talk.agent.clone());
        self.change(user, |talk| (talk.stage, talk.agent) = (Stage::Live, agent.clone()));
        self.instance().desk().change(chat, |chat| {
            (chat.state, chat.agent) = (ChatState::Talking, Some(agent.clone()));
        });
        let mut presence = action("SubscribeToChatPresence");
        presence["chatSessionId"] = self.instance().sys_id().into();
        let mut spinner = action("EndSpinner");
        spinner["spinnerType"] = "wait_time".into();
        let entered = system(&format!("{agent} has entered the conversation."));
        let body = json!([spinner, action("SwitchToLiveAgent"), presence, entered]);
        self.tell_and_wait(user, "accepted", body, json!({ "agentChat": true })).await
    }

    async fn say(
        &self,
        chat: &str,
        user: &str,
        talk: &Talk,
        words: String,
        files: Vec<AgentFile>,
    ) -> Result<(), ActError> {
        let mut controls = Vec::new();
        if !words.is_empty() {
            controls.push((text(&words), Line::new(By::Agent, &words)));
        }
        for file in files {
            let shown = ShownFile { bytes: Some(file.bytes), ..ShownFile::at(&file.name, file.url.as_str()) };
            let line = Line { files: vec![shown], ..Line::new(By::Agent, "") };
            let url = self.media().of_agent(&file.url).ok_or(ActError::Unable)?;
            controls.push((file_control(&file.name, &url), line));
        }
        for (control, line) in controls {
            self.tell_control(chat, user, talk, control, line).await?;
        }
        Ok(())
    }

    /// Something of the agent's.
    async fn tell_control(
        &self,
        chat: &str,
        user: &str,
        talk: &Talk,
        mut control: Value,
        line: Line,
    ) -> Result<(), ActError> {
        let id = self.instance().sys_id();
        control["agentInfo"] = json!({
            "sentFromAgent": true, "agentName": talk.agent,
            "agentAvatar": "https://inst.example.com/a.iix?t=small", "agentId": super::instance::agent_id(&talk.agent),
        });
        if self.admin().version >= 4 {
            control["messageId"] = id.clone().into();
        }
        // Before it is seen: whoever sees it may end the chat at once, and it was said all the same.
        let told = self.envelope(user, json!([control]), json!({ "agentChat": true }));
        let told = bytes(&told.ok_or(ActError::NotOpen)?);
        let place = self.instance().desk().line(chat, line.with_id(id)).ok_or(ActError::NotOpen)?;
        let told = self.instance().tell_and_wait("agent_text", user, told).await;
        told.map_err(|why| {
            self.instance().desk().failed(chat, place, &why);
            ActError::Failed(why)
        })
    }
}

fn picker(text: &str, choices: &[String]) -> Value {
    let option = |choice: &String| json!({ "label": choice, "value": choice, "enabled": true });
    json!({
        "uiType": "Picker", "group": "DefaultPicker", "label": text, "itemType": "List", "multiSelect": false,
        "options": choices.iter().map(option).collect::<Vec<_>>(),
    })
}

/// Pictures have a control of their own; of other files the vendor does not say how they come.
fn file_control(name: &str, url: &Url) -> Value {
    let is_picture =
        ["png", "jpg", "jpeg", "gif"].iter().any(|end| name.to_lowercase().ends_with(&format!(".{end}")));
    if is_picture {
        json!({ "uiType": "OutputImage", "group": "DefaultOutputImage", "value": url.as_str(), "altText": name })
    } else {
        json!({ "uiType": "OutputLink", "group": "DefaultOutputLink", "label": name, "value": { "action": url.as_str() } })
    }
}

impl StandIn for AgentChat {
    fn desk(&self) -> &Desk {
        self.instance().desk()
    }

    fn router(&self) -> Router {
        let api = Router::new()
            .route("/api/sn_va_as_service/bot/integration", post(integration))
            .with_state(self.clone())
            .merge(self.instance().router())
            .merge(self.media().router());
        self.desk().watch(api, Arc::new(self.clone()))
    }

    fn settings(&self, base: &Url) -> Value {
        json!({
            "instance_url": base,
            "login": login(),
            "message_token": TOKEN,
            "caller": caller(),
        })
    }

    fn calls(&self, webhook: Url) {
        if let Some(host) = webhook.host_str() {
            self.set(|admin| admin.trusted.push(host.to_owned()));
        }
        self.instance().calls(webhook);
    }

    fn points(&self) -> Points {
        Points {
            open: Some("POST /api/sn_va_as_service/bot/integration"),
            say: Some("POST /api/sn_va_as_service/bot/integration"),
            close: Some("POST /api/sn_va_as_service/bot/integration"),
            token: Some("POST /oauth_token.do"),
            stream: None,
            said: Some("agent_text"),
            ended: Some("ended"),
        }
    }

    fn deviations(&self) -> &'static [Deviation] {
        &[
            Deviation {
                scenario: "queue_position",
                reason: "Agent Chat tells a time to wait in words, never a place.",
            },
            Deviation {
                scenario: "receipts_read",
                reason: "Agent Chat is told that a line was delivered, never that it was read, and tells neither of what the customer said.",
            },
            Deviation {
                scenario: "stream_killed",
                reason: "There is no stream to take up again: the instance calls us, once for each thing.",
            },
        ]
    }
}
