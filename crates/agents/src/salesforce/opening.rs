//! A hand-over begins: a token of its own, a stream, a conversation, and what the agent should know.

use std::collections::BTreeMap;

use interline_connector::{Cause, Failure, FileStream, Item, Link, Next};
use interline_connector::{Done, RunEnd};
use interline_core::Body;
use interline_core::transfer::Reason;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::time::Instant;
use uuid::Uuid;

use super::Integration;
use super::rest::Key;
use super::wire::{Create, Field, TokenAnswer};

/// What a session must know again after a restart. It is sealed by the engine.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Document {
    /// The customer's token.
    token: String,
    /// Until when it is good, seconds since 1970; 0: nobody knows.
    pub exp: i64,
    /// The conversation's id, which we gave it.
    pub conversation: String,
    /// The newest event that was seen.
    pub last_event: String,
    /// When the newest entry that was seen was written down, milliseconds since 1970.
    pub seen_at: i64,
    /// The deployment takes files.
    pub files: bool,
    /// An agent was there.
    pub joined: bool,
    /// What went by a pre-chat field: the summary, the link.
    by_field: [bool; 2],
}

impl Document {
    pub fn key(&self) -> Key {
        Key { token: SecretString::from(self.token.clone()), conversation: self.conversation.clone() }
    }

    pub fn renew(&mut self, token: &TokenAnswer) {
        self.token.clone_from(&token.access_token);
        self.exp = expiry(&token.access_token);
    }

    pub fn read(value: Value) -> Option<Self> {
        serde_json::from_value(value).ok()
    }

    pub fn write(&self) -> Value {
        serde_json::to_value(self).unwrap_or_default()
    }
}

/// A hand-over that is under way: the stream is open before the conversation is made, so that nothing is missed.
pub(super) struct Start {
    pub document: Document,
    pub stream: FileStream,
    fields: Vec<Field>,
    /// The conversation may be there.
    tried: bool,
}

impl Integration {
    /// Until a conversation is there; then the Open is still to be settled. The end: our part was over before.
    pub(super) async fn open(&self, link: &mut dyn Link) -> Result<(Start, Box<Item>), RunEnd> {
        let mut start: Option<Start> = None;
        loop {
            let item = match link.next().await {
                None => return Err(RunEnd::Over),
                Some(Next::Aside(_)) => continue,
                Some(Next::Item(item)) => item,
            };
            let result = match item.entry.body {
                Body::Open => match self.begin(&mut start, &item, link).await {
                    Err(failure) => Err(passing(failure)),
                    Ok(()) => match start.take() {
                        Some(start) => return Ok((start, item)),
                        None => Err(Failure::Bug(Cause::new(Reason::VendorError, "nothing was begun"))),
                    },
                },
                // It was given up meanwhile, perhaps after the vendor made it.
                Body::Close { .. } => match start.as_ref().filter(|start| start.tried) {
                    Some(start) => self.close(&start.document.key()).await.map(|()| Done::default()),
                    None => Ok(Done::default()),
                },
                _ => Err(Failure::Gone(Cause::new(Reason::AgentLost, "no conversation was opened"))),
            };
            link.done(item.entry.seq, result).await;
        }
    }

    async fn begin(
        &self,
        start: &mut Option<Start>,
        item: &Item,
        link: &mut dyn Link,
    ) -> Result<(), Failure> {
        let start = match start {
            Some(start) => start,
            None => {
                self.turn()?;
                start.insert(self.prepare(item).await?)
            }
        };
        let key = start.document.key();
        // A try whose answer was lost may have worked.
        if start.tried && self.conversation(&key).await?.is_some() {
            return Ok(());
        }
        let by_field = self.told_by_field(item, &start.fields);
        start.document.by_field = by_field.each_ref().map(Option::is_some);
        // Before anything is made at the org: after a crash nobody else could find or close it.
        link.save(start.document.write()).await;
        let create = self.creation(item, &key, &start.fields, by_field)?;
        start.tried = true;
        self.create(&key, &create).await
    }

    /// Whether one more conversation may be started now. Waiting is the engine's business: it knows whether anybody still
    /// wants it.
    fn turn(&self) -> Result<(), Failure> {
        let taken = self.starts.lock().map_or(Ok(()), |mut starts| starts.take());
        taken.map_err(|free| {
            let after_ms = u64::try_from(free.duration_since(Instant::now()).as_millis()).ok();
            let code = "waits for its turn: so many conversations may be started within 30 s";
            Failure::Retry { after_ms, cause: Cause::new(Reason::RateLimited, code) }
        })
    }

    /// A token and a stream. Nothing is made at the org yet.
    async fn prepare(&self, item: &Item) -> Result<Start, Failure> {
        let token = self.token().await?;
        let attachments = &token.context.configuration.embedded_service_config.attachments;
        let document = Document {
            exp: expiry(&token.access_token),
            conversation: id_of(&item.key(), 0).to_string(),
            last_event: token.last_event(),
            seen_at: 0,
            files: attachments.end_user_to_agent.unwrap_or(true),
            joined: false,
            by_field: [false; 2],
            token: token.access_token.clone(),
        };
        let stream = self.stream(&document.key(), &document.last_event).await?;
        let fields = token.fields().cloned().collect();
        Ok(Start { document, stream, fields, tried: false })
    }

    fn creation<'a>(
        &'a self,
        item: &Item,
        key: &'a Key,
        fields: &[Field],
        by_field: [Option<(String, String)>; 2],
    ) -> Result<Create<'a>, Failure> {
        let mut attributes = attributes(item);
        attributes.extend(by_field.into_iter().flatten());
        for field in fields.iter().filter(|field| field.required && !field.is_hidden) {
            if attributes.contains_key(&field.name) {
                continue;
            }
            if !matches!(field.name.as_str(), "_firstName" | "_lastName") {
                let code = format!("the deployment's pre-chat form requires {}", field.name);
                return Err(Failure::Refused(Cause::new(Reason::BadRequest, code)));
            }
            // Of a name that nobody knows, what the vendor itself shows.
            attributes.insert(field.name.clone(), "Guest".to_owned());
        }
        // Values that are longer than their field are cut, not refused: a hand-over is worth more than the end of a text.
        for field in fields {
            if let (Some(value), Some(longest)) = (attributes.get_mut(&field.name), field.max_length) {
                *value = value.chars().take(longest).collect();
            }
        }
        Ok(Create {
            conversation_id: &key.conversation,
            es_developer_name: &self.settings.developer_name,
            routing_attributes: attributes,
            language: item.conversation.customer.profile.language.as_ref().map(|tag| tag.replace('-', "_")),
        })
    }

    /// Summary and link with the names of their fields, as far as the deployment has fields in which they fit.
    fn told_by_field(&self, item: &Item, fields: &[Field]) -> [Option<(String, String)>; 2] {
        let fits = |name: &Option<String>, value: Option<String>| {
            let (name, value) = (name.clone()?, value?);
            let field = fields.iter().find(|field| field.name == name)?;
            let room = field.max_length.is_none_or(|longest| value.chars().count() <= longest);
            room.then_some((name, value))
        };
        let [summary, link] = told(item);
        [fits(&self.settings.summary_field, summary), fits(&self.settings.transcript_field, link)]
    }
}

impl Document {
    /// What the agent reads first: what no field was there for. None: there is nothing to tell.
    pub fn first_words(&self, item: &Item) -> Option<String> {
        let [summary, link] = told(item);
        let [summary_told, link_told] = self.by_field;
        let summary = summary.filter(|_| !summary_told);
        let link = link.filter(|_| !link_told);
        let parts = [
            summary.map(|summary| format!("The customer said before:\n{summary}")),
            link.map(|link| format!("All that was said before: {link}")),
        ];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        (!parts.is_empty()).then(|| parts.join("\n\n"))
    }
}

/// By the API names of pre-chat fields. The org leaves out what it has no field for. What was named for this hand-over
/// counts more than what is known of the customer.
fn attributes(item: &Item) -> BTreeMap<String, String> {
    let profile = &item.conversation.customer.profile;
    let (first, last) = match (&profile.first_name, &profile.last_name, &profile.name) {
        (None, None, Some(name)) => match name.rsplit_once(' ') {
            Some((first, last)) => (Some(first.to_owned()), Some(last.to_owned())),
            None => (None, Some(name.clone())),
        },
        (first, last, _) => (first.clone(), last.clone()),
    };
    let skills = (!item.context.skills.is_empty()).then(|| item.context.skills.join(","));
    let known = [
        ("_firstName", first),
        ("_lastName", last),
        ("_email", profile.email.clone()),
        ("phone", profile.phone.clone()),
        ("language", profile.language.clone()),
        ("queue", item.participant.queue.clone()),
        ("skills", skills),
    ];
    let mut all = item.context.data.clone();
    for (name, value) in known {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            all.entry(name.to_owned()).or_insert(value);
        }
    }
    all
}

/// Summary and link of a hand-over.
fn told(item: &Item) -> [Option<String>; 2] {
    let summary = Some(item.context.summary.clone()).filter(|summary| !summary.is_empty());
    [summary, item.transcript.as_ref().map(ToString::to_string)]
}

/// As long as there is no conversation, whatever went wrong may be tried again: what may have worked is looked up first.
fn passing(failure: Failure) -> Failure {
    match failure {
        Failure::Uncertain(cause) => Failure::Retry { after_ms: None, cause },
        // The stream of a token that is as new as this one is not refused for its age.
        Failure::Unauthorized(cause) | Failure::Gone(cause) => {
            Failure::Refused(Cause { reason: Reason::Unauthorized, ..cause })
        }
        failure => failure,
    }
}

/// The id of a part of what a key stands for: the same for every repetition.
pub(super) fn id_of(key: &str, part: usize) -> Uuid {
    uuid4(&format!("{key}/{part}"))
}

/// Always the same for the same text, in the shape of a version 4: the vendor asks for those.
pub(super) fn uuid4(text: &str) -> Uuid {
    let hash = Uuid::new_v5(&Uuid::NAMESPACE_OID, format!("salesforce/{text}").as_bytes());
    uuid::Builder::from_random_bytes(hash.into_bytes()).into_uuid()
}

/// Until when a JWT is good, seconds since 1970. It is the org's business to check it; we only want to know.
fn expiry(token: &str) -> i64 {
    use base64::Engine as _;
    let claims = token.split('.').nth(1).unwrap_or_default();
    let claims = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(claims).unwrap_or_default();
    serde_json::from_slice::<Value>(&claims).ok().and_then(|claims| claims["exp"].as_i64()).unwrap_or(0)
}
