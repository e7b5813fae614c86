//! The agents: their desk, and what they say.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use interline_tests::App;
use interline_tests::botkit::{BotKit, Said, Sighting, Voice};
use interline_tests::checker::{Outcome, Spoken};
use interline_tests::dice::Dice;
use interline_tests::file_checker::Fetched;
use interline_tests::files::{self, Facts};
use interline_tests::http::Http;
use interline_tests::shelf::{Brought, Lies};
use tokio::sync::{Semaphore, mpsc, watch};

use crate::{PAUSE, QUIET, some_text};

/// The agents' desk: every event that came, and every file of it, fetched as soon as it was told of.
pub struct Desk {
    pub seen: Arc<Mutex<Vec<Sighting>>>,
    fetched: Arc<Mutex<HashMap<String, Fetched>>>,
}

impl Desk {
    pub async fn start(app: &App) -> Result<(Self, BotKit)> {
        let (to_fetch, mut wanted) = mpsc::unbounded_channel::<Brought>();
        let desk = Self { seen: Arc::default(), fetched: Arc::default() };
        let seen = desk.seen.clone();
        let hook = move |sighting: Sighting| {
            for file in &sighting.files {
                let _ = to_fetch.send(file.clone());
            }
            seen.lock().unwrap().push(sighting);
        };
        let botkit = BotKit::start(app, Arc::new(hook)).await?;
        let fetched = desk.fetched.clone();
        tokio::spawn(async move {
            // So many at a time, as a desk would.
            let gate = Arc::new(Semaphore::new(8));
            while let Some(file) = wanted.recv().await {
                let (gate, fetched) = (gate.clone(), fetched.clone());
                tokio::spawn(async move {
                    let _turn = gate.acquire().await;
                    let to = file.download_url.split('/').nth(2).and_then(|host| host.parse().ok());
                    let to = to.unwrap_or_else(|| panic!("{} is not on this machine", file.download_url));
                    let got = fetch(to, files::path_of(&file.download_url)).await;
                    fetched.lock().unwrap().insert(file.download_url, got);
                });
            }
        });
        Ok((desk, botkit))
    }

    /// By address, all of them.
    pub async fn fetched(&self) -> Result<HashMap<String, Fetched>> {
        let begin = Instant::now();
        let wanted: HashSet<String> = self
            .seen
            .lock()
            .unwrap()
            .iter()
            .flat_map(|seen| seen.files.iter().map(|file| file.download_url.clone()))
            .collect();
        loop {
            let fetched = self.fetched.lock().unwrap().clone();
            if fetched.len() >= wanted.len() {
                return Ok(fetched);
            }
            ensure!(begin.elapsed() < QUIET, "{} of {} files were fetched", fetched.len(), wanted.len());
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

/// Fetches from a link, again while nobody answers or says "later".
pub async fn fetch(to: SocketAddr, path: &str) -> Fetched {
    let begin = Instant::now();
    loop {
        match Http::new(to).get(path, &[]).await {
            Ok(answer) if answer.status == 200 => return Fetched::got(&answer.body),
            Ok(answer) if !matches!(answer.status, 429 | 503) || begin.elapsed() > QUIET => {
                return Fetched::Failed(format!("{} {}", answer.status, answer.text()));
            }
            Err(error) if begin.elapsed() > QUIET => return Fetched::Failed(error.to_string()),
            Ok(_) | Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
}

pub struct Agent {
    pub no: usize,
    voice: Voice,
    botkit: Arc<BotKit>,
    dice: Dice,
    pub lines: Vec<Spoken>,
    pub said: BTreeMap<String, Vec<Facts>>,
}

impl Agent {
    pub fn new(no: usize, botkit: &Arc<BotKit>, dice: Dice) -> Result<Self> {
        let theirs = format!("an agent for customer {no}");
        let session = botkit.sessions().into_iter().find(|session| session.last_words == theirs);
        let voice = botkit.voice(&session.context("not handed over")?)?;
        Ok(Self { no, voice, botkit: botkit.clone(), dice, lines: Vec::new(), said: BTreeMap::new() })
    }

    /// One line at a time; a BotKit does not repeat a call.
    pub async fn talk(mut self, stop: watch::Receiver<bool>) -> Self {
        while !*stop.borrow() {
            tokio::time::sleep(Duration::from_millis(self.dice.between(2 * PAUSE.0, 2 * PAUSE.1))).await;
            let text = format!("a{}-{} and what an agent says on top of that", self.no, self.lines.len());
            let (mut shelved, mut facts) = (Vec::new(), Vec::new());
            for place in 0..self.dice.between(0, 4).saturating_sub(1) {
                let (bytes, _) = some_text(&mut self.dice, 19);
                let name = format!("a{}-{}-{place}.csv", self.no, self.lines.len());
                facts.push(Facts::of(&name, &bytes));
                shelved.push(self.botkit.shelve(&name, bytes, Lies::Whole));
            }
            let outcome = match self.voice.say_with(&text, &shelved).await {
                Said::Good => Outcome::Taken,
                Said::Refused(500..) | Said::Unanswered => Outcome::Unknown,
                Said::Refused(_) => Outcome::Refused,
            };
            self.said.insert(text.clone(), facts);
            self.lines.push(Spoken { text, outcome });
        }
        self
    }
}
