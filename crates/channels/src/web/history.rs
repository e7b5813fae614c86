//! `GET botmessages/rtm`: what was said before, oldest first, under the same ids as on the socket.
//!
//! The newest `limit` lines; with `offset`, before the newest `offset`; with `msgId`, before that line (the client then
//! sends an `offset` too, counted from elsewhere: it is ignored); with `msgId` and `forward`, after that line.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{Query, State};
use http::HeaderMap;
use interline_connector::channel::{HistoryPage, Line, Page, Place};
use interline_core::conversation::entry::Text;
use interline_core::conversation::state::Customer;
use interline_core::{ConversationId, Seq, Speaker};
use serde_json::{Value, json};
use tokio::time::{Instant, timeout_at};

use super::login::iso;
use super::pass::{Client, Guest};
use super::refused::Refused;
use super::{Web, files, frames_down, ids};

const LIMIT: usize = 10;
const LARGEST: usize = 100;
/// The client blocks its input until the history is there, so it does not wait for long.
const FIRST_WORDS: Duration = Duration::from_secs(2);
/// A socket and the history that belongs to it are asked for together.
const SOON: Duration = Duration::from_millis(300);
/// A welcome may have several lines.
const MORE_WORDS: Duration = Duration::from_millis(150);

#[derive(Debug, Default, PartialEq)]
struct Asked {
    bot: Option<String>,
    limit: usize,
    skip: usize,
    forward: bool,
    line: Option<(ConversationId, Seq)>,
    client: Client,
}

impl Asked {
    /// Takes the last of what was given twice, and the default for what cannot be read.
    fn read(query: Vec<(String, String)>) -> Self {
        let mut asked = Self { limit: LIMIT, ..Self::default() };
        for (key, value) in query {
            match key.as_str() {
                "botId" => asked.bot = Some(value),
                "limit" => asked.limit = value.parse().unwrap_or(LIMIT).clamp(1, LARGEST),
                "offset" => asked.skip = value.parse().unwrap_or(0),
                "forward" => asked.forward = value == "true",
                "client" => asked.client = Client::named(Some(&value)),
                "msgId" => asked.line = ids::parse(&value),
                _ => {}
            }
        }
        asked
    }
}

pub(super) async fn page(
    State(web): State<Arc<Web>>,
    Query(query): Query<Vec<(String, String)>>,
    headers: HeaderMap,
) -> Result<Json<Value>, Refused> {
    let asked = Asked::read(query);
    let guest = web.admit(&headers, asked.bot.as_deref()).await?;
    let customer = web.customer(&guest).await?;
    let page = match asked.line {
        Some(line) if asked.forward => after(&web, &guest, &customer, line, asked.limit).await?,
        before => {
            let skip = if before.is_some() { 0 } else { asked.skip };
            let from_the_end = before.is_none() && skip == 0;
            let page = Page { skip, before, limit: asked.limit };
            if from_the_end {
                first_words(&web, &guest, &customer).await?;
            }
            web.host.history(&guest.app.id, &customer, page).await?
        }
    };
    let told = page.lines.iter().filter_map(|line| {
        let (line, attachments) = files::told(web.host.as_ref(), &guest.app.id, asked.client, line);
        let mut message = message(&guest.app.name, &line)?;
        if !attachments.is_empty() {
            message["attachments"] = attachments.into();
        }
        Some(message)
    });
    let messages: Vec<Value> = told.collect();
    Ok(Json(json!({
        "total": page.total,
        "moreAvailable": page.more,
        "icon": guest.settings.icon.as_ref().map_or("", url::Url::as_str),
        "messages": messages,
    })))
}

/// Waits a moment for the first words of a conversation that has none yet: an interceptor may be holding the welcome.
///
/// The client asks for the history as soon as its socket is open, and then draws the answer and forgets what came down the
/// socket meanwhile. A welcome that is in both is drawn; one that only overtook an empty history would be lost.
async fn first_words(web: &Web, guest: &Guest, customer: &Customer) -> Result<(), Refused> {
    let app = &guest.app.id;
    // Watched first: nothing falls between the look and the wait.
    let mut hints = web.host.watch(app, customer);
    if web.host.place(app, customer, false).await?.conversation.is_none() {
        // Its socket may be opening the first one at this moment.
        let soon = Instant::now() + SOON;
        if timeout_at(soon, hints.recv()).await.is_err() {
            return Ok(());
        }
    }
    let until = Instant::now() + FIRST_WORDS;
    let any = Page { limit: 1, ..Page::default() };
    let mut waited = false;
    while web.host.history(app, customer, any.clone()).await?.lines.is_empty() {
        waited = true;
        if timeout_at(until, hints.recv()).await.is_err() {
            return Ok(());
        }
    }
    if waited {
        tokio::time::sleep(MORE_WORDS).await;
    }
    Ok(())
}

/// The lines after one.
async fn after(
    web: &Web,
    guest: &Guest,
    customer: &Customer,
    (conversation, seq): (ConversationId, Seq),
    limit: usize,
) -> Result<HistoryPage, Refused> {
    let mut place = Place { conversation: Some(conversation), seq };
    // Events are among them: read until there are enough texts, or no more lines.
    let mut texts = Vec::new();
    let mut more = true;
    while more && texts.len() <= limit {
        let lines = web.host.read(&guest.app.id, customer, &mut place, LARGEST).await?;
        more = lines.len() == LARGEST;
        texts.extend(lines.into_iter().filter(|line| line.entry.text().is_some()));
    }
    more |= texts.len() > limit;
    texts.truncate(limit);
    Ok(HistoryPage { total: texts.len() + usize::from(more), lines: texts, more })
}

/// A line in the shape of the history.
fn message(bot: &str, line: &Line) -> Option<Value> {
    let text = line.entry.text()?;
    let id = ids::message(&line.conversation, line.entry.seq);
    let (first, last) = match &line.entry.by {
        Speaker::Customer => ("", ""),
        Speaker::Agent { name } => frames_down::names(name.as_deref()),
        Speaker::Operator { name: Some(name) } => frames_down::names(Some(name)),
        Speaker::Bot | Speaker::Operator { name: None } | Speaker::System => (bot, ""),
    };
    let incoming = line.entry.by == Speaker::Customer;
    let mut message = json!({
        "_id": id,
        "type": if incoming { "incoming" } else { "outgoing" },
        "createdOn": iso(line.entry.at.0),
        "lang": "en",
        "components": [{ "_id": id.replacen("ms-", "cp-", 1), "cT": "text", "data": { "text": body(text) } }],
        "author": { "firstName": first, "lastName": last },
        "tags": { "altText": [], "messageTags": [], "userTags": [], "sessionTags": [] },
        "sessionId": line.conversation.as_str(),
        "chnl": "rtm",
        "channels": [{ "type": "rtm" }],
    });
    if let Speaker::Agent { .. } | Speaker::Operator { name: Some(_) } = line.entry.by {
        message["author"]["type"] = "AGENT".into();
    }
    if incoming && let Some(stored) = &text.client_id {
        let (id, _) = ids::untagged(stored);
        if ids::is_named(id) {
            message["userMsgId"] = id.into();
        }
    }
    Some(message)
}

/// The client tries to parse every history text as JSON: a template is such a text, and words that happen to be JSON
/// are wrapped, because the client takes the `text` of what it parsed.
fn body(text: &Text) -> String {
    if let Some(template) = text.rich.as_ref().and_then(frames_down::template) {
        return template.to_string();
    }
    let shown = frames_down::shown(&text.text);
    if might_parse(&shown) { json!({ "text": shown }).to_string() } else { shown }
}

/// Whether a JavaScript `JSON.parse` might succeed. Errs on the side of yes.
fn might_parse(text: &str) -> bool {
    let text = text.trim();
    matches!(text, "true" | "false" | "null")
        || text.starts_with(['{', '[', '"'])
        || (!text.is_empty() && text.bytes().all(|b| b.is_ascii_digit() || b"+-.eE".contains(&b)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use interline_core::{Body, Entry, Epoch, Role, Time};

    fn line(by: Speaker, text: Text) -> Line {
        let body = Body::Text(text);
        let (epoch, to) = (Epoch(1), Role::Customer);
        let entry = Entry {
            seq: Seq(7),
            at: Time(1_795_329_732_228),
            by,
            to,
            epoch,
            transfer: None,
            release_of: None,
            body,
        };
        Line { conversation: "cnv_1".into(), entry }
    }

    #[test]
    fn shape_of_a_message() {
        let text = Text { client_id: Some("17~tab".into()), ..Text::plain("hi") };
        let said = message("Bot", &line(Speaker::Customer, text)).expect("a text");
        assert_eq!(
            said,
            json!({
                "_id": "ms-cnv_1-7", "type": "incoming", "createdOn": "2026-11-22T06:42:12.228Z", "lang": "en",
                "components": [{ "_id": "cp-cnv_1-7", "cT": "text", "data": { "text": "hi" } }],
                "author": { "firstName": "", "lastName": "" },
                "tags": { "altText": [], "messageTags": [], "userTags": [], "sessionTags": [] },
                "sessionId": "cnv_1", "chnl": "rtm", "channels": [{ "type": "rtm" }], "userMsgId": "17",
            })
        );
        let agent = Speaker::Agent { name: Some("Ann van B".into()) };
        let said = message("Bot", &line(agent, Text::plain("hi"))).expect("a text");
        assert_eq!(said["type"], "outgoing");
        assert_eq!(said["author"], json!({ "firstName": "Ann", "lastName": "van B", "type": "AGENT" }));
        assert!(said.get("userMsgId").is_none());
    }

    #[test]
    fn words_that_are_json_stay_words() {
        for text in
            ["42", "-1e3", "{\"text\":\"not a template\"}", "[1]", "\"x\"", " true ", "null", "{broken"]
        {
            let parsed: Value = serde_json::from_str(&body(&Text::plain(text))).expect("JSON");
            assert_eq!(parsed["text"], text);
        }
        for text in ["hello", "42 euros", "no", "truely", "e-mail", ""] {
            assert_eq!(body(&Text::plain(text)), text);
        }
        let rich = Text { rich: Some(json!({ "template_type": "button" })), ..Text::plain("x") };
        assert_eq!(
            body(&rich),
            json!({ "type": "template", "payload": { "template_type": "button" } }).to_string()
        );
    }

    #[test]
    fn any_query_is_answered() {
        let read = |query: &str| {
            let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
            Asked::read(pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect())
        };
        assert_eq!(read(""), Asked { limit: 10, ..Asked::default() });
        assert_eq!((read("limit=1000").limit, read("limit=0").limit, read("limit=x").limit), (100, 1, 10));
        let asked = read("botId=st-1&limit=20&offset=40&forward=true&msgId=ms-cnv_1-7");
        let line = Some(("cnv_1".into(), Seq(7)));
        assert_eq!(
            asked,
            Asked {
                bot: Some("st-1".into()),
                limit: 20,
                skip: 40,
                forward: true,
                line,
                client: Client::Published
            }
        );
        assert_eq!(read("msgId=1795329732228").line, None);
    }
}
