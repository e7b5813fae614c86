//! What comes to the webhook: proven by its signature, then read. And the trigger, which only makes us look.

use std::time::Duration;

use ::http::{HeaderMap, Method};
use hmac::{Hmac, KeyInit as _, Mac as _};
use interline_connector::channel::Mark;
use interline_connector::webhook::{Proof, Unverified};
use interline_connector::{Answer, Heard, Incoming, Received, Rejected, UpTo};
use interline_core::conversation::entry::Text;
use interline_core::conversation::input::AgentEvent;
use interline_core::{ConversationId, ParticipantNo};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use url::Url;

use super::wire::{Outbound, OutboundChannel};
use super::{Integration, address};
use crate::genesys::words;

/// The most a call may weigh. The vendor's lines have 2,000 characters; a carousel is the largest of what is beside.
const LARGEST: usize = 512 * 1024;
/// A message brings at most so many files.
const FILES: usize = 10;
/// An indicator that does not say how long it is good for, and the longest that is believed.
const TYPING: Duration = Duration::from_secs(5);
const LONG_TYPING: Duration = Duration::from_secs(30);
/// The trigger's header.
const SECRET: &str = "x-interline-secret";

impl Integration {
    pub(super) fn understand(&self, request: &Unverified) -> Result<Received, Rejected> {
        if !request.secret_part {
            return Err(refuse(404, "there is no such integration"));
        }
        if request.method != Method::POST {
            return Err(refuse(405, "only POST is taken here"));
        }
        if request.body.len() > LARGEST {
            return Err(refuse(413, "the body is too large"));
        }
        match request.path.as_str() {
            "" => self.webhook(request),
            "trigger" => self.trigger(request),
            _ => Err(refuse(404, "there is nothing at this address")),
        }
    }

    fn webhook(&self, request: &Unverified) -> Result<Received, Rejected> {
        if !is_signed(&request.headers, &request.body, self.settings.signature_secret.expose()) {
            return Err(refuse(401, "the signature is missing or not this integration's"));
        }
        let told: Outbound = serde_json::from_slice(&request.body)
            .map_err(|_| refuse(400, "this is no message of Genesys"))?;
        if told
            .channel
            .id
            .as_deref()
            .is_some_and(|id| !id.eq_ignore_ascii_case(&self.settings.integration_id))
        {
            return Err(refuse(400, "this is another integration's message"));
        }
        let Some((to, conversation, participant)) = whose(&told.channel) else {
            return Err(refuse(404, "channel.to.id is nobody we handed over"));
        };
        let heard = match told.kind.as_str() {
            "Text" | "Structured" | "Message" => self.said(&told, &to, conversation, participant)?,
            "Event" => self.events(&told, &to, &conversation, participant),
            "Receipt" => receipt(&told, conversation, participant),
            // Not known, so it is neither success nor failure.
            _ => None,
        };
        Ok(received(Proof::Signature, heard))
    }

    fn said(
        &self,
        told: &Outbound,
        to: &str,
        conversation: ConversationId,
        participant: ParticipantNo,
    ) -> Result<Option<Heard>, Rejected> {
        let files = attachments(&told.content)?;
        let text = Text::plain(words::of_message(told.text.as_deref(), &told.content));
        if text.is_empty() && files.is_empty() {
            return Ok(None);
        }
        let event = AgentEvent::Said { text, name: self.seats.agent(to) };
        let external_id = Some(told.id.clone()).filter(|id| !id.is_empty() && id.len() <= 255);
        Ok(Some(Heard::Event { conversation, participant, external_id, event, files }))
    }

    fn events(
        &self,
        told: &Outbound,
        to: &str,
        conversation: &ConversationId,
        participant: ParticipantNo,
    ) -> Option<Heard> {
        let typing = told.events.iter().find(|event| event["eventType"] == "Typing")?;
        let ms = typing["typing"]["duration"].as_u64().map_or(TYPING, Duration::from_millis);
        self.seats.types(to, ms.min(LONG_TYPING));
        Some(Heard::Typing { conversation: conversation.clone(), participant, on: true })
    }

    /// A data action of the tenant's says that something happened. It is looked up, so nothing of it is believed.
    fn trigger(&self, request: &Unverified) -> Result<Received, Rejected> {
        let secret =
            self.settings.trigger_secret.as_ref().ok_or_else(|| refuse(404, "there is no trigger"))?;
        let given = request.headers.get(SECRET).map(|value| value.as_bytes()).unwrap_or_default();
        // Of equal length whatever was given, so comparing tells nothing of the secret.
        let same = Sha256::digest(given) == Sha256::digest(secret.expose().as_bytes());
        if !same {
            return Err(refuse(401, "the trigger's secret is wrong"));
        }
        let body: Value =
            serde_json::from_slice(&request.body).map_err(|_| refuse(400, "the body is not JSON"))?;
        let conversation =
            body["conversationId"].as_str().ok_or_else(|| refuse(400, "conversationId is missing"))?;
        let known = self.seats.tell_conversation(conversation, |told| told.look = true);
        Ok(Received {
            proof: Proof::SharedSecret,
            heard: Vec::new(),
            answer: Answer::ok(json!({ "known": known })),
        })
    }
}

fn received(proof: Proof, heard: Option<Heard>) -> Received {
    Received { proof, heard: heard.into_iter().collect(), answer: Answer::ok(json!({})) }
}

/// The customer it is for, or that a receipt is about.
fn whose(channel: &OutboundChannel) -> Option<(String, ConversationId, ParticipantNo)> {
    let ids = [&channel.to, &channel.from].into_iter().flatten().filter_map(|party| party.id.as_deref());
    ids.filter_map(|id| address::read(id).map(|(conversation, no)| (id.to_owned(), conversation, no))).next()
}

fn receipt(told: &Outbound, conversation: ConversationId, participant: ParticipantNo) -> Option<Heard> {
    let mark = match told.status.as_deref()? {
        "Delivered" => Mark::Delivered,
        "Read" => Mark::Read,
        // The vendor tried for itself before it says so: it is final.
        "Failed" => {
            let code = told.reasons.first().and_then(|reason| reason["code"].as_str()).unwrap_or("unknown");
            let code = code.chars().filter(char::is_ascii_alphanumeric).take(40).collect();
            return Some(Heard::Refused { conversation, participant, remote_id: told.id.clone(), code });
        }
        _ => return None,
    };
    Some(Heard::Receipt { conversation, participant, mark, up_to: UpTo::Remote(told.id.clone()) })
}

/// The files of a message. Their addresses are good for a short while: the engine fetches them before it answers.
fn attachments(content: &[Value]) -> Result<Vec<Incoming>, Rejected> {
    let attached =
        content.iter().filter(|one| one["contentType"] == "Attachment").map(|one| &one["attachment"]);
    let mut files = Vec::new();
    for attachment in attached {
        let url = attachment["url"].as_str().and_then(|url| Url::parse(url).ok());
        let url = url.filter(|url| matches!(url.scheme(), "http" | "https"));
        let url = url.ok_or_else(|| refuse(400, "an attachment's url is not an http or https address"))?;
        let name = attachment["filename"].as_str().filter(|name| !name.is_empty()).map(str::to_owned);
        files.push(Incoming { name, url, headers: HeaderMap::new() });
    }
    if files.len() > FILES { Err(refuse(400, "a message brings at most 10 attachments")) } else { Ok(files) }
}

/// Whether `X-Hub-Signature-256` is the HMAC-SHA256 of the exact bytes. The vendor writes it in base64; receivers have seen
/// hexadecimal too, so both are read.
fn is_signed(headers: &HeaderMap, body: &[u8], secret: &str) -> bool {
    let given = headers.get("x-hub-signature-256").and_then(|value| value.to_str().ok());
    let Some(given) = given.and_then(|value| value.trim().strip_prefix("sha256=")) else { return false };
    let Ok(mac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) else { return false };
    let mac = mac.chain_update(body);
    // Each comparison takes the same time wherever they differ.
    [decode_hex(given), decode_base64(given)]
        .into_iter()
        .flatten()
        .any(|given| mac.clone().verify_slice(&given).is_ok())
}

fn decode_base64(text: &str) -> Option<Vec<u8>> {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.decode(text).ok()
}

fn decode_hex(text: &str) -> Option<Vec<u8>> {
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    (0..64).step_by(2).map(|at| u8::from_str_radix(text.get(at..at + 2)?, 16).ok()).collect()
}

fn refuse(status: u16, message: &str) -> Rejected {
    Rejected(Answer::error(status, message))
}
