//! Customers and agents who say what they are told to.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use interline_tests::botkit::{BotKit, Session, Voice};
use interline_tests::now_ms;
use interline_tests::web::{Frame, Hook, Site, Socket};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::phase::Meter;

/// A customer with a socket.
pub struct Tab {
    socket: Socket,
    last_id: u64,
}

/// Everybody.
pub struct Crowd {
    pub tabs: Vec<Tab>,
    /// The human part of the tab at the same place.
    pub sessions: Vec<Session>,
}

impl Crowd {
    /// So many customers, all with an agent.
    pub async fn gather(site: &Site, botkit: &BotKit, meter: &Arc<Meter>, count: usize) -> Result<Self> {
        let tabs = customers(site, meter, count, 0).await?;
        let mut tasks = JoinSet::new();
        for (no, mut tab) in tabs.into_iter().enumerate() {
            tasks.spawn(async move {
                tab.ask(&format!("an agent for {no}")).await?;
                anyhow::Ok((no, tab))
            });
        }
        let mut tabs = tasks.join_all().await.into_iter().collect::<Result<Vec<_>>>()?;
        tabs.sort_by_key(|(no, _)| *no);
        botkit.wait_for_sessions(count, Duration::from_secs(60)).await?;
        let mut sessions: Vec<(usize, Session)> = Vec::new();
        for session in botkit.sessions() {
            let no = session.last_words.rsplit(' ').next().and_then(|no| no.parse().ok());
            sessions.push((no.context("a transfer of nobody")?, session));
        }
        sessions.sort_by_key(|(no, _)| *no);
        ensure!(sessions.len() == count, "{} transfers for {count} customers", sessions.len());
        Ok(Self {
            tabs: tabs.into_iter().map(|(_, tab)| tab).collect(),
            sessions: sessions.into_iter().map(|(_, session)| session).collect(),
        })
    }

    /// As many voices as wanted, spread over the conversations.
    pub fn voices(&self, botkit: &BotKit, count: usize) -> Result<Vec<Voice>> {
        (0..count).map(|no| botkit.voice(&self.sessions[no % self.sessions.len()])).collect()
    }
}

/// Customers `from..from + count`, connected.
pub async fn customers(site: &Site, meter: &Arc<Meter>, count: usize, from: usize) -> Result<Vec<Tab>> {
    let gate = Arc::new(Semaphore::new(32));
    let mut tasks = JoinSet::new();
    for no in from..from + count {
        let (site, meter, gate) = (site.clone(), meter.clone(), gate.clone());
        tasks.spawn(async move {
            let _turn = gate.acquire().await?;
            let token = site.log_in(&format!("customer-{no}")).await?;
            let hook: Hook = Arc::new(move |frame| {
                if let Frame::Line { text, agent: true, .. } = frame {
                    meter.heard(&text);
                }
            });
            let socket = site.open(&token, false, hook).await?;
            anyhow::Ok((no, Tab { socket, last_id: 0 }))
        });
    }
    let mut tabs = tasks.join_all().await.into_iter().collect::<Result<Vec<_>>>()?;
    tabs.sort_by_key(|(no, _)| *no);
    Ok(tabs.into_iter().map(|(_, tab)| tab).collect())
}

impl Tab {
    fn fresh_id(&mut self) -> u64 {
        self.last_id = now_ms().max(self.last_id + 1);
        self.last_id
    }

    /// Says a line; does not wait for its ack.
    pub async fn say(&mut self, words: &str) -> Result<()> {
        let id = self.fresh_id();
        self.socket.say(id, words).await
    }

    /// Says a line, and knows that it was taken.
    pub async fn ask(&mut self, words: &str) -> Result<()> {
        let id = self.fresh_id();
        self.socket.tell(id, words).await
    }

    /// Why the server closed it, if it did.
    pub async fn check(&mut self) -> Result<()> {
        ensure!(!self.socket.is_closed(), "the server closed a socket: {:?}", self.socket.closed().await);
        Ok(())
    }
}
