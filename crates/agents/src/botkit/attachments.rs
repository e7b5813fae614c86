//! Files on BotKit's wire. The vendor documents none, so both ways use a place that its SDK keeps and sends back:
//! `channel.channelInfos.attachments`, beside the `body` that the web client's words are in. A payload's other unknown fields
//! are dropped by the SDK.
//!
//! The trap: a bot file sends the whole payload back, so what we sent comes again. Ours have a `fileId` that begins with
//! `fil_`, and are passed over: the files of a line travel with the line.

use ::http::HeaderMap;
use interline_connector::files::megabytes;
use interline_connector::formats;
use interline_connector::{Answer, Carried, Incoming, Rejected};
use interline_core::conversation::entry::Text;
use serde_json::Value;
use url::Url;

use super::wire::{Attachment, Callback};

/// A callback brings at most so many.
const MOST: usize = 10;

/// The files of a line, for the event. One that is more than BotKit is said to take stands in words alone.
pub(super) fn outgoing(files: &[Carried]) -> Vec<Attachment> {
    files.iter().filter(|carried| carried.fits).map(attachment).collect()
}

fn attachment(carried: &Carried) -> Attachment {
    let Carried { file, page, fetch, .. } = carried;
    Attachment {
        file_id: file.id.as_str().to_owned(),
        file_name: file.name.clone(),
        file_type: formats::wire_kind(&file.name),
        file_url: page.clone(),
        download_url: fetch.clone(),
        size: megabytes(file.size),
        bytes: file.size,
        mime: file.mime.clone(),
        warning: file.warning.clone(),
    }
}

/// A line for each file, for an agent: a bot file that knows no files relays them with the words.
pub(super) fn links(files: &[Carried]) -> String {
    files.iter().map(Carried::in_words).collect::<Vec<_>>().join("\n")
}

/// Words, and below them the lines of [`links`].
pub(super) fn with_links(words: &str, links: &str) -> String {
    let parts = [words, links].into_iter().filter(|part| !part.is_empty());
    parts.collect::<Vec<_>>().join("\n")
}

/// The words of a line with the names of its files: for a history, where links would grow old.
pub(super) fn with_names(text: &Text) -> String {
    let names = text.files.iter().map(|file| format!("[file: {}]", file.name));
    let parts = std::iter::once(text.text.clone()).filter(|words| !words.is_empty()).chain(names);
    parts.collect::<Vec<_>>().join(" ")
}

/// The files that a callback brings: in the payload's place for them, or beside the message where somebody posts by hand.
pub(super) fn incoming(body: &Callback) -> Result<Vec<Incoming>, Rejected> {
    let in_channel = body.channel.pointer("/channelInfos/attachments");
    let lists = [Some(&body.attachments), in_channel].into_iter().flatten().filter(|list| !list.is_null());
    let mut files = Vec::new();
    for list in lists {
        let list = list.as_array().ok_or_else(|| refuse("attachments is not a list"))?;
        for one in list {
            let is_ours = one["fileId"].as_str().is_some_and(|id| id.starts_with("fil_"));
            if !is_ours {
                files.push(read(one)?);
            }
        }
    }
    if files.len() > MOST {
        return Err(refuse("a message brings at most 10 attachments"));
    }
    Ok(files)
}

fn read(one: &Value) -> Result<Incoming, Rejected> {
    let name = match &one["fileName"] {
        Value::String(name) if !name.is_empty() => Some(name.clone()),
        Value::String(_) | Value::Null => None,
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            return Err(refuse("an attachment's fileName is not a text"));
        }
    };
    let url = one["fileUrl"].as_str().and_then(|url| Url::parse(url).ok());
    let url = url.filter(|url| matches!(url.scheme(), "http" | "https"));
    let url = url.ok_or_else(|| refuse("an attachment's fileUrl is not an http or https address"))?;
    Ok(Incoming { name, url, headers: HeaderMap::new() })
}

fn refuse(message: &str) -> Rejected {
    Rejected(Answer::error(400, message))
}
