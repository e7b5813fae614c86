//! A vendor with a duplex protocol, and the connector for it: the proof that `run` carries one. The vendor listens on
//! TCP and keeps its chats by ids of its own, also while nobody is connected; lines are JSON.
//!
//! ```text
//!   ► {"open": key} | {"resume": chat, "after": n}      ◄ {"chat": id}                  | {"no": "such chat"}
//!   ► {"text": words, "key": key} | {"close": key}      ◄ {"got": key}
//!                                                       ◄ {"event": n, "said": words} | {"event": n, "ended": tag} | {"typing": on}
//! ```

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use interline_connector::agent::{Link, RunEnd};
use interline_connector::channel::Mark;
use interline_connector::manifest::{Dedupe, Delivery, Takes};
use interline_connector::{
    AgentSystem, Answer, Aside, Cause, Done, Failure, Item, Manifest, Next, Received, Rejected, Unverified,
    UpTo,
};
use interline_core::conversation::input::AgentEvent;
use interline_core::transfer::Reason;
use interline_core::{Body, Seq, app};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::fake::{manifest, said};

// ── the vendor ───────────────────────────────────────────────────────────────────────────────────────────────────────

#[derive(Default)]
struct Chat {
    /// Keys and words, in order; a key that is known already is dropped.
    got: Vec<(String, String)>,
    events: Vec<Value>,
    asides: Vec<String>,
    closed: bool,
}

/// What the vendor does wrong on purpose.
#[derive(Default)]
struct Faults {
    /// So many connections are cut after the next thing was taken and before it was acknowledged.
    cut_before_ack: usize,
    /// New connections are refused.
    away: bool,
    opened: usize,
    connections: usize,
}

pub struct Vendor {
    address: SocketAddr,
    chats: Mutex<BTreeMap<String, Chat>>,
    faults: Mutex<Faults>,
    news: watch::Sender<u64>,
    cut: watch::Sender<u64>,
}

impl Vendor {
    pub async fn start() -> Arc<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (chats, faults, news, cut) = Default::default();
        let vendor = Arc::new(Self { address, chats, faults, news, cut });
        let serving = vendor.clone();
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                serving.faults.lock().unwrap().connections += 1;
                if !serving.faults.lock().unwrap().away {
                    tokio::spawn(serving.clone().serve(socket));
                }
            }
        });
        vendor
    }

    /// Cuts every connection. The chats stay.
    pub fn cut(&self) {
        self.cut.send_modify(|count| *count += 1);
    }

    pub fn away(&self, away: bool) {
        self.faults.lock().unwrap().away = away;
    }

    pub fn cut_before_ack(&self, times: usize) {
        self.faults.lock().unwrap().cut_before_ack = times;
    }

    pub fn opened(&self) -> usize {
        self.faults.lock().unwrap().opened
    }

    pub fn connections(&self) -> usize {
        self.faults.lock().unwrap().connections
    }

    /// The agent of chat `chat` does something.
    pub fn tell(&self, chat: &str, mut event: Value) {
        let mut chats = self.chats.lock().unwrap();
        let chat = chats.get_mut(chat).unwrap();
        let aside = |event: &Value| event.get("typing").is_some() || event.get("read").is_some();
        if !aside(&event) {
            event["event"] = json!(chat.events.iter().filter(|event| !aside(event)).count() + 1);
        }
        chat.events.push(event);
        drop(chats);
        self.news.send_modify(|count| *count += 1);
    }

    /// The words that the chat got.
    pub fn got(&self, chat: &str) -> Vec<String> {
        let chats = self.chats.lock().unwrap();
        chats
            .get(chat)
            .map(|chat| chat.got.iter().map(|(_, words)| words.clone()).collect())
            .unwrap_or_default()
    }

    /// What the chat was told beside.
    pub fn asides(&self, chat: &str) -> Vec<String> {
        self.chats.lock().unwrap().get(chat).map(|chat| chat.asides.clone()).unwrap_or_default()
    }

    pub fn closed(&self, chat: &str) -> bool {
        self.chats.lock().unwrap().get(chat).is_some_and(|chat| chat.closed)
    }

    pub fn forget(&self) {
        self.chats.lock().unwrap().clear();
    }

    async fn serve(self: Arc<Self>, socket: TcpStream) {
        let (mut cut, mut news) = (self.cut.subscribe(), self.news.subscribe());
        let (input, mut output) = socket.into_split();
        let mut lines = BufReader::new(input).lines();
        let (mut current, mut sent) = (String::new(), 0);
        loop {
            tokio::select! {
                _ = cut.changed() => return,
                line = lines.next_line() => {
                    let Ok(Some(line)) = line else { return };
                    let Some(answer) = self.hear(&serde_json::from_str(&line).unwrap(), &mut current, &mut sent) else { return };
                    if output.write_all(format!("{answer}\n").as_bytes()).await.is_err() { return }
                }
                _ = news.changed() => {}
            }
            let events = {
                let chats = self.chats.lock().unwrap();
                chats
                    .get(&current)
                    .map(|chat| chat.events[sent.min(chat.events.len())..].to_vec())
                    .unwrap_or_default()
            };
            sent += events.len();
            for event in events {
                if output.write_all(format!("{event}\n").as_bytes()).await.is_err() {
                    return;
                }
            }
        }
    }

    /// None: the connection is cut.
    fn hear(&self, line: &Value, current: &mut String, sent: &mut usize) -> Option<Value> {
        let (mut chats, mut faults) = (self.chats.lock().unwrap(), self.faults.lock().unwrap());
        if let (Some(chat), Some(aside)) = (chats.get_mut(&*current), line["aside"].as_str()) {
            chat.asides.push(aside.to_owned());
            return Some(json!({ "noted": true }));
        }
        if line.get("open").is_some() {
            faults.opened += 1;
            *current = format!("chat-{}", faults.opened);
            chats.insert(current.clone(), Chat::default());
        } else if let Some(chat) = line["resume"].as_str() {
            let Some(known) = chats.get(chat) else { return Some(json!({ "no": "such chat" })) };
            *current = chat.to_owned();
            let after = line["after"].as_u64().unwrap();
            *sent =
                known.events.iter().take_while(|event| event["event"].as_u64().unwrap_or(0) <= after).count();
            return Some(json!({ "chat": chat }));
        } else if let (Some(chat), Some(words)) = (chats.get_mut(&*current), line["text"].as_str()) {
            let key = line["key"].as_str().unwrap().to_owned();
            if !chat.got.iter().any(|(known, _)| *known == key) {
                chat.got.push((key, words.to_owned()));
            }
        } else if let (Some(chat), Some(_)) = (chats.get_mut(&*current), line["close"].as_str()) {
            chat.closed = true;
        }
        if faults.cut_before_ack > 0 {
            faults.cut_before_ack -= 1;
            return None;
        }
        Some(if line.get("open").is_some() {
            json!({ "chat": &*current })
        } else {
            json!({ "got": line["key"] })
        })
    }
}

// ── the connector ────────────────────────────────────────────────────────────────────────────────────────────────────

pub struct Duplex {
    manifest: Manifest,
    address: SocketAddr,
}

type Lost = String;

impl Duplex {
    pub fn new(vendor: &Vendor, resumes: bool, dedupe: Dedupe) -> Arc<Self> {
        let takes = Takes { typing: true, receipts: true, files: None };
        let manifest = Manifest { delivery: Delivery::Pinned, resumes, dedupe, takes, ..manifest("duplex") };
        Arc::new(Self { manifest, address: vendor.address })
    }

    async fn session(&self, link: &mut dyn Link) -> Result<(), Lost> {
        let socket = TcpStream::connect(self.address).await.map_err(|error| error.to_string())?;
        let (input, mut output) = socket.into_split();
        let mut lines = BufReader::new(input).lines();
        let mut document = link.session();
        if let Some(document) = &document {
            let resume = json!({ "resume": document["chat"], "after": document["heard"] });
            send(&mut output, &resume).await?;
            if read(&mut lines).await?.get("chat").is_none() {
                return Err("the vendor has forgotten the chat".into());
            }
        }
        let mut waiting: Option<Item> = None;
        loop {
            tokio::select! {
                next = link.next(), if waiting.is_none() => match next {
                    None => return Ok(()),
                    Some(Next::Aside(aside)) => send(&mut output, &aside_line(&aside)).await?,
                    Some(Next::Item(item)) => {
                        send(&mut output, &say(&item)).await?;
                        waiting = Some(*item);
                    }
                },
                line = lines.next_line() => {
                    let line = line.map_err(|error| error.to_string())?.ok_or("cut")?;
                    let line: Value = serde_json::from_str(&line).map_err(|error| error.to_string())?;
                    if let Some(item) = waiting.take_if(|_| line.get("got").is_some() || line.get("chat").is_some()) {
                        if let Some(chat) = line["chat"].as_str() {
                            document = Some(json!({ "chat": chat, "heard": 0 }));
                        }
                        let session = document.clone();
                        link.done(item.entry.seq, Ok(Done { session, ..Done::default() })).await;
                    } else {
                        tell(link, &line, &mut document).await;
                    }
                }
            }
        }
    }
}

fn aside_line(aside: &Aside) -> Value {
    match aside {
        Aside::Typing(on) => json!({ "aside": format!("typing {on}") }),
        Aside::Receipt { mark, seq, remote_id } => {
            json!({ "aside": format!("{mark:?} {seq} {}", remote_id.as_deref().unwrap_or("-")) })
        }
    }
}

fn say(item: &Item) -> Value {
    match &item.entry.body {
        Body::Open => json!({ "open": item.key() }),
        Body::Text(text) => json!({ "text": text.text, "key": item.key() }),
        _ => json!({ "close": item.key(), "key": item.key() }),
    }
}

async fn tell(link: &mut dyn Link, line: &Value, document: &mut Option<Value>) {
    if let Some(on) = line["typing"].as_bool() {
        return link.typing(on);
    }
    if line.get("noted").is_some() {
        return;
    }
    if line["read"] == json!("all") {
        return link.receipt(Mark::Read, UpTo::Entry(Seq(u64::MAX))).await;
    }
    let event = match line["said"].as_str() {
        Some(words) => said(words),
        None => AgentEvent::Ended { tag: line["ended"].as_str().map(str::to_owned) },
    };
    link.heard(Some(line["event"].to_string()), event).await;
    if let Some(document) = document {
        document["heard"] = line["event"].clone();
        link.save(document.clone()).await;
    }
}

async fn send(output: &mut tokio::net::tcp::OwnedWriteHalf, line: &Value) -> Result<(), Lost> {
    output.write_all(format!("{line}\n").as_bytes()).await.map_err(|error| error.to_string())
}

async fn read(
    lines: &mut tokio::io::Lines<BufReader<tokio::net::tcp::OwnedReadHalf>>,
) -> Result<Value, Lost> {
    let line = lines.next_line().await.map_err(|error| error.to_string())?.ok_or("cut")?;
    serde_json::from_str(&line).map_err(|error| error.to_string())
}

#[async_trait]
impl AgentSystem for Duplex {
    fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    fn describe(&self) -> app::AgentSystem {
        app::AgentSystem::default()
    }

    async fn run(&self, link: &mut dyn Link) -> RunEnd {
        match self.session(link).await {
            Ok(()) => RunEnd::Over,
            Err(why) => RunEnd::Lost(why),
        }
    }

    async fn deliver(&self, _: &Item, _: Option<Value>) -> Result<Done, Failure> {
        Err(Failure::Bug(Cause::new(Reason::VendorError, "a duplex session has no deliver")))
    }

    fn receive(&self, _: &Unverified) -> Result<Received, Rejected> {
        Err(Rejected(Answer::error(404, "no webhooks")))
    }

    async fn probe(&self) -> Result<(), String> {
        Ok(())
    }
}

// ── a scripted one ───────────────────────────────────────────────────────────────────────────────────────────────────

/// A duplex connector without a vendor: fails each entry in turn as told, then takes everything; panics when told.
pub struct Scripted {
    pub manifest: Manifest,
    pub results: Mutex<Vec<Failure>>,
    pub panics: Mutex<usize>,
    pub twice: Mutex<bool>,
    pub tries: Mutex<Vec<(String, std::time::Instant)>>,
}

impl Scripted {
    pub fn new(resumes: bool) -> Arc<Self> {
        let manifest = Manifest { delivery: Delivery::Pinned, resumes, ..manifest("scripted") };
        let (results, panics, twice, tries) = Default::default();
        Arc::new(Self { manifest, results, panics, twice, tries })
    }

    pub fn tries(&self, what: &str) -> Vec<std::time::Instant> {
        self.tries.lock().unwrap().iter().filter(|(tried, _)| tried == what).map(|(_, at)| *at).collect()
    }
}

#[async_trait]
impl AgentSystem for Scripted {
    fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    fn describe(&self) -> app::AgentSystem {
        app::AgentSystem::default()
    }

    async fn run(&self, link: &mut dyn Link) -> RunEnd {
        while let Some(next) = link.next().await {
            let Next::Item(item) = next else { continue };
            self.tries.lock().unwrap().push((crate::fake::what(&item.entry.body), std::time::Instant::now()));
            let panics = std::mem::take(&mut *self.panics.lock().unwrap());
            assert!(panics == 0, "as the test wants");
            let failure = self.results.lock().unwrap().pop();
            let result = failure.map_or_else(|| Ok(Done::default()), Err);
            link.done(item.entry.seq, result).await;
            if std::mem::take(&mut *self.twice.lock().unwrap()) {
                link.heard(Some("e-1".into()), said("once")).await;
                link.heard(Some("e-1".into()), said("once")).await;
                link.heard(None, said("fresh")).await;
                link.heard(None, said("fresh")).await;
            }
        }
        RunEnd::Over
    }

    async fn deliver(&self, _: &Item, _: Option<Value>) -> Result<Done, Failure> {
        Err(Failure::Bug(Cause::new(Reason::VendorError, "a duplex session has no deliver")))
    }

    fn receive(&self, _: &Unverified) -> Result<Received, Rejected> {
        Err(Rejected(Answer::error(404, "no webhooks")))
    }

    async fn probe(&self) -> Result<(), String> {
        Ok(())
    }
}
