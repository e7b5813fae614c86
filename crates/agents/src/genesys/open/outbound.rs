//! Entry → requests. A line may be several messages: long words are cut, and each file is a message of its own.

use interline_connector::files::Carried;
use interline_connector::http::Request;
use interline_connector::{Failure, Item, formats};

use super::wire::{
    Accepted, Attachment, Channel, ChannelMetadata, Content, Event, EventType, From, IdType, Message,
    Receipt, ReceiptChannel,
};
use super::{Integration, api, seats};
use crate::genesys::{travel, words};

/// One message of a line.
pub(super) enum Part<'a> {
    /// Words.
    Words(&'a str),
    /// A file, which the vendor's machine fetches.
    File(&'a Carried),
}

/// What the first message tells beside its words.
pub(super) struct Opening<'a> {
    pub attributes: &'a std::collections::BTreeMap<String, String>,
    pub item: &'a Item,
    pub name: &'a str,
}

/// The messages of a line.
pub(super) fn parts<'a>(words: &'a str, files: &'a [Carried]) -> Vec<Part<'a>> {
    let words = words::pieces(words).into_iter().map(Part::Words);
    words.chain(files.iter().filter(|carried| carried.fits).map(Part::File)).collect()
}

impl Integration {
    /// Sends one message. `id` is its own id at our side: the same for every repetition.
    pub(super) async fn send(
        &self,
        address: &str,
        id: &str,
        part: &Part<'_>,
        opening: Option<&Opening<'_>>,
    ) -> Result<Accepted, Failure> {
        let profile = opening.map(|opening| &opening.item.conversation.customer.profile);
        let text =
            |value: Option<&'_ Option<String>>| value.and_then(|value| value.as_deref()).map(str::to_owned);
        let (first, last) = (text(profile.map(|it| &it.first_name)), text(profile.map(|it| &it.last_name)));
        let email = text(profile.map(|it| &it.email));
        let from = From {
            id: address,
            id_type: IdType::Opaque,
            nickname: opening.map(|opening| opening.name),
            first_name: first.as_deref(),
            last_name: last.as_deref(),
            email: email.as_deref(),
        };
        let attributes =
            opening.map(|opening| opening.attributes).filter(|attributes| !attributes.is_empty());
        let metadata = attributes.map(|custom_attributes| ChannelMetadata { custom_attributes });
        let channel = Channel { message_id: Some(id), from, time: travel::now(), metadata };
        let message = match part {
            Part::Words(text) => Message { channel, text: Some(text), content: Vec::new() },
            Part::File(carried) => Message { channel, text: None, content: vec![content(carried)] },
        };
        let path = format!(
            "api/v2/conversations/messages/{}/inbound/open/message?prefetchConversationId=true",
            self.settings.integration_id
        );
        let url = self.api.at(&path)?;
        let body = self.api.ask(|| Request::post(url.clone()).json(&message)).await?;
        // It was taken, whatever the answer says beside.
        let accepted: Accepted = api::read(&body).unwrap_or_default();
        let conversation_id = accepted.conversation_id.filter(|id| seats::is_id(id));
        Ok(Accepted { conversation_id, ..accepted })
    }

    /// The customer types: told if there is room.
    pub(super) async fn tell_typing(&self, address: &str) {
        let from = From { id: address, ..From::default() };
        let channel = Channel { message_id: None, from, time: travel::now(), metadata: None };
        let event = Event { channel, events: [EventType::Typing] };
        self.tell("event", &event).await;
    }

    /// The customer has what the agent said: told if there is room.
    pub(super) async fn tell_delivered(&self, address: &str, remote_id: &str) {
        let to = From { id: address, ..From::default() };
        let receipt = Receipt {
            id: remote_id,
            channel: ReceiptChannel { to, time: travel::now() },
            status: "Delivered",
            is_final_receipt: true,
            direction: "Outbound",
        };
        self.tell("receipt", &receipt).await;
    }

    async fn tell(&self, what: &str, body: &impl serde::Serialize) {
        let path =
            format!("api/v2/conversations/messages/{}/inbound/open/{what}", self.settings.integration_id);
        if let Ok(url) = self.api.at(&path) {
            self.api.maybe(|| Request::post(url.clone()).json(body)).await;
        }
    }

    /// The conversation is over for the customer. One that is over already is.
    pub(super) async fn disconnect(&self, conversation: &str) -> Result<(), Failure> {
        let url = self.api.at(&format!("api/v2/conversations/messages/{conversation}"))?;
        let body = serde_json::json!({ "state": "disconnected" });
        let make = || Request::new(::http::Method::PATCH, url.clone()).json(&body);
        match self.api.ask(make).await {
            Ok(_) | Err(Failure::Gone(_)) => Ok(()),
            // Doing it twice does no harm.
            Err(Failure::Uncertain(cause)) => Err(Failure::Retry { after_ms: None, cause }),
            Err(other) => Err(other),
        }
    }
}

fn content(carried: &Carried) -> Content<'_> {
    let file = &carried.file;
    let media_type = match formats::wire_kind(&file.name) {
        "image" => "Image",
        "audio" => "Audio",
        "video" => "Video",
        _ => "File",
    };
    Content {
        attachment: Attachment {
            id: file.id.as_str(),
            media_type,
            url: carried.fetch.as_str(),
            mime: &file.mime,
            filename: &file.name,
            sha256: &file.sha256,
        },
    }
}
