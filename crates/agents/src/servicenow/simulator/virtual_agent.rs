//! What Virtual Agent and the agents do with what they are told.

use std::collections::{HashMap, HashSet};

use ::http::HeaderMap;
use axum::body::Bytes;
use hmac::{Hmac, KeyInit as _, Mac as _};
use interline_connector::simulator::{By, Chat, ChatState, Line, OUTSIDE_HOURS, ShownFile};
use serde_json::{Value, json};
use sha1::Sha1;
use url::Url;

use super::agent_chat::{AgentChat, MessageAuth};
use super::instance::locked;
use super::strict;

/// What is open.
#[derive(Default)]
pub(super) struct Talks {
    /// By user: the instance keeps one conversation for each.
    pub by_user: HashMap<String, Talk>,
    seen: HashSet<String>,
}

/// One conversation.
#[derive(Clone)]
pub(super) struct Talk {
    /// The interaction, and the chat on the desk once there is one.
    pub interaction: String,
    pub stage: Stage,
    /// The newest request: what is told repeats parts of it.
    pub request: Value,
    /// The first request: history and variables stand there.
    pub first: Value,
    pub agent: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// Virtual Agent talks.
    Bot,
    /// An agent is waited for.
    Queued,
    /// An agent talks.
    Live,
}

/// The option that leads to an agent.
const LIVE_AGENT: (&str, &str) = ("Live Agent Support.", "ce2ee85053130010cf8cddeeff7b12bf");

impl AgentChat {
    /// What happens after the answer: nobody is told of what is wrong with it.
    pub(super) fn take(&self, headers: &HeaderMap, bytes: &Bytes, request: &Value) {
        let admin = self.admin();
        if !is_authentic(&admin.message_auth, headers, bytes, request) {
            return;
        }
        let id = request["requestId"].as_str().unwrap_or_default().to_owned();
        if let Err(what) = strict::wrong(request, admin.version) {
            return self.instance().complain(format!("{id}: {what}"));
        }
        if !locked(self.talks()).seen.insert(id.clone()) {
            self.instance().complain(format!("{id}: this request id was used before"));
        }
        let user = request["userId"].as_str().unwrap_or_default().to_owned();
        match request["action"].as_str() {
            Some("TYPING") => self.types(&user, true),
            Some("VIEWING") => self.types(&user, false),
            Some("END_CONVERSATION") => self.user_ends(&user, request),
            Some("START_CONVERSATION") => self.starts(&user, request),
            Some("AGENT") => self.asked_for_agent(&user, request),
            Some("UPDATE_MESSAGES") => self.marks(&user, request),
            Some(_) => {}
            None => self.said(&user, request),
        }
    }

    // ── to an agent ──────────────────────────────────────────────────────────────────────────────────────────────

    fn starts(&self, user: &str, request: &Value) {
        self.begin(user, request);
        if request["contextVariables"]["live_agent_only"] == "true" {
            self.connect(user);
        } else {
            self.tell(
                user,
                "greeting",
                json!([text("Hi, I'm your Virtual Agent. Let me know how I can help you today."), topics()]),
                json!({}),
            );
        }
    }

    fn asked_for_agent(&self, user: &str, request: &Value) {
        let is_fresh = !locked(self.talks()).by_user.contains_key(user);
        if is_fresh {
            self.begin(user, request);
        } else {
            self.goes_on(user, request);
        }
        if is_fresh && self.admin().agent_needs_conversation {
            let body = json!([text("I am sorry but I didn't understand your request."), topics()]);
            self.tell(user, "greeting", body, json!({ "score": 0 }));
        } else {
            self.connect(user);
        }
    }

    fn begin(&self, user: &str, request: &Value) {
        let talk = Talk {
            interaction: self.instance().sys_id(),
            stage: Stage::Bot,
            request: request.clone(),
            first: request.clone(),
            agent: "Agent One".to_owned(),
        };
        locked(self.talks()).by_user.insert(user.to_owned(), talk);
    }

    /// The newest request is the one that what follows is an answer to.
    fn goes_on(&self, user: &str, request: &Value) {
        if let Some(talk) = locked(self.talks()).by_user.get_mut(user) {
            talk.request = request.clone();
        }
    }

    fn connect(&self, user: &str) {
        let admin = self.admin();
        if self.instance().desk().faults().special(OUTSIDE_HOURS) {
            return self.tell(user, "no_agents", json!([text(&admin.outside_hours_text)]), json!({}));
        }
        if self.instance().desk().faults().special("no_agents") {
            return self.tell(user, "no_agents", json!([text(&admin.no_agents_text)]), json!({}));
        }
        let Some(talk) = self.change(user, |talk| {
            talk.stage = Stage::Queued;
            talk.clone()
        }) else {
            return;
        };
        self.instance().desk().open(self.as_chat(user, &talk));
        for line in self.lines_of_before(&talk) {
            self.instance().desk().line(&talk.interaction, line);
        }
        let live = json!({ "agentChat": true });
        self.tell(
            user,
            "connecting",
            json!([text("Please stand by while I connect you to a live agent.")]),
            live.clone(),
        );
        let spinner = json!({
            "uiType": "ActionMsg", "actionType": "StartSpinner", "spinnerType": "wait_time",
            "message": "Routing you to a live agent...", "waitTime": "8 Seconds",
        });
        self.tell(user, "queued", json!([action("SubscribeToSupportQueue"), spinner]), live);
    }

    fn as_chat(&self, user: &str, talk: &Talk) -> Chat {
        let first = &talk.first;
        let name =
            first["history"].as_array().into_iter().flatten().find(|line| line["isBotMessage"] == false);
        let title = name.and_then(|line| line["displayName"].as_str()).unwrap_or(user).to_owned();
        let mut chat = Chat::waiting(&talk.interaction, title);
        chat.visitor = user.to_owned();
        let mut context: Vec<(String, String)> = Vec::new();
        for field in ["emailId", "timezone", "appInboundId"] {
            context.extend(first[field].as_str().map(|value| (field.to_owned(), value.to_owned())));
        }
        for (name, value) in first["contextVariables"].as_object().into_iter().flatten() {
            context.push((name.clone(), value.as_str().unwrap_or_default().to_owned()));
        }
        let told = first["message"]["text"].as_str().unwrap_or_default();
        if !told.is_empty() {
            context.push(("message".to_owned(), told.to_owned()));
        }
        let transcript = |text: &str| text.split("Transcript: ").nth(1).map(|url| url.trim().to_owned());
        let in_history = first["history"].as_array().into_iter().flatten();
        chat.transcript = transcript(told)
            .or_else(|| in_history.filter_map(|line| line["value"].as_str()).find_map(transcript));
        chat.context = context;
        chat
    }

    /// History is known from version 4 of the app on.
    fn lines_of_before(&self, talk: &Talk) -> Vec<Line> {
        let known = self.admin().version >= 4;
        let history = talk.first["history"].as_array().filter(|_| known);
        let line = |line: &Value| {
            let by = if line["isBotMessage"] == true { By::Bot } else { By::Customer };
            Line { before: true, ..Line::new(by, line["value"].as_str().unwrap_or_default()) }
        };
        history.into_iter().flatten().map(line).collect()
    }

    // ── what is said ─────────────────────────────────────────────────────────────────────────────────────────────

    fn said(&self, user: &str, request: &Value) {
        let words = request["message"]["text"].as_str().unwrap_or_default();
        let known = self.stage(user);
        match known {
            None => self.begin(user, request),
            Some(_) => self.goes_on(user, request),
        }
        if let Some(Stage::Queued | Stage::Live) = known {
            return self.line(user, &request["message"]);
        }
        if words.eq_ignore_ascii_case("agent") {
            let options = [LIVE_AGENT.0, "Virtual Agent Capabilities."]
                .map(|label| json!({ "label": label, "value": label }));
            let picker = json!({
                "uiType": "Picker", "group": "DefaultPicker", "required": true, "itemType": "List", "multiSelect": false,
                "label": "I want to be sure I got this right. What item best describes what you want to do?", "options": options,
            });
            self.tell(user, "picker", json!([picker]), json!({}));
        } else if words == LIVE_AGENT.0 || words == LIVE_AGENT.1 {
            self.connect(user);
        } else {
            self.tell(
                user,
                "greeting",
                json!([text("I am sorry but I didn't understand your request."), topics()]),
                json!({}),
            );
        }
    }

    fn line(&self, user: &str, message: &Value) {
        let Some(chat) = self.chat_of(user) else { return };
        let words = message["text"].as_str().unwrap_or_default();
        let mut line = Line::new(By::Customer, words);
        let attachment = &message["attachment"];
        let url: Option<Url> = attachment["url"].as_str().and_then(|url| url.parse().ok());
        let Some(url) = url.filter(|_| attachment.is_object()) else {
            self.instance().desk().line(&chat, line);
            return;
        };
        let name = attachment["fileName"].as_str().unwrap_or_default();
        if let Some(bytes) = self.media().uploaded(&url) {
            line.files =
                vec![ShownFile { url: url.to_string(), ..self.instance().desk().received(name, &bytes) }];
            self.instance().desk().line(&chat, line);
            return;
        }
        if !self.admin().trusts(&url) {
            // Nobody is told.
            self.instance().desk().line(&chat, line);
            return;
        }
        line.files = vec![ShownFile::at(name, url.as_str())];
        let Some(place) = self.instance().desk().line(&chat, line) else { return };
        let (desk, headers) = (self.instance().desk().clone(), headers_of(&attachment["headers"]));
        tokio::spawn(async move { desk.fetch(&chat, place, url.as_str(), headers).await });
    }

    fn types(&self, user: &str, on: bool) {
        if let Some(chat) = self.chat_of(user) {
            self.instance().desk().change(&chat, |chat| chat.typing = on);
        }
    }

    fn marks(&self, user: &str, request: &Value) {
        let Some(chat) = self.chat_of(user) else { return };
        for mark in request["message"].as_array().into_iter().flatten() {
            if let (Some(id), Some("sent_to_user")) = (mark["id"].as_str(), mark["status"].as_str()) {
                self.instance().desk().mark(&chat, id, false);
            }
        }
    }

    fn user_ends(&self, user: &str, request: &Value) {
        self.goes_on(user, request);
        let Some(stage) = self.stage(user) else { return };
        let live = stage != Stage::Bot;
        let flags = if live { json!({ "completed": true }) } else { json!({}) };
        self.tell(
            user,
            "goodbye",
            json!([text("The conversation has ended. If you need help again, type hi.")]),
            flags,
        );
        if let Some(talk) = locked(self.talks()).by_user.remove(user) {
            self.instance().desk().state(&talk.interaction, ChatState::Over);
        }
    }

    // ── what is told ─────────────────────────────────────────────────────────────────────────────────────────────

    pub(super) fn tell(&self, user: &str, name: &'static str, body: Value, flags: Value) {
        if let Some(told) = self.envelope(user, body, flags) {
            self.instance().tell(name, user, &told);
        }
    }

    /// What goes around everything that is told.
    pub(super) fn envelope(&self, user: &str, body: Value, flags: Value) -> Option<Value> {
        let talk = locked(self.talks()).by_user.get(user)?.clone();
        let admin = self.admin();
        let request = &talk.request;
        let session = if admin.forgets_session { json!("") } else { request["clientSessionId"].clone() };
        let mut told = json!({
            "requestId": request["requestId"], "clientSessionId": session, "nowSessionId": "", "userId": request["userId"],
            "clientVariables": request["clientVariables"], "message": request["message"], "body": body, "score": 1,
        });
        if admin.version >= 4 {
            told["interactionId"] = talk.interaction.into();
        }
        for (name, value) in flags.as_object().into_iter().flatten() {
            told[name] = value.clone();
        }
        Some(told)
    }

    // ── looking ──────────────────────────────────────────────────────────────────────────────────────────────────

    pub(super) fn change<T>(&self, user: &str, change: impl FnOnce(&mut Talk) -> T) -> Option<T> {
        locked(self.talks()).by_user.get_mut(user).map(change)
    }

    fn stage(&self, user: &str) -> Option<Stage> {
        locked(self.talks()).by_user.get(user).map(|talk| talk.stage)
    }

    fn chat_of(&self, user: &str) -> Option<String> {
        locked(self.talks())
            .by_user
            .get(user)
            .filter(|talk| talk.stage != Stage::Bot)
            .map(|talk| talk.interaction.clone())
    }
}

fn headers_of(headers: &Value) -> HeaderMap {
    let one = |(name, value): (&String, &Value)| {
        Some((::http::HeaderName::try_from(name).ok()?, ::http::HeaderValue::from_str(value.as_str()?).ok()?))
    };
    headers.as_object().into_iter().flatten().filter_map(one).collect()
}

/// A token in the header counts more than one in the body.
fn is_authentic(auth: &MessageAuth, headers: &HeaderMap, bytes: &[u8], request: &Value) -> bool {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    match auth {
        MessageAuth::Off => true,
        MessageAuth::Token(token) => header("token").or(request["token"].as_str()) == Some(token),
        MessageAuth::Hash(secret) => {
            let Ok(mut mac) = Hmac::<Sha1>::new_from_slice(secret.as_bytes()) else { return false };
            mac.update(bytes);
            let expected: String =
                mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
            header("x-b2b-signature") == Some(&expected)
        }
    }
}

pub(super) fn text(words: &str) -> Value {
    json!({ "uiType": "OutputText", "group": "DefaultText", "value": words, "maskType": "NONE" })
}

pub(super) fn action(kind: &str) -> Value {
    json!({ "uiType": "ActionMsg", "actionType": kind })
}

pub(super) fn system(words: &str) -> Value {
    json!({ "uiType": "ActionMsg", "actionType": "System", "message": words })
}

fn topics() -> Value {
    let option = |label: &str, value: &str| json!({ "label": label, "value": value, "enabled": true });
    json!({
        "uiType": "TopicPickerControl", "group": "DefaultPicker", "nluTextEnabled": false,
        "promptMsg": "Hi guest, please enter your request or make a selection of what I can help with.",
        "label": "Show me everything",
        "options": [option("b2b topic", "2bb7bd7670de6010f877c7f188266fc7"), option(LIVE_AGENT.0, LIVE_AGENT.1)],
    })
}
