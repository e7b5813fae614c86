//! Conversations: made, listed, read, closed.

use ::http::{HeaderMap, StatusCode};
use axum::Json;
use axum::extract::{Path, Query, State};
use interline_connector::simulator::{By, Chat, ChatState, Line, OUTSIDE_HOURS};
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::events::{Sender, Told};
use super::org::{Conversation, too_many};
use super::refused::{Refused, bad};
use super::{BOT_FIRST, Simulator};

pub(super) async fn create(
    State(sim): State<Simulator>,
    headers: HeaderMap,
    Json(asked): Json<Value>,
) -> Result<StatusCode, Refused> {
    let subject = sim.claims(&headers)?.sub;
    let id = asked["conversationId"].as_str().unwrap_or_default();
    let version = Uuid::try_parse(id).map(|id| id.get_version_num());
    if version != Ok(4) || id != id.to_lowercase() {
        return Err(bad("conversationId must be a lower-case UUID v4"));
    }
    sim.is_deployment(asked["esDeveloperName"].as_str())?;
    let reaching = sim.reaching(&asked["routingAttributes"])?;
    let now = sim.desk().clock().now_ms();
    {
        let mut inner = sim.org.inner();
        if too_many(&mut inner.starts, now, sim.settings().starts_per_30_s, 30_000) {
            return Err(Refused(StatusCode::TOO_MANY_REQUESTS, "too many conversations started"));
        }
        if inner.conversations.contains_key(id) {
            return Err(Refused(StatusCode::CONFLICT, "there is such a conversation"));
        }
        let conversation = Conversation {
            subject: subject.clone(),
            open: true,
            session: true,
            routing: "INITIAL",
            entries: Vec::new(),
            inbound: Default::default(),
            messages: Vec::new(),
        };
        inner.conversations.insert(id.to_owned(), conversation);
    }
    sim.desk().open(shown(id, reaching, asked["language"].as_str()));
    sim.flow(id, &subject);
    Ok(StatusCode::CREATED)
}

impl Simulator {
    pub(super) fn is_deployment(&self, name: Option<&str>) -> Result<(), Refused> {
        match name {
            Some(name) if name == self.settings().developer_name => Ok(()),
            _ => Err(bad("esDeveloperName is required")),
        }
    }

    /// The attributes that reach the flow: those that there is a pre-chat field for.
    fn reaching(&self, attributes: &Value) -> Result<Vec<(String, String)>, Refused> {
        let empty = serde_json::Map::new();
        let attributes = match attributes {
            Value::Null => &empty,
            Value::Object(attributes) => attributes,
            _ => return Err(bad("routingAttributes must be an object")),
        };
        let fields = &self.settings().fields;
        let mut reaching = Vec::new();
        for (name, value) in attributes {
            let text = value.as_str().ok_or(bad("routingAttributes must be texts"))?;
            let field = fields.iter().find(|field| field.name == name);
            if field.is_some_and(|field| text.chars().count() > field.longest) {
                return Err(bad("a routing attribute is longer than its field"));
            }
            if field.is_some() || self.settings().any_field {
                reaching.push((name.clone(), text.to_owned()));
            }
        }
        if fields.iter().any(|field| field.required && !attributes.contains_key(field.name)) {
            return Err(bad("a required pre-chat field is missing"));
        }
        Ok(reaching)
    }

    /// What the org's Omni flow does with a new conversation.
    fn flow(&self, id: &str, subject: &str) {
        let faults = self.desk().faults();
        if faults.special(OUTSIDE_HOURS) {
            self.bot_says(id, "Thank you for writing. We are outside our working hours.");
            self.session_ends(id);
            return;
        }
        if faults.special(BOT_FIRST) {
            self.bot_says(id, "Hello, I am the bot of the org.");
        }
        let payload = json!({ "routingType": "Initial", "failureType": "None", "estimatedWaitTime": 30 });
        self.tell(id, Told::new("CONVERSATION_ROUTING_RESULT", "RoutingResult", Sender::router(), payload));
        let waiting = self.desk().chats().iter().filter(|chat| chat.state == ChatState::Waiting).count();
        let payload = json!({ "position": waiting });
        self.tell(id, Told::new("CONVERSATION_QUEUE_POSITION", "QueuePosition", Sender::router(), payload));
        // The vendor adds kinds at any time.
        self.org.inner().publish(subject, "CONVERSATION_SOMETHING_NEW", "{\"nobody\":\"knows\"}".into());
    }

    /// The session is over. The conversation stays, as the vendor has it.
    pub(super) fn session_ends(&self, id: &str) {
        if let Some(known) = self.org.inner().conversations.get_mut(id) {
            (known.session, known.routing) = (false, "NEEDS_ROUTING");
        }
        self.desk().state(id, ChatState::Over);
        self.session_is(id, "Ended");
    }

    /// Tells where the session stands.
    pub(super) fn session_is(&self, id: &str, status: &str) {
        let (event, kind) = ("CONVERSATION_SESSION_STATUS_CHANGED", "SessionStatusChanged");
        self.tell(id, Told::new(event, kind, Sender::system(), json!({ "sessionStatus": status })));
    }
}

/// The chat as its agent sees it.
fn shown(id: &str, attributes: Vec<(String, String)>, language: Option<&str>) -> Chat {
    let of = |name: &str| {
        let found = attributes.iter().find(|(known, value)| known == name && !value.is_empty());
        found.map(|(_, value)| value.clone())
    };
    let names: Vec<String> = ["_firstName", "_lastName"].into_iter().filter_map(of).collect();
    let mut chat = Chat::waiting(id, if names.is_empty() { "Guest".to_owned() } else { names.join(" ") });
    chat.transcript = of("transcript");
    let language = of("language").or(language.map(str::to_owned));
    let known = [("e-mail", of("_email")), ("language", language)];
    chat.context = known.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect();
    let other = |name: &str| !name.starts_with('_') && !matches!(name, "language" | "transcript");
    chat.context.extend(attributes.into_iter().filter(|(name, _)| other(name)));
    chat
}

pub(super) async fn list(State(sim): State<Simulator>, headers: HeaderMap) -> Result<Json<Value>, Refused> {
    let subject = sim.claims(&headers)?.sub;
    let inner = sim.org.inner();
    let own = inner.conversations.iter().filter(|(_, known)| known.subject == subject);
    let (open, closed): (Vec<_>, Vec<_>) = own.partition(|(_, known)| known.open);
    let shown: Vec<Value> =
        open.iter().map(|(id, _)| json!({ "conversationId": id, "startTimestamp": 0 })).collect();
    Ok(Json(json!({
        "openConversationsFound": open.len(), "closedConversationsFound": closed.len(), "conversations": shown,
    })))
}

pub(super) async fn read(
    State(sim): State<Simulator>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Json<Value>, Refused> {
    let routing = sim.with(&headers, &id, |known| Ok(known.routing))?;
    Ok(Json(json!({ "conversationId": id, "routingStatus": routing })))
}

#[derive(Deserialize)]
pub(super) struct Deployment {
    #[serde(rename = "esDeveloperName")]
    name: Option<String>,
}

/// The customer ends session and conversation.
pub(super) async fn close(
    State(sim): State<Simulator>,
    Path(id): Path<String>,
    Query(deployment): Query<Deployment>,
    headers: HeaderMap,
) -> Result<StatusCode, Refused> {
    sim.is_deployment(deployment.name.as_deref())?;
    let (subject, session) = sim.with(&headers, &id, |known| {
        if !std::mem::replace(&mut known.open, false) {
            return Err(bad("the conversation is closed already"));
        }
        Ok((known.subject.clone(), known.session))
    })?;
    if session {
        sim.desk().line(&id, Line::new(By::System, "The customer ended the conversation."));
        sim.session_ends(&id);
    }
    let payload = json!({ "id": Uuid::new_v4().to_string(), "conversationIdentifier": id });
    let sender = Sender::customer(&subject);
    sim.tell(&id, Told::new("CONVERSATION_CLOSE_CONVERSATION", "CloseConversation", sender, payload));
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn close_session(
    State(sim): State<Simulator>,
    Path(id): Path<String>,
    Query(deployment): Query<Deployment>,
    headers: HeaderMap,
) -> Result<StatusCode, Refused> {
    sim.is_deployment(deployment.name.as_deref())?;
    if sim.with(&headers, &id, |known| Ok(known.session))? {
        sim.session_ends(&id);
    }
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn transcript(
    State(sim): State<Simulator>,
    Path(id): Path<String>,
    Query(deployment): Query<Deployment>,
    headers: HeaderMap,
) -> Result<String, Refused> {
    sim.is_deployment(deployment.name.as_deref())?;
    sim.with(&headers, &id, |_| Ok(()))?;
    let lines = sim.desk().chat(&id).map(|chat| chat.lines).unwrap_or_default();
    Ok(lines.iter().map(|line| format!("{:?}: {}\n", line.by, line.text)).collect())
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Page {
    limit: Option<usize>,
    start_timestamp: Option<i64>,
    end_timestamp: Option<i64>,
    direction: Option<String>,
    entry_type_filter: Option<String>,
}

pub(super) async fn entries(
    State(sim): State<Simulator>,
    Path(id): Path<String>,
    Query(page): Query<Page>,
    headers: HeaderMap,
) -> Result<Json<Value>, Refused> {
    let limit = page.limit.unwrap_or(20);
    if !(1..=50).contains(&limit) {
        return Err(bad("limit is at most 50"));
    }
    let from_end = match page.direction.as_deref() {
        None | Some("FromEnd") => true,
        Some("FromStart") => false,
        Some(_) => return Err(bad("direction is FromStart or FromEnd")),
    };
    let kinds: Option<Vec<&str>> = page.entry_type_filter.as_deref().map(|kinds| kinds.split(',').collect());
    let within = page.start_timestamp.unwrap_or(0)..=page.end_timestamp.unwrap_or(i64::MAX);
    let wanted = |entry: &&Value| {
        let kind = entry["entryType"].as_str().unwrap_or_default();
        kinds.as_ref().is_none_or(|kinds| kinds.contains(&kind))
            && within.contains(&entry["transcriptedTimestamp"].as_i64().unwrap_or(0))
    };
    let mut found: Vec<Value> =
        sim.with(&headers, &id, |known| Ok(known.entries.iter().filter(wanted).cloned().collect()))?;
    if from_end {
        found.reverse();
    }
    found.truncate(limit);
    Ok(Json(json!({ "conversationEntries": found })))
}
