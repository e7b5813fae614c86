//! A customer who uploads files in pieces and sends messages that name them, whatever happens to the server.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use interline_tests::checker::{Drawn, Outcome, Spoken};
use interline_tests::dice::Dice;
use interline_tests::file_checker::Stored;
use interline_tests::files::{self, Attached, Facts, Tus};
use interline_tests::http::Answer;
use interline_tests::now_ms;
use interline_tests::web::{Frame, RawHook, Site, Socket};
use tokio::sync::watch;

use crate::{PAUSE, QUIET, some_text, words};

/// Every fifth customer gives up what was cut off, half of the time: uploads, and lines whose ack was lost.
const GIVES_UP: usize = 5;

/// A line that came down a socket, with its files.
pub type Heard = (Drawn, Vec<Attached>);

pub struct Customer {
    pub no: usize,
    pub site: Site,
    dice: Dice,
    pub token: String,
    pub socket: Option<Socket>,
    sockets: usize,
    last_id: u64,
    pub drawn: Arc<Mutex<Vec<Heard>>>,
    /// What the server says beside the conversation: a refusal.
    asides: Arc<Mutex<Vec<String>>>,
    pub lines: Vec<Spoken>,
    pub said: BTreeMap<String, Vec<Facts>>,
    pub stored: Vec<Stored>,
    /// Stored, and to be named in the end.
    kept_back: Vec<(Attached, Facts)>,
    uploads: usize,
    pub resumed: usize,
    pub told_again: usize,
    pub given_up: usize,
    stop: watch::Receiver<bool>,
}

impl Customer {
    pub fn new(no: usize, site: &Site, stop: &watch::Receiver<bool>, dice: Dice) -> Self {
        Self {
            no,
            site: site.clone(),
            dice,
            token: String::new(),
            socket: None,
            sockets: 0,
            last_id: 0,
            drawn: Arc::default(),
            asides: Arc::default(),
            lines: Vec::new(),
            said: BTreeMap::new(),
            stored: Vec::new(),
            kept_back: Vec::new(),
            uploads: 0,
            resumed: 0,
            told_again: 0,
            given_up: 0,
            stop: stop.clone(),
        }
    }

    pub fn fresh_id(&mut self) -> u64 {
        self.last_id = now_ms().max(self.last_id + 1);
        self.last_id
    }

    fn gives_up(&mut self) -> bool {
        self.no.is_multiple_of(GIVES_UP) && self.dice.between(0, 2) == 0
    }

    pub async fn talk(mut self) -> Result<Self> {
        while !*self.stop.borrow() {
            tokio::time::sleep(Duration::from_millis(self.dice.between(PAUSE.0, PAUSE.1))).await;
            let mut files = Vec::new();
            for _ in 0..self.dice.between(0, 3) {
                let Some(file) = self.upload().await? else { continue };
                if self.dice.between(0, 5) == 0 { self.kept_back.push(file) } else { files.push(file) }
            }
            self.say(files, true).await?;
        }
        // What was acknowledged long ago and named by nobody can be named still.
        while !self.kept_back.is_empty() {
            let few = self.kept_back.split_off(self.kept_back.len().saturating_sub(10));
            self.say(few, false).await?;
        }
        Ok(self)
    }

    /// Begins an upload and goes on with it until it is answered 200. None: it was given up.
    async fn upload(&mut self) -> Result<Option<(Attached, Facts)>> {
        let (bytes, size) = some_text(&mut self.dice, 21);
        let name = format!("c{}-{}.txt", self.no, self.uploads);
        self.uploads += 1;
        let mut tus = if self.dice.between(0, 4) == 0 {
            Tus::new(self.site.address, &self.token)
        } else {
            Tus::paced(self.site.address, &self.token, 8 * 1024, Duration::from_millis(10))
        };
        let at = begin(&mut tus, &name, size).await.with_context(|| format!("begin {name}"))?;
        let (mut offset, mut acknowledged) = (0, 0);
        loop {
            let piece = usize::try_from(self.dice.between(1_000, 300_000))?.min(size - offset);
            let sent = tus.append(&at, offset, &bytes[offset..offset + piece]).await;
            let cut = match sent {
                Ok(answer) if answer.status == 204 => {
                    offset = files::offset(&answer).context("204 without Upload-Offset")?;
                    acknowledged = offset;
                    false
                }
                Ok(answer) if answer.status == 200 => {
                    ensure!(
                        files::offset(&answer) == Some(size),
                        "{name}: 200 at {:?}",
                        files::offset(&answer)
                    );
                    let (file, facts) = (Attached::read(&answer.json())?, Facts::of(&name, &bytes));
                    self.stored.push(Stored { id: file.id.clone(), facts: facts.clone() });
                    return Ok(Some((file, facts)));
                }
                Ok(answer) if answer.status == 503 || is_cut(&answer) => true,
                Ok(answer) => bail!("{name} at {offset}: {} {}", answer.status, answer.text()),
                Err(_) => true,
            };
            if cut {
                if self.gives_up() {
                    self.given_up += 1;
                    return Ok(None);
                }
                let there = stands_at(&mut tus, &at).await;
                offset = there.with_context(|| format!("{name}, {acknowledged} of {size}"))?;
                ensure!(offset >= acknowledged, "{name}: {offset} of {acknowledged} bytes are left");
                ensure!(offset <= size, "{name}: {offset} of {size} bytes");
                self.resumed += 1;
                self.told_again += usize::from(offset == size);
            }
        }
    }

    /// Says a line, again under its id until it is acked. What is not known to be there is named again in the end.
    async fn say(&mut self, files: Vec<(Attached, Facts)>, may_give_up: bool) -> Result<()> {
        let text = format!("u{}-{} and some words to go with it", self.no, self.lines.len());
        let attached: Vec<Attached> = files.iter().map(|(file, _)| file.clone()).collect();
        self.said.insert(text.clone(), files.iter().map(|(_, facts)| facts.clone()).collect());
        let id = self.fresh_id();
        let outcome = loop {
            self.connect().await?;
            let Some(socket) = self.socket.as_mut() else { continue };
            if socket.tell_with(id, &text, &attached).await.is_ok() {
                break Outcome::Taken;
            }
            self.socket = None;
            let asides = self.asides.lock().unwrap().clone();
            ensure!(asides.is_empty(), "customer {} was told {asides:?}", self.no);
            if may_give_up && self.gives_up() {
                self.kept_back.extend(files);
                break Outcome::Unknown;
            }
        };
        self.lines.push(Spoken { text, outcome });
        Ok(())
    }

    async fn connect(&mut self) -> Result<()> {
        let begin = Instant::now();
        loop {
            if self.socket.as_ref().is_some_and(|socket| !socket.is_closed()) {
                return Ok(());
            }
            self.socket = None;
            match self.open(true).await {
                Ok(()) => {}
                Err(error) if begin.elapsed() > QUIET => {
                    return Err(error.context(format!("customer {} does not come back in", self.no)));
                }
                Err(_) => tokio::time::sleep(Duration::from_millis(self.dice.between(50, 250))).await,
            }
        }
    }

    pub async fn open(&mut self, reconnect: bool) -> Result<()> {
        let (socket, drawn, asides) = (self.sockets, self.drawn.clone(), self.asides.clone());
        let hook: RawHook = Arc::new(move |frame, raw| match frame {
            Frame::Line { id, text, agent: true } => {
                let files = Attached::of_frame(raw).unwrap();
                drawn.lock().unwrap().push((Drawn { socket, id, text: words(&text) }, files));
            }
            Frame::Line { text, .. } if text.starts_with("Hello!") || text.starts_with("Connecting you") => {}
            Frame::Line { text, .. } => asides.lock().unwrap().push(text),
            Frame::Event(kind) if kind.starts_with("NOT ") => asides.lock().unwrap().push(kind),
            Frame::Ack(_) | Frame::Event(_) => {}
        });
        self.sockets += 1;
        self.socket = Some(self.site.open_raw(&self.token, reconnect, hook).await?);
        Ok(())
    }
}

/// The answer, if it has this status. None: the same again. Any status but "later" is a fault.
async fn wanted(answer: std::io::Result<Answer>, status: u16, begin: Instant) -> Result<Option<Answer>> {
    match answer {
        Ok(answer) if answer.status == status => Ok(Some(answer)),
        Ok(answer) if answer.status != 503 => bail!("{} {}", answer.status, answer.text()),
        answer => {
            ensure!(begin.elapsed() < QUIET, "no answer: {answer:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
            Ok(None)
        }
    }
}

async fn begin(tus: &mut Tus, name: &str, size: usize) -> Result<String> {
    let since = Instant::now();
    loop {
        let answer = tus.create(name, size).await;
        if let Some(begun) = wanted(answer, 201, since).await? {
            return begun.header("location").map(str::to_owned).context("no Location");
        }
    }
}

async fn stands_at(tus: &mut Tus, at: &str) -> Result<usize> {
    let since = Instant::now();
    loop {
        let answer = tus.progress(at).await;
        if let Some(there) = wanted(answer, 200, since).await? {
            return files::offset(&there).context("HEAD without Upload-Offset");
        }
    }
}

/// It stands elsewhere, or somebody else goes on with it: the one whose connection is dead.
fn is_cut(answer: &Answer) -> bool {
    let code = answer.json()["errors"][0]["code"].as_str().map(str::to_owned);
    matches!(code.as_deref(), Some("upload_offset" | "upload_interrupted"))
}
