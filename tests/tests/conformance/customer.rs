//! A customer in the web chat, and everything that came down their socket.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use interline_tests::files::Attached;
use interline_tests::now_ms;
use interline_tests::web::{Frame, RawHook, Site, Socket};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio_tungstenite::tungstenite::Message;

use crate::world::SOON;
use interline_tests::document as app;

/// A frame, and what it was made from.
#[derive(Debug, Clone)]
pub struct Came {
    /// What it is.
    pub frame: Frame,
    /// As it came.
    pub raw: Value,
}

/// A customer with an open chat.
pub struct Customer {
    /// The address: the subject of the login.
    pub name: String,
    /// The access token.
    pub token: String,
    site: Site,
    socket: Socket,
    came: Arc<Mutex<Vec<Came>>>,
    news: watch::Sender<usize>,
    last_id: u64,
}

impl Customer {
    /// Logs in, opens the chat and is welcomed.
    pub async fn open(site: Site, name: &str) -> Result<Self> {
        Self::known(site, name, json!({})).await
    }

    /// With more said of them by the login.
    pub async fn known(site: Site, name: &str, claims: Value) -> Result<Self> {
        let now = now_ms() / 1000;
        let mut all = json!({
            "iss": site.app.client_id, "sub": name, "aud": "https://idproxy.kore.ai/authorize",
            "iat": now, "exp": now + 3600, "isAnonymous": false,
        });
        for (claim, value) in claims.as_object().into_iter().flatten() {
            all[claim] = value.clone();
        }
        let answer = site.grant(&site.app.sign(&all)).await?;
        let token = answer.json()["authorization"]["accessToken"].as_str().map(str::to_owned);
        let token = token.with_context(|| format!("jwtgrant: {}", answer.text()))?;
        let (came, news) = (Arc::default(), watch::Sender::new(0));
        let socket = site.open_raw(&token, false, hook(&came, &news)).await?;
        let customer = Self { name: name.to_owned(), token, site, socket, came, news, last_id: 0 };
        customer.sees(app::WELCOME).await?;
        Ok(customer)
    }

    /// Comes back after the connection was lost, as the client does: what is missed is told again.
    pub async fn reconnect(&mut self) -> Result<()> {
        self.socket = self.site.open_raw(&self.token, true, hook(&self.came, &self.news)).await?;
        Ok(())
    }

    // ── says ─────────────────────────────────────────────────────────────────────────────────────────────────────

    /// An id for the next line: a millisecond clock, as the client has it.
    pub fn fresh_id(&mut self) -> u64 {
        self.last_id = now_ms().max(self.last_id + 1);
        self.last_id
    }

    /// Says something, and knows that it was taken.
    pub async fn say(&mut self, text: &str) -> Result<()> {
        let id = self.fresh_id();
        self.tell(id, text).await
    }

    /// [`Customer::say`] under an id, perhaps once more.
    pub async fn tell(&mut self, id: u64, text: &str) -> Result<()> {
        self.socket.tell(id, text).await.with_context(|| format!("{} says {text:.40}", self.name))
    }

    /// Sends files.
    pub async fn send_files(&mut self, text: &str, files: &[Attached]) -> Result<()> {
        let id = self.fresh_id();
        self.socket.tell_with(id, text, files).await
    }

    /// An event of the agent plug-in: typing, receipts, the end.
    pub async fn event(&mut self, event: &str, about: Option<&str>) -> Result<()> {
        let mut frame = json!({
            "event": event, "message": { "body": "", "type": "" }, "clientMessageId": self.fresh_id(),
            "resourceid": "/bot.message",
        });
        if let Some(id) = about {
            frame["messageId"] = id.into();
        }
        self.socket.send(Message::text(frame.to_string())).await
    }

    // ── sees ─────────────────────────────────────────────────────────────────────────────────────────────────────

    /// Everything that came.
    pub fn came(&self) -> Vec<Came> {
        self.came.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The lines on the screen: a client draws each id once.
    pub fn drawn(&self) -> Vec<(String, bool)> {
        let mut seen = std::collections::HashSet::new();
        let line = |came: Came| match came.frame {
            Frame::Line { id, text, agent } => Some((id, text, agent)),
            Frame::Ack(_) | Frame::Event(_) => None,
        };
        let all = self.came().into_iter().filter_map(line);
        all.filter(|(id, ..)| seen.insert(id.clone())).map(|(_, text, agent)| (text, agent)).collect()
    }

    /// All lines on the screen.
    pub fn lines(&self) -> Vec<String> {
        self.drawn().into_iter().map(|(text, _)| text).collect()
    }

    /// The agent's lines that hold one of these words, in order: a stand-in may say something of its own.
    pub fn said_by_agent(&self, holding: &str) -> Vec<String> {
        let agents = self.drawn().into_iter().filter(|(text, agent)| *agent && text.contains(holding));
        agents.map(|(text, _)| text).collect()
    }

    /// Waits until something is so.
    pub async fn until<T>(&self, what: &str, so: impl FnMut(&Self) -> Option<T>) -> Result<T> {
        self.until_within(SOON, what, so).await
    }

    /// [`Customer::until`], so long.
    pub async fn until_within<T>(
        &self,
        time: Duration,
        what: &str,
        mut so: impl FnMut(&Self) -> Option<T>,
    ) -> Result<T> {
        let mut news = self.news.subscribe();
        let looking = async {
            loop {
                news.mark_unchanged();
                if let Some(found) = so(self) {
                    return found;
                }
                if news.changed().await.is_err() {
                    std::future::pending::<()>().await;
                }
            }
        };
        match tokio::time::timeout(time, looking).await {
            Ok(found) => Ok(found),
            Err(_) => bail!("{}: {what}: it did not come; there is {:?}", self.name, self.lines()),
        }
    }

    /// Waits for a line that holds these words.
    pub async fn sees(&self, words: &str) -> Result<()> {
        self.sees_times(words, 1).await
    }

    /// Waits until so many lines hold these words.
    pub async fn sees_times(&self, words: &str, times: usize) -> Result<()> {
        let so = |this: &Self| (this.count(words) >= times).then_some(());
        self.until(words, so).await
    }

    /// How many lines hold these words.
    pub fn count(&self, words: &str) -> usize {
        self.lines().iter().filter(|line| line.contains(words)).count()
    }

    /// Nothing came doubled.
    pub fn sees_once(&self, words: &str) -> Result<()> {
        ensure!(self.count(words) == 1, "{words:?} came {} times: {:?}", self.count(words), self.lines());
        Ok(())
    }

    /// Waits for an event.
    pub async fn sees_event(&self, event: &str) -> Result<Value> {
        self.until(event, |this| {
            let wanted = |came: &Came| matches!(&came.frame, Frame::Event(kind) if kind == event);
            this.came().into_iter().find(wanted).map(|came| came.raw)
        })
        .await
    }
}

fn hook(came: &Arc<Mutex<Vec<Came>>>, news: &watch::Sender<usize>) -> RawHook {
    let (came, news) = (came.clone(), news.clone());
    Arc::new(move |frame, raw| {
        let raw = serde_json::from_str(raw).unwrap_or_default();
        came.lock().unwrap_or_else(PoisonError::into_inner).push(Came { frame, raw });
        news.send_modify(|count| *count += 1);
    })
}
