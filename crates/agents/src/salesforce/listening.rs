//! What the org tells comes in.

use interline_connector::http::Event;
use interline_connector::{Failure, FileRefused, Incoming, Link, UpTo};
use interline_core::conversation::entry::Text;
use interline_core::conversation::input::AgentEvent;
use interline_core::transfer::Failure as Typed;
use url::Url;

use super::inbound::{Meaning, Said, known_as, meaning};
use super::opening::id_of;
use super::session::{Talk, since_1970};
use super::wire::{Entry, Envelope};

/// The session document is saved after so many events that changed nothing else of it.
const SAVE_AFTER: usize = 20;
/// No id of an event is longer.
const LONGEST_ID: usize = 200;
/// In milliseconds.
const HOUR: i64 = 3_600_000;

impl Talk<'_> {
    pub async fn event(&mut self, link: &mut dyn Link, event: Event) {
        // What is not an envelope of ours concerns nobody: pings, kinds that are new, other conversations.
        if let Ok(envelope) = serde_json::from_str::<Envelope>(&event.data)
            && envelope.conversation_id == self.document.conversation
        {
            self.entry(link, &envelope.conversation_entry).await;
        }
        // An id that no header can hold would keep us from ever coming back.
        let fits =
            |id: &String| (1..=LONGEST_ID).contains(&id.len()) && id.chars().all(|c| c.is_ascii_graphic());
        let Some(id) = event.id.filter(fits) else { return };
        self.document.last_event = id;
        self.unsaved += 1;
        if self.unsaved >= SAVE_AFTER {
            self.unsaved = 0;
            link.save(self.document.write()).await;
        }
    }

    /// What happened while nobody listened. The engine knows again what it heard before. False: there is no such conversation.
    pub async fn catch_up(&mut self, link: &mut dyn Link) -> Result<bool, Failure> {
        let Some(entries) = self.at.entries(&self.key, self.document.seen_at, None).await? else {
            return Ok(false);
        };
        for entry in &entries {
            self.entry(link, entry).await;
        }
        Ok(true)
    }

    async fn entry(&mut self, link: &mut dyn Link, entry: &Entry) {
        // A moment that is far in the future would hide all that comes.
        let soon = i64::try_from(since_1970().as_millis()).unwrap_or(i64::MAX).saturating_add(HOUR);
        if entry.at() <= soon {
            self.document.seen_at = self.document.seen_at.max(entry.at());
        }
        let known = known_as(&entry.identifier);
        for (part, meaning) in meaning(entry, &self.at.settings).into_iter().enumerate() {
            // One entry can tell two things: each is known again by itself.
            let id = known.clone().map(|id| if part == 0 { id } else { format!("{id}/{part}") });
            self.means(link, id, meaning).await;
        }
    }

    async fn means(&mut self, link: &mut dyn Link, id: Option<String>, meaning: Meaning) {
        match meaning {
            Meaning::Echo(id) => {
                if self.unsure {
                    self.there.insert(id);
                }
            }
            Meaning::Said { said, name } => self.said(link, id, said, name).await,
            Meaning::OrgSaid(said) => self.org_said(link, id, said).await,
            Meaning::Joined(name) => {
                self.document.joined = true;
                link.heard(id, AgentEvent::Joined { name }).await;
            }
            Meaning::Queued(position) => link.heard(id, AgentEvent::Queued { position }).await,
            Meaning::Failed(failure) => link.heard(id, AgentEvent::Failed(failure)).await,
            Meaning::Typing(on) => link.typing(on),
            Meaning::Reached(mark, message) => link.receipt(mark, UpTo::Remote(message)).await,
            Meaning::Left => {
                if !self.over && self.left_for_good().await {
                    self.ended(link, id).await;
                }
            }
            Meaning::Over => self.ended(link, id).await,
        }
    }

    /// An agent left. For another one, if the org is routing; if it cannot be asked, for good.
    async fn left_for_good(&self) -> bool {
        let answer = self.at.conversation(&self.key).await;
        let status = answer.ok().flatten().and_then(|conversation| conversation.routing_status);
        !matches!(status.as_deref(), Some("TRANSFER" | "INITIAL" | "ROUTED"))
    }

    /// The agent's part is over. The conversation would stay open, and what the customer says next would begin another
    /// session: it is closed.
    async fn ended(&mut self, link: &mut dyn Link, id: Option<String>) {
        if !std::mem::replace(&mut self.over, true) {
            link.heard(id, AgentEvent::Ended { tag: None }).await;
            self.close().await;
        }
    }

    /// A bot of the org speaks for it: that nobody comes, or something for the customer.
    async fn org_said(&mut self, link: &mut dyn Link, id: Option<String>, said: Said) {
        let refusal =
            self.at.settings.refusals().reason(&said.words).filter(|_| !self.document.joined && !self.over);
        if let Some(reason) = refusal {
            // The session is closed by the Close that follows; its own end says nothing new.
            self.over = true;
            let code = Some("the flow's bot said so".to_owned());
            link.heard(id, AgentEvent::Failed(Typed { reason, code })).await;
        } else if self.at.settings.show_org_bot {
            self.said(link, id, said, None).await;
        }
    }

    async fn said(&mut self, link: &mut dyn Link, id: Option<String>, said: Said, name: Option<String>) {
        let mut text = Text::plain(said.words);
        for (number, (file, url)) in said.files.into_iter().enumerate() {
            match self.keep(link, file.clone(), url).await {
                Ok(file) => text.files.push(file),
                Err(refused) => {
                    let key = format!("{}/refused", id.as_deref().unwrap_or_default());
                    let words = refused.for_agent(file.as_deref());
                    self.tell_agent(&id_of(&key, number).to_string(), &words).await;
                }
            }
        }
        if !text.is_empty() {
            link.heard(id, AgentEvent::Said { text, name }).await;
        }
    }

    /// How long the address is good, nobody says: it is fetched at once.
    async fn keep(
        &self,
        link: &mut dyn Link,
        name: Option<String>,
        url: Url,
    ) -> Result<interline_core::File, FileRefused> {
        link.keep(Incoming { name, url, headers: Default::default() }).await
    }

    /// The agent learns of a refused file where they look: in the chat.
    async fn tell_agent(&mut self, id: &str, words: &str) {
        // It counts as a message; one that has no place left is not worth waiting for.
        let told = match self.sent.take() {
            Ok(()) => self.at.say(&self.key, id, words).await.map_err(|failure| failure.cause().code.clone()),
            Err(_) => Err("too many messages".to_owned()),
        };
        if let Err(code) = told {
            tracing::info!(code, "an agent was not told of a refused file");
        }
    }
}
