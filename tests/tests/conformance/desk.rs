//! The agents of a stand-in, and what they see.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result, ensure};
use interline_connector::simulator::{self, By, Chat, ChatState, Clock, Faults, Line};
use interline_tests::http::Answer;
use interline_tests::office::Office;
use serde_json::{Value, json};

use crate::world::SOON;

/// The agents.
pub struct Desk {
    /// Where they sit.
    pub office: Office,
    /// Chats that a test has been told of.
    known: Mutex<HashSet<String>>,
}

impl Desk {
    /// Those of an office.
    pub fn of(office: Office) -> Self {
        Self { office, known: Mutex::default() }
    }

    fn inner(&self) -> &simulator::Desk {
        self.office.desk()
    }

    /// Whether its agents can do that.
    pub fn can(&self, act: &str) -> bool {
        self.office.can(act)
    }

    /// What goes wrong on purpose.
    pub fn faults(&self) -> &Faults {
        self.inner().faults()
    }

    /// Its clock.
    pub fn clock(&self) -> &Clock {
        self.inner().clock()
    }

    // ── acts ─────────────────────────────────────────────────────────────────────────────────────────────────────

    /// Does something that need not work.
    pub async fn tries(&self, chat: &str, act: &str, what: &Value) -> Result<Answer> {
        self.office.act(&mut self.office.connect(), chat, act, what).await
    }

    /// Does something that must work.
    pub async fn acts(&self, chat: &str, act: &str, what: Value) -> Result<()> {
        let answer = self.tries(chat, act, &what).await?;
        ensure!(answer.ok(), "the agent cannot {act}: {} {}\n{}", answer.status, answer.text(), self.story());
        Ok(())
    }

    /// Says something.
    pub async fn says(&self, chat: &str, text: &str) -> Result<()> {
        self.acts(chat, "say", json!({ "text": text })).await
    }

    /// Takes a chat, where agents do.
    pub async fn accepts(&self, chat: &str) -> Result<()> {
        if self.can("accept") { self.acts(chat, "accept", json!({})).await } else { Ok(()) }
    }

    /// Ends it.
    pub async fn ends(&self, chat: &str) -> Result<()> {
        self.acts(chat, "end", json!({})).await
    }

    // ── sees ─────────────────────────────────────────────────────────────────────────────────────────────────────

    /// Waits for a chat that the test has not been told of.
    pub async fn next_chat(&self) -> Result<String> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let new = |desk: &simulator::Desk| desk.chats().into_iter().find(|chat| !known.contains(&chat.id));
        let chat = self.inner().until(SOON, new).await;
        let chat = chat.with_context(|| format!("no hand-over came to the desk\n{}", self.story()))?;
        self.known.lock().unwrap_or_else(PoisonError::into_inner).insert(chat.id.clone());
        Ok(chat.id)
    }

    /// A chat.
    pub fn chat(&self, id: &str) -> Result<Chat> {
        self.inner().chat(id).with_context(|| format!("there is no chat {id}"))
    }

    /// How many chats there are.
    pub fn count(&self) -> usize {
        self.inner().chats().len()
    }

    /// Waits until a chat is so.
    pub async fn until<T>(&self, what: &str, id: &str, so: impl Fn(&Chat) -> Option<T>) -> Result<T> {
        let found = self.inner().until(SOON, |desk| desk.chat(id).as_ref().and_then(&so)).await;
        found.with_context(|| format!("{what}: it did not happen at the desk\n{}", self.story()))
    }

    /// Waits for a line of the customer's that holds these words.
    pub async fn sees(&self, id: &str, words: &str) -> Result<()> {
        self.until(words, id, |chat| (!heard(chat, words).is_empty()).then_some(())).await
    }

    /// It came once.
    pub fn sees_once(&self, id: &str, words: &str) -> Result<()> {
        let times = heard(&self.chat(id)?, words).len();
        ensure!(times == 1, "{words:?} came {times} times to the desk:\n{}", self.story());
        Ok(())
    }

    /// The customer's lines that hold these words, in order.
    pub fn heard(&self, id: &str, holding: &str) -> Result<Vec<String>> {
        Ok(heard(&self.chat(id)?, holding))
    }

    /// Waits until the desk knows that a chat is over: it is closed there, or a line says so.
    pub async fn until_over(&self, id: &str, lines_before: usize) -> Result<()> {
        let over = |chat: &Chat| {
            let told = chat.lines.len() > lines_before;
            (chat.state == ChatState::Over || told).then_some(())
        };
        self.until("the agent learns that it is over", id, over).await
    }

    /// All that it saw, for a person.
    pub fn story(&self) -> String {
        let mut story = String::new();
        for chat in self.inner().chats() {
            story += &format!("  {} {:?} {:?} {:?}\n", chat.id, chat.state, chat.agent, chat.context);
            for line in &chat.lines {
                let failed = line.failed.as_deref().unwrap_or_default();
                story += &format!("    {:?}: {:.200} {:?} {failed}\n", line.by, line.text, line.files);
            }
        }
        let calls: Vec<String> = self
            .inner()
            .log()
            .all()
            .iter()
            .map(|logged| {
                format!("    {:?} {} {} {}", logged.direction, logged.method, logged.path, logged.status)
            })
            .collect();
        story + &format!("  the wire:\n{}\n", calls[calls.len().saturating_sub(40)..].join("\n"))
    }
}

fn heard(chat: &Chat, holding: &str) -> Vec<String> {
    let of_customer = |line: &&Line| line.by == By::Customer && !line.before && line.text.contains(holding);
    chat.lines.iter().filter(of_customer).map(|line| line.text.clone()).collect()
}
