//! What an entry of the org means to us.

use interline_connector::channel::Mark;
use interline_core::transfer::{Failure, Reason};
use serde_json::Value;
use url::Url;

use super::opening::uuid4;
use super::settings::Settings;
use super::wire::{AbstractMessage, Entry};

/// So many files of one message are taken.
const FILES: usize = 10;
/// So many bytes of what was said in one message.
const WORDS: usize = 32 * 1024;
/// So many bytes of a name, of a code.
const NAME: usize = 200;

/// What an entry means.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Meaning {
    /// An agent said something.
    Said { said: Said, name: Option<String> },
    /// A bot of the org, or the org itself, said something.
    OrgSaid(Said),
    /// Our own words, known by their id: they are there.
    Echo(String),
    /// An agent joined.
    Joined(Option<String>),
    /// An agent left: for another, or for good.
    Left,
    /// It waits in a queue.
    Queued(Option<u32>),
    /// It could not be routed.
    Failed(Failure),
    /// The session is over.
    Over,
    /// The agent types, or stopped.
    Typing(bool),
    /// The agent's side has what was said, or read it: our message with this id.
    Reached(Mark, String),
}

/// What was said, and files that lie at the org.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Said {
    pub words: String,
    pub files: Vec<(Option<String>, Url)>,
}

/// Reads an entry. What is not known means nothing: the vendor adds kinds at any time.
pub(super) fn meaning(entry: &Entry, settings: &Settings) -> Vec<Meaning> {
    let payload = &entry.entry_payload;
    let of_agent = entry.sender.role == "Agent";
    let one = match entry.entry_type.as_str() {
        "Message" => message(entry),
        "ParticipantChanged" => return changes(entry),
        "RoutingResult" | "RoutingWorkResult" => routing(entry, settings),
        "TypingStartedIndicator" if of_agent => Some(Meaning::Typing(true)),
        "TypingStoppedIndicator" if of_agent => Some(Meaning::Typing(false)),
        "DeliveryAcknowledgement" => reached(entry, Mark::Delivered),
        "ReadAcknowledgement" => reached(entry, Mark::Read),
        // "Inactive" is an agent's mark for a silent customer, not an end.
        "SessionStatusChanged" => {
            let ended = |status: &String| status.eq_ignore_ascii_case("ended");
            payload.session_status.as_ref().filter(|status| ended(status)).map(|_| Meaning::Over)
        }
        "QueuePosition" => Some(Meaning::Queued(payload.position.or(payload.queue_position))),
        _ => None,
    };
    one.into_iter().collect()
}

/// Agents come and go; a supervisor who looks in, or a bot, is no agent.
fn changes(entry: &Entry) -> Vec<Meaning> {
    let agents = entry.entry_payload.entries.iter().filter(|change| change.participant.role == "Agent");
    let meaning = agents.filter_map(|change| match change.operation.as_str() {
        "add" => {
            Some(Meaning::Joined(change.display_name.clone().or_else(|| entry.sender_display_name.clone())))
        }
        "remove" => Some(Meaning::Left),
        _ => None,
    });
    meaning.collect()
}

fn routing(entry: &Entry, settings: &Settings) -> Option<Meaning> {
    let payload = &entry.entry_payload;
    match (payload.routing_type.as_deref(), payload.failure_type.as_deref()) {
        (Some("Initial"), Some("None") | None) => Some(Meaning::Queued(None)),
        (Some("Initial"), Some(kind)) => {
            // A text of the org's administrator; its kind is all that is sure.
            let said = payload.failure_reason.as_deref().unwrap_or_default();
            let reason = settings.refusals().reason(said).unwrap_or(match kind {
                "RoutingError" => Reason::NoAgents,
                _ => Reason::VendorError,
            });
            Some(Meaning::Failed(Failure { reason, code: Some(plain(kind, NAME)) }))
        }
        // A transfer to another agent is seen by who joins.
        _ => None,
    }
}

fn reached(entry: &Entry, mark: Mark) -> Option<Meaning> {
    let of_customer = entry.sender.role == "EndUser";
    entry.related_records.first().filter(|_| !of_customer).map(|id| Meaning::Reached(mark, plain(id, NAME)))
}

fn message(entry: &Entry) -> Option<Meaning> {
    let message = &entry.entry_payload.abstract_message;
    match entry.sender.role.as_str() {
        "EndUser" => Some(Meaning::Echo(message.id.clone().unwrap_or_else(|| entry.identifier.clone()))),
        "Agent" => {
            said(message).map(|said| Meaning::Said { said, name: name(entry.sender_display_name.as_ref()) })
        }
        "Chatbot" | "System" => said(message).map(Meaning::OrgSaid),
        _ => None,
    }
}

fn said(message: &AbstractMessage) -> Option<Said> {
    let content = &message.static_content;
    let attachments = content["attachments"].as_array();
    let files = attachments.into_iter().flatten().filter_map(|file| {
        let url = Url::parse(file["url"].as_str()?).ok()?;
        Some((file["name"].as_str().map(|name| plain(name, NAME)), url))
    });
    let files: Vec<_> = files.take(FILES).collect();
    // The name of a file is not something that was said.
    let words = if attachments.is_none() { words(message) } else { text(content) };
    let words = plain(&words, WORDS);
    (!words.is_empty() || !files.is_empty()).then_some(Said { words, files })
}

fn name(of: Option<&String>) -> Option<String> {
    of.map(|name| plain(name, NAME)).filter(|name| !name.is_empty())
}

/// At most so many bytes, and no NUL: not every store keeps it, and nobody can see it.
fn plain(text: &str, most: usize) -> String {
    let text = text.replace('\0', "");
    text.get(..text.floor_char_boundary(most)).unwrap_or_default().to_owned()
}

/// What an entry is known by: as the vendor calls it, or a short name that stands for something that is no id.
pub(super) fn known_as(identifier: &str) -> Option<String> {
    match identifier {
        "" => None,
        id if id.len() <= NAME && id.chars().all(|c| c.is_ascii_graphic()) => Some(id.to_owned()),
        odd => Some(uuid4(odd).to_string()),
    }
}

fn text(content: &Value) -> String {
    content["text"].as_str().unwrap_or_default().to_owned()
}

/// The words of a message; of a richer one what stands for it.
fn words(message: &AbstractMessage) -> String {
    let content = &message.static_content;
    if let Some(text) = content["text"].as_str() {
        return text.to_owned();
    }
    let mut lines = Vec::new();
    for holder in [content, &message.choices] {
        collect(holder, &mut lines, 0);
    }
    lines.join("\n")
}

/// Titles, texts and links: of each object first its own, then what is in it.
fn collect(value: &Value, lines: &mut Vec<String>, depth: usize) {
    if depth > 6 || lines.len() > 40 {
        return;
    }
    match value {
        Value::Object(fields) => {
            let shown = SHOWN.iter().filter_map(|name| fields.get(*name)?.as_str());
            lines.extend(shown.filter(|text| !text.is_empty()).map(str::to_owned));
            fields.values().for_each(|value| collect(value, lines, depth + 1));
        }
        Value::Array(values) => values.iter().for_each(|value| collect(value, lines, depth + 1)),
        _ => {}
    }
}

/// What people are shown, in the order in which they read it.
const SHOWN: [&str; 9] =
    ["title", "titleText", "text", "body", "subTitle", "subtitle", "label", "linkItemUrl", "url"];
