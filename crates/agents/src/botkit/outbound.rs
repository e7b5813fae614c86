//! Entry → event: which event an entry becomes, and its body.
//!
//! | entry | event | `agent_transfer` |
//! |---|---|---|
//! | customer's line, for the interceptor | `on_user_message` | false |
//! | anyone else's line, for the interceptor | `on_bot_message` | false |
//! | Open | `on_agent_transfer` | |
//! | a line for the agent | `on_user_message` | true |
//! | Close, not by the agent, of a session that was opened | the end notice, or `on_event` | true / false |
//! | anything else | none | |

use bytes::Bytes;
use interline_connector::agent::Item;
use interline_connector::failure::{Cause, Failure};
use interline_core::conversation::entry::{Body, Entry, Role, Speaker, Text};
use interline_core::conversation::request_id::{RequestId, RequestKind};
use interline_core::transfer::{Outcome, Reason};
use serde_json::Value;

use super::answer::Purpose;
use super::attachments::{self, links, with_links, with_names};
use super::settings::Subscription;
use super::wire::{
    BotInfo, BotUserSession, Channel, ChannelInfos, ContactCenter, Context, Empty, Event, EventInfo, Handle,
    HistoryEntry, Identity, MessageObject, MetaTags, Opts, Session, Urls, UserContext,
};
use super::{Integration, bug};

/// BotKit's framework refuses more than 102,400 bytes; a little is left for proxies that re-encode.
pub(super) const MAX_BODY: usize = 100_000;

/// The vendor's word for a web chat. Bot files compare with it.
const CHANNEL_TYPE: &str = "rtm";

/// An event, ready to be sent.
pub(super) struct Outgoing {
    /// Its name, the last part of the URL.
    pub event: &'static str,
    /// Its body.
    pub body: Bytes,
    /// What it is sent for.
    pub purpose: Purpose,
    /// The session document after it arrived; none: unchanged.
    pub session: Option<Value>,
}

/// What differs from event to event.
struct Content {
    event: &'static str,
    purpose: Purpose,
    kind: RequestKind,
    text: Text,
    /// What stands for the files below the words.
    links: String,
    agent_transfer: bool,
    history: Vec<HistoryEntry>,
    info: Option<EventInfo>,
}

impl Integration {
    /// The event that an entry becomes. None: BotKit is not told of it.
    pub(super) fn outgoing(&self, item: &Item, session: Option<&Value>) -> Result<Option<Outgoing>, Failure> {
        let Some(content) = self.content(item, session) else { return Ok(None) };
        let id = RequestId {
            conversation: item.conversation.id.clone(),
            participant: item.participant.no,
            epoch: item.entry.epoch,
            seq: item.entry.seq,
            kind: content.kind,
        }
        .to_string();
        let (event, purpose) = (content.event, content.purpose);
        // A line that arrived shows that BotKit takes part, also when it never said whether the Open arrived.
        let is_news = purpose == Purpose::AgentLine && !was_opened(session);
        let session = (purpose == Purpose::Open || is_news).then(|| Self::opened(&id));
        let (words, links) = (content.text.text.clone(), content.links.clone());
        let body = fit(self.body(item, content, id), &words, &links)?;
        Ok(Some(Outgoing { event, body, purpose, session }))
    }

    fn content(&self, item: &Item, session: Option<&Value>) -> Option<Content> {
        let entry = &item.entry;
        match (&entry.body, entry.to) {
            (Body::Open, Role::Agent) => Some(Content {
                event: "on_agent_transfer",
                purpose: Purpose::Open,
                kind: RequestKind::Transfer,
                text: last_customer_text(&item.before),
                links: String::new(),
                agent_transfer: false,
                history: history(&item.before, entry.at.0),
                info: None,
            }),
            (Body::Text(text), Role::Interceptor) => {
                let (event, kind) = if entry.by == Speaker::Customer {
                    ("on_user_message", RequestKind::CustomerLine)
                } else {
                    ("on_bot_message", RequestKind::BotLine)
                };
                Some(Content::line(event, Purpose::Held, kind, text.clone()))
            }
            (Body::Text(text), Role::Agent) => {
                let kind = RequestKind::AgentMode;
                let line = Content::line("on_user_message", Purpose::AgentLine, kind, text.clone());
                Some(Content { agent_transfer: true, links: links(&item.files), ..line })
            }
            (Body::Close { outcome, .. }, _) => {
                let told_already = *outcome == Outcome::AgentEnded;
                let is_agent = item.participant.role == Role::Agent;
                let has_session = is_agent && (was_opened(session) || item.participant.took_over);
                if has_session && !told_already { self.ended() } else { None }
            }
            _ => None,
        }
    }

    /// How BotKit learns that the human part was ended by somebody else.
    fn ended(&self) -> Option<Content> {
        let kind = RequestKind::AgentMode;
        if self.settings.subscribes(Subscription::Events) {
            let event = Content::line("on_event", Purpose::AgentLine, kind, Text::default());
            return Some(Content {
                info: Some(EventInfo { event_type: "conversation_terminated" }),
                ..event
            });
        }
        if self.settings.end_notice.is_empty() {
            return None;
        }
        let notice = Text::plain(self.settings.end_notice.clone());
        let line = Content::line("on_user_message", Purpose::AgentLine, kind, notice);
        Some(Content { agent_transfer: true, ..line })
    }

    fn body(&self, item: &Item, content: Content, request_id: String) -> Event {
        let bot = self.env.app.as_str().to_owned();
        let conversation = item.conversation.id.as_str().to_owned();
        let contact_center = content.info.is_some().then(|| ContactCenter {
            session_id: conversation.clone(),
            conversation_id: conversation.clone(),
            bot_id: bot.clone(),
            source: CHANNEL_TYPE,
            timestamp: item.entry.at.0,
        });
        let Text { text: words, rich, .. } = content.text;
        let text = with_links(&words, &content.links);
        Event {
            channel: self.channel(item, &request_id, text.clone()),
            context: self.context(item, content.history),
            urls: self.urls(&request_id),
            agent_transfer: content.agent_transfer,
            meta_info: Empty {},
            meta_tags: MetaTags::default(),
            message_object: rich.map(|rich| MessageObject { text: text.clone(), rich }),
            message: text,
            event: content.info,
            contact_center,
            bot_id: bot,
            request_id,
        }
    }

    fn urls(&self, id: &str) -> Urls {
        let base = self.base_url();
        let named = |call: &str| format!("{base}/{call}/{id}");
        Urls {
            send_user_message_url: named("sendUserMessage"),
            send_bot_message_url: named("sendBotMessage"),
            skip_user_message_url: named("skipUserMessage"),
            skip_bot_message_url: named("skipBotMessage"),
            send_alert_message_url: named("sendAlertMessage"),
            reset_bot_url: named("resetBot"),
            clear_conversation_session_url: named("clearConversationSession"),
            send_feedback_message_url: named("sendFeedbackMessage"),
            callback_url: named("serviceCallback"),
            get_dialog_url: named("dialog"),
            get_bot_variable_url: format!("{base}/getBotVariable"),
            base_url: base,
        }
    }

    /// The vendor's shape: BotKit takes segment 6 of each URL as the bot id, to choose the credentials.
    fn base_url(&self) -> String {
        let public = self.env.public_url.as_str().trim_end_matches('/');
        format!("{public}/api/botsdk/stream/{}", self.env.app)
    }

    fn channel(&self, item: &Item, request_id: &str, text: String) -> Channel {
        let customer = item.conversation.customer.id.user_id();
        let customer = customer.as_str();
        let bot = self.env.app.as_str();
        Channel {
            id: format!("dc-{}", item.conversation.id),
            from: customer.to_owned(),
            kind: CHANNEL_TYPE,
            infos: ChannelInfos {
                request_id: request_id.to_owned(),
                from: customer.to_owned(),
                kind: CHANNEL_TYPE,
                body: text,
                client: "sdk",
                handle: Handle {
                    user_id: customer.to_owned(),
                    task_bot_id: bot.to_owned(),
                    trace_id: item.key(),
                },
                attachments: attachments::outgoing(&item.files),
                bot_info: BotInfo { task_bot_id: bot.to_owned(), chat_bot: self.env.name.to_string() },
            },
        }
    }

    fn context(&self, item: &Item, history: Vec<HistoryEntry>) -> Context {
        let customer = &item.conversation.customer;
        let profile = &customer.profile;
        let opens = matches!(item.entry.body, Body::Open);
        let custom_data = if opens { &item.context.data } else { &profile.data };
        let mailed = looks_like_email(&customer.address).then(|| customer.address.clone());
        let bot = self.env.app.as_str().to_owned();
        let identity = Identity { val: customer.address.clone(), kind: customer.channel.to_string() };
        Context {
            bot: self.env.name.to_string(),
            botid: bot.clone(),
            intent: "",
            entities: Empty {},
            traits: Vec::new(),
            current_language: profile.language.clone().unwrap_or_else(|| "en".to_owned()),
            suggested_languages: Vec::new(),
            history,
            on_hold_tasks: Vec::new(),
            message_tone: Vec::new(),
            dialog_tone: Vec::new(),
            current_tags: Vec::new(),
            historic_tags: Vec::new(),
            user_inputs: Empty {},
            session: Session {
                enterprise_context: Empty {},
                bot_context: Empty {},
                user_context: UserContext {
                    id: customer.id.user_id(),
                    email_id: profile.email.clone().or(mailed),
                    first_name: profile.first_name.clone().or_else(|| profile.name.clone()),
                    last_name: profile.last_name.clone(),
                    identities: vec![identity],
                    custom_data: custom_data.clone(),
                },
                user_session: Empty {},
                bot_user_session: BotUserSession {
                    transcript_url: item.transcript.clone(),
                    queue: item.participant.queue.clone().filter(|_| opens),
                    skills: item.context.skills.clone(),
                    summary: item.context.summary.clone(),
                },
                opts: Opts { user_id: customer.id.user_id(), stream_id: bot },
            },
        }
    }
}

impl Content {
    fn line(event: &'static str, purpose: Purpose, kind: RequestKind, text: Text) -> Self {
        let (links, history) = (String::new(), Vec::new());
        Self { event, purpose, kind, text, links, agent_transfer: false, history, info: None }
    }
}

fn was_opened(session: Option<&Value>) -> bool {
    session.is_some_and(|session| session["opened"] == Value::Bool(true))
}

fn looks_like_email(address: &str) -> bool {
    address.split_once('@').is_some_and(|(name, host)| !name.is_empty() && host.contains('.'))
}

/// BotKit shows it to nobody by itself, but bot files read `message` of every event.
fn last_customer_text(before: &[Entry]) -> Text {
    let said = |entry: &&Entry| entry.by == Speaker::Customer;
    let last = before.iter().rev().filter(said).find_map(Entry::text);
    Text::plain(last.map(with_names).unwrap_or_default())
}

/// What was said, oldest first, then the two entries that the vendor documents for a transfer.
fn history(before: &[Entry], now: i64) -> Vec<HistoryEntry> {
    let said = before.iter().filter(|entry| entry.customer_sees()).filter_map(|entry| {
        let kind = match entry.by {
            Speaker::Customer => "userMessage",
            Speaker::Agent { .. } => "agentMessage",
            Speaker::Bot | Speaker::Operator { .. } | Speaker::System => "botMessage",
        };
        let message = with_names(entry.text()?);
        Some(HistoryEntry::Said { kind, message, timestamp: entry.at.0 })
    });
    let node = HistoryEntry::Node {
        node_id: "agentTransfer",
        state: "processed",
        kind: "agentTransfer",
        component_name: "AgentTransfer",
        timestamp: now,
    };
    let dialog = HistoryEntry::Dialog { dialog_state: "transferredToAgent", timestamp: now };
    said.chain([node, dialog]).collect()
}

/// Writes a body of at most [`MAX_BODY`] bytes. What is too much goes in this order: what was said, oldest first; the
/// copies of the message; the end of its words, but no link; the list of files, for which the links stand.
fn fit(mut event: Event, words: &str, links: &str) -> Result<Bytes, Failure> {
    let mut body = write(&event)?;
    if body.len() <= MAX_BODY {
        return Ok(body.into());
    }
    drop_oldest(&mut event.context.history, body.len() - MAX_BODY);
    body = write(&event)?;
    if body.len() > MAX_BODY {
        event.channel.infos.body.clear();
        event.message_object = None;
        body = write(&event)?;
    }
    if body.len() > MAX_BODY {
        event.message = with_links(&shortened(words, body.len() - MAX_BODY), links);
        body = write(&event)?;
    }
    if body.len() > MAX_BODY {
        event.channel.infos.attachments.clear();
        body = write(&event)?;
    }
    if body.len() > MAX_BODY {
        return Err(Failure::Refused(Cause::new(
            Reason::BadRequest,
            "the event is larger than BotKit takes",
        )));
    }
    Ok(body.into())
}

/// Words without as much of their end as takes `too_much` bytes of a body.
fn shortened(words: &str, too_much: usize) -> String {
    let (mut freed, mut end) = (0, words.len());
    for (at, c) in words.char_indices().rev() {
        if freed >= too_much + "…".len() {
            break;
        }
        freed += written(c);
        end = at;
    }
    if words.is_empty() { String::new() } else { format!("{}…", &words[..end]) }
}

/// How many bytes a character takes in JSON.
fn written(c: char) -> usize {
    match c {
        '"' | '\\' | '\u{8}' | '\t' | '\n' | '\u{c}' | '\r' => 2,
        '\0'..' ' => "\\u0000".len(),
        _ => c.len_utf8(),
    }
}

fn drop_oldest(history: &mut Vec<HistoryEntry>, too_much: usize) {
    let mut freed = 0;
    let mut oldest = 0;
    for entry in history.iter() {
        if freed >= too_much || !matches!(entry, HistoryEntry::Said { .. }) {
            break;
        }
        // With its comma.
        freed += serde_json::to_vec(entry).map_or(0, |bytes| bytes.len() + 1);
        oldest += 1;
    }
    history.drain(..oldest);
}

fn write(event: &Event) -> Result<Vec<u8>, Failure> {
    serde_json::to_vec(event).map_err(|_| bug("event"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn control_characters_take_more_than_their_bytes() {
        for c in ('\0'..='\u{80}').chain(['"', '\\', '\u{2028}']) {
            let json = serde_json::to_string(&c.to_string()).map_or(0, |json| json.len());
            assert_eq!(written(c) + 2, json, "{c:?}");
        }
    }

    #[test]
    fn dropping_history_stops_at_the_transfer() {
        let said =
            |n: usize| HistoryEntry::Said { kind: "userMessage", message: "x".repeat(n), timestamp: 0 };
        let node = || HistoryEntry::Dialog { dialog_state: "transferredToAgent", timestamp: 0 };
        let mut all = vec![said(10), said(20), node()];
        drop_oldest(&mut all, 1);
        assert_eq!(all.len(), 2);
        drop_oldest(&mut all, 100_000);
        assert!(matches!(all.as_slice(), [HistoryEntry::Dialog { .. }]));
    }

    proptest! {
        #[test]
        fn an_email_needs_both_sides(text in "[a-z@.]{0,12}") {
            if looks_like_email(&text) {
                let parts: Vec<&str> = text.splitn(2, '@').collect();
                prop_assert!(!parts[0].is_empty() && parts[1].contains('.'));
            }
        }
    }
}
