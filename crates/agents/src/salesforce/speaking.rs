//! What the customer says goes out.

use interline_connector::channel::Mark;
use interline_connector::{Aside, Carried, Cause, Done, Failure, Item};
use interline_core::Body;
use interline_core::transfer::Reason;

use super::inbound::{Meaning, meaning};
use super::opening::id_of;
use super::session::Talk;

/// A message is split above this, in characters.
const LONGEST: usize = 4_000;
/// The vendor takes about 8 kB in one request; so much of it may be the words, as JSON has them.
const HEAVIEST: usize = 7_000;
/// What may have arrived is looked for from so long before the line was said on, milliseconds: clocks differ.
const LOOK_BACK: i64 = 600_000;

/// A part of what the customer said: each is a message of its own.
enum Part<'a> {
    Words(&'a str),
    File(&'a Carried),
}

impl Talk<'_> {
    /// Delivers. None: not now, the vendor takes no more; [`Talk::free`] says when.
    pub async fn deliver(&mut self, item: &Item) -> Result<Option<Done>, Failure> {
        match &item.entry.body {
            // The conversation is there.
            Body::Open => {
                let words = self.document.first_words(item).unwrap_or_default();
                let parts = split(&words).into_iter().map(Part::Words).collect();
                match self.send_all(item, parts, 1).await {
                    // A first message that is not taken is not worth losing a hand-over for.
                    Err(Failure::Refused(cause)) => {
                        tracing::info!(code = cause.code, "the first message was not taken");
                        Ok(Some(self.done(Vec::new())))
                    }
                    result => result,
                }
            }
            Body::Text(_) if self.over => {
                Err(Failure::Gone(Cause::new(Reason::AgentLost, "the session is over")))
            }
            Body::Text(text) => {
                let mut parts: Vec<Part<'_>> = split(&text.text).into_iter().map(Part::Words).collect();
                parts.extend(item.files.iter().map(Part::File));
                self.send_all(item, parts, 0).await
            }
            Body::Close { .. } => {
                self.over = true;
                if !self.closed {
                    self.at.close(&self.key).await?;
                    self.closed = true;
                }
                Ok(Some(Done::default()))
            }
            Body::ReturnPackage(_)
            | Body::TurnDone(_)
            | Body::Voice(_)
            | Body::Work { .. }
            | Body::Opened
            | Body::Queued { .. }
            | Body::AgentJoined { .. }
            | Body::AgentLeft
            | Body::Closed
            | Body::Note(_) => Ok(Some(Done::default())),
        }
    }

    /// Part by part. What is known to have arrived is not sent again. `first`: the number of the first part.
    async fn send_all(
        &mut self,
        item: &Item,
        parts: Vec<Part<'_>>,
        first: usize,
    ) -> Result<Option<Done>, Failure> {
        if self.unsure && !parts.is_empty() {
            self.look_up(item.entry.at.0.saturating_sub(LOOK_BACK)).await?;
        }
        let key = item.key();
        let mut remote_ids = Vec::new();
        for (number, part) in parts.iter().enumerate() {
            let id = id_of(&key, first + number).to_string();
            if !self.there.contains(&id) {
                if let Err(free) = self.sent.take() {
                    self.free = Some(free);
                    return Ok(None);
                }
                self.send(&id, part).await?;
                self.there.insert(id.clone());
            }
            remote_ids.push(id);
        }
        self.there.clear();
        self.limited = 0;
        Ok(Some(self.done(remote_ids)))
    }

    async fn send(&mut self, id: &str, part: &Part<'_>) -> Result<(), Failure> {
        match self.try_send(id, part).await {
            // The token may be taken for another's: once more with a new one.
            Err(Failure::Unauthorized(cause)) => match self.renewed().await {
                true => self.try_send(id, part).await,
                false => Err(Failure::Unauthorized(cause)),
            },
            result => result,
        }
    }

    async fn try_send(&self, id: &str, part: &Part<'_>) -> Result<(), Failure> {
        let carried = match part {
            Part::Words(words) => return self.at.say(&self.key, id, words).await,
            Part::File(carried) => carried,
        };
        if carried.fits && self.document.files {
            let bytes = carried.source.0.read(&self.at.env.app, &carried.file).await;
            let bytes = bytes.map_err(|broken| Failure::Retry {
                after_ms: None,
                cause: Cause::new(Reason::Unreachable, broken.0),
            })?;
            match self.at.file(&self.key, id, &carried.file, bytes).await {
                // What is no good as a file is good as a link: too large for it, not its kind, not allowed there.
                Err(Failure::Refused(_) | Failure::Unauthorized(_)) => {}
                result => return result,
            }
        }
        self.at.say(&self.key, id, &carried.in_words()).await
    }

    /// Which of our messages are there.
    async fn look_up(&mut self, since: i64) -> Result<(), Failure> {
        let entries = self.at.entries(&self.key, since, Some("Message")).await?;
        for entry in entries.iter().flatten() {
            if let Some(Meaning::Echo(id)) = meaning(entry, &self.at.settings).into_iter().next() {
                self.there.insert(id);
            }
        }
        self.unsure = false;
        Ok(())
    }

    pub async fn aside(&mut self, aside: &Aside) {
        if self.over {
            return;
        }
        match aside {
            Aside::Typing(on) => self.at.typing(&self.key, *on).await,
            Aside::Receipt { mark, remote_id: Some(entry), .. } => {
                self.at.acknowledge(&self.key, entry, *mark == Mark::Read).await;
            }
            Aside::Receipt { remote_id: None, .. } => {}
        }
    }
}

/// In pieces that the vendor takes, behind a space where there is one. Together they are the whole.
fn split(text: &str) -> Vec<&str> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let end = fitting(rest);
        let space = rest[..end].char_indices().rfind(|(_, c)| c.is_whitespace());
        let behind = space.map(|(at, c)| at + c.len_utf8()).filter(|at| *at > end / 2);
        let (piece, later) = rest.split_at(if end == rest.len() { end } else { behind.unwrap_or(end) });
        pieces.push(piece);
        rest = later;
    }
    pieces
}

/// How many bytes of a text go into one message.
fn fitting(text: &str) -> usize {
    let mut weight = 0;
    let over = text.char_indices().enumerate().find(|(count, (_, c))| {
        weight += match c {
            '"' | '\\' | '\n' | '\r' | '\t' => 2,
            c if c.is_control() => 6,
            c => c.len_utf8(),
        };
        *count >= LONGEST || weight > HEAVIEST
    });
    over.map_or(text.len(), |(_, (at, _))| at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_small_enough_and_lose_nothing() {
        let texts = [
            String::new(),
            "short".into(),
            "word ".repeat(3_000),
            "x".repeat(9_001),
            "日本語の長い文章。".repeat(2_000),
            "👩‍👩‍👧 \"\\\n".repeat(1_500),
            "\u{1}".repeat(5_000),
        ];
        for text in texts {
            let pieces = split(&text);
            assert_eq!(pieces.concat(), text);
            for piece in pieces {
                assert!(!piece.is_empty() && piece.chars().count() <= LONGEST);
                let json = serde_json::to_string(piece).expect("JSON");
                assert!(json.len() <= HEAVIEST + 2, "{}", json.len());
            }
        }
        assert!(split(&"word ".repeat(3_000)).iter().all(|piece| piece.ends_with(' ')));
    }
}
